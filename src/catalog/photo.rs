//! One frame as the camera wrote it, and its item in `drone-raw`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stac::Item;

use super::{
    Flight, Grid, Layer, Moment, ObjectRef, PhotoName, Project, StorageScheme,
    item::{add_asset, asset_of, declare_extensions, new_item, rounded, set, set_point, set_polygon, timestamp},
};

/// A photo in the raw bucket, and what its file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    pub project: Project,
    pub flight: Flight,
    pub name: PhotoName,
    /// The name that the file had, where it was not fit for a key.
    pub file_name: Option<String>,
    pub object: ObjectRef,
    /// When the store received this version.
    pub stored_at: Option<DateTime<Utc>>,
    pub taken: Taken,
    /// Width and height in pixels, as stored.
    pub size: Option<[u32; 2]>,
    pub camera: Camera,
    /// Longitude and latitude of the camera, degrees, WGS 84.
    pub lonlat: Option<[f64; 2]>,
    /// Metres above sea level, as the file says it; drones mix ellipsoidal and orthometric heights here.
    pub absolute_altitude_m: Option<f64>,
    /// Metres above the place of take-off.
    pub relative_altitude_m: Option<f64>,
    /// Where the lens looked.
    pub attitude: Option<Attitude>,
    /// Metres per pixel on flat ground under the camera.
    pub gsd_m: Option<f64>,
    /// What the photo shows of the ground: a ring of lon, lat, WGS 84.
    pub footprint: Option<Vec<[f64; 2]>>,
    /// Percent of the frame that clouds hide.
    pub cloud_cover: Option<f64>,
    /// Present when the file is a georeferenced raster already: it then has its own footprint and is not stitched.
    pub grid: Option<Grid>,
}

/// When a photo was taken, and how we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The photo says so.
    At(DateTime<Utc>),
    /// The photo has no usable time; its flight was in the air between these two.
    DuringFlight(DateTime<Utc>, DateTime<Utc>),
    /// Nothing is known but that it existed at this time. A time is never made up from it: the item spans
    /// everything before.
    Before(DateTime<Utc>),
}

/// What took the photo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Camera {
    pub make: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
}

/// The direction of the lens: yaw clockwise from true north; pitch -90 looks straight down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attitude {
    pub yaw_deg: f64,
    pub pitch_deg: f64,
    pub roll_deg: f64,
}

impl Photo {
    /// Returns the id of the photo's item, `{project}.{flight}.{name}`.
    pub fn item_id(&self) -> String {
        format!("{}.{}.{}", self.project, self.flight, self.name)
    }

    /// Describes the photo as a STAC item.
    ///
    /// Its geometry is the footprint when it is known, else the place of the camera, else none: a photo without
    /// any position is in the catalog but in no bbox.
    pub fn item(&self, scheme: &StorageScheme) -> Item {
        let mut item = new_item(Layer::Raw, self.item_id(), self.taken.moment());
        self.set_place(&mut item);
        item.properties.title = Some(self.file_name.clone().unwrap_or_else(|| self.name.to_string()));
        item.properties.created = self.stored_at.map(timestamp);
        set(&mut item, "polder:project", self.project.as_str());
        set(&mut item, "polder:flight", self.flight.as_str());
        set(&mut item, "polder:datetime_source", self.taken.source());
        set(&mut item, "platform", self.camera.model.clone());
        set(&mut item, "instruments", self.camera.instruments());
        set(&mut item, "gsd", self.gsd_m);
        set(&mut item, "eo:cloud_cover", self.cloud_cover.filter(|percent| (0.0..=100.0).contains(percent)));
        self.set_view(&mut item);
        set(&mut item, "polder:stitch", self.grid.is_none());
        self.add_photo_asset(&mut item, scheme);
        declare_extensions(item)
    }

    fn set_place(&self, item: &mut Item) {
        if let Some(ring) = &self.footprint {
            set_polygon(item, ring);
        } else if let Some(lonlat) = self.lonlat {
            set_point(item, lonlat);
        }
        set(item, "polder:position", self.lonlat.map(|place| json!(place)));
        set(item, "polder:absolute_altitude_m", self.absolute_altitude_m);
        set(item, "polder:relative_altitude_m", self.relative_altitude_m);
    }

    fn set_view(&self, item: &mut Item) {
        let Some(attitude) = self.attitude else { return };
        // The view extension ends at the horizon; a camera that looks up has no angle in it.
        let off_nadir = rounded((90.0 + attitude.pitch_deg).abs());
        set(item, "view:off_nadir", (off_nadir <= 90.0).then_some(off_nadir));
        set(item, "view:azimuth", rounded(attitude.yaw_deg.rem_euclid(360.0)));
        set(item, "polder:yaw_deg", attitude.yaw_deg);
        set(item, "polder:pitch_deg", attitude.pitch_deg);
        set(item, "polder:roll_deg", attitude.roll_deg);
    }

    fn add_photo_asset(&self, item: &mut Item, scheme: &StorageScheme) {
        let mut asset = asset_of(&self.object, "The photo as the camera wrote it", &["data"]);
        if let Some(grid) = &self.grid {
            asset.additional_fields.extend(grid.fields());
            item.properties.additional_fields.extend(grid.fields());
        } else if let Some([width, height]) = self.size {
            // A null code says that the pixels lie in no coordinate system (projection extension).
            asset.additional_fields.insert("proj:code".to_owned(), Value::Null);
            asset.additional_fields.insert("proj:shape".to_owned(), json!([height, width]));
        }
        add_asset(item, "photo", &self.object, scheme, asset);
    }
}

impl Taken {
    fn moment(self) -> Moment {
        match self {
            Self::At(at) => Moment::At(at),
            Self::DuringFlight(first, last) => Moment::Between(first, last),
            Self::Before(time) => Moment::Between(DateTime::UNIX_EPOCH, time),
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::At(_) => "photo",
            Self::DuringFlight(..) => "flight",
            Self::Before(_) => "unknown",
        }
    }
}

impl Camera {
    /// Lists make, model and serial number as one instrument; `null` when nothing is known.
    fn instruments(&self) -> Value {
        let parts: Vec<&str> =
            [&self.make, &self.model, &self.serial].into_iter().flatten().map(String::as_str).collect();
        if parts.is_empty() { Value::Null } else { json!([parts.join(" ")]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::examples::{noon, photo, scheme};

    #[test]
    fn a_photo_is_described_by_what_its_file_says() {
        let item = photo().item(&scheme());
        assert_eq!(item.id, "dijk-a.flight-2025.DJI_0001.JPG");
        insta::assert_json_snapshot!(item);
    }

    #[test]
    fn without_footprint_it_is_where_the_camera_was_and_without_that_nowhere() {
        let placed = Photo { footprint: None, ..photo() }.item(&scheme());
        assert_eq!(json!(placed.geometry), json!({"type": "Point", "coordinates": [5.11, 52.005]}));
        let lost = Photo { footprint: None, lonlat: None, ..photo() }.item(&scheme());
        assert!(lost.geometry.is_none() && lost.bbox.is_none());
    }

    #[test]
    fn a_time_is_never_made_up() {
        let item = Photo { taken: Taken::Before(noon()), ..photo() }.item(&scheme());
        let json = json!(item);
        assert_eq!(json["properties"]["datetime"], Value::Null);
        assert_eq!(json["properties"]["end_datetime"], "2025-06-23T10:00:00Z");
        assert_eq!(json["properties"]["polder:datetime_source"], "unknown");
    }

    #[test]
    fn a_camera_that_looks_up_has_no_angle_from_nadir() {
        let up = Attitude { pitch_deg: 10.0, ..photo().attitude.unwrap() };
        let item = Photo { attitude: Some(up), ..photo() }.item(&scheme());
        assert!(!item.properties.additional_fields.contains_key("view:off_nadir"));
    }

    #[test]
    fn a_georeferenced_tiff_says_that_it_skips_stitching() {
        use crate::{
            catalog::Grid,
            spatial::{Crs, GeoTransform},
        };
        let transform = GeoTransform::north_up([155_000.0, 463_000.0], 0.1);
        let grid = Grid { crs: Crs::RD_NEW, transform, size: [100, 50] };
        let item = json!(Photo { grid: Some(grid), ..photo() }.item(&scheme()));
        assert_eq!(item["properties"]["polder:stitch"], false);
        assert_eq!(item["assets"]["photo"]["proj:code"], "EPSG:28992");
        assert_eq!(item["assets"]["photo"]["proj:shape"], json!([50, 100]));
    }
}
