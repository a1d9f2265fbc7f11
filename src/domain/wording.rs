//! The answer to one question: from a person's words to a value, and back into words.
use super::answers::{Answer, Answers};
use super::courtesy::yes_no;
use super::fold::fold;
use super::languages::{self, Level};
use super::places;
use super::programme::{Choice, Kind, Programme, Question};

mod named;
use named::{Named, one_country};

/// What an answer in words came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worded {
    /// The keys that it fills. An empty list says that the person named nobody and nothing, on purpose.
    pub answers: Vec<(String, Answer)>,
    /// Keys that follow from what was said and were not said themselves.
    pub derived: Vec<(String, Answer)>,
    /// The words that could not be read, each with the reason, in words for the writer.
    pub unread: Vec<(String, String)>,
}

/// Reads what somebody wrote in answer to a question. `known` is what is known of them besides: "my own country" needs it.
/// Words that say that there is no answer ("n/a", "____") give nothing at all.
pub fn read(programme: &Programme, question: &Question, words: &str, known: &Answers) -> Worded {
    let words = tidy(words);
    let mut worded = Worded::default();
    if is_blank(&words) {
        return worded;
    }
    let key = question.key.clone();
    if question.kind != Kind::Prose && words.chars().count() > 2000 {
        worded.refuse(words.chars().take(60).chain(['…']).collect(), "it is longer than 2000 characters");
        return worded;
    }
    match &question.kind {
        Kind::Text => worded.text(key, &words, 300),
        Kind::Prose => worded.text(key, &words, 4000),
        Kind::Country => match one_country(&words) {
            Ok(code) => worded.set(key, Answer::Text(code.to_owned())),
            Err(why) => worded.refuse(words, why),
        },
        Kind::Timezone => match places::timezone(&words, known.text("country")) {
            Some(zone) => worded.set(key, Answer::Text(zone.to_owned())),
            None => worded.refuse(words, "it is no time zone we know: write it as Europe/Lisbon, or the largest city that has your time"),
        },
        Kind::Language => match languages::language(&words).or_else(|| one_language(&words)) {
            Some(code) => worded.set(key, Answer::Text(code.to_owned())),
            None => worded.refuse(words, "it is not one language we know"),
        },
        Kind::Languages { learning } => worded.languages(key, learning.as_ref(), &words),
        Kind::Countries | Kind::Regions | Kind::Places { .. } => worded.places(question, &words, known),
        Kind::Choice(values) => match choose(values, &words)[..] {
            [value] => worded.set(key, Answer::Text(value.to_owned())),
            _ => worded.refuse(words, &format!("it is not one of: {}", list_of(values))),
        },
        Kind::Choices(values) => worded.choices(key, values, &words),
        Kind::Terms => worded.list(key, terms(&words).into_iter().map(|term| term.to_lowercase()).collect()),
        Kind::People => worded.list(key, terms(&words)),
        Kind::Number { min, max, derives } => match number(&words).filter(|number| (min..=max).contains(&number)) {
            Some(number) => {
                worded.set(key, Answer::Number(number));
                if let Some((key, value)) = derives.as_ref().and_then(|derived| Some((&derived.key, derived.value(number)?))) {
                    worded.derived.push((key.clone(), Answer::Text(value.to_owned())));
                }
            }
            None if *max == u32::MAX => worded.refuse(words, "it is not one whole number"),
            None => worded.refuse(words, &format!("it is not one whole number from {min} to {max}")),
        },
        Kind::YesNo => match yes_no(&words) {
            Some(yes) => worded.set(key, Answer::YesNo(yes)),
            None => worded.refuse(words, "please write yes or no"),
        },
        Kind::Questions => worded.questions(programme, key, &words),
    }
    worded
}

/// The answers to a question in words that [`read`] understands; `None` where there are none.
pub fn say(programme: &Programme, question: &Question, answers: &Answers) -> Option<String> {
    let said = match &question.kind {
        Kind::Places { .. } => {
            let keys = question.keys();
            if keys.iter().all(|key| answers.get(key).is_none()) {
                return None;
            }
            let parts: Vec<String> = keys.iter().flat_map(|key| answers.list(key).iter().map(|item| place_name(item))).collect();
            joined(&parts)
        }
        Kind::Countries | Kind::Regions => joined(&answers.list_of(&question.key)?.iter().map(|item| place_name(item)).collect::<Vec<_>>()),
        Kind::Languages { learning } => {
            let spoken = answers.list(&question.key);
            let learnt = learning.as_ref().map(|key| answers.list(key)).unwrap_or_default();
            if answers.get(&question.key).is_none() && learnt.is_empty() {
                return None;
            }
            let parts = spoken.iter().map(|code| language_name(code)).chain(learnt.iter().map(|code| format!("{} (learning)", language_name(code))));
            joined(&parts.collect::<Vec<_>>())
        }
        Kind::Terms | Kind::People => joined(answers.list_of(&question.key)?),
        Kind::Choices(values) => joined(&answers.list_of(&question.key)?.iter().map(|value| choice_words(values, value)).collect::<Vec<_>>()),
        Kind::Questions => joined(&answers.list_of(&question.key)?.iter().map(|key| label_of(programme, key)).collect::<Vec<_>>()),
        Kind::Country => place_name(answers.text(&question.key)?),
        Kind::Language => language_name(answers.text(&question.key)?),
        Kind::Choice(values) => choice_words(values, answers.text(&question.key)?),
        Kind::Text | Kind::Prose | Kind::Timezone => answers.text(&question.key)?.to_owned(),
        Kind::Number { .. } => answers.number(&question.key)?.to_string(),
        Kind::YesNo => if answers.yes_no(&question.key)? { "yes" } else { "no" }.to_owned(),
    };
    Some(said)
}

/// Whether words say nothing: no letter and no digit among them, or "n/a".
pub fn is_blank(words: &str) -> bool {
    matches!(fold(words).replace(['+', '@'], "").trim(), "" | "n a" | "na" | "tbd" | "xxx" | "not applicable" | "please fill in")
}

/// One line, without the marks that mail clients and forms put around an answer.
fn tidy(words: &str) -> String {
    let line =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'));
    let line: String = line.collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_matches(['_', '*', ' ', '…', '|']);
    let inner = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|inner| !inner.contains(['[', ']']));
    inner.unwrap_or(line).trim().to_owned()
}

impl Worded {
    fn set(&mut self, key: String, answer: Answer) {
        self.answers.push((key, answer));
    }

    fn refuse(&mut self, words: String, why: &str) {
        self.unread.push((words, why.to_owned()));
    }

    fn text(&mut self, key: String, words: &str, most: usize) {
        if matches!(fold(words).as_str(), "none" | "nothing") {
            return;
        }
        if words.chars().count() > most {
            self.refuse(words.chars().take(60).chain(['…']).collect(), &format!("it is longer than {most} characters"));
        } else {
            self.set(key, Answer::Text(words.to_owned()));
        }
    }

    fn list(&mut self, key: String, items: Vec<String>) {
        if items.len() > 50 || items.iter().any(|item| item.chars().count() > 120) {
            self.refuse(items.join(", ").chars().take(60).chain(['…']).collect(), "please name at most 50, each in a few words, with commas between them");
        } else {
            self.set(key, Answer::List(items));
        }
    }

    fn languages(&mut self, key: String, learning: Option<&String>, words: &str) {
        let reading = languages::read(words);
        for word in reading.unknown {
            self.refuse(word, "it is no language we know");
        }
        if reading.spoken.is_empty() && !self.unread.is_empty() {
            return;
        }
        let codes = |level: Option<Level>| -> Vec<String> {
            reading.spoken.iter().filter(|spoken| level.is_none_or(|level| level == spoken.level)).map(|spoken| spoken.code.to_owned()).collect()
        };
        match learning {
            Some(learning) => {
                self.set(key, Answer::List(codes(Some(Level::Fair))));
                self.set(learning.clone(), Answer::List(codes(Some(Level::Learning))));
            }
            None => self.set(key, Answer::List(codes(None))),
        }
    }

    fn choices(&mut self, key: String, values: &[Choice], words: &str) {
        let all = fold(words).split(' ').any(|word| matches!(word, "both" | "either" | "all" | "any" | "ambos" | "beides" | "todos"));
        let chosen = choose(values, words);
        if chosen.is_empty() && !all {
            self.refuse(words.to_owned(), &format!("it is none of: {}", list_of(values)));
        } else {
            let everything = values.iter().map(|choice| choice.value.clone()).collect();
            self.set(key, Answer::List(if all { everything } else { chosen.iter().map(|value| (*value).to_owned()).collect() }));
        }
    }

    fn questions(&mut self, programme: &Programme, key: String, words: &str) {
        let mut keys: Vec<String> = Vec::new();
        for item in terms(words) {
            let bare = fold(&item);
            let bare = ["my ", "your ", "the "].iter().find_map(|word| bare.strip_prefix(word)).unwrap_or(&bare).to_owned();
            match programme.question_labelled(&bare).or_else(|| programme.question(&bare)) {
                Some(question) => keys.extend(question.keys().into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>()),
                None => self.refuse(item, "it is no line of the form"),
            }
        }
        if !keys.is_empty() || self.unread.is_empty() {
            self.set(key, Answer::List(keys));
        }
    }

    fn places(&mut self, question: &Question, words: &str, known: &Answers) {
        let wish = !question.key.starts_with("excludes");
        let people = matches!(question.kind, Kind::Places { people: true });
        let mut found = Named::default();
        for item in words.split([',', ';', '/', '、', '，']).map(str::trim).filter(|item| !item.is_empty()) {
            if let Err((part, why)) = found.add(item, wish, people, known) {
                self.refuse(part, why);
            }
        }
        for (stray, fits) in [(&found.regions, question.kind != Kind::Countries), (&found.countries, question.kind != Kind::Regions)] {
            for code in stray.iter().filter(|_| !fits) {
                self.refuse(place_name(code), "please write countries and regions each on their own line");
            }
        }
        if found.is_empty() && !self.unread.is_empty() {
            return;
        }
        for key in question.keys() {
            let part = match (&question.kind, key.rsplit('.').next()) {
                (Kind::Countries, _) | (_, Some("countries")) => &found.countries,
                (Kind::Regions, _) | (_, Some("regions")) => &found.regions,
                _ => &found.people,
            };
            self.set(key, Answer::List(part.clone()));
        }
    }
}

fn one_language(words: &str) -> Option<&'static str> {
    let reading = languages::read(words);
    match reading.spoken[..] {
        [spoken] if reading.unknown.is_empty() => Some(spoken.code),
        _ => None,
    }
}

/// The values that the words name: the whole of them, else the longest words found among them.
fn choose<'a>(values: &'a [Choice], words: &str) -> Vec<&'a str> {
    let key = fold(words);
    let named = |choice: &'a Choice| [choice.value.as_str(), choice.words()].into_iter().chain(choice.also.iter().map(String::as_str)).map(fold);
    if let Some(choice) = values.iter().find(|choice| named(choice).any(|name| name == key)) {
        return vec![&choice.value];
    }
    let padded = format!(" {key} ");
    let mut hits: Vec<(usize, usize, &str)> = Vec::new();
    for choice in values {
        for name in named(choice) {
            hits.extend(padded.match_indices(&format!(" {name} ")).map(|(at, _)| (at, at + name.len(), choice.value.as_str())));
        }
    }
    // "letters only, no calls" names one way.
    let negated = |at: usize| ["no", "not", "without", "never", "sin", "ohne", "sans", "sem"].iter().any(|not| padded[..=at].ends_with(&format!(" {not} ")));
    hits.retain(|(at, _, _)| !negated(*at));
    // "public school" is a school: a name inside a longer one does not count.
    let covered = |hit: &(usize, usize, &str)| hits.iter().any(|other| other.1 - other.0 > hit.1 - hit.0 && other.0 <= hit.0 && other.1 >= hit.1);
    let mut kept: Vec<_> = hits.iter().filter(|hit| !covered(hit)).collect();
    kept.sort();
    let mut chosen: Vec<&str> = Vec::new();
    for (_, _, value) in kept {
        if !chosen.contains(value) {
            chosen.push(value);
        }
    }
    chosen
}

/// Several terms: at semicolons or bullets, else at commas and at the last "and".
fn terms(words: &str) -> Vec<String> {
    if ["none", "nobody", "no one", "nothing", "no", "nadie", "ninguno", "niemand", "nichts", "personne", "rien", "no preference", "any", "anybody"]
        .contains(&fold(words).as_str())
    {
        return Vec::new();
    }
    // A list that ends in a semicolon is one of ours, whose terms may hold commas.
    let ours = words.trim_end().ends_with([';', '；']);
    let mut parts: Vec<String> = if ours || words.contains(['•', ';', '；']) && !words.contains([',', '、', '，', '،']) {
        words.split([';', '•', '；']).map(str::to_owned).collect()
    } else {
        let mut parts: Vec<String> = words.split([',', ';', '•', '；', '、', '，', '،']).map(str::to_owned).collect();
        if let Some(last) = parts.pop() {
            parts.extend(split_last(&last));
        }
        parts
    };
    let mut out: Vec<String> = Vec::new();
    for part in parts.drain(..) {
        let part = part.trim().trim_start_matches(['-', '–', '*', '•', '·', ' ']).trim_end_matches(['.', '!', ' ', '-']).trim();
        if part.chars().any(char::is_alphanumeric) && !out.iter().any(|held| fold(held) == fold(part)) {
            out.push(part.to_owned());
        }
    }
    out
}

/// "metadata and open access" → two; "and open access" → one, whose own "and" stays.
fn split_last(last: &str) -> Vec<String> {
    const AND: [&str; 6] = ["and", "y", "e", "et", "und", "&"];
    let words: Vec<&str> = last.split_whitespace().collect();
    let is_and = |word: &str| AND.contains(&word.to_lowercase().as_str());
    if words.first().is_some_and(|first| is_and(first)) {
        return vec![words[1..].join(" ")];
    }
    match words.iter().position(|word| is_and(word)) {
        Some(at) if at + 1 < words.len() => vec![words[..at].join(" "), words[at + 1..].join(" ")],
        Some(_) | None => vec![last.to_owned()],
    }
}

/// The one whole number that is written in digits or in English words: of years where it says so, parts of a year left out.
fn number(words: &str) -> Option<u32> {
    let whole = without_decimals(words);
    let key = fold(&whole);
    let tokens: Vec<&str> = key.split(' ').filter(|token| !token.is_empty()).collect();
    let is_range =
        words.split(|c: char| !c.is_ascii_digit() && c != '-' && c != '–').any(|run| run.split(['-', '–']).filter(|part| !part.is_empty()).count() > 1);
    let has = |unit: &str| tokens.iter().any(|token| token.starts_with(unit));
    let number = |token: &str| token.bytes().all(|b| b.is_ascii_digit());
    let between = tokens.windows(3).any(|three| number(three[0]) && number(three[2]) && ["a", "to", "or", "o", "ou", "bis", "oder", "tot"].contains(&three[1]));
    if is_range || between || has("since") {
        return None;
    }
    if has("less") || has("under") || has("half") && !has("and") {
        // "Less than a year", "half a year": no whole one; less than more is not one number.
        return (has("year") && numbers(&tokens).iter().all(|(number, _)| *number <= 1)).then_some(0);
    }
    let found = numbers(&tokens);
    let of_years: Vec<u32> = found
        .iter()
        .filter(|(_, unit)| ["year", "yr", "ano", "an", "jahr", "jaar"].iter().any(|year| unit.trim_end_matches(['s', 'e', 'n', 'i']) == *year))
        .map(|(number, _)| *number)
        .collect();
    match (&of_years[..], &found[..]) {
        ([years], _) => Some(*years),
        ([], [(number, unit)]) if unit.starts_with("month") => Some(number / 12),
        ([], [(_, unit)]) if unit.starts_with("week") => Some(0),
        ([], [(number, _)]) => Some(*number),
        _ => None,
    }
}

/// "2.5 years" are "2 years".
fn without_decimals(words: &str) -> String {
    let mut out = String::new();
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        let decimal = matches!(c, '.' | ',') && out.ends_with(|c: char| c.is_ascii_digit()) && chars.peek().is_some_and(char::is_ascii_digit);
        if decimal {
            while chars.next_if(char::is_ascii_digit).is_some() {}
        } else {
            out.push(c);
        }
    }
    out
}

/// All numbers with the word behind each.
fn numbers<'a>(tokens: &[&'a str]) -> Vec<(u32, &'a str)> {
    const UNITS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let place = |list: &[&str], token: &str| list.iter().position(|word| *word == token).and_then(|at| u32::try_from(at).ok());
    let behind = |at: usize| tokens[at..].iter().find(|token| **token != "+" && **token != "full" && **token != "whole").copied().unwrap_or_default();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let token = tokens[at];
        let digits = token.trim_end_matches(|c: char| !c.is_ascii_digit());
        let glued = &token[digits.len()..];
        at += 1;
        if let (false, Ok(number)) = (digits.is_empty(), digits.parse()) {
            out.push((number, if glued.starts_with(char::is_alphabetic) { glued } else { behind(at) }));
        } else if let Some(tens) = place(&TENS, token) {
            let unit = tokens.get(at).and_then(|next| place(&UNITS, next)).filter(|unit| (1..10).contains(unit));
            at += usize::from(unit.is_some());
            out.push((20 + 10 * tens + unit.unwrap_or(0), behind(at)));
        } else if let Some(unit) = place(&UNITS, token) {
            out.push((unit, behind(at)));
        } else if token == "a" && tokens.get(at) == Some(&"year") {
            out.push((1, "year"));
        }
    }
    out
}

fn place_name(code: &str) -> String {
    places::name(code).or_else(|| places::region_name(code)).unwrap_or(code).to_owned()
}

fn language_name(code: &str) -> String {
    languages::name(code).unwrap_or(code).to_owned()
}

fn choice_words(values: &[Choice], value: &str) -> String {
    values.iter().find(|choice| choice.value == value).map_or(value, Choice::words).to_owned()
}

fn label_of(programme: &Programme, key: &str) -> String {
    programme.question(key).map_or(key, |question| question.ask.as_str()).to_owned()
}

fn list_of(values: &[Choice]) -> String {
    values.iter().map(|choice| choice.value.as_str()).collect::<Vec<_>>().join(", ")
}

/// A list as [`terms`] takes it apart again; "none" where it is empty.
fn joined(items: &[String]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let commas = items.join(", ");
    // Where a term holds a comma or an "and" of its own, semicolons keep it whole.
    if terms(&commas) == items { commas } else { format!("{};", items.join("; ")) }
}
