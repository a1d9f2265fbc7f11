//! The DKIM key: made on first start, kept sealed by the master secret, shared by all processes.
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use mail_auth::dkim::generate::DkimKeyPair;
use mail_builder::encoders::Base64Encoder;
use ring::rand::{SecureRandom, SystemRandom};

use super::{Connection, Store};
use crate::domain::secret::Secret;

/// RFC 8301 3.2: at least 1024, should be 2048.
const BITS: usize = 2048;
/// What stands before a 2048-bit key (RFC 8017 A.1.1) to make it a SubjectPublicKeyInfo (RFC 5280 4.1): what verifiers expect in `p=`,
/// whatever RFC 6376 3.6.1 says (its erratum 3017).
const SUBJECT_PUBLIC_KEY_INFO: [u8; 24] = [0x30, 0x82, 1, 0x22, 0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0, 3, 0x82, 1, 0x0f, 0];

/// A key to sign with.
pub struct DkimKey {
    /// Its name below `_domainkey.` in DNS.
    pub selector: String,
    /// The public half, base 64, as the record has it.
    pub public_key: String,
    /// The private half, PKCS #1 DER.
    pub private_key: Vec<u8>,
}

/// The key of `domain`; made, if there is none yet: some seconds.
pub async fn ensure(store: &Store, secret: &Secret, domain: &str, now: DateTime<Utc>) -> Result<DkimKey> {
    if let Some(key) = find(&mut *store.connection().await?, secret, domain).await? {
        return Ok(key);
    }
    let pair = tokio::task::spawn_blocking(|| DkimKeyPair::generate_rsa(BITS)).await?.map_err(|error| anyhow::anyhow!("no DKIM key could be made: {error}"))?;
    let mut nonce = [0; 12];
    SystemRandom::new().fill(&mut nonce).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let sealed = secret.seal("dkim", nonce, pair.private_key()).context("the DKIM key could not be sealed")?;
    // Two processes that start at once both make one; the first to write wins.
    sqlx::query!(
        "insert into dkim_key (selector, domain, sealed, public_key, created_at)
         select $1, $2, $3, $4, $5 where not exists (select 1 from dkim_key where domain = $2) on conflict do nothing",
        now.format("pp%Y%m").to_string(),
        domain,
        sealed,
        in_record(pair.public_key())?,
        now
    )
    .execute(&mut *store.connection().await?)
    .await?;
    find(&mut *store.connection().await?, secret, domain).await?.context("the DKIM key vanished")
}

/// The key of `domain`, if there is one; an error when the secret is not the one that sealed it.
pub async fn find(conn: &mut Connection, secret: &Secret, domain: &str) -> Result<Option<DkimKey>> {
    let row = sqlx::query!("select selector, sealed, public_key from dkim_key where domain = $1 order by created_at desc limit 1", domain)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let private_key = secret.unseal("dkim", &row.sealed).context(
            "the DKIM key in the database was sealed by another secret: put the installation's secret back (secret_file), or delete the row in dkim_key and publish a new record",
        )?;
        Ok(DkimKey { selector: row.selector, public_key: row.public_key, private_key })
    })
    .transpose()
}

/// The public half as it stands in the DNS record.
fn in_record(pkcs1: &[u8]) -> Result<String> {
    let text = Base64Encoder::new().encode(&[&SUBJECT_PUBLIC_KEY_INFO, pkcs1].concat()).context("writing base 64")?;
    String::from_utf8(text).context("base 64 is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_stands_in_the_record_as_verifiers_expect_it() {
        let record = in_record(&[0x30; 270]).expect("encodes");
        // What every record with a 2048-bit key begins with.
        assert!(record.starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"), "{record}");
        assert_eq!(record.len(), 392);
    }
}
