//! A detection as others read it.

use serde_json::{Value, json};

use super::DetectionRow;

impl DetectionRow {
    /// Returns it as a `GeoJSON` feature (RFC 7946); its id is `{run}/{number}`.
    pub fn feature(&self) -> Value {
        let shape = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let photos: Vec<Value> =
            self.seen.iter().map(|(item, pixel)| json!({ "item": item, "pixel": pixel })).collect();
        let mut properties = json!({
            "run": self.run,
            "number": self.number,
            "class": self.class,
            "confidence": self.confidence,
            "area_m2": self.area_m2,
            "chip": self.chip,
            "photos": photos,
            "review": self.review,
            "version": self.version,
            "reviewed_by": self.reviewed_by,
            "reviewed_at": self.reviewed_at,
            "comment": self.comment,
            "project": self.project,
            "flight": self.flight,
            "orthophoto": self.orthophoto,
            "model": format!("{}@{}", self.model, self.model_version),
            "start_datetime": self.starts_at,
            "end_datetime": self.ends_at,
        });
        if self.model_class != self.class {
            properties["model_class"] = self.model_class.clone().into();
        }
        if let Some(geometry) = &self.model_geometry {
            properties["model_geometry"] = shape(geometry);
        }
        json!({
            "type": "Feature",
            "id": format!("{}/{}", self.run, self.number),
            "geometry": shape(&self.geometry),
            "properties": properties,
        })
    }
}
