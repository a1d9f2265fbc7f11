//! Who is matched with whom in a round: as many people as possible, as well as possible, provably; and why.
//!
//! The way of a match: [`applicant`] reads people, [`roster`] prepares them, [`rules`] say who can't be partners, [`score`] how well
//! two suit each other by the [`weights`] of the programme, [`optimum`] has [`blossom`] find the best matching, [`certificate`]
//! examines the proof, [`explain`] puts it into words.
pub mod applicant;
pub mod blossom;
pub mod certificate;
pub mod explain;
pub mod generate;
pub mod graph;
pub mod optimum;
mod parallel;
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

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use applicant::{Applicant, BadLine, BadValue, Decision, LIBRARIES, Past, Verdict, read_applicants, read_lines};
pub use certificate::Certificate;
pub use explain::Side;
pub use graph::{Graph, Pairs, WeightedPair};
pub use weights::Weights;

use places::Places;
use roster::Roster;
use rules::Barrier;

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
    /// What all pairs are worth together. A pair is worth 0 to 2000. One that takes somebody's second place is worth less by more than
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
    /// Decides between equally good matches.
    pub seed: u64,
}

impl<'a> Input<'a> {
    /// Nothing but people.
    pub fn new(applicants: &'a [Applicant], weights: &'a Weights, seed: u64) -> Self {
        Self { applicants, past: &[], decisions: &[], under_way: &[], kept: &[], weights, seed }
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
    prepare(input, |roster, pinned, places| {
        let optimum = optimum::find(places, input.seed)?;
        certificate::examine(places, &optimum.pairs, &optimum.certificate)?;

        let mut found = Found { pairs: pinned.iter().map(|&(a, b)| (a, b, roster.worth(a, b))).collect(), joined: HashMap::new() };
        found.pairs.extend(optimum.pairs.iter().map(|&(a, b, w)| {
            let (a, b) = (places.owner(a), places.owner(b));
            (a.min(b), a.max(b), w)
        }));
        found.pairs.sort_unstable();
        if input.weights.trios {
            found.join_those_left(roster, pinned, input.seed);
        }
        let mut matching = found.told(roster);
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
    prepare(input, |_, _, places| {
        let names = places.names();
        places.walk(0..names.len() as u32, |_, _| true, |a, b, w| each(&names[a as usize], &names[b as usize], w));
        Ok(())
    })
}

fn prepare<T>(input: &Input, then: impl FnOnce(&Roster, &[(usize, usize)], &Places) -> Result<T, MatchError>) -> Result<T, MatchError> {
    check(input.applicants, input.weights)?;
    // From here on the order of the input is forgotten.
    let mut people: Vec<&Applicant> = input.applicants.iter().collect();
    people.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let apart: Vec<Past> = input.past.iter().chain(input.under_way).cloned().collect();
    let roster = Roster::new(people, &apart, input.decisions, input.kept, input.weights);
    let pinned = pinned(&roster, input.decisions)?;
    let position = |id: &str| roster.people.binary_search_by(|person| person.id.as_str().cmp(id)).ok();
    let mut taken: Vec<usize> = pinned.iter().flat_map(|&(a, b)| [a, b]).collect();
    taken.extend(input.under_way.iter().flat_map(|pair| [position(&pair.a), position(&pair.b)]).flatten());
    let places = Places::new(&roster, &taken);
    then(&roster, &pinned, &places)
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

/// The pairs that coordinators fixed, the lower position first. A pin may go on with an earlier partnership, which is a decision; it
/// can't overrule a language, an employer, or what one of the two asked for.
fn pinned(roster: &Roster, decisions: &[Decision]) -> Result<Vec<(usize, usize)>, MatchError> {
    let position = |id: &str| roster.people.binary_search_by(|person| person.id.as_str().cmp(id)).ok();
    let (mut pairs, mut taken) = (Vec::new(), vec![0; roster.people.len()]);
    for Decision { a, b, decision } in decisions {
        if *decision == Verdict::Veto {
            continue;
        }
        let no = |why| Err(MatchError::Pin { a: a.clone(), b: b.clone(), why });
        let (Some(first), Some(second)) = (position(a), position(b)) else { return no("both have to be in the round") };
        if first == second {
            return no("they are one person");
        }
        let pair = (first.min(second), first.max(second));
        if pairs.contains(&pair) {
            continue;
        }
        if decisions.iter().any(|other| other.decision == Verdict::Veto && (same(other, a, b))) {
            return no("there is a veto against this pair as well; take one of the two back");
        }
        match roster.barrier(first, second) {
            None | Some(Barrier::EarlierPartners) if roster.excludes(first, second) || roster.excludes(second, first) => {
                return no("one of the two excluded the other");
            }
            None | Some(Barrier::EarlierPartners) => {}
            Some(Barrier::NoCommonLanguage) => return no("they have no language in common"),
            Some(Barrier::SameOrganisation) => return no("they work at the same organisation"),
            Some(Barrier::ExcludedByFirst | Barrier::ExcludedBySecond) => return no("one of the two excluded the other"),
            Some(Barrier::Vetoed) => return no("there is a veto against this pair as well; take one of the two back"),
        }
        for person in [first, second] {
            taken[person] += 1;
            if taken[person] > roster.people[person].capacity {
                return no("one of the two has more pins than places");
            }
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

fn same(decision: &Decision, a: &str, b: &str) -> bool {
    (decision.a == a && decision.b == b) || (decision.a == b && decision.b == a)
}

/// Pairs by the positions of people, and who joined which.
struct Found {
    pairs: Vec<(usize, usize, i64)>,
    joined: HashMap<usize, usize>,
}

impl Found {
    fn left_over(&self, roster: &Roster) -> Vec<usize> {
        let with_partner: HashSet<usize> = self.pairs.iter().flat_map(|&(a, b, _)| [a, b]).chain(self.joined.values().copied()).collect();
        roster.positions().filter(|person| !with_partner.contains(person)).collect()
    }

    /// Lets each person who is left over join the pair in which the worst served of the three is served best. Pinned pairs stay as they are.
    fn join_those_left(&mut self, roster: &Roster, pinned: &[(usize, usize)], seed: u64) {
        let chance = |people: &[usize]| ties::seeded(seed, &people.iter().map(|&person| roster.people[person].id.as_str()).collect::<Vec<_>>());
        let mut left = self.left_over(roster);
        left.sort_by_key(|&person| chance(&[person]));
        for person in left {
            let fits = |a: usize, b: usize| {
                let stranger = person != a && person != b && roster.barrier(person, a).is_none() && roster.barrier(person, b).is_none();
                stranger && !pinned.contains(&(a, b)) && roster.share_a_language(&[a, b, person])
            };
            let worst = |a: usize, b: usize| {
                let all = [(a, b), (b, a), (a, person), (person, a), (b, person), (person, b)];
                all.map(|(who, with)| roster.satisfaction(who, with)).into_iter().min().unwrap_or(0)
            };
            let free = self.pairs.iter().enumerate().filter(|&(index, &(a, b, _))| !self.joined.contains_key(&index) && fits(a, b));
            if let Some((index, _)) = free.max_by_key(|&(_, &(a, b, _))| (worst(a, b), chance(&[a, b, person]))) {
                self.joined.insert(index, person);
            }
        }
    }

    fn told(&self, roster: &Roster) -> Matching {
        let id = |person: usize| roster.people[person].id.clone();
        let (mut pairs, mut trios) = (Vec::new(), Vec::new());
        for (index, &(a, b, score)) in self.pairs.iter().enumerate() {
            match self.joined.get(&index) {
                None => pairs.push(Pair { a: id(a), b: id(b), score, sides: [roster.side(a, &[b]), roster.side(b, &[a])] }),
                Some(&c) => trios.push(Trio {
                    members: [id(a), id(b), id(c)],
                    score,
                    sides: [roster.side(a, &[b, c]), roster.side(b, &[a, c]), roster.side(c, &[a, b])],
                }),
            }
        }
        let left = self.left_over(roster);
        let sides = || pairs.iter().flat_map(|pair| &pair.sides).chain(trios.iter().flat_map(|trio| &trio.sides));
        let objective = Objective {
            matched: roster.people.len() - left.len(),
            requests: sides().map(|side| side.asked.len()).sum::<usize>() + left.iter().map(|&person| roster.asked(person).len()).sum::<usize>(),
            requests_met: sides().map(|side| side.met.len()).sum(),
            score: self.pairs.iter().map(|&(_, _, score)| score).sum(),
            optimal: true,
            bound: 0,
        };
        let unmatched = left.iter().map(|&person| Unmatched { id: id(person), why: roster.why_unmatched(person, left.len() == 1) }).collect();
        Matching { pairs, trios, unmatched, objective }
    }
}

#[cfg(test)]
mod tests;
