//! Trees and bushes, seen from above.

use super::{
    ground::{Material, Surface},
    season::{Season, mixed, scaled},
};
use crate::simulation::noise::{fractal, grain, lane, step, wobble};

/// A crown on a trunk that nobody sees from the air.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub radius: f32,
    pub height: f32,
    /// 1 is the season's leaf; below is darker, above lighter.
    pub tone: f32,
    pub seed: u32,
}

impl Tree {
    pub(crate) fn reach(&self) -> f32 {
        self.radius * 1.35
    }

    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        let out = self.out(q);
        if out < 1.0 { self.height * (0.42 + 0.52 * (1.0 - out * out).sqrt()) } else { 0.0 }
    }

    fn out(&self, q: [f32; 2]) -> f32 {
        q[0].hypot(q[1]) / (self.radius * wobble(q[1].atan2(q[0]), 0.24, self.seed))
    }

    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], base: f32, surface: &mut Surface) {
        let ragged = 0.10 * fractal(q, 0.45, 2, self.seed ^ 0x1);
        let out = self.out(q) + ragged;
        if out >= 1.0 {
            return;
        }
        let bough = grain(q, 0.85, self.seed ^ 0x2);
        let twig = grain(q, 0.27, self.seed ^ 0x3);
        let leaf = grain(q, 0.09, self.seed ^ 0x4);
        let dome = (1.0 - out * out).max(0.0).sqrt();
        let lumps = 0.35 * (1.0 - bough.distance) + 0.16 * (1.0 - twig.distance) + 0.05 * lane(leaf.bits, 0);
        let crown = base + self.height * (0.42 + 0.48 * dome) + lumps * self.radius.min(2.5) * 0.4;
        // The dark between the boughs is what makes a crown look like one.
        let gaps = step(0.45, 0.95, bough.distance) * 0.38 + step(0.4, 0.9, twig.distance) * 0.22;
        let light = self.tone * (0.80 + 0.30 * dome) * (1.0 - gaps) * (0.82 + 0.42 * lane(leaf.bits, 1));
        let hue = mixed(season.leaf, season.lush, 0.15 + 0.35 * lane(twig.bits, 2));
        surface.colour = scaled(hue, light);
        surface.height = crown.max(surface.height);
        surface.material = Material::Leaves;
    }
}
