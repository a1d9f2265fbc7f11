//! Made-up people for load tests, by the thousand in a few statements.
use anyhow::Result;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;

/// Whether there is anybody but people whom this file made.
pub async fn holds_anybody_else(conn: &mut Connection) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select 1 from address where email_key is not null and email_key not like '%@sender.example' and email_key not like '%@partner.example')
             or exists (select 1 from person p where not exists (select 1 from address a where a.person_id = p.id)) as \"is!\""
    )
    .fetch_one(conn)
    .await?)
}

/// Partnerships n = 0… of `sender{n}@sender.example` and `partner{n}@partner.example`: the first reaches the second at `alias{n}`, the second the first at
/// `back{n}`, until `ends`.
pub async fn relay(conn: &mut Connection, pairs: u32, now: DateTime<Utc>, ends: DateTime<Utc>) -> Result<()> {
    let round = Uuid::now_v7();
    sqlx::query!(
        "insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, state, seed, created_at)
         values ($1, $5, $2, $2, $2, $2, $3, 'running', 0, $4)",
        round,
        now.date_naive(),
        ends.date_naive(),
        now,
        format!("load test {round}")
    )
    .execute(&mut *conn)
    .await?;
    people(conn, "Sender", "sender", "sender.example", pairs, now).await?;
    people(conn, "Partner", "partner", "partner.example", pairs, now).await?;
    sqlx::query!(
        "with made as (
             select n, gen_random_uuid() as id, s.person_id as sender, p.person_id as partner from generate_series(0, $2 - 1) n
             join address s on s.email_key = 'sender' || n || '@sender.example'
             join address p on p.email_key = 'partner' || n || '@partner.example'),
         paired as (
             insert into partnership (id, round_id, state, score, introduced_at, created_at) select id, $1, 'introduced', 0, $3, $3 from made returning id)
         insert into partner (partnership_id, person_id, alias, side)
         select m.id, who.person, who.alias, '{}'::jsonb from made m join paired using (id)
         cross join lateral (values (m.sender, 'back' || m.n), (m.partner, 'alias' || m.n)) as who (person, alias)",
        round,
        i32::try_from(pairs)?,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Subscribers `m{n}@partner.example` of the monthly topics.
pub async fn list(conn: &mut Connection, subscribers: u32, now: DateTime<Utc>) -> Result<()> {
    people(conn, "Member", "m", "partner.example", subscribers, now).await?;
    sqlx::query!(
        "insert into subscription (person_id, confirmed_at)
         select a.person_id, $1 from address a where a.email_key ~ '^m[0-9]+@partner.example$' on conflict do nothing",
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn people(conn: &mut Connection, name: &str, local: &str, domain: &str, count: u32, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with made as (select n, gen_random_uuid() as person, gen_random_uuid() as address from generate_series(0, $5 - 1) n),
         persons as (insert into person (id, name, created_at) select person, $1 || ' ' || n, $4 from made returning id)
         insert into address (id, person_id, email, email_key, is_primary, proven_at, created_at)
         select m.address, m.person, $2 || m.n || '@' || $3, $2 || m.n || '@' || $3, true, $4, $4 from made m join persons p on p.id = m.person",
        name,
        local,
        domain,
        now,
        i32::try_from(count)?
    )
    .execute(conn)
    .await?;
    Ok(())
}
