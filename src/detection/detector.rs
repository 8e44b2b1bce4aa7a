//! What a detector is, whatever runs it.

use std::collections::BTreeMap;

use super::{Chip, Outline, Result};

/// Finds things on chips. Shared between threads; each call is independent of the others.
pub trait Detector: Send + Sync {
    /// Returns what the model says about itself.
    fn spec(&self) -> &ModelSpec;

    /// Returns, for each chip, what reaches the criteria, best first, duplicates removed.
    ///
    /// Chips have the size of [`ModelSpec::image_size`].
    ///
    /// # Errors
    /// [`Error::Torch`](super::Error::Torch) when the model cannot be run,
    /// [`Error::NotANumber`](super::Error::NotANumber) when it gives something else than numbers.
    fn detect(&self, chips: &[Chip], criteria: &Criteria) -> Result<Vec<Vec<Seen>>>;

    /// Returns what was seen of the model when it was tried.
    fn tried(&self) -> Tried {
        Tried::default()
    }

    /// Returns how many chips it is worth to hand over in one call.
    fn batch(&self) -> usize {
        1
    }
}

/// What a model does not say of itself and shows when it is loaded and run once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Shape of the output for one chip, as `[1, 6, 8400]`; empty where nothing was run.
    pub output_shape: Vec<i64>,
    /// Number of weights.
    pub parameters: Option<u64>,
    /// Version of the framework that ran it, as `2.13.0`.
    pub framework_version: Option<String>,
}

/// What counts as seen on a chip.
#[derive(Clone, Debug, PartialEq)]
pub struct Criteria {
    /// Confidence from which a box counts, for each class of the model.
    pub confidence: Vec<f64>,
    /// IoU above which two boxes of a class are one thing.
    pub iou: f64,
}

/// What a model answers with, and so what shape its findings have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Boxes whose sides run along the chip's.
    Detect,
    /// Boxes that are turned ("oriented bounding boxes").
    Rotated,
    /// Boxes, each with a mask.
    Segment,
}

impl Task {
    /// Finds the task by the name that Ultralytics gives it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "detect" => Some(Self::Detect),
            "obb" => Some(Self::Rotated),
            "segment" => Some(Self::Segment),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Rotated => "obb",
            Self::Segment => "segment",
        }
    }
}

/// What travels with a model: enough to run it right and to say what it found.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Class names, as the model's author wrote them; a box's class is an index into this.
    pub names: Vec<String>,
    /// `None` as long as only the model's output can tell: a loaded model always has one.
    pub task: Option<Task>,
    /// Chip size in pixels, `[width, height]`.
    pub image_size: [usize; 2],
    /// Whether the model takes other sizes too, as long as they are multiples of the stride.
    pub dynamic: bool,
    /// Coarsest cell of the network, in pixels.
    pub stride: usize,
    /// GSD of the chips that the model was trained on; `None` runs it at the raster's own.
    pub gsd_m: Option<f64>,
    /// Confidence from which a box counts, as calibrated by the author, or [`DEFAULT_CONFIDENCE`].
    pub confidence: f64,
    /// The same for single classes, by name, where it differs.
    pub class_confidence: BTreeMap<String, f64>,
    pub description: Option<String>,
    pub version: Option<String>,
    /// The licence of the weights, such as "MIT OR Apache-2.0" or "AGPL-3.0".
    pub license: Option<String>,
}

/// The confidence that Ultralytics' own `predict` starts from; used when the model brings no better one.
pub const DEFAULT_CONFIDENCE: f64 = 0.25;

/// Something seen on a chip or a raster: a box, and what it looks like from close by.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The box around it.
    pub found: PixelBox,
    pub outline: Outline,
}

impl From<PixelBox> for Seen {
    fn from(found: PixelBox) -> Self {
        Self { found, outline: Outline::Box }
    }
}

/// A box on a chip, in pixels of the chip from its top-left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelBox {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    /// Index into [`ModelSpec::names`].
    pub class: usize,
    /// In [0, 1].
    pub confidence: f64,
}

impl PixelBox {
    pub fn area(&self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    pub const fn center(&self) -> [f64; 2] {
        [f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom)]
    }

    /// Returns the area that both boxes cover.
    pub fn shared_area(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// Returns the intersection over union.
    pub fn iou(&self, other: &Self) -> f64 {
        let shared = self.shared_area(other);
        shared / (self.area() + other.area() - shared).max(f64::MIN_POSITIVE)
    }

    /// Returns the share of the smaller box that the other one covers.
    pub fn containment(&self, other: &Self) -> f64 {
        self.shared_area(other) / self.area().min(other.area()).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_measured_against_the_union_and_against_the_smaller() {
        let at = |left: f64, right: f64| PixelBox { left, top: 0.0, right, bottom: 1.0, class: 0, confidence: 1.0 };
        assert!((at(0.0, 2.0).iou(&at(1.0, 3.0)) - 1.0 / 3.0).abs() < 1e-12);
        assert!((at(0.0, 4.0).containment(&at(3.0, 5.0)) - 0.5).abs() < 1e-12);
        assert!(at(0.0, 1.0).iou(&at(2.0, 3.0)).abs() < 1e-12);
    }
}
