//! The one answer to a weighted graph: most pairs first, then the greatest sum of weights, then chance by a seed; and its proof.
use super::blossom::{Amount, Blossom, SCALE, Solution, TooLarge};
use super::certificate::{Certificate, OddSet};
use super::graph::Pairs;
use super::parallel::cores;
use super::pricing;
use super::survey::Survey;
use super::ties::Ties;

/// The best matching of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimum {
    /// Who is matched: pairs of the graph, ascending.
    pub pairs: Vec<(u32, u32, i64)>,
    /// The proof.
    pub certificate: Certificate,
}

/// The best matching. Among several equally good ones a seeded number for each pair decides, so that neither the order of the
/// input nor the machine does.
///
/// # Errors
/// Weights too large to be added up.
pub fn find(graph: &impl Pairs, seed: u64) -> Result<Optimum, TooLarge> {
    find_on(graph, seed, cores())
}

/// As [`find`], with so many cores; the answer is the same with any number of them.
///
/// # Errors
/// As [`find`].
pub fn find_on(graph: &impl Pairs, seed: u64, cores: usize) -> Result<Optimum, TooLarge> {
    let survey = Survey::of(graph, cores);
    let constant = constant(graph.names().len(), survey.extremes);
    let proof = pricing::solve(graph, &survey, constant, cores)?;
    let ties = Ties::new(graph, &survey, constant, &proof.duals, seed);
    let chosen = pricing::solve(&ties, &Survey::of(&ties, cores), 0, cores)?;
    let mut pairs = Vec::new();
    let is_chosen = |a: u32, b: u32| chosen.mate[a as usize] == Some(b);
    graph.walk(0..graph.names().len() as u32, is_chosen, |a, b, w| pairs.push((a, b, w)));
    pairs.sort_unstable();
    Ok(Optimum { certificate: certificate(graph.names(), constant, proof, &pairs), pairs })
}

/// What is added to each weight so that one pair more outweighs all that weights can differ: with k pairs at most k times the largest
/// weight is won, with k + 1 at least k + 1 times the smallest, and there are never more than half as many pairs as people (rounded up, to be on the safe side).
fn constant(people: usize, extremes: Option<(i64, i64)>) -> Amount {
    let (largest, smallest) = extremes.unwrap_or((0, 0));
    people.div_ceil(2) as Amount * (Amount::from(largest.max(0)) - Amount::from(smallest.min(0))) + 1
}

fn certificate(names: &[String], constant: Amount, proof: Solution, pairs: &[(u32, u32, i64)]) -> Certificate {
    let sets: Vec<OddSet> = proof.duals.blossoms().into_iter().map(|Blossom { members, z }| OddSet { members, z }).collect();
    let y = proof.duals.y;
    let dual = y.iter().sum::<Amount>() + sets.iter().map(|set| set.z * (set.members.len() as Amount / 2)).sum::<Amount>();
    let primal = pairs.iter().map(|&(_, _, w)| SCALE * (constant + Amount::from(w))).sum();
    Certificate { scale: SCALE, constant, names: names.to_vec(), y, sets, primal, dual }
}

#[cfg(test)]
mod tests {
    use super::super::certificate::examine;
    use super::super::graph::Graph;
    use super::super::ties::seeded;
    use super::*;

    fn graph(pairs: &[(&str, &str, i64)]) -> Graph {
        let line = |&(a, b, w): &(&str, &str, i64)| format!("{{\"a\": \"{a}\", \"b\": \"{b}\", \"w\": {w}}}");
        Graph::read(&pairs.iter().map(line).collect::<Vec<_>>().join("\n")).expect("a graph")
    }

    /// The best matching by names, after a look at its proof.
    fn best(graph: &Graph, seed: u64) -> Vec<(String, String, i64)> {
        let optimum = find(graph, seed).expect("solved");
        examine(graph, &optimum.pairs, &optimum.certificate).expect("proven");
        let name = |vertex: u32| graph.names()[vertex as usize].clone();
        optimum.pairs.iter().map(|&(a, b, w)| (name(a), name(b), w)).collect()
    }

    /// A graph of so many people who all suit each other by one of a few weights.
    fn full(people: u64, different: u64, seed: u64) -> Graph {
        let pairs = (0..people).flat_map(|a| (a + 1..people).map(move |b| (a, b)));
        let weighted = pairs.map(|(a, b)| (a as u32, b as u32, (seeded(seed, &[&a.to_string(), &b.to_string()]) % different) as i64));
        Graph::new((0..people).map(|number| format!("v{number}")).collect(), weighted.collect())
    }

    #[test]
    fn more_pairs_outweigh_better_ones_even_where_weights_are_zero_or_less() {
        let chain = graph(&[("a", "b", 0), ("b", "c", 1000), ("c", "d", -5)]);
        assert_eq!(best(&chain, 1).iter().map(|pair| pair.2).collect::<Vec<_>>(), [0, -5]);
        let triangle = graph(&[("a", "b", -3), ("b", "c", -1), ("a", "c", -2)]);
        assert_eq!(best(&triangle, 1), [("b".into(), "c".into(), -1)]);
        assert_eq!(best(&Graph::new(vec![], vec![]), 1), []);
    }

    #[test]
    fn neither_the_order_of_lines_nor_of_ends_makes_a_difference() {
        let there = graph(&[("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("d", "a", 1), ("e", "a", 1)]);
        let back = graph(&[("a", "e", 1), ("a", "d", 1), ("d", "c", 1), ("c", "b", 1), ("b", "a", 1)]);
        assert_eq!(there, back);
        for seed in 0..20 {
            assert_eq!(best(&there, seed), best(&back, seed));
        }
    }

    #[test]
    fn chance_chooses_among_equals_fairly_and_never_below_the_best() {
        let equal = full(7, 1, 0);
        let mut left_over = [0; 7];
        for seed in 0..350 {
            let pairs = best(&equal, seed);
            assert_eq!(pairs.len(), 3);
            let out = (0..7).find(|number| !pairs.iter().any(|(a, b, _)| *a == format!("v{number}") || *b == format!("v{number}"))).expect("one is left over");
            left_over[out] += 1;
        }
        assert!(left_over.iter().all(|&times| (25..=80).contains(&times)), "{left_over:?}");
        let few_values = full(40, 4, 1);
        let worth: i64 = best(&few_values, 0).iter().map(|pair| pair.2).sum();
        for seed in 1..10 {
            assert_eq!(best(&few_values, seed).iter().map(|pair| pair.2).sum::<i64>(), worth);
        }
    }

    #[test]
    fn a_dense_graph_solved_by_parts_is_solved_for_good() {
        // Large enough that not every pair takes part from the start; the examination looks at them all.
        for (people, different) in [(60, 3), (75, 50), (90, 100_000), (121, 1)] {
            let graph = full(people, different, people);
            assert_eq!(best(&graph, 3).len() as u64, people / 2);
        }
        // Everybody's best are the same few people, so that the first part leaves most without a partner.
        let courted = |a: u64, b: u64| if a < 20 || b < 20 { 1000 } else { 1 };
        let pairs = (0..100).flat_map(|a| (a + 1..100).map(move |b| (a as u32, b as u32, courted(a, b))));
        let graph = Graph::new((0..100).map(|number| format!("v{number:02}")).collect(), pairs.collect());
        let pairs = best(&graph, 3);
        assert_eq!((pairs.len(), pairs.iter().map(|pair| pair.2).sum::<i64>()), (50, 20 * 1000 + 30));
    }

    #[test]
    fn weights_of_all_sizes_are_added_up_or_refused() {
        let large = graph(&[("a", "b", i64::MAX), ("b", "c", i64::MIN), ("c", "d", i64::MAX), ("a", "d", 1)]);
        assert_eq!(best(&large, 1).len(), 2);
    }
}
