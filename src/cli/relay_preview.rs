//! `pairpost relay-preview`: a letter as the relay would send it; no database, no network.
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};

use super::print;
use crate::domain::address::EmailAddress;
use crate::mail::anonymize::{self, MentionedIds, Parties, Threading};

/// Reads one raw message and writes it as the relay would send it to the reader, or refuses with the reason.
#[derive(Debug, clap::Args)]
pub struct RelayPreview {
    /// Who writes: the name to show and the real address; again for each further address of theirs
    #[arg(long, required = true, value_name = "NAME <REAL>")]
    writer: Vec<String>,
    /// The address under which the reader knows the writer
    #[arg(long, value_name = "ALIAS")]
    writer_alias: EmailAddress,
    /// The reader's own address
    #[arg(long, value_name = "REAL")]
    reader: EmailAddress,
    /// The address under which the writer knows the reader
    #[arg(long, value_name = "ALIAS")]
    reader_alias: EmailAddress,
    /// In a trio, the third partner as the reader knows them
    #[arg(long, value_name = "NAME <ALIAS>", value_parser = named_address)]
    third: Option<(String, EmailAddress)>,
    /// The message; standard input without it
    file: Option<PathBuf>,
}

impl RelayPreview {
    /// Writes the letter to standard output: 0; or the refusal, one line, to standard error: 1.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let raw = match &self.file {
            Some(path) => fs::read(path).with_context(|| format!("can't read {}", path.display()))?,
            None => {
                let mut raw = Vec::new();
                io::stdin().lock().read_to_end(&mut raw).context("can't read standard input")?;
                raw
            }
        };
        let our_domain = self.writer_alias.domain().to_owned();
        // Read here and not with the other arguments, because real letters give addresses that are none: that is nobody's wrong usage.
        let writers =
            self.writer.iter().map(|writer| named_address(writer).map_err(|e| anyhow!("no writer {writer:?}: {e}"))).collect::<Result<Vec<_>, _>>()?;
        let Some((writer_name, _)) = writers.first().cloned() else { bail!("--writer is missing") };
        let parties = Parties {
            writer_name,
            writer_addresses: writers.into_iter().map(|(_, address)| address).collect(),
            writer_alias: self.writer_alias,
            reader_address: self.reader,
            reader_alias: self.reader_alias,
            others: Vec::new(),
            third: self.third,
        };
        let threading = threading(&raw, &our_domain);
        match anonymize::relay(&raw, &parties, &threading, &our_domain) {
            Ok(letter) => {
                let mut out = io::stdout().lock();
                out.write_all(&letter).and_then(|()| out.flush()).context("can't write to standard output")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(refusal) => {
                print::note(refusal);
                Ok(ExitCode::from(1))
            }
        }
    }
}

/// The identifiers that a service without a database can give: each is derived from the one it stands for, so equal letters give equal previews.
fn threading(raw: &[u8], our_domain: &str) -> Threading {
    let MentionedIds { message_id, in_reply_to, references } = anonymize::mentioned_ids(raw);
    let derived = |from: &[u8]| {
        let hash = ring::digest::digest(&ring::digest::SHA256, from);
        let digits: String = hash.as_ref()[..12].iter().map(|b| format!("{b:02x}")).collect();
        format!("{digits}@{our_domain}")
    };
    Threading {
        message_id: derived(message_id.as_ref().map_or(raw, |id| id.as_bytes())),
        in_reply_to: in_reply_to.first().map(|id| derived(id.as_bytes())),
        references: references.iter().map(|id| derived(id.as_bytes())).collect(),
        received: chrono::Utc::now().timestamp(),
    }
}

/// Reads `NAME <ADDRESS>` or a bare address.
fn named_address(text: &str) -> Result<(String, EmailAddress), String> {
    let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text),
    };
    Ok((name.to_owned(), EmailAddress::parse(address).map_err(|e| e.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_address_is_read_with_and_without_quotes_and_name() {
        for (given, name, address) in [
            ("Ana B. <ana@example.org>", "Ana B.", "ana@example.org"),
            ("\"Ana B.\" <ana@example.org>", "Ana B.", "ana@example.org"),
            (" <ana@example.org> ", "", "ana@example.org"),
            ("ana@example.org", "", "ana@example.org"),
            ("A < B <ana@example.org>", "A < B", "ana@example.org"),
        ] {
            let read = named_address(given).map(|(name, address)| (name, address.to_string()));
            assert_eq!(read, Ok((name.to_owned(), address.to_owned())), "{given}");
        }
        assert!(named_address("Ana <ana>").is_err());
    }

    #[test]
    fn a_preview_threads_letters_that_name_each_other_and_hides_their_names() {
        let first = threading(b"Message-ID: <1@home.example>\r\n\r\nHello", "pairpost.localhost");
        let answer =
            threading(b"Message-ID: <2@home.example>\r\nIn-Reply-To: <1@home.example>\r\nReferences: <1@home.example>\r\n\r\nHello", "pairpost.localhost");
        assert_eq!((answer.in_reply_to.as_ref(), answer.references.first()), (Some(&first.message_id), Some(&first.message_id)));
        assert_ne!(first.message_id, answer.message_id);
        assert!(first.message_id.ends_with("@pairpost.localhost") && !first.message_id.contains("home"), "{}", first.message_id);
    }
}
