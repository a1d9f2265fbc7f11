//! The record: one row for every letter in or out. Written with the letter, ended when it is known what became of it.
use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;

/// A letter that came in.
#[derive(Debug, Clone, Copy)]
pub struct In<'a> {
    /// The mailbox of its header From; `None` where there is none.
    pub writer: Option<Uuid>,
    /// Ours that it came to.
    pub mailbox: &'a str,
    /// Why it came, as far as the mailbox tells.
    pub kind: &'a str,
    /// Octets.
    pub size: i32,
    /// Its Message-ID.
    pub message_id: Option<&'a str>,
    /// How it was admitted.
    pub decision: &'a str,
}

/// Records a letter that is kept; gives the row.
pub async fn insert_in(conn: &mut Connection, letter: In<'_>, now: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into exchange (id, at, direction, address_id, mailbox, kind, size, message_id, decision) values ($1, $2, 'in', $3, $4, $5, $6, $7, $8)",
        id,
        now,
        letter.writer,
        letter.mailbox,
        letter.kind,
        letter.size,
        letter.message_id,
        letter.decision
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Says what became of a letter; a later word replaces an earlier one, as a bounce does after "sent".
pub async fn end(conn: &mut Connection, id: Uuid, outcome: &str, reply: Option<&str>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update exchange set outcome = $2, reply = coalesce($3, reply), ended_at = $4 where id = $1", id, outcome, reply, now).execute(conn).await?;
    Ok(())
}

/// Says why a letter came and how it was understood, once it was read.
pub async fn decide(conn: &mut Connection, id: Uuid, kind: &str, decision: &str) -> Result<()> {
    sqlx::query!("update exchange set kind = $2, decision = decision || '; ' || $3 where id = $1", id, kind, decision).execute(conn).await?;
    Ok(())
}

/// Letters that wait or failed, by queue (`inbox`, `outbox`) and state; none where there is none. They are found by indexes of what waits or stays, so
/// that the rows of all years are not counted at every look.
pub async fn counts(conn: &mut Connection) -> Result<Vec<(String, String, i64)>> {
    let rows = sqlx::query!(
        "select queue as \"queue!\", state as \"state!\", n as \"n!\" from (
             select 'inbox' as queue, 'pending' as state, count(*) as n from inbox where state = 'pending'
             union all select 'inbox', 'held', count(*) from inbox where state = 'held'
             union all select 'inbox', 'failed', count(*) from inbox where state = 'failed'
             union all select 'outbox', 'queued', sum(n)::bigint from (
                 select count(*) as n from outbox where state = 'queued' and owner is null
                 union all select count(*) from outbox where state = 'queued' and owner is not null) due_and_claimed
             union all select 'outbox', 'held', count(*) from outbox where state = 'held'
             union all select 'outbox', 'failed', count(*) from outbox where state = 'failed') counted
         where n > 0 order by 1, 2"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, row.state, row.n)).collect())
}

/// A letter of ours, as what comes back about it needs it.
#[derive(Debug)]
pub struct Sent {
    /// Its row in the record.
    pub exchange_id: Uuid,
    /// The mailbox it went to.
    pub address_id: Uuid,
    /// What kind of letter.
    pub kind: String,
    /// The letter that caused it.
    pub cause: Option<Uuid>,
    /// Who wrote that one.
    pub writer: Option<Uuid>,
    /// That letter's bytes, while they are kept; of a large one its header and some more.
    pub original: Option<Vec<u8>>,
}

/// Finds a letter of ours by its row in the outbox.
pub async fn sent(conn: &mut Connection, id: Uuid) -> Result<Option<Sent>> {
    Ok(sqlx::query_as!(
        Sent,
        "select o.exchange_id, o.address_id, o.kind, e.cause_id as cause, c.address_id as \"writer?\",
             coalesce((select string_agg(p.raw, '' order by p.place) from piece p where p.letter_id = l.id and p.place < 33), l.raw) as \"original?\"
         from outbox o join exchange e on e.id = o.exchange_id left join exchange c on c.id = e.cause_id
         left join inbox i on i.exchange_id = c.id left join letter l on l.id = i.letter_id
         where o.id = $1",
        id
    )
    .fetch_optional(conn)
    .await?)
}
