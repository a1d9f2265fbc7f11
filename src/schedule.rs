//! The calendar: does what is due at a moment, each thing in a transaction of its own, once, however many processes look at it.
use std::{panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::{
        matching::Matching,
        round::{self, Action, Round, State},
    },
    handlers::{Context, Sending, Site, alarms, introductions, rounds, topics},
    store::{
        Store, breaker, greylist, held, letters, people, proposals,
        room::{Leaving, Places},
        rounds as round_rows, sheets, wakes,
    },
    templates::letters::Resumed,
};

/// Matches that are tried in a row when people come and go meanwhile.
const TRIES: usize = 5;
/// How long a batch of a sending waits for the exit to take what it has in hand, or what waits in the database. Behind a slow one the sending goes on at this pace.
const MOMENT: Duration = Duration::from_millis(100);

/// The parts of the calendar. Each may be worked twice, and by several processes at once, and does nothing the second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Pauses whose day has come end.
    Pauses,
    /// Letters on hold for which nobody vouched are dropped.
    LettersOnHold,
    /// Rounds take their steps.
    Rounds,
    /// Topics whose day has come begin to go out.
    TopicsDue,
    /// The letters of those are queued, batch by batch.
    TopicLetters,
    /// Words past their days are forgotten.
    Words,
    /// The operator is told what nobody would see by night.
    Alarms,
}

impl Part {
    /// All of them, in the order in which they are worked.
    pub const ALL: [Self; 7] = [Self::Pauses, Self::LettersOnHold, Self::Rounds, Self::TopicsDue, Self::TopicLetters, Self::Words, Self::Alarms];

    async fn work(self, store: &Store, site: &Site, now: DateTime<Utc>, stop: &CancellationToken, done: &mut Done) {
        match self {
            Self::Pauses => done.note("pauses", end_pauses(store, site, now).await),
            Self::LettersOnHold => done.note("letters on hold", expire_held(store, now).await),
            Self::Rounds => match round_list(store).await {
                Ok(list) => {
                    for round in list {
                        done.note("a round", advance(store, site, round.id, now).await);
                    }
                }
                Err(error) => done.note("rounds", Err(error)),
            },
            Self::TopicsDue => done.note("topics", start_topics(store, site, now).await),
            Self::TopicLetters => {
                while !stop.is_cancelled() {
                    match send_on(store, site, now).await {
                        Ok(Some(letters)) => done.note("a topic", Ok(letters.max(1))),
                        Ok(None) => break,
                        Err(error) => {
                            done.note("a topic", Err(error));
                            break;
                        }
                    }
                }
            }
            Self::Words => done.note("words past their days", forget_words(store, site, now).await),
            Self::Alarms => done.note("alarms", tell_operator(store, site, now).await),
        }
    }
}

/// Does whatever the calendar would do at `now`; gives how many things that were, 0 when nothing was due. One thing that fails stops no other: it is logged,
/// and the first such error is given once all else is done.
pub async fn step(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<usize> {
    step_until(store, site, now, &CancellationToken::new()).await
}

/// The same, but no further part is begun once it is to stop, and no further batch of a sending, which goes on where it stopped.
pub async fn step_until(store: &Store, site: &Site, now: DateTime<Utc>, stop: &CancellationToken) -> Result<usize> {
    let mut done = Done::default();
    for part in Part::ALL {
        if stop.is_cancelled() {
            break;
        }
        // Rows that nobody foresaw stop neither the other parts nor the program.
        if AssertUnwindSafe(part.work(store, site, now, stop, &mut done)).catch_unwind().await.is_err() {
            done.note(&format!("{part:?}"), Err(anyhow!("it panicked")));
        }
    }
    done.result()
}

/// What was done, and what went wrong first.
#[derive(Default)]
struct Done {
    count: usize,
    error: Option<anyhow::Error>,
}

impl Done {
    fn note(&mut self, what: &str, result: Result<usize>) {
        match result {
            Ok(count) => self.count += count,
            Err(error) => {
                let error = error.context(format!("{what} in the calendar"));
                match self.error {
                    Some(_) => tracing::error!(error = format!("{error:#}"), "more in the calendar could not be done"),
                    None => self.error = Some(error),
                }
            }
        }
    }

    fn result(self) -> Result<usize> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.count),
        }
    }
}

async fn round_list(store: &Store) -> Result<Vec<Round>> {
    round_rows::list(&mut *store.connection().await?).await
}

/// Does with a round whatever is due, step after step, so that one that was forgotten catches up at once. Gives the number of steps and letters.
async fn advance(store: &Store, site: &Site, id: Uuid, now: DateTime<Utc>) -> Result<usize> {
    let mut done = 0;
    // A round has six steps in all.
    for _ in 0..State::ALL.len() {
        let mut tx = store.begin().await?;
        let round = round_rows::lock(&mut tx, id).await?;
        let Some(action) = round::due(&round, now.date_naive()) else {
            if round.state == State::Open {
                done += rounds::take_in(&mut Context::new(&mut tx, now, site), &round).await?;
                tx.commit().await?;
            } else if round.late_match_due(now.date_naive(), &site.programme.calendar) {
                tx.rollback().await?;
                done += match_late(store, site, &round, now).await?;
            }
            break;
        };
        done += 1;
        match action {
            Action::Open => done += rounds::open(&mut Context::new(&mut tx, now, site), id).await?,
            Action::Close => rounds::close(&mut Context::new(&mut tx, now, site), id).await?,
            Action::End => done += rounds::end(&mut Context::new(&mut tx, now, site), id).await?,
            Action::Approve if !proposals::is_stale(&mut tx, &round).await? => rounds::approve(&mut Context::new(&mut tx, now, site), id).await?,
            // A proposal of yesterday's people is made anew before it is approved.
            Action::Propose | Action::Approve => {
                tx.rollback().await?;
                propose(store, site, id, now, false).await?;
                continue;
            }
            Action::Introduce => {
                tx.rollback().await?;
                done += introduce(store, site, id, now).await?;
                continue;
            }
        }
        tx.commit().await.context("cannot commit a step of a round")?;
    }
    Ok(done)
}

/// Matches a round and writes the proposal down: the snapshot in one transaction, the match in none and on a thread of its own, the result in another, written
/// only if nobody came, went or changed their answers meanwhile; else the match is made again. `anew` forgets who was proposed to whom.
pub async fn propose(store: &Store, site: &Site, id: Uuid, now: DateTime<Utc>, anew: bool) -> Result<Matching> {
    for _ in 0..TRIES {
        let mut tx = store.begin().await?;
        let snapshot = rounds::snapshot(&mut Context::new(&mut tx, now, site), id).await?;
        tx.commit().await?;
        let programme = site.programme.clone();
        let (snapshot, matched) = tokio::task::spawn_blocking(move || {
            let matched = rounds::matched(&programme, &snapshot, anew);
            (snapshot, matched)
        })
        .await
        .context("the matcher died")?;
        let matched = matched?;
        let mut tx = store.begin().await?;
        if rounds::record(&mut Context::new(&mut tx, now, site), &snapshot, &matched).await? {
            tx.commit().await.context("cannot commit a proposal")?;
            return Ok(matched.matching);
        }
    }
    bail!("people came and went while the round was being matched, {TRIES} times in a row: try again")
}

/// Matches those who wait for a partner while a round runs, with the pairs under way as they are; where the round approves by itself, they are introduced at
/// once. Gives the number of letters.
pub async fn match_late(store: &Store, site: &Site, round: &Round, now: DateTime<Utc>) -> Result<usize> {
    let found = propose(store, site, round.id, now, false).await?;
    if round.self_approve && found.objective.matched > 0 { introduce(store, site, round.id, now).await } else { Ok(0) }
}

/// Introduces an approved round, or what was found late in one that runs, some partnerships a transaction; gives the number of letters. If people of an
/// approved round came, went or changed their answers since its match, that is mended first, with as few changes as can be. After a crash it goes on where it
/// stopped.
pub async fn introduce(store: &Store, site: &Site, id: Uuid, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let round = round_rows::lock(&mut tx, id).await?;
    let mend = round.state == State::Approved && proposals::is_stale(&mut tx, &round).await?;
    tx.rollback().await?;
    if mend {
        propose(store, site, id, now, false).await?;
    }
    let mut letters = 0;
    loop {
        let mut tx = store.begin().await?;
        let written = introductions::step(&mut Context::new(&mut tx, now, site), id).await?;
        tx.commit().await.context("cannot commit introductions")?;
        match written {
            Some(more) => letters += more,
            None => return Ok(letters),
        }
    }
}

/// Pauses whose day has come end, and their people are told.
async fn end_pauses(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let resumed = people::resume_due(&mut tx, now.date_naive()).await?;
    let mut ctx = Context::new(&mut tx, now, site);
    for id in &resumed {
        let Some(person) = people::find(ctx.conn, *id).await?.filter(|person| person.left_at.is_none()) else { continue };
        let letter = Resumed { was_paused: true, round: rounds::sentence_for(&mut ctx, *id).await? };
        ctx.write(&person, &letter, Sending::about(now.date_naive().to_string())).await?;
    }
    tx.commit().await.context("cannot commit the end of pauses")?;
    Ok(resumed.len())
}

/// Letters on hold for which nobody vouched in time are dropped.
async fn expire_held(store: &Store, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let expired = held::expire(&mut tx, now).await?;
    tx.commit().await.context("cannot commit the end of letters on hold")?;
    Ok(expired)
}

/// The words of letters are kept only as long as delivery and the configured days need them.
async fn forget_words(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let before = now - TimeDelta::days(site.keep_words_days.into());
    let words = letters::drop_words(&mut tx, before, now).await? + sheets::forget(&mut tx, before).await?;
    let forgotten = words + breaker::forget_passages(&mut tx, now).await?;
    let strangers = greylist::forget(&mut tx, now).await?;
    tx.commit().await.context("cannot commit the forgetting of words")?;
    Ok(usize::try_from(forgotten + strangers)?)
}

/// What failed, and what is held because there was too much of it.
async fn tell_operator(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let told = alarms::tell(&mut Context::new(&mut tx, now, site)).await?;
    tx.commit().await.context("cannot commit letters to the operator")?;
    Ok(told)
}

async fn start_topics(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<usize> {
    let mut tx = store.begin().await?;
    let started = topics::start_due(&mut Context::new(&mut tx, now, site)).await?;
    tx.commit().await.context("cannot commit the start of a topic")?;
    Ok(started)
}

/// Queues the next letters of a topic that is going out, for the exit of this process where that has room, or else for whichever is woken first: they leave
/// while the next are queued. `None` when none is going out.
pub async fn send_on(store: &Store, site: &Site, now: DateTime<Utc>) -> Result<Option<usize>> {
    let places = store.room().ask_for_many(topics::BATCH / 2, topics::BATCH, MOMENT).await;
    let mut tx = store.begin().await?;
    let mut ctx = Context { places, ..Context::new(&mut tx, now, site) };
    let queued = topics::send_on(&mut ctx).await?;
    let leaving = ctx.places.map(Places::leave);
    tx.commit().await.context("cannot commit letters of a topic")?;
    if leaving.is_none_or(Leaving::committed) && queued.is_some() {
        wakes::tell_all(store, wakes::Work::Queues).await?;
    }
    Ok(queued)
}
