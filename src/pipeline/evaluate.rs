//! Judges a model on a data set that it has not learned from.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Context, Error, ModelChoice, Observer, Result,
    datasets::{Opened, Pictures, opened, trained_on},
    models::{self, Plot},
};
use crate::{
    catalog::{Image, Label, Layer, Manifest, Split},
    detection::{self, Detector, Judged, PixelBox, Score},
    raster::Rgb8,
};

/// Confidence down to which boxes are asked for: the tail of the curve.
const LEAST: f64 = 0.001;
/// Pictures in memory at once.
const BATCH: usize = 16;

/// What a model is judged on.
#[derive(Clone, Debug)]
pub struct EvaluateRequest {
    pub model: ModelChoice,
    pub split: Split,
    /// Confidence at which precision, recall and F1 are taken; nothing is the model's own.
    pub confidence: Option<f64>,
    /// Tell the figures in the model's item.
    pub publish: bool,
}

/// How it did.
#[derive(Clone, Debug)]
pub struct Evaluated {
    pub model: String,
    pub dataset: String,
    pub split: Split,
    pub score: Score,
    /// Classes of the data set that the model does not know; it misses all of them.
    pub unknown: Vec<String>,
    /// Classes of the model that the data set has no word on; what it finds of them is not judged.
    pub unjudged: Vec<String>,
    /// Places that were judged and lie where the model has learned, in other pictures.
    pub shared_places: usize,
    /// Curves of precision over recall and of F1 over confidence, SVG.
    pub curves: [(String, String); 2],
}

/// Judges a model on one split of a data set.
///
/// # Errors
/// [`Error::JudgedOnTraining`] when the model has learned from what it would be judged on, [`Error::EmptySplit`], and
/// those of opening either.
pub async fn evaluate(
    context: &Context,
    dataset: &Opened,
    request: &EvaluateRequest,
    observer: Observer<'_>,
) -> Result<Evaluated> {
    if dataset.manifest.of_split(request.split).next().is_none() {
        return Err(Error::EmptySplit { dataset: dataset.reference(), split: request.split.to_string() });
    }
    let model = models::choose(context, &request.model).await?;
    let shared_places = refuse_what_was_learned(context, &model.item_id, dataset, request.split).await?;
    let (weights, name) = (model.weights.clone(), model.item_id.clone());
    let detector = tokio::task::spawn_blocking(move || detection::load(&weights, &name)).await??;
    let confidence = request.confidence.unwrap_or(detector.spec().confidence);
    let mut judge = Judge::new(&dataset.manifest, detector.as_ref());
    let take = |_: &Image, labels: &[Label], picture: Rgb8| judge.take(labels, picture);
    Pictures::of(context, dataset).each(&[request.split], observer, take).await?;
    judge.flush()?;
    let known = &detector.spec().names;
    let classes = &dataset.manifest.classes;
    let missing = |these: &[String], from: &[String]| these.iter().filter(|one| !from.contains(one)).cloned().collect();
    let (unknown, unjudged) = (missing(classes, known), missing(known, classes));
    let score = detection::score(&judge.judged, classes, confidence);
    let curves = [
        ("precision-recall.svg".to_owned(), detection::precision_recall_svg(&score)),
        ("f1.svg".to_owned(), detection::f1_svg(&score)),
    ];
    let evaluated = Evaluated {
        model: format!("{}@{}", model.name, model.version),
        dataset: dataset.reference(),
        split: request.split,
        score,
        unknown,
        unjudged,
        shared_places,
        curves,
    };
    if request.publish {
        let plots = evaluated.curves.iter().map(|(file, svg)| Plot {
            file: file.clone(),
            bytes: svg.clone().into(),
            content_type: "image/svg+xml",
        });
        models::tell(context, &model.item_id, evaluated.figures(), plots.collect(), &dataset.upstream()).await?;
    }
    Ok(evaluated)
}

/// Refuses to judge a model on what it has learned from; returns how many judged places lie where it has learned, in
/// other pictures.
async fn refuse_what_was_learned(context: &Context, model: &str, dataset: &Opened, split: Split) -> Result<usize> {
    let row = context.database.find_item(Layer::Models.collection(), model).await?;
    let Some(item) = row.map(|row| row.item()).transpose()? else { return Ok(0) };
    let judged: BTreeSet<&str> = dataset.manifest.of_split(split).map(|image| image.place.as_str()).collect();
    let mut shared = 0;
    for (id, sha256, splits) in trained_on(&item) {
        let refused = |reason: String| Error::JudgedOnTraining {
            model: model.to_owned(),
            dataset: dataset.reference(),
            split: split.to_string(),
            reason,
        };
        if sha256 == dataset.object.sha256 && splits.iter().any(|learned| learned == split.as_str()) {
            return Err(refused("it learned from this very split".to_owned()));
        }
        let row = context.database.find_item(Layer::Models.collection(), &id).await?;
        let row = row.ok_or_else(|| refused(format!("it learned from {id}, which is gone, so nobody can tell")))?;
        let learned = opened(context, row.item()?).await?;
        let splits: Vec<Split> = splits.iter().filter_map(|split| split.parse().ok()).collect();
        let overlaps = overlapping(&dataset.manifest, split, &learned.manifest, &splits);
        if overlaps > 0 {
            return Err(refused(format!("{overlaps} of its pictures show what the model learned from, in {id}")));
        }
        let places: BTreeSet<&str> =
            splits.iter().flat_map(|split| learned.manifest.of_split(*split)).map(|i| i.place.as_str()).collect();
        shared += judged.intersection(&places).count();
    }
    Ok(shared)
}

/// Counts the pictures of a split that show something of what was learned: the same content, at windows that meet.
fn overlapping(judged: &Manifest, split: Split, learned: &Manifest, splits: &[Split]) -> usize {
    let learned: Vec<_> =
        splits.iter().flat_map(|split| learned.of_split(*split)).map(|image| learned.content(image)).collect();
    let meets = |a: Option<[usize; 4]>, b: Option<[usize; 4]>| {
        let Some(([ax, ay, aw, ah], [bx, by, bw, bh])) = a.zip(b) else { return true };
        ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah
    };
    let is_known = |image: &&Image| {
        let (sha256, window) = judged.content(image);
        learned.iter().any(|(other, place)| *other == sha256 && meets(window, *place))
    };
    judged.of_split(split).filter(is_known).count()
}

/// Collects pictures, and looks at a batch of them at a time.
struct Judge<'a> {
    detector: &'a dyn Detector,
    gsd_m: Option<f64>,
    /// For each class of the model its number in the data set.
    numbers: Vec<Option<usize>>,
    waiting: Vec<(Rgb8, Vec<PixelBox>)>,
    judged: Vec<Judged>,
}

impl<'a> Judge<'a> {
    fn new(manifest: &Manifest, detector: &'a dyn Detector) -> Self {
        let number = |name: &String| manifest.classes.iter().position(|class| class == name);
        let numbers = detector.spec().names.iter().map(number).collect();
        Self { detector, gsd_m: manifest.gsd_m, numbers, waiting: Vec::new(), judged: Vec::new() }
    }

    fn take(&mut self, labels: &[Label], picture: Rgb8) -> Result<()> {
        let known = |label: &Label| {
            let [left, top, right, bottom] = bounds(&label.ring);
            PixelBox { left, top, right, bottom, class: label.class, confidence: 1.0 }
        };
        self.waiting.push((picture, labels.iter().map(known).collect()));
        if self.waiting.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let look = |(picture, known): (Rgb8, Vec<PixelBox>)| -> Result<Judged> {
            let found = detection::detect_picture(&picture, self.gsd_m, self.detector, LEAST)?;
            let named = |found: PixelBox| Some(PixelBox { class: self.numbers[found.class]?, ..found });
            Ok(Judged { found: found.into_iter().filter_map(named).collect(), known })
        };
        let waiting = std::mem::take(&mut self.waiting);
        let judged = waiting.into_par_iter().map(look).collect::<Result<Vec<_>>>()?;
        self.judged.extend(judged);
        Ok(())
    }
}

fn bounds(ring: &[[f64; 2]]) -> [f64; 4] {
    ring.iter().fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |b, &[x, y]| {
        [b[0].min(x), b[1].min(y), b[2].max(x), b[3].max(y)]
    })
}

impl Evaluated {
    /// Returns the figures as they stand in a model's item: all numbers flat, classes and what it was judged on beside.
    pub fn figures(&self) -> Map<String, Value> {
        let mut figures = match serde_json::to_value(&self.score) {
            Ok(Value::Object(figures)) => figures,
            _ => Map::new(),
        };
        figures.insert("dataset".to_owned(), json!(self.dataset));
        figures.insert("split".to_owned(), json!(self.split));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::examples::manifest;

    #[test]
    fn pictures_meet_when_their_windows_on_one_content_do() {
        let judged = manifest();
        let mut learned = manifest();
        assert_eq!(overlapping(&judged, Split::Val, &learned, &[Split::Train]), 0, "side by side");
        learned.images[0].window = Some([100, 10, 64, 64]);
        assert_eq!(overlapping(&judged, Split::Val, &learned, &[Split::Train]), 1);
        learned.sources[0].sha256 = "00".repeat(32);
        assert_eq!(overlapping(&judged, Split::Val, &learned, &[Split::Train]), 0, "another content");
    }
}
