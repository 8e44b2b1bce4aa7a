//! Reviews of detections, for whoever gives them: by the API, by the command line, from a file that came back.

use geo::{LineString, Polygon, Validation as _};
use serde_json::Value;

use super::EditError;
use crate::{
    catalog::{Error as CatalogError, ReviewAction},
    database::{Database, DetectionRow, Error as DatabaseError, Review},
};

/// Longest comment and longest name of a class, in bytes.
const LONGEST_TEXT: usize = 10_000;

/// Most corners of a corrected shape.
const MOST_CORNERS: usize = 10_000;

/// What somebody wants to say, as it came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub action: Option<ReviewAction>,
    pub class: Option<String>,
    /// A `GeoJSON` polygon without holes.
    pub geometry: Option<Value>,
    pub comment: Option<String>,
}

/// Somebody who reviews.
#[derive(Clone, Debug)]
pub struct Reviewer {
    pub database: Database,
    /// Who it is, for the history.
    pub actor: String,
}

/// What became of one feature of a file of reviews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOver {
    /// It says what is there already.
    Unchanged,
    Reviewed,
    /// Why it was left out.
    Rejected(String),
}

impl Reviewer {
    /// Says something about a detection; returns its new version, or nothing when there is no such detection.
    ///
    /// # Errors
    /// [`EditError::Catalog`] when it makes no sense, [`EditError::Database`] when somebody was faster than `expected`.
    pub async fn review(
        &self,
        run: &str,
        number: i32,
        verdict: &Verdict,
        expected: Option<i32>,
    ) -> Result<Option<i32>, EditError> {
        let review = self.checked(verdict)?;
        Ok(self.database.review(run, number, &review, expected).await?)
    }

    /// Notes something that a run did not find; `false` when there is no such run.
    ///
    /// # Errors
    /// As [`Reviewer::review`].
    pub async fn note_missed(
        &self,
        run: &str,
        class: &str,
        geometry: &Value,
        comment: Option<&str>,
    ) -> Result<bool, EditError> {
        let class = text("class", Some(class))?.ok_or_else(|| wrong("class", "it must not be empty"))?;
        let comment = text("comment", comment)?;
        Ok(self.database.add_missed(run, &class, &ring_of(geometry)?, &self.actor, comment.as_deref()).await?)
    }

    /// Takes over what a feature of a file says, as `polder review list` or an export wrote it and somebody changed it.
    ///
    /// Its `run` and `number` name the detection; `review`, `class`, `comment` and the geometry are what it is to be. With
    /// a `version`, a detection that somebody else has reviewed since is left out.
    ///
    /// # Errors
    /// [`EditError::Database`] when the database fails.
    pub async fn import(&self, feature: &Value) -> Result<TakenOver, EditError> {
        let properties = &feature["properties"];
        let (Some(run), Some(number)) = (properties["run"].as_str(), properties["number"].as_i64()) else {
            return Ok(TakenOver::Rejected("its properties name no run and number".to_owned()));
        };
        let number = i32::try_from(number).unwrap_or(-1);
        let Some(row) = self.database.find_detection(run, number).await? else {
            return Ok(TakenOver::Rejected(format!("there is no detection {run}/{number}")));
        };
        let expected = properties["version"].as_i64().map(|version| version as i32);
        let verdict = match changed(&row, feature) {
            Ok(Some(verdict)) => verdict,
            Ok(None) => return Ok(TakenOver::Unchanged),
            Err(reason) => return Ok(TakenOver::Rejected(reason)),
        };
        match self.review(run, number, &verdict, expected).await {
            Ok(Some(_)) => Ok(TakenOver::Reviewed),
            Ok(None) => Ok(TakenOver::Rejected(format!("there is no detection {run}/{number}"))),
            Err(EditError::Database(DatabaseError::ItemChanged)) => Ok(TakenOver::Rejected(format!(
                "somebody else has reviewed {run}/{number} since this file was written"
            ))),
            Err(EditError::Catalog(error)) => Ok(TakenOver::Rejected(error.to_string())),
            Err(error) => Err(error),
        }
    }

    fn checked(&self, verdict: &Verdict) -> Result<Review, EditError> {
        let action = verdict.action.ok_or_else(|| wrong("action", "say accept, reject, correct, comment or reopen"))?;
        let class = text("class", verdict.class.as_deref())?;
        let comment = text("comment", verdict.comment.as_deref())?;
        let ring = verdict.geometry.as_ref().map(ring_of).transpose()?;
        let is_correction = class.is_some() || ring.is_some();
        if action == ReviewAction::Correct && !is_correction {
            return Err(wrong("action", "a correction has a class or a geometry").into());
        }
        if action != ReviewAction::Correct && is_correction {
            return Err(wrong("action", "only a correction has a class or a geometry").into());
        }
        if action == ReviewAction::Comment && comment.is_none() {
            return Err(wrong("action", "a comment has a text").into());
        }
        Ok(Review { who: self.actor.clone(), action, class, ring, comment })
    }
}

/// What a feature says that is not so yet.
fn changed(row: &DetectionRow, feature: &Value) -> Result<Option<Verdict>, String> {
    let properties = &feature["properties"];
    let text = |name: &str| properties[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let class = text("class").filter(|class| *class != row.class);
    let geometry = match feature.get("geometry").filter(|geometry| !geometry.is_null()) {
        Some(geometry) => {
            let stored: Value = serde_json::from_str(&row.geometry).map_err(|error| error.to_string())?;
            (!is_same_ring(&stored, geometry)).then(|| geometry.clone())
        }
        None => None,
    };
    let comment = text("comment").filter(|comment| row.comment.as_ref() != Some(comment));
    let review = text("review").filter(|review| *review != row.review);
    let action = match review.as_deref() {
        Some("rejected") => Some(ReviewAction::Reject),
        _ if class.is_some() || geometry.is_some() => Some(ReviewAction::Correct),
        Some("accepted") => Some(ReviewAction::Accept),
        Some("open") => Some(ReviewAction::Reopen),
        Some(other) => return Err(format!("its review is {other:?}: say open, accepted or rejected")),
        None => comment.is_some().then_some(ReviewAction::Comment),
    };
    let correction = action == Some(ReviewAction::Correct);
    let verdict =
        Verdict { action, class: class.filter(|_| correction), geometry: geometry.filter(|_| correction), comment };
    Ok(action.map(|_| verdict))
}

/// Whether two polygons have the same corners, as far as nine decimals tell: a tenth of a millimetre.
fn is_same_ring(a: &Value, b: &Value) -> bool {
    let (Ok(a), Ok(b)) = (ring_of(a), ring_of(b)) else { return false };
    a.len() == b.len() && a.iter().flatten().zip(b.iter().flatten()).all(|(a, b)| (a - b).abs() < 2e-9)
}

const fn wrong(what: &'static str, rule: &'static str) -> CatalogError {
    CatalogError::Review { what, rule }
}

/// Trimmed; nothing when nothing is left.
fn text(what: &'static str, value: Option<&str>) -> Result<Option<String>, CatalogError> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.len() > LONGEST_TEXT {
        return Err(wrong(what, "it is longer than 10 000 bytes"));
    }
    if value.contains('\0') {
        return Err(wrong(what, "it has the character U+0000"));
    }
    Ok(Some(value.to_owned()))
}

/// Reads the one ring of a polygon.
fn ring_of(geometry: &Value) -> Result<Vec<[f64; 2]>, CatalogError> {
    let refuse = |rule| wrong("geometry", rule);
    let rings = geometry["coordinates"].as_array().filter(|_| geometry["type"] == "Polygon");
    let [ring] = rings.map(Vec::as_slice).unwrap_or_default() else {
        return Err(refuse("it must be a GeoJSON polygon without holes"));
    };
    let position = |position: &Value| Some([position.get(0)?.as_f64()?, position.get(1)?.as_f64()?]);
    let corners = ring.as_array().and_then(|ring| ring.iter().map(position).collect::<Option<Vec<_>>>());
    let ring = corners.ok_or_else(|| refuse("its coordinates must be lists of two numbers"))?;
    if ring.len() > MOST_CORNERS {
        return Err(refuse("it has more than 10 000 corners"));
    }
    if !ring.iter().all(|[lon, lat]| (-180.0..=180.0).contains(lon) && (-90.0..=90.0).contains(lat)) {
        return Err(refuse("its coordinates must be longitude and latitude in degrees"));
    }
    if ring.len() < 4 || ring.first() != ring.last() {
        return Err(refuse("its ring must end where it begins, after three corners or more"));
    }
    let line = LineString::from(ring.iter().map(|[lon, lat]| (*lon, *lat)).collect::<Vec<_>>());
    if !Polygon::new(line, Vec::new()).is_valid() {
        return Err(refuse("its ring must not cross itself, and must have an area"));
    }
    Ok(ring)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_that_are_none_are_refused() {
        let ring = |ring: Value| ring_of(&json!({ "type": "Polygon", "coordinates": [ring] }));
        assert!(ring(json!([[5, 52], [5.1, 52], [5.1, 52.1], [5, 52]])).is_ok());
        for wrong in [
            json!([[5, 52], [5.1, 52], [5.1, 52.1], [5, 52.1]]),
            json!([[5, 52], [5.1, 52.1], [5.1, 52], [5, 52.1], [5, 52]]),
            json!([[5, 52], [5.1, 52], [5, 52]]),
            json!([[5, 52], [5.1, 52], [5.1, 92], [5, 52]]),
            json!([[5, "52"], [5.1, 52], [5.1, 52.1], [5, 52]]),
        ] {
            assert!(ring(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(ring_of(&json!({ "type": "Point", "coordinates": [5, 52] })).is_err());
    }
}
