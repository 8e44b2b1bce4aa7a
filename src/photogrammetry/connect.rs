//! Which photos show the same ground: their keypoints, and the matches.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;

use super::{
    error::{self, Error},
    kept::{Kept, Key},
    keypoints::{KeypointOptions, Keypoints, ShelvedKeypoints, detect_keypoints},
    look::{Look, blurred},
    matching::{PairMatches, match_pair},
    pairs::choose_pairs,
    photos::{Aside, Flight, Photo},
    reduced::Small,
    shelf::Shelf,
    sweep::Pyramid,
};

/// A photo with fewer keypoints shows nothing to hold on to: water, snow, blur.
const FEWEST_KEYPOINTS: usize = 100;
/// Memory for keypoint pyramids, which bounds how many photos are looked at side by side.
const PYRAMID_BYTES: usize = 700 << 20;

/// How photos are looked at: each is decoded once for everything that is made of it as a whole.
pub struct Workbench<'a> {
    pub kept: &'a Kept,
    pub shelf: &'a Arc<Shelf>,
    /// Of the small copies; see [`super::reduced`].
    pub factor: usize,
    /// Whether there will be a sweep, which wants the photos grey.
    pub pyramids: bool,
}

/// Detects the keypoints of all photos, and says what each was made of; photos that do not decode or show nothing are
/// rejected.
pub fn find_keypoints(
    flight: &mut Flight,
    bench: &Workbench,
    tell: &(dyn Fn(f64) + Sync),
) -> (Vec<ShelvedKeypoints>, Vec<Key>) {
    let finished = AtomicUsize::new(0);
    let find = |photo: &Photo| {
        let found = bench.look_at(photo, flight);
        let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
        tell(count as f64 / flight.photos.len() as f64);
        found
    };
    let threads = side_by_side(flight);
    let mut found: Vec<Result<Looked, String>> = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(|| flight.photos.par_iter().map(find).collect()),
        Err(_) => flight.photos.iter().map(find).collect(),
    };
    reject_blurred(flight, &mut found);
    let keep: Vec<bool> = found.iter().map(Result::is_ok).collect();
    let faults: std::collections::HashMap<String, String> = flight
        .photos
        .iter()
        .zip(&found)
        .filter_map(|(photo, result)| Some((photo.name.clone(), result.as_ref().err()?.clone())))
        .collect();
    flight.keep(&keep, |photo| faults[&photo.name].clone());
    let found = flight.photos.iter_mut().zip(found.into_iter().flatten());
    found
        .map(|(photo, looked)| {
            photo.aside = looked.aside;
            (looked.keypoints, looked.key)
        })
        .unzip()
}

/// How a photo looks, its keypoints, what they were made of, and what else was made of it.
struct Looked {
    look: Look,
    keypoints: ShelvedKeypoints,
    key: Key,
    aside: Aside,
}

/// Rejects the photos that are blurred beside the others; only all of them together tell.
fn reject_blurred(flight: &Flight, found: &mut [Result<Looked, String>]) {
    let (mut places, mut looks) = (Vec::new(), Vec::new());
    for (index, (photo, found)) in flight.photos.iter().zip(found.iter()).enumerate() {
        if let Ok(Looked { look, keypoints, .. }) = found {
            places.push(index);
            looks.push((photo.camera, *look, keypoints.count));
        }
    }
    for (index, fault) in places.into_iter().zip(blurred(&looks)) {
        if let Some(fault) = fault {
            found[index] = Err(fault);
        }
    }
}

/// How many pyramids fit the memory at once.
fn side_by_side(flight: &Flight) -> usize {
    let pixels = flight.cameras.iter().map(|c| (c.prior.width_px * c.prior.height_px) as usize).max().unwrap_or(1);
    // Eight single-precision images of four times the pixels of a photo that is no longer than the limit.
    let one = 8 * 4 * 4 * pixels.min(4 << 20);
    (PYRAMID_BYTES / one).clamp(1, rayon::current_num_threads())
}

impl Workbench<'_> {
    fn look_at(&self, photo: &Photo, flight: &Flight) -> Result<Looked, String> {
        let mut pyramid = None;
        let mut make = || {
            let (look, keypoints, small, grey) = self.decode_and_look(photo)?;
            pyramid = grey.and_then(|grey| grey.put_aside(self.shelf));
            Ok::<_, String>((look, keypoints, small))
        };
        let named = Key::of(&photo.name);
        let ((look, keypoints, small), key) = match self.kept.is_open().then(|| Key::of_file(&photo.path)) {
            Some(Ok(file)) => {
                let options = KeypointOptions::default();
                let prior = flight.cameras[photo.camera].prior;
                let key = Key::of(&(file, prior, photo.mirrored, options, self.factor));
                (self.kept.get("keypoints", &key, make)?, key)
            }
            // Reading it will say what is wrong, if that is still so.
            Some(Err(_)) | None => (make()?, named),
        };
        let keypoints = ShelvedKeypoints::of(keypoints, self.shelf);
        let aside = Aside { copy: Some(small.put_aside(self.shelf)), pyramid };
        Ok(Looked { look, keypoints, key, aside })
    }

    fn decode_and_look(&self, photo: &Photo) -> Result<(Look, Keypoints, Small, Option<Pyramid>), String> {
        let picture = photo.read().map_err(|error| match error {
            Error::PhotoGone { source, .. } => source.to_string(),
            Error::PhotoChanged { was, is, .. } => {
                format!("it has {} × {} pixels but its metadata says {} × {}", is[0], is[1], was[0], was[1])
            }
            other => other.to_string(),
        })?;
        let look = Look::of(&picture);
        if let Some(fault) = look.fault() {
            return Err(fault);
        }
        let keypoints = detect_keypoints(&picture, &KeypointOptions::default());
        if keypoints.points.len() < FEWEST_KEYPOINTS {
            return Err(format!(
                "only {} keypoints were found: it is blurred, or shows water or snow",
                keypoints.points.len()
            ));
        }
        let pyramid = self.pyramids.then(|| Pyramid::of(&picture));
        Ok((look, keypoints, Small::of(&picture, self.factor), pyramid))
    }
}

/// Matches the photos that may overlap; `keys` say what their keypoints were made of.
///
/// # Errors
/// [`Error::Shelf`] when the disk does not give keypoints back.
pub fn match_photos(
    flight: &Flight,
    keypoints: &[ShelvedKeypoints],
    keys: &[Key],
    kept: &Kept,
    tell: &(dyn Fn(f64) + Sync),
) -> error::Result<Vec<PairMatches>> {
    let pairs = choose_pairs(flight);
    let finished = AtomicUsize::new(0);
    let longest = |photo: usize| {
        let camera = &flight.cameras[flight.photos[photo].camera].prior;
        camera.width_px.max(camera.height_px)
    };
    let match_both = |&(i, j): &(usize, usize), first: &Keypoints| {
        let pair = match_pair(i, j, first, &keypoints[j].whole()?, longest(i).max(longest(j)));
        let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
        tell(count as f64 / pairs.len() as f64);
        Ok(pair)
    };
    let match_all = |pairs: &[(usize, usize)]| {
        let first = keypoints[pairs[0].0].whole()?;
        pairs.par_iter().map(|pair| match_both(pair, &first)).collect::<error::Result<Vec<_>>>()
    };
    // A photo's pairs are kept together.
    let of_photos: Vec<&[(usize, usize)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    let matched = of_photos.par_iter().map(|pairs| {
        let made_of: Vec<_> =
            pairs.iter().map(|&(i, j)| ((i, keys[i], longest(i)), (j, keys[j], longest(j)))).collect();
        kept.get("matches", &made_of, || match_all(pairs))
    });
    let matched: Vec<Vec<PairMatches>> = matched.collect::<error::Result<_>>()?;
    Ok(matched.into_iter().flatten().filter(|pair| !pair.matches.is_empty()).collect())
}

/// Undoes the mirroring of photos whose EXIF orientation says that they are stored mirrored but that match none of the others
/// so: the orientation was written by a program that never touched the pixels. Returns the pairs, matched again if need be.
///
/// # Errors
/// Those of [`match_photos`].
pub fn settle_mirrors(
    flight: &mut Flight,
    keypoints: &mut [ShelvedKeypoints],
    keys: &mut [Key],
    pairs: Vec<PairMatches>,
    bench: &Workbench,
    tell: &(dyn Fn(f64) + Sync),
) -> error::Result<Vec<PairMatches>> {
    let mirrored: Vec<bool> = flight.photos.iter().map(|photo| photo.mirrored).collect();
    let tied = |pairs: &[PairMatches]| pairs.iter().any(|pair| mirrored[pair.first] != mirrored[pair.second]);
    if !mirrored.contains(&true) || !mirrored.contains(&false) || tied(&pairs) {
        return Ok(pairs);
    }
    let before = flight.photos.clone();
    let (mut other_keypoints, mut other_keys) = (keypoints.to_vec(), keys.to_vec());
    for index in (0..mirrored.len()).filter(|&index| mirrored[index]) {
        flight.photos[index].mirrored = false;
        if let Ok(looked) = bench.look_at(&flight.photos[index], flight) {
            (other_keypoints[index], other_keys[index]) = (looked.keypoints, looked.key);
            flight.photos[index].aside = looked.aside;
        }
    }
    let others = match_photos(flight, &other_keypoints, &other_keys, bench.kept, tell)?;
    if !tied(&others) {
        flight.photos = before;
        return Ok(pairs);
    }
    keypoints.clone_from_slice(&other_keypoints);
    keys.copy_from_slice(&other_keys);
    let count = mirrored.iter().filter(|mirrored| **mirrored).count();
    flight.notes.push(format!("the EXIF orientation of {count} photos says that they are mirrored, and they are not"));
    Ok(others)
}

/// Drops photos with their keypoints and pairs, and renumbers the rest.
pub fn drop_photos(
    flight: &mut Flight,
    keypoints: &mut Vec<ShelvedKeypoints>,
    pairs: &mut Vec<PairMatches>,
    keep: &[bool],
    reason: impl Fn(&Photo) -> String,
) {
    flight.keep(keep, reason);
    let mut kept = keep.iter();
    keypoints.retain(|_| kept.next().copied().unwrap_or(true));
    let mut renumbered = Vec::with_capacity(keep.len());
    let mut next = 0;
    for kept in keep {
        renumbered.push(kept.then_some(next));
        next += usize::from(*kept);
    }
    pairs.retain_mut(|pair| match (renumbered[pair.first], renumbered[pair.second]) {
        (Some(first), Some(second)) => {
            (pair.first, pair.second) = (first, second);
            true
        }
        _ => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photogrammetry::photos::Rejected;

    #[test]
    fn dropped_photos_leave_no_pair_behind() {
        let mut pairs = vec![
            PairMatches { first: 0, second: 1, matches: vec![[0, 0]] },
            PairMatches { first: 1, second: 2, matches: vec![[0, 0]] },
            PairMatches { first: 2, second: 3, matches: vec![[0, 0]] },
        ];
        let mut flight = Flight {
            frame: crate::spatial::LocalFrame::at([5.0, 52.0, 0.0]),
            origin: [5.0, 52.0, 0.0],
            photos: ["a", "b", "c", "d"].map(photo).to_vec(),
            cameras: Vec::new(),
            sorties: 1,
            rejected: Vec::new(),
            notes: Vec::new(),
        };
        let mut keypoints = vec![ShelvedKeypoints::of(Keypoints::default(), &Arc::default()); 4];
        drop_photos(&mut flight, &mut keypoints, &mut pairs, &[true, false, true, true], |_| "blurred".to_owned());
        assert_eq!(flight.rejected, [Rejected { name: "b".to_owned(), reason: "blurred".to_owned() }]);
        assert_eq!((keypoints.len(), pairs.len(), pairs[0].first, pairs[0].second), (3, 1, 1, 2));
    }

    fn photo(name: &str) -> Photo {
        Photo {
            name: name.to_owned(),
            path: name.into(),
            size: [400, 300],
            mirrored: false,
            camera: 0,
            sortie: 0,
            gps: None,
            attitude: None,
            relative_altitude_m: None,
            taken_at_s: None,
            aside: Aside::default(),
        }
    }
}
