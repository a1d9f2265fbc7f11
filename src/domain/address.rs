//! Mail addresses: everybody's, proved well-formed, and our own, which say what a letter to them is for.
use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// A mailbox as RFC 5321 and RFC 6531 allow it: `local@domain`, at most 254 octets, never a control character,
/// so that no address can carry a second SMTP command or header field.
///
/// The domain is kept in lower case; the local part as written. Two addresses are equal when their [`EmailAddress::key`]s are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// Why a text is no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@` with something on either side.
    #[error("an address has the form name@domain")]
    Form,
    /// Longer than RFC 5321 4.5.3.1 allows.
    #[error("the address is longer than a mail server takes")]
    Length,
    /// A space, a control character, or a dot where none may stand.
    #[error("the part before the @ has a character that is not allowed there")]
    Local,
    /// Not a host name, an internationalised one, or an address literal.
    #[error("the part after the @ is not a domain")]
    Domain,
}

impl EmailAddress {
    /// Reads one bare mailbox (no display name, no angle brackets).
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let at = text.rfind('@').filter(|&at| at > 0 && at + 1 < text.len()).ok_or(AddressError::Form)?;
        if text.len() > 254 || at > 64 {
            return Err(AddressError::Length);
        }
        let (local, domain) = (&text[..at], &text[at + 1..]);
        if !is_local_part(local) {
            return Err(AddressError::Local);
        }
        if !is_domain(domain) {
            return Err(AddressError::Domain);
        }
        Ok(Self { text: format!("{local}@{}", domain.to_lowercase()), at })
    }

    /// The whole address, as it goes into an envelope or a header field.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands after the `@`, in lower case.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The form by which addresses are compared and stored: all in lower case. (RFC 5321 2.4 lets a host tell
    /// `Ana` from `ana`; no host of people does, and people write both.)
    pub fn key(&self) -> String {
        // The Kelvin sign alone of all foreign characters has an ASCII letter as its lower case: it would be somebody else's k.
        self.text.split('\u{212a}').map(str::to_lowercase).collect::<Vec<_>>().join("\u{212a}")
    }

    /// What is left of the key when a tag (RFC 5233), quotes and dots are taken from the local part: the many spellings under which one mailbox is reached at
    /// many providers. Not an identity: elsewhere two people may share it.
    pub fn spelled_alike(&self) -> String {
        let key = self.key();
        let (local, domain) = key.rsplit_once('@').unwrap_or((&key, ""));
        let base = local.split('+').next().unwrap_or_default().replace(['.', '"', '\\'], "");
        format!("{base}@{domain}")
    }

    /// The domain is a name of the public kind, with a dot in it: no literal and no host of the local network, to which a letter from us could do harm.
    pub fn has_public_domain(&self) -> bool {
        self.domain().contains('.') && !self.domain().starts_with('[')
    }

    /// Needs SMTPUTF8 (RFC 6531) to travel.
    pub fn is_international(&self) -> bool {
        !self.text.is_ascii()
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for EmailAddress {}
impl std::hash::Hash for EmailAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
/// Masked, so that no log line can tell an address: `a***@e***.org`.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
impl EmailAddress {
    /// `a***@e***.org`: enough for an operator to recognise, not enough to write to.
    pub fn masked(&self) -> String {
        let first = |s: &str| s.chars().next().map(String::from).unwrap_or_default();
        let top = self.domain().rsplit_once('.').map(|(_, top)| format!(".{top}")).unwrap_or_default();
        format!("{}***@{}***{top}", first(self.local()), first(self.domain()))
    }
}
impl TryFrom<String> for EmailAddress {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}
impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> String {
        address.text
    }
}
impl std::str::FromStr for EmailAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Dot-atom or quoted string (RFC 5321 4.1.2), UTF-8 allowed (RFC 6531 3.3).
fn is_local_part(local: &str) -> bool {
    if let Some(inner) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')).filter(|_| local.len() > 1) {
        let mut escaped = false;
        for c in inner.chars() {
            match (escaped, c) {
                (_, c) if c.is_control() => return false,
                (false, '"') => return false,
                (false, '\\') => escaped = true,
                _ => escaped = false,
            }
        }
        return !escaped;
    }
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control() && !c.is_whitespace()))
    })
}

/// A quoted local part as it would stand without quotes, where it could: `"ana"` and `"a\\na"` are `ana` (RFC 5321 4.1.2).
fn unquoted(local: &str) -> Cow<'_, str> {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return local.into() };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        plain.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    if is_local_part(&plain) && !plain.starts_with('"') { plain.into() } else { local.into() }
}

/// Host name, internationalised or not, or an address literal in brackets.
fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        let literal = literal.strip_prefix("IPv6:").or_else(|| literal.strip_prefix("ipv6:")).unwrap_or(literal);
        return literal.parse::<std::net::IpAddr>().is_ok();
    }
    domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && !c.is_control() && !c.is_whitespace()))
    })
}

/// An unguessable word of at least 64 random bits, in lower-case base 32 (RFC 4648 without padding): what it may do stands in its row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Ten random bytes (80 bits) as sixteen characters.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        Self(base32(&bytes))
    }

    /// Reads a token that came back; `None` when it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        (text.len() == 16 && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))).then_some(Self(text))
    }

    /// The sixteen characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Lower-case base 32 without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0u32, 0);
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(BASE32[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(BASE32[(buffer << (5 - bits)) as usize & 31]));
    }
    out
}

/// The bytes of a lower-case base-32 text; `None` for a foreign character.
pub fn unbase32(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0u32, 0);
    for byte in text.bytes() {
        let value = BASE32.iter().position(|&b| b == byte.to_ascii_lowercase())?;
        buffer = (buffer << 5) | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
    }
    Some(out)
}

/// One of our own mailboxes, as its local part tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnAddress {
    /// `join@`: sign-ups.
    Join,
    /// `help@`: every command, and questions.
    Help,
    /// `topics@`: the monthly topic; a word to it subscribes or leaves.
    Topics,
    /// `topics-join@`: subscribes.
    TopicsJoin,
    /// `topics-leave@`: unsubscribes.
    TopicsLeave,
    /// `postmaster@` (RFC 5321 4.5.1, RFC 2142): people who run mail servers.
    Postmaster,
    /// `abuse@` (RFC 2142).
    Abuse,
    /// `reply-TOKEN@`: an answer to a letter of ours that asked something.
    Reply(Token),
    /// `bounce-…@`: the return path of one letter of ours (VERP); whoever uses the text checks its signature first.
    Bounce(String),
    /// Anything else: perhaps a partner's alias; the database knows.
    Alias(String),
}

impl OwnAddress {
    /// What a local part of our domain means. Sub-addresses (`join+x@`) count as their base.
    pub fn read(local: &str) -> Self {
        let lower = unquoted(local).to_lowercase();
        if let Some(token) = lower.strip_prefix("reply-").and_then(Token::parse) {
            return Self::Reply(token);
        }
        if let Some(rest) = lower.strip_prefix("bounce-") {
            return Self::Bounce(rest.to_owned());
        }
        match lower.split('+').next().unwrap_or_default() {
            "join" => Self::Join,
            "help" => Self::Help,
            "topics" => Self::Topics,
            "topics-join" => Self::TopicsJoin,
            "topics-leave" => Self::TopicsLeave,
            "postmaster" => Self::Postmaster,
            "abuse" => Self::Abuse,
            _ => Self::Alias(lower),
        }
    }

    /// The local part that [`OwnAddress::read`] reads back.
    pub fn local(&self) -> String {
        match self {
            Self::Join => "join".into(),
            Self::Help => "help".into(),
            Self::Topics => "topics".into(),
            Self::TopicsJoin => "topics-join".into(),
            Self::TopicsLeave => "topics-leave".into(),
            Self::Postmaster => "postmaster".into(),
            Self::Abuse => "abuse".into(),
            Self::Reply(token) => format!("reply-{}", token.as_str()),
            Self::Bounce(text) => format!("bounce-{text}"),
            Self::Alias(local) => local.clone(),
        }
    }

    /// The whole address at `domain`.
    pub fn at(&self, domain: &str) -> String {
        format!("{}@{domain}", self.local())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_are_read_and_bad_ones_say_why() {
        for good in ["ana@example.org", "a.b+c@x.example", "\"a b\"@example.org", "jörg@münchen.example", "x@[127.0.0.1]", "x@[IPv6:::1]", "o'neil@example.org"]
        {
            assert_eq!(EmailAddress::parse(good).map(|a| a.as_str().to_owned()), Ok(good.to_lowercase()), "{good}");
        }
        for (bad, why) in [
            ("ana", AddressError::Form),
            ("@example.org", AddressError::Form),
            ("a b@example.org", AddressError::Local),
            ("a@b>\r\nRCPT TO:<evil@y", AddressError::Local),
            ("a\r\n@example.org", AddressError::Local),
            ("a..b@example.org", AddressError::Local),
            ("a@-x.org", AddressError::Domain),
            ("a@x..org", AddressError::Domain),
            ("a@[300.1.1.1]", AddressError::Domain),
        ] {
            assert_eq!(EmailAddress::parse(bad).err(), Some(why), "{bad:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@x.org", "a".repeat(65))).err(), Some(AddressError::Length));
    }

    #[test]
    fn an_address_is_the_same_in_any_case_and_masked_in_logs() {
        let ana = EmailAddress::parse("Ana@Example.ORG").expect("reads");
        assert_eq!(ana, EmailAddress::parse("ana@example.org").expect("reads"));
        assert_eq!(format!("{ana:?}"), "A***@e***.org");
    }

    #[test]
    fn nobody_is_somebody_elses_look_alike() {
        let read = |text: &str| EmailAddress::parse(text).expect("reads");
        assert_ne!(read("\u{212a}im@example.org"), read("kim@example.org"));
        assert_eq!(read("J\u{d6}RG@example.org"), read("j\u{f6}rg@example.org"));
    }

    #[test]
    fn spellings_of_one_mailbox_are_alike_and_literals_are_not_public() {
        let read = |text: &str| EmailAddress::parse(text).expect("reads");
        for spelled in ["ana.silva@example.org", "Ana.Silva+1@example.org", "\"ana\\.silva\"@example.org", "anasilva@example.org"] {
            assert_eq!(read(spelled).spelled_alike(), "anasilva@example.org", "{spelled}");
        }
        for (text, public) in [("a@example.org", true), ("root@localhost", false), ("a@[127.0.0.1]", false), ("a@[IPv6:::1]", false)] {
            assert_eq!(read(text).has_public_domain(), public, "{text}");
        }
    }

    #[test]
    fn our_addresses_read_back_as_written() {
        let token = Token::from_random([7; 10]);
        assert_eq!(Token::parse(token.as_str()), Some(token.clone()));
        for own in [OwnAddress::Join, OwnAddress::TopicsLeave, OwnAddress::Reply(token), OwnAddress::Bounce("abc".into()), OwnAddress::Alias("maria.x".into())]
        {
            assert_eq!(OwnAddress::read(&own.local()), own);
        }
        for spelled in ["JOIN+summer", "\"join\"", "\"J\\oin\"", "\"join+\\a\""] {
            assert_eq!(OwnAddress::read(spelled), OwnAddress::Join, "{spelled}");
        }
        for other in ["\"join \"", "\"\\\"join\\\"\"", "\"", "\"\"", "\"j\\\\oin\""] {
            assert_eq!(OwnAddress::read(other), OwnAddress::Alias(other.into()), "{other}");
        }
        assert_eq!(unbase32(&base32(b"pairpost!")), Some(b"pairpost!".to_vec()));
    }
}
