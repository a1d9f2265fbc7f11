//! One letter as a page: for captured mail, and for mail that waits to be let go.
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use mail_builder::encoders::base64::Base64Encoder;
use mail_parser::{MessageParser, MessagePart, MimeHeaders as _};
use serde::Serialize;

use super::{Fault, Pages, page};
use crate::mail::message::Message;

/// A way from here.
#[derive(Serialize)]
pub struct Link {
    /// What it says.
    pub words: String,
    /// Where it leads, percent-encoded.
    pub href: String,
}

impl Link {
    /// To a place whose path is written as it is.
    pub fn new(words: &str, href: &str) -> Self {
        Self { words: words.to_owned(), href: href.to_owned() }
    }

    /// To a place below `base`, whatever stands in the names of the steps.
    pub fn below(words: &str, base: &str, steps: &[&str]) -> Self {
        let mut href = base.to_owned();
        for step in steps {
            href.push('/');
            for byte in step.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => href.push(char::from(byte)),
                    other => href.push_str(&format!("%{other:02X}")),
                }
            }
        }
        Self { words: words.to_owned(), href }
    }
}

/// Where a letter's page stands.
#[derive(Serialize)]
pub struct Place {
    /// The pages above it, the outermost first.
    pub up: Vec<Link>,
    /// Where its HTML is shown by itself.
    pub frame: String,
    /// The letter before it.
    pub older: Option<Link>,
    /// The letter after it.
    pub newer: Option<Link>,
}

#[derive(Serialize)]
struct Letter {
    #[serde(flatten)]
    place: Place,
    from: String,
    to: String,
    subject: String,
    date: Moment,
    text: String,
    html: bool,
    files: Vec<Enclosed>,
    source: String,
}

/// A file that came with a letter.
#[derive(Serialize)]
struct Enclosed {
    name: String,
    kind: String,
    octets: usize,
    /// A picture, as a link that holds it.
    picture: Option<String>,
}

/// For people, and for their programs.
#[derive(Serialize)]
pub struct Moment {
    /// Day and time.
    pub words: String,
    /// The same for a `time` element.
    pub stamp: String,
}

/// The page of a letter.
pub fn show(pages: &Pages, raw: &[u8], place: Place) -> Result<Response, Fault> {
    let message = Message::parse(raw);
    let letter = Letter {
        place,
        from: sender(&message),
        to: message.to.iter().map(|address| address.as_str()).collect::<Vec<_>>().join(", "),
        subject: message.subject.clone(),
        date: date(&message),
        text: message.part("text/plain").and_then(|part| part.text.clone()).unwrap_or_else(|| message.text().to_owned()),
        html: message.part("text/html").is_some(),
        files: if message.parts.is_empty() { Vec::new() } else { enclosed(raw) },
        source: String::from_utf8_lossy(raw).into_owned(),
    };
    page(pages, "letter", &letter)
}

/// The HTML part by itself, for a frame: no scripts, nothing fetched, whatever it says.
pub fn html(raw: &[u8]) -> Response {
    let html = Message::parse(raw).part("text/html").and_then(|part| part.text.clone()).unwrap_or_default();
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], html).into_response()
}

/// Whatever stands in no part that is text: its name, its kind, and a picture itself, so that nothing else need be fetched.
fn enclosed(raw: &[u8]) -> Vec<Enclosed> {
    let Some(message) = MessageParser::default().parse(raw) else { return Vec::new() };
    let file = |part: &MessagePart<'_>| {
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase()).unwrap_or_default();
        let shown = ["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&kind.as_str());
        let picture = shown.then(|| Base64Encoder::new().encode(part.contents()).ok()).flatten().and_then(|text| String::from_utf8(text).ok());
        Enclosed {
            name: part.attachment_name().unwrap_or("without a name").to_owned(),
            octets: part.contents().len(),
            picture: picture.map(|text| format!("data:{kind};base64,{text}")),
            kind,
        }
    };
    message.attachments().filter(|part| !part.is_text()).map(file).collect()
}

/// Name and address of the writer.
pub fn sender(message: &Message) -> String {
    let address = message.from.as_ref().map(|from| from.as_str()).unwrap_or_default();
    match &message.from_name {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}

/// When it was written.
pub fn date(message: &Message) -> Moment {
    let written = |format: &str| message.date.map(|date| date.format(format).to_string()).unwrap_or_default();
    Moment { words: written("%-d %B %Y, %H:%M"), stamp: written("%Y-%m-%dT%H:%M:%SZ") }
}
