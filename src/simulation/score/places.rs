//! Where an orthophoto is held against the truth, and what stands there.

use std::path::Path;

use super::{fault, patch::FINE_HALF, polygons, read_text};
use crate::{
    raster::Raster,
    simulation::Result,
    spatial::{Bbox, Crs, Projection},
};

/// Distance between the places of the regular grid.
const GRID_M: f64 = 2.5;

pub(super) struct Place {
    /// Easting and northing in the truth's system.
    pub at: [f64; 2],
    /// The kind of a check point; `None` on the grid.
    pub kind: Option<String>,
    /// The ellipsoidal height of a check point.
    pub height_m: Option<f64>,
    pub in_the_open: bool,
}

/// Houses and trees, as discs around them.
pub(super) struct Tall(Vec<([f64; 2], f64)>);

impl Tall {
    /// Reads the scenery of a flight into the truth's system.
    pub(super) fn read(truth: &Path, reference: &Raster) -> Result<Self> {
        let to_grid = Projection::new(Crs::WGS84, reference.crs()?)?;
        let disc = |(_, mut ring): (_, Vec<[f64; 2]>)| {
            to_grid.forward_many(&mut ring)?;
            let bounds = Bbox::of(ring.iter().copied()).expect("a ring has points");
            let middle = [f64::midpoint(bounds.west, bounds.east), f64::midpoint(bounds.south, bounds.north)];
            let radius = ring.iter().map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1])).fold(0.0, f64::max);
            Ok((middle, radius))
        };
        polygons(&truth.join("scenery.geojson"))?.into_iter().map(disc).collect::<Result<_>>().map(Self)
    }

    /// Tells whether nothing tall is nearer to a place than so many metres.
    pub(super) fn is_clear(&self, at: [f64; 2], spare_m: f64) -> bool {
        self.0.iter().all(|(middle, radius)| (at[0] - middle[0]).hypot(at[1] - middle[1]) > radius + spare_m)
    }
}

/// Returns the check points and a regular grid over the true orthophoto.
pub(super) fn places(truth: &Path, tall: &Tall, reference: &Raster) -> Result<Vec<Place>> {
    let transform = reference.geo_transform()?;
    let spare = FINE_HALF as f64 * transform.pixel_size() * 1.5;
    let mut places = check_points(&truth.join("check_points.csv"))?;
    for place in &mut places {
        place.in_the_open = tall.is_clear(place.at, spare);
    }
    let step = (GRID_M / transform.pixel_size()).round().max(1.0) as usize;
    let size = reference.size();
    for row in (step / 2..size[1]).step_by(step) {
        for column in (step / 2..size[0]).step_by(step) {
            let at = transform.pixel_to_ground([column as f64, row as f64]);
            if tall.is_clear(at, spare) {
                places.push(Place { at, kind: None, height_m: None, in_the_open: true });
            }
        }
    }
    Ok(places)
}

fn check_points(path: &Path) -> Result<Vec<Place>> {
    let text = read_text(path)?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or_else(|| fault(path, &format!("it has no column {name}")))
    };
    let (kind, x, y, height) = (column("kind")?, column("x_m")?, column("y_m")?, column("ellipsoidal_height_m")?);
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
            let place = number(x).zip(number(y)).zip(fields.get(kind));
            let ((x, y), kind) = place.ok_or_else(|| fault(path, &format!("cannot read the line {line:?}")))?;
            Ok(Place { at: [x, y], kind: Some((*kind).to_owned()), height_m: number(height), in_the_open: true })
        })
        .collect()
}
