//! The hard rules: who can never be partners.
use super::applicant::{Exclusions, primary_language};
use super::profile::{Profile, Set, holds};
use super::roster::Roster;
use crate::domain::fold::fold;
use crate::domain::places;

/// Why two people can't be partners. Only some may be told to the two: see [`super::explain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// There is no language that both speak at least fairly; one that is only being learnt doesn't count.
    NoCommonLanguage,
    /// They belong to one organisation, by its name or its mail domain.
    SameOrganisation,
    /// They were partners before.
    EarlierPartners,
    /// The first excluded the second's country, its region, or the person.
    ExcludedByFirst,
    /// The second excluded the first.
    ExcludedBySecond,
    /// A coordinator keeps them apart.
    Vetoed,
}

impl Roster<'_> {
    /// What keeps two different people apart, if anything does.
    pub fn barrier(&self, first: usize, second: usize) -> Option<Barrier> {
        let (a, b) = (&self.profiles[first], &self.profiles[second]);
        let pair = (first.min(second) as u32, first.max(second) as u32);
        if !a.meets(Set::Speaks, b, Set::Speaks) {
            Some(Barrier::NoCommonLanguage)
        } else if are_colleagues(a, b) {
            Some(Barrier::SameOrganisation)
        } else if self.were_partners(first, second) {
            Some(Barrier::EarlierPartners)
        } else if self.excludes(first, second) {
            Some(Barrier::ExcludedByFirst)
        } else if self.excludes(second, first) {
            Some(Barrier::ExcludedBySecond)
        } else if self.vetoed.contains(&pair) {
            Some(Barrier::Vetoed)
        } else {
            None
        }
    }

    /// Whether two different people may be partners: as [`Self::barrier`], in less time.
    #[inline]
    pub(super) fn may_meet(&self, first: usize, second: usize) -> bool {
        let (a, b) = (&self.profiles[first], &self.profiles[second]);
        let barred = a.has(Set::BarsPlaces, b.country) || b.has(Set::BarsPlaces, a.country);
        a.meets(Set::Speaks, b, Set::Speaks) && !barred && !are_colleagues(a, b) && !holds(&a.apart, second)
    }

    /// Whether somebody's own exclusions keep another person away.
    pub fn excludes(&self, who: usize, whom: usize) -> bool {
        self.excludes_place_of(who, whom) || self.named.get(&who).is_some_and(|named| named.barred.contains(&(whom as u32)))
    }

    /// Whether somebody excluded the country of another person, or a region that it lies in.
    pub(super) fn excludes_place_of(&self, who: usize, whom: usize) -> bool {
        self.profiles[who].has(Set::BarsPlaces, self.profiles[whom].country)
    }

    /// As [`Self::may_meet`], if `who` took these of the own exclusions back.
    pub(super) fn may_meet_but_for(&self, who: usize, other: usize, taken_back: &Exclusions) -> bool {
        let pair = (who.min(other) as u32, who.max(other) as u32);
        let (own, person) = (&self.people[who].excludes, self.people[other]);
        let left = |all: &[String], less: &[String]| all.iter().filter(|one| !less.contains(one)).cloned().collect::<Vec<_>>();
        let (countries, regions, people) =
            (left(&own.countries, &taken_back.countries), left(&own.regions, &taken_back.regions), left(&own.people, &taken_back.people));
        let place = person.country.as_ref().is_some_and(|country| countries.contains(country) || regions.iter().any(|region| places::is_in(country, region)));
        let means = |word: &String| *word == person.id || person.name.as_deref().is_some_and(|name| fold(name) == fold(word));
        self.may_write(who, other)
            && !self.are_colleagues(who, other)
            && !self.were_partners(who, other)
            && !self.vetoed.contains(&pair)
            && !self.excludes(other, who)
            && !place
            && !people.iter().any(means)
    }

    /// Whether two people speak a language in common.
    #[inline]
    pub(super) fn may_write(&self, first: usize, second: usize) -> bool {
        self.profiles[first].meets(Set::Speaks, &self.profiles[second], Set::Speaks)
    }

    /// Whether two people belong to one organisation.
    #[inline]
    pub(super) fn are_colleagues(&self, first: usize, second: usize) -> bool {
        are_colleagues(&self.profiles[first], &self.profiles[second])
    }

    /// Whether two people were partners before.
    pub(super) fn were_partners(&self, first: usize, second: usize) -> bool {
        self.earlier.contains(&(first.min(second) as u32, first.max(second) as u32))
    }

    /// Whether there is a language that all of these people speak.
    pub fn share_a_language(&self, people: &[usize]) -> bool {
        let spoken = |tag: &String| {
            let language = primary_language(tag);
            people.iter().all(|&person| self.people[person].languages.iter().any(|tag| primary_language(tag) == language))
        };
        people.first().is_none_or(|&first| self.people[first].languages.iter().any(spoken))
    }
}

/// Whether two people belong to one organisation.
#[inline]
fn are_colleagues(a: &Profile, b: &Profile) -> bool {
    let same = |one: Option<u32>, other: Option<u32>| one.is_some() && one == other;
    same(a.organisation, b.organisation) || same(a.domain, b.domain)
}

#[cfg(test)]
mod tests {
    use super::super::{Applicant, Decision, LIBRARIES, Past, Verdict, Weights, read_applicants};
    use super::*;

    fn two(one: &str, other: &str) -> Vec<Applicant> {
        let line = |id: &str, more: &str| format!("{{\"id\": \"{id}\"{}{more}}}", if more.is_empty() { "" } else { ", " });
        read_applicants(&format!("{}\n{}", line("a", one), line("b", other)), &LIBRARIES).expect("good lines")
    }

    fn barrier(one: &str, other: &str) -> Option<Barrier> {
        let people = two(one, other);
        Roster::new(&people, &[], &[], &[], &Weights::default()).barrier(0, 1)
    }

    const EN: &str = r#""languages": ["en"]"#;

    #[test]
    fn partners_need_a_language_that_both_speak_and_not_only_learn() {
        assert_eq!(barrier(EN, EN), None);
        assert_eq!(barrier(r#""languages": ["pt-BR"]"#, r#""languages": ["fr", "pt"]"#), None);
        assert_eq!(barrier(EN, r#""languages": ["fr"], "learning": ["en"]"#), Some(Barrier::NoCommonLanguage));
        assert_eq!(barrier(EN, ""), Some(Barrier::NoCommonLanguage));
    }

    #[test]
    fn colleagues_are_not_matched() {
        let with = |more: &str| format!("{EN}, {more}");
        assert_eq!(barrier(&with(r#""organisation": "The City Library""#), &with(r#""organisation": "city library""#)), Some(Barrier::SameOrganisation));
        assert_eq!(barrier(&with(r#""organisation_domain": "x.example""#), &with(r#""organisation_domain": "X.example""#)), Some(Barrier::SameOrganisation));
        assert_eq!(barrier(&with(r#""organisation": "City Library""#), &with(r#""organisation": "Town Library""#)), None);
    }

    #[test]
    fn exclusions_hold_whoever_made_them() {
        let with = |more: &str| format!("{EN}, {more}");
        let peru = with(r#""country": "PE""#);
        assert_eq!(barrier(&with(r#""excludes": {"countries": ["PE"]}"#), &peru), Some(Barrier::ExcludedByFirst));
        assert_eq!(barrier(&peru, &with(r#""excludes": {"regions": ["419"]}"#)), Some(Barrier::ExcludedBySecond));
        assert_eq!(barrier(&with(r#""excludes": {"people": ["b"]}"#), &peru), Some(Barrier::ExcludedByFirst));
        assert_eq!(barrier(&with(r#""excludes": {"people": ["dalva pena"]}"#), &with(r#""name": "Dalva Peña""#)), Some(Barrier::ExcludedByFirst));
        assert_eq!(barrier(&with(r#""excludes": {"countries": ["CL"], "regions": ["150"], "people": ["z"]}"#), &peru), None);
    }

    #[test]
    fn earlier_partners_and_vetoed_pairs_stay_apart() {
        let people = two(EN, EN);
        let past = [Past { a: "b".into(), b: "a".into() }];
        assert_eq!(Roster::new(&people, &past, &[], &[], &Weights::default()).barrier(0, 1), Some(Barrier::EarlierPartners));
        let veto = [Decision { a: "b".into(), b: "a".into(), decision: Verdict::Veto }];
        assert_eq!(Roster::new(&people, &[], &veto, &[], &Weights::default()).barrier(0, 1), Some(Barrier::Vetoed));
    }
}
