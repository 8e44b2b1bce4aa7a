//! The shapes of what is sent and answered, for the OpenAPI document. Answers are never built from these: items are
//! copied as they are kept. What the shapes do not say (closed rings, a bbox for each geometry, an end that is not before
//! the start) a refusal does, place by place.
#![expect(
    clippy::struct_field_names,
    clippy::large_enum_variant,
    reason = "they are named as the JSON is, and none is ever made"
)]
#![expect(dead_code, reason = "the fields are read by the derive alone")]

use serde_json::Value;
use utoipa::ToSchema;

/// A link to something related.
#[derive(ToSchema)]
pub(super) struct Link {
    #[schema(min_length = 1, example = "about")]
    rel: String,
    #[schema(min_length = 1, example = "https://example.org/about")]
    href: String,
    #[schema(required = false, example = "text/html")]
    r#type: String,
    #[schema(required = false)]
    title: String,
    #[schema(required = false, example = "GET")]
    method: String,
}

/// A STAC catalog.
#[derive(ToSchema)]
pub(super) struct Catalog {
    #[schema(pattern = "^Catalog$")]
    r#type: String,
    stac_version: String,
    #[schema(min_length = 1)]
    id: String,
    #[schema(required = false)]
    title: String,
    #[schema(min_length = 1)]
    description: String,
    links: Vec<Link>,
}

/// The catalog that a client starts with: it also says what this API can do.
#[derive(ToSchema)]
pub(super) struct LandingPage {
    #[schema(pattern = "^Catalog$")]
    r#type: String,
    stac_version: String,
    #[schema(min_length = 1)]
    id: String,
    title: String,
    #[schema(min_length = 1)]
    description: String,
    #[schema(rename = "conformsTo")]
    conforms_to: Vec<String>,
    links: Vec<Link>,
}

/// The classes that the API conforms to.
#[derive(ToSchema)]
pub(super) struct Conformance {
    #[schema(rename = "conformsTo")]
    conforms_to: Vec<String>,
}

/// A STAC collection. Members that are not listed may be anything.
#[derive(ToSchema)]
pub(super) struct Collection {
    #[schema(pattern = "^Collection$", example = "Collection")]
    r#type: String,
    #[schema(pattern = r"^1\.[0-9]{1,3}\.[0-9]{1,3}$", example = "1.1.0")]
    stac_version: String,
    /// URLs of the schemas of extensions.
    #[schema(required = false, value_type = Vec<ExtensionUrl>)]
    stac_extensions: Vec<String>,
    #[schema(value_type = Name, example = "test-collection")]
    id: String,
    #[schema(required = false, example = "What is tested")]
    title: String,
    #[schema(min_length = 1, example = "What it holds")]
    description: String,
    #[schema(required = false)]
    keywords: Vec<String>,
    #[schema(min_length = 1, example = "CC-BY-4.0")]
    license: String,
    extent: Extent,
    links: Vec<Link>,
}

/// A name that is part of URLs.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
pub(super) struct Name(String);

#[derive(ToSchema)]
#[schema(pattern = "^https://", example = "https://stac-extensions.github.io/eo/v1.1.0/schema.json")]
pub(super) struct ExtensionUrl(String);

/// What a collection covers in space and time. Where it has items, the answer has what they cover.
#[derive(ToSchema)]
pub(super) struct Extent {
    spatial: SpatialExtent,
    temporal: TemporalExtent,
}

#[derive(ToSchema)]
pub(super) struct SpatialExtent {
    /// west, south, east, north in degrees.
    #[schema(min_items = 1, value_type = Vec<super::parameters::Bbox>, example = json!([[-180.0, -90.0, 180.0, 90.0]]))]
    bbox: Vec<Vec<f64>>,
}

#[derive(ToSchema)]
pub(super) struct TemporalExtent {
    /// Start and end; null is open.
    #[schema(min_items = 1, value_type = Vec<OpenInterval>, example = json!([["2025-01-01T00:00:00Z", null]]))]
    interval: Vec<Value>,
}

#[derive(ToSchema)]
#[schema(min_items = 2, max_items = 2)]
pub(super) struct OpenInterval(Vec<Option<chrono::DateTime<chrono::Utc>>>);

/// Collections with links to pages.
#[derive(ToSchema)]
pub(super) struct Collections {
    /// Collections; where `fields` asked for some members only, just these.
    #[schema(value_type = Vec<Object>)]
    collections: Vec<Value>,
    links: Vec<Link>,
    #[schema(rename = "numberMatched")]
    number_matched: u64,
    #[schema(rename = "numberReturned")]
    number_returned: u64,
}

/// All children of the landing page.
#[derive(ToSchema)]
pub(super) struct Children {
    children: Vec<Collection>,
    links: Vec<Link>,
}

/// A JSON schema, whose properties are what can be asked for.
#[derive(ToSchema)]
pub(super) struct PropertiesSchema {
    #[schema(rename = "$schema")]
    schema: String,
    #[schema(rename = "$id")]
    id: String,
    #[schema(pattern = "^object$")]
    r#type: String,
    title: String,
    #[schema(value_type = std::collections::BTreeMap<String, Object>)]
    properties: Value,
}

/// A STAC item as it is answered: a GeoJSON feature.
#[derive(ToSchema)]
pub(super) struct Item {
    #[schema(pattern = "^Feature$")]
    r#type: String,
    stac_version: String,
    id: String,
    #[schema(value_type = Option<Object>)]
    geometry: Value,
    #[schema(required = false, value_type = super::parameters::Bbox)]
    bbox: Vec<f64>,
    #[schema(value_type = Object)]
    properties: Value,
    links: Vec<Link>,
    #[schema(value_type = std::collections::BTreeMap<String, Asset>)]
    assets: Value,
    collection: String,
}

/// A STAC item as it is sent. Members that are not listed may be anything. `collection` may be left away: the URL says it.
#[derive(ToSchema)]
pub(super) struct NewItem {
    #[schema(pattern = "^Feature$", example = "Feature")]
    r#type: String,
    #[schema(pattern = r"^1\.[0-9]{1,3}\.[0-9]{1,3}$", example = "1.1.0")]
    stac_version: String,
    /// URLs of the schemas of extensions.
    #[schema(required = false, value_type = Vec<ExtensionUrl>, example = json!([]))]
    stac_extensions: Vec<String>,
    #[schema(value_type = Name, example = "test-item")]
    id: String,
    #[schema(value_type = Option<Geometry>, example = json!({"type": "Point", "coordinates": [5.9, 51.9]}))]
    geometry: Value,
    /// Needed where there is a geometry.
    #[schema(required = false, value_type = super::parameters::Bbox, example = json!([5.9, 51.9, 5.9, 51.9]))]
    bbox: Vec<f64>,
    #[schema(value_type = ItemProperties)]
    properties: Value,
    #[schema(example = json!([]))]
    links: Vec<Link>,
    #[schema(value_type = std::collections::BTreeMap<String, Asset>, example = json!({"photo": {"href": "https://example.org/photo.jpg"}}))]
    assets: Value,
}

/// A page of new items, added all or none; or one item.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum NewItems {
    One(NewItem),
    Several(NewItemCollection),
}

#[derive(ToSchema)]
pub(super) struct NewItemCollection {
    #[schema(pattern = "^FeatureCollection$", example = "FeatureCollection")]
    r#type: String,
    features: Vec<NewItem>,
}

/// Items by id.
#[derive(ToSchema)]
pub(super) struct BulkItems {
    #[schema(value_type = std::collections::BTreeMap<String, NewItem>, example = json!({}))]
    items: Value,
    /// Without it, or as `insert`, no item may be there already; with `upsert` it is replaced.
    #[schema(required = false, value_type = BulkMethod)]
    method: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum BulkMethod {
    Insert,
    Upsert,
}

/// What became of the items.
#[derive(ToSchema)]
pub(super) struct BulkDone {
    inserted: u64,
    updated: u64,
    unchanged: u64,
}

/// What is known of an item. Others are as their extensions say.
#[derive(ToSchema)]
pub(super) struct ItemProperties {
    /// When it was seen; null where there are `start_datetime` and `end_datetime`.
    #[schema(example = "2025-06-23T10:00:00Z")]
    datetime: Option<chrono::DateTime<chrono::Utc>>,
    #[schema(required = false, example = "A post of the dike")]
    title: String,
    #[schema(required = false, min_length = 1, example = "grass and clay")]
    description: String,
    /// Metres a pixel.
    #[schema(required = false, exclusive_minimum = 0, example = 0.05)]
    gsd: f64,
    #[schema(required = false, example = json!(["dike"]))]
    keywords: Vec<String>,
}

/// A file of an item.
#[derive(ToSchema)]
pub(super) struct Asset {
    #[schema(min_length = 1, example = "https://example.org/photo.jpg")]
    href: String,
    #[schema(required = false)]
    title: String,
    #[schema(required = false, example = "image/jpeg")]
    r#type: String,
    #[schema(required = false, example = json!(["data"]))]
    roles: Vec<String>,
}

/// A GeoJSON geometry.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Geometry {
    Point(Point),
    MultiPoint(MultiPoint),
    LineString(LineString),
    MultiLineString(MultiLineString),
    Polygon(Polygon),
    MultiPolygon(MultiPolygon),
}

/// longitude, latitude in degrees, and perhaps a height in metres.
#[derive(ToSchema)]
#[schema(min_items = 2, max_items = 3, example = json!([5.9, 51.9]))]
pub(super) struct Position(Vec<f64>);

#[derive(ToSchema)]
pub(super) struct Point {
    #[schema(pattern = "^Point$")]
    r#type: String,
    coordinates: Position,
}

#[derive(ToSchema)]
pub(super) struct MultiPoint {
    #[schema(pattern = "^MultiPoint$")]
    r#type: String,
    #[schema(min_items = 1)]
    coordinates: Vec<Position>,
}

#[derive(ToSchema)]
pub(super) struct LineString {
    #[schema(pattern = "^LineString$")]
    r#type: String,
    #[schema(min_items = 2)]
    coordinates: Vec<Position>,
}

#[derive(ToSchema)]
pub(super) struct MultiLineString {
    #[schema(pattern = "^MultiLineString$")]
    r#type: String,
    #[schema(value_type = Vec<Vec<Position>>)]
    coordinates: Value,
}

#[derive(ToSchema)]
pub(super) struct Polygon {
    #[schema(pattern = "^Polygon$")]
    r#type: String,
    /// Rings that end where they start.
    #[schema(value_type = Vec<Vec<Position>>, min_items = 1)]
    coordinates: Value,
}

#[derive(ToSchema)]
pub(super) struct MultiPolygon {
    #[schema(pattern = "^MultiPolygon$")]
    r#type: String,
    #[schema(value_type = Vec<Vec<Vec<Position>>>)]
    coordinates: Value,
}

/// One operation of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum PatchOperation {
    WithValue(PatchWithValue),
    Remove(PatchRemove),
    From(PatchFrom),
}

#[derive(ToSchema)]
pub(super) struct PatchWithValue {
    #[schema(pattern = "^(add|replace|test)$", example = "add")]
    op: String,
    #[schema(pattern = "^(/.*)?$", example = "/properties/title")]
    path: String,
    #[schema(example = json!("Another title"))]
    value: Value,
}

#[derive(ToSchema)]
pub(super) struct PatchRemove {
    #[schema(pattern = "^remove$", example = "remove")]
    op: String,
    #[schema(pattern = "^(/.*)?$", example = "/properties/title")]
    path: String,
}

#[derive(ToSchema)]
pub(super) struct PatchFrom {
    #[schema(pattern = "^(move|copy)$", example = "copy")]
    op: String,
    #[schema(pattern = "^(/.*)?$", example = "/properties/title")]
    from: String,
    #[schema(pattern = "^(/.*)?$", example = "/properties/description")]
    path: String,
}

/// A page of items, with links to those around it.
#[derive(ToSchema)]
pub(super) struct ItemCollection {
    #[schema(pattern = "^FeatureCollection$")]
    r#type: String,
    /// Items; where `fields` asked for some members only, just these.
    #[schema(value_type = Vec<Object>)]
    features: Vec<Value>,
    links: Vec<Link>,
    #[schema(rename = "numberReturned")]
    number_returned: u64,
    #[schema(rename = "numberMatched", required = false)]
    number_matched: u64,
}

/// What a feature collection that was sent became.
#[derive(ToSchema)]
pub(super) struct Created {
    #[schema(pattern = "^FeatureCollection$")]
    r#type: String,
    #[schema(rename = "numberCreated")]
    number_created: u64,
    links: Vec<Link>,
}
