//! The people of a round, prepared for comparing everybody with everybody: words become numbers once, so that a comparison is cheap.
use std::collections::HashMap;
use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::applicant::{Applicant, Rhythm, SectorWish, Stage, StageWish, Way, primary_language};
use super::weights::Weights;
use super::{Decision, Past, Verdict};
use crate::domain::fold::fold;
use crate::domain::places;

/// Everybody in a round, with what binds them; people are known by their position.
pub struct Roster<'a> {
    /// The people.
    pub people: &'a [Applicant],
    /// How much each thing counts.
    pub weights: &'a Weights,
    pub(super) profiles: Vec<Profile>,
}

/// A person in numbers. Numbers of words are equal where the words are, but for case, accents and punctuation; lists are sorted.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub country: Option<usize>,
    pub languages: Vec<u32>,
    pub learning: Vec<u32>,
    pub sector: Option<u32>,
    pub stage: Option<Stage>,
    pub role: Option<usize>,
    pub organisation: Option<u32>,
    pub domain: Option<u32>,
    pub interests: Vec<u32>,
    pub rhythm: Option<Rhythm>,
    pub ways: Vec<Way>,
    /// Minutes east of Greenwich in the northern winter and summer.
    pub clock: Option<[i32; 2]>,
    pub wishes: WishProfile,
    /// For each country in the round, whether its people are excluded.
    pub bars_countries: Vec<bool>,
    /// People excluded by this person.
    pub bars: Vec<u32>,
    /// Earlier partners.
    pub earlier: Vec<u32>,
    /// Whom a coordinator keeps apart from this person.
    pub vetoed: Vec<u32>,
}

/// A person's wishes in numbers; what is `None` or empty was not asked.
#[derive(Debug, Default)]
pub(super) struct WishProfile {
    /// For each country in the round, whether it is wished for.
    pub countries: Option<Vec<bool>>,
    pub sector: SectorWish,
    pub stage: StageWish,
    pub languages: Vec<u32>,
    /// For each role in the round, whether it is wished for.
    pub roles: Option<Vec<bool>>,
    pub interests: Vec<u32>,
    /// People in the round who were named; `asks_people` also where none of those named takes part.
    pub people: Vec<u32>,
    pub asks_people: bool,
}

/// Gives equal words equal numbers.
#[derive(Default)]
struct Numbering(HashMap<String, u32>);

impl Numbering {
    fn number(&mut self, word: String) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(word).or_insert(next)
    }

    fn of(&mut self, words: impl IntoIterator<Item = String>) -> Vec<u32> {
        let mut numbers: Vec<u32> = words.into_iter().filter(|word| !word.is_empty()).map(|word| self.number(word)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn one(&mut self, word: Option<String>) -> Option<u32> {
        word.filter(|word| !word.is_empty()).map(|word| self.number(word))
    }
}

/// The distinct values of one answer in the round, in order.
fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.filter(|value| !value.is_empty()).collect();
    values.sort_unstable();
    values.dedup();
    values
}

impl<'a> Roster<'a> {
    /// Prepares people. Earlier pairs and vetoes that concern somebody who is not there have no effect.
    pub fn new(people: &'a [Applicant], past: &[Past], decisions: &[Decision], weights: &'a Weights) -> Self {
        let position: HashMap<&str, u32> = people.iter().zip(0..).map(|(person, index)| (person.id.as_str(), index)).collect();
        let mut words = Words::of(people);
        let mut profiles: Vec<Profile> = people.iter().map(|person| words.profile(person, &position)).collect();
        let both = |a: &str, b: &str| Some((*position.get(a)?, *position.get(b)?));
        for (a, b) in past.iter().filter_map(|pair| both(&pair.a, &pair.b)) {
            profiles[a as usize].earlier.push(b);
            profiles[b as usize].earlier.push(a);
        }
        for decision in decisions.iter().filter(|decision| decision.decision == Verdict::Veto) {
            if let Some((a, b)) = both(&decision.a, &decision.b) {
                profiles[a as usize].vetoed.push(b);
                profiles[b as usize].vetoed.push(a);
            }
        }
        Self { people, weights, profiles }
    }

    /// Everybody's position.
    pub fn positions(&self) -> std::ops::Range<usize> {
        0..self.people.len()
    }
}

/// The vocabulary of a round.
struct Words {
    names: HashMap<String, Vec<u32>>,
    countries: Vec<String>,
    roles: Vec<String>,
    languages: Numbering,
    interests: Numbering,
    sectors: Numbering,
    organisations: Numbering,
    domains: Numbering,
}

impl Words {
    fn of(people: &[Applicant]) -> Self {
        let mut names: HashMap<String, Vec<u32>> = HashMap::new();
        for (index, person) in (0..).zip(people) {
            if let Some(name) = person.name.as_deref().map(fold).filter(|name| !name.is_empty()) {
                names.entry(name).or_default().push(index);
            }
        }
        Self {
            names,
            countries: distinct(people.iter().filter_map(|person| person.country.clone())),
            roles: distinct(people.iter().filter_map(|person| person.role.as_deref().map(fold))),
            languages: Numbering::default(),
            interests: Numbering::default(),
            sectors: Numbering::default(),
            organisations: Numbering::default(),
            domains: Numbering::default(),
        }
    }

    fn profile(&mut self, person: &Applicant, position: &HashMap<&str, u32>) -> Profile {
        let index_in = |values: &[String], value: Option<String>| value.and_then(|value| values.binary_search(&value).ok());
        // People write names, lists hold identifiers; a name means everybody who bears it.
        let find = |word: &str| position.get(word).map_or_else(|| self.names.get(&fold(word)).cloned().unwrap_or_default(), |&one| vec![one]);
        let people = |named: &[String]| named.iter().flat_map(|word| find(word)).collect::<Vec<u32>>();
        let (named, barred) = (people(&person.prefers.people), people(&person.excludes.people));
        let (prefers, excludes) = (&person.prefers, &person.excludes);
        Profile {
            country: index_in(&self.countries, person.country.clone()),
            languages: self.languages.of(person.languages.iter().map(|tag| primary_language(tag))),
            learning: self.languages.of(person.learning.iter().map(|tag| primary_language(tag))),
            sector: self.sectors.one(person.sector.as_deref().map(fold)),
            stage: person.stage,
            role: index_in(&self.roles, person.role.as_deref().map(fold)),
            organisation: self.organisations.one(person.organisation.as_deref().map(organisation_key)),
            domain: self.domains.one(person.organisation_domain.as_deref().map(domain_key)),
            interests: self.interests.of(person.interests.iter().map(|term| fold(term))),
            rhythm: person.rhythm,
            ways: person.ways.clone(),
            clock: person.timezone.as_deref().and_then(clock),
            wishes: WishProfile {
                countries: self.places(&prefers.countries, &prefers.regions),
                sector: prefers.sector,
                stage: prefers.stage,
                languages: self.languages.of(prefers.languages.iter().map(|tag| primary_language(tag))),
                roles: (!prefers.roles.is_empty()).then(|| self.roles.iter().map(|role| prefers.roles.iter().any(|wish| names_role(wish, role))).collect()),
                interests: self.interests.of(prefers.interests.iter().map(|term| fold(term))),
                people: named,
                asks_people: !prefers.people.is_empty(),
            },
            bars_countries: self.places(&excludes.countries, &excludes.regions).unwrap_or_default(),
            bars: barred,
            earlier: Vec::new(),
            vetoed: Vec::new(),
        }
    }

    /// For each country in the round, whether the lists hold it; `None` for empty lists.
    fn places(&self, countries: &[String], regions: &[String]) -> Option<Vec<bool>> {
        let held = |code: &String| countries.contains(code) || regions.iter().any(|region| places::is_in(code, region));
        (!countries.is_empty() || !regions.is_empty()).then(|| self.countries.iter().map(held).collect())
    }
}

/// "The British Library" and "British library" are one organisation.
fn organisation_key(name: &str) -> String {
    let folded = fold(name);
    folded.strip_prefix("the ").unwrap_or(&folded).trim().to_owned()
}

fn domain_key(domain: &str) -> String {
    let domain = domain.trim().trim_end_matches('.').to_ascii_lowercase();
    domain.strip_prefix("www.").unwrap_or(&domain).to_owned()
}

/// Whether a role, folded, is of the kind that was wished for: who asks for a "librarian" gets a "systems librarian" too.
fn names_role(wish: &str, role: &str) -> bool {
    let wish = fold(wish);
    !wish.is_empty() && format!(" {role} ").contains(&format!(" {wish} "))
}

/// Minutes east of Greenwich in the middle of a January and of a July. A round lasts months, so one day's offset would be unfair to
/// those whose clocks change; the year hardly matters, and a fixed one keeps an old match repeatable.
fn clock(timezone: &str) -> Option<[i32; 2]> {
    let zone = Tz::from_str(timezone).ok()?;
    let minutes = |seconds| Some(zone.offset_from_utc_datetime(&DateTime::from_timestamp(seconds, 0)?.naive_utc()).fix().local_minus_utc() / 60);
    Some([minutes(MID_JANUARY_2026)?, minutes(MID_JULY_2026)?])
}

const MID_JANUARY_2026: i64 = 1_768_435_200;
const MID_JULY_2026: i64 = 1_784_073_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_in_winter_and_in_summer() {
        assert_eq!(clock("Europe/Paris"), Some([60, 120]));
        assert_eq!(clock("Pacific/Auckland"), Some([780, 720]));
        assert_eq!(clock("Nowhere"), None);
    }

    #[test]
    fn names_of_organisations_and_roles_are_compared_by_their_words() {
        assert_eq!(organisation_key("The  British Library"), organisation_key("british library."));
        assert_eq!(domain_key("WWW.BL.example."), "bl.example");
        assert!(names_role("Librarian", "systems librarian") && names_role("Systems librarian", "systems librarian"));
        assert!(!names_role("librarian", "librarianship") && !names_role("", "librarian"));
    }
}
