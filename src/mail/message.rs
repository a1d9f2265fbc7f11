//! A letter as it came, read once: who wrote it, to whom, about what, and its words as plain text.
//!
//! Reading never fails. What was missing or crooked is listed as a [`Defect`], and a fact that could be read in
//! two ways is absent: above all [`Message::from`], on which identity rests.
use std::borrow::Cow;

use chrono::{DateTime, Utc};
use mail_parser::{Address, HeaderName, HeaderValue, MimeHeaders, PartType};
use serde::Serialize;

use super::charset::{self, Readable, header_end, lines_of, readable};
use super::{flowed, html, mime};
use crate::domain::address::EmailAddress;

/// Of one part so many octets of words are read: what is beyond is no person's, and would be held in memory several times over.
const MAX_WORDS: usize = 2 << 20;

/// One letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The one mailbox of the one From field (RFC 5322 3.6.2); `None`, with a defect, where there are several, none, or none that can be read.
    pub from: Option<EmailAddress>,
    /// The display name beside it, one line, trimmed.
    pub from_name: Option<String>,
    /// Where answers should go: Reply-To, else empty.
    pub reply_to: Vec<EmailAddress>,
    /// To, in order.
    pub to: Vec<EmailAddress>,
    /// Cc, in order.
    pub cc: Vec<EmailAddress>,
    /// Bcc, which some clients leave in.
    pub bcc: Vec<EmailAddress>,
    /// Delivered-To, X-Original-To and Envelope-To, which servers on the way add.
    pub delivered_to: Vec<EmailAddress>,
    /// The subject, decoded, one line, trimmed; empty where there is none.
    pub subject: String,
    /// Message-ID without angle brackets.
    pub message_id: Option<String>,
    /// In-Reply-To, without angle brackets.
    pub in_reply_to: Vec<String>,
    /// References, oldest first, without angle brackets.
    pub references: Vec<String>,
    /// The Date field.
    pub date: Option<DateTime<Utc>>,
    /// Every header field in its order: the name in lower case, the value unfolded, not decoded.
    pub fields: Vec<(String, String)>,
    /// The leaves of the MIME tree in their order, returned letters among them.
    pub parts: Vec<Part>,
    /// What was wrong with the letter.
    pub defects: Vec<Defect>,
    /// Octets as received.
    pub size: usize,
    text: String,
}

/// One leaf of the MIME tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `type/subtype` in lower case; `text/plain` where nothing is said (RFC 2045 5.2).
    pub content_type: String,
    /// Content-Disposition in lower case, without parameters.
    pub disposition: Option<String>,
    /// The file name offered.
    pub filename: Option<String>,
    /// The decoded words of a text part, of `message/*` (a returned letter as it stands) and of anything else under a kilobyte of text; else `None`.
    /// Two MiB at most.
    pub text: Option<String>,
}

/// What was wrong with a letter; none of these makes reading fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// There is no header at all.
    NoHeader,
    /// There is no From field, or it is empty.
    NoFrom,
    /// Several From fields, or several mailboxes in one.
    SeveralFrom,
    /// The From field holds no address that can be read without doubt.
    UnreadableFrom,
    /// There is no Date, or it can't be read.
    NoDate,
    /// There is no Message-ID (a SHOULD of RFC 5322 3.6.4).
    NoMessageId,
    /// 8-bit characters in the header that are not UTF-8, read as Windows-1252.
    RawHeaderCharset,
    /// The charset named is unknown or not the one used; the words were read as Windows-1252.
    WrongCharset,
    /// A transfer encoding that could not be undone.
    BrokenEncoding,
    /// More words in one part than anybody writes; the rest was not read.
    CutWords,
    /// More MIME parts than any person's letter has; only the header was read.
    TooManyParts,
    /// A MIME structure so broken that only the header was read.
    BrokenStructure,
}

impl Message {
    /// Reads the bytes of a letter, whatever they are.
    pub fn parse(raw: &[u8]) -> Message {
        let readable = readable(raw);
        Message { size: raw.len(), ..Message::read(&readable, &mime::parse(&readable.0)) }
    }

    /// Reads a letter whose tree is known, from its bytes as that was made of them.
    pub fn read(Readable(raw): &Readable<'_>, tree: &mime::Tree<'_>) -> Message {
        let size = raw.len();
        let mut defects = Vec::new();
        if matches!(raw, Cow::Owned(_)) {
            defects.push(Defect::RawHeaderCharset);
        }
        let header;
        let (parsed, has_body) = match tree {
            Ok(parsed) => (parsed.as_ref(), true),
            Err(unread) => {
                defects.push(match unread {
                    mime::Unread::TooManyParts => Defect::TooManyParts,
                    mime::Unread::Broken => Defect::BrokenStructure,
                });
                header = mime::parse_header(raw);
                (header.as_ref(), false)
            }
        };
        let Some(parsed) = parsed else {
            defects.push(Defect::NoHeader);
            return Message::empty(size, defects);
        };

        let fields: Vec<_> = fields(parsed);
        let (from, from_name) = read_from(parsed, &fields, from_lines(raw), &mut defects);
        let date = mime::date(parsed);
        let message_id = mime::ids(parsed, HeaderName::MessageId).into_iter().next();
        if date.is_none() {
            defects.push(Defect::NoDate);
        }
        if message_id.is_none() {
            defects.push(Defect::NoMessageId);
        }
        let (parts, text) = if has_body { (parts(parsed), words(parsed, &mut defects)) } else { (Vec::new(), String::new()) };
        defects.dedup();
        Message {
            from,
            from_name,
            reply_to: mailboxes(parsed, HeaderName::ReplyTo),
            to: mailboxes(parsed, HeaderName::To),
            cc: mailboxes(parsed, HeaderName::Cc),
            bcc: mailboxes(parsed, HeaderName::Bcc),
            delivered_to: delivered_to(&fields),
            subject: one_line(parsed.subject().unwrap_or_default()),
            message_id,
            in_reply_to: mime::ids(parsed, HeaderName::InReplyTo),
            references: mime::ids(parsed, HeaderName::References),
            date,
            fields,
            parts,
            defects,
            size,
            text,
        }
    }

    /// The letter's words as plain text: text/plain parts, else HTML made text; lines end in LF, `format=flowed` is undone, and a quotation of HTML is
    /// marked by `> ` as in plain text. Empty where the letter has no words.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first field of that name (any case), unfolded.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How many fields of that name there are.
    pub fn field_count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
    }

    /// Everybody the letter names as its reader: To, Cc, Bcc, then those the servers on the way added.
    pub fn recipients(&self) -> impl Iterator<Item = &EmailAddress> {
        self.to.iter().chain(&self.cc).chain(&self.bcc).chain(&self.delivered_to)
    }

    /// The first part of that type, in lower case.
    pub fn part(&self, content_type: &str) -> Option<&Part> {
        self.parts.iter().find(|p| p.content_type == content_type)
    }

    /// The `type/subtype` of the letter as a whole, in lower case, and a parameter of it such as `report-type`.
    pub fn content_type(&self) -> Option<String> {
        let value = self.field("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    fn empty(size: usize, defects: Vec<Defect>) -> Message {
        Message {
            from: None,
            from_name: None,
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            delivered_to: Vec::new(),
            subject: String::new(),
            message_id: None,
            in_reply_to: Vec::new(),
            references: Vec::new(),
            date: None,
            fields: Vec::new(),
            parts: Vec::new(),
            defects,
            size,
            text: String::new(),
        }
    }
}

/// How many lines begin a From field, counted without a parser of fields, so that none can be hidden from us in another one.
fn from_lines(raw: &[u8]) -> usize {
    let is_from = |line: &[u8]| {
        let Some((name, rest)) = line.split_at_checked(4) else { return false };
        name.eq_ignore_ascii_case(b"from") && rest.iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b':')
    };
    raw[..header_end(raw)].split(|&b| b == b'\n' || b == b'\r').filter(|line| is_from(line)).count()
}

/// The one author. Any doubt is a `None`: the header From decides who somebody is.
fn read_from(
    parsed: &mail_parser::Message<'_>,
    fields: &[(String, String)],
    lines: usize,
    defects: &mut Vec<Defect>,
) -> (Option<EmailAddress>, Option<String>) {
    let values: Vec<_> = parsed.header_values(HeaderName::From).collect();
    let written = lines.max(fields.iter().filter(|(name, _)| name == "from").count());
    let mailboxes: Vec<_> = values.iter().filter_map(|v| v.as_address()).flat_map(Address::iter).collect();
    let grouped = values.iter().any(|v| matches!(v, HeaderValue::Address(Address::Group(_))));
    match mailboxes.as_slice() {
        [] if written <= 1 && fields.iter().all(|(name, value)| name != "from" || value.trim().is_empty()) => defects.push(Defect::NoFrom),
        [_, _, ..] => defects.push(Defect::SeveralFrom),
        [one] if written == 1 && !grouped => {
            let address = one.address().and_then(|a| EmailAddress::parse(a).ok());
            let agrees = fields.iter().find(|(name, _)| name == "from").is_some_and(|(_, value)| addresses_outside_words(value) == 1);
            if let Some(address) = address.filter(|_| agrees) {
                let name = one.name().map(one_line).filter(|n| !n.is_empty());
                return (Some(address), name);
            }
            defects.push(Defect::UnreadableFrom);
        }
        _ if written > 1 => defects.push(Defect::SeveralFrom),
        _ => defects.push(Defect::UnreadableFrom),
    }
    (None, None)
}

/// How many places of a From field could be read as its address: angle brackets, or else `@` signs, outside of quoted strings and comments.
/// Parsers differ on `<a@x>, b@y` and the like; where this is not one, nobody is believed.
fn addresses_outside_words(value: &str) -> usize {
    let (mut angles, mut ats, mut comment, mut quoted, mut escaped) = (0, 0, 0usize, false, false);
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || comment > 0 => escaped = true,
            '"' if comment == 0 => quoted = !quoted,
            _ if quoted => {}
            '(' => comment += 1,
            ')' => comment = comment.saturating_sub(1),
            _ if comment > 0 => {}
            '<' => angles += 1,
            '@' => ats += 1,
            _ => {}
        }
    }
    if angles > 0 { angles } else { ats.min(2) }
}

/// All mailboxes of all fields of that name that can be read, each once.
fn mailboxes(parsed: &mail_parser::Message<'_>, name: HeaderName<'static>) -> Vec<EmailAddress> {
    let mut found = Vec::new();
    for address in parsed.header_values(name).filter_map(|v| v.as_address()).flat_map(Address::iter) {
        if let Some(address) = address.address().and_then(|a| EmailAddress::parse(a).ok())
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

fn delivered_to(fields: &[(String, String)]) -> Vec<EmailAddress> {
    let names = ["delivered-to", "x-original-to", "envelope-to"];
    fields
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .filter_map(|(_, value)| EmailAddress::parse(value.trim().trim_start_matches('<').trim_end_matches('>')).ok())
        .collect()
}

fn fields(parsed: &mail_parser::Message<'_>) -> Vec<(String, String)> {
    parsed.headers_raw().map(|(name, value)| (name.trim().to_ascii_lowercase(), mime::unfold(value))).collect()
}

/// One line without control characters, its white space folded.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

fn parts(parsed: &mail_parser::Message<'_>) -> Vec<Part> {
    let mut out = Vec::new();
    for part in &parsed.parts {
        if matches!(part.body, PartType::Multipart(_)) {
            continue;
        }
        let content_type = match part.content_type() {
            Some(t) => format!("{}/{}", t.ctype(), t.subtype().unwrap_or("x-unknown")).to_ascii_lowercase(),
            None if matches!(part.body, PartType::Message(_)) => "message/rfc822".into(),
            None => "text/plain".into(),
        };
        let text = match &part.body {
            PartType::Text(text) | PartType::Html(text) => Some(head(text).to_owned()),
            PartType::Message(_) => {
                let (start, end) = (part.raw_body_offset() as usize, part.raw_end_offset() as usize);
                let nested = part.message().map(|m| m.raw_message()).filter(|_| part.encoding != mail_parser::Encoding::None);
                nested.or_else(|| parsed.raw_message().get(start..end)).map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_WORDS)]).into_owned())
            }
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                let textual = content_type.starts_with("message/") || bytes.len() < 1024;
                std::str::from_utf8(bytes).ok().filter(|_| textual).map(|text| head(text).to_owned())
            }
            PartType::Multipart(_) => None,
        };
        out.push(Part {
            content_type,
            disposition: part.content_disposition().map(|d| d.ctype().to_ascii_lowercase()),
            filename: part.attachment_name().map(one_line),
            text,
        });
    }
    out
}

/// The words: the plain parts that are the letter's body, else the HTML ones.
fn words(parsed: &mail_parser::Message<'_>, defects: &mut Vec<Defect>) -> String {
    let mut plain = Vec::new();
    for &id in &parsed.text_body {
        let Some(part) = parsed.part(id) else { continue };
        match &part.body {
            PartType::Text(_) if part.content_type().is_none_or(|t| t.subtype().is_none_or(|s| s.eq_ignore_ascii_case("plain"))) => {
                let text = read(parsed, part, defects);
                let flow = part.content_type().and_then(|t| t.attribute("format")).is_some_and(|f| f.eq_ignore_ascii_case("flowed"));
                let del_sp = part.content_type().and_then(|t| t.attribute("delsp")).is_some_and(|f| f.eq_ignore_ascii_case("yes"));
                plain.push(if flow { flowed::unflow(&text, del_sp) } else { text.into_owned() });
            }
            PartType::Html(_) => plain.push(html::to_text(&read(parsed, part, defects))),
            PartType::Text(_) | PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Message(_) | PartType::Multipart(_) => {}
        }
    }
    let mut text = plain.join("\n");
    if text.trim().is_empty() {
        // Some clients send an empty text/plain beside the HTML that holds the words.
        let bodies = parsed.html_body.iter().filter_map(|&id| parsed.part(id)).filter(|p| matches!(p.body, PartType::Html(_)));
        text = bodies.map(|part| html::to_text(&read(parsed, part, defects))).collect::<Vec<_>>().join("\n");
    }
    lines_of(&text)
}

/// A text part's words, as many as are read of one; empty where they can't be.
fn read<'x>(parsed: &'x mail_parser::Message<'_>, part: &'x mail_parser::MessagePart<'_>, defects: &mut Vec<Defect>) -> Cow<'x, str> {
    let Ok(words) = charset::words(parsed, part) else {
        defects.push(Defect::WrongCharset);
        return Cow::Borrowed("");
    };
    let found =
        [(words.broken_encoding, Defect::BrokenEncoding), (words.wrong_charset, Defect::WrongCharset), (words.text.len() > MAX_WORDS, Defect::CutWords)];
    defects.extend(found.into_iter().filter_map(|(is_so, defect)| is_so.then_some(defect)));
    match words.text {
        Cow::Borrowed(text) => head(text).into(),
        Cow::Owned(text) => head(&text).to_owned().into(),
    }
}

/// As much of a text as is kept.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_WORDS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_of(field: &str) -> (Option<String>, Option<String>, Vec<Defect>) {
        let read = Message::parse(format!("{field}Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <a@b.example>\r\n\r\nwords\r\n").as_bytes());
        (read.from.map(|a| a.to_string()), read.from_name, read.defects)
    }

    #[test]
    fn the_writer_is_the_one_mailbox_of_the_one_from_field() {
        for (field, address, name) in [
            ("From: ana@example.org\r\n", "ana@example.org", None),
            ("From: Ana <ana@example.org>\r\n", "ana@example.org", Some("Ana")),
            ("FROM : \"Silva, Ana \\\"Nina\\\"\" <Ana@Example.org>\r\n", "Ana@example.org", Some("Silva, Ana \"Nina\"")),
            ("From: =?utf-8?Q?Ana_Concei=C3=A7=C3=A3o?= <ana@example.org>\r\n", "ana@example.org", Some("Ana Conceição")),
            ("From: =?iso-2022-jp?B?GyRCOzNFRBsoQg==?=\r\n <yamada@example.jp>\r\n", "yamada@example.jp", Some("山田")),
            ("From: ana@example.org (Ana @ home)\r\n", "ana@example.org", Some("Ana @ home")),
            ("From: \"boss@bank.example\" <ana@example.org>\r\n", "ana@example.org", Some("boss@bank.example")),
            ("From: jörg@münchen.example\r\n", "jörg@münchen.example", None),
        ] {
            assert_eq!(from_of(field), (Some(address.to_owned()), name.map(str::to_owned), vec![]), "{field}");
        }
    }

    #[test]
    fn a_writer_in_doubt_is_nobody() {
        for (field, defect) in [
            ("", Defect::NoFrom),
            ("From: \r\n", Defect::NoFrom),
            ("From: ana@example.org, bo@example.org\r\n", Defect::SeveralFrom),
            ("From: ana@example.org\r\nFrom: bo@example.org\r\n", Defect::SeveralFrom),
            ("From: <ana@example.org> <bo@example.org>\r\n", Defect::UnreadableFrom),
            ("From: Ana\r\n", Defect::UnreadableFrom),
            ("From: friends: ana@example.org;\r\n", Defect::UnreadableFrom),
            ("From: Ana <not an address>\r\n", Defect::UnreadableFrom),
            ("From: ana@@example.org\r\n", Defect::UnreadableFrom),
        ] {
            let (address, _, defects) = from_of(field);
            assert_eq!(address, None, "{field}");
            assert_eq!(defects, [defect], "{field}");
        }
    }

    #[test]
    fn no_field_swallows_the_next_one() {
        let raw =
            b"Date: Sat, 22 Apr 2006 17:14:50 UT\r\nFrom: ana@example.org\r\nReceived: from a by b; Sat, 22 Apr 2006 17:14:50 UT\r\nTo: bo@x.example\r\n\r\nhi";
        let read = Message::parse(raw);
        assert_eq!(read.from.as_ref().map(EmailAddress::as_str), Some("ana@example.org"));
        assert_eq!(read.to.len(), 1);
        assert_eq!(read.date.map(|d| d.to_rfc3339()).as_deref(), Some("2006-04-22T17:14:50+00:00"));
        let two = Message::parse(b"Date: Sat, 22 Apr 2006 17:14:50 UT\nFrom: ana@example.org\nFrom: bo@example.org\n\nhi");
        assert_eq!((two.from, two.defects.contains(&Defect::SeveralFrom)), (None, true));
    }

    #[test]
    fn all_readers_are_named() {
        let read = Message::parse(
            b"From: ana@example.org\r\nTo: Bo <bo@x.example>, friends: cy@x.example, dee@x.example;\r\nCC: bo@x.example, not-one\r\nDelivered-To: <join@pairs.test>\r\n\r\n",
        );
        let names: Vec<_> = read.recipients().map(EmailAddress::as_str).collect();
        assert_eq!(names, ["bo@x.example", "cy@x.example", "dee@x.example", "bo@x.example", "join@pairs.test"]);
    }

    #[test]
    fn threads_and_dates_are_read() {
        let read = Message::parse(
            b"From: a@x.example\nMessage-Id: <one@x.example>\nIn-Reply-To: <two@x.example> (Bo's of Monday)\nReferences: <one@x.example>\n <two@x.example>\nDate: Fri, 31 Dec 1999 23:59:60 -0230\n\n",
        );
        assert_eq!(read.message_id.as_deref(), Some("one@x.example"));
        assert_eq!(read.in_reply_to.first().map(String::as_str), Some("two@x.example"));
        assert_eq!(read.references, ["one@x.example", "two@x.example"]);
        assert_eq!(read.date.map(|d| d.to_rfc3339()).as_deref(), Some("2000-01-01T02:29:59+00:00"));
        for bad in ["Date: Tue, 31 Feb 2026 10:00:00 +0000", "Date: yesterday", "Date: Mon, 1 Jan 2026 99:00:00 +9999", "X: y"] {
            assert!(Message::parse(format!("From: a@x.example\n{bad}\n\n").as_bytes()).defects.contains(&Defect::NoDate), "{bad}");
        }
    }

    fn words_of(head: &str, body: &[u8]) -> String {
        let mut raw = format!("From: a@x.example\r\n{head}\r\n\r\n").into_bytes();
        raw.extend_from_slice(body);
        Message::parse(&raw).text().to_owned()
    }

    #[test]
    fn words_come_out_whatever_charset_and_encoding_they_went_in() {
        for (head, body, expected) in [
            ("X-None: 1", &b"plain\r\n\r\n"[..], "plain"),
            ("Content-Type: text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
            ("Content-Type: text/plain; charset=utf-8", b"caf\xe9 cr\xe8me", "café crème"),
            ("Content-Type: text/plain; charset=unknown-8bit", b"na\xefve \x93so\x94", "naïve “so”"),
            ("Content-Type: text/plain", b"caf\xc3\xa9", "café"),
            ("Content-Type: text/plain; charset=koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
            ("Content-Type: text/plain; charset=gb2312", b"\xc4\xe3\xba\xc3", "你好"),
            ("Content-Type: text/plain; charset=Shift_JIS\r\nContent-Transfer-Encoding: base64", b"g4GBW4OL", "メール"),
            ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable", b"ol=C3=A1=\r\n Ana", "olá Ana"),
            ("Content-Type: text/plain; charset=us-ascii; format=flowed", b"one \r\ntwo\r\n-- \r\nAna", "one two\n-- \nAna"),
            ("Content-Type: text/html; charset=utf-8", b"<p>Name: Ana<br>Town: Porto</p>", "Name: Ana\nTown: Porto"),
            ("Content-Type: text/html; charset=utf-8", b"<blockquote>Do you?</blockquote>yes", "> Do you?\nyes"),
            ("Content-Type: application/pdf", b"%PDF", ""),
        ] {
            assert_eq!(words_of(head, body), expected, "{head}");
        }
    }

    #[test]
    fn of_several_parts_the_writers_words_count() {
        let multipart = |kind: &str, parts: &[&str]| {
            let body: String = parts.iter().map(|p| format!("--b\r\n{p}\r\n")).collect::<String>() + "--b--\r\n";
            words_of(&format!("Content-Type: multipart/{kind}; boundary=b"), body.as_bytes())
        };
        let plain = "Content-Type: text/plain\r\n\r\nplain words";
        let html = "Content-Type: text/html\r\n\r\n<p>rich words</p>";
        let empty = "Content-Type: text/plain\r\n\r\n \r\n";
        let attached = "Content-Type: text/plain; name=list.txt\r\nContent-Disposition: attachment; filename=list.txt\r\n\r\nnot mine";
        let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: old\r\n\r\nold words";
        assert_eq!(multipart("alternative", &[plain, html]), "plain words");
        assert_eq!(multipart("alternative", &[empty, html]), "rich words");
        assert_eq!(multipart("mixed", &[html, attached]), "rich words");
        assert_eq!(multipart("mixed", &[plain, forwarded]), "plain words");
        assert_eq!(multipart("mixed", &[plain, "Content-Type: image/png\r\n\r\nx", plain]), "plain words\nplain words");
    }

    #[test]
    fn raw_latin_1_in_a_header_is_read_and_noted() {
        let read = Message::parse(b"From: Jos\xe9 <jose@example.org>\r\nSubject: caf\xe9\r\nX-Utf: \xc3\xa9\r\n\r\n\xe9");
        assert_eq!((read.from_name.as_deref(), read.subject.as_str()), (Some("José"), "café"));
        assert_eq!(read.field("x-utf"), Some("é"));
        assert!(read.defects.contains(&Defect::RawHeaderCharset));
    }

    #[test]
    fn a_letter_without_a_header_has_only_defects() {
        for raw in [&b""[..], b"\r\n", b"\r\nwords only", b"From someone Mon Jan  1\n"] {
            let read = Message::parse(raw);
            assert_eq!((&read.from, read.message_id.as_deref()), (&None, None));
            assert!(!read.defects.is_empty(), "{raw:?}");
        }
    }

    #[test]
    fn letters_nested_without_end_are_not_followed() {
        for (head, defect) in [("Content-Type: message/rfc822\n\n", true), ("Content-Type: multipart/digest; boundary=x\n\n--x\n\n", true)] {
            let raw = format!("From: ana@example.org\nSubject: deep\n{}", head.repeat(200_000));
            let read = Message::parse(raw.as_bytes());
            assert_eq!(read.subject, "deep");
            assert_eq!(read.defects.contains(&Defect::TooManyParts), defect);
        }
        // As deep as is followed: parsed and dropped on a small stack.
        let raw = format!("From: ana@example.org\n{}", "Content-Type: message/rfc822\n\n".repeat(mime::MAX_PARTS));
        assert!(!Message::parse(raw.as_bytes()).defects.contains(&Defect::TooManyParts));
    }
}
