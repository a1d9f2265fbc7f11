//! Letters as people's mail programs write them: charsets, encodings, quotations, signatures, and headers that tell more than their writers know.
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use mail_builder::encoders::{base64::Base64Encoder, quoted_printable::QuotedPrintableEncoder};

use super::cast::{Manner, Person};
use crate::mail::message::Message;

/// What somebody wants to say.
#[derive(Debug, Default)]
pub struct Words<'a> {
    /// The subject; a reply's is made from that of the letter it answers.
    pub subject: &'a str,
    /// What they write themselves.
    pub text: String,
    /// The letter that they answer.
    pub answers: Option<&'a Message>,
    /// Lines of the form, filled in.
    pub form: &'a [(&'a str, &'a str)],
    /// A file that goes along: name, media type, bytes.
    pub file: Option<(&'a str, &'a str, Vec<u8>)>,
}

/// The whole letter, `number` for its Message-ID.
pub fn letter(writer: &Person, to: &str, words: &Words<'_>, number: usize, now: DateTime<Utc>) -> Result<Vec<u8>> {
    let subject = match words.answers {
        Some(message) if message.subject.starts_with("Re: ") => message.subject.clone(),
        Some(message) => format!("Re: {}", message.subject),
        None => words.subject.to_owned(),
    };
    let mut header = String::new();
    let Person { name, address, host, ip, .. } = writer;
    write!(header, "Received: from {host} ([{ip}]) by smtp.{} with ESMTPSA; {}\r\n", domain(address), now.to_rfc2822())?;
    write!(header, "From: {} <{address}>\r\nTo: <{to}>\r\nSubject: {}\r\n", encoded(name)?, encoded(&subject)?)?;
    write!(header, "Date: {}\r\nMessage-ID: <{number}.{}@{host}>\r\n", now.to_rfc2822(), now.timestamp())?;
    if let Some(message) = words.answers {
        let id = message.message_id.as_deref().context("a letter to answer has no Message-ID")?;
        let references: Vec<String> = message.references.iter().map(String::as_str).chain([id]).map(|id| format!("<{id}>")).collect();
        write!(header, "In-Reply-To: <{id}>\r\nReferences: {}\r\n", references.join("\r\n "))?;
    }
    write!(header, "X-Originating-IP: [{ip}]\r\nX-Mailer: Paperplane 4.2 on {host}\r\nOrganization: {}\r\nMIME-Version: 1.0\r\n", domain(address))?;
    let body = body(writer, words)?;
    let body = match &words.file {
        Some((file, kind, data)) => with_file(&body, file, kind, data)?,
        None => body,
    };
    let mut raw = header.into_bytes();
    raw.extend_from_slice(&body);
    Ok(raw)
}

/// Content fields, an empty line, and the words, as the writer's program encodes them.
fn body(writer: &Person, words: &Words<'_>) -> Result<Vec<u8>> {
    let text = text(writer, words).replace('\n', "\r\n");
    Ok(match writer.manner {
        Manner::Html => part("text/html; charset=utf-8", "quoted-printable", &quoted_printable(&html(writer, words))?),
        // What programs call Latin-1 is Windows-1252.
        Manner::Latin1 => part("text/plain; charset=iso-8859-1", "8bit", &encoding_rs::WINDOWS_1252.encode(&text).0),
        Manner::Base64 => part("text/plain; charset=utf-8", "base64", &base64(text.as_bytes())?),
        Manner::Phone | Manner::Below => part("text/plain; charset=utf-8", "quoted-printable", &quoted_printable(&text)?),
        Manner::Plain | Manner::InsideTheQuote => part("text/plain; charset=utf-8", "8bit", text.as_bytes()),
    })
}

fn part(kind: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut part = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").into_bytes();
    part.extend_from_slice(body);
    part.extend_from_slice(b"\r\n");
    part
}

/// What the writer says, the signature, and the letter answered, each in the writer's manner.
fn text(writer: &Person, words: &Words<'_>) -> String {
    let filled: String = words.form.iter().map(|(label, value)| format!("{label}: {value}\n")).collect();
    let Some(message) = words.answers else { return format!("{}{filled}{}", words.text, signature(writer)) };
    let sender = sender(message);
    match writer.manner {
        Manner::InsideTheQuote if !words.form.is_empty() => {
            let lines: Vec<String> = message.text().lines().map(|line| format!("> {}", answered(line, words.form))).collect();
            format!("{}{sender} wrote:\n{}\n", words.text, lines.join("\n"))
        }
        Manner::Below => {
            let ours = message.to.iter().map(|to| to.as_str()).collect::<Vec<_>>().join("; ");
            let sent = message.date.map(|date| date.format("%A, %-d %B %Y %H:%M").to_string()).unwrap_or_default();
            let head = format!("From: {sender}\nSent: {sent}\nTo: {} <{ours}>\nSubject: {}", writer.name, message.subject);
            format!("{}{filled}{}\n________________________________\n{head}\n\n{}", words.text, signature(writer), message.text())
        }
        Manner::Plain | Manner::InsideTheQuote | Manner::Html | Manner::Latin1 | Manner::Base64 | Manner::Phone => {
            let quoted: Vec<String> = message.text().lines().map(|line| format!("> {line}")).collect();
            let on = message.date.map(|date| date.format("On %-d %b %Y, at %H:%M, ").to_string()).unwrap_or_default();
            format!("{}{filled}{}\n{on}{sender} wrote:\n{}\n", words.text, signature(writer), quoted.join("\n"))
        }
    }
}

/// A line of the form with its answer, if the writer has one.
fn answered(line: &str, form: &[(&str, &str)]) -> String {
    let label = line.split_once(':').map(|(label, _)| label.trim().trim_end_matches('*'));
    match form.iter().find(|(asked, _)| Some(*asked) == label) {
        Some((asked, value)) => format!("{asked}: {value}"),
        None => line.to_owned(),
    }
}

fn signature(writer: &Person) -> String {
    let Person { name, address, .. } = writer;
    match writer.manner {
        Manner::Phone => "\nSent from my phone\n".to_owned(),
        Manner::Plain | Manner::InsideTheQuote | Manner::Html | Manner::Latin1 | Manner::Base64 | Manner::Below => {
            format!("\n-- \n{name}\n{address}\n")
        }
    }
}

fn html(writer: &Person, words: &Words<'_>) -> String {
    let paragraphs = |text: &str| -> String { text.split("\n\n").map(|one| format!("<p>{}</p>\r\n", escaped(one).replace('\n', "<br>\r\n"))).collect() };
    let filled: String = words.form.iter().map(|(label, value)| format!("<div><b>{}:</b> {}</div>\r\n", escaped(label), escaped(value))).collect();
    let Person { name, address, .. } = writer;
    let signature = format!("<p>-- <br>{}<br><a href=\"mailto:{address}\">{address}</a></p>\r\n", escaped(name));
    let quoted = words.answers.map_or_else(String::new, |message| {
        let cited = message.part("text/html").and_then(|part| part.text.as_deref()).map_or_else(|| paragraphs(message.text()), inner);
        format!("<p>{} wrote:</p>\r\n<blockquote type=\"cite\">{cited}</blockquote>\r\n", escaped(&sender(message)))
    });
    format!("<html><body>\r\n{}{filled}{signature}{quoted}</body></html>", paragraphs(words.text.trim_end()))
}

/// What stands between the tags of `body`.
fn inner(html: &str) -> String {
    let start = html.find("<body").and_then(|at| Some(at + html[at..].find('>')? + 1)).unwrap_or(0);
    let end = html.rfind("</body>").filter(|end| *end >= start).unwrap_or(html.len());
    html[start..end].to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn sender(message: &Message) -> String {
    let address = message.from.as_ref().map(|from| from.as_str()).unwrap_or_default();
    format!("{} <{address}>", message.from_name.as_deref().unwrap_or(address))
}

fn with_file(body: &[u8], file: &str, kind: &str, data: &[u8]) -> Result<Vec<u8>> {
    let boundary = "=_a-sheet-of-paper";
    let mut all = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").into_bytes();
    all.extend_from_slice(body);
    all.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: attachment; filename=\"{file}\"\r\n").as_bytes());
    all.extend_from_slice(&part(&format!("{kind}; name=\"{file}\""), "base64", &base64(data)?));
    all.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(all)
}

fn domain(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

/// A header's words (RFC 2047).
fn encoded(text: &str) -> Result<String> {
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    // A word has at most 75 characters: 30 octets or so of UTF-8 each.
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= 30 => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let words: Result<Vec<String>> =
        words.iter().map(|word| Ok(format!("=?utf-8?B?{}?=", String::from_utf8(Base64Encoder::new().encode(word.as_bytes())?)?.trim_end()))).collect();
    Ok(words?.join("\r\n "))
}

fn base64(data: &[u8]) -> Result<Vec<u8>> {
    Base64Encoder::new().wrap_lines().encode(data).context("cannot write base 64")
}

fn quoted_printable(text: &str) -> Result<Vec<u8>> {
    QuotedPrintableEncoder::new().preserve_line_breaks().encode(text.as_bytes()).context("cannot write quoted-printable")
}
