//! What is known to be on an orthophoto: from reviews of findings, or from a file of outlines.

use serde_json::Value;

use crate::{
    catalog::Label,
    database::{Database, DetectionFilter, DetectionRow},
    detection::PixelBox,
    pipeline::{Error, Result},
    spatial::{Crs, GeoTransform, Projection},
};

/// Findings of one page.
const PAGE: i64 = 10_000;
/// IoU from which findings of two runs are about one thing.
const SAME_THING: f64 = 0.5;
/// An object counts as shown when at least this part of its box lies on the chip; as in training.
const SHOWN: f64 = 0.35;

/// What is known about the ground of one orthophoto, in its pixels.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) objects: Vec<KnownObject>,
    /// Where something was found that is not there: worth showing.
    pub(super) false_finds: Vec<[f64; 4]>,
    /// Where nobody has looked yet: not to be shown.
    pub(super) open: Vec<[f64; 4]>,
    /// The runs that were reviewed.
    pub(super) runs: Vec<String>,
}

/// One object on an orthophoto.
#[derive(Clone, Debug)]
pub(super) struct KnownObject {
    pub(super) class: String,
    /// `[column, row]` in pixels of the orthophoto.
    pub(super) ring: Vec<[f64; 2]>,
    pub(super) from: Option<String>,
}

/// Turns places into pixels of one raster.
pub(super) struct ToPixel {
    pub(super) from_lonlat: Projection,
    pub(super) transform: GeoTransform,
}

impl ToPixel {
    pub(super) fn of(crs: Crs, transform: GeoTransform) -> Result<Self> {
        Ok(Self { from_lonlat: Projection::new(Crs::WGS84, crs)?, transform })
    }

    fn ring(&self, mut ring: Vec<[f64; 2]>) -> Result<Vec<[f64; 2]>> {
        if ring.len() > 1 && ring.first() == ring.last() {
            ring.pop();
        }
        self.from_lonlat.forward_many(&mut ring)?;
        Ok(ring.into_iter().map(|place| self.transform.ground_to_pixel(place)).collect::<Result<_, _>>()?)
    }
}

/// Reads the reviewed findings of an orthophoto. Of two runs that found one thing, a decision on either counts.
pub(super) async fn reviewed(database: &Database, orthophoto: &str, to_pixel: &ToPixel) -> Result<Known> {
    let mut known = Known::default();
    let mut rows: Vec<(DetectionRow, Vec<[f64; 2]>)> = Vec::new();
    let mut after = None;
    loop {
        let filter = DetectionFilter {
            orthophoto: Some(orthophoto.to_owned()),
            limit: PAGE,
            after,
            ..DetectionFilter::default()
        };
        let page = database.list_detections(&filter).await?;
        after = page.last().map(|row| (row.run.clone(), row.number));
        let is_last = page.len() < PAGE as usize;
        for row in page {
            let ring = to_pixel.ring(ring_of(&row)?)?;
            rows.push((row, ring));
        }
        if is_last {
            break;
        }
    }
    // A verdict settles what other runs left open at the same place.
    rows.sort_by_key(|(row, _)| match row.review.as_str() {
        "accepted" => 0,
        "rejected" => 1,
        _ => 2,
    });
    let mut settled: Vec<PixelBox> = Vec::new();
    for (row, ring) in rows {
        let bounds = bounds(&ring);
        let seen = as_box(bounds);
        if settled.iter().any(|other| other.iou(&seen) >= SAME_THING) {
            continue;
        }
        match row.review.as_str() {
            "accepted" => {
                let from = Some(format!("ai-results/{}#{}", row.run, row.number));
                known.objects.push(KnownObject { class: row.class, ring, from });
            }
            "rejected" => known.false_finds.push(bounds),
            _ => {
                known.open.push(bounds);
                continue;
            }
        }
        settled.push(seen);
        if !known.runs.contains(&row.run) {
            known.runs.push(row.run);
        }
    }
    known.runs.sort();
    known.objects.sort_by(|a, b| (&a.from, &a.class).cmp(&(&b.from, &b.class)));
    Ok(known)
}

fn ring_of(row: &DetectionRow) -> Result<Vec<[f64; 2]>> {
    let damaged = || Error::DamagedItem {
        item: row.run.clone(),
        reason: format!("the geometry of its finding {} is no polygon", row.number),
    };
    let geometry: Value = serde_json::from_str(&row.geometry).map_err(|_| damaged())?;
    outline(&geometry).ok_or_else(damaged)
}

/// Returns the outer ring of a `GeoJSON` polygon.
fn outline(geometry: &Value) -> Option<Vec<[f64; 2]>> {
    let rings = match geometry["type"].as_str()? {
        "Polygon" => &geometry["coordinates"],
        "MultiPolygon" => &geometry["coordinates"][0],
        _ => return None,
    };
    let place = |place: &Value| Some([place[0].as_f64()?, place[1].as_f64()?]);
    let ring: Vec<_> = rings[0].as_array()?.iter().map(place).collect::<Option<_>>()?;
    (ring.len() >= 3).then_some(ring)
}

/// Reads outlines from `GeoJSON` (WGS 84, longitude first); everything that is on the ground is in it.
///
/// # Errors
/// [`Error::Labels`] names what cannot be used.
pub(super) fn of_geojson(file: &str, json: &str, property: &str, to_pixel: &ToPixel) -> Result<Known> {
    let fault = |reason: String| Error::Labels { file: file.to_owned(), reason };
    let collection: Value = serde_json::from_str(json).map_err(|error| fault(format!("it is no JSON: {error}")))?;
    let features = collection["features"].as_array().ok_or_else(|| fault("it is no FeatureCollection".to_owned()))?;
    let mut known = Known::default();
    for (i, feature) in features.iter().enumerate() {
        let class = feature["properties"][property].as_str();
        let class = class.ok_or_else(|| fault(format!("feature {i} has no text in its property {property:?}")))?;
        let ring = outline(&feature["geometry"]).ok_or_else(|| fault(format!("feature {i} is no polygon")))?;
        if ring.iter().any(|[lon, lat]| lon.abs() > 180.0 || lat.abs() > 90.0) {
            return Err(fault(format!(
                "feature {i} leaves the world: GeoJSON is in longitude and latitude (RFC 7946)"
            )));
        }
        known.objects.push(KnownObject { class: class.to_owned(), ring: to_pixel.ring(ring)?, from: None });
    }
    Ok(known)
}

/// Returns the labels on a window of the orthophoto, in pixels of a chip of `size`.
pub(super) fn on_chip(objects: &[KnownObject], classes: &[String], window: [usize; 4], size: [usize; 2]) -> Vec<Label> {
    let [left, top, width, height] = window.map(|length| length as f64);
    let scale = [size[0] as f64 / width, size[1] as f64 / height];
    let limit = size.map(|length| length as f64);
    let label = |object: &KnownObject| {
        let onto = |[x, y]: &[f64; 2]| [(x - left) * scale[0], (y - top) * scale[1]];
        let ring: Vec<[f64; 2]> = object.ring.iter().map(onto).collect();
        let cut = clip(&ring, limit);
        let (whole, shown) = (as_box(bounds(&ring)).area(), as_box(bounds(&cut)).area());
        let class = classes.iter().position(|class| *class == object.class)?;
        let rounded = cut.into_iter().map(|point| point.map(|at| (at * 100.0).round() / 100.0)).collect();
        (shown > SHOWN * whole).then_some(Label { class, ring: rounded, from: object.from.clone() })
    };
    objects.iter().filter_map(label).collect()
}

/// Cuts a polygon at the border of a picture (Sutherland and Hodgman, "Reentrant polygon clipping", 1974).
fn clip(ring: &[[f64; 2]], [width, height]: [f64; 2]) -> Vec<[f64; 2]> {
    let sides: [(usize, f64, f64); 4] = [(0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)];
    sides.iter().fold(ring.to_vec(), |ring, &(axis, border, sign)| {
        let depth = |point: &[f64; 2]| (point[axis] - border) * sign;
        let mut cut = Vec::with_capacity(ring.len() + 4);
        for (i, to) in ring.iter().enumerate() {
            let from = &ring[(i + ring.len() - 1) % ring.len()];
            let (a, b) = (depth(from), depth(to));
            if (a < 0.0) != (b < 0.0) {
                let t = a / (a - b);
                cut.push([from[0] + (to[0] - from[0]) * t, from[1] + (to[1] - from[1]) * t]);
            }
            if b >= 0.0 {
                cut.push(*to);
            }
        }
        cut
    })
}

/// Returns left, top, right, bottom; an empty box of an empty ring.
pub(super) fn bounds(ring: &[[f64; 2]]) -> [f64; 4] {
    if ring.is_empty() {
        return [0.0; 4];
    }
    ring.iter().fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |b, &[x, y]| {
        [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
    })
}

pub(super) const fn as_box([left, top, right, bottom]: [f64; 4]) -> PixelBox {
    PixelBox { left, top, right, bottom, class: 0, confidence: 1.0 }
}

/// Tells whether a box lies on a window, be it with a corner.
pub(super) fn touches([left, top, right, bottom]: [f64; 4], window: [usize; 4]) -> bool {
    let [x, y, width, height] = window.map(|length| length as f64);
    left < x + width && right > x && top < y + height && bottom > y
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(ring: &[[f64; 2]]) -> KnownObject {
        KnownObject { class: "b".into(), ring: ring.to_vec(), from: None }
    }

    #[test]
    fn an_object_is_cut_at_the_border_of_its_chip_and_left_out_when_little_of_it_is_there() {
        let square = object(&[[90.0, 10.0], [110.0, 10.0], [110.0, 30.0], [90.0, 30.0]]);
        let classes = ["a".to_owned(), "b".to_owned()];
        let labels = on_chip(std::slice::from_ref(&square), &classes, [0, 0, 100, 100], [200, 200]);
        assert_eq!((labels.len(), labels[0].class), (1, 1));
        assert_eq!(bounds(&labels[0].ring), [180.0, 20.0, 200.0, 60.0]);
        assert!(on_chip(std::slice::from_ref(&square), &classes, [0, 0, 95, 100], [95, 100]).is_empty(), "a quarter");
        assert!(on_chip(&[square], &classes, [300, 300, 100, 100], [100, 100]).is_empty(), "elsewhere");
    }

    #[test]
    fn a_triangle_is_cut_along_its_sides() {
        let cut = clip(&[[-10.0, 0.0], [10.0, 0.0], [10.0, 20.0]], [100.0, 100.0]);
        assert_eq!(bounds(&cut), [0.0, 0.0, 10.0, 20.0]);
        assert!(cut.iter().any(|p| (p[0] - 0.0).abs() < 1e-9 && (p[1] - 10.0).abs() < 1e-9), "{cut:?}");
    }

    #[test]
    fn labels_that_cannot_be_used_are_told_with_their_number() {
        let to_pixel = ToPixel::of(Crs::RD_NEW, GeoTransform::north_up([155_000.0, 463_000.0], 0.1)).unwrap();
        let refused = |feature: &str| {
            let json = format!("{{\"type\":\"FeatureCollection\",\"features\":[{feature}]}}");
            of_geojson("l.geojson", &json, "class", &to_pixel).unwrap_err().to_string()
        };
        assert!(refused("{}").contains("l.geojson: feature 0 has no text in its property \"class\""));
        let point = r#"{"properties":{"class":"a"},"geometry":{"type":"Point","coordinates":[5,52]}}"#;
        assert!(refused(point).contains("feature 0 is no polygon"));
        let rd = r#"{"properties":{"class":"a"},"geometry":{"type":"Polygon","coordinates":[[[155000,463000],[155001,463000],[155001,463001]]]}}"#;
        assert!(refused(rd).contains("leaves the world"));
    }
}
