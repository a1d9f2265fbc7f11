//! What the matcher knows of a person, and what coordinators decide about two.
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::answers::{Answer, Answers};
use crate::domain::{languages, places};

/// How far somebody is in the career.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Up to 5 years in the field.
    New,
    /// Up to 15 years.
    Mid,
    /// More.
    Senior,
}

/// How often somebody would like to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rhythm {
    /// Every week.
    Weekly,
    /// Every two weeks.
    Fortnightly,
    /// Every month.
    Monthly,
}

/// By which way somebody would like to be in contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Written ones.
    Letters,
    /// By telephone or video.
    Calls,
}

/// A wish about the partner's sector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectorWish {
    /// The own one.
    Same,
    /// Another one.
    Different,
    /// No wish.
    #[default]
    Any,
}

/// A wish about the partner's stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageWish {
    /// The own one.
    Same,
    /// A later one.
    More,
    /// An earlier one.
    Less,
    /// No wish.
    #[default]
    Any,
}

/// What somebody wishes of a partner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct Wishes {
    /// Countries, ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// Regions, UN M49.
    pub regions: Vec<String>,
    /// The sector.
    pub sector: SectorWish,
    /// The stage.
    pub stage: StageWish,
    /// Languages, BCP 47: one of them.
    pub languages: Vec<String>,
    /// Roles, in the writer's words: one of them.
    pub roles: Vec<String>,
    /// Interests, in the writer's words: one of them.
    pub interests: Vec<String>,
    /// Identifiers of people: one of them.
    pub people: Vec<String>,
}

/// Whom somebody must never be matched with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct Exclusions {
    /// People in these countries, ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// People in these regions, UN M49.
    pub regions: Vec<String>,
    /// These people.
    pub people: Vec<String>,
}

/// A person who takes part in a match. What is absent is unknown; nothing is guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applicant {
    /// Who it is; without `#`, which marks a second place (`id#2`).
    pub id: String,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// BCP 47; spoken at least fairly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// BCP 47; only being learnt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning: Vec<String>,
    /// The sector, one of the programme's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// The role, in the writer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The organisation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// The organisation's mail domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation_domain: Option<String>,
    /// The stage of the career.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Interests, in the writer's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interests: Vec<String>,
    /// How many partners at a time: 1 or 2.
    #[serde(default = "one", deserialize_with = "number_of_partners")]
    pub capacity: u8,
    /// How often to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rhythm: Option<Rhythm>,
    /// By which ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// The wishes.
    #[serde(default)]
    pub prefers: Wishes,
    /// The exclusions.
    #[serde(default)]
    pub excludes: Exclusions,
    /// Keys of answers that the partner must not see: they count, but no reason names them. No part of the JSON.
    #[serde(skip)]
    pub private: Vec<String>,
}

fn one() -> u8 {
    1
}

/// A number that is out of all bounds is named like one that is only too large.
fn number_of_partners<'de, D: Deserializer<'de>>(json: D) -> Result<u8, D::Error> {
    let number = serde_json::Number::deserialize(json)?;
    let small = number.as_u64().and_then(|number| u8::try_from(number).ok());
    small.ok_or_else(|| D::Error::custom(bad("capacity", number.to_string(), CAPACITIES)))
}

/// Two people who were partners before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
}

/// What a coordinator may decide about two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// They are partners.
    Pin,
    /// They are not.
    Veto,
}

/// A coordinator's decision about two people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
    /// What was decided.
    pub decision: Verdict,
}

/// What is wrong with an applicant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` can't be {value}: {expected}")]
pub struct BadValue {
    /// The key, as in the JSON.
    pub key: &'static str,
    /// The value that stands there, as JSON.
    pub value: String,
    /// What may stand there.
    pub expected: &'static str,
}

impl Applicant {
    /// An applicant without answers.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), capacity: 1, ..Self::default() }
    }

    /// The applicant that somebody's answers make; answers that don't matter to a match are passed over. The mail domain
    /// (`organisation_domain`) is no answer: the caller sets it where it is known and not a mail provider's.
    ///
    /// # Errors
    /// An answer whose value is none of its vocabulary.
    pub fn from_answers(id: impl Into<String>, answers: &Answers) -> Result<Self, BadValue> {
        let text = |key: &str| answers.text(key).map(str::to_owned);
        let list = |key: &str| answers.list(key).to_vec();
        let stage = choice(answers, "stage", STAGES)?.or_else(|| answers.number("years").map(Stage::after));
        let capacity = answers.number("capacity").unwrap_or(1);
        let applicant = Self {
            id: id.into(),
            name: text("name"),
            country: text("country"),
            timezone: text("timezone"),
            languages: list("languages"),
            learning: list("learning"),
            sector: text("sector"),
            role: text("role"),
            organisation: text("organisation"),
            organisation_domain: text("organisation_domain"),
            stage,
            interests: list("interests"),
            capacity: u8::try_from(capacity).map_err(|_| bad("capacity", capacity.to_string(), CAPACITIES))?,
            rhythm: choice(answers, "rhythm", "`weekly`, `fortnightly` or `monthly`")?,
            ways: choice(answers, "ways", "a list of `letters` and `calls`")?.unwrap_or_default(),
            prefers: Wishes {
                countries: list("prefers.countries"),
                regions: list("prefers.regions"),
                sector: choice(answers, "prefers.sector", "`same`, `different` or `any`")?.unwrap_or_default(),
                stage: choice(answers, "prefers.stage", "`same`, `more`, `less` or `any`")?.unwrap_or_default(),
                languages: list("prefers.languages"),
                roles: list("prefers.roles"),
                interests: list("prefers.interests"),
                people: list("prefers.people"),
            },
            excludes: Exclusions { countries: list("excludes.countries"), regions: list("excludes.regions"), people: list("excludes.people") },
            private: list("private"),
        };
        applicant.check()?;
        Ok(applicant)
    }

    /// Whether each value is one of its vocabulary.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check(&self) -> Result<(), BadValue> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// The values that are none of their vocabulary.
    pub fn faults(&self) -> Vec<BadValue> {
        const COUNTRIES: &str = "countries by ISO 3166-1 alpha-2 are expected";
        const REGIONS: &str = "regions by UN M49 are expected";
        let mut faults = Vec::new();
        if self.id.trim().is_empty() || self.id.contains('#') {
            faults.push(bad("id", quoted(&self.id), "a word without `#` is expected"));
        }
        if !matches!(self.capacity, 1 | 2) {
            faults.push(bad("capacity", self.capacity.to_string(), CAPACITIES));
        }
        let is_country = |code: &str| places::name(code).is_some();
        let is_region = |code: &str| places::region_name(code).is_some();
        faults.extend(bad_ones("country", &self.country, is_country, "a country by ISO 3166-1 alpha-2 is expected"));
        faults.extend(bad_ones("timezone", &self.timezone, |name| chrono_tz::Tz::from_str(name).is_ok(), "an IANA name is expected"));
        faults.extend(bad_ones("languages", &self.languages, is_language, LANGUAGE));
        faults.extend(bad_ones("learning", &self.learning, is_language, LANGUAGE));
        faults.extend(bad_ones("prefers.countries", &self.prefers.countries, is_country, COUNTRIES));
        faults.extend(bad_ones("prefers.regions", &self.prefers.regions, is_region, REGIONS));
        faults.extend(bad_ones("prefers.languages", &self.prefers.languages, is_language, LANGUAGE));
        faults.extend(bad_ones("excludes.countries", &self.excludes.countries, is_country, COUNTRIES));
        faults.extend(bad_ones("excludes.regions", &self.excludes.regions, is_region, REGIONS));
        faults
    }

    /// Whether a wish or an exclusion names anybody.
    pub fn names_people(&self) -> bool {
        !self.prefers.people.is_empty() || !self.excludes.people.is_empty()
    }

    /// Whether the partner must not see the answer to a question.
    pub fn keeps_private(&self, key: &str) -> bool {
        self.private.iter().any(|private| private == key)
    }
}

impl Stage {
    /// The stage of somebody with so many years in the field.
    pub fn after(years: u32) -> Self {
        match years {
            0..=5 => Self::New,
            6..=15 => Self::Mid,
            16.. => Self::Senior,
        }
    }
}

/// The sectors of the librarians' exchange.
pub const LIBRARIES: [&str; 7] = ["academic", "public", "school", "special", "national", "student", "other"];

/// The part of a language tag that says which language it is: two people who speak `pt-BR` and `pt` understand each other.
pub(super) fn primary_language(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

const LANGUAGE: &str = "languages by BCP 47 are expected";
const CAPACITIES: &str = "1 or 2 is expected";
const STAGES: &str = "`new`, `mid` or `senior` is expected";

fn is_language(tag: &str) -> bool {
    languages::name(&primary_language(tag)).is_some() && tag.len() <= 35 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn bad_ones<'a>(
    key: &'static str,
    values: impl IntoIterator<Item = &'a String>,
    good: impl Fn(&str) -> bool,
    expected: &'static str,
) -> impl Iterator<Item = BadValue> {
    values.into_iter().filter(move |value| !good(value)).map(move |value| bad(key, quoted(value), expected))
}

/// An answer that is one of a vocabulary, by way of the same names as in JSON.
fn choice<T: DeserializeOwned>(answers: &Answers, key: &'static str, expected: &'static str) -> Result<Option<T>, BadValue> {
    let read = |answer: &Answer| {
        let value = serde_json::to_value(answer).unwrap_or_default();
        serde_json::from_value(value.clone()).map_err(|_| bad(key, value.to_string(), expected))
    };
    answers.get(key).map(read).transpose()
}

fn bad(key: &'static str, value: String, expected: &'static str) -> BadValue {
    BadValue { key, value, expected }
}

/// As JSON, so that neither control characters nor quotes leave their place.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::read_applicants;
    use super::*;

    const FULL: &str = r#"{"id": "a1", "name": "Ana", "country": "NZ", "timezone": "Pacific/Auckland", "languages": ["en", "mi"], "sector": "academic",
        "learning": ["de"], "role": "cataloguer", "organisation": "X", "organisation_domain": "x.example", "stage": "new", "interests": ["maps"], "capacity": 2,
        "rhythm": "weekly", "ways": ["letters", "calls"], "prefers": {"countries": ["BR"], "regions": ["419"], "sector": "same", "stage": "more",
        "languages": ["es"], "roles": ["archivist"], "interests": ["rare books"], "people": ["a7"]}, "excludes": {"countries": ["FR"], "regions": ["150"], "people": ["a9"]}}"#;

    #[test]
    fn a_line_with_every_key_is_read_and_writes_itself_back() {
        let line = FULL.replace('\n', " ");
        let people = read_applicants(&line, &LIBRARIES).expect("every key is known");
        assert_eq!(people[0].prefers.regions, ["419"]);
        let again = read_applicants(&serde_json::to_string(&people[0]).expect("writes"), &LIBRARIES).expect("reads back");
        assert_eq!(people, again);
    }

    #[test]
    fn answers_make_the_applicant_that_their_json_would() {
        let mut answers = Answers::default();
        let list = |items: &[&str]| Answer::List(items.iter().map(|&item| item.to_owned()).collect());
        answers.set("country", Answer::Text("NZ".into()));
        answers.set("languages", list(&["en"]));
        answers.set("sector", Answer::Text("public".into()));
        answers.set("ways", list(&["letters"]));
        answers.set("years", Answer::Number(20));
        answers.set("hopes", Answer::Text("letters from afar".into()));
        answers.set("prefers.stage", Answer::Text("less".into()));
        answers.set("excludes.countries", list(&["NZ"]));
        answers.set("private", list(&["country"]));
        let applicant = Applicant::from_answers("a", &answers).expect("good answers");
        assert_eq!((applicant.sector.as_deref(), applicant.stage, applicant.prefers.stage), (Some("public"), Some(Stage::Senior), StageWish::Less));
        assert_eq!((applicant.ways.as_slice(), applicant.capacity, applicant.keeps_private("country")), (&[Way::Letters][..], 1, true));
        answers.set("rhythm", Answer::Text("hourly".into()));
        assert_eq!(Applicant::from_answers("a", &answers).map_err(|bad| bad.key), Err("rhythm"));
    }
}
