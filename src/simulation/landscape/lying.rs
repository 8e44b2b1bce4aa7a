//! Small things that lie about, and that a detector must not mistake for what it looks for.

use super::{
    ground::{Material, Surface},
    season::{Colour, Season, mixed, rgb, scaled},
};
use crate::simulation::noise::{fractal, grain, lane, step, value, wobble};

/// A boulder of the bank protection.
#[derive(Clone, Debug)]
pub(crate) struct Stone {
    pub radius: f32,
    pub tone: f32,
    pub seed: u32,
}

impl Stone {
    fn out(&self, q: [f32; 2]) -> f32 {
        q[0].hypot(q[1] * 1.2) / (self.radius * wobble(q[1].atan2(q[0]), 0.22, self.seed))
    }

    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        if self.out(q) < 1.0 { self.radius * 0.6 } else { 0.0 }
    }

    pub(crate) fn draw(&self, q: [f32; 2], surface: &mut Surface) {
        let out = self.out(q);
        if out < 1.05 {
            let cover = step(1.05, 0.95, out);
            let mottled = 1.0 + 0.18 * fractal(q, 0.2, 3, self.seed);
            surface.colour = mixed(surface.colour, scaled(rgb(150, 147, 140), self.tone * mottled), cover);
            surface.height += 0.6 * self.radius * (1.0 - out * out).max(0.0).sqrt() * cover;
        }
    }
}

/// Fresh soil that a mole has thrown up.
#[derive(Clone, Debug)]
pub(crate) struct Molehill {
    pub radius: f32,
    pub seed: u32,
}

impl Molehill {
    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], surface: &mut Surface) {
        let out = q[0].hypot(q[1]) / (self.radius * wobble(q[1].atan2(q[0]), 0.3, self.seed));
        let crumb = grain(q, 0.06, self.seed ^ 1);
        if out + 0.5 * (lane(crumb.bits, 0) - 0.5) < 1.0 {
            surface.colour = scaled(season.soil, 0.72 + 0.4 * lane(crumb.bits, 1));
            surface.height += 0.55 * self.radius * (1.0 - out * 0.8).max(0.0);
        }
    }
}

/// Rain that has stayed in a hollow.
#[derive(Clone, Debug)]
pub(crate) struct Puddle {
    pub half: [f32; 2],
    pub seed: u32,
}

impl Puddle {
    pub(crate) fn reach(&self) -> f32 {
        self.half[0].max(self.half[1]) * 1.6
    }

    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], surface: &mut Surface) {
        let (x, y) = (q[0] / self.half[0], q[1] / self.half[1]);
        let out = x.hypot(y) / wobble(y.atan2(x), 0.35, self.seed) + 0.06 * fractal(q, 0.3, 2, self.seed);
        let wet = step(1.3, 1.0, out);
        let mud = scaled(season.soil, 0.75 + 0.2 * fractal(q, 0.2, 3, self.seed ^ 2));
        surface.colour = mixed(surface.colour, mud, 0.5 * wet);
        if out < 1.0 {
            let sky = mixed(season.water, rgb(150, 164, 178), 0.35 + 0.1 * value(q, 0.7, self.seed ^ 1));
            surface.colour = mixed(surface.colour, sky, step(1.0, 0.93, out));
            surface.material = Material::Water;
            surface.height -= 0.03;
        }
    }
}

/// A wooden pallet that somebody left.
#[derive(Clone, Debug)]
pub(crate) struct Pallet {
    pub half: [f32; 2],
    pub wood: Colour,
    pub seed: u32,
}

impl Pallet {
    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        if q[0].abs() < self.half[0] && q[1].abs() < self.half[1] { 0.14 } else { 0.0 }
    }

    pub(crate) fn draw(&self, q: [f32; 2], surface: &mut Surface) {
        if self.top(q) == 0.0 {
            return;
        }
        let board = (q[1] + self.half[1]) / 0.13;
        let gap = step(0.38, 0.44, (board - board.floor() - 0.5).abs());
        let grey = 1.0 + 0.14 * value([q[0] * 0.3, board.floor()], 0.3, self.seed) + 0.06 * value(q, 0.05, self.seed);
        surface.colour = mixed(scaled(self.wood, grey), scaled(surface.colour, 0.4), 0.9 * gap);
        surface.height += 0.13 * (1.0 - gap);
    }
}

/// A post of the sheep fence.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub height: f32,
    pub tone: f32,
}

impl Post {
    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        if q[0].hypot(q[1]) < 0.06 { self.height } else { 0.0 }
    }

    pub(crate) fn draw(&self, q: [f32; 2], surface: &mut Surface) {
        let cover = step(0.075, 0.05, q[0].hypot(q[1]));
        if cover > 0.0 {
            surface.colour = mixed(surface.colour, scaled(rgb(132, 118, 98), self.tone), cover);
            surface.height += self.height * f32::from(cover > 0.5);
            surface.material = Material::Leaves;
        }
    }
}

/// A surveyed mark: a square of four fields, black and white crosswise. Its middle is the point.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub half: f32,
}

impl Target {
    pub(crate) fn draw(&self, q: [f32; 2], surface: &mut Surface) {
        let cover = step(0.008, -0.008, q[0].abs().max(q[1].abs()) - self.half);
        if cover <= 0.0 {
            return;
        }
        let side = |x: f32| step(-0.008, 0.008, x) * 2.0 - 1.0;
        let white = 0.5 + 0.5 * side(q[0]) * side(q[1]);
        let worn = 1.0 + 0.05 * value(q, 0.2, 77);
        let paint = scaled(mixed(rgb(34, 34, 36), rgb(236, 236, 232), white), worn);
        surface.colour = mixed(surface.colour, paint, cover);
        surface.material = Material::Ground;
    }
}
