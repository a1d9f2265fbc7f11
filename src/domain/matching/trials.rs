//! That the optimum is one: on graphs of every kind, against other ways to the same answer, with the proof examined each time.
mod graphs;
mod judges;

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::{Certificate, examine};
use super::graph::Graph;
use super::optimum::{Optimum, find, find_on};
use super::{Applicant, Input, Matching, Past, Weights, generate, match_round};
use graphs::{Chance, Mode};

fn named(vertices: u32, edges: &[(u32, u32, i64)]) -> Graph {
    Graph::new((0..vertices).map(|number| format!("v{number:03}")).collect(), edges.to_vec())
}

/// The optimum, once its proof has been examined.
fn proven(graph: &Graph, seed: u64) -> Optimum {
    let optimum = find(graph, seed).expect("small enough");
    assert_eq!(examine(graph, &optimum.pairs, &optimum.certificate), Ok(()));
    optimum
}

/// How many pairs, and their weight.
fn worth(optimum: &Optimum) -> (usize, i128) {
    (optimum.pairs.len(), optimum.pairs.iter().map(|&(_, _, w)| i128::from(w)).sum())
}

fn depth(certificate: &Certificate) -> usize {
    let mut around = vec![0; certificate.names.len()];
    certificate.sets.iter().flat_map(|set| &set.members).for_each(|&member| around[member as usize] += 1);
    around.into_iter().max().unwrap_or(0)
}

fn shuffle<T>(chance: &mut Chance, items: &mut [T]) {
    for index in (1..items.len()).rev() {
        items.swap(index, chance.below(index as u64 + 1) as usize);
    }
}

/// A thousand graphs of a kind. Gives how deep sets were nested.
fn tried(mode: Mode, largest: u32) -> usize {
    let mut deepest = 0;
    for number in 0..1000 {
        let (vertices, edges) = mode.graph(number, largest);
        let optimum = proven(&named(vertices, &edges), number);
        assert_eq!(optimum.pairs.len(), judges::most_pairs(vertices, &edges), "{mode:?} {number}: most pairs");
        if vertices <= 10 {
            assert_eq!(worth(&optimum), judges::by_trying_everything(vertices, &edges), "{mode:?} {number}: {edges:?}");
        }
        deepest = deepest.max(depth(&optimum.certificate));
    }
    deepest
}

#[test]
fn sparse_graphs_get_the_optimum() {
    tried(Mode::Sparse, 259);
}

#[test]
fn dense_graphs_get_the_optimum() {
    assert!(tried(Mode::Dense, 60) >= 3);
}

#[test]
fn graphs_of_equal_weights_get_the_optimum() {
    tried(Mode::Equal, 60);
}

#[test]
fn graphs_with_weights_of_nothing_and_below_get_the_optimum() {
    assert!(tried(Mode::Negative, 80) >= 3);
}

#[test]
fn graphs_with_ties_get_the_optimum() {
    tried(Mode::Tied, 80);
}

#[test]
fn chains_of_triangles_get_the_optimum() {
    tried(Mode::Triangles, 259);
}

#[test]
fn nested_odd_groups_get_the_optimum() {
    assert!(tried(Mode::Nested, 80) >= 4);
}

#[test]
fn weights_that_need_128_bits_get_the_optimum() {
    assert!(tried(Mode::Huge, 50) >= 3);
}

#[test]
fn the_largest_of_each_kind_get_the_optimum() {
    for mode in Mode::ALL {
        let (vertices, edges) = (0..).map(|number| mode.graph(number, 259)).find(|(vertices, _)| *vertices > 230).expect("one of them is large");
        assert_eq!(proven(&named(vertices, &edges), 1).pairs.len(), judges::most_pairs(vertices, &edges), "{mode:?}");
    }
}

#[test]
fn the_order_of_the_input_and_the_number_of_cores_make_no_difference() {
    let mut chance = Chance(7);
    for number in 0..40 {
        let mode = Mode::ALL[number as usize % Mode::ALL.len()];
        let (vertices, edges) = mode.graph(number + 2000, 120);
        let there = named(vertices, &edges);
        // The same vertices by other numbers, the same edges in another order and from their other ends.
        let mut order: Vec<u32> = (0..vertices).collect();
        shuffle(&mut chance, &mut order);
        let mut turned: Vec<(u32, u32, i64)> = edges.iter().map(|&(a, b, w)| (order[b as usize], order[a as usize], w)).collect();
        shuffle(&mut chance, &mut turned);
        let mut names = vec![String::new(); vertices as usize];
        order.iter().enumerate().for_each(|(old, &new)| names[new as usize] = format!("v{old:03}"));
        let back = Graph::new(names, turned);
        let expected = find_on(&there, number, 1);
        for cores in [1, 2, 5] {
            assert_eq!(find_on(&back, number, cores), expected, "{mode:?} {number}");
        }
    }
}

#[test]
fn an_edge_more_never_makes_the_optimum_worse() {
    let mut chance = Chance(8);
    for number in 0..400 {
        let mode = Mode::ALL[number as usize % Mode::ALL.len()];
        let (vertices, mut edges) = mode.graph(number + 3000, 40);
        if vertices < 2 {
            continue;
        }
        let before = worth(&proven(&named(vertices, &edges), 1));
        let (a, b) = (chance.below(u64::from(vertices)) as u32, chance.below(u64::from(vertices)) as u32);
        if a != b && !edges.iter().any(|&(one, other, _)| (one, other) == (a.min(b), a.max(b))) {
            edges.push((a.min(b), a.max(b), chance.between(-100, 2000)));
            let after = worth(&proven(&named(vertices, &edges), 1));
            assert!(after >= before, "{mode:?} {number}: {before:?}, then {after:?}");
        }
    }
}

#[test]
fn an_edge_that_no_optimum_needs_can_go() {
    for number in 0..200 {
        let mode = Mode::ALL[number as usize % Mode::ALL.len()];
        let (vertices, mut edges) = mode.graph(number + 4000, 40);
        let before = proven(&named(vertices, &edges), 1);
        let matched: Vec<(u32, u32)> = before.pairs.iter().map(|&(a, b, _)| (a, b)).collect();
        if let Some(spare) = edges.iter().position(|&(a, b, _)| !matched.contains(&(a, b))) {
            edges.remove(spare);
            assert_eq!(worth(&proven(&named(vertices, &edges), 1)), worth(&before), "{mode:?} {number}");
        }
    }
}

fn partners(matching: &Matching) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut partners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in &matching.pairs {
        partners.entry(&pair.a).or_default().insert(&pair.b);
        partners.entry(&pair.b).or_default().insert(&pair.a);
    }
    partners
}

fn proposed(matching: &Matching) -> Vec<Past> {
    matching.pairs.iter().map(|pair| Past { a: pair.a.clone(), b: pair.b.clone() }).collect()
}

#[test]
fn a_withdrawal_moves_few_others_when_kept_pairs_have_a_bonus() {
    // The bench asks the same of a thousand people.
    let (applicants, weights) = (generate::applicants(200, 1), Weights::default());
    let before = match_round(&Input::new(&applicants, &weights, 1)).expect("a match");
    let (kept, earlier) = (proposed(&before), partners(&before));
    let mut moved = Vec::new();
    for gone in applicants.iter().step_by(20).map(|person| person.id.as_str()) {
        let rest: Vec<Applicant> = applicants.iter().filter(|person| person.id != gone).cloned().collect();
        let after = match_round(&Input { kept: &kept, ..Input::new(&rest, &weights, 1) }).expect("a match");
        let now = partners(&after);
        let abandoned = |id: &str| earlier.get(gone).is_some_and(|partners| partners.contains(id));
        moved.push(rest.iter().map(|person| person.id.as_str()).filter(|&id| !abandoned(id) && earlier.get(id) != now.get(id)).count());
    }
    moved.sort_unstable();
    assert!(moved[moved.len() / 2] <= 6, "{moved:?}");
}

#[test]
fn partnerships_under_way_are_left_alone_and_take_a_place() {
    let (applicants, weights) = (generate::applicants(120, 4), Weights::default());
    let first = match_round(&Input::new(&applicants[..100], &weights, 1)).expect("a match");
    let under_way = proposed(&first);
    // Twenty are late; everybody may come, but only those with a free place can get a partner.
    let late = match_round(&Input { under_way: &under_way, ..Input::new(&applicants, &weights, 1) }).expect("a match");
    let (earlier, now) = (partners(&first), partners(&late));
    for person in &applicants {
        let [before, new] = [&earlier, &now].map(|partners| partners.get(person.id.as_str()).cloned().unwrap_or_default());
        assert!(before.len() + new.len() <= usize::from(person.capacity) && before.is_disjoint(&new), "{}", person.id);
    }
    let served = applicants[100..].iter().filter(|person| now.contains_key(person.id.as_str())).count();
    assert!(served >= 18, "{served} of the twenty");
}
