//! What a match of a round rests on, what it proposed, how it is proven, and whom it left over and why.
use anyhow::{Context, Result};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Connection, partnerships, rounds};
use crate::domain::{
    address::EmailAddress,
    answers::Answers,
    matching::{Certificate, Fairness, Objective, Witness},
    round::{Round, State},
};

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
    let round = rounds::lock(conn, snapshot.round.id).await?;
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

/// The proof of the last match, as [`crate::domain::matching::certificate`] describes it: of the one that a round began with, or of the last `late` one.
pub async fn certificate(conn: &mut Connection, round: Uuid, late: bool) -> Result<Option<Value>> {
    let proof = sqlx::query_scalar!("select case when $2 then late_certificate else certificate end from round where id = $1", round, late);
    Ok(proof.fetch_one(conn).await?)
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

/// Notes that those without a partner were matched while the round ran, with the proof.
pub async fn set_rematched(conn: &mut Connection, round: Uuid, on: NaiveDate, proof: &Certificate) -> Result<()> {
    sqlx::query!("update round set rematched_on = $2, late_certificate = $3 where id = $1", round, on, serde_json::to_value(proof)?).execute(conn).await?;
    Ok(())
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
