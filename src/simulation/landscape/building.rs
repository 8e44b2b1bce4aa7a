//! Houses with a ridge, and the yard around them.

use super::{
    ground::{Material, Surface},
    season::{Colour, mixed, rgb, scaled},
};
use crate::simulation::noise::{fractal, grain, lane, step, unit, value};

/// A house or a barn under a saddle roof.
#[derive(Clone, Debug)]
pub(crate) struct House {
    /// Half its length (along the ridge) and half its width.
    pub half: [f32; 2],
    pub eaves: f32,
    /// Rise of the roof for each metre inwards.
    pub pitch: f32,
    pub tiles: Colour,
    /// Chimney on the ridge, metres along; windows and panels are placed by the seed.
    pub chimney: f32,
    pub panels: bool,
    /// Width of the paved yard around it.
    pub yard: f32,
    pub seed: u32,
}

impl House {
    pub(crate) fn reach(&self) -> f32 {
        (self.half[0] + self.yard).hypot(self.half[1] + self.yard) + 0.5
    }

    pub(crate) fn ridge(&self) -> f32 {
        self.eaves + self.half[1] * self.pitch
    }

    /// Returns the height of the roof above the ground in the item's frame, 0 outside.
    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        if q[0].abs() > self.half[0] || q[1].abs() > self.half[1] {
            return 0.0;
        }
        let roof = self.eaves + (self.half[1] - q[1].abs()) * self.pitch;
        if self.on_chimney(q) { self.ridge() + 0.8 } else { roof }
    }

    fn on_chimney(&self, q: [f32; 2]) -> bool {
        (q[0] - self.chimney).abs() < 0.4 && (q[1] - 0.5).abs() < 0.35
    }

    pub(crate) fn draw(&self, q: [f32; 2], base: f32, surface: &mut Surface) {
        let top = self.top(q);
        if top <= 0.0 {
            self.pave(q, surface);
            return;
        }
        surface.height = base + top;
        surface.material = Material::Roof;
        surface.colour = self.roof(q);
    }

    fn roof(&self, q: [f32; 2]) -> Colour {
        if self.on_chimney(q) {
            let flue = (q[0] - self.chimney).abs() < 0.2 && (q[1] - 0.5).abs() < 0.16;
            return if flue {
                rgb(30, 28, 27)
            } else {
                scaled(rgb(140, 92, 72), 1.0 + 0.15 * value(q, 0.1, self.seed))
            };
        }
        if let Some(colour) = self.fitted(q) {
            return colour;
        }
        let (row, column) = (q[1].abs() / 0.31, q[0] / 0.24);
        let bits = crate::simulation::noise::hash(
            row.floor() as i32,
            column.floor() as i32,
            self.seed ^ u32::from(q[1] > 0.0),
        );
        let lip = row - row.floor();
        let weather = 0.16 * fractal(q, 1.9, 4, self.seed ^ 0x11) + 0.16 * (lane(bits, 0) - 0.5);
        let mut colour = scaled(self.tiles, 0.90 + weather + 0.16 * (lip - 0.5) + 0.05 * value(q, 0.05, self.seed));
        let moss = step(0.15, 0.6, fractal(q, 1.3, 4, self.seed ^ 0x12));
        colour = mixed(colour, rgb(98, 104, 62), 0.45 * moss);
        let ridge = step(0.16, 0.10, q[1].abs());
        colour = mixed(colour, scaled(self.tiles, 0.75 + 0.3 * unit((q[0] / 0.4).floor() as i32, 5, self.seed)), ridge);
        let gutter = step(0.14, 0.09, self.half[1] - q[1].abs()).max(step(0.10, 0.05, self.half[0] - q[0].abs()));
        mixed(colour, rgb(92, 94, 96), 0.8 * gutter)
    }

    /// Returns the colour of a roof window or a solar panel, where there is one.
    fn fitted(&self, q: [f32; 2]) -> Option<Colour> {
        let up = self.half[1] - q[1].abs();
        if self.panels && q[1] < 0.0 {
            let (across, along) = (up - 0.9, q[0] + self.half[0] * 0.6);
            if (0.0..3.3).contains(&across) && (0.0..self.half[0] * 1.0).contains(&along) {
                let (i, j) = (across / 1.65, along / 1.0);
                let frame = (i - i.round()).abs() * 1.65 < 0.03 || (j - j.round()).abs() < 0.03;
                let tone = 0.9 + 0.2 * unit(i as i32, j as i32, self.seed) + 0.1 * value(q, 0.6, self.seed);
                return Some(if frame { rgb(120, 124, 130) } else { scaled(rgb(36, 44, 66), tone) });
            }
        }
        for window in 0..3 {
            let side = if unit(window, 1, self.seed) < 0.5 { -1.0 } else { 1.0 };
            let at = self.half[0] * (unit(window, 2, self.seed) * 1.5 - 0.75);
            let (across, along) = (up - self.half[1] * 0.45, q[0] - at);
            if q[1] * side > 0.0 && across.abs() < 0.5 && along.abs() < 0.39 {
                let frame = across.abs() > 0.42 || along.abs() > 0.31;
                return Some(if frame {
                    rgb(86, 84, 82)
                } else {
                    scaled(rgb(92, 108, 124), 0.9 + 0.3 * value(q, 0.8, 5))
                });
            }
        }
        None
    }

    fn pave(&self, q: [f32; 2], surface: &mut Surface) {
        let (dx, dy) = (q[0].abs() - self.half[0], q[1].abs() - self.half[1]);
        let out = dx.max(0.0).hypot(dy.max(0.0)) + 0.35 * fractal(q, 1.5, 3, self.seed ^ 0x21);
        let cover = step(self.yard, self.yard - 0.15, out);
        if cover <= 0.0 || matches!(surface.material, Material::Water | Material::OpenWater) {
            return;
        }
        let (row, column) = (q[0] / 0.21, q[1] / 0.105 + 0.5 * f32::from((q[0] / 0.21).floor() as i32 & 1 == 0));
        let bits = crate::simulation::noise::hash(row.floor() as i32, column.floor() as i32, self.seed ^ 0x22);
        let stain = 0.14 * fractal(q, 2.2, 4, self.seed ^ 0x23);
        let brick = scaled(rgb(150, 118, 100), 0.9 + 0.22 * (lane(bits, 0) - 0.5) + stain);
        let weed = grain(q, 0.3, self.seed ^ 0x24);
        let green = step(0.25, 0.1, weed.distance) * f32::from(lane(weed.bits, 0) < 0.12);
        surface.colour = mixed(surface.colour, mixed(brick, rgb(96, 112, 62), green), cover);
    }
}
