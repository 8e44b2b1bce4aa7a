//! Takes a photo: follows a ray through every pixel down to the landscape, then does what lens and sensor do.

use rayon::prelude::*;

use super::{
    camera::{Camera, TruePose},
    canvas::Canvas,
    flight::Shot,
    glitter::glitter,
    landscape::Material,
    noise::hash,
};
use crate::raster::Rgb8;

/// Sides of the blocks whose greatest height lets a ray skip them, in points of the canvas: large ones bring it
/// down past roofs and crowns that are elsewhere, small ones past tussocks.
const BLOCKS: [usize; 2] = [128, 16];

/// Share of a pixel's light that its neighbour on each side gets: the sharpness of a good small camera.
const SPREAD: f32 = 0.09;

/// Above what is drawn on top of it, a hit this much lower is on a wall, not on the surface.
const WALL_M: f32 = 0.35;

/// A landscape and a camera, ready to take photos.
pub(crate) struct Studio<'a> {
    canvas: &'a Canvas,
    camera: &'a Camera,
    /// Ray of each pixel: right and down for each unit forward.
    rays: Vec<[f32; 2]>,
    tops: [Tops; 2],
    highest: f32,
    light: Light,
}

/// What the day and the lens do to the light.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Light {
    /// Seed of the sensor's noise and of the water's waves.
    pub seed: u32,
    /// Exponent of the darkening towards the corners.
    pub falloff: f32,
    /// Towards the sun: east, north, up, of length 1.
    pub sun: [f32; 3],
}

impl<'a> Studio<'a> {
    pub(crate) fn new(canvas: &'a Canvas, camera: &'a Camera, light: Light) -> Self {
        let (width, count) = (camera.width, camera.width * camera.height);
        let rays = (0..count).into_par_iter().map(|i| {
            let pixel = [(i % width) as f64 + 0.5, (i / width) as f64 + 0.5];
            camera.ray(pixel).map(|v| v as f32)
        });
        let tops = BLOCKS.map(|side| Tops::of(canvas, side));
        let highest = tops[0].heights.iter().copied().fold(f32::MIN, f32::max);
        Self { canvas, camera, rays: rays.collect(), tops, highest, light }
    }

    /// Takes one photo. Memory: 15 bytes a pixel while it works.
    pub(crate) fn photograph(&self, shot: &Shot, number: u32) -> Rgb8 {
        let (width, height) = (self.camera.width, self.camera.height);
        let mut light = vec![[0.0_f32; 3]; width * height];
        light.par_chunks_mut(width).enumerate().for_each(|(row, line)| {
            let view = View::of(&shot.pose_at(row as f64 + 0.5, self.camera), self.canvas);
            for (column, pixel) in line.iter_mut().enumerate() {
                *pixel = self.look(&view, self.rays[row * width + column], number);
            }
        });
        let mut data = vec![0_u8; width * height * 3];
        data.par_chunks_mut(width * 3).enumerate().for_each(|(row, line)| {
            for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
                let blurred = self.blurred(&light, column, row);
                pixel.copy_from_slice(&self.expose(blurred, column, row, shot.gain, number));
            }
        });
        Rgb8 { width, height, data }
    }

    /// Returns the pixel at which a shot shows a place (east, north, up); nothing when it is outside the photo or
    /// hidden behind something.
    pub(crate) fn find(&self, shot: &Shot, place: [f64; 3]) -> Option<[f64; 2]> {
        /// A point at the very border is of no use to anyone.
        const BORDER_PX: f64 = 4.0;
        self.sees(shot, place, BORDER_PX)
    }

    /// Does what [`Studio::find`] does, with a border of so many pixels.
    pub(crate) fn sees(&self, shot: &Shot, place: [f64; 3], border_px: f64) -> Option<[f64; 2]> {
        /// Grass and reeds in front of a point do not hide it.
        const HIDDEN_M: f32 = 0.3;
        let (pose, pixel) = self.project(shot, place)?;
        let inside = |at: f64, size: usize| (border_px..size as f64 - border_px).contains(&at);
        if !inside(pixel[0], self.camera.width) || !inside(pixel[1], self.camera.height) {
            return None;
        }
        let view = View::of(&pose, self.canvas);
        let met = self.meet(&view, view.slope(self.camera.ray(pixel).map(|v| v as f32)))?;
        (met < place[2] as f32 + HIDDEN_M).then_some(pixel)
    }

    /// Returns where a shot sees a place, in front of or behind others, and from where it looked when it did.
    fn project(&self, shot: &Shot, place: [f64; 3]) -> Option<(TruePose, [f64; 2])> {
        let mut pose = shot.pose;
        let mut pixel = self.camera.project(pose.to_camera(place))?;
        if self.camera.readout_s > 0.0 {
            // A photo's rows move by a few pixels in all, so each round is a few hundred times nearer than the last.
            for _ in 0..4 {
                pose = shot.pose_at(pixel[1], self.camera);
                pixel = self.camera.project(pose.to_camera(place))?;
            }
        }
        Some((pose, pixel))
    }

    /// Returns the colour that a ray meets, 0 to 255; black beyond the canvas.
    fn look(&self, view: &View, ray: [f32; 2], moment: u32) -> [f32; 3] {
        let slope = view.slope(ray);
        let Some(height) = self.meet(view, slope) else { return [0.0; 3] };
        let position = view.at(slope, height);
        let colour = self.canvas.colour(position).unwrap_or_default();
        match self.canvas.tallest(position) {
            Some((top, material)) if top - height > WALL_M => wall(colour, material, position, height),
            Some((_, Material::OpenWater)) => {
                let place = position.map(|v| (v * self.canvas.cell) as f32);
                glitter(
                    colour,
                    place,
                    view.to_camera(ray),
                    self.light.sun,
                    self.light.seed ^ moment.wrapping_mul(0x85EB_CA6B),
                )
            }
            _ => colour,
        }
    }

    /// Returns the height at which a ray meets the surface: it skips blocks that lie wholly below it, then walks
    /// point by point.
    fn meet(&self, view: &View, slope: [f64; 2]) -> Option<f32> {
        let steepness = slope[0].hypot(slope[1]).max(1e-3);
        // One point of the canvas sideways for each step, but never more than a metre down.
        let stride = (1.0 / steepness).min(1.0) as f32;
        let pace = slope.map(|v| 1.0 / v.abs().max(1e-9));
        let (right, down) = (slope[0] > 0.0, slope[1] > 0.0);
        let mut height = self.highest + 0.01;
        'blocks: loop {
            let [x, y] = view.at(slope, height);
            if x < 0.0 || y < 0.0 || x >= (self.canvas.width - 1) as f64 || y >= (self.canvas.height - 1) as f64 {
                return None;
            }
            for tops in &self.tops {
                let (column, row) = (x as usize / tops.side, y as usize / tops.side);
                let top = tops.heights[row * tops.across + column];
                if height > top {
                    // Down to the top of the block, or to where the ray leaves it, whichever comes first.
                    let ahead = |at: f64, block: usize, onwards: bool| {
                        if onwards { ((block + 1) * tops.side) as f64 - at } else { at - (block * tops.side) as f64 }
                    };
                    let way_out = (ahead(x, column, right) * pace[0]).min(ahead(y, row, down) * pace[1]);
                    height = top.max(height - way_out as f32 - 1e-4);
                    continue 'blocks;
                }
            }
            if self.canvas.height_at([x, y])? >= height {
                return Some(self.refine(view, slope, height, height + stride));
            }
            height -= stride;
        }
    }

    /// Halves the stretch in which the ray goes under the surface.
    fn refine(&self, view: &View, slope: [f64; 2], mut below: f32, mut above: f32) -> f32 {
        for _ in 0..6 {
            let middle = f32::midpoint(below, above);
            let surface = self.canvas.height_at(view.at(slope, middle)).unwrap_or(f32::MIN);
            if surface >= middle { below = middle } else { above = middle }
        }
        f32::midpoint(below, above)
    }

    fn blurred(&self, light: &[[f32; 3]], column: usize, row: usize) -> [f32; 3] {
        let (width, height) = (self.camera.width, self.camera.height);
        let columns = [column.saturating_sub(1), column, (column + 1).min(width - 1)];
        let rows = [row.saturating_sub(1), row, (row + 1).min(height - 1)];
        let weights = [SPREAD, 1.0 - 2.0 * SPREAD, SPREAD];
        let mut sum = [0.0; 3];
        for (y, wy) in rows.into_iter().zip(weights) {
            for (x, wx) in columns.into_iter().zip(weights) {
                let weight = wx * wy;
                for (total, value) in sum.iter_mut().zip(light[y * width + x]) {
                    *total += weight * value;
                }
            }
        }
        sum
    }

    /// Darkens the corners, applies the exposure, adds the noise of the sensor.
    fn expose(&self, light: [f32; 3], column: usize, row: usize, gain: [f32; 3], number: u32) -> [u8; 3] {
        let [u, v] = self.rays[row * self.camera.width + column];
        let falloff = 1.0 / (1.0 + u * u + v * v).powf(self.light.falloff);
        std::array::from_fn(|band| {
            let value = light[band] * gain[band] * falloff;
            let bits =
                hash(column as i32 * 3 + band as i32, row as i32, self.light.seed ^ number.wrapping_mul(0x9E37_79B1));
            // Four uniform bytes make a bell of deviation 147.8.
            let bell = bits.to_le_bytes().iter().map(|&b| f32::from(b)).sum::<f32>() - 510.0;
            let sigma = 0.9 + 0.055 * value.sqrt();
            (value + bell / 147.8 * sigma + 0.5) as u8
        })
    }
}

/// Returns what the side of something looks like: brick below a roof, shade below leaves.
fn wall(colour: [f32; 3], material: Material, position: [f64; 2], height: f32) -> [f32; 3] {
    match material {
        Material::Roof => {
            let course = (f64::from(height) / 0.075) as i32;
            let brick =
                0.85 + 0.25 * (hash(course, ((position[0] + position[1]) * 0.1) as i32, 3) & 0xFF) as f32 / 255.0;
            [128.0 * brick, 92.0 * brick, 74.0 * brick]
        }
        _ => colour.map(|c| c * 0.5),
    }
}

/// A pose in the canvas's own terms: where a ray is at a height, in points.
struct View {
    axes: [[f64; 3]; 3],
    /// Position of the camera, in points, and its height.
    camera: [f64; 2],
    height: f64,
    /// Points for each metre east and north.
    east: [f64; 2],
    north: [f64; 2],
}

impl View {
    fn of(pose: &TruePose, canvas: &Canvas) -> Self {
        let [e, n, up] = pose.enu;
        let (camera, east, north) =
            (canvas.position([e, n]), canvas.position([e + 1.0, n]), canvas.position([e, n + 1.0]));
        let from_camera = |p: [f64; 2]| [p[0] - camera[0], p[1] - camera[1]];
        Self { axes: pose.axes(), camera, height: up, east: from_camera(east), north: from_camera(north) }
    }

    /// Returns the direction from which a ray comes: east, north, up, of length 1.
    fn to_camera(&self, [u, v]: [f32; 2]) -> [f32; 3] {
        let [right, down, forward] = &self.axes;
        let d: [f64; 3] = std::array::from_fn(|i| right[i] * f64::from(u) + down[i] * f64::from(v) + forward[i]);
        let length = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
        d.map(|v| (-v / length) as f32)
    }

    /// Returns how far a ray goes sideways for each metre down, in points.
    fn slope(&self, [u, v]: [f32; 2]) -> [f64; 2] {
        let [right, down, forward] = &self.axes;
        let d: [f64; 3] = std::array::from_fn(|i| right[i] * f64::from(u) + down[i] * f64::from(v) + forward[i]);
        // A drone that looks down has no rays to the sky; a flat one ends at the canvas's border.
        let fall = (-d[2]).max(1e-3);
        [0, 1].map(|i| (d[0] * self.east[i] + d[1] * self.north[i]) / fall)
    }

    /// Returns where a ray is at a height, in points.
    fn at(&self, slope: [f64; 2], height: f32) -> [f64; 2] {
        let fallen = self.height - f64::from(height);
        [self.camera[0] + slope[0] * fallen, self.camera[1] + slope[1] * fallen]
    }
}

/// The greatest height in and around each block of a canvas.
struct Tops {
    side: usize,
    across: usize,
    heights: Vec<f32>,
}

impl Tops {
    fn of(canvas: &Canvas, side: usize) -> Self {
        let (across, down) = (canvas.width.div_ceil(side), canvas.height.div_ceil(side));
        let of_block = |index: usize| {
            let reach = |block: usize, limit: usize| block * side..((block + 1) * side + 1).min(limit);
            let columns = reach(index % across, canvas.width);
            let rows = reach(index / across, canvas.height);
            let row_top = |row: usize| {
                canvas.heights[row * canvas.width..][columns.clone()].iter().copied().fold(f32::MIN, f32::max)
            };
            rows.map(row_top).fold(f32::MIN, f32::max)
        };
        Self { side, across, heights: (0..across * down).into_par_iter().map(of_block).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{canvas::Frame, landscape::Landscape};

    const LIGHT: Light = Light { seed: 6, falloff: 0.45, sun: [0.0, 0.6, 0.8] };
    const POSE: TruePose = TruePose { enu: [2.0, -3.0, 25.0], yaw_deg: 30.0, pitch_deg: -88.0, roll_deg: 1.0 };

    fn canvas(landscape: &Landscape) -> Canvas {
        let frame = Frame { origin: [-30.0, 30.0], axis: [1.0, 0.0], cell: 0.05, width: 1200, height: 1200 };
        Canvas::of(landscape, frame)
    }

    /// A ray meets the surface where the height of the surface is the height of the ray.
    #[test]
    fn rays_end_on_the_surface() {
        let landscape = Landscape::new(6, [40.0, 40.0]);
        let (canvas, camera) = (canvas(&landscape), Camera::of(6, 160, 120));
        let studio = Studio::new(&canvas, &camera, LIGHT);
        let view = View::of(&POSE, &canvas);
        for index in (0..160 * 120).step_by(97) {
            let slope = view.slope(studio.rays[index]);
            let height = studio.meet(&view, slope).unwrap();
            let surface = canvas.height_at(view.at(slope, height)).unwrap();
            let (top, _) = canvas.tallest(view.at(slope, height)).unwrap();
            assert!((surface - height).abs() < 0.05 || top - height > WALL_M, "{surface} {height}");
        }
    }

    /// What a ray meets is projected back to the pixel it came from.
    #[test]
    fn a_pixel_sees_what_is_projected_to_it() {
        let landscape = Landscape::new(6, [40.0, 40.0]);
        let (canvas, camera) = (canvas(&landscape), Camera::of(6, 160, 120));
        let studio = Studio::new(&canvas, &camera, LIGHT);
        let view = View::of(&POSE, &canvas);
        for (column, row) in [(3, 5), (80, 60), (150, 110)] {
            let slope = view.slope(studio.rays[row * 160 + column]);
            let height = studio.meet(&view, slope).unwrap();
            let [x, y] = view.at(slope, height);
            let place = [-30.0 + x * 0.05, 30.0 - y * 0.05, f64::from(height)];
            let pixel = camera.project(POSE.to_camera(place)).unwrap();
            assert!(
                (pixel[0] - column as f64 - 0.5).abs() < 0.01 && (pixel[1] - row as f64 - 0.5).abs() < 0.01,
                "{pixel:?}"
            );
        }
    }
}
