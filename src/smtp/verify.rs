//! SPF, DKIM and DMARC of a letter by mail-auth, folded to one verdict about the domain of the header From.
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, MessageAuthenticator, SpfOutput, SpfResult,
    dmarc::{self, verify::DmarcParameters},
    spf::verify::SpfParameters,
};

use crate::{
    aside,
    domain::address::EmailAddress,
    mail::{
        charset::header_end,
        envelope::{AuthResult, Envelope, Policy, Verdict, is_related},
        lines::lines,
    },
};

/// All questions about one letter are answered within this time, or it counts as a temporary error.
const PATIENCE: Duration = Duration::from_secs(20);
/// Signatures beyond these are not looked at: each costs a question, and may cost a walk over the whole letter.
const MOST_SIGNATURES: usize = 8;

/// Asks the DNS what speaks for a letter's writer.
pub struct Verifier {
    authenticator: MessageAuthenticator,
}

impl Verifier {
    /// Over the resolver at `server`, else the system's. Fails where the system names none.
    pub fn new(server: Option<SocketAddr>) -> Result<Self> {
        Ok(Self { authenticator: resolver(server)? })
    }

    /// The verdict on a letter that says it is from `writer`. `None` where the letter's header, read for verification, names another or several:
    /// then nobody can say whom the people who read it would see. `receiver` is our own name.
    pub async fn verify(&self, raw: &[u8], writer: &EmailAddress, envelope: &Envelope, receiver: &str) -> Option<Verdict> {
        self.examine(raw, writer, envelope, Some(envelope.peer), receiver).await
    }

    /// The same, where `client` handed the letter to whoever brings it: `None` is not known, so that nobody can ask SPF. Then DMARC can pass, but not fail.
    pub(super) async fn examine(&self, raw: &[u8], writer: &EmailAddress, envelope: &Envelope, client: Option<IpAddr>, receiver: &str) -> Option<Verdict> {
        let surplus = without_surplus(raw);
        let message = aside::work(raw.len(), || match &surplus {
            None => AuthenticatedMessage::parse(raw),
            Some((head, rest)) => AuthenticatedMessage::parse_with_opts(rest, Some(head), true),
        })?;
        match message.froms() {
            [one] if one.to_lowercase() == writer.key() => {}
            _ => return None,
        }
        let asking = self.ask(&message, writer, envelope, client, receiver);
        let unanswered = Verdict { spf: AuthResult::TempError, dkim: AuthResult::TempError, dmarc: AuthResult::TempError, policy: Policy::Absent };
        Some(tokio::time::timeout(PATIENCE, asking).await.unwrap_or(unanswered))
    }

    async fn ask(&self, message: &AuthenticatedMessage<'_>, writer: &EmailAddress, envelope: &Envelope, client: Option<IpAddr>, receiver: &str) -> Verdict {
        // RFC 7208 2.4: for the null reverse-path it is postmaster at the name that the client gave.
        let spf_domain = envelope.reverse_path.as_ref().map_or(envelope.helo.as_str(), |path| path.domain());
        let spf = async {
            let Some(peer) = client else { return SpfOutput::new(spf_domain.to_owned()) };
            let question = match &envelope.reverse_path {
                Some(path) => SpfParameters::verify_mail_from(peer, &envelope.helo, receiver, path.as_str()),
                None => SpfParameters::verify_ehlo(peer, &envelope.helo, receiver),
            };
            self.authenticator.verify_spf(question).await
        };
        let (spf, dkim) = tokio::join!(spf, self.authenticator.verify_dkim(message));
        let dmarc = self.authenticator.verify_dmarc(DmarcParameters::new(message, &dkim, spf_domain, &spf)).await;
        let verdict = fold(writer.domain(), spf_domain, &spf, &dkim, &dmarc);
        match verdict.dmarc {
            AuthResult::Fail if client.is_none() => Verdict { dmarc: AuthResult::None, ..verdict },
            AuthResult::Pass | AuthResult::Fail | AuthResult::None | AuthResult::TempError => verdict,
        }
    }
}

/// Asks the server given, else the system's resolver. Fails where the system names none.
pub(super) fn resolver(server: Option<SocketAddr>) -> Result<MessageAuthenticator> {
    let Some(server) = server else {
        return MessageAuthenticator::new_system_conf().context("the system's resolver can't be used: set dns.server");
    };
    let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut name_server.connections {
        connection.port = server.port();
    }
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(3);
    options.attempts = 2;
    MessageAuthenticator::new(ResolverConfig::from_parts(None, vec![], vec![name_server]), options)
        .with_context(|| format!("the resolver at {server} (dns.server) can't be used"))
}

/// Whether there are more signatures than are looked at.
pub(super) fn has_surplus(head: &[u8]) -> bool {
    lines(head).filter(|line| is_signature(line)).nth(MOST_SIGNATURES).is_some()
}

/// The header without the signatures that are too many, and what follows it, from the empty line on; none where no signature is. Reading the letter for
/// verification already computes what each of them asks for.
fn without_surplus(raw: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (head, rest) = raw.split_at(header_end(raw));
    if !has_surplus(head) {
        return None;
    }
    let (mut signatures, mut dropping, mut kept) = (0, false, Vec::with_capacity(head.len()));
    for line in lines(head) {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            signatures += usize::from(is_signature(line));
            dropping = is_signature(line) && signatures > MOST_SIGNATURES;
        }
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    Some((kept, rest))
}

fn is_signature(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"dkim"))
}

/// One verdict out of what the three methods found. Where the domain publishes a DMARC record, alignment is what DMARC says (RFC 9989 4.10);
/// where it publishes none, a domain and the domains below it speak for each other.
fn fold(from: &str, spf_domain: &str, spf: &SpfOutput, dkim: &[DkimOutput<'_>], dmarc: &DmarcOutput) -> Verdict {
    let recorded = dmarc.dmarc_record().is_some();
    let spf = match (read_dmarc(dmarc.spf_result()), is_related(from, spf_domain)) {
        (AuthResult::Pass, _) => AuthResult::Pass,
        (AuthResult::TempError, _) => AuthResult::TempError,
        (AuthResult::Fail | AuthResult::None, false) => AuthResult::None,
        (AuthResult::Fail | AuthResult::None, true) => without_pass(read_spf(spf.result()), recorded),
    };
    let signatures = || dkim.iter().filter(|output| output.signature().is_some_and(|signature| is_related(from, &signature.d)));
    let dkim = match read_dmarc(dmarc.dkim_result()) {
        AuthResult::Pass => AuthResult::Pass,
        AuthResult::TempError => AuthResult::TempError,
        AuthResult::Fail | AuthResult::None => without_pass(best(signatures().map(|output| read_dkim(output.result()))), recorded),
    };
    Verdict { spf, dkim, dmarc: read_dmarc(&dmarc.result()), policy: if recorded { read_policy(dmarc.policy()) } else { Policy::Absent } }
}

/// A pass that DMARC did not count (alignment may be strict there) is none.
fn without_pass(result: AuthResult, recorded: bool) -> AuthResult {
    match result {
        AuthResult::Pass if recorded => AuthResult::None,
        AuthResult::Pass | AuthResult::Fail | AuthResult::None | AuthResult::TempError => result,
    }
}

/// One good signature is enough; one that could not be checked might have been it.
fn best(results: impl Iterator<Item = AuthResult>) -> AuthResult {
    let rank = |result: &AuthResult| match result {
        AuthResult::Pass => 3,
        AuthResult::TempError => 2,
        AuthResult::Fail => 1,
        AuthResult::None => 0,
    };
    results.max_by_key(rank).unwrap_or(AuthResult::None)
}

fn read_spf(result: SpfResult) -> AuthResult {
    match result {
        SpfResult::Pass => AuthResult::Pass,
        SpfResult::Fail => AuthResult::Fail,
        SpfResult::TempError => AuthResult::TempError,
        SpfResult::SoftFail | SpfResult::Neutral | SpfResult::PermError | SpfResult::None => AuthResult::None,
    }
}

fn read_dkim(result: &DkimResult) -> AuthResult {
    match result {
        DkimResult::Pass => AuthResult::Pass,
        DkimResult::Fail(_) | DkimResult::Neutral(_) => AuthResult::Fail,
        DkimResult::TempError(_) => AuthResult::TempError,
        DkimResult::PermError(_) | DkimResult::None => AuthResult::None,
    }
}

fn read_dmarc(result: &DmarcResult) -> AuthResult {
    match result {
        DmarcResult::Pass => AuthResult::Pass,
        DmarcResult::Fail(_) => AuthResult::Fail,
        DmarcResult::TempError(_) => AuthResult::TempError,
        DmarcResult::PermError(_) | DmarcResult::None => AuthResult::None,
    }
}

fn read_policy(policy: dmarc::Policy) -> Policy {
    match policy {
        dmarc::Policy::Reject => Policy::Reject,
        dmarc::Policy::Quarantine => Policy::Quarantine,
        dmarc::Policy::None | dmarc::Policy::Unspecified => Policy::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_with_a_thousand_signatures_costs_no_more_than_one_with_eight() {
        let few = "DKIM-Signature: a;\r\n b\r\n".repeat(MOST_SIGNATURES);
        let letter = |signatures: &str| format!("From: ana@example.org\r\n{signatures}Subject: x\r\n\r\nDKIM-Signature: words\r\n");
        let many = format!("{few}{}", "dkim-signature: c;\r\n\td\r\n".repeat(1000));
        let (many, few) = (letter(&many), letter(&few));
        let (head, rest) = without_surplus(many.as_bytes()).expect("there are too many");
        assert_eq!([&head, rest].concat(), few.as_bytes());
        assert!(without_surplus(few.as_bytes()).is_none());
        let read = AuthenticatedMessage::parse_with_opts(rest, Some(&head), true).expect("reads");
        let whole = AuthenticatedMessage::parse(few.as_bytes()).expect("reads");
        assert_eq!((read.raw_body(), read.froms(), read.raw_parsed_headers()), (whole.raw_body(), whole.froms(), whole.raw_parsed_headers()));
    }

    #[test]
    fn the_best_signature_counts() {
        let of = |results: &[AuthResult]| best(results.iter().copied());
        assert_eq!(of(&[]), AuthResult::None);
        assert_eq!(of(&[AuthResult::Fail, AuthResult::Pass, AuthResult::TempError]), AuthResult::Pass);
        assert_eq!(of(&[AuthResult::Fail, AuthResult::TempError]), AuthResult::TempError);
        assert_eq!(of(&[AuthResult::None, AuthResult::Fail]), AuthResult::Fail);
    }
}
