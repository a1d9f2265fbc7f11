//! Letters of ours on their way out: queued with what caused them, claimed by the exit, marked as the next hop replies.
use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Connection, Store, Tx, letters as bytes,
    room::Early,
    sheets::{self, Kept},
};
use crate::domain::{address::EmailAddress, breaker::Stream};

/// A letter ready to go, all but signed.
#[derive(Debug)]
pub struct NewLetter<'a> {
    /// Its row; the return path is made of it.
    pub id: Uuid,
    /// To whom.
    pub address_id: Uuid,
    /// Their mailbox.
    pub to: &'a EmailAddress,
    /// The local part it goes out as.
    pub mailbox: &'a str,
    /// What kind of letter: the template's name, or `relay`.
    pub kind: &'a str,
    /// What it is written for: decides what goes first.
    pub stream: Stream,
    /// What makes it the only one: a second letter under the same key is not written.
    pub occasion: &'a str,
    /// The envelope's sender.
    pub reverse_path: &'a str,
    /// Its Message-ID, without brackets.
    pub message_id: &'a str,
    /// The bytes, unsigned.
    pub raw: bytes::Bytes<'a>,
    /// The exchange row of the letter that caused this one.
    pub cause: Option<Uuid>,
    /// The sending it belongs to.
    pub sending: Option<Uuid>,
    /// Not before then.
    pub not_before: DateTime<Utc>,
}

/// Queues a letter and records it; false, and nothing written, when one was written under the same occasion already,
/// or when its mailbox is known to be dead.
pub async fn enqueue(conn: &mut Connection, letter: &NewLetter<'_>, now: DateTime<Utc>) -> Result<bool> {
    Ok(!enqueue_all(conn, std::slice::from_ref(letter), now).await?.is_empty())
}

/// The same for many letters in one statement; gives those that were queued. Two transactions that write under one occasion meet at the unique key: the
/// second fails, is rolled back and, tried again, writes nothing.
pub async fn enqueue_all(conn: &mut Connection, letters: &[NewLetter<'_>], now: DateTime<Utc>) -> Result<HashSet<Uuid>> {
    Ok(enqueue_for(conn, letters, None, &HashSet::new(), now).await?.all)
}

/// Letters that were queued.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// All of them.
    pub all: HashSet<Uuid>,
    /// Those that were claimed with it, and when we give up.
    pub claimed: HashMap<Uuid, DateTime<Utc>>,
}

/// The same, with `ours` of them claimed for `owner`, unless everything is held, or another process has letters on their way: the limit per domain holds over
/// all. No lock is taken for it, since a claim that waits for one lets all others wait: a process that comes claims nothing until this one knows of it.
pub(super) async fn enqueue_for(
    conn: &mut Connection,
    letters: &[NewLetter<'_>],
    owner: Option<i64>,
    ours: &HashSet<Uuid>,
    now: DateTime<Utc>,
) -> Result<Queued> {
    if letters.is_empty() {
        return Ok(Queued::default());
    }
    let column = |of: fn(&NewLetter<'_>) -> Uuid| letters.iter().map(of).collect::<Vec<_>>();
    let sizes = letters.iter().map(|letter| i32::try_from(letter.raw.len())).collect::<Result<Vec<_>, _>>().context("a letter beyond 2 GiB")?;
    let in_rows = letters.iter().map(|letter| bytes::in_row(letter.raw.here())).collect();
    let kept = if letters.iter().all(|letter| letter.sending.is_some()) { Kept::alike(in_rows) } else { Kept::whole(in_rows) };
    // Each is asked about by itself: joined, the tables would be read whole for every batch by a plan that was made when they were small.
    let rows = sqlx::query!(
        "with n as (
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[], $10::text[],
                     $11::bytea[], $12::integer[], $13::uuid[], $14::uuid[], $15::timestamptz[], $17::text[],
                     $18::boolean[])
                 as n (id, exchange_id, address_id, domain, mailbox, kind, priority, occasion, reverse_path, message_id, raw, size, cause_id, sending_id, not_before,
                     stream, ours)),
         free as materialized (
             select case when $19::bigint is null then false
                 else not hold_all
                     and not exists (select 1 from outbox o where o.owner < $19) and not exists (select 1 from outbox o where o.owner > $19) end as free
             from installation),
         fresh as (
             select n.* from n where (select a.suppressed_at is null from address a where a.id = n.address_id)
                 and (select o.id from outbox o where o.occasion = n.occasion) is null),
         e as (
             insert into exchange (id, at, direction, address_id, mailbox, kind, size, message_id, cause_id)
             select exchange_id, $16, 'out', address_id, mailbox, kind, size, message_id, cause_id from fresh)
         insert into outbox
             (id, exchange_id, address_id, domain, kind, priority, occasion, sending_id, reverse_path, raw, size, next_at, expires_at, created_at, stream,
              owner, attempts)
         select id, exchange_id, address_id, domain, kind, priority, occasion, sending_id, reverse_path, raw, size, not_before,
             greatest(not_before, $16) + interval '5 days', $16, stream,
             case when ours and free then $19::bigint end, case when ours and free then 1 else 0 end
         from fresh, free
         returning id, owner is not null as \"claimed!\", expires_at",
        &column(|letter| letter.id),
        &column(|_| Uuid::now_v7()),
        &column(|letter| letter.address_id),
        &letters.iter().map(|letter| letter.to.domain().to_owned()).collect::<Vec<_>>(),
        &letters.iter().map(|letter| letter.mailbox).collect::<Vec<_>>() as &[&str],
        &letters.iter().map(|letter| letter.kind).collect::<Vec<_>>() as &[&str],
        &letters.iter().map(|letter| letter.stream.priority()).collect::<Vec<_>>(),
        &letters.iter().map(|letter| letter.occasion).collect::<Vec<_>>() as &[&str],
        &letters.iter().map(|letter| letter.reverse_path).collect::<Vec<_>>() as &[&str],
        &letters.iter().map(|letter| letter.message_id).collect::<Vec<_>>() as &[&str],
        &kept.rows.iter().map(AsRef::as_ref).collect::<Vec<_>>() as &[&[u8]],
        &sizes,
        &letters.iter().map(|letter| letter.cause).collect::<Vec<_>>() as &[Option<Uuid>],
        &letters.iter().map(|letter| letter.sending).collect::<Vec<_>>() as &[Option<Uuid>],
        &letters.iter().map(|letter| letter.not_before).collect::<Vec<_>>(),
        now,
        &letters.iter().map(|letter| letter.stream.name()).collect::<Vec<_>>() as &[&str],
        &letters.iter().map(|letter| ours.contains(&letter.id)).collect::<Vec<_>>(),
        owner
    )
    .fetch_all(&mut *conn)
    .await?;
    let written =
        Queued { all: rows.iter().map(|row| row.id).collect(), claimed: rows.iter().filter(|row| row.claimed).map(|row| (row.id, row.expires_at)).collect() };
    kept.keep(conn, letters.iter().map(|letter| letter.id), now).await?;
    let (queued, not): (Vec<_>, Vec<_>) = letters.iter().partition(|letter| written.all.contains(&letter.id));
    bytes::write(conn, &queued.iter().map(|letter| (letter.id, letter.raw)).collect::<Vec<_>>()).await?;
    let kept: Vec<_> = not.iter().filter(|letter| matches!(letter.raw, bytes::Bytes::Kept(_))).map(|letter| letter.id).collect();
    if !kept.is_empty() {
        bytes::drop_pieces(conn, &kept).await?;
    }
    Ok(written)
}

/// Whether a letter was written under this occasion.
pub async fn is_known(conn: &mut Connection, occasion: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!("select exists (select 1 from outbox where occasion = $1) as \"known!\"", occasion).fetch_one(conn).await?)
}

/// Letters of a kind (but not what partners write, nor topics) queued since `since`, over the whole service. Who asks waits for others who asked to
/// commit: only so does a cap hold in all processes.
pub async fn count_since(conn: &mut Connection, kind: &str, since: DateTime<Utc>) -> Result<i64> {
    sqlx::query!("select pg_advisory_xact_lock(7725, -2)").execute(&mut *conn).await?;
    Ok(sqlx::query_scalar!("select count(*) as \"n!\" from outbox where kind = $1 and created_at >= $2 and stream not in ('relay', 'topics')", kind, since)
        .fetch_one(conn)
        .await?)
}

/// Letters of a kind (but not what partners write, nor topics) queued for one mailbox since `since`.
pub async fn count_to(conn: &mut Connection, address_id: Uuid, kind: &str, since: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "select count(*) as \"n!\" from outbox where address_id = $1 and kind = $2 and created_at > $3 and stream not in ('relay', 'topics')",
        address_id,
        kind,
        since
    )
    .fetch_one(conn)
    .await?)
}

/// Whom at a domain letters of a kind (but not what partners write, nor topics) were written to since `since`.
pub async fn written_to_domain(conn: &mut Connection, kind: &str, domain: &str, since: DateTime<Utc>) -> Result<Vec<EmailAddress>> {
    let rows = sqlx::query_scalar!(
        "select a.email as \"email!\" from outbox o join address a on a.id = o.address_id
         where o.kind = $1 and o.domain = $2 and o.created_at > $3 and o.stream not in ('relay', 'topics') and a.email is not null",
        kind,
        domain,
        since
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.iter().filter_map(|email| EmailAddress::parse(email).ok()).collect())
}

/// A letter that the exit works on.
#[derive(Debug)]
pub struct Claimed {
    /// Its row.
    pub id: Uuid,
    /// Its mailbox; `None` once that was erased.
    pub to: Option<EmailAddress>,
    /// The envelope's sender.
    pub reverse_path: String,
    /// The bytes, unsigned; of a large letter none, and of one on a sheet only what it has of its own: [`bytes_of`] gives the whole.
    pub raw: Vec<u8>,
    /// How many octets that is.
    pub size: i32,
    /// Attempts, this one included.
    pub attempts: i16,
    /// When we give up.
    pub expires_at: DateTime<Utc>,
    /// What it was written for.
    pub stream: Stream,
    /// A person looked at it and let it go.
    pub released: bool,
    /// Its signature, where that was made early.
    pub signature: Early,
}

impl Claimed {
    /// As its row says it, of a letter that was claimed as it was queued.
    pub(super) fn new(letter: &NewLetter<'_>, expires_at: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            id: letter.id,
            to: Some(letter.to.clone()),
            reverse_path: letter.reverse_path.to_owned(),
            raw: bytes::in_row(letter.raw.here()).to_vec(),
            size: i32::try_from(letter.raw.len())?,
            attempts: 1,
            expires_at,
            stream: letter.stream,
            released: false,
            signature: Early::default(),
        })
    }
}

/// How much a claim may take.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Letters that may leave at once.
    pub letters: usize,
    /// Letters on their way at once to one recipient domain, over all processes.
    pub per_domain: usize,
    /// How many other processes there are: each has its share of a domain's places.
    pub others: usize,
    /// So many more, also of one domain, to wait for their turn; none while another process has letters on their way.
    pub ahead: usize,
    /// No further letter behind so many octets of them.
    pub octets: usize,
    /// Looks past the letters to domains that are at their limit. Else only the first of each priority are looked at: a long row of letters
    /// to one domain must not be read again for every claim.
    pub far: bool,
}

/// A letter over which so many processes ended in a row is doubtful: one death finds many letters on their way, two hardly any.
const DOUBTFUL: i16 = 2;

/// Begins the transaction in which letters are claimed. Concurrent claims go one after the other, for only so does the limit per domain hold. The lock is asked
/// for after the beginning, not with it: whoever waits for it in vain, as for a process that is stopped with it in its hands, has to be rolled back, and sqlx
/// takes a beginning that failed for none.
pub async fn begin_claim(store: &Store) -> Result<Tx> {
    let mut tx = store.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock(7725, -1)").execute(&mut *tx).await.context("cannot claim letters beside another process")?;
    Ok(tx)
}

/// Claims due letters for `owner`, the most urgent first; none but alarms while everything is held. Inside [`begin_claim`], committed at once. Letters that
/// are doubtful are on their way one at a time, so that the next death is that one's doing, and none of those beside it. Whoever has all of a domain's places
/// would take each again as it falls free, and the others would never have one: so every other process finds a place, and up to its share as many again as it
/// has; one that does not want any costs no more than that. Gives also whether others are due that were not claimed.
pub async fn claim(tx: &mut Connection, owner: i64, allowance: Allowance, now: DateTime<Utc>) -> Result<(Vec<Claimed>, bool)> {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    // The rows are chosen first, as an array, and the state is compared in a way that the queue's index knows nothing of: so that each is then found by its
    // key, and the queue is not read a second time for every row.
    let rows = sqlx::query!(
        "with busy as materialized (
             select domain, count(*) as n, count(*) filter (where owner = $1) as ours from outbox where owner is not null group by domain),
         extra as materialized (select case when coalesce(bool_and(n = ours), true) then $8::bigint else 0 end as ahead from busy),
         taken as materialized (select domain, greatest(n, ours + least($3::bigint / ($7::bigint + 1) * $7, 2 * (n - ours) + $7)) as places from busy),
         near as (
             select c.* from unnest(array[-1, 0, 1, 2, 3]::smallint[]) as p (priority) cross join lateral (
                 select o.id, o.domain, o.priority, o.next_at, o.size, o.deaths from outbox o
                 where o.state = 'queued' and o.owner is null and o.priority = p.priority and o.next_at <= $4
                     and (not $5 or o.domain <> all (array(select domain from taken where places >= $3 + (select ahead from extra))))
                     and (o.deaths < $9 or not exists (select 1 from outbox s where s.owner = $1 and s.deaths >= $9))
                 order by o.next_at, o.id limit $2::bigint * case when $5 then 50 else 4 end + (select ahead from extra) + 1) c
             where p.priority < 0 or not (select hold_all from installation)),
         ranked as (
             select near.*, row_number() over (partition by domain order by priority, next_at, id)
                 + coalesce((select places from taken where taken.domain = near.domain), least($3::bigint / ($7::bigint + 1) * $7, $7)) as place,
                 row_number() over (partition by deaths >= $9 order by priority, next_at, id) as doubt from near),
         -- Those that can leave at once go before those that wait for their turn: these take nobody's place.
         ordered as (
             select ranked.*, row_number() over (order by place > $3, priority, next_at, id) as turn, count(*) filter (where place <= $3) over () as able
             from ranked where place <= $3 + (select ahead from extra) and (deaths < $9 or doubt = 1)),
         counted as (
             select id, sum(size) over (order by turn) - size as before from ordered where turn <= least(able, $2::bigint) + (select ahead from extra)),
         chosen as (
             update outbox o set owner = $1, attempts = attempts + 1 from address a
             where o.id = any (array(select id from counted where before < $6)) and a.id = o.address_id and coalesce(o.state, '') = 'queued' and o.owner is null
             returning o.id, a.email, o.reverse_path, o.raw, o.size, o.attempts, o.expires_at, o.stream, o.released_at is not null as released),
         others as (
             select (select hold_all from installation) or (select count(*) from near) > (select count(*) from counted where before < $6)
                 or exists (
                     select 1 from outbox o where o.state = 'queued' and o.owner is null and o.next_at <= $4
                         and o.domain = any (array(select domain from taken where places >= $3 + (select ahead from extra)))) as left)
         select others.left as \"left!\", c.id as \"id?\", c.email, c.reverse_path as \"reverse_path?\", c.raw, c.size as \"size?\",
             c.attempts as \"attempts?\", c.expires_at as \"expires_at?\", c.stream as \"stream?\", c.released as \"released?\"
         from others left join chosen c on true",
        owner,
        count(allowance.letters),
        count(allowance.per_domain),
        now,
        allowance.far,
        count(allowance.octets),
        count(allowance.others),
        count(allowance.ahead),
        DOUBTFUL
    )
    .fetch_all(tx)
    .await?;
    let left = rows.first().is_some_and(|row| row.left);
    let mut claimed = rows
        .into_iter()
        .filter_map(|row| {
            Some(Claimed {
                id: row.id?,
                to: row.email.and_then(|email| EmailAddress::parse(&email).ok()),
                reverse_path: row.reverse_path?,
                // Empty without a size: its words are no longer kept.
                size: if row.raw.is_some() { row.size? } else { 0 },
                raw: row.raw.unwrap_or_default(),
                attempts: row.attempts?,
                expires_at: row.expires_at?,
                // A stream of another version is watched by that version.
                stream: Stream::read(&row.stream?).unwrap_or_default(),
                released: row.released?,
                signature: Early::default(),
            })
        })
        .collect::<Vec<_>>();
    // An update gives its rows in any order; letters of one moment leave as they were written.
    claimed.sort_by_key(|letter| letter.id);
    Ok((claimed, left))
}

/// The bytes of a claimed letter that is large, or on a sheet; of any other none, because it has them.
pub async fn bytes_of(store: &Store, letter: &Claimed) -> Result<Option<Vec<u8>>> {
    let size = usize::try_from(letter.size)?;
    if letter.raw.len() >= size {
        return Ok(None);
    }
    if let Some(raw) = bytes::remembered(letter.id, letter.size) {
        return Ok(Some(raw));
    }
    let mut conn = store.connection().await?;
    let raw = match letter.raw.as_slice() {
        [] => bytes::read(&mut conn, letter.id, letter.size).await?,
        own => sheets::whole(&mut conn, own, size).await?,
    };
    conn.put_back();
    Ok(Some(raw))
}

/// What became of a letter that was claimed: marked only while it is `owner`'s, since a process that was away may have lost it to another.
#[derive(Debug, Clone, Copy)]
pub struct Mine {
    /// Its row.
    pub id: Uuid,
    /// The term under which it was claimed.
    pub owner: i64,
}

/// The next hop took these letters, with these words. Also marked is a letter that nobody owns any more: it is sent, and would be again. Gives how many
/// were marked; the others belong to another process by now, or were marked before.
pub async fn mark_sent(conn: &mut Connection, letters: &[Mine], replies: &[String], now: DateTime<Utc>) -> Result<usize> {
    let (ids, owners): (Vec<Uuid>, Vec<i64>) = letters.iter().map(|letter| (letter.id, letter.owner)).unzip();
    // Found by their keys, which a join with a handful of words leaves to what Postgres believes of the table: it read the whole record for each of these.
    let marked = sqlx::query_scalar!(
        "with told as materialized (select * from unnest($1::uuid[], $2::text[], $4::bigint[]) as t (id, reply, owner)),
         gone as (
             update outbox o set state = 'sent', owner = null, sent_at = $3
             where o.id = any($1) and (o.owner = (select t.owner from told t where t.id = o.id) or (o.owner is null and o.state = 'queued'))
             returning o.exchange_id, (select t.reply from told t where t.id = o.id)),
         recorded as (
             update exchange e set outcome = 'sent', reply = (select gone.reply from gone where gone.exchange_id = e.id), ended_at = $3
             where e.id = any(array(select exchange_id from gone)) and e.outcome is distinct from 'bounced')
         select count(*) as \"marked!\" from gone",
        &ids,
        replies,
        now,
        &owners
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(marked)?)
}

/// Tried again at `next_at`; the process lived through this attempt.
pub async fn reschedule(conn: &mut Connection, letter: Mine, reply: &str, next_at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with later as (update outbox set owner = null, next_at = $3, deaths = 0 where id = $1 and owner = $4 returning exchange_id)
         update exchange e set reply = $2 from later where e.id = later.exchange_id",
        letter.id,
        reply,
        next_at,
        letter.owner
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Were not on their way yet when their turn or the right to send them was lost: whoever claims them next sends them.
pub async fn give_back(conn: &mut Connection, letters: &[Mine]) -> Result<()> {
    let (ids, owners): (Vec<Uuid>, Vec<i64>) = letters.iter().map(|letter| (letter.id, letter.owner)).unzip();
    sqlx::query!(
        "update outbox o set owner = null, attempts = greatest(attempts - 1, 0) from unnest($1::uuid[], $2::bigint[]) as t (id, owner)
         where o.id = t.id and o.owner = t.owner",
        &ids,
        &owners
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Never tried again; false when it is not ours to say so any more.
pub async fn give_up(conn: &mut Connection, letter: Mine, reply: &str, now: DateTime<Utc>) -> Result<bool> {
    let given_up = sqlx::query!(
        "with failed as (update outbox set state = 'failed', owner = null where id = $1 and owner = $4 returning exchange_id)
         update exchange e set outcome = 'failed', reply = $2, ended_at = $3 from failed where e.id = failed.exchange_id",
        letter.id,
        reply,
        now,
        letter.owner
    )
    .execute(conn)
    .await?;
    Ok(given_up.rows_affected() > 0)
}

/// A claimed letter goes nowhere: its mailbox was erased.
pub async fn drop_claimed(conn: &mut Connection, letter: Mine, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with dropped as (update outbox set state = 'dropped', owner = null where id = $1 and owner = $3 returning exchange_id)
         update exchange e set outcome = 'dropped', reply = 'the mailbox was erased', ended_at = $2 from dropped where e.id = dropped.exchange_id",
        letter.id,
        now,
        letter.owner
    )
    .execute(conn)
    .await?;
    Ok(())
}
