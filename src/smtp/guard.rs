//! MAIL and RCPT: which parameters we know, whether a recipient is ours, and whose mailbox it is.
use std::time::Duration;

use anyhow::{Context, Result};
use mail_auth::common::to_a_label;
use samotop::{
    mail::{AddRecipientFailure, AddRecipientResult, MailGuard, Recipient as Asked, StartMailFailure, StartMailResult},
    smtp::{SmtpPath, SmtpSession, command::SmtpMail},
};
use tracing::warn;

use super::{SyncStep, Visit, grammar, replies};
use crate::{
    domain::address::OwnAddress,
    store::{
        health::Trouble,
        recipients::{self, Recipient},
    },
};

/// How long the database may take to say whose mailbox it is, or to keep a letter, before we call it away.
pub(super) const DATABASE_PATIENCE: Duration = Duration::from_secs(20);

/// samotop takes a recipient when every guard shrugs (`Inconclusive`); this one, which is alone, never does.
impl MailGuard for Visit {
    fn start_mail<'a, 's, 'f>(&'a self, session: &'s mut SmtpSession) -> SyncStep<'f, StartMailResult>
    where
        'a: 'f,
        's: 'f,
    {
        *self.recipients() = Default::default();
        let judged = judge(session.transaction.mail.as_ref(), self.door.limits.max_message_bytes);
        Box::pin(std::future::ready(match judged {
            Ok(()) => {
                session.transaction.id = uuid::Uuid::now_v7().to_string();
                replies::say(session, replies::SENDER_TAKEN);
                StartMailResult::Accepted
            }
            Err(words) => {
                replies::say(session, &words);
                StartMailResult::Failed(StartMailFailure::Rejected, words)
            }
        }))
    }

    fn add_recipient<'a, 's, 'f>(&'a self, session: &'s mut SmtpSession, asked: Asked) -> SyncStep<'f, AddRecipientResult>
    where
        'a: 'f,
        's: 'f,
    {
        Box::pin(async move {
            let found = match self.find(session, &asked.address).await {
                Ok(found) => self.welcome(&found, parts(session.transaction.mail.as_ref()).0.and_then(grammar::mailbox).as_ref()).await.map(|()| found),
                Err(words) => Err(words),
            };
            match found {
                Ok(found) => {
                    let mut taken = self.recipients();
                    taken.1 += 1;
                    if !taken.0.contains(&found) {
                        taken.0.push(found);
                        session.transaction.rcpts.push(asked);
                    }
                    replies::say(session, replies::RECIPIENT_TAKEN);
                    AddRecipientResult::Accepted
                }
                Err(words) => {
                    replies::say(session, &words);
                    AddRecipientResult::Failed(AddRecipientFailure::RejectedPermanently, words)
                }
            }
        })
    }
}

impl Visit {
    /// Whose mailbox this is, or the reply that refuses it.
    async fn find(&self, session: &SmtpSession, path: &SmtpPath) -> Result<Recipient, String> {
        if self.recipients().1 >= self.door.limits.max_recipients {
            return Err(replies::TOO_MANY_RECIPIENTS.to_owned());
        }
        let own = match path {
            SmtpPath::Postmaster => OwnAddress::Postmaster,
            SmtpPath::Mailbox { .. } | SmtpPath::Null => {
                let mailbox = grammar::mailbox(path).ok_or_else(|| replies::BAD_RECIPIENT.to_owned())?;
                if mailbox.is_international() && !speaks_utf8(session.transaction.mail.as_ref()) {
                    return Err(replies::UTF8_UNASKED.to_owned());
                }
                // The domain may be written in Unicode or in ASCII (RFC 5891 4), whichever way ours is configured.
                if to_a_label(mailbox.domain()) != self.door.domain.as_str() {
                    return Err(replies::NO_RELAYING.to_owned());
                }
                OwnAddress::read(mailbox.local())
            }
        };
        match self.resolve(own).await {
            Ok(Some(recipient)) => Ok(recipient),
            Ok(None) => Err(replies::unknown_mailbox(&self.door.domain)),
            Err(error) => {
                warn!(error = format!("{error:#}"), "a recipient could not be looked up");
                Err(self.not_now(&error))
            }
        }
    }

    /// The reply to whoever needs the database while it can't serve: to come again (RFC 5321 4.2.3), also where the disk is full.
    pub(super) fn not_now(&self, error: &anyhow::Error) -> String {
        match self.door.store.diagnose(error) {
            Some(Trouble::Full) => replies::FULL.to_owned(),
            Some(Trouble::Away | Trouble::Cut) | None => replies::AWAY.to_owned(),
        }
    }

    /// In a task of its own, because samotop wants a future that is `Sync`, and a database's is not.
    async fn resolve(&self, own: OwnAddress) -> Result<Option<Recipient>> {
        let door = self.door.clone();
        let asking = tokio::spawn(async move {
            let now = (door.clock)();
            let mut connection = door.store.connection().await?;
            recipients::resolve(&mut connection, &own, &door.secret, now).await
        });
        tokio::time::timeout(DATABASE_PATIENCE, asking).await.context("the database did not answer in time")?.context("the look-up died")?
    }
}

/// What the parameters of MAIL ask for (RFC 1870, RFC 6152, RFC 6531), or the reply that refuses one.
pub(super) fn judge(mail: Option<&SmtpMail>, limit: usize) -> Result<(), String> {
    let (path, parameters) = parts(mail);
    let mut seen = Vec::new();
    for parameter in parameters {
        let (keyword, value) = parameter.split_once('=').map_or((parameter.as_str(), None), |(keyword, value)| (keyword, Some(value)));
        let keyword = keyword.to_ascii_uppercase();
        match (keyword.as_str(), value) {
            ("SIZE", Some(digits)) if (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
                if digits.parse::<u64>().map_or(true, |size| size > limit as u64) {
                    return Err(replies::too_large(limit));
                }
            }
            ("BODY", Some(body)) if body.eq_ignore_ascii_case("7BIT") || body.eq_ignore_ascii_case("8BITMIME") => {}
            ("SMTPUTF8", None) => {}
            ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(replies::BAD_PARAMETER.to_owned()),
            (_, _) => return Err(replies::UNKNOWN_PARAMETER.to_owned()),
        }
        if seen.contains(&keyword) {
            return Err(replies::BAD_PARAMETER.to_owned());
        }
        seen.push(keyword);
    }
    let international = path.and_then(grammar::mailbox).is_some_and(|address| address.is_international());
    if international && !speaks_utf8(mail) { Err(replies::UTF8_UNASKED.to_owned()) } else { Ok(()) }
}

/// Path and parameters.
pub(super) fn parts(mail: Option<&SmtpMail>) -> (Option<&SmtpPath>, &[String]) {
    match mail {
        Some(SmtpMail::Mail(path, parameters) | SmtpMail::Send(path, parameters) | SmtpMail::Saml(path, parameters) | SmtpMail::Soml(path, parameters)) => {
            (Some(path), parameters)
        }
        None => (None, &[]),
    }
}

fn speaks_utf8(mail: Option<&SmtpMail>) -> bool {
    parts(mail).1.iter().any(|parameter| parameter.eq_ignore_ascii_case("SMTPUTF8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_taken_once_and_in_their_form() {
        let judged = |parameters: &str| judge(Some(&SmtpMail::Mail(SmtpPath::Null, parameters.split(' ').map(str::to_owned).collect())), 1000);
        for good in ["SIZE=1000", "size=0000000000000000010", "BODY=8bitmime SMTPUTF8 SIZE=1", "body=7BIT"] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
        for (bad, words) in [
            ("SIZE=1001", replies::too_large(1000)),
            ("SIZE=99999999999999999999", replies::too_large(1000)),
            ("SIZE=123456789012345678901", replies::BAD_PARAMETER.to_owned()),
            ("SIZE=", replies::BAD_PARAMETER.to_owned()),
            ("SIZE", replies::BAD_PARAMETER.to_owned()),
            ("SIZE=-1", replies::BAD_PARAMETER.to_owned()),
            ("SIZE=1 SIZE=2", replies::BAD_PARAMETER.to_owned()),
            ("BODY=BINARYMIME", replies::BAD_PARAMETER.to_owned()),
            ("SMTPUTF8=yes", replies::BAD_PARAMETER.to_owned()),
            ("RET=HDRS", replies::UNKNOWN_PARAMETER.to_owned()),
        ] {
            assert_eq!(judged(bad), Err(words), "{bad}");
        }
    }
}
