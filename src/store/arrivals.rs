//! Letters that come in, kept before 250: those of all sessions that end at one moment in one statement, so that they share a round trip and a commit.
use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest;
use uuid::Uuid;

use super::{
    Connection, Held, held,
    inbox::Claimed,
    letters::{self, Bytes},
    recipients::Recipient,
};
use crate::{
    domain::{address::EmailAddress, admission::Admission},
    mail::envelope::{Envelope, Verdict},
};

/// So long a letter that comes again is known.
pub(super) const KNOWN_FOR: TimeDelta = TimeDelta::days(5);
/// How often letters are looked at anew because another session wrote the same rows meanwhile.
const RACES: usize = 5;

/// A letter whose last byte has come, before it is known who admits it.
#[derive(Debug, Clone, Copy)]
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
    /// The session's id, and the version of TLS that it speaks, for the record.
    pub session: &'a str,
    /// See `session`.
    pub tls: Option<&'a str>,
    /// Whether a refusal gets a row in the record.
    pub records_refusals: bool,
}

/// A letter that was kept, or refused by all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its row, for the reply; where it was delivered before, the row it got then.
    pub id: Uuid,
    /// How each recipient decided.
    pub admissions: Vec<Admission>,
}

/// What became of letters that came at the same moment.
#[derive(Debug, Default)]
pub struct Kept {
    /// Of each letter.
    pub accepted: Vec<Accepted>,
    /// Partners' letters that were claimed as they were kept.
    pub claimed: Vec<Claimed>,
    /// Whether others wait to be claimed.
    pub waiting: bool,
}

/// What letters meet in the database, looked up at once before anybody decides about them.
#[derive(Debug, Default)]
pub struct Known {
    /// The address rows of writers, by what is compared.
    writers: HashMap<String, Writer>,
    /// The partnerships of recipients in which a writer is, and the writer's person.
    partners: HashMap<String, Vec<(Uuid, Uuid)>>,
    /// The letters that recipients got already, by the fingerprint.
    delivered: HashMap<Vec<u8>, Uuid>,
    /// Fingerprints that were used so long ago that they may be used again.
    old: Vec<Vec<u8>>,
}

/// An address row.
#[derive(Debug)]
struct Writer {
    id: Uuid,
    /// As it stands there; `None` once it was erased.
    email: Option<EmailAddress>,
    is_suppressed: bool,
}

impl Known {
    /// Whether `writer` is a partner of `reader` in this partnership.
    pub fn is_partner(&self, writer: Option<&EmailAddress>, partnership: Uuid, reader: Uuid) -> bool {
        let with = writer.and_then(|writer| self.partners.get(&writer.key()));
        with.is_some_and(|with| with.iter().any(|(of, person)| *of == partnership && *person != reader))
    }
}

/// **Transaction 1** of letters that came at the same moment: the bytes of each once, an inbox row and an exchange row for each recipient that admits it
/// (`admit` says so), an exchange row for each that refuses it. A redelivery of the same bytes from the same reverse-path to the same recipient, with a
/// Message-ID, within five days, changes nothing. It is one question and one statement, which commits by itself: when this fails, the letters may be kept
/// all the same, and their redelivery is known.
///
/// With an `owner` what partners write is claimed for it as it is kept, of each writer one letter, and none while an earlier one waits or is worked on.
pub async fn accept(
    conn: &mut Held,
    arrivals: &[Arrival<'_>],
    admit: impl Fn(&Arrival<'_>, &Recipient, &Known) -> Admission,
    owner: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Kept> {
    let came: Vec<_> = arrivals.iter().map(Came::new).collect();
    for _ in 0..RACES {
        let known = look_up(conn, &came, now).await?;
        if !known.old.is_empty() {
            sqlx::query!("update inbox set fingerprint = null where fingerprint = any($1)", &known.old).execute(&mut **conn).await?;
        }
        let mut rows = Rows::new(known);
        let accepted = came.iter().map(|came| rows.add(came, &admit)).collect::<Result<Vec<_>>>()?;
        for (came, accepted) in came.iter().zip(&accepted) {
            if accepted.admissions.contains(&Admission::Hold) && rows.letters.contains(&accepted.id) {
                let writer = came.arrival.from.and_then(|from| rows.known.writers.get(&from.key()));
                held::check_room(conn, writer.map(|writer| writer.id)).await?;
            }
        }
        match rows.keep(conn, owner, now).await {
            Ok(ours) => return Ok(rows.kept(accepted, &ours, owner, now)),
            // Another session keeps the same letter, or another letter of a new writer, at this moment: then it is known by now.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation() || error.is_foreign_key_violation()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("other sessions keep the same letter over and over")
}

/// A letter, and what makes its redelivery known.
struct Came<'a> {
    arrival: &'a Arrival<'a>,
    sha256: digest::Digest,
    /// For each recipient; none for a letter without a Message-ID.
    fingerprints: Vec<Option<Vec<u8>>>,
}

impl<'a> Came<'a> {
    fn new(arrival: &'a Arrival<'a>) -> Self {
        let sha256 = digest::digest(&digest::SHA256, arrival.raw);
        let of = |recipient| arrival.message_id.map(|_| fingerprint(arrival.envelope, recipient, sha256.as_ref()));
        Self { arrival, sha256, fingerprints: arrival.recipients.iter().map(of).collect() }
    }
}

async fn look_up(conn: &mut Connection, came: &[Came<'_>], now: DateTime<Utc>) -> Result<Known> {
    let writers: Vec<_> = came.iter().filter_map(|came| Some(came.arrival.from?.key())).collect();
    let partnerships: Vec<_> = came.iter().flat_map(|came| came.arrival.recipients).filter_map(Recipient::partnership).collect();
    let fingerprints: Vec<_> = came.iter().flat_map(|came| &came.fingerprints).flatten().cloned().collect();
    let rows = sqlx::query!(
        "select a.email_key as \"key?\", a.id as \"writer?\", a.email as \"email?\", a.suppressed_at is not null as \"suppressed?\",
             w.partnership_id as \"partnership?\", w.person_id as \"person?\", null::bytea as fingerprint, null::uuid as letter, null::timestamptz as received_at
         from address a left join partner w on w.person_id = a.person_id and w.partnership_id = any($2) where a.email_key = any($1)
         union all select null, null, null, null, null, null, fingerprint, letter_id, received_at from inbox where fingerprint = any($3)",
        &writers,
        &partnerships,
        &fingerprints
    )
    .fetch_all(conn)
    .await?;
    let (mut known, days_ago) = (Known::default(), now - KNOWN_FOR);
    for row in rows {
        if let Some((key, writer)) = row.key.zip(row.writer) {
            known.partners.entry(key.clone()).or_default().extend(row.partnership.zip(row.person));
            let email = row.email.and_then(|email| EmailAddress::parse(&email).ok());
            known.writers.insert(key, Writer { id: writer, email, is_suppressed: row.suppressed.unwrap_or_default() });
        }
        match (row.fingerprint, row.letter, row.received_at) {
            (Some(fingerprint), Some(letter), Some(at)) if at > days_ago => drop(known.delivered.insert(fingerprint, letter)),
            (Some(fingerprint), _, _) => known.old.push(fingerprint),
            (None, _, _) => {}
        }
    }
    Ok(known)
}

/// What is written of letters, a column each: of new writers, of the letters' bytes, and of each recipient that did not get the letter before.
struct Rows<'a> {
    known: Known,
    new_writers: BTreeMap<Uuid, &'a EmailAddress>,
    letters: Vec<Uuid>,
    sha256: Vec<&'a [u8]>,
    raw: Vec<&'a [u8]>,
    letter_size: Vec<i32>,
    of: Vec<Delivery<'a>>,
}

/// One recipient's row.
struct Delivery<'a> {
    arrival: &'a Arrival<'a>,
    size: i32,
    letter: Uuid,
    writer: Option<Uuid>,
    exchange: Uuid,
    /// None where the recipient refuses.
    inbox: Option<Uuid>,
    decision: String,
    reply: Option<String>,
    recipient: &'a Recipient,
    fingerprint: Option<Vec<u8>>,
}

impl Delivery<'_> {
    /// What a worker can have without looking at anything else: a proven partner's letter of a common size.
    fn may_be_claimed(&self) -> bool {
        self.decision == "take" && self.writer.is_some() && priority(self.recipient) == 0 && self.arrival.raw.len() < letters::LARGE
    }
}

impl<'a> Rows<'a> {
    fn new(known: Known) -> Self {
        Self { known, new_writers: BTreeMap::new(), letters: Vec::new(), sha256: Vec::new(), raw: Vec::new(), letter_size: Vec::new(), of: Vec::new() }
    }

    fn add(&mut self, came: &'a Came<'a>, admit: &impl Fn(&Arrival<'_>, &Recipient, &Known) -> Admission) -> Result<Accepted> {
        let arrival = came.arrival;
        let admissions: Vec<_> = arrival.recipients.iter().map(|recipient| admit(arrival, recipient, &self.known)).collect();
        let size = i32::try_from(arrival.raw.len()).context("a letter beyond 2 GiB")?;
        let letter = Uuid::now_v7();
        let (mut before, mut kept, mut writer) = (None, false, None);
        for ((recipient, admission), fingerprint) in arrival.recipients.iter().zip(&admissions).zip(&came.fingerprints) {
            let (decision, reply) = match admission {
                Admission::Take | Admission::Hold if self.came_before(fingerprint.as_ref(), &mut before) => continue,
                Admission::Take => ("take".to_owned(), None),
                Admission::Hold => ("hold".to_owned(), None),
                Admission::Refuse(_) if !arrival.records_refusals => continue,
                Admission::Refuse(refusal) => (format!("refused: {}", refusal.name()), Some(refusal.smtp_reply(arrival.domain))),
            };
            if writer.is_none() {
                writer = arrival.from.map(|from| self.writer(from));
            }
            if reply.is_none() {
                kept = true;
                // The same letter again, at the same moment, by another session.
                self.known.delivered.extend(fingerprint.clone().map(|fingerprint| (fingerprint, letter)));
            }
            let inbox = reply.is_none().then(Uuid::now_v7);
            self.of.push(Delivery {
                arrival,
                size,
                letter,
                writer,
                exchange: Uuid::now_v7(),
                inbox,
                decision,
                reply,
                recipient,
                fingerprint: fingerprint.clone(),
            });
        }
        if kept {
            self.letters.push(letter);
            self.sha256.push(came.sha256.as_ref());
            self.raw.push(arrival.raw);
            self.letter_size.push(size);
        }
        Ok(Accepted { id: if kept { letter } else { before.unwrap_or(letter) }, admissions })
    }

    fn came_before(&self, fingerprint: Option<&Vec<u8>>, before: &mut Option<Uuid>) -> bool {
        let letter = fingerprint.and_then(|fingerprint| self.known.delivered.get(fingerprint));
        *before = before.or(letter.copied());
        letter.is_some()
    }

    fn writer(&mut self, from: &'a EmailAddress) -> Uuid {
        let writer = self.known.writers.entry(from.key()).or_insert_with(|| {
            let id = Uuid::now_v7();
            self.new_writers.insert(id, from);
            Writer { id, email: Some(from.clone()), is_suppressed: false }
        });
        writer.id
    }

    /// What is told of all of them, of which `ours` were claimed.
    fn kept(&self, accepted: Vec<Accepted>, ours: &HashSet<Uuid>, owner: Option<i64>, now: DateTime<Utc>) -> Kept {
        let mut kept = Kept { accepted, ..Kept::default() };
        for row in &self.of {
            let Some(id) = row.inbox else { continue };
            match owner.filter(|_| ours.contains(&id)) {
                Some(owner) => kept.claimed.push(self.claimed(row, id, owner, now)),
                None => kept.waiting = true,
            }
        }
        kept
    }

    /// The same that the row says, without reading it.
    fn claimed(&self, row: &Delivery<'a>, id: Uuid, owner: i64, now: DateTime<Utc>) -> Claimed {
        let writer = row.arrival.from.and_then(|from| self.known.writers.get(&from.key()));
        Claimed {
            id,
            owner,
            letter_id: row.letter,
            exchange_id: row.exchange,
            recipient: row.recipient.clone(),
            writer_id: row.writer,
            writer: writer.and_then(|writer| writer.email.clone()),
            is_suppressed: writer.is_some_and(|writer| writer.is_suppressed),
            reverse_path: row.arrival.envelope.reverse_path.clone(),
            verdict: row.arrival.verdict.clone(),
            held: false,
            attempts: 1,
            raw: row.arrival.raw.to_vec(),
            received_at: now,
        }
    }

    /// Writes everything in one statement, and the pieces of large letters behind it. Constraints decide races. Gives the inbox rows that are claimed.
    async fn keep(&self, conn: &mut Held, owner: Option<i64>, now: DateTime<Utc>) -> Result<HashSet<Uuid>, sqlx::Error> {
        if self.of.is_empty() {
            return Ok(HashSet::new());
        }
        if self.raw.iter().all(|raw| raw.len() < letters::LARGE) {
            return self.write(conn, owner, now).await;
        }
        conn.begin().await?;
        match self.write_large(conn, owner, now).await {
            Ok(claimed) => conn.commit().await.map(|()| claimed),
            Err(error) => {
                // Where that fails as well, the connection goes to nobody as it is.
                let _undone = conn.rollback().await;
                Err(error)
            }
        }
    }

    async fn write_large(&self, conn: &mut Connection, owner: Option<i64>, now: DateTime<Utc>) -> Result<HashSet<Uuid>, sqlx::Error> {
        let claimed = self.write(conn, owner, now).await?;
        letters::write(conn, &self.letters.iter().copied().zip(self.raw.iter().copied().map(Bytes::Here)).collect::<Vec<_>>()).await?;
        Ok(claimed)
    }

    async fn write(&self, conn: &mut Connection, owner: Option<i64>, now: DateTime<Utc>) -> Result<HashSet<Uuid>, sqlx::Error> {
        let verdicts = self.of.iter().map(|row| serde_json::to_value(row.arrival.verdict)).collect::<Result<Vec<_>, _>>();
        let recipients = self.of.iter().map(|row| serde_json::to_value(row.recipient)).collect::<Result<Vec<_>, _>>();
        let rows = sqlx::query!(
            "with w as (
                 insert into address (id, email, email_key, created_at)
                 select w.*, $1 from unnest($2::uuid[], $3::text[], $4::text[]) as w (id, email, email_key)),
             l as (
                 insert into letter (id, sha256, raw, size, received_at)
                 select l.*, $1 from unnest($5::uuid[], $6::bytea[], $7::bytea[], $8::integer[]) as l (id, sha256, raw, size)),
             d as (
                 select d.*, case when d.mine and row_number() over (partition by d.writer_id, d.mine order by d.inbox_id) = 1
                     and not exists (select 1 from inbox i where i.writer_id = d.writer_id and i.state = 'pending') then $29::bigint end as owner
                 from unnest($9::uuid[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::jsonb[],
                         $18::bytea[], $19::integer[], $20::text[], $21::text[], $22::text[], $23::text[], $24::jsonb[], $25::smallint[], $26::text[], $27::text[], $28::boolean[])
                     as d (exchange_id, inbox_id, letter_id, writer_id, mailbox, kind, decision, reply, recipient, fingerprint, size, message_id, reverse_path,
                         peer, helo, verdict, priority, session, tls, mine)),
             e as (
                 insert into exchange (id, at, direction, address_id, mailbox, kind, size, message_id, decision, outcome, reply, ended_at, session, tls)
                 select exchange_id, $1, 'in', writer_id, mailbox, kind, size, message_id, decision, case when reply is not null then 'refused' end, reply,
                     case when reply is not null then $1 end, session, tls from d)
             insert into inbox
                 (id, letter_id, exchange_id, recipient, writer_id, reverse_path, peer, helo, verdict, admission, next_at, fingerprint, received_at, priority, owner,
                 attempts)
             select inbox_id, letter_id, exchange_id, recipient, writer_id, reverse_path, peer, helo, verdict, decision, $1, fingerprint, $1, priority, owner,
                 case when owner is null then 0 else 1 end
             from d where inbox_id is not null returning id, owner",
            now,
            &self.new_writers.keys().copied().collect::<Vec<_>>(),
            &self.new_writers.values().map(|email| email.as_str()).collect::<Vec<_>>() as &[&str],
            &self.new_writers.values().map(|email| email.key()).collect::<Vec<_>>(),
            &self.letters,
            &self.sha256 as &[&[u8]],
            &self.raw.iter().map(|raw| letters::in_row(raw)).collect::<Vec<_>>() as &[&[u8]],
            &self.letter_size,
            &self.column(|row| row.exchange),
            &self.column(|row| row.inbox) as &[Option<Uuid>],
            &self.column(|row| row.letter),
            &self.column(|row| row.writer) as &[Option<Uuid>],
            &self.column(|row| row.recipient.mailbox()),
            &self.column(|row| row.recipient.kind()) as &[&str],
            &self.column(|row| row.decision.clone()),
            &self.column(|row| row.reply.clone()) as &[Option<String>],
            &recipients.map_err(|error| sqlx::Error::Encode(error.into()))?,
            &self.column(|row| row.fingerprint.clone()) as &[Option<Vec<u8>>],
            &self.column(|row| row.size),
            &self.column(|row| row.arrival.message_id.map(str::to_owned)) as &[Option<String>],
            &self.column(|row| row.arrival.envelope.reverse_path.as_ref().map(|path| path.as_str().to_owned())) as &[Option<String>],
            &self.column(|row| row.arrival.envelope.peer.to_string()),
            &self.column(|row| row.arrival.envelope.helo.clone()),
            &verdicts.map_err(|error| sqlx::Error::Encode(error.into()))?,
            &self.column(|row| priority(row.recipient)),
            &self.column(|row| row.arrival.session.to_owned()),
            &self.column(|row| row.arrival.tls.map(str::to_owned)) as &[Option<String>],
            &self.column(|row| owner.is_some() && row.may_be_claimed()),
            owner
        )
        .fetch_all(conn)
        .await?;
        Ok(rows.into_iter().filter(|row| row.owner.is_some()).map(|row| row.id).collect())
    }

    fn column<T>(&self, of: impl Fn(&Delivery<'a>) -> T) -> Vec<T> {
        self.of.iter().map(of).collect()
    }
}

/// What is worked off first. A partner's letter waits behind no crowd: a thousand bounces of a sending, or the sign-ups of the day a round opens, are
/// there for minutes, and a person who writes to a person notices that. Nor can partners starve the others for long: there are at most as many of them as
/// there are people, each with a limit for the day, and one of their letters takes no longer than any other.
fn priority(recipient: &Recipient) -> i16 {
    match recipient {
        Recipient::Alias { .. } => 0,
        Recipient::Service(_) | Recipient::Reply { .. } | Recipient::Bounce { .. } => 1,
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
