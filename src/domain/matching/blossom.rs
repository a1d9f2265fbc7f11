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

    /// The main loop: a tree from each uncovered vertex with a positive dual, all growing until each has ended.
    fn grow_trees(&mut self) {
        let roots: Vec<u32> = (0..self.mate.len() as u32).filter(|&v| self.mate[v as usize] == NONE && self.y[v as usize] > 0).collect();
        for &root in &roots {
            let tree = self.trees.len() as u32;
            self.trees.push(Vec::new());
            self.join_tree(root, tree, Label::Outer);
        }
        self.growing = roots.len();
        for &root in &roots {
            self.scan(root);
        }
        while self.growing > 0 {
            let Some(Reverse((moment, event))) = self.events.pop() else { break };
            debug_assert!(moment >= self.clock, "time went backwards");
            self.clock = moment;
            match event {
                Event::Tight(edge) => self.on_tight(edge),
                Event::Opens(blossom) => self.on_opens(blossom),
                Event::Exhausted(vertex) => self.on_exhausted(vertex),
            }
        }
    }

    fn on_tight(&mut self, edge: u32) {
        let Edge { a, b, weight } = self.edges[edge as usize];
        let (top_a, top_b) = (self.top(a), self.top(b));
        let outer = |top: u32| self.nodes[top as usize].label == Label::Outer;
        let (from, to) = match (outer(top_a), outer(top_b)) {
            (true, _) => (a, b),
            (false, true) => (b, a),
            (false, false) => return,
        };
        if top_a == top_b || self.dual(a) + self.dual(b) != SCALE * weight {
            return;
        }
        let (tree, top_to) = (self.nodes[self.top(from) as usize].tree, self.top(to));
        match self.nodes[top_to as usize].label {
            Label::Inner => {}
            Label::Free => {
                let beyond = self.mate[self.nodes[top_to as usize].base as usize];
                if beyond == NONE {
                    self.augment(from, to);
                    self.end_trees(&[tree]);
                } else {
                    self.take_inner(top_to, (from, to), tree);
                    let top = self.top(beyond);
                    self.join_tree(top, tree, Label::Outer);
                    self.scan_all(top);
                }
            }
            Label::Outer => {
                let other = self.nodes[top_to as usize].tree;
                if other == tree {
                    self.shrink(from, to);
                } else {
                    self.augment(from, to);
                    self.end_trees(&[tree, other]);
                }
            }
        }
    }

    fn on_opens(&mut self, blossom: u32) {
        let node = &self.nodes[blossom as usize];
        if node.is_blossom() && node.parent == NONE && node.label == Label::Inner && self.blossom_dual(blossom) == 0 {
            self.open_inner(blossom);
        }
    }

    fn on_exhausted(&mut self, vertex: u32) {
        let top = &self.nodes[self.top(vertex) as usize];
        if top.label == Label::Outer && self.dual(vertex) == 0 {
            let tree = top.tree;
            self.flip(vertex, NONE);
            self.end_trees(&[tree]);
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

/// Growing and ending trees.
impl Solver<'_> {
    /// Writes down the duals of a node on top as of now. Before each change of its label.
    fn settle(&mut self, node: u32) {
        for vertex in self.vertices_of(node) {
            self.y[vertex as usize] = self.dual(vertex);
            self.y_since[vertex as usize] = self.clock;
        }
        self.settle_blossom(node);
    }

    fn settle_blossom(&mut self, node: u32) {
        self.nodes[node as usize].z = if self.nodes[node as usize].is_blossom() { self.blossom_dual(node) } else { 0 };
        self.nodes[node as usize].since = self.clock;
    }

    fn join_tree(&mut self, node: u32, tree: u32, label: Label) {
        self.settle(node);
        let state = &mut self.nodes[node as usize];
        (state.label, state.tree) = (label, tree);
        self.trees[tree as usize].push(node);
    }

    fn take_inner(&mut self, node: u32, entry: Link, tree: u32) {
        self.join_tree(node, tree, Label::Inner);
        self.nodes[node as usize].entry = entry;
        if self.nodes[node as usize].is_blossom() {
            self.events.push(Reverse((self.clock + self.nodes[node as usize].z / 2, Event::Opens(node))));
        }
    }

    fn scan_all(&mut self, node: u32) {
        for vertex in self.vertices_of(node) {
            self.scan(vertex);
        }
    }

    /// Announces all that a vertex which has just become outer can cause.
    fn scan(&mut self, vertex: u32) {
        let (own, top) = (self.dual(vertex), self.top(vertex));
        self.events.push(Reverse((self.clock + own, Event::Exhausted(vertex))));
        for index in 0..self.neighbours[vertex as usize].len() {
            let Neighbour { vertex: other, edge, weight } = self.neighbours[vertex as usize][index];
            let other_top = self.top(other);
            if other_top == top {
                continue;
            }
            let wait = match self.nodes[other_top as usize].label {
                Label::Inner => continue,
                Label::Free => own + self.y[other as usize] - weight,
                Label::Outer => {
                    let slack = own + self.dual(other) - weight;
                    debug_assert!(slack % 2 == 0, "two outer vertices with an odd slack");
                    slack / 2
                }
            };
            debug_assert!(wait >= 0, "an edge with a negative slack");
            // Whatever comes after this vertex's dual is used up finds its tree ended.
            if wait <= own {
                self.events.push(Reverse((self.clock + wait, Event::Tight(edge))));
            }
        }
    }

    /// Announces which outer vertices can reach a vertex that has just become free.
    fn offer(&mut self, vertex: u32) {
        let own = self.y[vertex as usize];
        for index in 0..self.neighbours[vertex as usize].len() {
            let Neighbour { vertex: other, edge, weight } = self.neighbours[vertex as usize][index];
            if self.nodes[self.top(other) as usize].label == Label::Outer {
                let reach = self.dual(other);
                let wait = own + reach - weight;
                if wait <= reach {
                    self.events.push(Reverse((self.clock + wait, Event::Tight(edge))));
                }
            }
        }
    }

    /// Sets trees that have ended free, opens their blossoms without a dual, and offers what was freed to the other trees.
    fn end_trees(&mut self, ended: &[u32]) {
        let mut freed = Vec::new();
        for &tree in ended {
            self.growing -= 1;
            let nodes = std::mem::take(&mut self.trees[tree as usize]);
            for &node in &nodes {
                let state = &self.nodes[node as usize];
                // The list remembers nodes that have since become part of a blossom, or were opened and their number used again.
                if state.parent == NONE && state.tree == tree && state.label != Label::Free {
                    self.settle(node);
                    let state = &mut self.nodes[node as usize];
                    (state.label, state.tree) = (Label::Free, NONE);
                    freed.extend(self.vertices_of(node));
                    self.open_empty(node);
                }
            }
        }
        for vertex in freed {
            self.offer(vertex);
        }
    }

    /// Opens a free blossom whose dual is 0, and those that come to light by it.
    fn open_empty(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            if self.nodes[next as usize].is_blossom() && self.nodes[next as usize].z == 0 {
                let (children, _) = self.split(next);
                open.extend(children);
            }
        }
    }
}

/// Changing who is matched.
impl Solver<'_> {
    /// Matches the ends of a tight edge, and along the paths to both roots what must follow.
    fn augment(&mut self, a: u32, b: u32) {
        self.flip(a, b);
        self.flip(b, a);
    }

    /// Gives `vertex`, outer or uncovered, the new mate `with` (or none), and moves everybody on the way to its root by one.
    fn flip(&mut self, mut vertex: u32, mut with: u32) {
        loop {
            let outer = self.top(vertex);
            let step = self.step_up(outer);
            self.mate[self.nodes[outer as usize].base as usize] = NONE;
            self.rebase(outer, vertex);
            self.mate[vertex as usize] = with;
            let Some(((_, inner_base), inner, (own, towards_root))) = step else { return };
            self.mate[inner_base as usize] = NONE;
            self.rebase(inner, own);
            self.mate[own as usize] = towards_root;
            (vertex, with) = (towards_root, own);
        }
    }

    /// Makes `vertex` the one by which a node is matched outwards, and rearranges the matches inside.
    fn rebase(&mut self, node: u32, vertex: u32) {
        let mut open = vec![(node, vertex)];
        while let Some((node, vertex)) = open.pop() {
            let mut nest = vec![vertex];
            let mut outermost = vertex;
            while outermost != node {
                outermost = self.nodes[outermost as usize].parent;
                nest.push(outermost);
            }
            for level in (1..nest.len()).rev() {
                if self.nodes[nest[level] as usize].base == vertex {
                    break;
                }
                self.turn(nest[level], nest[level - 1], &mut open);
                self.nodes[nest[level] as usize].base = vertex;
            }
        }
    }

    /// Turns a blossom's cycle so that `first` comes first: every other link on the even way from it to the old first is matched now.
    fn turn(&mut self, blossom: u32, first: u32, open: &mut Vec<(u32, u32)>) {
        let mut children = std::mem::take(&mut self.nodes[blossom as usize].children);
        let mut links = std::mem::take(&mut self.nodes[blossom as usize].links);
        let length = children.len();
        let at = children.iter().position(|&child| child == first).unwrap_or(0);
        let matched = if at % 2 == 1 { at + 1..length } else { 0..at };
        for index in matched.step_by(2) {
            let (p, q) = links[index];
            self.mate[p as usize] = q;
            self.mate[q as usize] = p;
            open.push((children[index], p));
            open.push((children[(index + 1) % length], q));
        }
        children.rotate_left(at);
        links.rotate_left(at);
        (self.nodes[blossom as usize].children, self.nodes[blossom as usize].links) = (children, links);
    }
}

/// Closing and opening blossoms.
impl Solver<'_> {
    /// Two outer vertices of one tree have met: the odd cycle that this closes becomes one outer node.
    fn shrink(&mut self, a: u32, b: u32) {
        let ancestor = self.common_ancestor(self.top(a), self.top(b));
        let (mut children, links_up) = self.way_up(self.top(a), ancestor);
        children.push(ancestor);
        children.reverse();
        let mut links: Vec<Link> = links_up.iter().rev().map(|&(from, to)| (to, from)).collect();
        links.push((a, b));
        let (down, links_down) = self.way_up(self.top(b), ancestor);
        children.extend(down);
        links.extend(links_down);

        let mut new_outer = Vec::new();
        for &child in &children {
            if self.nodes[child as usize].label == Label::Inner {
                self.settle(child);
                new_outer.extend(self.vertices_of(child));
            } else {
                self.settle_blossom(child);
            }
        }
        let (base, tree) = (self.nodes[ancestor as usize].base, self.nodes[ancestor as usize].tree);
        let blossom = self.new_blossom(children, links, base);
        (self.nodes[blossom as usize].label, self.nodes[blossom as usize].tree) = (Label::Outer, tree);
        self.trees[tree as usize].push(blossom);
        for vertex in new_outer {
            self.scan(vertex);
        }
    }

    /// The first outer node on both ways to the root.
    fn common_ancestor(&mut self, a: u32, b: u32) -> u32 {
        self.search += 1;
        let (mut here, mut there) = (Some(a), Some(b));
        loop {
            if let Some(node) = here {
                if self.nodes[node as usize].seen == self.search {
                    return node;
                }
                self.nodes[node as usize].seen = self.search;
                here = self.step_up(node).map(|(_, _, (_, towards_root))| self.top(towards_root));
            }
            // Both are in one tree, so that the two ways end in one root and never both run out first.
            std::mem::swap(&mut here, &mut there);
        }
    }

    /// The nodes from an outer node up to, and without, `ancestor`, and the links from each to the next.
    fn way_up(&self, from: u32, ancestor: u32) -> (Vec<u32>, Vec<Link>) {
        let (mut nodes, mut links, mut outer) = (Vec::new(), Vec::new(), from);
        while outer != ancestor {
            let Some((matched, inner, entry)) = self.step_up(outer) else { break };
            nodes.extend([outer, inner]);
            links.extend([matched, entry]);
            outer = self.top(entry.1);
        }
        (nodes, links)
    }

    fn new_blossom(&mut self, children: Vec<u32>, links: Vec<Link>, base: u32) -> u32 {
        let blossom = self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(Node::vertex(NONE));
            self.nodes.len() as u32 - 1
        });
        let largest = children.iter().copied().max_by_key(|&child| self.nodes[child as usize].size).unwrap_or(base);
        let group = self.nodes[largest as usize].group;
        let mut size = 0;
        for &child in &children {
            size += self.nodes[child as usize].size;
            self.nodes[child as usize].parent = blossom;
            if child != largest {
                for vertex in self.vertices_of(child) {
                    self.group[vertex as usize] = group;
                }
            }
        }
        self.top_of_group[group as usize] = blossom;
        let node = Node { base, group, size, children, links, since: self.clock, ..Node::vertex(blossom) };
        self.nodes[blossom as usize] = node;
        blossom
    }

    /// Takes a blossom on top apart; its children are on top and free afterwards.
    fn split(&mut self, blossom: u32) -> (Vec<u32>, Vec<Link>) {
        let (children, links) = (std::mem::take(&mut self.nodes[blossom as usize].children), std::mem::take(&mut self.nodes[blossom as usize].links));
        for &child in &children {
            let node = &mut self.nodes[child as usize];
            (node.parent, node.label, node.tree, node.since) = (NONE, Label::Free, NONE, self.clock);
            let group = node.group;
            self.top_of_group[group as usize] = child;
            if group != self.nodes[blossom as usize].group {
                for vertex in self.vertices_of(child) {
                    self.group[vertex as usize] = group;
                }
            }
        }
        self.nodes[blossom as usize].label = Label::Free;
        self.unused.push(blossom);
        (children, links)
    }

    /// An inner blossom's dual is used up: its children on the even way from where the tree came in to the base stay in the tree,
    /// inner and outer in turn; the others, matched among themselves, are free.
    fn open_inner(&mut self, blossom: u32) {
        let (tree, entry) = (self.nodes[blossom as usize].tree, self.nodes[blossom as usize].entry);
        self.settle(blossom);
        let (children, links) = self.split(blossom);
        let length = children.len();
        // After the split the child is the node on top of the vertex by which the tree came in.
        let entered = self.top(entry.1);
        let mut at = children.iter().position(|&child| child == entered).unwrap_or(0);
        let (mut kept, mut outer, mut entry) = (vec![false; length], Vec::new(), entry);
        loop {
            kept[at] = true;
            self.take_inner(children[at], entry, tree);
            if at == 0 {
                break;
            }
            let next;
            (next, at, entry) = if at % 2 == 1 {
                (at + 1, (at + 2) % length, links[at + 1])
            } else {
                let (own, towards_root) = links[at - 2];
                (at - 1, at - 2, (towards_root, own))
            };
            kept[next] = true;
            outer.push(children[next]);
        }
        for &node in &outer {
            self.join_tree(node, tree, Label::Outer);
        }
        for &node in &outer {
            self.scan_all(node);
        }
        for (&child, _) in children.iter().zip(&kept).filter(|(_, kept)| !**kept) {
            let freed = self.vertices_of(child);
            self.open_empty(child);
            for vertex in freed {
                self.offer(vertex);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A little generator of numbers (splitmix64), so that every run tests the same graphs.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % limit
        }
    }

    fn random_graph(numbers: &mut Numbers, vertices: u32, percent: u64, heaviest: u64, base: Amount) -> Vec<Edge> {
        let mut edges = Vec::new();
        for a in 0..vertices {
            for b in a + 1..vertices {
                if numbers.below(100) < percent {
                    edges.push(Edge { a, b, weight: base + 1 + Amount::from(numbers.below(heaviest)) });
                }
            }
        }
        edges
    }

    /// The best weight there is, by trying everything.
    fn brute_force(vertices: u32, edges: &[Edge]) -> Amount {
        let mut best = vec![0; 1 << vertices];
        for set in 1..1usize << vertices {
            let lowest = set.trailing_zeros();
            best[set] = best[set & (set - 1)];
            for edge in edges.iter().filter(|edge| edge.a.min(edge.b) == lowest && set >> edge.a & 1 == 1 && set >> edge.b & 1 == 1) {
                best[set] = best[set].max(edge.weight + best[set & !(1 << edge.a) & !(1 << edge.b)]);
            }
        }
        best[(1 << vertices) - 1]
    }

    /// The weight of a solution, after a look at every condition that makes it an optimum.
    fn proven_weight(vertices: u32, edges: &[Edge], solution: &Solution) -> Amount {
        let mut primal = 0;
        for edge in edges {
            let within: Amount = solution.blossoms.iter().filter(|b| b.members.contains(&edge.a) && b.members.contains(&edge.b)).map(|b| b.z).sum();
            assert!(solution.y[edge.a as usize] + solution.y[edge.b as usize] + within >= SCALE * edge.weight, "{edge:?} has a negative slack");
            if solution.mate[edge.a as usize] == Some(edge.b) {
                assert_eq!(solution.mate[edge.b as usize], Some(edge.a));
                primal += edge.weight;
            }
        }
        for vertex in 0..vertices as usize {
            assert!(solution.y[vertex] >= 0 && (solution.mate[vertex].is_some() || solution.y[vertex] == 0), "vertex {vertex}");
        }
        let matched = solution.mate.iter().flatten().count();
        assert_eq!(matched, 2 * edges.iter().filter(|edge| solution.mate[edge.a as usize] == Some(edge.b)).count(), "everybody is matched along an edge");
        let mut dual: Amount = solution.y.iter().sum();
        for blossom in &solution.blossoms {
            assert!(blossom.z > 0 && blossom.members.len() % 2 == 1);
            dual += blossom.z * (blossom.members.len() as Amount / 2);
        }
        assert_eq!(SCALE * primal, dual, "primal and dual differ");
        primal
    }

    #[test]
    fn small_graphs_get_the_weight_that_trying_everything_finds() {
        let mut numbers = Numbers(1);
        for round in 0..1500u64 {
            let vertices = numbers.below(11) as u32;
            let (percent, heaviest) = ([20, 50, 80, 100][round as usize % 4], [1, 3, 20, 1000][round as usize / 4 % 4]);
            let base = if round % 3 == 0 { Amount::from(vertices) * 1000 } else { 0 };
            let edges = random_graph(&mut numbers, vertices, percent, heaviest, base);
            let solution = solve(vertices as usize, &edges).unwrap();
            assert_eq!(proven_weight(vertices, &edges, &solution), brute_force(vertices, &edges), "round {round}: {edges:?}");
        }
    }

    #[test]
    fn larger_graphs_prove_their_optimum() {
        let mut numbers = Numbers(2);
        for round in 0..300u64 {
            let vertices = 11 + numbers.below(80) as u32;
            let (percent, heaviest) = ([3, 8, 30, 90][round as usize % 4], [1, 4, 100, 2000][round as usize / 4 % 4]);
            let base = if round % 2 == 0 { Amount::from(vertices) * 2000 } else { 0 };
            let edges = random_graph(&mut numbers, vertices, percent, heaviest, base);
            proven_weight(vertices, &edges, &solve(vertices as usize, &edges).unwrap());
        }
    }

    #[test]
    fn two_triangles_joined_by_a_light_edge_are_matched_across_it() {
        let edge = |a, b, weight| Edge { a, b, weight };
        let edges = [edge(0, 1, 10), edge(1, 2, 10), edge(0, 2, 10), edge(3, 4, 10), edge(4, 5, 10), edge(3, 5, 10), edge(2, 3, 1)];
        let solution = solve(6, &edges).unwrap();
        assert_eq!(proven_weight(6, &edges, &solution), 21);
    }

    #[test]
    fn nobody_and_people_who_know_nobody_are_no_trouble() {
        assert_eq!(solve(0, &[]).unwrap(), Solution { mate: vec![], y: vec![], blossoms: vec![] });
        assert_eq!(solve(3, &[]).unwrap().mate, [None, None, None]);
    }

    #[test]
    fn what_is_no_graph_or_cannot_be_added_up_is_refused() {
        let edge = |a, b, weight| Edge { a, b, weight };
        assert_eq!(solve(2, &[edge(1, 1, 5)]), Err(GraphError::BadEdge(0)));
        assert_eq!(solve(2, &[edge(0, 1, 5), edge(0, 2, 5)]), Err(GraphError::BadEdge(1)));
        assert_eq!(solve(2, &[edge(0, 1, 0)]), Err(GraphError::BadEdge(0)));
        assert_eq!(solve(2, &[edge(0, 1, Amount::MAX / 4)]), Err(GraphError::TooLarge));
    }

    #[test]
    #[ignore = "a measurement, run by hand"]
    fn time_of_a_dense_graph() {
        let mut numbers = Numbers(3);
        let edges = random_graph(&mut numbers, 500, 78, 2000, 500_000);
        let begin = std::time::Instant::now();
        let solution = solve(500, &edges).unwrap();
        eprintln!("{} edges, {} blossoms: {:?}", edges.len(), solution.blossoms.len(), begin.elapsed());
    }
}
