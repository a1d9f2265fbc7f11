//! DKIM (RFC 6376): every letter that leaves is signed by our domain.
use std::borrow::Cow;

use anyhow::{Context, Result};
use mail_auth::{
    common::{
        crypto::{RsaKey, Sha256},
        headers::HeaderWriter,
    },
    dkim::{Canonicalization, DkimSigner, Done},
};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};

use crate::store::keys::DkimKey;

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
    signer: DkimSigner<RsaKey<Sha256>, Done>,
}

impl Signer {
    /// For a key of a domain.
    pub fn new(key: &DkimKey, domain: &str) -> Result<Self> {
        let private = PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(key.private_key.as_slice()));
        let private = RsaKey::<Sha256>::from_key_der(private).map_err(|error| anyhow::anyhow!("{error}")).context("the DKIM key can't be read")?;
        let headers = SIGNED.into_iter().chain(OVERSIGNED).chain(OVERSIGNED);
        let signer = DkimSigner::from_key(private)
            .domain(domain)
            .selector(key.selector.as_str())
            .headers(headers)
            .header_canonicalization(Canonicalization::Relaxed)
            .body_canonicalization(Canonicalization::Relaxed);
        Ok(Self { signer })
    }

    /// The letter signed, all its lines ended by CRLF and nothing else (RFC 5321 2.3.8): what a stray CR or LF means, one server says this and the
    /// next that, and a signature would break on the way.
    pub fn sign<'a>(&self, raw: &'a [u8]) -> Result<Signed<'a>> {
        let letter = crlf(raw);
        let signature = self.signer.sign(&letter).map_err(|error| anyhow::anyhow!("{error}"))?.to_header();
        Ok(Signed { signature, letter })
    }
}

/// A letter ready to travel; in two pieces, so that a large one is not copied for a line before it.
pub struct Signed<'a> {
    /// The field that goes before the letter; ASCII, its line ended.
    pub signature: String,
    /// The letter itself.
    pub letter: Cow<'a, [u8]>,
}

fn crlf(raw: &[u8]) -> Cow<'_, [u8]> {
    let stray = |at: usize| match raw[at] {
        b'\r' => raw.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || raw[at - 1] != b'\r',
        _ => false,
    };
    if raw.ends_with(b"\r\n") && !(0..raw.len()).any(stray) {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len() + 64);
    for (at, &byte) in raw.iter().enumerate() {
        match byte {
            b'\r' | b'\n' if stray(at) => out.extend_from_slice(b"\r\n"),
            byte => out.push(byte),
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf_and_in_nothing_else() {
        for (raw, travels) in [("a\r\nb\r\n", "a\r\nb\r\n"), ("a\nb", "a\r\nb\r\n"), ("a\rb\r\r\n\n", "a\r\nb\r\n\r\n\r\n"), ("", "\r\n")] {
            assert_eq!(String::from_utf8_lossy(&crlf(raw.as_bytes())), travels, "{raw:?}");
        }
    }
}
