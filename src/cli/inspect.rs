//! `pairpost inspect`: how the program understands raw messages, a line of JSON each; no database, no network.
use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::address::{EmailAddress, OwnAddress};
use crate::mail::bounce::{self, BounceRecipient};
use crate::mail::classify::{Class, Report, Sign, classify};
use crate::mail::message::Message;
use crate::mail::reply;

/// Shows how messages are understood, as JSON lines.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The mailbox addressed, where it is not that of To and Delivered-To.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<EmailAddress>,
    /// Raw messages (RFC 5322); standard input where none is given.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Inspect {
    /// Prints one line of JSON per message; `domain` is the mail domain of the programme. Fails where a file can't be read or the line can't be written.
    pub fn run(self, domain: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.files.is_empty() {
            let mut raw = Vec::new();
            std::io::stdin().lock().read_to_end(&mut raw).context("standard input can't be read")?;
            self.print(&raw, domain, &mut out)?;
        }
        for file in &self.files {
            let raw = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
            self.print(&raw, domain, &mut out)?;
        }
        out.flush().context("standard output can't be written")
    }

    fn print(&self, raw: &[u8], domain: &str, out: &mut impl Write) -> Result<()> {
        writeln!(out, "{}", self.understand(raw, domain)).context("standard output can't be written")
    }

    /// How one message is understood, as the JSON that the command prints.
    pub fn understand(&self, raw: &[u8], domain: &str) -> Value {
        let message = Message::parse(raw);
        let class = classify(None, &message, domain);
        let mailbox = self.mailbox(&message, domain);
        let mut answer = Map::new();
        set(&mut answer, "kind", kind(class, mailbox.as_ref()));
        set(&mut answer, "from", message.from.as_ref().map(EmailAddress::as_str));
        set(&mut answer, "subject", Some(&message.subject).filter(|s| !s.is_empty()));
        set(&mut answer, "language", language(&message));
        let reply = reply::split(message.text());
        set(&mut answer, "reply_text", &reply.text);
        set(&mut answer, "quoted_text", Some(&reply.quoted).filter(|t| !t.is_empty()));
        set(&mut answer, "signature", Some(&reply.signature).filter(|t| !t.is_empty()));
        set(&mut answer, "recipients", recipients(class, &message));
        set(&mut answer, "auto_reply", auto_reply(class));
        set(&mut answer, "defects", &message.defects);
        Value::Object(answer)
    }

    /// Which of our mailboxes is addressed: the one named, else the first of ours among the readers, else one whose name is ours whatever its domain
    /// (a message may come from an installation elsewhere).
    fn mailbox(&self, message: &Message, domain: &str) -> Option<OwnAddress> {
        if let Some(to) = &self.to {
            return Some(OwnAddress::read(to.local()));
        }
        let of_ours = message.recipients().find(|a| a.domain().eq_ignore_ascii_case(domain)).map(|a| OwnAddress::read(a.local()));
        let by_name = || message.recipients().map(|a| OwnAddress::read(a.local())).find(|own| !matches!(own, OwnAddress::Alias(_)));
        of_ours.or_else(by_name)
    }
}

fn set(answer: &mut Map<String, Value>, key: &str, value: impl Serialize) {
    match serde_json::to_value(value) {
        Ok(Value::Null) | Err(_) => {}
        Ok(value) => {
            answer.insert(key.to_owned(), value);
        }
    }
}

/// The kind of the contract.
fn kind(class: Class, mailbox: Option<&OwnAddress>) -> &'static str {
    match class {
        Class::Bounce => "bounce",
        Class::AutoReply(_) => "auto-reply",
        Class::Report(Report::Complaint) => "feedback-report",
        Class::Report(Report::Dmarc) => "dmarc-report",
        Class::Receipt => "receipt",
        Class::Reaction => "reaction",
        Class::Report(Report::Tls) | Class::Loop => "other",
        Class::Personal => match mailbox {
            Some(OwnAddress::Join) => "sign-up",
            Some(OwnAddress::Help | OwnAddress::TopicsJoin | OwnAddress::TopicsLeave | OwnAddress::Topics | OwnAddress::Reply(_)) => "command",
            Some(OwnAddress::Alias(_)) => "relay",
            Some(OwnAddress::Postmaster | OwnAddress::Abuse | OwnAddress::Bounce(_)) | None => "other",
        },
    }
}

/// The language that the letter names for itself (RFC 3282); it is not guessed from the words.
fn language(message: &Message) -> Option<String> {
    let tag = message.field("content-language")?.trim().to_owned();
    let is_tag = tag.len() <= 35 && tag.split('-').all(|t| (1..=8).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric()));
    is_tag.then_some(tag)
}

fn recipients(class: Class, message: &Message) -> Option<Vec<BounceRecipient>> {
    match class {
        Class::Bounce => Some(bounce::read(message).recipients),
        Class::Report(Report::Complaint) => Some(bounce::complained(message)),
        Class::Personal | Class::AutoReply(_) | Class::Report(Report::Dmarc | Report::Tls) | Class::Receipt | Class::Reaction | Class::Loop => None,
    }
}

fn auto_reply(class: Class) -> Value {
    let sign: Option<Sign> = match class {
        Class::AutoReply(sign) => Some(sign),
        Class::Personal | Class::Bounce | Class::Report(_) | Class::Receipt | Class::Reaction | Class::Loop => None,
    };
    match sign {
        Some(sign) => serde_json::json!({"is": true, "why": sign.why()}),
        None => serde_json::json!({"is": false}),
    }
}
