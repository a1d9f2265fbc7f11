//! From a letter to a command: what is polite is set aside, and what is left must be a command and nothing else.
use chrono::NaiveDate;

use super::words::word;
use super::{Audience, Command};
use crate::domain::address::EmailAddress;
use crate::domain::courtesy::{is_courtesy, is_farewell, yes_no};
use crate::domain::fold::fold;
use crate::domain::{dates, languages};

/// See [`Command::read`].
pub(super) fn command(subject: &str, reply_text: &str, who: Audience, today: NaiveDate) -> Option<Command> {
    let lines = contents(reply_text);
    let (subject, is_reply) = without_prefixes(subject);
    let first = lines.first().copied().unwrap_or_default();
    if let Some(command) = of_line(first, who, today) {
        return Some(command).filter(|command| stands_alone(command, first, &lines[1..]));
    }
    if is_reply {
        // The subject is our own, or that of an earlier letter; only a reply that says nothing else can mean it.
        return of_line(subject, who, today).filter(|_| reply_text.trim().is_empty()).filter(|command| *command != Command::Confirm);
    }
    let command = of_line(subject, who, today)?;
    if command == (Command::Pause { until: None })
        && let Some(longer) = of_line(&format!("{subject} {first}"), who, today)
    {
        return Some(longer);
    }
    Some(command).filter(|command| stands_alone(command, "", &lines))
}

/// See [`Command::read_yes_no`].
pub(super) fn yes_no_of(reply_text: &str) -> Option<bool> {
    let lines = contents(reply_text);
    let first = lines.first()?;
    let turned = lines
        .iter()
        .any(|line| fold(line).split(' ').next().is_some_and(|word| matches!(word, "but" | "except" | "however" | "only" | "pero" | "mais" | "aber" | "mas")));
    if turned {
        return None;
    }
    yes_no(first).or_else(|| yes_no(sentence(first)?.0))
}

/// The lines that say something: no greeting, no thanks, no farewell and what follows it, no advertisement of a telephone.
fn contents(text: &str) -> Vec<&str> {
    const DEVICES: [&str; 9] =
        ["sent from", "enviado desde", "enviado do", "gesendet von", "envoye de", "inviato da", "get outlook", "verzonden vanaf", "sent with"];
    let mut out = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let key = fold(line);
        if line == "--" || is_farewell(line) && !out.is_empty() {
            break;
        }
        if !is_courtesy(line) && !DEVICES.iter().any(|device| key.starts_with(device)) {
            out.push(line);
        }
    }
    out
}

/// The subject without "Re:", "AW:", "[list]" and their like, and whether there was a "Re:".
fn without_prefixes(subject: &str) -> (&str, bool) {
    const REPLIES: &str = "re aw antw sv vs rv ref res r odp ynt rif bls atb va απ σχετ на отв ответ 回复 答复 回覆 返信 答覆 תגובה رد enc";
    const FORWARDS: &str = "fw fwd wg tr rv i enc vl doorst pd iltm ilt 转发 轉寄 転送 vb";
    let (mut rest, mut is_reply) = (subject.trim(), false);
    loop {
        if let Some((_, inner)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            rest = inner.trim_start();
            continue;
        }
        let Some((prefix, inner)) = rest.split_once([':', '：']) else { break };
        // "Re[2]:", "Re (3):", "RE²:"
        let word: String = prefix.to_lowercase().chars().take_while(|c| c.is_alphabetic()).collect();
        let tail = prefix.chars().skip(word.chars().count()).all(|c| !c.is_alphabetic() && c != '-');
        let is = |list: &str| tail && list.split(' ').any(|known| known == word);
        if is(REPLIES) || is(FORWARDS) {
            is_reply = true;
            rest = inner.trim_start();
        } else {
            break;
        }
    }
    (rest.trim(), is_reply)
}

/// Whether what stands beside a command leaves it one. An explanation may follow most of them; "help" and "yes" stand in too many
/// letters for that, and a long letter is about something else.
fn stands_alone(command: &Command, line: &str, rest: &[&str]) -> bool {
    let words: usize = rest.iter().map(|line| line.split_whitespace().count()).sum();
    let is_name = |line: &&str| line.split_whitespace().count() <= 4 && !line.ends_with(['?', '!', ':']);
    let explained = words <= 60 && !line.ends_with(['?', ':', ',']);
    let few = rest.len() <= 2 && rest.iter().all(is_name);
    match command {
        Command::Help | Command::Confirm | Command::Join | Command::AllWell | Command::Change | Command::Done => few,
        Command::Block | Command::Report | Command::Refuse { .. } | Command::Note { .. } | Command::Reject { .. } => words <= 400,
        Command::Subscribe { .. }
        | Command::Unsubscribe { .. }
        | Command::Status
        | Command::Pause { .. }
        | Command::Resume
        | Command::Leave
        | Command::NewPartner => explained,
        Command::MyData | Command::ForgetMe | Command::AddAddress { .. } | Command::Language { .. } | Command::Topics { .. } | Command::ShareAddress => {
            explained
        }
        Command::Approve | Command::Undo | Command::Preview { .. } | Command::Pin { .. } | Command::Veto { .. } | Command::Swap { .. } => explained,
        Command::Rematch | Command::Accept | Command::Discard | Command::Ban | Command::Hold | Command::Release => explained,
    }
}

/// The first sentence of a line, and what follows it.
fn sentence(line: &str) -> Option<(&str, &str)> {
    let at = line.char_indices().find(|(at, c)| matches!(c, '.' | '!' | ';') && line[at + c.len_utf8()..].starts_with(' '))?.0;
    Some((&line[..at], line[at + 1..].trim()))
}

/// A command that a whole line is, or its first sentence with only thanks or a name behind.
fn of_line(line: &str, who: Audience, today: NaiveDate) -> Option<Command> {
    if line.is_empty() || line.len() > 300 || line.ends_with(['?', '？']) {
        return None;
    }
    coordinators(line, who).or_else(|| phrase(line, who, today)).or_else(|| {
        let (first, rest) = sentence(line)?;
        (is_courtesy(rest) || rest.split_whitespace().count() <= 2).then(|| phrase(first, who, today)).flatten()
    })
}

/// Polite words before and behind a command, and what it is about, which is always the same.
const BEFORE: [&str; 26] = [
    "please",
    "kindly",
    "hello",
    "hi",
    "ok",
    "i want to",
    "i would like to",
    "id like to",
    "i wish to",
    "i need to",
    "can you",
    "could you",
    "would you",
    "can i",
    "may i",
    "i need",
    "i would like",
    "id like",
    "por favor",
    "bitte",
    "s il vous plait",
    "quiero",
    "quisiera",
    "je voudrais",
    "ich mochte",
    "command",
];
const BEHIND: [&str; 29] = [
    "please",
    "thanks",
    "thank you",
    "thank you very much",
    "many thanks",
    "now",
    "me",
    "again",
    "por favor",
    "bitte",
    "gracias",
    "merci",
    "danke",
    "my participation",
    "participation",
    "my membership",
    "the programme",
    "the program",
    "the exchange",
    "from the programme",
    "from this list",
    "from the list",
    "from your list",
    "from the mailing list",
    "from the topics",
    "for now",
    "for a while",
    "today",
    "immediately",
];

fn phrase(line: &str, who: Audience, today: NaiveDate) -> Option<Command> {
    if let Some(command) = with_text(line) {
        return Some(command);
    }
    let whole = fold(line);
    if whole.split(' ').count() > 14 {
        return None;
    }
    if let Some(command) = word(&whole, who) {
        return Some(command);
    }
    let mut key = whole.as_str();
    while let Some(rest) = BEFORE.iter().find_map(|polite| key.strip_prefix(polite)?.strip_prefix(' ')) {
        key = rest;
    }
    if let Some(pause) = pause(key, line, today) {
        return Some(pause);
    }
    loop {
        if let Some(command) = word(key, who) {
            return Some(command);
        }
        match BEHIND.iter().find_map(|polite| key.strip_suffix(polite)?.strip_suffix(' ')) {
            Some(rest) => key = rest,
            None => return (yes_no(line) == Some(true)).then_some(Command::Confirm),
        }
    }
}

/// "pause", "pause until 1 March 2027", "pause for two weeks".
fn pause(key: &str, line: &str, today: NaiveDate) -> Option<Command> {
    const PAUSES: [&str; 12] =
        ["pause", "paused", "pausa", "pausar", "pausieren", "take a break", "a break", "a pause", "mettre en pause", "faire une pause", "pauze", "suspend"];
    let rest = PAUSES.iter().find_map(|word| key.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with(' ')))?.trim();
    let plain = BEHIND.iter().chain(&["my place", "my sign up"]).fold(rest, |rest, polite| rest.strip_suffix(polite).unwrap_or(rest).trim());
    let plain = ["my participation", "participation", "me"].iter().fold(plain, |rest, about| rest.strip_prefix(about).unwrap_or(rest).trim());
    if plain.is_empty() {
        return Some(Command::Pause { until: None });
    }
    let until = ["until", "till", "til", "to", "through", "hasta", "jusqu au", "jusque", "bis", "ate", "fino al", "tot"];
    if let Some(words) = until.iter().find_map(|until| plain.strip_prefix(until)?.strip_prefix(' ')) {
        // Dots and dashes are gone from the key, and a date may need them.
        let raw = line.split_whitespace().find_map(|word| {
            dates::date(word.trim_end_matches([',', '!']), today)
                .filter(|_| word.contains(|c: char| c.is_ascii_digit()))
                .filter(|_| word.contains(['.', '-', '/']))
        });
        let day = raw.or_else(|| dates::date(words, today));
        return (day.is_some() || words.split(' ').count() <= 6).then_some(Command::Pause { until: day.filter(|day| *day > today) });
    }
    let span = plain.strip_prefix("for ")?;
    (span.split(' ').count() <= 4).then(|| Command::Pause { until: dates::after(span, today) })
}

/// Commands of members whose argument is free.
fn with_text(line: &str) -> Option<Command> {
    let line = line.trim().trim_end_matches(['.', '!']);
    let key = fold(line);
    for start in ["add address", "add my address", "add the address", "add another address", "also write from", "please add address", "please add my address"] {
        if key.starts_with(start) {
            let words = line.split_whitespace().filter(|word| word.contains('@'));
            let mut addresses = words.filter_map(|word| EmailAddress::parse(word.trim_matches(['<', '>', ',', ';', '"', '(', ')', ':'])).ok());
            return addresses.next().filter(|_| addresses.next().is_none()).map(|address| Command::AddAddress { address });
        }
    }
    for start in ["language", "my language is", "letters in", "write to me in", "please write to me in", "idioma", "langue", "sprache", "lingua"] {
        if let Some(rest) = key.strip_prefix(start).and_then(|rest| rest.strip_prefix(' ')) {
            return languages::language(rest.strip_suffix(" please").unwrap_or(rest)).map(|language| Command::Language { language });
        }
    }
    None
}

/// The commands of coordinators, with what they are about.
fn coordinators(line: &str, who: Audience) -> Option<Command> {
    if who < Audience::Coordinator {
        return None;
    }
    let line = line.trim().trim_end_matches(['.', '!']);
    let line = line.strip_prefix("please ").or_else(|| line.strip_prefix("Please ")).unwrap_or(line);
    let (verb, rest) = line.split_once([' ', ':']).map_or((line, ""), |(verb, rest)| (verb, rest.trim().trim_start_matches(':').trim()));
    let alone = rest.is_empty() || is_courtesy(rest) || fold(rest) == "please";
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    match fold(verb).as_str() {
        "approve" | "approved" if alone => Some(Command::Approve),
        "undo" if alone => Some(Command::Undo),
        "rematch" if alone => Some(Command::Rematch),
        "accept" | "accepted" if alone => Some(Command::Accept),
        "discard" if alone => Some(Command::Discard),
        "ban" if alone => Some(Command::Ban),
        "done" if alone => Some(Command::Done),
        "hold" if alone => Some(Command::Hold),
        "release" if alone => Some(Command::Release),
        "preview" if !alone => some(rest).map(|person| Command::Preview { person }),
        "pin" => two(rest).map(|(a, b)| Command::Pin { a, b }),
        "veto" => two(rest).map(|(a, b)| Command::Veto { a, b }),
        "swap" => two(rest).map(|(a, b)| Command::Swap { a, b }),
        "refuse" => person_and_reason(rest),
        "reject" => Some(Command::Reject { reason: some(without_because(rest)) }),
        "note" => some(rest).map(|text| Command::Note { text }),
        _ => None,
    }
}

/// "Ana Flores with Ben Otter", "a1, b2", "ana@x.example ben@y.example".
fn two(text: &str) -> Option<(String, String)> {
    let pair = [" with ", " and ", " & ", " / ", ",", ";", " <-> ", " + "].iter().find_map(|mark| text.split_once(mark)).or_else(|| text.split_once(' '))?;
    let (a, b) = (pair.0.trim(), pair.1.trim());
    (!a.is_empty() && !b.is_empty()).then(|| (a.to_owned(), b.to_owned()))
}

fn person_and_reason(text: &str) -> Option<Command> {
    let parts = [":", " because ", " - ", " – ", ", ", "; "].iter().find_map(|mark| text.split_once(mark));
    let parts = parts.or_else(|| text.split_once(' ').filter(|(first, _)| first.contains('@')));
    let (person, reason) = parts.map_or((text, ""), |(person, reason)| (person, without_because(reason)));
    let person = person.trim().to_owned();
    (!person.is_empty()).then(|| Command::Refuse { person, reason: Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()) })
}

fn without_because(reason: &str) -> &str {
    let reason = reason.trim().trim_start_matches([':', '-', '–', ',']).trim();
    reason.strip_prefix("because ").unwrap_or(reason)
}
