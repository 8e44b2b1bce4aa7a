//! What the items of all layers have in common: geometry, time, assets, declared extensions.

use chrono::{DateTime, SecondsFormat, Utc};
use geojson::{Geometry, GeometryValue};
use serde_json::{Map, Value, json};
use stac::{Asset, Bbox, Item, Link};

use super::{Layer, ObjectRef, StorageScheme, lineage::API_SCHEME};
use crate::spatial::{self, Crs, GeoTransform};

/// Media type of a cloud-optimized `GeoTIFF`; QGIS loads no other spelling.
pub const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";
/// Media type of `GeoJSON`.
pub const GEOJSON: &str = "application/geo+json";

/// The extensions of which polder writes fields, by prefix. Schemas are versioned, so are these.
///
/// projection is v1.2.0 on purpose: v2.0.0 forbids `proj:epsg`, and without that GDAL 3.6's STACIT driver finds no
/// asset. mlm is v1.4.0 because that is the newest one of which pystac 1.15 reads the fields.
const EXTENSIONS: [(&str, &str); 8] = [
    ("eo:", "https://stac-extensions.github.io/eo/v2.0.0/schema.json"),
    ("file:", "https://stac-extensions.github.io/file/v2.1.0/schema.json"),
    ("mlm:", "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"),
    ("processing:", "https://stac-extensions.github.io/processing/v1.2.0/schema.json"),
    ("proj:", "https://stac-extensions.github.io/projection/v1.2.0/schema.json"),
    ("raster:", "https://stac-extensions.github.io/raster/v2.0.0/schema.json"),
    ("storage:", "https://stac-extensions.github.io/storage/v2.0.0/schema.json"),
    ("view:", "https://stac-extensions.github.io/view/v1.0.0/schema.json"),
];

/// When the thing that an item describes was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(DateTime<Utc>),
    /// From the first to the second, both included.
    Between(DateTime<Utc>, DateTime<Utc>),
}

/// Where the pixels of a raster lie: enough to place it without opening it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    pub crs: Crs,
    pub transform: GeoTransform,
    /// Width and height in pixels.
    pub size: [usize; 2],
}

impl Grid {
    /// Returns the `proj:*` fields. odc-stac wants them on the asset, GDAL's STACIT driver also `proj:epsg`.
    pub fn fields(&self) -> Map<String, Value> {
        let [width, height] = self.size;
        fields(json!({
            "proj:code": self.crs.to_string(),
            "proj:epsg": self.crs.epsg(),
            "proj:shape": [height, width],
            "proj:transform": self.transform.stac(),
            "proj:bbox": self.transform.bounds(self.size).to_array(),
        }))
    }
}

/// Starts an item of a layer, without geometry, assets or links.
pub(super) fn new_item(layer: Layer, id: String, moment: Moment) -> Item {
    let mut item = Item::new(id);
    item.collection = Some(layer.collection().to_owned());
    // STAC asks for this link wherever `collection` is there, also of an item on its own.
    let mut link = Link::new(format!("{API_SCHEME}/collections/{layer}"), "collection");
    link.r#type = Some("application/json".to_owned());
    item.links = vec![link];
    match moment {
        Moment::At(at) => item.properties.datetime = Some(at),
        Moment::Between(first, last) => {
            item.properties.datetime = None;
            item.properties.start_datetime = Some(first);
            item.properties.end_datetime = Some(last);
        }
    }
    item
}

/// Gives the item a polygon (lon, lat, WGS 84) and its bbox. The ring may be open and may turn either way.
pub(super) fn set_polygon(item: &mut Item, ring: &[[f64; 2]]) {
    let ring = counter_clockwise(ring);
    item.bbox = spatial::Bbox::of(ring.iter().copied()).map(|b| Bbox::TwoDimensional(b.to_array()));
    let ring = ring.iter().map(|&place| place.into()).collect();
    item.geometry = Some(Geometry::new(GeometryValue::Polygon { coordinates: vec![ring] }));
}

/// Gives the item a point (lon, lat, WGS 84) and its bbox.
pub(super) fn set_point(item: &mut Item, lonlat: [f64; 2]) {
    let [lon, lat] = lonlat.map(rounded);
    item.bbox = Some(Bbox::TwoDimensional([lon, lat, lon, lat]));
    item.geometry = Some(Geometry::new(GeometryValue::Point { coordinates: [lon, lat].into() }));
}

/// Sets a property; `null` sets nothing.
pub(super) fn set(item: &mut Item, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if !value.is_null() {
        item.properties.additional_fields.insert(name.to_owned(), value);
    }
}

/// Describes one object as an asset: its href is the object itself, with its version, size and checksum.
pub(super) fn asset_of(object: &ObjectRef, title: &str, roles: &[&str]) -> Asset {
    let mut asset = Asset::new(object.s3_href());
    asset.title = Some(title.to_owned());
    asset.r#type = Some(object.content_type.clone());
    asset.roles = roles.iter().map(|&role| role.to_owned()).collect();
    let mut more = fields(json!({
        "file:size": object.size_bytes,
        "file:checksum": object.multihash(),
        "storage:refs": [object.bucket],
    }));
    if let Some(version) = &object.version_id {
        more.insert("polder:version_id".to_owned(), version.clone().into());
    }
    asset.additional_fields = more;
    asset
}

/// Returns the object that a stored asset names; nothing when its href is no `s3://bucket/key`.
///
/// Undoes what the builders of this module write: size and checksum come back as zero and empty where an asset has
/// none.
pub fn object_of(asset: &Asset) -> Option<ObjectRef> {
    let (bucket, key) = asset.href.strip_prefix("s3://")?.split_once('/')?;
    let text = |field: &str| asset.additional_fields.get(field).and_then(Value::as_str);
    Some(ObjectRef {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id: text("polder:version_id").map(str::to_owned),
        sha256: text("file:checksum").and_then(|hash| hash.strip_prefix("1220")).unwrap_or_default().to_owned(),
        size_bytes: asset.additional_fields.get("file:size").and_then(Value::as_u64).unwrap_or_default(),
        content_type: asset.r#type.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
    })
}

/// Adds an asset, and to the item the scheme that says where its bucket is.
pub(super) fn add_asset(item: &mut Item, key: &str, object: &ObjectRef, scheme: &StorageScheme, asset: Asset) {
    let schemes = item.properties.additional_fields.entry("storage:schemes").or_insert_with(|| json!({}));
    schemes[&object.bucket] = scheme.of_bucket(&object.bucket);
    item.assets.insert(key.to_owned(), asset);
}

/// Declares each extension of which the item uses a field, in a fixed order. The last step of every builder.
pub(super) fn declare_extensions(mut item: Item) -> Item {
    let on_item = item.properties.additional_fields.keys();
    let on_assets = item.assets.values().flat_map(|asset| asset.additional_fields.keys());
    let in_bands = item.assets.values().flat_map(|asset| &asset.bands).flat_map(|band| band.additional_fields.keys());
    let on_links = item.links.iter().flat_map(|link| link.additional_fields.keys());
    let used: Vec<&String> = on_item.chain(on_assets).chain(in_bands).chain(on_links).collect();
    item.extensions = EXTENSIONS
        .iter()
        .filter(|(prefix, _)| used.iter().any(|field| field.starts_with(prefix)))
        .map(|&(_, schema)| schema.to_owned())
        .collect();
    item
}

/// Writes a time as STAC wants it: RFC 3339 in UTC, with as many decimals as it has.
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Turns a JSON object literal into its fields.
pub(super) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

/// Nine decimals of a degree are a tenth of a millimetre; more would be noise that differs between machines.
pub(super) fn rounded(degrees: f64) -> f64 {
    (degrees * 1e9).round() / 1e9
}

/// Closes a ring and turns it counter-clockwise (RFC 7946, 3.1.6).
fn counter_clockwise(ring: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut ring: Vec<[f64; 2]> = ring.iter().map(|place| place.map(rounded)).collect();
    if ring.first() != ring.last() {
        ring.extend(ring.first().copied());
    }
    let doubled_area: f64 = ring.windows(2).map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1]).sum();
    if doubled_area < 0.0 {
        ring.reverse();
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_closed_and_counter_clockwise() {
        let clockwise = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]];
        let expected = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]];
        assert_eq!(counter_clockwise(&clockwise), expected);
        assert_eq!(counter_clockwise(&expected), expected);
    }

    #[test]
    fn an_object_comes_back_from_its_asset() {
        let object = crate::catalog::examples::orthophoto().cog;
        assert_eq!(object_of(&asset_of(&object, "Orthophoto", &["data"])), Some(object));
        assert_eq!(object_of(&Asset::new("https://example.org/a.tif")), None);
    }

    #[test]
    fn grids_list_rows_before_columns() {
        let grid = Grid { crs: Crs::RD_NEW, transform: GeoTransform::north_up([10.0, 20.0], 0.5), size: [4, 2] };
        let fields = grid.fields();
        assert_eq!(fields["proj:shape"], json!([2, 4]));
        assert_eq!(fields["proj:bbox"], json!([10.0, 19.0, 12.0, 20.0]));
        assert_eq!(fields["proj:epsg"], 28992);
    }
}
