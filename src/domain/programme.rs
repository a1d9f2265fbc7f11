//! The programme file: who the programme is for, what it asks, how a round runs, how answers count; read from TOML and proved usable.
use std::fmt;

use serde::Deserialize;

use super::fold::fold;
use super::matching::{Weights, Wording};

mod file;

/// The librarians' exchange, which ships.
pub const LIBRARIANS: &str = include_str!("../../templates/programmes/librarians.toml");

/// A whole programme, valid.
#[derive(Debug, Clone)]
pub struct Programme {
    /// What it is called in letters.
    pub name: String,
    /// The languages its letters are written in (BCP 47, shortest form); the first is the usual one. Never empty.
    pub languages: Vec<String>,
    /// The rules of taking part, a sentence or two each.
    pub rules: Vec<String>,
    /// Ideas for partners' first letters, in Markdown, a sentence or two each; empty: those of the letter's template.
    pub guidance: Vec<String>,
    /// How long the parts of a round last, where nobody says otherwise.
    pub calendar: Calendar,
    /// How much each wish and each thing in common counts.
    pub matching: Weights,
    /// In the order of the form.
    pub questions: Vec<Question>,
}

/// How long the parts of a round last, in days.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    /// From the opening of a round to its closing.
    pub open: u16,
    /// From closing to matching.
    pub closing_to_matching: u16,
    /// From matching to the first introductions: the coordinators' time to review.
    pub matching_to_introductions: u16,
    /// The introductions go out over so many days, at least one.
    pub introductions_over: u16,
    /// From the first introductions to the end of the round.
    pub round: u16,
    /// While a round runs, those without a partner are matched every so many days; 0: only when coordinators say so.
    pub late_every: u16,
    /// In the last so many days of a round nobody new is matched any more.
    pub late_until: u16,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { open: 30, closing_to_matching: 1, matching_to_introductions: 7, introductions_over: 3, round: 180, late_every: 7, late_until: 60 }
    }
}

/// One question, a line of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The key of its answer; of `places` what stands before `.countries`, `.regions` and `.people`.
    pub key: String,
    /// The label on the form.
    pub ask: String,
    /// What to write, shown where there is no answer yet.
    pub hint: Option<String>,
    /// Other labels that are understood.
    pub also: Vec<String>,
    /// What sort of answer it wants.
    pub kind: Kind,
    /// An application cannot be confirmed without it.
    pub required: bool,
    /// The partner sees the answer, unless the person keeps it private.
    pub shared: bool,
    /// Stands on the form that is sent out; the others are understood all the same, and shown once they are answered.
    pub on_form: bool,
}

/// What sort of answer a question wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A few words, on one line.
    Text,
    /// The writer's words, over several lines.
    Prose,
    /// One country.
    Country,
    /// Countries.
    Countries,
    /// Regions of the world.
    Regions,
    /// Countries and regions mixed, `people` too if so said: fills `key.countries`, `key.regions`, `key.people`.
    Places {
        /// Names of people may stand among the places.
        people: bool,
    },
    /// One language.
    Language,
    /// Languages; those only being learnt go under the key `learning`, if there is one, else with the others.
    Languages {
        /// The key for languages being learnt.
        learning: Option<String>,
    },
    /// A time zone.
    Timezone,
    /// One of some values.
    Choice(Vec<Choice>),
    /// Some of some values.
    Choices(Vec<Choice>),
    /// The writer's terms, lower case.
    Terms,
    /// A whole number.
    Number {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
        /// Another key that follows from the number.
        derives: Option<Derived>,
    },
    /// Yes or no.
    YesNo,
    /// Names of people.
    People,
    /// Names of other questions.
    Questions,
}

/// One value of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// As it is stored.
    pub value: String,
    /// As it is shown; the value itself where left out.
    #[serde(default)]
    pub say: Option<String>,
    /// Other words by which it is understood.
    #[serde(default)]
    pub also: Vec<String>,
    /// What is said of somebody who has it, to follow "your partner": "works in a public library".
    #[serde(default)]
    pub tell: Option<String>,
}

impl Choice {
    /// The words to show.
    pub fn words(&self) -> &str {
        self.say.as_deref().unwrap_or(&self.value)
    }
}

/// A key that follows from a number: years in the field give a stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The key.
    pub key: String,
    /// Upper bounds with what they give, in rising order; the last has no bound.
    pub steps: Vec<Step>,
}

/// One step of [`Derived`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The largest number that is still of this step.
    #[serde(default)]
    pub up_to: Option<u32>,
    /// What it gives.
    pub value: String,
}

impl Derived {
    /// What a number gives.
    pub fn value(&self, number: u32) -> Option<&str> {
        self.steps.iter().find(|step| step.up_to.is_none_or(|most| number <= most)).map(|step| step.value.as_str())
    }
}

impl Question {
    /// The keys that an answer to it fills, but for what is only derived.
    pub fn keys(&self) -> Vec<String> {
        match &self.kind {
            Kind::Places { people } => {
                let parts: &[&str] = if *people { &["countries", "regions", "people"] } else { &["countries", "regions"] };
                parts.iter().map(|part| format!("{}.{part}", self.key)).collect()
            }
            Kind::Languages { learning: Some(learning) } => vec![self.key.clone(), learning.clone()],
            Kind::Text
            | Kind::Prose
            | Kind::Country
            | Kind::Countries
            | Kind::Regions
            | Kind::Language
            | Kind::Languages { learning: None }
            | Kind::Timezone
            | Kind::Choice(_)
            | Kind::Choices(_)
            | Kind::Terms
            | Kind::Number { .. }
            | Kind::YesNo
            | Kind::People
            | Kind::Questions => vec![self.key.clone()],
        }
    }

    /// The hint; empty where there is none.
    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or_default()
    }

    /// The labels by which it is known, the one of the form first.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.ask.as_str()).chain(self.also.iter().map(String::as_str))
    }
}

/// What is wrong with a programme file: every fault that could be found, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProgrammeError {
    /// In the order of the file.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ProgrammeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One fault, where it stands, and its cure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line of the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}; {}", self.line, self.what, self.cure)
    }
}

impl Programme {
    /// The librarians' exchange, which ships.
    pub fn librarians() -> Self {
        Self::parse(LIBRARIANS).expect("the embedded programme is valid: a test reads it")
    }

    /// Reads a programme file and proves it usable.
    ///
    /// # Errors
    /// The faults with their lines and cures: those of TOML one at a time, those of the programme all at once.
    pub fn parse(text: &str) -> Result<Self, ProgrammeError> {
        file::read(text)
    }

    /// The question whose answer fills a key: the one named like it, else the first that fills it.
    pub fn question(&self, key: &str) -> Option<&Question> {
        let named = self.questions.iter().find(|question| question.key == key);
        named.or_else(|| self.questions.iter().find(|question| question.keys().iter().any(|filled| filled == key)))
    }

    /// What it calls things, for explanations of a match.
    pub fn wording(&self) -> Wording {
        let choices = match self.question("sector").map(|question| &question.kind) {
            Some(Kind::Choice(choices)) => choices.as_slice(),
            Some(_) | None => &[],
        };
        let told = |choice: &Choice| choice.tell.clone().unwrap_or_else(|| format!("belongs to the sector “{}”", choice.say.as_ref().unwrap_or(&choice.value)));
        Wording { sectors: choices.iter().map(|choice| (choice.value.clone(), told(choice))).collect() }
    }

    /// The question that a label means, in any case, with or without "my" and "your".
    pub fn question_labelled(&self, label: &str) -> Option<&Question> {
        let key = fold(label);
        let named = |key: &str| self.questions.iter().find(|question| question.labels().any(|label| fold(label) == key));
        named(&key).or_else(|| ["my ", "your ", "the "].iter().find_map(|word| named(key.strip_prefix(word)?)))
    }
}

#[cfg(test)]
mod tests;
