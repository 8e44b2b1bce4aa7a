//! The two orthophotos, and the way from the pixels of one to those of the other.

use super::{
    affine::Affine,
    patch::{COARSE_HALF, FINE_HALF, Grey},
};
use crate::{
    raster::{Raster, Rgba8, Window},
    simulation::Result,
    spatial::{Bbox, Projection},
};

/// How far away a place is looked for.
pub(super) const SEARCH_M: f64 = 3.0;
/// The coarse search is made on pixels this many times as large.
pub(super) const SHRINK: usize = 4;
/// Flat patches (water, a roof's shadow) match anywhere; grey levels.
const LEAST_CONTRAST: f32 = 4.0;

/// The true orthophoto and the tested one.
pub(super) struct Pairing<'a> {
    pub reference: &'a Raster,
    tested: &'a Raster,
    across: Projection,
    pub gsd_m: f64,
    /// By how much the tested one is displaced as a whole, as far as that is known; pictures are taken from there.
    pub known: Known,
}

/// What is known of a tested orthophoto's displacement before a place is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    /// The same everywhere, metres east and north.
    Shift([f64; 2]),
    /// Of all places together. Then what a picture shows is as large as in the truth and turned like it: a patch that
    /// is not correlates best where its contrast lies and not at its middle.
    Affine(Affine),
}

impl Known {
    /// Returns by how many metres a place of the truth is displaced.
    pub(super) fn displacement(&self, place: [f64; 2]) -> [f64; 2] {
        match self {
            Self::Shift(shift) => *shift,
            Self::Affine(affine) => affine.displacement(place),
        }
    }
}

impl<'a> Pairing<'a> {
    pub(super) fn new(reference: &'a Raster, tested: &'a Raster) -> Result<Self> {
        let gsd_m = reference.geo_transform()?.pixel_size();
        let across = Projection::new(reference.crs()?, tested.crs()?)?;
        Ok(Self { reference, tested, across, gsd_m, known: Known::Shift([0.0; 2]) })
    }

    /// Returns the patch of the truth around a place; nothing where it has no data or no texture.
    pub(super) fn template(&self, at: [f64; 2]) -> Result<Option<Grey>> {
        let pixel = self.reference.geo_transform()?.ground_to_pixel(at)?;
        let half = COARSE_HALF as f64;
        let (x, y) = ((pixel[0] - half).round(), (pixel[1] - half).round());
        // Places off the pixel grid are moved onto it; the picture is sampled around the same moved place.
        let window = Window { x: x as isize, y: y as isize, width: COARSE_HALF * 2, height: COARSE_HALF * 2 };
        let grey = Grey::of(&self.reference.read_rgba(window, [window.width, window.height])?);
        let textured = grey.middle(FINE_HALF * 2, FINE_HALF * 2).contrast() >= LEAST_CONTRAST;
        Ok((textured && !grey.contrast().is_nan()).then_some(grey))
    }

    /// Returns what the tested orthophoto shows where a place should be, and `reach_m` around it, as it is and on the
    /// pixels of the truth; nothing when it has no data there.
    pub(super) fn picture(&self, at: [f64; 2], reach_m: f64) -> Result<Option<Picture>> {
        let centre = self.reference.geo_transform()?.ground_to_pixel(at)?.map(f64::round);
        let side = 2 * (COARSE_HALF + (reach_m / self.gsd_m / SHRINK as f64).ceil() as usize * SHRINK);
        let half = side as f64 / 2.0;
        let shift = |place: [f64; 2]| {
            let by = self.known.displacement(place);
            [place[0] + by[0], place[1] + by[1]]
        };
        let part = self.part([centre[0] - half, centre[1] - half], [side, side], shift)?;
        let source = Grey::of(&part.picture);
        if source.at_centre().is_nan() {
            return Ok(None);
        }
        let pixels = (0..side * side).map(|i| [(i % side) as f64 + 0.5, (i / side) as f64 + 0.5]);
        let data = pixels.map(|pixel| source.sample(part.position(pixel))).collect();
        Ok(Some(Picture { grey: Grey { width: side, height: side, data }, part, source }))
    }

    /// Reads what the tested orthophoto shows of a rectangle of the truth's pixels. `shift` moves places of the truth to
    /// where the tested orthophoto has them.
    pub(super) fn part(
        &self,
        [left, top]: [f64; 2],
        size: [usize; 2],
        shift: impl Fn([f64; 2]) -> [f64; 2],
    ) -> Result<Part> {
        let transform = self.reference.geo_transform()?;
        let (right, bottom) = (left + size[0] as f64, top + size[1] as f64);
        let mut corners = [[left, top], [right, top], [left, bottom], [right, bottom]]
            .map(|pixel| shift(transform.pixel_to_ground(pixel)));
        self.across.forward_many(&mut corners)?;
        let to_pixel = self.tested.geo_transform()?;
        let mut pixels = [[0.0; 2]; 4];
        for (pixel, corner) in pixels.iter_mut().zip(corners) {
            *pixel = to_pixel.ground_to_pixel(corner)?;
        }
        let bounds = Bbox::of(pixels).expect("there are four corners");
        let (x, y) = (bounds.west.floor() - 2.0, bounds.south.floor() - 2.0);
        let read = [bounds.east - x, bounds.north - y].map(|side| side.ceil() as usize + 2);
        let window = Window { x: x as isize, y: y as isize, width: read[0], height: read[1] };
        // A much finer orthophoto is averaged while it is read, so that both have the same detail.
        let finer = (size[0].max(size[1]) as f64 / (read[0].max(read[1]) as f64)).min(1.0);
        let out = if finer < 0.7 { read.map(|side| ((side as f64 * finer).round() as usize).max(2)) } else { read };
        let scale = [out[0] as f64 / read[0] as f64, out[1] as f64 / read[1] as f64];
        let corners = pixels.map(|pixel| [(pixel[0] - x) * scale[0], (pixel[1] - y) * scale[1]]);
        Ok(Part { picture: self.tested.read_rgba(window, out)?, corners, size })
    }
}

/// What the tested orthophoto shows around a place.
pub(super) struct Picture {
    /// On the pixels of the truth.
    pub grey: Grey,
    /// On its own, and the way to them.
    pub source: Grey,
    pub part: Part,
}

/// A part of the tested orthophoto, and the way into it from a rectangle of the truth's pixels.
pub(super) struct Part {
    pub picture: Rgba8,
    /// Where the rectangle's corners lie in the picture: upper left, upper right, lower left, lower right.
    corners: [[f64; 2]; 4],
    size: [usize; 2],
}

impl Part {
    /// Returns where a pixel of the rectangle lies in the picture. Over some metres the grids differ by a bilinear map.
    pub(super) fn position(&self, pixel: [f64; 2]) -> [f64; 2] {
        let (u, v) = (pixel[0] / self.size[0] as f64, pixel[1] / self.size[1] as f64);
        [0, 1].map(|i| {
            let upper = self.corners[0][i] * (1.0 - u) + self.corners[1][i] * u;
            let lower = self.corners[2][i] * (1.0 - u) + self.corners[3][i] * u;
            upper * (1.0 - v) + lower * v
        })
    }

    /// Returns how many pixels of the picture one pixel of the truth is wide.
    pub(super) fn scale(&self) -> f64 {
        let across = [0, 1].map(|i| self.corners[1][i] - self.corners[0][i]);
        across[0].hypot(across[1]) / self.size[0] as f64
    }

    /// Returns the colour at a position of the picture, between four pixels; nothing beside missing data.
    pub(super) fn colour(&self, [x, y]: [f64; 2]) -> Option<[f32; 3]> {
        let (x, y) = (x - 0.5, y - 0.5);
        let (width, height) = (self.picture.width, self.picture.height);
        if x < 0.0 || y < 0.0 || x >= (width - 1) as f64 || y >= (height - 1) as f64 {
            return None;
        }
        let (i, j) = (x as usize, y as usize);
        let (u, v) = ((x - i as f64) as f32, (y - j as f64) as f32);
        let at = |column: usize, row: usize| &self.picture.data[(row * width + column) * 4..][..4];
        let corners = [at(i, j), at(i + 1, j), at(i, j + 1), at(i + 1, j + 1)];
        let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        corners
            .iter()
            .all(|corner| corner[3] > 0)
            .then(|| std::array::from_fn(|band| corners.iter().zip(weights).map(|(c, w)| f32::from(c[band]) * w).sum()))
    }
}
