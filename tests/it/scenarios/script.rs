//! A story's text: its happenings, and how words, moments and patterns are written in it.
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

/// A happening: where it stands, its line, and the indented lines below it.
pub struct Happening {
    /// File and line.
    pub place: String,
    /// Its line.
    pub line: String,
    /// The indented lines, without their indentation.
    pub below: Vec<String>,
}

/// The happenings of the story in the file `name`, behind those of the stories it comes `after`.
pub fn happenings(name: &str) -> Vec<Happening> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut all: Vec<Happening> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(body) = line.strip_prefix("    ") {
            all.last_mut().expect("a story begins with a happening").below.push(body.to_owned());
        } else if line.trim().is_empty() {
            // An empty line within a body belongs to it; at its end it does no harm.
            if let Some(last) = all.last_mut().filter(|last| !last.below.is_empty()) {
                last.below.push(String::new());
            }
        } else if let Some(before) = line.strip_prefix("after ") {
            all.extend(happenings(&format!("{before}.txt")));
        } else if !line.starts_with('#') {
            all.push(Happening { place: format!("{name}:{}", at + 1), line: line.to_owned(), below: Vec::new() });
        }
    }
    for happening in &mut all {
        while happening.below.last().is_some_and(String::is_empty) {
            happening.below.pop();
        }
    }
    all
}

/// A line of configuration, as the environment would say it.
pub fn setting(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("set ")?.split_once(' ')?;
    Some((format!("PAIRPOST_{}", key.to_uppercase().replace('.', "__")), value.to_owned()))
}

/// A moment such as 2027-03-01 09:00, in UTC.
pub fn moment(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a moment such as 2027-03-01 09:00").and_utc()
}

/// Words, `"quoted ones"` as one.
pub fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// `*` stands for anything, `{name}` for one word, which is given back.
pub fn matched(pattern: &str, text: &str) -> Option<Vec<(String, String)>> {
    let Some(at) = pattern.find(['*', '{']) else { return (pattern == text).then(Vec::new) };
    let (literal, rest) = pattern.split_at(at);
    let text = text.strip_prefix(literal)?;
    if let Some(rest) = rest.strip_prefix('*') {
        return text.char_indices().map(|(at, _)| at).chain([text.len()]).find_map(|at| matched(rest, &text[at..]));
    }
    let (name, rest) = rest[1..].split_once('}')?;
    let word = text.find(|c: char| c.is_whitespace()).unwrap_or(text.len());
    (1..=word).rev().filter(|end| text.is_char_boundary(*end)).find_map(|end| {
        let mut taken = matched(rest, &text[end..])?;
        taken.push((name.to_owned(), text[..end].to_owned()));
        Some(taken)
    })
}

/// The lines of a text, and before the first of each paragraph the whole of it, however it was wrapped.
pub fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |at: usize| at == 0 || lines[at - 1].is_empty() || lines[at].starts_with("- ");
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let length = 1 + (at + 1..lines.len()).take_while(|next| !lines[*next].is_empty() && !begins(*next)).count();
        if begins(at) && length > 1 {
            all.push(lines[at..at + length].join(" "));
        }
        all.push((*line).to_owned());
    }
    all
}

#[test]
fn a_pattern_matches_a_whole_line_and_takes_words() {
    assert_eq!(matched("Dear *,", "Dear Ana Quispe,"), Some(vec![]));
    assert_eq!(matched("Dear", "Dear Ana,"), None);
    assert_eq!(matched("*at {alias}", "reach at ana.x@pairs.test"), Some(vec![("alias".into(), "ana.x@pairs.test".into())]));
    assert_eq!(matched("at {alias}", "at two words"), None);
}
