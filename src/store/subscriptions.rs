//! Who gets the monthly topics.
use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;

/// From now on they get the topics; false when they did already.
pub async fn subscribe(conn: &mut Connection, person: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "insert into subscription (person_id, confirmed_at) values ($1, $2)
         on conflict (person_id) do update set confirmed_at = $2, left_at = null where subscription.left_at is not null",
        person,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// From now on they don't, also not the one that is going out; false when they did not before.
pub async fn unsubscribe(conn: &mut Connection, person: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!("update subscription set left_at = $2 where person_id = $1 and left_at is null", person, now).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Whether they get the topics.
pub async fn is_subscribed(conn: &mut Connection, person: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar!("select exists (select 1 from subscription where person_id = $1 and left_at is null) as \"is!\"", person).fetch_one(conn).await?)
}
