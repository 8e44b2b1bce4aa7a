//! One photo under two names.

use std::{collections::HashMap, fs};

use super::{super::kept::Key, PhotoInput};

/// For each photo the earlier one with the same bytes, if there is one.
///
/// Only photos of one length, time and place are read: two exposures never have all three.
pub(super) fn find(inputs: &[PhotoInput]) -> Vec<Option<usize>> {
    let mut alike: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, input) in inputs.iter().enumerate() {
        let Ok(about) = fs::metadata(&input.path) else { continue };
        let place = input.metadata.lonlat.map(|place| place.map(f64::to_bits));
        alike.entry((about.len(), input.metadata.taken_at, place)).or_default().push(index);
    }
    let mut twins = vec![None; inputs.len()];
    for group in alike.into_values().filter(|group| group.len() > 1) {
        let mut seen: Vec<(Key, usize)> = Vec::new();
        for index in group {
            let Ok(key) = Key::of_file(&inputs[index].path) else { continue };
            match seen.iter().find(|(other, _)| *other == key) {
                Some((_, first)) => twins[index] = Some(*first),
                None => seen.push((key, index)),
            }
        }
    }
    twins
}
