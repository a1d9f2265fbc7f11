//! A first look at all pairs of a graph: the best of each vertex by weight, and a bound on the weights of the others.
use super::graph::Pairs;
use super::parallel::share;

/// So many of each vertex's best pairs are on the list: more of them cost memory and spare looking at the others.
const LISTED: usize = 64;

/// So many of each vertex's best pairs take part from the start: fewer make the first step quicker and more of them needed.
const BEST: usize = 16;

/// What the first look has shown.
pub struct Survey {
    /// The best pairs, ascending: those that are among the best of one of their ends.
    pub list: Vec<(u32, u32, i64)>,
    /// Those of them to begin with.
    pub start: Vec<(u32, u32, i64)>,
    /// The largest weight and the smallest; `None` where there is no pair.
    pub extremes: Option<(i64, i64)>,
    /// Above each vertex's weights that are not on the list, or at them; `None` where all are.
    bounds: Vec<Option<i64>>,
}

impl Survey {
    /// Looks at every pair once.
    pub fn of(graph: &impl Pairs, cores: usize) -> Self {
        let vertices = graph.names().len();
        let mut looks = share(vertices, cores, |rows| {
            let mut look = Look::of(vertices);
            graph.walk(rows, |_, _| true, |a, b, w| look.at(a, b, w));
            look
        });
        let mut look = looks.pop().unwrap_or_else(|| Look::of(vertices));
        looks.into_iter().for_each(|other| look.also(other));
        look.survey()
    }

    /// Above the weight of every pair of these two that is not on the list, or at it; `None` where there can be none.
    pub fn bound(&self, a: u32, b: u32) -> Option<i64> {
        self.bounds[a as usize].min(self.bounds[b as usize])
    }
}

/// A pair as one of its ends sees it. Among equals a mixed number decides, for otherwise everybody's best would be the same few.
type Ranked = (i64, u32, u32);

/// A survey while it is made.
struct Look {
    /// Each vertex's best so far, and some that were for a while.
    best: Vec<Vec<Ranked>>,
    /// The weight that a pair has to reach to be among them.
    least: Vec<i64>,
    /// Whether some pair was not.
    more: Vec<bool>,
    extremes: Option<(i64, i64)>,
}

impl Look {
    fn of(vertices: usize) -> Self {
        Self { best: vec![Vec::new(); vertices], least: vec![i64::MIN; vertices], more: vec![false; vertices], extremes: None }
    }

    fn at(&mut self, a: u32, b: u32, w: i64) {
        self.extremes = Some(self.extremes.map_or((w, w), |(largest, smallest)| (largest.max(w), smallest.min(w))));
        self.rank(a, w, b);
        self.rank(b, w, a);
    }

    fn rank(&mut self, vertex: u32, w: i64, other: u32) {
        if w < self.least[vertex as usize] {
            return;
        }
        let best = &mut self.best[vertex as usize];
        best.push((w, mix(vertex.min(other), vertex.max(other)), other));
        if best.len() == 2 * LISTED {
            self.cut(vertex);
        }
    }

    /// Keeps the best.
    fn cut(&mut self, vertex: u32) {
        let best = &mut self.best[vertex as usize];
        if best.len() > LISTED {
            best.select_nth_unstable_by(LISTED - 1, |one, other| other.cmp(one));
            best.truncate(LISTED);
            self.least[vertex as usize] = best[LISTED - 1].0;
            self.more[vertex as usize] = true;
        }
    }

    /// Takes in what another core has seen.
    fn also(&mut self, other: Self) {
        for (vertex, best) in (0..).zip(other.best) {
            best.into_iter().for_each(|(w, _, other)| self.rank(vertex, w, other));
            self.more[vertex as usize] |= other.more[vertex as usize];
        }
        self.extremes = match (self.extremes, other.extremes) {
            (Some((largest, smallest)), Some((most, least))) => Some((largest.max(most), smallest.min(least))),
            (one, other) => one.or(other),
        };
    }

    fn survey(mut self) -> Survey {
        let (mut list, mut start, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
        for vertex in 0..self.best.len() as u32 {
            self.cut(vertex);
            let mut best = std::mem::take(&mut self.best[vertex as usize]);
            best.sort_unstable_by(|one, other| other.cmp(one));
            bounds.push(best.last().filter(|_| self.more[vertex as usize]).map(|&(w, _, _)| w));
            for (rank, (w, _, other)) in best.into_iter().enumerate() {
                let pair = (other.min(vertex), other.max(vertex), w);
                list.push(pair);
                if rank < BEST {
                    start.push(pair);
                }
            }
        }
        for pairs in [&mut list, &mut start] {
            pairs.sort_unstable();
            pairs.dedup();
            pairs.shrink_to_fit();
        }
        Survey { list, start, extremes: self.extremes, bounds }
    }
}

/// A number that depends on both ends and looks like chance.
pub(super) fn mix(a: u32, b: u32) -> u32 {
    let mixed = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::super::graph::Graph;
    use super::*;

    #[test]
    fn what_is_not_on_the_list_is_within_its_bound_on_any_number_of_cores() {
        for (vertices, different) in [(40, 1000), (150, 5), (200, 1), (300, 2000)] {
            let pairs: Vec<(u32, u32, i64)> = (0..vertices)
                .flat_map(|a| (a + 1..vertices).map(move |b| (a, b, i64::from(mix(b, a) % different) - 3)))
                .filter(|&(a, b, _)| mix(a, b) % 5 > 0)
                .collect();
            let graph = Graph::new((0..vertices).map(|number| format!("v{number:03}")).collect(), pairs.clone());
            let alone = Survey::of(&graph, 1);
            for cores in [2, 3] {
                let survey = Survey::of(&graph, cores);
                assert_eq!((&survey.list, &survey.start, &survey.bounds, survey.extremes), (&alone.list, &alone.start, &alone.bounds, alone.extremes));
            }
            let mut outside = 0;
            for pair in pairs.iter().filter(|pair| alone.list.binary_search(pair).is_err()) {
                assert!(alone.bound(pair.0, pair.1).is_some_and(|bound| pair.2 <= bound), "{pair:?}");
                outside += 1;
            }
            assert_eq!(outside > 0, vertices > 2 * LISTED as u32);
        }
    }
}
