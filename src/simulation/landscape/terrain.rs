//! The shape of the land: a dike with a road on it, a ditch on the land side, a creek and a pond outside.

use crate::simulation::{dice::Dice, noise};

/// A place in the dike's own frame: metres along it, and metres across it from the middle of the crown.
/// Negative is the land side, positive the river side.
pub(crate) type Along = [f32; 2];

/// Water in a bed: the ditch, or the creek.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    /// Where its middle runs across the dike, and how far it wanders.
    pub across: f32,
    wander: f32,
    seed: u32,
    /// Half the width of the water.
    pub half_water: f32,
    /// Width of one bank, from the water to the land.
    pub bank: f32,
    /// Water level below the land, metres.
    pub freeboard: f32,
}

impl Channel {
    /// Returns how far the middle runs from the dike at `s`.
    pub(crate) fn middle(&self, s: f32) -> f32 {
        self.across + self.wander * noise::value([s, 0.0], 23.0, self.seed)
    }

    /// Returns the distance from the water's edge: negative in the water, `bank` at the top of the bank.
    pub(crate) fn shore(&self, p: Along) -> f32 {
        let straight = (p[1] - self.across).abs() - self.half_water;
        if straight > self.wander + self.bank + 1.0 {
            return straight;
        }
        let wiggle = 0.22 * noise::fractal(p, 1.7, 2, self.seed ^ 0x77);
        (p[1] - self.middle(p[0])).abs() - self.half_water + wiggle
    }
}

/// The pond outside the dike.
#[derive(Clone, Debug)]
pub(crate) struct Pond {
    pub centre: Along,
    pub radius: f32,
    /// Whether it is a water of forty metres, without features, and not a small one that weeds grow in.
    pub is_wide: bool,
    seed: u32,
}

impl Pond {
    /// Returns the distance from the water's edge, negative in the water; exact enough near the shore.
    pub(crate) fn shore(&self, p: Along) -> f32 {
        let (dx, dy) = (p[0] - self.centre[0], p[1] - self.centre[1]);
        let out = (dx * dx + dy * dy).sqrt();
        if out > self.radius * 1.4 + POND_BANK + 1.0 {
            return out - self.radius;
        }
        out - self.radius * noise::wobble(dy.atan2(dx), 0.28, self.seed)
    }

    /// Returns the place of the shore in a direction.
    pub(crate) fn at_shore(&self, angle: f32, distance: f32) -> Along {
        let radius = self.radius * noise::wobble(angle, 0.28, self.seed) + distance;
        [self.centre[0] + radius * angle.cos(), self.centre[1] + radius * angle.sin()]
    }
}

/// The land without anything on it.
#[derive(Clone, Debug)]
pub(crate) struct Terrain {
    seed: u32,
    /// Unit vector along the dike, east and north.
    pub axis: [f64; 2],
    bend: [f32; 3],
    pub crown_height: f32,
    pub half_crown: f32,
    pub half_road: f32,
    /// Horizontal over vertical of the slopes.
    pub slope: f32,
    pub ditch: Channel,
    pub creek: Channel,
    pub pond: Pond,
    /// Where a dam carries a track over the ditch, metres along.
    pub dam: f32,
}

/// Bank of the pond and depth of its water below the land.
pub(crate) const POND_BANK: f32 = 1.5;
const POND_FREEBOARD: f32 = 0.55;

impl Terrain {
    pub(crate) fn of(seed: u64, length_m: f64, wide_pond: bool) -> Self {
        let mut dice = Dice::new(seed, "terrain");
        let mut between = |from: f64, to: f64| dice.between(from, to);
        let heading = between(-0.42, 0.42);
        // Some dikes have their river on the other side.
        let side = if between(0.0, 1.0) < 0.5 { 1.0 } else { -1.0 };
        let half_crown = between(2.4, 3.0) as f32;
        let crown_height = between(3.3, 4.2) as f32;
        let slope = between(2.4, 2.9) as f32;
        let toe = half_crown + crown_height * slope;
        let half_length = (length_m / 2.0).max(10.0);
        let ditch_half = between(1.1, 1.6) as f32;
        let creek_half = between(1.3, 2.3) as f32;
        let bits = |purpose: &str| Dice::new(seed, purpose).bits() as u32;
        let mut terrain = Self {
            seed: bits("ground"),
            axis: [side * heading.cos(), side * heading.sin()],
            bend: [between(0.8, 2.2) as f32, between(90.0, 140.0) as f32, between(0.0, std::f64::consts::TAU) as f32],
            crown_height,
            half_crown,
            half_road: between(1.45, 1.9) as f32,
            slope,
            ditch: Channel {
                across: -(toe + between(3.8, 5.2) as f32 + ditch_half),
                wander: 0.35,
                seed: bits("ditch"),
                half_water: ditch_half,
                bank: between(1.2, 1.7) as f32,
                freeboard: between(0.6, 0.9) as f32,
            },
            creek: Channel {
                across: toe + between(5.5, 7.5) as f32 + creek_half,
                wander: 1.5,
                seed: bits("creek"),
                half_water: creek_half,
                bank: between(1.4, 2.0) as f32,
                freeboard: between(0.5, 0.75) as f32,
            },
            pond: Pond {
                centre: [between(-0.6, 0.6) as f32 * half_length as f32, toe + between(20.0, 25.0) as f32],
                radius: between(3.4, 5.6) as f32,
                is_wide: false,
                seed: bits("pond"),
            },
            dam: between(-0.5, 0.5) as f32 * half_length as f32,
        };
        if wide_pond {
            terrain.widen_pond(Dice::new(seed, "wide pond"), half_length);
        }
        terrain
    }

    /// Makes the pond so wide that the photos at the flight's river side see hardly anything else; it swallows a
    /// stretch of the creek.
    fn widen_pond(&mut self, mut dice: Dice, half_length: f64) {
        let radius = dice.between(18.0, 22.0);
        self.pond.radius = radius as f32;
        self.pond.centre = [
            (dice.between(-0.25, 0.25) * half_length) as f32,
            self.toe() + dice.between(4.0, 6.0) as f32 + 1.1 * radius as f32,
        ];
        self.pond.is_wide = true;
    }

    /// Returns a place in the dike's frame.
    pub(crate) fn to_along(&self, [e, n]: [f64; 2]) -> Along {
        let s = (e * self.axis[0] + n * self.axis[1]) as f32;
        let t = (n * self.axis[0] - e * self.axis[1]) as f32;
        [s, t - self.bend_at(s)]
    }

    /// Returns the place, east and north, of a place in the dike's frame.
    pub(crate) fn to_world(&self, [s, t]: Along) -> [f64; 2] {
        let (x, y) = (f64::from(s), f64::from(t + self.bend_at(s)));
        [x * self.axis[0] - y * self.axis[1], x * self.axis[1] + y * self.axis[0]]
    }

    fn bend_at(&self, s: f32) -> f32 {
        let [size, length, phase] = self.bend;
        size * ((s / length * std::f32::consts::TAU + phase).sin() - phase.sin())
    }

    /// Returns how far the toe of the slope is from the middle of the crown.
    pub(crate) fn toe(&self) -> f32 {
        self.half_crown + self.crown_height * self.slope
    }

    /// Returns the height of the ground without plants, metres above the land outside.
    pub(crate) fn height(&self, p: Along) -> f32 {
        let [s, t] = p;
        let settled = 0.06 * noise::value([s, 3.0], 19.0, self.seed ^ 9);
        let down = ((t.abs() - self.half_crown) / self.slope).max(0.0);
        // The crown is cambered, so that rain runs off; shoulder and toe are rounded.
        let camber = 0.02 * (self.half_crown - t.abs()).max(0.0);
        let dike = round_floor(self.crown_height + settled + camber - down, 0.25);
        let low = noise::step(2.0, 0.5, dike);
        let land = if low > 0.0 { 0.10 * low * noise::fractal(p, 14.0, 2, self.seed) } else { 0.0 };
        let creek = bed(self.creek.shore(p), self.creek.bank, self.creek.freeboard);
        let pond = bed(self.pond.shore(p), POND_BANK, POND_FREEBOARD);
        if self.pond.is_wide {
            return dike + land - self.ditch_depth(p) - creek.max(pond);
        }
        dike + land - self.ditch_depth(p) - creek - pond
    }

    /// Returns how far the track on the dam is, 1 on it and 0 beside it.
    pub(crate) fn on_dam(&self, p: Along) -> f32 {
        noise::step(2.6, 1.7, (p[0] - self.dam).abs()) * noise::step(4.5, 3.4, (p[1] - self.ditch.across).abs())
    }

    fn ditch_depth(&self, p: Along) -> f32 {
        bed(self.ditch.shore(p), self.ditch.bank, self.ditch.freeboard) * (1.0 - self.on_dam(p))
    }
}

/// Returns the depth below the land at a distance from the water's edge: flat in the water, sloping on the bank.
fn bed(shore: f32, bank: f32, freeboard: f32) -> f32 {
    if shore > bank * 1.1 {
        return 0.0;
    }
    freeboard * noise::step(bank * 1.08, -0.12 * bank, shore)
}

/// Returns the larger of `x` and 0 with the corner rounded over `radius`.
fn round_floor(x: f32, radius: f32) -> f32 {
    0.5 * (x + (x * x + radius * radius * 0.25).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_the_frame_of_the_dike() {
        let terrain = Terrain::of(5, 80.0, false);
        for place in [[3.0, 8.0], [-40.0, 22.0], [31.5, -30.0]] {
            let back = terrain.to_world(terrain.to_along(place));
            assert!((back[0] - place[0]).abs() < 1e-3 && (back[1] - place[1]).abs() < 1e-3, "{back:?}");
        }
    }

    #[test]
    fn the_crown_is_high_and_the_ditch_is_low() {
        for seed in 0..20 {
            let terrain = Terrain::of(seed, 80.0, false);
            let s = terrain.dam + 12.0;
            let crown = terrain.height([s, 0.0]);
            let ditch = terrain.height([s, terrain.ditch.middle(s)]);
            let land = terrain.height([s, -terrain.toe() - 30.0]);
            assert!((3.0..4.6).contains(&crown), "crown {crown}");
            assert!(land - ditch > 0.45, "ditch {ditch} in land {land}");
        }
    }
}
