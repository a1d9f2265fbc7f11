//! Letters that could not be handled, or over whose sending the process ended too often, and that are not tried again by themselves: counted, told of, begun
//! anew.
use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, ownership::DEATHS};

/// A letter that failed, as the operator is told of it.
#[derive(Debug)]
pub struct Failed {
    /// Its row.
    pub id: Uuid,
    /// What it came for.
    pub kind: String,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// When it was set aside.
    pub failed_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub attempts: i16,
    /// How many processes ended over it.
    pub deaths: i16,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// The letters that failed and that nobody was told of yet, the oldest first; from now on they are told.
pub async fn tell(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Failed>> {
    let mut failed = sqlx::query_as!(
        Failed,
        "update inbox i set told_at = $1 from exchange e where e.id = i.exchange_id and i.state = 'failed' and i.told_at is null
         returning i.id, e.kind, i.received_at, e.ended_at as failed_at, i.attempts, i.deaths, i.last_error",
        now
    )
    .fetch_all(conn)
    .await?;
    failed.sort_by_key(|letter| letter.id);
    Ok(failed)
}

/// Letters that failed and wait for a person.
pub async fn count(conn: &mut Connection) -> Result<i64> {
    Ok(sqlx::query_scalar!("select count(*) as \"n!\" from inbox where state = 'failed'").fetch_one(conn).await?)
}

/// Letters out over which the process ended too often, and that wait for a person; [`super::orders::order`] begins one anew.
pub async fn count_set_aside(conn: &mut Connection) -> Result<i64> {
    // The index knows of deaths at all; one that was refused after a death is not set aside.
    let query = sqlx::query_scalar!("select count(*) as \"n!\" from outbox where state = 'failed' and deaths > 0 and deaths >= $1::integer", DEATHS);
    Ok(query.fetch_one(conn).await?)
}

/// A letter of ours that was set aside, as the operator is told of it.
#[derive(Debug)]
pub struct SetAside {
    /// Its row.
    pub id: Uuid,
    /// What kind of letter.
    pub kind: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was set aside.
    pub ended_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub attempts: i16,
    /// How many processes ended over it.
    pub deaths: i16,
}

/// The letters out that were set aside and that nobody was told of yet, the oldest first; from now on they are told. Not those about such letters: their
/// own might be the next to end a process.
pub async fn tell_set_aside(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<SetAside>> {
    let mut set_aside = sqlx::query_as!(
        SetAside,
        "update outbox o set told_at = $1 from exchange e
         where e.id = o.exchange_id and o.state = 'failed' and o.deaths > 0 and o.deaths >= $2::integer and o.told_at is null and o.stream <> 'alarms'
         returning o.id, o.kind, o.created_at, e.ended_at, o.attempts, o.deaths",
        now,
        DEATHS
    )
    .fetch_all(conn)
    .await?;
    set_aside.sort_by_key(|letter| letter.id);
    Ok(set_aside)
}

/// Begins a failed letter anew: with a clean count, and told of again should it fail again. False when it is not failed.
pub async fn retry(conn: &mut Connection, id: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "with again as (
             update inbox set state = 'pending', attempts = 0, deaths = 0, next_at = $2, owner = null, told_at = null where id = $1 and state = 'failed'
             returning exchange_id)
         update exchange e set outcome = null, ended_at = null from again where e.id = again.exchange_id",
        id,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
