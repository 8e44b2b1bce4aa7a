//! A flight with a hole in it: sets of photos that no match ties together, each adjusted by itself.
//!
//! Every block stands on its own positions or control points, and all are drawn into one orthophoto. What lies between two
//! blocks is as sure as their positions, not as their tie points, and the report says so.
//!
//! Photos that fell out of the middle of another block are no block of their own: what they show is there already, and a
//! few photos of water that match each other would only be drawn over it.

use nalgebra::Vector2;
use serde::Serialize;

use super::{
    adjust::reprojection_rmse_px,
    error::{Error, Result},
    gcp::Gcp,
    kept::{Kept, Key},
    keypoints::ShelvedKeypoints,
    matching::PairMatches,
    oblique,
    orient::{Oriented, no_geometry, orient},
    photos::{Flight, Photo, Rejected, median, too_few},
    report::{GpsAgreement, compare_with_gps},
    tracks::connected_sets,
};

/// Fewer photos make no block.
const FEWEST_PHOTOS: usize = 3;
/// A block farther than this from the largest one, or than that one is wide, is of another place.
const ANOTHER_PLACE_M: f64 = 1000.0;
/// The photos of a block lie at least so many photo distances from those of larger ones; where footprints overlap by half
/// that is where they end.
const FEWEST_DISTANCES: f64 = 2.0;

/// The photos that matches hold together, with all that is known of them. Its cameras and sorties are its own.
pub struct Part {
    pub flight: Flight,
    pub keypoints: Vec<ShelvedKeypoints>,
    pub pairs: Vec<PairMatches>,
}

/// A block as the report has it.
#[derive(Clone, Debug, Serialize)]
pub struct BlockReport {
    pub photos: usize,
    pub names: Vec<String>,
    pub tie_points: usize,
    pub reprojection_rmse_px: f64,
    pub gps: Option<GpsAgreement>,
    /// Control points that hold it.
    pub control_points: usize,
}

/// All blocks of a flight in their places, as one.
pub struct Placed {
    pub flight: Flight,
    pub oriented: Oriented,
    pub blocks: Vec<BlockReport>,
}

/// Takes a flight apart into its blocks, the largest first; what belongs to none is rejected.
///
/// # Errors
/// [`Error::NoOverlap`] when no three photos hang together.
pub fn separate(
    mut flight: Flight,
    keypoints: &[ShelvedKeypoints],
    pairs: &[PairMatches],
    total: usize,
) -> Result<(Vec<Part>, Vec<Rejected>)> {
    let sets = connected_sets(flight.photos.len(), pairs);
    let largest = sets[0].len();
    if largest < FEWEST_PHOTOS {
        return Err(Error::NoOverlap { total, largest });
    }
    let mut rejected = std::mem::take(&mut flight.rejected);
    let main = Stations::of(&flight, &sets[0]);
    let mut taken = Stations::default();
    let mut parts = Vec::new();
    for set in sets {
        let own = Stations::of(&flight, &set);
        if set.len() < FEWEST_PHOTOS || !main.may_have(&own, &taken) {
            let photos = set.iter().map(|&index| &flight.photos[index]);
            rejected.extend(photos.map(|photo| Rejected { name: photo.name.clone(), reason: main.far_from(photo) }));
            continue;
        }
        taken.places.extend(own.places);
        let keypoints = set.iter().map(|&index| keypoints[index].clone()).collect();
        parts.push(Part { flight: flight.part(&set), keypoints, pairs: pairs_within(&set, pairs) });
    }
    Ok((parts, rejected))
}

/// The pairs of a set of photos, numbered within it.
fn pairs_within(set: &[usize], pairs: &[PairMatches]) -> Vec<PairMatches> {
    let place = |photo: usize| set.binary_search(&photo).ok();
    pairs
        .iter()
        .filter_map(|pair| {
            let (first, second) = place(pair.first).zip(place(pair.second))?;
            Some(PairMatches { first, second, matches: pair.matches.clone() })
        })
        .collect()
}

/// Where the photos of a set were taken, by GPS.
#[derive(Default)]
struct Stations {
    places: Vec<Vector2<f64>>,
}

impl Stations {
    fn of(flight: &Flight, set: &[usize]) -> Self {
        Self { places: set.iter().filter_map(|&index| flight.photos[index].gps_xy()).collect() }
    }

    fn nearest(&self, place: &Vector2<f64>) -> Option<f64> {
        self.places.iter().map(|other| (other - place).norm()).min_by(f64::total_cmp)
    }

    /// Whether another set is a block beside these, the largest: near them, and not amidst what is taken already.
    fn may_have(&self, other: &Self, taken: &Self) -> bool {
        let distances = || other.places.iter().filter_map(|place| taken.nearest(place));
        let (Some(nearest), Some(middle)) = (distances().min_by(f64::total_cmp), median(distances())) else {
            return true;
        };
        nearest <= ANOTHER_PLACE_M.max(self.width()) && middle > FEWEST_DISTANCES * self.spacing()
    }

    fn width(&self) -> f64 {
        let first = self.places.first().copied().unwrap_or_default();
        2.0 * self.places.iter().map(|place| (place - first).norm()).fold(0.0, f64::max)
    }

    /// The middle distance of a photo to the next.
    fn spacing(&self) -> f64 {
        let next = |(index, place): (usize, &Vector2<f64>)| {
            let others = self.places.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, other)| (other - place).norm()).min_by(f64::total_cmp)
        };
        median(self.places.iter().enumerate().filter_map(next)).unwrap_or(0.0)
    }

    /// Why a photo is in no block.
    fn far_from(&self, photo: &Photo) -> String {
        match photo.gps_xy().and_then(|own| self.nearest(&own)) {
            Some(distance) if distance > ANOTHER_PLACE_M => {
                format!("it shows no ground of the other photos: the nearest is {:.1} km away", distance / 1000.0)
            }
            Some(distance) => {
                format!("no matches connect it with the other photos, the nearest of which is {distance:.0} m away")
            }
            None => "no matches connect it with the other photos".to_owned(),
        }
    }
}

/// Adjusts each block by itself and puts them into one; a block that cannot be placed is rejected with the reason.
///
/// # Errors
/// That of the largest block when none can be placed.
pub fn place(parts: Vec<Part>, keys: &[Key], gcps: &[Gcp], kept: &Kept) -> Result<Placed> {
    let mut placed = Vec::new();
    let mut rejected = Vec::new();
    let mut first_fault = None;
    for Part { mut flight, keypoints, pairs } in parts {
        let made_of = Key::of(&(&flight, keys, &pairs, gcps));
        let oriented = kept.get("adjustment", &made_of, || orient(flight.clone(), keypoints, pairs, gcps));
        match oriented.and_then(|oriented| without_oblique(&mut flight, oriented)) {
            Ok(oriented) => placed.push((flight, oriented)),
            Err(error) => {
                let reason = format!("its block of {} photos could not be placed: {error}", flight.photos.len());
                let names = flight.photos.iter().map(|photo| photo.name.clone());
                rejected.extend(names.map(|name| Rejected { name, reason: reason.clone() }));
                first_fault = first_fault.or(Some(error));
            }
        }
    }
    if placed.is_empty() {
        return Err(first_fault.unwrap_or_else(|| no_geometry(0, "there are no blocks")));
    }
    let blocks: Vec<BlockReport> = placed.iter().map(|(flight, oriented)| BlockReport::of(flight, oriented)).collect();
    let mut joined = join(placed);
    joined.flight.rejected.extend(rejected);
    joined.oriented.notes.extend(untied(&joined.flight, &blocks));
    joined.oriented.notes.extend(unmarked(&joined.oriented, gcps));
    Ok(Placed { blocks, ..joined })
}

/// Rejects what the adjustment rejected and what looks aside.
fn without_oblique(flight: &mut Flight, mut oriented: Oriented) -> Result<Oriented> {
    let total = flight.photos.len();
    flight.reject(std::mem::take(&mut oriented.rejected));
    let names: Vec<String> = flight.photos.iter().map(|photo| photo.name.clone()).collect();
    oblique::take_out(&mut oriented, &names);
    flight.reject(std::mem::take(&mut oriented.rejected));
    if flight.photos.len() < FEWEST_PHOTOS {
        return Err(too_few(flight.photos.len(), total, &flight.rejected));
    }
    Ok(oriented)
}

impl BlockReport {
    fn of(flight: &Flight, oriented: &Oriented) -> Self {
        let block = &oriented.block;
        Self {
            photos: flight.photos.len(),
            names: flight.photos.iter().map(|photo| photo.name.clone()).collect(),
            tie_points: block.points.iter().filter(|point| point.survey.is_none()).count(),
            reprojection_rmse_px: reprojection_rmse_px(block),
            gps: compare_with_gps(flight, block),
            control_points: block.points.iter().filter(|point| point.survey.is_some()).count(),
        }
    }
}

/// Puts adjusted blocks one behind the other into one; photos, cameras, sorties and points are renumbered.
fn join(placed: Vec<(Flight, Oriented)>) -> Placed {
    let several = placed.len() > 1;
    let mut placed = placed.into_iter();
    let (mut flight, mut whole) = placed.next().expect("at least one block was placed");
    for (number, (part, oriented)) in placed.enumerate() {
        let (photos, cameras, sorties) = (flight.photos.len(), flight.cameras.len(), flight.sorties);
        let of_block = |text: &str| format!("{text} (block {})", number + 2);
        flight.photos.extend(part.photos.into_iter().map(|photo| Photo {
            camera: photo.camera + cameras,
            sortie: photo.sortie + sorties,
            ..photo
        }));
        flight.cameras.extend(part.cameras.into_iter().map(|mut group| {
            group.label = of_block(&group.label);
            group
        }));
        flight.sorties += part.sorties;
        flight.rejected.extend(part.rejected);

        let Oriented { block, mut surveyed, notes, .. } = oriented;
        let of_surveyed = surveyed.iter_mut().flat_map(|point| &mut point.marks);
        of_surveyed.for_each(|sighting| sighting.photo += photos as u32);
        whole.block.append(block);
        whole.surveyed.extend(surveyed);
        whole.notes.extend(notes.iter().map(|note| of_block(note)));
    }
    if several {
        tracing::info!(photos = flight.photos.len(), "joined the blocks of a flight with holes");
    }
    Placed { flight, oriented: whole, blocks: Vec::new() }
}

/// What has to be said of a flight of several blocks.
fn untied(flight: &Flight, blocks: &[BlockReport]) -> Option<String> {
    if blocks.len() < 2 {
        return None;
    }
    let sizes: Vec<String> = blocks.iter().map(|block| block.photos.to_string()).collect();
    let held = if blocks.iter().all(|block| block.control_points >= 3) {
        "control points of its own"
    } else if flight.photos.iter().any(|photo| photo.gps.is_some()) {
        "GPS positions of its own"
    } else {
        "the points marked in it"
    };
    Some(format!(
        "no matches tie the {} blocks of {} photos to each other: each stands on {held}, and where they lie to each other is \
         no surer than that; fly the hole between them, or mark 3 or more control points in each",
        blocks.len(),
        sizes.join(" + ")
    ))
}

/// Surveyed points that no block sees twice.
fn unmarked(oriented: &Oriented, gcps: &[Gcp]) -> Option<String> {
    let used = |gcp: &&Gcp| oriented.surveyed.iter().any(|point| point.name == gcp.name && point.marks.len() > 1);
    let unused = gcps.len() - gcps.iter().filter(used).count();
    (unused > 0).then(|| format!("{unused} surveyed points are marked in fewer than two of the used photos"))
}
