//! Which photos show the same ground: their keypoints, and the matches.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{
    kept::{Kept, Key},
    keypoints::{KeypointOptions, Keypoints, detect_keypoints},
    matching::{PairMatches, match_pair},
    pairs::choose_pairs,
    photos::{Flight, Photo},
};
use crate::raster::read_photo;

/// A photo with fewer keypoints shows nothing to hold on to: water, snow, blur.
const FEWEST_KEYPOINTS: usize = 100;
/// Memory for keypoint pyramids, which bounds how many photos are looked at side by side.
const PYRAMID_BYTES: usize = 700 << 20;

/// Detects the keypoints of all photos, and says what each was made of; photos that do not decode or show nothing are
/// rejected.
pub fn find_keypoints(flight: &mut Flight, kept: &Kept, tell: &(dyn Fn(f64) + Sync)) -> (Vec<Keypoints>, Vec<Key>) {
    let options = KeypointOptions::default();
    let finished = AtomicUsize::new(0);
    let find = |photo: &Photo| {
        let found = kept_keypoints_of(photo, flight, &options, kept);
        let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
        tell(count as f64 / flight.photos.len() as f64);
        found
    };
    let threads = side_by_side(flight);
    let found: Vec<Result<(Keypoints, Key), String>> =
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(|| flight.photos.par_iter().map(find).collect()),
            Err(_) => flight.photos.iter().map(find).collect(),
        };
    let keep: Vec<bool> = found.iter().map(Result::is_ok).collect();
    let faults: std::collections::HashMap<String, String> = flight
        .photos
        .iter()
        .zip(&found)
        .filter_map(|(photo, result)| Some((photo.name.clone(), result.as_ref().err()?.clone())))
        .collect();
    flight.keep(&keep, |photo| faults[&photo.name].clone());
    found.into_iter().flatten().unzip()
}

/// How many pyramids fit the memory at once.
fn side_by_side(flight: &Flight) -> usize {
    let pixels = flight.cameras.iter().map(|c| (c.prior.width_px * c.prior.height_px) as usize).max().unwrap_or(1);
    // Eight single-precision images of four times the pixels of a photo that is no longer than the limit.
    let one = 8 * 4 * 4 * pixels.min(4 << 20);
    (PYRAMID_BYTES / one).clamp(1, rayon::current_num_threads())
}

fn kept_keypoints_of(
    photo: &Photo,
    flight: &Flight,
    options: &KeypointOptions,
    kept: &Kept,
) -> Result<(Keypoints, Key), String> {
    let made_of = match kept.is_open().then(|| Key::of_file(&photo.path)) {
        Some(Ok(file)) => Key::of(&(file, flight.cameras[photo.camera].prior, options)),
        // Reading it will say what is wrong, if that is still so.
        Some(Err(_)) => return keypoints_of(photo, flight, options).map(|found| (found, Key::of(&photo.name))),
        None => Key::of(&photo.name),
    };
    let found = kept.try_get("keypoints", &made_of, || keypoints_of(photo, flight, options))?;
    Ok((found, made_of))
}

fn keypoints_of(photo: &Photo, flight: &Flight, options: &KeypointOptions) -> Result<Keypoints, String> {
    let picture = read_photo(&photo.path).map_err(|error| error.to_string())?;
    let camera = &flight.cameras[photo.camera].prior;
    if (picture.width as f64, picture.height as f64) != (camera.width_px, camera.height_px) {
        return Err(format!(
            "it has {} × {} pixels but its metadata says {} × {}",
            picture.width, picture.height, camera.width_px, camera.height_px
        ));
    }
    let keypoints = detect_keypoints(&picture, options);
    if keypoints.points.len() < FEWEST_KEYPOINTS {
        return Err(format!(
            "only {} keypoints were found: it is blurred, or shows water or snow",
            keypoints.points.len()
        ));
    }
    Ok(keypoints)
}

/// Matches the photos that may overlap; `keys` say what their keypoints were made of.
pub fn match_photos(
    flight: &Flight,
    keypoints: &[Keypoints],
    keys: &[Key],
    kept: &Kept,
    tell: &(dyn Fn(f64) + Sync),
) -> Vec<PairMatches> {
    let pairs = choose_pairs(flight);
    let finished = AtomicUsize::new(0);
    let longest = |photo: usize| {
        let camera = &flight.cameras[flight.photos[photo].camera].prior;
        camera.width_px.max(camera.height_px)
    };
    let match_both = |&(i, j): &(usize, usize)| {
        let pair = match_pair(i, j, &keypoints[i], &keypoints[j], longest(i).max(longest(j)));
        let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
        tell(count as f64 / pairs.len() as f64);
        pair
    };
    // A photo's pairs are kept together.
    let of_photos: Vec<&[(usize, usize)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    let matched: Vec<Vec<PairMatches>> = of_photos
        .par_iter()
        .map(|pairs| {
            let made_of: Vec<_> =
                pairs.iter().map(|&(i, j)| ((i, keys[i], longest(i)), (j, keys[j], longest(j)))).collect();
            kept.get("matches", &made_of, || pairs.par_iter().map(match_both).collect())
        })
        .collect();
    matched.into_iter().flatten().filter(|pair| !pair.matches.is_empty()).collect()
}

/// Drops photos with their keypoints and pairs, and renumbers the rest.
pub fn drop_photos(
    flight: &mut Flight,
    keypoints: &mut Vec<Keypoints>,
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
        };
        let mut keypoints = vec![Keypoints::default(); 4];
        drop_photos(&mut flight, &mut keypoints, &mut pairs, &[true, false, true, true], |_| "blurred".to_owned());
        assert_eq!(flight.rejected, [Rejected { name: "b".to_owned(), reason: "blurred".to_owned() }]);
        assert_eq!((keypoints.len(), pairs.len(), pairs[0].first, pairs[0].second), (3, 1, 1, 2));
    }

    fn photo(name: &str) -> Photo {
        Photo {
            name: name.to_owned(),
            path: name.into(),
            camera: 0,
            sortie: 0,
            gps: None,
            attitude: None,
            relative_altitude_m: None,
        }
    }
}
