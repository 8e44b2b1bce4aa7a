//! The parameters of questions, for the OpenAPI document. They are read by [`Query`](super::super::query::Query) and
//! [`SearchBody`](super::search::SearchBody), which know what no schema can say: grammars, and what does not go together.
#![expect(clippy::doc_markdown, reason = "the OpenAPI document shows these words as they stand")]
#![expect(dead_code, reason = "the fields are read by the derive alone")]

use utoipa::{IntoParams, ToSchema};

/// A time (RFC 3339; without a zone it is UTC), or two of them with a slash between; `..` is an open end.
#[derive(ToSchema)]
#[schema(
    example = "2025-01-01T00:00:00Z/..",
    format = "datetime-interval",
    pattern = r"^([0-9Tt:.Zz+-]{19,35}(/(\.\.|[0-9Tt:.Zz+-]{19,35})?)?|(\.\.)?/[0-9Tt:.Zz+-]{19,35})$"
)]
pub(super) struct Datetime(String);

/// west, south, east, north in degrees, with the lowest and the greatest height after each pair or without. A west
/// beyond the east crosses the antimeridian.
#[derive(ToSchema)]
#[schema(min_items = 4, max_items = 6, example = json!([5.9, 51.9, 6.2, 52.0]))]
pub(super) struct Bbox(Vec<f64>);

/// A filter in CQL2: text, or JSON where `filter-lang` says so.
#[derive(ToSchema)]
#[schema(format = "cql2", min_length = 1, example = "gsd < 0.1 AND title LIKE 'dijk%'")]
pub(super) struct Filter(String);

/// One term or several; in one string they may have commas between.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Words {
    One(String),
    Several(Vec<String>),
}

/// A filter in the body of a search.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum FilterBody {
    /// CQL2 text.
    Text(Filter),
    /// All or nothing, in CQL2 JSON.
    Whole(bool),
    /// CQL2 JSON.
    Json(Cql2),
}

/// An operation of CQL2.
#[derive(ToSchema)]
#[schema(example = json!({"op": "<", "args": [{"property": "gsd"}, 0.1]}))]
pub(super) struct Cql2 {
    #[schema(min_length = 1)]
    op: String,
    #[schema(value_type = Vec<Object>)]
    args: Vec<serde_json::Value>,
}

/// Where a page starts: copy it from a `next` or `prev` link.
#[derive(ToSchema)]
#[schema(format = "page-token", pattern = "^[A-Za-z0-9_-]+$")]
pub(super) struct Token(String);

#[derive(ToSchema)]
pub(super) enum FilterLang {
    #[schema(rename = "cql2-text")]
    Text,
    #[schema(rename = "cql2-json")]
    Json,
}

#[derive(ToSchema)]
pub(super) enum FilterCrs {
    #[schema(rename = "http://www.opengis.net/def/crs/OGC/1.3/CRS84")]
    Crs84,
}

/// Which href assets have: `https`, served by polder, or `s3`, the object itself.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Hrefs {
    Https,
    S3,
}

/// In which form items come.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Form {
    GeoJson,
    Json,
    NdJson,
    Parquet,
}

/// Which items are meant, as a query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ItemFilter {
    /// Ids of collections. Where one collection is asked, its items count when it is among them.
    #[param(style = Form, explode = false)]
    collections: Option<Vec<String>>,
    /// Ids of items.
    #[param(style = Form, explode = false)]
    ids: Option<Vec<String>>,
    /// west, south, east, north in degrees.
    #[param(style = Form, explode = false)]
    bbox: Option<Bbox>,
    /// A time, or two with a slash between; `..` is an open end.
    datetime: Option<Datetime>,
    /// A GeoJSON geometry; not together with `bbox`.
    #[param(format = "geojson-geometry", min_length = 1, example = "{\"type\":\"Point\",\"coordinates\":[5.9,51.9]}")]
    intersects: Option<String>,
    /// Words in title, description or keywords; any of the terms between commas.
    #[param(style = Form, explode = false, example = json!(["dike"]))]
    q: Option<Vec<String>>,
    /// Properties, as {"eo:cloud_cover":{"lt":10}}.
    #[param(format = "stac-query", min_length = 1, example = "{\"gsd\":{\"lt\":0.1}}")]
    query: Option<String>,
    /// A filter in CQL2.
    filter: Option<Filter>,
    /// The language of `filter`; `cql2-text` without it.
    #[param(rename = "filter-lang")]
    filter_lang: Option<FilterLang>,
    /// The coordinate system of `filter`: there is one.
    #[param(rename = "filter-crs")]
    filter_crs: Option<FilterCrs>,
}

/// How items are given, as a query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ItemPage {
    /// Fields with commas between; a minus before one turns it round.
    #[param(format = "sortby", min_length = 1, example = "-datetime,+id")]
    sortby: Option<String>,
    /// Members to give; a minus before one leaves it out.
    #[param(format = "fields", example = "id,properties.datetime")]
    fields: Option<String>,
    /// Largest number of items, 10 by default; more than 10000 are given in pages of 10000.
    #[param(minimum = 1)]
    limit: Option<u64>,
    token: Option<Token>,
    hrefs: Option<Hrefs>,
    /// The form of the answer; without it `Accept` decides.
    f: Option<Form>,
}

/// A search among collections, as a query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CollectionQuery {
    /// Only these collections.
    #[param(style = Form, explode = false)]
    ids: Option<Vec<String>>,
    /// The same as `ids`.
    #[param(style = Form, explode = false)]
    collections: Option<Vec<String>>,
    #[param(style = Form, explode = false)]
    bbox: Option<Bbox>,
    datetime: Option<Datetime>,
    /// Words in title, description or keywords; any of the terms between commas.
    #[param(style = Form, explode = false, example = json!(["dike"]))]
    q: Option<Vec<String>>,
    /// Members, as {"title":{"startsWith":"Drone"}}.
    #[param(format = "stac-query", min_length = 1, example = "{\"title\":{\"startsWith\":\"Drone\"}}")]
    query: Option<String>,
    filter: Option<Filter>,
    /// The language of `filter`; `cql2-text` without it.
    #[param(rename = "filter-lang")]
    filter_lang: Option<FilterLang>,
    /// The coordinate system of `filter`: there is one.
    #[param(rename = "filter-crs")]
    filter_crs: Option<FilterCrs>,
    /// Members with commas between; a minus before one turns it round.
    #[param(format = "sortby", min_length = 1, example = "title,-id")]
    sortby: Option<String>,
    /// Members to give; a minus before one leaves it out.
    #[param(format = "fields", example = "id,title")]
    fields: Option<String>,
    /// Largest number of collections, 1000 by default and at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    token: Option<Token>,
}

/// The name of a collection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CollectionPath {
    /// Id of the collection.
    #[param(rename = "collectionId", min_length = 1, example = "drone-ortho")]
    collection: String,
}

/// The name of an item.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ItemPath {
    /// Id of the collection.
    #[param(rename = "collectionId", min_length = 1, example = "drone-ortho")]
    collection: String,
    /// Id of the item.
    #[param(rename = "featureId", min_length = 1)]
    item: String,
}
