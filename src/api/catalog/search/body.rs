//! What is searched for: the body of a POST, and what the parameters of a GET become.
#![expect(clippy::doc_markdown, reason = "the OpenAPI document shows these words as they stand")]

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    super::page::{Format, Shape},
    conditions::query_filter,
    fields::Fields,
    sort::SortBy,
};
use crate::{
    api::{Hrefs, access::Reader, problem::Problem, query::Query},
    catalog::{Interval, check_geojson, refuse_nul},
    database::{Cursor, Filter, Search},
    spatial::Bbox,
};

pub(in crate::api::catalog) const PARAMETERS: [&str; 16] = [
    "collections",
    "ids",
    "bbox",
    "datetime",
    "intersects",
    "q",
    "query",
    "filter",
    "filter-lang",
    "filter-crs",
    "sortby",
    "fields",
    "limit",
    "token",
    "hrefs",
    "f",
];

/// Items of a page when nothing is asked for; pystac-client and QGIS ask for more themselves.
const USUAL_LIMIT: usize = 10;
/// More come in several pages.
const LARGEST_LIMIT: usize = 10_000;

/// The one coordinate system of filters: longitude and latitude in degrees.
const CRS84: &str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84";

/// What is searched for.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api::catalog) struct SearchBody {
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
    intersects: Option<Value>,
    /// Words in title, description or keywords; any of the terms.
    #[schema(value_type = Option<super::super::parameters::Words>)]
    q: Option<Words>,
    /// Properties, as {"eo:cloud_cover": {"lt": 10}}.
    #[schema(value_type = Option<Object>)]
    query: Option<Map<String, Value>>,
    /// A filter in CQL2 JSON, or in CQL2 text when `filter-lang` says so.
    #[schema(value_type = Option<super::super::parameters::FilterBody>)]
    filter: Option<Value>,
    /// `cql2-json` (the default here) or `cql2-text`.
    #[serde(rename = "filter-lang")]
    #[schema(value_type = Option<super::super::parameters::FilterLang>)]
    filter_lang: Option<String>,
    /// http://www.opengis.net/def/crs/OGC/1.3/CRS84, the only one.
    #[serde(rename = "filter-crs")]
    #[schema(value_type = Option<super::super::parameters::FilterCrs>)]
    filter_crs: Option<String>,
    /// In what order.
    #[serde(default, deserialize_with = "objects")]
    sortby: Option<Vec<SortBy>>,
    /// Members to give and to leave out.
    #[serde(default, deserialize_with = "object")]
    fields: Option<Fields>,
    /// Largest number of items, 10 by default; more than 10000 are given in pages of 10000.
    #[schema(minimum = 1)]
    limit: Option<i64>,
    /// Where the page starts: from a `next` or `prev` link.
    #[schema(value_type = Option<super::super::parameters::Token>)]
    token: Option<String>,
    /// `https` or `s3`: which href assets have.
    #[schema(value_type = Option<super::super::parameters::Hrefs>)]
    hrefs: Option<String>,
    /// `geojson`, `ndjson` or `parquet`; without it `Accept` decides.
    #[schema(value_type = Option<super::super::parameters::Form>)]
    f: Option<String>,
}

/// One term or several: clients write both.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

/// Reads an object. Derived code would take the values of its members as a list too.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let members: Option<Map<String, Value>> = Option::deserialize(from)?;
    members.map(|members| serde_json::from_value(Value::Object(members)).map_err(D::Error::custom)).transpose()
}

/// Reads a list of objects.
fn objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    let all: Option<Vec<Map<String, Value>>> = Option::deserialize(from)?;
    let one = |members| serde_json::from_value(Value::Object(members)).map_err(D::Error::custom);
    all.map(|all| all.into_iter().map(one).collect()).transpose()
}

impl SearchBody {
    /// Reads the body of a POST.
    pub fn from_json(body: Value) -> Result<Self, Problem> {
        serde_json::from_value(body).map_err(|error| Problem::bad_request(format!("the body: {error}")))
    }

    /// Reads the parameters of a GET.
    pub fn from_query(query: &Query) -> Result<Self, Problem> {
        let text = |name: &str| Ok::<_, Problem>(query.one(name)?.map(str::to_owned));
        let bbox = |text: &str| -> Result<Vec<f64>, Problem> {
            let number = |part: &str| {
                part.trim()
                    .parse()
                    .map_err(|_| Problem::parameter("bbox", text, "write 4 or 6 numbers with commas between"))
            };
            text.split(',').map(number).collect()
        };
        let limit = |text: &str| text.parse().map_err(|_| Problem::parameter("limit", text, "write a whole number"));
        let geometry = |text: &str| {
            serde_json::from_str(text).map_err(|_| Problem::parameter("intersects", text, "write a GeoJSON geometry"))
        };
        let conditions = |text: &str| {
            let rule = "write a JSON object, as {\"eo:cloud_cover\":{\"lt\":10}}";
            serde_json::from_str(text).map_err(|_| Problem::parameter("query", text, rule))
        };
        let filter_lang = text("filter-lang")?.unwrap_or_else(|| "cql2-text".to_owned());
        let filter = |text: &str| match filter_lang.as_str() {
            "cql2-json" => {
                serde_json::from_str(text).map_err(|error| Problem::parameter("filter", text, &error.to_string()))
            }
            _ => Ok(Value::from(text)),
        };
        Ok(Self {
            collections: query.list("collections"),
            ids: query.list("ids"),
            bbox: query.one("bbox")?.map(bbox).transpose()?,
            datetime: text("datetime")?,
            intersects: query.one("intersects")?.map(geometry).transpose()?,
            q: query.list("q").map(Words::Several),
            query: query.one("query")?.map(conditions).transpose()?,
            filter: query.one("filter")?.map(filter).transpose()?,
            filter_lang: Some(filter_lang),
            filter_crs: text("filter-crs")?,
            sortby: query.one("sortby")?.map(SortBy::parse_list).transpose()?,
            fields: query.one("fields")?.map(Fields::parse).transpose()?,
            limit: query.one("limit")?.map(limit).transpose()?,
            token: text("token")?,
            hrefs: text("hrefs")?,
            f: text("f")?,
        })
    }

    /// Checks what is asked and turns it into a question for the database.
    pub fn search(&self, format: Format) -> Result<Search, Problem> {
        if self.bbox.is_some() && self.intersects.is_some() {
            return Err(Problem::bad_request("give bbox or intersects, not both"));
        }
        Ok(Search {
            collections: self.collections.clone().filter(|ids| !ids.is_empty()),
            ids: self.ids.clone(),
            bbox: self.bbox()?,
            datetime: self.datetime()?,
            starts: None,
            intersects: self.intersects.as_ref().map(read_geometry).transpose()?,
            words: self.words(),
            filter: self.filters()?.into_iter().reduce(Filter::and),
            sort: SortBy::keys(self.sortby.as_deref().unwrap_or_default())?,
            limit: self.limit(format)?,
            cursor: self.token.as_deref().map(Cursor::parse).transpose()?,
        })
    }

    /// Returns the filters that must all hold: `filter` and `query`.
    pub fn filters(&self) -> Result<Vec<Filter>, Problem> {
        let query = self.query.as_ref().map(query_filter).transpose()?.flatten();
        Ok(self.filter()?.into_iter().chain(query).collect())
    }

    /// Returns the names of collections, whether asked for as `ids` or as `collections`.
    pub fn names(&self) -> Option<Vec<String>> {
        match (&self.ids, &self.collections) {
            (Some(ids), Some(names)) => Some(ids.iter().filter(|id| names.contains(id)).cloned().collect()),
            (ids, names) => ids.clone().or_else(|| names.clone()),
        }
    }

    pub fn sort(&self) -> &[SortBy] {
        self.sortby.as_deref().unwrap_or_default()
    }

    pub fn fields(&self) -> Option<&Fields> {
        self.fields.as_ref()
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns the limit that was asked for, at most `most` and by default just that.
    pub fn most(&self, most: usize) -> Result<usize, Problem> {
        Ok(if self.limit.is_some() { self.limit(Format::GeoJson)?.min(most) } else { most })
    }

    /// Says how items are to be written.
    pub fn shape(&self, base: &str, default: Hrefs, reader: Reader) -> Result<Shape, Problem> {
        let read = |text: &String| text.parse().map_err(|_| Problem::parameter("hrefs", text, "say https or s3"));
        let hrefs = self.hrefs.as_ref().map_or(Ok(default), read)?;
        Ok(Shape { base: base.to_owned(), hrefs, fields: self.fields.clone(), reader })
    }

    /// Chooses the form of the answer: the parameter wins over the header.
    pub fn format(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        match self.f.as_deref() {
            Some("geojson" | "json") => Ok(Format::GeoJson),
            Some("ndjson") => Ok(Format::NdJson),
            Some("parquet") => Ok(Format::Parquet),
            Some(other) => Err(Problem::parameter("f", other, "say geojson, ndjson or parquet")),
            None => Ok(accepted(headers)),
        }
    }

    pub fn bbox(&self) -> Result<Option<Bbox>, Problem> {
        self.bbox.as_deref().map(read_bbox).transpose()
    }

    pub fn datetime(&self) -> Result<Option<Interval>, Problem> {
        Ok(self.datetime.as_deref().map(Interval::parse).transpose()?)
    }

    /// Returns the terms of `q`; several may stand in one string with commas between.
    pub fn words(&self) -> Option<Vec<String>> {
        let terms: Vec<&String> = match self.q.as_ref()? {
            Words::One(text) => vec![text],
            Words::Several(texts) => texts.iter().collect(),
        };
        let split = terms.into_iter().flat_map(|text| text.split(',')).map(|term| term.trim().to_owned());
        Some(split.filter(|term| !term.is_empty()).collect())
    }

    pub fn filter(&self) -> Result<Option<Filter>, Problem> {
        if let Some(crs) = self.filter_crs.as_deref().filter(|crs| *crs != CRS84) {
            return Err(Problem::parameter("filter-crs", crs, &format!("it is {CRS84}")));
        }
        let language = self.filter_lang.as_deref();
        if let Some(wrong) = language.filter(|language| !matches!(*language, "cql2-text" | "cql2-json")) {
            return Err(Problem::parameter("filter-lang", wrong, "say cql2-text or cql2-json"));
        }
        let parsed = match (&self.filter, language) {
            (None, _) => return Ok(None),
            (Some(Value::String(text)), Some("cql2-text") | None) => Filter::parse_text(text),
            (Some(value), Some("cql2-json") | None) => Filter::parse_json(value),
            (Some(value), _) => return Err(Problem::parameter("filter", &value.to_string(), "cql2-text is a string")),
        };
        let shown = |filter: &Value| filter.as_str().map_or_else(|| filter.to_string(), str::to_owned);
        parsed.map(Some).map_err(|error| {
            let asked = self.filter.as_ref().map(shown).unwrap_or_default();
            Problem::parameter("filter", &asked, &error.to_string())
        })
    }

    /// Lines and tables are for whole answers, so they have an end only when one is asked for.
    fn limit(&self, format: Format) -> Result<usize, Problem> {
        match (self.limit, format) {
            (None, Format::GeoJson) => Ok(USUAL_LIMIT),
            (None, _) => Ok(usize::MAX),
            (Some(limit @ 1..), Format::GeoJson) => {
                Ok(usize::try_from(limit).unwrap_or(LARGEST_LIMIT).min(LARGEST_LIMIT))
            }
            (Some(limit @ 1..), _) => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            (Some(limit), _) => Err(Problem::parameter("limit", &limit.to_string(), "ask for 1 or more")),
        }
    }
}

/// Reads the JSON object that a request brings.
pub(in crate::api::catalog) fn read_json(headers: &HeaderMap, body: &Bytes) -> Result<Value, Problem> {
    // pystac-client says application/json; curl's default for a body would be a form.
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        return Err(Problem::not_json());
    }
    let text = std::str::from_utf8(body).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    refuse_nul(&value, text)?;
    if value.is_object() { Ok(value) } else { Err(Problem::bad_request("the body must be a JSON object")) }
}

/// The first form in `Accept` that is ours; GeoJSON for all who do not care.
fn accepted(headers: &HeaderMap) -> Format {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds =
        values.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = |kind: &str| match kind {
        "application/geo+json" | "application/json" | "*/*" | "application/*" => Some(Format::GeoJson),
        "application/x-ndjson" | "application/ndjson" | "application/geo+json-seq" => Some(Format::NdJson),
        "application/vnd.apache.parquet" => Some(Format::Parquet),
        _ => None,
    };
    kinds.find_map(known).unwrap_or_default()
}

/// Reads a box of 4 numbers, or of 6 of which the heights do not matter: items lie on the ground.
///
/// QGIS asks beyond the edge of the world when it is zoomed out; the box is then cut there.
pub(in crate::api::catalog) fn read_bbox(numbers: &[f64]) -> Result<Bbox, Problem> {
    let wrong = |rule: &str| Err(Problem::parameter("bbox", &json!(numbers).to_string(), rule));
    let ([west, south, east, north] | [west, south, _, east, north, _]) = *numbers else {
        return wrong("write 4 or 6 numbers: west, south, east, north");
    };
    if !numbers.iter().all(|number| number.is_finite()) {
        return wrong("write finite numbers");
    }
    if south > north {
        return wrong("south must not be greater than north");
    }
    if matches!(numbers, [_, _, low, _, _, high] if low > high) {
        return wrong("the lowest height must not be greater than the highest");
    }
    if south > 90.0 || north < -90.0 || west > 180.0 || east < -180.0 {
        return wrong("write degrees: longitude from -180 to 180, latitude from -90 to 90");
    }
    Ok(Bbox { west: west.max(-180.0), south: south.max(-90.0), east: east.min(180.0), north: north.min(90.0) })
}

fn read_geometry(geometry: &Value) -> Result<String, Problem> {
    match check_geojson(geometry) {
        Ok(()) => Ok(geometry.to_string()),
        Err(problem) => Err(Problem::parameter("intersects", &geometry.to_string(), &problem)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{catalog::page::Format, problem::Problem, query::Query},
        database::Search,
    };

    fn search(query: &str) -> Result<Search, Problem> {
        SearchBody::from_query(&Query::parse(Some(query), &PARAMETERS)?)?.search(Format::GeoJson)
    }

    #[test]
    fn boxes_may_have_heights_and_reach_over_the_edge_of_the_world() {
        let bbox = |query| json!(search(query).unwrap().bbox.unwrap().to_array());
        assert_eq!(bbox("bbox=5,51,6,52"), json!([5.0, 51.0, 6.0, 52.0]));
        assert_eq!(bbox("bbox=5,51,-10,6,52,100"), json!([5.0, 51.0, 6.0, 52.0]));
        assert_eq!(bbox("bbox=-200,-95,200,95"), json!([-180.0, -90.0, 180.0, 90.0]));
        assert_eq!(bbox("bbox=170,0,-170,1"), json!([170.0, 0.0, -170.0, 1.0]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "bbox=1,2,3",
            "bbox=1,2,3,4,5",
            "bbox=a,b,c,d",
            "bbox=NaN,1,2,3",
            "bbox=1,5,2,4",
            "bbox=inf,1,2,3",
            "bbox=",
            "limit=0",
            "limit=-1",
            "limit=1.5",
            "limit=x",
            "datetime=../..",
            "datetime=monday",
            "token=x",
            "intersects=1",
            "intersects={\"type\":\"Point\"}",
            "intersects=x",
            "bbox=1,2,3,4&intersects={\"type\":\"Point\",\"coordinates\":[1,2]}",
            "filter=a%3D",
            "filter-lang=sql",
            "filter-crs=EPSG:28992",
            "sortby=geometry",
            "query=1",
        ] {
            assert!(search(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_members_is_an_object() {
        for wrong in
            [json!({ "fields": [["id"], null] }), json!({ "sortby": [["gsd", "desc"]] }), json!({ "fields": 1 })]
        {
            assert!(SearchBody::from_json(wrong.clone()).is_err(), "{wrong}");
        }
        let fine = json!({ "fields": { "include": ["id"] }, "sortby": [{ "field": "gsd" }] });
        assert!(SearchBody::from_json(fine).is_ok() && SearchBody::from_json(json!({ "fields": null })).is_ok());
    }

    #[test]
    fn a_large_limit_is_cut() {
        assert_eq!(search("limit=99999999999").unwrap().limit, LARGEST_LIMIT);
        assert_eq!(search("").unwrap().limit, USUAL_LIMIT);
    }
}
