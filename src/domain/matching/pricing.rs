//! Solving a dense graph by way of sparse ones: first with each vertex's best pairs only, then, as long as the duals leave some other
//! pair with a negative slack, with those too. Duals that no pair contradicts prove the matching for the whole graph, so that nothing
//! is lost by having looked at a small part of it, and the graph need not be built.
//!
//! Most pairs need not even be looked at again: what is not among the best of either end ([`Survey`]) weighs no more than the least of those, and
//! where duals reach farther than that, its weight does not matter.
use std::cell::RefCell;

use super::blossom::{Amount, Duals, Number, SCALE, Solution, Solver, TooLarge, fits};
use super::graph::Pairs;
use super::parallel::share;
use super::survey::{Survey, mix};

/// No more pairs than this are added for a vertex at a time: once a few are satisfied, most of the others are.
const AT_A_TIME: usize = 8;

/// A matching of the graph in which every weight is `constant` larger, so that all are positive, of maximum weight.
///
/// # Errors
/// [`TooLarge`]: no bound rules out an overflow.
pub fn solve(graph: &impl Pairs, survey: &Survey, constant: Amount, cores: usize) -> Result<Solution, TooLarge> {
    let vertices = graph.names().len();
    // The constant alone has to fit as well: it is larger than what is left of it where all weights are below nothing.
    let largest = survey.extremes.map_or(0, |(largest, _)| Amount::from(largest.max(0)));
    let largest = constant.checked_add(largest).ok_or(TooLarge)?;
    if fits::<i64>(vertices, largest) {
        solve_in::<i64>(graph, survey, constant, cores)
    } else if fits::<i128>(vertices, largest) {
        solve_in::<i128>(graph, survey, constant, cores)
    } else {
        Err(TooLarge)
    }
}

fn solve_in<N: Number>(graph: &impl Pairs, survey: &Survey, constant: Amount, cores: usize) -> Result<Solution, TooLarge> {
    let constant = N::try_from(SCALE * constant).map_err(|_| TooLarge)?;
    let pricing = Pricing { graph, survey, constant, cores };
    let mut solver = Solver::new(graph.names().len());
    solver.add(&pricing.edges(&survey.start));
    loop {
        solver.solve();
        let duals = solver.duals();
        let mut missing = pricing.missing_on_the_list(&duals);
        if missing.is_empty() {
            missing = pricing.missing_elsewhere(&duals);
        }
        if missing.is_empty() {
            return Ok(solver.solution());
        }
        solver.add(&pricing.edges(&missing));
    }
}

struct Pricing<'a, P, N> {
    graph: &'a P,
    survey: &'a Survey,
    /// Scaled.
    constant: N,
    cores: usize,
}

impl<P: Pairs, N: Number> Pricing<'_, P, N> {
    /// The scaled weight that the solver sees.
    fn value(&self, w: i64) -> N {
        self.constant + N::from(w).twice().twice()
    }

    fn edges(&self, pairs: &[(u32, u32, i64)]) -> Vec<(u32, u32, N)> {
        pairs.iter().map(|&(a, b, w)| (a, b, self.value(w))).collect()
    }

    /// Pairs on the survey's list with a negative slack.
    fn missing_on_the_list(&self, duals: &Duals<N>) -> Vec<(u32, u32, i64)> {
        let mut reach = duals.reach();
        let mut missing = Missing::default();
        for &(a, b, w) in &self.survey.list {
            let value = self.value(w);
            if duals.y[a as usize] + duals.y[b as usize] < value {
                missing.note(a, b, w, value - reach.over(a, b));
            }
        }
        missing.all()
    }

    /// Pairs that are not on the list and have a negative slack.
    fn missing_elsewhere(&self, duals: &Duals<N>) -> Vec<(u32, u32, i64)> {
        let found = share(duals.y.len(), self.cores, |rows| {
            let reach = RefCell::new(duals.reach());
            let mut missing = Missing::default();
            let may_be = |a: u32, b: u32| {
                let limit = self.survey.bound(a, b).map(|bound| self.value(bound));
                limit.is_some_and(|limit| duals.y[a as usize] + duals.y[b as usize] < limit && reach.borrow_mut().over(a, b) < limit)
            };
            self.graph.walk(rows, may_be, |a, b, w| missing.note(a, b, w, self.value(w) - reach.borrow_mut().over(a, b)));
            missing.all()
        });
        let mut found = found.concat();
        found.sort_unstable();
        found
    }
}

/// The worst pairs of each row.
struct Missing<N> {
    chosen: Vec<(u32, u32, i64)>,
    row: u32,
    of_row: Vec<(N, u32, u32, i64)>,
}

impl<N: Number> Default for Missing<N> {
    fn default() -> Self {
        Self { chosen: Vec::new(), row: 0, of_row: Vec::new() }
    }
}

impl<N: Number> Missing<N> {
    /// Takes note of a pair if its weight exceeds its duals.
    fn note(&mut self, a: u32, b: u32, w: i64, excess: N) {
        if excess > N::ZERO {
            if self.row != a {
                self.end_row();
                self.row = a;
            }
            self.of_row.push((excess, mix(a, b), b, w));
        }
    }

    fn end_row(&mut self) {
        if self.of_row.len() > AT_A_TIME {
            let rest = self.of_row.len() - AT_A_TIME;
            self.of_row.select_nth_unstable(rest);
            self.of_row.drain(..rest);
        }
        let row = self.row;
        self.chosen.extend(self.of_row.drain(..).map(|(_, _, b, w)| (row, b, w)));
    }

    fn all(mut self) -> Vec<(u32, u32, i64)> {
        self.end_row();
        self.chosen.sort_unstable();
        self.chosen
    }
}
