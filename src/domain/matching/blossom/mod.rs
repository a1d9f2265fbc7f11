//! Maximum-weight matching in a general graph: the primal-dual method with blossoms, exact, in integers, without recursion.
//!
//! The linear programme behind it (Edmonds, "Maximum matching and a polyhedron with 0,1-vertices", 1965): each vertex has a dual
//! `y ≥ 0`, each odd set of vertices ("blossom") a dual `z ≥ 0`, and for each edge `y_a + y_b + Σ z(sets that hold both) ≥ 4·w`.
//! The difference is the edge's **slack**. A matching of tight edges (slack 0) that fills every blossom with `z > 0` and covers every
//! vertex with `y > 0` is of maximum weight; [`Solution`] carries the duals, so that anybody can check it.
//!
//! How it gets there: from every uncovered vertex with `y > 0` grows an alternating tree, all of them at once, on one **clock**. While
//! the clock runs, the duals of *outer* vertices (an even number of steps from their root) fall by one a tick and those of *inner* ones rise
//! by one, which keeps the tree's own edges tight; nothing else changes. So the next thing to happen is the earliest of a heap of events:
//! an edge gets tight (the tree grows, two trees meet and both roots are covered, or a tree meets itself: a blossom), an inner
//! blossom's `z` falls to 0 (it is opened again), or an outer vertex's `y` falls to 0 (it may stay uncovered: its tree is done).
//!
//! Everything stays integer because weights are multiplied by 4: all duals start even, all trees move together, so the slack
//! between two outer vertices is always even.
//!
//! Edges may be added to a graph that is solved already ([`Solver::add`]): what they contradict is undone, the rest stays.
mod duals;
mod nest;
mod number;
mod trees;
mod warm;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use duals::{Blossom, Duals, Reach};
pub use number::{Amount, Number};

/// All duals and slacks are stated for weights multiplied by this.
pub const SCALE: Amount = 4;

const NONE: u32 = u32::MAX;

/// A matching of maximum weight, and the duals that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Each vertex's partner.
    pub mate: Vec<Option<u32>>,
    /// The proof.
    pub duals: Duals<Amount>,
}

/// The weights are so large that sums of them could overflow, or there are too many vertices or edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the weights are too large to be added up safely")]
pub struct TooLarge;

/// Whether numbers of this type can hold everything that comes up when so many vertices have edges up to this weight.
///
/// Let W be the largest weight, scaled. Once solved, a vertex's dual and the sum of the blossoms' around it are at most W, for both stand on a
/// tight edge. Added edges raise a dual to 1.5 W at the most, no clock runs longer than the largest dual it starts with, and a blossom's
/// changes by two a tick: no dual, sum of duals over a pair or moment comes near 16 W. Sums over all vertices are formed in [`Amount`].
pub fn fits<N: Number>(vertices: usize, largest: Amount) -> bool {
    let room = largest.checked_mul(SCALE).and_then(|scaled| scaled.checked_mul(16));
    // Vertices, blossoms and edges are numbered in 32 bits; each vertex brings less than a hundred edges with it.
    room.is_some_and(|room| N::try_from(room).is_ok()) && vertices <= 1 << 24 && largest.checked_mul(SCALE << 24).is_some()
}

/// Where a vertex or a blossom that no other blossom holds stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// In no tree.
    Free,
    /// An even number of steps from the root of its tree.
    Outer,
    /// An odd number of steps.
    Inner,
}

/// An edge with a direction, by its ends.
type Link = (u32, u32);

/// A vertex (numbers below that of vertices) or a blossom (numbers above).
#[derive(Debug, Clone)]
struct Node<N> {
    /// The blossom that holds it directly; `NONE` for a node on top.
    parent: u32,
    /// The vertex by which it is matched outwards; of a vertex, itself.
    base: u32,
    label: Label,
    tree: u32,
    /// The moment since when `z` has been moving.
    since: N,
    /// Of an inner node: the tight edge by which the tree came in, (outer end, own end).
    entry: Link,
    /// The last search for a common ancestor that came by.
    seen: u32,
    /// The group (see [`Solver::group`]) that its vertices are in while it is on top.
    group: u32,
    /// Of how many vertices it is made.
    size: u32,
    /// Of a blossom in use: its odd cycle of nodes, the one with the base first.
    children: Vec<u32>,
    /// Of a blossom: `links[i]` leads from `children[i]` to `children[i + 1]`, the last one to the first; those with odd `i` are matched.
    links: Vec<Link>,
    z: N,
}

impl<N: Number> Node<N> {
    fn vertex(number: u32) -> Self {
        Self {
            parent: NONE,
            base: number,
            label: Label::Free,
            tree: NONE,
            since: N::ZERO,
            entry: (NONE, NONE),
            seen: 0,
            group: number,
            size: 1,
            children: Vec::new(),
            links: Vec::new(),
            z: N::ZERO,
        }
    }

    fn is_blossom(&self) -> bool {
        !self.children.is_empty()
    }
}

/// What may happen next; whether it still holds is looked at when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The edge of this number gets tight.
    Tight(u32),
    /// The dual of this inner blossom falls to 0.
    Opens(u32),
    /// The dual of this outer vertex falls to 0.
    Exhausted(u32),
}

/// An edge between two different vertices; its weight, scaled, is positive.
#[derive(Debug, Clone, Copy)]
struct Edge<N> {
    a: u32,
    b: u32,
    weight: N,
}

/// An edge as one of its ends sees it.
#[derive(Debug, Clone, Copy)]
struct Neighbour<N> {
    vertex: u32,
    edge: u32,
    weight: N,
}

/// A graph on its way to being solved. The same calls give the same answer.
pub struct Solver<N> {
    edges: Vec<Edge<N>>,
    neighbours: Vec<Vec<Neighbour<N>>>,
    mate: Vec<u32>,
    /// The dual of each vertex at the moment `y_since`; it moves by the label of the node on top.
    y: Vec<N>,
    y_since: Vec<N>,
    nodes: Vec<Node<N>>,
    unused: Vec<u32>,
    /// Each vertex's group. A group is known by one of its vertices; merging relabels all but the largest part, so that the node on
    /// top of a vertex is found in two steps however deep the nest.
    group: Vec<u32>,
    top_of_group: Vec<u32>,
    clock: N,
    events: BinaryHeap<Reverse<(N, Event)>>,
    trees: Vec<Vec<u32>>,
    growing: usize,
    search: u32,
}

impl<N: Number> Solver<N> {
    /// A graph of so many vertices, without edges and therefore solved.
    pub fn new(vertices: usize) -> Self {
        let numbers = 0..vertices as u32;
        Self {
            edges: Vec::new(),
            neighbours: vec![Vec::new(); vertices],
            mate: vec![NONE; vertices],
            y: vec![N::ZERO; vertices],
            y_since: vec![N::ZERO; vertices],
            nodes: numbers.clone().map(Node::vertex).collect(),
            unused: Vec::new(),
            group: numbers.clone().collect(),
            top_of_group: numbers.collect(),
            clock: N::ZERO,
            events: BinaryHeap::new(),
            trees: Vec::new(),
            growing: 0,
            search: 0,
        }
    }

    /// Finds a matching of maximum weight among the edges added so far.
    pub fn solve(&mut self) {
        self.match_greedily();
        self.even_out();
        self.grow_trees();
    }

    /// Lowers the dual of each uncovered vertex that is in no blossom as far as its edges let it, and matches it where that makes an edge to
    /// another such one tight.
    fn match_greedily(&mut self) {
        let alone = |solver: &Self, v: u32| solver.mate[v as usize] == NONE && solver.top(v) == v;
        for v in 0..self.mate.len() as u32 {
            if !alone(self, v) {
                continue;
            }
            let (mut lowest, mut partner) = (N::ZERO, NONE);
            for edge in &self.neighbours[v as usize] {
                let needed = edge.weight - self.y[edge.vertex as usize];
                if needed > lowest {
                    (lowest, partner) = (needed, NONE);
                }
                if needed == lowest && partner == NONE && alone(self, edge.vertex) {
                    partner = edge.vertex;
                }
            }
            self.y[v as usize] = lowest;
            if partner != NONE {
                self.mate[v as usize] = partner;
                self.mate[partner as usize] = v;
            }
        }
    }
}

/// Reading the state at this moment of the clock.
impl<N: Number> Solver<N> {
    /// The node that holds the vertex and is held by none.
    fn top(&self, vertex: u32) -> u32 {
        self.top_of_group[self.group[vertex as usize] as usize]
    }

    fn dual(&self, vertex: u32) -> N {
        let (y, passed) = (self.y[vertex as usize], self.clock - self.y_since[vertex as usize]);
        match self.nodes[self.top(vertex) as usize].label {
            Label::Free => y,
            Label::Outer => y - passed,
            Label::Inner => y + passed,
        }
    }

    /// Of a blossom on top.
    fn blossom_dual(&self, blossom: u32) -> N {
        let node = &self.nodes[blossom as usize];
        let moved = (self.clock - node.since).twice();
        match node.label {
            Label::Free => node.z,
            Label::Outer => node.z + moved,
            Label::Inner => node.z - moved,
        }
    }

    fn vertices_of(&self, node: u32) -> Vec<u32> {
        let (mut found, mut open) = (Vec::with_capacity(self.nodes[node as usize].size as usize), vec![node]);
        while let Some(next) = open.pop() {
            match self.nodes[next as usize].is_blossom() {
                true => open.extend_from_slice(&self.nodes[next as usize].children),
                false => found.push(next),
            }
        }
        found
    }

    /// The edge by which an outer node's inner father is matched to it, that father, and the father's edge towards the root.
    fn step_up(&self, outer: u32) -> Option<(Link, u32, Link)> {
        let base = self.nodes[outer as usize].base;
        let mate = self.mate[base as usize];
        if mate == NONE {
            return None;
        }
        let inner = self.top(mate);
        let (towards_root, own) = self.nodes[inner as usize].entry;
        Some(((base, mate), inner, (own, towards_root)))
    }

    /// The duals, once solved.
    pub fn duals(&self) -> Duals<N> {
        let z = self.nodes[self.mate.len()..].iter().map(|node| if node.is_blossom() { node.z } else { N::ZERO });
        Duals::new(self.y.clone(), self.nodes.iter().map(|node| node.parent).collect(), z.collect())
    }

    /// The matching and its proof, once solved.
    pub fn solution(&self) -> Solution {
        Solution { mate: self.mate.iter().map(|&mate| (mate != NONE).then_some(mate)).collect(), duals: self.duals().map(N::into) }
    }
}

#[cfg(test)]
mod tests;
