//! Whose mailbox a recipient is: the row found at RCPT, kept with the letter so that later steps need not ask again.
use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Connection, tokens::Purpose};
use crate::domain::{
    address::{EmailAddress, OwnAddress},
    secret::Secret,
};

/// A recipient of ours, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    /// A mailbox that everybody may write to.
    Service(OwnAddress),
    /// The alias of `reader`, in a partnership.
    Alias {
        /// The local part that was written to.
        alias: String,
        /// The partnership.
        partnership: Uuid,
        /// The person behind the alias, who will read the letter.
        reader: Uuid,
        /// The partnership has ended.
        over: bool,
    },
    /// An answer to a letter of ours.
    Reply {
        /// The token.
        token: String,
        /// What it may do.
        purpose: Purpose,
        /// The mailbox our letter went to.
        asked: EmailAddress,
        /// Its row.
        address: Uuid,
        /// The row that the token is about.
        subject: Option<Uuid>,
        /// The token's time is over.
        expired: bool,
    },
    /// The return path of this letter of ours.
    Bounce {
        /// Its row in the outbox.
        outbox: Uuid,
    },
}

impl Recipient {
    /// The local part that the letter went to.
    pub fn mailbox(&self) -> String {
        match self {
            Self::Service(own) => own.local(),
            Self::Alias { alias, .. } => alias.clone(),
            Self::Reply { token, .. } => format!("reply-{token}"),
            Self::Bounce { .. } => "bounce".to_owned(),
        }
    }

    /// The letter answers one of ours, under a token that only the writer's mailbox was sent. SPF and DKIM prove a domain; this proves the mailbox.
    pub fn proves_mailbox(&self) -> bool {
        match self {
            Self::Reply { .. } => true,
            Self::Service(_) | Self::Alias { .. } | Self::Bounce { .. } => false,
        }
    }

    /// The partnership of an alias.
    pub fn partnership(&self) -> Option<Uuid> {
        match self {
            Self::Alias { partnership, .. } => Some(*partnership),
            Self::Service(_) | Self::Reply { .. } | Self::Bounce { .. } => None,
        }
    }

    /// A word for the record, until the handler knows better.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Service(OwnAddress::Join) => "sign-up",
            Self::Service(OwnAddress::Topics | OwnAddress::TopicsJoin | OwnAddress::TopicsLeave) => "topics",
            Self::Service(OwnAddress::Postmaster | OwnAddress::Abuse) => "operator",
            Self::Service(OwnAddress::Help | OwnAddress::Reply(_) | OwnAddress::Bounce(_) | OwnAddress::Alias(_)) => "help",
            Self::Alias { .. } => "relay",
            Self::Reply { .. } => "reply",
            Self::Bounce { .. } => "bounce",
        }
    }
}

/// Finds whose mailbox `own` is; `None` is a mailbox that does not exist (550 5.1.1). Reads only.
pub async fn resolve(conn: &mut Connection, own: &OwnAddress, secret: &Secret, now: DateTime<Utc>) -> Result<Option<Recipient>> {
    Ok(match own {
        OwnAddress::Join
        | OwnAddress::Help
        | OwnAddress::Topics
        | OwnAddress::TopicsJoin
        | OwnAddress::TopicsLeave
        | OwnAddress::Postmaster
        | OwnAddress::Abuse => {
            // Needs no look-up; but a client shall hear now, and not after a large letter, that nothing can be kept.
            sqlx::Connection::ping(conn).await?;
            Some(Recipient::Service(own.clone()))
        }
        OwnAddress::Bounce(text) => secret.read_signed_id("bounce", text).map(|outbox| Recipient::Bounce { outbox }),
        OwnAddress::Reply(token) => super::tokens::find(conn, token.as_str()).await?.and_then(|found| {
            Some(Recipient::Reply {
                token: token.as_str().to_owned(),
                purpose: found.purpose,
                asked: found.asked?,
                address: found.address_id,
                subject: found.subject_id,
                expired: found.expires_at <= now,
            })
        }),
        OwnAddress::Alias(alias) => sqlx::query!(
            "select r.partnership_id, r.person_id, p.state = 'ended' as \"over!\"
             from partner r join partnership p on p.id = r.partnership_id
             where r.alias = $1 and p.state in ('introduced', 'ended')",
            alias
        )
        .fetch_optional(conn)
        .await?
        .map(|row| Recipient::Alias { alias: alias.clone(), partnership: row.partnership_id, reader: row.person_id, over: row.over }),
    })
}
