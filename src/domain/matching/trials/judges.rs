//! Two other ways to the same answer, which share nothing with the solver: trying every matching, and counting how many pairs there can be.
use std::collections::VecDeque;

/// The most pairs, and the greatest weight of as many; for at most a dozen vertices.
pub fn by_trying_everything(vertices: u32, edges: &[(u32, u32, i64)]) -> (usize, i128) {
    let mut best = vec![(0, 0); 1 << vertices];
    for set in 1..1_usize << vertices {
        let lowest = set.trailing_zeros();
        best[set] = best[set & (set - 1)];
        for &(a, b, w) in edges.iter().filter(|&&(a, b, _)| a.min(b) == lowest && set >> a & set >> b & 1 == 1) {
            let (pairs, weight) = best[set & !(1 << a) & !(1 << b)];
            best[set] = best[set].max((pairs + 1, weight + i128::from(w)));
        }
    }
    best[(1 << vertices) - 1]
}

/// How many pairs a matching can have: a search for augmenting paths from one vertex after another, where odd cycles are contracted by
/// giving their vertices a common base (Edmonds, "Paths, trees, and flowers", 1965).
pub fn most_pairs(vertices: u32, edges: &[(u32, u32, i64)]) -> usize {
    let mut search = Search::of(vertices as usize, edges);
    (0..vertices as usize).filter(|&root| search.mate[root].is_none() && search.augments(root)).count()
}

struct Search {
    near: Vec<Vec<usize>>,
    mate: Vec<Option<usize>>,
    parent: Vec<Option<usize>>,
    base: Vec<usize>,
}

impl Search {
    fn of(vertices: usize, edges: &[(u32, u32, i64)]) -> Self {
        let mut near = vec![Vec::new(); vertices];
        for &(a, b, _) in edges {
            near[a as usize].push(b as usize);
            near[b as usize].push(a as usize);
        }
        Self { near, mate: vec![None; vertices], parent: Vec::new(), base: Vec::new() }
    }

    fn augments(&mut self, root: usize) -> bool {
        let vertices = self.near.len();
        (self.parent, self.base) = (vec![None; vertices], (0..vertices).collect());
        let mut reached = vec![false; vertices];
        reached[root] = true;
        let mut queue = VecDeque::from([root]);
        while let Some(from) = queue.pop_front() {
            for to in self.near[from].clone() {
                if self.base[from] == self.base[to] || self.mate[from] == Some(to) {
                    continue;
                }
                if to == root || self.mate[to].is_some_and(|mate| self.parent[mate].is_some()) {
                    let base = self.meeting(from, to);
                    let mut inside = vec![false; vertices];
                    self.mark(from, to, base, &mut inside);
                    self.mark(to, from, base, &mut inside);
                    for vertex in 0..vertices {
                        if inside[self.base[vertex]] {
                            self.base[vertex] = base;
                            if !std::mem::replace(&mut reached[vertex], true) {
                                queue.push_back(vertex);
                            }
                        }
                    }
                } else if self.parent[to].is_none() {
                    self.parent[to] = Some(from);
                    match self.mate[to] {
                        Some(mate) => {
                            reached[mate] = true;
                            queue.push_back(mate);
                        }
                        None => {
                            self.turn_over(to);
                            return true;
                        }
                    }
                }
            }
        }
        false
    }

    /// Where the ways of two reached vertices to the root meet.
    fn meeting(&self, a: usize, b: usize) -> usize {
        let up = |base: usize| Some(self.base[self.parent[self.mate[base]?]?]);
        let way = |vertex: usize| std::iter::successors(Some(self.base[vertex]), move |&base| up(base));
        let of_a: Vec<usize> = way(a).collect();
        way(b).find(|base| of_a.contains(base)).expect("both ways end at the root")
    }

    fn mark(&mut self, mut vertex: usize, mut child: usize, base: usize, inside: &mut [bool]) {
        while self.base[vertex] != base {
            let mate = self.mate[vertex].expect("below the base all are matched");
            inside[self.base[vertex]] = true;
            inside[self.base[mate]] = true;
            self.parent[vertex] = Some(child);
            child = mate;
            vertex = self.parent[mate].expect("a way up");
        }
    }

    fn turn_over(&mut self, end: usize) {
        let mut here = Some(end);
        while let Some(vertex) = here {
            let before = self.parent[vertex].expect("a way to the root");
            here = self.mate[before];
            (self.mate[vertex], self.mate[before]) = (Some(before), Some(vertex));
        }
    }
}
