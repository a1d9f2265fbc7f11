//! Who may be matched with whom in a round, and what each pair is worth: a graph of places that is never built.
use std::collections::HashSet;

use super::graph::Pairs;
use super::roster::Roster;
use super::weights::FULL;

/// What a pair of an earlier proposal is worth beyond its satisfactions, when a proposal is made again because somebody withdrew: a tenth
/// of what a perfect pair is worth. Enough that among a thousand people one withdrawal moves a handful, and not enough to hold two people
/// together of whom one would be served clearly better elsewhere.
pub const KEPT: i64 = FULL as i64 / 5;

/// A place for a partner. Somebody with two has the second only after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose, by position in the roster.
    pub person: usize,
    /// Whether it is the second.
    pub second: bool,
}

/// The free places of a round.
pub struct Market<'a> {
    roster: &'a Roster<'a>,
    /// In the order of their names.
    places: Vec<Place>,
    names: Vec<String>,
    /// Pairs of people of an earlier proposal, the lower position first.
    kept: HashSet<(usize, usize)>,
    /// What a pair that takes a second place is worth less.
    second_place: i64,
}

impl<'a> Market<'a> {
    /// The places that are left when each pair of `taken` (people by position) has used up one of each of the two. The pairs in `kept`
    /// are worth [`KEPT`] more than they are.
    pub fn new(roster: &'a Roster<'a>, taken: &[(usize, usize)], kept: &[(usize, usize)]) -> Self {
        let mut places = Vec::new();
        for person in roster.positions() {
            let used = taken.iter().filter(|&&(a, b)| a == person || b == person).count();
            for number in used..usize::from(roster.people[person].capacity) {
                let id = &roster.people[person].id;
                let second = number == 1;
                places.push((if second { format!("{id}#2") } else { id.clone() }, Place { person, second }));
            }
        }
        places.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (names, places): (Vec<String>, Vec<Place>) = places.into_iter().unzip();
        // More than can be won by giving somebody a second partner: among matches of as many pairs, those with more people come first.
        let second_place = (places.len() / 2) as i64 * (2 * i64::from(FULL) + KEPT) + 1;
        Self { roster, places, names, kept: kept.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect(), second_place }
    }

    /// Whose place a vertex is.
    pub fn place(&self, vertex: u32) -> Place {
        self.places[vertex as usize]
    }

    /// What a pair of places is worth; `None` for one that the rules forbid. A second place has pairs only with people of one place, so
    /// that no two people can meet twice.
    fn weight(&self, a: Place, b: Place) -> Option<i64> {
        let alone = |place: Place| self.roster.people[place.person].capacity == 1;
        if a.person == b.person || (a.second && !alone(b)) || (b.second && !alone(a)) || self.roster.barrier(a.person, b.person).is_some() {
            return None;
        }
        let bonus = if !self.kept.is_empty() && self.kept.contains(&(a.person.min(b.person), a.person.max(b.person))) { KEPT } else { 0 };
        let cost = if a.second || b.second { self.second_place } else { 0 };
        Some(self.roster.worth(a.person, b.person) + bonus - cost)
    }
}

impl Pairs for Market<'_> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn walk(&self, rows: impl Iterator<Item = u32>, mut wanted: impl FnMut(u32, u32) -> bool, mut each: impl FnMut(u32, u32, i64)) {
        for a in rows {
            for b in a + 1..self.places.len() as u32 {
                if wanted(a, b)
                    && let Some(weight) = self.weight(self.place(a), self.place(b))
                {
                    each(a, b, weight);
                }
            }
        }
    }
}
