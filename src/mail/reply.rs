//! What the writer of an answer wrote: without what is quoted, the lines that introduce it, the signature, and disclaimers.
//!
//! Words that can't be told from the writer's own stay: losing a sentence of a person is worse than keeping a line too much. A closing ("Regards, Ana")
//! is the writer's.

use super::phrases::{
    CONFIDENTIAL, DATE_LABELS, DAYS_AND_MONTHS, FROM_LABELS, OPENERS, ORIGINAL_MESSAGE, SENT_FROM, SENT_FROM_END, SUBJECT_LABELS, THIS_MESSAGE, TO_LABELS,
    VERBS_BEFORE, VERBS_LAST,
};

/// An answer, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The writer's own words; those between quotations follow each other after an empty line.
    pub text: String,
    /// What was quoted, with its marks and the lines that introduce it.
    pub quoted: String,
    /// The signature, "Sent from my …", a disclaimer.
    pub signature: String,
}

/// Takes the text of a letter apart (see [`super::message::Message::text`], which marks HTML quotations by `> `).
pub fn split(text: &str) -> Reply {
    let lines: Vec<&str> = text.lines().collect();
    let quoted = quoted_lines(&lines);
    let mut reply = Reply::default();
    let mut own: Vec<&str> = Vec::new();
    let mut last_was_quote = false;
    for (line, piece) in lines.iter().zip(&quoted) {
        match piece {
            Piece::Quoted => push_line(&mut reply.quoted, line),
            Piece::Own | Piece::Ends(_) => {
                if last_was_quote {
                    own.push("");
                }
                match piece {
                    Piece::Ends(at) => {
                        own.push(line[..*at].trim_end_matches([' ', '-', '_']));
                        push_line(&mut reply.quoted, &line[*at..]);
                    }
                    Piece::Own | Piece::Quoted => own.push(line),
                }
            }
        }
        last_was_quote = *piece != Piece::Own;
    }
    let end = signature_start(&own);
    reply.text = trimmed(&own[..end]);
    reply.signature = trimmed(&own[end..]);
    reply
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Own,
    Quoted,
    /// The writer's words end at that octet; the introduction of a quotation stands behind them on the same line.
    Ends(usize),
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Lines joined, without empty ones at both ends and with at most one between.
fn trimmed(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut empty = 0;
    for line in lines {
        if line.trim().is_empty() {
            empty += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        out.push_str(line.trim_end());
    }
    out
}

/// Marks each line.
fn quoted_lines(lines: &[&str]) -> Vec<Piece> {
    let mut pieces = vec![Piece::Own; lines.len()];
    let mut i = 0;
    while i < lines.len() {
        if is_quote(lines[i]) {
            pieces[i] = Piece::Quoted;
            i += 1;
            while i < lines.len() && (is_quote(lines[i]) || continues_quote(lines[i - 1], lines[i])) {
                pieces[i] = Piece::Quoted;
                i += 1;
            }
            continue;
        }
        // A rule, perhaps with an empty line below, belongs to it.
        let rule = (i.saturating_sub(2)..i).find(|&j| is_rule(lines[j]) && lines[j..i].iter().all(|l| is_rule(l) || l.trim().is_empty()));
        let ruled_from = rule.is_some() && header_label(lines[i]) == Some(Label::From) && lines[i].contains('@');
        if ruled_from || begins_header_block(lines, i) || is_original_message(lines[i]) {
            pieces[rule.unwrap_or(i)..].fill(Piece::Quoted);
            break;
        }
        if let Some(found) = attribution(lines, i) {
            let marked = next_full(lines, found.end + 1).is_some_and(|j| is_quote(lines[j]));
            let last = if marked { found.end } else { lines.len() - 1 };
            pieces[found.start..=last].fill(Piece::Quoted);
            if found.column > 0 {
                pieces[found.start] = Piece::Ends(found.column);
            }
            if !marked {
                break;
            }
            // What is between the introduction and the first marked line is nobody's.
            i = next_full(lines, found.end + 1).unwrap_or(lines.len());
            pieces[found.end + 1..i].fill(Piece::Quoted);
            continue;
        }
        i += 1;
    }
    pieces
}

fn next_full(lines: &[&str], from: usize) -> Option<usize> {
    (from..lines.len()).find(|&j| !lines[j].trim().is_empty())
}

/// A line marked as quoted. `>>> look here <<<` is a shout.
fn is_quote(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('>') && !line.ends_with("<<<")
}

/// A line that a client broke off a quoted one, so that it lost its mark: inside a parenthesis or angle bracket that is still open, or behind a soft break
/// that was not undone, or a lone link.
fn continues_quote(before: &str, line: &str) -> bool {
    if line.trim().is_empty() {
        return false;
    }
    let open = |a: char, b: char| before.matches(a).count() > before.matches(b).count();
    let in_link = open('(', ')') && line.contains(')') && before.contains("://");
    let soft = before.ends_with('=') && before.len() >= 72;
    let lone_link = line.trim_start().starts_with("(http") && line.ends_with('>');
    in_link || soft || lone_link
}

/// A line of dashes, underscores, equal signs or stars, perhaps in blanks.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.chars().count() >= 5 && line.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | ' '))
}

/// `-----Original Message-----`, in the languages of mail clients.
fn is_original_message(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['*', '>', ' ']);
    let words = line.trim_matches(|c: char| matches!(c, '-' | '_' | '=' | '*' | ' ' | ':' | '—' | '–')).to_lowercase();
    let dashed = line.starts_with("--") || line.starts_with("__") || line.starts_with("==") || line.starts_with('—');
    (dashed && ORIGINAL_MESSAGE.contains(&words.as_str())) || (!dashed && words == "begin forwarded message")
}

/// The header of a quoted letter as Outlook writes it: lines `From:`, `Sent:`, `To:`, `Subject:`, at least two different ones, a From or Date first.
fn begins_header_block(lines: &[&str], at: usize) -> bool {
    let Some(first) = header_label(lines[at]).filter(|l| matches!(l, Label::From | Label::Date)) else { return false };
    let mut others = 0;
    let mut seen = vec![first];
    for line in lines[at + 1..].iter().take(6) {
        if line.trim().is_empty() {
            // HTML made text may have an empty line between, but not before the second field is found.
            if seen.len() > 1 {
                break;
            }
            others += 1;
        } else if let Some(label) = header_label(line) {
            if !seen.contains(&label) {
                seen.push(label);
            }
        } else {
            // The first value wrapped to a second line.
            others += 1;
        }
        if others > 2 {
            break;
        }
    }
    // Invitations have "Date:" and "To:"; letters have a From too, or a subject.
    seen.len() >= 2 && (seen.contains(&Label::From) || seen.contains(&Label::Subject) || seen.contains(&Label::To))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    From,
    Date,
    To,
    Subject,
}

fn header_label(line: &str) -> Option<Label> {
    let line = line.trim().trim_start_matches(['*', '_', '|']);
    let end = line.char_indices().take(24).find(|(_, c)| matches!(c, ':' | '：'))?.0;
    let name = line[..end].trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_')).to_lowercase();
    let has = |names: &[&str]| names.contains(&name.as_str());
    if has(FROM_LABELS) {
        Some(Label::From)
    } else if has(DATE_LABELS) {
        Some(Label::Date)
    } else if has(TO_LABELS) {
        Some(Label::To)
    } else if has(SUBJECT_LABELS) {
        Some(Label::Subject)
    } else {
        None
    }
}

/// Where an introduction such as "On Monday, Ana wrote:" stands.
struct Attribution {
    start: usize,
    end: usize,
    /// The octet of the first line at which it begins.
    column: usize,
}

/// An introduction that begins at line `at`, or whose last line it is.
fn attribution(lines: &[&str], at: usize) -> Option<Attribution> {
    let here = lines[at].trim();
    if here.is_empty() || here.len() > 400 {
        return None;
    }
    let column = opener_column(lines[at]);
    // The introduction itself may be wrapped over several lines.
    for end in at..(at + 6).min(lines.len()) {
        // The `>` of a broken `<address>` may begin the last line.
        let marked = is_quote(lines[end]) && !is_lone_verb(lines[end]);
        if marked || (end > at && column.is_none()) {
            break;
        }
        let from = column.unwrap_or(0);
        let joined = std::iter::once(&lines[at][from..]).chain(lines[at + 1..=end].iter().copied()).map(str::trim).collect::<Vec<_>>().join(" ");
        if joined.len() > 500 {
            break;
        }
        let followed = next_full(lines, end + 1).is_some_and(|j| is_quote(lines[j]) && !is_lone_verb(lines[j]));
        if introduces(&joined, column.is_some(), followed) {
            return Some(Attribution { start: at, end, column: from });
        }
        // "Ana <ana@example.org> wrote:" on one line needs no date.
        if lines[end].trim_end().ends_with(':') && end > at {
            break;
        }
    }
    None
}

/// `> wrote:`
fn is_lone_verb(line: &str) -> bool {
    let words = line.trim().trim_start_matches('>').trim();
    !words.contains(' ') && ends_in_verb(words)
}

/// "On …" and its like may begin behind the writer's last words.
fn opener_column(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_' | '—')).len();
    let rest = &line[start..];
    let lower = rest.to_lowercase();
    if starts_with_date(rest) || OPENERS.iter().any(|o| lower.starts_with(o)) {
        return Some(0);
    }
    // Only the English form is found in the middle of a line, and only before a day or a month.
    line.match_indices("On ").map(|(at, _)| at).find(|&at| {
        let before = line[..at].chars().next_back();
        let next: String = line[at + 3..].chars().take(3).collect::<String>().to_lowercase();
        before.is_some_and(|c| matches!(c, ' ' | '-')) && (DAYS_AND_MONTHS.contains(&next.as_str()) || next.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `2014-10-17 …`, `17/10/2014 …`, `17.10.2014 …`.
fn starts_with_date(line: &str) -> bool {
    let date: String = line.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '/' | '.' | '年' | '月' | '日')).collect();
    date.chars().filter(char::is_ascii_digit).count() >= 5 && date.contains(['-', '/', '.', '年'])
}

/// The joined lines introduce a quotation.
fn introduces(text: &str, opened: bool, followed: bool) -> bool {
    let dashed = text.starts_with("--") && text.ends_with("--");
    let core = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*' | '_'));
    let colon = core.ends_with([':', '：']);
    let core = core.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：' | '*' | '-'));
    let lower = core.to_lowercase();
    let dated = core.chars().any(|c| c.is_ascii_digit());
    let addressed = core.contains('@');
    let verb = ends_in_verb(&lower) || (VERBS_BEFORE.iter().any(|verb| lower.contains(&format!(" {verb} "))) && lower.chars().count() < 250);
    if verb && (dashed || followed || (colon && (addressed || (dated && opened)))) {
        return true;
    }
    // "2014-10-17 11:28 GMT+03:00 Ana <ana@example.org>:" says no verb.
    let timed = starts_with_date(core) || (opened && dated && core.contains(':'));
    addressed && timed && core.contains('<') && (colon || followed)
}

fn ends_in_verb(text: &str) -> bool {
    let lower = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '：' | '*' | '-')).to_lowercase();
    VERBS_LAST
        .iter()
        .any(|verb| lower.strip_suffix(verb).is_some_and(|before| before.is_empty() || before.ends_with(|c: char| !c.is_alphabetic()) || !verb.is_ascii()))
}

/// Where the signature, a "Sent from my …" or a disclaimer begins; the number of lines where there is none.
fn signature_start(lines: &[&str]) -> usize {
    let mut end = lines.len();
    // A disclaimer below a "Sent from" below a signature; more than a few are no tails.
    for _ in 0..6 {
        match tail_start(&lines[..end]) {
            Some(start) => end = start,
            None => break,
        }
    }
    end
}

/// One tail at the end of the lines: never the first words of a letter.
fn tail_start(lines: &[&str]) -> Option<usize> {
    let full: Vec<usize> = (0..lines.len()).filter(|&i| !lines[i].trim().is_empty()).collect();
    let first = *full.first()?;
    let last = *full.last()?;
    // RFC 3676 4.3: "-- " alone on its line begins the signature; many clients leave out the blank.
    if let Some(&at) = full.iter().find(|&&i| lines[i] == "-- " || lines[i] == "-- \u{a0}").filter(|&&i| i > first || full.len() == 1) {
        return Some(at);
    }
    // A signature has some lines, not hundreds.
    let tail = &full[full.len().saturating_sub(21)..];
    if let Some(&at) = tail.iter().find(|&&i| i > first && is_dashes(lines[i]) && looks_signed(lines[i], &lines[i + 1..=last])) {
        return Some(at);
    }
    if last > first && is_sent_from(lines[last]) {
        return Some(last);
    }
    if full.len() == 1 && is_sent_from(lines[last]) {
        return Some(last);
    }
    if last > first && is_dashed_name(lines[last]) && !full.iter().rev().nth(1).is_some_and(|&i| lines[i].trim_start().starts_with('-')) {
        return Some(last);
    }
    list_footer(lines, &full).or_else(|| disclaimer(lines, &full)).or_else(|| contact_block(lines, &full))
}

/// Two or more dashes, nothing else.
fn is_dashes(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 2 && line.chars().all(|c| matches!(c, '-' | '—' | '–'))
}

/// Two or three dashes begin a signature; a longer ruler only where what is below tells how to reach somebody.
fn looks_signed(dashes: &str, below: &[&str]) -> bool {
    let short = below.iter().all(|l| l.chars().count() <= 120);
    short && (dashes.trim().chars().count() <= 3 || below.iter().any(|l| is_reachable(l.trim())))
}

/// "-Ana", "- Ana Silva": one to three words that begin like a name would.
fn is_dashed_name(line: &str) -> bool {
    let line = line.trim();
    let Some(name) = line.strip_prefix(['-', '—', '–', '~']) else { return false };
    let words: Vec<&str> = name.split_whitespace().collect();
    let wordy = |w: &&str| w.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\''));
    (1..=3).contains(&words.len()) && words.iter().all(wordy) && name.chars().count() <= 30
}

/// "Sent from my phone" in the languages of phones. A comma makes it a sentence.
fn is_sent_from(line: &str) -> bool {
    let line = line.trim().trim_start_matches(['*', '_', '(', '[']).to_lowercase();
    line.chars().count() <= 100
        && !line.contains([',', '?'])
        && (SENT_FROM.iter().any(|s| line.starts_with(s)) || SENT_FROM_END.iter().any(|s| line.ends_with(s)))
}

/// The footer of a mailing list: a rule, then a few lines with an address or a link.
fn list_footer(lines: &[&str], full: &[usize]) -> Option<usize> {
    let tail = full.iter().rev().take(7).copied().collect::<Vec<_>>();
    let at = *tail.iter().find(|&&i| is_rule(lines[i]) && lines[i].trim().starts_with("____"))?;
    let below = &lines[at + 1..];
    let is_footer = below.iter().any(|l| l.contains("://")) && below.iter().any(|l| l.contains('@') || l.to_lowercase().contains("list"));
    (is_footer && full.first() != Some(&at)).then_some(at)
}

/// A last paragraph in lawyers' words.
fn disclaimer(lines: &[&str], full: &[usize]) -> Option<usize> {
    let start = paragraph_start(lines, full)?;
    let text = lines[start..].join(" ").to_lowercase();
    let secret = CONFIDENTIAL.iter().any(|w| text.contains(w));
    let letter = THIS_MESSAGE.iter().filter(|w| text.contains(*w)).count();
    (text.len() > 120 && secret && letter > 0).then_some(start)
}

/// The first line of the last paragraph, where it is not the first of all.
fn paragraph_start(lines: &[&str], full: &[usize]) -> Option<usize> {
    let last = *full.last()?;
    let start = (0..=last).rev().take_while(|&i| !lines[i].trim().is_empty()).last()?;
    (start > *full.first()?).then_some(start)
}

/// A line that is a link, an address or a telephone number.
fn is_reachable(line: &str) -> bool {
    let digits = line.chars().filter(char::is_ascii_digit).count();
    let phone = digits >= 7 && line.chars().filter(|c| c.is_alphabetic()).count() <= 6;
    line.starts_with("http") || line.starts_with("www.") || (line.contains('@') && !line.contains(' ')) || phone
}

/// A last paragraph of short lines: a name, then where to reach it. Lines of a form are no such thing.
fn contact_block(lines: &[&str], full: &[usize]) -> Option<usize> {
    let start = paragraph_start(lines, full)?;
    let block: Vec<&str> = lines[start..].iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
    let form_lines = block.iter().filter(|l| l.split_once(':').is_some_and(|(k, v)| !v.starts_with("//") && k.chars().count() > 2)).count();
    let named = block.first().is_some_and(|l| {
        let words: Vec<&str> = l.split_whitespace().collect();
        (1..=6).contains(&words.len()) && words.iter().all(|w| w.chars().next().is_some_and(|c| !c.is_lowercase())) && !l.ends_with([':', '?', '!'])
    });
    let fits = (2..=8).contains(&block.len()) && block.iter().all(|l| l.chars().count() <= 60);
    (fits && named && form_lines < 2 && block.iter().skip(1).any(|l| is_reachable(l))).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::html;

    fn words(text: &str) -> String {
        split(text).text
    }

    #[test]
    fn introductions_in_many_languages_end_the_writers_words() {
        for introduction in [
            "On Mon, 2 Mar 2026 at 10:00, Ana Silva <ana@example.org> wrote:",
            "On Mon, 2 Mar 2026 at 10:00, Ana Silva via Pairpost\n<ana.x@pairs.test> wrote:",
            "On 2 Mar 2026, at 10:00, Ana Silva <\nana.very.long.address.indeed@library.example.org\n> wrote:",
            "Am 02.03.26 um 10:00 schrieb Ana Silva:",
            "Am Mo., 2. März 2026 um 10:00 Uhr schrieb Ana Silva <ana@example.org>:",
            "Le lun. 2 mars 2026 à 10:00, Ana Silva <ana@example.org> a écrit :",
            "El lun, 2 mar 2026 a las 10:00, Ana Silva (<ana@example.org>) escribió:",
            "Em seg., 2 de mar. de 2026 às 10:00, Ana Silva <ana@example.org>\nescreveu:",
            "Il giorno lun 2 mar 2026 alle ore 10:00 Ana Silva <ana@example.org> ha scritto:",
            "Op ma 2 mrt 2026 om 10:00 schreef Ana Silva <ana@example.org>:",
            "Den mån 2 mars 2026 kl 10:00 skrev Ana Silva <ana@example.org>:",
            "man. 2. mar. 2026 kl. 10:00 skrev Ana Silva <ana@example.org>:",
            "ma 2. maalisk. 2026 klo 10.00 Ana Silva (ana@example.org) kirjoitti:",
            "W dniu 2.03.2026 o 10:00, Ana Silva pisze:",
            "pon., 2 mar 2026 o 10:00 Ana Silva <ana@example.org> napisał(a):",
            "po 2. 3. 2026 v 10:00 odesílatel Ana Silva <ana@example.org> napsal:",
            "пн, 2 мар. 2026 г. в 10:00, Ana Silva <ana@example.org>:",
            "02.03.2026 10:00, Ana Silva пишет:",
            "2 Mar 2026 Pzt, saat 10:00 tarihinde Ana Silva <ana@example.org> şunu yazdı:",
            "Vào Th 2, 2 thg 3, 2026 vào lúc 10:00 Ana Silva <ana@example.org> đã viết:",
            "Ana Silva <ana@example.org> 於 2026年3月2日 週一 上午10:00寫道:",
            "2026年3月2日(月) 10:00 Ana Silva <ana@example.org>:",
            "2026年3月2日 10:00，Ana Silva <ana@example.org> 写道：",
            "-----Original Message-----\nFrom: Ana",
            "________________________________\nFrom: Ana Silva <ana@example.org>\nSent: Monday, 2 March 2026 10:00\nTo: Bo\nSubject: Hello",
            "________________________________\nVon: Ana Silva <ana@example.org>\nGesendet: Montag, 2. März 2026 10:00\nAn: Bo\nBetreff: Hallo",
            "De : Ana Silva <ana@example.org>\nEnvoyé : lundi 2 mars 2026 10:00\nÀ : Bo\nObjet : Bonjour",
            "发件人: Ana Silva\n发送时间: 2026年3月2日 10:00\n收件人: Bo\n主题: 你好",
            "差出人: Ana Silva\n日時: 2026年3月2日 10:00\n宛先: Bo\n件名: こんにちは",
            "*From:* Ana Silva\n*Date:* Mon, 2 Mar 2026\n*Subject:* Hello",
            "---------- Forwarded message ---------\nFrom: Ana",
            "-------- Původní zpráva --------\nOd: Ana",
        ] {
            for quotation in ["\n\n> How are you?\n> Ana\n", "\n\nHow are you?\nAna\n"] {
                let text = format!("Dear Ana,\nI am well.\n\n{introduction}{quotation}");
                let reply = split(&text);
                assert_eq!(reply.text, "Dear Ana,\nI am well.", "{text}");
                assert!(reply.quoted.contains("How are you?"), "{text}");
            }
        }
    }

    #[test]
    fn words_between_and_below_quotations_are_the_writers() {
        for (text, expected) in [
            ("On Monday 2 March, Ana wrote:\n> Name?\nBo\n> Town?\nPorto\n", "Bo\n\nPorto"),
            ("> Do you like it?\n\nYes!\n\n> And this?\n\nNo.\n", "Yes!\n\nNo."),
            ("> all quoted\n> nothing new", ""),
            ("Yes\n>quoted without a blank", "Yes"),
            ("Look: >>> here <<<\n>>> and here <<<", "Look: >>> here <<<\n>>> and here <<<"),
            ("yes On Mon, 2 Mar 2026 at 10:00, Ana <ana@example.org> wrote:\n> confirm?", "yes"),
            ("", ""),
            ("\n\n \n", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn a_persons_own_sentences_are_no_introduction() {
        for text in [
            "On Monday I wrote:\nnothing at all.",
            "Ana wrote:\n\nthat she likes cataloguing, and so do I.",
            "My answers:\n\nName: Bo\nTo: be decided\nCountry: PT",
            "Date: 2 March\nTime: 10:00\nPlace: my library",
            "At 10:00 the library opens.\n\nFrom: nine on Sundays.",
            "He sent me this letter 3 days ago.",
            "-----\nmy own ruler\n-----\nmore of my words, in a sentence that is longer than any signature would be, and goes on and on and on and on",
            "I use these:\n- Koha\n- DSpace",
            "Sent from my office, where it rains.\nBo",
        ] {
            assert_eq!(words(text), text, "{text}");
        }
    }

    #[test]
    fn signatures_and_disclaimers_go_and_closings_stay() {
        for (text, expected) in [
            ("Yes.\n\nRegards,\nBo\n\n-- \nBo Berg\nLibrarian", "Yes.\n\nRegards,\nBo"),
            ("Yes.\n--\nBo", "Yes."),
            ("Yes.\n\nSent from my iPhone", "Yes."),
            ("Oui.\n\nEnvoyé de mon iPhone", "Oui."),
            ("Ja.\n\nVon meinem iPad gesendet", "Ja."),
            ("はい\n\niPhoneから送信", "はい"),
            ("Yes.\n\nGet Outlook for Android <https://aka.ms/x>", "Yes."),
            ("Yes.\n\nBo Berg\nHead of Cataloguing\nbo@library.example.org\n+47 55 55 55 55", "Yes."),
            (
                "Yes.\n\nThis e-mail and any attachments are confidential and intended solely for the person to whom they are addressed; if you are not that person, tell us.",
                "Yes.",
            ),
            ("Yes.\n\n-- \nBo\n\nSent from my phone", "Yes."),
            ("Sent from my iPhone", ""),
            ("Name: Bo\n\nEmail: bo@example.org\nPhone: 5555 5555\nTown: Bergen", "Name: Bo\n\nEmail: bo@example.org\nPhone: 5555 5555\nTown: Bergen"),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        let both = split("Yes.\n\n-- \nBo\n\nOn 2 Mar 2026, Ana <ana@example.org> wrote:\n> ?");
        assert_eq!((both.text.as_str(), both.signature.as_str(), both.quoted.as_str()), ("Yes.", "--\nBo", "On 2 Mar 2026, Ana <ana@example.org> wrote:\n> ?"));
    }

    #[test]
    fn html_of_the_usual_clients_is_split_as_its_text() {
        for page in [
            "<div dir=\"ltr\">Yes.</div><br><div class=\"gmail_quote\"><div class=\"gmail_attr\">On Mon, Mar 2, 2026 at 10:00 AM Ana &lt;<a href=\"mailto:a@x.example\">a@x.example</a>&gt; wrote:<br></div><blockquote class=\"gmail_quote\"><div>Do you?</div></blockquote></div>",
            "<p class=MsoNormal>Yes.<o:p></o:p></p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>From:</b> Ana &lt;a@x.example&gt;<br><b>Sent:</b> Monday, March 2, 2026 10:00<br><b>To:</b> Bo<br><b>Subject:</b> Hi<o:p></o:p></p></div></div><p class=MsoNormal>Do you?</p>",
            "<div>Yes.</div><hr style=\"width:98%\"><div id=\"divRplyFwdMsg\"><b>Von:</b> Ana &lt;a@x.example&gt;<br><b>Gesendet:</b> Montag<br><b>An:</b> Bo</div><div>Do you?</div>",
            "<p>Yes.</p><div class=\"moz-cite-prefix\">Am 02.03.26 um 10:00 schrieb Ana:<br></div><blockquote type=\"cite\"><p>Do you?</p></blockquote>",
            "Yes.<br><br><div class=\"yahoo_quoted\"><div>On Monday, March 2, 2026 at 10:00:00 AM GMT+1, Ana &lt;a@x.example&gt; wrote:</div><div><br></div><div>Do you?</div></div>",
            "<div>Yes.</div><div><br></div><div class=\"gmail_signature\">Bo<br>Bergen</div><blockquote>Do you?</blockquote>",
        ] {
            let reply = split(&html::to_text(page));
            assert_eq!(reply.text, "Yes.", "{page}");
            assert!(reply.quoted.contains("Do you?"), "{page}");
        }
    }
}
