//! The installation's master secret, and what is derived from it: signed return paths, signed links, sealed keys.
use std::fmt;

use ring::{aead, hkdf, hmac};
use uuid::Uuid;

use super::address::{base32, unbase32};

/// 32 random bytes that all processes of one installation share. Never printed.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the 52 characters of base 32 that stand in the secret's file; `None` when they are not that.
    pub fn parse(text: &str) -> Option<Self> {
        unbase32(text.trim()).and_then(|bytes| bytes.get(..32)?.try_into().ok()).map(Self)
    }

    /// What goes into the secret's file.
    pub fn to_text(&self) -> String {
        base32(&self.0)
    }

    /// A key of its own for each use (HKDF, RFC 5869), so that no use can weaken another.
    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        let info = [purpose.as_bytes()];
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"pairpost").extract(&self.0);
        // Both fail only for outputs longer than 255 hashes.
        if extracted.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).is_err() {
            unreachable!("32 bytes are within HKDF's limit");
        }
        key
    }

    fn sign(&self, purpose: &str, message: &[u8]) -> [u8; 10] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose)), message);
        let mut short = [0; 10];
        short.copy_from_slice(&tag.as_ref()[..10]);
        short
    }

    /// An id that only we could have written, for links and return paths: 42 characters, an 80-bit signature in it.
    pub fn signed_id(&self, purpose: &str, id: Uuid) -> String {
        let mut bytes = [0; 26];
        bytes[..16].copy_from_slice(id.as_bytes());
        bytes[16..].copy_from_slice(&self.sign(purpose, id.as_bytes()));
        base32(&bytes)
    }

    /// The id that [`Secret::signed_id`] wrote; `None` for anything else.
    pub fn read_signed_id(&self, purpose: &str, text: &str) -> Option<Uuid> {
        let bytes = unbase32(text)?;
        let id = Uuid::from_bytes(bytes.get(..16)?.try_into().ok()?);
        // Ten bytes compared in constant time: HMAC's own comparison wants the whole tag, of which we keep a part.
        let expected = self.sign(purpose, id.as_bytes());
        let given = bytes.get(16..26)?;
        (bytes.len() == 26 && expected.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0).then_some(id)
    }

    /// A message's identifier at our domain that nobody can foresee and that is the same each time: for a relayed letter, from its inbox row.
    pub fn word(&self, purpose: &str, message: &[u8]) -> String {
        base32(&self.sign(purpose, message))
    }

    /// Encrypts what must not be read in a stolen database (ChaCha20-Poly1305); `nonce` must be fresh.
    pub fn seal(&self, purpose: &str, nonce: [u8; 12], words: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = words.to_vec();
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &self.derive(purpose)).ok()?);
        key.seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut sealed).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// What [`Secret::seal`] sealed; `None` with another secret or changed bytes.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(12)?;
        let mut rest = rest.to_vec();
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &self.derive(purpose)).ok()?);
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        key.open_in_place(nonce, aead::Aad::empty(), &mut rest).ok().map(|words| words.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_id_is_read_back_only_whole_for_its_purpose_and_by_its_secret() {
        let (ours, theirs) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        let id = Uuid::from_u128(77);
        let text = ours.signed_id("bounce", id);
        assert_eq!(text.len(), 42);
        assert_eq!(ours.read_signed_id("bounce", &text.to_uppercase()), Some(id));
        assert_eq!(ours.read_signed_id("leave", &text), None);
        assert_eq!(theirs.read_signed_id("bounce", &text), None);
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'q' } else { b'a' };
            // The last character holds two bits of nothing.
            if let Some(read) = ours.read_signed_id("bounce", std::str::from_utf8(&other).expect("ASCII")) {
                assert_eq!((read, at), (id, 41));
            }
        }
        assert_eq!(ours.read_signed_id("bounce", ""), None);
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_alone() {
        let ours = Secret::from_bytes([1; 32]);
        let sealed = ours.seal("dkim", [9; 12], b"key").expect("seals");
        assert_eq!(ours.unseal("dkim", &sealed).as_deref(), Some(b"key".as_slice()));
        assert_eq!(Secret::from_bytes([2; 32]).unseal("dkim", &sealed), None);
        assert_eq!(ours.unseal("dkim", &sealed[..10]), None);
        assert_eq!(Secret::parse(&ours.to_text()).map(|s| s.0), Some([1; 32]));
    }
}
