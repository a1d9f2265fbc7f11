//! The bytes of large letters on their way into the database, a piece at a time: a bound parameter would hold them twice more.
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;

/// From this size on, in octets, a letter is copied in; smaller ones go as a parameter of the one statement that keeps them.
pub const LARGE: usize = 256 << 10;
/// What is handed over at a time.
const PIECE: usize = 64 << 10;
/// Postgres counts microseconds from 2000-01-01.
const EPOCH: i64 = 946_684_800_000_000;

/// Writes the row of a letter, in the transaction of the caller. (COPY in its binary format: a head, fields with their lengths, an end.)
pub async fn copy_in(conn: &mut Connection, id: Uuid, sha256: &[u8], raw: &[u8], size: i32, received_at: DateTime<Utc>) -> sqlx::Result<()> {
    let mut copy = conn.copy_in_raw("copy letter (id, sha256, size, received_at, raw) from stdin (format binary)").await?;
    let mut head = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    head.extend(5i16.to_be_bytes());
    for field in [id.as_bytes().as_slice(), sha256, &size.to_be_bytes(), &(received_at.timestamp_micros() - EPOCH).to_be_bytes()] {
        head.extend((field.len() as i32).to_be_bytes());
        head.extend(field);
    }
    head.extend(size.to_be_bytes());
    let pieces = [head.as_slice()].into_iter().chain(raw.chunks(PIECE)).chain([END]);
    for piece in pieces {
        if let Err(error) = copy.send(piece).await {
            copy.abort("the letter could not be handed over").await?;
            return Err(error);
        }
    }
    copy.finish().await.map(|_| ())
}

/// No further row.
const END: &[u8] = &(-1i16).to_be_bytes();
