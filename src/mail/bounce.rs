//! What mail servers say became of a letter: delivery reports (RFC 3464, RFC 6533), and the notes of servers that write none.

use serde::Serialize;

use super::message::Message;
use super::phrases::{
    BLOCKED_WORDS, CONTENT_WORDS, DELAY_WORDS, EXPIRED_WORDS, FAILURE_SUBJECTS, FAILURE_WORDS, FULL_WORDS, HARD_WORDS, RETURNED_LETTER, SOFT_WORDS,
};

/// What a bounce tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounce {
    /// The mailboxes it speaks of, each once.
    pub recipients: Vec<BounceRecipient>,
    /// The Message-ID of the letter that it is about, from the returned header, without angle brackets.
    pub original_message_id: Option<String>,
}

/// What became of a letter at one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BounceRecipient {
    /// The mailbox as the sender named it, else as the server knows it; text, for what servers report is not always an address.
    pub address: String,
    /// What the server did.
    pub action: Action,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why, folded to what a decision needs.
    pub class: FailureClass,
    /// The words of the server that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<String>,
}

/// The Action field (RFC 3464 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Given up.
    Failed,
    /// Not yet delivered; the server goes on trying.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a server that sends no reports.
    Relayed,
    /// Delivered to a list, which sends it on.
    Expanded,
}

impl Action {
    /// Its word in a report, and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// Why a letter did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The address or its domain does not exist.
    Hard,
    /// A passing trouble.
    Soft,
    /// The server refuses the sender: policy, reputation, authentication.
    Blocked,
    /// The mailbox is full.
    Full,
    /// Tried too long.
    Expired,
    /// The letter itself: size, virus, form.
    Content,
    /// Another reason, or none given.
    Other,
}

impl FailureClass {
    /// Its word in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Blocked => "blocked",
            Self::Full => "full",
            Self::Expired => "expired",
            Self::Content => "content",
            Self::Other => "other",
        }
    }
}

/// Reads a bounce, whether or not it is a report by RFC 3464. Empty where nothing can be read.
pub fn read(message: &Message) -> Bounce {
    let bounce = read_outer(message);
    if !bounce.recipients.is_empty() {
        return bounce;
    }
    // A filter on the way may have wrapped the whole report into a letter of its own.
    let wrapped = message.parts.iter().filter(|p| p.content_type == "message/rfc822").filter_map(|p| p.text.as_deref());
    let inner = wrapped.filter(|text| text.contains("delivery-status")).map(|text| read_outer(&Message::parse(text.as_bytes())));
    inner.into_iter().find(|b| !b.recipients.is_empty()).unwrap_or(bounce)
}

fn read_outer(message: &Message) -> Bounce {
    let mut recipients: Vec<BounceRecipient> = Vec::new();
    // Dovecot reports a letter it did not deliver as one that was deleted, in the form of a receipt.
    let kinds = ["message/delivery-status", "message/global-delivery-status", "message/disposition-notification"];
    let reports = message.parts.iter().filter(|p| kinds.contains(&p.content_type.as_str()));
    for recipient in reports.filter_map(|p| p.text.as_deref()).flat_map(status_groups).filter_map(|group| from_report(&group, message)) {
        if !recipients.iter().any(|r| r.address.eq_ignore_ascii_case(&recipient.address)) {
            recipients.push(recipient);
        }
    }
    if recipients.is_empty() {
        recipients = from_words(message);
    }
    Bounce { recipients, original_message_id: original_message_id(message) }
}

/// Why a letter did not arrive, from the status (or bare reply code) and words of a server that refused it to our face.
pub fn class_of(status: &str, words: &str) -> FailureClass {
    failure_class(Action::Failed, Some(status), words)
}

/// The words of a server on one line, without the addresses in them: what goes into the record, which must not know any.
pub fn without_addresses(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.map(|word| if word.contains('@') { "(address)" } else { word }).collect::<Vec<_>>().join(" ")
}

/// The mailboxes of a complaint (RFC 5965 3.2): Original-Rcpt-To, each with what its class means for us: it wants no more.
pub fn complained(message: &Message) -> Vec<BounceRecipient> {
    let text = message.part("message/feedback-report").and_then(|p| p.text.as_deref()).unwrap_or_default();
    let named = status_groups(text).into_iter().flatten().filter(|(name, _)| name == "original-rcpt-to");
    named
        .filter_map(|(_, value)| typed_address(&value))
        .map(|address| BounceRecipient { address, action: Action::Delivered, status: None, class: FailureClass::Blocked, diagnostic: None })
        .collect()
}

/// A bounce in a server's own words: from a mailer, about a failure. People who write about failures are not taken for one.
pub fn is_in_words(message: &Message, null_path: bool) -> bool {
    if message.field("x-failed-recipients").is_some() {
        return true;
    }
    let subject = message.subject.to_lowercase();
    let says_failure = FAILURE_SUBJECTS.iter().any(|phrase| subject.contains(phrase));
    let starts_so = FAILURE_SUBJECTS.iter().any(|phrase| subject.starts_with(phrase));
    let from_mailer = null_path || is_mailer(message);
    if from_mailer && says_failure {
        return true;
    }
    // Its words are looked through only where they matter: nearly all letters are from people.
    let tells_failure = || {
        let note = note(message).to_lowercase();
        FAILURE_WORDS.iter().any(|phrase| note.contains(phrase))
    };
    (from_mailer || starts_so && message.in_reply_to.is_empty()) && tells_failure()
}

type Fields = Vec<(String, String)>;

/// The groups of fields of a delivery report (RFC 3464 2.1), unfolded, names in lower case.
fn status_groups(text: &str) -> Vec<Fields> {
    let mut groups = vec![Fields::new()];
    for line in text.lines() {
        let group = groups.last_mut();
        if line.trim().is_empty() {
            groups.push(Fields::new());
        } else if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), group.and_then(|g| g.last_mut())) {
            value.push(' ');
            value.push_str(line.trim());
        } else if let (Some((name, value)), Some(group)) = (line.split_once(':'), groups.last_mut()) {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    groups
}

fn from_report(group: &Fields, message: &Message) -> Option<BounceRecipient> {
    let field = |name: &str| group.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    // The address that the sender wrote, where it is one of ours; X.400 and local names say nothing outside.
    let original = field("original-recipient").and_then(typed_address).filter(|a| a.contains('@'));
    let last = field("final-recipient").and_then(typed_address);
    let address = original.or(last).or_else(|| field("x-actual-recipient").and_then(typed_address))?;
    let action = match field("action").map(|a| a.split([' ', ';', '(']).next().unwrap_or_default().to_ascii_lowercase()).as_deref() {
        Some("delayed") => Action::Delayed,
        Some("delivered") => Action::Delivered,
        Some("relayed") => Action::Relayed,
        Some("expanded") => Action::Expanded,
        Some("failed") | Some(_) | None => Action::Failed,
    };
    let diagnostic = field("diagnostic-code").map(|d| d.split_once(';').map_or(d, |(_, words)| words).trim().to_owned()).filter(|d| !d.is_empty());
    let stated = field("status").and_then(status_code);
    // `5.0.0` is what servers say that have not looked; the refusing server's words often hold a better code.
    let better = diagnostic.as_deref().and_then(status_code);
    let status = match stated {
        Some(code) if code.ends_with(".0.0") => better.or(Some(code)),
        Some(code) => Some(code),
        None => better,
    };
    // Words of the note for people help only where the report itself says nothing.
    let words = match &diagnostic {
        Some(words) => words.clone(),
        None if status.as_deref().is_none_or(|s| s.ends_with(".0.0")) => lines_about(&note(message), &address),
        None => String::new(),
    };
    let class = failure_class(action, status.as_deref(), &words);
    Some(BounceRecipient { address, action, status, class, diagnostic })
}

/// `rfc822; ana@example.org`, with or without its type, angle brackets or a comment.
fn typed_address(value: &str) -> Option<String> {
    let address = value.split_once(';').map_or(value, |(_, address)| address).trim();
    let address = match address.split_once('<') {
        Some((_, inner)) => inner.split('>').next().unwrap_or_default(),
        None => address.split(['(', ' ']).next().unwrap_or_default(),
    };
    Some(address.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '>' | ',')).to_owned()).filter(|a| !a.is_empty())
}

/// The first enhanced status code in a text (RFC 3463): `d.d{1,3}.d{1,3}` with 2, 4 or 5 first, standing alone.
fn status_code(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.')).find_map(|word| {
        let parts: Vec<&str> = word.split('.').collect();
        let fits = matches!(parts.as_slice(), ["2" | "4" | "5", subject, detail] if (1..=3).contains(&subject.len()) && (1..=3).contains(&detail.len()));
        fits.then(|| word.to_owned())
    })
}

/// The three digits of an SMTP reply that begin a text or stand after a colon or `#`.
fn reply_code(text: &str) -> Option<char> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '#' | '[' | ']' | ':' | '-' | '<' | '>'));
    words.filter(|w| w.len() == 3 && w.bytes().all(|b| b.is_ascii_digit())).find_map(|w| w.chars().next().filter(|c| matches!(c, '4' | '5')))
}

/// The class of a failure: from the words of the server where they are plain, else from the code.
fn failure_class(action: Action, status: Option<&str>, words: &str) -> FailureClass {
    let words = words.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    // A bare reply code (`450`) has only a kind.
    let (kind, reason) = status.map(|s| s.split_once('.').unwrap_or((s.get(..1).unwrap_or_default(), ""))).unwrap_or_default();
    if says(FULL_WORDS) || reason == "2.2" {
        return FailureClass::Full;
    }
    if action == Action::Delayed {
        return FailureClass::Soft;
    }
    let temporary = kind == "4" || (kind.is_empty() && reply_code(&words) == Some('4'));
    let gone = kind == "5" && matches!(reason, "1.1" | "1.2" | "1.3" | "1.6" | "1.10");
    if gone || (says(HARD_WORDS) && !temporary && !says(&["try again", "temporar"])) {
        FailureClass::Hard
    } else if says(EXPIRED_WORDS) || reason == "4.7" {
        FailureClass::Expired
    } else if says(CONTENT_WORDS) || reason.starts_with("6.") || matches!(reason, "2.3" | "3.4") {
        FailureClass::Content
    } else if (says(BLOCKED_WORDS) && !temporary) || reason.starts_with("7.") {
        FailureClass::Blocked
    } else if temporary {
        // Given up for a cause that was passing each time.
        FailureClass::Expired
    } else if kind == "5" && matches!(reason, "1.0" | "1.4" | "2.1" | "4.4") {
        FailureClass::Hard
    } else if says(SOFT_WORDS) {
        FailureClass::Soft
    } else {
        FailureClass::Other
    }
}

/// A note without a report: the addresses it names, and what it says of them.
fn from_words(message: &Message) -> Vec<BounceRecipient> {
    let note = note(message);
    let lower = note.to_lowercase();
    let action =
        if DELAY_WORDS.iter().any(|p| lower.contains(p)) || message.subject.to_lowercase().contains("delay") { Action::Delayed } else { Action::Failed };
    let mut found: Vec<String> = message.field("x-failed-recipients").map(addresses).unwrap_or_default();
    let not_them = |address: &String| {
        let own = message.recipients().chain(&message.from).any(|a| a.as_str().eq_ignore_ascii_case(address));
        own || ["postmaster@", "mailer-daemon@", "abuse@", "support@", "helpdesk@"].iter().any(|p| address.to_ascii_lowercase().starts_with(p))
    };
    if found.is_empty() {
        found = note.lines().filter_map(leading_address).filter(|a| !not_them(a)).collect();
    }
    if found.is_empty() {
        // Not from a line that tells of the letter itself, or whom to ask; but where there is no other, from its `To`.
        let about_letter = |line: &&str| ["to:", "cc:", "from:", "reply-to:"].iter().any(|l| line.trim().to_lowercase().starts_with(l));
        let of = |wanted: bool| note.lines().filter(|l| about_letter(l) == wanted).flat_map(addresses).filter(|a| !not_them(a)).collect::<Vec<_>>();
        found = of(false);
        if found.is_empty() {
            found = of(true);
        }
    }
    let mut out: Vec<BounceRecipient> = Vec::new();
    for address in found {
        if out.iter().any(|r| r.address.eq_ignore_ascii_case(&address)) {
            continue;
        }
        let about = lines_about(&note, &address);
        let words = if about.trim().is_empty() { lower.clone() } else { about };
        let status = status_code(&words);
        let mut class = failure_class(action, status.as_deref(), &words);
        if class == FailureClass::Other {
            class = failure_class(action, None, &lower);
        }
        out.push(BounceRecipient { address, action, status, class, diagnostic: None });
    }
    out
}

/// The lines of a note from the one that names an address to the next empty one or the next address.
fn lines_about(note: &str, address: &str) -> String {
    let lines: Vec<&str> = note.lines().collect();
    let address = address.to_lowercase();
    let mut out = String::new();
    for (i, _) in lines.iter().enumerate().filter(|(_, line)| line.to_lowercase().contains(&address)).take(4) {
        for (j, line) in lines[i..].iter().enumerate().take(8) {
            if j > 0 && (line.trim().is_empty() || leading_address(line).is_some_and(|a| a.to_lowercase() != address)) {
                break;
            }
            out.push_str(line.trim());
            out.push(' ');
        }
    }
    out
}

/// An address that a line begins with, be it in brackets, quotes, or behind a label.
fn leading_address(line: &str) -> Option<String> {
    let start = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '<' | '"' | '\'' | '>' | '*' | '-' | '(' | '['));
    let end = start.find(|c: char| c.is_whitespace() || matches!(c, '>' | '"' | '\'' | ',' | ';' | ')' | '(' | ']')).unwrap_or(start.len());
    addresses(start.get(..end)?.trim_end_matches([':', '.'])).into_iter().next().filter(|a| start.starts_with(a.as_str()))
}

/// Everything in a text that looks like an address.
fn addresses(text: &str) -> Vec<String> {
    let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/?^_`{|}~.=".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let mut out: Vec<String> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let local: String = text[..at].chars().rev().take(64).take_while(|&c| is_local(c)).collect::<String>().chars().rev().collect();
        let local = local.rsplit("SMTP=").next().unwrap_or_default().trim_start_matches(['\'', '=', '/']);
        let domain: String = text[at + 1..].chars().take(255).take_while(|&c| is_domain(c)).collect();
        let domain = domain.trim_end_matches(['.', '-']);
        let address = format!("{local}@{domain}");
        if !local.is_empty() && domain.contains('.') && !out.contains(&address) {
            out.push(address);
        }
    }
    out
}

/// The words of the server: the text before the copy of the letter that came back.
fn note(message: &Message) -> String {
    let mut out = String::new();
    for line in message.text().lines() {
        let lower = line.trim().to_lowercase();
        let is_header = ["return-path:", "received:", ">received:", ">return-path:", "delivered-to:", "message-id:"].iter().any(|h| lower.starts_with(h));
        if is_header || RETURNED_LETTER.iter().any(|mark| lower.contains(mark)) {
            break;
        }
        out.push_str(line);
        out.push('\n');
        if out.len() > 20_000 {
            break;
        }
    }
    out
}

fn is_mailer(message: &Message) -> bool {
    let field = message.field("from").unwrap_or_default().to_lowercase();
    ["mailer-daemon", "postmaster", "mail delivery", "mdaemon@", "maildelivery", "mail administrator", "mail system", "mailadm@", "mailsys@", "bounce@"]
        .iter()
        .any(|name| field.contains(name))
}

/// The Message-ID in the header that came back: of a nested letter, of its header alone (RFC 6522 4), or in the note.
fn original_message_id(message: &Message) -> Option<String> {
    let returned = message.parts.iter().filter(|p| {
        matches!(p.content_type.as_str(), "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers" | "message/rfc822-headers")
    });
    let inside = |text: &str| {
        let unfolded = text.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
        unfolded.lines().find_map(|line| {
            let (name, value) = line.trim_start_matches('>').split_once(':')?;
            let id = value.trim().trim_start_matches('<').split('>').next().unwrap_or_default().trim();
            (name.trim().eq_ignore_ascii_case("message-id") && !id.is_empty()).then(|| id.to_owned())
        })
    };
    returned.filter_map(|p| p.text.as_deref()).find_map(inside).or_else(|| inside(message.text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::classify::{Class, classify, says_null_path};

    fn report(status: &str, returned: &str) -> Message {
        let raw = format!(
            "From: Mail System <mailer-daemon@mx.example>\nTo: bounce-x@pairs.test\nSubject: Undelivered\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
             --b\n\nSorry.\n\n--b\nContent-Type: message/delivery-status\n\n{status}\n--b\n{returned}\n--b--\n"
        );
        Message::parse(raw.as_bytes())
    }

    fn summary(bounce: &Bounce) -> Vec<(&str, Action, Option<&str>, FailureClass)> {
        bounce.recipients.iter().map(|r| (r.address.as_str(), r.action, r.status.as_deref(), r.class)).collect()
    }

    #[test]
    fn a_report_by_the_book_is_read_field_by_field() {
        let message = report(
            "Reporting-MTA: dns; mx.example\nArrival-Date: Mon, 2 Mar 2026 10:00:00 +0000\n\n\
             Original-Recipient: rfc822;Ana+pairs@example.org\nFinal-Recipient: rfc822; u123@store.example.org\nAction: failed\nStatus: 5.1.1 (no mailbox)\n\
             Diagnostic-Code: smtp; 550 5.1.1 <ana@example.org>:\n Recipient address rejected\n\n\
             Final-Recipient: RFC822; <bo@example.org>\naction: Delayed\nstatus: 4.2.2\n\n\
             Final-Recipient: utf-8; jörg@münchen.example\nAction: relayed\nStatus: 2.0.0\n",
            "Content-Type: text/rfc822-headers\n\nReceived: from a by b\nMessage-ID:\n <our.letter@pairs.test>\nSubject: x\n",
        );
        assert_eq!(classify(says_null_path(&message), &message, "pairs.test"), Class::Bounce);
        let bounce = read(&message);
        assert_eq!(
            summary(&bounce),
            [
                ("Ana+pairs@example.org", Action::Failed, Some("5.1.1"), FailureClass::Hard),
                ("bo@example.org", Action::Delayed, Some("4.2.2"), FailureClass::Full),
                ("jörg@münchen.example", Action::Relayed, Some("2.0.0"), FailureClass::Other),
            ]
        );
        assert_eq!(bounce.recipients[0].diagnostic.as_deref(), Some("550 5.1.1 <ana@example.org>: Recipient address rejected"));
        assert_eq!(bounce.original_message_id.as_deref(), Some("our.letter@pairs.test"));
    }

    #[test]
    fn each_reason_has_its_class() {
        for (status, diagnostic, class) in [
            ("5.1.1", "smtp; 550 no", FailureClass::Hard),
            ("5.1.10", "smtp; 550 RESOLVER.ADR.RecipNotFound", FailureClass::Hard),
            ("5.4.4", "", FailureClass::Hard),
            ("5.0.0", "smtp; 550 5.1.1 User unknown", FailureClass::Hard),
            ("5.7.1", "smtp; 550 5.7.1 No such user here", FailureClass::Hard),
            ("5.2.2", "smtp; 552 mailbox full", FailureClass::Full),
            ("5.0.0", "smtp; 552 over quota", FailureClass::Full),
            ("5.7.26", "smtp; 550 5.7.26 unauthenticated mail is refused", FailureClass::Blocked),
            ("5.7.1", "smtp; 554 Message rejected as spam", FailureClass::Blocked),
            ("5.3.4", "smtp; 552 message too big", FailureClass::Content),
            ("5.6.0", "", FailureClass::Content),
            ("4.4.7", "smtp; delivery time expired", FailureClass::Expired),
            ("4.4.1", "smtp; connection refused", FailureClass::Expired),
            ("5.4.6", "smtp; routing loop", FailureClass::Soft),
            ("5.9.9", "", FailureClass::Other),
        ] {
            let field = if diagnostic.is_empty() { String::new() } else { format!("Diagnostic-Code: {diagnostic}\n") };
            let message = report(&format!("Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@example.org\nAction: failed\nStatus: {status}\n{field}"), "");
            assert_eq!(read(&message).recipients.first().map(|r| r.class), Some(class), "{status} {diagnostic}");
        }
    }

    #[test]
    fn a_refusal_to_our_face_has_a_class_too() {
        for (status, words, class) in [
            ("5.1.1", "no", FailureClass::Hard),
            ("550", "User unknown", FailureClass::Hard),
            ("450", "", FailureClass::Expired),
            ("550", "", FailureClass::Other),
            ("", "mailbox full", FailureClass::Full),
            ("ü", "", FailureClass::Other),
        ] {
            assert_eq!(class_of(status, words), class, "{status} {words}");
        }
    }

    #[test]
    fn crooked_reports_say_what_they_can() {
        for (status, expected) in [
            ("Final-Recipient: ana@example.org\nStatus: failed", vec![("ana@example.org", Action::Failed, None, FailureClass::Other)]),
            (
                "Reporting-MTA: dns; x\nFinal-Recipient: rfc822;ana@example.org\nAction: failed (bad)\nStatus: 5.1.1",
                vec![("ana@example.org", Action::Failed, Some("5.1.1"), FailureClass::Hard)],
            ),
            ("\n\n\nOriginal-Recipient: unknown; x\nFinal-Recipient: local;ana\nAction: delayed", vec![("ana", Action::Delayed, None, FailureClass::Soft)]),
            ("Final-Recipient: rfc822;a@x.example\n\nFinal-Recipient: rfc822;A@x.example\n", vec![("a@x.example", Action::Failed, None, FailureClass::Other)]),
            ("Final-Recipient: \n: \n\u{1}\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(summary(&read(&report(status, ""))), expected, "{status:?}");
        }
    }

    #[test]
    fn notes_of_servers_without_reports_are_read_too() {
        let note = |head: &str, body: &str| Message::parse(format!("To: bounce-x@pairs.test\n{head}\n\n{body}").as_bytes());
        for (message, expected) in [
            (
                note(
                    "From: Mail Delivery System <Mailer-Daemon@mx.example>\nX-Failed-Recipients: ana@example.org\nSubject: Mail delivery failed",
                    "This message was created automatically.\n\n  ana@example.org\n    host mx.example.org: 550 User unknown\n\n------ This is a copy of the message ------\n\nTo: bo@example.org\nMessage-Id: <1@pairs.test>\n",
                ),
                ("ana@example.org", Action::Failed, FailureClass::Hard),
            ),
            (
                note(
                    "From: MAILER-DAEMON@mx.example\nSubject: failure notice",
                    "Hi. This is the program.\n\n<ana@example.org>:\nThe user's mailbox is over quota.\n\n--- Below this line is a copy of the message.\n\nMessage-ID: <1@pairs.test>\n",
                ),
                ("ana@example.org", Action::Failed, FailureClass::Full),
            ),
            (
                note(
                    "From: postmaster@mx.example\nSubject: Warning: message delayed",
                    "Your letter to ana@example.org could not be delivered yet.\nIt will be retried for 5 days; ask postmaster@mx.example.\n\nMessage-ID: <1@pairs.test>",
                ),
                ("ana@example.org", Action::Delayed, FailureClass::Soft),
            ),
        ] {
            assert_eq!(classify(says_null_path(&message), &message, "pairs.test"), Class::Bounce);
            let bounce = read(&message);
            assert_eq!(bounce.recipients.iter().map(|r| (r.address.as_str(), r.action, r.class)).collect::<Vec<_>>(), [expected]);
            assert_eq!(bounce.original_message_id.as_deref(), Some("1@pairs.test"));
        }
    }

    #[test]
    fn a_person_who_writes_of_a_failure_is_no_bounce() {
        for head in ["Subject: My letter was not delivered", "Subject: Re: Undelivered mail\nIn-Reply-To: <x@y.example>", "Subject: Hello"] {
            let raw = format!("From: Ana <ana@example.org>\n{head}\n\nDear Bo, my letter to cy@example.org could not be delivered. User unknown?\n");
            assert_eq!(classify(false, &Message::parse(raw.as_bytes()), "pairs.test"), Class::Personal, "{head}");
        }
    }

    #[test]
    fn a_complaint_names_whose_it_is() {
        let message = Message::parse(
            b"From: fbl@example.org\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: <ana@example.org>\n--b--\n",
        );
        assert_eq!(complained(&message).iter().map(|r| r.address.as_str()).collect::<Vec<_>>(), ["ana@example.org"]);
    }
}
