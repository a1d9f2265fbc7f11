//! Alternating trees: how they grow on one clock, what happens when an edge gets tight, and how they end.
use std::cmp::Reverse;

use super::{Edge, Event, Label, Link, NONE, Neighbour, Number, Solver};

/// What happens, event by event.
impl<N: Number> Solver<N> {
    /// The main loop: a tree from each uncovered vertex with a positive dual, all growing until each has ended.
    pub(super) fn grow_trees(&mut self) {
        self.clock = N::ZERO;
        self.events.clear();
        self.trees.clear();
        let roots: Vec<u32> = (0..self.mate.len() as u32).filter(|&v| self.mate[v as usize] == NONE && self.y[v as usize] > N::ZERO).collect();
        for &root in &roots {
            let tree = self.trees.len() as u32;
            self.trees.push(Vec::new());
            self.join_tree(self.top(root), tree, Label::Outer);
        }
        self.growing = roots.len();
        for &root in &roots {
            self.scan_all(self.top(root));
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
        if top_a == top_b || self.dual(a) + self.dual(b) != weight {
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
        if node.is_blossom() && node.parent == NONE && node.label == Label::Inner && self.blossom_dual(blossom) == N::ZERO {
            self.open_inner(blossom);
        }
    }

    fn on_exhausted(&mut self, vertex: u32) {
        let top = &self.nodes[self.top(vertex) as usize];
        if top.label == Label::Outer && self.dual(vertex) == N::ZERO {
            let tree = top.tree;
            self.flip(vertex, NONE);
            self.end_trees(&[tree]);
        }
    }
}

/// Growing and ending trees.
impl<N: Number> Solver<N> {
    /// Writes down the duals of a node on top as of now. Before each change of its label.
    pub(super) fn settle(&mut self, node: u32) {
        for vertex in self.vertices_of(node) {
            self.y[vertex as usize] = self.dual(vertex);
            self.y_since[vertex as usize] = self.clock;
        }
        self.settle_blossom(node);
    }

    pub(super) fn settle_blossom(&mut self, node: u32) {
        self.nodes[node as usize].z = if self.nodes[node as usize].is_blossom() { self.blossom_dual(node) } else { N::ZERO };
        self.nodes[node as usize].since = self.clock;
    }

    pub(super) fn join_tree(&mut self, node: u32, tree: u32, label: Label) {
        self.settle(node);
        let state = &mut self.nodes[node as usize];
        (state.label, state.tree) = (label, tree);
        self.trees[tree as usize].push(node);
    }

    pub(super) fn take_inner(&mut self, node: u32, entry: Link, tree: u32) {
        self.join_tree(node, tree, Label::Inner);
        self.nodes[node as usize].entry = entry;
        if self.nodes[node as usize].is_blossom() {
            self.events.push(Reverse((self.clock + self.nodes[node as usize].z.half(), Event::Opens(node))));
        }
    }

    pub(super) fn scan_all(&mut self, node: u32) {
        for vertex in self.vertices_of(node) {
            self.scan(vertex);
        }
    }

    /// Announces all that a vertex which has just become outer can cause.
    pub(super) fn scan(&mut self, vertex: u32) {
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
                    debug_assert!(!slack.is_odd(), "two outer vertices with an odd slack");
                    slack.half()
                }
            };
            debug_assert!(wait >= N::ZERO, "an edge with a negative slack");
            // Whatever comes after this vertex's dual is used up finds its tree ended.
            if wait <= own {
                self.events.push(Reverse((self.clock + wait, Event::Tight(edge))));
            }
        }
    }

    /// Announces which outer vertices can reach a vertex that has just become free.
    pub(super) fn offer(&mut self, vertex: u32) {
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
    pub(super) fn open_empty(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            if self.nodes[next as usize].is_blossom() && self.nodes[next as usize].z == N::ZERO {
                let (children, _) = self.split(next);
                open.extend(children);
            }
        }
    }
}
