//! The choice among all best matchings of a graph: chance, by a seeded number for each pair.
//!
//! What every best matching has in common is known from the duals that prove one: it is made of tight pairs, covers each vertex with a positive
//! dual, and fills each blossom with one; and a matching that does is a best one. So among the tight pairs those matchings are looked for
//! that do most of this, and of these the one with the largest sum of chance. The weights for it are small, however large those of the graph.
use std::cell::RefCell;

use super::blossom::{Amount, Duals, SCALE};
use super::graph::Pairs;
use super::survey::Survey;

/// Bits of chance for a pair, where there is room for them.
const BITS: u32 = 32;

/// The tight pairs of a graph, weighted by what they contribute to a best matching and, among equals, by chance.
pub struct Ties<'a, P> {
    graph: &'a P,
    survey: &'a Survey,
    /// Where the listed pairs of each vertex begin.
    begins: Vec<usize>,
    constant: Amount,
    duals: &'a Duals<Amount>,
    /// 1 for each dual that is positive: over a tight pair they reach as far as it contributes.
    musts: Duals<i64>,
    /// What one must outweighs: more than all chance together.
    must: i64,
    bits: u32,
    seed: u64,
}

impl<'a, P: Pairs> Ties<'a, P> {
    /// Those of a graph that has been solved with this constant.
    pub fn new(graph: &'a P, survey: &'a Survey, constant: Amount, duals: &'a Duals<Amount>, seed: u64) -> Self {
        let vertices = graph.names().len();
        let musts = duals.map(|dual| i64::from(dual > 0));
        // A pair meets as many musts as it has ends and blossoms around it. As many bits of chance as leave the solver its 64.
        let most = (duals.depth() + 2) * (vertices / 2 + 1);
        let bits = BITS.min(54_u32.saturating_sub(most.ilog2()));
        let must = ((vertices / 2) as i64) * (1 << bits) + 1;
        let begins = (0..=vertices).map(|vertex| survey.list.partition_point(|&(a, _, _)| (a as usize) < vertex)).collect();
        Self { graph, survey, begins, constant, duals, musts, must, bits, seed }
    }

    fn chance(&self, a: u32, b: u32) -> i64 {
        let names = self.graph.names();
        (seeded(self.seed, &[&names[a as usize], &names[b as usize]]) >> (64 - self.bits)) as i64
    }

    fn value(&self, w: i64) -> Amount {
        SCALE * (self.constant + Amount::from(w))
    }
}

impl<P: Pairs> Pairs for Ties<'_, P> {
    fn names(&self) -> &[String] {
        self.graph.names()
    }

    fn walk(&self, rows: impl Iterator<Item = u32>, mut wanted: impl FnMut(u32, u32) -> bool, mut each: impl FnMut(u32, u32, i64)) {
        let (reach, mut musts) = (RefCell::new(self.duals.reach()), self.musts.reach());
        let mut listed = vec![u32::MAX; self.names().len()];
        for row in rows {
            let list = &self.survey.list[self.begins[row as usize]..self.begins[row as usize + 1]];
            let mut weight = |a: u32, b: u32| musts.over(a, b) * self.must + self.chance(a, b);
            for &(a, b, w) in list {
                listed[b as usize] = a;
                if wanted(a, b) && reach.borrow_mut().over(a, b) == self.value(w) {
                    each(a, b, weight(a, b));
                }
            }
            let may_be = |a: u32, b: u32| {
                let limit = self.survey.bound(a, b).map(|bound| self.value(bound));
                let ends = self.duals.y[a as usize] + self.duals.y[b as usize];
                limit.is_some_and(|limit| ends <= limit && listed[b as usize] != a && wanted(a, b) && reach.borrow_mut().over(a, b) <= limit)
            };
            self.graph.walk(std::iter::once(row), may_be, |a, b, w| {
                if reach.borrow_mut().over(a, b) == self.value(w) {
                    each(a, b, weight(a, b));
                }
            });
        }
    }
}

/// A number that depends on the seed and the words alone, the same on every machine: FNV-1a, its bits mixed at the end.
pub(super) fn seeded(seed: u64, words: &[&str]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325 ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // A byte that no UTF-8 text holds keeps words apart.
    for byte in words.iter().flat_map(|word| word.bytes().chain([0xFF])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
