//! What grows and lies on the land: grass, road, banks, water, reeds, tracks.
//!
//! Textures reach from ten metres down to three centimetres, and none of them repeats: a keypoint that looks
//! the same in two places would make a flight easier to get wrong than a real one.

use super::{
    season::{Colour, Season, mixed, rgb, scaled},
    terrain::{Along, POND_BANK, Terrain},
};
use crate::simulation::noise::{floor, fractal, grain, lane, lerp, step, unit, value};

/// What a point of the surface is, for whoever draws its sides or its reflections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Material {
    Ground,
    Water,
    /// A wide water that mirrors sun and sky: no two photos show it alike.
    OpenWater,
    /// A roof: below its edge there is a wall.
    Roof,
    /// Leaves: below their edge there is shade.
    Leaves,
}

/// One point of the landscape, in the light of noon without shadows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surface {
    pub height: f32,
    pub colour: Colour,
    pub material: Material,
}

/// Draws the land of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub seed: u32,
    /// Width of a mower's swath, and how well it shows.
    pub swath: [f32; 2],
    /// Reeds grow where slow noise is above this.
    pub reeds: f32,
    /// How worn the road's edge lines are: above 1 there are none.
    pub line_wear: f32,
}

impl Ground {
    /// Returns the bare landscape at a place; `reeds` is 0 where they are kept away.
    pub(crate) fn surface(&self, terrain: &Terrain, season: &Season, p: Along, reeds: f32) -> Surface {
        let height = terrain.height(p);
        let near_edge = p[1].abs() < terrain.half_road + 0.4;
        let edge = if near_edge { 0.10 * fractal(p, 0.5, 2, self.seed ^ 0x11) } else { 0.0 };
        let off_road = p[1].abs() - terrain.half_road + edge;
        if off_road < -0.08 {
            return Surface { height, colour: self.asphalt(terrain, p), material: Material::Ground };
        }
        let ditch = terrain.ditch.shore(p) + terrain.on_dam(p) * 9.0;
        let creek = terrain.creek.shore(p);
        let pond = terrain.pond.shore(p);
        let shore = (ditch / terrain.ditch.bank).min(creek / terrain.creek.bank).min(pond / POND_BANK);
        let mut surface = if terrain.pond.is_wide && pond < 0.0 {
            self.open_water(season, p, height, pond)
        } else if shore < 0.0 {
            self.water(season, p, height, shore)
        } else {
            self.meadow(terrain, season, p, height, shore)
        };
        if (0.0..1.3).contains(&shore) {
            let mud = step(0.50, 0.05, shore + 0.25 * value(p, 0.6, self.seed ^ 0x12));
            surface.colour = mixed(surface.colour, self.mud(season, p), mud * 0.85);
        }
        if off_road < 0.25 {
            let verge = step(0.25, -0.08, off_road);
            surface.colour = mixed(surface.colour, self.gravel(p), verge * 0.8);
        }
        if (-0.45..0.9).contains(&shore) && reeds > 0.01 {
            self.grow_reeds(season, p, shore, reeds, &mut surface);
        }
        surface
    }

    fn meadow(&self, terrain: &Terrain, season: &Season, p: Along, height: f32, shore: f32) -> Surface {
        let t = p[1].abs();
        let toe = terrain.toe();
        let mood = 0.42 + 0.42 * fractal(p, 11.0, 3, self.seed) + 0.22 * fractal(p, 1.9, 3, self.seed ^ 0x21);
        let tussock = grain(p, 0.47, self.seed ^ 0x31);
        let clump = grain(p, 0.12, self.seed ^ 0x41);
        let fine = value(p, 0.061, self.seed ^ 0x51) * 0.6 + value([p[1], p[0]], 0.043, self.seed ^ 0x61) * 0.5;
        let on_slope = step(terrain.half_crown, terrain.half_crown + 0.8, t) * step(toe + 1.0, toe, t);
        let worn = if on_slope > 0.0 { on_slope * self.sheep_path(p) } else { 0.0 };
        let rank = step(1.35, 0.95, shore);
        let strong = step(0.55, 0.2, tussock.distance) * f32::from(lane(tussock.bits, 0) < 0.33 + 0.4 * rank);
        let mut light = 1.0 + 0.13 * fractal(p, 1.05, 3, self.seed ^ 0x81) - 0.20 * strong;
        light += (lane(clump.bits, 1) - 0.5) * 0.42 * step(0.85, 0.15, clump.distance) + 0.17 * fine;
        if on_slope > 0.0 {
            light += on_slope * self.mowing(p, season);
        }
        // Nobody mows the banks: what grows there is longer and darker.
        light *= 1.0 - 0.16 * rank;
        let mut colour = mixed(
            season.lush,
            season.dry,
            (mood - 0.35 * strong - 0.25 * rank + 0.3 * (lane(clump.bits, 2) - 0.5)).clamp(0.0, 1.0),
        );
        colour = mixed(colour, season.soil, 0.55 * worn + self.tracks(terrain, p));
        colour = scaled(colour, light);
        if let Some(flower) = self.flower(season, p) {
            colour = flower;
        }
        let relief =
            0.06 * rank * strong + 0.035 * strong + 0.03 * (1.0 - clump.distance) * lane(clump.bits, 3) + 0.012 * fine
                - 0.04 * worn;
        Surface { height: height + relief, colour, material: Material::Ground }
    }

    /// Returns how bare sheep have worn the slope: they walk along the contour.
    fn sheep_path(&self, p: Along) -> f32 {
        let wanders = p[1] + 0.8 * value([p[0], 1.0], 5.0, self.seed ^ 0x71);
        let path = 1.0 - value([p[0] * 0.21, wanders], 0.9, self.seed ^ 0x72).abs() * 9.0;
        path.clamp(0.0, 1.0) * step(0.0, 0.4, fractal(p, 6.0, 2, self.seed ^ 0x73))
    }

    /// Returns how much lighter or darker a mower left the grass.
    fn mowing(&self, p: Along, season: &Season) -> f32 {
        let wander = 0.3 * value([p[0], 2.0], 7.0, self.seed ^ 0x91);
        let lanes = (p[1] + wander) / self.swath[0];
        let direction = if floor(lanes) & 1 == 0 { 1.0 } else { -1.0 };
        let seam = step(0.12, 0.0, (lanes - lanes.round()).abs());
        let cut = value([p[0] * 0.35, p[1] * 3.0], 0.4, self.seed ^ 0x92);
        self.swath[1] * (direction * 0.055 + 0.10 * seam * cut + 0.05 * cut) * (0.5 + season.direct)
    }

    /// Returns how bare two wheels left the strip between dike and ditch, and the way over the dam.
    fn tracks(&self, terrain: &Terrain, p: Along) -> f32 {
        let strip = p[1] + terrain.toe() + 1.9;
        let way = p[0] - terrain.dam;
        let on_land = p[1] < -terrain.toe() && p[1] > terrain.ditch.across - 25.0;
        if strip.abs() > 1.6 && !(on_land && way.abs() < 1.6) {
            return 0.0;
        }
        let lane_at = |x: f32| {
            let wander = 0.25 * fractal([p[0], 8.0], 9.0, 2, self.seed ^ 0xA1);
            step(0.34, 0.12, ((x + wander).abs() - 0.85).abs())
        };
        let patchy = step(-0.25, 0.5, fractal(p, 2.2, 3, self.seed ^ 0xA2));
        let way = if on_land { lane_at(way) } else { 0.0 };
        0.8 * patchy * lane_at(strip).max(way)
    }

    fn flower(&self, season: &Season, p: Along) -> Option<Colour> {
        let patch = fractal(p, 5.5, 2, self.seed ^ 0xB1);
        let wanted = 0.42 * season.flowers * step(0.05, 0.6, patch);
        if wanted <= 0.0 {
            return None;
        }
        let g = grain(p, 0.21, self.seed ^ 0xB2);
        if lane(g.bits, 0) > wanted || g.distance > 0.10 + 0.09 * lane(g.bits, 1) {
            return None;
        }
        Some(if value(p, 17.0, self.seed ^ 0xB3) > 0.0 { rgb(226, 224, 214) } else { rgb(222, 196, 58) })
    }

    fn asphalt(&self, terrain: &Terrain, p: Along) -> Colour {
        let t = p[1];
        let speckle = 0.09 * value(p, 0.04, self.seed ^ 0xC1) + 0.07 * value(p, 0.09, self.seed ^ 0xC2);
        let stains = 0.10 * fractal(p, 2.7, 4, self.seed ^ 0xC3);
        let wheels = 0.05 * step(0.45, 0.1, (t.abs() - 0.75).abs());
        let mut colour = scaled(rgb(128, 126, 121), 1.0 + speckle + stains + wheels);
        // Repairs: some stretches of a few metres are newer and darker.
        let cell = ((p[0] + 40_000.0) / 4.7 + 0.4 * value([p[0], 5.0], 3.0, self.seed ^ 0xC4)).floor() as i32;
        if unit(cell, i32::from(t > 0.1), self.seed ^ 0xC5) < 0.14 {
            colour = scaled(colour, 0.80);
        }
        let crack = fractal(p, 1.6, 4, self.seed ^ 0xC6).abs();
        let cracked = step(0.030, 0.008, crack) * step(0.0, 0.3, fractal(p, 5.1, 2, self.seed ^ 0xC7));
        colour = scaled(colour, 1.0 - 0.45 * cracked);
        let line = step(0.07, 0.04, (t.abs() - terrain.half_road + 0.22).abs());
        let paint =
            step(self.line_wear - 0.35, self.line_wear + 0.05, 0.5 + 0.5 * fractal(p, 0.7, 4, self.seed ^ 0xC8));
        let dashed = unit((p[0] * 0.37 + 9000.0).floor() as i32, 3, self.seed ^ 0xC9);
        mixed(colour, rgb(214, 212, 204), line * paint * f32::from(dashed < 0.6))
    }

    fn gravel(&self, p: Along) -> Colour {
        let g = grain(p, 0.055, self.seed ^ 0xD1);
        scaled(rgb(148, 138, 120), 0.85 + 0.35 * lane(g.bits, 0) - 0.25 * g.distance)
    }

    fn mud(&self, season: &Season, p: Along) -> Colour {
        let lumps = 0.14 * fractal(p, 0.35, 3, self.seed ^ 0xE1) + 0.12 * value(p, 0.07, self.seed ^ 0xE2);
        scaled(mixed(season.soil, season.lush, 0.25), 0.78 + lumps)
    }

    fn water(&self, season: &Season, p: Along, height: f32, shore: f32) -> Surface {
        let deep = step(0.0, -0.8, shore);
        let cloud = 0.10 * fractal(p, 6.0, 3, self.seed ^ 0xF1) + 0.05 * fractal(p, 0.4, 2, self.seed ^ 0xF2);
        let mut colour = scaled(season.water, 1.18 - 0.28 * deep + cloud);
        let weed = grain(p, 0.07, self.seed ^ 0xF3);
        let raft = fractal(p, 2.4, 4, self.seed ^ 0xF4) + 0.35 * (1.0 - deep) + 1.5 * (season.duckweed - 0.75);
        let covered = step(0.0, 0.12, raft + 0.3 * (lane(weed.bits, 0) - 0.5));
        let green = scaled(rgb(112, 134, 62), 0.82 + 0.36 * lane(weed.bits, 1));
        colour = mixed(colour, green, 0.9 * covered);
        Surface { height, colour, material: Material::Water }
    }

    /// Returns the wide pond: mud and weeds show through near the shore, a few metres out nothing does.
    fn open_water(&self, season: &Season, p: Along, height: f32, shore: f32) -> Surface {
        let near = self.water(season, p, height, shore / POND_BANK);
        let deep = scaled(season.water, 0.9);
        let colour = mixed(near.colour, deep, step(-0.3, -2.5, shore));
        Surface { height, colour, material: Material::OpenWater }
    }

    /// Puts reeds on the shore: stalks as high as a child, thinning out towards the land.
    fn grow_reeds(&self, season: &Season, p: Along, shore: f32, kept: f32, surface: &mut Surface) {
        let stand = fractal(p, 7.0, 3, self.seed ^ 0x101) - self.reeds;
        let across = step(-0.42, -0.1, shore) * step(0.75, 0.3, shore);
        let density = step(0.0, 0.25, stand) * across * kept;
        if density < 0.05 {
            return;
        }
        let stalk = grain(p, 0.11, self.seed ^ 0x102);
        let thinness = value(p, 0.5, self.seed ^ 0x103) * 0.35;
        if lane(stalk.bits, 0) > density + thinness {
            return;
        }
        let tip = (1.0 - stalk.distance * 1.1).clamp(0.0, 1.0);
        let shade = 0.55 + 0.55 * tip + 0.3 * (lane(stalk.bits, 1) - 0.5);
        surface.colour = scaled(mixed(season.reed, season.lush, lerp(0.15, 0.65, lane(stalk.bits, 2))), shade);
        surface.height += 0.75 * density * (0.75 + 0.25 * lane(stalk.bits, 3)) + 0.10 * tip;
        surface.material = Material::Leaves;
    }
}
