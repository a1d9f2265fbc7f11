//! DKIM (RFC 6376): every letter that leaves is signed by our domain.
use std::borrow::Cow;

use anyhow::Result;
use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use mail_auth::{
    common::{
        crypto::{Algorithm, Sha256, SigningKey},
        headers::{HeaderWriter, Writable},
    },
    dkim::{Canonicalization, DkimSigner, Done},
};
use memchr::memchr;

use crate::{mail::lines::lines, store::keys::DkimKey};

/// Signed where they are there.
const SIGNED: [&str; 8] = ["Reply-To", "Cc", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted"];
/// Signed once more than they are there ("oversigned", RFC 6376 8.15), so that nobody can add a second one that a reader's program would show instead.
const OVERSIGNED: [&str; 14] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Help",
    "List-Post",
    "List-Subscribe",
    "List-Owner",
    "List-Archive",
    "Precedence",
];

/// The key, parsed once.
pub struct Signer {
    signer: DkimSigner<Key, Done>,
}

impl Signer {
    /// For a key of a domain.
    pub fn new(key: &DkimKey, domain: &str) -> Result<Self> {
        let private = KeyPair::from_der(&key.private_key).map_err(|error| anyhow::anyhow!("the DKIM key can't be read: {error}"))?;
        let headers = SIGNED.into_iter().chain(OVERSIGNED).chain(OVERSIGNED);
        let signer = DkimSigner::from_key(Key(private))
            .domain(domain)
            .selector(key.selector.as_str())
            .headers(headers)
            .header_canonicalization(Canonicalization::Relaxed)
            .body_canonicalization(Canonicalization::Relaxed);
        Ok(Self { signer })
    }

    /// The letter signed, all its lines ended by CRLF and nothing else (RFC 5321 2.3.8), none too long: what a stray CR or LF means, one server says this
    /// and the next that, and a signature would break on the way.
    pub fn sign<'a>(&self, raw: &'a [u8]) -> Result<Signed<'a>> {
        let letter = travelling(raw);
        let signature = self.signer.sign(&letter).map_err(|error| anyhow::anyhow!("{error}"))?.to_header();
        Ok(Signed { signature, letter })
    }
}

/// An RSA key (RFC 8301: of 2048 bits).
struct Key(KeyPair);

impl SigningKey for Key {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        let mut words = Vec::with_capacity(1024);
        input.write(&mut words);
        let mut signature = vec![0; self.0.public_modulus_len()];
        match self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &words, &mut signature) {
            Ok(()) => Ok(signature),
            // The crate's own variant for this is not open to others.
            Err(error) => Err(mail_auth::Error::Io(format!("the key does not sign: {error}"))),
        }
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::RsaSha256
    }
}

/// A letter ready to travel; in two pieces, so that a large one is not copied for a line before it.
pub struct Signed<'a> {
    /// The field that goes before the letter; ASCII, its line ended.
    pub signature: String,
    /// The letter itself.
    pub letter: Cow<'a, [u8]>,
}

/// A line's most octets, without its CRLF (RFC 5322 2.1.1).
const LONGEST_LINE: usize = 998;

/// The letter as it can be read in one way only. Letters of ours are made so; this is the last place where one that is not would be seen.
pub(super) fn travelling(raw: &[u8]) -> Cow<'_, [u8]> {
    let fits = |line: &[u8]| line.strip_suffix(b"\r\n").is_some_and(|line| line.len() <= LONGEST_LINE && memchr(b'\r', line).is_none());
    if !raw.is_empty() && lines(raw).all(fits) {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len() + 64);
    let (mut rest, mut in_header) = (raw, true);
    loop {
        let end = rest.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(rest.len());
        let line = &rest[..end];
        in_header &= !line.is_empty();
        push_broken(line, in_header, &mut out);
        rest = &rest[end..];
        rest = rest.strip_prefix(b"\r\n").unwrap_or_else(|| rest.get(1..).unwrap_or_default());
        if rest.is_empty() {
            return Cow::Owned(out);
        }
    }
}

/// One line as one or more that are short enough: broken between characters, in a header at a blank or with one (RFC 5322 2.2.3).
fn push_broken(mut line: &[u8], in_header: bool, out: &mut Vec<u8>) {
    let mut room = LONGEST_LINE;
    while line.len() > room {
        let blank = || line[..room].iter().rposition(|byte| b" \t".contains(byte)).filter(|&at| at > 0 && in_header);
        let between = || (room - 3..=room).rev().find(|&at| line[at] & 0xc0 != 0x80);
        let (now, later) = line.split_at(blank().or_else(between).unwrap_or(room));
        out.extend_from_slice(now);
        out.extend_from_slice(b"\r\n");
        let needs_blank = in_header && !matches!(later.first(), Some(b' ' | b'\t'));
        if needs_blank {
            out.push(b' ');
        }
        room = LONGEST_LINE - usize::from(needs_blank);
        line = later;
    }
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf_and_in_nothing_else() {
        for (raw, travels) in [("a\r\nb\r\n", "a\r\nb\r\n"), ("a\nb", "a\r\nb\r\n"), ("a\rb\r\r\n\n", "a\r\nb\r\n\r\n\r\n"), ("", "\r\n")] {
            assert_eq!(String::from_utf8_lossy(&travelling(raw.as_bytes())), travels, "{raw:?}");
        }
    }

    #[test]
    fn a_line_too_long_is_broken_where_it_does_least_harm() {
        let (x, y) = ("x".repeat(990), "y".repeat(990));
        for (raw, travels) in [
            (format!("{x}12345678\r\n"), format!("{x}12345678\r\n")),
            (format!("A: {x} {y}\r\n\r\n"), format!("A: {x}\r\n {y}\r\n\r\n")),
            (format!("A: {x}{y}\r\n\r\n"), format!("A:\r\n {x}{}\r\n {}\r\n\r\n", &y[..7], &y[7..])),
            (format!("A{x}{y}\r\n\r\n"), format!("A{x}{}\r\n {}\r\n\r\n", &y[..7], &y[7..])),
            (format!("\r\n{x} {y}\r\n"), format!("\r\n{x} {}\r\n{}\r\n", &y[..7], &y[7..])),
            (format!("\r\n{x}1234567\u{e9}\r\n"), format!("\r\n{x}1234567\r\n\u{e9}\r\n")),
        ] {
            assert_eq!(String::from_utf8_lossy(&travelling(raw.as_bytes())), travels);
        }
    }
}
