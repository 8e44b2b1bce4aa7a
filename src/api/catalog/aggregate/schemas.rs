//! The shapes of requests and answers, for the OpenAPI document.
#![expect(clippy::doc_markdown, reason = "the OpenAPI document shows these words as they stand")]
#![expect(dead_code, reason = "the fields are read by the derive alone")]

use utoipa::{IntoParams, ToSchema};

use super::super::schemas::Link;

/// What is to be told, as a query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api::catalog) struct AggregateQuery {
    /// Names of aggregations. Each takes parameters that begin with its name; `aggregations` beside this lists them.
    #[param(style = Form, explode = false, example = json!(["total_count", "datetime_frequency"]))]
    aggregations: Option<Vec<String>>,
}

/// What is to be told of which items.
#[derive(ToSchema)]
pub(in crate::api::catalog) struct AggregateBody {
    /// Names of aggregations. Their parameters are members too, as `datetime_frequency_interval`.
    #[schema(example = json!(["total_count", "datetime_frequency"]))]
    aggregations: Option<Vec<String>>,
    /// Ids of collections; without it all are searched.
    collections: Option<Vec<String>>,
    /// Ids of items.
    ids: Option<Vec<String>>,
    /// west, south, east, north in degrees; west > east crosses the antimeridian.
    #[schema(value_type = Option<super::super::parameters::Bbox>)]
    bbox: Option<Vec<f64>>,
    /// A time, or two with a slash between; `..` is an open end.
    #[schema(value_type = Option<super::super::parameters::Datetime>)]
    datetime: Option<String>,
    /// A GeoJSON geometry; not together with `bbox`.
    #[schema(value_type = Option<super::super::schemas::Geometry>)]
    intersects: Option<String>,
    /// Words in title, description or keywords; any of the terms.
    #[schema(value_type = Option<super::super::parameters::Words>)]
    q: Option<Vec<String>>,
    /// Properties, as {"eo:cloud_cover": {"lt": 10}}.
    #[schema(value_type = Option<Object>)]
    query: Option<String>,
    /// A filter in CQL2 JSON, or in CQL2 text when `filter-lang` says so.
    #[schema(value_type = Option<super::super::parameters::FilterBody>)]
    filter: Option<String>,
    /// `cql2-json` (the default here) or `cql2-text`.
    #[schema(rename = "filter-lang", value_type = Option<super::super::parameters::FilterLang>)]
    filter_lang: Option<String>,
    /// http://www.opengis.net/def/crs/OGC/1.3/CRS84, the only one.
    #[schema(rename = "filter-crs", value_type = Option<super::super::parameters::FilterCrs>)]
    filter_crs: Option<String>,
}

/// What was told of all the items that match.
#[derive(ToSchema)]
pub(in crate::api::catalog) struct AggregationCollection {
    #[schema(pattern = "^AggregationCollection$")]
    r#type: String,
    aggregations: Vec<Aggregation>,
    links: Vec<Link>,
}

/// One aggregation: a value, or how items fall into buckets.
#[derive(ToSchema)]
struct Aggregation {
    name: String,
    #[schema(example = "frequency_distribution")]
    data_type: String,
    /// A number or a time; null when no item has one.
    #[schema(required = false, value_type = serde_json::Value)]
    value: Option<String>,
    #[schema(nullable = false)]
    buckets: Option<Vec<Bucket>>,
    /// How many items are in none of the buckets.
    #[schema(nullable = false)]
    overflow: Option<i64>,
}

#[derive(ToSchema)]
struct Bucket {
    key: String,
    #[schema(example = "string")]
    data_type: String,
    /// How many items are in it.
    frequency: i64,
    /// Lower end of numbers, which is in the bucket.
    #[schema(nullable = false)]
    from: Option<f64>,
    /// Upper end of numbers, which is in the next one.
    #[schema(nullable = false)]
    to: Option<f64>,
}

/// The aggregations that can be asked for.
#[derive(ToSchema)]
#[schema(as = Aggregations)]
pub(in crate::api::catalog) struct Offers {
    #[schema(pattern = "^AggregationCollection$")]
    r#type: String,
    aggregations: Vec<AggregationOffer>,
    links: Vec<Link>,
}

#[derive(ToSchema)]
struct AggregationOffer {
    name: String,
    data_type: String,
    /// Type of the keys of buckets.
    #[schema(nullable = false)]
    frequency_distribution_data_type: Option<String>,
    /// Names of parameters that it takes.
    #[schema(nullable = false)]
    parameters: Option<Vec<String>>,
}
