//! Files with a JSON object in each line: reading them, and saying all that is wrong with them at once, each with its line.
use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::applicant::{Applicant, quoted};

/// Reads applicants, one JSON object a line; empty lines are passed over. `sectors` are those that the programme knows.
///
/// # Errors
/// Every line that is no applicant, has a key or value that is unknown, or an id that was there before.
pub fn read_applicants(text: &str, sectors: &[&str]) -> Result<Vec<Applicant>, BadLines> {
    let (values, mut faults) = split_lines::<Applicant>(text);
    let (mut applicants, mut lines) = (Vec::with_capacity(values.len()), HashMap::new());
    for (line, applicant) in values {
        let mut note = |problem: String| faults.push(BadLine { line, problem });
        applicant.faults().iter().for_each(|bad| note(bad.to_string()));
        if let Some(sector) = applicant.sector.as_deref().filter(|sector| !sectors.contains(sector)) {
            note(format!("`sector` can't be {}: one of {} is expected", quoted(sector), sectors.join(", ")));
        }
        if let Some(earlier) = lines.insert(applicant.id.clone(), line) {
            note(format!("the id {} stands in line {earlier} already", quoted(&applicant.id)));
        }
        applicants.push(applicant);
    }
    BadLines::or(faults, applicants)
}

/// Reads any kind of value, one JSON object a line, with the number of its line (from 1); empty lines are passed over.
///
/// # Errors
/// Every line that is none.
pub fn read_lines<T: DeserializeOwned>(text: &str) -> Result<Vec<(usize, T)>, BadLines> {
    let (values, faults) = split_lines(text);
    BadLines::or(faults, values)
}

/// The lines that can be read, and those that can't.
pub(super) fn split_lines<T: DeserializeOwned>(text: &str) -> (Vec<(usize, T)>, Vec<BadLine>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        // A list would be taken for an object's values, one after another.
        if !text.trim_start().starts_with('{') {
            faults.push(BadLine { line, problem: "a JSON object, {…}, is expected".to_owned() });
            continue;
        }
        match serde_json::from_str(text) {
            Ok(value) => values.push((line, value)),
            Err(error) => faults.push(BadLine { line, problem: without_place(&error) }),
        }
    }
    (values, faults)
}

/// serde_json counts lines within what it was given, which is always the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
        Some(_) | None => text,
    }
}

/// What is wrong with a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// All that is wrong with the lines of a file, in their order; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_lines(.0))]
pub struct BadLines(pub Vec<BadLine>);

/// Beyond so many faults the file is of another kind.
const SHOWN: usize = 50;

fn in_lines(faults: &[BadLine]) -> String {
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(BadLine::to_string).collect();
    if faults.len() > SHOWN {
        lines.push(format!("and {} more", faults.len() - SHOWN));
    }
    lines.join("\n")
}

impl BadLines {
    /// The values, unless something was wrong.
    ///
    /// # Errors
    /// What was wrong.
    pub fn or<T>(mut faults: Vec<BadLine>, values: T) -> Result<T, Self> {
        faults.sort();
        if faults.is_empty() { Ok(values) } else { Err(Self(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LIBRARIES;
    use super::*;

    fn problem(line: &str) -> String {
        read_applicants(&format!("{{\"id\": \"first\"}}\n\n{line}\n"), &LIBRARIES).expect_err(line).to_string()
    }

    #[test]
    fn absent_keys_are_unknown() {
        assert_eq!(read_applicants("{\"id\": \"a\"}\n", &LIBRARIES), Ok(vec![Applicant::new("a")]));
        assert_eq!(read_applicants("", &LIBRARIES), Ok(vec![]));
    }

    #[test]
    fn an_unknown_key_or_value_is_named_with_its_line() {
        assert_eq!(problem(r#"{"id": "a", "colour": 1}"#).split(',').next(), Some("line 3: unknown field `colour`"));
        assert!(problem(r#"{"id": "a", "prefers": {"moon": []}}"#).starts_with("line 3: unknown field `moon`"));
        assert!(problem(r#"{"id": "a", "sector": "library"}"#).starts_with("line 3: `sector` can't be \"library\": one of academic, public"));
        assert!(problem(r#"{"id": "a", "country": "XX"}"#).starts_with("line 3: `country` can't be \"XX\""));
        assert!(problem(r#"{"id": "a", "excludes": {"regions": ["Mars"]}}"#).starts_with("line 3: `excludes.regions` can't be \"Mars\""));
        assert!(problem(r#"{"id": "a", "timezone": "Mars/Base"}"#).starts_with("line 3: `timezone` can't be"));
        assert!(problem(r#"{"id": "a", "languages": ["english"]}"#).starts_with("line 3: `languages` can't be \"english\""));
        assert!(problem(r#"{"id": "a", "capacity": 3}"#).starts_with("line 3: `capacity` can't be 3"));
        assert!(problem(r#"{"id": "a#2"}"#).starts_with("line 3: `id` can't be"));
        assert!(problem(r#"{"id": "first"}"#).starts_with("line 3: the id \"first\" stands in line 1 already"));
        assert!(problem(r#"{"name": "nobody"}"#).starts_with("line 3: missing field `id`"));
        for other in ["nonsense", "[\"a\"]", "null", "\"a\"", "7"] {
            assert_eq!(problem(other), "line 3: a JSON object, {…}, is expected", "{other}");
        }
        assert!(problem(r#"{"id": "a", "prefers": 5}"#).starts_with("line 3: invalid type: integer `5`, expected an object"));
        for number in ["300", "-1", "1.5"] {
            let expected = format!("line 3: `capacity` can't be {number}: 1 or 2 is expected");
            assert!(problem(&format!("{{\"id\": \"a\", \"capacity\": {number}}}")).starts_with(&expected), "{number}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_file_is_told_at_once() {
        let text = "{\"id\": \"a\", \"country\": \"XX\", \"languages\": [\"en\", \"??\"]}\nnonsense\n{\"id\": \"b\"}\n{\"id\": \"a\", \"sector\": \"zoo\"}\n{\"id\": \"c\", \"colour\": 1}";
        let faults = read_applicants(text, &LIBRARIES).expect_err("wrong");
        assert_eq!(faults.0.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 1, 2, 4, 4, 5]);
        assert_eq!(faults.to_string().lines().count(), 6);
        let many = read_applicants(&"x\n".repeat(60), &LIBRARIES).expect_err("wrong").to_string();
        assert!(many.ends_with("\nand 10 more") && many.lines().count() == 51, "{many}");
    }
}
