//! Edges that are added to a solved graph: the duals and the matching are kept, but for what the new edges contradict.
use super::{Edge, NONE, Neighbour, Number, Solver};

impl<N: Number> Solver<N> {
    /// Adds edges between different vertices: (end, end, scaled weight, positive). An edge stands there once.
    pub fn add(&mut self, edges: &[(u32, u32, N)]) {
        let first = self.edges.len();
        for &(a, b, weight) in edges {
            let edge = self.edges.len() as u32;
            self.edges.push(Edge { a, b, weight });
            self.neighbours[a as usize].push(Neighbour { vertex: b, edge, weight });
            self.neighbours[b as usize].push(Neighbour { vertex: a, edge, weight });
        }
        if first == 0 {
            // Half of the heaviest edge at each end makes every slack at least 0; a scaled weight's half is even.
            let half = |list: &Vec<Neighbour<N>>| list.iter().map(|edge| edge.weight.half()).max().unwrap_or(N::ZERO);
            self.y = self.neighbours.iter().map(half).collect();
            return;
        }
        for edge in first..self.edges.len() {
            let Edge { a, b, weight } = self.edges[edge];
            if self.reach(a, b) < weight {
                let end = self.cheaper_to_uncover(a, b);
                self.uncover(end);
                let missing = weight - self.reach(a, b);
                if missing > N::ZERO {
                    self.y[end as usize] += missing;
                }
            }
        }
    }

    /// The duals of two vertices and of the blossoms that hold both, while no tree grows.
    fn reach(&self, a: u32, b: u32) -> N {
        let mut reach = self.y[a as usize] + self.y[b as usize];
        if self.top(a) == self.top(b) {
            let around = |vertex: u32| std::iter::successors(Some(vertex), |&node| Some(self.nodes[node as usize].parent).filter(|&parent| parent != NONE));
            let (mut of_a, mut of_b): (Vec<u32>, Vec<u32>) = (around(a).collect(), around(b).collect());
            while let (Some(one), Some(other)) = (of_a.pop(), of_b.pop())
                && one == other
            {
                reach += self.nodes[one as usize].z;
            }
        }
        reach
    }

    fn cheaper_to_uncover(&self, a: u32, b: u32) -> u32 {
        let cost = |vertex: u32| (self.mate[vertex as usize] != NONE, self.nodes[self.top(vertex) as usize].size);
        if cost(b) < cost(a) { b } else { a }
    }

    /// Leaves a vertex without a mate and without a blossom around it, so that its dual may be raised. One match is lost at most: first the
    /// nest is turned until the vertex is the one that is matched outwards.
    fn uncover(&mut self, vertex: u32) {
        let top = self.top(vertex);
        let base = self.nodes[top as usize].base;
        let mate = self.mate[base as usize];
        if mate != NONE {
            (self.mate[base as usize], self.mate[mate as usize]) = (NONE, NONE);
        }
        self.rebase(top, vertex);
        self.mate[vertex as usize] = NONE;
        self.open_around(vertex);
    }

    /// Opens the blossoms around an uncovered vertex. Half of a blossom's dual goes to each of its vertices, so that all edges inside
    /// reach as far as before and those that lead out reach farther.
    fn open_around(&mut self, vertex: u32) {
        let mut raise = N::ZERO;
        while self.top(vertex) != vertex {
            let blossom = self.top(vertex);
            raise += self.nodes[blossom as usize].z.half();
            let (children, _) = self.split(blossom);
            let inwards = self.top(vertex);
            for child in children.into_iter().filter(|&child| child != inwards) {
                for member in self.vertices_of(child) {
                    self.y[member as usize] += raise;
                }
            }
        }
        self.y[vertex as usize] += raise;
    }

    /// Makes the duals of all uncovered vertices even, so that the trees that grow from them keep the slacks between outer vertices even.
    pub(super) fn even_out(&mut self) {
        for vertex in 0..self.mate.len() as u32 {
            if self.mate[vertex as usize] == NONE && self.y[vertex as usize].is_odd() {
                self.open_around(vertex);
                self.y[vertex as usize] = self.y[vertex as usize].evened();
            }
        }
    }
}
