//! Applications: what a person told us for one round, or for the next one.
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;
use crate::domain::answers::Answers;

/// Where an application stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum State {
    /// Not confirmed yet.
    Draft,
    /// Confirmed by a reply from its mailbox.
    Confirmed,
    /// Taken back.
    Withdrawn,
    /// Its round introduced it, or is over.
    Done,
}

impl State {
    /// Its name, as it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Done => "done",
        }
    }
}

/// One application.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its row.
    pub id: Uuid,
    /// Whose.
    pub person_id: Uuid,
    /// For which round; `None`: the next one.
    pub round_id: Option<Uuid>,
    /// What they told us.
    pub answers: Answers,
    /// Where it stands.
    pub state: State,
}

/// The application of a person that is alive: at most one.
pub async fn find_live(conn: &mut Connection, person: Uuid) -> Result<Option<Application>> {
    let row = sqlx::query!(
        "select id, person_id, round_id, answers, state as \"state: State\" from application where person_id = $1 and state in ('draft', 'confirmed') for update",
        person
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Application {
            id: row.id,
            person_id: row.person_id,
            round_id: row.round_id,
            answers: serde_json::from_value(row.answers).context("answers of another version")?,
            state: row.state,
        })
    })
    .transpose()
}

/// The application under which somebody can be introduced in a round: the living one if it is confirmed and for this round or (in a round that runs) for none,
/// else, in a round that runs, the one that brought them into it.
pub async fn introducible(conn: &mut Connection, person: Uuid, round: Uuid, runs: bool) -> Result<Option<Answers>> {
    let row = sqlx::query_scalar!(
        "select answers from application
         where person_id = $1 and (state = 'confirmed' and (round_id = $2 or $3 and round_id is null) or $3 and state = 'done' and round_id = $2)
         order by state = 'confirmed' desc, updated_at desc, id desc limit 1 for update",
        person,
        round,
        runs
    )
    .fetch_optional(conn)
    .await?;
    row.map(|answers| serde_json::from_value(answers).context("answers of another version")).transpose()
}

/// The answers of a person's latest application, dead or alive: what we know of them.
pub async fn latest_answers(conn: &mut Connection, person: Uuid) -> Result<Option<Answers>> {
    let row = sqlx::query_scalar!("select answers from application where person_id = $1 order by updated_at desc, id desc limit 1", person)
        .fetch_optional(conn)
        .await?;
    row.map(|answers| serde_json::from_value(answers).context("answers of another version")).transpose()
}

/// A new draft; gives its row.
pub async fn insert(conn: &mut Connection, person: Uuid, round: Option<Uuid>, answers: &Answers, now: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "insert into application (id, person_id, round_id, answers, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)",
        id,
        person,
        round,
        serde_json::to_value(answers)?,
        now
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Replaces the answers; a round whose people are being matched is told that they changed.
pub async fn set_answers(conn: &mut Connection, id: Uuid, answers: &Answers, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update application set answers = $2, updated_at = $3 where id = $1", id, serde_json::to_value(answers)?, now).execute(&mut *conn).await?;
    touch_round(conn, id).await
}

/// Confirms; its mailbox is proved by the token that came back.
pub async fn confirm(conn: &mut Connection, id: Uuid, round: Option<Uuid>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update application set state = 'confirmed', round_id = $2, confirmed_at = $3, updated_at = $3 where id = $1", id, round, now)
        .execute(&mut *conn)
        .await?;
    touch_round(conn, id).await
}

/// Takes the living application of a person back; false when there is none.
pub async fn withdraw(conn: &mut Connection, person: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let id = sqlx::query_scalar!(
        "update application set state = 'withdrawn', updated_at = $2 where person_id = $1 and state in ('draft', 'confirmed') returning id",
        person,
        now
    )
    .fetch_optional(&mut *conn)
    .await?;
    match id {
        Some(id) => touch_round(conn, id).await.map(|()| true),
        None => Ok(false),
    }
}

async fn touch_round(conn: &mut Connection, application: Uuid) -> Result<()> {
    sqlx::query!("update round r set version = version + 1 from application a where a.id = $1 and r.id = a.round_id", application).execute(conn).await?;
    Ok(())
}
