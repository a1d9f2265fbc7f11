//! Graphs to try the matching on, of the kinds that solvers stumble over. The same numbers give the same graphs, in tests and in the bench.

/// A graph: how many vertices, and edges between them with weights.
pub type Plain = (u32, Vec<(u32, u32, i64)>);

/// A kind of graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Few edges: parts without connection, vertices without an edge, none at all.
    Sparse,
    /// Most pairs, weights of a wide range.
    Dense,
    /// All weights equal.
    Equal,
    /// Weights of nothing and below, next to others.
    Negative,
    /// Few different weights, as satisfactions have.
    Tied,
    /// Triangles in a chain, joined by light edges.
    Triangles,
    /// Odd groups of odd groups, the inner ones held together more strongly.
    Nested,
    /// Weights so large that 64 bits do not hold their sums.
    Huge,
}

impl Mode {
    /// Each of them.
    pub const ALL: [Mode; 8] = [Mode::Sparse, Mode::Dense, Mode::Equal, Mode::Negative, Mode::Tied, Mode::Triangles, Mode::Nested, Mode::Huge];

    /// The graph of this kind and number, with at most `largest` vertices.
    pub fn graph(self, number: u64, largest: u32) -> Plain {
        let mut chance = Chance((self as u64) << 32 | number);
        // Half of them are small enough for every matching to be tried.
        let most = [10, 10, 30, largest][chance.below(4) as usize].min(largest);
        let vertices = chance.below(u64::from(most) + 1) as u32;
        match self {
            Self::Sparse => {
                let percent = chance.below(300) / u64::from(vertices).max(1);
                random(&mut chance, vertices, percent, |chance| chance.between(1, 1000))
            }
            Self::Dense => random(&mut chance, vertices, 80, |chance| chance.between(0, 1_000_000)),
            Self::Equal => {
                let (percent, weight) = (chance.between(5, 100) as u64, chance.between(0, 3));
                random(&mut chance, vertices, percent, |_| weight)
            }
            Self::Negative => random(&mut chance, vertices, 40, |chance| chance.between(-50, 20)),
            Self::Tied => random(&mut chance, vertices, 60, |chance| chance.between(0, 4) * 250),
            Self::Triangles => triangles(&mut chance, vertices),
            Self::Nested => nested(&mut chance, vertices),
            Self::Huge => random(&mut chance, vertices, 50, |chance| chance.between(i64::MIN / 2, i64::MAX / 2)),
        }
    }
}

fn random(chance: &mut Chance, vertices: u32, percent: u64, weight: impl Fn(&mut Chance) -> i64) -> Plain {
    let mut edges = Vec::new();
    for a in 0..vertices {
        for b in a + 1..vertices {
            if chance.below(100) < percent {
                edges.push((a, b, weight(chance)));
            }
        }
    }
    (vertices, edges)
}

fn triangles(chance: &mut Chance, vertices: u32) -> Plain {
    let count = vertices / 3;
    let mut edges = Vec::new();
    for first in (0..count).map(|number| 3 * number) {
        let weight = chance.between(8, 10);
        edges.extend([(first, first + 1, weight), (first + 1, first + 2, weight), (first, first + 2, weight)]);
        if first > 0 {
            edges.push((chance.below(u64::from(first)) as u32, first + chance.below(3) as u32, chance.between(1, 4)));
        }
    }
    (3 * count, edges)
}

fn nested(chance: &mut Chance, vertices: u32) -> Plain {
    let (arms, wide) = ([3, 3, 5][chance.below(3) as usize], chance.between(1, 3));
    let mut edges = Vec::new();
    for a in 0..vertices {
        for b in a + 1..vertices {
            // How many times the groups must be joined until one holds both.
            let (mut level, mut one, mut other) = (0, a, b);
            while one != other {
                (level, one, other) = (level + 1, one / arms, other / arms);
            }
            if level == 1 || chance.below(100) < 60 {
                edges.push((a, b, 1000 - 100 * level + chance.below(wide as u64) as i64));
            }
        }
    }
    (vertices, edges)
}

/// Numbers that look random and are always the same (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    /// From 0 up to, and without, the limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Both ends included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below(least.abs_diff(most) + 1) as i64
    }
}
