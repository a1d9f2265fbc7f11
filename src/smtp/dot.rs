//! The dot: who wrote the letter, who admits it, and its rows committed before 250.
use anyhow::{Context, Result};
use samotop::smtp::SmtpSession;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Visit, body::Whole, grammar, guard::DATABASE_PATIENCE, replies};
use crate::{
    config::Verify,
    domain::{
        address::{EmailAddress, OwnAddress},
        admission::{Admission, Door as Way, Question, admit},
        refusal::Refusal,
    },
    mail::{
        envelope::{AuthResult, Envelope, Policy, Verdict},
        message::Message,
    },
    store::{
        inbox::{self, Arrival, Known},
        recipients::Recipient,
    },
};

/// What came of a letter.
enum Outcome {
    Kept(Uuid),
    Refused(Refusal),
}

impl Visit {
    /// Keeps the letter for every recipient that admits it; the reply to the dot.
    pub(super) async fn receive(&self, letter: Whole, session: &SmtpSession) -> String {
        let deliveries = std::mem::take(&mut *self.recipients()).0;
        if deliveries.is_empty() {
            return replies::NO_RECIPIENT.to_owned();
        }
        let head = head(&letter.bytes);
        if has_bare_ends(head) {
            return replies::HEADER_LINES.to_owned();
        }
        let envelope = Envelope {
            peer: self.peer.ip().to_canonical(),
            helo: session.peer_name.clone().unwrap_or_default(),
            reverse_path: session.transaction.mail.as_ref().and_then(|mail| grammar::mailbox(mail.sender())),
        };
        let head = Message::parse(head);
        let (from, verdict) = self.judge(&letter.bytes, head.from, &envelope, &deliveries).await;
        let arrival = Arrival {
            raw: &letter.bytes,
            envelope: &envelope,
            from: from.as_ref(),
            message_id: head.message_id.as_deref(),
            verdict: &verdict,
            recipients: &deliveries,
            domain: &self.door.domain,
        };
        let kept = tokio::time::timeout(DATABASE_PATIENCE, self.keep(&arrival)).await.context("the database did not answer in time").flatten();
        match kept {
            Ok(Outcome::Kept(id)) => {
                info!(letter = %id, size = letter.bytes.len(), "kept");
                self.door.arrived.notify_one();
                replies::kept(id)
            }
            Ok(Outcome::Refused(refusal)) => {
                info!(refusal = refusal.name(), "refused");
                refusal.smtp_reply(&self.door.domain)
            }
            // Also where the outcome of the commit is unknown: the letter comes again, and is known then or kept then.
            Err(error) => {
                warn!(error = format!("{error:#}"), "a letter could not be kept");
                self.not_now(&error)
            }
        }
    }

    /// The writer and what was found out about them. A From field that two readers read differently names nobody.
    async fn judge(&self, raw: &[u8], from: Option<EmailAddress>, envelope: &Envelope, deliveries: &[Recipient]) -> (Option<EmailAddress>, Verdict) {
        let Some(verifier) = &self.door.verifier else { return (from, Verdict::UNCHECKED) };
        // A bounce is judged by the signed address that it comes to.
        let only_bounces = deliveries.iter().all(|recipient| matches!(recipient, Recipient::Bounce { .. }));
        if envelope.reverse_path.is_none() && only_bounces {
            return (from, Verdict::NOTHING);
        }
        match from {
            Some(writer) => match verifier.verify(raw, &writer, envelope, &self.door.domain).await {
                Some(verdict) => (Some(writer), verdict),
                None => (None, Verdict::NOTHING),
            },
            None => (None, Verdict::NOTHING),
        }
    }

    /// Transaction 1.
    async fn keep(&self, arrival: &Arrival<'_>) -> Result<Outcome> {
        let mut conn = self.door.store.connection().await?;
        let admits = |recipient: &Recipient, known: &Known| admit(&self.question(recipient, known, arrival));
        let (id, admissions) = inbox::accept(&mut conn, arrival, admits, (self.door.clock)()).await?;
        Ok(match refusal_of_all(&admissions) {
            Some(refusal) => Outcome::Refused(refusal),
            None => Outcome::Kept(id),
        })
    }

    fn question<'a>(&self, recipient: &'a Recipient, known: &Known, arrival: &Arrival<'a>) -> Question<'a> {
        let door = match recipient {
            Recipient::Service(OwnAddress::Postmaster | OwnAddress::Abuse) => Way::Open,
            Recipient::Service(_) => Way::Service,
            Recipient::Bounce { .. } => Way::Bounce,
            Recipient::Reply { asked, expired, .. } => Way::Reply { asked, expired: *expired },
            Recipient::Alias { partnership, reader, over, .. } => Way::Alias { from_partner: known.is_partner(*partnership, *reader), over: *over },
        };
        // `report` looks, records, and trusts.
        let trusting = self.door.verify != Verify::Enforce;
        Question { door, from: arrival.from, aligned: trusting || arrival.verdict.is_aligned(), forged: !trusting && is_forged(arrival.verdict) }
    }
}

/// DMARC fails under a policy that asks for consequences.
fn is_forged(verdict: &Verdict) -> bool {
    match (verdict.dmarc, verdict.policy) {
        (AuthResult::Fail, Policy::Quarantine | Policy::Reject) => true,
        (AuthResult::Fail, Policy::Absent | Policy::None) | (AuthResult::Pass | AuthResult::None | AuthResult::TempError, _) => false,
    }
}

/// The first refusal, where nobody admits the letter: one reply stands for all recipients (RFC 5321 4.2.5).
fn refusal_of_all(admissions: &[Admission]) -> Option<Refusal> {
    let mut refusals = admissions.iter().map(|admission| match admission {
        Admission::Refuse(refusal) => Some(*refusal),
        Admission::Take | Admission::Hold => None,
    });
    let first = refusals.next()??;
    refusals.all(|one| one.is_some()).then_some(first)
}

/// The header, with its empty line.
fn head(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
    &raw[..end]
}

/// A CR or LF alone (RFC 5321 2.3.8). In a body it is a byte like others; in a header it hides fields from one reader that another sees.
fn has_bare_ends(head: &[u8]) -> bool {
    let mut previous = 0;
    let inside = head.iter().any(|&byte| (byte == b'\n') != (std::mem::replace(&mut previous, byte) == b'\r'));
    inside || previous == b'\r'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reply_refuses_only_where_all_refuse() {
        let no = Admission::Refuse(Refusal::Forged);
        assert_eq!(refusal_of_all(&[no]), Some(Refusal::Forged));
        assert_eq!(refusal_of_all(&[Admission::Refuse(Refusal::StrangerToAlias), no]), Some(Refusal::StrangerToAlias));
        assert_eq!(refusal_of_all(&[no, Admission::Take]), None);
        assert_eq!(refusal_of_all(&[Admission::Hold, no]), None);
    }

    #[test]
    fn a_header_has_no_bare_cr_or_lf() {
        for good in ["", "From: a@b.example\r\n\r\n", "\r\n"] {
            assert!(!has_bare_ends(good.as_bytes()), "{good:?}");
        }
        for bad in ["a\nb\r\n", "a\rb\r\n", "a\r\r\n", "\n", "\r", "a\r\n\n"] {
            assert!(has_bare_ends(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn only_a_failure_under_quarantine_or_reject_is_forgery() {
        for (dmarc, policy, forged) in [
            (AuthResult::Fail, Policy::Reject, true),
            (AuthResult::Fail, Policy::Quarantine, true),
            (AuthResult::Fail, Policy::None, false),
            (AuthResult::Fail, Policy::Absent, false),
            (AuthResult::TempError, Policy::Reject, false),
            (AuthResult::Pass, Policy::Reject, false),
        ] {
            assert_eq!(is_forged(&Verdict { dmarc, policy, ..Verdict::NOTHING }), forged, "{dmarc:?} {policy:?}");
        }
    }
}
