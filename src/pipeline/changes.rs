//! What changed between two flights: findings of two runs over the same place, matched one to one.
//!
//! Two orthophotos never lie exactly on each other: GPS is off by metres, by the same amount over a flight. So the common
//! shift is found first, as the offset that most pairs of one class agree on, and taken out. What remains is the matter
//! of each finding: at its place still (`persisting`), a little further (`moved`), not there (`gone`) or not there before
//! (`new`). Of a place that the other orthophoto does not show nothing is said.

use geo::{Area as _, BooleanOps as _, Contains as _, LineString, Point, Polygon};
use rstar::{RTree, primitives::GeomWithData};
use sha2::{Digest as _, Sha256};

use super::EditError;
use crate::{
    database::{AuditOpen, Change, ComparedRun, Comparison, Database, Place},
    spatial::LocalFrame,
};

/// Raised whenever the same runs give other changes.
const ENGINE: &str = "polder-changes-1";

/// Pairs whose offsets differ by less tell of the same shift; also what is left of it between flights with RTK.
const AGREE_M: f64 = 0.5;

/// Fewer pairs than this make no shift: two things moved alike would.
const FEWEST_PAIRS: usize = 3;

/// Of the smaller set of findings, so many must agree.
const SHARE_OF_PAIRS: f64 = 0.3;

/// Candidates of a finding that are looked at.
const NEIGHBOURS: usize = 8;

/// Overlap from which two findings are one thing at one place.
const SAME_PLACE_IOU: f64 = 0.3;

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareOptions {
    /// The largest shift that one orthophoto may have against the other, metres.
    pub registration_m: f64,
    /// How far a thing may go and be the same, metres.
    pub moved_m: f64,
    /// Findings below do not count.
    pub confidence: f64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { registration_m: 5.0, moved_m: 3.0, confidence: 0.0 }
    }
}

/// Compares two runs and keeps the result; returns it as `GeoJSON`, and whether it was there already. Nothing when one of
/// the two is not there.
///
/// # Errors
/// [`EditError::Database`]; what was kept before stays then.
pub async fn compare_runs(
    database: &Database,
    actor: &str,
    [before, after]: [&str; 2],
    options: CompareOptions,
) -> Result<Option<(serde_json::Value, bool)>, EditError> {
    let was = database.compared_run(before, options.confidence).await?;
    let is = database.compared_run(after, options.confidence).await?;
    let (Some(was), Some(is)) = (was, is) else { return Ok(None) };
    let digest = hex::encode(Sha256::digest(format!("{ENGINE}\n{options:?}\n{}\n{}", was.digest, is.digest)));
    if let Some((kept, comparison)) = database.find_comparison(before, after).await?
        && kept == digest
    {
        return Ok(Some((comparison, true)));
    }
    let (was, is, comparison) = tokio::task::spawn_blocking(move || {
        let comparison = compare(&was, &is, options);
        (was, is, comparison)
    })
    .await?;
    let by = AuditOpen {
        who: actor.to_owned(),
        what: "compare runs".to_owned(),
        detail: Some(format!("{before} {after}")),
        ..AuditOpen::default()
    };
    database.replace_comparison([&was, &is], &digest, &comparison, &by).await?;
    Ok(database.find_comparison(before, after).await?.map(|(_, comparison)| (comparison, false)))
}

/// A finding in metres east and north of the middle of all.
struct Thing<'a> {
    place: &'a Place,
    shape: Polygon,
    middle: [f64; 2],
    /// The square root of its area.
    size_m: f64,
}

type Tree = RTree<GeomWithData<[f64; 2], usize>>;

/// Compares two runs.
fn compare(before: &ComparedRun, after: &ComparedRun, options: CompareOptions) -> Comparison {
    let first = before.places.iter().chain(&after.places).find_map(|place| place.ring.first());
    let [lon, lat] = first.copied().unwrap_or_default();
    let frame = LocalFrame::at([lon, lat, 0.0]);
    let was = things(&before.places, &frame);
    let is = things(&after.places, &frame);
    let tree: Tree =
        RTree::bulk_load(is.iter().enumerate().map(|(i, thing)| GeomWithData::new(thing.middle, i)).collect());
    let shift = Shift::between(&was, &is, &tree, options.registration_m);
    let pairs = matches(&was, &is, &tree, &shift, options.moved_m);

    let mut partner = vec![None; is.len()];
    for (one, pair) in pairs.iter().enumerate() {
        if let Some(pair) = pair {
            partner[pair.with] = Some(one);
        }
    }
    let covers = |run: &ComparedRun| (run.footprint.len() >= 4).then(|| polygon(&run.footprint, &frame));
    let (shown_before, shown_after) = (covers(before), covers(after));
    let mut changes = Vec::new();
    let (mut outside_before, mut outside_after) = (0, 0);
    for (thing, pair) in was.iter().zip(&pairs) {
        if let Some(pair) = pair {
            changes.push(Change {
                kind: if pair.stays { "persisting" } else { "moved" },
                class: thing.place.class.clone(),
                before: Some(thing.place.number),
                after: Some(is[pair.with].place.number),
                distance_m: Some(pair.distance_m),
                iou: Some(pair.iou),
                ring: is[pair.with].place.ring.clone(),
            });
        } else if shows(shown_after.as_ref(), shift.onto(thing.middle)) {
            changes.push(alone("gone", thing, true));
        } else {
            outside_before += 1;
        }
    }
    for (thing, _) in is.iter().zip(&partner).filter(|(_, partner)| partner.is_none()) {
        if shows(shown_before.as_ref(), shift.back(thing.middle)) {
            changes.push(alone("new", thing, false));
        } else {
            outside_after += 1;
        }
    }
    Comparison {
        shift_m: shift.by,
        shift_pairs: shift.pairs as i32,
        residual_m: shift.residual_m,
        outside_before,
        outside_after,
        changes,
    }
}

fn alone(kind: &'static str, thing: &Thing, earlier: bool) -> Change {
    let number = Some(thing.place.number);
    Change {
        kind,
        class: thing.place.class.clone(),
        before: number.filter(|_| earlier),
        after: number.filter(|_| !earlier),
        distance_m: None,
        iou: None,
        ring: thing.place.ring.clone(),
    }
}

/// An orthophoto of which nobody knows what it covers is taken to show everything.
fn shows(shown: Option<&Polygon>, [east, north]: [f64; 2]) -> bool {
    shown.is_none_or(|shown| shown.contains(&Point::new(east, north)))
}

fn things<'a>(places: &'a [Place], frame: &LocalFrame) -> Vec<Thing<'a>> {
    let thing = |place: &'a Place| {
        let shape = polygon(&place.ring, frame);
        let corners: Vec<[f64; 2]> = shape.exterior().coords().skip(1).map(|at| [at.x, at.y]).collect();
        let mean = |axis: usize| corners.iter().map(|at| at[axis]).sum::<f64>() / corners.len().max(1) as f64;
        Thing { place, middle: [mean(0), mean(1)], size_m: shape.unsigned_area().sqrt(), shape }
    };
    places.iter().map(thing).collect()
}

fn polygon(ring: &[[f64; 2]], frame: &LocalFrame) -> Polygon {
    let corner = |[lon, lat]: &[f64; 2]| {
        let [east, north, _] = frame.to_enu([*lon, *lat, 0.0]);
        (east, north)
    };
    Polygon::new(LineString::from(ring.iter().map(corner).collect::<Vec<_>>()), Vec::new())
}

/// What is added to places of the earlier orthophoto to get those of the later one.
struct Shift {
    by: [f64; 2],
    pairs: usize,
    /// The median distance of the pairs from it.
    residual_m: Option<f64>,
}

impl Shift {
    fn onto(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [x + self.by[0], y + self.by[1]]
    }

    fn back(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [x - self.by[0], y - self.by[1]]
    }

    /// The offset on which most findings have a partner of their class; of two alike the smaller.
    fn between(was: &[Thing], is: &[Thing], tree: &Tree, most_m: f64) -> Self {
        let mut offsets: Vec<(usize, [f64; 2])> = Vec::new();
        for (one, thing) in was.iter().enumerate() {
            let near = tree.nearest_neighbor_iter_with_distance_2(&thing.middle);
            let near = near.take_while(|(_, square)| *square <= most_m * most_m);
            let alike = near.filter(|(found, _)| is[found.data].place.class == thing.place.class).take(NEIGHBOURS);
            offsets.extend(alike.map(|(found, _)| {
                let at = is[found.data].middle;
                (one, [at[0] - thing.middle[0], at[1] - thing.middle[1]])
            }));
        }
        let votes: RTree<GeomWithData<[f64; 2], usize>> =
            RTree::bulk_load(offsets.iter().map(|(one, offset)| GeomWithData::new(*offset, *one)).collect());
        let voters = |at: [f64; 2]| {
            let mut ones: Vec<usize> =
                votes.locate_within_distance(at, AGREE_M * AGREE_M).map(|vote| vote.data).collect();
            ones.sort_unstable();
            ones.dedup();
            ones.len()
        };
        let length = |[x, y]: [f64; 2]| x.hypot(y);
        // A sample decides on large runs: the shift is common to all.
        let step = offsets.len().div_ceil(2000).max(1);
        let best = offsets
            .iter()
            .step_by(step)
            .map(|(_, offset)| (voters(*offset), *offset))
            .max_by(|a, b| a.0.cmp(&b.0).then_with(|| length(b.1).total_cmp(&length(a.1))));
        let needed = (was.len().min(is.len()) as f64 * SHARE_OF_PAIRS).max(FEWEST_PAIRS as f64);
        let Some((pairs, at)) = best.filter(|(pairs, _)| *pairs as f64 >= needed) else {
            return Self { by: [0.0; 2], pairs: 0, residual_m: None };
        };
        let agreeing: Vec<[f64; 2]> =
            votes.locate_within_distance(at, AGREE_M * AGREE_M).map(|vote| *vote.geom()).collect();
        let by = [0, 1].map(|axis| median(agreeing.iter().map(|offset| offset[axis]).collect()));
        let residual = median(agreeing.iter().map(|[x, y]| (x - by[0]).hypot(y - by[1])).collect());
        Self { by, pairs, residual_m: Some(residual) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The partner of a finding.
#[derive(Clone, Copy, Debug)]
struct Pair {
    with: usize,
    distance_m: f64,
    iou: f64,
    stays: bool,
}

/// Gives each earlier finding at most one later one of its class: those that overlap most first, then the nearest.
fn matches(was: &[Thing], is: &[Thing], tree: &Tree, shift: &Shift, moved_m: f64) -> Vec<Option<Pair>> {
    // Three times the median of a Rayleigh distribution holds 99.8 % of it.
    let still_m = (3.0 * shift.residual_m.unwrap_or(AGREE_M)).max(0.1);
    let mut candidates: Vec<(usize, Pair)> = Vec::new();
    for (one, thing) in was.iter().enumerate() {
        let at = shift.onto(thing.middle);
        let reach = moved_m.max(still_m).max(thing.size_m);
        for found in tree.locate_within_distance(at, reach * reach) {
            let other = &is[found.data];
            if other.place.class != thing.place.class {
                continue;
            }
            let distance_m = (other.middle[0] - at[0]).hypot(other.middle[1] - at[1]);
            let iou = iou(thing, other, shift);
            let stays = iou >= SAME_PLACE_IOU || distance_m <= still_m.max(0.5 * thing.size_m.min(other.size_m));
            candidates.push((one, Pair { with: found.data, distance_m, iou, stays }));
        }
    }
    candidates.sort_by(|(a, x), (b, y)| {
        y.stays.cmp(&x.stays).then(x.distance_m.total_cmp(&y.distance_m)).then((a, x.with).cmp(&(b, y.with)))
    });
    let (mut pairs, mut taken) = (vec![None; was.len()], vec![false; is.len()]);
    for (one, pair) in candidates {
        if pairs[one].is_none() && !taken[pair.with] {
            taken[pair.with] = true;
            pairs[one] = Some(pair);
        }
    }
    pairs
}

fn iou(one: &Thing, other: &Thing, shift: &Shift) -> f64 {
    use geo::Translate as _;
    let shape = one.shape.translate(shift.by[0], shift.by[1]);
    let shared = shape.intersection(&other.shape).unsigned_area();
    let union = shape.unsigned_area() + other.shape.unsigned_area() - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SIDE_M: f64 = 0.8;

    /// A run with squares whose south-west corners are so many metres east and north of a place.
    fn run(things: &[(&str, [f64; 2])], shown: [f64; 4]) -> ComparedRun {
        let frame = LocalFrame::at([5.1, 52.0, 0.0]);
        let ring = |[west, south, east, north]: [f64; 4]| {
            let corners = [[west, south], [east, south], [east, north], [west, north], [west, south]];
            let lonlat = |[east, north]: [f64; 2]| {
                let [lon, lat, _] = frame.to_lonlat([east, north, 0.0]);
                [lon, lat]
            };
            corners.map(lonlat).to_vec()
        };
        let place = |(number, (class, [x, y])): (usize, &(&str, [f64; 2]))| Place {
            number: number as i32,
            class: (*class).to_owned(),
            ring: ring([*x, *y, x + SIDE_M, y + SIDE_M]),
        };
        ComparedRun {
            key: 0,
            digest: String::new(),
            footprint: ring(shown),
            ends_at: DateTime::UNIX_EPOCH,
            places: things.iter().enumerate().map(place).collect(),
        }
    }

    const ALL: [f64; 4] = [-100.0, -100.0, 200.0, 200.0];

    fn kinds(comparison: &Comparison) -> Vec<(&str, Option<i32>, Option<i32>)> {
        comparison.changes.iter().map(|change| (change.kind, change.before, change.after)).collect()
    }

    fn shifted<'a>(things: &[(&'a str, [f64; 2])], by: [f64; 2]) -> Vec<(&'a str, [f64; 2])> {
        things.iter().map(|(class, [x, y])| (*class, [x + by[0], y + by[1]])).collect()
    }

    #[test]
    fn what_is_there_came_went_and_moved_is_told_across_a_shift_of_the_orthophotos() {
        let was = [
            ("trap", [0.0, 0.0]),
            ("trap", [12.0, 3.0]),
            ("trap", [30.0, 40.0]),
            ("damage", [55.0, 9.0]),
            ("trap", [70.0, 70.0]),
            ("damage", [20.0, 80.0]),
            ("trap", [90.0, 10.0]),
        ];
        let mut is = shifted(&was, [2.1, -1.4]);
        is[2].1[0] += 1.9; // moved
        is.remove(4); // gone
        is.push(("trap", [40.0, 60.0])); // new
        let comparison = compare(&run(&was, ALL), &run(&is, ALL), CompareOptions::default());
        assert!((comparison.shift_m[0] - 2.1).abs() < 0.01 && (comparison.shift_m[1] + 1.4).abs() < 0.01);
        assert_eq!(
            kinds(&comparison),
            [
                ("persisting", Some(0), Some(0)),
                ("persisting", Some(1), Some(1)),
                ("moved", Some(2), Some(2)),
                ("persisting", Some(3), Some(3)),
                ("gone", Some(4), None),
                ("persisting", Some(5), Some(4)),
                ("persisting", Some(6), Some(5)),
                ("new", None, Some(6)),
            ]
        );
        assert!((comparison.changes[2].distance_m.unwrap() - 1.9).abs() < 0.02);
    }

    #[test]
    fn nothing_is_said_of_a_place_that_the_other_orthophoto_does_not_show() {
        let was = [("trap", [0.0, 0.0]), ("trap", [60.0, 0.0])];
        let is = [("trap", [0.0, 0.0]), ("trap", [0.0, 60.0])];
        let comparison = compare(
            &run(&was, [-10.0, -10.0, 80.0, 10.0]),
            &run(&is, [-10.0, -10.0, 10.0, 80.0]),
            CompareOptions::default(),
        );
        assert_eq!(kinds(&comparison), [("persisting", Some(0), Some(0))]);
        assert_eq!((comparison.outside_before, comparison.outside_after), (1, 1));
    }

    #[test]
    fn two_things_that_moved_alike_are_no_shift_and_classes_do_not_mix() {
        let was = [("trap", [0.0, 0.0]), ("trap", [20.0, 0.0]), ("damage", [40.0, 0.0])];
        let is = [("trap", [2.0, 0.0]), ("trap", [22.0, 0.0]), ("trap", [40.0, 0.0])];
        let comparison = compare(&run(&was, ALL), &run(&is, ALL), CompareOptions::default());
        assert_eq!((comparison.shift_pairs, comparison.shift_m), (0, [0.0, 0.0]));
        let kinds: Vec<&str> = comparison.changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, ["moved", "moved", "gone", "new"]);
    }

    #[test]
    fn many_things_close_together_are_matched_one_to_one() {
        let was: Vec<(&str, [f64; 2])> = (0..400)
            .map(|i| ("trap", [f64::from(i % 20) * 1.5, f64::from(i / 20) * 1.7 + f64::from(i % 7) * 0.1]))
            .collect();
        let is = shifted(&was, [0.6, 0.5]);
        let comparison = compare(&run(&was, ALL), &run(&is, ALL), CompareOptions::default());
        assert!(comparison.changes.iter().all(|change| change.kind == "persisting" && change.before == change.after));
        let none = compare(&run(&[], ALL), &run(&is, ALL), CompareOptions::default());
        assert_eq!(none.changes.len(), 400);
    }
}
