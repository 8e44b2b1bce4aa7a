//! `polder export`: what is in the database, as files that others read.

use std::path::PathBuf;

use serde_json::json;

use super::{Outcome, Session, review::Which, target};
use crate::{
    database::DetectionFilter,
    pipeline::{DetectionFormat, export_detections},
    spatial::Bbox,
};

/// Write what is in the database as files that others read.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Write detections, as they are after review
    ///
    /// geojson, geoparquet (1.1) and flatgeobuf are WGS 84 with all that is known of each; coco is one file with boxes and
    /// polygons in pixels of the orthophotos; yolo is a folder with data.yaml and labels in shares of their sides.
    Detections(Detections),
}

#[derive(clap::Args, Debug)]
struct Detections {
    /// How to write them
    #[arg(long, value_enum)]
    format: Format,

    /// File to write; for yolo a folder
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// Those that touch this box: west,south,east,north in degrees
    #[arg(long, value_name = "W,S,E,N", value_parser = bbox, allow_hyphen_values = true)]
    bbox: Option<Bbox>,

    #[command(flatten)]
    which: Which,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Format {
    Geojson,
    Geoparquet,
    Flatgeobuf,
    Coco,
    Yolo,
}

fn bbox(text: &str) -> Result<Bbox, String> {
    let numbers: Vec<f64> = text.split(',').map(|part| part.trim().parse().unwrap_or(f64::NAN)).collect();
    match numbers[..] {
        [west, south, east, north] if west <= east && south <= north => Ok(Bbox { west, south, east, north }),
        _ => Err("write west,south,east,north in degrees".to_owned()),
    }
}

pub(super) async fn run(args: Args, session: &Session) -> anyhow::Result<Outcome> {
    let Command::Detections(Detections { format, out, bbox, which }) = args.command;
    let database = target::database(session).await?;
    let filter = DetectionFilter { bbox, ..which.filter()? };
    let format = match format {
        Format::Geojson => DetectionFormat::GeoJson,
        Format::Geoparquet => DetectionFormat::GeoParquet,
        Format::Flatgeobuf => DetectionFormat::FlatGeobuf,
        Format::Coco => DetectionFormat::Coco,
        Format::Yolo => DetectionFormat::Yolo,
    };
    let count = export_detections(&database, &filter, format, &out).await?;
    session.output.say(format!("{count} detections in {}", out.display()));
    session.output.event("done", json!({ "out": out, "detections": count }));
    Ok(Outcome::Done)
}
