//! The cheapest cut of a grid into two sides.
//!
//! Boykov and Kolmogorov, "An experimental comparison of min-cut/max-flow algorithms for energy minimization in vision"
//! (2004): two trees grow from source and sink until they touch, the flow along the path is taken, and branches that it
//! cuts off look for a new parent. On grids with short paths it is linear in practice. Whole numbers, so that the
//! result is exact, and one thread, so that it is always the same one.

use std::collections::VecDeque;

/// Steps to the right, below, left and above; the opposite of `d` is `d ^ 2`.
const SIDES: [usize; 4] = [0, 1, 2, 3];
/// What a node hangs on, besides the node on one of its sides.
const TERMINAL: u8 = 4;
const ORPHAN: u8 = 5;
const NOTHING: u8 = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    Free,
    Source,
    Sink,
}

/// A grid of nodes with capacities between neighbours and to the two terminals.
pub struct GridCut {
    /// One more than the width on each side, so that every node has four neighbours.
    stride: usize,
    /// What is left from the source (positive) or to the sink (negative).
    terminal: Vec<i32>,
    /// What is left to the four neighbours.
    capacity: Vec<[i32; 4]>,
    tree: Vec<Tree>,
    parent: Vec<u8>,
    /// When the distance to the terminal was last known to be right, and what it was.
    seen: Vec<u32>,
    distance: Vec<u32>,
    now: u32,
    active: VecDeque<u32>,
    waiting: Vec<bool>,
    orphans: VecDeque<u32>,
}

impl GridCut {
    pub fn new(width: usize, height: usize) -> Self {
        let (stride, count) = (width + 2, (width + 2) * (height + 2));
        Self {
            stride,
            terminal: vec![0; count],
            capacity: vec![[0; 4]; count],
            tree: vec![Tree::Free; count],
            parent: vec![NOTHING; count],
            seen: vec![0; count],
            distance: vec![0; count],
            now: 0,
            active: VecDeque::new(),
            waiting: vec![false; count],
            orphans: VecDeque::new(),
        }
    }

    /// Forgets all capacities.
    pub fn clear(&mut self) {
        self.terminal.fill(0);
        self.capacity.fill([0; 4]);
        self.tree.fill(Tree::Free);
        self.parent.fill(NOTHING);
        self.seen.fill(0);
        self.waiting.fill(false);
        self.now = 0;
    }

    fn node(&self, column: usize, row: usize) -> usize {
        (row + 1) * self.stride + column + 1
    }

    /// Adds what it costs to put a node on the source's side and on the sink's.
    pub fn add_node(&mut self, column: usize, row: usize, on_source: i32, on_sink: i32) {
        let node = self.node(column, row);
        self.terminal[node] += on_sink - on_source;
    }

    /// Adds what it costs when a node is on the source's side and its neighbour to the right (or below) on the sink's,
    /// and the other way round.
    pub fn add_edge(&mut self, column: usize, row: usize, below: bool, there: i32, back: i32) {
        let (node, side) = (self.node(column, row), usize::from(below));
        let other = self.beside(node, side);
        self.capacity[node][side] += there;
        self.capacity[other][side ^ 2] += back;
    }

    /// Whether a node is on the sink's side of the cut that [`GridCut::solve`] found.
    pub fn on_sink_side(&self, column: usize, row: usize) -> bool {
        self.tree[self.node(column, row)] == Tree::Sink
    }

    fn beside(&self, node: usize, side: usize) -> usize {
        match side {
            0 => node + 1,
            1 => node + self.stride,
            2 => node - 1,
            _ => node - self.stride,
        }
    }

    /// Finds the cheapest cut. Nodes that could be on either side stay with the source.
    pub fn solve(&mut self) {
        for node in 0..self.terminal.len() {
            if self.terminal[node] != 0 {
                self.tree[node] = if self.terminal[node] > 0 { Tree::Source } else { Tree::Sink };
                self.parent[node] = TERMINAL;
                self.distance[node] = 1;
                self.activate(node);
            }
        }
        while let Some(node) = self.active.pop_front().map(|node| node as usize) {
            self.waiting[node] = false;
            while self.parent[node] != NOTHING {
                let Some((from, side)) = self.grow(node) else { break };
                self.now += 1;
                self.augment(from, side);
                while let Some(orphan) = self.orphans.pop_front() {
                    self.adopt(orphan as usize);
                }
            }
        }
    }

    fn activate(&mut self, node: usize) {
        if !self.waiting[node] {
            self.waiting[node] = true;
            self.active.push_back(node as u32);
        }
    }

    /// What is left towards the leaves in a source tree, and towards the root in a sink tree.
    fn left_over(&self, node: usize, side: usize, other: usize) -> i32 {
        if self.tree[node] == Tree::Source { self.capacity[node][side] } else { self.capacity[other][side ^ 2] }
    }

    /// Takes free neighbours into the node's tree; returns the edge, source side first, where it touches the other tree.
    fn grow(&mut self, node: usize) -> Option<(usize, usize)> {
        for side in SIDES {
            let other = self.beside(node, side);
            if self.left_over(node, side, other) <= 0 {
                continue;
            }
            if self.tree[other] == Tree::Free {
                self.tree[other] = self.tree[node];
                self.hang(other, side ^ 2, node);
                self.activate(other);
            } else if self.tree[other] != self.tree[node] {
                return Some(if self.tree[node] == Tree::Source { (node, side) } else { (other, side ^ 2) });
            } else if self.seen[other] <= self.seen[node] && self.distance[other] > self.distance[node] + 1 {
                self.hang(other, side ^ 2, node);
            }
        }
        None
    }

    fn hang(&mut self, node: usize, side: usize, parent: usize) {
        self.parent[node] = side as u8;
        self.seen[node] = self.seen[parent];
        self.distance[node] = self.distance[parent] + 1;
    }

    /// Sends what the path through an edge can carry from the source to the sink.
    fn augment(&mut self, from: usize, side: usize) {
        let to = self.beside(from, side);
        let mut flow = self.capacity[from][side];
        for (start, downwards) in [(from, true), (to, false)] {
            let mut node = start;
            while self.parent[node] != TERMINAL {
                let side = self.parent[node] as usize;
                let above = self.beside(node, side);
                flow = flow.min(if downwards { self.capacity[above][side ^ 2] } else { self.capacity[node][side] });
                node = above;
            }
            flow = flow.min(self.terminal[node].abs());
        }
        self.capacity[from][side] -= flow;
        self.capacity[to][side ^ 2] += flow;
        for (start, downwards) in [(from, true), (to, false)] {
            let mut node = start;
            while self.parent[node] != TERMINAL {
                let side = self.parent[node] as usize;
                let above = self.beside(node, side);
                let (out, back) =
                    if downwards { ((above, side ^ 2), (node, side)) } else { ((node, side), (above, side ^ 2)) };
                self.capacity[out.0][out.1] -= flow;
                self.capacity[back.0][back.1] += flow;
                if self.capacity[out.0][out.1] == 0 {
                    self.abandon(node);
                }
                node = above;
            }
            self.terminal[node] -= if downwards { flow } else { -flow };
            if self.terminal[node] == 0 {
                self.abandon(node);
            }
        }
    }

    fn abandon(&mut self, node: usize) {
        self.parent[node] = ORPHAN;
        self.orphans.push_back(node as u32);
    }

    /// Finds a new parent for a node, the nearest to the terminal, or sets it free with all that hangs on it.
    fn adopt(&mut self, orphan: usize) {
        let mut best: Option<(u32, usize)> = None;
        for side in SIDES {
            let other = self.beside(orphan, side);
            if self.tree[other] != self.tree[orphan] || self.left_over(other, side ^ 2, orphan) <= 0 {
                continue;
            }
            if let Some(distance) = self.distance_to_root(other)
                && best.is_none_or(|(least, _)| distance < least)
            {
                best = Some((distance, side));
            }
        }
        if let Some((distance, side)) = best {
            self.parent[orphan] = side as u8;
            self.seen[orphan] = self.now;
            self.distance[orphan] = distance + 1;
            return;
        }
        for side in SIDES {
            let other = self.beside(orphan, side);
            if self.tree[other] != self.tree[orphan] || self.parent[other] == NOTHING {
                continue;
            }
            if self.left_over(other, side ^ 2, orphan) > 0 {
                self.activate(other);
            }
            if self.parent[other] as usize == side ^ 2 {
                self.abandon(other);
            }
        }
        self.tree[orphan] = Tree::Free;
        self.parent[orphan] = NOTHING;
    }

    /// How far a node is from its terminal; `None` when an orphan lies between. Remembers what it finds.
    fn distance_to_root(&mut self, start: usize) -> Option<u32> {
        let (mut node, mut steps) = (start, 0);
        let distance = loop {
            if self.seen[node] == self.now && self.parent[node] < ORPHAN {
                break steps + self.distance[node];
            }
            match self.parent[node] {
                TERMINAL => {
                    self.seen[node] = self.now;
                    self.distance[node] = 1;
                    break steps + 1;
                }
                ORPHAN | NOTHING => return None,
                side => node = self.beside(node, side as usize),
            }
            steps += 1;
        };
        let (mut node, mut left) = (start, distance);
        while self.seen[node] != self.now {
            self.seen[node] = self.now;
            self.distance[node] = left;
            left -= 1;
            node = self.beside(node, self.parent[node] as usize);
        }
        Some(distance)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    struct Costs {
        size: [usize; 2],
        nodes: Vec<[i32; 2]>,
        /// To the right and below, there and back.
        edges: Vec<[[i32; 2]; 2]>,
    }

    impl Costs {
        fn random(seed: u64, size: [usize; 2]) -> Self {
            let mut random = Pcg64Mcg::seed_from_u64(seed);
            let count = size[0] * size[1];
            let nodes = (0..count).map(|_| [random.random_range(0..50), random.random_range(0..50)]).collect();
            let mut edge = || [random.random_range(0..30), random.random_range(0..30)];
            Self { size, nodes, edges: (0..count).map(|_| [edge(), edge()]).collect() }
        }

        fn of(&self, on_sink: &dyn Fn(usize, usize) -> bool) -> i32 {
            let [width, height] = self.size;
            let mut cost = 0;
            for row in 0..height {
                for column in 0..width {
                    let (at, here) = (row * width + column, on_sink(column, row));
                    cost += self.nodes[at][usize::from(here)];
                    for (below, [there, back]) in self.edges[at].iter().enumerate() {
                        let (c, r) = (column + 1 - below, row + below);
                        if c < width && r < height {
                            let beyond = on_sink(c, r);
                            cost += if !here && beyond { *there } else { 0 } + if here && !beyond { *back } else { 0 };
                        }
                    }
                }
            }
            cost
        }

        fn cut(&self) -> GridCut {
            let [width, height] = self.size;
            let mut cut = GridCut::new(width, height);
            for row in 0..height {
                for column in 0..width {
                    let at = row * width + column;
                    cut.add_node(column, row, self.nodes[at][0], self.nodes[at][1]);
                    for (below, [there, back]) in self.edges[at].iter().enumerate() {
                        if column + 1 - below < width && row + below < height {
                            cut.add_edge(column, row, below == 1, *there, *back);
                        }
                    }
                }
            }
            cut.solve();
            cut
        }
    }

    #[test]
    fn no_other_cut_of_a_small_grid_is_cheaper() {
        for seed in 0..60 {
            let costs = Costs::random(seed, [4, 3]);
            let cut = costs.cut();
            let found = costs.of(&|column, row| cut.on_sink_side(column, row));
            let least = (0u32..1 << 12).map(|sides| costs.of(&|c, r| sides >> (r * 4 + c) & 1 == 1)).min().unwrap();
            assert_eq!(found, least, "seed {seed}");
        }
    }

    #[test]
    fn no_single_change_of_a_large_cut_makes_it_cheaper() {
        let costs = Costs::random(7, [60, 40]);
        let cut = costs.cut();
        let side = |column: usize, row: usize| cut.on_sink_side(column, row);
        let found = costs.of(&side);
        for at in (0..60 * 40).step_by(11) {
            let changed = costs.of(&|c, r| side(c, r) != (r * 60 + c == at));
            assert!(changed >= found, "{at}");
        }
        // Whole rows and columns, too.
        for row in 0..40 {
            assert!(costs.of(&|c, r| if r == row { true } else { side(c, r) }) >= found);
            assert!(costs.of(&|c, r| if r == row { false } else { side(c, r) }) >= found);
        }
    }
}
