//! Decides where everything stands, so that nothing hides what is to be found.

use super::{
    BANK_DAMAGE, MARGIN_M, MUSKRAT_TRAP, PlantedObject,
    building::House,
    item::{Item, Kind},
    lying::{Molehill, Pallet, Post, Puddle, Stone, Target},
    planted::{Cage, Damage, wire_colour},
    season::rgb,
    terrain::{Along, POND_BANK, Terrain},
    tree::Tree,
};
use crate::simulation::dice::Dice;

/// Objects of one class on a landscape of [`USUAL_AREA`].
const USUAL_COUNT: f64 = 12.0;
const USUAL_AREA: f64 = 54.0 * 71.0;
/// Planted objects are at least this far apart, so that a finding within a metre belongs to one of them.
const APART_M: f64 = 2.7;

/// A place that a surveyor has measured.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// `target` (painted), `ground`, `road`, `dike` or `roof`.
    pub kind: &'static str,
    pub place: [f64; 2],
}

/// Everything on the land.
pub(super) struct Plan {
    /// In drawing order.
    pub items: Vec<Item>,
    pub objects: Vec<PlantedObject>,
    pub marks: Vec<Mark>,
}

/// Places everything for a landscape of `size_m` (along, across).
pub(super) fn plan(seed: u64, terrain: &Terrain, size_m: [f64; 2]) -> Plan {
    let mut planter = Planter {
        terrain,
        size: size_m.map(|v| v as f32),
        seed,
        tall: Vec::new(),
        planted: Vec::new(),
        low: Vec::new(),
        marks: Vec::new(),
    };
    planter.build_houses();
    planter.plant_trees();
    planter.paint_targets();
    planter.set_traps();
    planter.damage_banks();
    planter.scatter();
    planter.survey();
    planter.finish()
}

struct Planter<'a> {
    terrain: &'a Terrain,
    size: [f32; 2],
    seed: u64,
    tall: Vec<Item>,
    planted: Vec<(&'static str, Item)>,
    low: Vec<Item>,
    marks: Vec<Mark>,
}

impl Planter<'_> {
    fn item(&self, p: Along, turn: f64, kind: Kind) -> Item {
        let axis = self.terrain.axis;
        let (sin, cos) = turn.sin_cos();
        Item {
            centre: self.terrain.to_world(p),
            axis: [(axis[0] * cos - axis[1] * sin) as f32, (axis[0] * sin + axis[1] * cos) as f32],
            base: self.terrain.height(p),
            kind,
        }
    }

    /// Returns a place anywhere on the land, scenery included.
    fn anywhere(&self, dice: &mut Dice) -> Along {
        let half = self.size.map(|v| f64::from(v) / 2.0 + MARGIN_M * 0.9);
        [dice.between(-half[0], half[0]) as f32, dice.between(-half[1], half[1]) as f32]
    }

    /// Returns the distance from the nearest bank's top, negative on a bank or in the water.
    fn off_banks(&self, p: Along) -> f32 {
        let t = self.terrain;
        let ditch = t.ditch.shore(p) - t.ditch.bank;
        ditch.min(t.creek.shore(p) - t.creek.bank).min(t.pond.shore(p) - POND_BANK)
    }

    /// Returns whether a disc lies free of houses, trees, and everything planted.
    fn is_free(&self, p: Along, radius: f64) -> bool {
        let place = self.terrain.to_world(p);
        let clear = |item: &Item, gap: f64| distance(item.centre, place) > f64::from(item.reach()) + radius + gap;
        self.tall.iter().all(|item| clear(item, 0.8)) && self.planted.iter().all(|(_, item)| clear(item, 0.4))
    }

    fn build_houses(&mut self) {
        let mut dice = Dice::new(self.seed, "houses");
        let half = f64::from(self.size[0]) / 2.0;
        let land = self.terrain.ditch.across - self.terrain.ditch.half_water - self.terrain.ditch.bank;
        let wanted = dice.whole(2, 3) + (half / 60.0) as i64;
        for _ in 0..60 {
            let house = House {
                half: [dice.between(4.2, 6.5) as f32, dice.between(3.2, 4.3) as f32],
                eaves: dice.between(2.7, 3.4) as f32,
                pitch: dice.between(0.65, 0.95) as f32,
                tiles: [rgb(164, 88, 62), rgb(86, 86, 90), rgb(132, 78, 62), rgb(112, 104, 98)]
                    [dice.whole(0, 3) as usize],
                chimney: dice.between(-3.0, 3.0) as f32,
                panels: dice.chance(0.5),
                yard: dice.between(1.5, 3.0) as f32,
                seed: dice.bits() as u32,
            };
            let turn = dice.normal() * 0.12 + if dice.chance(0.4) { std::f64::consts::FRAC_PI_2 } else { 0.0 };
            let p = [dice.between(-half - 12.0, half + 12.0) as f32, land - dice.between(7.5, 13.0) as f32];
            let item = self.item(p, turn, Kind::House(house));
            let clear = self.tall.iter().all(|other| distance(other.centre, item.centre) > 21.0);
            if clear && (p[0] - self.terrain.dam).abs() > 8.0 && self.off_banks(p) > 6.5 {
                self.tall.push(item);
            }
            if self.tall.len() as i64 >= wanted {
                break;
            }
        }
    }

    fn plant_trees(&mut self) {
        let mut dice = Dice::new(self.seed, "trees");
        let area = f64::from(self.size[0] + 50.0) * f64::from(self.size[1] + 50.0);
        let wanted = (area / 900.0) as usize + self.tall.len();
        for _ in 0..wanted * 12 {
            let bush = dice.chance(0.35);
            let radius = if bush { dice.between(0.7, 1.5) } else { dice.between(1.7, 3.4) };
            let height = if bush { radius * dice.between(1.1, 1.5) } else { dice.between(4.0, 8.0) };
            let tree = Tree {
                radius: radius as f32,
                height: height as f32,
                tone: dice.between(0.8, 1.25) as f32,
                seed: dice.bits() as u32,
            };
            let p = self.anywhere(&mut dice);
            let outside = p[1].abs() > self.terrain.toe() + 3.5 + radius as f32;
            if outside && self.off_banks(p) > 1.35 * radius as f32 + 1.8 && self.is_free(p, 1.35 * radius) {
                let item = self.item(p, 0.0, Kind::Tree(tree));
                self.tall.push(item);
            }
            if self.tall.len() >= wanted {
                break;
            }
        }
    }

    /// Paints the ground control: the corners, the middles of the sides, and one on the crown.
    fn paint_targets(&mut self) {
        let mut dice = Dice::new(self.seed, "targets");
        for corner in [[-0.8, -0.8], [0.8, -0.75], [0.75, 0.8], [-0.75, 0.8], [0.0, 0.0], [0.1, -0.85], [-0.1, 0.55]] {
            for attempt in 0..80 {
                let spread = 1.0 + f64::from(attempt) * 0.12;
                let p = [
                    corner[0] * self.size[0] / 2.0 + (dice.normal() * spread) as f32,
                    if corner[1] == 0.0 {
                        0.8
                    } else {
                        corner[1] * self.size[1] / 2.0 + (dice.normal() * spread) as f32
                    },
                ];
                let inside = p[0].abs() < self.size[0] * 0.46 && p[1].abs() < self.size[1] * 0.46;
                let steep = (self.terrain.half_road..self.terrain.toe() + 0.6).contains(&p[1].abs());
                if inside && !steep && self.off_banks(p) > 0.7 && self.is_free(p, 1.6) {
                    let item = self.item(p, dice.between(0.0, 1.5), Kind::Target(Target { half: 0.32 }));
                    self.marks.push(Mark { kind: "target", place: item.centre });
                    self.planted.push(("", item));
                    break;
                }
            }
        }
    }

    fn wanted(&self, dice: &mut Dice) -> usize {
        let usual = USUAL_COUNT * f64::from(self.size[0] * self.size[1]) / USUAL_AREA;
        (usual.round() as i64 + dice.whole(-2, 2)).max(1) as usize
    }

    fn set_traps(&mut self) {
        let mut dice = Dice::new(self.seed, "traps");
        let wanted = self.wanted(&mut dice);
        self.put(MUSKRAT_TRAP, wanted, &mut dice, |planter, dice| {
            let (p, along) = planter.on_a_shore(dice, [0.05, 0.75]);
            let half_length = dice.between(0.32, 0.5) as f32;
            let cage = Cage {
                half_length,
                half_width: half_length * dice.between(0.42, 0.58) as f32,
                height: dice.between(0.16, 0.28) as f32,
                mesh: dice.between(0.085, 0.12) as f32,
                wire: wire_colour(dice.between(0.0, 0.75) as f32, dice.between(0.8, 1.05) as f32),
                inside: dice.between(0.38, 0.62) as f32,
                overgrown: dice.between(0.0, 0.34) as f32,
                seed: dice.bits() as u32,
            };
            let across = if dice.chance(0.3) { std::f64::consts::FRAC_PI_2 } else { 0.0 };
            (p, along + across + dice.normal() * 0.45, Kind::Cage(cage))
        });
    }

    fn damage_banks(&mut self) {
        let mut dice = Dice::new(self.seed, "damage");
        let wanted = self.wanted(&mut dice);
        self.put(BANK_DAMAGE, wanted, &mut dice, |planter, dice| {
            let on_slope = dice.chance(0.4);
            let (p, along) = if on_slope { planter.on_the_slope(dice) } else { planter.on_a_shore(dice, [0.55, 1.15]) };
            let length = dice.between(0.55, 1.2);
            let narrow = if on_slope { dice.between(0.5, 0.85) } else { dice.between(0.45, 0.7) };
            let damage = Damage {
                half: [length as f32, narrow.min(length) as f32],
                depth: dice.between(0.12, 0.3) as f32,
                tone: dice.between(0.72, 1.12) as f32,
                seed: dice.bits() as u32,
            };
            (p, along + dice.normal() * 0.25, Kind::Damage(damage))
        });
    }

    /// Puts `wanted` things of a class where `make` proposes and nothing else is.
    fn put(
        &mut self,
        class: &'static str,
        wanted: usize,
        dice: &mut Dice,
        make: impl Fn(&Self, &mut Dice) -> (Along, f64, Kind),
    ) {
        let mut left = wanted;
        for _ in 0..wanted * 200 {
            let (p, turn, kind) = make(self, dice);
            let item = self.item(p, turn, kind);
            let inside = p[0].abs() < self.size[0] / 2.0 - 1.5 && p[1].abs() < self.size[1] / 2.0 - 1.5;
            let apart = self.planted.iter().all(|(_, other)| distance(other.centre, item.centre) > APART_M);
            let open = self.is_free(p, f64::from(item.reach())) && self.terrain.on_dam(p) < 0.01;
            if inside && apart && open {
                self.planted.push((class, item));
                left -= 1;
            }
            if left == 0 {
                return;
            }
        }
    }

    /// Returns a place at a distance from some water's edge, in bank widths, and the direction of the shore.
    fn on_a_shore(&self, dice: &mut Dice, from_water: [f64; 2]) -> (Along, f64) {
        let off = dice.between(from_water[0], from_water[1]) as f32;
        if dice.chance(0.18) {
            let angle = dice.between(0.0, std::f64::consts::TAU);
            let p = self.terrain.pond.at_shore(angle as f32, off * POND_BANK);
            return (p, angle + std::f64::consts::FRAC_PI_2);
        }
        let channel = if dice.chance(0.5) { &self.terrain.ditch } else { &self.terrain.creek };
        let s = dice.between(-0.5, 0.5) as f32 * self.size[0];
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        ([s, channel.middle(s) + side * (channel.half_water + off * channel.bank)], 0.0)
    }

    fn on_the_slope(&self, dice: &mut Dice) -> (Along, f64) {
        let t = dice.between(f64::from(self.terrain.half_crown) + 1.5, f64::from(self.terrain.toe()) - 1.3);
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        ([dice.between(-0.5, 0.5) as f32 * self.size[0], (t * side) as f32], 0.0)
    }

    /// Scatters what only looks like something.
    fn scatter(&mut self) {
        let mut dice = Dice::new(self.seed, "scatter");
        let area = f64::from(self.size[0] + 50.0) * f64::from(self.size[1] + 50.0);
        let groups = (area / 1500.0).ceil() as usize;
        for _ in 0..groups {
            self.heap_stones(&mut dice);
            self.raise_molehills(&mut dice);
            let half = [dice.between(0.4, 1.3) as f32, dice.between(0.25, 0.6) as f32];
            let puddle = Puddle { half, seed: dice.bits() as u32 };
            let s = self.anywhere(&mut dice)[0];
            let strip = -self.terrain.toe() - 1.9 + (dice.normal() * 0.6) as f32;
            self.lay([s, strip], dice.normal() * 0.1, f64::from(puddle.reach()), Kind::Puddle(puddle));
            if dice.chance(0.8) {
                let (wood, seed) =
                    ([rgb(168, 148, 116), rgb(138, 130, 118)][dice.whole(0, 1) as usize], dice.bits() as u32);
                let pallet = Pallet { half: [dice.between(0.4, 0.6) as f32, 0.4], wood, seed };
                let p =
                    if dice.chance(0.4) { self.on_a_shore(&mut dice, [1.0, 1.8]).0 } else { self.anywhere(&mut dice) };
                self.lay(p, dice.between(0.0, 3.1), 0.8, Kind::Pallet(pallet));
            }
        }
        self.fence(&mut dice);
    }

    fn lay(&mut self, p: Along, turn: f64, reach: f64, kind: Kind) {
        let wet = self.off_banks(p) < -1.0 && matches!(kind, Kind::Puddle(_) | Kind::Pallet(_) | Kind::Molehill(_));
        let on_road = p[1].abs() < self.terrain.half_road + 0.5;
        if self.is_free(p, reach) && !wet && !on_road {
            let item = self.item(p, turn, kind);
            self.low.push(item);
        }
    }

    fn heap_stones(&mut self, dice: &mut Dice) {
        let (middle, _) = self.on_a_shore(dice, [0.1, 0.9]);
        for _ in 0..dice.whole(1, 9) {
            let stone = Stone {
                radius: dice.between(0.10, 0.32) as f32,
                tone: dice.between(0.7, 1.2) as f32,
                seed: dice.bits() as u32,
            };
            let p = [middle[0] + dice.normal() as f32 * 1.1, middle[1] + dice.normal() as f32 * 0.35];
            self.lay(p, dice.between(0.0, 3.1), 0.5, Kind::Stone(stone));
        }
    }

    fn raise_molehills(&mut self, dice: &mut Dice) {
        let middle = self.anywhere(dice);
        for _ in 0..dice.whole(2, 8) {
            let molehill = Molehill { radius: dice.between(0.12, 0.27) as f32, seed: dice.bits() as u32 };
            let p = [middle[0] + dice.normal() as f32 * 2.0, middle[1] + dice.normal() as f32 * 2.0];
            if self.off_banks(p) > 0.3 {
                self.lay(p, 0.0, 0.5, Kind::Molehill(molehill));
            }
        }
    }

    fn fence(&mut self, dice: &mut Dice) {
        let line = self.terrain.toe() + dice.between(1.0, 2.2) as f32;
        let end = self.size[0] / 2.0 + MARGIN_M as f32;
        let mut s = -end;
        while s < end {
            let post = Post { height: dice.between(0.9, 1.15) as f32, tone: dice.between(0.7, 1.15) as f32 };
            let p = [s, line + 0.12 * dice.normal() as f32];
            if self.off_banks(p) > 0.0 {
                self.lay(p, 0.0, 0.2, Kind::Post(post));
            }
            s += dice.between(2.4, 3.6) as f32;
        }
    }

    /// Chooses check points: on the meadows, the slopes, the road, and the roofs.
    fn survey(&mut self) {
        let mut dice = Dice::new(self.seed, "survey");
        let wanted = [("ground", 30), ("dike", 20), ("road", 10)];
        for (kind, count) in wanted {
            let mut left = count;
            for _ in 0..count * 40 {
                let s = dice.between(-0.48, 0.48) as f32 * self.size[0];
                let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
                let t = match kind {
                    "road" => dice.between(0.0, f64::from(self.terrain.half_road) - 0.3) as f32,
                    "dike" => dice.between(f64::from(self.terrain.half_crown), f64::from(self.terrain.toe())) as f32,
                    _ => dice.between(f64::from(self.terrain.toe()) + 0.5, f64::from(self.size[1]) * 0.48) as f32,
                };
                let p = [s, t * side];
                if self.off_banks(p) > 0.2 && self.is_free(p, 1.0) {
                    self.marks.push(Mark { kind, place: self.terrain.to_world(p) });
                    left -= 1;
                }
                if left == 0 {
                    break;
                }
            }
        }
        for item in &self.tall {
            if let Kind::House(house) = &item.kind {
                for (u, v) in [(-0.6, -0.5), (0.6, -0.5), (0.6, 0.5), (-0.6, 0.5)] {
                    let place = item.world([house.half[0] * u, house.half[1] * v]);
                    let p = self.terrain.to_along(place);
                    if p[0].abs() < self.size[0] / 2.0 && p[1].abs() < self.size[1] / 2.0 {
                        self.marks.push(Mark { kind: "roof", place });
                    }
                }
            }
        }
    }

    fn finish(self) -> Plan {
        let objects = self.planted.iter().filter_map(|(class, item)| planted_object(class, item)).collect();
        let (houses, trees): (Vec<Item>, Vec<Item>) =
            self.tall.into_iter().partition(|i| matches!(i.kind, Kind::House(_)));
        let planted = self.planted.into_iter().map(|(_, item)| item);
        Plan {
            items: houses.into_iter().chain(self.low).chain(planted).chain(trees).collect(),
            objects,
            marks: self.marks,
        }
    }
}

fn planted_object(class: &'static str, item: &Item) -> Option<PlantedObject> {
    let ring = match &item.kind {
        Kind::Cage(cage) => cage.ring(),
        Kind::Damage(damage) => damage.ring(),
        _ => return None,
    };
    let mut ring: Vec<[f64; 2]> = ring.into_iter().map(|q| item.world(q)).collect();
    ring.push(ring[0]);
    Some(PlantedObject { class, centre: item.centre, ring })
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}
