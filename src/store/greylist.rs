//! Who has written to whom before: network, reverse-path and recipient under one hash, shared by all processes.
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};

use super::Connection;

/// Days that a triple which came again is remembered.
const REMEMBERED_DAYS: i64 = 36;
/// Hours in which a triple must come again, or it begins anew.
const HOURS_TO_COME_AGAIN: i64 = 48;

/// Notes that the triple came; gives when it came first. By itself a transaction.
pub async fn note(conn: &mut Connection, triple: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar!(
        "insert into greylist as known (triple, first_at, last_at) values ($1, $2, $2)
         on conflict (triple) do update set last_at = excluded.last_at,
             first_at = case when known.last_at < $3 and known.last_at = known.first_at then excluded.first_at else known.first_at end
         returning first_at",
        triple,
        now,
        now - TimeDelta::hours(HOURS_TO_COME_AGAIN)
    )
    .fetch_one(conn)
    .await?)
}

/// Forgets triples that have not come for long; gives how many.
pub async fn forget(conn: &mut Connection, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "delete from greylist where last_at < $1 or (last_at < $2 and last_at = first_at)",
        now - TimeDelta::days(REMEMBERED_DAYS),
        now - TimeDelta::hours(HOURS_TO_COME_AGAIN)
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
