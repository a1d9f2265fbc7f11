//! What the relay needs: who stands on both sides of an alias, and which identifiers of letters the two know them by.
use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;

/// What became of a letter that was passed on, in the record.
pub const RELAYED: &str = "relayed";

/// One of the partners, as the relay sees them.
#[derive(Debug, Clone)]
pub struct Party {
    /// The person.
    pub person_id: Uuid,
    /// The local part under which the others write to them.
    pub alias: String,
}

/// Everybody in a partnership.
pub async fn parties(conn: &mut Connection, partnership: Uuid) -> Result<Vec<Party>> {
    Ok(sqlx::query_as!(Party, "select person_id, alias from partner where partnership_id = $1 order by person_id", partnership).fetch_all(conn).await?)
}

/// Whether the partners write to each other: introduced, and not over.
pub async fn runs(conn: &mut Connection, partnership: Uuid) -> Result<bool> {
    let state = sqlx::query_scalar!("select state from partnership where id = $1", partnership).fetch_optional(conn).await?;
    Ok(state.is_some_and(|state| state == "introduced"))
}

/// Letters of `writer` to `mailbox` that were passed on since `since`. Those that were refused or wait for proof don't count: anybody can write them in
/// the writer's name.
pub async fn passed_on_since(conn: &mut Connection, writer: Uuid, mailbox: &str, since: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "select count(*) as \"n!\" from exchange where address_id = $1 and direction = 'in' and mailbox = $2 and at > $3 and outcome = $4",
        writer,
        mailbox,
        since,
        RELAYED
    )
    .fetch_one(conn)
    .await?)
}

/// How the other side knows these letters: a writer's own as we passed them on, the other's own as they wrote them. Unknown ones are absent.
pub async fn translate(conn: &mut Connection, partnership: Uuid, ids: &[String]) -> Result<HashMap<String, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "select original_id as \"known!\", relayed_id as \"other!\" from relayed where partnership_id = $1 and original_id = any($2)
         union all select relayed_id, original_id from relayed where partnership_id = $1 and relayed_id = any($2)",
        partnership,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.known, row.other)).collect())
}

/// Remembers under which identifier a letter was passed on.
pub async fn remember(conn: &mut Connection, partnership: Uuid, original_id: &str, relayed_id: &str) -> Result<()> {
    sqlx::query!(
        "insert into relayed (partnership_id, original_id, relayed_id) values ($1, $2, $3) on conflict do nothing",
        partnership,
        original_id,
        relayed_id
    )
    .execute(conn)
    .await?;
    Ok(())
}
