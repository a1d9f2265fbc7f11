//! Partnerships: proposed by a match, introduced, ended; and the aliases under which partners write to each other.
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Connection,
    proposals::{self, Reason},
};
use crate::domain::matching::Side;

/// Where a partnership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum State {
    /// A match says so; nobody but coordinators knows.
    Proposed,
    /// The partners know each other; letters pass.
    Introduced,
    /// Over; letters don't pass.
    Ended,
}

/// One partner of a partnership that is not stored yet.
#[derive(Debug)]
pub struct NewPartner {
    /// The person.
    pub person_id: Uuid,
    /// The local part under which the others write to them.
    pub alias: String,
    /// The match as they see it.
    pub side: Side,
}

/// One of the partners.
#[derive(Debug, Clone, Serialize)]
pub struct Partner {
    /// The person.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: Option<String>,
    /// The local part under which the others write to them.
    pub alias: String,
    /// The match as they see it.
    pub side: Side,
}

/// A partnership of two, or of three.
#[derive(Debug, Clone, Serialize)]
pub struct Partnership {
    /// Its row.
    pub id: Uuid,
    /// Where it stands.
    pub state: State,
    /// What it is worth to the match.
    pub score: i64,
    /// The partners, by their rows.
    pub partners: Vec<Partner>,
}

/// Stores a proposed partnership; gives its row.
pub async fn insert(conn: &mut Connection, round: Uuid, score: i64, partners: &[NewPartner], now: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!("insert into partnership (id, round_id, score, created_at) values ($1, $2, $3, $4)", id, round, score, now).execute(&mut *conn).await?;
    for partner in partners {
        sqlx::query!(
            "insert into partner (partnership_id, person_id, alias, side) values ($1, $2, $3, $4)",
            id,
            partner.person_id,
            partner.alias,
            serde_json::to_value(&partner.side)?
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(id)
}

/// Forgets what was proposed for a round: nobody was told of it.
pub async fn drop_proposed(conn: &mut Connection, round: Uuid) -> Result<u64> {
    Ok(sqlx::query!("delete from partnership where round_id = $1 and state = 'proposed'", round).execute(conn).await?.rows_affected())
}

/// Forgets one that was proposed.
async fn drop_one(conn: &mut Connection, partnership: Uuid) -> Result<()> {
    sqlx::query!("delete from partnership where id = $1 and state = 'proposed'", partnership).execute(conn).await?;
    Ok(())
}

/// Takes one out of three who were proposed to each other.
async fn drop_partner(conn: &mut Connection, partnership: Uuid, person: Uuid) -> Result<()> {
    sqlx::query!(
        "delete from partner w using partnership p where p.id = w.partnership_id and p.state = 'proposed' and w.partnership_id = $1 and w.person_id = $2",
        partnership,
        person
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The partnerships of a round, the best first. With `limit`, only so many of those that wait for their introduction.
pub async fn of_round(conn: &mut Connection, round: Uuid, limit: Option<i64>) -> Result<Vec<Partnership>> {
    let rows = sqlx::query!(
        "with chosen as (
             select id, state, score from partnership where round_id = $1 and ($2::bigint is null or state = 'proposed') order by score desc, id limit $2)
         select s.id, s.state as \"state: State\", s.score, w.person_id, p.name, w.alias, w.side
         from chosen s join partner w on w.partnership_id = s.id join person p on p.id = w.person_id
         order by s.score desc, s.id, w.person_id",
        round,
        limit
    )
    .fetch_all(conn)
    .await?;
    let mut partnerships: Vec<Partnership> = Vec::new();
    for row in rows {
        let partner = Partner { person_id: row.person_id, name: row.name, alias: row.alias, side: side(row.side)? };
        match partnerships.last_mut().filter(|last| last.id == row.id) {
            Some(last) => last.partners.push(partner),
            None => partnerships.push(Partnership { id: row.id, state: row.state, score: row.score, partners: vec![partner] }),
        }
    }
    Ok(partnerships)
}

fn side(value: Value) -> Result<Side> {
    serde_json::from_value(value).context("a partner's side of another version")
}

/// Letters that introductions of a round come to: those of partnerships introduced already, and all. With the moment of the first.
pub async fn letters(conn: &mut Connection, round: Uuid) -> Result<(usize, usize, Option<DateTime<Utc>>)> {
    let row = sqlx::query!(
        "select count(*) filter (where p.state <> 'proposed') as \"sent!\", count(*) as \"total!\", min(p.introduced_at) as first
         from partnership p join partner w on w.partnership_id = p.id where p.round_id = $1",
        round
    )
    .fetch_one(conn)
    .await?;
    Ok((usize::try_from(row.sent)?, usize::try_from(row.total)?, row.first))
}

/// The partners know each other from now on; false when they did already.
pub async fn introduce(conn: &mut Connection, partnership: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!("update partnership set state = 'introduced', introduced_at = $2 where id = $1 and state = 'proposed'", partnership, now)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends one partnership; false when it was not under way.
pub async fn end(conn: &mut Connection, partnership: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done =
        sqlx::query!("update partnership set state = 'ended', ended_at = $2 where id = $1 and state = 'introduced'", partnership, now).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Ends what is under way in a round; gives the people, each once.
pub async fn end_of_round(conn: &mut Connection, round: Uuid, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!(
        "with over as (update partnership set state = 'ended', ended_at = $2 where round_id = $1 and state = 'introduced' returning id)
         select distinct w.person_id from over join partner w on w.partnership_id = over.id order by w.person_id",
        round,
        now
    )
    .fetch_all(conn)
    .await?)
}

/// Ends everything that a person has with others: what is under way ends (gives the partners, who will want to be told), what is only proposed is forgotten,
/// and whoever loses a partner by that, unknown to them, counts as left over.
pub async fn end_all(conn: &mut Connection, person: Uuid, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let partners = sqlx::query_scalar!(
        "with over as (
             update partnership p set state = 'ended', ended_at = $2 from partner w
             where w.partnership_id = p.id and w.person_id = $1 and p.state = 'introduced' returning p.id)
         select distinct o.person_id from over join partner o on o.partnership_id = over.id where o.person_id <> $1 order by o.person_id",
        person,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let proposed = sqlx::query!(
        "select p.id, p.round_id, array(select o.person_id from partner o where o.partnership_id = p.id and o.person_id <> $1) as \"others!\"
         from partnership p join partner w on w.partnership_id = p.id where w.person_id = $1 and p.state = 'proposed'",
        person
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in proposed {
        withdraw(conn, row.round_id, row.id, &[person], &row.others).await?;
    }
    Ok(partners)
}

/// Why somebody has no partner whose partner-to-be can't take part after all; to follow "because".
pub const PARTNER_WITHDREW: &str = "the person whom we had found for you could not take part after all";

/// Takes people out of a partnership that was only proposed; where fewer than two remain it is forgotten, and who remains counts as left over. Gives
/// whether it still stands.
pub async fn withdraw(conn: &mut Connection, round: Uuid, partnership: Uuid, gone: &[Uuid], remaining: &[Uuid]) -> Result<bool> {
    if remaining.len() > 1 {
        for person in gone {
            drop_partner(conn, partnership, *person).await?;
        }
        return Ok(true);
    }
    drop_one(conn, partnership).await?;
    for person in remaining {
        proposals::add_unmatched(conn, round, &Reason { person_id: *person, why: PARTNER_WITHDREW.to_owned(), witness: None }).await?;
    }
    Ok(false)
}

/// A partner whom somebody writes to now.
#[derive(Debug, Clone)]
pub struct Current {
    /// The partnership.
    pub partnership_id: Uuid,
    /// The partner.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: String,
    /// The local part under which they are written to.
    pub alias: String,
}

/// The partners whom a person writes to now.
pub async fn current(conn: &mut Connection, person: Uuid) -> Result<Vec<Current>> {
    Ok(sqlx::query_as!(
        Current,
        "select o.partnership_id, o.person_id, coalesce(n.name, 'friend') as \"name!\", o.alias
         from partner w join partnership p on p.id = w.partnership_id join partner o on o.partnership_id = p.id and o.person_id <> w.person_id
         join person n on n.id = o.person_id
         where w.person_id = $1 and p.state = 'introduced' order by p.introduced_at, o.person_id",
        person
    )
    .fetch_all(conn)
    .await?)
}

/// Who among these people were ever introduced to each other, in whichever round.
pub async fn history(conn: &mut Connection, people: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>> {
    let rows = sqlx::query!(
        "select distinct a.person_id as a, b.person_id as b
         from partner a join partner b on b.partnership_id = a.partnership_id and a.person_id < b.person_id join partnership p on p.id = a.partnership_id
         where p.state <> 'proposed' and a.person_id = any($1) and b.person_id = any($1) order by 1, 2",
        people
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.a, row.b)).collect())
}

/// Who is with whom in a round, in the partnerships of a state in which one of these people at least is a partner; of three partners each two.
pub async fn pairs(conn: &mut Connection, round: Uuid, state: State, people: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>> {
    let rows = sqlx::query!(
        "select a.person_id as a, b.person_id as b
         from partnership p join partner a on a.partnership_id = p.id join partner b on b.partnership_id = p.id and a.person_id < b.person_id
         where p.round_id = $1 and p.state = $2 and (a.person_id = any($3) or b.person_id = any($3)) order by 1, 2",
        round,
        state as State,
        people
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.a, row.b)).collect())
}
