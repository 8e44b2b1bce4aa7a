//! The land that is flown over: a dike in the Dutch river country, with things on it to find.
//!
//! Everything is a pure function of the seed and the place, so that a photo, an orthophoto and the truth can each
//! be made on their own and agree. Places are `[east, north]` in metres from the middle of the landscape; heights
//! are metres above the land outside the dike. In plan the world is flat: `simulation::site` puts it on the Earth.

mod building;
mod ground;
mod item;
mod lying;
mod planted;
mod planting;
mod season;
mod terrain;
mod tree;

pub(crate) use ground::{Material, Surface};
pub(crate) use planting::Mark;

use self::{
    ground::Ground,
    item::Item,
    season::{Season, scaled},
    terrain::Terrain,
};
use crate::simulation::dice::Dice;

/// A muskrat trap, in the words of the water boards.
pub const MUSKRAT_TRAP: &str = "Muskusrat klem";
/// Damage to a bank or a slope, in the words of the water boards.
pub const BANK_DAMAGE: &str = "Beschadiging oever";
/// What is planted, in the order of class numbers.
pub const CLASSES: [&str; 2] = [MUSKRAT_TRAP, BANK_DAMAGE];

/// How far scenery reaches beyond the area where things are planted: a photo sees farther than its middle.
pub(crate) const MARGIN_M: f64 = 32.0;

/// Side of the squares that know which items touch them.
const BUCKET_M: f64 = 2.0;

/// Something to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantedObject {
    /// One of [`CLASSES`].
    pub class: &'static str,
    /// Its middle, `[east, north]` in metres.
    pub centre: [f64; 2],
    /// Its edge, `[east, north]` in metres: closed, counter-clockwise.
    pub ring: Vec<[f64; 2]>,
}

/// A landscape of one seed.
#[derive(Clone, Debug)]
pub struct Landscape {
    size_m: [f64; 2],
    terrain: Terrain,
    season: Season,
    ground: Ground,
    items: Vec<Item>,
    objects: Vec<PlantedObject>,
    marks: Vec<Mark>,
    buckets: Buckets,
}

/// Which items may change, or darken, a square of ground.
#[derive(Clone, Debug)]
struct Buckets {
    half_count: i64,
    drawn: Vec<Vec<u16>>,
    shading: Vec<Vec<u16>>,
}

impl Landscape {
    /// Makes the landscape of a seed. `size_m` is how far along and across the dike things are planted, in metres,
    /// around the middle; the land itself has no end.
    ///
    /// ```
    /// use polder::simulation::{CLASSES, Landscape};
    ///
    /// let landscape = Landscape::new(7, [65.0, 65.0]);
    /// assert!(landscape.objects().iter().all(|object| CLASSES.contains(&object.class)));
    /// ```
    pub fn new(seed: u64, size_m: [f64; 2]) -> Self {
        Self::of(seed, size_m, false)
    }

    /// Does what [`Landscape::new`] does; the pond can be a wide one.
    pub(crate) fn of(seed: u64, size_m: [f64; 2], wide_pond: bool) -> Self {
        let mut dice = Dice::new(seed, "ground");
        let terrain = Terrain::of(seed, size_m[0], wide_pond);
        let season = Season::of(seed);
        let ground = Ground {
            seed: dice.bits() as u32,
            swath: [dice.between(1.8, 2.8) as f32, dice.between(0.25, 1.1) as f32],
            reeds: dice.between(-0.05, 0.35) as f32,
            line_wear: dice.between(0.35, 1.3) as f32,
        };
        let plan = planting::plan(seed, &terrain, size_m);
        let buckets = Buckets::of(&plan.items, season.sun, size_m);
        Self { size_m, terrain, season, ground, items: plan.items, objects: plan.objects, marks: plan.marks, buckets }
    }

    /// Returns the height of what a drone sees at a place, in metres: roofs, crowns and grass included.
    pub fn height(&self, e: f64, n: f64) -> f64 {
        f64::from(self.surface([e, n]).height)
    }

    /// Returns the colour of a place seen from above, red, green and blue.
    pub fn colour(&self, e: f64, n: f64) -> [u8; 3] {
        const STEP: f64 = 0.02;
        let here = self.surface([e, n]);
        let rise = |a: [f64; 2], b: [f64; 2]| (self.surface(a).height - self.surface(b).height) / (2.0 * STEP as f32);
        let slope = [rise([e + STEP, n], [e - STEP, n]), rise([e, n + STEP], [e, n - STEP])];
        to_bytes(scaled(here.colour, self.light([e, n], here.height, slope, here.material)))
    }

    /// Returns what is planted, in a stable order.
    pub fn objects(&self) -> &[PlantedObject] {
        &self.objects
    }

    /// Returns how far along and across the dike things are planted, in metres.
    pub fn size_m(&self) -> [f64; 2] {
        self.size_m
    }

    /// Returns the direction of the dike, a unit vector `[east, north]`.
    pub fn axis(&self) -> [f64; 2] {
        self.terrain.axis
    }

    /// Returns the surveyed marks and points.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Returns houses and trees: what they are, their edges as open rings (east, north), and their heights.
    pub(crate) fn scenery(&self) -> impl Iterator<Item = (&'static str, Vec<[f64; 2]>, f32)> {
        self.items.iter().filter_map(|item| {
            let (kind, ring) = item.tall_ring()?;
            Some((kind, ring.into_iter().map(|q| item.world(q)).collect(), item.highest()))
        })
    }

    /// Returns the middle of the pond, east and north.
    #[cfg(test)]
    pub(crate) fn pond_centre(&self) -> [f64; 2] {
        self.terrain.to_world(self.terrain.pond.centre)
    }

    /// Returns the direction of the sun: east, north, up, of length 1.
    pub(crate) fn sun(&self) -> [f32; 3] {
        self.season.sun
    }

    /// Returns the month of the flight, 1 to 12.
    pub(crate) fn month(&self) -> u32 {
        self.season.month
    }

    /// Returns the surface at a place, its colour without light.
    pub(crate) fn surface(&self, place: [f64; 2]) -> Surface {
        let bucket = self.buckets.find(place);
        let drawn = bucket.map_or(&[][..], |i| &self.buckets.drawn[i]);
        let mut reeds = 1.0_f32;
        for item in drawn.iter().map(|&i| &self.items[usize::from(i)]) {
            let clearing = item.clearing();
            if clearing > 0.0 {
                let [u, v] = item.local(place);
                reeds = reeds.min(crate::simulation::noise::step(clearing * 0.8, clearing * 1.1, u.hypot(v)));
            }
        }
        let mut surface = self.ground.surface(&self.terrain, &self.season, self.terrain.to_along(place), reeds);
        for item in drawn.iter().map(|&i| &self.items[usize::from(i)]) {
            item.draw(&self.season, item.local(place), &mut surface);
        }
        surface
    }

    /// Returns how bright a surface is: 1 is flat ground in the sun.
    pub(crate) fn light(&self, place: [f64; 2], height: f32, slope: [f32; 2], material: Material) -> f32 {
        // Blades of grass and leaves are not solid: light passes between them, so steep micro-relief is softened.
        let limit = if matches!(material, Material::Water | Material::OpenWater) { 0.0 } else { 1.6_f32 };
        let soft = limit / (limit + slope[0].hypot(slope[1]) + 1e-6);
        let lit = self.lit(place, height);
        self.season.brightness([slope[0] * soft, slope[1] * soft], lit)
    }

    /// Returns 1 in the sun and 0 in the shadow of something.
    fn lit(&self, place: [f64; 2], height: f32) -> f32 {
        let Some(bucket) = self.buckets.find(place) else { return 1.0 };
        let [east, north, up] = self.season.sun;
        let level = east.hypot(north);
        let (towards, climb) = ([f64::from(east / level), f64::from(north / level)], up / level);
        for item in self.buckets.shading[bucket].iter().map(|&i| &self.items[usize::from(i)]) {
            let (dx, dy) = (item.centre[0] - place[0], item.centre[1] - place[1]);
            let beside = (dx * towards[1] - dy * towards[0]).abs() as f32;
            let top = item.base + item.highest();
            if beside > item.reach() || top <= height {
                continue;
            }
            let run = (top - height) / climb;
            // Fine enough that the shadow of the thinnest part is not cut into dots.
            let (stride, bias) = if item.is_tall() { (0.25, 0.3) } else { (0.07, 0.02) };
            let steps = (run / stride) as usize + 1;
            for k in 1..=steps {
                let d = run * k as f32 / steps as f32;
                let q = item.local([place[0] + towards[0] * f64::from(d), place[1] + towards[1] * f64::from(d)]);
                let over = item.top(q);
                if over > 0.0 && item.base + over > height + d * climb + bias {
                    return 0.0;
                }
            }
        }
        1.0
    }
}

impl Buckets {
    fn of(items: &[Item], sun: [f32; 3], size_m: [f64; 2]) -> Self {
        let half_count = ((size_m[0].hypot(size_m[1]) / 2.0 + 2.0 * MARGIN_M) / BUCKET_M).ceil() as i64;
        let count = (half_count * 2 * half_count * 2) as usize;
        let mut buckets = Self { half_count, drawn: vec![Vec::new(); count], shading: vec![Vec::new(); count] };
        let level = sun[0].hypot(sun[1]);
        for (index, item) in items.iter().enumerate() {
            let reach = f64::from(item.reach().max(item.clearing() * 1.1));
            buckets.add(index, item.centre, reach, false);
            if item.highest() > 0.0 {
                // A shadow falls away from the sun; on ground that drops it reaches a little farther.
                let shadow = f64::from((item.highest() + 1.5) * level / sun[2]);
                let away = [-f64::from(sun[0] / level), -f64::from(sun[1] / level)];
                let middle = [item.centre[0] + away[0] * shadow / 2.0, item.centre[1] + away[1] * shadow / 2.0];
                buckets.add(index, middle, shadow / 2.0 + reach, true);
            }
        }
        buckets
    }

    fn add(&mut self, index: usize, [e, n]: [f64; 2], reach: f64, shading: bool) {
        let cells = |x: f64| {
            let at = |v: f64| (v / BUCKET_M).floor() as i64 + self.half_count;
            at(x - reach).max(0)..=at(x + reach).min(self.half_count * 2 - 1)
        };
        for row in cells(n) {
            for column in cells(e) {
                let bucket = (row * self.half_count * 2 + column) as usize;
                if shading {
                    self.shading[bucket].push(index as u16);
                } else {
                    self.drawn[bucket].push(index as u16);
                }
            }
        }
    }

    fn find(&self, [e, n]: [f64; 2]) -> Option<usize> {
        let at = |v: f64| (v / BUCKET_M).floor() as i64 + self.half_count;
        let (column, row, count) = (at(e), at(n), self.half_count * 2);
        let inside = (0..count).contains(&column) && (0..count).contains(&row);
        inside.then_some((row * count + column) as usize)
    }
}

pub(crate) fn to_bytes(colour: season::Colour) -> [u8; 3] {
    colour.map(|c| (c * 255.0 + 0.5) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f64; 2] = [54.0, 71.0];

    #[test]
    fn the_same_seed_gives_the_same_land() {
        let (a, b) = (Landscape::new(3, SIZE), Landscape::new(3, SIZE));
        assert_eq!(a.objects(), b.objects());
        for i in 0..200 {
            let (e, n) = (f64::from(i) * 0.31 - 30.0, f64::from(i) * -0.23 + 20.0);
            assert_eq!(a.colour(e, n), b.colour(e, n));
        }
    }

    #[test]
    fn ten_to_fourteen_of_each_class_are_planted_and_kept_apart() {
        for seed in 0..12 {
            let landscape = Landscape::new(seed, SIZE);
            for class in CLASSES {
                let count = landscape.objects().iter().filter(|o| o.class == class).count();
                assert!((10..=14).contains(&count), "seed {seed}: {count} of {class}");
            }
            for (i, a) in landscape.objects().iter().enumerate() {
                for b in &landscape.objects()[..i] {
                    let apart = (a.centre[0] - b.centre[0]).hypot(a.centre[1] - b.centre[1]);
                    assert!(apart > 2.5, "seed {seed}: {apart}");
                }
            }
        }
    }

    #[test]
    fn rings_are_closed_and_counter_clockwise() {
        for object in Landscape::new(1, SIZE).objects() {
            assert_eq!(object.ring.first(), object.ring.last());
            let area: f64 = object.ring.windows(2).map(|w| w[0][0] * w[1][1] - w[1][0] * w[0][1]).sum();
            assert!(area > 0.0, "{} turns the wrong way", object.class);
        }
    }

    /// Nothing hides an object: what stands above it would be more than the cage itself.
    #[test]
    fn objects_lie_in_the_open() {
        for seed in 0..8 {
            let landscape = Landscape::new(seed, SIZE);
            for object in landscape.objects() {
                let [e, n] = object.centre;
                let ground = landscape.terrain.height(landscape.terrain.to_along([e, n]));
                assert!((landscape.height(e, n) - f64::from(ground)).abs() < 0.6, "seed {seed}: {}", object.class);
            }
        }
    }
}
