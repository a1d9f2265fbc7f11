//! Who is matched with whom in a round: as many people as possible, as well as possible, provably; and why.
//!
//! The way of a match: `lines` reads people ([`applicant`]), [`roster`] prepares them, [`rules`] say who can't be partners, [`score`] how well
//! two suit each other by the [`weights`] of the programme, [`optimum`] has [`blossom`] find the best matching, [`certificate`]
//! examines the proof, [`explain`] puts it into words.
mod alternating;
pub mod applicant;
pub mod blossom;
pub mod certificate;
pub mod explain;
pub mod fairness;
mod found;
pub mod generate;
pub mod graph;
pub mod left_over;
mod lines;
pub mod optimum;
mod parallel;
mod phrases;
mod pins;
pub mod places;
pub mod pricing;
mod profile;
pub mod roster;
pub mod rules;
pub mod score;
mod survey;
mod ties;
#[cfg(test)]
mod trials;
pub mod weights;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

pub use applicant::{Applicant, BadValue, Decision, LIBRARIES, Past, Verdict};
pub use certificate::Certificate;
pub use explain::{Side, Wording};
pub use fairness::{Fairness, fairness};
pub use graph::{Graph, Pairs, WeightedPair};
pub use left_over::Witness;
pub use lines::{BadLine, BadLines, read_applicants, read_lines};
pub use weights::Weights;

use found::Found;
use places::Places;
use roster::Roster;

/// What came of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// The pairs, by their identifiers in order; somebody with two places may stand in two.
    pub pairs: Vec<Pair>,
    /// Pairs that somebody left over has joined.
    pub trios: Vec<Trio>,
    /// Those without a partner.
    pub unmatched: Vec<Unmatched>,
    /// How good it is.
    pub objective: Objective,
}

/// Two partners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The one whose identifier comes first.
    pub a: String,
    /// The other.
    pub b: String,
    /// What the pair is worth to the match (see [`Objective::score`]).
    pub score: i64,
    /// What `a` and `b` are told.
    pub sides: [Side; 2],
}

/// Three partners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trio {
    /// The pair, and the one who has joined it.
    pub members: [String; 3],
    /// What the pair alone was worth.
    pub score: i64,
    /// What each is told.
    pub sides: [Side; 3],
}

/// Somebody without a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// Who.
    pub id: String,
    /// Why, in words for that person.
    pub why: String,
    /// Why, for coordinators: who competes for whom.
    pub witness: Option<Witness>,
}

/// How good a match is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// People with a partner.
    pub matched: usize,
    /// Wishes stated, once for each partnership or, of those without one, once.
    pub requests: usize,
    /// Wishes met.
    pub requests_met: usize,
    /// What all pairs are worth together. A pair is worth 0 to 2000, and [`score::KEPT`] more where it is one to keep. One that takes somebody's second place is worth less by more than
    /// all that could be won elsewhere (so its score is far below 0): among matches of as many pairs, those that give more people a
    /// partner come first.
    pub score: i64,
    /// Whether this is proven to be the best there is: always, or there would be an error in its place.
    pub optimal: bool,
    /// What no match of as many pairs can exceed, by the certificate.
    pub bound: i64,
}

/// Why there is no match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// An applicant has a value that is none.
    #[error("applicant {id}: {bad}")]
    Applicant {
        /// Who.
        id: String,
        /// What.
        bad: BadValue,
    },
    /// Two applicants have one identifier.
    #[error("two applicants have the identifier {0}")]
    Twice(String),
    /// The programme's weights can't be used.
    #[error("{0}")]
    Weights(String),
    /// A pin can't be kept.
    #[error("{a} and {b} can't be pinned to each other: {why}")]
    Pin {
        /// One of the two.
        a: String,
        /// The other.
        b: String,
        /// For the coordinator: what is in the way and what to do.
        why: &'static str,
    },
    /// The numbers are beyond all measure.
    #[error(transparent)]
    TooLarge(#[from] blossom::TooLarge),
    /// The proof failed: a fault of the program, never a result.
    #[error(transparent)]
    Unproven(#[from] certificate::Flaw),
}

/// A match and its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The match.
    pub matching: Matching,
    /// The proof.
    pub certificate: Certificate,
}

/// All that a match rests on. The order of items makes no difference.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Who takes part.
    pub applicants: &'a [Applicant],
    /// Earlier partners, who don't meet again.
    pub past: &'a [Past],
    /// What coordinators decided.
    pub decisions: &'a [Decision],
    /// Partnerships that go on: each takes a place of those of the two who take part, and is neither proposed again nor part of the result.
    pub under_way: &'a [Past],
    /// Pairs of an earlier answer that should stay if little is lost by it ([`score::KEPT`]).
    pub kept: &'a [Past],
    /// How much each thing counts.
    pub weights: &'a Weights,
    /// What the programme calls things.
    pub wording: &'a Wording,
    /// Decides between equally good matches.
    pub seed: u64,
}

/// For callers without a programme.
static PLAIN: Wording = Wording { sectors: BTreeMap::new() };

impl<'a> Input<'a> {
    /// Nothing but people.
    pub fn new(applicants: &'a [Applicant], weights: &'a Weights, seed: u64) -> Self {
        Self { applicants, past: &[], decisions: &[], under_way: &[], kept: &[], weights, wording: &PLAIN, seed }
    }
}

/// Matches a round: the hard rules first, then as many people as possible, then the greatest sum of satisfactions (those badly served
/// count more), then chance by the seed. The result has been proven optimal.
///
/// # Errors
/// [`MatchError`]: the input is wrong, or a pin can't be kept.
pub fn match_round(input: &Input) -> Result<Matching, MatchError> {
    prove_round(input).map(|proven| proven.matching)
}

/// As [`match_round`], and hands out the certificate too.
///
/// # Errors
/// As [`match_round`].
pub fn prove_round(input: &Input) -> Result<Proven, MatchError> {
    prove_round_telling(input, &|_| {})
}

/// Where a match stands that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The best match is being looked for.
    Solving {
        /// Among so many people.
        people: usize,
    },
    /// It is found, and its proof is being examined.
    Examining,
    /// It is proven, and is being put into words.
    Explaining,
}

/// As [`prove_round`], and says at the beginning of each step which one it is.
///
/// # Errors
/// As [`match_round`].
pub fn prove_round_telling(input: &Input, tell: &dyn Fn(Step)) -> Result<Proven, MatchError> {
    prepare(input, |ground| {
        tell(Step::Solving { people: input.applicants.len() });
        let Ground { roster, pinned, places, .. } = *ground;
        let optimum = optimum::find(places, input.seed)?;
        tell(Step::Examining);
        certificate::examine(places, &optimum.pairs, &optimum.certificate)?;
        tell(Step::Explaining);
        let mut matching = Found::new(ground, &optimum.pairs, input).told(ground, input.wording);
        // The bound on Σ (constant + w), less the constants of as many pairs.
        let bound = optimum.certificate.dual / optimum.certificate.scale - optimum.certificate.constant * optimum.pairs.len() as i128;
        let pinned_worth: i64 = pinned.iter().map(|&(a, b)| roster.worth(a, b)).sum();
        matching.objective.bound = i64::try_from(bound).map_err(|_| blossom::TooLarge)? + pinned_worth;
        Ok(Proven { matching, certificate: optimum.certificate })
    })
}

/// Hands out every acceptable pair of places that pins and partnerships under way leave free, by their names, with what it is worth.
///
/// # Errors
/// As [`match_round`].
pub fn each_pair(input: &Input, mut each: impl FnMut(&str, &str, i64)) -> Result<(), MatchError> {
    prepare(input, |Ground { places, .. }| {
        let names = places.names();
        places.walk(0..names.len() as u32, |_, _| true, |a, b, w| each(&names[a as usize], &names[b as usize], w));
        Ok(())
    })
}

/// What a match stands on.
struct Ground<'a> {
    roster: &'a Roster<'a>,
    /// Pairs that coordinators fixed.
    pinned: &'a [(usize, usize)],
    /// Each person once for each partnership under way.
    busy: &'a [usize],
    /// The places that are free.
    places: &'a Places<'a>,
}

fn prepare<T>(input: &Input, then: impl FnOnce(&Ground) -> Result<T, MatchError>) -> Result<T, MatchError> {
    check(input.applicants, input.weights)?;
    // From here on the order of the input is forgotten.
    let mut people: Vec<&Applicant> = input.applicants.iter().collect();
    people.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let apart: Vec<Past> = input.past.iter().chain(input.under_way).cloned().collect();
    let roster = Roster::new(people, &apart, input.decisions, input.kept, input.weights);
    let busy: Vec<usize> = input.under_way.iter().flat_map(|pair| [roster.position(&pair.a), roster.position(&pair.b)]).flatten().collect();
    let pinned = pins::kept(&roster, input.decisions, &busy)?;
    let taken: Vec<usize> = pinned.iter().flat_map(|&(a, b)| [a, b]).chain(busy.iter().copied()).collect();
    let places = Places::new(&roster, &taken);
    then(&Ground { roster: &roster, pinned: &pinned, busy: &busy, places: &places })
}

fn check(applicants: &[Applicant], weights: &Weights) -> Result<(), MatchError> {
    weights.check().map_err(MatchError::Weights)?;
    let mut known = HashSet::new();
    for person in applicants {
        person.check().map_err(|bad| MatchError::Applicant { id: person.id.clone(), bad })?;
        if !known.insert(&person.id) {
            return Err(MatchError::Twice(person.id.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
