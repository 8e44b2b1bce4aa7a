//! One thing that stands or lies on the land, in its own frame.

use super::{
    building::House,
    ground::Surface,
    lying::{Molehill, Pallet, Post, Puddle, Stone, Target},
    planted::{Cage, Damage},
    season::Season,
    tree::Tree,
};

/// Something on the land: where it is, how it is turned, what it is.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// East and north of its middle, metres.
    pub centre: [f64; 2],
    /// Direction of its length, east and north, of length 1.
    pub axis: [f32; 2],
    /// Height of the bare ground under its middle.
    pub base: f32,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    House(House),
    Tree(Tree),
    Cage(Cage),
    Damage(Damage),
    Stone(Stone),
    Molehill(Molehill),
    Puddle(Puddle),
    Pallet(Pallet),
    Post(Post),
    Target(Target),
}

impl Item {
    /// Returns a place in the item's frame: metres along its length, and to the left of it.
    pub(crate) fn local(&self, [e, n]: [f64; 2]) -> [f32; 2] {
        let (dx, dy) = ((e - self.centre[0]) as f32, (n - self.centre[1]) as f32);
        [dx * self.axis[0] + dy * self.axis[1], dy * self.axis[0] - dx * self.axis[1]]
    }

    /// Returns the place, east and north, of a point in the item's frame.
    pub(crate) fn world(&self, [u, v]: [f32; 2]) -> [f64; 2] {
        let (x, y) = (u * self.axis[0] - v * self.axis[1], u * self.axis[1] + v * self.axis[0]);
        [self.centre[0] + f64::from(x), self.centre[1] + f64::from(y)]
    }

    /// Changes the surface at a place in the item's frame.
    pub(crate) fn draw(&self, season: &Season, q: [f32; 2], surface: &mut Surface) {
        match &self.kind {
            Kind::House(house) => house.draw(q, self.base, surface),
            Kind::Tree(tree) => tree.draw(season, q, self.base, surface),
            Kind::Cage(cage) => cage.draw(season, q, surface),
            Kind::Damage(damage) => damage.draw(season, q, surface),
            Kind::Stone(stone) => stone.draw(q, surface),
            Kind::Molehill(molehill) => molehill.draw(season, q, surface),
            Kind::Puddle(puddle) => puddle.draw(season, q, surface),
            Kind::Pallet(pallet) => pallet.draw(q, surface),
            Kind::Post(post) => post.draw(q, surface),
            Kind::Target(target) => target.draw(q, surface),
        }
    }

    /// Returns how far from its middle it changes the surface.
    pub(crate) fn reach(&self) -> f32 {
        match &self.kind {
            Kind::House(house) => house.reach(),
            Kind::Tree(tree) => tree.reach(),
            Kind::Cage(cage) => cage.reach(),
            Kind::Damage(damage) => damage.reach(),
            Kind::Stone(stone) => stone.radius * 1.4,
            Kind::Molehill(molehill) => molehill.radius * 1.5,
            Kind::Puddle(puddle) => puddle.reach(),
            Kind::Pallet(_) => 0.8,
            Kind::Post(_) => 0.15,
            Kind::Target(target) => target.half * 1.5,
        }
    }

    /// Returns the height above the item's base of what throws a shadow at a place in its frame; 0 where nothing does.
    pub(crate) fn top(&self, q: [f32; 2]) -> f32 {
        match &self.kind {
            Kind::House(house) => house.top(q),
            Kind::Tree(tree) => tree.top(q),
            Kind::Cage(cage) => cage.top(q),
            Kind::Stone(stone) => stone.top(q),
            Kind::Pallet(pallet) => pallet.top(q),
            Kind::Post(post) => post.top(q),
            Kind::Damage(_) | Kind::Molehill(_) | Kind::Puddle(_) | Kind::Target(_) => 0.0,
        }
    }

    /// Returns the greatest value of [`Item::top`].
    pub(crate) fn highest(&self) -> f32 {
        match &self.kind {
            Kind::House(house) => house.ridge() + 0.9,
            Kind::Tree(tree) => tree.height * 1.08,
            Kind::Cage(cage) => cage.height,
            Kind::Stone(stone) => stone.radius * 0.7,
            Kind::Pallet(_) => 0.14,
            Kind::Post(post) => post.height,
            Kind::Damage(_) | Kind::Molehill(_) | Kind::Puddle(_) | Kind::Target(_) => 0.0,
        }
    }

    /// Returns whether it is so large that it hides what lies under it.
    pub(crate) fn is_tall(&self) -> bool {
        matches!(self.kind, Kind::House(_) | Kind::Tree(_))
    }

    /// Returns what a tall thing is, and its edge in the item's frame, counter-clockwise; nothing for low things.
    pub(crate) fn tall_ring(&self) -> Option<(&'static str, Vec<[f32; 2]>)> {
        match &self.kind {
            Kind::House(house) => {
                let [l, w] = house.half;
                Some(("house", vec![[-l, -w], [l, -w], [l, w], [-l, w]]))
            }
            Kind::Tree(tree) => {
                let corner = |i: u8| (f32::from(i) / 16.0 * std::f32::consts::TAU).sin_cos();
                let ring = (0..16).map(corner).map(|(sin, cos)| [cos * tree.reach(), sin * tree.reach()]);
                Some(("tree", ring.collect()))
            }
            _ => None,
        }
    }

    /// Returns how far around its middle reeds and flowers are kept away, 0 for most.
    pub(crate) fn clearing(&self) -> f32 {
        match self.kind {
            Kind::Cage(_) | Kind::Damage(_) => self.reach() + 0.5,
            Kind::Target(_) => self.reach() + 0.3,
            _ => 0.0,
        }
    }
}
