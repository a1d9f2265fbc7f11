//! What a person has told us of themselves: the answers to the questions of a programme, by key.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One answer, already in the form that its question asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// Yes or no.
    YesNo(bool),
    /// Whole years, places.
    Number(u32),
    /// The writer's words, trimmed, or a code (a country, a language, a choice).
    Text(String),
    /// Several codes or terms, in the writer's order, none twice.
    List(Vec<String>),
}

impl Answer {
    /// The text of a `Text`, else `None`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::YesNo(_) | Self::Number(_) | Self::List(_) => None,
        }
    }
}

/// Answers by flat key: `country`, `prefers.countries`, `excludes.people`. An absent key is an unknown fact, never a guess.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(pub BTreeMap<String, Answer>);

impl Answers {
    /// The answer to a question.
    pub fn get(&self, key: &str) -> Option<&Answer> {
        self.0.get(key)
    }

    /// The words of an answer that is one text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The items of an answer that is a list; empty where there is none.
    pub fn list(&self, key: &str) -> &[String] {
        match self.get(key) {
            Some(Answer::List(items)) => items,
            Some(Answer::YesNo(_) | Answer::Number(_) | Answer::Text(_)) | None => &[],
        }
    }

    /// The items of an answer that is a list, be it empty; `None` where there is no answer.
    pub fn list_of(&self, key: &str) -> Option<&[String]> {
        match self.get(key) {
            Some(Answer::List(items)) => Some(items),
            Some(Answer::YesNo(_) | Answer::Number(_) | Answer::Text(_)) | None => None,
        }
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<u32> {
        match self.get(key) {
            Some(Answer::Number(number)) => Some(*number),
            Some(Answer::YesNo(_) | Answer::Text(_) | Answer::List(_)) | None => None,
        }
    }

    /// A yes or a no.
    pub fn yes_no(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Answer::YesNo(yes)) => Some(*yes),
            Some(Answer::Number(_) | Answer::Text(_) | Answer::List(_)) | None => None,
        }
    }

    /// Sets one answer, replacing an earlier one.
    pub fn set(&mut self, key: impl Into<String>, answer: Answer) {
        self.0.insert(key.into(), answer);
    }

    /// Takes over every answer of `newer`: how a correction works.
    pub fn correct_with(&mut self, newer: Answers) {
        self.0.extend(newer.0);
    }

    /// What is said here and not known yet, or known otherwise. A list without items and no list are the same.
    pub fn differing_from(&self, known: &Answers) -> Answers {
        let same = |key: &String, answer: &Answer| known.get(key).map_or(*answer == Answer::List(Vec::new()), |held| held == answer);
        Answers(self.0.iter().filter(|(key, answer)| !same(key, answer)).map(|(key, answer)| (key.clone(), answer.clone())).collect())
    }

    /// No answers at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The nested JSON of the contract: `prefers.countries` stands inside `prefers`.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (key, answer) in &self.0 {
            let value = serde_json::to_value(answer).unwrap_or_default();
            match key.split_once('.') {
                Some((outer, inner)) => {
                    if let Value::Object(nested) = out.entry(outer).or_insert_with(|| Value::Object(Map::new())) {
                        nested.insert(inner.to_owned(), value);
                    }
                }
                None => {
                    out.insert(key.clone(), value);
                }
            }
        }
        Value::Object(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_differs() {
        let list = |items: &[&str]| Answer::List(items.iter().map(|item| (*item).to_owned()).collect());
        let (mut known, mut said) = (Answers::default(), Answers::default());
        known.set("country", Answer::Text("PE".into()));
        known.set("interests", list(&["maps"]));
        said.set("country", Answer::Text("PE".into()));
        said.set("prefers.regions", list(&[]));
        assert!(said.differing_from(&known).is_empty());
        said.set("country", Answer::Text("CL".into()));
        said.set("interests", list(&[]));
        assert_eq!(said.differing_from(&known).0.keys().collect::<Vec<_>>(), ["country", "interests"]);
    }

    #[test]
    fn answers_nest_for_people_outside_and_read_back_flat_from_the_database() {
        let mut answers = Answers::default();
        answers.set("country", Answer::Text("NZ".into()));
        answers.set("prefers.countries", Answer::List(vec!["BR".into()]));
        answers.set("topics", Answer::YesNo(true));
        answers.set("years", Answer::Number(4));
        assert_eq!(answers.to_json(), serde_json::json!({"country": "NZ", "prefers": {"countries": ["BR"]}, "topics": true, "years": 4}));
        let stored = serde_json::to_string(&answers).expect("writes");
        assert_eq!(serde_json::from_str::<Answers>(&stored).expect("reads"), answers);
    }
}
