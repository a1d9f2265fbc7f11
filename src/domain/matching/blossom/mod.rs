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
mod nest;
mod trees;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A weight or a dual. 128 bits leave room for "most people first" on top of any 64-bit weight.
pub type Amount = i128;

/// All duals and slacks are stated for weights multiplied by this.
pub const SCALE: Amount = 4;

const NONE: u32 = u32::MAX;

/// An edge between two different vertices; its weight is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// One end.
    pub a: u32,
    /// The other end.
    pub b: u32,
    /// What the matching gains by it.
    pub weight: Amount,
}

/// An odd set of vertices whose dual is positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blossom {
    /// The vertices, ascending.
    pub members: Vec<u32>,
    /// Its dual, times [`SCALE`].
    pub z: Amount,
}

/// A matching of maximum weight, and the duals that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Each vertex's partner.
    pub mate: Vec<Option<u32>>,
    /// Each vertex's dual, times [`SCALE`].
    pub y: Vec<Amount>,
    /// The blossoms with a positive dual; they form a laminar family: two of them are nested or disjoint.
    pub blossoms: Vec<Blossom>,
}

/// Why a graph can't be solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An edge joins a vertex with itself or with one that does not exist, or its weight is not positive.
    #[error("edge {0} joins a vertex with itself or with none, or weighs nothing")]
    BadEdge(usize),
    /// The weights are so large that sums of them could overflow.
    #[error("the weights are too large to be added up safely")]
    TooLarge,
}

/// Finds a matching of maximum weight among `vertices` vertices. The same input gives the same output.
///
/// # Errors
/// [`GraphError`] where an edge is not one, or where no bound rules out an overflow.
pub fn solve(vertices: usize, edges: &[Edge]) -> Result<Solution, GraphError> {
    check(vertices, edges)?;
    let mut solver = Solver::new(vertices, edges);
    solver.match_greedily();
    solver.grow_trees();
    Ok(solver.solution())
}

/// No dual, slack or moment exceeds three times the largest scaled weight, no sum of duals the scaled weight of a whole matching.
pub(super) fn check(vertices: usize, edges: &[Edge]) -> Result<(), GraphError> {
    let mut largest: Amount = 0;
    for (index, edge) in edges.iter().enumerate() {
        if edge.a == edge.b || edge.a.max(edge.b) as usize >= vertices || edge.weight <= 0 {
            return Err(GraphError::BadEdge(index));
        }
        largest = largest.max(edge.weight);
    }
    let room = i128::try_from(vertices).ok().and_then(|n| n.checked_add(8)).and_then(|n| n.checked_mul(SCALE)).and_then(|n| n.checked_mul(largest));
    // Blossoms share the index space of vertices: twice as many nodes, and one value means "none".
    match room {
        Some(_) if vertices < (NONE / 4) as usize && edges.len() < NONE as usize => Ok(()),
        Some(_) | None => Err(GraphError::TooLarge),
    }
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
struct Node {
    /// The blossom that holds it directly; `NONE` for a node on top.
    parent: u32,
    /// The vertex by which it is matched outwards; of a vertex, itself.
    base: u32,
    label: Label,
    tree: u32,
    /// The moment since when `z` has been moving.
    since: Amount,
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
    z: Amount,
}

impl Node {
    fn vertex(number: u32) -> Self {
        Self {
            parent: NONE,
            base: number,
            label: Label::Free,
            tree: NONE,
            since: 0,
            entry: (NONE, NONE),
            seen: 0,
            group: number,
            size: 1,
            children: Vec::new(),
            links: Vec::new(),
            z: 0,
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

/// An edge as one of its ends sees it.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    vertex: u32,
    edge: u32,
    /// Scaled.
    weight: Amount,
}

struct Solver<'a> {
    edges: &'a [Edge],
    neighbours: Vec<Vec<Neighbour>>,
    mate: Vec<u32>,
    /// The dual of each vertex at the moment `y_since`; it moves by the label of the node on top.
    y: Vec<Amount>,
    y_since: Vec<Amount>,
    nodes: Vec<Node>,
    unused: Vec<u32>,
    /// Each vertex's group. A group is known by one of its vertices; merging relabels all but the largest part, so that the node on
    /// top of a vertex is found in two steps however deep the nest.
    group: Vec<u32>,
    top_of_group: Vec<u32>,
    clock: Amount,
    events: BinaryHeap<Reverse<(Amount, Event)>>,
    trees: Vec<Vec<u32>>,
    growing: usize,
    search: u32,
}

impl<'a> Solver<'a> {
    fn new(vertices: usize, edges: &'a [Edge]) -> Self {
        let mut neighbours = vec![Vec::new(); vertices];
        for (number, edge) in edges.iter().enumerate() {
            let (number, weight) = (number as u32, SCALE * edge.weight);
            neighbours[edge.a as usize].push(Neighbour { vertex: edge.b, edge: number, weight });
            neighbours[edge.b as usize].push(Neighbour { vertex: edge.a, edge: number, weight });
        }
        // Half of the heaviest edge at each end makes every slack at least 0; a scaled weight's half is even.
        let y = neighbours.iter().map(|list| list.iter().map(|edge| edge.weight / 2).max().unwrap_or(0)).collect();
        let numbers = 0..vertices as u32;
        Self {
            edges,
            neighbours,
            mate: vec![NONE; vertices],
            y,
            y_since: vec![0; vertices],
            nodes: numbers.clone().map(Node::vertex).collect(),
            unused: Vec::new(),
            group: numbers.clone().collect(),
            top_of_group: numbers.collect(),
            clock: 0,
            events: BinaryHeap::new(),
            trees: Vec::new(),
            growing: 0,
            search: 0,
        }
    }

    /// Lowers each uncovered vertex's dual as far as its edges let it, and matches it where that makes an edge to another one tight.
    fn match_greedily(&mut self) {
        for v in 0..self.mate.len() {
            if self.mate[v] != NONE {
                continue;
            }
            let (mut lowest, mut partner) = (0, NONE);
            for edge in &self.neighbours[v] {
                let needed = edge.weight - self.y[edge.vertex as usize];
                if needed > lowest {
                    (lowest, partner) = (needed, NONE);
                }
                if needed == lowest && partner == NONE && self.mate[edge.vertex as usize] == NONE {
                    partner = edge.vertex;
                }
            }
            self.y[v] = lowest;
            if partner != NONE {
                self.mate[v] = partner;
                self.mate[partner as usize] = v as u32;
            }
        }
    }
}

/// Reading the state at this moment of the clock.
impl Solver<'_> {
    /// The node that holds the vertex and is held by none.
    fn top(&self, vertex: u32) -> u32 {
        self.top_of_group[self.group[vertex as usize] as usize]
    }

    fn dual(&self, vertex: u32) -> Amount {
        let (y, passed) = (self.y[vertex as usize], self.clock - self.y_since[vertex as usize]);
        match self.nodes[self.top(vertex) as usize].label {
            Label::Free => y,
            Label::Outer => y - passed,
            Label::Inner => y + passed,
        }
    }

    /// Of a blossom on top.
    fn blossom_dual(&self, blossom: u32) -> Amount {
        let node = &self.nodes[blossom as usize];
        let moved = 2 * (self.clock - node.since);
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

    fn solution(&self) -> Solution {
        let blossoms = (self.mate.len() as u32..self.nodes.len() as u32).filter(|&b| self.nodes[b as usize].is_blossom() && self.nodes[b as usize].z > 0);
        let sorted = |mut members: Vec<u32>| {
            members.sort_unstable();
            members
        };
        let mut blossoms: Vec<Blossom> = blossoms.map(|b| Blossom { members: sorted(self.vertices_of(b)), z: self.nodes[b as usize].z }).collect();
        blossoms.sort_unstable_by(|one, other| one.members.cmp(&other.members));
        Solution { mate: self.mate.iter().map(|&mate| (mate != NONE).then_some(mate)).collect(), y: self.y.clone(), blossoms }
    }
}

#[cfg(test)]
mod tests;
