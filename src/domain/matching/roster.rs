//! The people of a round, prepared for comparing everybody with everybody: words become numbers once, so that a comparison is cheap.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::applicant::{Applicant, SectorWish, Stage, StageWish, Way, primary_language};
use super::profile::{Profile, Set, asks};
use super::weights::Weights;
use super::{Decision, Past, Verdict};
use crate::domain::fold::fold;
use crate::domain::places;

/// Everybody in a round, with what binds them; people are known by their position.
pub struct Roster<'a> {
    /// The people.
    pub people: Vec<&'a Applicant>,
    /// How much each thing counts.
    pub weights: &'a Weights,
    pub(super) profiles: Vec<Profile>,
    /// Of each person who named or excluded people: those of them who are there.
    pub(super) named: HashMap<usize, Named>,
    /// Earlier pairs and pairs under a veto, the lower position first.
    pub(super) earlier: HashSet<(u32, u32)>,
    pub(super) vetoed: HashSet<(u32, u32)>,
    /// Minutes east of Greenwich in the northern winter and summer, by the number of the clock; the first is the unknown one.
    clocks: Vec<Option<[i32; 2]>>,
    /// Points for the waking hours that the bearers of two clocks share.
    pub(super) hours: Vec<u16>,
}

/// Whom somebody named.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// In wishes.
    pub wished: Vec<u32>,
    /// In exclusions.
    pub barred: Vec<u32>,
}

impl<'a> Roster<'a> {
    /// Prepares people. Earlier pairs, vetoes and pairs to keep that concern somebody who is not there have no effect.
    pub fn new(people: impl IntoIterator<Item = &'a Applicant>, past: &[Past], decisions: &[Decision], kept: &[Past], weights: &'a Weights) -> Self {
        let people: Vec<&Applicant> = people.into_iter().collect();
        let mut words = Words::of(&people);
        let mut profiles: Vec<Profile> = people.iter().map(|person| words.profile(person, weights)).collect();
        let positions = Positions::of(&people);
        let named = positions.named(&people);
        let pairs = |pairs: &mut dyn Iterator<Item = (&str, &str)>| pairs.filter_map(|(a, b)| positions.pair(a, b)).collect::<HashSet<_>>();
        let earlier = pairs(&mut past.iter().map(|pair| (pair.a.as_str(), pair.b.as_str())));
        let vetoes = decisions.iter().filter(|decision| decision.decision == Verdict::Veto);
        let vetoed = pairs(&mut vetoes.map(|decision| (decision.a.as_str(), decision.b.as_str())));
        let kept = pairs(&mut kept.iter().map(|pair| (pair.a.as_str(), pair.b.as_str())));
        let barred = named.iter().flat_map(|(&who, named)| named.barred.iter().map(move |&whom| ordered(who as u32, whom)));
        let apart: HashSet<(u32, u32)> = earlier.iter().chain(&vetoed).copied().chain(barred).collect();
        let wishes = |who: u32, whom: u32| named.get(&(who as usize)).is_some_and(|named| named.wished.contains(&whom));
        let wished = named.iter().flat_map(|(&who, named)| named.wished.iter().map(move |&whom| ordered(who as u32, whom)));
        let mutual: HashSet<(u32, u32)> = wished.filter(|&(a, b)| wishes(a, b) && wishes(b, a)).collect();
        spread(&mut profiles, &apart, |profile| &mut profile.apart);
        spread(&mut profiles, &mutual, |profile| &mut profile.mutual);
        spread(&mut profiles, &kept, |profile| &mut profile.kept);
        let clocks = words.clocks();
        let hours = shared_hours(&clocks, weights.waking_hours);
        Self { people, weights, profiles, named, earlier, vetoed, clocks, hours }
    }

    /// Everybody's position.
    pub fn positions(&self) -> std::ops::Range<usize> {
        0..self.people.len()
    }

    /// Where somebody stands; the people must be in the order of their identifiers.
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.people.binary_search_by(|person| person.id.as_str().cmp(id)).ok()
    }

    /// By how many minutes the clocks of two people differ, on average over the year; 0 to 720. `None` where a time zone is unknown.
    pub fn minutes_apart(&self, a: usize, b: usize) -> Option<u32> {
        let clock = |person: usize| self.clocks[usize::from(self.profiles[person].clock)];
        Some(minutes_between(clock(a)?, clock(b)?))
    }

    /// What the number of a clock times this, plus that of another, is among `hours`.
    pub(super) fn number_of_clocks(&self) -> usize {
        self.clocks.len()
    }
}

fn ordered(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// Gives each person the list of those with whom they are in a pair.
fn spread(profiles: &mut [Profile], pairs: &HashSet<(u32, u32)>, list: fn(&mut Profile) -> &mut Box<[u32]>) {
    let mut others: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &(a, b) in pairs.iter().filter(|(a, b)| a != b) {
        others.entry(a).or_default().push(b);
        others.entry(b).or_default().push(a);
    }
    for (person, mut others) in others {
        others.sort_unstable();
        *list(&mut profiles[person as usize]) = others.into_boxed_slice();
    }
}

/// Who stands where, by identifier and by name.
struct Positions<'a> {
    ids: HashMap<&'a str, u32>,
    names: HashMap<String, Vec<u32>>,
}

impl<'a> Positions<'a> {
    fn of(people: &[&'a Applicant]) -> Self {
        let mut names: HashMap<String, Vec<u32>> = HashMap::new();
        for (position, person) in (0..).zip(people) {
            if let Some(name) = person.name.as_deref().map(fold).filter(|name| !name.is_empty()) {
                names.entry(name).or_default().push(position);
            }
        }
        Self { ids: people.iter().zip(0..).map(|(person, position)| (person.id.as_str(), position)).collect(), names }
    }

    fn pair(&self, a: &str, b: &str) -> Option<(u32, u32)> {
        Some(ordered(*self.ids.get(a)?, *self.ids.get(b)?))
    }

    fn named(&self, people: &[&Applicant]) -> HashMap<usize, Named> {
        // People write names, lists hold identifiers; a name means everybody who bears it.
        let find = |word: &String| self.ids.get(word.as_str()).map_or_else(|| self.names.get(&fold(word)).cloned().unwrap_or_default(), |&one| vec![one]);
        let of = |words: &[String]| words.iter().flat_map(find).collect::<Vec<u32>>();
        let naming = people.iter().enumerate().filter(|(_, person)| person.names_people());
        naming.map(|(position, person)| (position, Named { wished: of(&person.prefers.people), barred: of(&person.excludes.people) })).collect()
    }
}

/// Gives equal words equal numbers, the commonest the lowest.
#[derive(Default)]
struct Numbering(HashMap<String, u32>);

impl Numbering {
    fn of(words: impl Iterator<Item = String>) -> Self {
        let mut count: HashMap<String, usize> = HashMap::new();
        for word in words.filter(|word| !word.is_empty()) {
            *count.entry(word).or_default() += 1;
        }
        let mut order: Vec<(usize, String)> = count.into_iter().map(|(word, count)| (count, word)).collect();
        order.sort_unstable_by(|(count, word), (other_count, other)| other_count.cmp(count).then_with(|| word.cmp(other)));
        Self(order.into_iter().zip(0..).map(|((_, word), number)| (word, number)).collect())
    }

    fn one(&self, word: &str) -> Option<u32> {
        self.0.get(word).copied()
    }

    /// The numbers of words, in order, each once; those of unknown words are left out.
    fn some(&self, words: impl Iterator<Item = String>) -> Vec<u32> {
        let mut numbers: Vec<u32> = words.filter_map(|word| self.one(&word)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// The vocabulary of a round. What nobody has gets no number, since no two could share it.
struct Words {
    countries: Numbering,
    roles: Numbering,
    languages: Numbering,
    interests: Numbering,
    sectors: Numbering,
    organisations: Numbering,
    domains: Numbering,
    zones: BTreeMap<String, u16>,
    /// The roles that a wished one means.
    meant: HashMap<String, Vec<u32>>,
}

impl Words {
    fn of(people: &[&Applicant]) -> Self {
        let each = |word: fn(&Applicant) -> Option<String>| Numbering::of(people.iter().filter_map(|person| word(person)));
        let mut zones: Vec<&String> = people.iter().filter_map(|person| person.timezone.as_ref()).collect();
        zones.sort_unstable();
        zones.dedup();
        Self {
            countries: each(|person| person.country.clone()),
            roles: each(|person| person.role.as_deref().map(fold)),
            languages: Numbering::of(people.iter().flat_map(|person| person.languages.iter().map(|tag| primary_language(tag)))),
            interests: Numbering::of(people.iter().flat_map(|person| person.interests.iter().map(|term| fold(term)))),
            sectors: each(|person| person.sector.as_deref().map(fold)),
            organisations: each(|person| person.organisation.as_deref().map(organisation_key)),
            domains: each(|person| person.organisation_domain.as_deref().map(domain_key)),
            zones: zones.into_iter().cloned().zip(1..).collect(),
            meant: HashMap::new(),
        }
    }

    fn profile(&mut self, person: &Applicant, weights: &Weights) -> Profile {
        let (prefers, excludes) = (&person.prefers, &person.excludes);
        let mut profile = Profile {
            asks: wishes_of(person),
            stage: person.stage.map_or(0, bit),
            stages_wished: person.stage.map_or(0, |own| stages_wished(own, prefers.stage)),
            ways: person.ways.iter().map(|way| way_bit(*way)).fold(0, |all, one| all | one),
            rhythm: person.rhythm,
            sector_wished: prefers.sector,
            clock: person.timezone.as_ref().and_then(|zone| self.zones.get(zone)).copied().unwrap_or(0),
            country: person.country.as_deref().and_then(|country| self.countries.one(country)),
            sector: person.sector.as_deref().and_then(|sector| self.sectors.one(&fold(sector))),
            role: person.role.as_deref().and_then(|role| self.roles.one(&fold(role))),
            organisation: person.organisation.as_deref().and_then(|name| self.organisations.one(&organisation_key(name))),
            domain: person.organisation_domain.as_deref().and_then(|domain| self.domains.one(&domain_key(domain))),
            ..Profile::default()
        };
        let languages = |tags: &[String]| self.languages.some(tags.iter().map(|tag| primary_language(tag)));
        profile.fill(Set::Speaks, &languages(&person.languages));
        profile.fill(Set::Learns, &languages(&person.learning));
        profile.fill(Set::WishesLanguages, &languages(&prefers.languages));
        profile.fill(Set::Likes, &self.interests.some(person.interests.iter().map(|term| fold(term))));
        profile.fill(Set::WishesInterests, &self.interests.some(prefers.interests.iter().map(|term| fold(term))));
        profile.fill(Set::WishesPlaces, &self.places(&prefers.countries, &prefers.regions));
        profile.fill(Set::BarsPlaces, &self.places(&excludes.countries, &excludes.regions));
        profile.fill(Set::WishesRoles, &self.roles_meant(&prefers.roles));
        super::score::set_shares(&mut profile, weights);
        profile
    }

    /// The countries in the round that the lists hold.
    fn places(&self, countries: &[String], regions: &[String]) -> Vec<u32> {
        let held = |code: &String| countries.contains(code) || regions.iter().any(|region| places::is_in(code, region));
        if countries.is_empty() && regions.is_empty() {
            return Vec::new();
        }
        let mut numbers: Vec<u32> = self.countries.0.iter().filter(|(code, _)| held(code)).map(|(_, &number)| number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The roles in the round that the wished ones mean.
    fn roles_meant(&mut self, wished: &[String]) -> Vec<u32> {
        let mut numbers = Vec::new();
        for wish in wished {
            let roles = &self.roles;
            let meant = self
                .meant
                .entry(fold(wish))
                .or_insert_with_key(|wish| roles.0.iter().filter(|(role, _)| names_role(wish, role)).map(|(_, &number)| number).collect());
            numbers.extend_from_slice(meant);
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn clocks(&self) -> Vec<Option<[i32; 2]>> {
        std::iter::once(None).chain(self.zones.keys().map(|zone| clock(zone))).collect()
    }
}

fn wishes_of(person: &Applicant) -> u8 {
    let wishes = &person.prefers;
    let bits = [
        (!wishes.countries.is_empty() || !wishes.regions.is_empty(), asks::PLACE),
        (wishes.sector != SectorWish::Any, asks::SECTOR),
        (wishes.stage != StageWish::Any, asks::STAGE),
        (!wishes.languages.is_empty(), asks::LANGUAGES),
        (!wishes.roles.is_empty(), asks::ROLES),
        (!wishes.interests.is_empty(), asks::INTERESTS),
        (!wishes.people.is_empty(), asks::PEOPLE),
    ];
    bits.into_iter().filter(|(asked, _)| *asked).fold(0, |all, (_, bit)| all | bit)
}

fn bit(stage: Stage) -> u8 {
    1 << stage as u8
}

fn stages_wished(own: Stage, wish: StageWish) -> u8 {
    let fitting = |other: &Stage| match wish {
        StageWish::Any => false,
        StageWish::Same => *other == own,
        StageWish::More => *other > own,
        StageWish::Less => *other < own,
    };
    [Stage::New, Stage::Mid, Stage::Senior].into_iter().filter(fitting).map(bit).fold(0, |all, one| all | one)
}

fn way_bit(way: Way) -> u8 {
    match way {
        Way::Letters => 1,
        Way::Calls => 2,
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

fn minutes_between(one: [i32; 2], other: [i32; 2]) -> u32 {
    let apart = |season: usize| {
        let difference = one[season].abs_diff(other[season]) % A_DAY;
        difference.min(A_DAY - difference)
    };
    (apart(0) + apart(1)) / 2
}

const A_DAY: u32 = 24 * 60;
/// Nobody is asleep for longer, so that anybody's waking hours share 8 of 24 with anybody else's: only those beyond count.
const ASLEEP: u32 = 8 * 60;

/// Points for the waking hours that the bearers of each two clocks share, in proportion to those that they share beyond the least: all of them where the clocks agree, none
/// from eight hours apart.
fn shared_hours(clocks: &[Option<[i32; 2]>], points: u32) -> Vec<u16> {
    let of = |one: &Option<[i32; 2]>, other: &Option<[i32; 2]>| match (one, other) {
        (Some(one), Some(other)) => points * ASLEEP.saturating_sub(minutes_between(*one, *other)) / ASLEEP,
        (Some(_), None) | (None, _) => 0,
    };
    clocks.iter().flat_map(|one| clocks.iter().map(move |other| of(one, other) as u16)).collect()
}

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
    fn the_commonest_words_get_the_lowest_numbers() {
        let numbers = Numbering::of(["b", "a", "c", "c", "", "a", "c"].into_iter().map(str::to_owned));
        assert_eq!(["c", "a", "b", ""].map(|word| numbers.one(word)), [Some(0), Some(1), Some(2), None]);
        assert_eq!(numbers.some(["b", "c", "z", "b"].into_iter().map(str::to_owned)), [0, 2]);
    }

    #[test]
    fn names_of_organisations_and_roles_are_compared_by_their_words() {
        assert_eq!(organisation_key("The  British Library"), organisation_key("british library."));
        assert_eq!(domain_key("WWW.BL.example."), "bl.example");
        assert!(names_role("Librarian", "systems librarian") && names_role("Systems librarian", "systems librarian"));
        assert!(!names_role("librarian", "librarianship") && !names_role("", "librarian"));
    }
}
