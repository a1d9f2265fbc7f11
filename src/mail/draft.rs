//! A letter of ours, from its fields to its bytes (RFC 5322).
//!
//! The same draft always gives the same bytes, so that a letter that is sent again is the letter that was sent. No value can carry a line break into
//! the header: everything that could end a line is taken out when it is written.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use crate::domain::address::EmailAddress;

/// Of a thread, this many letters are named.
const REFERENCES_AT_MOST: usize = 20;

/// A letter to one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who it is from: the display name (may be empty) and the address.
    pub from: (String, EmailAddress),
    /// The reader.
    pub to: (Option<String>, EmailAddress),
    /// Where an answer should go, if not to `from`.
    pub reply_to: Option<EmailAddress>,
    /// The subject as people read it.
    pub subject: String,
    /// The words, as plain text; lines end in LF.
    pub text: String,
    /// The same words as a whole HTML page.
    pub html: Option<String>,
    /// Message-ID, without angle brackets.
    pub message_id: String,
    /// The letter that this one answers, without angle brackets.
    pub in_reply_to: Option<String>,
    /// The thread, oldest first, without angle brackets.
    pub references: Vec<String>,
    /// When it was written.
    pub date: DateTime<Utc>,
    /// `auto-generated` or `auto-replied` (RFC 3834 5); `None` for a letter that passes on a person's words.
    pub auto_submitted: Option<&'static str>,
    /// The list that it is a letter of.
    pub list: Option<ListFields>,
    /// Sent to many: `Precedence: bulk`, which keeps absence notes away.
    pub bulk: bool,
}

/// The list that a letter belongs to (RFC 2369, RFC 2919, RFC 8058).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFields {
    /// What people call the list.
    pub name: String,
    /// The id, such as `topics.example.org`, without angle brackets (RFC 2919).
    pub id: String,
    /// The page that leaves the list by one POST (RFC 8058); https where it is reached from outside.
    pub unsubscribe_url: Option<String>,
    /// The address that a letter to leaves the list.
    pub unsubscribe_mailto: Option<String>,
    /// The address that letters to the list go to; `None` where only the programme writes (`List-Post: NO`).
    pub post: Option<EmailAddress>,
    /// The archive's page.
    pub archive: Option<String>,
    /// An address or page that explains the list.
    pub help: Option<String>,
}

impl Draft {
    /// The letter as it travels: CRLF only, no line above 998 octets, UTF-8 as quoted-printable; `multipart/alternative` where there is HTML.
    /// International addresses stay UTF-8 in the header (RFC 6532): such a letter needs SMTPUTF8.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut letter = MessageBuilder::new()
            .header("Date", Raw::new(self.date.format("%a, %d %b %Y %H:%M:%S +0000").to_string()))
            .header("From", address(Some(&self.from.0), &self.from.1))
            .header("To", address(self.to.0.as_deref(), &self.to.1));
        if let Some(reply_to) = &self.reply_to {
            letter = letter.header("Reply-To", address(None, reply_to));
        }
        letter = letter.header("Subject", Text::new(one_line(&self.subject))).header("Message-ID", ids([&self.message_id]));
        if let Some(id) = self.in_reply_to.as_ref().filter(|id| !id_only(id).is_empty()) {
            letter = letter.header("In-Reply-To", ids([id]));
        }
        if self.references.iter().any(|id| !id_only(id).is_empty()) {
            letter = letter.header("References", ids(self.first_and_last_references()));
        }
        if let Some(word) = self.auto_submitted {
            letter = letter.header("Auto-Submitted", Raw::new(one_line(word)));
        }
        if self.bulk {
            letter = letter.header("Precedence", Raw::new("bulk"));
        }
        for (name, value) in self.list.iter().flat_map(ListFields::fields) {
            letter = letter.header(name, value);
        }
        let mut bytes = Vec::new();
        letter.body(self.body()).serialize(&mut bytes);
        bytes
    }

    /// The thread's first letter and the last ones. The letter answered chose how many it names, and may have chosen millions.
    fn first_and_last_references(&self) -> impl Iterator<Item = &String> {
        let surplus = self.references.len().saturating_sub(REFERENCES_AT_MOST);
        self.references.iter().enumerate().filter(move |(at, _)| *at == 0 || *at > surplus).map(|(_, id)| id)
    }

    fn body(&self) -> MimePart<'static> {
        let text = part("text/plain", &self.text);
        let Some(html) = &self.html else { return text };
        let kind = ContentType::new("multipart/alternative").attribute("boundary", boundary(&self.message_id));
        MimePart::new(kind, BodyPart::Multipart(vec![text, part("text/html", html)]))
    }
}

impl ListFields {
    fn fields(&self) -> Vec<(&'static str, HeaderType<'static>)> {
        let mut fields: Vec<(&'static str, HeaderType<'static>)> = Vec::new();
        let mut add = |name: &'static str, value: String| fields.push((name, Raw::new(value).into()));
        // RFC 2919 2: a description, then the id in angle brackets. Only ASCII words here; the id alone is always right.
        let name: String = one_line(&self.name).chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '.' | '\'')).take(80).collect();
        let id = link("", &self.id).unwrap_or_default();
        add("List-Id", if name.trim().is_empty() { id } else { format!("\"{}\" {id}", name.trim()) });
        // Gmail and Yahoo take the first they can use; Outlook once took only mailto, so both stand there.
        let page = self.unsubscribe_url.as_deref().and_then(|url| link("", url));
        let one_click = page.is_some();
        let by_mail = self.unsubscribe_mailto.as_deref().and_then(|address| link("mailto:", address));
        let ways: Vec<String> = page.into_iter().chain(by_mail).collect();
        if !ways.is_empty() {
            add("List-Unsubscribe", ways.join(", "));
        }
        if one_click {
            add("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into());
        }
        // RFC 2369 3.4: NO where nobody may post.
        add("List-Post", self.post.as_ref().and_then(|address| link("mailto:", address.as_str())).unwrap_or_else(|| "NO".into()));
        if let Some(archive) = self.archive.as_deref().and_then(|url| link("", url)) {
            add("List-Archive", archive);
        }
        if let Some(help) = self.help.as_deref().and_then(|help| link(if help.contains(':') { "" } else { "mailto:" }, help)) {
            add("List-Help", help);
        }
        fields
    }
}

fn address(name: Option<&str>, address: &EmailAddress) -> Address<'static> {
    let name = name.map(one_line).filter(|n| !n.is_empty());
    Address::new_address(name, address.as_str().to_owned())
}

fn ids<'x>(ids: impl IntoIterator<Item = &'x String>) -> MessageId<'static> {
    MessageId::new_list(ids.into_iter().map(|id| id_only(id)).filter(|id| !id.is_empty()))
}

/// A message id without brackets, blanks, control or foreign characters.
fn id_only(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).take(900).collect()
}

/// A link of a list field, in its angle brackets: ASCII without blanks and brackets, anything else percent-encoded (RFC 3986 2.1).
/// `None` for one that no line can hold: a link cut short would lead elsewhere.
fn link(scheme: &str, text: &str) -> Option<String> {
    let mut out = format!("<{scheme}");
    for byte in text.trim().trim_start_matches(scheme).bytes() {
        match byte {
            b'\r' | b'\n' | b'\0' => {}
            b'<' | b'>' | b' ' | b'"' | 0..=31 | 127.. => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(byte)),
        }
    }
    out.push('>');
    (out.len() <= 900).then_some(out)
}

/// One line without control characters: a line break in a value becomes a blank, so that it can't begin a field of its own.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// From the message id alone, so that the same draft gives the same bytes. `=_` never occurs in quoted-printable (RFC 2045 6.7), so no part can hold it.
fn boundary(message_id: &str) -> String {
    let id: String = message_id.chars().filter(char::is_ascii_alphanumeric).take(50).collect();
    format!("=_{id}")
}

fn part(kind: &'static str, text: &str) -> MimePart<'static> {
    let kind = ContentType::new(kind).attribute("charset", "utf-8");
    MimePart::new(kind, BodyPart::Binary(quoted_printable(text).into())).transfer_encoding("quoted-printable")
}

/// RFC 2045 6.7, for text: line breaks become CRLF, lines stay within 76 characters; blanks at a line's end, and what a careless relay would change at
/// its start (`From `, a dot), are encoded.
fn quoted_printable(text: &str) -> Vec<u8> {
    let text = if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for line in text.trim_end_matches('\n').split('\n') {
        let line = line.as_bytes();
        // From where on nothing is written yet: what stays as it is is written in one piece.
        let (mut column, mut from, mut at) = (0, 0, 0);
        while let Some(&byte) = line.get(at) {
            let is_last = at + 1 == line.len();
            let plain = match byte {
                b' ' | b'\t' => !is_last,
                b'.' => column > 0,
                b'F' => column > 0 || !line[at..].starts_with(b"From "),
                byte => STAYS[usize::from(byte)],
            };
            let width = if plain { 1 } else { 3 };
            // The last character of a line needs no room for a soft break's `=`.
            if column + width > if is_last { 76 } else { 75 } {
                out.extend_from_slice(&line[from..at]);
                out.extend_from_slice(b"=\r\n");
                (column, from) = (0, at);
            }
            at += 1;
            // A line that a soft break began may begin with a dot too.
            if plain && !(byte == b'.' && column == 0) {
                // Behind the first character of a line and before the last nothing depends on its place.
                let inside = line.get(at..line.len() - 1).unwrap_or_default();
                let run = inside.iter().take(74_usize.saturating_sub(column)).take_while(|&&byte| STAYS[usize::from(byte)]).count();
                column += 1 + run;
                at += run;
            } else {
                out.extend_from_slice(&line[from..at - 1]);
                out.extend([b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                column += 3;
                from = at;
            }
        }
        out.extend_from_slice(&line[from..]);
        out.extend_from_slice(b"\r\n");
    }
    out
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

/// What stays as it is within a line.
const STAYS: [bool; 256] = {
    let mut stays = [false; 256];
    let mut byte = 32;
    while byte < 127 {
        stays[byte] = byte != b'=' as usize;
        byte += 1;
    }
    stays[b'\t' as usize] = true;
    stays
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::message::Message;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    fn draft() -> Draft {
        Draft {
            from: ("Pairpost".into(), address("help@pairs.test")),
            to: (Some("Ana Conceição, Porto".into()), address("ana@example.org")),
            reply_to: Some(address("reply-abcdefghijklmnop@pairs.test")),
            subject: "Your partner is Māui".into(),
            text: "Kia ora Ana,\n\nFrom here it is yours.\n.\n-- \nPairpost\n".into(),
            html: Some("<!doctype html><p>Kia ora Ana,</p>\n".into()),
            message_id: "01J.intro@pairs.test".into(),
            in_reply_to: Some("her.letter@example.org".into()),
            references: vec!["first@pairs.test".into(), "her.letter@example.org".into()],
            date: DateTime::from_timestamp(1_800_000_000, 0).expect("a moment"),
            auto_submitted: Some("auto-generated"),
            list: None,
            bulk: false,
        }
    }

    fn text_of(draft: &Draft) -> String {
        String::from_utf8(draft.to_bytes()).expect("ASCII, or UTF-8 addresses")
    }

    #[test]
    fn a_draft_reads_back_as_written() {
        let draft = draft();
        let read = Message::parse(&draft.to_bytes());
        assert_eq!(read.defects, []);
        assert_eq!((read.from.as_ref(), read.from_name.as_deref()), (Some(&draft.from.1), Some("Pairpost")));
        assert_eq!(read.to, std::slice::from_ref(&draft.to.1));
        assert_eq!(read.reply_to, [draft.reply_to.clone().expect("set above")]);
        assert_eq!(read.subject, draft.subject);
        assert_eq!(read.message_id.as_deref(), Some("01J.intro@pairs.test"));
        assert_eq!((&read.in_reply_to, &read.references), (&vec!["her.letter@example.org".to_owned()], &draft.references));
        assert_eq!(read.date, Some(draft.date));
        assert_eq!(read.text(), draft.text.trim_end());
    }

    #[test]
    fn the_same_draft_gives_the_same_bytes_with_crlf_and_short_lines_only() {
        let mut draft = draft();
        draft.text = "long ".repeat(400) + &"ü".repeat(900) + "\nlast line \r\nlone \r return";
        draft.references = (0..60).map(|n| format!("{n}.{}@example.org", "x".repeat(40))).collect();
        let bytes = draft.to_bytes();
        assert_eq!(bytes, draft.to_bytes());
        let text = String::from_utf8(bytes).expect("ASCII");
        assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 98), "{text}");
        assert_eq!(Message::parse(text.as_bytes()).text(), "long ".repeat(400) + &"ü".repeat(900) + "\nlast line\nlone\n return");
    }

    #[test]
    fn no_value_can_begin_a_header_field_of_its_own() {
        let evil = "x\r\nBcc: victim@example.org\r\n\r\nbody\n\u{85}\u{2028}\0";
        let mut draft = draft();
        draft.from.0 = evil.into();
        draft.to.0 = Some(evil.into());
        draft.subject = evil.into();
        draft.message_id = evil.into();
        draft.in_reply_to = Some(evil.into());
        draft.references = vec![evil.into()];
        draft.list = Some(ListFields {
            name: evil.into(),
            id: evil.into(),
            unsubscribe_url: Some(evil.into()),
            unsubscribe_mailto: Some(evil.into()),
            post: None,
            archive: Some(evil.into()),
            help: Some(evil.into()),
        });
        let text = text_of(&draft);
        let head = text.split("\r\n\r\n").next().expect("a header");
        let names: Vec<_> = head.split("\r\n").filter(|l| !l.starts_with([' ', '\t'])).map(|l| l.split(':').next().unwrap_or_default()).collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "To",
                "Reply-To",
                "Subject",
                "Message-ID",
                "In-Reply-To",
                "References",
                "Auto-Submitted",
                "List-Id",
                "List-Unsubscribe",
                "List-Unsubscribe-Post",
                "List-Post",
                "List-Archive",
                "List-Help",
                "MIME-Version",
                "Content-Type"
            ]
        );
        assert_eq!(Message::parse(text.as_bytes()).bcc, []);
    }

    #[test]
    fn no_header_line_grows_longer_than_a_line_may_be() {
        let long = "x".repeat(3000);
        let mut draft = draft();
        draft.from.0 = long.clone();
        draft.to.0 = Some("ж".repeat(3000));
        draft.subject = format!("{long} {}", "ü".repeat(3000));
        draft.message_id = format!("{long}@pairs.test");
        draft.in_reply_to = Some(long.clone());
        draft.references = vec![long.clone(); 3];
        draft.list = Some(ListFields {
            name: long.clone(),
            id: "topics.pairs.test".into(),
            unsubscribe_url: Some(format!("https://pairs.test/{long}")),
            unsubscribe_mailto: Some("leave@pairs.test".into()),
            post: None,
            archive: Some(format!("https://pairs.test/{long}")),
            help: None,
        });
        let text = text_of(&draft);
        let longest = text.split("\r\n").max_by_key(|line| line.len()).unwrap_or_default();
        assert!(longest.len() <= 998, "{longest}");
        assert_eq!(Message::parse(text.as_bytes()).subject, draft.subject);
    }

    #[test]
    fn a_list_letter_can_be_left_by_one_click_and_by_mail() {
        let mut draft = draft();
        draft.html = None;
        draft.bulk = true;
        draft.list = Some(ListFields {
            name: "Monthly topics".into(),
            id: "topics.pairs.test".into(),
            unsubscribe_url: Some("https://pairs.test/leave/abc".into()),
            unsubscribe_mailto: Some("topics-leave@pairs.test?subject=leave".into()),
            post: None,
            archive: Some("https://pairs.test/topics".into()),
            help: Some("help@pairs.test".into()),
        });
        let read = Message::parse(&draft.to_bytes());
        for (name, value) in [
            ("list-id", "\"Monthly topics\" <topics.pairs.test>"),
            ("list-unsubscribe", "<https://pairs.test/leave/abc>, <mailto:topics-leave@pairs.test?subject=leave>"),
            ("list-unsubscribe-post", "List-Unsubscribe=One-Click"),
            ("list-post", "NO"),
            ("list-archive", "<https://pairs.test/topics>"),
            ("list-help", "<mailto:help@pairs.test>"),
            ("precedence", "bulk"),
            ("content-type", "text/plain; charset=\"utf-8\""),
            ("content-transfer-encoding", "quoted-printable"),
        ] {
            assert_eq!(read.field(name), Some(value), "{name}");
        }
    }

    #[test]
    fn relays_that_change_lines_find_nothing_to_change() {
        let printable = |text: &str| String::from_utf8(quoted_printable(text)).expect("ASCII");
        assert_eq!(printable("From us\n.\n..a\na = b\ntab\t\n"), "=46rom us\r\n=2E\r\n=2E.a\r\na =3D b\r\ntab=09\r\n");
        assert_eq!(printable(""), "\r\n");
        let long = printable(&"a".repeat(76));
        assert_eq!(long, format!("{}\r\n", "a".repeat(76)));
        assert_eq!(printable(&"a".repeat(77)), format!("{}=\r\naa\r\n", "a".repeat(75)));
    }

    #[test]
    fn of_an_endless_thread_the_first_and_the_last_letters_are_named() {
        let references: Vec<String> = (0..100_000).map(|n| format!("{n}@example.org")).collect();
        let letter = Message::parse(&Draft { references, ..draft() }.to_bytes());
        assert_eq!(letter.references.len(), REFERENCES_AT_MOST);
        assert_eq!((letter.references[0].as_str(), letter.references[1].as_str()), ("0@example.org", "99981@example.org"));
        assert_eq!(letter.references.last().map(String::as_str), Some("99999@example.org"));
    }
}
