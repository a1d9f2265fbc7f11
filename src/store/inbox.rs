//! Letters that were kept: claimed one writer's at a time and in order, finished with all that they caused.
use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use tokio::time::error::Elapsed;
use uuid::Uuid;

use super::{Connection, Store, exchanges, health::in_time, letters, recipients::Recipient};
use crate::{domain::address::EmailAddress, mail::envelope::Verdict};

/// Letters claimed at once that are no partners': each has its transaction, and a partner's letter that comes meanwhile waits for all of them.
const OTHERS: i64 = 5;
/// Failed attempts after which a letter is set aside.
pub const ATTEMPTS: i16 = 8;
/// Why a transaction is rolled back that would finish another's work.
pub(super) const NOT_OURS: &str = "the letter is another process's by now, or handled already";

/// A row that this process works on.
#[derive(Debug)]
pub struct Claimed {
    /// The inbox row.
    pub id: Uuid,
    /// The term under which it was claimed.
    pub owner: i64,
    /// Its letter's row.
    pub letter_id: Uuid,
    /// Its exchange row.
    pub exchange_id: Uuid,
    /// Whose mailbox it was when it came.
    pub recipient: Recipient,
    /// The address row of the header From.
    pub writer_id: Option<Uuid>,
    /// … and the address; `None` also once it was erased.
    pub writer: Option<EmailAddress>,
    /// Letters to that address came back for good.
    pub is_suppressed: bool,
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

/// A row that was claimed; of a large letter the bytes are still to be read.
#[derive(Debug)]
pub struct Due {
    /// The row.
    pub letter: Claimed,
    size: i32,
}

/// What is kept of a letter is not the letter, and never will be again.
#[derive(Debug, thiserror::Error)]
#[error("the letter can't be read any more")]
pub struct Damaged;

impl Due {
    /// Reads the bytes, if they are kept in pieces, in a time of their own: so that a letter that is slow to read, or [`Damaged`], is in nobody's way.
    pub async fn read(&mut self, store: &Store) -> Result<()> {
        if !self.letter.raw.is_empty() || self.size == 0 {
            return Ok(());
        }
        let reading = async {
            let mut conn = store.connection().await?;
            let raw = letters::read(&mut conn, self.letter.letter_id, self.size).await?;
            conn.put_back();
            Ok(raw)
        };
        self.letter.raw = in_time(reading).await.map_err(|error| if is_damage(&error) { error.context(Damaged) } else { error })?;
        Ok(())
    }
}

/// Whether the database gave what it has, and that is not the letter; or has noticed itself that it can't be read.
fn is_damage(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(said)) => Some(said.code().is_some_and(|code| code.starts_with("XX"))),
        Some(_) => Some(false),
        None => cause.is::<Elapsed>().then_some(false),
    });
    causes.next().unwrap_or(true)
}

/// Claims up to `limit` due letters for `owner`, partners' first, of each writer the oldest alone, none of more than `largest` octets, and no further one
/// behind `octets` of them; committed by itself, with the attempt counted, so that a letter that kills its process is known. Of letters that a process died
/// over one at a time is worked on: the next death is that one's doing, and none of those beside it.
pub async fn claim(conn: &mut Connection, owner: i64, limit: i64, octets: i64, largest: i32, now: DateTime<Utc>) -> Result<Vec<Due>> {
    let rows = sqlx::query!(
        "with due as (
             select i.id, i.letter_id, i.writer_id, i.priority, i.next_at, i.deaths from inbox i
             where i.state = 'pending' and i.owner is null and i.next_at <= $3
               and (i.writer_id is null
                   or i.id = (select e.id from inbox e where e.writer_id = i.writer_id and e.state = 'pending' order by e.id limit 1))
               and ($6::integer = 2147483647 or exists (select 1 from letter l where l.id = i.letter_id and l.size <= $6))
               and (i.deaths = 0 or not exists (select 1 from inbox s where s.owner = $1 and s.deaths > 0))
             order by i.priority, i.next_at, i.id limit $2 for update skip locked),
         counted as (
             select due.id, due.letter_id, due.writer_id, due.priority, l.raw, l.size, sum(l.size) over first_ones - l.size as ahead,
                 due.deaths = 0 or sum(least(due.deaths, 1)) over first_ones = 1 as alone,
                 row_number() over (partition by due.priority order by due.next_at, due.id) as place
             from due join letter l on l.id = due.letter_id window first_ones as (order by due.priority, due.next_at, due.id))
         update inbox i set owner = $1, attempts = attempts + 1
         from counted c left join address a on a.id = c.writer_id
         where i.id = c.id and c.ahead < $4 and c.alone and (c.priority = 0 or c.place <= $5)
         returning i.id, i.exchange_id, i.recipient, i.writer_id, a.email as \"writer?\", a.suppressed_at, i.reverse_path, i.verdict, i.admission, i.attempts,
             c.letter_id, c.raw, c.size, i.received_at",
        owner,
        limit,
        now,
        octets,
        OTHERS,
        largest
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
        // Empty without a size: its words are no longer kept.
        let size = if row.raw.is_some() { row.size } else { 0 };
        let letter = Claimed {
            id: row.id,
            owner,
            letter_id: row.letter_id,
            exchange_id: row.exchange_id,
            recipient,
            writer_id: row.writer_id,
            writer: row.writer.and_then(|email| EmailAddress::parse(&email).ok()),
            is_suppressed: row.suppressed_at.is_some(),
            reverse_path: row.reverse_path.and_then(|path| EmailAddress::parse(&path).ok()),
            verdict,
            held: row.admission == "hold",
            attempts: row.attempts,
            raw: row.raw.unwrap_or_default(),
            received_at: row.received_at,
        };
        claimed.push(Due { letter, size });
    }
    Ok(claimed)
}

/// What became of a letter that was handled, for the record.
#[derive(Debug)]
pub struct End {
    /// The inbox row.
    pub id: Uuid,
    /// Why it came.
    pub kind: &'static str,
    /// How it was understood.
    pub class: &'static str,
    /// What was done.
    pub outcome: String,
}

/// These letters are handled. An error, by which the caller's transaction ends, when one of them is not `owner`'s any more: whoever has it does it anew.
pub async fn finish(conn: &mut Connection, owner: i64, ends: &[End], now: DateTime<Utc>) -> Result<()> {
    let done = sqlx::query!(
        "with told as (select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as t (id, kind, class, outcome)),
         done as (
             update inbox i set state = 'done', owner = null, last_error = null from told where i.id = told.id and i.owner = $6
             returning i.exchange_id, told.kind, told.class, told.outcome)
         update exchange e set kind = done.kind, decision = e.decision || '; ' || done.class, outcome = done.outcome, ended_at = $5
         from done where e.id = done.exchange_id",
        &ends.iter().map(|end| end.id).collect::<Vec<_>>(),
        &ends.iter().map(|end| end.kind).collect::<Vec<_>>() as &[&str],
        &ends.iter().map(|end| end.class).collect::<Vec<_>>() as &[&str],
        &ends.iter().map(|end| end.outcome.clone()).collect::<Vec<_>>(),
        now,
        owner
    )
    .execute(conn)
    .await?;
    ensure!(done.rows_affected() == ends.len() as u64, NOT_OURS);
    Ok(())
}

/// Whether an earlier run of this letter was committed, whatever became of its row since; then it is done, and is not to run again.
pub async fn is_done(conn: &mut Connection, id: Uuid) -> Result<bool> {
    let done = sqlx::query!(
        "update inbox i set state = 'done', owner = null, last_error = null from exchange e
         where i.id = $1 and e.id = i.exchange_id and e.outcome not in ('held', 'failed')",
        id
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
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
