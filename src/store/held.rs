//! Letters on hold: their origin is unproven, and they wait for a word of the mailbox that they claim to come from.
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Connection, exchanges,
    inbox::{Claimed, NOT_OURS},
    letters,
};

/// Letters of one writer that may wait for a word at once.
const OF_ONE: i64 = 20;
/// … of all writers,
const OF_ALL: i64 = 10_000;
/// … and their octets: anybody can write such letters, in anybody's name.
const OCTETS: i64 = 1 << 30;

/// Too many letters wait already for a word of the mailbox that they claim to come from, or of others.
#[derive(Debug, thiserror::Error)]
#[error("too many unproven letters wait already")]
pub struct Crowded;

/// Whether one more letter of this writer may wait; an error of kind [`Crowded`] where not.
pub async fn check_room(conn: &mut Connection, writer: Option<Uuid>) -> Result<()> {
    let waiting = sqlx::query!(
        "select count(*) filter (where i.writer_id = $1) as \"mine!\", count(*) as \"all!\", coalesce(sum(l.size), 0)::bigint as \"octets!\"
         from inbox i join letter l on l.id = i.letter_id where i.admission = 'hold' and i.state in ('pending', 'held')",
        writer
    )
    .fetch_one(conn)
    .await?;
    let room = waiting.mine < OF_ONE && waiting.all < OF_ALL && waiting.octets < OCTETS;
    if room { Ok(()) } else { Err(Crowded.into()) }
}

/// The letter waits until `until` for a word of the mailbox that it claims to come from. An error when it is another process's by now.
pub async fn hold(conn: &mut Connection, letter: &Claimed, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    let exchange = sqlx::query_scalar!(
        "update inbox set state = 'held', owner = null, next_at = $2 where id = $1 and owner = $3 returning exchange_id",
        letter.id,
        until,
        letter.owner
    )
    .fetch_optional(&mut *conn)
    .await?
    .context(NOT_OURS)?;
    exchanges::end(conn, exchange, "held", None, now).await
}

/// The mailbox `writer` says that the held letter `id` is its own (or not): it is handled, or dropped. False when it is not on hold any more.
pub async fn vouch(conn: &mut Connection, id: Uuid, writer: Uuid, own: bool, now: DateTime<Utc>) -> Result<bool> {
    if own {
        let rows = sqlx::query!(
            "update inbox set state = 'pending', admission = 'take', next_at = $3 where id = $1 and writer_id = $2 and state = 'held'",
            id,
            writer,
            now
        )
        .execute(conn)
        .await?;
        return Ok(rows.rows_affected() > 0);
    }
    let_go(conn, id, Some(writer), "dropped: not theirs", now).await
}

/// The oldest letter that waits for a word of `writer`, and its bytes.
pub async fn next(conn: &mut Connection, writer: Uuid) -> Result<Option<(Uuid, Vec<u8>)>> {
    let row = sqlx::query!(
        "select i.id, i.letter_id, l.raw, l.size from inbox i join letter l on l.id = i.letter_id where i.writer_id = $1 and i.state = 'held' order by i.id limit 1",
        writer
    )
    .fetch_optional(&mut *conn)
    .await?;
    match row {
        Some(row) => Ok(Some((row.id, letters::whole(conn, row.letter_id, row.raw, row.size).await?.unwrap_or_default()))),
        None => Ok(None),
    }
}

/// Ends the letters whose time on hold is over; gives how many.
pub async fn expire(conn: &mut Connection, now: DateTime<Utc>) -> Result<usize> {
    let ids = sqlx::query_scalar!("select id from inbox where state = 'held' and next_at <= $1", now).fetch_all(&mut *conn).await?;
    let mut expired = 0;
    for id in ids {
        expired += usize::from(let_go(conn, id, None, "dropped: nobody vouched for it", now).await?);
    }
    Ok(expired)
}

/// A letter on hold, of this writer or of anybody, is not handled any more. False when it is not on hold: somebody vouched for it a moment ago.
async fn let_go(conn: &mut Connection, id: Uuid, writer: Option<Uuid>, outcome: &str, now: DateTime<Utc>) -> Result<bool> {
    let exchange = sqlx::query_scalar!(
        "update inbox set state = 'done', owner = null, last_error = null
         where id = $1 and state = 'held' and ($2::uuid is null or writer_id = $2) returning exchange_id",
        id,
        writer
    )
    .fetch_optional(&mut *conn)
    .await?;
    match exchange {
        Some(exchange) => exchanges::end(conn, exchange, outcome, None, now).await.map(|()| true),
        None => Ok(false),
    }
}
