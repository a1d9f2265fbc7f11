//! The breakers: how many letters of each stream left within a day, how many may, and what is held because there were more.
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Connection, outbox::Claimed};
use crate::domain::breaker::{Facts, Stream};

/// How far back letters are counted.
const WINDOW: TimeDelta = TimeDelta::hours(24);
/// How long a computed ceiling is believed: counting a hundred thousand subscribers for every claim would cost more than it tells.
const BELIEVED: TimeDelta = TimeDelta::hours(1);

/// Lets the letters of a claim pass, or holds those whose stream has brought too many; gives those that pass. Belongs into the transaction that claims them:
/// no process can send a letter that was not counted. Whoever counts letters of a stream waits for who has just done so to commit.
///
/// Retries are not counted, they were when they were first tried; nor is what a person has looked at and let go.
pub async fn pass(conn: &mut Connection, claimed: Vec<Claimed>, now: DateTime<Utc>) -> Result<Vec<Claimed>> {
    // In one order, so that two who count several streams do not wait for each other.
    let mut watched: BTreeMap<Stream, (i32, Vec<Uuid>)> = BTreeMap::new();
    for letter in claimed.iter().filter(|letter| letter.stream.is_watched() && !letter.released) {
        let (new, all) = watched.entry(letter.stream).or_default();
        *new += i32::from(letter.attempts <= 1);
        all.push(letter.id);
    }
    let mut stopped = Vec::new();
    for (stream, (new, letters)) in watched {
        if is_stopped(conn, stream, new, now).await? {
            hold(conn, stream, &letters, now).await?;
            stopped.extend(letters);
        }
    }
    Ok(claimed.into_iter().filter(|letter| !stopped.contains(&letter.id)).collect())
}

/// These come back untried: whoever claims them next counts them again.
pub async fn come_back(conn: &mut Connection, letters: &[&Claimed], now: DateTime<Utc>) -> Result<()> {
    let counted = letters.iter().filter(|letter| letter.stream.is_watched() && !letter.released && letter.attempts <= 1);
    let streams: Vec<_> = counted.map(|letter| letter.stream.name()).collect();
    if !streams.is_empty() {
        sqlx::query!(
            "insert into passage (stream, hour, letters) select stream, date_trunc('hour', $2::timestamptz), -count(*) from unnest($1::text[]) as t (stream) group by stream
             on conflict (stream, hour) do update set letters = passage.letters + excluded.letters",
            &streams as &[&str],
            now
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Counts `new` letters of a stream, unless it is held or they are too many: then it is held from now on, with all that waits.
async fn is_stopped(conn: &mut Connection, stream: Stream, new: i32, now: DateTime<Utc>) -> Result<bool> {
    let row = sqlx::query!(
        "select b.tripped_at, b.ceiling, b.measured_at,
             (select coalesce(sum(p.letters), 0) from passage p where p.stream = b.stream and p.hour > $2) as \"passed!\"
         from breaker b where b.stream = $1",
        stream.name(),
        now - WINDOW
    )
    .fetch_one(&mut *conn)
    .await?;
    if row.tripped_at.is_some() {
        hold_waiting(conn, stream, now).await?;
        return Ok(true);
    }
    let wanted = row.passed + i64::from(new);
    let believed = row.measured_at.is_some_and(|measured| now - measured < BELIEVED && measured <= now);
    if !(believed && wanted <= i64::from(row.ceiling)) {
        let Some(ceiling) = stream.ceiling(&facts(conn, now).await?) else { return Ok(false) };
        let ceiling = i32::try_from(ceiling).unwrap_or(i32::MAX);
        sqlx::query!("update breaker set ceiling = $2, measured_at = $3 where stream = $1", stream.name(), ceiling, now).execute(&mut *conn).await?;
        if wanted > i64::from(ceiling) {
            trip(conn, stream, row.passed, now).await?;
            return Ok(true);
        }
    }
    sqlx::query!(
        "insert into passage (stream, hour, letters) values ($1, date_trunc('hour', $2::timestamptz), $3)
         on conflict (stream, hour) do update set letters = passage.letters + excluded.letters",
        stream.name(),
        now,
        new
    )
    .execute(conn)
    .await?;
    Ok(false)
}

/// Holds a stream from now on.
async fn trip(conn: &mut Connection, stream: Stream, passed: i64, now: DateTime<Utc>) -> Result<()> {
    tracing::error!(stream = stream.name(), passed, "a stream of letters is held: it exceeds several times what is expected; see: pairpost queue list");
    sqlx::query!(
        "update breaker set tripped_at = $2, passed = $3, told_at = null where stream = $1",
        stream.name(),
        now,
        i32::try_from(passed).unwrap_or(i32::MAX)
    )
    .execute(&mut *conn)
    .await?;
    hold_waiting(conn, stream, now).await
}

/// Holds everything of a stream that waits, so that no later claim looks at it.
async fn hold_waiting(conn: &mut Connection, stream: Stream, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with held as (
             update outbox set state = 'held', by_breaker = true
             where state = 'queued' and priority = $3 and stream = $1 and owner is null and released_at is null returning exchange_id)
         update exchange e set outcome = 'held', reply = $4, ended_at = $2 from held where e.id = held.exchange_id",
        stream.name(),
        now,
        stream.priority(),
        why(stream)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes claimed letters back, as if they had not been claimed.
async fn hold(conn: &mut Connection, stream: Stream, letters: &[Uuid], now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with held as (
             update outbox set state = 'held', by_breaker = true, owner = null, attempts = attempts - 1 where id = any($1) returning exchange_id)
         update exchange e set outcome = 'held', reply = $3, ended_at = $2 from held where e.id = held.exchange_id",
        letters,
        now,
        why(stream)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// In the place of the next hop's words: what `queue list` shows beside such a letter.
fn why(stream: Stream) -> String {
    format!("held by the breaker: more {0} than expected; pairpost queue release --stream {0}", stream.name())
}

/// What expectations rest on, now.
pub async fn facts(conn: &mut Connection, now: DateTime<Utc>) -> Result<Facts> {
    let row = sqlx::query!(
        "select
             (select count(distinct a.person_id) from application a join person p on p.id = a.person_id where p.left_at is null and p.erased_at is null)
                 as \"people!\",
             (select count(*) from (
                 select person_id from application where state in ('draft', 'confirmed')
                 union select w.person_id from partner w join partnership p on p.id = w.partnership_id
                     where p.state = 'introduced' or p.state = 'ended' and p.ended_at > $1) as taking_part)
                 as \"in_rounds!\",
             (select count(*) from subscription where left_at is null) as \"subscribers!\",
             (select count(*) from sending where by_hand and created_at > $1) as \"sent_by_hand!\"",
        now - WINDOW
    )
    .fetch_one(conn)
    .await?;
    Ok(Facts {
        people: u64::try_from(row.people)?,
        in_rounds: u64::try_from(row.in_rounds)?,
        subscribers: u64::try_from(row.subscribers)?,
        sent_by_hand: u64::try_from(row.sent_by_hand)?,
    })
}

/// A breaker, as people look at it.
#[derive(Debug, Clone, Serialize)]
pub struct Breaker {
    /// What it watches over.
    pub stream: Stream,
    /// It holds the stream since then.
    pub tripped_at: Option<DateTime<Utc>>,
    /// Letters that had left within a day when it did.
    pub passed_then: Option<i32>,
    /// Letters that left within the last day.
    pub passed: i64,
    /// Letters that may leave within a day, as last computed; 0 before the first.
    pub ceiling: i32,
    /// Letters that it holds.
    pub held: i64,
    /// The operator was written to.
    #[serde(skip)]
    pub told_at: Option<DateTime<Utc>>,
}

/// All breakers.
pub async fn list(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Breaker>> {
    let rows = sqlx::query!(
        "select b.stream, b.tripped_at, b.passed as passed_then, b.ceiling, b.told_at,
             (select coalesce(sum(p.letters), 0) from passage p where p.stream = b.stream and p.hour > $1) as \"passed!\",
             (select count(*) from outbox o where o.stream = b.stream and o.by_breaker and o.state = 'held') as \"held!\"
         from breaker b order by b.stream",
        now - WINDOW
    )
    .fetch_all(conn)
    .await?;
    let breakers = rows.into_iter().filter_map(|row| {
        Some(Breaker {
            stream: Stream::read(&row.stream)?,
            tripped_at: row.tripped_at,
            passed_then: row.passed_then,
            passed: row.passed,
            ceiling: row.ceiling,
            held: row.held,
            told_at: row.told_at,
        })
    });
    Ok(breakers.collect())
}

/// The breakers that hold a stream since somebody was last told, locked for this transaction.
pub async fn untold(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Breaker>> {
    let streams = sqlx::query_scalar!("select stream from breaker where tripped_at is not null and told_at is null for update").fetch_all(&mut *conn).await?;
    if streams.is_empty() {
        return Ok(Vec::new());
    }
    Ok(list(conn, now).await?.into_iter().filter(|breaker| breaker.tripped_at.is_some() && breaker.told_at.is_none()).collect())
}

/// Notes that the operator was written to about a breaker.
pub async fn set_told(conn: &mut Connection, stream: Stream, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update breaker set told_at = $2 where stream = $1", stream.name(), now).execute(conn).await?;
    Ok(())
}

/// What a person decides about the letters that a breaker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They go.
    Release,
    /// They never go.
    Drop,
}

/// Does it, and closes the breaker: the stream is free again, and counted from zero. Gives how many letters that were; `None` when it held nothing.
pub async fn decide(conn: &mut Connection, stream: Stream, decision: Decision, now: DateTime<Utc>) -> Result<Option<u64>> {
    ensure!(stream.is_watched(), "no breaker watches over {}", stream.name());
    let closed =
        sqlx::query!("update breaker set tripped_at = null, told_at = null, passed = null where stream = $1 and tripped_at is not null", stream.name())
            .execute(&mut *conn)
            .await?;
    sqlx::query!("delete from passage where stream = $1", stream.name()).execute(&mut *conn).await?;
    // Whoever lets a letter go gives it five days from then.
    let (release, state) = match decision {
        Decision::Release => (true, "queued"),
        Decision::Drop => (false, "dropped"),
    };
    let done = sqlx::query!(
        "with done as (
             update outbox set state = $3, by_breaker = false,
                 next_at = case when $4 then greatest(next_at, $2) else next_at end,
                 released_at = case when $4 then $2 else released_at end,
                 expires_at = case when $4 then greatest(expires_at, $2::timestamptz + interval '5 days') else expires_at end
             where stream = $1 and by_breaker and state = 'held' returning exchange_id)
         update exchange e set outcome = nullif($3, 'queued'), reply = null, ended_at = case when $4 then null else $2 end
         from done where e.id = done.exchange_id",
        stream.name(),
        now,
        state,
        release
    )
    .execute(conn)
    .await?;
    Ok((closed.rows_affected() > 0 || done.rows_affected() > 0).then_some(done.rows_affected()))
}

/// Forgets counts that no window reaches back to.
pub async fn forget_passages(conn: &mut Connection, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!("delete from passage where hour < $1", now - WINDOW - TimeDelta::hours(1)).execute(conn).await?;
    Ok(done.rows_affected())
}
