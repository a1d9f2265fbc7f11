//! That the weight found is the greatest: against trying everything, and against the proof.
use super::*;

/// An edge: its ends, and what the matching gains by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    a: u32,
    b: u32,
    weight: Amount,
}

fn scaled(edges: &[Edge]) -> Vec<(u32, u32, Amount)> {
    edges.iter().map(|edge| (edge.a, edge.b, SCALE * edge.weight)).collect()
}

fn solve(vertices: u32, edges: &[Edge]) -> Solution {
    let mut solver = Solver::new(vertices as usize);
    solver.add(&scaled(edges));
    solver.solve();
    solver.solution()
}

/// A little generator of numbers (splitmix64), so that every run tests the same graphs.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn random_graph(numbers: &mut Numbers, vertices: u32, percent: u64, heaviest: u64, base: Amount) -> Vec<Edge> {
    let mut edges = Vec::new();
    for a in 0..vertices {
        for b in a + 1..vertices {
            if numbers.below(100) < percent {
                edges.push(Edge { a, b, weight: base + 1 + Amount::from(numbers.below(heaviest)) });
            }
        }
    }
    edges
}

/// The best weight there is, by trying everything.
fn brute_force(vertices: u32, edges: &[Edge]) -> Amount {
    let mut best = vec![0; 1 << vertices];
    for set in 1..1usize << vertices {
        let lowest = set.trailing_zeros();
        best[set] = best[set & (set - 1)];
        for edge in edges.iter().filter(|edge| edge.a.min(edge.b) == lowest && set >> edge.a & 1 == 1 && set >> edge.b & 1 == 1) {
            best[set] = best[set].max(edge.weight + best[set & !(1 << edge.a) & !(1 << edge.b)]);
        }
    }
    best[(1 << vertices) - 1]
}

/// The weight of a solution, after a look at every condition that makes it an optimum.
fn proven_weight(vertices: u32, edges: &[Edge], solution: &Solution) -> Amount {
    let mut primal = 0;
    let (y, blossoms) = (&solution.duals.y, solution.duals.blossoms());
    let mut reach = solution.duals.reach();
    for edge in edges {
        let within: Amount = blossoms.iter().filter(|b| b.members.contains(&edge.a) && b.members.contains(&edge.b)).map(|b| b.z).sum();
        let reached = y[edge.a as usize] + y[edge.b as usize] + within;
        assert!(reached >= SCALE * edge.weight, "{edge:?} has a negative slack");
        assert_eq!(reached, reach.over(edge.a, edge.b));
        if solution.mate[edge.a as usize] == Some(edge.b) {
            assert_eq!(solution.mate[edge.b as usize], Some(edge.a));
            primal += edge.weight;
        }
    }
    for vertex in 0..vertices as usize {
        assert!(y[vertex] >= 0 && (solution.mate[vertex].is_some() || y[vertex] == 0), "vertex {vertex}");
    }
    let matched = solution.mate.iter().flatten().count();
    assert_eq!(matched, 2 * edges.iter().filter(|edge| solution.mate[edge.a as usize] == Some(edge.b)).count(), "everybody is matched along an edge");
    let mut dual: Amount = y.iter().sum();
    for blossom in &blossoms {
        assert!(blossom.z > 0 && blossom.members.len() % 2 == 1);
        dual += blossom.z * (blossom.members.len() as Amount / 2);
    }
    assert_eq!(SCALE * primal, dual, "primal and dual differ");
    primal
}

#[test]
fn small_graphs_get_the_weight_that_trying_everything_finds() {
    let mut numbers = Numbers(1);
    for round in 0..1500u64 {
        let vertices = numbers.below(11) as u32;
        let (percent, heaviest) = ([20, 50, 80, 100][round as usize % 4], [1, 3, 20, 1000][round as usize / 4 % 4]);
        let base = if round % 3 == 0 { Amount::from(vertices) * 1000 } else { 0 };
        let edges = random_graph(&mut numbers, vertices, percent, heaviest, base);
        let solution = solve(vertices, &edges);
        assert_eq!(proven_weight(vertices, &edges, &solution), brute_force(vertices, &edges), "round {round}: {edges:?}");
    }
}

#[test]
fn larger_graphs_prove_their_optimum() {
    let mut numbers = Numbers(2);
    for round in 0..300u64 {
        let vertices = 11 + numbers.below(80) as u32;
        let (percent, heaviest) = ([3, 8, 30, 90][round as usize % 4], [1, 4, 100, 2000][round as usize / 4 % 4]);
        let base = if round % 2 == 0 { Amount::from(vertices) * 2000 } else { 0 };
        let edges = random_graph(&mut numbers, vertices, percent, heaviest, base);
        proven_weight(vertices, &edges, &solve(vertices, &edges));
    }
}

#[test]
fn two_triangles_joined_by_a_light_edge_are_matched_across_it() {
    let edge = |a, b, weight| Edge { a, b, weight };
    let edges = [edge(0, 1, 10), edge(1, 2, 10), edge(0, 2, 10), edge(3, 4, 10), edge(4, 5, 10), edge(3, 5, 10), edge(2, 3, 1)];
    let solution = solve(6, &edges);
    assert_eq!(proven_weight(6, &edges, &solution), 21);
}

#[test]
fn nobody_and_people_who_know_nobody_are_no_trouble() {
    assert_eq!(solve(0, &[]).mate, []);
    assert_eq!(solve(3, &[]).mate, [None, None, None]);
}

#[test]
fn edges_added_to_a_solved_graph_give_what_all_of_them_give_at_once() {
    let mut numbers = Numbers(4);
    for round in 0..400u64 {
        let vertices = 2 + numbers.below(60) as u32;
        let (percent, heaviest) = ([10, 30, 90][round as usize % 3], [1, 5, 100, 2000][round as usize / 3 % 4]);
        let base = if round % 2 == 0 { Amount::from(vertices) * 2000 } else { 0 };
        let mut edges = random_graph(&mut numbers, vertices, percent, heaviest, base);
        for index in (1..edges.len()).rev() {
            edges.swap(index, numbers.below(index as u64 + 1) as usize);
        }
        let mut solver = Solver::new(vertices as usize);
        let mut known = 0;
        while known < edges.len() {
            let next = (known + 1 + numbers.below(1 + edges.len() as u64 / 3) as usize).min(edges.len());
            solver.add(&scaled(&edges[known..next]));
            solver.solve();
            known = next;
            let cold = proven_weight(vertices, &edges[..known], &solve(vertices, &edges[..known]));
            assert_eq!(proven_weight(vertices, &edges[..known], &solver.solution()), cold, "round {round}, {known} edges");
        }
    }
}

#[test]
fn numbers_too_large_for_64_bits_get_128_and_beyond_these_there_is_no_answer() {
    assert!(fits::<i64>(20_000, 1 << 40) && !fits::<i64>(20_000, 1 << 60));
    assert!(fits::<i128>(20_000, 1 << 60) && !fits::<i128>(20_000, Amount::MAX / 4) && !fits::<i128>(usize::MAX, 1));
}
