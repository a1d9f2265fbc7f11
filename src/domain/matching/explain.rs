//! Why, in words for the person concerned: which wishes are met, which are not, what the two share, and why somebody has no partner.
//!
//! The words are made of the reader's own wishes and of the partner's facts, never of anybody else's wishes, exclusions or vetoes. A
//! wish for a named person is told of only where both have it, and otherwise in words that don't depend on whether the named one took part.
use serde::{Deserialize, Serialize};

use super::applicant::{Applicant, Rhythm, SectorWish, StageWish, Way, primary_language};
use super::roster::Roster;
use super::rules::Barrier;
use super::score::Wish;
use crate::domain::fold::fold;
use crate::domain::{languages, places};

/// A match as one of those in it sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How satisfied this person should be, 0 to 1000; with two partners, by the one who suits less. For coordinators.
    pub satisfaction: u32,
    /// The wishes stated.
    pub asked: Vec<String>,
    /// The wishes met, and by what.
    pub met: Vec<String>,
    /// The wishes not met.
    pub unmet: Vec<String>,
    /// What the partners share beyond that.
    pub reasons: Vec<String>,
}

/// How to speak of one partner, or of one among two.
struct Voice {
    partner: &'static str,
    both: &'static str,
}

const OF_A_PAIR: Voice = Voice { partner: "your partner", both: "you both" };
const OF_A_TRIO: Voice = Voice { partner: "one of your partners", both: "you and one of your partners both" };

impl Roster<'_> {
    /// What somebody is told about being matched with these people: one, or two in a trio.
    pub fn side(&self, who: usize, partners: &[usize]) -> Side {
        let voice = if partners.len() > 1 { OF_A_TRIO } else { OF_A_PAIR };
        let satisfaction = partners.iter().map(|&partner| self.satisfaction(who, partner)).min().unwrap_or(0);
        let mut side = Side { satisfaction, asked: self.asked(who), ..Side::default() };
        for wish in Wish::ALL {
            let fitting = partners.iter().find(|&&partner| self.meets(wish, who, partner) == Some(true));
            match (fitting, self.meets(wish, who, who).is_some()) {
                (Some(&partner), _) => side.met.push(self.met(wish, who, partner, &voice)),
                (None, true) => side.unmet.push(self.unmet(wish, who, partners)),
                (None, false) => {}
            }
        }
        for &partner in partners {
            for reason in self.shared(who, partner, &voice) {
                if !side.reasons.contains(&reason) {
                    side.reasons.push(reason);
                }
            }
        }
        side
    }

    /// Somebody's wishes, in words.
    pub fn asked(&self, who: usize) -> Vec<String> {
        let stated = Wish::ALL.into_iter().filter(|&wish| self.meets(wish, who, who).is_some());
        stated.map(|wish| wish_in_words(wish, self.people[who])).collect()
    }

    fn met(&self, wish: Wish, who: usize, with: usize, voice: &Voice) -> String {
        if wish == Wish::People {
            return format!("you and {} asked for each other", voice.partner);
        }
        let asked = wish_in_words(wish, self.people[who]);
        match self.fact(wish, who, with) {
            Some(fact) => format!("you asked for {asked}: {} {fact}", voice.partner),
            None => format!("you asked for {asked}, and that is what {} is", voice.partner),
        }
    }

    fn unmet(&self, wish: Wish, who: usize, partners: &[usize]) -> String {
        if wish == Wish::People {
            return "you named a person to write with: such a wish counts only where both name each other".to_owned();
        }
        let asked = wish_in_words(wish, self.people[who]);
        // Facts alone decide this, never rules: what others exclude must not shine through.
        let somebody = self.positions().any(|other| other != who && self.meets(wish, who, other) == Some(true));
        let ending = if somebody { "this time it could not be arranged" } else { "nobody in this round could have met that wish" };
        match partners {
            &[partner] => match self.fact(wish, who, partner) {
                Some(fact) => format!("you asked for {asked}: your partner {fact}; {ending}"),
                None => format!("you asked for {asked}: {ending}"),
            },
            _ => format!("you asked for {asked}: {ending}"),
        }
    }

    /// What a partner is in the respect of a wish, as the end of a sentence. `None` where it is unknown, private, or would only repeat the wish.
    fn fact(&self, wish: Wish, who: usize, with: usize) -> Option<String> {
        let (own, other) = (self.people[who], self.people[with]);
        let key = match wish {
            Wish::Place => "country",
            Wish::Sector => "sector",
            Wish::Stage => "stage",
            Wish::Languages => "languages",
            Wish::Roles => "role",
            Wish::Interests => "interests",
            Wish::People => return None,
        };
        // The stage is reckoned from the years in the field.
        if other.keeps_private(key) || (wish == Wish::Stage && other.keeps_private("years")) {
            return None;
        }
        match wish {
            Wish::Place => other.country.as_deref().and_then(places::name).map(|country| format!("is in {}", with_article(country))),
            Wish::Sector => other.sector.as_deref().map(|sector| format!("belongs to the sector “{sector}”")),
            Wish::Stage => match (own.stage?, other.stage?) {
                (own, other) if other > own => Some("has been in the field for longer".to_owned()),
                (own, other) if other < own => Some("has not been in the field for as long".to_owned()),
                (_, _) => Some("is at the same stage as you".to_owned()),
            },
            Wish::Languages => Some(format!("speaks {}", and(&language_names(&other.languages))?)),
            Wish::Roles => other.role.as_deref().map(|role| format!("works as “{role}”")),
            Wish::Interests => {
                let liked = common_terms(&own.prefers.interests, &other.interests);
                Some(format!("is interested in {}", and(&liked)?))
            }
            Wish::People => None,
        }
    }

    /// What two people have in common.
    fn shared(&self, who: usize, with: usize, voice: &Voice) -> Vec<String> {
        let (own, other, both, partner) = (self.people[who], self.people[with], voice.both, voice.partner);
        let may = |key: &str| !other.keeps_private(key);
        let mut reasons = Vec::new();
        if may("interests")
            && let Some(interests) = and(&common_terms(&own.interests, &other.interests))
        {
            reasons.push(format!("{both} work with, or care for, {interests}"));
        }
        if may("languages") {
            if let Some(languages) = and(&common_languages(&own.languages, &other.languages)) {
                reasons.push(format!("{both} speak {languages}"));
            }
            if let Some(languages) = and(&common_languages(&own.learning, &other.languages)) {
                reasons.push(format!("{partner} speaks {languages}, which you are learning"));
            }
        }
        if may("rhythm")
            && own.rhythm == other.rhythm
            && let Some(rhythm) = own.rhythm
        {
            reasons.push(format!("{both} would like to hear from each other {}", how_often(rhythm)));
        }
        if may("ways") {
            let ways = own.ways.iter().filter(|way| other.ways.contains(way));
            if let Some(ways) = and(&ways.map(|&way| in_way(way).to_owned()).collect::<Vec<_>>()) {
                reasons.push(format!("{both} like {ways}"));
            }
        }
        if may("timezone")
            && may("country")
            && let Some(near) = self.minutes_apart(who, with).and_then(nearness)
        {
            reasons.push(near);
        }
        reasons
    }

    /// Why somebody has no partner. `even` says that everybody else has one.
    pub fn why_unmatched(&self, who: usize, everybody_else_matched: bool) -> String {
        let others = || self.positions().filter(|&other| other != who);
        // Each step looks at facts, and at what this person excluded or knows; what others exclude is never a step of its own.
        let speaks = |&other: &usize| self.share_a_language(&[who, other]);
        let stranger = |&other: &usize| !matches!(self.barrier(who, other), Some(Barrier::SameOrganisation | Barrier::EarlierPartners));
        let welcome = |&other: &usize| !self.excludes(who, other);
        let why = if others().next().is_none() {
            "nobody else takes part in this round"
        } else if self.people[who].languages.is_empty() {
            "we don't know which languages you speak, and partners need one in common"
        } else if !others().any(|other| speaks(&other)) {
            "nobody in this round shares a language with you"
        } else if !others().filter(speaks).any(|other| stranger(&other)) {
            "everybody in this round who shares a language with you works at your own organisation or was your partner before"
        } else if !others().filter(speaks).filter(stranger).any(|other| welcome(&other)) {
            "everybody in this round who could be your partner is among those whom you asked us to leave out"
        } else if everybody_else_matched {
            "an odd number of people could be matched, so that one had to be left over"
        } else {
            "there were not enough people in this round to find a fitting partner for everybody"
        };
        why.to_owned()
    }
}

/// What follows "you asked for".
fn wish_in_words(wish: Wish, person: &Applicant) -> String {
    let wishes = &person.prefers;
    match wish {
        Wish::People => "a person whom you named".to_owned(),
        Wish::Place => {
            let countries = wishes.countries.iter().map(|code| places::name(code).unwrap_or(code));
            let regions = wishes.regions.iter().map(|code| places::region_name(code).unwrap_or(code));
            format!("a partner in {}", or(&countries.chain(regions).map(with_article).collect::<Vec<_>>()))
        }
        Wish::Languages => format!("a partner who speaks {}", or(&language_names(&wishes.languages))),
        Wish::Sector => match wishes.sector {
            SectorWish::Same => "a partner from your own sector".to_owned(),
            SectorWish::Different => "a partner from another sector".to_owned(),
            SectorWish::Any => "a partner from any sector".to_owned(),
        },
        Wish::Roles => format!("a partner who works as {}", or(&wishes.roles)),
        Wish::Stage => match wishes.stage {
            StageWish::Same => "a partner at your own stage".to_owned(),
            StageWish::More => "a partner with more years in the field".to_owned(),
            StageWish::Less => "a partner with fewer years in the field".to_owned(),
            StageWish::Any => "a partner at any stage".to_owned(),
        },
        Wish::Interests => format!("a partner interested in {}", or(&wishes.interests)),
    }
}

/// "the Netherlands", "the United States", "the Cook Islands"; "Peru".
fn with_article(place: &str) -> String {
    const PLURALS: [&str; 9] = ["Netherlands", "Philippines", "Bahamas", "Maldives", "Comoros", "Seychelles", "Gambia", "Americas", "Caribbean"];
    let takes_one = place.starts_with("United ") || place.ends_with(" Islands") || place.ends_with(" Republic") || PLURALS.contains(&place);
    if takes_one { format!("the {place}") } else { place.to_owned() }
}

fn how_often(rhythm: Rhythm) -> &'static str {
    match rhythm {
        Rhythm::Weekly => "every week",
        Rhythm::Fortnightly => "every two weeks",
        Rhythm::Monthly => "every month",
    }
}

fn in_way(way: Way) -> &'static str {
    match way {
        Way::Letters => "letters",
        Way::Calls => "calls",
    }
}

/// Clocks far apart are nothing to praise.
fn nearness(minutes: u32) -> Option<String> {
    match (minutes + 30) / 60 {
        0 => Some("your clocks show about the same time".to_owned()),
        1 => Some("your clocks are about an hour apart".to_owned()),
        hours @ 2..=3 => Some(format!("your clocks are about {hours} hours apart")),
        4.. => None,
    }
}

/// English names of languages.
fn language_names(tags: &[String]) -> Vec<String> {
    tags.iter().map(|tag| languages::name(&primary_language(tag)).unwrap_or(tag).to_owned()).collect()
}

fn common_languages(own: &[String], other: &[String]) -> Vec<String> {
    let spoken: Vec<String> = own.iter().filter(|tag| other.iter().any(|tag2| primary_language(tag) == primary_language(tag2))).cloned().collect();
    language_names(&spoken)
}

/// The terms, in the reader's own words, that the other one has too.
fn common_terms(own: &[String], other: &[String]) -> Vec<String> {
    let others: Vec<String> = other.iter().map(|term| fold(term)).collect();
    own.iter().filter(|term| others.contains(&fold(term))).cloned().collect()
}

/// "a, b and c"; `None` for nothing.
fn and(items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| joined(items, "and"))
}

fn or(items: &[String]) -> String {
    joined(items, "or")
}

fn joined(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [firsts @ .., end] => format!("{} {last} {end}", firsts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LIBRARIES, Weights, read_applicants};
    use super::*;

    fn side(lines: &[&str]) -> Side {
        let people = read_applicants(&lines.join("\n"), &LIBRARIES).expect("good lines");
        Roster::new(&people, &[], &[], &[], &Weights::default()).side(0, &(1..people.len().min(2)).collect::<Vec<_>>())
    }

    #[test]
    fn wishes_met_are_told_with_the_fact_that_meets_them() {
        let side = side(&[
            r#"{"id": "a", "sector": "public", "stage": "new", "prefers": {"regions": ["419"], "languages": ["es"], "sector": "different", "stage": "more",
                "roles": ["archivist"], "interests": ["maps"], "people": ["b"]}}"#
                .replace('\n', " ")
                .as_str(),
            r#"{"id": "b", "country": "PE", "languages": ["es", "en"], "sector": "academic", "stage": "senior", "role": "Chief archivist", "interests": ["Maps"], "prefers": {"people": ["a"]}}"#,
        ]);
        let region = places::region_name("419").expect("a region");
        assert_eq!(
            side.met,
            [
                "you and your partner asked for each other".to_owned(),
                format!("you asked for a partner in {region}: your partner is in Peru"),
                "you asked for a partner who speaks Spanish: your partner speaks Spanish and English".to_owned(),
                "you asked for a partner from another sector: your partner belongs to the sector “academic”".to_owned(),
                "you asked for a partner who works as archivist: your partner works as “Chief archivist”".to_owned(),
                "you asked for a partner with more years in the field: your partner has been in the field for longer".to_owned(),
                "you asked for a partner interested in maps: your partner is interested in maps".to_owned(),
            ]
        );
        assert_eq!((side.asked.len(), side.unmet.len()), (7, 0));
    }

    #[test]
    fn a_wish_that_nobody_could_meet_is_told_apart_from_one_that_lost() {
        let asks = r#"{"id": "a", "prefers": {"countries": ["PE"]}}"#;
        let finn = r#"{"id": "b", "country": "FI"}"#;
        assert_eq!(side(&[asks, finn]).unmet, ["you asked for a partner in Peru: your partner is in Finland; nobody in this round could have met that wish"]);
        let other = r#"{"id": "c", "country": "PE"}"#;
        assert_eq!(side(&[asks, finn, other]).unmet, ["you asked for a partner in Peru: your partner is in Finland; this time it could not be arranged"]);
    }

    #[test]
    fn whether_a_named_person_takes_part_is_not_told() {
        let absent = side(&[r#"{"id": "a", "prefers": {"people": ["z"]}}"#, r#"{"id": "b"}"#]);
        let present = side(&[r#"{"id": "a", "prefers": {"people": ["z"]}}"#, r#"{"id": "b"}"#, r#"{"id": "z"}"#]);
        let not_mutual = side(&[r#"{"id": "a", "prefers": {"people": ["b"]}}"#, r#"{"id": "b"}"#]);
        assert_eq!(absent.unmet.len(), 1);
        assert!(absent == present && absent == not_mutual);
    }

    #[test]
    fn what_partners_share_is_told_in_the_readers_words() {
        let side = side(&[
            r#"{"id": "a", "languages": ["en"], "learning": ["de"], "interests": ["rare books", "maps", "chess"], "rhythm": "monthly", "ways": ["letters"], "timezone": "Europe/Paris"}"#,
            r#"{"id": "b", "languages": ["de", "en"], "interests": ["Maps", "Rare Books"], "rhythm": "monthly", "ways": ["calls", "letters"], "timezone": "Europe/London"}"#,
        ]);
        assert_eq!(
            side.reasons,
            [
                "you both work with, or care for, rare books and maps",
                "you both speak English",
                "your partner speaks German, which you are learning",
                "you both would like to hear from each other every month",
                "you both like letters",
                "your clocks are about an hour apart",
            ]
        );
    }

    #[test]
    fn some_places_take_an_article() {
        assert_eq!(
            ["US", "NL", "PE", "CK"].map(|code| with_article(places::name(code).expect("a country"))),
            ["the United States", "the Netherlands", "Peru", "the Cook Islands"]
        );
    }

    #[test]
    fn what_a_partner_keeps_private_is_in_no_reason() {
        let mut people = read_applicants(
            "{\"id\": \"a\", \"languages\": [\"en\"], \"interests\": [\"maps\"], \"prefers\": {\"countries\": [\"PE\"]}}\n\
             {\"id\": \"b\", \"languages\": [\"en\"], \"interests\": [\"maps\"], \"country\": \"PE\"}",
            &LIBRARIES,
        )
        .expect("good lines");
        people[1].private = ["country", "interests", "languages"].map(str::to_owned).to_vec();
        let side = Roster::new(&people, &[], &[], &[], &Weights::default()).side(0, &[1]);
        assert_eq!((side.met.as_slice(), side.reasons.len()), (&["you asked for a partner in Peru, and that is what your partner is".to_owned()][..], 0));
    }
}
