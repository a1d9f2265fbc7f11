//! Languages (BCP 47, shortest form) by the names people write, and how well somebody says they speak them.
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::fold::fold;

/// How well a person speaks a language, as far as a match needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// At least fair: letters can be written in it. Also where no level is given.
    Fair,
    /// A beginner's, or being learnt.
    Learning,
}

/// A language and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// BCP 47, shortest form.
    pub code: &'static str,
    /// How well.
    pub level: Level,
}

/// What an answer about languages says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// In the writer's order, none twice.
    pub spoken: Vec<Spoken>,
    /// Words that name no language we know.
    pub unknown: Vec<String>,
}

/// The code of one language named by its English name, its own name, its name in a widely spoken language, or its code.
/// `None` for everything else.
pub fn language(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let key = fold(text);
    if let Some(code) = TABLE.names.get(&key) {
        return Some(code);
    }
    if let Some((code, _)) = TABLE.english.get_key_value(key.as_str()) {
        return Some(code);
    }
    // "pt-BR", "zh_Hans": the shortest form is the language alone.
    if let Some((code, _)) = text.split_once(['-', '_']).and_then(|(code, _)| TABLE.english.get_key_value(code.to_ascii_lowercase().as_str())) {
        return Some(code);
    }
    // The thousands of smaller languages, by their English name as ISO 639-3 writes it; short ones are words of everyday.
    (text.len() >= 5 && text.starts_with(char::is_uppercase)).then(|| isolang::Language::from_name(text)).flatten().map(|rare| rare.to_639_3())
}

/// The English name of a language by its code.
pub fn name(code: &str) -> Option<&'static str> {
    TABLE.english.get(code).copied().or_else(|| isolang::Language::from_639_3(code).map(|rare| rare.to_name()))
}

/// Reads a list such as "English (fluent), Portuguese (learning), some German".
pub fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    // "notions d'allemand": French and Italian elide the article.
    let text = [" d'", " l'", " d’", " l’"].iter().fold(text.to_owned(), |text, elided| text.replace(elided, " "));
    for clause in text.split([';', '\n', '.', '|', '•', '。', '；']) {
        read_clause(clause, &mut reading);
    }
    reading
}

fn read_clause(clause: &str, reading: &mut Reading) {
    // "learning German, Dutch and Czech": said once before a list, it holds for the rest of the clause.
    let mut standing = None;
    let mut last: Option<usize> = None;
    for item in items(clause) {
        let words: Vec<&str> = item.key.split(' ').filter(|word| !word.is_empty()).collect();
        let (found, rest) = languages_in(&item.text, &words);
        let level = level_in(&rest);
        if rest.iter().any(|word| holds(NEGATIONS, word)) {
            continue;
        }
        if found.is_empty() {
            match (level, last) {
                // "Portuguese, but only a little": about the one before.
                (Some(level), Some(last)) if item.after_comma => reading.spoken[last].level = level,
                (Some(level), _) => standing = Some(level),
                (None, _) if rest.iter().any(|word| !holds(FILLERS, word)) => reading.unknown.push(item.text.trim().to_owned()),
                (None, _) => {}
            }
            continue;
        }
        if level.is_some() {
            // A level that leads ("learning German, Dutch") goes on; one that follows or is a small amount ("some German") does not.
            let leads = words.first().is_some_and(|first| holds(LEADS, first)) || item.labelled;
            standing = if leads { level } else { None };
        }
        for code in found {
            let level = level.or(standing).unwrap_or(Level::Fair);
            match reading.spoken.iter().position(|spoken| spoken.code == code) {
                Some(at) => last = Some(at),
                None => {
                    reading.spoken.push(Spoken { code, level });
                    last = Some(reading.spoken.len() - 1);
                }
            }
        }
    }
}

struct Item {
    text: String,
    key: String,
    after_comma: bool,
    labelled: bool,
}

/// Cuts a clause at commas, slashes and the words for "and"; what stands in parentheses stays with what it follows.
fn items(clause: &str) -> Vec<Item> {
    let mut pieces: Vec<(String, bool)> = vec![(String::new(), false)];
    let mut depth = 0_u32;
    for c in clause.chars() {
        match c {
            '(' | '[' | '（' => depth += 1,
            ')' | ']' | '）' => depth = depth.saturating_sub(1),
            ',' | '/' | '、' | '，' | '،' if depth == 0 => {
                pieces.push((String::new(), true));
                continue;
            }
            _ => {}
        }
        if let Some((piece, _)) = pieces.last_mut() {
            piece.push(if depth > 0 && c == ',' { ' ' } else { c });
        }
    }
    let mut out = Vec::new();
    for (piece, after_comma) in pieces {
        let mut comma = after_comma;
        for part in split_at_and(&piece) {
            let labelled = part.split_once([':', '：']).is_some_and(|(label, rest)| !rest.trim().is_empty() && language(label).is_none());
            out.push(Item { key: fold(&part), text: part, after_comma: comma, labelled });
            comma = false;
        }
    }
    out
}

fn split_at_and(piece: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let words: Vec<&str> = piece.split_whitespace().collect();
    for (at, word) in words.iter().copied().enumerate() {
        let lower = word.to_lowercase();
        // Between two words only: "en" is also the code of English.
        let between = at > 0 && at + 1 < words.len();
        if between && depth == 0 && (word == "&" || word == "+" || holds(ANDS, &lower)) {
            parts.push(String::new());
            continue;
        }
        depth = (depth + word.matches(['(', '[']).count()).saturating_sub(word.matches([')', ']']).count());
        if let Some(part) = parts.last_mut() {
            if !part.is_empty() {
                part.push(' ');
            }
            part.push_str(word);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The languages that the words name, the longest names first, and the words that are left.
fn languages_in<'a>(text: &str, words: &[&'a str]) -> (Vec<&'static str>, Vec<&'a str>) {
    // A whole item may also be a code or the name of a small language, which are too short or too rare to look for among other words.
    if !holds(NEGATIONS, &words.join(" ")) {
        if let Some(code) = language(text) {
            return (vec![code], Vec::new());
        }
        if let Some((before, inside)) = text.split_once(['(', '（'])
            && let Some(code) = language(before)
        {
            return (vec![code], words.iter().copied().filter(|word| fold(inside).split(' ').any(|other| other == *word)).collect());
        }
    }
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < words.len() {
        let longest = (1..=4.min(words.len() - at)).rev().find_map(|n| TABLE.names.get(&words[at..at + n].join(" ")).map(|code| (n, *code)));
        match longest {
            Some((n, code)) => {
                found.push(code);
                at += n;
            }
            None => {
                rest.push(words[at]);
                at += 1;
            }
        }
    }
    // "EN (fluent)", "pt: B2": a code may lead, where it can be no word.
    let lead: String = text.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let set_off = text.trim_start()[lead.len()..].trim_start().starts_with(['(', ':', '-']) || lead.bytes().all(|b| b.is_ascii_uppercase());
    if found.is_empty()
        && set_off
        && lead.len() <= 3
        && let Some((code, _)) = TABLE.english.get_key_value(lead.to_ascii_lowercase().as_str())
        && level_in(rest.get(1..).unwrap_or_default()).is_some()
    {
        found.push(code);
        rest.remove(0);
    }
    (found, rest)
}

fn level_in(words: &[&str]) -> Option<Level> {
    let has = |list: &str| words.iter().any(|word| holds(list, word));
    if has(LEARNING) {
        Some(Level::Learning)
    } else if has(FAIR) {
        Some(Level::Fair)
    } else {
        None
    }
}

/// Whether a list of words, one space between them, has this one.
fn holds(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

const ANDS: &str = "and y e et und en och og also plus ja и";

const NEGATIONS: &str = "no not none ninguno nenhum aucun keine kein nessuna";

/// Words by which somebody says that they have only begun, folded, in the languages of letters we see most.
const LEARNING: &str = "learning learn learner beginner beginners beginning basic basics elementary some little bit studying rusty poor weak a1 a2 improving passive \
    rudimentary school limited started starting novice practise practice reading read aprendiendo aprendo estudiando poco basico principiante \
    nociones elemental aprendendo pouco iniciante nocoes estudando apprends apprentissage peu debutant debutante notions bases scolaire lerne \
    lernend lernen etwas wenig anfanger anfangerin grundkenntnisse imparando imparo po leer beetje base lite";

/// Words by which somebody says that they can write letters in a language.
const FAIR: &str = "fluent fluently native mother tongue good well fair fairly intermediate advanced conversational working professional proficient excellent \
    bilingual first home main ok okay b1 b2 c1 c2 upper business speak comfortable confident nativo nativa fluido materno materna avanzado \
    intermedio bien fluente avancado intermediario bom boa bem courant couramment maternelle langue avance bon bonne intermediaire muttersprache \
    fliessend gut sehr fortgeschritten madrelingua fluentemente buono buona moedertaal goed vloeiend";

/// Words of [`LEARNING`] and [`FAIR`] that, standing before a list, are meant for all of it.
const LEADS: &str = "learning studying aprendiendo estudiando aprendendo estudando apprends lerne imparo imparando fluent native currently i je ich beginner";

/// Words that add nothing to a list of languages.
const FILLERS: &str = "i in am my the a of is language languages speaker level but only de etc it ich je me at with";

struct Table {
    english: BTreeMap<&'static str, &'static str>,
    names: HashMap<String, &'static str>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { english: BTreeMap::new(), names: HashMap::new() };
    for line in include_str!("languages.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        if let (Some(code), Some(name), Some(others)) = (columns.next(), columns.next(), columns.next()) {
            table.english.insert(code, name);
            for name in others.split('|').chain([name]).filter(|name| !name.is_empty()) {
                table.names.insert(fold(name), code);
            }
        }
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_every_usual_name() {
        for (text, code) in [
            ("English", "en"),
            ("español", "es"),
            ("castellano", "es"),
            ("Spanisch", "es"),
            ("inglés", "en"),
            ("Mandarin", "zh"),
            ("中文", "zh"),
            ("Farsi", "fa"),
            ("te reo Māori", "mi"),
            ("pt-BR", "pt"),
            ("EN", "en"),
            ("Kiswahili", "sw"),
            ("Brazilian Portuguese", "pt"),
            ("Scottish Gaelic", "gd"),
            ("Tagalog", "tl"),
            ("Bezhta", "kap"),
            ("العربية", "ar"),
        ] {
            assert_eq!(language(text), Some(code), "{text}");
        }
        for text in ["", "Even", "Peru", "some", "everything", "-", "Klingonese"] {
            assert_eq!(language(text), None, "{text}");
        }
        assert_eq!((name("pt"), name("kap"), name("xx")), (Some("Portuguese"), Some("Bezhta"), None));
    }

    #[test]
    fn no_name_stands_for_two_languages() {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for line in include_str!("languages.tsv").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            for name in columns[2].split('|').chain([columns[1]]).filter(|name| !name.is_empty()) {
                assert!(seen.insert(fold(name), columns[0]).is_none_or(|other| other == columns[0]), "{name}");
            }
        }
    }

    /// `en pt-` is English at least fair, Portuguese being learnt.
    fn brief(text: &str) -> String {
        let reading = read(text);
        let spoken = reading.spoken.iter().map(|spoken| format!("{}{}", spoken.code, if spoken.level == Level::Learning { "-" } else { "" }));
        let unknown = reading.unknown.iter().map(|word| format!("?{word}"));
        spoken.chain(unknown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lists_of_languages_are_read_with_their_levels() {
        for (text, expected) in [
            ("English (fluent), Portuguese (learning), some German", "en pt- de-"),
            ("English, Spanish, learning German", "en es de-"),
            ("Learning German, Dutch and Czech", "de- nl- cs-"),
            ("English and French", "en fr"),
            ("English/Spanish", "en es"),
            ("English & Māori; a little Japanese", "en mi ja-"),
            ("Español (nativo), inglés (intermedio), portugués (básico)", "es en pt-"),
            ("Français, anglais courant, notions d'allemand", "fr en de-"),
            ("Deutsch (Muttersprache), Englisch (fließend), etwas Polnisch", "de en pl-"),
            ("native Spanish, fluent English, basic Italian", "es en it-"),
            ("Fluent: English, Spanish. Learning: German, Dutch", "en es de- nl-"),
            ("English C2, French A2, Italian B1", "en fr- it"),
            ("EN, ES", "en es"),
            ("en, es; pt (learning)", "en es pt-"),
            ("English - native; Portuguese - I am learning it", "en pt-"),
            ("Portuguese, but only a little", "pt-"),
            ("some French, English", "fr- en"),
            ("English, no French", "en"),
            ("English", "en"),
            ("english ENGLISH English", "en"),
            ("日本語、英語（少し）", "ja en"),
            ("English, Elvish", "en ?Elvish"),
            ("none", ""),
            ("", ""),
            ("I speak English and I'm learning Spanish", "en es-"),
            ("Hindi, Marathi, English (all fluent)", "hi mr en"),
            ("te reo Māori (learner), English", "mi- en"),
            ("Portuguese (native) and English (good), reading knowledge of French", "pt en fr-"),
        ] {
            assert_eq!(brief(text), expected, "{text}");
        }
    }
}
