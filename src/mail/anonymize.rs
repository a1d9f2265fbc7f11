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
use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::{address::Address, date::Date, message_id::MessageId};
use mail_parser::{HeaderName, HeaderValue, Message, MessageParser};

use crate::domain::address::EmailAddress;

mod addresses;
mod html;
mod images;
mod parts;
mod spellings;
mod text;

use addresses::Replacer;

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
    /// Parts within parts without end.
    #[error("the letter has parts within parts without end")]
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

/// The letter as the reader gets it, ready to send: only CR LF, no line over 998 bytes. Equal arguments give equal bytes.
///
/// `our_domain` ends the identifiers of pictures. Errors say why the letter can't be passed on.
pub fn relay(raw: &[u8], parties: &Parties, threading: &Threading, our_domain: &str) -> Result<Vec<u8>, RelayRefusal> {
    let message = MessageParser::default().parse(raw).ok_or(RelayRefusal::Unparsable)?;
    let hidden = parties.writer_addresses.iter().map(|real| (real, &parties.writer_alias));
    let replacer = Replacer::new(hidden.chain([(&parties.reader_address, &parties.reader_alias)]));
    let seed = seed(&threading.message_id);
    let body = parts::Rebuilding::new(&message, &replacer, &seed, our_domain).body()?;

    let name = one_line(&replacer.plain(&parties.writer_name)?);
    let mut letter = MessageBuilder::new()
        .from(mailbox(Some(name), &parties.writer_alias))
        .to(mailbox(None, &parties.reader_address))
        .subject(subject(&message, &replacer)?)
        .date(Date::new(sent(&message).unwrap_or(threading.received)))
        .message_id(threading.message_id.clone());
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
    let mut out = Vec::with_capacity(raw.len() + 1024);
    letter.header("MIME-Version", mail_builder::headers::raw::Raw::new("1.0")).body(body).serialize(&mut out);
    Ok(out)
}

/// The identifiers that a letter names, for the caller to map; empty where there are none or the letter can't be read.
pub fn mentioned_ids(raw: &[u8]) -> MentionedIds {
    let Some(message) = MessageParser::default().parse_headers(raw) else { return MentionedIds::default() };
    let all = |name: HeaderName<'_>| message.header_values(name).flat_map(|value| ids(value)).collect::<Vec<_>>();
    MentionedIds { message_id: all(HeaderName::MessageId).into_iter().next(), in_reply_to: all(HeaderName::InReplyTo), references: all(HeaderName::References) }
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    let all: Vec<&str> = match value {
        HeaderValue::Text(id) => vec![id],
        HeaderValue::TextList(ids) => ids.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    all.into_iter().map(|id| id.trim().trim_matches(['<', '>']).to_owned()).filter(|id| !id.is_empty()).collect()
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
    message.date().filter(|date| date.is_valid() && date.year >= 1970).map(mail_parser::DateTime::to_timestamp)
}

fn subject(message: &Message<'_>, replacer: &Replacer) -> Result<String, RelayRefusal> {
    let given = message.subject().unwrap_or_default();
    let field = message.root_part().headers.iter().rfind(|field| field.name == HeaderName::Subject);
    let given = match field.and_then(|field| message.raw_message().get(field.offset_start as usize..field.offset_end as usize)) {
        // Bytes in no charset that it names, against RFC 5322 and 6532: read as text parts are.
        Some(raw) if given.contains(char::REPLACEMENT_CHARACTER) && std::str::from_utf8(raw).is_err() => Cow::Owned(text::in_charset(raw, None)?),
        _ => Cow::Borrowed(given),
    };
    let subject = one_line(&replacer.plain(&given)?);
    Ok(match subject.char_indices().nth(LONGEST_SUBJECT) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject,
    })
}

/// A text for a header field: no line breaks, no control characters.
fn one_line(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains(char::is_control) { text.replace(char::is_control, " ").into() } else { text.into() };
    spaced.trim().to_owned()
}
