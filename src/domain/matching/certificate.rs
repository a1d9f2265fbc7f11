//! The proof that a matching is the best one, and its examination, which shares nothing with the solver.
//!
//! With `w' = scale · (constant + w)` for each pair: if `y_a + y_b + Σ z(sets that hold both) ≥ w'` for every pair, then no matching
//! can be worth more than `Σ y + Σ z · (|set| − 1) / 2`, because it takes each `y` at most once and of each odd set at most `(|set| − 1) / 2`
//! pairs. A matching that is worth just that is the best there is.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::graph::Pairs;

/// Dual values, all in units of `1 / scale`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What weights are multiplied by so that everything is whole.
    pub scale: i128,
    /// What is added to each weight so that more pairs always outweigh better ones.
    pub constant: i128,
    /// `y` of each person.
    pub people: BTreeMap<String, i128>,
    /// The odd sets with their `z`.
    pub blossoms: Vec<OddSet>,
    /// What the matching is worth: `Σ w'` of its pairs.
    pub primal: i128,
    /// What no matching exceeds: `Σ y + Σ z · (|set| − 1) / 2`.
    pub dual: i128,
}

/// An odd set of people with a dual value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OddSet {
    /// Who is in it.
    pub members: Vec<String>,
    /// Its value.
    pub z: i128,
}

/// What a certificate fails to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the match could not be proven to be the best one: {0}")]
pub struct Flaw(pub String);

/// Whether a certificate proves that these pairs are a best matching of the graph: most pairs first, then the greatest weight.
///
/// # Errors
/// The first thing that is wrong.
pub fn examine(graph: &impl Pairs, pairs: &[(u32, u32, i64)], certificate: &Certificate) -> Result<(), Flaw> {
    let flaw = |what: &str| Err(Flaw(what.to_owned()));
    let Certificate { scale, constant, people, blossoms, primal, dual } = certificate;
    if *scale < 1 || !people.keys().eq(graph.names()) {
        return flaw("it is about other people");
    }
    let y: Vec<i128> = people.values().copied().collect();
    // Sums of up to a million times a million of them stay far from an overflow.
    let sound = 0..=i128::MAX >> 40;
    if !y.iter().chain(blossoms.iter().map(|set| &set.z)).all(|value| sound.contains(value)) {
        return flaw("a dual value is negative, or too large");
    }

    // The matching: nobody twice.
    let mut partner = vec![None; y.len()];
    for &(a, b, w) in pairs {
        if a >= b || b as usize >= y.len() || partner[a as usize].replace((b, w)).is_some() || partner[b as usize].replace((a, w)).is_some() {
            return flaw("somebody is matched twice, or with nobody");
        }
    }
    if y.iter().zip(&partner).any(|(&y, partner)| partner.is_none() && y != 0) {
        return flaw("somebody unmatched has a positive dual value");
    }

    // The sets, from each person's point of view.
    let mut sets_of = vec![Vec::new(); y.len()];
    for (number, set) in blossoms.iter().enumerate() {
        let members: BTreeSet<&String> = set.members.iter().collect();
        if members.len() != set.members.len() || members.len().is_multiple_of(2) {
            return flaw("a set is not odd");
        }
        for member in members {
            match graph.names().binary_search(member) {
                Ok(position) => sets_of[position].push(number),
                Err(_) => return flaw("a set holds a stranger"),
            }
        }
    }

    // No pair is worth more than its dual values, and the matching is made of pairs of the graph.
    let value = |w: i64| scale.checked_mul(constant.checked_add(i128::from(w))?);
    let (mut of, mut holds, mut in_graph, mut exceeded) = (u32::MAX, vec![false; blossoms.len()], 0, false);
    let (mut largest, mut smallest, mut any) = (0, 0, false);
    let all = 0..y.len() as u32;
    let each = |a: u32, b: u32, w: i64| {
        if of != a {
            holds.fill(false);
            sets_of[a as usize].iter().for_each(|&set| holds[set] = true);
            of = a;
        }
        let mut reach = y[a as usize] + y[b as usize];
        if value(w).is_none_or(|value| reach < value) {
            reach += sets_of[b as usize].iter().filter(|&&set| holds[set]).map(|&set| blossoms[set].z).sum::<i128>();
            exceeded |= value(w).is_none_or(|value| reach < value);
        }
        in_graph += usize::from(partner[a as usize] == Some((b, w)));
        (largest, smallest, any) = (w.max(largest), w.min(smallest), true);
    };
    graph.walk(all, |_, _| true, each);
    if exceeded {
        return flaw("a pair is worth more than its dual values");
    }
    if in_graph != pairs.len() {
        return flaw("a pair is not allowed");
    }

    // Most pairs first: k + 1 pairs outweigh k, whatever their weights.
    if *constant <= (y.len() / 2) as i128 * (i128::from(largest) - i128::from(smallest)) && any {
        return flaw("its constant does not put most pairs first");
    }
    let reached: Option<i128> = pairs.iter().map(|&(_, _, w)| value(w)).sum();
    let bound = y.iter().sum::<i128>() + blossoms.iter().map(|set| set.z * (set.members.len() as i128 / 2)).sum::<i128>();
    if reached != Some(*primal) || bound != *dual || primal != dual {
        return flaw("what was reached and what can be reached differ");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Graph, Pairs as _};
    use super::super::optimum::find;
    use super::*;

    /// A matching: pairs of positions with their weights.
    type Pairs = Vec<(u32, u32, i64)>;

    /// Two triangles joined by an edge, and somebody apart: a set with a dual value, and somebody unmatched.
    fn proven() -> (Graph, Pairs, Certificate) {
        let pairs = vec![(0, 1, 10), (0, 2, 10), (1, 2, 10), (3, 4, 10), (3, 5, 10), (4, 5, 10), (2, 3, 1), (5, 6, 2)];
        let graph = Graph::new("abcdefg".chars().map(String::from).collect(), pairs);
        let optimum = find(&graph, 1).expect("solved");
        assert!(!optimum.certificate.blossoms.is_empty() && optimum.pairs.len() == 3);
        (graph, optimum.pairs, optimum.certificate)
    }

    #[test]
    fn a_sound_proof_passes() {
        let (graph, pairs, certificate) = proven();
        assert_eq!(examine(&graph, &pairs, &certificate), Ok(()));
    }

    #[test]
    fn a_proof_that_is_spoilt_in_any_number_is_caught() {
        let (graph, pairs, sound) = proven();
        let spoilt = |spoil: &dyn Fn(&mut Certificate)| {
            let mut certificate = sound.clone();
            spoil(&mut certificate);
            examine(&graph, &pairs, &certificate).expect_err("spoilt");
        };
        for step in [-4, -1, 1, 4, i128::MAX / 2] {
            let moved = |value: &mut i128| *value = value.saturating_add(step);
            spoilt(&|certificate| moved(&mut certificate.primal));
            spoilt(&|certificate| moved(&mut certificate.dual));
            spoilt(&|certificate| moved(&mut certificate.scale));
            spoilt(&|certificate| moved(&mut certificate.constant));
            for name in graph.names() {
                spoilt(&|certificate| {
                    certificate.people.entry(name.clone()).and_modify(moved);
                });
            }
            for set in 0..sound.blossoms.len() {
                spoilt(&|certificate| moved(&mut certificate.blossoms[set].z));
            }
        }
        spoilt(&|certificate| certificate.blossoms.clear());
        spoilt(&|certificate| certificate.blossoms[0].members.truncate(2));
        spoilt(&|certificate| certificate.blossoms[0].members.truncate(1));
        spoilt(&|certificate| certificate.blossoms[0].members[0] = "nobody".into());
        spoilt(&|certificate| certificate.blossoms[0].members[0] = certificate.blossoms[0].members[1].clone());
        spoilt(&|certificate| {
            certificate.people.remove("a");
        });
        spoilt(&|certificate| {
            certificate.people.insert("nobody".into(), 0);
        });
    }

    #[test]
    fn another_matching_is_not_proven_by_it() {
        let (graph, pairs, certificate) = proven();
        let refused = |pairs: &[(u32, u32, i64)]| examine(&graph, pairs, &certificate).expect_err("refused");
        refused(&pairs[1..]);
        refused(&[(0, 1, 10), (2, 3, 1), (4, 5, 11)]);
        refused(&[(0, 1, 10), (1, 2, 10), (4, 5, 10)]);
        refused(&[(0, 1, 10), (2, 6, 1), (4, 5, 10)]);
        refused(&[(0, 1, 10), (2, 3, 1), (4, 99, 10)]);
    }
}
