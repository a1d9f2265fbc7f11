//! What the relay needs: who stands on both sides of an alias, and which identifiers of letters the two know them by. All for many letters at once.
use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, people::Person};
use crate::domain::address::EmailAddress;

/// What became of a letter that was passed on, in the record.
pub const RELAYED: &str = "relayed";

/// A partnership, as the relay sees it.
#[derive(Debug, Clone, Default)]
pub struct Circle {
    /// The partners write to each other: they were introduced, and it is not over.
    pub runs: bool,
    /// Two, or three.
    pub members: Vec<Member>,
}

/// One of the partners.
#[derive(Debug, Clone)]
pub struct Member {
    /// The person.
    pub person: Person,
    /// The local part under which the others write to them.
    pub alias: String,
    /// Every mailbox that we know of them, the primary one first: none of them may pass the relay.
    pub addresses: Vec<EmailAddress>,
}

/// These partnerships, by their rows.
pub async fn circles(conn: &mut Connection, partnerships: &[Uuid]) -> Result<HashMap<Uuid, Circle>> {
    let rows = sqlx::query!(
        "select p.id as partnership, p.state = 'introduced' as \"runs!\", r.alias, x.id, x.name, x.language, x.paused_at, x.paused_until, x.left_at,
             a.id as address_id, a.email,
             array(select o.email from address o where o.person_id = x.id and o.email is not null order by o.is_primary desc, o.id) as \"addresses!\"
         from partnership p join partner r on r.partnership_id = p.id join person x on x.id = r.person_id
         join address a on a.person_id = x.id and a.is_primary
         where p.id = any($1) order by p.id, x.id",
        partnerships
    )
    .fetch_all(conn)
    .await?;
    let mut circles = HashMap::<_, Circle>::new();
    for row in rows {
        let circle = circles.entry(row.partnership).or_default();
        circle.runs = row.runs;
        circle.members.push(Member {
            person: Person {
                id: row.id,
                name: row.name,
                language: row.language,
                paused_at: row.paused_at,
                paused_until: row.paused_until,
                left_at: row.left_at,
                email: row.email.and_then(|email| EmailAddress::parse(&email).ok()),
                address_id: row.address_id,
            },
            alias: row.alias,
            addresses: row.addresses.iter().filter_map(|email| EmailAddress::parse(email).ok()).collect(),
        });
    }
    Ok(circles)
}

/// Letters of each writer (an address) to the mailbox beside it that were passed on since `since`. Those that were refused or wait for proof don't count:
/// anybody can write them in the writer's name.
pub async fn passed_on_since(conn: &mut Connection, writers: &[Uuid], mailboxes: &[String], since: DateTime<Utc>) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "select (select count(*) from exchange e where e.address_id = t.writer and e.direction = 'in' and e.mailbox = t.mailbox and e.at > $3 and e.outcome = $4)
             as \"n!\"
         from unnest($1::uuid[], $2::text[]) with ordinality as t (writer, mailbox, place) order by t.place",
        writers,
        mailboxes,
        since,
        RELAYED
    )
    .fetch_all(conn)
    .await?)
}

/// How the other side knows letters, by partnership and identifier: a writer's own as we passed them on, the other's own as they wrote them. Unknown ones
/// are absent. `ids[n]` is looked for in `partnerships[n]`.
pub async fn translate(conn: &mut Connection, partnerships: &[Uuid], ids: &[String]) -> Result<HashMap<(Uuid, String), String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "with asked as (select * from unnest($1::uuid[], $2::text[]) as t (partnership_id, id))
         select r.partnership_id as \"partnership!\", r.original_id as \"known!\", r.relayed_id as \"other!\"
             from asked a join relayed r on r.partnership_id = a.partnership_id and r.original_id = a.id
         union all select r.partnership_id, r.relayed_id, r.original_id from asked a join relayed r on r.partnership_id = a.partnership_id and r.relayed_id = a.id",
        partnerships,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.partnership, row.known), row.other)).collect())
}

/// Remembers under which identifiers letters were passed on: `original_ids[n]`, in `partnerships[n]`, as `relayed_ids[n]`.
pub async fn remember(conn: &mut Connection, partnerships: &[Uuid], original_ids: &[String], relayed_ids: &[String]) -> Result<()> {
    if partnerships.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into relayed (partnership_id, original_id, relayed_id) select * from unnest($1::uuid[], $2::text[], $3::text[]) on conflict do nothing",
        partnerships,
        original_ids,
        relayed_ids
    )
    .execute(conn)
    .await?;
    Ok(())
}
