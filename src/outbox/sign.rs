//! DKIM (RFC 6376): every letter that leaves is signed by our domain.
use anyhow::{Context, Result};
use mail_auth::{
    common::{
        crypto::{RsaKey, Sha256},
        headers::HeaderWriter,
    },
    dkim::{Canonicalization, DkimSigner, Done},
};

use rustls::pki_types::PrivateKeyDer;

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
        let private = RsaKey::<Sha256>::from_key_der(PrivateKeyDer::Pkcs1(key.private_key.clone().into()))
            .map_err(|error| anyhow::anyhow!("{error}"))
            .context("the DKIM key can't be read")?;
        let headers = SIGNED.into_iter().chain(OVERSIGNED).chain(OVERSIGNED);
        let signer = DkimSigner::from_key(private)
            .domain(domain)
            .selector(key.selector.as_str())
            .headers(headers)
            .header_canonicalization(Canonicalization::Relaxed)
            .body_canonicalization(Canonicalization::Relaxed);
        Ok(Self { signer })
    }

    /// The letter with its signature before it.
    pub fn sign(&self, raw: &[u8]) -> Result<Vec<u8>> {
        let signature = self.signer.sign(raw).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut signed = signature.to_header().into_bytes();
        signed.extend_from_slice(raw);
        Ok(signed)
    }
}
