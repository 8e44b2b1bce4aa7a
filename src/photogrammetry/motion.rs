//! How fast each camera flew when it took its photo, from where it was before and after.
//!
//! Needed for the shutters of most drones, which read a photo row by row: at 5 m/s and 30 ms the last row is taken 15 cm
//! farther on than the first.

use nalgebra::Vector3;

use super::bundle::Block;

/// Photos farther apart in time say nothing about the speed in between, seconds.
const LONGEST_GAP_S: f64 = 20.0;
/// Two ways that enclose more than this (as a cosine: 30°) have a turn between them.
const SAME_WAY: f64 = 0.87;

/// Sets the velocities of a block whose photos are about in their places and ordered by time within each flight.
///
/// Where a strip ends the way to the next photo goes round a corner; the faster of the two ways is the strip's.
pub fn set_velocities(block: &mut Block) {
    let mut flights: Vec<Vec<usize>> = vec![Vec::new(); block.altitude_offsets_m.len()];
    for (index, photo) in block.photos.iter().enumerate().filter(|(_, photo)| photo.taken_at_s.is_some()) {
        flights[photo.sortie].push(index);
    }
    for flight in flights {
        let ways: Vec<Option<Vector3<f64>>> = flight.windows(2).map(|two| way(block, two[0], two[1])).collect();
        for (at, &photo) in flight.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| ways[before]);
            let after = ways.get(at).copied().flatten();
            block.photos[photo].velocity = match (before, after) {
                (Some(a), Some(b)) if a.dot(&b) > SAME_WAY * a.norm() * b.norm() => 0.5 * (a + b),
                (Some(a), Some(b)) => [a, b][usize::from(b.norm() > a.norm())],
                (way, None) | (None, way) => way.unwrap_or_else(Vector3::zeros),
            };
        }
    }
}

/// The mean velocity between two photos of a flight.
fn way(block: &Block, from: usize, to: usize) -> Option<Vector3<f64>> {
    let (from, to) = (&block.photos[from], &block.photos[to]);
    let seconds = to.taken_at_s? - from.taken_at_s?;
    (0.1..LONGEST_GAP_S).contains(&seconds).then(|| (to.exterior.centre - from.exterior.centre) / seconds)
}
