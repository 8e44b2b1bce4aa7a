//! The georeferenced mosaic of one flight, and its item in `drone-ortho`.

use serde_json::{Map, Value, json};
use stac::{Asset, Band, DataType, Item};

use super::{
    Flight, Grid, Layer, Moment, ObjectRef, Processing, Project, RunId, StorageScheme, Upstream,
    item::{add_asset, asset_of, declare_extensions, fields, new_item, set, set_polygon},
    lineage::set_processing,
};

/// An orthophoto in the ortho bucket, with the files that were made beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Orthophoto {
    pub project: Project,
    pub flight: Flight,
    pub run: RunId,
    pub cog: ObjectRef,
    pub grid: Grid,
    pub gsd_m: f64,
    /// What it covers: a ring of lon, lat, WGS 84.
    pub footprint: Vec<[f64; 2]>,
    /// When its photos were taken.
    pub taken: Moment,
    pub dsm: Option<(ObjectRef, Grid)>,
    /// The ground without what stands on it.
    pub dtm: Option<(ObjectRef, Grid)>,
    /// Where its cameras were: what finds a place on the ground in the photos.
    pub cameras: Option<ObjectRef>,
    pub report: Option<ObjectRef>,
    /// The report as a page for people.
    pub report_page: Option<ObjectRef>,
    pub thumbnail: Option<ObjectRef>,
    /// The photos that were used, each in its exact version.
    pub photos: Vec<Upstream>,
    /// Figures of the report worth searching for; each becomes a property `polder:{name}`.
    pub figures: Map<String, Value>,
    pub processing: Processing,
}

impl Orthophoto {
    /// Returns the id of the item of a run over a flight, `{project}.{flight}.ortho-{run}`.
    pub fn id_of(project: &Project, flight: &Flight, run: &RunId) -> String {
        format!("{project}.{flight}.ortho-{run}")
    }

    pub fn item_id(&self) -> String {
        Self::id_of(&self.project, &self.flight, &self.run)
    }

    /// Describes the orthophoto as a STAC item.
    pub fn item(&self, scheme: &StorageScheme) -> Item {
        let mut item = new_item(Layer::Ortho, self.item_id(), self.taken);
        set_polygon(&mut item, &self.footprint);
        item.properties.title = Some(format!("Orthophoto of {} · {}", self.project, self.flight));
        set(&mut item, "polder:project", self.project.as_str());
        set(&mut item, "polder:flight", self.flight.as_str());
        set(&mut item, "polder:run", self.run.as_str());
        set(&mut item, "gsd", self.gsd_m);
        item.properties.additional_fields.extend(self.grid.fields());
        for (name, value) in &self.figures {
            set(&mut item, &format!("polder:{name}"), value.clone());
        }
        set_processing(&mut item, &self.processing, "L3");
        self.add_assets(&mut item, scheme);
        item.links.extend(self.photos.iter().map(Upstream::link));
        declare_extensions(item)
    }

    fn add_assets(&self, item: &mut Item, scheme: &StorageScheme) {
        let mut cog = asset_of(&self.cog, "Orthophoto", &["data", "visual"]);
        cog.bands = ["red", "green", "blue"].map(color_band).to_vec();
        cog.data_type = Some(DataType::UInt8);
        add_asset(item, "ortho", &self.cog, scheme, on_grid(cog, &self.grid));
        for (name, title, heights) in
            [("dsm", "Surface heights (DSM)", &self.dsm), ("dtm", "Terrain heights (DTM)", &self.dtm)]
        {
            let Some((object, grid)) = heights else { continue };
            let mut asset = asset_of(object, title, &["data", name]);
            asset.data_type = Some(DataType::Float32);
            asset.nodata = Some(-9999.0);
            asset.unit = Some("m".to_owned());
            add_asset(item, name, object, scheme, on_grid(asset, grid));
        }
        if let Some(object) = &self.thumbnail {
            add_asset(item, "thumbnail", object, scheme, asset_of(object, "Thumbnail", &["thumbnail"]));
        }
        if let Some(object) = &self.cameras {
            let cameras = asset_of(object, "Cameras: lenses and poses of the photos", &["metadata"]);
            add_asset(item, "cameras", object, scheme, cameras);
        }
        if let Some(object) = &self.report {
            add_asset(item, "report", object, scheme, asset_of(object, "Report of the stitching", &["metadata"]));
        }
        if let Some(object) = &self.report_page {
            let page = asset_of(object, "Report of the stitching, as a page", &["metadata"]);
            add_asset(item, "report_page", object, scheme, page);
        }
    }
}

fn on_grid(mut asset: Asset, grid: &Grid) -> Asset {
    asset.additional_fields.extend(grid.fields());
    asset.additional_fields.insert("raster:spatial_resolution".to_owned(), grid.transform.pixel_size().into());
    asset
}

pub(super) fn color_band(name: &str) -> Band {
    Band {
        name: Some(name.to_owned()),
        description: None,
        nodata: None,
        data_type: None,
        statistics: None,
        unit: None,
        additional_fields: fields(json!({ "eo:common_name": name })),
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::examples::{orthophoto, scheme};

    #[test]
    fn an_orthophoto_names_the_photos_it_was_made_from_in_their_versions() {
        let item = orthophoto().item(&scheme());
        assert_eq!(item.id, orthophoto().item_id());
        insta::assert_json_snapshot!(item);
    }
}
