//! From pairs of places to pairs, trios and people left over, each with its words.
use std::collections::{HashMap, HashSet};

use super::explain::{Explainer, Wording};
use super::graph::Pairs;
use super::left_over::Standing;
use super::places::Places;
use super::{Ground, Input, Matching, Objective, Pair, Trio, Unmatched, ties};

/// Pairs by the positions of people, and who joined which.
pub(super) struct Found {
    pairs: Vec<(usize, usize, i64)>,
    joined: HashMap<usize, usize>,
    /// The same pairs by the names of places, where they were not fixed.
    solved: Vec<(String, String)>,
}

impl Found {
    /// The pinned pairs and those that were found (by place); somebody left over joins a pair, if the programme says so.
    pub fn new(ground: &Ground, solved: &[(u32, u32, i64)], input: &Input) -> Self {
        let Ground { roster, pinned, places, .. } = *ground;
        let mut pairs: Vec<(usize, usize, i64)> = pinned.iter().map(|&(a, b)| (a, b, roster.worth(a, b))).collect();
        pairs.extend(solved.iter().map(|&(a, b, w)| {
            let (a, b) = (places.owner(a), places.owner(b));
            (a.min(b), a.max(b), w)
        }));
        pairs.sort_unstable();
        let name = |place: u32| places.names()[place as usize].clone();
        let solved = solved.iter().map(|&(a, b, _)| (name(a), name(b))).collect();
        let mut found = Self { pairs, joined: HashMap::new(), solved };
        if input.weights.trios {
            found.join_those_left(ground, input.seed);
        }
        found
    }

    /// The pairs of a match, on whatever ground.
    #[cfg(test)]
    pub fn standing_as(ground: &Ground, matching: &Matching) -> Self {
        let position = |id: &String| ground.roster.position(id).unwrap_or_default();
        let ordered = |a: &String, b: &String| (position(a).min(position(b)), position(a).max(position(b)));
        let mut pairs: Vec<(usize, usize, i64)> =
            matching.pairs.iter().map(|pair| (ordered(&pair.a, &pair.b), pair.score)).map(|((a, b), w)| (a, b, w)).collect();
        let (mut joined, mut taken, mut solved) = (HashMap::new(), HashMap::new(), Vec::new());
        for trio in &matching.trios {
            let (a, b) = ordered(&trio.members[0], &trio.members[1]);
            joined.insert(pairs.len(), position(&trio.members[2]));
            pairs.push((a, b, trio.score));
        }
        let mut place = |person: usize| {
            let taken: &mut usize = taken.entry(person).or_default();
            *taken += 1;
            let id = &ground.roster.people[person].id;
            if *taken == 2 { format!("{id}#2") } else { id.clone() }
        };
        for &(a, b, _) in &pairs {
            solved.push((place(a), place(b)));
        }
        Self { pairs, joined, solved }
    }

    /// Who has no partner, of those who have a place for one.
    fn left_over(&self, ground: &Ground) -> Vec<usize> {
        let with_partner: HashSet<usize> =
            self.pairs.iter().flat_map(|&(a, b, _)| [a, b]).chain(self.joined.values().copied()).chain(ground.busy.iter().copied()).collect();
        ground.roster.positions().filter(|person| !with_partner.contains(person)).collect()
    }

    /// Lets each person who is left over join the pair in which the worst served of the three is served best. Pinned pairs stay as they are.
    fn join_those_left(&mut self, ground: &Ground, seed: u64) {
        let Ground { roster, pinned, .. } = *ground;
        let chance = |people: &[usize]| ties::seeded(seed, &people.iter().map(|&person| roster.people[person].id.as_str()).collect::<Vec<_>>());
        let mut left = self.left_over(ground);
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

    /// The match in words.
    pub fn told(&self, ground: &Ground, wording: &Wording) -> Matching {
        let roster = ground.roster;
        let explainer = Explainer::new(roster, wording);
        let id = |person: usize| roster.people[person].id.clone();
        let (mut pairs, mut trios, mut requests_met) = (Vec::new(), Vec::new(), 0);
        let mut side = |who: usize, partners: &[usize]| {
            requests_met += explainer.number_met(who, partners);
            explainer.side(who, partners)
        };
        for (index, &(a, b, score)) in self.pairs.iter().enumerate() {
            match self.joined.get(&index) {
                None => pairs.push(Pair { a: id(a), b: id(b), score, sides: [side(a, &[b]), side(b, &[a])] }),
                Some(&c) => trios.push(Trio { members: [id(a), id(b), id(c)], score, sides: [side(a, &[b, c]), side(b, &[a, c]), side(c, &[a, b])] }),
            }
        }
        let left = self.left_over(ground);
        let requests = pairs.iter().flat_map(|pair| &pair.sides).chain(trios.iter().flat_map(|trio| &trio.sides)).map(|side| side.asked.len()).sum::<usize>()
            + left.iter().map(|&person| explainer.asked(person).len()).sum::<usize>();
        let objective = Objective {
            matched: with_partner(&pairs, &trios),
            requests,
            requests_met,
            score: self.pairs.iter().map(|&(_, _, score)| score).sum(),
            optimal: true,
            bound: 0,
        };
        Matching { pairs, trios, unmatched: self.unmatched(ground, &explainer, &left), objective }
    }

    fn unmatched(&self, ground: &Ground, explainer: &Explainer, left: &[usize]) -> Vec<Unmatched> {
        if left.is_empty() {
            return Vec::new();
        }
        // All places, those of pinned pairs too: what coordinators decided must not show.
        let places = Places::new(ground.roster, ground.busy);
        let standing = self.standing(ground, &places, left.len());
        let grown = explainer.grow(left, &standing);
        let told = left.iter().map(|&person| Unmatched {
            id: ground.roster.people[person].id.clone(),
            why: explainer.why_unmatched(person, &standing),
            witness: explainer.witness(person, &standing, &grown),
        });
        told.collect()
    }

    fn standing<'a>(&self, ground: &Ground, places: &'a Places<'a>, left_over: usize) -> Standing<'a> {
        let mut standing = Standing { places, mates: vec![None; places.names().len()], fixed: vec![false; places.names().len()], left_over };
        let place = |name: &String| places.names().binary_search(name).ok();
        for (a, b) in self.solved.iter().filter_map(|(a, b)| Some((place(a)?, place(b)?))) {
            (standing.mates[a], standing.mates[b]) = (Some(b), Some(a));
        }
        for &(a, b) in ground.pinned {
            if let (Some(a), Some(b)) = (standing.free_place_of(a), standing.free_place_of(b)) {
                (standing.mates[a], standing.mates[b]) = (Some(b), Some(a));
                (standing.fixed[a], standing.fixed[b]) = (true, true);
            }
        }
        standing
    }
}

fn with_partner(pairs: &[Pair], trios: &[Trio]) -> usize {
    let in_pairs = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]);
    in_pairs.chain(trios.iter().flat_map(|trio| &trio.members)).collect::<HashSet<_>>().len()
}
