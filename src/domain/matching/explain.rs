//! Why, in words for the person concerned: which wishes are met, which are not and why not, and what the partners share.
//!
//! The words are made of the reader's own wishes and of facts: the partner's, and in sum those of the round. Never of anybody else's wishes, exclusions or
//! vetoes: a sentence would be the same whatever those were, as long as the partner is the same. Nor do they tell whether a person whom the reader named takes
//! part: whatever is said of the round leaves the named ones out.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::phrases::{and, common_languages, common_terms, how_often, in_way, language_names, nearness, wish_in_words, with_article};
use super::roster::Roster;
use super::score::{Points, Wish};
use crate::domain::places;

/// A match as one of those in it sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How satisfied this person should be, 0 to 1000; with two partners, by the one who suits less. For coordinators.
    pub satisfaction: u32,
    /// What that number is made of. For coordinators: it may tell that a wish for a person is mutual.
    #[serde(default)]
    pub points: Vec<Points>,
    /// The wishes stated.
    pub asked: Vec<String>,
    /// The wishes met, and by what.
    pub met: Vec<String>,
    /// The wishes not met, and why.
    pub unmet: Vec<String>,
    /// What the partners share beyond that.
    pub reasons: Vec<String>,
}

/// What the programme calls things, for explanations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording {
    /// For each sector what its people do, to follow "your partner": "works in an academic library".
    pub sectors: BTreeMap<String, String>,
}

impl Wording {
    fn of_sector(&self, sector: &str) -> String {
        self.sectors.get(sector).cloned().unwrap_or_else(|| format!("belongs to the sector “{sector}”"))
    }
}

/// How to speak of one partner, or of one among two.
struct Voice {
    partner: &'static str,
    both: &'static str,
}

const OF_A_PAIR: Voice = Voice { partner: "your partner", both: "you both" };
const OF_A_TRIO: Voice = Voice { partner: "one of your partners", both: "you and one of your partners both" };

/// Puts a match into words.
pub struct Explainer<'a> {
    pub(super) roster: &'a Roster<'a>,
    wording: &'a Wording,
}

impl<'a> Explainer<'a> {
    /// Of these people, in the words of a programme.
    pub fn new(roster: &'a Roster<'a>, wording: &'a Wording) -> Self {
        Self { roster, wording }
    }

    /// What somebody is told about being matched with these people: one, or two in a trio.
    pub fn side(&self, who: usize, partners: &[usize]) -> Side {
        let voice = if partners.len() > 1 { OF_A_TRIO } else { OF_A_PAIR };
        let worst = partners.iter().copied().min_by_key(|&partner| self.roster.satisfaction(who, partner));
        let mut side = Side {
            satisfaction: worst.map_or(0, |partner| self.roster.satisfaction(who, partner)),
            points: worst.map(|partner| self.roster.points(who, partner)).unwrap_or_default(),
            asked: self.asked(who),
            ..Side::default()
        };
        for wish in self.stated(who) {
            self.tell(wish, who, partners, &voice, &mut side);
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
        self.stated(who).map(|wish| wish_in_words(wish, self.roster.people[who])).collect()
    }

    fn stated(&self, who: usize) -> impl Iterator<Item = Wish> {
        Wish::ALL.into_iter().filter(move |&wish| self.roster.meets(wish, who, who).is_some())
    }

    /// Of somebody's wishes, how many these partners meet; one for a person where both named each other.
    pub fn number_met(&self, who: usize, partners: &[usize]) -> usize {
        self.stated(who).filter(|&wish| partners.iter().any(|&partner| self.roster.meets(wish, who, partner) == Some(true))).count()
    }

    /// Tells what became of a wish.
    fn tell(&self, wish: Wish, who: usize, partners: &[usize], voice: &Voice, side: &mut Side) {
        let asked = wish_in_words(wish, self.roster.people[who]);
        if wish == Wish::People {
            // Whether the partner named the reader too is the partner's secret, so that only the reader's own list decides what is said.
            let is_named = partners.iter().any(|partner| self.roster.named.get(&who).is_some_and(|named| named.wished.contains(&(*partner as u32))));
            return match is_named {
                true => side.met.push(format!("you named somebody to write with, and {} is that person", voice.partner)),
                false => side.unmet.push("you named a person to write with: such a wish counts only where both name each other".to_owned()),
            };
        }
        if let Some(&fitting) = partners.iter().find(|&&partner| self.may_tell(wish, partner) && self.roster.meets(wish, who, partner) == Some(true)) {
            return match self.fact(wish, who, fitting) {
                Some(fact) => side.met.push(format!("you asked for {asked}: {} {fact}", voice.partner)),
                None => side.met.push(format!("you asked for {asked}, and that is what {} is", voice.partner)),
            };
        }
        if partners.iter().any(|&partner| !self.may_tell(wish, partner)) {
            return side.reasons.push(format!("you asked for {asked}; {} would rather tell you about that in a letter than have us tell", voice.partner));
        }
        let ending = self.why_unmet(wish, who);
        side.unmet.push(match partners {
            &[partner] => match self.fact(wish, who, partner) {
                Some(fact) => format!("you asked for {asked}: your partner {fact}; {ending}"),
                None => format!("you asked for {asked}: {ending}"),
            },
            _ => format!("you asked for {asked}: {ending}"),
        });
    }

    /// Why a wish is not met: nobody could, nobody among those who could be partners as far as facts and the reader's own wishes go, or it lost.
    fn why_unmet(&self, wish: Wish, who: usize) -> String {
        let aside = self.aside(who);
        let fitting: Vec<usize> = self.others(who).filter(|&other| self.roster.meets(wish, who, other) == Some(true)).collect();
        if fitting.is_empty() {
            return format!("{aside}nobody in this round could have met that wish");
        }
        let mut hindrances = Vec::new();
        for other in fitting {
            match self.hindrance(who, other) {
                Some(hindrance) if !hindrances.contains(&hindrance) => hindrances.push(hindrance),
                Some(_) => {}
                None => return "this time it could not be arranged".to_owned(),
            }
        }
        hindrances.sort_unstable();
        let words: Vec<String> = hindrances.into_iter().map(|hindrance| hindrance.words().to_owned()).collect();
        format!("{aside}those in this round who could have met that wish {}", super::phrases::or(&words))
    }

    /// What keeps somebody from being the reader's partner, among the things that the reader may know: facts, the reader's own past, the reader's own exclusions.
    pub(super) fn hindrance(&self, who: usize, other: usize) -> Option<Hindrance> {
        let roster = self.roster;
        if !roster.may_write(who, other) {
            Some(Hindrance::NoCommonLanguage)
        } else if roster.are_colleagues(who, other) {
            Some(Hindrance::SameOrganisation)
        } else if roster.were_partners(who, other) {
            Some(Hindrance::EarlierPartners)
        } else if roster.excludes_place_of(who, other) {
            Some(Hindrance::LeftOut)
        } else {
            None
        }
    }

    /// Everybody else but for those whom somebody named, in a wish or an exclusion.
    pub(super) fn others(&self, who: usize) -> impl Iterator<Item = usize> {
        let named = self.roster.named.get(&who);
        let is_named = move |other: &usize| named.is_some_and(|named| named.wished.contains(&(*other as u32)) || named.barred.contains(&(*other as u32)));
        self.roster.positions().filter(move |other| *other != who && !is_named(other))
    }

    /// What precedes a sentence about everybody to somebody who named people.
    pub(super) fn aside(&self, who: usize) -> &'static str {
        if self.roster.people[who].names_people() { "leaving aside whom you named, " } else { "" }
    }

    /// Whether a partner lets be known what a wish is about.
    fn may_tell(&self, wish: Wish, partner: usize) -> bool {
        let other = self.roster.people[partner];
        let open = |key: &str| !other.keeps_private(key);
        match wish {
            Wish::Place => open("country"),
            Wish::Sector => open("sector"),
            // The stage is reckoned from the years in the field.
            Wish::Stage => open("stage") && open("years"),
            Wish::Languages => open("languages"),
            Wish::Roles => open("role"),
            Wish::Interests => open("interests"),
            Wish::People => true,
        }
    }

    /// What a partner is in the respect of a wish, as the end of a sentence. `None` where it is unknown or would only repeat the wish.
    fn fact(&self, wish: Wish, who: usize, with: usize) -> Option<String> {
        let (own, other) = (self.roster.people[who], self.roster.people[with]);
        match wish {
            Wish::Place => other.country.as_deref().and_then(places::name).map(|country| format!("is in {}", with_article(country))),
            Wish::Sector => other.sector.as_deref().map(|sector| self.wording.of_sector(sector)),
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
        let (own, other, both, partner) = (self.roster.people[who], self.roster.people[with], voice.both, voice.partner);
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
            && let Some(near) = self.roster.minutes_apart(who, with).and_then(nearness)
        {
            reasons.push(near);
        }
        reasons
    }
}

/// What keeps two people apart as far as one of them may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hindrance {
    NoCommonLanguage,
    SameOrganisation,
    EarlierPartners,
    LeftOut,
}

impl Hindrance {
    /// What is said of the others; follows "those who …".
    pub fn words(self) -> &'static str {
        match self {
            Self::NoCommonLanguage => "share no language with you",
            Self::SameOrganisation => "work at your own organisation",
            Self::EarlierPartners => "have been your partners before",
            Self::LeftOut => "live where you asked us not to look",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Applicant, LIBRARIES, Weights, read_applicants};
    use super::*;

    fn side(lines: &[&str]) -> Side {
        let people = read_applicants(&lines.join("\n"), &LIBRARIES).expect("good lines");
        let weights = Weights::default();
        let wording = Wording { sectors: [("academic".to_owned(), "works in an academic library".to_owned())].into() };
        Explainer::new(&Roster::new(&people, &[], &[], &[], &weights), &wording).side(0, &(1..people.len().min(2)).collect::<Vec<_>>())
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
                "you named somebody to write with, and your partner is that person".to_owned(),
                format!("you asked for a partner in {region}: your partner is in Peru"),
                "you asked for a partner who speaks Spanish: your partner speaks Spanish and English".to_owned(),
                "you asked for a partner from another sector: your partner works in an academic library".to_owned(),
                "you asked for a partner who works as archivist: your partner works as “Chief archivist”".to_owned(),
                "you asked for a partner with more years in the field: your partner has been in the field for longer".to_owned(),
                "you asked for a partner interested in maps: your partner is interested in maps".to_owned(),
            ]
        );
        assert_eq!((side.asked.len(), side.unmet.len()), (7, 0));
    }

    #[test]
    fn a_wish_that_nobody_could_meet_is_told_apart_from_one_that_lost() {
        let asks = r#"{"id": "a", "languages": ["en"], "organisation": "X", "excludes": {"regions": ["005"]}, "prefers": {"countries": ["PE", "US"]}}"#;
        let unmet = |others: &[&str]| side(&[&[asks, r#"{"id": "b", "country": "FI", "languages": ["en"]}"#], others].concat()).unmet;
        let with = |ending: &str| [format!("you asked for a partner in Peru or the United States: your partner is in Finland; {ending}")];
        assert_eq!(unmet(&[]), with("nobody in this round could have met that wish"));
        let american = r#"{"id": "c", "country": "US", "languages": ["en"]}"#;
        assert_eq!(unmet(&[american]), with("this time it could not be arranged"));
        // Another's exclusion is another's secret: the wish has just lost.
        assert_eq!(unmet(&[r#"{"id": "c", "country": "US", "languages": ["en"], "excludes": {"people": ["a"]}}"#]), with("this time it could not be arranged"));
        let (peruvian, mute, colleague) = (
            r#"{"id": "c", "country": "PE", "languages": ["en"]}"#,
            r#"{"id": "d", "country": "US", "languages": ["fi"]}"#,
            r#"{"id": "e", "country": "US", "languages": ["en"], "organisation": "x"}"#,
        );
        assert_eq!(unmet(&[peruvian]), with("those in this round who could have met that wish live where you asked us not to look"));
        assert_eq!(
            unmet(&[peruvian, mute, colleague]),
            with(
                "those in this round who could have met that wish share no language with you, work at your own organisation or live where you asked us not to look"
            )
        );
    }

    #[test]
    fn whether_a_named_person_takes_part_is_not_told() {
        let asks = r#"{"id": "a", "prefers": {"people": ["z"], "countries": ["PE"]}}"#;
        let absent = side(&[asks, r#"{"id": "b"}"#]);
        let present = side(&[asks, r#"{"id": "b"}"#, r#"{"id": "z", "country": "PE"}"#]);
        assert_eq!(absent.unmet.len(), 2);
        assert!(absent.unmet[1].ends_with("leaving aside whom you named, nobody in this round could have met that wish"), "{absent:?}");
        assert_eq!(absent, present);
    }

    #[test]
    fn whether_a_named_partner_named_the_reader_is_not_told() {
        let asks = r#"{"id": "a", "prefers": {"people": ["b"]}}"#;
        let words = |side: Side| (side.met, side.unmet, side.reasons);
        assert_eq!(words(side(&[asks, r#"{"id": "b"}"#])), words(side(&[asks, r#"{"id": "b", "prefers": {"people": ["a"]}}"#])));
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
    fn what_a_partner_keeps_private_is_in_no_reason() {
        let mut people = read_applicants(
            "{\"id\": \"a\", \"languages\": [\"en\"], \"interests\": [\"maps\"], \"prefers\": {\"countries\": [\"PE\"]}}\n\
             {\"id\": \"b\", \"languages\": [\"en\"], \"interests\": [\"maps\"], \"country\": \"PE\"}",
            &LIBRARIES,
        )
        .expect("good lines");
        people[1].private = ["country", "interests", "languages"].map(str::to_owned).to_vec();
        let told = |people: &[Applicant]| {
            let (weights, wording) = (Weights::default(), Wording::default());
            Explainer::new(&Roster::new(people, &[], &[], &[], &weights), &wording).side(0, &[1])
        };
        let side = told(&people);
        assert_eq!((side.met.len(), side.unmet.len()), (0, 0));
        assert_eq!(side.reasons, ["you asked for a partner in Peru; your partner would rather tell you about that in a letter than have us tell"]);
        // Nor does the silence tell.
        people[1].country = Some("FI".into());
        assert_eq!(told(&people).reasons, side.reasons);
    }
}
