//! How far an orthophoto is from the truth.

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::Serialize;

use super::{
    affine::Affine,
    fault, median,
    patch::{Grey, find},
    polygons, read_text,
};
use crate::{
    raster::{Raster, Rgba8, Window},
    simulation::{Error, Result},
    spatial::{Crs, Projection},
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
    /// The surveyed check points, by kind.
    pub kinds: BTreeMap<String, KindScore>,
}

/// How the check points of one kind compare.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KindScore {
    pub matched: usize,
    pub absolute_rmse_m: f64,
    /// After the affine map that was fitted to the ground.
    pub affine_rmse_m: f64,
}

/// Distance between the places of the regular grid.
const GRID_M: f64 = 2.5;
/// Half the side of a patch, in pixels of the truth.
const FINE_HALF: usize = 24;
const COARSE_HALF: usize = 40;
/// The coarse search is made on pixels this many times as large.
const SHRINK: usize = 4;
/// How far away a place is looked for.
const SEARCH_M: f64 = 3.0;
/// Correlations below are no matches. Unrelated grass stays below 0.35; the same grass from two flights is above 0.7.
const LEAST_COARSE: f64 = 0.45;
const LEAST_FINE: f64 = 0.5;
/// Flat patches (water, a roof's shadow) match anywhere; grey levels.
const LEAST_CONTRAST: f32 = 4.0;
const OUTLIER_M: f64 = 0.5;
/// Below this share of what is covered there is nothing to judge.
const LEAST_MATCHED: f64 = 0.2;

struct Place {
    /// Easting and northing in the truth's system.
    at: [f64; 2],
    /// The kind of a check point; `None` on the grid.
    kind: Option<String>,
    in_the_open: bool,
}

struct Pair<'a> {
    place: &'a Place,
    displacement: [f64; 2],
}

/// Compares an orthophoto (any coordinate system, any GSD) with the truth of the flight it was made from.
///
/// # Errors
/// [`Error::Read`] or [`Error::Raster`] when a file is missing or damaged; [`Error::NoMatch`] when the orthophoto
/// shows hardly anything of the truth within three metres of its place.
pub fn score_orthophoto(truth: &Path, orthophoto: &Path) -> Result<OrthoScore> {
    let reference = Raster::open(truth.join("ortho.tif"))?;
    let tested = Raster::open(orthophoto)?;
    let judge = Judge::new(&reference, &tested)?;
    let places = places(truth, &reference)?;
    let gsd_m = judge.gsd_m;
    let (mut tried, mut covered) = (0, 0);
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    // Reading is for one thread, correlating for all.
    for batch in places.chunks(64) {
        let mut jobs = Vec::new();
        for place in batch {
            let Some(template) = judge.template(place.at)? else { continue };
            tried += 1;
            if let Some(picture) = judge.picture(place.at)? {
                covered += 1;
                jobs.push((place, template, picture));
            }
        }
        let found: Vec<Option<Pair<'_>>> = jobs
            .par_iter()
            .map(|(place, template, picture)| {
                let displacement = displacement(template, picture, gsd_m)?;
                Some(Pair { place, displacement })
            })
            .collect();
        pairs.extend(found.into_iter().flatten());
    }
    let no_match = || Error::NoMatch { path: orthophoto.to_owned(), matched: pairs.len(), tried };
    if (pairs.len() as f64) < LEAST_MATCHED * covered as f64 {
        return Err(no_match());
    }
    summarise(&pairs, gsd_m, tried, covered).ok_or_else(no_match)
}

fn summarise(pairs: &[Pair<'_>], gsd_m: f64, tried: usize, covered: usize) -> Option<OrthoScore> {
    let open: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.place.in_the_open).collect();
    let places: Vec<[f64; 2]> = open.iter().map(|pair| pair.place.at).collect();
    let displacements: Vec<[f64; 2]> = open.iter().map(|pair| pair.displacement).collect();
    let affine = Affine::fit(&places, &displacements)?;
    let absolute = |pair: &Pair<'_>| pair.displacement[0].hypot(pair.displacement[1]);
    let residual = |pair: &Pair<'_>| {
        let expected = affine.displacement(pair.place.at);
        (pair.displacement[0] - expected[0]).hypot(pair.displacement[1] - expected[1])
    };
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
    let of_kind = |pairs: &[&Pair<'_>]| KindScore {
        matched: pairs.len(),
        absolute_rmse_m: rms(pairs.iter().map(|pair| absolute(pair))),
        affine_rmse_m: rms(pairs.iter().map(|pair| residual(pair))),
    };
    let (absolute_rmse_m, affine_rmse_m) =
        (rms(good.iter().map(|p| absolute(p))), rms(good.iter().map(|p| residual(p))));
    Some(OrthoScore {
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
        kinds: kinds.into_iter().map(|(kind, pairs)| (kind, of_kind(&pairs))).collect(),
    })
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value * value));
    (sum / f64::from(count.max(1))).sqrt()
}

/// Returns the check points and a regular grid over the true orthophoto.
fn places(truth: &Path, reference: &Raster) -> Result<Vec<Place>> {
    let to_grid = Projection::new(Crs::WGS84, reference.crs()?)?;
    let mut tall: Vec<([f64; 2], f64)> = Vec::new();
    for (_, ring) in polygons(&truth.join("scenery.geojson"))? {
        let mut ring = ring;
        to_grid.forward_many(&mut ring)?;
        let middle = middle_of(&ring);
        let radius = ring.iter().map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1])).fold(0.0, f64::max);
        tall.push((middle, radius));
    }
    let spare = FINE_HALF as f64 * reference.geo_transform()?.pixel_size() * 1.5;
    let in_the_open = |at: [f64; 2]| {
        tall.iter().all(|(middle, radius)| (at[0] - middle[0]).hypot(at[1] - middle[1]) > radius + spare)
    };

    let mut places = check_points(&truth.join("check_points.csv"))?;
    for place in &mut places {
        place.in_the_open = in_the_open(place.at);
    }
    let transform = reference.geo_transform()?;
    let step = (GRID_M / transform.pixel_size()).round().max(1.0) as usize;
    let size = reference.size();
    for row in (step / 2..size[1]).step_by(step) {
        for column in (step / 2..size[0]).step_by(step) {
            let at = transform.pixel_to_ground([column as f64, row as f64]);
            if in_the_open(at) {
                places.push(Place { at, kind: None, in_the_open: true });
            }
        }
    }
    Ok(places)
}

fn check_points(path: &Path) -> Result<Vec<Place>> {
    let text = read_text(path)?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or_else(|| fault(path, &format!("it has no column {name}")))
    };
    let (kind, x, y) = (column("kind")?, column("x_m")?, column("y_m")?);
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
            let place = number(x).zip(number(y)).zip(fields.get(kind));
            let ((x, y), kind) = place.ok_or_else(|| fault(path, &format!("cannot read the line {line:?}")))?;
            Ok(Place { at: [x, y], kind: Some((*kind).to_owned()), in_the_open: true })
        })
        .collect()
}

fn middle_of(ring: &[[f64; 2]]) -> [f64; 2] {
    let bounds = crate::spatial::Bbox::of(ring.iter().copied()).expect("a ring has points");
    [f64::midpoint(bounds.west, bounds.east), f64::midpoint(bounds.south, bounds.north)]
}

/// The two orthophotos, and the way from one to the other.
struct Judge<'a> {
    reference: &'a Raster,
    tested: &'a Raster,
    across: Projection,
    gsd_m: f64,
    /// Half the side of the picture that is searched, pixels of the truth.
    search_half: usize,
}

impl<'a> Judge<'a> {
    fn new(reference: &'a Raster, tested: &'a Raster) -> Result<Self> {
        let gsd_m = reference.geo_transform()?.pixel_size();
        let across = Projection::new(reference.crs()?, tested.crs()?)?;
        let search = (SEARCH_M / gsd_m / SHRINK as f64).ceil() as usize * SHRINK;
        Ok(Self { reference, tested, across, gsd_m, search_half: COARSE_HALF + search })
    }

    /// Returns the patch of the truth around a place; nothing where it has no data or no texture.
    fn template(&self, at: [f64; 2]) -> Result<Option<Grey>> {
        let pixel = self.reference.geo_transform()?.ground_to_pixel(at)?;
        let half = COARSE_HALF as f64;
        let (x, y) = ((pixel[0] - half).round(), (pixel[1] - half).round());
        // Places off the pixel grid are moved onto it; the picture is sampled around the same moved place.
        let window = Window { x: x as isize, y: y as isize, width: COARSE_HALF * 2, height: COARSE_HALF * 2 };
        let grey = grey(&self.reference.read_rgba(window, [window.width, window.height])?);
        let textured = grey.middle(FINE_HALF * 2, FINE_HALF * 2).contrast() >= LEAST_CONTRAST;
        Ok((textured && !grey.contrast().is_nan()).then_some(grey))
    }

    /// Returns what the tested orthophoto shows around a place, on the pixels of the truth; nothing when it has no
    /// data there.
    fn picture(&self, at: [f64; 2]) -> Result<Option<Grey>> {
        let transform = self.reference.geo_transform()?;
        let centre = transform.ground_to_pixel(at)?.map(f64::round);
        let half = self.search_half as f64;
        let mut corners = [[-half, -half], [half, -half], [-half, half], [half, half]]
            .map(|[dx, dy]| transform.pixel_to_ground([centre[0] + dx, centre[1] + dy]));
        self.across.forward_many(&mut corners)?;
        let to_pixel = self.tested.geo_transform()?;
        let mut pixels = [[0.0; 2]; 4];
        for (pixel, corner) in pixels.iter_mut().zip(corners) {
            *pixel = to_pixel.ground_to_pixel(corner)?;
        }
        let bounds = crate::spatial::Bbox::of(pixels).expect("there are four corners");
        let (left, top) = (bounds.west.floor() - 2.0, bounds.south.floor() - 2.0);
        let size = [bounds.east - left, bounds.north - top].map(|side| side.ceil() as usize + 2);
        let window = Window { x: left as isize, y: top as isize, width: size[0], height: size[1] };
        // A much finer orthophoto is averaged while it is read, so that both have the same detail.
        let finer = (2.0 * half / (size[0].max(size[1]) as f64)).min(1.0);
        let out = if finer < 0.7 { size.map(|side| ((side as f64 * finer).round() as usize).max(2)) } else { size };
        let rgba = self.tested.read_rgba(window, out)?;
        let scale = [out[0] as f64 / size[0] as f64, out[1] as f64 / size[1] as f64];
        let source = grey(&rgba);
        if at_centre(&source).is_nan() {
            return Ok(None);
        }
        let side = self.search_half * 2;
        let mut data = Vec::with_capacity(side * side);
        for row in 0..side {
            for column in 0..side {
                let (u, v) = ((column as f64 + 0.5) / side as f64, (row as f64 + 0.5) / side as f64);
                let [x, y] = [0, 1].map(|i| {
                    let upper = pixels[0][i] * (1.0 - u) + pixels[1][i] * u;
                    let lower = pixels[2][i] * (1.0 - u) + pixels[3][i] * u;
                    upper * (1.0 - v) + lower * v
                });
                data.push(sample(&source, [(x - left) * scale[0], (y - top) * scale[1]]));
            }
        }
        Ok(Some(Grey { width: side, height: side, data }))
    }
}

/// Returns how far east and north of its place the picture shows the template, in metres.
fn displacement(template: &Grey, picture: &Grey, gsd_m: f64) -> Option<[f64; 2]> {
    let reach = (SEARCH_M / gsd_m / SHRINK as f64).floor() as i64;
    let coarse = find(&template.shrunk(SHRINK), &picture.shrunk(SHRINK), [0, 0], reach)?;
    if coarse.correlation < LEAST_COARSE {
        return None;
    }
    let near = coarse.offset.map(|v| (v * SHRINK as f64).round() as i64);
    let fine = find(&template.middle(FINE_HALF * 2, FINE_HALF * 2), picture, near, SHRINK as i64 + 1)?;
    (fine.correlation >= LEAST_FINE).then(|| [fine.offset[0] * gsd_m, -fine.offset[1] * gsd_m])
}

fn grey(picture: &Rgba8) -> Grey {
    let value = |p: &[u8]| {
        let luma = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        if p[3] == 0 { f32::NAN } else { luma }
    };
    Grey { width: picture.width, height: picture.height, data: picture.data.chunks_exact(4).map(value).collect() }
}

fn at_centre(grey: &Grey) -> f32 {
    grey.data[grey.height / 2 * grey.width + grey.width / 2]
}

/// Returns the value between four pixel centres; `NaN` outside or beside missing data.
fn sample(grey: &Grey, [x, y]: [f64; 2]) -> f32 {
    let (x, y) = (x - 0.5, y - 0.5);
    if x < 0.0 || y < 0.0 || x >= (grey.width - 1) as f64 || y >= (grey.height - 1) as f64 {
        return f32::NAN;
    }
    let (i, j) = (x as usize, y as usize);
    let (u, v) = ((x - i as f64) as f32, (y - j as f64) as f32);
    let at = j * grey.width + i;
    let upper = grey.data[at] * (1.0 - u) + grey.data[at + 1] * u;
    let lower = grey.data[at + grey.width] * (1.0 - u) + grey.data[at + grey.width + 1] * u;
    upper * (1.0 - v) + lower * v
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        raster::{CogOptions, CogWriter, Compression},
        simulation::{Gps, Options, simulate},
        spatial::GeoTransform,
    };

    fn flight(folder: &Path, seed: u64) -> std::path::PathBuf {
        let options = Options {
            out: folder.join(seed.to_string()),
            seed,
            photos: 4,
            width: 320,
            height: 240,
            gsd_m: 0.06,
            gps: Gps::Rtk,
            profiles: Vec::new(),
        };
        simulate(&options).unwrap().truth
    }

    /// Writes the truth as if it lay `shift` metres away, and `scale` times as large.
    fn displaced(truth: &Path, to: &Path, shift: [f64; 2], scale: f64) {
        let raster = Raster::open(truth.join("ortho.tif")).unwrap();
        let [width, height] = raster.size();
        let picture = raster.read_rgba(Window { x: 0, y: 0, width, height }, [width, height]).unwrap();
        let [x, gsd, _, y, _, _] = raster.geo_transform().unwrap().gdal();
        let transform = GeoTransform::north_up([x + shift[0], y + shift[1]], gsd * scale);
        let options = CogOptions { compression: Compression::Jpeg(85), ..CogOptions::default() };
        let mut writer = CogWriter::create(to, [width, height], transform, raster.crs().unwrap(), options).unwrap();
        let mask: Vec<u8> = picture.data.chunks_exact(4).map(|p| p[3]).collect();
        writer.write_rgb([0, 0], [width, height], &picture.to_rgb().data, &mask).unwrap();
        writer.finish().unwrap();
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

    #[test]
    fn the_truth_agrees_with_itself() {
        let folder = tempfile::tempdir().unwrap();
        let truth = flight(folder.path(), 3);
        let score = score_orthophoto(&truth, &truth.join("ortho.tif")).unwrap();
        assert!(score.absolute_rmse_gsd < 0.05 && score.outliers == 0, "{score:?}");
    }

    #[test]
    fn an_orthophoto_of_something_else_is_not_judged() {
        let folder = tempfile::tempdir().unwrap();
        let (truth, other) = (flight(folder.path(), 3), flight(folder.path(), 4));
        let result = score_orthophoto(&truth, &other.join("ortho.tif"));
        assert!(matches!(result, Err(Error::NoMatch { .. })), "{result:?}");
    }
}
