//! Leaves one box where chips, or cells of one chip, saw the same thing several times.
//!
//! Boxes are compared in raster pixels. An affine map keeps ratios of areas, so for every geotransform,
//! rotated ones too, this decides exactly as it would in ground units.
//!
//! An R-tree finds the neighbours of a box, so the time grows with the number of boxes, not with its square.

use rstar::{
    AABB, RTree,
    primitives::{GeomWithData, Rectangle},
};

use super::PixelBox;

/// Share of the smaller box inside the larger one above which the two are taken for one thing. Half a trap
/// lies inside the whole one completely, however low their IoU is.
const CONTAINED: f64 = 0.8;

/// Overlap, at right angles to the border, above which two cut pieces belong together.
const SAME_PIECE: f64 = 0.5;

/// A box on the raster, in raster pixels, and how it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub found: PixelBox,
    /// Number of the chip that saw it.
    pub chip: usize,
    /// Whether it ends at the border of its chip though the raster goes on: it may be a part of something larger.
    pub cut: bool,
}

/// Removes duplicates on one chip: of boxes of one class whose IoU passes `iou`, the most confident stays.
///
/// Non-maximum suppression, greedy, by class. The rest comes back best first.
pub fn suppress(boxes: Vec<PixelBox>, iou: f64) -> Vec<PixelBox> {
    let candidates = boxes.into_iter().map(|found| Candidate { found, chip: 0, cut: false }).collect();
    merge(candidates, iou).into_iter().map(|candidate| candidate.found).collect()
}

/// Removes duplicates across chips.
///
/// Whole boxes come before cut ones, then the more confident first; each that stays removes those of its class
/// that overlap it by more than `iou`, and those of other chips that lie inside it or around it. Two cut pieces
/// of one thing that is larger than the overlap of its chips become one box first.
///
/// The result, best first, does not depend on the order of the candidates.
pub fn merge(mut candidates: Vec<Candidate>, iou: f64) -> Vec<Candidate> {
    sort(&mut candidates);
    join_pieces(&mut candidates);
    candidates.sort_by_key(|candidate| candidate.cut);
    let tree = index(&candidates);
    let mut removed = vec![false; candidates.len()];
    for (i, best) in candidates.iter().enumerate() {
        if removed[i] {
            continue;
        }
        for j in neighbours(&tree, &best.found).filter(|&j| j > i) {
            let other = &candidates[j];
            removed[j] |= best.found.class == other.found.class
                && (best.found.iou(&other.found) > iou
                    || best.chip != other.chip && best.found.containment(&other.found) > CONTAINED);
        }
    }
    keep(&mut candidates, &removed);
    sort(&mut candidates);
    candidates
}

/// Sorts by confidence, then by everything else, so that equals too have one order.
fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let key = |c: &Candidate| [c.found.top, c.found.left, c.found.bottom, c.found.right];
        let by_place = || key(a).iter().zip(key(b)).map(|(x, y)| x.total_cmp(&y)).find(|order| order.is_ne());
        b.found
            .confidence
            .total_cmp(&a.found.confidence)
            .then_with(|| by_place().unwrap_or(std::cmp::Ordering::Equal))
            .then_with(|| (a.found.class, a.chip).cmp(&(b.found.class, b.chip)))
    });
}

/// Joins cut pieces of one class from different chips that continue each other; the union takes the higher confidence.
fn join_pieces(candidates: &mut Vec<Candidate>) {
    let mut gone = vec![false; candidates.len()];
    // Each pass joins pairs; a thing across many chips grows by one piece a pass, until nothing changes.
    loop {
        let tree = index(candidates);
        let mut changed = false;
        for i in 0..candidates.len() {
            if gone[i] || !candidates[i].cut {
                continue;
            }
            let reach = candidates[i].found;
            let mut pieces: Vec<usize> = neighbours(&tree, &reach).filter(|&j| j != i && !gone[j]).collect();
            pieces.sort_unstable();
            for j in pieces {
                if continues(&candidates[i], &candidates[j]) {
                    candidates[i].found = union(&candidates[i].found, &candidates[j].found);
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
    let across = overlap([a.found.left, a.found.right], [b.found.left, b.found.right]);
    let down = overlap([a.found.top, a.found.bottom], [b.found.top, b.found.bottom]);
    a.cut
        && b.cut
        && a.chip != b.chip
        && a.found.class == b.found.class
        && across.zip(down).is_some_and(|(across, down)| across.max(down) > SAME_PIECE)
}

fn union(a: &PixelBox, b: &PixelBox) -> PixelBox {
    PixelBox {
        left: a.left.min(b.left),
        top: a.top.min(b.top),
        right: a.right.max(b.right),
        bottom: a.bottom.max(b.bottom),
        class: a.class,
        confidence: a.confidence.max(b.confidence),
    }
}

fn keep(candidates: &mut Vec<Candidate>, without: &[bool]) {
    let mut without = without.iter();
    candidates.retain(|_| !without.next().expect("one flag for each candidate"));
}

type Indexed = GeomWithData<Rectangle<[f64; 2]>, usize>;

fn index(candidates: &[Candidate]) -> RTree<Indexed> {
    let rectangle = |b: &PixelBox| Rectangle::from_corners([b.left, b.top], [b.right, b.bottom]);
    RTree::bulk_load(candidates.iter().enumerate().map(|(i, c)| GeomWithData::new(rectangle(&c.found), i)).collect())
}

fn neighbours<'a>(tree: &'a RTree<Indexed>, around: &PixelBox) -> impl Iterator<Item = usize> + use<'a> {
    let reach = AABB::from_corners([around.left, around.top], [around.right, around.bottom]);
    tree.locate_in_envelope_intersecting(&reach).map(|found| found.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(chip: usize, corners: [f64; 4], confidence: f64) -> Candidate {
        let [left, top, right, bottom] = corners;
        Candidate { found: PixelBox { left, top, right, bottom, class: 0, confidence }, chip, cut: false }
    }

    #[test]
    fn the_most_confident_of_overlapping_boxes_stays() {
        let boxes = [([0.0, 0.0, 10.0, 10.0], 0.6), ([1.0, 0.0, 11.0, 10.0], 0.9), ([30.0, 0.0, 40.0, 10.0], 0.3)]
            .map(|(corners, confidence)| seen(0, corners, confidence).found);
        let left = suppress(boxes.to_vec(), 0.5);
        assert_eq!(left.iter().map(|b| b.confidence).collect::<Vec<_>>(), [0.9, 0.3]);
    }

    #[test]
    fn classes_do_not_suppress_each_other() {
        let mut other = seen(0, [0.0, 0.0, 10.0, 10.0], 0.5);
        other.found.class = 1;
        assert_eq!(merge(vec![seen(0, [0.0, 0.0, 10.0, 10.0], 0.9), other], 0.5).len(), 2);
    }

    #[test]
    fn a_half_seen_on_another_chip_gives_way_to_the_whole() {
        let mut half = seen(1, [0.0, 0.0, 4.0, 10.0], 0.95);
        half.cut = true;
        let whole = seen(2, [0.0, 0.0, 10.0, 10.0], 0.7);
        assert_eq!(merge(vec![half, whole], 0.5), [whole]);
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
        let found = joined[0].found;
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
        let backwards: Vec<_> = boxes.iter().rev().copied().collect();
        assert_eq!(merge(boxes, 0.5), merge(backwards, 0.5));
    }
}
