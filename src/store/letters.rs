//! The bytes of letters, in and out: of large ones kept in pieces, so that none is held whole by Postgres, nor twice by us; and all forgotten in time.
use std::pin::Pin;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::Connection;

type Step<'a, T> = Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'a>>;

/// From this size on, in octets, a letter is kept in pieces; smaller ones go as a parameter of the one statement that keeps them.
pub const LARGE: usize = 64 << 10;
/// Octets of a piece: with its key it fills a page of Postgres's.
const PIECE: usize = 8000;
/// What is handed over at a time.
const BLOCK: usize = 64 << 10;

/// What stands in a letter's own row: all of it, or nothing of one that is kept in pieces.
pub(super) fn in_row(raw: &[u8]) -> &[u8] {
    if raw.len() < LARGE { raw } else { &[] }
}

/// Writes the pieces of those that are large, in the transaction of the caller. (COPY in its binary format: a head, rows of fields with their lengths, an end.)
pub(super) fn write<'a>(conn: &'a mut Connection, letters: &'a [(Uuid, &'a [u8])]) -> Step<'a, ()> {
    Box::pin(async move {
        if letters.iter().all(|(_, raw)| raw.len() < LARGE) {
            return Ok(());
        }
        let mut copy = conn.copy_in_raw("copy piece (letter_id, place, raw) from stdin (format binary)").await?;
        let mut block = Vec::with_capacity(BLOCK + PIECE + 64);
        block.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        for (id, raw) in letters.iter().filter(|(_, raw)| raw.len() >= LARGE) {
            for (place, piece) in (0_i32..).zip(raw.chunks(PIECE)) {
                block.extend_from_slice(&3_i16.to_be_bytes());
                for field in [id.as_bytes().as_slice(), &place.to_be_bytes(), piece] {
                    block.extend_from_slice(&(field.len() as i32).to_be_bytes());
                    block.extend_from_slice(field);
                }
                if block.len() >= BLOCK {
                    copy.send(block.as_slice()).await?;
                    block.clear();
                }
            }
        }
        block.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(block.as_slice()).await?;
        copy.finish().await?;
        Ok(())
    })
}

/// The whole of a letter, of which its row says so much.
pub async fn whole(conn: &mut Connection, id: Uuid, in_row: Option<Vec<u8>>, size: i32) -> Result<Option<Vec<u8>>> {
    match in_row {
        Some(raw) if raw.is_empty() && size > 0 => read(conn, id, size).await.map(Some),
        Some(raw) => Ok(Some(raw)),
        None => Ok(None),
    }
}

/// A letter that is kept in pieces, put together in one place; what comes is never held besides it.
pub(super) async fn read(conn: &mut Connection, id: Uuid, size: i32) -> Result<Vec<u8>> {
    let size = usize::try_from(size)?;
    let mut raw = Vec::with_capacity(size);
    gather(conn, id, &mut raw).await?;
    ensure!(raw.len() == size, "pieces of the letter {id} are missing");
    Ok(raw)
}

fn gather<'a>(conn: &'a mut Connection, id: Uuid, raw: &'a mut Vec<u8>) -> Step<'a, ()> {
    Box::pin(async move {
        let mut pieces = sqlx::query_scalar!("select raw from piece where letter_id = $1 order by place", id).fetch(conn);
        while let Some(piece) = pieces.try_next().await? {
            raw.extend_from_slice(&piece);
        }
        Ok(())
    })
}

/// Forgets the words of letters that were handled and delivered before `before`, and who brought them; the record stays. Gives how many.
pub async fn drop_words(conn: &mut Connection, before: DateTime<Utc>) -> Result<u64> {
    let out = sqlx::query_scalar!(
        "update outbox set raw = null where raw is not null and state in ('sent', 'failed', 'dropped') and created_at < $1
           and coalesce(sent_at, expires_at) < $1 returning id",
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    let letters = sqlx::query_scalar!(
        "update letter l set raw = null where raw is not null and received_at < $1
           and not exists (select 1 from inbox i where i.letter_id = l.id and i.state <> 'done') returning id",
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    for forgotten in [&out, &letters] {
        sqlx::query!("delete from piece where letter_id = any($1)", forgotten).execute(&mut *conn).await?;
    }
    sqlx::query!(
        "update inbox set reverse_path = null, peer = '', helo = '', fingerprint = null where state = 'done' and received_at < $1 and peer <> ''",
        before
    )
    .execute(conn)
    .await?;
    Ok((out.len() + letters.len()) as u64)
}
