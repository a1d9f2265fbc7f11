//! `pairpost inspect`: how the program understands raw messages, a line of JSON each; no database, no network.
use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use chrono::{NaiveDate, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::address::{EmailAddress, OwnAddress};
use crate::domain::command::{Audience, Command};
use crate::domain::programme::Programme;
use crate::mail::answers::{FormReading, read_form};
use crate::mail::bounce::{self, BounceRecipient};
use crate::mail::classify::{Class, Report, Sign, classify, says_null_path};
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
    pub fn run(self, domain: &str, programme: &Programme) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.files.is_empty() {
            let mut raw = Vec::new();
            std::io::stdin().lock().read_to_end(&mut raw).context("standard input can't be read")?;
            self.print(&raw, domain, programme, &mut out)?;
        }
        for file in &self.files {
            let raw = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
            self.print(&raw, domain, programme, &mut out)?;
        }
        out.flush().context("standard output can't be written")
    }

    fn print(&self, raw: &[u8], domain: &str, programme: &Programme, out: &mut impl Write) -> Result<()> {
        writeln!(out, "{}", self.understand(raw, domain, programme)).context("standard output can't be written")
    }

    /// How one message is understood, as the JSON that the command prints.
    pub fn understand(&self, raw: &[u8], domain: &str, programme: &Programme) -> Value {
        let message = Message::parse(raw);
        let class = classify(says_null_path(&message), &message, domain);
        let mailbox = self.mailbox(&message, domain);
        let reply = reply::split(message.text());
        let asked = mailbox.as_ref().filter(|_| class == Class::Personal).map(|mailbox| asked(mailbox, &message, &reply.text, programme)).unwrap_or_default();
        let mut answer = Map::new();
        set(&mut answer, "kind", kind(class, mailbox.as_ref(), &asked));
        set(&mut answer, "from", message.from.as_ref().map(EmailAddress::as_str));
        set(&mut answer, "subject", Some(&message.subject).filter(|s| !s.is_empty()));
        // No "language": Content-Language is that of the writer's mail client more often than of the letter, and words are not guessed at.
        set(&mut answer, "reply_text", &reply.text);
        set(&mut answer, "quoted_text", Some(&reply.quoted).filter(|t| !t.is_empty()));
        set(&mut answer, "signature", Some(&reply.signature).filter(|t| !t.is_empty()));
        set(&mut answer, "recipients", recipients(class, &message));
        set(&mut answer, "auto_reply", auto_reply(class));
        set(&mut answer, "command", asked.command.map(|c| c.to_json()));
        if !asked.form.answers.is_empty() {
            set(&mut answer, "answers", asked.form.answers.to_json());
            set(&mut answer, "inferred", &asked.form.inferred);
        }
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

/// What a personal letter to one of our mailboxes asks for.
#[derive(Default)]
struct Asked {
    command: Option<Command>,
    form: FormReading,
}

/// A command is looked for as an applicant or participant may give it, on the day the letter was written; answers where a form may come.
fn asked(mailbox: &OwnAddress, message: &Message, reply_text: &str, programme: &Programme) -> Asked {
    let day: NaiveDate = message.date.unwrap_or_else(Utc::now).date_naive();
    let command = || Command::read(&message.subject, reply_text, Audience::Member, day);
    let form = || read_form(message.text(), programme);
    match mailbox {
        OwnAddress::Join | OwnAddress::Help | OwnAddress::Reply(_) => Asked { command: command(), form: form() },
        OwnAddress::Topics => Asked { command: command(), form: FormReading::default() },
        OwnAddress::TopicsJoin => Asked { command: Some(Command::Subscribe { list: None }), form: FormReading::default() },
        OwnAddress::TopicsLeave => Asked { command: Some(Command::Unsubscribe { list: None }), form: FormReading::default() },
        OwnAddress::Postmaster | OwnAddress::Abuse | OwnAddress::Bounce(_) | OwnAddress::Alias(_) => Asked::default(),
    }
}

/// The kind of the contract.
fn kind(class: Class, mailbox: Option<&OwnAddress>, asked: &Asked) -> &'static str {
    match class {
        Class::Bounce => "bounce",
        Class::AutoReply(_) => "auto-reply",
        Class::Report(Report::Complaint) => "feedback-report",
        Class::Report(Report::Dmarc) => "dmarc-report",
        Class::Receipt => "receipt",
        Class::Reaction => "reaction",
        Class::Report(Report::Tls) | Class::Loop => "other",
        Class::Personal => match mailbox {
            Some(OwnAddress::Join) if asked.form.answers.is_empty() && asked.command.as_ref().is_some_and(|c| *c != Command::Join) => "command",
            Some(OwnAddress::Join) => "sign-up",
            Some(OwnAddress::Help | OwnAddress::TopicsJoin | OwnAddress::TopicsLeave | OwnAddress::Reply(_)) => "command",
            Some(OwnAddress::Topics) => {
                if asked.command.is_some() {
                    "command"
                } else {
                    "post"
                }
            }
            Some(OwnAddress::Alias(_)) => "relay",
            Some(OwnAddress::Postmaster | OwnAddress::Abuse | OwnAddress::Bounce(_)) | None => "other",
        },
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn understand(to: Option<&str>, raw: &str) -> Value {
        let inspect = Inspect { to: to.and_then(|to| EmailAddress::parse(to).ok()), files: Vec::new() };
        inspect.understand(raw.as_bytes(), "pairs.test", &Programme::parse(crate::domain::programme::LIBRARIANS).expect("the embedded programme reads"))
    }

    #[test]
    fn the_addressed_mailbox_and_the_class_make_the_kind() {
        for (to, fields, body, kind) in [
            (None, "To: join@pairs.test", "I would like to take part.", "sign-up"),
            (None, "To: JOIN+x@pairs.test\nSubject: help", "", "command"),
            (None, "To: Bo <bo@example.org>\nCc: join@pairs.test", "Name: Ana", "sign-up"),
            (None, "Delivered-To: help@pairs.test", "pause", "command"),
            (None, "To: topics@pairs.test", "I have a thought on this month's topic.", "post"),
            (None, "To: topics@pairs.test\nSubject: unsubscribe", "", "command"),
            (None, "To: maria.k7@pairs.test", "Dear Maria,", "relay"),
            (None, "To: join@elsewhere.example", "Name: Ana", "sign-up"),
            (None, "To: postmaster@pairs.test", "Hello", "other"),
            (None, "To: somebody@example.org", "Hello", "other"),
            (Some("join@pairs.test"), "To: undisclosed-recipients:;", "Name: Ana", "sign-up"),
            (None, "To: join@pairs.test\nAuto-Submitted: auto-replied", "I am away.", "auto-reply"),
            (None, "To: join@pairs.test\nMessage-ID: <1@pairs.test>", "Ours.", "other"),
        ] {
            let seen = understand(to, &format!("From: Ana <ana@example.org>\n{fields}\n\n{body}\n"));
            assert_eq!(seen["kind"], kind, "{fields}");
        }
    }

    #[test]
    fn absent_facts_are_absent() {
        let seen = understand(
            None,
            "From: Ana <ana@example.org>\nTo: maria@pairs.test\nMessage-ID: <1@example.org>\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\nDear Maria,\n",
        );
        let keys: Vec<_> = seen.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default();
        assert_eq!(keys, ["auto_reply", "defects", "from", "kind", "reply_text"]);
        assert_eq!((&seen["auto_reply"]["is"], &seen["defects"]), (&Value::Bool(false), &Value::Array(Vec::new())));
    }

    #[test]
    fn a_form_and_a_command_are_shown_as_read() {
        let form = understand(None, "From: ana@example.org\nTo: join@pairs.test\n\nName: Ana Silva\nCountry: Portugal\n\n> Town: Porto\n");
        assert_eq!((&form["answers"]["name"], &form["answers"]["country"]), (&Value::from("Ana Silva"), &Value::from("PT")));
        let command = understand(None, "From: ana@example.org\nTo: help@pairs.test\nSubject: hello\n\npause\n\n-- \nAna\n");
        assert_eq!(command["command"]["name"], "pause");
        assert_eq!((&command["reply_text"], &command["signature"]), (&Value::from("pause"), &Value::from("--\nAna")));
    }
}
