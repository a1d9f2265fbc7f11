//! The mailboxes of captured mail, to look at what everybody got: on this machine alone, and only while no letter leaves it.
use std::path::{Path as FilePath, PathBuf};

use anyhow::Context as _;
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mail_builder::encoders::base64::Base64Encoder;
use mail_parser::{MessageParser, MessagePart, MimeHeaders as _};
use serde::Serialize;

use super::{Fault, Pages, page};
use crate::mail::message::Message;

#[derive(Serialize)]
struct Mailbox {
    name: String,
    letters: usize,
}

#[derive(Serialize)]
struct Mailboxes {
    mailboxes: Vec<Mailbox>,
}

#[derive(Serialize)]
struct Line {
    file: String,
    from: String,
    subject: String,
    date: Moment,
}

#[derive(Serialize)]
struct Letters {
    name: String,
    letters: Vec<Line>,
}

#[derive(Serialize)]
struct Letter {
    mailbox: String,
    file: String,
    from: String,
    to: String,
    subject: String,
    date: Moment,
    text: String,
    html: bool,
    files: Vec<Enclosed>,
    source: String,
    /// The files of the letters beside it.
    older: Option<String>,
    newer: Option<String>,
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
struct Moment {
    words: String,
    stamp: String,
}

/// Everybody who got a letter.
pub async fn list(State(pages): State<Pages>) -> Result<Response, Fault> {
    let mut mailboxes = Vec::new();
    for dir in entries(root(&pages)?)? {
        let Some(name) = dir.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let letters = files(&dir)?.len();
        mailboxes.push(Mailbox { name, letters });
    }
    page(&pages, "mailboxes", &Mailboxes { mailboxes })
}

/// One person's letters, the newest first.
pub async fn mailbox(State(pages): State<Pages>, Path(mailbox): Path<String>) -> Result<Response, Fault> {
    let Some(dir) = below(root(&pages)?, &mailbox).filter(|dir| dir.is_dir()) else { return Ok(nothing()) };
    let mut letters = Vec::new();
    for path in files(&dir)?.iter().rev() {
        let Some(file) = file_name(path) else { continue };
        let message = Message::parse(&read(path)?);
        let from = message.from_name.clone().unwrap_or_else(|| sender(&message));
        letters.push(Line { file, from, subject: message.subject.clone(), date: date(&message) });
    }
    page(&pages, "mailbox", &Letters { name: mailbox, letters })
}

/// One letter.
pub async fn letter(State(pages): State<Pages>, Path((mailbox, file)): Path<(String, String)>) -> Result<Response, Fault> {
    let Some(path) = find(&pages, &mailbox, &file)? else { return Ok(nothing()) };
    let all: Vec<String> = files(&root(&pages)?.join(&mailbox))?.iter().filter_map(|path| file_name(path)).collect();
    let here = all.iter().position(|other| *other == file);
    let raw = read(&path)?;
    let message = Message::parse(&raw);
    let letter = Letter {
        from: sender(&message),
        to: message.to.iter().map(|address| address.as_str()).collect::<Vec<_>>().join(", "),
        subject: message.subject.clone(),
        date: date(&message),
        text: message.part("text/plain").and_then(|part| part.text.clone()).unwrap_or_else(|| message.text().to_owned()),
        html: message.part("text/html").is_some(),
        files: if message.parts.is_empty() { Vec::new() } else { enclosed(&raw) },
        source: String::from_utf8_lossy(&raw).into_owned(),
        older: here.and_then(|here| all.get(here.checked_sub(1)?)).cloned(),
        newer: here.and_then(|here| all.get(here + 1)).cloned(),
        mailbox,
        file,
    };
    page(&pages, "letter", &letter)
}

/// The HTML part by itself, for a frame: no scripts, nothing fetched, whatever it says.
pub async fn html(State(pages): State<Pages>, Path((mailbox, file)): Path<(String, String)>) -> Result<Response, Fault> {
    let Some(path) = find(&pages, &mailbox, &file)? else { return Ok(nothing()) };
    let html = Message::parse(&read(&path)?).part("text/html").and_then(|part| part.text.clone()).unwrap_or_default();
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)], html).into_response())
}

fn root(pages: &Pages) -> anyhow::Result<&FilePath> {
    pages.capture.as_deref().context("mail is not captured")
}

/// A name that is one step below `dir` and no way out of it.
fn below(dir: &FilePath, name: &str) -> Option<PathBuf> {
    (!name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])).then(|| dir.join(name))
}

fn find(pages: &Pages, mailbox: &str, file: &str) -> anyhow::Result<Option<PathBuf>> {
    let Some(dir) = below(root(pages)?, mailbox) else { return Ok(None) };
    Ok(["new", "cur"].iter().filter_map(|part| below(&dir.join(part), file)).find(|path| path.is_file()))
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

/// In the order of their names, which begin with the time of delivery, whether they were read or not.
fn files(dir: &FilePath) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = entries(&dir.join("new"))?;
    files.extend(entries(&dir.join("cur"))?);
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(files)
}

fn file_name(path: &FilePath) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

fn entries(dir: &FilePath) -> anyhow::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", dir.display())),
    }
}

fn read(path: &FilePath) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).context("reading a captured letter")
}

fn sender(message: &Message) -> String {
    let address = message.from.as_ref().map(|from| from.as_str()).unwrap_or_default();
    match &message.from_name {
        Some(name) => format!("{name} <{address}>"),
        None => address.to_owned(),
    }
}

fn date(message: &Message) -> Moment {
    let written = |format: &str| message.date.map(|date| date.format(format).to_string()).unwrap_or_default();
    Moment { words: written("%-d %B %Y, %H:%M"), stamp: written("%Y-%m-%dT%H:%M:%SZ") }
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is no such letter.\n").into_response()
}
