//! The dot: who wrote the letter, who admits it, and its rows committed before 250.
use std::net::IpAddr;

use samotop::smtp::SmtpSession;
use tracing::{info, warn};

use super::{Door, Visit, body::Whole, budget, grammar, junk, keeper::Letter, replies, verify};
use crate::{
    aside,
    config::Verify,
    domain::{
        address::{EmailAddress, OwnAddress},
        admission::{Admission, Door as Way, Question, admit},
        refusal::Refusal,
    },
    mail::{
        authentication_results,
        charset::header_end,
        envelope::{AuthResult, Envelope, Policy, Verdict},
        message::Message,
        structure::{self, Excess, Limits},
    },
    store::{
        arrivals::{Arrival, Known},
        held::Crowded,
        recipients::Recipient,
    },
    telemetry::{self, Figure},
};

impl Visit {
    /// Keeps the letter for every recipient that admits it; the reply to the dot.
    pub(super) async fn receive(&self, letter: Whole, session: &SmtpSession) -> String {
        let deliveries = std::mem::take(&mut *self.recipients()).0;
        if deliveries.is_empty() {
            return replies::NO_RECIPIENT.to_owned();
        }
        if let Some(words) = aside::work(letter.bytes.len(), || self.too_laborious(&letter.bytes)) {
            return words;
        }
        let head = &letter.bytes[..header_end(&letter.bytes)];
        // Where the header is copied for verification, the copy counts as well.
        let copied = if verify::has_surplus(head) { head.len() } else { 0 };
        let Some(_share) = self.door.budget.draw(copied, copied, budget::PATIENCE).await else { return replies::OUT_OF_MEMORY.to_owned() };
        let caller = self.caller();
        self.forget_forwarded();
        let envelope = Envelope {
            peer: caller.ip.unwrap_or(self.peer.ip().to_canonical()),
            helo: caller.helo.or_else(|| session.peer_name.clone()).unwrap_or_default(),
            reverse_path: session.transaction.mail.as_ref().and_then(|mail| grammar::mailbox(mail.sender())),
        };
        let head = Message::parse(head);
        let (from, verdict) = self.judge(&letter.bytes, head.from, &envelope, caller.ip, &deliveries).await;
        if let Some(writer) = from.as_ref().filter(|_| envelope.reverse_path.is_some())
            && !self.door.letters.take(writer, verdict.is_aligned())
        {
            telemetry::count(Figure::Reasons, "domain-rate");
            return replies::TOO_MANY_OF_DOMAIN.to_owned();
        }
        let size = letter.bytes.len();
        let origins = junk::origins(caller.ip, from.as_ref());
        let records_refusals = self.door.refusals.has_room(&origins);
        let letter = Letter {
            whole: letter,
            envelope,
            from,
            message_id: head.message_id,
            verdict,
            recipients: deliveries,
            session: self.id.0.clone(),
            tls: self.tls.get().map(|_| self.tls_version()),
            records_refusals,
        };
        let kept = self.door.keep(letter).await.map(|accepted| {
            if accepted.admissions.iter().any(Admission::is_refused) {
                self.door.refusals.note(origins, records_refusals);
            }
            (accepted.id, refusal_of_all(&accepted.admissions))
        });
        match kept {
            Ok((id, None)) => {
                info!(letter = %id, size, tls = self.tls_version(), "kept");
                self.door.clients.note_good(self.peer.ip());
                self.door.arrived.notify_one();
                replies::kept(id)
            }
            Ok((_, Some(refusal))) => {
                telemetry::count(Figure::Reasons, refusal.name());
                refusal.smtp_reply(&self.door.domain)
            }
            Err(error) if error.is::<Crowded>() => {
                telemetry::count(Figure::Reasons, "too-many-unproven");
                replies::TOO_MANY_UNPROVEN.to_owned()
            }
            // Also where the outcome of the commit is unknown: the letter comes again, and is known then or kept then.
            Err(error) => {
                warn!(error = format!("{error:#}"), "a letter could not be kept");
                self.not_now(&error)
            }
        }
    }

    /// The writer and what was found out about them. A From field that two readers read differently names nobody.
    async fn judge(
        &self,
        raw: &[u8],
        from: Option<EmailAddress>,
        envelope: &Envelope,
        client: Option<IpAddr>,
        deliveries: &[Recipient],
    ) -> (Option<EmailAddress>, Verdict) {
        let Some(verifier) = &self.door.verifier else { return (from, Verdict::UNCHECKED) };
        // A bounce is judged by the signed address that it comes to.
        let only_bounces = deliveries.iter().all(|recipient| matches!(recipient, Recipient::Bounce { .. }));
        if envelope.reverse_path.is_none() && only_bounces {
            return (from, Verdict::NOTHING);
        }
        match from {
            // A front that says who the client is leaves the judgement to us, and may have looked at nothing in the letter.
            Some(writer) => match self.fronts_verdict(raw, &writer).filter(|_| client.is_none()) {
                Some(verdict) => (Some(writer), verdict),
                None => match verifier.examine(raw, &writer, envelope, client, &self.door.domain).await {
                    Some(verdict) => (Some(writer), verdict),
                    None => (None, Verdict::NOTHING),
                },
            },
            None => (None, Verdict::NOTHING),
        }
    }

    /// What the mail server that receives for us found out, where its word counts.
    fn fronts_verdict(&self, raw: &[u8], writer: &EmailAddress) -> Option<Verdict> {
        let id = self.door.limits.trusted_authserv_id.as_ref().filter(|_| self.front)?;
        authentication_results::verdict(&raw[..header_end(raw)], id, writer.domain())
    }

    /// The reply to a letter that is built to be laborious.
    fn too_laborious(&self, raw: &[u8]) -> Option<String> {
        let limits = &self.door.limits;
        let excess = structure::measure(raw, Limits { header: limits.max_header_bytes, parts: limits.max_parts, depth: limits.max_depth }).err()?;
        telemetry::count(Figure::Reasons, excess.name());
        Some(match excess {
            Excess::Header => replies::header_too_large(limits.max_header_bytes),
            Excess::Parts => replies::TOO_MANY_PARTS.to_owned(),
            Excess::Depth => replies::TOO_DEEP.to_owned(),
        })
    }
}

impl Door {
    /// How a recipient decides about a letter.
    pub(super) fn admit(&self, arrival: &Arrival<'_>, recipient: &Recipient, known: &Known) -> Admission {
        admit(&self.question(recipient, known, arrival))
    }

    fn question<'a>(&self, recipient: &'a Recipient, known: &Known, arrival: &Arrival<'a>) -> Question<'a> {
        let door = match recipient {
            Recipient::Service(OwnAddress::Postmaster | OwnAddress::Abuse) => Way::Open,
            Recipient::Service(_) => Way::Service,
            Recipient::Bounce { .. } => Way::Bounce,
            Recipient::Reply { asked, expired, .. } => Way::Reply { asked, expired: *expired },
            Recipient::Alias { partnership, reader, over, .. } => {
                Way::Alias { from_partner: known.is_partner(arrival.from, *partnership, *reader), over: *over }
            }
        };
        // `report` looks, records, and trusts.
        let trusting = self.verify != Verify::Enforce;
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
