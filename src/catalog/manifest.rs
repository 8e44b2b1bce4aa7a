//! What a data set is made of: every picture and label by its exact version, and which part of it is for what.
//!
//! The JSON of a manifest is its identity: it holds no time and no name of a machine, lists are in a fixed order, and
//! its SHA-256 is the version of the data set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{DatasetName, ObjectRef, Result};

/// Raised whenever readers of older manifests would misread one.
const FORMAT: &str = "polder-dataset-1";

/// A data set, frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    pub name: DatasetName,
    /// Class names; labels refer to them by number.
    pub classes: Vec<String>,
    /// GSD of the chips in metres; nothing for pictures of which nobody knows it.
    pub gsd_m: Option<f64>,
    pub rule: SplitRule,
    /// What chips are cut from.
    pub sources: Vec<Pinned>,
    pub labels: Pinned,
    /// By name.
    pub images: Vec<Image>,
}

/// One version of one object, and the item that speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// As `s3://drone-ortho/projects/…`.
    pub uri: String,
    #[serde(rename = "versionId")]
    pub version_id: Option<String>,
    pub sha256: String,
    pub size_bytes: u64,
    pub media_type: String,
    /// As `drone-ortho/dijk-a.flight-2025.…`.
    pub item: Option<String>,
}

/// One picture to learn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Unique within the data set; the name of its file in an export.
    pub name: String,
    /// Index into [`Manifest::sources`].
    pub source: usize,
    /// Left, top, width and height in pixels of the source; nothing is all of it.
    pub window: Option<[usize; 4]>,
    /// Width and height in pixels.
    pub size: [usize; 2],
    pub split: Split,
    /// Where on the ground it lies; one place is in one split.
    pub place: String,
}

/// What a picture is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Val,
    Test,
}

/// How places are shared out among the splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRule {
    pub seed: u64,
    /// Side of a cell of the ground in metres.
    pub cell_m: f64,
    /// Part of the places in `val`, and in `test`; the rest is `train`.
    pub val: f64,
    pub test: f64,
}

/// The labels of a data set, by picture. A picture without any shows that there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    pub images: BTreeMap<String, Vec<Label>>,
}

/// One object on a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Index into [`Manifest::classes`].
    pub class: usize,
    /// Its outline on the picture, `[column, row]` in pixels.
    pub ring: Vec<[f64; 2]>,
    /// Where it comes from, as `ai-results/RUN#7`; nothing for what was imported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
}

/// How two data sets differ. Pictures are the same when they are cut from the same content at the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ManifestDiff {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// In another split.
    pub moved: Vec<String>,
    /// With other labels.
    pub relabelled: Vec<String>,
    pub same: usize,
    pub classes_changed: bool,
    pub rule_changed: bool,
}

impl Split {
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Split {
    type Err = super::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|split| split.as_str() == text).ok_or_else(|| super::Error::Name {
            what: "split",
            value: text.to_owned(),
            rule: "it is one of train, val, test",
        })
    }
}

impl SplitRule {
    /// Returns the split of a place: decided by the seed and the place alone, so that a place keeps its split in every
    /// data set with this rule.
    pub fn split(&self, place: &str) -> Split {
        let digest = Sha256::digest(format!("{}\n{place}", self.seed));
        let number = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let share = number as f64 / u64::MAX as f64;
        match share {
            share if share < self.test => Split::Test,
            share if share < self.test + self.val => Split::Val,
            _ => Split::Train,
        }
    }
}

impl Pinned {
    pub fn of(object: &ObjectRef, item: Option<String>) -> Self {
        Self {
            uri: object.s3_href(),
            version_id: object.version_id.clone(),
            sha256: object.sha256.clone(),
            size_bytes: object.size_bytes,
            media_type: object.content_type.clone(),
            item,
        }
    }

    /// Returns the object; nothing when the URI is none of S3.
    pub fn object(&self) -> Option<ObjectRef> {
        let (bucket, key) = self.uri.strip_prefix("s3://")?.split_once('/')?;
        Some(ObjectRef {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: self.version_id.clone(),
            sha256: self.sha256.clone(),
            size_bytes: self.size_bytes,
            content_type: self.media_type.clone(),
        })
    }
}

impl Manifest {
    /// Puts a manifest together, in the order that gives it one identity.
    pub fn new(
        name: DatasetName,
        classes: Vec<String>,
        gsd_m: Option<f64>,
        rule: SplitRule,
        sources: Vec<Pinned>,
        labels: Pinned,
        mut images: Vec<Image>,
    ) -> Self {
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Self { format: FORMAT.to_owned(), name, classes, gsd_m, rule, sources, labels, images }
    }

    /// Returns the JSON that is stored and hashed.
    ///
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when a number is not finite.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Error::Json`](super::Error::Json) when it is none of this format, [`Error::Faults`](super::Error::Faults) when
    /// pictures refer to sources that it has not.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(json)?;
        if manifest.format != FORMAT {
            let problem = format!("must be {FORMAT:?}: a newer polder may read {:?}", manifest.format);
            return Err(super::Error::item("/format", problem));
        }
        if manifest.images.iter().any(|image| image.source >= manifest.sources.len()) {
            return Err(super::Error::item("/images", "must refer to sources that are there"));
        }
        Ok(manifest)
    }

    /// Returns the pictures of a split.
    pub fn of_split(&self, split: Split) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(move |image| image.split == split)
    }

    /// Returns what a picture shows, as content and place on it, whatever it is called.
    pub fn content(&self, image: &Image) -> (&str, Option<[usize; 4]>) {
        (&self.sources[image.source].sha256, image.window)
    }

    /// Compares with a later data set.
    pub fn diff(&self, labels: &Labels, later: &Self, later_labels: &Labels) -> ManifestDiff {
        let by_content = |manifest: &'_ Self| -> BTreeMap<_, Image> {
            let key = |image: &Image| {
                let (sha256, window) = manifest.content(image);
                ((sha256.to_owned(), window), image.clone())
            };
            manifest.images.iter().map(key).collect()
        };
        let (before, after) = (by_content(self), by_content(later));
        // Numbers of classes may differ while names do not.
        let named = |classes: &[String], labels: &Labels, name: &str| -> BTreeSet<String> {
            let of = labels.images.get(name).into_iter().flatten();
            of.map(|label| format!("{} {:?}", classes[label.class], label.ring)).collect()
        };
        let mut diff = ManifestDiff {
            classes_changed: self.classes != later.classes,
            rule_changed: self.rule != later.rule,
            ..ManifestDiff::default()
        };
        for (content, image) in &before {
            let Some(new) = after.get(content) else {
                diff.removed.push(image.name.clone());
                continue;
            };
            let is_moved = image.split != new.split;
            let is_relabelled =
                named(&self.classes, labels, &image.name) != named(&later.classes, later_labels, &new.name);
            diff.moved.extend(is_moved.then(|| new.name.clone()));
            diff.relabelled.extend(is_relabelled.then(|| new.name.clone()));
            diff.same += usize::from(!is_moved && !is_relabelled);
        }
        let added = after.iter().filter(|(content, _)| !before.contains_key(content));
        diff.added = added.map(|(_, image)| image.name.clone()).collect();
        diff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::examples::manifest;

    #[test]
    fn the_same_data_set_has_the_same_json_whatever_the_order_of_its_pictures() {
        let one = manifest();
        let mut images = one.images.clone();
        images.reverse();
        let other = Manifest::new(
            one.name.clone(),
            one.classes.clone(),
            one.gsd_m,
            one.rule,
            one.sources.clone(),
            one.labels.clone(),
            images,
        );
        assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
        assert_eq!(Manifest::parse(&one.to_json().unwrap()).unwrap(), one);
    }

    #[test]
    fn a_manifest_of_another_format_or_with_loose_ends_is_refused() {
        let text = String::from_utf8(manifest().to_json().unwrap()).unwrap();
        for (from, to) in [("polder-dataset-1", "polder-dataset-9"), ("\"source\": 0", "\"source\": 7")] {
            let wrong = text.replace(from, to);
            assert_ne!(wrong, text);
            assert!(Manifest::parse(wrong.as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn places_are_shared_out_as_asked_and_a_place_keeps_its_split() {
        let rule = SplitRule { seed: 7, cell_m: 40.0, val: 0.2, test: 0.1 };
        let of = |split| (0..10_000).filter(|i| rule.split(&format!("cell {i}")) == split).count();
        let (train, val, test) = (of(Split::Train), of(Split::Val), of(Split::Test));
        assert!(
            train.abs_diff(7000) < 200 && val.abs_diff(2000) < 200 && test.abs_diff(1000) < 150,
            "{train} {val} {test}"
        );
        let less = SplitRule { val: 0.1, ..rule };
        let moved = (0..1000)
            .map(|i| format!("cell {i}"))
            .filter(|p| rule.split(p) == Split::Test && less.split(p) != Split::Test);
        assert_eq!(moved.count(), 0, "the test set stays when another share changes");
    }

    #[test]
    fn a_difference_is_told_by_what_pictures_show() {
        let one = manifest();
        let mut other = one.clone();
        other.images[0].split = Split::Test;
        other.images[0].name = "renamed".into();
        other.images[1].window = Some([9, 9, 64, 64]);
        let labels = Labels::default();
        let diff = one.diff(&labels, &other, &labels);
        assert_eq!(
            (diff.moved, diff.added, diff.removed),
            (vec!["renamed".to_owned()], vec!["b".to_owned()], vec!["b".to_owned()])
        );
        assert!(!diff.classes_changed && !diff.rule_changed && diff.same == 0);
    }
}
