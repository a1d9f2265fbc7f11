//! What people say of letters of ours that are not sent yet: tried at once, held, let go, dropped; one of them, or all.
use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, exchanges};

/// Holds every due letter that nobody has let go yet (`delivery.mode = "review"`); gives how many.
pub async fn hold_unreviewed(conn: &mut Connection, now: DateTime<Utc>) -> Result<u64> {
    let held = sqlx::query!(
        "with held as (
             update outbox set state = 'held' where state = 'queued' and owner is null and released_at is null and next_at <= $1 returning exchange_id)
         update exchange e set outcome = 'held', ended_at = $1 from held where e.id = held.exchange_id",
        now
    )
    .execute(conn)
    .await?;
    Ok(held.rows_affected())
}

/// What a person at a shell may do with a letter that is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Try it at once; a failed one begins anew.
    Retry,
    /// Keep it back.
    Hold,
    /// Let a held one go.
    Release,
    /// Never send it.
    Drop,
}

/// Does it; false when the letter is not in a state for it, or just on its way.
pub async fn order(conn: &mut Connection, id: Uuid, order: Order, now: DateTime<Utc>) -> Result<bool> {
    let (from, to): (&[&str], &str) = match order {
        Order::Retry => (&["queued", "failed"], "queued"),
        Order::Hold => (&["queued"], "held"),
        Order::Release => (&["held"], "queued"),
        Order::Drop => (&["queued", "held", "failed"], "dropped"),
    };
    let from: Vec<String> = from.iter().map(|state| (*state).to_owned()).collect();
    // Whoever lets a letter go, or begins it anew, gives it five days from then.
    let done = sqlx::query!(
        "with changed as (
             update outbox set state = $3,
                 next_at = case when $3 = 'queued' then $4 else next_at end,
                 attempts = case when state = 'failed' then 0 else attempts end,
                 deaths = case when state = 'failed' then 0 else deaths end,
                 told_at = null,
                 by_breaker = false,
                 released_at = case when $3 = 'queued' then $4 else released_at end,
                 expires_at = case when $3 = 'queued' and state <> 'queued' then greatest(expires_at, $4::timestamptz + interval '5 days') else expires_at end
             where id = $1 and state = any($2) and owner is null and raw is not null returning exchange_id)
         update exchange e set outcome = nullif($3, 'queued'), ended_at = case when $3 <> 'queued' then $4 end
         from changed where e.id = changed.exchange_id",
        id,
        &from,
        to,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Lets every held letter go; gives how many.
pub async fn release_held(conn: &mut Connection, now: DateTime<Utc>) -> Result<u64> {
    let released = sqlx::query!(
        "with gone as (
             update outbox set state = 'queued', by_breaker = false, next_at = greatest(next_at, $1), released_at = $1, expires_at = greatest(expires_at, $1::timestamptz + interval '5 days')
             where state = 'held' returning exchange_id)
         update exchange e set outcome = null, ended_at = null from gone where e.id = gone.exchange_id",
        now
    )
    .execute(conn)
    .await?;
    Ok(released.rows_affected())
}

/// Stops or starts everything that leaves.
pub async fn hold_all(conn: &mut Connection, hold: bool) -> Result<()> {
    sqlx::query!("update installation set hold_all = $1", hold).execute(conn).await?;
    Ok(())
}

/// Letters that are ready to leave, or would be if nothing held them.
pub async fn count_waiting(conn: &mut Connection) -> Result<i64> {
    let counts = exchanges::counts(conn).await?;
    let waits = |queue: &str, state: &str| queue == "outbox" && ["queued", "held"].contains(&state);
    Ok(counts.iter().filter(|(queue, state, _)| waits(queue, state)).map(|(_, _, letters)| letters).sum())
}

/// Whether everything is stopped.
pub async fn is_all_held(conn: &mut Connection) -> Result<bool> {
    Ok(sqlx::query_scalar!("select hold_all from installation").fetch_one(conn).await?)
}
