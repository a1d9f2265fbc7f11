//! The exit: claims letters of ours, signs them, hands them to the next hop on kept connections, and marks each as its reply comes.
use std::{
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    aside,
    config::{Config, DeliveryMode},
    domain::address::EmailAddress,
    handlers::{Context, Site, bounces},
    store::{
        Connection, Store, Tx, breaker,
        health::in_time,
        keys,
        outbox::{self, Allowance, Claimed, Mine},
        ownership::{Owner, Term},
    },
};

mod capture;
mod connection;
mod flight;
mod hop;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod sign;

use flight::{CLAIM_EVERY, Fate, Flight, Travelling};
use hop::{Failure, NextHop, Parcel};
use sign::Signer;

/// Letters on their way are held in memory: no further one is claimed behind so many octets of them.
const OCTETS: usize = 32 << 20;
/// At most so many times as many letters are claimed ahead as there may be connections.
const AHEAD: usize = 2;
/// How long the exit sleeps when nothing wakes it.
const POLL: Duration = Duration::from_secs(5);
/// Once in this time a claim looks past the letters to domains at their limit, so that a long row of them delays nobody else by more.
const FAR_EVERY: Duration = Duration::from_secs(1);

/// Where letters go.
enum Way {
    /// To the smarthost.
    Send(NextHop),
    /// Into Maildirs.
    Capture(PathBuf),
}

/// Whether the configuration of the way out can be used, without going it: errors name the key that is wrong.
pub fn examine(config: &Config) -> Result<()> {
    match &config.delivery.smarthost {
        Some(_) => NextHop::new(&config.delivery, &config.domain).map(drop),
        None => Ok(()),
    }
}

/// What a turn with the database brought.
struct Turned {
    landed: Vec<(Travelling, Fate)>,
    term: Option<Arc<Term>>,
    claimed: Result<Vec<Claimed>>,
}

/// The exit of one process.
pub struct Exit {
    store: Store,
    owner: Owner,
    site: Arc<Site>,
    signer: Arc<Signer>,
    way: Arc<Way>,
    review: bool,
    concurrency: usize,
    per_domain: usize,
}

impl Exit {
    /// Reads the DKIM key (made if there is none) and the smarthost; errors name the key of the configuration that is wrong.
    pub async fn new(store: Store, owner: Owner, site: Arc<Site>, config: &Config) -> Result<Self> {
        let key = keys::ensure(&store, &site.secret, &site.domain, Utc::now()).await?;
        let capture = || Way::Capture(config.data_dir.join("mail"));
        let way = match config.delivery.mode() {
            DeliveryMode::Send => Way::Send(NextHop::new(&config.delivery, &site.domain)?),
            DeliveryMode::Capture => capture(),
            // What a person lets go leaves as it would without review.
            DeliveryMode::Review if config.delivery.smarthost.is_some() => Way::Send(NextHop::new(&config.delivery, &site.domain)?),
            DeliveryMode::Review => capture(),
        };
        Ok(Self {
            signer: Arc::new(Signer::new(&key, &site.domain)?),
            store,
            owner,
            site,
            way: Arc::new(way),
            review: config.delivery.mode() == DeliveryMode::Review,
            concurrency: config.delivery.concurrency.max(1),
            per_domain: config.delivery.per_domain.max(1),
        })
    }

    /// Claims one batch and works it off; gives how many letters that were. For tests and the demo, which step until nothing is due.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<usize> {
        let mut flight = Flight::default();
        let term = self.owner.held().await;
        if let Some(turn) = self.begin_turn(&mut flight, Some(term), true, now) {
            self.end_turn(&mut flight, turn.await)?;
        }
        let count = flight.claimed();
        while flight.is_under_way() {
            self.take_off(&mut flight, now);
            flight.land().await;
            self.mark(&mut flight, now).await?;
        }
        Ok(count)
    }

    /// Works until stopped, then lets what is on its way arrive.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let mut flight = Flight::default();
        let mut turn: Option<Pin<Box<dyn Future<Output = Turned> + Send + '_>>> = None;
        let (mut looked, mut is_due) = (Instant::now(), true);
        while !stop.is_cancelled() {
            let far = looked.elapsed() >= FAR_EVERY;
            let term = self.owner.term();
            let is_ours = term.is_some();
            self.take_off(&mut flight, Utc::now());
            if turn.is_none() && is_due && flight.may_claim() {
                turn = self.begin_turn(&mut flight, term, far, Utc::now()).map(|turn| Box::pin(turn) as _);
                is_due = false;
                if far {
                    looked = Instant::now();
                }
            }
            let pause = match (flight.is_under_way(), is_due) {
                (true, true) => CLAIM_EVERY,
                (true, false) => FAR_EVERY,
                (false, _) => POLL,
            };
            tokio::select! {
                turned = whole(&mut turn) => {
                    match self.end_turn(&mut flight, turned) {
                        // There may be more.
                        Ok(claimed) => is_due |= claimed > 0,
                        Err(error) => {
                            is_due = true;
                            tracing::error!(error = format!("{error:#}"), "the outbox can't be worked off; trying again in a second");
                            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
                        }
                    }
                }
                () = flight.land(), if flight.flying() > 0 => is_due = true,
                () = wake.notified() => is_due = true,
                _ = self.owner.held(), if !is_ours => is_due = true,
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {
                    is_due = true;
                    match &*self.way {
                        Way::Send(hop) => hop.close_idle(false).await,
                        Way::Capture(_) => {}
                    }
                }
            }
        }
        if let Some(turn) = turn
            && let Err(error) = self.end_turn(&mut flight, turn.await)
        {
            tracing::error!(error = format!("{error:#}"), "letters could not be claimed or marked");
        }
        self.finish(&mut flight).await;
    }

    /// Waits for the letters on their way; half a minute for a database that is away, so that they are marked and not sent again.
    async fn finish(&self, flight: &mut Flight) {
        flight.lay_down();
        let mut patience = 30;
        while flight.is_under_way() && patience > 0 {
            if !flight.is_to_be_marked() {
                flight.land().await;
            }
            if let Err(error) = self.mark(flight, Utc::now()).await {
                patience -= 1;
                tracing::error!(error = format!("{error:#}"), "letters that were sent could not be marked; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        if let Way::Send(hop) = &*self.way {
            hop.close_idle(true).await;
        }
    }

    /// Sets on their way as many letters in hand as there are connections for.
    fn take_off(&self, flight: &mut Flight, now: DateTime<Utc>) {
        let flying = flight.flying();
        let (room, kept) = match &*self.way {
            Way::Send(hop) => (hop.room(self.concurrency, flying, now), hop.kept_connections()),
            // Written again, a letter takes the place of the first.
            Way::Capture(_) => (self.concurrency.saturating_sub(flying), self.concurrency),
        };
        for _ in 0..room {
            let Some(travelling) = flight.next(self.per_domain, kept) else { break };
            let (store, way, signer, letter) = (self.store.clone(), self.way.clone(), self.signer.clone(), travelling.clone());
            flight.take_off(travelling, async move { deliver(&store, &way, &signer, &letter).await });
            if let Way::Send(hop) = &*self.way {
                hop.launched(now);
            }
        }
        if matches!(&*self.way, Way::Send(hop) if hop.is_away()) {
            flight.lay_down();
        }
    }

    /// What one turn with the database is to do: mark what landed, and, in the same commit, claim as much as there is room for. Letters go on to fly and land
    /// meanwhile. `None`: there is nothing to do.
    fn begin_turn(&self, flight: &mut Flight, term: Option<Arc<Term>>, far: bool, now: DateTime<Utc>) -> Option<impl Future<Output = Turned> + Send + use<'_>> {
        let ahead = match &*self.way {
            Way::Send(hop) if hop.is_away() => 0,
            Way::Send(_) | Way::Capture(_) => flight.ahead().min(AHEAD * self.concurrency),
        };
        let room = match &*self.way {
            Way::Send(hop) => hop.room(self.concurrency + ahead, flight.claimed(), now),
            Way::Capture(_) => (self.concurrency + ahead).saturating_sub(flight.claimed()),
        };
        let octets = OCTETS.saturating_sub(flight.octets());
        let term = term.filter(|_| room > 0 && octets > 0);
        if term.is_none() && !flight.is_to_be_marked() {
            return None;
        }
        let allowance = Allowance { letters: room, per_domain: self.per_domain, ahead, octets, far };
        let landed = flight.begin_turn();
        Some(async move {
            let claimed = match &term {
                Some(term) => {
                    let claiming = async {
                        let tx = outbox::begin_claim(&self.store).await?;
                        in_time(self.mark_and_claim(tx, &landed, term.id(), allowance, now)).await
                    };
                    // What is claimed and not known here would wait for ever.
                    claiming.await.inspect_err(|_| term.end())
                }
                None => self.mark_all(&landed, now).await.map(|()| Vec::new()),
            };
            Turned { landed, term, claimed }
        })
    }

    /// Takes what a turn brought in hand; gives how many letters that are.
    fn end_turn(&self, flight: &mut Flight, Turned { landed, term, claimed }: Turned) -> Result<usize> {
        match (claimed, term) {
            (Ok(claimed), Some(term)) => {
                let count = claimed.len();
                flight.end_turn(claimed.into_iter().map(|letter| Travelling { letter: Arc::new(letter), term: term.clone() }));
                Ok(count)
            }
            (Ok(_), None) => {
                flight.end_turn([]);
                Ok(0)
            }
            (Err(error), _) => {
                flight.keep(landed);
                Err(error)
            }
        }
    }

    async fn mark_and_claim(&self, mut tx: Tx, landed: &[(Travelling, Fate)], owner: i64, allowance: Allowance, now: DateTime<Utc>) -> Result<Vec<Claimed>> {
        self.mark_landed(&mut tx, landed, now).await?;
        if self.review {
            outbox::hold_unreviewed(&mut tx, now).await?;
        }
        let claimed = outbox::claim(&mut tx, owner, allowance, now).await?;
        let claimed = breaker::pass(&mut tx, claimed, now).await?;
        tx.commit().await.context("cannot claim letters")?;
        Ok(claimed)
    }

    /// Marks all letters whose reply is known; they stay known until that is done.
    async fn mark(&self, flight: &mut Flight, now: DateTime<Utc>) -> Result<()> {
        if !flight.is_to_be_marked() {
            return Ok(());
        }
        let landed = flight.begin_turn();
        let claimed = self.mark_all(&landed, now).await.map(|()| Vec::new());
        self.end_turn(flight, Turned { landed, term: None, claimed }).map(|_| ())
    }

    /// Marks these letters in one commit.
    async fn mark_all(&self, landed: &[(Travelling, Fate)], now: DateTime<Utc>) -> Result<()> {
        in_time(async {
            let mut tx = self.store.begin().await?;
            self.mark_landed(&mut tx, landed, now).await?;
            tx.commit().await.context("cannot mark letters as sent")
        })
        .await
    }

    async fn mark_landed(&self, tx: &mut Connection, landed: &[(Travelling, Fate)], now: DateTime<Utc>) -> Result<()> {
        let (mut sent, mut replies) = (Vec::new(), Vec::new());
        for (travelling, fate) in landed {
            let (letter, mine) = (&travelling.letter, travelling.mine());
            match fate {
                Fate::Sent(reply) => {
                    sent.push(mine);
                    replies.push(reply.clone());
                }
                Fate::Later(reply) => {
                    let next = now + back_off(letter.attempts);
                    if next < letter.expires_at {
                        outbox::reschedule(tx, mine, reply, next).await?;
                    } else {
                        self.give_up(tx, mine, &format!("{}: {reply}", bounces::EXPIRED), now).await?;
                    }
                }
                Fate::Never(reply) => self.give_up(tx, mine, reply, now).await?,
                Fate::Nobody => outbox::drop_claimed(tx, mine, now).await?,
                Fate::Back => outbox::give_back(tx, mine).await?,
            }
        }
        if !sent.is_empty() {
            let marked = outbox::mark_sent(tx, &sent, &replies, now).await?;
            if marked < sent.len() {
                tracing::warn!(letters = sent.len() - marked, "sent, and not ours to mark any more: marked before, or sent by another process as well");
            }
        }
        Ok(())
    }

    async fn give_up(&self, conn: &mut Connection, letter: Mine, reply: &str, now: DateTime<Utc>) -> Result<()> {
        match outbox::give_up(conn, letter, reply, now).await? {
            true => bounces::given_up(&mut Context { conn, now, site: &self.site, cause: None }, letter.id, reply).await,
            false => Ok(()),
        }
    }
}

/// The end of a turn, if there is one; and then there is none any more.
async fn whole<F: Future + Unpin>(turn: &mut Option<F>) -> F::Output {
    let Some(under_way) = turn else { return std::future::pending().await };
    let turned = under_way.await;
    *turn = None;
    turned
}

async fn deliver(store: &Store, way: &Way, signer: &Signer, Travelling { letter, term }: &Travelling) -> Fate {
    let Some(to) = &letter.to else { return Fate::Nobody };
    if letter.size == 0 {
        return Fate::Never("its words are no longer kept".into());
    }
    let large = match in_time(outbox::bytes_of(store, letter)).await {
        Ok(large) => large,
        Err(error) if store.diagnose(&error).is_some() => return Fate::Back,
        Err(error) => return Fate::Later(format!("it could not be read: {error:#}")),
    };
    let raw = large.as_ref().unwrap_or(&letter.raw);
    let signed = match aside::work(raw.len(), || signer.sign(raw)) {
        Ok(signed) => signed,
        Err(error) => return Fate::Later(format!("it could not be signed: {error:#}")),
    };
    // A return path that is no address could carry a command: it does not leave.
    let from = match letter.reverse_path.as_str() {
        "" => None,
        path => match EmailAddress::parse(path) {
            Ok(path) => Some(path),
            Err(error) => return Fate::Never(format!("its return path is no address: {error}")),
        },
    };
    match way {
        Way::Send(hop) => match hop.deliver(Parcel { from: from.as_ref(), to, letter: &signed, term }).await {
            Ok(reply) => Fate::Sent(reply),
            Err(Failure::Later(reply)) => Fate::Later(reply),
            Err(Failure::Never(reply)) => Fate::Never(reply),
            Err(Failure::NotOurs) => Fate::Back,
        },
        Way::Capture(_) if !term.is_held() => Fate::Back,
        Way::Capture(dir) => match capture::keep(dir.clone(), from, to.clone(), letter.id, &signed).await {
            Ok(()) => Fate::Sent("captured".into()),
            Err(error) => Fate::Later(format!("it could not be captured: {error:#}")),
        },
    }
}

/// A minute, five, a quarter of an hour, an hour, then every four hours: RFC 5321 4.5.4.1 asks for patience of four to five days.
fn back_off(attempts: i16) -> TimeDelta {
    match attempts {
        ..=1 => TimeDelta::minutes(1),
        2 => TimeDelta::minutes(5),
        3 => TimeDelta::minutes(15),
        4 => TimeDelta::hours(1),
        5.. => TimeDelta::hours(4),
    }
}
