//! The places for partners that a match gives away, and what each two of them are worth; the pairs of places are never written down.
use super::graph::Pairs;
use super::roster::Roster;
use super::score::KEPT;
use super::weights::FULL;

/// The places that pins leave free, in the order of their names: `id`, and `id#2` for the second one of a person.
pub struct Places<'a> {
    roster: &'a Roster<'a>,
    places: Vec<Place>,
    names: Vec<String>,
    second_place: i64,
}

/// A place for a partner.
#[derive(Debug, Clone, Copy)]
struct Place {
    person: usize,
    second: bool,
    /// Its person has no other one.
    alone: bool,
}

impl<'a> Places<'a> {
    /// The places of everybody, less one for each time that a person (by position) stands in `taken`.
    pub fn new(roster: &'a Roster<'a>, taken: &[usize]) -> Self {
        let mut used = vec![0; roster.people.len()];
        taken.iter().for_each(|&person| used[person] += 1);
        let mut named = Vec::new();
        for person in roster.positions() {
            let Some(&person_row) = roster.people.get(person) else { continue };
            for number in used[person]..usize::from(person_row.capacity) {
                let name = if number == 1 { format!("{}#2", person_row.id) } else { person_row.id.clone() };
                named.push((name, Place { person, second: number == 1, alone: person_row.capacity == 1 }));
            }
        }
        named.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (names, places): (Vec<String>, Vec<Place>) = named.into_iter().unzip();
        // More than all that could be won by giving places away otherwise.
        let second_place = (places.len() / 2) as i64 * LARGEST + 1;
        Self { roster, places, names, second_place }
    }

    /// Whose place it is, by position in the roster.
    pub fn owner(&self, place: u32) -> usize {
        self.places[place as usize].person
    }

    /// What a pair of places is worth; `None` where it must not be. A second place has pairs only with people of one place, so that no two people can meet
    /// twice, and costs more than all that could be won elsewhere, so that it goes to those who would have nobody.
    #[inline]
    pub fn worth(&self, a: u32, b: u32) -> Option<i64> {
        let (one, other) = (self.places[a as usize], self.places[b as usize]);
        if one.person == other.person || (one.second && !other.alone) || (other.second && !one.alone) {
            return None;
        }
        let worth = self.roster.worth_if_allowed(one.person, other.person)?;
        Some(if one.second || other.second { worth - self.second_place } else { worth })
    }
}

impl Pairs for Places<'_> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn walk(&self, rows: impl Iterator<Item = u32>, mut wanted: impl FnMut(u32, u32) -> bool, mut each: impl FnMut(u32, u32, i64)) {
        for a in rows {
            for b in a + 1..self.places.len() as u32 {
                if wanted(a, b)
                    && let Some(worth) = self.worth(a, b)
                {
                    each(a, b, worth);
                }
            }
        }
    }
}

/// What a pair is worth at the most.
const LARGEST: i64 = 2 * FULL as i64 + KEPT;
