//! The proof that a matching is the best one, and its examination, which shares nothing with the solver.
//!
//! With `w' = scale · (constant + w)` for each pair: if `y_a + y_b + Σ z(sets that hold both) ≥ w'` for every pair, then no matching
//! can be worth more than `Σ y + Σ z · (|set| − 1) / 2`, because it takes each `y` at most once and of each odd set at most `(|set| − 1) / 2`
//! pairs. A matching that is worth just that is the best there is.
use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Deserialize;

use super::graph::Pairs;

mod written;
use written::Written;

/// Dual values, all in units of `1 / scale`. People are known by their position among the names, for large sets hold most of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Certificate {
    /// What weights are multiplied by so that everything is whole.
    pub scale: i128,
    /// What is added to each weight so that more pairs always outweigh better ones.
    pub constant: i128,
    /// Everybody, in order.
    pub names: Vec<String>,
    /// `y` of each person.
    pub y: Vec<i128>,
    /// The odd sets with their `z`.
    pub sets: Vec<OddSet>,
    /// What the matching is worth: `Σ w'` of its pairs.
    pub primal: i128,
    /// What no matching exceeds: `Σ y + Σ z · (|set| − 1) / 2`.
    pub dual: i128,
}

/// An odd set of people with a dual value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddSet {
    /// Who is in it, ascending.
    pub members: Vec<u32>,
    /// Its value.
    pub z: i128,
}

/// What a certificate fails to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the match could not be proven to be the best one: {0}")]
pub struct Flaw(pub &'static str);

/// Whether a certificate proves that these pairs are a best matching of the graph: most pairs first, then the greatest weight.
///
/// # Errors
/// The first thing that is wrong.
pub fn examine(graph: &impl Pairs, pairs: &[(u32, u32, i64)], certificate: &Certificate) -> Result<(), Flaw> {
    let Certificate { scale, constant, names, y, sets, primal, dual } = certificate;
    let ensure = |sound: bool, otherwise| if sound { Ok(()) } else { Err(Flaw(otherwise)) };
    ensure(names == graph.names() && y.len() == names.len(), "it is about other people")?;
    // Within these limits nothing below comes near an overflow but the bound, which saturates.
    let (sound, people) = (0..=i128::MAX >> 40, 0..y.len() as u32);
    ensure((1..=16).contains(scale) && (1..1 << 100).contains(constant), "its numbers are out of proportion")?;
    ensure(y.iter().chain(sets.iter().map(|set| &set.z)).all(|value| sound.contains(value)), "a dual value is negative, or too large")?;
    for OddSet { members, .. } in sets {
        let ascending = members.windows(2).all(|two| two[0] < two[1]);
        ensure(ascending && members.len() % 2 == 1 && members.iter().all(|member| people.contains(member)), "a set is not one of an odd number of people")?;
    }

    // The matching: nobody twice, and nobody left out who has a dual value.
    let mut partner = vec![None; y.len()];
    for &(a, b, w) in pairs {
        let alone = a < b && people.contains(&b) && partner[a as usize].is_none() && partner[b as usize].is_none();
        ensure(alone, "somebody is matched twice, or with nobody")?;
        (partner[a as usize], partner[b as usize]) = (Some((b, w)), Some((a, w)));
    }
    ensure(y.iter().zip(&partner).all(|(&y, partner)| partner.is_some() || y == 0), "somebody unmatched has a positive dual value")?;

    // No pair is worth more than its dual values, and the matching is made of pairs of the graph.
    let around = Around::of(y.len(), sets);
    let value = |w: i64| scale * (constant + i128::from(w));
    let (mut exceeded, mut in_graph, mut extremes) = (false, 0, None);
    graph.walk(
        people,
        |_, _| true,
        |a, b, w| {
            let (ends, value) = (y[a as usize] + y[b as usize], value(w));
            exceeded |= ends < value && ends + around.both(a, b) < value;
            in_graph += usize::from(partner[a as usize] == Some((b, w)));
            let (largest, smallest) = extremes.unwrap_or((w, w));
            extremes = Some((w.max(largest), w.min(smallest)));
        },
    );
    ensure(!exceeded, "a pair is worth more than its dual values")?;
    ensure(in_graph == pairs.len(), "a pair is not allowed")?;

    // Most pairs first: k + 1 pairs outweigh k, whatever their weights.
    let (largest, smallest) = extremes.map_or((0, 0), |(largest, smallest)| (i128::from(largest.max(0)), i128::from(smallest.min(0))));
    ensure(*constant > y.len().div_ceil(2) as i128 * (largest - smallest), "its constant does not put most pairs first")?;
    let reached: i128 = pairs.iter().map(|&(_, _, w)| value(w)).sum();
    let shares = sets.iter().map(|set| set.z.saturating_mul(set.members.len() as i128 / 2));
    let bound = y.iter().copied().chain(shares).fold(0, i128::saturating_add);
    ensure((reached, bound) == (*primal, *dual) && primal == dual, "what was reached and what can be reached differ")
}

/// The sets around each person, the first of the certificate's that holds them first, as a path in a tree: two paths are the same for as long
/// as they go through the same sets, so that where they part is quickly found. All sets on the common part hold both people; where sets are
/// nested or disjoint, as the solver's are, no others do.
struct Around {
    paths: Vec<Vec<u32>>,
    /// The sum of `z` on the way to each knot of the tree.
    sums: Vec<i128>,
}

impl Around {
    fn of(people: usize, sets: &[OddSet]) -> Self {
        let (mut around, mut knots) = (Self { paths: vec![Vec::new(); people], sums: Vec::new() }, HashMap::new());
        let mut largest_first: Vec<(usize, &OddSet)> = sets.iter().enumerate().collect();
        largest_first.sort_by_key(|(_, set)| Reverse(set.members.len()));
        for (number, set) in largest_first {
            for &member in &set.members {
                let path = &mut around.paths[member as usize];
                let before = path.last().copied();
                let sum = before.map_or(0, |knot| around.sums[knot as usize]) + set.z;
                let knot = *knots.entry((before, number)).or_insert_with(|| {
                    around.sums.push(sum);
                    around.sums.len() as u32 - 1
                });
                path.push(knot);
            }
        }
        around
    }

    /// What sets that hold both people add.
    fn both(&self, a: u32, b: u32) -> i128 {
        let (one, other) = (&self.paths[a as usize], &self.paths[b as usize]);
        let (mut same, mut parted) = (0, one.len().min(other.len()));
        while same < parted {
            let middle = (same + parted) / 2;
            (same, parted) = if one[middle] == other[middle] { (middle + 1, parted) } else { (same, middle) };
        }
        same.checked_sub(1).map_or(0, |last| self.sums[one[last] as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Graph;
    use super::super::optimum::find;
    use super::*;

    /// A matching: pairs of positions with their weights.
    type Pairs = Vec<(u32, u32, i64)>;

    /// Two triangles joined by an edge, and somebody apart: a set with a dual value, and somebody unmatched.
    fn proven() -> (Graph, Pairs, Certificate) {
        let pairs = vec![(0, 1, 10), (0, 2, 10), (1, 2, 10), (3, 4, 10), (3, 5, 10), (4, 5, 10), (2, 3, 1), (5, 6, 2)];
        let graph = Graph::new("abcdefg".chars().map(String::from).collect(), pairs);
        let optimum = find(&graph, 1).expect("solved");
        assert!(!optimum.certificate.sets.is_empty() && optimum.pairs.len() == 3);
        (graph, optimum.pairs, optimum.certificate)
    }

    #[test]
    fn a_sound_proof_passes() {
        let (graph, pairs, certificate) = proven();
        assert_eq!(examine(&graph, &pairs, &certificate), Ok(()));
    }

    /// A way to spoil a certificate, and what of it is noticed.
    type Spoilt = (&'static str, fn(&mut Certificate), &'static str);

    const OTHERS: &str = "it is about other people";
    const OUT: &str = "its numbers are out of proportion";
    const VALUE: &str = "a dual value is negative, or too large";
    const SET: &str = "a set is not one of an odd number of people";
    const WORTH: &str = "a pair is worth more than its dual values";
    const FIRST: &str = "its constant does not put most pairs first";
    const DIFFER: &str = "what was reached and what can be reached differ";

    const SPOILT: &[Spoilt] = &[
        ("a scale of nothing", |c| c.scale = 0, OUT),
        ("a scale below nothing", |c| c.scale = -4, OUT),
        ("a scale too large", |c| c.scale = i128::MAX, OUT),
        ("a smaller scale", |c| c.scale -= 1, DIFFER),
        ("a larger scale", |c| c.scale += 1, WORTH),
        ("no constant", |c| c.constant = 0, OUT),
        ("a constant below nothing", |c| c.constant = -c.constant, OUT),
        ("a constant too large", |c| c.constant = i128::MAX, OUT),
        ("a constant that is too small to put most pairs first", |c| c.constant -= 1, FIRST),
        ("another constant", |c| c.constant += 1, WORTH),
        ("a name too few", |c| c.names.truncate(6), OTHERS),
        ("a name too many", |c| c.names.push("h".into()), OTHERS),
        ("another name", |c| c.names[0] = "aa".into(), OTHERS),
        ("names in another order", |c| c.names.swap(0, 1), OTHERS),
        ("a value too few", |c| c.y.truncate(6), OTHERS),
        ("a value too many", |c| c.y.push(0), OTHERS),
        ("a value below nothing", |c| c.y[6] = -1, VALUE),
        ("a value beyond all measure", |c| c.y[0] = i128::MAX, VALUE),
        ("a value for somebody unmatched", |c| c.y[0] = 4, "somebody unmatched has a positive dual value"),
        ("no sets", |c| c.sets.clear(), WORTH),
        ("a set that is there twice", |c| c.sets.push(c.sets[0].clone()), DIFFER),
        ("a set without a member", |c| c.sets[0].members.truncate(2), SET),
        ("a set without two members", |c| c.sets[0].members.truncate(1), WORTH),
        ("an empty set", |c| c.sets[0].members.clear(), SET),
        ("a member twice", |c| c.sets[0].members[1] = c.sets[0].members[0], SET),
        ("members in another order", |c| c.sets[0].members.reverse(), SET),
        ("a member who is not there", |c| c.sets[0].members[2] = 7, SET),
        ("another member", |c| c.sets[0].members[2] = 6, WORTH),
        ("a set's value below nothing", |c| c.sets[0].z = -c.sets[0].z, VALUE),
        ("a set's value beyond all measure", |c| c.sets[0].z = i128::MAX, VALUE),
        ("a set's value too small", |c| c.sets[0].z -= 1, WORTH),
        ("a set's value too large", |c| c.sets[0].z += 1, DIFFER),
        ("a smaller sum", |c| c.primal -= 4, DIFFER),
        ("a larger sum", |c| c.primal += 4, DIFFER),
        ("a smaller bound", |c| c.dual -= 4, DIFFER),
        ("a larger bound", |c| c.dual += 4, DIFFER),
        ("both smaller", |c| (c.primal, c.dual) = (c.primal - 4, c.dual - 4), DIFFER),
        ("both larger", |c| (c.primal, c.dual) = (c.primal + 4, c.dual + 4), DIFFER),
    ];

    #[test]
    fn a_proof_that_is_spoilt_in_any_way_is_caught() {
        let (graph, pairs, sound) = proven();
        for (what, spoil, flaw) in SPOILT {
            let mut certificate = sound.clone();
            spoil(&mut certificate);
            assert_eq!(examine(&graph, &pairs, &certificate), Err(Flaw(flaw)), "{what}");
        }
        for person in 1..7 {
            for step in [-4, -1, 1, 4] {
                let mut certificate = sound.clone();
                certificate.y[person] += step;
                let flaw = examine(&graph, &pairs, &certificate).expect_err("spoilt").0;
                assert!([WORTH, DIFFER, VALUE].contains(&flaw), "{person} {step}: {flaw}");
            }
        }
    }

    #[test]
    fn a_certificate_is_written_with_names_and_read_back() {
        let (_, _, certificate) = proven();
        let written = serde_json::to_value(&certificate).expect("writes");
        assert_eq!(written["scale"], 4);
        assert_eq!(written["people"], serde_json::json!({"a": 0, "b": 0, "c": 0, "d": 168, "e": 36, "f": 168, "g": 4}));
        assert_eq!(written["blossoms"], serde_json::json!([{"members": ["a", "b", "c"], "z": 204}]));
        let text = serde_json::to_string(&certificate).expect("writes");
        assert_eq!(serde_json::from_str::<Certificate>(&text).expect("reads"), certificate);
        let stranger = text.replace("\"members\":[\"", "\"members\":[\"z");
        assert!(serde_json::from_str::<Certificate>(&stranger).expect_err("refused").to_string().contains("a set holds a stranger"));
    }

    #[test]
    fn sets_that_overlap_never_add_more_than_they_hold_together() {
        let sets = [vec![0, 1, 2], vec![0, 1, 3], vec![1, 2, 3]].map(|members| OddSet { members, z: 10 });
        let around = Around::of(4, &sets);
        for (a, b, most) in [(0, 1, 20), (0, 2, 10), (0, 3, 10), (1, 2, 20), (1, 3, 20), (2, 3, 10)] {
            assert!(around.both(a, b) <= most, "{a} {b}");
        }
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
