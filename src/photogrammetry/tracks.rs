//! Joins the matches of pairs into tracks: one ground point and where each photo saw it.
//!
//! Union-find over keypoints. A union that would give a track two places in one photo is refused, and
//! the pairs with the most matches are joined first, so that a wrong match loses against the consistent ones.
//!
//! Invariant: a track sees a photo at most once, and its observations are ordered by photo.

use std::collections::BTreeMap;

use super::matching::PairMatches;

/// One keypoint of one photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    pub photo: u32,
    pub keypoint: u32,
}

/// The sightings of one ground point, ordered by photo.
pub type Track = Vec<Sighting>;

/// Builds the tracks of at least two photos. `counts` is the number of keypoints of each photo.
pub fn build_tracks(counts: &[usize], pairs: &[PairMatches]) -> Vec<Track> {
    let mut first_of = Vec::with_capacity(counts.len());
    let mut total = 0usize;
    for count in counts {
        first_of.push(total);
        total += count;
    }
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(pairs[index].matches.len()), index));

    let mut forest = Forest::new(total);
    for pair in order.into_iter().map(|index| &pairs[index]) {
        for &[i, j] in &pair.matches {
            let a = Sighting { photo: pair.first as u32, keypoint: i };
            let b = Sighting { photo: pair.second as u32, keypoint: j };
            forest.join(first_of[pair.first] + i as usize, a, first_of[pair.second] + j as usize, b);
        }
    }
    forest.into_tracks()
}

/// Disjoint sets of keypoints; the members of a set are kept with its root.
struct Forest {
    parent: Vec<u32>,
    members: BTreeMap<u32, Track>,
}

impl Forest {
    fn new(total: usize) -> Self {
        Self { parent: (0..total as u32).collect(), members: BTreeMap::new() }
    }

    fn root(&mut self, node: usize) -> u32 {
        let mut node = node as u32;
        while self.parent[node as usize] != node {
            let grandparent = self.parent[self.parent[node as usize] as usize];
            self.parent[node as usize] = grandparent;
            node = grandparent;
        }
        node
    }

    fn join(&mut self, a: usize, sighting_a: Sighting, b: usize, sighting_b: Sighting) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        if root_a == root_b {
            return;
        }
        let mut track_a = self.members.remove(&root_a).unwrap_or_else(|| vec![sighting_a]);
        let mut track_b = self.members.remove(&root_b).unwrap_or_else(|| vec![sighting_b]);
        if share_a_photo(&track_a, &track_b) {
            self.members.insert(root_a, track_a);
            self.members.insert(root_b, track_b);
            return;
        }
        track_a.append(&mut track_b);
        track_a.sort_unstable();
        let (root, child) = (root_a.min(root_b), root_a.max(root_b));
        self.parent[child as usize] = root;
        self.members.insert(root, track_a);
    }

    fn into_tracks(self) -> Vec<Track> {
        self.members.into_values().filter(|track| track.len() > 1).collect()
    }
}

fn share_a_photo(a: &[Sighting], b: &[Sighting]) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].photo.cmp(&b[j].photo) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

/// The sets of photos that pairs connect, the largest first; indices within a set go up.
pub fn connected_sets(photos: usize, pairs: &[PairMatches]) -> Vec<Vec<usize>> {
    let mut group: Vec<usize> = (0..photos).collect();
    // As many rounds as the longest chain needs; a few in practice.
    loop {
        let before = group.clone();
        for pair in pairs.iter().filter(|pair| !pair.matches.is_empty()) {
            let lower = group[pair.first].min(group[pair.second]);
            group[pair.first] = lower;
            group[pair.second] = lower;
        }
        if group == before {
            break;
        }
    }
    let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (photo, group) in group.into_iter().enumerate() {
        sets.entry(group).or_default().push(photo);
    }
    let mut sets: Vec<Vec<usize>> = sets.into_values().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(first: usize, second: usize, matches: &[[u32; 2]]) -> PairMatches {
        PairMatches { first, second, matches: matches.to_vec() }
    }

    #[test]
    fn matches_over_three_photos_become_one_track() {
        let tracks = build_tracks(&[5, 5, 5], &[pair(0, 1, &[[2, 3]]), pair(1, 2, &[[3, 4]])]);
        let expected: Track = [(0, 2), (1, 3), (2, 4)].map(|(photo, keypoint)| Sighting { photo, keypoint }).to_vec();
        assert_eq!(tracks, vec![expected]);
    }

    #[test]
    fn a_track_never_sees_a_photo_twice() {
        // Keypoint 0 of photo 2 is claimed by keypoints 0 and 1 of photo 0 through photo 1.
        let pairs = [pair(0, 1, &[[0, 0], [4, 4]]), pair(1, 2, &[[0, 0], [4, 4]]), pair(0, 2, &[[1, 0]])];
        let tracks = build_tracks(&[5, 5, 5], &pairs);
        for track in &tracks {
            assert!(track.windows(2).all(|w| w[0].photo < w[1].photo), "{track:?}");
        }
        assert!(tracks.iter().any(|track| track.len() == 3 && track[0].keypoint == 0));
    }

    #[test]
    fn photos_that_pairs_connect_are_a_set() {
        let pairs = [pair(0, 1, &[[0, 0]]), pair(3, 4, &[[0, 0]]), pair(4, 5, &[[0, 0]]), pair(1, 2, &[])];
        assert_eq!(connected_sets(6, &pairs), [vec![3, 4, 5], vec![0, 1], vec![2]]);
    }
}
