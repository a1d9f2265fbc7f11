//! People and their mailboxes.
use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::Connection;
use crate::domain::address::EmailAddress;

/// A person, with the mailbox that our letters go to.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their row.
    pub id: Uuid,
    /// The name they chose to show.
    pub name: Option<String>,
    /// The language of our letters to them (BCP 47).
    pub language: String,
    /// They asked for a pause.
    pub paused_at: Option<DateTime<Utc>>,
    /// The pause ends by itself on this day.
    pub paused_until: Option<NaiveDate>,
    /// They left the programme.
    pub left_at: Option<DateTime<Utc>>,
    /// Where our letters go; `None` once erased.
    pub email: Option<EmailAddress>,
    /// Its row.
    pub address_id: Uuid,
}

impl Person {
    /// The name to call them by in a letter of ours.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("friend")
    }
}

/// The row of an address, made if there is none.
pub async fn address_id(conn: &mut Connection, email: &EmailAddress, now: DateTime<Utc>) -> Result<Uuid> {
    let key = email.key();
    if let Some(id) = sqlx::query_scalar!("select id from address where email_key = $1", key).fetch_optional(&mut *conn).await? {
        return Ok(id);
    }
    Ok(sqlx::query_scalar!(
        "insert into address (id, email, email_key, created_at) values ($1, $2, $3, $4)
         on conflict (email_key) do update set email_key = excluded.email_key returning id",
        Uuid::now_v7(),
        email.as_str(),
        key,
        now
    )
    .fetch_one(conn)
    .await?)
}

/// Reads the email of an address row; `None` once it is erased.
pub async fn email(conn: &mut Connection, address_id: Uuid) -> Result<Option<EmailAddress>> {
    let email = sqlx::query_scalar!("select email from address where id = $1", address_id).fetch_one(conn).await?;
    Ok(email.and_then(|email| EmailAddress::parse(&email).ok()))
}

/// A person by their row.
pub async fn find(conn: &mut Connection, id: Uuid) -> Result<Option<Person>> {
    let row = sqlx::query!(
        "select p.id, p.name, p.language, p.paused_at, p.paused_until, p.left_at, a.id as address_id, a.email
         from person p join address a on a.person_id = p.id and a.is_primary where p.id = $1",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Person {
        id: row.id,
        name: row.name,
        language: row.language,
        paused_at: row.paused_at,
        paused_until: row.paused_until,
        left_at: row.left_at,
        email: row.email.and_then(|email| EmailAddress::parse(&email).ok()),
        address_id: row.address_id,
    }))
}

/// Whose mailbox an address row is.
pub async fn person_of(conn: &mut Connection, address_id: Uuid) -> Result<Option<Person>> {
    match sqlx::query_scalar!("select person_id from address where id = $1", address_id).fetch_one(&mut *conn).await? {
        Some(person) => find(conn, person).await,
        None => Ok(None),
    }
}

/// A new person whose primary mailbox this is. The address row must belong to nobody.
pub async fn insert(conn: &mut Connection, address_id: Uuid, now: DateTime<Utc>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query!("insert into person (id, created_at) values ($1, $2)", id, now).execute(&mut *conn).await?;
    sqlx::query!("update address set person_id = $2, is_primary = true where id = $1 and person_id is null", address_id, id).execute(conn).await?;
    Ok(id)
}

/// The person behind an address row, made if there is none yet.
pub async fn ensure(conn: &mut Connection, address_id: Uuid, now: DateTime<Utc>) -> Result<Person> {
    if let Some(person) = person_of(conn, address_id).await? {
        return Ok(person);
    }
    let id = insert(conn, address_id, now).await?;
    find(conn, id).await?.ok_or_else(|| anyhow::anyhow!("person {id} vanished inside its own transaction"))
}

/// Every mailbox we know of a person: none of them may pass the relay.
pub async fn addresses(conn: &mut Connection, person: Uuid) -> Result<Vec<EmailAddress>> {
    let rows = sqlx::query_scalar!("select email as \"email!\" from address where person_id = $1 and email is not null order by is_primary desc, id", person)
        .fetch_all(conn)
        .await?;
    Ok(rows.iter().filter_map(|email| EmailAddress::parse(email).ok()).collect())
}

/// Sets the name that others see.
pub async fn set_name(conn: &mut Connection, person: Uuid, name: &str) -> Result<()> {
    sqlx::query!("update person set name = $2 where id = $1", person, name).execute(conn).await?;
    Ok(())
}

/// Pauses, until a day or until they say otherwise.
pub async fn pause(conn: &mut Connection, person: Uuid, until: Option<NaiveDate>, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update person set paused_at = $2, paused_until = $3 where id = $1", person, now, until).execute(conn).await?;
    Ok(())
}

/// Ends a pause; false when there was none.
pub async fn resume(conn: &mut Connection, person: Uuid) -> Result<bool> {
    let done = sqlx::query!("update person set paused_at = null, paused_until = null where id = $1 and paused_at is not null", person).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

/// Ends the pauses whose day has come; gives the people.
pub async fn resume_due(conn: &mut Connection, today: NaiveDate) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar!("update person set paused_at = null, paused_until = null where paused_until <= $1 returning id", today).fetch_all(conn).await?)
}

/// Notes that a person left, or (`None`) that they are back.
pub async fn set_left(conn: &mut Connection, person: Uuid, at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query!("update person set left_at = $2 where id = $1", person, at).execute(conn).await?;
    Ok(())
}

/// Nothing goes to this mailbox any more: it bounced for good.
pub async fn suppress(conn: &mut Connection, address_id: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update address set suppressed_at = coalesce(suppressed_at, $2) where id = $1", address_id, now).execute(conn).await?;
    Ok(())
}

/// A letter came from this mailbox, so it lives: letters go there again.
pub async fn unsuppress(conn: &mut Connection, address_id: Uuid) -> Result<()> {
    sqlx::query!("update address set suppressed_at = null where id = $1 and suppressed_at is not null", address_id).execute(conn).await?;
    Ok(())
}
