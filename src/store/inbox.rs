//! Letters that came in: kept before 250, claimed one writer's at a time and in order, finished with all that they caused.
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use uuid::Uuid;

use super::{Connection, exchanges, held, letters, recipients::Recipient};
use crate::{
    domain::{address::EmailAddress, admission::Admission},
    mail::envelope::{Envelope, Verdict},
};

/// Failed attempts after which a letter is set aside.
pub const ATTEMPTS: i16 = 8;
/// Why a transaction is rolled back that would finish another's work.
pub(super) const NOT_OURS: &str = "the letter is another process's by now, or handled already";
/// How often a letter is looked at anew because another session wrote the same rows meanwhile.
const RACES: usize = 5;

/// What a letter meets in the database, looked up at once before anybody decides about it.
#[derive(Debug, Default)]
pub struct Known {
    /// The address row of its writer, if there is one.
    pub writer: Option<Uuid>,
    /// The partnerships of its recipients in which the writer is, and the writer's person.
    partners: Vec<(Uuid, Uuid)>,
    /// The recipients, by their fingerprints, that got this letter already, and which one it is.
    delivered: Vec<(Vec<u8>, Uuid)>,
    /// Fingerprints that were used so long ago that they may be used again.
    old: Vec<Vec<u8>>,
}

impl Known {
    /// Whether the writer is a partner of `reader` in this partnership.
    pub fn is_partner(&self, partnership: Uuid, reader: Uuid) -> bool {
        self.partners.iter().any(|(of, person)| *of == partnership && *person != reader)
    }
}

/// A letter whose last byte has come, before it is known who admits it.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The bytes between DATA and the dot, dots unstuffed.
    pub raw: &'a [u8],
    /// Who handed it over.
    pub envelope: &'a Envelope,
    /// The one mailbox of its header From.
    pub from: Option<&'a EmailAddress>,
    /// Its Message-ID, without brackets.
    pub message_id: Option<&'a str>,
    /// What was found out about its origin.
    pub verdict: &'a Verdict,
    /// To whom.
    pub recipients: &'a [Recipient],
    /// Our domain, for the words of refusals.
    pub domain: &'a str,
}

impl Arrival<'_> {
    /// What makes a redelivery known, for each recipient; nothing does for a letter without a Message-ID.
    fn fingerprints(&self, sha256: &[u8]) -> Vec<Option<Vec<u8>>> {
        self.recipients.iter().map(|recipient| self.message_id.map(|_| fingerprint(self.envelope, recipient, sha256))).collect()
    }
}

/// **Transaction 1**: the bytes once, an inbox row and an exchange row for each recipient that admits the letter (`admit` says so), an exchange row for
/// each that refuses it. A redelivery of the same bytes from the same reverse-path to the same recipient, with a Message-ID, within five days, changes
/// nothing. Gives the letter's id (for the reply), and how each recipient decided. It is one question and one statement, which commits by itself: when
/// this fails, the letter may be kept all the same, and its redelivery is known.
pub async fn accept(
    conn: &mut Connection,
    arrival: &Arrival<'_>,
    admit: impl Fn(&Recipient, &Known) -> Admission,
    now: DateTime<Utc>,
) -> Result<(Uuid, Vec<Admission>)> {
    let sha256 = digest::digest(&digest::SHA256, arrival.raw);
    let fingerprints = arrival.fingerprints(sha256.as_ref());
    for _ in 0..RACES {
        let known = look_up(conn, arrival, &fingerprints, now).await?;
        let admissions: Vec<_> = arrival.recipients.iter().map(|recipient| admit(recipient, &known)).collect();
        let rows = Rows::of(arrival, &admissions, &fingerprints, &known)?;
        if rows.exchange.is_empty() {
            return Ok((known.delivered.first().map_or_else(Uuid::now_v7, |(_, letter)| *letter), admissions));
        }
        if admissions.contains(&Admission::Hold) {
            held::check_room(conn, known.writer).await?;
        }
        if !known.old.is_empty() {
            sqlx::query!("update inbox set fingerprint = null where fingerprint = any($1)", &known.old).execute(&mut *conn).await?;
        }
        match keep(conn, arrival, sha256.as_ref(), &rows, &known, now).await {
            Ok(letter) => return Ok((letter, admissions)),
            // Another session keeps the same letter, or another letter of a new writer, at this moment: then it is known by now.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation() || error.is_foreign_key_violation()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("other sessions keep the same letter over and over")
}

async fn look_up(conn: &mut Connection, arrival: &Arrival<'_>, fingerprints: &[Option<Vec<u8>>], now: DateTime<Utc>) -> Result<Known> {
    let partnerships: Vec<_> = arrival.recipients.iter().filter_map(Recipient::partnership).collect();
    let fingerprints: Vec<_> = fingerprints.iter().flatten().cloned().collect();
    let rows = sqlx::query!(
        "select a.id as \"writer?\", w.partnership_id as \"partnership?\", w.person_id as \"person?\",
             null::bytea as fingerprint, null::uuid as letter, null::timestamptz as received_at
         from address a left join partner w on w.person_id = a.person_id and w.partnership_id = any($2) where a.email_key = $1
         union all select null, null, null, fingerprint, letter_id, received_at from inbox where fingerprint = any($3)",
        arrival.from.map(EmailAddress::key),
        &partnerships,
        &fingerprints
    )
    .fetch_all(conn)
    .await?;
    let (mut known, days_ago) = (Known::default(), now - TimeDelta::days(5));
    for row in rows {
        known.writer = known.writer.or(row.writer);
        known.partners.extend(row.partnership.zip(row.person));
        match (row.fingerprint, row.letter, row.received_at) {
            (Some(fingerprint), Some(letter), Some(at)) if at > days_ago => known.delivered.push((fingerprint, letter)),
            (Some(fingerprint), _, _) => known.old.push(fingerprint),
            (None, _, _) => {}
        }
    }
    Ok(known)
}

/// Writes everything in one statement, but for the bytes of a large letter, which go before it. Constraints decide races.
async fn keep(conn: &mut Connection, arrival: &Arrival<'_>, sha256: &[u8], rows: &Rows<'_>, known: &Known, now: DateTime<Utc>) -> Result<Uuid, sqlx::Error> {
    let letter = Uuid::now_v7();
    let is_kept = rows.inbox.iter().any(Option::is_some);
    if is_kept && arrival.raw.len() >= letters::LARGE {
        let mut tx = sqlx::Connection::begin(conn).await?;
        letters::copy_in(&mut tx, letter, sha256, arrival.raw, rows.size, now).await?;
        write(&mut tx, arrival, letter, None, rows, known, now).await?;
        tx.commit().await?;
    } else {
        write(conn, arrival, letter, is_kept.then_some(sha256), rows, known, now).await?;
    }
    Ok(letter)
}

/// With `sha256` the letter's own row is among those written.
async fn write(
    conn: &mut Connection,
    arrival: &Arrival<'_>,
    letter: Uuid,
    sha256: Option<&[u8]>,
    rows: &Rows<'_>,
    known: &Known,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (writer, new_writer) = match (arrival.from, known.writer) {
        (Some(_), Some(writer)) => (Some(writer), None),
        (Some(from), None) => (Some(Uuid::now_v7()), Some(from)),
        (None, _) => (None, None),
    };
    sqlx::query!(
        "with w as (
             insert into address (id, email, email_key, created_at) select $1, $2, $3, $4 where $2::text is not null returning 1),
         l as (
             insert into letter (id, sha256, raw, size, received_at) select $5, $6, $7, $8, $4 where $9::boolean returning 1),
         d as (
             select * from unnest($10::uuid[], $11::uuid[], $12::text[], $13::text[], $14::text[], $15::text[], $16::jsonb[], $17::bytea[])
                 as d (exchange_id, inbox_id, mailbox, kind, decision, reply, recipient, fingerprint)),
         e as (
             insert into exchange (id, at, direction, address_id, mailbox, kind, size, message_id, decision, outcome, reply, ended_at)
             select exchange_id, $4, 'in', $1, mailbox, kind, $8, $18, decision, case when reply is not null then 'refused' end, reply,
                 case when reply is not null then $4 end from d returning 1)
         insert into inbox (id, letter_id, exchange_id, recipient, writer_id, reverse_path, peer, helo, verdict, admission, next_at, fingerprint, received_at)
         select inbox_id, $5, exchange_id, recipient, $1, $19, $20, $21, $22, decision, $4, fingerprint, $4 from d where inbox_id is not null",
        writer,
        new_writer.map(EmailAddress::as_str),
        new_writer.map(EmailAddress::key),
        now,
        letter,
        sha256,
        sha256.map(|_| arrival.raw),
        rows.size,
        sha256.is_some(),
        &rows.exchange,
        &rows.inbox as &[Option<Uuid>],
        &rows.mailbox,
        &rows.kind as &[&str],
        &rows.decision,
        &rows.reply as &[Option<String>],
        &rows.recipient,
        &rows.fingerprint as &[Option<Vec<u8>>],
        arrival.message_id,
        arrival.envelope.reverse_path.as_ref().map(EmailAddress::as_str),
        arrival.envelope.peer.to_string(),
        arrival.envelope.helo,
        rows.verdict
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is written of one letter: for each recipient that did not get it before a row, a column each.
struct Rows<'a> {
    size: i32,
    verdict: serde_json::Value,
    exchange: Vec<Uuid>,
    inbox: Vec<Option<Uuid>>,
    mailbox: Vec<String>,
    kind: Vec<&'a str>,
    decision: Vec<String>,
    reply: Vec<Option<String>>,
    recipient: Vec<serde_json::Value>,
    fingerprint: Vec<Option<Vec<u8>>>,
}

impl<'a> Rows<'a> {
    fn of(arrival: &Arrival<'a>, admissions: &[Admission], fingerprints: &[Option<Vec<u8>>], known: &Known) -> Result<Self> {
        let mut rows = Self {
            size: i32::try_from(arrival.raw.len()).context("a letter beyond 2 GiB")?,
            verdict: serde_json::to_value(arrival.verdict)?,
            exchange: Vec::new(),
            inbox: Vec::new(),
            mailbox: Vec::new(),
            kind: Vec::new(),
            decision: Vec::new(),
            reply: Vec::new(),
            recipient: Vec::new(),
            fingerprint: Vec::new(),
        };
        for ((recipient, admission), fingerprint) in arrival.recipients.iter().zip(admissions).zip(fingerprints) {
            let came_before = fingerprint.as_ref().is_some_and(|mine| known.delivered.iter().any(|(other, _)| other == mine));
            let (decision, reply) = match admission {
                Admission::Take | Admission::Hold if came_before => continue,
                Admission::Take => ("take".to_owned(), None),
                Admission::Hold => ("hold".to_owned(), None),
                Admission::Refuse(refusal) => (format!("refused: {}", refusal.name()), Some(refusal.smtp_reply(arrival.domain))),
            };
            rows.exchange.push(Uuid::now_v7());
            rows.inbox.push(reply.is_none().then(Uuid::now_v7));
            rows.mailbox.push(recipient.mailbox());
            rows.kind.push(recipient.kind());
            rows.decision.push(decision);
            rows.reply.push(reply);
            rows.recipient.push(serde_json::to_value(recipient)?);
            rows.fingerprint.push(fingerprint.clone());
        }
        Ok(rows)
    }
}

/// Reverse-path, recipient and bytes: what makes two deliveries the same letter. Never the Message-ID alone, which a stranger could take first.
fn fingerprint(envelope: &Envelope, recipient: &Recipient, sha256: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(envelope.reverse_path.as_ref().map(EmailAddress::key).unwrap_or_default().as_bytes());
    context.update(b"\n");
    context.update(recipient.mailbox().as_bytes());
    // All return paths are one mailbox in the record, but each is another recipient.
    if let Recipient::Bounce { outbox } = recipient {
        context.update(outbox.as_bytes());
    }
    context.update(b"\n");
    context.update(sha256);
    context.finish().as_ref().to_vec()
}

/// A row that this process works on.
#[derive(Debug)]
pub struct Claimed {
    /// The inbox row.
    pub id: Uuid,
    /// The term under which it was claimed.
    pub owner: i64,
    /// Its exchange row.
    pub exchange_id: Uuid,
    /// Whose mailbox it was when it came.
    pub recipient: Recipient,
    /// The address row of the header From.
    pub writer_id: Option<Uuid>,
    /// … and the address; `None` also once it was erased.
    pub writer: Option<EmailAddress>,
    /// Letters to that address came back for good.
    pub is_suppressed: bool,
    /// MAIL FROM; `None` is the null reverse-path.
    pub reverse_path: Option<EmailAddress>,
    /// What was found out about its origin.
    pub verdict: Verdict,
    /// Whether its writer's mailbox has to say first that the letter is its own.
    pub held: bool,
    /// Attempts, this one included.
    pub attempts: i16,
    /// The bytes.
    pub raw: Vec<u8>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Claims up to `limit` due letters for `owner`, of each writer the oldest alone, none of more than `largest` octets, and no
/// further one behind `octets` of them; committed by itself, with
/// the attempt counted, so that a letter that kills its process is known. Of letters that a process died over one at a time is worked on: the next death
/// is that one's doing, and none of those beside it.
pub async fn claim(conn: &mut Connection, owner: i64, limit: i64, octets: i64, largest: i32, now: DateTime<Utc>) -> Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        "with due as (
             select i.id, i.letter_id, i.writer_id, i.next_at, i.deaths from inbox i
             where i.state = 'pending' and i.owner is null and i.next_at <= $3
               and (i.writer_id is null
                   or i.id = (select e.id from inbox e where e.writer_id = i.writer_id and e.state = 'pending' order by e.id limit 1))
               and ($5::integer = 2147483647 or exists (select 1 from letter l where l.id = i.letter_id and l.size <= $5))
               and (i.deaths = 0 or not exists (select 1 from inbox s where s.owner = $1 and s.deaths > 0))
             order by i.next_at, i.id limit $2 for update skip locked),
         counted as (
             select due.id, due.writer_id, l.raw, sum(l.size) over first_ones - l.size as ahead, due.deaths = 0 or sum(least(due.deaths, 1)) over first_ones = 1 as alone
             from due join letter l on l.id = due.letter_id window first_ones as (order by due.next_at, due.id))
         update inbox i set owner = $1, attempts = attempts + 1
         from counted c left join address a on a.id = c.writer_id
         where i.id = c.id and c.ahead < $4 and c.alone
         returning i.id, i.exchange_id, i.recipient, i.writer_id, a.email as \"writer?\", a.suppressed_at, i.reverse_path, i.verdict, i.admission, i.attempts,
             c.raw, i.received_at",
        owner,
        limit,
        now,
        octets,
        largest
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let (Ok(recipient), Ok(verdict)) = (serde_json::from_value(row.recipient), serde_json::from_value(row.verdict)) else {
            // A row that this version can't read is set aside by itself: the others are not to wait for it.
            fail(conn, row.id, owner, "its recipient or verdict was written by another version", Again::Never, now).await?;
            continue;
        };
        claimed.push(Claimed {
            id: row.id,
            owner,
            exchange_id: row.exchange_id,
            recipient,
            writer_id: row.writer_id,
            writer: row.writer.and_then(|email| EmailAddress::parse(&email).ok()),
            is_suppressed: row.suppressed_at.is_some(),
            reverse_path: row.reverse_path.and_then(|path| EmailAddress::parse(&path).ok()),
            verdict,
            held: row.admission == "hold",
            attempts: row.attempts,
            raw: row.raw.unwrap_or_default(),
            received_at: row.received_at,
        });
    }
    Ok(claimed)
}

/// What became of a letter that was handled, for the record.
#[derive(Debug)]
pub struct End {
    /// The inbox row.
    pub id: Uuid,
    /// Why it came.
    pub kind: &'static str,
    /// How it was understood.
    pub class: &'static str,
    /// What was done.
    pub outcome: String,
}

/// These letters are handled. An error, by which the caller's transaction ends, when one of them is not `owner`'s any more: whoever has it does it anew.
pub async fn finish(conn: &mut Connection, owner: i64, ends: &[End], now: DateTime<Utc>) -> Result<()> {
    let done = sqlx::query!(
        "with told as (select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as t (id, kind, class, outcome)),
         done as (
             update inbox i set state = 'done', owner = null, last_error = null from told where i.id = told.id and i.owner = $6
             returning i.exchange_id, told.kind, told.class, told.outcome)
         update exchange e set kind = done.kind, decision = e.decision || '; ' || done.class, outcome = done.outcome, ended_at = $5
         from done where e.id = done.exchange_id",
        &ends.iter().map(|end| end.id).collect::<Vec<_>>(),
        &ends.iter().map(|end| end.kind).collect::<Vec<_>>() as &[&str],
        &ends.iter().map(|end| end.class).collect::<Vec<_>>() as &[&str],
        &ends.iter().map(|end| end.outcome.clone()).collect::<Vec<_>>(),
        now,
        owner
    )
    .execute(conn)
    .await?;
    ensure!(done.rows_affected() == ends.len() as u64, NOT_OURS);
    Ok(())
}

/// How an attempt that failed is noted.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    /// The letter is tried again then.
    At(DateTime<Utc>),
    /// The same, and the attempt does not count: the letter had no part in the failure.
    Uncounted(DateTime<Utc>),
    /// It is set aside for a person to look at.
    Never,
}

/// Notes a failed attempt of `owner`'s; false when the letter is not `owner`'s any more: it is handled after all, or another process has it.
pub async fn fail(conn: &mut Connection, id: Uuid, owner: i64, error: &str, again: Again, now: DateTime<Utc>) -> Result<bool> {
    let (next_at, counted) = match again {
        Again::At(moment) => (Some(moment), true),
        Again::Uncounted(moment) => (Some(moment), false),
        Again::Never => (None, true),
    };
    let failed = sqlx::query_scalar!(
        "update inbox set owner = null, last_error = $2, next_at = coalesce($3, next_at), attempts = attempts - case when $5 then 0 else 1 end,
             state = case when $3::timestamptz is null then 'failed' else state end
         where id = $1 and owner = $4 returning exchange_id",
        id,
        error,
        next_at,
        owner,
        counted
    )
    .fetch_optional(&mut *conn)
    .await?;
    match (failed, next_at) {
        (Some(exchange), None) => exchanges::end(conn, exchange, "failed", None, now).await.map(|()| true),
        (Some(_), Some(_)) => Ok(true),
        (None, _) => Ok(false),
    }
}
