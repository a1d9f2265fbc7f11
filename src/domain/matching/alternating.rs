//! Why nobody can be found for somebody: the alternating tree that grows from an unmatched vertex (Edmonds).
//!
//! If no augmenting path begins there, its outer vertices depend on its inner ones: outside of their own odd groups they know nobody else, and there is one
//! group more than there are inner vertices. That is a witness that somebody among the outer ones has to be left over.

/// What depends on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    /// The vertices that compete, the root among them, in order.
    pub outer: Vec<usize>,
    /// Those that they compete for, in order.
    pub inner: Vec<usize>,
    /// Into how many groups the outer ones fall whose members could be matched among themselves but for one.
    pub groups: usize,
}

/// What the search for a partner came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search {
    /// Another choice of pairs would match one more: this matching is no largest one of the graph.
    Augments,
    /// It would not.
    Stuck(Tree),
    /// The tree grew beyond the limit.
    TooLarge,
}

const NOBODY: usize = usize::MAX;

/// Grows the tree from `root`, unmatched under `mate`, with up to `most` outer vertices.
pub(super) fn search(root: usize, mate: &[Option<usize>], most: usize, adjacent: impl Fn(usize, usize) -> bool) -> Search {
    let mut forest = Forest { base: (0..mate.len()).collect(), parent: vec![NOBODY; mate.len()], outer: vec![false; mate.len()], queue: vec![root], mate };
    forest.outer[root] = true;
    let mut next = 0;
    while next < forest.queue.len() {
        let from = forest.queue[next];
        next += 1;
        for to in 0..mate.len() {
            if forest.base[from] == forest.base[to] || mate[from] == Some(to) || !adjacent(from, to) {
                continue;
            }
            if forest.outer[to] {
                forest.contract(from, to);
            } else if forest.parent[to] == NOBODY {
                forest.parent[to] = from;
                let Some(partner) = mate[to] else { return Search::Augments };
                forest.outer[partner] = true;
                forest.queue.push(partner);
            }
        }
        if forest.queue.len() > most {
            return Search::TooLarge;
        }
    }
    let outer: Vec<usize> = (0..mate.len()).filter(|&vertex| forest.outer[vertex]).collect();
    let inner = (0..mate.len()).filter(|&vertex| !forest.outer[vertex] && forest.parent[vertex] != NOBODY).collect();
    let mut bases: Vec<usize> = outer.iter().map(|&vertex| forest.base[vertex]).collect();
    bases.sort_unstable();
    bases.dedup();
    Search::Stuck(Tree { outer, inner, groups: bases.len() })
}

struct Forest<'a> {
    /// The vertex through which each vertex's blossom hangs in the tree.
    base: Vec<usize>,
    /// From which outer vertex a vertex was reached.
    parent: Vec<usize>,
    outer: Vec<bool>,
    queue: Vec<usize>,
    mate: &'a [Option<usize>],
}

impl Forest<'_> {
    /// Makes one blossom of the circle that an edge between two outer vertices closes.
    fn contract(&mut self, one: usize, other: usize) {
        let top = self.common_base(one, other);
        let mut in_blossom = vec![false; self.base.len()];
        self.mark(one, top, other, &mut in_blossom);
        self.mark(other, top, one, &mut in_blossom);
        for vertex in 0..self.base.len() {
            if in_blossom[self.base[vertex]] {
                self.base[vertex] = top;
                if !self.outer[vertex] {
                    self.outer[vertex] = true;
                    self.queue.push(vertex);
                }
            }
        }
    }

    fn common_base(&self, one: usize, other: usize) -> usize {
        let mut on_the_way = vec![false; self.base.len()];
        let mut at = self.base[one];
        loop {
            on_the_way[at] = true;
            match self.above(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        let mut at = self.base[other];
        while !on_the_way[at] {
            match self.above(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    /// The next base towards the root.
    fn above(&self, base: usize) -> Option<usize> {
        let partner = self.mate[base]?;
        (self.parent[partner] != NOBODY).then(|| self.base[self.parent[partner]])
    }

    fn mark(&mut self, from: usize, top: usize, mut child: usize, in_blossom: &mut [bool]) {
        let mut at = from;
        while self.base[at] != top {
            let Some(partner) = self.mate[at] else { return };
            in_blossom[self.base[at]] = true;
            in_blossom[self.base[partner]] = true;
            self.parent[at] = child;
            child = partner;
            at = self.parent[partner];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(root: usize, pairs: &[(usize, usize)], edges: &[(usize, usize)], vertices: usize) -> Search {
        let mut mate = vec![None; vertices];
        for &(a, b) in pairs {
            (mate[a], mate[b]) = (Some(b), Some(a));
        }
        search(root, &mate, 100, |a, b| edges.contains(&(a, b)) || edges.contains(&(b, a)) || pairs.contains(&(a, b)) || pairs.contains(&(b, a)))
    }

    fn stuck(outer: &[usize], inner: &[usize], groups: usize) -> Search {
        Search::Stuck(Tree { outer: outer.to_vec(), inner: inner.to_vec(), groups })
    }

    #[test]
    fn those_who_know_too_few_are_named_with_those_whom_they_know() {
        // 0, 1 and 2 know only 3; 4 and 5 are apart.
        assert_eq!(from(0, &[(1, 3), (4, 5)], &[(0, 3), (2, 3)], 6), stuck(&[0, 1], &[3], 2));
        assert_eq!(from(0, &[(1, 2)], &[], 3), stuck(&[0], &[], 1), "who knows nobody depends on nobody");
    }

    #[test]
    fn an_odd_circle_is_one_group() {
        assert_eq!(from(0, &[(1, 2)], &[(0, 1), (0, 2)], 3), stuck(&[0, 1, 2], &[], 1));
        // A triangle beyond the one they all depend on.
        assert_eq!(from(0, &[(1, 2), (3, 4)], &[(0, 1), (2, 3), (2, 4)], 5), Search::Stuck(Tree { outer: vec![0, 2, 3, 4], inner: vec![1], groups: 2 }));
    }

    #[test]
    fn a_matching_that_could_be_larger_is_told() {
        assert_eq!(from(0, &[(1, 2)], &[(0, 1), (2, 3)], 4), Search::Augments);
        assert_eq!(from(0, &[(1, 2), (3, 4)], &[(0, 1), (0, 2), (2, 3), (4, 5)], 6), Search::Augments, "through a blossom");
    }

    #[test]
    fn what_is_stuck_by_the_search_is_stuck_by_trying_everything() {
        // Every graph of five vertices: the matching is a largest one exactly where each search from an unmatched vertex is stuck.
        let all: Vec<(usize, usize)> = (0..5).flat_map(|a| (a + 1..5).map(move |b| (a, b))).collect();
        let disjoint = |pairs: &[(usize, usize)]| {
            pairs.iter().enumerate().all(|(at, p)| pairs[at + 1..].iter().all(|q| p.0 != q.0 && p.0 != q.1 && p.1 != q.0 && p.1 != q.1))
        };
        for bits in 0..1 << all.len() {
            let edges: Vec<_> = all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, edge)| *edge).collect();
            let two = edges.iter().enumerate().any(|(at, &p)| edges[at + 1..].iter().any(|&q| disjoint(&[p, q])));
            for &pair in &edges {
                let unmatched = (0..5).filter(|vertex| *vertex != pair.0 && *vertex != pair.1);
                let augments = unmatched.clone().any(|root| from(root, &[pair], &edges, 5) == Search::Augments);
                assert_eq!(augments, two, "{edges:?} {pair:?}");
            }
        }
    }
}
