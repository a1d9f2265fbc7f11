//! The database at its worst, and several programs on one: what was answered 250 is done once, and work goes on by itself. Each test prints its figure.
mod commits;
mod disk;
mod outages;
mod owners;
mod proxy;
mod several;

use std::collections::BTreeMap;

use crate::next_hop::NextHop;

/// Who got letters, and how many each.
fn got(hop: &NextHop) -> BTreeMap<String, usize> {
    let mut got = BTreeMap::new();
    hop.taken().into_iter().for_each(|letter| *got.entry(letter.to).or_default() += 1);
    got
}
