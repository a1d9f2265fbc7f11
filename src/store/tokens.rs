//! Tokens: unguessable words that came to one mailbox and may do one thing.
use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Connection;
use crate::domain::address::{EmailAddress, Token};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum Purpose {
    /// Correct and confirm the application `subject`.
    SignUp,
    /// Say that the letters held from this mailbox were its owner's.
    Vouch,
    /// Confirm the wish for the monthly topics.
    Subscribe,
    /// Talk to the service: proves the mailbox, as every token does.
    Service,
    /// A coordinator confirms that everything is to stop.
    Hold,
    /// A coordinator confirms that it is to go again.
    Release,
}

/// A token's row.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it may do.
    pub purpose: Purpose,
    /// The mailbox it was sent to; `None` once that was erased.
    pub asked: Option<EmailAddress>,
    /// Its row.
    pub address_id: Uuid,
    /// The row it is about.
    pub subject_id: Option<Uuid>,
    /// Not to be acted on from then.
    pub expires_at: DateTime<Utc>,
}

/// Looks a token up.
pub async fn find(conn: &mut Connection, token: &str) -> Result<Option<Found>> {
    let row = sqlx::query!(
        "select t.purpose as \"purpose: Purpose\", t.address_id, t.subject_id, t.expires_at, a.email
         from token t join address a on a.id = t.address_id where t.token = $1",
        token
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Found {
        purpose: row.purpose,
        asked: row.email.and_then(|email| EmailAddress::parse(&email).ok()),
        address_id: row.address_id,
        subject_id: row.subject_id,
        expires_at: row.expires_at,
    }))
}

/// Writes a new token's row.
pub async fn insert(
    conn: &mut Connection,
    token: &Token,
    purpose: Purpose,
    address_id: Uuid,
    subject_id: Option<Uuid>,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "insert into token (token, purpose, address_id, subject_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        token.as_str(),
        purpose as Purpose,
        address_id,
        subject_id,
        now,
        expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a token came back, which proves its mailbox.
pub async fn mark_used(conn: &mut Connection, token: &str, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with used as (update token set used_at = coalesce(used_at, $2) where token = $1 returning address_id)
         update address a set proven_at = coalesce(a.proven_at, $2) from used where a.id = used.address_id",
        token,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
