//! Rounds, who is in them, and what a match proposes for them.
use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Connection, applications, partnerships};
use crate::domain::{
    address::EmailAddress,
    answers::Answers,
    matching::{Certificate, Fairness, Objective, Witness},
    round::{Days, Round, State},
};

/// A round that is not stored yet.
#[derive(Debug)]
pub struct NewRound<'a> {
    /// Its name, which no other round has.
    pub name: &'a str,
    /// Its days.
    pub days: Days,
    /// People it takes at most.
    pub capacity: Option<u32>,
    /// The calendar approves when nobody did.
    pub self_approve: bool,
    /// Decides between equally good matches.
    pub seed: u64,
}

/// A round's columns.
struct Row {
    id: Uuid,
    name: String,
    opens_on: NaiveDate,
    closes_on: NaiveDate,
    match_on: NaiveDate,
    introduce_on: NaiveDate,
    ends_on: NaiveDate,
    capacity: Option<i32>,
    self_approve: bool,
    state: String,
    seed: i64,
    version: i32,
    rematched_on: Option<NaiveDate>,
}

impl TryFrom<Row> for Round {
    type Error = anyhow::Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            days: Days { opens_on: row.opens_on, closes_on: row.closes_on, match_on: row.match_on, introduce_on: row.introduce_on, ends_on: row.ends_on },
            capacity: row.capacity.map(u32::try_from).transpose()?,
            self_approve: row.self_approve,
            state: State::read(&row.state).context("a round's state of another version")?,
            seed: row.seed as u64,
            version: row.version,
            rematched_on: row.rematched_on,
        })
    }
}

/// Adds a round; `None` when its name is taken. The days must have been checked.
pub async fn insert(conn: &mut Connection, round: &NewRound<'_>, now: DateTime<Utc>) -> Result<Option<Uuid>> {
    let Days { opens_on, closes_on, match_on, introduce_on, ends_on } = round.days;
    Ok(sqlx::query_scalar!(
        "insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, seed, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (name) do nothing returning id",
        Uuid::now_v7(),
        round.name,
        opens_on,
        closes_on,
        match_on,
        introduce_on,
        ends_on,
        round.capacity.map(i32::try_from).transpose().context("a round's capacity is beyond all measure")?,
        round.self_approve,
        round.seed as i64,
        now
    )
    .fetch_optional(conn)
    .await?)
}

/// All rounds, the earliest first.
pub async fn list(conn: &mut Connection) -> Result<Vec<Round>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round order by opens_on, id"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Round::try_from).collect()
}

/// A round by its name (in any case), or by its row.
pub async fn find(conn: &mut Connection, name_or_id: &str) -> Result<Option<Round>> {
    let id = Uuid::parse_str(name_or_id.trim()).ok();
    let row = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round
         where id = $1 or lower(name) = lower($2) order by id = $1 desc, name = $2 desc limit 1",
        id,
        name_or_id.trim()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Round::try_from).transpose()
}

/// A round, locked for this transaction: of two processes that would do something with it, the second sees what the first has done.
pub async fn lock(conn: &mut Connection, id: Uuid) -> Result<Round> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, opens_on, closes_on, match_on, introduce_on, ends_on, capacity, self_approve, state, seed, version, rematched_on from round where id = $1 for update",
        id
    )
    .fetch_optional(conn)
    .await?;
    row.with_context(|| format!("there is no round {id} any more"))?.try_into()
}

/// The open rounds, each with the number of people it has.
pub async fn open(conn: &mut Connection) -> Result<Vec<(Round, usize)>> {
    let mut open = Vec::new();
    for round in list(conn).await?.into_iter().filter(|round| round.state == State::Open) {
        let taken = taken(conn, round.id).await?;
        open.push((round, taken));
    }
    Ok(open)
}

/// The people of a round whose application is confirmed.
pub async fn taken(conn: &mut Connection, round: Uuid) -> Result<usize> {
    let count = sqlx::query_scalar!("select count(*) as \"n!\" from application where round_id = $1 and state = 'confirmed'", round).fetch_one(conn).await?;
    Ok(usize::try_from(count)?)
}

/// The next round that will open.
pub async fn next_planned(conn: &mut Connection) -> Result<Option<Round>> {
    Ok(list(conn).await?.into_iter().find(|round| round.state == State::Planned))
}

/// Moves a round to a state. Whether it may be moved is the rules' business.
pub async fn set_state(conn: &mut Connection, id: Uuid, state: State) -> Result<()> {
    sqlx::query!("update round set state = $2 where id = $1", id, state.name()).execute(conn).await?;
    Ok(())
}

/// An application, and whose it is.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The application.
    pub application_id: Uuid,
    /// The person.
    pub person_id: Uuid,
    /// What they told us.
    pub answers: Answers,
}

/// Takes up to `places` (all: `None`) of the confirmed applications that wait for a round into this one: those first whom an earlier round left over, then by
/// the time they were confirmed. People who pause go on waiting.
pub async fn attach_waiting(conn: &mut Connection, round: Uuid, places: Option<usize>) -> Result<Vec<Waiting>> {
    let places = places.map(i64::try_from).transpose()?;
    let rows = sqlx::query!(
        "with first as (
             select a.id from application a join person p on p.id = a.person_id
             where a.state = 'confirmed' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null
             order by a.left_over desc, a.confirmed_at, a.id limit $2 for update of a)
         update application a set round_id = $1 from first where a.id = first.id returning a.id, a.person_id, a.answers",
        round,
        places
    )
    .fetch_all(&mut *conn)
    .await?;
    if !rows.is_empty() {
        sqlx::query!("update round set version = version + 1 where id = $1", round).execute(conn).await?;
    }
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

/// The applications that wait for a round and are not confirmed, from people who don't pause; from now on they belong to this one.
pub async fn attach_drafts(conn: &mut Connection, round: Uuid) -> Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "update application a set round_id = $1 from person p
         where p.id = a.person_id and a.state = 'draft' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null
         returning a.id, a.person_id, a.answers",
        round
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

/// The people with a confirmed application who still wait for a round.
pub async fn still_waiting(conn: &mut Connection) -> Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "select a.id, a.person_id, a.answers from application a join person p on p.id = a.person_id
         where a.state = 'confirmed' and a.round_id is null and p.paused_at is null and p.left_at is null and p.erased_at is null order by a.id"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| waiting(row.id, row.person_id, row.answers)).collect()
}

fn waiting(application_id: Uuid, person_id: Uuid, answers: Value) -> Result<Waiting> {
    Ok(Waiting { application_id, person_id, answers: serde_json::from_value(answers).context("answers of another version")? })
}

/// Applications for a round that were not confirmed in time wait for the next one.
pub async fn release_drafts(conn: &mut Connection, round: Uuid) -> Result<u64> {
    Ok(sqlx::query!("update application set round_id = null where round_id = $1 and state = 'draft'", round).execute(conn).await?.rows_affected())
}

/// Somebody who is to be matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The person.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: String,
    /// Their mailbox.
    pub email: EmailAddress,
    /// What they told us.
    pub answers: Answers,
}

/// All that a match rests on, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The round, with its version of then.
    pub round: Round,
    /// Who is to be matched.
    pub candidates: Vec<Candidate>,
    /// Who among them were partners before.
    pub history: Vec<(Uuid, Uuid)>,
    /// Partnerships of this round that go on, in which one of them at least is a partner.
    pub under_way: Vec<(Uuid, Uuid)>,
    /// Who is proposed to whom so far.
    pub proposed: Vec<(Uuid, Uuid)>,
}

impl Snapshot {
    /// The same people with the same answers, mailboxes, earlier and present partners have the same digest.
    ///
    /// # Errors
    /// What can't be written as JSON, which is nothing.
    pub fn digest(&self) -> Result<String> {
        let rests_on = serde_json::to_vec(&(self.round.seed, &self.candidates, &self.history, &self.under_way))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &rests_on);
        Ok(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// All that a match of a round would rest on now. Before introductions that is everybody whose application is confirmed, who neither pauses nor left, and whose
/// mailbox lives. Afterwards it is those who wait for a partner: whoever is without one and has a confirmed application, for this round or for none, and
/// participants who have one partner and room for two.
pub async fn snapshot(conn: &mut Connection, round: Round) -> Result<Snapshot> {
    let late = round.state == State::Running;
    let rows = sqlx::query!(
        "select distinct on (p.id) p.id, p.name, d.email as \"email!\", a.answers
         from application a join person p on p.id = a.person_id join address d on d.person_id = p.id and d.is_primary
         where p.paused_at is null and p.left_at is null and p.erased_at is null and d.email is not null and d.suppressed_at is null
           and case
               when not $2 then a.round_id = $1 and a.state = 'confirmed'
               when a.state = 'confirmed' then (a.round_id is null or a.round_id = $1) and not exists (
                   select 1 from partner w join partnership q on q.id = w.partnership_id where w.person_id = p.id and q.state = 'introduced')
               else a.round_id = $1 and a.state = 'done' and a.answers -> 'capacity' = '2' and 1 = (
                   select count(*) from partner w join partnership q on q.id = w.partnership_id where w.person_id = p.id and q.state = 'introduced')
           end
         order by p.id, a.updated_at desc, a.id desc",
        round.id,
        late
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in rows {
        candidates.push(Candidate {
            person_id: row.id,
            name: row.name.unwrap_or_default(),
            email: EmailAddress::parse(&row.email).with_context(|| format!("the mailbox of person {} is none", row.id))?,
            answers: serde_json::from_value(row.answers).context("answers of another version")?,
        });
    }
    let people: Vec<Uuid> = candidates.iter().map(|candidate| candidate.person_id).collect();
    let history = partnerships::history(conn, &people).await?;
    let under_way = partnerships::pairs(conn, round.id, partnerships::State::Introduced, &people).await?;
    let proposed = partnerships::pairs(conn, round.id, partnerships::State::Proposed, &people).await?;
    Ok(Snapshot { round, candidates, history, under_way, proposed })
}

/// Whether all that a match rests on is as it was when the snapshot was taken; locks the round.
pub async fn is_unchanged(conn: &mut Connection, snapshot: &Snapshot) -> Result<bool> {
    let round = lock(conn, snapshot.round.id).await?;
    Ok(round == snapshot.round && self::snapshot(conn, round).await? == *snapshot)
}

/// What a round's last match came to, and on what it rests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proposal {
    /// How good it is.
    pub objective: Objective,
    /// How fair it is; `None` for a round so large that this would take too long, and for matches of an earlier version.
    #[serde(default)]
    pub fairness: Option<Fairness>,
    /// See [`Snapshot::digest`]; empty for matches of an earlier version.
    #[serde(default)]
    pub digest: String,
    /// The round's version.
    pub version: i32,
}

/// Notes what a match came to, with its proof.
pub async fn set_proposal(conn: &mut Connection, snapshot: &Snapshot, objective: &Objective, fairness: Option<&Fairness>, proof: &Certificate) -> Result<()> {
    let (round, digest) = (&snapshot.round, snapshot.digest()?);
    let proposal = Proposal { objective: objective.clone(), fairness: fairness.cloned(), digest, version: round.version };
    sqlx::query!("update round set proposal = $2, certificate = $3 where id = $1", round.id, serde_json::to_value(proposal)?, serde_json::to_value(proof)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// What the last match came to.
pub async fn proposal(conn: &mut Connection, round: Uuid) -> Result<Option<Proposal>> {
    let value = sqlx::query_scalar!("select proposal from round where id = $1", round).fetch_one(conn).await?;
    value.map(|value| serde_json::from_value(value).context("a proposal of another version")).transpose()
}

/// The proof of the last match, as [`crate::domain::matching::certificate`] describes it.
pub async fn certificate(conn: &mut Connection, round: Uuid) -> Result<Option<Value>> {
    Ok(sqlx::query_scalar!("select certificate from round where id = $1", round).fetch_one(conn).await?)
}

/// Whether people came, went or changed their answers after the last match, which was made before introductions.
pub async fn is_stale(conn: &mut Connection, round: &Round) -> Result<bool> {
    let Some(proposal) = proposal(conn, round.id).await? else { return Ok(true) };
    // Matches of an earlier version noted no digest.
    if proposal.digest.is_empty() {
        return Ok(proposal.version != round.version);
    }
    Ok(proposal.digest != snapshot(conn, round.clone()).await?.digest()?)
}

/// Notes that those without a partner were matched while the round ran.
pub async fn set_rematched(conn: &mut Connection, round: Uuid, on: NaiveDate) -> Result<()> {
    sqlx::query!("update round set rematched_on = $2 where id = $1", round, on).execute(conn).await?;
    Ok(())
}

/// The rounds that run, the one that ends last first.
pub async fn running(conn: &mut Connection) -> Result<Vec<Round>> {
    let mut running: Vec<Round> = list(conn).await?.into_iter().filter(|round| round.state == State::Running).collect();
    running.sort_by_key(|round| (std::cmp::Reverse(round.days.ends_on), round.id));
    Ok(running)
}

/// Somebody whom a match leaves without a partner.
#[derive(Debug, Clone)]
pub struct LeftOver {
    /// The person.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: Option<String>,
    /// Why, to follow "because".
    pub why: String,
    /// Who competes with them for whom, for coordinators.
    pub witness: Option<Witness>,
}

/// Why somebody is without a partner: in words for them, and for coordinators.
#[derive(Debug, Clone)]
pub struct Reason {
    /// The person.
    pub person_id: Uuid,
    /// Why, to follow "because".
    pub why: String,
    /// Who competes with them for whom.
    pub witness: Option<Witness>,
}

/// Replaces the list of those without a partner.
pub async fn set_unmatched(conn: &mut Connection, round: Uuid, unmatched: &[Reason]) -> Result<()> {
    sqlx::query!("delete from unmatched where round_id = $1", round).execute(&mut *conn).await?;
    for reason in unmatched {
        add_unmatched(conn, round, reason).await?;
    }
    Ok(())
}

/// Adds one person to the list of those without a partner.
pub async fn add_unmatched(conn: &mut Connection, round: Uuid, reason: &Reason) -> Result<()> {
    let witness = reason.witness.as_ref().map(serde_json::to_value).transpose()?;
    sqlx::query!(
        "insert into unmatched (round_id, person_id, why, witness) values ($1, $2, $3, $4)
         on conflict (round_id, person_id) do update set why = excluded.why, witness = excluded.witness",
        round,
        reason.person_id,
        reason.why,
        witness
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those without a partner.
pub async fn unmatched(conn: &mut Connection, round: Uuid) -> Result<Vec<LeftOver>> {
    let rows = sqlx::query!(
        "select u.person_id, p.name, u.why, u.witness from unmatched u join person p on p.id = u.person_id where u.round_id = $1 order by p.name, p.id",
        round
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let witness = row.witness.map(serde_json::from_value).transpose().context("a witness of another version")?;
            Ok(LeftOver { person_id: row.person_id, name: row.name, why: row.why, witness })
        })
        .collect()
}

/// Somebody in a round, for coordinators.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// The person.
    pub person_id: Uuid,
    /// The name they chose to show.
    pub name: Option<String>,
    /// Where their application stands.
    pub state: applications::State,
    /// What they told us.
    pub answers: Answers,
    /// They pause, so they are not matched.
    pub paused: bool,
    /// They left.
    pub left: bool,
    /// Their mailbox is dead.
    pub unreachable: bool,
}

/// Everybody who applied for a round.
pub async fn applicants(conn: &mut Connection, round: Uuid) -> Result<Vec<Applicant>> {
    let rows = sqlx::query!(
        "select p.id, p.name, a.state as \"state: applications::State\", a.answers, p.paused_at is not null as \"paused!\", p.left_at is not null as \"left!\",
             d.email is null or d.suppressed_at is not null as \"unreachable!\"
         from application a join person p on p.id = a.person_id left join address d on d.person_id = p.id and d.is_primary
         where a.round_id = $1 order by p.name, p.id",
        round
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let answers = serde_json::from_value(row.answers).context("answers of another version")?;
            Ok(Applicant { person_id: row.id, name: row.name, state: row.state, answers, paused: row.paused, left: row.left, unreachable: row.unreachable })
        })
        .collect()
}

/// The confirmed applications of a round whose people have been introduced to a partner are done.
pub async fn finish_introduced(conn: &mut Connection, round: Uuid, now: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "update application a set state = 'done', updated_at = $2
         where a.round_id = $1 and a.state = 'confirmed' and exists (
             select 1 from partner w join partnership p on p.id = w.partnership_id
             where w.person_id = a.person_id and p.round_id = $1 and p.state = 'introduced')",
        round,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The confirmed applications that a round leaves behind wait for the next one: of those who could have been matched (gives them) ahead of all others.
pub async fn requeue(conn: &mut Connection, round: Uuid, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let rows = sqlx::query!(
        "update application a set round_id = null, updated_at = $2, left_over = a.left_over + case when p.paused_at is null then 1 else 0 end
         from person p where p.id = a.person_id and a.round_id = $1 and a.state = 'confirmed'
         returning a.person_id, p.paused_at is null and p.left_at is null as \"left_over!\"",
        round,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.left_over).map(|row| row.person_id).collect())
}

/// The living application of somebody who has been introduced to a partner while a round ran is done.
pub async fn finish_late(conn: &mut Connection, round: Uuid, person: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("update application set state = 'done', round_id = $1, updated_at = $3 where person_id = $2 and state = 'confirmed'", round, person, now)
        .execute(conn)
        .await?;
    Ok(())
}
