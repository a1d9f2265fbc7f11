//! Letters that came in: kept before 250, claimed one writer's at a time and in order, finished with all that they caused.
use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use uuid::Uuid;

use super::{Connection, exchanges, people, recipients::Recipient};
use crate::{
    domain::{address::EmailAddress, admission::Admission},
    mail::envelope::{Envelope, Verdict},
};

/// Failed attempts after which a letter is set aside.
pub const ATTEMPTS: i16 = 8;

/// A letter whose last byte has come.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The bytes between DATA and the dot, dots unstuffed.
    pub raw: &'a [u8],
    /// Who handed it over.
    pub envelope: &'a Envelope,
    /// The one mailbox of its header From.
    pub from: Option<&'a EmailAddress>,
    /// Its Message-ID, without brackets.
    pub message_id: Option<&'a str>,
    /// What was found out about its origin.
    pub verdict: &'a Verdict,
    /// Each recipient, and how it was admitted there.
    pub deliveries: &'a [(Recipient, Admission)],
    /// Our domain, for the words of refusals.
    pub domain: &'a str,
}

/// **Transaction 1**: the bytes once, an inbox row and an exchange row for each recipient that admits the letter, an exchange row for each that
/// refuses it. A redelivery of the same bytes from the same reverse-path to the same recipient, with a Message-ID, within five days, changes nothing.
/// Gives the letter's id (for the reply); the caller commits.
pub async fn accept(conn: &mut Connection, arrival: &Arrival<'_>, now: DateTime<Utc>) -> Result<Uuid> {
    let sha256 = digest::digest(&digest::SHA256, arrival.raw);
    let size = i32::try_from(arrival.raw.len()).context("a letter beyond 2 GiB")?;
    let writer = match arrival.from {
        Some(from) => Some(people::address_id(conn, from, now).await?),
        None => None,
    };
    let mut letter = None;
    for (recipient, admission) in arrival.deliveries {
        let mailbox = recipient.mailbox();
        let record = |decision| exchanges::In { writer, mailbox: &mailbox, kind: recipient.kind(), size, message_id: arrival.message_id, decision };
        let admission = match admission {
            Admission::Refuse(refusal) => {
                exchanges::insert_refused(conn, record(&format!("refused: {}", refusal.name())), &refusal.smtp_reply(arrival.domain), now).await?;
                continue;
            }
            Admission::Take => "take",
            Admission::Hold => "hold",
        };
        let fingerprint = arrival.message_id.map(|_| fingerprint(arrival.envelope, recipient, sha256.as_ref()));
        if let Some(fingerprint) = &fingerprint
            && let Some(known) = redelivered(conn, fingerprint, now).await?
        {
            letter.get_or_insert(known);
            continue;
        }
        let letter = match letter {
            Some(letter) => letter,
            None => *letter.insert(insert_letter(conn, sha256.as_ref(), arrival.raw, size, now).await?),
        };
        let exchange = exchanges::insert_in(conn, record(admission), now).await?;
        sqlx::query!(
            "insert into inbox (id, letter_id, exchange_id, recipient, writer_id, reverse_path, peer, helo, verdict, admission, next_at, fingerprint, received_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)",
            Uuid::now_v7(),
            letter,
            exchange,
            serde_json::to_value(recipient)?,
            writer,
            arrival.envelope.reverse_path.as_ref().map(EmailAddress::as_str),
            arrival.envelope.peer.to_string(),
            arrival.envelope.helo,
            serde_json::to_value(arrival.verdict)?,
            admission,
            now,
            fingerprint
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(letter.unwrap_or_else(Uuid::now_v7))
}

async fn insert_letter(conn: &mut Connection, sha256: &[u8], raw: &[u8], size: i32, now: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!("insert into letter (id, sha256, raw, size, received_at) values ($1, $2, $3, $4, $5)", id, sha256, raw, size, now).execute(conn).await?;
    Ok(id)
}

/// Reverse-path, recipient and bytes: what makes two deliveries the same letter. Never the Message-ID alone, which a stranger could take first.
fn fingerprint(envelope: &Envelope, recipient: &Recipient, sha256: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(envelope.reverse_path.as_ref().map(EmailAddress::key).unwrap_or_default().as_bytes());
    context.update(b"\n");
    context.update(recipient.mailbox().as_bytes());
    // All return paths are one mailbox in the record, but each is another recipient.
    if let Recipient::Bounce { outbox } = recipient {
        context.update(outbox.as_bytes());
    }
    context.update(b"\n");
    context.update(sha256);
    context.finish().as_ref().to_vec()
}

/// The letter that this one delivers again. Two sessions that deliver the same at once are told apart by the lock.
async fn redelivered(conn: &mut Connection, fingerprint: &[u8], now: DateTime<Utc>) -> Result<Option<Uuid>> {
    let lock = i64::from_be_bytes(fingerprint[..8].try_into().context("a fingerprint is 32 bytes")?);
    sqlx::query!("select pg_advisory_xact_lock($1)", lock).execute(&mut *conn).await?;
    let days_ago = now - TimeDelta::days(5);
    let known = sqlx::query!("select letter_id, received_at from inbox where fingerprint = $1", fingerprint).fetch_optional(&mut *conn).await?;
    match known {
        Some(row) if row.received_at > days_ago => Ok(Some(row.letter_id)),
        Some(_) => {
            sqlx::query!("update inbox set fingerprint = null where fingerprint = $1", fingerprint).execute(conn).await?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// A row that this process works on.
#[derive(Debug)]
pub struct Claimed {
    /// The inbox row.
    pub id: Uuid,
    /// Its exchange row.
    pub exchange_id: Uuid,
    /// Whose mailbox it was when it came.
    pub recipient: Recipient,
    /// The address row of the header From.
    pub writer_id: Option<Uuid>,
    /// MAIL FROM; `None` is the null reverse-path.
    pub reverse_path: Option<EmailAddress>,
    /// What was found out about its origin.
    pub verdict: Verdict,
    /// Whether its writer's mailbox has to say first that the letter is its own.
    pub held: bool,
    /// Attempts, this one included.
    pub attempts: i16,
    /// The bytes.
    pub raw: Vec<u8>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Claims up to `limit` due letters for `owner`, of each writer the oldest alone, and no further one behind `octets` of them; committed by itself, with
/// the attempt counted, so that a letter that kills its process is known.
pub async fn claim(conn: &mut Connection, owner: i64, limit: i64, octets: i64, now: DateTime<Utc>) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        "with due as (
             select i.id, i.letter_id, i.next_at from inbox i
             where i.state = 'pending' and i.owner is null and i.next_at <= $3
               and not exists (select 1 from inbox e where e.writer_id = i.writer_id and e.state = 'pending' and e.id < i.id)
             order by i.next_at, i.id limit $2 for update skip locked),
         counted as (
             select due.id, sum(l.size) over (order by due.next_at, due.id) - l.size as ahead from due join letter l on l.id = due.letter_id)
         update inbox i set owner = $1, attempts = attempts + 1
         from counted c, letter l where i.id = c.id and c.ahead < $4 and l.id = i.letter_id
         returning i.id, i.exchange_id, i.recipient, i.writer_id, i.reverse_path, i.verdict, i.admission, i.attempts, l.raw, i.received_at",
        owner,
        limit,
        now,
        octets
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let (Ok(recipient), Ok(verdict)) = (serde_json::from_value(row.recipient), serde_json::from_value(row.verdict)) else {
            // A row that this version can't read is set aside by itself: the others are not to wait for it.
            fail(conn, row.id, owner, "its recipient or verdict was written by another version", Again::Never, now).await?;
            continue;
        };
        claimed.push(Claimed {
            id: row.id,
            exchange_id: row.exchange_id,
            recipient,
            writer_id: row.writer_id,
            reverse_path: row.reverse_path.and_then(|path| EmailAddress::parse(&path).ok()),
            verdict,
            held: row.admission == "hold",
            attempts: row.attempts,
            raw: row.raw.unwrap_or_default(),
            received_at: row.received_at,
        });
    }
    Ok(claimed)
}

/// The beginning of transaction 2: the letter is `owner`'s, and stays so until its end, or this is false. What it was taken for goes into the record.
pub async fn begin(conn: &mut Connection, id: Uuid, owner: i64, kind: &str, decision: &str) -> Result<bool> {
    let ours = sqlx::query!(
        "with ours as (select exchange_id from inbox where id = $1 and owner = $2 for update)
         update exchange e set kind = $3, decision = decision || '; ' || $4 from ours where e.id = ours.exchange_id",
        id,
        owner,
        kind,
        decision
    )
    .execute(conn)
    .await?;
    Ok(ours.rows_affected() > 0)
}

/// The letter is handled: `outcome` goes into the record.
pub async fn finish(conn: &mut Connection, id: Uuid, outcome: &str, now: DateTime<Utc>) -> Result<()> {
    let exchange = sqlx::query_scalar!("update inbox set state = 'done', owner = null, last_error = null where id = $1 returning exchange_id", id)
        .fetch_one(&mut *conn)
        .await?;
    exchanges::end(conn, exchange, outcome, None, now).await
}

/// The letter waits until `until` for a word of the mailbox that it claims to come from.
pub async fn hold(conn: &mut Connection, id: Uuid, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    let exchange = sqlx::query_scalar!("update inbox set state = 'held', owner = null, next_at = $2 where id = $1 returning exchange_id", id, until)
        .fetch_one(&mut *conn)
        .await?;
    exchanges::end(conn, exchange, "held", None, now).await
}

/// How an attempt that failed is noted.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    /// The letter is tried again then.
    At(DateTime<Utc>),
    /// The same, and the attempt does not count: the letter had no part in the failure.
    Uncounted(DateTime<Utc>),
    /// It is set aside for a person to look at.
    Never,
}

/// Notes a failed attempt of `owner`'s; false when the letter is not `owner`'s any more: it is handled after all, or another process has it.
pub async fn fail(conn: &mut Connection, id: Uuid, owner: i64, error: &str, again: Again, now: DateTime<Utc>) -> Result<bool> {
    let (next_at, counted) = match again {
        Again::At(moment) => (Some(moment), true),
        Again::Uncounted(moment) => (Some(moment), false),
        Again::Never => (None, true),
    };
    let failed = sqlx::query_scalar!(
        "update inbox set owner = null, last_error = $2, next_at = coalesce($3, next_at), attempts = attempts - case when $5 then 0 else 1 end,
             state = case when $3::timestamptz is null then 'failed' else state end
         where id = $1 and owner = $4 returning exchange_id",
        id,
        error,
        next_at,
        owner,
        counted
    )
    .fetch_optional(&mut *conn)
    .await?;
    match (failed, next_at) {
        (Some(exchange), None) => exchanges::end(conn, exchange, "failed", None, now).await.map(|()| true),
        (Some(_), Some(_)) => Ok(true),
        (None, _) => Ok(false),
    }
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
    let held = sqlx::query_scalar!("select id from inbox where id = $1 and writer_id = $2 and state = 'held'", id, writer).fetch_optional(&mut *conn).await?;
    if let Some(id) = held {
        finish(conn, id, "dropped: not theirs", now).await?;
    }
    Ok(held.is_some())
}

/// The oldest letter that waits for a word of `writer`, and its bytes.
pub async fn next_held(conn: &mut Connection, writer: Uuid) -> Result<Option<(Uuid, Vec<u8>)>> {
    let row = sqlx::query!(
        "select i.id, l.raw from inbox i join letter l on l.id = i.letter_id where i.writer_id = $1 and i.state = 'held' order by i.id limit 1",
        writer
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.id, row.raw.unwrap_or_default())))
}

/// Ends the letters whose time on hold is over; gives how many.
pub async fn expire_held(conn: &mut Connection, now: DateTime<Utc>) -> Result<usize> {
    let ids = sqlx::query_scalar!("select id from inbox where state = 'held' and next_at <= $1", now).fetch_all(&mut *conn).await?;
    for id in &ids {
        finish(conn, *id, "dropped: nobody vouched for it", now).await?;
    }
    Ok(ids.len())
}
