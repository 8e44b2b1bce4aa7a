//! Which photos share tie points.

use super::residuals::Sightings;

/// Which pairs of photos share a tie point, and where their block is kept.
///
/// For each photo a row of slots for the later photos, from the first to the last that it shares a point with:
/// neighbours in time are neighbours in number, so rows are short where flights are long.
pub struct PairIndex {
    rows: Vec<(u32, Vec<u32>)>,
    count: usize,
}

const NONE: u32 = u32::MAX;

impl PairIndex {
    pub fn new(photos: usize, sightings: &Sightings) -> Self {
        let mut ends = vec![(u32::MAX, 0u32); photos];
        let each = |visit: &mut dyn FnMut(u32, u32)| {
            for point in 0..sightings.points() {
                let seen = &sightings.photos[sightings.of_point(point)];
                for (index, a) in seen.iter().enumerate() {
                    seen[index + 1..].iter().for_each(|b| visit(*a, *b));
                }
            }
        };
        each(&mut |a, b| {
            let (first, last) = &mut ends[a as usize];
            (*first, *last) = ((*first).min(b), (*last).max(b));
        });
        let row = |(first, last): (u32, u32)| (first, vec![NONE; (last + 1).saturating_sub(first) as usize]);
        let mut rows: Vec<(u32, Vec<u32>)> = ends.into_iter().map(row).collect();
        each(&mut |a, b| {
            let (first, slots) = &mut rows[a as usize];
            slots[(b - *first) as usize] = 0;
        });
        let mut count = 0;
        for slot in rows.iter_mut().flat_map(|(_, slots)| slots).filter(|slot| **slot == 0) {
            *slot = count;
            count += 1;
        }
        Self { rows, count: count as usize }
    }

    /// How many pairs there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub fn slot(&self, earlier: u32, later: u32) -> usize {
        let (first, slots) = &self.rows[earlier as usize];
        slots[(later - first) as usize] as usize
    }

    /// The pairs, earlier photo first, with their slots.
    pub fn pairs(&self) -> impl Iterator<Item = ((usize, usize), usize)> {
        self.rows.iter().enumerate().flat_map(|(earlier, (first, slots))| {
            let used = slots.iter().enumerate().filter(|(_, slot)| **slot != NONE);
            used.map(move |(index, slot)| ((earlier, *first as usize + index), *slot as usize))
        })
    }
}
