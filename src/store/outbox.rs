//! Letters of ours on their way out: queued with what caused them, claimed by the exit, marked as the next hop replies.
use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Connection, people};
use crate::domain::address::EmailAddress;

/// What goes first when there is more than can go at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A partner's letter.
    Relay,
    /// An answer to somebody who wrote.
    Answer,
    /// A letter that starts something: introductions, news of a round.
    Notice,
    /// To many.
    Topic,
}

/// A letter ready to go, all but signed.
#[derive(Debug)]
pub struct NewLetter<'a> {
    /// Its row; the return path is made of it.
    pub id: Uuid,
    /// To whom.
    pub address_id: Uuid,
    /// Their mailbox.
    pub to: &'a EmailAddress,
    /// The local part it goes out as.
    pub mailbox: &'a str,
    /// What kind of letter: the template's name, or `relay`.
    pub kind: &'a str,
    /// See [`Priority`].
    pub priority: Priority,
    /// Kind, person and occasion: a second letter under the same key is not written. `None` for a partner's letter, which its inbox row makes unique.
    pub occasion: Option<&'a str>,
    /// The envelope's sender.
    pub reverse_path: &'a str,
    /// Its Message-ID, without brackets.
    pub message_id: &'a str,
    /// The bytes, unsigned.
    pub raw: &'a [u8],
    /// The exchange row of the letter that caused this one.
    pub cause: Option<Uuid>,
    /// The sending it belongs to.
    pub sending: Option<Uuid>,
    /// Not before then.
    pub not_before: DateTime<Utc>,
}

/// Queues a letter and records it; false, and nothing written, when one was written under the same occasion already,
/// or when its mailbox is known to be dead.
pub async fn enqueue(conn: &mut Connection, letter: &NewLetter<'_>, now: DateTime<Utc>) -> Result<bool> {
    if let Some(occasion) = letter.occasion {
        if sqlx::query_scalar!("select exists (select 1 from outbox where occasion = $1) as \"known!\"", occasion).fetch_one(&mut *conn).await? {
            return Ok(false);
        }
    }
    if sqlx::query_scalar!("select suppressed_at is not null as \"dead!\" from address where id = $1", letter.address_id).fetch_one(&mut *conn).await? {
        return Ok(false);
    }
    let Ok(size) = i32::try_from(letter.raw.len()) else { bail!("a letter beyond 2 GiB") };
    let exchange = Uuid::now_v7();
    sqlx::query!(
        "insert into exchange (id, at, direction, address_id, mailbox, kind, size, message_id, cause_id) values ($1, $2, 'out', $3, $4, $5, $6, $7, $8)",
        exchange,
        now,
        letter.address_id,
        letter.mailbox,
        letter.kind,
        size,
        letter.message_id,
        letter.cause
    )
    .execute(&mut *conn)
    .await?;
    // Two transactions that write under one occasion meet at the unique key: the second fails, is rolled back and, tried again, writes nothing.
    sqlx::query!(
        "insert into outbox (id, exchange_id, address_id, domain, kind, priority, occasion, sending_id, reverse_path, raw, size, next_at, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        letter.id,
        exchange,
        letter.address_id,
        letter.to.domain(),
        letter.kind,
        letter.priority as i16,
        letter.occasion,
        letter.sending,
        letter.reverse_path,
        letter.raw,
        size,
        letter.not_before,
        letter.not_before.max(now) + TimeDelta::days(5),
        now
    )
    .execute(conn)
    .await?;
    Ok(true)
}

/// Letters of a kind queued since `since`, over the whole service.
pub async fn count_since(conn: &mut Connection, kind: &str, since: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar!("select count(*) as \"n!\" from outbox where kind = $1 and created_at >= $2", kind, since).fetch_one(conn).await?)
}

/// The mailbox and email behind a letter of ours, for the letter about its failure.
pub async fn recipient(conn: &mut Connection, id: Uuid) -> Result<Option<(Uuid, Option<EmailAddress>)>> {
    match sqlx::query_scalar!("select address_id from outbox where id = $1", id).fetch_optional(&mut *conn).await? {
        Some(address) => Ok(Some((address, people::email(conn, address).await?))),
        None => Ok(None),
    }
}
