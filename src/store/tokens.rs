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

/// A token that is given out.
#[derive(Debug)]
pub struct NewToken {
    /// What stands in the address.
    pub token: Token,
    /// What an answer to it may do.
    pub purpose: Purpose,
    /// The mailbox it is sent to.
    pub address_id: Uuid,
    /// The row it is about, as the purpose says.
    pub subject_id: Option<Uuid>,
    /// When its time is over.
    pub expires_at: DateTime<Utc>,
}

/// Writes the rows of new tokens.
pub async fn insert_all(conn: &mut Connection, tokens: &[&NewToken], now: DateTime<Utc>) -> Result<()> {
    if tokens.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into token (token, purpose, address_id, subject_id, created_at, expires_at)
         select t.token, t.purpose, t.address_id, t.subject_id, $6, t.expires_at
         from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[]) as t (token, purpose, address_id, subject_id, expires_at)",
        &tokens.iter().map(|token| token.token.as_str().to_owned()).collect::<Vec<_>>(),
        &tokens.iter().map(|token| token.purpose).collect::<Vec<_>>() as &[Purpose],
        &tokens.iter().map(|token| token.address_id).collect::<Vec<_>>(),
        &tokens.iter().map(|token| token.subject_id).collect::<Vec<_>>() as &[Option<Uuid>],
        &tokens.iter().map(|token| token.expires_at).collect::<Vec<_>>(),
        now
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
