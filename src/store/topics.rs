//! Monthly topics, and their sendings: a cursor over everybody who wants them.
use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::Connection;
use crate::domain::{address::EmailAddress, topic::NewTopic};

/// Where a topic stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, sqlx::Type)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "text", rename_all = "kebab-case")]
pub enum State {
    /// Written, no day yet.
    Draft,
    /// Goes out on its day.
    Scheduled,
    /// Is going out.
    Sending,
    /// Went out.
    Sent,
}

/// A topic.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Topic {
    /// Its row.
    pub id: Uuid,
    /// Its name in commands.
    pub slug: String,
    /// The letter's subject.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The day it goes out.
    pub send_on: Option<NaiveDate>,
    /// Where it stands.
    pub state: State,
    /// When its last letter was queued.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Adds a topic; `None` when its slug is taken.
pub async fn insert(conn: &mut Connection, topic: &NewTopic, now: DateTime<Utc>) -> Result<Option<Uuid>> {
    let state = if topic.send_on.is_some() { State::Scheduled } else { State::Draft };
    Ok(sqlx::query_scalar!(
        "insert into topic (id, slug, title, body, send_on, state, created_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict (slug) do nothing returning id",
        Uuid::now_v7(),
        topic.slug,
        topic.title,
        topic.body,
        topic.send_on,
        state as State,
        now
    )
    .fetch_optional(conn)
    .await?)
}

/// All topics, the next to go out first.
pub async fn list(conn: &mut Connection) -> Result<Vec<Topic>> {
    Ok(sqlx::query_as!(Topic, "select id, slug, title, body, send_on, state as \"state: State\", sent_at from topic order by send_on nulls last, slug")
        .fetch_all(conn)
        .await?)
}

/// A topic by its slug.
pub async fn find(conn: &mut Connection, slug: &str) -> Result<Option<Topic>> {
    Ok(sqlx::query_as!(Topic, "select id, slug, title, body, send_on, state as \"state: State\", sent_at from topic where slug = $1", slug)
        .fetch_optional(conn)
        .await?)
}

/// Sets the day a topic goes out; false when it went out already, or is unknown.
pub async fn schedule(conn: &mut Connection, slug: &str, day: NaiveDate) -> Result<bool> {
    let done =
        sqlx::query!("update topic set send_on = $2, state = 'scheduled' where slug = $1 and state in ('draft', 'scheduled')", slug, day).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Begins the sending of a topic; false when it began before.
pub async fn start(conn: &mut Connection, topic: Uuid, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!("update topic set state = 'sending' where id = $1 and state in ('draft', 'scheduled')", topic).execute(&mut *conn).await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!("insert into sending (id, kind, subject_id, created_at) values ($1, 'topic', $2, $3)", Uuid::now_v7(), topic, now).execute(conn).await?;
    Ok(true)
}

/// Notes that somebody sent a topic with a command: its letters are expected, whatever else went out within the day.
pub async fn mark_by_hand(conn: &mut Connection, topic: Uuid) -> Result<()> {
    sqlx::query!("update sending set by_hand = true where kind = 'topic' and subject_id = $1", topic).execute(conn).await?;
    Ok(())
}

/// The topics whose day has come.
pub async fn due(conn: &mut Connection, today: NaiveDate) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!("select id from topic where state = 'scheduled' and send_on <= $1 order by send_on, slug", today).fetch_all(conn).await?)
}

/// A sending under way, locked for this transaction: no second process writes the same batch.
#[derive(Debug)]
pub struct Batch {
    /// Its row.
    pub sending: Uuid,
    /// What is sent.
    pub topic: Topic,
    /// To whom, next.
    pub readers: Vec<Reader>,
}

/// Somebody who gets a topic.
#[derive(Debug)]
pub struct Reader {
    /// The person.
    pub person_id: Uuid,
    /// How they are called.
    pub name: Option<String>,
    /// Their language.
    pub language: String,
    /// Their mailbox's row.
    pub address_id: Uuid,
    /// Their mailbox.
    pub email: Option<EmailAddress>,
}

/// The next `limit` readers of a sending that is not finished; `None` when there is no such sending, or another process is at it.
pub async fn next_batch(conn: &mut Connection, limit: i64) -> Result<Option<Batch>> {
    let Some(sending) = sqlx::query!(
        "select id, subject_id, after_id from sending where kind = 'topic' and finished_at is null order by created_at limit 1 for update skip locked"
    )
    .fetch_optional(&mut *conn)
    .await?
    else {
        return Ok(None);
    };
    let topic =
        sqlx::query_as!(Topic, "select id, slug, title, body, send_on, state as \"state: State\", sent_at from topic where id = $1", sending.subject_id)
            .fetch_one(&mut *conn)
            .await?;
    // The cursor is said of each table: none is read from its beginning to be merged with the others.
    let rows = sqlx::query!(
        "select p.id, p.name, p.language, a.id as address_id, a.email
         from subscription s join person p on p.id = s.person_id join address a on a.person_id = p.id and a.is_primary
         where s.left_at is null and p.paused_at is null and a.suppressed_at is null and a.email is not null
           and p.id > $1 and s.person_id > $1 and a.person_id > $1
         order by p.id limit $2",
        sending.after_id.unwrap_or_default(),
        limit
    )
    .fetch_all(conn)
    .await?;
    let readers = rows
        .into_iter()
        .map(|row| Reader {
            person_id: row.id,
            name: row.name,
            language: row.language,
            address_id: row.address_id,
            email: row.email.and_then(|email| EmailAddress::parse(&email).ok()),
        })
        .collect();
    Ok(Some(Batch { sending: sending.id, topic, readers }))
}

/// Moves the cursor behind `last`.
pub async fn advance(conn: &mut Connection, sending: Uuid, last: Uuid, count: i32) -> Result<()> {
    sqlx::query!("update sending set after_id = $2, enqueued = enqueued + $3 where id = $1", sending, last, count).execute(conn).await?;
    Ok(())
}

/// Everybody has it.
pub async fn finish(conn: &mut Connection, sending: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with done as (update sending set finished_at = $2 where id = $1 returning subject_id)
         update topic t set state = 'sent', sent_at = $2 from done where t.id = done.subject_id",
        sending,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many letters of a topic were queued.
pub async fn enqueued(conn: &mut Connection, topic: Uuid) -> Result<i32> {
    Ok(sqlx::query_scalar!("select coalesce(sum(enqueued), 0)::integer as \"n!\" from sending where subject_id = $1", topic).fetch_one(conn).await?)
}

/// Takes back the topics that wait in the outbox for a person who leaves.
pub async fn drop_waiting(conn: &mut Connection, person: Uuid, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "with gone as (
             update outbox o set state = 'dropped' from address a
             where a.id = o.address_id and a.person_id = $1 and o.sending_id is not null and o.state in ('queued', 'held') and o.owner is null
             returning o.exchange_id)
         update exchange e set outcome = 'dropped: they left before', ended_at = $2 from gone where e.id = gone.exchange_id",
        person,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
