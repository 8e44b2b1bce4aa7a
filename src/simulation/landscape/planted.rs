//! The two things that an inspector looks for.

use std::f32::consts::TAU;

use super::{
    ground::Surface,
    season::{Colour, Season, mixed, rgb, scaled},
};
use crate::simulation::noise::{fractal, grain, lane, step, value, wobble};

/// A muskrat trap: a cage of wire netting on the bank, half in the vegetation.
#[derive(Clone, Debug)]
pub(crate) struct Cage {
    pub half_length: f32,
    pub half_width: f32,
    pub height: f32,
    /// Distance between wires, metres.
    pub mesh: f32,
    pub wire: Colour,
    /// How dark the inside is: 1 as bright as the ground.
    pub inside: f32,
    /// How much grass has grown through, 0 to 1.
    pub overgrown: f32,
    pub seed: u32,
}

impl Cage {
    pub(crate) fn reach(&self) -> f32 {
        self.half_length.hypot(self.half_width) + 0.05
    }

    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        if self.inset(q) > 0.0 { self.height * 0.8 } else { 0.0 }
    }

    /// Returns the distance to the frame from the inside.
    fn inset(&self, q: [f32; 2]) -> f32 {
        (self.half_length - q[0].abs()).min(self.half_width - q[1].abs())
    }

    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], surface: &mut Surface) {
        let inset = self.inset(q);
        let cover = step(-0.012, 0.012, inset);
        if cover <= 0.0 {
            return;
        }
        let mut colour = scaled(mixed(surface.colour, season.soil, 0.35), self.inside);
        // A dark funnel at the entrance, a plate with the catch at the other end.
        let funnel = (q[0] - self.half_length * 0.62).hypot(q[1] * 0.9) / self.half_width;
        colour = scaled(colour, 1.0 - 0.62 * step(0.62, 0.42, funnel));
        let plate = step(0.02, -0.01, (q[0] + self.half_length * 0.72).abs() - 0.07) * step(0.05, 0.07, inset);
        colour = mixed(colour, scaled(self.wire, 0.92), 0.85 * plate);
        let netting = wires(q[0] + self.half_length, self.mesh).max(wires(q[1] + self.half_width, self.mesh));
        let dull = 0.85 + 0.18 * value(q, 0.15, self.seed);
        colour = mixed(colour, scaled(self.wire, dull), 0.62 * netting);
        let divider = step(0.03, 0.012, (q[0] - self.half_length * 0.12).abs());
        let frame = step(0.055, 0.03, inset).max(divider);
        colour = mixed(colour, scaled(self.wire, dull * 1.04), 0.95 * frame);
        let grass = grain(q, 0.09, self.seed ^ 0x5);
        let through =
            step(0.0, 0.2, self.overgrown - lane(grass.bits, 0) + 0.5 * fractal(q, 0.4, 2, self.seed ^ 0x6) - 0.15);
        colour = mixed(colour, scaled(season.lush, 0.7 + 0.5 * lane(grass.bits, 1)), 0.85 * through);
        surface.colour = mixed(surface.colour, colour, cover);
        surface.height += cover * (self.height * (0.72 + 0.25 * frame) + 0.05 * through);
    }

    /// Returns the corners in the item's frame, counter-clockwise.
    pub(crate) fn ring(&self) -> Vec<[f32; 2]> {
        let (l, w) = (self.half_length, self.half_width);
        vec![[-l, -w], [l, -w], [l, w], [-l, w]]
    }
}

/// Returns how much of a wire covers a place, for wires every `mesh` metres from 0.
fn wires(x: f32, mesh: f32) -> f32 {
    let off = (x / mesh - (x / mesh).round()).abs() * mesh;
    step(0.026, 0.008, off)
}

/// A place where the bank has slid or been dug away: bare soil with a dark edge.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    /// Half the length and half the width of the patch.
    pub half: [f32; 2],
    pub depth: f32,
    /// How wet and dark the soil is: 1 is the season's soil.
    pub tone: f32,
    pub seed: u32,
}

impl Damage {
    pub(crate) fn reach(&self) -> f32 {
        self.half[0].max(self.half[1]) * 1.4 + 0.5
    }

    /// Returns how far out a place is: 0 in the middle, 1 on the edge.
    fn out(&self, q: [f32; 2]) -> f32 {
        let (x, y) = (q[0] / self.half[0], q[1] / self.half[1]);
        x.hypot(y) / wobble(y.atan2(x), 0.30, self.seed)
    }

    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], surface: &mut Surface) {
        let size = self.half[0].min(self.half[1]);
        // Distance inside the edge in metres, roughened so that the edge crumbles.
        let inside = (1.0 - self.out(q)) * size + 0.05 * fractal(q, 0.25, 3, self.seed ^ 0x1);
        let clod = grain(q, 0.13, self.seed ^ 0x2);
        let crumbs = inside < 0.0 && inside > -0.35 && lane(clod.bits, 0) < 0.28 + inside * 0.7 && clod.distance < 0.4;
        if inside < -0.02 && !crumbs {
            return;
        }
        let light = 0.92 + 0.30 * (lane(clod.bits, 1) - 0.5) - 0.25 * step(0.35, 0.8, clod.distance)
            + 0.22 * fractal(q, 0.6, 3, self.seed ^ 0x3)
            + 0.12 * value(q, 0.05, self.seed ^ 0x4);
        let mut soil = scaled(season.soil, self.tone * light);
        // The scarp is undercut: always darker than the soil in front of it.
        let scarp = step(0.17, 0.05, inside) * step(-0.03, 0.02, inside);
        soil = scaled(soil, 1.0 - 0.5 * scarp);
        let sod = step(0.30, 0.5, value(q, 0.45, self.seed ^ 0x5)) * f32::from(lane(clod.bits, 2) < 0.7);
        soil = mixed(soil, scaled(season.lush, 0.85), 0.75 * sod * step(0.1, 0.25, inside));
        let cover = if crumbs { 0.9 } else { step(-0.02, 0.03, inside) };
        surface.colour = mixed(surface.colour, soil, cover);
        if !crumbs {
            surface.height -= self.depth * step(0.0, 0.4, inside) - 0.05 * (1.0 - clod.distance) * lane(clod.bits, 3);
        }
    }

    /// Returns the edge in the item's frame, counter-clockwise.
    pub(crate) fn ring(&self) -> Vec<[f32; 2]> {
        (0..32)
            .map(|i| {
                let angle = i as f32 / 32.0 * TAU;
                let radius = wobble(angle, 0.30, self.seed);
                [radius * angle.cos() * self.half[0], radius * angle.sin() * self.half[1]]
            })
            .collect()
    }
}

/// Returns a wire's colour: zinc when new, brown when it has rusted.
pub(crate) fn wire_colour(rust: f32, brightness: f32) -> Colour {
    scaled(mixed(rgb(196, 200, 200), rgb(140, 96, 66), rust), brightness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_of_a_damage_is_its_edge() {
        let damage = Damage { half: [1.0, 0.7], depth: 0.2, tone: 1.0, seed: 3 };
        for point in damage.ring() {
            assert!((damage.out(point) - 1.0).abs() < 1e-4, "{point:?}");
        }
    }
}
