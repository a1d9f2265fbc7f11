//! Rounds, and who is in them.
use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Connection, applications};
use crate::domain::{
    answers::Answers,
    round::{Days, Round, State},
};

/// A round that is not stored yet.
#[derive(Debug)]
pub struct NewRound<'a> {
    /// Its name, which no other round has.
    pub name: &'a str,
    /// Its days.
    pub days: Days,
    /// People it takes at most.
    pub capacity: Option<u32>,
    /// The calendar approves when nobody did.
    pub self_approve: bool,
    /// Decides between equally good matches.
    pub seed: u64,
}

/// A round's columns.
struct Row {
    id: Uuid,
    name: String,
    opens_on: NaiveDate,
    closes_on: NaiveDate,
    match_on: NaiveDate,
    introduce_on: NaiveDate,
    ends_on: NaiveDate,
    capacity: Option<i32>,
    self_approve: bool,
    state: String,
    seed: i64,
    version: i32,
    rematched_on: Option<NaiveDate>,
}

impl TryFrom<Row> for Round {
    type Error = anyhow::Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            days: Days { opens_on: row.opens_on, closes_on: row.closes_on, match_on: row.match_on, introduce_on: row.introduce_on, ends_on: row.ends_on },
            capacity: row.capacity.map(u32::try_from).transpose()?,
            self_approve: row.self_approve,
            state: State::read(&row.state).context("a round's state of another version")?,
            seed: row.seed as u64,
            version: row.version,
            rematched_on: row.rematched_on,
        })
    }
}

/// Adds a round; `None` when its name is taken. The days must have been checked.
pub async fn insert(conn: &mut Connection, round: &NewRound<'_>, now: DateTime<Utc>) -> Result<Option<Uuid>> {
    let Days { opens_on, closes_on, match_on, introduce_on, ends_on } = round.days;
    Ok(sqlx::query_scalar!(
        "insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, seed, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (name) do nothing returning id",
        Uuid::now_v7(),
        round.name,
        opens_on,
        closes_on,
        match_on,
        introduce_on,
        ends_on,
        round.capacity.map(i32::try_from).transpose().context("a round's capacity is beyond all measure")?,
        round.self_approve,
        round.seed as i64,
        now
    )
    .fetch_optional(conn)
    .await?)
}

/// All rounds, the earliest first.
pub async fn list(conn: &mut Connection) -> Result<Vec<Round>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round order by opens_on, id"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Round::try_from).collect()
}

/// A round by its name (in any case), or by its row.
pub async fn find(conn: &mut Connection, name_or_id: &str) -> Result<Option<Round>> {
    let id = Uuid::parse_str(name_or_id.trim()).ok();
    let row = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round
         where id = $1 or lower(name) = lower($2) order by id = $1 desc, name = $2 desc limit 1",
        id,
        name_or_id.trim()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Round::try_from).transpose()
}

/// A round, locked for this transaction: of two processes that would do something with it, the second sees what the first has done.
pub async fn lock(conn: &mut Connection, id: Uuid) -> Result<Round> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round where id = $1 for update",
        id
    )
    .fetch_optional(conn)
    .await?;
    row.with_context(|| format!("there is no round {id} any more"))?.try_into()
}

/// The open rounds, each with the number of people it has.
pub async fn open(conn: &mut Connection) -> Result<Vec<(Round, usize)>> {
    let mut open = Vec::new();
    for round in list(conn).await?.into_iter().filter(|round| round.state == State::Open) {
        let taken = taken(conn, round.id).await?;
        open.push((round, taken));
    }
    Ok(open)
}

/// The people of a round whose application is confirmed.
pub async fn taken(conn: &mut Connection, round: Uuid) -> Result<usize> {
    let count = sqlx::query_scalar!("select count(*) as \"n!\" from application where round_id = $1 and state = 'confirmed'", round).fetch_one(conn).await?;
    Ok(usize::try_from(count)?)
}

/// The next round that will open.
pub async fn next_planned(conn: &mut Connection) -> Result<Option<Round>> {
    Ok(list(conn).await?.into_iter().find(|round| round.state == State::Planned))
}

/// Moves a round to a state. Whether it may be moved is the rules' business.
pub async fn set_state(conn: &mut Connection, id: Uuid, state: State) -> Result<()> {
    sqlx::query!("update round set state = $2 where id = $1", id, state.name()).execute(conn).await?;
    Ok(())
}

/// An application, and whose it is.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The application.
    pub application_id: Uuid,
    /// The person.
    pub person_id: Uuid,
    /// What they told us.
    pub answers: Answers,
}

/// Takes up to `places` (all: `None`) of the confirmed applications that wait for a round into this one: those first whom an earlier round left over, then by
/// the time they were confirmed. People who pause go on waiting.
pub async fn attach_waiting(conn: &mut Connection, round: Uuid, places: Option<usize>) -> Result<Vec<Waiting>> {
    let places = places.map(i64::try_from).transpose()?;
    let rows = sqlx::query!(
        "with first as (
             select a.id from application a join person p on p.id = a.person_id
             where a.state = 'confirmed' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null
             order by a.left_over desc, a.confirmed_at, a.id limit $2 for update of a)
         update application a set round_id = $1 from first where a.id = first.id returning a.id, a.person_id, a.answers",
        round,
        places
    )
    .fetch_all(&mut *conn)
    .await?;
    if !rows.is_empty() {
        sqlx::query!("update round set version = version + 1 where id = $1", round).execute(conn).await?;
    }
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

/// The applications that wait for a round and are not confirmed, from people who don't pause; from now on they belong to this one.
pub async fn attach_drafts(conn: &mut Connection, round: Uuid) -> Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "update application a set round_id = $1 from person p
         where p.id = a.person_id and a.state = 'draft' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null
         returning a.id, a.person_id, a.answers",
        round
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

/// The people with a confirmed application who still wait for a round.
pub async fn still_waiting(conn: &mut Connection) -> Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "select a.id, a.person_id, a.answers from application a join person p on p.id = a.person_id
         where a.state = 'confirmed' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null order by a.id"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

fn waiting(application_id: Uuid, person_id: Uuid, answers: Value) -> Result<Waiting> {
    Ok(Waiting { application_id, person_id, answers: serde_json::from_value(answers).context("answers of another version")? })
}

/// Applications for a round that were not confirmed in time wait for the next one.
pub async fn release_drafts(conn: &mut Connection, round: Uuid) -> Result<u64> {
    Ok(sqlx::query!("update application set round_id = null where round_id = $1 and state = 'draft'", round).execute(conn).await?.rows_affected())
}

/// The rounds that run, the one that ends last first.
pub async fn running(conn: &mut Connection) -> Result<Vec<Round>> {
    let mut running: Vec<Round> = list(conn).await?.into_iter().filter(|round| round.state == State::Running).collect();
    running.sort_by_key(|round| (std::cmp::Reverse(round.days.ends_on), round.id));
    Ok(running)
}

/// Somebody in a round, for coordinators.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// The person.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: Option<String>,
    /// Where their application stands.
    pub state: applications::State,
    /// What they told us.
    pub answers: Answers,
    /// They pause, so they are not matched.
    pub paused: bool,
    /// They left.
    pub left: bool,
    /// Their mailbox is dead.
    pub unreachable: bool,
}

/// Everybody who applied for a round.
pub async fn applicants(conn: &mut Connection, round: Uuid) -> Result<Vec<Applicant>> {
    let rows = sqlx::query!(
        "select p.id, p.name, a.state as \"state: applications::State\", a.answers, p.paused_at is not null as \"paused!\", p.left_at is not null as \"left!\",
             d.email is null or d.suppressed_at is not null as \"unreachable!\"
         from application a join person p on p.id = a.person_id left join address d on d.person_id = p.id and d.is_primary
         where a.round_id = $1 order by p.name, p.id",
        round
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let answers = serde_json::from_value(row.answers).context("answers of another version")?;
            Ok(Applicant { person_id: row.id, name: row.name, state: row.state, answers, paused: row.paused, left: row.left, unreachable: row.unreachable })
        })
        .collect()
}

/// The confirmed applications of a round whose people have been introduced to a partner are done.
pub async fn finish_introduced(conn: &mut Connection, round: Uuid, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "update application a set state = 'done', updated_at = $2
         where a.round_id = $1 and a.state = 'confirmed' and exists (
             select 1 from partner w join partnership p on p.id = w.partnership_id
             where w.person_id = a.person_id and p.round_id = $1 and p.state = 'introduced')",
        round,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The confirmed applications that a round leaves behind wait for the next one: of those who could have been matched (gives them) ahead of all others.
pub async fn requeue(conn: &mut Connection, round: Uuid, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let rows = sqlx::query!(
        "update application a set round_id = null, updated_at = $2, left_over = a.left_over + case when p.paused_at is null then 1 else 0 end
         from person p where p.id = a.person_id and a.round_id = $1 and a.state = 'confirmed'
         returning a.person_id, p.paused_at is null and p.left_at is null as \"left_over!\"",
        round,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.left_over).map(|row| row.person_id).collect())
}

/// The living application of somebody who has been introduced to a partner while a round ran is done.
pub async fn finish_late(conn: &mut Connection, round: Uuid, person: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update application set state = 'done', round_id = $1, updated_at = $3 where person_id = $2 and state = 'confirmed'", round, person, now)
        .execute(conn)
        .await?;
    Ok(())
}
