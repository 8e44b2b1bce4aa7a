//! Cuts samples from scenes: turned, mirrored, scaled and moved at random.

use polder::{
    detection::training::{Known, Scene},
    raster::{Rgb8, Rgba8},
};
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

use super::{assign::Wanted, wear};

/// What networks see where there is no picture; the same as under a chip.
const PADDING: u8 = 114;

/// An object counts as shown when at least this part of its box lies on the sample.
const SHOWN: f64 = 0.35;

/// How often a sample looks aside, at whatever surrounds the objects: what is not an object must be learned too.
const ASIDE: f64 = 0.3;

/// A square piece of a scene and the boxes on it.
pub(super) struct Sample {
    pub picture: Rgb8,
    pub boxes: Vec<Wanted>,
}

impl Sample {
    /// Cuts a sample of `side × side` pixels around `place`, or else around one of the scene's objects or anywhere.
    pub(super) fn of(scene: &Scene, place: Option<[f64; 2]>, side: usize, rng: &mut Pcg64Mcg) -> Self {
        let view = View::new(scene, place, side, rng);
        let mut picture = view.look(&scene.picture, side);
        wear::wear(&mut picture, rng);
        let data = picture.data.chunks_exact(4).flat_map(|p| if p[3] == 0 { [PADDING; 3] } else { [p[0], p[1], p[2]] });
        let data = data.collect();
        let boxes = scene.objects.iter().filter_map(|known| view.shown(known, side)).collect();
        Self { picture: Rgb8 { width: side, height: side, data }, boxes }
    }
}

/// A similarity between sample and scene.
struct View {
    /// The place of the scene in the middle of the sample.
    centre: [f64; 2],
    /// First column of the matrix from sample to scene; the second is this one turned, or turned and mirrored.
    turn: [f64; 2],
    mirror: f64,
    half: f64,
}

impl View {
    fn new(scene: &Scene, place: Option<[f64; 2]>, side: usize, rng: &mut Pcg64Mcg) -> Self {
        let middle = [scene.picture.width as f64 / 2.0, scene.picture.height as f64 / 2.0];
        let objects = &scene.objects;
        let (aim, stray) = if let Some(place) = place {
            (place, side as f64 * 0.3)
        } else if objects.is_empty() || rng.random_bool(ASIDE) {
            (middle, middle[0] * 0.7)
        } else {
            (mean(&objects[rng.random_range(0..objects.len())].ring), side as f64 * 0.42)
        };
        let centre = aim.map(|at| at + rng.random_range(-stray..stray));
        // A third keeps the raster's own grid, as an orthophoto at the model's GSD does.
        let angle = if rng.random_bool(0.33) {
            f64::from(rng.random_range(0..4_u8)) * std::f64::consts::FRAC_PI_2
        } else {
            rng.random_range(0.0..std::f64::consts::TAU)
        };
        let scale = 1.0 / rng.random_range(0.8..1.25_f64);
        let mirror = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
        Self { centre, turn: [angle.cos() * scale, angle.sin() * scale], mirror, half: side as f64 / 2.0 }
    }

    fn to_scene(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x - self.half, (y - self.half) * self.mirror);
        let [c, s] = self.turn;
        [self.centre[0] + c * x - s * y, self.centre[1] + s * x + c * y]
    }

    fn to_sample(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        let [c, s] = self.turn;
        let size = c * c + s * s;
        [(c * x + s * y) / size + self.half, (c * y - s * x) / size * self.mirror + self.half]
    }

    /// Returns the sample's pixels, bilinear; alpha is 0 outside the scene.
    fn look(&self, scene: &Rgb8, side: usize) -> Rgba8 {
        let mut picture = Rgba8::new(side, side);
        for (i, pixel) in picture.data.chunks_exact_mut(4).enumerate() {
            let at = self.to_scene([(i % side) as f64 + 0.5, (i / side) as f64 + 0.5]);
            if let Some([r, g, b]) = bilinear(scene, at) {
                pixel.copy_from_slice(&[r, g, b, 255]);
            }
        }
        picture
    }

    /// Returns the object's box on the sample, cut at its border, when enough of it is there.
    fn shown(&self, known: &Known, side: usize) -> Option<Wanted> {
        let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        for &corner in &known.ring {
            let [x, y] = self.to_sample(corner);
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        }
        let cut = bounds.map(|at| at.clamp(0.0, side as f64));
        let area = |b: [f64; 4]| (b[2] - b[0]) * (b[3] - b[1]);
        (area(cut) > SHOWN * area(bounds)).then_some((known.class, cut))
    }
}

fn mean(ring: &[[f64; 2]]) -> [f64; 2] {
    let n = ring.len().max(1) as f64;
    ring.iter().fold([0.0, 0.0], |sum, p| [sum[0] + p[0] / n, sum[1] + p[1] / n])
}

fn bilinear(picture: &Rgb8, [x, y]: [f64; 2]) -> Option<[u8; 3]> {
    let (x, y) = (x - 0.5, y - 0.5);
    if x < 0.0 || y < 0.0 || x >= (picture.width - 1) as f64 || y >= (picture.height - 1) as f64 {
        return None;
    }
    let (column, row) = (x as usize, y as usize);
    let (u, v) = ((x - column as f64) as f32, (y - row as f64) as f32);
    let at = |dx: usize, dy: usize| picture.pixel(column + dx, row + dy).map(f32::from);
    let (a, b, c, d) = (at(0, 0), at(1, 0), at(0, 1), at(1, 1));
    let mix = |i: usize| (a[i] * (1.0 - u) + b[i] * u) * (1.0 - v) + (c[i] * (1.0 - u) + d[i] * u) * v;
    Some(std::array::from_fn(|i| mix(i).round() as u8))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// A dark scene with one bright square.
    fn scene() -> Scene {
        let mut picture = Rgb8::new(300, 300);
        for (x, y) in (140..165).flat_map(|x| (130..155).map(move |y| (x, y))) {
            let at = (y * 300 + x) * 3;
            picture.data[at..at + 3].fill(250);
        }
        let ring = vec![[140.0, 130.0], [165.0, 130.0], [165.0, 155.0], [140.0, 155.0]];
        Scene { picture, objects: vec![Known { class: 1, ring }] }
    }

    #[test]
    fn the_box_stays_on_the_object_however_the_sample_lies() {
        let scene = scene();
        for seed in 0..40 {
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let view = View::new(&scene, None, 128, &mut rng);
            let picture = view.look(&scene.picture, 128);
            let Some((1, [left, top, right, bottom])) = view.shown(&scene.objects[0], 128) else { continue };
            for (i, pixel) in picture.data.chunks_exact(4).enumerate().filter(|(_, p)| p[0] > 128) {
                let (x, y) = ((i % 128) as f64 + 0.5, (i / 128) as f64 + 0.5);
                let inside = left - 1.0 < x && x < right + 1.0 && top - 1.0 < y && y < bottom + 1.0;
                assert!(inside, "seed {seed}: bright {pixel:?} at {x}, {y}");
            }
        }
    }

    #[test]
    fn places_come_back_from_the_sample() {
        let view = View::new(&scene(), None, 128, &mut Pcg64Mcg::seed_from_u64(5));
        let [x, y] = view.to_sample(view.to_scene([31.0, 77.0]));
        assert!((x - 31.0).abs() < 1e-9 && (y - 77.0).abs() < 1e-9);
    }

    #[test]
    fn one_seed_gives_one_sample() {
        let cut = || Sample::of(&scene(), None, 96, &mut Pcg64Mcg::seed_from_u64(9)).picture;
        assert_eq!(cut(), cut());
    }
}
