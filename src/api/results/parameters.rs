//! The parameters and bodies of `/api`, and how they are read.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{problem::Problem, query::Query},
    catalog::parse_time,
    database::DetectionFilter,
    spatial::Bbox,
};

/// Detections of a page when nobody says how many, and at most.
const PAGE: i64 = 100;
const LARGEST_PAGE: i64 = 10_000;

/// Which detections.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
pub(super) struct Which {
    /// West, south, east, north in degrees, with commas between.
    #[param(required = false, example = "5.9,51.9,6.2,52.0", pattern = r"^-?[0-9.]+(,-?[0-9.]+){3}$")]
    bbox: String,
    /// Id of a detection run (an item of ai-results).
    #[param(required = false)]
    run: String,
    #[param(required = false)]
    project: String,
    #[param(required = false)]
    flight: String,
    /// Id of an item of drone-ortho.
    #[param(required = false)]
    orthophoto: String,
    /// Name of a model.
    #[param(required = false)]
    model: String,
    /// As it is now: corrected ones by what they were corrected to.
    #[param(required = false)]
    class: String,
    /// The least confidence.
    #[param(required = false, minimum = 0.0, maximum = 1.0)]
    confidence: f64,
    /// What people said.
    #[param(required = false, inline)]
    review: ReviewState,
    /// Of photos taken at this time (RFC 3339) or later.
    #[param(required = false, format = "date-time")]
    since: String,
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
pub(super) struct WhichPage {
    /// Detections of a page.
    #[param(required = false, minimum = 1, maximum = 10_000, default = 100)]
    limit: i64,
    /// Where a page starts: copy it from a next link.
    #[param(required = false, pattern = "^.+/[0-9]{1,9}$")]
    token: String,
}

/// One detection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
pub(super) struct OnePath {
    /// Id of the detection run.
    run: String,
    /// Its number in the run.
    #[param(minimum = 0)]
    number: i32,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "read by the derive alone")]
pub(super) enum ReviewState {
    Open,
    Accepted,
    Rejected,
}

/// What somebody says about a detection.
#[derive(ToSchema)]
#[schema(example = json!({"action": "correct", "class": "Muskusrat klem", "comment": "it is a cage"}))]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
pub(super) struct NewReview {
    /// accept, reject, correct (with a class, a geometry or both), comment (with a comment) or reopen
    action: String,
    /// What it is instead.
    #[schema(nullable = false)]
    class: Option<String>,
    /// What it covers instead: a GeoJSON polygon without holes.
    #[schema(value_type = Option<Object>, nullable = false)]
    geometry: Option<Value>,
    #[schema(nullable = false)]
    comment: Option<String>,
}

/// Something that is there and that the run did not find.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the fields are read by the derive alone")]
pub(super) struct NewMissed {
    class: String,
    /// A GeoJSON polygon without holes.
    #[schema(value_type = Object)]
    geometry: Value,
    #[schema(nullable = false)]
    comment: Option<String>,
}

/// The names of [`Which`].
pub(super) const WHICH: [&str; 10] =
    ["bbox", "run", "project", "flight", "orthophoto", "model", "class", "confidence", "review", "since"];

/// Reads [`Which`].
pub(super) fn which(query: &Query) -> Result<DetectionFilter, Problem> {
    let text = |name: &str| query.one(name).map(|value| value.map(str::to_owned));
    let review = text("review")?;
    if let Some(review) = review.as_deref().filter(|review| !["open", "accepted", "rejected"].contains(review)) {
        return Err(Problem::parameter("review", review, "say open, accepted or rejected"));
    }
    let confidence = query.one("confidence")?.map(|value| {
        let number = value.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        number.ok_or_else(|| Problem::parameter("confidence", value, "it is a number from 0 to 1"))
    });
    let since = query.one("since")?.map(|value| {
        parse_time(value)
            .map_err(|_| Problem::parameter("since", value, "it is a time as RFC 3339 writes it, 2025-06-23T10:00:00Z"))
    });
    Ok(DetectionFilter {
        bbox: query.one("bbox")?.map(bbox).transpose()?,
        run: text("run")?,
        project: text("project")?,
        flight: text("flight")?,
        orthophoto: text("orthophoto")?,
        model: text("model")?,
        class: text("class")?,
        confidence: confidence.transpose()?,
        review,
        since: since.transpose()?,
        ..DetectionFilter::default()
    })
}

/// Reads [`WhichPage`] too.
pub(super) fn which_page(query: &Query) -> Result<DetectionFilter, Problem> {
    let limit = query.one("limit")?.map(|value| {
        let number = value.parse().ok().filter(|number| (1..=LARGEST_PAGE).contains(number));
        number.ok_or_else(|| Problem::parameter("limit", value, "it is a number from 1 to 10000"))
    });
    let after = query.one("token")?.map(|token| {
        let parts = token.rsplit_once('/').and_then(|(run, number)| Some((run.to_owned(), number.parse().ok()?)));
        parts.ok_or_else(|| Problem::parameter("token", token, "use the token of a `next` link"))
    });
    Ok(DetectionFilter { limit: limit.transpose()?.unwrap_or(PAGE), after: after.transpose()?, ..which(query)? })
}

fn bbox(text: &str) -> Result<Bbox, Problem> {
    let refuse = || {
        let rule =
            "it is west, south, east, north in degrees with commas between, west before east and south before north";
        Problem::parameter("bbox", text, rule)
    };
    let numbers: Vec<f64> = text.split(',').map(|part| part.trim().parse().unwrap_or(f64::NAN)).collect();
    let [west, south, east, north] = numbers[..] else { return Err(refuse()) };
    let fits = west <= east && south <= north && west >= -180.0 && east <= 180.0 && south >= -90.0 && north <= 90.0;
    if fits { Ok(Bbox { west, south, east, north }) } else { Err(refuse()) }
}
