//! Weighted graphs: one that is given pair by pair, and what any has to offer to be matched, built or not.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::lines::{BadLine, BadLines, split_lines};

/// A graph with whole weights that can be walked pair by pair, by several threads at once. It need not be built: weights may be worked
/// out when asked for.
pub trait Pairs: Sync {
    /// The names of the vertices, in order, each once. A vertex is known by its position here.
    fn names(&self) -> &[String];

    /// Hands out, for each vertex of `rows`, each pair with a later vertex, with its weight, if the pair is `wanted`. To ask whether it is
    /// wanted is cheap, to work out its weight may be dear.
    fn walk(&self, rows: impl Iterator<Item = u32>, wanted: impl FnMut(u32, u32) -> bool, each: impl FnMut(u32, u32, i64));
}

/// A pair that may be matched, and what it is worth: a line of `--graph` and `--scores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedPair {
    /// One end.
    pub a: String,
    /// The other end.
    pub b: String,
    /// What the pair is worth.
    pub w: i64,
}

/// A graph given pair by pair. Two with the same names and pairs are equal, whatever order they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    names: Vec<String>,
    /// By the positions of their names, the lower first, in order, each once.
    pairs: Vec<(u32, u32, i64)>,
    /// Where the pairs of each vertex with later ones begin, and the end.
    begins: Vec<usize>,
}

impl Graph {
    /// A graph of these names, and of pairs by their positions. Each name stands once, each pair once, in whatever order.
    pub fn new(mut names: Vec<String>, pairs: Vec<(u32, u32, i64)>) -> Self {
        let mut order: Vec<u32> = (0..names.len() as u32).collect();
        order.sort_unstable_by(|&one, &other| names[one as usize].cmp(&names[other as usize]));
        let mut rank = vec![0; names.len()];
        for (position, &old) in (0..).zip(&order) {
            rank[old as usize] = position;
        }
        let renamed = |(a, b, w): (u32, u32, i64)| {
            let (a, b) = (rank[a as usize], rank[b as usize]);
            (a.min(b), a.max(b), w)
        };
        let mut pairs: Vec<(u32, u32, i64)> = pairs.into_iter().map(renamed).collect();
        pairs.sort_unstable();
        names.sort_unstable();
        let begins = (0..=names.len()).map(|vertex| pairs.partition_point(|&(a, _, _)| (a as usize) < vertex)).collect();
        Self { names, pairs, begins }
    }

    /// Reads a graph, a JSON line for each pair.
    ///
    /// # Errors
    /// Every line that is no pair, joins a name with itself, or repeats a pair.
    pub fn read(text: &str) -> Result<Self, BadLines> {
        let (mut names, mut pairs, mut positions, mut lines) = (Vec::new(), Vec::new(), HashMap::new(), HashMap::new());
        let (values, mut faults) = split_lines::<WeightedPair>(text);
        for (line, pair) in values {
            if pair.a == pair.b {
                faults.push(BadLine { line, problem: "a pair is two, and this is one".to_owned() });
                continue;
            }
            let mut position = |name: String| {
                *positions.entry(name).or_insert_with_key(|name| {
                    names.push(name.clone());
                    names.len() as u32 - 1
                })
            };
            let (a, b) = (position(pair.a), position(pair.b));
            if let Some(earlier) = lines.insert((a.min(b), a.max(b)), line) {
                faults.push(BadLine { line, problem: format!("this pair stands in line {earlier} already") });
            }
            pairs.push((a, b, pair.w));
        }
        BadLines::or(faults, ())?;
        Ok(Self::new(names, pairs))
    }
}

impl Pairs for Graph {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn walk(&self, rows: impl Iterator<Item = u32>, mut wanted: impl FnMut(u32, u32) -> bool, mut each: impl FnMut(u32, u32, i64)) {
        for row in rows {
            for &(a, b, w) in &self.pairs[self.begins[row as usize]..self.begins[row as usize + 1]] {
                if wanted(a, b) {
                    each(a, b, w);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(graph: &Graph, wanted: impl FnMut(u32, u32) -> bool) -> Vec<(u32, u32, i64)> {
        let mut pairs = Vec::new();
        graph.walk(0..graph.names().len() as u32, wanted, |a, b, w| pairs.push((a, b, w)));
        pairs
    }

    #[test]
    fn a_graph_forgets_the_order_of_lines_and_of_ends() {
        let there = Graph::read("{\"a\": \"y\", \"b\": \"x\", \"w\": 5}\n{\"a\": \"y\", \"b\": \"z\", \"w\": -7}").expect("a graph");
        let back = Graph::read("{\"a\": \"z\", \"b\": \"y\", \"w\": -7}\n{\"a\": \"x\", \"b\": \"y\", \"w\": 5}").expect("a graph");
        assert_eq!(there, back);
        assert_eq!(there.names(), ["x", "y", "z"]);
        assert_eq!(walked(&there, |_, _| true), [(0, 1, 5), (1, 2, -7)]);
        assert_eq!(walked(&there, |a, _| a == 1), [(1, 2, -7)]);
    }

    #[test]
    fn a_line_that_is_no_pair_is_named() {
        let problem = |text: &str| Graph::read(text).expect_err("refused").to_string();
        assert_eq!(problem("{\"a\": \"x\", \"b\": \"x\", \"w\": 1}"), "line 1: a pair is two, and this is one");
        assert_eq!(problem("{\"a\": \"x\", \"b\": \"y\", \"w\": 1}\n{\"a\": \"y\", \"b\": \"x\", \"w\": 2}"), "line 2: this pair stands in line 1 already");
        assert!(problem("\n{\"a\": \"x\", \"b\": \"y\", \"w\": 1.5}").starts_with("line 2: invalid type: floating point"));
    }
}
