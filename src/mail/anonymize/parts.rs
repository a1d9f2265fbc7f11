//! The structure of a letter built anew: each part that may pass, made safe, in the order and nesting that readers' programs show.
use std::borrow::Cow;
use std::collections::HashMap;

use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::{BodyPart, MimePart};
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::addresses::Replacer;
use super::images::Picture;
use super::{RelayRefusal, html, text};
use crate::mail::charset;

/// Parts inside of parts deeper than this are no letter.
const DEEPEST: usize = 20;
/// A longer file name is cut (255 bytes is what file systems take).
const LONGEST_NAME: usize = 120;

/// Builds the body of the relayed letter.
pub(super) struct Rebuilding<'m, 'r> {
    message: &'m Message<'m>,
    replacer: &'r Replacer,
    /// What boundaries and Content-IDs begin with.
    seed: &'r str,
    album: Album<'m, 'r>,
    boundaries: usize,
}

/// The letter's pictures under their new Content-IDs.
struct Album<'m, 'r> {
    known: HashMap<String, String>,
    /// Those that the page at hand held itself.
    taken_out: Vec<MimePart<'m>>,
    seed: &'r str,
    our_domain: &'r str,
    count: usize,
}

impl Album<'_, '_> {
    fn new_id(&mut self) -> String {
        self.count += 1;
        format!("picture{}.{}@{}", self.count, self.seed, self.our_domain)
    }
}

impl html::Pictures for Album<'_, '_> {
    fn known(&self, id: &str) -> Option<&str> {
        self.known.get(id).map(String::as_str)
    }

    fn taken_out(&mut self, picture: Vec<u8>) -> Result<String, RelayRefusal> {
        let refusal = || RelayRefusal::Picture { name: "in the page".into() };
        let kind = Picture::sniff(&picture).ok_or_else(refusal)?;
        let stripped = kind.stripped(&picture).ok_or_else(refusal)?;
        let id = self.new_id();
        let name = format!("picture{}.{}", self.count, kind.ending());
        self.taken_out.push(disposed(MimePart::new(kind.media_type(), BodyPart::Binary(stripped.into())).cid(id.clone()), "inline", Some(name)));
        Ok(id)
    }
}

impl<'m, 'r> Rebuilding<'m, 'r> {
    /// `seed` makes boundaries and identifiers; it has only letters and digits. `our_domain` ends the Content-IDs.
    pub fn new(message: &'m Message<'m>, replacer: &'r Replacer, seed: &'r str, our_domain: &'r str) -> Self {
        let mut album = Album { known: HashMap::new(), taken_out: Vec::new(), seed, our_domain, count: 0 };
        for id in message.parts.iter().filter(|part| binary(part).is_some()).filter_map(|part| part.content_id()) {
            let new = album.new_id();
            album.known.insert(id.to_owned(), new);
        }
        Self { message, replacer, seed, album, boundaries: 0 }
    }

    /// The whole body.
    pub fn body(&mut self) -> Result<MimePart<'m>, RelayRefusal> {
        self.part(0, 0)?.ok_or(RelayRefusal::NothingLeft)
    }

    /// A part made safe; `None` where it says again what others say and is left out.
    fn part(&mut self, id: u32, depth: usize) -> Result<Option<MimePart<'m>>, RelayRefusal> {
        let part = self.message.parts.get(id as usize).ok_or(RelayRefusal::Unparsable)?;
        if depth > DEEPEST {
            return Err(RelayRefusal::TooNested);
        }
        match &part.body {
            PartType::Multipart(children) => self.multipart(part, children, depth),
            PartType::Message(_) => Err(RelayRefusal::EnclosedMessage),
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => self.leaf(part).map(Some),
        }
    }

    fn multipart(&mut self, part: &MessagePart<'_>, children: &[u32], depth: usize) -> Result<Option<MimePart<'m>>, RelayRefusal> {
        let subtype = media_type(part).1;
        let kind = match subtype.as_str() {
            "signed" => return Err(RelayRefusal::Signed),
            "encrypted" => return Err(RelayRefusal::Encrypted),
            "report" => return Err(RelayRefusal::Report),
            "digest" => return Err(RelayRefusal::EnclosedMessage),
            "alternative" => "multipart/alternative",
            "related" => "multipart/related",
            _ => "multipart/mixed",
        };
        let mut built = Vec::with_capacity(children.len());
        for &child in children {
            let is_spare = subtype == "alternative" && self.message.parts.get(child as usize).is_some_and(is_another_form);
            if !is_spare && let Some(child) = self.part(child, depth + 1)? {
                built.push(child);
            }
        }
        if built.len() < 2 {
            return Ok(built.pop());
        }
        Ok(Some(self.joined(kind, built)))
    }

    /// Parts as one, with a boundary of ours.
    fn joined(&mut self, kind: &'static str, parts: Vec<MimePart<'m>>) -> MimePart<'m> {
        self.boundaries += 1;
        let boundary = format!("=_{}_{}", self.seed, self.boundaries);
        MimePart::new(ContentType::new(kind).attribute("boundary", boundary), BodyPart::Multipart(parts))
    }

    fn leaf(&mut self, part: &'m MessagePart<'m>) -> Result<MimePart<'m>, RelayRefusal> {
        let (kind, subtype) = media_type(part);
        if let Some(picture) = binary(part).and_then(|data| Picture::sniff(data).map(|kind| (kind, data))) {
            return self.picture(part, picture.0, picture.1);
        }
        match (kind.as_str(), subtype.as_str()) {
            ("text", "plain") => self.text(part, "text/plain"),
            ("text", "html") => self.page(part),
            ("text", "csv") => self.text(part, "text/csv"),
            ("text", "tab-separated-values") => self.text(part, "text/tab-separated-values"),
            ("text", "markdown" | "x-markdown") => self.text(part, "text/markdown"),
            ("text", "calendar") | ("application", "ics") => Err(RelayRefusal::Calendar),
            ("text", "vcard" | "x-vcard" | "directory") => Err(RelayRefusal::ContactCard),
            ("text", "rfc822-headers") | ("message", "delivery-status" | "disposition-notification" | "feedback-report") => Err(RelayRefusal::Report),
            ("application", "pkcs7-mime" | "x-pkcs7-mime") if parameter(part, "smime-type").is_some_and(|t| t.eq_ignore_ascii_case("signed-data")) => {
                Err(RelayRefusal::Signed)
            }
            ("application", "pkcs7-mime" | "x-pkcs7-mime" | "pgp-encrypted") => Err(RelayRefusal::Encrypted),
            ("application", "pkcs7-signature" | "x-pkcs7-signature" | "pgp-signature") => Err(RelayRefusal::Signed),
            ("application", "pgp-keys") => Err(RelayRefusal::Key),
            ("message", _) => Err(RelayRefusal::EnclosedMessage),
            ("multipart", _) => Err(RelayRefusal::Unparsable),
            ("image", _) => Err(RelayRefusal::Picture { name: given_name(part) }),
            _ => Err(RelayRefusal::Attachment { name: given_name(part) }),
        }
    }

    fn text(&self, part: &'m MessagePart<'m>, kind: &'static str) -> Result<MimePart<'m>, RelayRefusal> {
        let words = self.words(part)?;
        let words = on_lines(words, text::clean_lines);
        if let Some(refusal) = text::hidden_cargo(&words) {
            return Err(refusal);
        }
        let words = match self.replacer.plain(&words)? {
            Cow::Borrowed(_) => words,
            Cow::Owned(words) => Cow::Owned(words),
        };
        let mut content_type = ContentType::new(kind).attribute("charset", "utf-8");
        let said = |name: &str, value: &str| parameter(part, name).is_some_and(|v| v.eq_ignore_ascii_case(value));
        if said("format", "flowed") {
            content_type = content_type.attribute("format", "flowed");
            if said("delsp", "yes") {
                content_type = content_type.attribute("delsp", "yes");
            }
        }
        self.attached(part, written(content_type, words), "txt")
    }

    fn words(&self, part: &'m MessagePart<'m>) -> Result<Cow<'m, str>, RelayRefusal> {
        charset::words(self.message, part).map(|words| words.text).map_err(|charset::Unreadable| RelayRefusal::UnreadableText)
    }

    fn page(&mut self, part: &'m MessagePart<'m>) -> Result<MimePart<'m>, RelayRefusal> {
        let page = html::cleaned(&self.words(part)?, self.replacer, &mut self.album)?;
        // HTML has no control characters (HTML, 13.2.3.5), and programs read them each in another way.
        let page = on_lines(on_lines(page.into(), text::without_controls), text::clean_lines);
        let built = written(ContentType::new("text/html").attribute("charset", "utf-8"), page);
        let built = self.attached(part, built, "html")?;
        let pictures = std::mem::take(&mut self.album.taken_out);
        if pictures.is_empty() {
            return Ok(built);
        }
        Ok(self.joined("multipart/related", std::iter::once(built).chain(pictures).collect()))
    }

    fn picture(&self, part: &'m MessagePart<'m>, kind: Picture, data: &[u8]) -> Result<MimePart<'m>, RelayRefusal> {
        let stripped = kind.stripped(data).ok_or_else(|| RelayRefusal::Picture { name: given_name(part) })?;
        let mut built = MimePart::new(kind.media_type(), BodyPart::Binary(stripped.into()));
        if let Some(id) = part.content_id().and_then(|id| self.album.known.get(id)) {
            built = built.cid(id.clone());
        }
        let is_attached = part.content_disposition().is_some_and(|d| d.is_attachment());
        let name = self.file_name(part, kind.ending())?.unwrap_or_else(|| format!("picture.{}", kind.ending()));
        Ok(disposed(built, if is_attached { "attachment" } else { "inline" }, Some(name)))
    }

    /// A text part that was a file stays one.
    fn attached(&self, part: &MessagePart<'_>, built: MimePart<'m>, ending: &str) -> Result<MimePart<'m>, RelayRefusal> {
        let disposition = part.content_disposition();
        let name = self.file_name(part, ending)?;
        match (disposition.is_some_and(|d| d.is_attachment()), name) {
            (false, None) => Ok(built),
            (true, name) => Ok(disposed(built, "attachment", name)),
            (false, name) => Ok(disposed(built, "inline", name)),
        }
    }

    /// The file's name without folders and addresses.
    fn file_name(&self, part: &MessagePart<'_>, ending: &str) -> Result<Option<String>, RelayRefusal> {
        let Some(given) = part.attachment_name() else { return Ok(None) };
        let given = self.replacer.plain(given)?;
        let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
        let clean: String = base.chars().filter(|c| !c.is_control() && !super::escapes::is_unseen(*c)).collect();
        let clean = clean.trim();
        if clean.is_empty() || self.replacer.is_named_in(clean) {
            return Ok(Some(format!("file.{ending}")));
        }
        if clean.len() <= LONGEST_NAME {
            return Ok(Some(clean.to_owned()));
        }
        let end = clean.rfind('.').filter(|dot| clean.len() - dot <= 10).map_or("", |dot| &clean[dot..]);
        let cut = (0..=LONGEST_NAME - end.len()).rev().find(|&i| clean.is_char_boundary(i)).unwrap_or_default();
        Ok(Some(format!("{}{end}", &clean[..cut])))
    }
}

/// A text changed where it has to be.
fn on_lines<'x>(text: Cow<'x, str>, change: fn(&str) -> Cow<'_, str>) -> Cow<'x, str> {
    match change(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(changed) => Cow::Owned(changed),
    }
}

/// A text part. NUL and other control characters may not stand in a line of mail (RFC 5322 2.2, 4.1); base 64 carries them.
fn written<'x>(kind: ContentType<'x>, words: Cow<'x, str>) -> MimePart<'x> {
    if !words.bytes().any(|byte| text::is_control(byte.into())) {
        return MimePart::new(kind, BodyPart::Text(words));
    }
    let lines = mail_builder::encoders::Base64Encoder::new().wrap_lines();
    let mut encoded = Vec::new();
    lines.encode_into(words.as_bytes(), &mut encoded);
    MimePart::new(kind, BodyPart::Binary(encoded.into())).transfer_encoding("base64")
}

fn disposed<'x>(built: MimePart<'x>, how: &'static str, name: Option<String>) -> MimePart<'x> {
    let disposition = ContentType::new(how);
    built.header(
        "Content-Disposition",
        match name {
            Some(name) => disposition.attribute("filename", name),
            None => disposition,
        },
    )
}

/// The media type in lower case; `text/plain` where none is given (RFC 2045 5.2).
fn media_type(part: &MessagePart<'_>) -> (String, String) {
    match part.content_type() {
        Some(given) => (given.ctype().to_ascii_lowercase(), given.subtype().unwrap_or_default().to_ascii_lowercase()),
        None => ("text".into(), "plain".into()),
    }
}

fn parameter<'x>(part: &'x MessagePart<'_>, name: &str) -> Option<&'x str> {
    part.content_type()?.attribute(name)
}

/// Of alternatives: a form that few programs show and that says what text and HTML say.
fn is_another_form(part: &MessagePart<'_>) -> bool {
    let (kind, subtype) = media_type(part);
    kind == "text" && matches!(subtype.as_str(), "x-amp-html" | "amp-html" | "watch-html" | "x-watch-html" | "enriched" | "richtext")
}

/// What a part that is no text holds.
pub(super) fn binary<'x>(part: &'x MessagePart<'_>) -> Option<&'x [u8]> {
    match &part.body {
        PartType::Binary(data) | PartType::InlineBinary(data) => Some(data.as_ref()),
        PartType::Text(_) | PartType::Html(_) | PartType::Message(_) | PartType::Multipart(_) => None,
    }
}

/// How the writer knows a file: its name, or its type.
fn given_name(part: &MessagePart<'_>) -> String {
    let name = part.attachment_name().map(|name| name.chars().filter(|c| !c.is_control()).take(80).collect::<String>()).filter(|name| !name.trim().is_empty());
    name.unwrap_or_else(|| {
        let (kind, subtype) = media_type(part);
        format!("{kind}/{subtype}")
    })
}
