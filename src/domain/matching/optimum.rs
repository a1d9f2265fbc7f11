//! The one answer to a weighted graph: most pairs first, then the greatest sum of weights, then chance by a seed; and its proof.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::applicant::{BadLine, read_lines};
use super::blossom::{self, Amount, Edge, GraphError, SCALE, Solution};
use super::certificate::{Certificate, OddSet};
use super::pricing;

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

/// A weighted graph by names. Two graphs with the same names and pairs are equal, whatever order they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The names, in order, each once.
    pub names: Vec<String>,
    /// The pairs by the positions of their names, the lower first, in order, each once.
    pub pairs: Vec<(u32, u32, i64)>,
}

/// The best matching of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimum {
    /// Who is matched: pairs of the graph.
    pub pairs: Vec<(u32, u32, i64)>,
    /// The proof.
    pub certificate: Certificate,
}

impl Graph {
    /// A graph of these names, and of pairs by their positions. Each name stands once, each pair once, in whatever order.
    pub fn new(names: Vec<String>, pairs: Vec<(u32, u32, i64)>) -> Self {
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
        let mut names = names;
        names.sort_unstable();
        Self { names, pairs }
    }

    /// Reads a graph, a JSON line for each pair.
    ///
    /// # Errors
    /// The first line that is no pair, joins a name with itself, or repeats a pair.
    pub fn read(text: &str) -> Result<Self, BadLine> {
        let (mut names, mut pairs, mut positions, mut lines) = (Vec::new(), Vec::new(), HashMap::new(), HashMap::new());
        for (line, pair) in read_lines::<WeightedPair>(text)? {
            if pair.a == pair.b {
                return Err(BadLine { line, problem: "a pair is two, and this is one".to_owned() });
            }
            let mut position = |name: String| {
                *positions.entry(name).or_insert_with_key(|name| {
                    names.push(name.clone());
                    names.len() as u32 - 1
                })
            };
            let (a, b) = (position(pair.a), position(pair.b));
            if let Some(earlier) = lines.insert((a.min(b), a.max(b)), line) {
                return Err(BadLine { line, problem: format!("this pair stands in line {earlier} already") });
            }
            pairs.push((a, b, pair.w));
        }
        Ok(Self::new(names, pairs))
    }

    /// What a pair is worth, by names.
    pub fn named(&self, (a, b, w): (u32, u32, i64)) -> WeightedPair {
        WeightedPair { a: self.names[a as usize].clone(), b: self.names[b as usize].clone(), w }
    }

    /// The best matching. Among several equally good ones a seeded number for each pair decides, so that neither the order of the
    /// input nor the machine does.
    ///
    /// # Errors
    /// Weights too large to be added up.
    pub fn optimum(&self, seed: u64) -> Result<Optimum, GraphError> {
        let constant = self.constant();
        let weight = |w: i64| constant + Amount::from(w);
        let edges: Vec<Edge> = self.pairs.iter().map(|&(a, b, w)| Edge { a, b, weight: weight(w) }).collect();
        let proof = pricing::solve(self.names.len(), &edges)?;
        // Every best matching is made of edges that are tight under these duals, so the others need not be looked at again.
        let tight = edges.iter().zip(pricing::slacks(&proof, &edges)).filter(|&(_, slack)| slack == 0);
        let most_ties = self.most_pairs() * (Amount::from(u32::MAX) + 1) + 1;
        let with_tie = |&Edge { a, b, weight }: &Edge| {
            let tie = Amount::from(seeded(seed, &[&self.names[a as usize], &self.names[b as usize]]) >> 32);
            let weight = weight.checked_mul(most_ties).and_then(|weight| weight.checked_add(tie)).ok_or(GraphError::TooLarge)?;
            Ok(Edge { a, b, weight })
        };
        let tied: Vec<Edge> = tight.map(|(edge, _)| with_tie(edge)).collect::<Result<_, _>>()?;
        let chosen = blossom::solve(self.names.len(), &tied)?;
        let is_chosen = |&&(a, b, _): &&(u32, u32, i64)| chosen.mate[a as usize] == Some(b);
        let pairs: Vec<(u32, u32, i64)> = self.pairs.iter().filter(is_chosen).copied().collect();
        Ok(Optimum { certificate: self.certificate(constant, &proof, &pairs), pairs })
    }

    fn most_pairs(&self) -> Amount {
        (self.names.len() / 2) as Amount
    }

    /// What is added to each weight so that one pair more outweighs all that weights can differ: with k pairs at most k times the
    /// largest weight is won, with k + 1 at least k + 1 times the smallest.
    fn constant(&self) -> Amount {
        let weights = || self.pairs.iter().map(|&(_, _, w)| Amount::from(w));
        let (largest, smallest) = (weights().max().unwrap_or(0).max(0), weights().min().unwrap_or(0).min(0));
        self.most_pairs() * (largest - smallest) + 1
    }

    fn certificate(&self, constant: Amount, proof: &Solution, pairs: &[(u32, u32, i64)]) -> Certificate {
        let name = |&vertex: &u32| self.names[vertex as usize].clone();
        let sets: Vec<OddSet> = proof.blossoms.iter().map(|blossom| OddSet { members: blossom.members.iter().map(name).collect(), z: blossom.z }).collect();
        let dual = proof.y.iter().sum::<Amount>() + sets.iter().map(|set| set.z * (set.members.len() as Amount / 2)).sum::<Amount>();
        let primal = pairs.iter().map(|&(_, _, w)| SCALE * (constant + Amount::from(w))).sum();
        Certificate { scale: SCALE, constant, people: self.names.iter().cloned().zip(proof.y.iter().copied()).collect(), blossoms: sets, primal, dual }
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
