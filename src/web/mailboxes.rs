//! The mailboxes of captured mail, to look at what everybody got: on this machine alone, and only while no letter leaves it.
use std::path::{Path as FilePath, PathBuf};

use anyhow::Context as _;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    Fault, Pages,
    letter::{self, Link, Moment, Place, date, sender},
    page,
};
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
    let (older, newer) = (here.and_then(|here| all.get(here.checked_sub(1)?)), here.and_then(|here| all.get(here + 1)));
    let place = Place {
        up: vec![Link::new("Mailboxes", "/mailboxes"), Link::below(&mailbox, "/mailboxes", &[&mailbox])],
        frame: Link::below("", "/mailboxes", &[&mailbox, &file, "html"]).href,
        older: older.map(|file| Link::below("The letter before", "/mailboxes", &[&mailbox, file])),
        newer: newer.map(|file| Link::below("The next letter", "/mailboxes", &[&mailbox, file])),
    };
    letter::show(&pages, &read(&path)?, place)
}

/// The HTML part by itself, for a frame.
pub async fn html(State(pages): State<Pages>, Path((mailbox, file)): Path<(String, String)>) -> Result<Response, Fault> {
    let Some(path) = find(&pages, &mailbox, &file)? else { return Ok(nothing()) };
    Ok(letter::html(&read(&path)?))
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

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is no such letter.\n").into_response()
}
