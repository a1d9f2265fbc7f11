//! Solving a dense graph by way of sparse ones: first with each vertex's best edges only, then, as long as the duals leave some other
//! edge with a negative slack, with those too. Duals that no edge contradicts prove the matching for the whole graph, so that nothing
//! is lost by having looked at a small part of it.
use super::blossom::{self, Amount, Edge, GraphError, SCALE, Solution};

/// So many of each vertex's best edges take part from the start: fewer make the first step quicker and more of them needed.
const BEST: usize = 16;

/// Finds a matching of maximum weight, as [`blossom::solve`] does.
///
/// # Errors
/// As [`blossom::solve`].
pub fn solve(vertices: usize, edges: &[Edge]) -> Result<Solution, GraphError> {
    blossom::check(vertices, edges)?;
    let mut takes_part = best(vertices, edges);
    loop {
        let part: Vec<Edge> = edges.iter().zip(&takes_part).filter(|(_, takes_part)| **takes_part).map(|(edge, _)| *edge).collect();
        let solution = blossom::solve(vertices, &part)?;
        let mut complete = true;
        for (index, slack) in slacks(&solution, edges).enumerate() {
            if slack < 0 {
                takes_part[index] = true;
                complete = false;
            }
        }
        if complete {
            return Ok(solution);
        }
    }
}

/// The slack of each edge under the duals of a solution, perhaps one of a part of the graph: negative for an edge that contradicts it.
/// Quickest where edges with the same first end follow each other.
pub fn slacks<'a>(solution: &'a Solution, edges: &'a [Edge]) -> impl Iterator<Item = Amount> + 'a {
    let mut blossoms_of = vec![Vec::new(); solution.y.len()];
    for (number, blossom) in solution.blossoms.iter().enumerate() {
        for &member in &blossom.members {
            blossoms_of[member as usize].push(number);
        }
    }
    let (mut of, mut holds) = (None, vec![false; solution.blossoms.len()]);
    edges.iter().map(move |&Edge { a, b, weight }| {
        let ends = solution.y[a as usize] + solution.y[b as usize] - SCALE * weight;
        // An edge with room at its ends is no matter, and most have it; no need to know how much its blossoms add.
        if ends > 0 {
            return ends;
        }
        if of != Some(a) {
            holds.fill(false);
            for &blossom in &blossoms_of[a as usize] {
                holds[blossom] = true;
            }
            of = Some(a);
        }
        let shared = blossoms_of[b as usize].iter().filter(|&&blossom| holds[blossom]);
        ends + shared.map(|&blossom| solution.blossoms[blossom].z).sum::<Amount>()
    })
}

/// Whether an edge is one of the best of one of its ends. Among equals a mixed number decides, for otherwise everybody's best edges
/// would lead to the same few.
fn best(vertices: usize, edges: &[Edge]) -> Vec<bool> {
    let mut takes_part = vec![edges.len() <= BEST * vertices; edges.len()];
    if edges.len() > BEST * vertices {
        let mut lists: Vec<Vec<(Amount, u32, u32)>> = vec![Vec::new(); vertices];
        for (index, edge) in (0..).zip(edges) {
            let key = (edge.weight, u32::wrapping_mul(index, 0x9E37_79B1), index);
            lists[edge.a as usize].push(key);
            lists[edge.b as usize].push(key);
        }
        for list in &mut lists {
            if list.len() > BEST {
                let rest = list.len() - BEST;
                list.select_nth_unstable(rest);
                list.drain(..rest);
            }
            list.iter().for_each(|&(_, _, index)| takes_part[index as usize] = true);
        }
    }
    takes_part
}
