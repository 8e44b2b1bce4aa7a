//! Leaves one box where chips, or cells of one chip, saw the same thing several times.
//!
//! Shapes are compared in raster pixels. An affine map keeps ratios of areas, so for every geotransform,
//! rotated ones too, this decides exactly as it would in ground units.
//!
//! Only what hangs together is compared: boxes of one class that overlap, and those that overlap these. Such a group is
//! complete once no later chip can reach it, so a [`Merger`] settles a raster band by band and holds no more than
//! the groups at the front. Who overlaps whom is found by place, so the time grows with the number of boxes.

use rstar::{
    AABB, RTree,
    primitives::{GeomWithData, Rectangle},
};

use super::{PixelBox, Seen};

/// Share of the smaller box inside the larger one above which the two are taken for one thing. Half a trap
/// lies inside the whole one completely, however low their IoU is.
const CONTAINED: f64 = 0.8;

/// Overlap, at right angles to the border, above which two cut pieces belong together.
const SAME_PIECE: f64 = 0.5;

/// Up to so many candidates are compared one by one; an R-tree pays beyond.
const FEW: usize = 24;

/// Something on the raster, in raster pixels, and how it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub seen: Seen,
    /// Number of the chip that saw it.
    pub chip: usize,
    /// Whether it ends at the border of its chip though the raster goes on: it may be a part of something larger.
    pub cut: bool,
}

/// Removes duplicates on one chip: of shapes of one class whose IoU passes `iou`, the most confident stays.
///
/// Non-maximum suppression, greedy, by class. The rest comes back best first.
pub fn suppress<S: Into<Seen>>(boxes: Vec<S>, iou: f64) -> Vec<Seen> {
    let candidates = boxes.into_iter().map(|seen| Candidate { seen: seen.into(), chip: 0, cut: false }).collect();
    merge(candidates, iou).into_iter().map(|candidate| candidate.seen).collect()
}

/// Removes duplicates across chips.
///
/// Whole boxes come before cut ones, then the more confident first; each that stays removes those of its class
/// that overlap it by more than `iou`, and those of other chips that lie inside it or around it. Two cut pieces
/// of one thing that is larger than the overlap of its chips become one box first.
///
/// The result, best first, does not depend on the order of the candidates.
pub fn merge(candidates: Vec<Candidate>, iou: f64) -> Vec<Candidate> {
    let mut merger = Merger::new(iou);
    merger.add(candidates);
    merger.finish()
}

/// Removes duplicates while a raster is searched from the top to the bottom; gives what [`merge`] gives for all at once.
#[derive(Debug)]
pub struct Merger {
    iou: f64,
    open: Vec<Candidate>,
    settled: Vec<Candidate>,
}

impl Merger {
    pub const fn new(iou: f64) -> Self {
        Self { iou, open: Vec::new(), settled: Vec::new() }
    }

    pub fn add(&mut self, mut candidates: Vec<Candidate>) {
        self.open.append(&mut candidates);
    }

    /// Settles every group that ends above a row of the raster, which nothing added later may reach beyond.
    pub fn settle_above(&mut self, row: f64) {
        let mut open: Vec<Option<Candidate>> = std::mem::take(&mut self.open).into_iter().map(Some).collect();
        let (order, ends) = groups(&open);
        let mut start = 0;
        for end in ends {
            let group: Vec<Candidate> = order[start..end].iter().filter_map(|&i| open[i as usize].take()).collect();
            start = end;
            if group.iter().any(|candidate| candidate.seen.found.bottom >= row) {
                self.open.extend(group);
            } else {
                merge_group(group, self.iou, &mut self.settled);
            }
        }
    }

    /// Returns what stays, best first.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.settle_above(f64::INFINITY);
        sort(&mut self.settled);
        self.settled
    }
}

/// Sorts candidates by what hangs together: their numbers, group by group, and where each group ends.
fn groups(candidates: &[Option<Candidate>]) -> (Vec<u32>, Vec<usize>) {
    let boxes: Vec<&PixelBox> = candidates.iter().flatten().map(|candidate| &candidate.seen.found).collect();
    let mut parent: Vec<u32> = (0..boxes.len() as u32).collect();
    for_overlapping(&boxes, |i, j| {
        if boxes[i].class == boxes[j].class {
            let (a, b) = (root(&mut parent, i), root(&mut parent, j));
            parent[a.max(b)] = a.min(b) as u32;
        }
    });
    let roots: Vec<u32> = (0..boxes.len()).map(|i| root(&mut parent, i) as u32).collect();
    let mut order: Vec<u32> = (0..boxes.len() as u32).collect();
    order.sort_unstable_by_key(|&i| (roots[i as usize], i));
    let same_group = |a: &u32, b: &u32| roots[*a as usize] == roots[*b as usize];
    let ends = order.chunk_by(same_group).scan(0, |end, group| {
        *end += group.len();
        Some(*end)
    });
    let ends = ends.collect();
    (order, ends)
}

/// Calls `pair` at least once for every two boxes that touch.
///
/// The plane is cut into strips twice as high as the boxes are on average, so that a box is in two or three of them; in each, boxes
/// are met from left to right. That took half the time of an R-tree for a million boxes, which differ little in size.
fn for_overlapping(boxes: &[&PixelBox], mut pair: impl FnMut(usize, usize)) {
    let mean = boxes.iter().map(|b| b.bottom - b.top).sum::<f64>() / boxes.len().max(1) as f64;
    let strip = (2.0 * mean).max(1.0);
    let mut entries: Vec<(i32, f32, u32)> = Vec::with_capacity(boxes.len() * 2);
    for (i, b) in boxes.iter().enumerate() {
        let [first, last] = [b.top, b.bottom].map(|row| (row / strip).floor() as i32);
        entries.extend((first..=last).map(|strip| (strip, b.left as f32, i as u32)));
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    for (at, &(strip, _, i)) in entries.iter().enumerate() {
        let one = boxes[i as usize];
        // Rounded up, as the left sides that it is compared with may have been rounded.
        let right = (one.right as f32).next_up();
        for &(_, _, j) in entries[at + 1..].iter().take_while(|(other, left, _)| *other == strip && *left <= right) {
            let other = boxes[j as usize];
            let touches = one.left <= other.right && other.left <= one.right && one.top <= other.bottom;
            if touches && other.top <= one.bottom {
                pair(i as usize, j as usize);
            }
        }
    }
}

fn root(parent: &mut [u32], mut at: usize) -> usize {
    while parent[at] as usize != at {
        parent[at] = parent[parent[at] as usize];
        at = parent[at] as usize;
    }
    at
}

/// Adds to `settled` what stays of candidates of one class.
fn merge_group(mut group: Vec<Candidate>, iou: f64, settled: &mut Vec<Candidate>) {
    if group.len() > 1 {
        sort(&mut group);
        join_pieces(&mut group);
        group.sort_by_key(|candidate| candidate.cut);
        let removed = suppressed(&group, iou);
        keep(&mut group, &removed);
    }
    settled.append(&mut group);
}

/// Tells of each candidate whether one before it, that stays, removes it.
fn suppressed(group: &[Candidate], iou: f64) -> Vec<bool> {
    let tree = (group.len() > FEW).then(|| index(group));
    let mut removed = vec![false; group.len()];
    for (i, best) in group.iter().enumerate() {
        if removed[i] {
            continue;
        }
        let mut judge = |j: usize| {
            if j > i && !removed[j] {
                removed[j] = same(best, &group[j], iou);
            }
        };
        match &tree {
            Some(tree) => neighbours(tree, &best.seen.found).for_each(&mut judge),
            None => (i + 1..group.len()).for_each(&mut judge),
        }
    }
    removed
}

fn same(best: &Candidate, other: &Candidate, iou: f64) -> bool {
    best.seen.found.shared_area(&other.seen.found) > 0.0
        && (best.seen.iou(&other.seen) > iou
            || best.chip != other.chip && best.seen.containment(&other.seen) > CONTAINED)
}

/// Sorts by confidence, then by everything else, so that equals too have one order.
fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let key = |c: &Candidate| [c.seen.found.top, c.seen.found.left, c.seen.found.bottom, c.seen.found.right];
        let by_place = || key(a).iter().zip(key(b)).map(|(x, y)| x.total_cmp(&y)).find(|order| order.is_ne());
        b.seen
            .found
            .confidence
            .total_cmp(&a.seen.found.confidence)
            .then_with(|| by_place().unwrap_or(std::cmp::Ordering::Equal))
            .then_with(|| (a.seen.found.class, a.chip).cmp(&(b.seen.found.class, b.chip)))
    });
}

/// Joins cut pieces of one class from different chips that continue each other; the union takes the higher confidence.
fn join_pieces(candidates: &mut Vec<Candidate>) {
    if candidates.iter().filter(|candidate| candidate.cut).count() < 2 {
        return;
    }
    let mut gone = vec![false; candidates.len()];
    // Each pass joins pairs; a thing across many chips grows by one piece a pass, until nothing changes.
    loop {
        let tree = index(candidates);
        let mut changed = false;
        for i in 0..candidates.len() {
            if gone[i] || !candidates[i].cut {
                continue;
            }
            let reach = candidates[i].seen.found;
            let mut pieces: Vec<usize> = neighbours(&tree, &reach).filter(|&j| j != i && !gone[j]).collect();
            pieces.sort_unstable();
            for j in pieces {
                if continues(&candidates[i], &candidates[j]) {
                    candidates[i].seen = candidates[i].seen.joined(&candidates[j].seen);
                    gone[j] = true;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    keep(candidates, &gone);
}

fn continues(a: &Candidate, b: &Candidate) -> bool {
    let overlap = |a: [f64; 2], b: [f64; 2]| {
        let shared = a[1].min(b[1]) - a[0].max(b[0]);
        (shared > 0.0).then(|| shared / (a[1].max(b[1]) - a[0].min(b[0])))
    };
    let (one, two) = (&a.seen.found, &b.seen.found);
    let across = overlap([one.left, one.right], [two.left, two.right]);
    let down = overlap([one.top, one.bottom], [two.top, two.bottom]);
    a.cut && b.cut && a.chip != b.chip && across.zip(down).is_some_and(|(across, down)| across.max(down) > SAME_PIECE)
}

fn keep(candidates: &mut Vec<Candidate>, without: &[bool]) {
    let mut without = without.iter();
    candidates.retain(|_| !without.next().expect("one flag for each candidate"));
}

type Indexed = GeomWithData<Rectangle<[f64; 2]>, u32>;

fn index(candidates: &[Candidate]) -> RTree<Indexed> {
    let rectangle = |b: &PixelBox| Rectangle::from_corners([b.left, b.top], [b.right, b.bottom]);
    let indexed = candidates.iter().enumerate().map(|(i, c)| GeomWithData::new(rectangle(&c.seen.found), i as u32));
    RTree::bulk_load(indexed.collect())
}

fn neighbours<'a>(tree: &'a RTree<Indexed>, around: &PixelBox) -> impl Iterator<Item = usize> + use<'a> {
    let reach = AABB::from_corners([around.left, around.top], [around.right, around.bottom]);
    tree.locate_in_envelope_intersecting(&reach).map(|found| found.data as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(chip: usize, corners: [f64; 4], confidence: f64) -> Candidate {
        let [left, top, right, bottom] = corners;
        let found = PixelBox { left, top, right, bottom, class: 0, confidence };
        Candidate { seen: found.into(), chip, cut: false }
    }

    #[test]
    fn the_most_confident_of_overlapping_boxes_stays() {
        let boxes = [([0.0, 0.0, 10.0, 10.0], 0.6), ([1.0, 0.0, 11.0, 10.0], 0.9), ([30.0, 0.0, 40.0, 10.0], 0.3)]
            .map(|(corners, confidence)| seen(0, corners, confidence).seen);
        let left = suppress(boxes.to_vec(), 0.5);
        assert_eq!(left.iter().map(|b| b.found.confidence).collect::<Vec<_>>(), [0.9, 0.3]);
    }

    #[test]
    fn classes_do_not_suppress_each_other() {
        let mut other = seen(0, [0.0, 0.0, 10.0, 10.0], 0.5);
        other.seen.found.class = 1;
        assert_eq!(merge(vec![seen(0, [0.0, 0.0, 10.0, 10.0], 0.9), other], 0.5).len(), 2);
    }

    #[test]
    fn a_half_seen_on_another_chip_gives_way_to_the_whole() {
        let mut half = seen(1, [0.0, 0.0, 4.0, 10.0], 0.95);
        half.cut = true;
        let whole = seen(2, [0.0, 0.0, 10.0, 10.0], 0.7);
        assert_eq!(merge(vec![half, whole.clone()], 0.5), [whole]);
    }

    #[test]
    fn a_small_thing_inside_a_large_one_on_the_same_chip_stays() {
        let left = merge(vec![seen(1, [0.0, 0.0, 50.0, 50.0], 0.7), seen(1, [5.0, 5.0, 15.0, 15.0], 0.9)], 0.5);
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn pieces_of_something_longer_than_the_overlap_become_one() {
        let piece = |chip, left, right, confidence| Candidate {
            cut: true,
            ..seen(chip, [left, 10.0, right, 30.0], confidence)
        };
        let pieces = vec![piece(1, 0.0, 100.0, 0.6), piece(2, 80.0, 180.0, 0.8), piece(3, 160.0, 240.0, 0.5)];
        let joined = merge(pieces, 0.5);
        assert_eq!(joined.len(), 1);
        let found = joined[0].seen.found;
        assert_eq!(([found.left, found.right], found.confidence), ([0.0, 240.0], 0.8));
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let boxes: Vec<_> = (0..60)
            .map(|i| {
                let at = f64::from(i * 37 % 50);
                seen(i as usize % 4, [at, at / 2.0, at + 12.0, at / 2.0 + 9.0], f64::from(i * 13 % 10) / 10.0)
            })
            .collect();
        let backwards: Vec<_> = boxes.iter().rev().cloned().collect();
        assert_eq!(merge(boxes, 0.5), merge(backwards, 0.5));
    }

    /// Boxes of all sizes, some cut, scattered over a raster 1000 pixels wide and high; the same for the same seed.
    fn scattered(seed: u64, count: u64) -> Vec<Candidate> {
        let dice = |i: u64, k: u64, below: u64| ((seed + i * 31 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % below;
        let one = |i: u64| {
            let [left, top] = [dice(i, 1, 960), dice(i, 2, 960)].map(|at| at as f64);
            let [width, height] = [dice(i, 3, 38) + 2, dice(i, 4, 38) + 2].map(|side| side as f64);
            let mut one = seen(
                (top / 100.0) as usize,
                [left, top, left + width, top + height],
                (dice(i, 5, 1000) + 1) as f64 / 1001.0,
            );
            one.seen.found.class = dice(i, 6, 2) as usize;
            one.cut = dice(i, 7, 4) == 0;
            one
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn band_by_band_gives_what_all_at_once_gives() {
        for seed in 0..20 {
            let all = scattered(seed, 400);
            let mut merger = Merger::new(0.5);
            for band in 0..10 {
                merger.add(all.iter().filter(|c| c.chip == band).cloned().collect());
                merger.settle_above((band + 1) as f64 * 100.0);
            }
            assert!(merger.open.is_empty() || merger.open.len() < 60, "{} are open at the end", merger.open.len());
            assert_eq!(merger.finish(), merge(all, 0.5), "seed {seed}");
        }
    }

    #[test]
    fn turned_boxes_that_cross_are_two_things() {
        let turned = |angle: f64, chip| Candidate {
            seen: super::super::decode::turned_box([50.0, 50.0], [60.0, 6.0], angle, 0, 0.9 - angle / 10.0),
            chip,
            cut: false,
        };
        assert_eq!(merge(vec![turned(0.8, 1), turned(-0.8, 2)], 0.5).len(), 2);
        assert_eq!(merge(vec![turned(0.8, 1), turned(0.82, 2)], 0.5).len(), 1);
    }
}
