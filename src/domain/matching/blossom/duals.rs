//! The dual values of a solved graph, and how far they reach over a pair of vertices.
use super::{NONE, Number};

/// What each vertex and each blossom is worth. Blossoms form a laminar family, two of them are nested or disjoint: a forest, kept as parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duals<N> {
    /// Each vertex's dual, scaled.
    pub y: Vec<N>,
    /// The smallest blossom around each vertex and, from there on, each blossom; `NONE` where there is none.
    parent: Vec<u32>,
    /// Each blossom's dual, scaled.
    z: Vec<N>,
    /// The sum of the duals of each blossom and of those around it.
    total: Vec<N>,
}

/// An odd set of vertices whose dual is positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blossom<N> {
    /// The vertices, ascending.
    pub members: Vec<u32>,
    /// Its dual, scaled.
    pub z: N,
}

impl<N: Number> Duals<N> {
    pub(super) fn new(y: Vec<N>, parent: Vec<u32>, z: Vec<N>) -> Self {
        let mut duals = Self { total: z.clone(), y, parent, z };
        let vertices = duals.y.len();
        let mut done = vec![false; duals.z.len()];
        let mut chain = Vec::new();
        for blossom in vertices as u32..duals.parent.len() as u32 {
            let mut node = blossom;
            while node != NONE && !done[node as usize - vertices] {
                chain.push(node);
                node = duals.parent[node as usize];
            }
            while let Some(node) = chain.pop() {
                let (own, around) = (node as usize - vertices, duals.parent[node as usize]);
                if around != NONE {
                    duals.total[own] = duals.z[own] + duals.total[around as usize - vertices];
                }
                done[own] = true;
            }
        }
        duals
    }

    /// The same family with other values, each made from its own.
    pub fn map<M: Number>(&self, value: impl Fn(N) -> M) -> Duals<M> {
        Duals::new(self.y.iter().copied().map(&value).collect(), self.parent.clone(), self.z.iter().copied().map(&value).collect())
    }

    /// The blossoms with a positive dual.
    pub fn blossoms(&self) -> Vec<Blossom<N>> {
        let vertices = self.y.len();
        let mut blossoms: Vec<Blossom<N>> = self.z.iter().map(|&z| Blossom { members: Vec::new(), z }).collect();
        for vertex in 0..vertices as u32 {
            for node in self.around(vertex).filter(|&node| self.z[node] > N::ZERO) {
                blossoms[node].members.push(vertex);
            }
        }
        blossoms.retain(|blossom| !blossom.members.is_empty());
        blossoms.sort_unstable_by(|one, other| one.members.cmp(&other.members));
        blossoms
    }

    /// The blossoms around a vertex, from the inside outwards, counted from 0.
    fn around(&self, vertex: u32) -> impl Iterator<Item = usize> {
        let mut node = vertex;
        std::iter::from_fn(move || {
            node = self.parent[node as usize];
            (node != NONE).then(|| node as usize - self.y.len())
        })
    }

    /// How deep blossoms are nested.
    pub fn depth(&self) -> usize {
        (0..self.y.len() as u32).map(|vertex| self.around(vertex).filter(|&node| self.z[node] > N::ZERO).count()).max().unwrap_or(0)
    }

    /// A view that answers [`Reach::over`].
    pub fn reach(&self) -> Reach<'_, N> {
        Reach { duals: self, row: NONE, shared: vec![(NONE, N::ZERO); self.z.len()], path: Vec::new() }
    }
}

/// How far duals reach over pairs. Quickest where pairs with the same first vertex follow each other: what one of them shows about a blossom
/// serves the next, so that a row costs no more than there are vertices and blossoms.
pub struct Reach<'a, N> {
    duals: &'a Duals<N>,
    row: u32,
    /// What a vertex inside each blossom shares with the vertex of this row, if it is known yet.
    shared: Vec<(u32, N)>,
    path: Vec<u32>,
}

impl<N: Number> Reach<'_, N> {
    /// The duals of two vertices and of the blossoms that hold both: the pair's scaled weight must not exceed it.
    pub fn over(&mut self, a: u32, b: u32) -> N {
        let Duals { y, parent, .. } = self.duals;
        let ends = y[a as usize] + y[b as usize];
        if parent[a as usize] == NONE || parent[b as usize] == NONE {
            return ends;
        }
        if self.row != a {
            self.row = a;
            for node in self.duals.around(a) {
                self.shared[node] = (a, self.duals.total[node]);
            }
        }
        ends + self.shared_with(b)
    }

    fn shared_with(&mut self, b: u32) -> N {
        let vertices = self.duals.y.len();
        let mut node = self.duals.parent[b as usize];
        let mut shared = N::ZERO;
        while node != NONE {
            let known = self.shared[node as usize - vertices];
            if known.0 == self.row {
                shared = known.1;
                break;
            }
            self.path.push(node);
            node = self.duals.parent[node as usize];
        }
        for node in self.path.drain(..) {
            self.shared[node as usize - vertices] = (self.row, shared);
        }
        shared
    }
}
