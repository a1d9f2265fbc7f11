//! Letters that leave nothing: one Maildir for each mailbox, for laptops, demonstrations and rehearsals.
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chrono::Utc;
use uuid::Uuid;

use super::sign::Signed;
use crate::domain::address::{EmailAddress, base32};

/// Keeps a letter: whole in `new`, or not at all. The same letter again (a crash before it was marked) takes the place of the first.
/// The return path stands in its first line, as the last server of a letter writes it (RFC 5321 4.4).
pub async fn keep(root: PathBuf, from: Option<EmailAddress>, to: EmailAddress, id: Uuid, letter: &Signed<'_>) -> Result<()> {
    let mut delivered = format!("Return-Path: <{}>\r\n", from.as_ref().map(EmailAddress::as_str).unwrap_or_default()).into_bytes();
    delivered.extend_from_slice(letter.signature.as_bytes());
    delivered.extend_from_slice(&letter.letter);
    tokio::task::spawn_blocking(move || write(&root.join(folder(&to)), id, &delivered)).await?
}

fn write(maildir: &Path, id: Uuid, letter: &[u8]) -> Result<()> {
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(part)).with_context(|| format!("making {}", maildir.display()))?;
    }
    // The id begins with the time of its making, so names sort as letters were written.
    let name = format!("{id}.pairpost");
    let temporary = maildir.join("tmp").join(format!("{name}.{}", Utc::now().timestamp_nanos_opt().unwrap_or_default()));
    let mut file = fs::File::create(&temporary).context("making a file for a letter")?;
    file.write_all(letter).and_then(|()| file.sync_all()).context("writing a letter")?;
    fs::rename(&temporary, maildir.join("new").join(name)).context("moving a letter into place")?;
    fs::File::open(maildir.join("new")).and_then(|dir| dir.sync_all()).context("keeping a letter's place")
}

/// The address as a file name: what could lead elsewhere, or hide, is written as its code.
fn folder(address: &EmailAddress) -> String {
    let mut name = String::new();
    for (at, c) in address.key().chars().enumerate() {
        match c {
            '.' if at == 0 => name.push_str("%2e"),
            c if c.is_alphanumeric() || "@.+-_='".contains(c) => name.push(c),
            c => name.push_str(&format!("%{:02x}", u32::from(c))),
        }
    }
    if name.len() <= 200 {
        return name;
    }
    // File systems take 255 octets; what is longer ends in a hash of the whole.
    let kept = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 150).last().unwrap_or(0);
    format!("{}~{}", &name[..kept], base32(ring::digest::digest(&ring::digest::SHA256, name.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_letter_lies_whole_in_its_mailbox_and_no_address_leads_out_of_it() {
        let root = tempfile::tempdir().expect("a folder");
        for (address, name) in
            [("Ana@example.org", "ana@example.org"), ("\"../x\"@example.org", "%22..%2fx%22@example.org"), ("jörg@münchen.example", "jörg@münchen.example")]
        {
            let to = EmailAddress::parse(address).expect("reads");
            for _ in 0..2 {
                let letter = Signed { signature: "X: y\r\n".into(), letter: b"Subject: x\r\n\r\nhi\r\n".into() };
                keep(root.path().to_owned(), None, to.clone(), Uuid::from_u128(5), &letter).await.expect("kept");
            }
            let new: Vec<_> = fs::read_dir(root.path().join(name).join("new")).expect("a Maildir").flatten().collect();
            assert_eq!(new.len(), 1, "{address}");
            assert_eq!(fs::read(new[0].path()).expect("a letter"), b"Return-Path: <>\r\nX: y\r\nSubject: x\r\n\r\nhi\r\n");
        }
    }

    #[test]
    fn the_longest_addresses_fit_into_a_file_name_and_stay_apart() {
        let name = |last: char| folder(&EmailAddress::parse(&format!("\"{}{last}\"@{}.example", "/".repeat(60), "ü".repeat(28))).expect("reads"));
        assert!(name('a').len() <= 255 && name('a') != name('b'), "{}", name('a'));
    }
}
