//! Item search, by GET and by POST.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, Uri, header},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    super::{
        AppState, Hrefs, LARGEST_BODY,
        base::Base,
        problem::{Problem, ProblemBody},
        query::Query,
    },
    GEOJSON, JSON, link,
    page::feature_collection,
    text_of,
};
use crate::{
    catalog::{Interval, check_geojson, refuse_nul},
    database::{PageKey, Search},
    spatial::Bbox,
};

const PARAMETERS: [&str; 8] = ["collections", "ids", "bbox", "datetime", "intersects", "limit", "token", "hrefs"];

/// Items of a page when nothing is asked for; pystac-client and QGIS ask for more themselves.
const USUAL_LIMIT: usize = 10;
/// More are cut to this: a page is held in memory.
const LARGEST_LIMIT: usize = 10_000;

/// What is searched for: the body of a POST, and what the parameters of a GET become.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchBody {
    /// Ids of collections; without it all are searched.
    collections: Option<Vec<String>>,
    /// Ids of items.
    ids: Option<Vec<String>>,
    /// west, south, east, north in degrees; west > east crosses the antimeridian.
    #[schema(min_items = 4, max_items = 6)]
    bbox: Option<Vec<f64>>,
    /// A time, or two with a slash between; `..` is an open end.
    #[schema(example = "2025-01-01T00:00:00Z/..")]
    datetime: Option<String>,
    /// A GeoJSON geometry.
    #[schema(value_type = Option<Object>)]
    intersects: Option<Value>,
    /// Largest number of items, 10 by default.
    #[schema(minimum = 1, maximum = 10000)]
    limit: Option<i64>,
    /// Where the page starts: from a `next` link.
    token: Option<String>,
    /// `https` or `s3`: which href assets have.
    hrefs: Option<String>,
}

/// Search by GET.
#[utoipa::path(get, path = "/search", operation_id = "getItemSearch", tag = "Item Search",
    params(
        ("collections" = Option<Vec<String>>, Query, style = Form, explode = false, description = "Ids of collections"),
        ("ids" = Option<Vec<String>>, Query, style = Form, explode = false, description = "Ids of items"),
        ("bbox" = Option<Vec<f64>>, Query, style = Form, explode = false, min_items = 4, max_items = 6,
            description = "west,south,east,north in degrees"),
        ("datetime" = Option<String>, Query, description = "A time, or two with a slash between; `..` is an open end"),
        ("intersects" = Option<String>, Query, description = "A GeoJSON geometry"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10000, description = "Largest number of items, 10 by default"),
        ("token" = Option<String>, Query, description = "Where the page starts: from a `next` link"),
        ("hrefs" = Option<String>, Query, description = "`https` or `s3`: which href assets have"),
    ),
    responses(
        (status = 200, description = "A page of items", body = Object, content_type = "application/geo+json"),
        (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn search(State(state): State<AppState>, Base(base): Base, uri: Uri) -> Result<Response, Problem> {
    let query = Query::parse(uri.query(), &PARAMETERS)?;
    let hrefs = query.hrefs(state.settings.hrefs)?;
    let search = SearchBody::from_query(&query)?.search()?;
    let page = state.database.search_items(&search).await?;
    let asked = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut links = links(&base, &asked);
    if let Some(next) = &page.next {
        // QGIS follows the href alone, so everything is in it.
        let href = format!("{base}/stac/search?{}", query.with("token", &next.token()));
        let mut next = link("next", href, GEOJSON);
        next["method"] = "GET".into();
        links.push(next);
    }
    Ok(text_of(feature_collection(&page, &links, &base, hrefs), GEOJSON))
}

/// Search by POST.
#[utoipa::path(post, path = "/search", operation_id = "postItemSearch", tag = "Item Search",
    request_body(content = SearchBody, content_type = "application/json"),
    responses(
        (status = 200, description = "A page of items", body = Object, content_type = "application/geo+json"),
        (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(super) async fn post_search(
    State(state): State<AppState>,
    Base(base): Base,
    headers: HeaderMap,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    Query::parse(uri.query(), &[])?;
    let mut asked = read_json(&headers, &body.map_err(|_| Problem::too_large(LARGEST_BODY))?)?;
    let body: SearchBody =
        serde_json::from_value(asked.clone()).map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
    let hrefs = body.hrefs(state.settings.hrefs)?;
    let page = state.database.search_items(&body.search()?).await?;
    let mut links = links(&base, "");
    if let Some(next) = &page.next {
        asked["token"] = next.token().into();
        links.push(json!({
            "rel": "next", "type": GEOJSON, "href": format!("{base}/stac/search"),
            "method": "POST", "body": asked, "merge": false,
        }));
    }
    Ok(text_of(feature_collection(&page, &links, &base, hrefs), GEOJSON))
}

fn links(base: &str, asked: &str) -> Vec<Value> {
    vec![link("self", format!("{base}/stac/search{asked}"), GEOJSON), link("root", format!("{base}/stac"), JSON)]
}

fn read_json(headers: &HeaderMap, body: &Bytes) -> Result<Value, Problem> {
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

impl SearchBody {
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
        Ok(Self {
            collections: query.list("collections"),
            ids: query.list("ids"),
            bbox: query.one("bbox")?.map(bbox).transpose()?,
            datetime: text("datetime")?,
            intersects: query.one("intersects")?.map(geometry).transpose()?,
            limit: query.one("limit")?.map(limit).transpose()?,
            token: text("token")?,
            hrefs: None,
        })
    }

    /// Checks what is asked and turns it into a question for the database.
    pub fn search(&self) -> Result<Search, Problem> {
        if self.bbox.is_some() && self.intersects.is_some() {
            return Err(Problem::bad_request("give bbox or intersects, not both"));
        }
        Ok(Search {
            collections: self.collections.clone().filter(|ids| !ids.is_empty()),
            ids: self.ids.clone(),
            bbox: self.bbox.as_deref().map(read_bbox).transpose()?,
            datetime: self.datetime.as_deref().map(Interval::parse).transpose()?,
            intersects: self.intersects.as_ref().map(read_geometry).transpose()?,
            limit: self.limit()?,
            after: self.token.as_deref().map(PageKey::parse).transpose()?,
        })
    }

    fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(USUAL_LIMIT),
            Some(limit @ 1..) => Ok(usize::try_from(limit).unwrap_or(LARGEST_LIMIT).min(LARGEST_LIMIT)),
            Some(limit) => Err(Problem::parameter("limit", &limit.to_string(), "ask for 1 or more")),
        }
    }

    fn hrefs(&self, default: Hrefs) -> Result<Hrefs, Problem> {
        let read = |text: &String| text.parse().map_err(|_| Problem::parameter("hrefs", text, "say https or s3"));
        self.hrefs.as_ref().map_or(Ok(default), read)
    }
}

/// Reads a box of 4 numbers, or of 6 of which the heights do not matter: items lie on the ground.
///
/// QGIS asks beyond the edge of the world when it is zoomed out; the box is then cut there.
fn read_bbox(numbers: &[f64]) -> Result<Bbox, Problem> {
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
    use super::*;

    fn search(query: &str) -> Result<Search, Problem> {
        SearchBody::from_query(&Query::parse(Some(query), &PARAMETERS)?)?.search()
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
            "filter=a%3D1",
        ] {
            assert!(search(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_large_limit_is_cut() {
        assert_eq!(search("limit=99999999999").unwrap().limit, LARGEST_LIMIT);
        assert_eq!(search("").unwrap().limit, USUAL_LIMIT);
    }
}
