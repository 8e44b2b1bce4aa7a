//! How far an orthophoto is from the truth.

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::Serialize;

use super::{
    affine::Affine,
    footprint::FootprintScore,
    gps::{self, GpsError},
    median,
    overlay::Overlay,
    pairing::{Known, Pairing, Picture, SEARCH_M, SHRINK},
    patch::{FINE_HALF, Grey, find},
    pictures,
    places::{Place, Tall, places},
    radiometry::{Radiometry, RadiometryScore},
    sharpness::sharpness,
};
use crate::{
    raster::Raster,
    simulation::{Error, Result},
};

/// How an orthophoto compares with the truth.
///
/// Displacements are found by correlating patches of the true orthophoto with the tested one. Places on houses and
/// trees are left out of all figures but `kinds`: an orthophoto may show them leaning.
#[derive(Clone, Debug, Serialize)]
pub struct OrthoScore {
    /// The flight's GSD, metres.
    pub gsd_m: f64,
    /// Places of the truth that were looked for.
    pub tried: usize,
    /// Those that lie on the orthophoto.
    pub covered: usize,
    /// Those that were found.
    pub matched: usize,
    /// Found ones farther than half a metre from where the affine map has them: torn, or mistaken. They count in no
    /// RMSE.
    pub outliers: usize,
    /// `covered / tried`.
    pub coverage: f64,
    /// Median displacement, east and north.
    pub median_shift_m: [f64; 2],
    /// Root of the mean squared distance from the truth.
    pub absolute_rmse_m: f64,
    pub absolute_rmse_gsd: f64,
    /// The same after the affine map that fits best.
    pub affine_rmse_m: f64,
    pub affine_rmse_gsd: f64,
    /// The worst distance after the affine map, outliers left out.
    pub affine_worst_m: f64,
    /// By how much the orthophoto is too large, millionths.
    pub scale_ppm: f64,
    /// By how much it is turned counter-clockwise, thousandths of a radian.
    pub rotation_mrad: f64,
    /// What scale, rotation and place of the ground the recorded positions carry themselves; `None` without the photos.
    pub gps: Option<GpsError>,
    /// Detail against the truth's: the median over the found places of the ratio of root-mean-square luma gradients.
    /// Blur lowers it, noise raises it; 1 is the truth's own.
    pub sharpness: f64,
    /// Colours and seams; `None` for flights whose truth has no `cover.tif`, or where hardly anything can be compared.
    pub radiometry: Option<RadiometryScore>,
    /// Coverage of what the photos saw; `None` for flights whose truth has no `cover.tif`.
    pub footprint: Option<FootprintScore>,
    /// The surveyed check points, by kind.
    pub kinds: BTreeMap<String, KindScore>,
}

/// How the check points of one kind compare.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KindScore {
    pub matched: usize,
    pub absolute_rmse_m: f64,
    pub absolute_rmse_gsd: f64,
    /// After the affine map that was fitted to the ground.
    pub affine_rmse_m: f64,
    pub affine_rmse_gsd: f64,
    /// The middle one, which a few mistaken points do not move.
    pub affine_median_gsd: f64,
}

/// Correlations below are no matches. Unrelated grass stays below 0.35; the same grass from two flights is above 0.7.
const LEAST_COARSE: f64 = 0.45;
const LEAST_FINE: f64 = 0.5;
const OUTLIER_M: f64 = 0.5;
/// Below this share of what is covered there is nothing to judge.
const LEAST_MATCHED: f64 = 0.2;

struct Pair<'a> {
    place: &'a Place,
    displacement: [f64; 2],
    sharpness: f64,
}

/// Compares an orthophoto (any coordinate system, any GSD) with the truth of the flight it was made from.
///
/// Rasters are read by windows. What grows with the flight is what is left when detail is averaged out: about one and a half
/// kilobytes for each square metre, while the brightness is compared.
///
/// # Errors
/// [`Error::Read`] or [`Error::Raster`] when a file is missing or damaged; [`Error::NoMatch`] when the orthophoto
/// shows hardly anything of the truth within twelve metres of its place.
pub fn score_orthophoto(truth: &Path, orthophoto: &Path) -> Result<OrthoScore> {
    judge_orthophoto(truth, orthophoto, None)
}

/// Does what [`score_orthophoto`] does, and writes pictures to be looked at into a folder: `beside.jpg`, the truth and the
/// orthophoto, and `seams.jpg`, what is too dark or too bright and what is missing.
///
/// # Errors
/// As [`score_orthophoto`], and [`Error::Write`] when a picture cannot be written.
pub fn judge_orthophoto(truth: &Path, orthophoto: &Path, into: Option<&Path>) -> Result<OrthoScore> {
    let reference = Raster::open(truth.join("ortho.tif"))?;
    let tested = Raster::open(orthophoto)?;
    let mut pairing = Pairing::new(&reference, &tested)?;
    let tall = Tall::read(truth, &reference)?;
    let places = places(truth, &tall, &reference)?;
    pairing.known = Known::Shift(far_shift(&pairing, &places)?);
    let (tried, covered, mut pairs) = pair_up(&pairing, &places)?;
    let matched = pairs.len();
    let no_match = || Error::NoMatch { path: orthophoto.to_owned(), matched, tried };
    if (matched as f64) < LEAST_MATCHED * covered as f64 {
        return Err(no_match());
    }
    if let Some(affine) = fit_in_the_open(&pairs) {
        pairing.known = Known::Affine(affine);
        look_again(&pairing, &affine, &mut pairs)?;
    }
    let (affine, mut score) = summarise(&pairs, pairing.gsd_m, tried, covered).ok_or_else(no_match)?;
    score.gps = gps::error_of(truth, &reference, &places, score.gsd_m)?;
    let map = match Raster::open(truth.join("cover.tif")) {
        Ok(cover) => {
            let overlay = Overlay::lay(&pairing, &cover, &affine, &tall)?;
            score.footprint = Some(FootprintScore::of(&overlay));
            let radiometry = Radiometry::of(&overlay);
            score.radiometry = radiometry.as_ref().map(Radiometry::score);
            Some((overlay, radiometry))
        }
        Err(_) => None,
    };
    if let Some(folder) = into {
        pictures::write_beside(folder, &reference, &tested)?;
        if let Some((overlay, radiometry)) = &map {
            pictures::write_seams(folder, overlay, radiometry.as_ref())?;
        }
    }
    Ok(score)
}

/// Finds the places of the truth on the orthophoto: how many were looked for, how many lie on it, and the found ones.
fn pair_up<'a>(pairing: &Pairing<'_>, places: &'a [Place]) -> Result<(usize, usize, Vec<Pair<'a>>)> {
    let (mut tried, mut covered) = (0, 0);
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    // Reading is for one thread, correlating for all.
    for batch in places.chunks(64) {
        let mut jobs = Vec::new();
        for place in batch {
            let Some(template) = pairing.template(place.at)? else { continue };
            tried += 1;
            if let Some(picture) = pairing.picture(place.at, SEARCH_M)? {
                covered += 1;
                jobs.push((place, template, picture));
            }
        }
        let (gsd_m, known) = (pairing.gsd_m, pairing.known);
        let pair = |(place, template, picture): &(&'a Place, Grey, Picture)| {
            let offset = offset(template, &picture.grey, SEARCH_M / gsd_m)?;
            let sharpness = sharpness(template, picture, offset);
            Some(Pair { place, displacement: displacement(offset, gsd_m, &known, place.at), sharpness })
        };
        let found: Vec<Option<Pair<'_>>> = jobs.par_iter().map(pair).collect();
        pairs.extend(found.into_iter().flatten());
    }
    Ok((tried, covered, pairs))
}

/// Finds each place once more, in pictures that are as large as the truth and turned like it; where that fails, what was found
/// before stays. Before, an orthophoto of 2,900 ppm and 1.9 mrad showed points on the ground to be 0.09 GSD off that were
/// 0.05 off.
fn look_again(pairing: &Pairing<'_>, affine: &Affine, pairs: &mut [Pair<'_>]) -> Result<()> {
    let (gsd_m, known) = (pairing.gsd_m, pairing.known);
    for batch in pairs.chunks_mut(64) {
        let mut jobs = Vec::new();
        for pair in batch.iter_mut().filter(|pair| off_affine(affine, pair) <= OUTLIER_M) {
            let Some(template) = pairing.template(pair.place.at)? else { continue };
            let Some(picture) = pairing.picture(pair.place.at, 2.0 * OUTLIER_M)? else { continue };
            jobs.push((pair, template, picture));
        }
        jobs.par_iter_mut().for_each(|(pair, template, picture)| {
            if let Some(offset) = offset(template, &picture.grey, 2.0 * OUTLIER_M / gsd_m) {
                pair.displacement = displacement(offset, gsd_m, &known, pair.place.at);
            }
        });
    }
    Ok(())
}

/// The affine map that fits the places that nothing hides; nothing with fewer than three.
fn fit_in_the_open(pairs: &[Pair<'_>]) -> Option<Affine> {
    let (places, displacements): (Vec<_>, Vec<_>) =
        pairs.iter().filter(|pair| pair.place.in_the_open).map(|pair| (pair.place.at, pair.displacement)).unzip();
    Affine::fit(&places, &displacements)
}

/// How far a place lies from where the affine map has it, metres.
fn off_affine(affine: &Affine, pair: &Pair<'_>) -> f64 {
    let expected = affine.displacement(pair.place.at);
    (pair.displacement[0] - expected[0]).hypot(pair.displacement[1] - expected[1])
}

/// How far an orthophoto as a whole may lie from the truth, and how many places are asked for it.
const FAR_M: f64 = 12.0;
const FAR_PLACES: usize = 48;
/// A smaller shift of the whole is within reach of every place's own search.
const NEAR_M: f64 = 1.5;

/// Returns by how much the whole orthophoto is displaced, metres east and north, when that is far: what most of a few
/// places agree on to a metre; nothing when they do not agree.
fn far_shift(pairing: &Pairing<'_>, places: &[Place]) -> Result<[f64; 2]> {
    let mut shifts = Vec::new();
    let every = (places.len() / FAR_PLACES).max(1);
    for place in places.iter().step_by(every) {
        let Some(template) = pairing.template(place.at)? else { continue };
        if let Some(picture) = pairing.picture(place.at, FAR_M)? {
            let found = offset(&template, &picture.grey, FAR_M / pairing.gsd_m);
            shifts.extend(found.map(|offset| displacement(offset, pairing.gsd_m, &pairing.known, place.at)));
        }
    }
    let agree = |a: &[f64; 2], b: &[f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 1.0;
    let company = |shift: &&[f64; 2]| shifts.iter().filter(|other| agree(shift, other)).count();
    let Some(best) = shifts.iter().max_by_key(company) else { return Ok([0.0; 2]) };
    let group: Vec<&[f64; 2]> = shifts.iter().filter(|other| agree(best, other)).collect();
    let middle = [0, 1].map(|i| median(group.iter().map(|shift| shift[i]).collect()));
    let is_far = middle[0].hypot(middle[1]) > NEAR_M && group.len() >= 5 && group.len() * 3 > shifts.len();
    Ok(if is_far { middle } else { [0.0; 2] })
}

fn summarise(pairs: &[Pair<'_>], gsd_m: f64, tried: usize, covered: usize) -> Option<(Affine, OrthoScore)> {
    let open: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.place.in_the_open).collect();
    let affine = fit_in_the_open(pairs)?;
    let absolute = |pair: &Pair<'_>| pair.displacement[0].hypot(pair.displacement[1]);
    let residual = |pair: &Pair<'_>| off_affine(&affine, pair);
    let (good, wrong): (Vec<&Pair<'_>>, Vec<&Pair<'_>>) =
        open.into_iter().partition(|pair| residual(pair) <= OUTLIER_M);
    if good.len() < 3 {
        return None;
    }
    let mut kinds: BTreeMap<String, Vec<&Pair<'_>>> = BTreeMap::new();
    for pair in pairs {
        if let Some(kind) = &pair.place.kind {
            kinds.entry(kind.clone()).or_default().push(pair);
        }
    }
    let of_kind = |pairs: &[&Pair<'_>]| {
        let absolute_rmse_m = rms(pairs.iter().map(|pair| absolute(pair)));
        let affine_rmse_m = rms(pairs.iter().map(|pair| residual(pair)));
        KindScore {
            matched: pairs.len(),
            absolute_rmse_m,
            absolute_rmse_gsd: absolute_rmse_m / gsd_m,
            affine_rmse_m,
            affine_rmse_gsd: affine_rmse_m / gsd_m,
            affine_median_gsd: median(pairs.iter().map(|pair| residual(pair)).collect()) / gsd_m,
        }
    };
    let (absolute_rmse_m, affine_rmse_m) =
        (rms(good.iter().map(|p| absolute(p))), rms(good.iter().map(|p| residual(p))));
    let score = OrthoScore {
        gsd_m,
        tried,
        covered,
        matched: pairs.len(),
        outliers: wrong.len(),
        coverage: covered as f64 / tried.max(1) as f64,
        median_shift_m: [0, 1].map(|i| median(good.iter().map(|pair| pair.displacement[i]).collect())),
        absolute_rmse_m,
        absolute_rmse_gsd: absolute_rmse_m / gsd_m,
        affine_rmse_m,
        affine_rmse_gsd: affine_rmse_m / gsd_m,
        affine_worst_m: good.iter().map(|pair| residual(pair)).fold(0.0, f64::max),
        scale_ppm: affine.scale_ppm(),
        rotation_mrad: affine.rotation_mrad(),
        gps: None,
        sharpness: median(good.iter().map(|pair| pair.sharpness).filter(|ratio| ratio.is_finite()).collect()),
        radiometry: None,
        footprint: None,
        kinds: kinds.into_iter().map(|(kind, pairs)| (kind, of_kind(&pairs))).collect(),
    };
    Some((affine, score))
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value * value));
    (sum / f64::from(count.max(1))).sqrt()
}

/// Returns how far right of and below its middle a picture shows the template, in pixels of the truth; `reach` is how far
/// it is looked for.
fn offset(template: &Grey, picture: &Grey, reach: f64) -> Option<[f64; 2]> {
    let reach = (reach / SHRINK as f64).floor() as i64;
    let coarse = find(&template.shrunk(SHRINK), &picture.shrunk(SHRINK), [0, 0], reach)?;
    if coarse.correlation < LEAST_COARSE {
        return None;
    }
    let near = coarse.offset.map(|v| (v * SHRINK as f64).round() as i64);
    let fine = find(&template.middle(FINE_HALF * 2, FINE_HALF * 2), picture, near, SHRINK as i64 + 1)?;
    (fine.correlation >= LEAST_FINE).then_some(fine.offset)
}

/// Returns how far east and north of its place something lies that a picture shows so many pixels off its middle.
fn displacement(offset: [f64; 2], gsd_m: f64, known: &Known, at: [f64; 2]) -> [f64; 2] {
    let [x, y] = [offset[0] * gsd_m, -offset[1] * gsd_m];
    let known = known.displacement([at[0] + x, at[1] + y]);
    [x + known[0], y + known[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        raster::{CogOptions, CogWriter, Compression, Rgba8, Window},
        simulation::{Gps, Options, simulate},
        spatial::GeoTransform,
    };

    fn options(folder: &Path, seed: u64) -> Options {
        Options {
            out: folder.join(seed.to_string()),
            seed,
            photos: 4,
            width: 320,
            height: 240,
            gsd_m: 0.06,
            gps: Gps::Rtk,
            profiles: Vec::new(),
        }
    }

    fn flight(folder: &Path, seed: u64) -> std::path::PathBuf {
        simulate(&options(folder, seed)).unwrap().truth
    }

    /// Writes the truth as if it lay `shift` metres away, and `scale` times as large.
    fn displaced(truth: &Path, to: &Path, shift: [f64; 2], scale: f64) {
        changed(truth, to, shift, scale, |_| {});
    }

    /// Writes the truth displaced, and its pixels changed.
    fn changed(truth: &Path, to: &Path, shift: [f64; 2], scale: f64, change: impl Fn(&mut Rgba8)) {
        let raster = Raster::open(truth.join("ortho.tif")).unwrap();
        let [width, height] = raster.size();
        let mut picture = raster.read_rgba(Window { x: 0, y: 0, width, height }, [width, height]).unwrap();
        change(&mut picture);
        let [x, gsd, _, y, _, _] = raster.geo_transform().unwrap().gdal();
        let transform = GeoTransform::north_up([x + shift[0], y + shift[1]], gsd * scale);
        let options = CogOptions { compression: Compression::Jpeg(85), ..CogOptions::default() };
        let mut writer = CogWriter::create(to, [width, height], transform, raster.crs().unwrap(), options).unwrap();
        let mask: Vec<u8> = picture.data.chunks_exact(4).map(|p| p[3]).collect();
        writer.write_rgb([0, 0], [width, height], &picture.to_rgb().data, &mask).unwrap();
        writer.finish().unwrap();
    }

    /// Judges the truth of a flight of nine photos after a change.
    fn judged(change: impl Fn(&mut Rgba8)) -> OrthoScore {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { photos: 9, ..options(folder.path(), 3) };
        let (truth, tested) = (simulate(&options).unwrap().truth, folder.path().join("ortho.tif"));
        changed(&truth, &tested, [0.0; 2], 1.0, change);
        judge_orthophoto(&truth, &tested, Some(&folder.path().join("pictures"))).unwrap()
    }

    #[test]
    fn a_shift_and_a_scale_are_told_apart_from_distortion() {
        let folder = tempfile::tempdir().unwrap();
        let (truth, tested) = (flight(folder.path(), 3), folder.path().join("ortho.tif"));
        displaced(&truth, &tested, [0.83, -0.41], 1.002);
        let score = score_orthophoto(&truth, &tested).unwrap();
        assert!((score.scale_ppm - 2000.0).abs() < 100.0, "{score:?}");
        // The scale adds up to 0.07 m in the middle of a flight of 35 m.
        assert!(
            (score.median_shift_m[0] - 0.83).abs() < 0.1 && (score.median_shift_m[1] + 0.41).abs() < 0.1,
            "{score:?}"
        );
        assert!(score.affine_rmse_gsd < 0.15 && score.absolute_rmse_m > 0.8, "{score:?}");
        assert!(score.coverage > 0.95 && score.matched * 10 > score.covered * 9, "{score:?}");
    }

    /// Patches of an enlarged picture correlate a little off their middles: looked for once, these places lie 0.12 GSD off.
    #[test]
    fn an_orthophoto_that_is_only_too_large_is_not_distorted() {
        let folder = tempfile::tempdir().unwrap();
        let (truth, tested) = (flight(folder.path(), 3), folder.path().join("ortho.tif"));
        displaced(&truth, &tested, [0.83, -0.41], 1.004);
        let score = score_orthophoto(&truth, &tested).unwrap();
        assert!(score.affine_rmse_gsd < 0.04 && score.outliers == 0, "{score:?}");
    }

    #[test]
    fn the_truth_agrees_with_itself() {
        let folder = tempfile::tempdir().unwrap();
        let truth = flight(folder.path(), 3);
        let score = score_orthophoto(&truth, &truth.join("ortho.tif")).unwrap();
        assert!(score.absolute_rmse_gsd < 0.05 && score.outliers == 0, "{score:?}");
    }

    /// A receiver that wanders by metres displaces the whole; what lies beyond every place's own search is still found.
    #[test]
    fn an_orthophoto_that_lies_seven_metres_off_is_judged_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (truth, tested) = (flight(folder.path(), 3), folder.path().join("ortho.tif"));
        displaced(&truth, &tested, [6.2, -3.3], 1.0);
        let score = score_orthophoto(&truth, &tested).unwrap();
        assert!(
            (score.median_shift_m[0] - 6.2).abs() < 0.02 && (score.median_shift_m[1] + 3.3).abs() < 0.02,
            "{score:?}"
        );
        assert!(score.affine_rmse_gsd < 0.1 && score.footprint.unwrap().coverage > 0.995, "{score:?}");
    }

    #[test]
    fn the_truth_has_no_seams_no_holes_and_all_its_detail() {
        let score = judged(|_| {});
        let (radiometry, footprint) = (score.radiometry.unwrap(), score.footprint.unwrap());
        assert!(radiometry.log_rms < 0.002 && radiometry.seam_gradient_p999 < 0.002, "{radiometry:?}");
        assert!(footprint.coverage > 0.998 && footprint.holes == 0, "{footprint:?}");
        assert!((score.sharpness - 1.0).abs() < 0.02, "{}", score.sharpness);
    }

    /// Half of the orthophoto is 8 % brighter: its seam's gradient is ln 1.08 / 2.5 m = 0.03 a metre.
    #[test]
    fn a_step_in_the_exposure_is_a_seam() {
        let score = judged(|picture| {
            let width = picture.width;
            for (_, pixel) in picture.data.chunks_exact_mut(4).enumerate().filter(|(i, _)| i % width > width / 2) {
                pixel[..3].iter_mut().for_each(|c| *c = (f32::from(*c) * 1.08 + 0.5) as u8);
            }
        });
        let radiometry = score.radiometry.unwrap();
        assert!((0.024..0.034).contains(&radiometry.seam_gradient_p999), "{radiometry:?}");
        assert!((0.02..0.06).contains(&radiometry.log_rms), "{radiometry:?}");
    }

    /// Bands of 48 rows are moved by three quarters of a pixel to the left and to the right in turns: no affine map
    /// undoes that, and the brightness is the truth's.
    #[test]
    fn a_place_that_lies_less_than_a_pixel_off_is_no_seam() {
        let score = judged(|picture| {
            let old = picture.clone();
            for y in 0..old.height {
                let side: isize = if y / 48 % 2 == 0 { 1 } else { -1 };
                for x in 1..old.width - 1 {
                    let beside = x.checked_add_signed(side).unwrap();
                    for band in 0..3 {
                        let at = |x: usize| f32::from(old.data[(y * old.width + x) * 4 + band]);
                        picture.data[(y * old.width + x) * 4 + band] = (0.25 * at(x) + 0.75 * at(beside)) as u8;
                    }
                }
            }
        });
        let radiometry = score.radiometry.unwrap();
        assert!(score.affine_rmse_gsd > 0.3, "{score:?}");
        assert!(radiometry.seam_gradient_p999 < 0.006 && radiometry.log_rms < 0.004, "{radiometry:?}");
    }

    #[test]
    fn a_hole_is_counted_and_blur_is_seen() {
        let score = judged(|picture| {
            let old = picture.clone();
            let (width, middle) = (old.width, [old.width / 2, old.height / 2]);
            for y in 1..old.height - 1 {
                for x in 1..width - 1 {
                    for band in 0..3 {
                        let sum: u32 = (0..9)
                            .map(|i| u32::from(old.data[((y + i / 3 - 1) * width + x + i % 3 - 1) * 4 + band]))
                            .sum();
                        picture.data[(y * width + x) * 4 + band] = (sum / 9) as u8;
                    }
                    if x.abs_diff(middle[0]) < 10 && y.abs_diff(middle[1]) < 20 {
                        picture.data[(y * width + x) * 4 + 3] = 0;
                    }
                }
            }
        });
        let footprint = score.footprint.unwrap();
        // 19 × 39 pixels of 6 cm, and the pixel beside missing ones that cannot be interpolated.
        assert_eq!(footprint.holes, 1, "{footprint:?}");
        assert!((2.5..4.0).contains(&footprint.holes_m2), "{footprint:?}");
        assert!((0.4..0.9).contains(&score.sharpness), "{}", score.sharpness);
    }

    #[test]
    fn an_orthophoto_of_something_else_is_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let (truth, other) = (flight(folder.path(), 3), flight(folder.path(), 4));
        let result = score_orthophoto(&truth, &other.join("ortho.tif"));
        assert!(matches!(result, Err(Error::NoMatch { .. })), "{result:?}");
    }
}
