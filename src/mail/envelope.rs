//! The envelope of a letter (RFC 5321 2.3.1) and what was found out about who sent it.
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::address::EmailAddress;

/// Who handed a letter over, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The client's address.
    pub peer: IpAddr,
    /// The name it gave in EHLO or HELO.
    pub helo: String,
    /// MAIL FROM; `None` is the null reverse-path of bounces.
    pub reverse_path: Option<EmailAddress>,
}

/// What one method of authentication said (RFC 8601 2.7, folded to what a decision needs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthResult {
    /// Passed, and for SPF and DKIM: for a domain aligned with the header From.
    Pass,
    /// Failed.
    Fail,
    /// There is nothing to check, or what passed belongs to another domain.
    None,
    /// The resolver did not answer in time.
    TempError,
}

/// What the owner of the header From's domain asks receivers to do with a failure (RFC 9989).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// There is no DMARC record.
    Absent,
    /// `p=none`.
    None,
    /// `p=quarantine`.
    Quarantine,
    /// `p=reject`.
    Reject,
}

/// The one verdict on a letter's origin, stored with it, so that every later step can be replayed without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// SPF of the reverse-path (or HELO), aligned with the header From.
    pub spf: AuthResult,
    /// The best DKIM signature aligned with the header From.
    pub dkim: AuthResult,
    /// DMARC as a whole.
    pub dmarc: AuthResult,
    /// The policy found.
    pub policy: Policy,
}

impl Verdict {
    /// Nothing checked, everybody trusted: `auth.verify = "off"`, for loopback listeners only.
    pub const UNCHECKED: Verdict = Verdict { spf: AuthResult::Pass, dkim: AuthResult::Pass, dmarc: AuthResult::Pass, policy: Policy::Absent };
    /// Nothing that speaks for the letter's writer.
    pub const NOTHING: Verdict = Verdict { spf: AuthResult::None, dkim: AuthResult::None, dmarc: AuthResult::None, policy: Policy::Absent };

    /// An aligned SPF or DKIM pass, whether or not a DMARC record exists.
    pub fn is_aligned(&self) -> bool {
        self.spf == AuthResult::Pass || self.dkim == AuthResult::Pass || self.dmarc == AuthResult::Pass
    }
}

/// The same domain, or one is above the other; a top-level domain speaks for nobody.
pub fn is_related(one: &str, other: &str) -> bool {
    let ascii = |domain: &str| idna::domain_to_ascii(domain.trim_end_matches('.')).unwrap_or_else(|_| domain.to_ascii_lowercase());
    let (one, other) = (ascii(one), ascii(other));
    let below = |lower: &str, upper: &str| upper.contains('.') && lower.strip_suffix(upper).is_some_and(|rest| rest.ends_with('.'));
    one == other || below(&one, &other) || below(&other, &one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_and_those_below_it_speak_for_each_other() {
        for (one, other, related) in [
            ("example.org", "example.org", true),
            ("example.org", "mail.example.org", true),
            ("dept.example.org", "example.org", true),
            ("example.org", "Example.ORG.", true),
            ("münchen.example", "xn--mnchen-3ya.example", true),
            ("a.example.org", "b.example.org", false),
            ("example.org", "badexample.org", false),
            ("example.org", "org", false),
            ("example.org", "", false),
        ] {
            assert_eq!(is_related(one, other), related, "{one} {other}");
            assert_eq!(is_related(other, one), related, "{other} {one}");
        }
    }
}
