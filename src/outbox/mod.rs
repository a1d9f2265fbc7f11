//! The exit: claims letters of ours, signs them, hands them to the next hop on kept connections, and marks each as its reply comes.
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::Notify,
    task::{self, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    aside,
    config::{Config, DeliveryMode},
    domain::address::EmailAddress,
    handlers::{
        Context, Site,
        bounces::{self, Refused},
    },
    store::{
        Connection, Store, Tx, breaker,
        health::in_time,
        keys,
        outbox::{self, Allowance, Claimed, Mine},
        ownership::{Owner, Term},
    },
};

mod capture;
mod circuit;
mod connection;
mod hop;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod replies;
mod sign;

use hop::{Failure, NextHop, Parcel};
use sign::Signer;

/// Letters on their way are held in memory: no further one is claimed behind so many octets of them.
const OCTETS: usize = 32 << 20;
/// Letters are claimed no more often than this while many are on their way: the next may go along with those that come meanwhile.
const CLAIM_EVERY: Duration = Duration::from_millis(5);
/// How long the exit sleeps when nothing wakes it.
const POLL: Duration = Duration::from_secs(5);
/// Once in this time a claim looks past the letters to domains at their limit, so that a long row of them delays nobody else by more.
const FAR_EVERY: Duration = Duration::from_millis(500);
/// One in so many places is for domains that have only as small a share of their own: some that are slow must not fill all.
const RESERVE: usize = 4;
/// With fewer places than this there is nothing to reserve.
const PLENTY: usize = 8;

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

/// What became of one letter.
enum Fate {
    /// The next hop took it, with these words.
    Sent(String),
    /// It did not, and may later.
    Later(String),
    /// It never will, for this or that.
    Never(String, Refused),
    /// There is nobody any more to send it to.
    Nobody,
    /// It was not sent, because it may be another process's by now.
    Back,
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

/// Letters between claim and mark.
#[derive(Default)]
struct Flight {
    flying: JoinSet<Fate>,
    letters: HashMap<task::Id, Travelling>,
    /// Their reply is known and not yet committed: kept until it is, for only we know it.
    landed: Vec<(Travelling, Fate)>,
    /// When letters were claimed last, and how many landed since.
    claimed_at: Option<Instant>,
    landed_since: usize,
    /// When a claim looked far last.
    looked_far_at: Option<Instant>,
    /// A claim was put off for a moment.
    waits_to_claim: bool,
}

/// A letter that is ours as long as the term lasts under which it was claimed. Holding the term keeps the letter's row from being freed.
#[derive(Clone)]
struct Travelling {
    letter: Arc<Claimed>,
    term: Arc<Term>,
}

impl Travelling {
    fn mine(&self) -> Mine {
        Mine { id: self.letter.id, owner: self.term.id() }
    }
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
        let count = self.launch(&mut flight, self.owner.held().await, now).await?;
        while flight.is_under_way() {
            flight.land().await;
            self.mark(&mut flight, now).await?;
        }
        Ok(count)
    }

    /// Works until stopped, then lets what is on its way arrive.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let mut flight = Flight::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.turn(&mut flight, &wake, &stop).await {
                tracing::error!(error = format!("{error:#}"), "the outbox can't be worked off; trying again in a second");
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
            }
        }
        self.finish(&mut flight).await;
    }

    async fn turn(&self, flight: &mut Flight, wake: &Notify, stop: &CancellationToken) -> Result<()> {
        let term = self.owner.term();
        let may_claim = term.is_some();
        let launched = match term {
            Some(term) => self.launch(flight, term, Utc::now()).await?,
            None => {
                self.mark(flight, Utc::now()).await?;
                0
            }
        };
        let pause = match flight.is_under_way() || launched > 0 {
            true if flight.waits_to_claim => CLAIM_EVERY,
            true => flight.until_far().max(CLAIM_EVERY),
            false => POLL,
        };
        tokio::select! {
            () = flight.land(), if flight.is_under_way() => {}
            () = wake.notified() => {}
            _ = self.owner.held(), if !may_claim => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => match &*self.way {
                Way::Send(hop) => hop.close_idle(false).await,
                Way::Capture(_) => {}
            },
        }
        Ok(())
    }

    /// Waits for the letters on their way; half a minute for a database that is away, so that they are marked and not sent again.
    async fn finish(&self, flight: &mut Flight) {
        let mut patience = 30;
        while flight.is_under_way() && patience > 0 {
            if flight.landed.is_empty() {
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

    /// Claims as many letters as there is room for, and sets them on their way; gives how many. What is known is marked before anything new is begun, in
    /// the same commit: no more than one letter of each connection is ever unmarked.
    async fn launch(&self, flight: &mut Flight, term: Arc<Term>, now: DateTime<Utc>) -> Result<usize> {
        let flying = flight.flying.len();
        flight.waits_to_claim = !flight.may_claim(flying);
        if flight.waits_to_claim {
            return Ok(0);
        }
        let room = match &*self.way {
            Way::Send(hop) => hop.circuit.room(self.concurrency, flying, now),
            Way::Capture(_) => self.concurrency.saturating_sub(flying),
        };
        let octets = OCTETS.saturating_sub(flight.letters.values().map(|travelling| travelling.letter.size as usize).sum());
        if room == 0 || octets == 0 {
            self.mark(flight, now).await?;
            return Ok(0);
        }
        let far = flight.until_far().is_zero();
        let tx = outbox::begin_claim(&self.store).await?;
        let allowance = self.allowance(room, octets, far, term.others());
        // What is claimed and not known here would wait for ever.
        let claimed = in_time(self.mark_and_claim(tx, &flight.landed, term.id(), allowance, now)).await.inspect_err(|_| term.end())?;
        flight.landed.clear();
        (flight.claimed_at, flight.landed_since) = (Some(Instant::now()), 0);
        if far {
            flight.looked_far_at = flight.claimed_at;
        }
        let count = claimed.len();
        if let (Way::Send(hop), 1..) = (&*self.way, count) {
            hop.circuit.launched(now);
        }
        for letter in claimed {
            let letter = Travelling { letter: Arc::new(letter), term: term.clone() };
            let (store, way, signer, travelling) = (self.store.clone(), self.way.clone(), self.signer.clone(), letter.clone());
            let task = flight.flying.spawn(async move { deliver(&store, &way, &signer, &travelling).await });
            flight.letters.insert(task.id(), letter);
        }
        Ok(count)
    }

    fn allowance(&self, room: usize, octets: usize, far: bool, others: usize) -> Allowance {
        let reserve = if self.concurrency >= PLENTY { self.concurrency / RESERVE } else { 0 };
        let (letters, per_domain) = match room > reserve {
            true => (room - reserve, self.per_domain),
            false => (room, (self.per_domain / RESERVE).max(1)),
        };
        Allowance { letters, per_domain, others, octets, far }
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

    /// Marks all letters whose reply is known, in one commit; they stay known until that is done. Marking again what was marked already changes nothing.
    async fn mark(&self, flight: &mut Flight, now: DateTime<Utc>) -> Result<()> {
        if flight.landed.is_empty() {
            return Ok(());
        }
        let marking = async {
            let mut tx = self.store.begin().await?;
            self.mark_landed(&mut tx, &flight.landed, now).await?;
            tx.commit().await.context("cannot mark letters as sent")
        };
        in_time(marking).await?;
        flight.landed.clear();
        Ok(())
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
                        self.give_up(tx, mine, &format!("{}: {reply}", bounces::EXPIRED), Refused::Mailbox, now).await?;
                    }
                }
                Fate::Never(reply, refused) => self.give_up(tx, mine, reply, *refused, now).await?,
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

    async fn give_up(&self, conn: &mut Connection, letter: Mine, reply: &str, refused: Refused, now: DateTime<Utc>) -> Result<()> {
        match outbox::give_up(conn, letter, reply, now).await? {
            true => bounces::given_up(&mut Context { conn, now, site: &self.site, cause: None }, letter.id, reply, refused).await,
            false => Ok(()),
        }
    }
}

impl Flight {
    /// Claiming for one place costs as much as for twenty: unless nothing flies, a quarter of what flies has to land first, or a moment to pass.
    fn may_claim(&self, flying: usize) -> bool {
        flying == 0 || self.landed_since * 4 >= flying || self.claimed_at.is_none_or(|at| at.elapsed() >= CLAIM_EVERY)
    }

    /// How long until a claim looks far.
    fn until_far(&self) -> Duration {
        self.looked_far_at.map_or(Duration::ZERO, |at| FAR_EVERY.saturating_sub(at.elapsed()))
    }

    fn is_under_way(&self) -> bool {
        !self.flying.is_empty() || !self.landed.is_empty()
    }

    /// Waits for a reply, and takes all others that are there meanwhile. Safe to be given up at any moment.
    async fn land(&mut self) {
        let mut next = self.flying.join_next_with_id().await;
        while let Some(joined) = next {
            let (id, fate) = match joined {
                Ok((id, fate)) => (id, fate),
                Err(died) => (died.id(), Fate::Later(format!("the delivery died: {died}"))),
            };
            if let Some(letter) = self.letters.remove(&id) {
                self.landed.push((letter, fate));
                self.landed_since += 1;
            }
            next = self.flying.try_join_next_with_id();
        }
    }
}

async fn deliver(store: &Store, way: &Way, signer: &Signer, Travelling { letter, term }: &Travelling) -> Fate {
    let Some(to) = &letter.to else { return Fate::Nobody };
    if letter.size == 0 {
        return Fate::Never("its words are no longer kept".into(), Refused::Letter);
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
            Err(error) => return Fate::Never(format!("its return path is no address: {error}"), Refused::Letter),
        },
    };
    match way {
        Way::Send(hop) => match hop.deliver(Parcel { from: from.as_ref(), to, letter: &signed, term }).await {
            Ok(reply) => Fate::Sent(reply),
            Err(Failure::Later(reply)) => Fate::Later(reply),
            Err(Failure::Never(reply, refused)) => Fate::Never(reply, refused),
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
