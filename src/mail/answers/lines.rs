//! Finds the lines of a form in a letter: quoted, wrapped, in bullets, bold, answered below, in a table, in a row.
use std::collections::HashMap;

use crate::domain::courtesy::{is_farewell, is_greeting};
use crate::domain::fold::fold;
use crate::domain::programme::{Kind, Programme, Question};
use crate::domain::wording;

/// One line of the form, found in a letter.
pub(super) struct Field {
    /// Its place in the programme.
    pub question: usize,
    /// How many times it is quoted; the writer's own words have 0.
    pub depth: usize,
    /// The words behind the label, without the form's hint.
    pub value: String,
}

/// Of several lines for one question the least quoted, and of those the last.
fn best(fields: Vec<Field>) -> Vec<Field> {
    let mut kept: HashMap<usize, Field> = HashMap::new();
    for field in fields {
        match kept.get(&field.question) {
            Some(held) if held.depth < field.depth => {}
            Some(_) | None => {
                kept.insert(field.question, field);
            }
        }
    }
    kept.into_values().collect()
}

struct Line<'a> {
    depth: usize,
    text: &'a str,
    indented: bool,
}

/// A line that has been found to be of the form, while what follows it is still looked at.
struct Open {
    question: usize,
    depth: usize,
    value: String,
    /// Length of the last line, by which a wrapped line is known.
    last: usize,
    /// An empty line has followed.
    gap: bool,
}

/// The lines of the form that say something, for each question the one that counts: the least quoted, and of those the last.
pub(super) fn fields(text: &str, programme: &Programme) -> Vec<Field> {
    best(all_fields(text, programme))
}

/// All non-empty lines of the form, in the letter's order.
fn all_fields(text: &str, programme: &Programme) -> Vec<Field> {
    let labels = Labels::of(programme);
    let lines = lines(text);
    let mut found = Vec::new();
    let mut open: Option<Open> = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(pairs) = labels.read(line.text) {
            let last_of_line = pairs.len() - 1;
            for (i, (question, value)) in pairs.into_iter().enumerate() {
                close(programme, open.take(), &mut found);
                let last = if i == last_of_line { line.text.chars().count() } else { 0 };
                open = Some(Open { question, depth: line.depth, value: value.to_owned(), last, gap: false });
            }
            continue;
        }
        let Some(field) = open.as_mut() else { continue };
        if line.text.is_empty() {
            field.gap = true;
        } else if goes_on(programme, field, line, &lines[at + 1..], &labels) {
            append(programme, field, line);
        } else {
            close(programme, open.take(), &mut found);
        }
    }
    close(programme, open, &mut found);
    found
}

/// Ends a line of the form: without the hint; nothing where nothing was written.
fn close(programme: &Programme, open: Option<Open>, found: &mut Vec<Field>) {
    if let Some(Open { question, depth, value, .. }) = open {
        let value = without_hint(&value, programme.questions[question].hint());
        if !wording::is_blank(&value) {
            found.push(Field { question, depth, value });
        }
    }
}

/// Whether a line without a label belongs to the line of the form above it.
fn goes_on(programme: &Programme, field: &Open, line: &Line, rest: &[Line], labels: &Labels) -> bool {
    let question = &programme.questions[field.question];
    if field.value.len() > MOST_OF_A_VALUE {
        return false;
    }
    let empty = is_empty(&field.value, question);
    if is_farewell(line.text) || (is_greeting(line.text) && !empty) {
        return false;
    }
    if hint_goes_on(&field.value, line.text, question) {
        return true;
    }
    if line.depth < field.depth {
        // An answer written under the quoted line; or the tail of one that a mail client wrapped without quoting it again.
        let next = rest.iter().find(|next| !next.text.is_empty());
        let between = next.is_some_and(|next| next.depth >= field.depth);
        return if empty { between || !field.gap && next.is_none() } else { !field.gap && field.last >= 60 };
    }
    if line.depth > field.depth {
        return false;
    }
    let prose = matches!(question.kind, Kind::Prose);
    if field.gap && prose && !empty {
        // Prose has paragraphs; but the last of a letter is a farewell, or what is quoted below it.
        let block = rest.iter().take(100).take_while(|next| next.depth == line.depth && !is_farewell(next.text));
        return block.into_iter().any(|next| labels.read(next.text).is_some());
    }
    if field.gap {
        // An answer in a paragraph of its own, as HTML makes it: only between two labels, or it might be the farewell.
        let next = rest.iter().find(|next| !next.text.is_empty());
        return empty && next.is_some_and(|next| labels.read(next.text).is_some());
    }
    let list = matches!(question.kind, Kind::Terms | Kind::Languages { .. } | Kind::Places { .. } | Kind::People | Kind::Choices(_));
    let unfinished = field.value.trim_end().ends_with([',', ';', '-', '–', '/', '&']) || field.value.trim_end().ends_with(" and");
    empty || prose || line.indented || field.last >= 60 || unfinished || (list && is_bullet(line.text))
}

fn append(programme: &Programme, field: &mut Open, line: &Line) {
    let question = &programme.questions[field.question];
    let empty = is_empty(&field.value, question);
    field.last = line.text.chars().count();
    if line.depth < field.depth && empty && !hint_goes_on(&field.value, line.text, question) {
        // The answer under a quoted line is the writer's own.
        field.depth = line.depth;
        field.value = line.text.to_owned();
    } else if is_bullet(line.text) {
        let item = line.text.trim_start_matches(['-', '*', '•', '·', '–', ' ']);
        field.value = if empty { item.to_owned() } else { format!("{}; {item}", field.value.trim_end_matches([',', ';'])) };
    } else {
        field.value = format!("{} {}", field.value, line.text);
    }
    field.gap = false;
}

/// Whether a value holds nothing, or nothing but the hint.
fn is_empty(value: &str, question: &Question) -> bool {
    // What is much longer than the hint holds more; looking closely at each line of a long value would take long.
    value.len() <= 2 * question.hint().len() + 100 && wording::is_blank(&without_hint(value, question.hint()))
}

fn is_bullet(text: &str) -> bool {
    ["- ", "* ", "• ", "· ", "– "].iter().any(|bullet| text.starts_with(bullet))
}

/// Whether a line goes on with the hint in brackets that the value has begun: a mail client has wrapped it.
fn hint_goes_on(value: &str, line: &str, question: &Question) -> bool {
    let begun = value.rsplit_once('[').map(|(_, begun)| begun).filter(|begun| !begun.contains(']'));
    let Some(begun) = begun.filter(|begun| begun.len() <= 2 * question.hint().len()) else { return false };
    let piece = line.split(']').next().unwrap_or_default();
    fold(question.hint()).starts_with(&fold(&format!("{begun} {piece}")))
}

/// What was written before or behind the hint, within its brackets, or instead of it.
fn without_hint(value: &str, hint: &str) -> String {
    if hint.is_empty() {
        return value.to_owned();
    }
    let hint_key = fold(hint);
    if fold(value) == hint_key {
        return String::new();
    }
    let mut kept = String::new();
    let mut rest = value;
    while let Some((before, inside)) = rest.split_once('[') {
        let (inner, after) = inside.split_once(']').unwrap_or((inside, ""));
        kept.push_str(before);
        let key = fold(inner);
        if key.starts_with(&format!("{hint_key} ")) {
            // "[where you live: Peru]"
            kept.extend(inner.split_whitespace().skip(hint.split_whitespace().count()).flat_map(|word| [word, " "]));
        } else if !(key == hint_key || key.contains(' ') && hint_key.starts_with(&key)) {
            // Somebody's own brackets; but half a hint is one too: the other half was wrapped away.
            kept.extend(["[", inner, if inside.len() > inner.len() { "]" } else { "" }]);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

/// Octets after which nothing more is added to a value: far above what any question takes, so that it is told to be too long.
const MOST_OF_A_VALUE: usize = 20_000;

/// Characters of a label with what may stand beside it; a longer run of words before a colon is none.
const MOST_OF_A_LABEL: usize = 100;

/// The labels of a programme, by their folded form.
struct Labels {
    by_key: HashMap<String, usize>,
}

impl Labels {
    fn of(programme: &Programme) -> Self {
        let mut by_key = HashMap::new();
        for (at, question) in programme.questions.iter().enumerate().rev() {
            for label in question.labels().chain([question.key.as_str()]) {
                by_key.insert(fold(label), at);
            }
        }
        Self { by_key }
    }

    /// The question that a label means: with or without "my" or "your", a number before it, or something in parentheses behind.
    fn find(&self, label: &str) -> Option<usize> {
        if label.chars().count() > MOST_OF_A_LABEL {
            return None;
        }
        let key = fold(label);
        let key = key.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        // "a) Name"
        let key = key.split_once(' ').filter(|(letter, _)| letter.len() == 1 && label.contains(')')).map_or(key, |(_, rest)| rest);
        let look = |key: &str| self.by_key.get(key).copied();
        let bare = || ["my ", "your ", "the "].iter().find_map(|word| look(key.strip_prefix(word)?));
        look(key).or_else(bare).or_else(|| {
            let (outside, _) = label.split_once('(')?;
            look(&fold(outside))
        })
    }

    /// The labels and values of one line: one as a rule, several where somebody wrote the form in a row.
    fn read<'a>(&self, line: &'a str) -> Option<Vec<(usize, &'a str)>> {
        let line = line.trim_start_matches(|c: char| matches!(c, '-' | '*' | '•' | '·' | '–' | '#' | '_' | '+' | '☐' | '►' | '▪') || c.is_whitespace());
        let (question, mut value) = self.first(line)?;
        let mut pairs = vec![(question, "")];
        // "Name: Ana; Country: Peru"
        let mut from = 0;
        while let Some(at) = value[from..].find([',', ';', '|']).map(|at| from + at) {
            from = at + 1;
            let rest = &value[from..];
            let colon = rest.char_indices().take(MOST_OF_A_LABEL).find(|(_, c)| matches!(c, ':' | '：')).map(|(at, _)| at);
            if let Some((question, next)) = colon.and_then(|colon| self.split_at(rest, colon)) {
                if let Some(last) = pairs.last_mut() {
                    last.1 = value[..at].trim();
                }
                pairs.push((question, ""));
                value = next;
                from = 0;
            }
        }
        if let Some(last) = pairs.last_mut() {
            last.1 = value.trim();
        }
        Some(pairs.into_iter().flat_map(|(question, value)| self.unglued(question, value)).collect())
    }

    /// "Ana Country: Peru", which was two lines or cells: a label in the midst, with a capital, ends the value before it.
    fn unglued<'a>(&self, question: usize, value: &'a str) -> Vec<(usize, &'a str)> {
        // A whole form in one cell is no longer than this.
        let colons = if value.len() > 4000 { 0 } else { 20 };
        for (colon, _) in value.match_indices([':', '：']).take(colons) {
            let starts =
                value[..colon].char_indices().rev().filter(|(at, c)| c.is_uppercase() && value[..*at].ends_with(char::is_whitespace)).map(|(at, _)| at);
            let longest = starts.take(6).filter(|&at| self.find_exactly(&value[at..colon]).is_some()).last();
            if let Some((at, (next, rest))) = longest.and_then(|at| Some((at, self.split_at(&value[at..], colon - at)?))) {
                let mut pairs = vec![(question, value[..at].trim())];
                pairs.extend(self.unglued(next, rest));
                return pairs;
            }
        }
        vec![(question, value)]
    }

    fn find_exactly(&self, label: &str) -> Option<usize> {
        self.by_key.get(&fold(label)).copied()
    }

    fn first<'a>(&self, line: &'a str) -> Option<(usize, &'a str)> {
        let colon = line.find([':', '：']);
        if let Some(found) = colon.and_then(|colon| self.split_at(line, colon)) {
            return Some(found);
        }
        // Other marks between label and value count only where no colon comes first: they stand in sentences too.
        for mark in [" = ", "=", "\t", " | ", " – ", " — ", " - ", "? "] {
            if let Some(at) = line.find(mark).filter(|&at| colon.is_none_or(|colon| at < colon))
                && let Some(question) = self.find(&line[..at])
            {
                return Some((question, line[at + mark.len()..].trim()));
            }
        }
        // A label alone on its line, in bold or with a question mark.
        let alone = line.trim_end_matches(['*', '_', '?', ' ']);
        (alone.len() < line.len()).then(|| self.find(alone)).flatten().map(|question| (question, ""))
    }

    fn split_at<'a>(&self, line: &'a str, colon: usize) -> Option<(usize, &'a str)> {
        let question = self.find(&line[..colon])?;
        let value = line[colon..].trim_start_matches([':', '：']).trim_start();
        // "*Country:* Peru": the end of the bold.
        let bold = line[..colon].contains('*') || value.starts_with('*');
        Some((question, if bold { value.trim_start_matches('*').trim_start() } else { value }))
    }
}

/// The letter's lines without their quote marks; what follows "On … wrote:" without any counts as quoted once.
fn lines(text: &str) -> Vec<Line<'_>> {
    let raw: Vec<&str> = text.lines().collect();
    let mut below = 0;
    let mut out = Vec::new();
    for (at, line) in raw.iter().enumerate() {
        let (depth, body) = unquoted(line);
        let text = body.trim();
        if depth == 0 && (is_separator(text, raw[at.saturating_sub(1)]) || is_head(&raw[at..])) {
            let next = raw[at + 1..].iter().find(|next| !next.trim().is_empty());
            below = usize::from(next.is_some_and(|next| unquoted(next).0 == 0));
        }
        out.push(Line { depth: if depth == 0 { below } else { depth }, text, indented: body.starts_with([' ', '\t', '\u{a0}']) });
    }
    out
}

/// How many quote marks a line has, and what follows them.
fn unquoted(line: &str) -> (usize, &str) {
    let (mut depth, mut rest) = (0, line);
    while let Some(inner) = rest.trim_start().strip_prefix(['>', '|', '│', '»']) {
        depth += 1;
        rest = inner;
    }
    (depth, if depth > 0 { rest.strip_prefix(' ').unwrap_or(rest) } else { rest })
}

/// Whether the head of a quoted letter begins here, as Outlook shows it: From, Sent, To, Subject, in the reader's language.
fn is_head(lines: &[&str]) -> bool {
    const FROM: &str = "from von de da van fra fran od lahettaja от expediteur remitente";
    const REST: &str = "sent date to cc subject gesendet datum an betreff enviado fecha para asunto envoye a objet inviato data oggetto verzonden aan onderwerp sendt til emne \
        skickat till amne wyslano do temat отправлено дата кому тема assunto enviada";
    let label = |line: &str| line.split_once([':', '：']).map(|(label, _)| fold(label)).unwrap_or_default();
    let is = |list: &str, line: &str| list.split_whitespace().any(|word| word == label(line));
    let mut shown = lines.iter().filter(|line| !line.trim().is_empty());
    shown.next().is_some_and(|first| is(FROM, first)) && shown.take(4).filter(|line| is(REST, line)).count() >= 2
}

/// The line that mail clients put above a letter they quote; the first half of it may stand on the line before.
fn is_separator(text: &str, before: &str) -> bool {
    const WROTE: &str = "wrote schrieb escribio ecrit escreveu scritto schreef skrev napisal пишет написал";
    let key = fold(text);
    let dashes = text.starts_with("---") && key.chars().count() > 5 || text.len() >= 20 && text.bytes().all(|b| b == b'_');
    let says = text.ends_with(':') && key.split(' ').any(|word| WROTE.split(' ').any(|wrote| wrote == word));
    dashes || says && format!("{before} {text}").contains(|c: char| c.is_ascii_digit() || c == '@')
}
