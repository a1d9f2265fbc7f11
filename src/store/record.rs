//! Reading the record and the queues, for people at a shell.
use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Connection, letters, sheets};

/// One letter of the record.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// Its row.
    pub id: Uuid,
    /// When it came or was queued.
    pub at: DateTime<Utc>,
    /// `in` or `out`.
    pub direction: String,
    /// The other side; `None` for nobody, or an erased mailbox.
    pub address: Option<String>,
    /// Ours.
    pub mailbox: String,
    /// Why.
    pub kind: String,
    /// Octets.
    pub size: i32,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// The letter that caused it.
    pub cause: Option<Uuid>,
    /// How it was admitted and understood.
    pub decision: Option<String>,
    /// What became of it.
    pub outcome: Option<String>,
    /// The next hop's last words, or ours when we refused.
    pub reply: Option<String>,
    /// When that was known.
    pub ended_at: Option<DateTime<Utc>>,
    /// The session in which it came.
    pub session: Option<String>,
    /// The version of TLS by which it came.
    pub tls: Option<String>,
}

/// Which letters to list; `None` leaves a field open.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// `in` or `out`.
    pub direction: Option<&'a str>,
    /// The kind.
    pub kind: Option<&'a str>,
    /// The other side's address, in lower case.
    pub address: Option<&'a str>,
    /// At most so many, the newest first.
    pub limit: i64,
}

/// The newest letters.
pub async fn list(conn: &mut Connection, filter: &Filter<'_>) -> Result<Vec<Exchange>> {
    Ok(sqlx::query_as!(
        Exchange,
        "select e.id, e.at, e.direction, a.email as address, e.mailbox, e.kind, e.size, e.message_id, e.cause_id as cause, e.decision, e.outcome, e.reply, e.ended_at, e.session, e.tls
         from exchange e left join address a on a.id = e.address_id
         where ($1::text is null or e.direction = $1) and ($2::text is null or e.kind = $2) and ($3::text is null or a.email_key = $3)
         order by e.at desc, e.id desc limit $4",
        filter.direction,
        filter.kind,
        filter.address,
        filter.limit
    )
    .fetch_all(conn)
    .await?)
}

/// The rows that an id, a Message-ID or a refusal's session names.
pub async fn find(conn: &mut Connection, id: Option<Uuid>, message_id: &str) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        "select id as \"id!\" from exchange where id = $1 or message_id = $2 or (session = $2 and outcome = 'refused')
         union select exchange_id from inbox where id = $1 or letter_id = $1
         union select exchange_id from outbox where id = $1",
        id,
        message_id
    )
    .fetch_all(conn)
    .await?)
}

/// A letter's whole chain: what caused it, back to the first letter, and all that came of that one, causes before effects.
pub async fn chain(conn: &mut Connection, id: Uuid) -> Result<Vec<Exchange>> {
    Ok(sqlx::query_as!(
        Exchange,
        "with recursive up as (
             select id, cause_id from exchange where id = $1
             union select e.id, e.cause_id from exchange e join up on e.id = up.cause_id),
         down as (
             select id, array[id] as path from up where cause_id is null
             union all select e.id, down.path || e.id from exchange e join down on e.cause_id = down.id)
         select e.id as \"id!\", e.at as \"at!\", e.direction as \"direction!\", a.email as \"address?\", e.mailbox as \"mailbox!\", e.kind as \"kind!\",
             e.size as \"size!\", e.message_id, e.cause_id as cause, e.decision, e.outcome, e.reply, e.ended_at, e.session, e.tls
         from down join exchange e on e.id = down.id left join address a on a.id = e.address_id order by down.path",
        id
    )
    .fetch_all(conn)
    .await?)
}

/// A letter of the outbox.
#[derive(Debug, Serialize)]
pub struct Queued {
    /// Its row.
    pub id: Uuid,
    /// Its row in the record.
    pub exchange: Uuid,
    /// To whom.
    pub address: Option<String>,
    /// What kind of letter.
    pub kind: String,
    /// `queued`, `sent`, `held`, `failed`, `dropped`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i16,
    /// When it is tried next.
    pub next_at: DateTime<Utc>,
    /// When we give up.
    pub expires_at: DateTime<Utc>,
    /// Octets.
    pub size: i32,
    /// The next hop's last words.
    pub reply: Option<String>,
}

/// Letters of the outbox; without a state those that are not sent yet.
pub async fn queue(conn: &mut Connection, state: Option<&str>, limit: i64) -> Result<Vec<Queued>> {
    Ok(sqlx::query_as!(
        Queued,
        "select o.id, o.exchange_id as exchange, a.email as address, o.kind, o.state, o.attempts, o.next_at, o.expires_at, o.size, e.reply
         from outbox o join address a on a.id = o.address_id join exchange e on e.id = o.exchange_id
         where o.state = $1 or ($1::text is null and o.state in ('queued', 'held', 'failed'))
         order by o.priority, o.next_at, o.id limit $2",
        state,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// One letter of the outbox, and its words while they are kept.
pub async fn queued(conn: &mut Connection, id: Uuid) -> Result<Option<(Queued, Option<Vec<u8>>)>> {
    let found = sqlx::query_as!(
        Queued,
        "select o.id, o.exchange_id as exchange, a.email as address, o.kind, o.state, o.attempts, o.next_at, o.expires_at, o.size, e.reply
         from outbox o join address a on a.id = o.address_id join exchange e on e.id = o.exchange_id where o.id = $1",
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    match found {
        Some(queued) => {
            let raw = sqlx::query_scalar!("select raw from outbox where id = $1", id).fetch_one(&mut *conn).await?;
            let size = usize::try_from(queued.size)?;
            let raw = match raw {
                Some(own) if !own.is_empty() && own.len() < size => Some(sheets::whole(conn, &own, size).await?),
                raw => letters::whole(conn, id, raw, queued.size).await?,
            };
            Ok(Some((queued, raw)))
        }
        None => Ok(None),
    }
}

/// A letter of the inbox.
#[derive(Debug, Serialize)]
pub struct Received {
    /// Its row.
    pub id: Uuid,
    /// Its row in the record.
    pub exchange: Uuid,
    /// Who wrote it.
    pub address: Option<String>,
    /// Ours that it came to.
    pub mailbox: String,
    /// `pending`, `done`, `held`, `failed`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i16,
    /// Processes that ended over it.
    pub deaths: i16,
    /// When it is tried next, or dropped if held.
    pub next_at: DateTime<Utc>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What became of it.
    pub outcome: Option<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Letters of the inbox; without a state those that are not done.
pub async fn inbox(conn: &mut Connection, state: Option<&str>, limit: i64) -> Result<Vec<Received>> {
    Ok(sqlx::query_as!(
        Received,
        "select i.id, i.exchange_id as exchange, a.email as \"address?\", e.mailbox, i.state, i.attempts, i.deaths, i.next_at, i.last_error, e.outcome, i.received_at
         from inbox i join exchange e on e.id = i.exchange_id left join address a on a.id = i.writer_id
         where i.state = $1 or ($1::text is null and i.state <> 'done')
         order by i.received_at, i.id limit $2",
        state,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// The letters that came to `postmaster@` and `abuse@`, the newest first.
pub async fn for_operator(conn: &mut Connection, limit: i64) -> Result<Vec<Received>> {
    Ok(sqlx::query_as!(
        Received,
        "select i.id, i.exchange_id as exchange, a.email as \"address?\", e.mailbox, i.state, i.attempts, i.deaths, i.next_at, i.last_error, e.outcome, i.received_at
         from inbox i join exchange e on e.id = i.exchange_id left join address a on a.id = i.writer_id
         where e.mailbox in ('postmaster', 'abuse') order by i.received_at desc, i.id limit $1",
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// One letter of the inbox, and its words while they are kept.
pub async fn received(conn: &mut Connection, id: Uuid) -> Result<Option<(Received, Option<Vec<u8>>)>> {
    let found = sqlx::query_as!(
        Received,
        "select i.id, i.exchange_id as exchange, a.email as \"address?\", e.mailbox, i.state, i.attempts, i.deaths, i.next_at, i.last_error, e.outcome, i.received_at
         from inbox i join exchange e on e.id = i.exchange_id left join address a on a.id = i.writer_id where i.id = $1",
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    match found {
        Some(received) => {
            let letter =
                sqlx::query!("select l.id, l.raw, l.size from inbox i join letter l on l.id = i.letter_id where i.id = $1", id).fetch_one(&mut *conn).await?;
            Ok(Some((received, letters::whole(conn, letter.id, letter.raw, letter.size).await?)))
        }
        None => Ok(None),
    }
}
