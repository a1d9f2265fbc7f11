//! The hard rules: who can never be partners.
use super::roster::Roster;

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
        let same = |one: Option<u32>, other: Option<u32>| one.is_some() && one == other;
        if !meet(&a.languages, &b.languages) {
            Some(Barrier::NoCommonLanguage)
        } else if same(a.organisation, b.organisation) || same(a.domain, b.domain) {
            Some(Barrier::SameOrganisation)
        } else if a.earlier.contains(&(second as u32)) {
            Some(Barrier::EarlierPartners)
        } else if self.excludes(first, second) {
            Some(Barrier::ExcludedByFirst)
        } else if self.excludes(second, first) {
            Some(Barrier::ExcludedBySecond)
        } else if a.vetoed.contains(&(second as u32)) {
            Some(Barrier::Vetoed)
        } else {
            None
        }
    }

    /// Whether somebody's own exclusions keep another person away.
    pub fn excludes(&self, who: usize, whom: usize) -> bool {
        let profile = &self.profiles[who];
        let country = self.profiles[whom].country;
        country.is_some_and(|country| profile.bars_countries.get(country) == Some(&true)) || profile.bars.contains(&(whom as u32))
    }

    /// Whether there is a language that all of these people speak.
    pub fn share_a_language(&self, people: &[usize]) -> bool {
        let Some((&first, others)) = people.split_first() else { return true };
        let spoken = |language: &u32| others.iter().all(|&other| self.profiles[other].languages.contains(language));
        self.profiles[first].languages.iter().any(spoken)
    }
}

/// Whether two sorted lists have an item in common.
pub(super) fn meet(one: &[u32], other: &[u32]) -> bool {
    in_common(one, other, 1) == 1
}

/// How many items two sorted lists have in common, counted up to `enough`.
pub(super) fn in_common(one: &[u32], other: &[u32], enough: u32) -> u32 {
    let (mut i, mut j, mut found) = (0, 0, 0);
    while i < one.len() && j < other.len() && found < enough {
        if one[i] == other[j] {
            found += 1;
            i += 1;
            j += 1;
        } else if one[i] < other[j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
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
        Roster::new(&people, &[], &[], &Weights::default()).barrier(0, 1)
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
        assert_eq!(Roster::new(&people, &past, &[], &Weights::default()).barrier(0, 1), Some(Barrier::EarlierPartners));
        let veto = [Decision { a: "b".into(), b: "a".into(), decision: Verdict::Veto }];
        assert_eq!(Roster::new(&people, &[], &veto, &Weights::default()).barrier(0, 1), Some(Barrier::Vetoed));
    }
}
