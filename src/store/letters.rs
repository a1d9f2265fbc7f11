//! The bytes of letters, in and out: of large ones kept in pieces, so that none is held whole by Postgres, nor twice by us; and all forgotten in time.
use std::{io, ops::Range, pin::Pin};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgCopyIn;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{Connection, arrivals, health::PATIENCE, recent};
use crate::mail::anonymize::{Loan, made_of};

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

/// The bytes of a letter that is queued.
#[derive(Debug, Clone, Copy)]
pub enum Bytes<'a> {
    /// They are here.
    Here(&'a [u8]),
    /// So many octets are kept in pieces already, under the letter's id and in the same transaction: [`keep`].
    Kept(usize),
    /// They are here; pictures among them are made of some in a letter that is kept in pieces, and are not kept themselves.
    Lent {
        /// All of them.
        raw: &'a [u8],
        /// The pictures, in order.
        loans: &'a [Loan],
        /// The letter that has what they are made of.
        lender: Uuid,
    },
}

impl<'a> Bytes<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::Here(raw) | Self::Lent { raw, .. } => raw.len(),
            Self::Kept(octets) => octets,
        }
    }

    /// None at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Those that are not kept yet.
    pub(super) fn here(self) -> &'a [u8] {
        match self {
            Self::Here(raw) | Self::Lent { raw, .. } => raw,
            Self::Kept(_) => &[],
        }
    }
}

/// Writes the pieces of those that are large, in the transaction of the caller.
pub(super) fn write<'a>(conn: &'a mut Connection, letters: &'a [(Uuid, Bytes<'a>)]) -> Step<'a, ()> {
    let (mut whole, mut borrowing) = (Vec::new(), Borrowing::default());
    for &(id, bytes) in letters.iter().filter(|(_, bytes)| bytes.here().len() >= LARGE) {
        match bytes {
            Bytes::Here(raw) => whole.push((id, raw)),
            Bytes::Lent { raw, loans, lender } => borrowing.add(id, raw, loans, lender),
            Bytes::Kept(_) => {}
        }
    }
    Box::pin(async move {
        if !whole.is_empty() {
            let mut copy = Copying::begin(&mut *conn).await?;
            for &(id, raw) in &whole {
                for (place, piece) in (0..).zip(raw.chunks(PIECE)) {
                    copy.add(id, place, piece);
                    copy.send(BLOCK).await?;
                }
            }
            copy.finish().await?;
        }
        // Who made one that borrows has no more use for it, and gives it to `remember` without a copy.
        borrowing.write(conn).await?;
        whole.iter().filter(|(_, raw)| raw.len() <= recent::LARGEST).for_each(|(id, raw)| recent::keep(*id, raw.to_vec()));
        Ok(())
    })
}

/// Keeps a large letter in mind for a moment: whoever needs it next is mostly this process.
pub fn remember(id: Uuid, raw: Vec<u8>) {
    recent::keep(id, raw);
}

/// Pieces of letters that have pictures from others, a column each.
#[derive(Default)]
struct Borrowing<'a> {
    letters: Vec<Uuid>,
    places: Vec<i32>,
    raw: Vec<&'a [u8]>,
    lenders: Vec<Option<Uuid>>,
    lent: [Vec<Option<i32>>; 2],
}

impl<'a> Borrowing<'a> {
    fn add(&mut self, id: Uuid, raw: &'a [u8], loans: &[Loan], lender: Uuid) {
        let (mut place, mut done) = (0, 0);
        let mut row = |raw, of: Option<[usize; 2]>| {
            self.letters.push(id);
            self.places.push(place);
            self.raw.push(raw);
            self.lenders.push(of.map(|_| lender));
            for (column, end) in [0, 1].into_iter().zip(&mut self.lent) {
                end.push(of.and_then(|of| i32::try_from(of[column]).ok()));
            }
            place += 1;
        };
        for loan in loans {
            raw[done..loan.at.start].chunks(PIECE).for_each(|piece| row(piece, None));
            row(&[], Some([loan.of.start, loan.of.end]));
            done = loan.at.end;
        }
        raw[done..].chunks(PIECE).for_each(|piece| row(piece, None));
    }

    async fn write(self, conn: &mut Connection) -> sqlx::Result<()> {
        if self.letters.is_empty() {
            return Ok(());
        }
        let Self { letters, places, raw, lenders, lent: [from, to] } = self;
        sqlx::query!(
            "insert into piece (letter_id, place, raw, lender, lent_from, lent_to)
             select * from unnest($1::uuid[], $2::integer[], $3::bytea[], $4::uuid[], $5::integer[], $6::integer[])",
            &letters,
            &places,
            &raw as &[&[u8]],
            &lenders as &[Option<Uuid>],
            &from as &[Option<i32>],
            &to as &[Option<i32>]
        )
        .execute(conn)
        .await
        .map(drop)
    }
}

/// Keeps a letter in pieces while `letter` writes it, so that it is nowhere whole; in the transaction of the caller, who sees to it that nothing stays of one
/// that fails midway. Gives how many octets were written. The thread is blocked meanwhile: only for runtimes that have others.
pub fn keep<'a>(conn: &'a mut Connection, id: Uuid, letter: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'a) -> Step<'a, usize> {
    Box::pin(async move {
        let copy = Copying::begin(conn).await?;
        let mut pieces = Pieces { copy, id, place: 0, piece: Vec::with_capacity(PIECE), broken: None, runtime: Handle::current() };
        let written = tokio::task::block_in_place(|| letter(&mut pieces));
        let Pieces { mut copy, place, piece, broken, .. } = pieces;
        if let Some(error) = broken {
            return Err(error);
        }
        written?;
        if !piece.is_empty() {
            copy.add(id, place, &piece);
        }
        copy.finish().await?;
        Ok(place as usize * PIECE + piece.len())
    })
}

/// Forgets the pieces of letters that are not to be after all.
pub(super) async fn drop_pieces(conn: &mut Connection, letters: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!("delete from piece where letter_id = any($1)", letters).execute(conn).await.map(drop)
}

/// Rows on their way into the table of pieces, in COPY's binary format: a head, rows of fields with their lengths, an end.
struct Copying<'c> {
    copy: PgCopyIn<&'c mut Connection>,
    block: Vec<u8>,
}

impl<'c> Copying<'c> {
    async fn begin(conn: &'c mut Connection) -> sqlx::Result<Self> {
        let copy = conn.copy_in_raw("copy piece (letter_id, place, raw) from stdin (format binary)").await?;
        let mut block = Vec::with_capacity(BLOCK + PIECE + 64);
        block.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        Ok(Self { copy, block })
    }

    fn add(&mut self, id: Uuid, place: i32, piece: &[u8]) {
        self.block.extend_from_slice(&3_i16.to_be_bytes());
        for field in [id.as_bytes().as_slice(), &place.to_be_bytes(), piece] {
            self.block.extend_from_slice(&(field.len() as i32).to_be_bytes());
            self.block.extend_from_slice(field);
        }
    }

    /// Sends what there is, if it is so much.
    async fn send(&mut self, least: usize) -> sqlx::Result<()> {
        if self.block.len() >= least {
            self.copy.send(self.block.as_slice()).await?;
            self.block.clear();
        }
        Ok(())
    }

    async fn finish(mut self) -> sqlx::Result<()> {
        self.block.extend_from_slice(&(-1_i16).to_be_bytes());
        self.send(0).await?;
        self.copy.finish().await.map(drop)
    }
}

/// Where a letter is written that nobody holds whole.
struct Pieces<'c> {
    copy: Copying<'c>,
    id: Uuid,
    place: i32,
    piece: Vec<u8>,
    /// Why nothing more is taken.
    broken: Option<sqlx::Error>,
    runtime: Handle,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(PIECE - self.piece.len())];
        self.piece.extend_from_slice(taken);
        if self.piece.len() == PIECE {
            self.copy.add(self.id, self.place, &self.piece);
            self.place += 1;
            self.piece.clear();
            let sent = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.copy.send(BLOCK)).await });
            if let Err(error) = sent.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
                self.broken = Some(error);
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The whole of a letter, of which its row says so much.
pub async fn whole(conn: &mut Connection, id: Uuid, in_row: Option<Vec<u8>>, size: i32) -> Result<Option<Vec<u8>>> {
    match in_row {
        Some(raw) if raw.is_empty() && size > 0 => read(conn, id, size).await.map(Some),
        Some(raw) => Ok(Some(raw)),
        None => Ok(None),
    }
}

/// A large letter that this process wrote a moment ago, without a question to the database; once.
pub(super) fn remembered(id: Uuid, size: i32) -> Option<Vec<u8>> {
    recent::take(id).filter(|raw| usize::try_from(size) == Ok(raw.len()))
}

/// A letter that is kept in pieces, put together in one place; what comes is never held besides it.
pub(super) async fn read(conn: &mut Connection, id: Uuid, size: i32) -> Result<Vec<u8>> {
    if let Some(raw) = remembered(id, size) {
        return Ok(raw);
    }
    let size = usize::try_from(size)?;
    let mut raw = Vec::with_capacity(size);
    let lent = gather(conn, id, 0..i32::MAX, &mut raw).await?;
    if !lent.is_empty() {
        return made_whole(conn, &raw, &lent, size).await;
    }
    ensure!(raw.len() == size, "pieces of the letter {id} are missing");
    Ok(raw)
}

/// A picture that is to be made again, of so much of another letter, and where it stood among the octets that are kept.
struct Lent {
    at: usize,
    lender: Uuid,
    of: Range<usize>,
}

/// A letter with the pictures that it has from another. By a later version they may be made in another way, and have another size.
async fn made_whole(conn: &mut Connection, kept: &[u8], lent: &[Lent], size: usize) -> Result<Vec<u8>> {
    let (mut whole, mut done) = (Vec::with_capacity(size), 0);
    for Lent { at, lender, of } in lent {
        whole.extend_from_slice(&kept[done..*at]);
        done = *at;
        // Of the lender's pieces, those that hold the picture.
        let first = of.start / PIECE;
        let mut body = Vec::with_capacity(of.len() + 2 * PIECE);
        gather(conn, *lender, i32::try_from(first)?..i32::try_from(of.end.div_ceil(PIECE))?, &mut body).await?;
        let picture = body.get(of.start - first * PIECE..of.end - first * PIECE).with_context(|| format!("pieces of the letter {lender} are missing"))?;
        whole.extend(made_of(picture).with_context(|| format!("a picture of the letter {lender} can't be made safe any more"))?);
    }
    whole.extend_from_slice(&kept[done..]);
    Ok(whole)
}

/// Adds the pieces of those places; gives what is not among them because another letter has it.
fn gather<'a>(conn: &'a mut Connection, id: Uuid, places: Range<i32>, raw: &'a mut Vec<u8>) -> Step<'a, Vec<Lent>> {
    Box::pin(async move {
        let mut pieces = sqlx::query!(
            "select raw, lender, lent_from, lent_to from piece where letter_id = $1 and place >= $2 and place < $3 order by place",
            id,
            places.start,
            places.end
        )
        .fetch(conn);
        let mut lent = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            raw.extend_from_slice(&piece.raw);
            if let (Some(lender), Some(from), Some(to)) = (piece.lender, piece.lent_from, piece.lent_to) {
                lent.push(Lent { at: raw.len(), lender, of: from.unsigned_abs() as usize..to.unsigned_abs() as usize });
            }
        }
        Ok(lent)
    })
}

/// Forgets the words of letters that were handled and delivered before `before`, and who brought them; the record stays, and for a while what makes their
/// redelivery known, which is no more than a hash. Gives how many.
pub async fn drop_words(conn: &mut Connection, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<u64> {
    let out = sqlx::query_scalar!(
        "update outbox set raw = null where raw is not null and state in ('sent', 'failed', 'dropped') and created_at < $1
           and coalesce(sent_at, expires_at) < $1 returning id",
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    drop_pieces(conn, &out).await?;
    let letters = sqlx::query_scalar!(
        "update letter l set raw = null where raw is not null and received_at < $1
           and not exists (select 1 from inbox i where i.letter_id = l.id and i.state <> 'done')
           and not exists (select 1 from piece p where p.lender = l.id) returning id",
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    drop_pieces(conn, &letters).await?;
    recent::forget();
    let unknown = now - arrivals::KNOWN_FOR;
    sqlx::query!(
        "update inbox set reverse_path = null, peer = '', helo = '', fingerprint = case when received_at < $2 then null else fingerprint end
         where state = 'done' and received_at < $1 and peer <> ''",
        before,
        unknown
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("update inbox set fingerprint = null where fingerprint is not null and peer = '' and received_at < $1", unknown).execute(conn).await?;
    Ok((out.len() + letters.len()) as u64)
}
