//! What the letters of a sending have in common is kept once, on a sheet; of each letter only the rest. Ten thousand copies of one text were half of all that
//! Postgres had to do for a topic.
use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Connection;
use crate::mail::lines::lines;

/// Fewer letters are kept whole.
const MANY: usize = 8;
/// So many lines of the sheet are looked through for one of a letter's.
const AHEAD: usize = 16;

/// Letters as they are kept.
pub(super) struct Kept<'a> {
    /// The sheet they are on, if it is worth one.
    sheet: Option<(Uuid, Vec<u8>)>,
    /// What stands in each row: the letter, or the sheet's id and what the letter has of its own. That is shorter than the letter, which says that it is not all.
    pub rows: Vec<Cow<'a, [u8]>>,
}

impl<'a> Kept<'a> {
    /// Each by itself.
    pub fn whole(letters: Vec<&'a [u8]>) -> Self {
        Self { sheet: None, rows: letters.into_iter().map(Cow::Borrowed).collect() }
    }

    /// Those that are alike on a sheet. On it stand the lines that the first two share: nothing that somebody has for themselves.
    pub fn alike(letters: Vec<&'a [u8]>) -> Self {
        let (first, second) = match letters[..] {
            [first, second, ..] if letters.len() >= MANY => (first, second),
            [..] => return Self::whole(letters),
        };
        let seconds: HashSet<_> = lines(second).collect();
        let (id, lines) = (Uuid::now_v7(), lines(first).filter(|line| seconds.contains(line)).collect::<Vec<_>>());
        let rows = letters.into_iter().map(|letter| {
            let own = own(id, &lines, letter);
            // It should be worth the trouble.
            if own.len() * 2 < letter.len() { Cow::Owned(own) } else { Cow::Borrowed(letter) }
        });
        Self { rows: rows.collect(), sheet: Some((id, lines.concat())) }
    }

    /// Keeps the sheet, if any of these letters is on it: in the transaction that queues them.
    pub async fn keep(&self, conn: &mut Connection, letters: impl Iterator<Item = Uuid>, now: DateTime<Utc>) -> Result<()> {
        let letters: Vec<_> = letters.zip(&self.rows).filter(|(_, row)| matches!(row, Cow::Owned(_))).map(|(id, _)| id).collect();
        let Some((id, raw)) = self.sheet.as_ref().filter(|_| !letters.is_empty()) else { return Ok(()) };
        sqlx::query!("insert into sheet (id, raw, letters, created_at) values ($1, $2, $3, $4)", *id, raw, &letters, now).execute(conn).await?;
        Ok(())
    }
}

/// What a letter has of its own, between what it has from the sheet: each time how many octets of its own, those, and from where on the sheet how many follow.
fn own(id: Uuid, sheet: &[&[u8]], letter: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(id.as_bytes());
    // The next line of the sheet, and where it begins; the octets of its own, and those from the sheet, that are not written yet.
    let (mut line, mut place) = (0, 0);
    let (mut mine, mut theirs) = (0..0, 0..0);
    for one in lines(letter) {
        let ahead = sheet[line..].iter().take(AHEAD).position(|other| *other == one);
        if let Some(skipped) = ahead {
            place += sheet[line..line + skipped].iter().map(|line| line.len()).sum::<usize>();
            line += skipped + 1;
        }
        let goes_on = ahead.is_some() && theirs.end == place;
        if !theirs.is_empty() && !goes_on {
            put(&mut out, &letter[mine.clone()], &theirs);
            mine = mine.end + theirs.len()..mine.end + theirs.len();
            theirs = 0..0;
        }
        match ahead {
            Some(_) => {
                theirs.start = if theirs.is_empty() { place } else { theirs.start };
                place += one.len();
                theirs.end = place;
            }
            None => mine.end += one.len(),
        }
    }
    put(&mut out, &letter[mine], &theirs);
    out
}

fn put(out: &mut Vec<u8>, mine: &[u8], theirs: &Range<usize>) {
    for number in [mine.len(), theirs.start, theirs.len()] {
        // All are parts of letters that are small.
        out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.extend_from_slice(mine);
}

/// The letter again; `None` where the two don't belong together.
fn together(sheet: &[u8], mut own: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut letter = Vec::with_capacity(size);
    while !own.is_empty() {
        let (numbers, rest) = own.split_at_checked(12)?;
        let number = |at: usize| Some(u32::from_be_bytes(numbers.get(at..at + 4)?.try_into().ok()?) as usize);
        let (mine, from, octets) = (number(0)?, number(4)?, number(8)?);
        let (mine, rest) = rest.split_at_checked(mine)?;
        letter.extend_from_slice(mine);
        letter.extend_from_slice(sheet.get(from..from.checked_add(octets)?)?);
        own = rest;
    }
    (letter.len() == size).then_some(letter)
}

/// A letter that is on a sheet, from what its row holds.
pub(super) async fn whole(conn: &mut Connection, row: &[u8], size: usize) -> Result<Vec<u8>> {
    let (id, own) = row.split_at_checked(16).context("a letter is shorter than it should be")?;
    let id = Uuid::from_slice(id)?;
    let sheet = match recent(id) {
        Some(sheet) => sheet,
        None => {
            let raw = sqlx::query_scalar!("select raw from sheet where id = $1", id).fetch_optional(conn).await?;
            let sheet: Arc<[u8]> = raw.with_context(|| format!("the sheet {id} of a letter is missing"))?.into();
            let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            last.truncate(FEW - 1);
            last.push_front((id, sheet.clone()));
            sheet
        }
    };
    together(&sheet, own, size).with_context(|| format!("a letter and its sheet {id} don't belong together"))
}

/// The sheets that were read last: the letters of one leave after each other.
static LAST: Mutex<VecDeque<(Uuid, Arc<[u8]>)>> = Mutex::new(VecDeque::new());
/// How many those are.
const FEW: usize = 8;

fn recent(id: Uuid) -> Option<Arc<[u8]>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(other, _)| *other == id).map(|(_, sheet)| sheet.clone())
}

/// Forgets the sheets of before `before` whose letters' words are all forgotten; gives how many.
pub async fn forget(conn: &mut Connection, before: DateTime<Utc>) -> Result<u64> {
    let forgotten = sqlx::query!(
        "delete from sheet s where s.created_at < $1 and not exists (select 1 from outbox o where o.id = any(s.letters) and o.raw is not null)",
        before
    )
    .execute(conn)
    .await?;
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(forgotten.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(name: &str, words: &str) -> String {
        let body = (0..40).map(|n| format!("line {n} of {words}\r\n")).collect::<String>();
        format!("Date: today\r\nTo: {name}\r\nReply-To: reply-{name}\r\nSubject: A topic\r\nX: {name}\r\n\r\nDear {name},\r\n\r\n{body}\r\nleave: {name}")
    }

    fn back(kept: &Kept<'_>, row: &[u8], size: usize) -> Vec<u8> {
        let (id, sheet) = kept.sheet.as_ref().expect("many letters");
        if row.len() == size {
            row.to_vec()
        } else {
            together(sheet, row.strip_prefix(id.as_bytes().as_slice()).expect("names it"), size).expect("belongs to it")
        }
    }

    #[test]
    fn letters_that_are_alike_come_back_octet_for_octet() {
        let names =
            ["ana", "ben", "a longer name\r\nthat takes two lines", "", "\u{0}\n\r\r\n", "dora", "ana", "line 7 of words\r\nline 5 of words", "\r\n\r\n"];
        let mut letters: Vec<_> = names.iter().map(|name| letter(name, "words")).collect();
        letters.extend([letter("eve", "others"), String::new(), "short".into(), letters[0].repeat(2), letters[0][..300].to_owned()]);
        let kept = Kept::alike(letters.iter().map(String::as_bytes).collect());
        for (letter, row) in letters.iter().zip(&kept.rows) {
            assert_eq!(String::from_utf8_lossy(&back(&kept, row, letter.len())), *letter);
        }
        let sheet = kept.sheet.as_ref().map(|(_, sheet)| String::from_utf8_lossy(sheet).into_owned()).expect("a sheet");
        assert!(sheet.len() > 500 && !sheet.contains("ana"), "{sheet}");
        let lengths: Vec<_> = kept.rows.iter().map(|row| row.len()).collect();
        assert!(lengths[..names.len()].iter().all(|&length| length < 400), "{lengths:?}");
        assert_eq!(lengths[names.len()], letters[names.len()].len(), "another text is not on it");
    }

    #[test]
    fn a_few_letters_are_kept_whole() {
        let letter = letter("ana", "words");
        let kept = Kept::alike(vec![letter.as_bytes(); MANY - 1]);
        assert!(kept.sheet.is_none() && kept.rows.iter().all(|row| **row == *letter.as_bytes()));
    }

    #[test]
    fn what_does_not_belong_together_is_no_letter() {
        let (ana, ben) = (letter("ana", "words"), letter("ben", "words"));
        let own = own(Uuid::nil(), &lines(ana.as_bytes()).collect::<Vec<_>>(), ben.as_bytes()).split_off(16);
        assert_eq!(together(ana.as_bytes(), &own, ben.len()).as_deref(), Some(ben.as_bytes()));
        for (sheet, own, size) in [("", &own[..], ben.len()), (&ana, &own[..own.len() - 1], ben.len()), (&ana, &own[1..], ben.len()), (&ana, &own[..], 7)] {
            assert_eq!(together(sheet.as_bytes(), own, size), None);
        }
    }
}
