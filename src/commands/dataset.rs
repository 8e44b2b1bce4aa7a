//! `polder dataset`: pictures and labels, frozen.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    Outcome, Session,
    flight::{Stages, StepArgs},
};
use crate::{
    catalog::{DatasetName, Flight, Layer, Project, Role, SplitRule},
    pipeline::{
        self, Context, DatasetRequest, ExportFormat, LabelSource, create_dataset, diff_datasets, export_dataset,
        list_datasets, open_dataset, read_coco, read_yolo, verify_dataset,
    },
};

/// Freeze pictures and labels as data sets, and check, compare and export them.
///
/// A data set is a manifest: every picture and label by bucket, key, version and SHA-256, and the split it is in. Its name
/// is NAME@HASH, the SHA-256 of the manifest (the first digits are enough); NAME alone is the newest. It never changes.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Create(Box<Create>),
    List(List),
    /// Tell what is in a data set: pictures and labels by split and class, and the exact sources
    Show(One),
    Diff(Diff),
    /// Fetch every version that a data set names and check its SHA-256; fails when one is gone or another
    Verify(One),
    Export(Export),
}

/// Freeze what is labelled as a data set
///
/// From reviews: polder dataset create dijken --project dijk-a. Accepted findings are labels; where a finding was
/// rejected, the chip shows that there is nothing; chips with a finding that nobody has reviewed yet are left out.
///
/// From outlines: polder dataset create dijken --orthophoto ID --geojson labels.geojson (WGS 84, with a property class);
/// the file must hold everything that is on the ground.
///
/// From elsewhere: --coco FILE --images DIR, or --yolo DIR (with data.yaml, images/ and labels/). The pictures, JPEG or
/// TIFF, are put into the bucket.
///
/// Splits go by place: the ground is divided into cells, the same for all flights and coordinate systems, and a hash of
/// seed and cell decides. A chip lies in one cell. Pictures from elsewhere are placed by the position in their EXIF, or,
/// without one, each on its own: pictures that overlap and do not say where they are may then share a place.
///
/// The same command on the same data gives the same data set. It needs the role pipeline.
#[derive(clap::Args, Debug)]
struct Create {
    /// What it is called, as dijken
    #[arg(value_name = "NAME")]
    name: DatasetName,

    /// All orthophotos of this project that have findings
    #[arg(long, value_name = "NAME", conflicts_with_all = ["coco", "yolo", "geojson"])]
    project: Option<Project>,

    /// Of this flight only
    #[arg(long, value_name = "NAME", requires = "project")]
    flight: Option<Flight>,

    /// An orthophoto, by the id of its item; may be repeated
    #[arg(long, value_name = "ID", conflicts_with_all = ["coco", "yolo", "project"])]
    orthophoto: Vec<String>,

    /// Outlines of all that is on the orthophoto, `GeoJSON` in WGS 84
    #[arg(long, value_name = "FILE", requires = "orthophoto")]
    geojson: Option<PathBuf>,

    /// The property of the outlines that names the class
    #[arg(long, value_name = "NAME", default_value = "class")]
    class_property: String,

    /// Labels in COCO's JSON
    #[arg(long, value_name = "FILE", requires = "images", conflicts_with = "yolo")]
    coco: Option<PathBuf>,

    /// The folder of COCO's pictures
    #[arg(long, value_name = "DIR", requires = "coco")]
    images: Option<PathBuf>,

    /// A folder as Ultralytics has it
    #[arg(long, value_name = "DIR")]
    yolo: Option<PathBuf>,

    /// Longest side of a chip
    #[arg(long, value_name = "PIXELS", default_value_t = 640)]
    chip: usize,

    /// Metres per pixel of the chips [default: of the coarsest orthophoto]
    #[arg(long, value_name = "METRES")]
    gsd: Option<f64>,

    /// Side of the cells that are shared out among the splits
    #[arg(long, value_name = "METRES", default_value_t = 40.0)]
    cell: f64,

    /// Another seed shares the places out differently; keep it, so that a place stays in its split
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Part of the places in val
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    val: f64,

    /// Part of the places in test
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    test: f64,

    /// Chips that show nothing, for each that shows something
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    background: f64,

    #[command(flatten)]
    step: StepArgs,
}

/// List data sets, or the versions of one, oldest first
#[derive(clap::Args, Debug)]
struct List {
    /// One data set only
    #[arg(value_name = "NAME")]
    name: Option<DatasetName>,

    #[command(flatten)]
    step: StepArgs,
}

#[derive(clap::Args, Debug)]
struct One {
    /// The data set
    #[arg(value_name = "NAME[@HASH]")]
    dataset: String,

    #[command(flatten)]
    step: StepArgs,
}

/// Tell what changed from one data set to another: pictures, splits, labels
#[derive(clap::Args, Debug)]
struct Diff {
    /// The earlier one
    #[arg(value_name = "NAME@HASH")]
    before: String,

    /// The later one
    #[arg(value_name = "NAME[@HASH]")]
    after: String,

    #[command(flatten)]
    step: StepArgs,
}

/// Write a data set as files, cut from the exact versions that it names
///
/// yolo: `data.yaml`, images/ and labels/, as Ultralytics trains from it (yolo detect train data=DIR/data.yaml).
/// coco: `annotations/instances_SPLIT.json` and the pictures in SPLIT/.
#[derive(clap::Args, Debug)]
struct Export {
    /// The data set
    #[arg(value_name = "NAME[@HASH]")]
    dataset: String,

    /// yolo or coco
    #[arg(long, value_enum)]
    format: Format,

    /// A folder that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    #[command(flatten)]
    step: StepArgs,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Format {
    Coco,
    Yolo,
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    match args.command {
        Command::Create(args) => create(*args, session).await,
        Command::List(args) => list(args, session).await,
        Command::Show(args) => show(args, session).await,
        Command::Diff(args) => diff(args, session).await,
        Command::Verify(args) => verify(args, session).await,
        Command::Export(args) => export(args, session).await,
    }
}

async fn create(args: Create, session: &Session) -> anyhow::Result<Outcome> {
    let rule = SplitRule { seed: args.seed, cell_m: args.cell, val: args.val, test: args.test };
    check(&args)?;
    let context = args.step.context(session, Role::Pipeline).await?;
    let labels = match (&args.coco, &args.images, &args.yolo, &args.geojson) {
        (Some(file), Some(images), ..) => LabelSource::Imported(read_coco(file, images)?),
        (_, _, Some(folder), _) => LabelSource::Imported(read_yolo(folder)?),
        (.., Some(file)) => {
            let [orthophoto] = args.orthophoto.as_slice() else { bail!("--geojson speaks of one --orthophoto") };
            let (orthophoto, property) = (orthophoto.clone(), args.class_property.clone());
            LabelSource::GeoJson { orthophoto, file: file.clone(), property }
        }
        _ => LabelSource::Reviews { orthophotos: orthophotos(&args, &context).await? },
    };
    let request = DatasetRequest {
        name: args.name,
        labels,
        chip_px: args.chip,
        gsd_m: args.gsd,
        rule,
        background: args.background,
    };
    let stages = Stages::new(session.output);
    let created = create_dataset(&context, &request, &|progress| stages.show(&progress)).await?;
    drop(stages);
    args.step.write_result(&created.item)?;
    let parts: Vec<String> = created.images.iter().map(|(split, images)| format!("{images} {split}")).collect();
    let again = if created.reused { " (there before, unchanged)" } else { "" };
    let reference = format!("{}@{}", created.name, &created.sha256[..12]);
    session.output.say(format!("data set {reference}: {}{again}", parts.join(", ")));
    if created.waiting > 0 {
        session.output.say(format!("{} chips were left out: a finding on them waits for its review", created.waiting));
    }
    for (split, _) in created.images.iter().filter(|(_, images)| **images == 0) {
        session
            .output
            .say(format!("no place fell into {split}: take another --seed, a smaller --cell or more flights"));
    }
    session.output.event(
        "created",
        json!({
            "dataset": reference, "item": created.item, "sha256": created.sha256, "reused": created.reused,
            "images": created.images, "waiting": created.waiting,
        }),
    );
    Ok(Outcome::Done)
}

fn check(args: &Create) -> anyhow::Result<()> {
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    if !is_share(args.val) || !is_share(args.test) || args.val + args.test > 1.0 {
        bail!("--val and --test are parts of a whole: together at most 1");
    }
    if !(1.0..=100_000.0).contains(&args.cell) {
        bail!("--cell is between 1 and 100000 metres");
    }
    if !(32..=16_384).contains(&args.chip) {
        bail!("--chip is between 32 and 16384 pixels");
    }
    if args.gsd.is_some_and(|gsd| !gsd.is_finite() || gsd <= 0.0)
        || !args.background.is_finite()
        || args.background < 0.0
    {
        bail!("--gsd is above 0, --background not below");
    }
    Ok(())
}

async fn orthophotos(args: &Create, context: &Context) -> anyhow::Result<Vec<String>> {
    if !args.orthophoto.is_empty() {
        return Ok(args.orthophoto.clone());
    }
    let project = args.project.as_ref().context(
        "say what to freeze: --project NAME or --orthophoto ID (with reviews, or with --geojson), --coco or --yolo",
    )?;
    let rows = context.database.list_items_with(Layer::Ortho, "polder:project", project.as_str()).await?;
    let mut ids = Vec::new();
    for row in rows {
        let item = row.item()?;
        let flight = item.properties.additional_fields.get("polder:flight").and_then(Value::as_str);
        if args.flight.as_ref().is_none_or(|wanted| flight == Some(wanted.as_str())) {
            ids.push(item.id);
        }
    }
    if ids.is_empty() {
        bail!("there is no orthophoto of {project} in the catalog: `polder run` makes one");
    }
    Ok(ids)
}

async fn list(args: List, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    for item in list_datasets(&context, args.name.as_ref()).await? {
        let item = serde_json::to_value(&item)?;
        let properties = &item["properties"];
        let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
        let line = format!(
            "{}@{}  {}  {}",
            text("polder:dataset"),
            text("version"),
            text("datetime"),
            properties["polder:images"]
        );
        session.output.say(line);
        session.output.event("dataset", item);
    }
    Ok(Outcome::Done)
}

async fn show(args: One, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let dataset = open_dataset(&context, &args.dataset).await?;
    let item = serde_json::to_value(&dataset.item)?;
    let properties = &item["properties"];
    let output = session.output;
    output.say(format!("data set   {}", dataset.reference()));
    output.say(format!("SHA-256    {}", dataset.object.sha256));
    output.say(format!("made       {}", properties["datetime"].as_str().unwrap_or_default()));
    output.say(format!("pictures   {}", properties["polder:images"]));
    for (class, splits) in properties["polder:labels"].as_object().into_iter().flatten() {
        output.say(format!("class      {class}: {splits}"));
    }
    output.say(format!("split      {}", properties["polder:split"]));
    for source in &dataset.manifest.sources {
        let version = source.version_id.as_deref().unwrap_or("-");
        output.say(format!("source     {} version {version} SHA-256 {}", source.uri, source.sha256));
    }
    output.event("dataset", json!({ "item": item, "manifest": dataset.manifest }));
    Ok(Outcome::Done)
}

async fn diff(args: Diff, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let diff = diff_datasets(&context, &args.before, &args.after).await?;
    for (word, names) in [
        ("added", &diff.added),
        ("removed", &diff.removed),
        ("moved to another split", &diff.moved),
        ("relabelled", &diff.relabelled),
    ] {
        for name in names {
            session.output.say(format!("{word}: {name}"));
        }
    }
    let classes = if diff.classes_changed { "; the classes differ" } else { "" };
    let rule = if diff.rule_changed { "; the splits are made otherwise" } else { "" };
    session.output.say(format!(
        "{} added, {} removed, {} moved, {} relabelled, {} the same{classes}{rule}",
        diff.added.len(),
        diff.removed.len(),
        diff.moved.len(),
        diff.relabelled.len(),
        diff.same
    ));
    session.output.event("diff", &diff);
    Ok(Outcome::Done)
}

async fn verify(args: One, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let dataset = open_dataset(&context, &args.dataset).await?;
    let checked = verify_dataset(&context, &dataset).await?;
    let mut faults = 0;
    for one in &checked {
        let verdict = one.fault.as_ref().map_or_else(|| "ok".to_owned(), |fault| format!("FAULT: {fault}"));
        faults += usize::from(one.fault.is_some());
        session.output.say(format!("{} version {}: {verdict}", one.uri, one.version_id.as_deref().unwrap_or("-")));
        session.output.event("checked", one);
    }
    if faults > 0 {
        bail!("{faults} of {} objects of {} are not what was frozen", checked.len(), dataset.reference());
    }
    session.output.say(format!("{}: all {} objects are what was frozen", dataset.reference(), checked.len()));
    session.output.event("verified", json!({ "dataset": dataset.reference(), "objects": checked.len() }));
    Ok(Outcome::Done)
}

async fn export(args: Export, session: &Session) -> anyhow::Result<Outcome> {
    let context = args.step.context(session, Role::Viewer).await?;
    let dataset = open_dataset(&context, &args.dataset).await?;
    let format = match args.format {
        Format::Coco => ExportFormat::Coco,
        Format::Yolo => ExportFormat::Yolo,
    };
    let stages = Stages::new(session.output);
    let observer = |progress: pipeline::Progress| stages.show(&progress);
    let exported = export_dataset(&context, &dataset, format, &args.out, &observer).await?;
    drop(stages);
    let (images, labels) = (exported.images, exported.labels);
    session.output.say(format!("wrote {images} pictures with {labels} labels: {}", exported.entry.display()));
    for split in &exported.empty {
        session.output.say(format!("there is no picture in {split}"));
    }
    session.output.event("exported", json!({
        "dataset": dataset.reference(), "images": images, "labels": labels, "entry": exported.entry, "empty": exported.empty,
    }));
    Ok(Outcome::Done)
}
