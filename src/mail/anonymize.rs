//! What a partner's letter becomes before the other partner gets it: nothing of its writer but the name they chose and their words.
//!
//! A letter is built anew; of the one that came in only this is taken over:
//!
//! | field | its fate |
//! |---|---|
//! | From | the name the writer chose to show, and their alias |
//! | To | the reader's own address |
//! | Cc | in a trio the third partner's name and alias, else none; the letter's own is dropped |
//! | Subject | its words, in Unicode, known addresses replaced |
//! | Date | the moment, in UTC (the writer's time zone would tell where they are) |
//! | Message-ID | a new one of ours |
//! | In-Reply-To, References | those that the caller knows, as the reader knows them; others are dropped |
//! | MIME-Version | 1.0 |
//! | Content-Type | the type, if it is one that passes; of its parameters charset (always UTF-8), format and delsp; the boundary is ours |
//! | Content-Transfer-Encoding | what the new body needs |
//! | Content-Disposition | inline or attachment, and the file's name without folders and addresses |
//! | Content-ID | of pictures: a new one, also where the page shows them |
//! | Sender, Reply-To, Return-Path, Bcc, Resent-* | dropped |
//! | Received, Authentication-Results, ARC-*, DKIM-Signature and other traces | dropped |
//! | User-Agent, X-*, Thread-Index, Organization, Autocrypt, List-*, Comments, Keywords | dropped |
//! | anything else | dropped: the list above is all that passes |
//!
//! Text and HTML pass with the addresses in them replaced, in any spelling; pictures pass without metadata. Whatever else could tell who wrote the
//! letter and can't be made safe is a [`RelayRefusal`].
use std::{borrow::Cow, io};

use mail_builder::MessageBuilder;
use mail_builder::headers::{address::Address, date::Date, message_id::MessageId};
use mail_parser::{HeaderName, Message};

use super::{charset, mime};
use crate::domain::address::EmailAddress;

mod addresses;
mod escapes;
mod html;
mod images;
mod loans;
mod parts;
mod spellings;
mod text;

use addresses::Replacer;
pub use loans::{Loan, loans, made_of};

/// Of the letters that a letter follows, this many pass on: the first, which names the thread, and the last ones.
const REFERENCES_AT_MOST: usize = 50;
/// A subject is cut behind this many characters.
const LONGEST_SUBJECT: usize = 400;

/// Who writes, who reads, and under which addresses they know each other.
#[derive(Debug, Clone)]
pub struct Parties {
    /// The name that the writer chose to show.
    pub writer_name: String,
    /// Every address that we know the writer by.
    pub writer_addresses: Vec<EmailAddress>,
    /// Where the reader writes to the writer.
    pub writer_alias: EmailAddress,
    /// The reader's own address: where the letter goes.
    pub reader_address: EmailAddress,
    /// Where the writer writes to the reader.
    pub reader_alias: EmailAddress,
    /// Every other address that we know the reader by, and those of a third partner, each with the alias under which the writer knows them.
    pub others: Vec<(EmailAddress, EmailAddress)>,
    /// In a trio the third partner, to whom the letter goes as well: name, and the alias that the reader knows.
    pub third: Option<(String, EmailAddress)>,
}

/// How the relayed letter is identified and what it follows, as the reader knows those letters. Identifiers are without angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threading {
    /// The new letter's own identifier.
    pub message_id: String,
    /// The letter it answers.
    pub in_reply_to: Option<String>,
    /// The letters before it, oldest first.
    pub references: Vec<String>,
    /// When the letter came in, in seconds since 1970: its date where it doesn't say one.
    pub received: i64,
}

/// The identifiers that a letter itself names, without angle brackets, as written (RFC 5322 3.6.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MentionedIds {
    /// Its own.
    pub message_id: Option<String>,
    /// Those it answers.
    pub in_reply_to: Vec<String>,
    /// Those it follows, oldest first.
    pub references: Vec<String>,
}

/// Why a letter can't be passed on. The words are for a log and a shell; the writer gets a letter made from the variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayRefusal {
    /// It has no header, or its structure makes no sense.
    #[error("the letter can't be read")]
    Unparsable,
    /// Parts within parts, or one after the other, without end.
    #[error("the letter has parts without end")]
    TooNested,
    /// Everything in it had to be left out.
    #[error("nothing is left of the letter that can be passed on")]
    NothingLeft,
    /// Its text is in a charset that we don't know and that has not even ASCII in it.
    #[error("the letter's text is in a character set that can't be read")]
    UnreadableText,
    /// S/MIME or PGP: a signature names who signed, and no longer fits once an address is replaced.
    #[error("the letter is signed (S/MIME or PGP), and a signature tells who wrote it")]
    Signed,
    /// S/MIME or PGP: nobody can look inside.
    #[error("the letter is encrypted (S/MIME or PGP), so it can't be made safe")]
    Encrypted,
    /// A PGP key names its owner.
    #[error("the letter has a PGP key in it, and a key names its owner")]
    Key,
    /// Forwarded as an attachment, with its whole header.
    #[error("the letter has another message attached, whose header tells where it comes from")]
    EnclosedMessage,
    /// A bounce, a receipt or another report of a program.
    #[error("the letter is a report of a mail program")]
    Report,
    /// An invitation names its organiser and guests.
    #[error("the letter has a calendar entry in it, which names its organiser and guests")]
    Calendar,
    /// A contact card is made of what the relay hides.
    #[error("the letter has a contact card attached")]
    ContactCard,
    /// A picture that is damaged, or of a kind whose metadata we can't take out.
    #[error("the picture {name:?} can't be made safe: send it as JPEG, PNG, GIF or WebP")]
    Picture {
        /// The file's name, or its media type.
        name: String,
    },
    /// A file of a kind that may hold its maker's name anywhere.
    #[error("the attachment {name:?} may hold names and addresses that can't be taken out: send text or pictures")]
    Attachment {
        /// The file's name, or its media type.
        name: String,
    },
    /// An address stands there in a way that could not be undone.
    #[error("the letter shows an address in a way that can't be taken out")]
    AddressStays,
}

/// A letter as the reader gets it: only CR LF, no line over 998 bytes.
pub struct Relayed<'m>(MessageBuilder<'m>);

impl Relayed<'_> {
    /// Whole.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.serialize(&mut out);
        out
    }

    /// Written bit by bit, so that it is nowhere whole.
    pub fn write_to(self, out: &mut dyn io::Write) -> io::Result<()> {
        self.0.write_to(out)
    }
}

/// The letter as the reader gets it. Equal arguments give equal bytes.
///
/// `our_domain` ends the identifiers of pictures. Errors say why the letter can't be passed on.
pub fn relay(raw: &[u8], parties: &Parties, threading: &Threading, our_domain: &str) -> Result<Vec<u8>, RelayRefusal> {
    let raw = charset::readable(raw);
    let tree = mime::parse(&raw.0);
    rebuild(&tree, parties, threading, our_domain).map(Relayed::into_bytes)
}

/// The same for a letter that is parsed, and can be written.
pub fn rebuild<'m>(tree: &'m mime::Tree<'_>, parties: &Parties, threading: &Threading, our_domain: &str) -> Result<Relayed<'m>, RelayRefusal> {
    let message = match tree {
        Ok(message) => message.as_ref().ok_or(RelayRefusal::Unparsable)?,
        Err(mime::Unread::TooManyParts) => return Err(RelayRefusal::TooNested),
        Err(mime::Unread::Broken) => return Err(RelayRefusal::Unparsable),
    };
    let hidden = parties.writer_addresses.iter().map(|real| (real, &parties.writer_alias));
    let others = parties.others.iter().map(|(real, alias)| (real, alias));
    let replacer = Replacer::new(hidden.chain([(&parties.reader_address, &parties.reader_alias)]).chain(others));
    let seed = seed(&threading.message_id);
    let body = parts::Rebuilding::new(message, &replacer, &seed, our_domain).body()?;

    let name = one_line(&replacer.plain(&parties.writer_name)?);
    let mut letter = MessageBuilder::new()
        .from(mailbox(Some(name), &parties.writer_alias))
        .to(mailbox(None, &parties.reader_address))
        .date(Date::new(sent(message).unwrap_or(threading.received)))
        .message_id(threading.message_id.clone());
    if let Some(subject) = subject(message, &replacer)? {
        letter = letter.subject(subject);
    }
    if let Some((name, alias)) = &parties.third {
        letter = letter.cc(mailbox(Some(one_line(&replacer.plain(name)?)), alias));
    }
    if let Some(id) = &threading.in_reply_to {
        letter = letter.in_reply_to(id.clone());
    }
    if !threading.references.is_empty() {
        let (first, rest) = threading.references.split_at(1);
        let last = &rest[rest.len().saturating_sub(REFERENCES_AT_MOST - 1)..];
        letter = letter.references(MessageId::new_list(first.iter().chain(last).cloned()));
    }
    Ok(Relayed(letter.header("MIME-Version", mail_builder::headers::raw::Raw::new("1.0")).body(body)))
}

/// The identifiers that a letter names, for the caller to map; empty where there are none or the letter can't be read.
pub fn mentioned_ids(raw: &[u8]) -> MentionedIds {
    let Some(message) = mime::parse_header(charset::without_mbox_line(raw)) else { return MentionedIds::default() };
    let all = |name: HeaderName<'static>| mime::ids(&message, name);
    MentionedIds { message_id: all(HeaderName::MessageId).into_iter().next(), in_reply_to: all(HeaderName::InReplyTo), references: all(HeaderName::References) }
}

/// Sixteen hexadecimal digits that the new identifier determines: boundaries must be the same at each try, and tell nothing.
fn seed(message_id: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, message_id.as_bytes()).as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

fn mailbox<'x>(name: Option<String>, address: &EmailAddress) -> Address<'x> {
    Address::new_address(name.filter(|name| !name.is_empty()), address.as_str().to_owned())
}

/// When the writer sent it, in seconds since 1970, if it says so in a way that makes sense.
fn sent(message: &Message<'_>) -> Option<i64> {
    mime::date(message).map(|date| date.timestamp()).filter(|seconds| *seconds >= 0)
}

fn subject(message: &Message<'_>, replacer: &Replacer) -> Result<Option<String>, RelayRefusal> {
    let Some(given) = message.subject() else { return Ok(None) };
    let subject = one_line(&replacer.plain(given)?);
    Ok(Some(match subject.char_indices().nth(LONGEST_SUBJECT) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject,
    }))
}

/// A text for a header field: no line breaks, no control characters.
fn one_line(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains(char::is_control) { text.replace(char::is_control, " ").into() } else { text.into() };
    spaced.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    const REAL: &str = "zoe@quill-home.example";
    const PIXEL: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    fn parties() -> Parties {
        Parties {
            writer_name: "Zoë Q.".into(),
            writer_addresses: vec![address(REAL), address("z.quill@work.example")],
            writer_alias: address("w5@pairpost.localhost"),
            reader_address: address("dana@reader-mail.example"),
            reader_alias: address("b7@pairpost.localhost"),
            others: Vec::new(),
            third: None,
        }
    }

    fn threading() -> Threading {
        Threading { message_id: "new.1@pairpost.localhost".into(), in_reply_to: None, references: Vec::new(), received: 1_772_530_000 }
    }

    fn relayed(raw: &str) -> String {
        let out = relay(raw.as_bytes(), &parties(), &threading(), "pairpost.localhost").expect("passes");
        String::from_utf8(out).expect("ASCII")
    }

    /// The header of a letter as (name, value), unfolded.
    fn fields(letter: &str) -> Vec<(String, String)> {
        let head = letter.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n\t", " ").replace("\r\n ", " ");
        head.split("\r\n").map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).expect("a field")).collect()
    }

    fn field(letter: &str, name: &str) -> Option<String> {
        fields(letter).into_iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    #[test]
    fn each_header_field_meets_its_fate() {
        let head = "From: Zoe Quill <zoe@quill-home.example>\r\nTo: \"Dana mark\" <b7@pairpost.localhost>, mark@else.example\r\nSubject: Re: Hours\r\n\
                    Date: Tue, 03 Mar 2026 10:15:42 +0100 (mark)\r\nMessage-ID: <7@mark.example>\r\nMIME-Version: 1.0 (mark)\r\n";
        for dropped in [
            "Cc: mark@else.example",
            "Bcc: mark@else.example",
            "Sender: zoe@quill-home.example (mark)",
            "Reply-To: mark <zoe@quill-home.example>",
            "Return-Path: <mark@quill-home.example>",
            "Resent-From: mark@else.example",
            "Resent-Message-ID: <mark@else.example>",
            "Received: from mark-laptop ([192.0.2.77]) by mx.mark.example; Tue, 3 Mar 2026 10:15:43 +0100",
            "Authentication-Results: mx.mark.example; spf=pass",
            "ARC-Seal: i=1; d=mark.example",
            "DKIM-Signature: v=1; d=mark.example; b=MTIz",
            "User-Agent: mark 7",
            "X-Mailer: mark 7",
            "X-Originating-IP: [192.0.2.77] mark",
            "Thread-Index: mark",
            "Thread-Topic: mark",
            "Organization: mark",
            "Autocrypt: addr=mark@x.example; keydata=MTIz",
            "List-Id: <mark.example>",
            "List-Unsubscribe: <https://mark.example>",
            "Comments: mark",
            "Keywords: mark",
            "In-Reply-To: <mark@else.example>",
            "References: <mark@else.example>",
            "Content-Description: mark",
            "Content-ID: <mark@else.example>",
            "Content-Location: https://mark.example/",
            "Content-Language: mark",
            "Disposition-Notification-To: mark@else.example",
            "Auto-Submitted: mark",
            "Importance: mark",
            "Anything-New: mark",
        ] {
            let out = relayed(&format!("{head}{dropped}\r\nContent-Type: text/plain (mark); charset=utf-8; name2=mark\r\n\r\nHello\r\n"));
            assert!(!out.contains("mark") && !out.contains("192.0.2.77") && !out.contains("quill-home"), "{dropped}: {out}");
            let names: Vec<String> = fields(&out).into_iter().map(|(name, _)| name).collect();
            let wanted = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
            assert!(names.iter().all(|name| wanted.contains(&name.as_str())), "{dropped}: {names:?}");
            assert!(wanted[..7].iter().all(|wanted| names.iter().filter(|name| name == wanted).count() == 1), "{dropped}: {names:?}");
        }
    }

    #[test]
    fn what_passes_of_a_header_is_as_the_table_says() {
        let out = relayed(
            "From: Zoe Quill <zoe@quill-home.example>\r\nSubject: Re: =?utf-8?Q?=C3=96ffnung?= as zoe@\r\n quill-home.example says\r\n\
             Date: Tue, 03 Mar 2026 00:15:42 +0100\r\n\r\nHello\r\n",
        );
        let parsed = MessageParser::default().parse(out.as_bytes()).expect("parses");
        let from = parsed.from().and_then(|from| from.first()).expect("one mailbox");
        assert_eq!((from.name(), from.address()), (Some("Zoë Q."), Some("w5@pairpost.localhost")));
        assert_eq!(field(&out, "To").as_deref(), Some("<dana@reader-mail.example>"));
        assert_eq!(parsed.subject(), Some("Re: Öffnung as w5@pairpost.localhost says"));
        assert_eq!(field(&out, "Date").as_deref(), Some("Mon, 2 Mar 2026 23:15:42 +0000"));
        assert_eq!(field(&out, "Message-ID").as_deref(), Some("<new.1@pairpost.localhost>"));
        assert_eq!(field(&out, "MIME-Version").as_deref(), Some("1.0"));
        for (date, wanted) in [("", "Tue, 3 Mar 2026 09:26:40 +0000"), ("Date: some day\r\n", "Tue, 3 Mar 2026 09:26:40 +0000")] {
            assert_eq!(field(&relayed(&format!("From: x@y.example\r\n{date}\r\nHello")), "Date").as_deref(), Some(wanted), "{date}");
        }
        let latin = [&b"From: x@y.example\r\nSubject: Gr\xfc\xdfe\r\n\r\nHello"[..]].concat();
        let out = relay(&latin, &parties(), &threading(), "pairpost.localhost").expect("passes");
        assert_eq!(MessageParser::default().parse(&out).expect("parses").subject(), Some("Grüße"));
    }

    #[test]
    fn threads_go_on_with_the_identifiers_that_the_caller_gives() {
        let raw = b"From: x@y.example\r\nMessage-ID: <own@y.example>\r\nIn-Reply-To: <b@p.example>\r\nReferences: <a@p.example>\r\n <b@p.example>\r\n\r\nHello";
        let ids = mentioned_ids(raw);
        assert_eq!(
            ids,
            MentionedIds {
                message_id: Some("own@y.example".into()),
                in_reply_to: vec!["b@p.example".into()],
                references: vec!["a@p.example".into(), "b@p.example".into()]
            }
        );
        assert_eq!(mentioned_ids(b""), MentionedIds::default());
        // What no index of the database can hold would keep the letter, and all behind it, from being passed on.
        let endless = mentioned_ids(format!("Message-ID: <{}@example.org>\r\nReferences: <a@b> <{}@c>\r\n\r\n", "x".repeat(3000), "y".repeat(901)).as_bytes());
        assert_eq!(endless, MentionedIds { references: vec!["a@b".into()], ..MentionedIds::default() });
        let many: Vec<String> = (0..80).map(|n| format!("{n}@pairpost.localhost")).collect();
        let given = Threading { in_reply_to: Some("79@pairpost.localhost".into()), references: many, ..threading() };
        let out = String::from_utf8(relay(raw, &parties(), &given, "pairpost.localhost").expect("passes")).expect("ASCII");
        assert_eq!(field(&out, "In-Reply-To").as_deref(), Some("<79@pairpost.localhost>"));
        let references = field(&out, "References").expect("has references");
        assert!(references.starts_with("<0@") && references.contains("<79@") && !references.contains("<30@"), "{references}");
        assert!(!out.contains("y.example") && !out.contains("p.example"), "{out}");
    }

    #[test]
    fn in_a_trio_the_third_partner_is_seen_under_their_alias() {
        let third = Parties { third: Some(("Ana".into(), address("a9@pairpost.localhost"))), ..parties() };
        let out = relay(b"From: x@y.example\r\nCc: other@z.example\r\n\r\nHello", &third, &threading(), "pairpost.localhost").expect("passes");
        let out = String::from_utf8(out).expect("ASCII");
        assert_eq!(field(&out, "Cc").as_deref(), Some("\"Ana\" <a9@pairpost.localhost>"));
        assert_eq!(field(&out, "To").as_deref(), Some("<dana@reader-mail.example>"));
    }

    #[test]
    fn neither_partner_s_own_address_is_left_in_text_page_or_quote() {
        let out = relayed(
            "From: x@y.example\r\nContent-Type: multipart/alternative; boundary=\"----=_NextPart_000_0001_mark\"\r\n\r\nmark\r\n------=_NextPart_000_0001_mark\r\n\r\n\
             Hello from zoe@quill-home.example and z.quill@work.example\r\n> On Monday, Dana <dana@reader-mail.example> wrote:\r\n\
             ------=_NextPart_000_0001_mark\r\nContent-Type: text/x-amp-html\r\n\r\nmark\r\n\
             ------=_NextPart_000_0001_mark\r\nContent-Type: text/html\r\n\r\n<div class=mark>Hello from <a href='mailto:zoe@quill-home.example'>z.quill@<b>work</b>.example</a></div>\r\n\
             ------=_NextPart_000_0001_mark--\r\nmark",
        );
        assert!(!["mark", "quill-home", "work.example", "NextPart"].iter().any(|secret| out.contains(secret)), "{out}");
        let parsed = MessageParser::default().parse(out.as_bytes()).expect("parses");
        assert_eq!(
            parsed.body_text(0).as_deref().map(str::trim_end),
            Some("Hello from w5@pairpost.localhost and w5@pairpost.localhost\r\n> On Monday, Dana <b7@pairpost.localhost> wrote:")
        );
        assert!(
            parsed
                .body_html(0)
                .is_some_and(|page| page.contains("<div>Hello from <a href=\"mailto:w5@pairpost.localhost\">w5@pairpost.localhost<b></b></a></div>"))
        );
        assert_eq!(out, relayed(&out), "what was relayed has nothing left to change");
    }

    #[test]
    fn pictures_pass_and_the_page_still_shows_them() {
        let out = relayed(&format!(
            "From: x@y.example\r\nContent-Type: multipart/related; boundary=q\r\n\r\n--q\r\nContent-Type: text/html\r\n\r\n<p>See <img src=\"cid:7@mark.example\"></p>\r\n--q\r\n\
             Content-Type: application/octet-stream; name=\"/home/mark/zoe@quill-home.example.gif\"\r\nContent-ID: <7@mark.example>\r\nX-Attachment-Id: mark\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{PIXEL}\r\n--q--\r\n"
        ));
        assert!(!out.contains("mark") && !out.contains("quill-home"), "{out}");
        let parsed = MessageParser::default().parse(out.as_bytes()).expect("parses");
        let picture = parsed.attachments().next().expect("a picture");
        let id = mail_parser::MimeHeaders::content_id(picture).expect("an identifier");
        assert!(parsed.body_html(0).is_some_and(|page| page.contains(&format!("<img src=\"cid:{id}\">"))), "{out}");
        assert_eq!(mail_parser::MimeHeaders::attachment_name(picture), Some("w5@pairpost.localhost.gif"));
        assert!(out.contains("Content-Type: image/gif"));
    }

    #[test]
    fn a_picture_that_the_page_holds_itself_becomes_a_part() {
        let page = |data: &str| format!("From: x@y.example\r\nContent-Type: text/html\r\n\r\n<p>See <img src=\"data:image/gif;base64,{data}\"></p>\r\n");
        let out = relayed(&page(PIXEL));
        let parsed = MessageParser::default().parse(out.as_bytes()).expect("parses");
        let picture = parsed.attachments().next().expect("a picture");
        let id = mail_parser::MimeHeaders::content_id(picture).expect("an identifier");
        assert!(parsed.body_html(0).is_some_and(|page| page.contains(&format!("<img src=\"cid:{id}\">"))), "{out}");
        assert!(field(&out, "Content-Type").is_some_and(|kind| kind.starts_with("multipart/related")), "{out}");
        let broken = relay(page("PHN2Zz4").as_bytes(), &parties(), &threading(), "pairpost.localhost");
        assert_eq!(broken.err(), Some(RelayRefusal::Picture { name: "in the page".into() }));
    }

    #[test]
    fn what_can_t_be_made_safe_is_refused_with_its_reason() {
        let file =
            |kind: &str| format!("Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nHello\r\n--q\r\nContent-Type: {kind}\r\n\r\nx\r\n--q--\r\n");
        for (letter, wanted) in [
            (file("application/pdf; name=\"a.pdf\""), RelayRefusal::Attachment { name: "a.pdf".into() }),
            (file("application/zip"), RelayRefusal::Attachment { name: "application/zip".into() }),
            (file("image/tiff; name=a.tif"), RelayRefusal::Picture { name: "a.tif".into() }),
            (file("image/jpeg; name=broken.jpg"), RelayRefusal::Picture { name: "broken.jpg".into() }),
            (file("text/calendar"), RelayRefusal::Calendar),
            (file("application/ics"), RelayRefusal::Calendar),
            (file("text/vcard"), RelayRefusal::ContactCard),
            (file("application/pgp-keys"), RelayRefusal::Key),
            (file("application/pkcs7-signature"), RelayRefusal::Signed),
            (file("message/delivery-status"), RelayRefusal::Report),
            (file("message/rfc822\r\n\r\nFrom: z@y.example\r\n"), RelayRefusal::EnclosedMessage),
            (file("text/plain").replace("mixed", "signed"), RelayRefusal::Signed),
            (file("text/plain").replace("mixed", "encrypted"), RelayRefusal::Encrypted),
            (file("text/plain").replace("mixed", "report"), RelayRefusal::Report),
            (file("text/plain").replace("mixed", "digest"), RelayRefusal::EnclosedMessage),
            ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nx".into(), RelayRefusal::Encrypted),
            ("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx".into(), RelayRefusal::Signed),
            ("Content-Type: text/plain; charset=cp037\r\n\r\n\u{81}".into(), RelayRefusal::UnreadableText),
            ("Content-Type: multipart/mixed\r\n\r\nHello".into(), RelayRefusal::Unparsable),
            (
                "Content-Type: multipart/alternative; boundary=q\r\n\r\n--q\r\nContent-Type: text/enriched\r\n\r\nx\r\n--q--\r\n".into(),
                RelayRefusal::NothingLeft,
            ),
            (
                format!("Content-Type: multipart/mixed; boundary=q\r\n\r\n{}", "--q\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(300)),
                RelayRefusal::TooNested,
            ),
            ((0..40).map(|n| format!("Content-Type: multipart/mixed; boundary=q{n}\r\n\r\n--q{n}\r\n")).collect(), RelayRefusal::TooNested),
        ] {
            let raw = format!("From: x@y.example\r\n{letter}");
            assert_eq!(relay(raw.as_bytes(), &parties(), &threading(), "pairpost.localhost").err(), Some(wanted), "{raw}");
        }
        assert_eq!(relay(b"", &parties(), &threading(), "pairpost.localhost").err(), Some(RelayRefusal::Unparsable));
    }

    #[test]
    fn what_goes_out_is_clean_whatever_came_in() {
        let long = "w\u{f6}rd".repeat(3000);
        for body in [
            format!("From: x@y.example\nSubject: {long}\n\nbare\nlines\rand\0NUL {long}\n"),
            format!("From: x@y.example\r\nContent-Type: text/html\r\n\r\n<p title=\"{long}\">{long}<a href=\"https://x.example/{}\">x</a>", "y".repeat(5000)),
            format!("From: x@y.example\r\nContent-Type: text/csv; name=\"{}.csv\"\r\nContent-Disposition: attachment\r\n\r\n1,2", "n\u{e4}me ".repeat(200)),
            "From: x@y.example\r\n\r\n".to_owned(),
        ] {
            let out = relayed(&body);
            assert!(!out.contains('\0') && !out.replace("\r\n", "").contains(['\r', '\n']), "{out}");
            assert!(out.split("\r\n").all(|line| line.len() <= 998), "{out}");
            assert!(fields(&out).iter().all(|(name, _)| !name.is_empty()));
        }
    }

    #[test]
    fn a_flowed_text_stays_flowed_and_a_text_file_stays_a_file() {
        let out = relayed("From: x@y.example\r\nContent-Type: text/plain; format=flowed; delsp=YES; x-mark=mark\r\n\r\nHello \r\nyou\r\n");
        assert_eq!(field(&out, "Content-Type").as_deref(), Some("text/plain; charset=\"utf-8\"; format=\"flowed\"; delsp=\"yes\""));
        let out = relayed(
            "From: x@y.example\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"C:\\\\mark\\\\books.csv\"; x=mark\r\n\r\n1,2\r\n",
        );
        assert_eq!(field(&out, "Content-Disposition").as_deref(), Some("attachment; filename=\"books.csv\""));
        assert!(!out.contains("mark"), "{out}");
    }
}
