//! The exit: claims letters of ours, signs them, hands them to the next hop on kept connections, and marks each as its reply comes.
use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use futures_util::future::OptionFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, DeliveryMode},
    handlers::Site,
    store::{
        Store, Tx, breaker,
        health::in_time,
        keys, orders,
        outbox::{self, Allowance, Claimed},
        ownership::{Owner, Term},
    },
};

mod capture;
mod circuit;
mod connection;
mod flight;
mod hop;
mod marks;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod replies;
mod sign;
mod way;

use flight::{Flight, Landed, Limits, TURN_EVERY, Travelling};
use hop::NextHop;
use sign::Signer;
use way::{Fate, Way};

/// Letters on their way are held in memory: no further one is claimed behind so many octets of them.
const OCTETS: usize = 32 << 20;
/// How long the exit sleeps when nothing wakes it.
const POLL: Duration = Duration::from_secs(5);

/// Whether the configuration of the way out can be used, without going it: errors name the key that is wrong.
pub fn examine(config: &Config) -> Result<()> {
    match &config.delivery.smarthost {
        Some(_) => NextHop::new(&config.delivery, &config.domain).map(drop),
        None => Ok(()),
    }
}

/// The exit of one process.
pub struct Exit {
    store: Store,
    owner: Owner,
    site: Arc<Site>,
    signer: Arc<Signer>,
    way: Arc<Way>,
    review: bool,
    limits: Limits,
}

/// A turn with the database.
type Turn<'a> = Pin<Box<dyn Future<Output = Turned> + Send + 'a>>;

/// Letters claimed, under which term, and whether others are due.
type Claim = (Arc<Term>, Vec<Claimed>, bool);

/// What a turn brought.
struct Turned {
    /// What was to be marked.
    landed: Vec<Landed>,
    /// What was claimed; an error when neither was done.
    claimed: Result<Option<Claim>>,
}

impl Exit {
    /// Reads the DKIM key (made if there is none) and the smarthost; errors name the key of the configuration that is wrong.
    pub async fn new(store: Store, owner: Owner, site: Arc<Site>, config: &Config) -> Result<Self> {
        let key = keys::ensure(&store, &site.secret, &site.domain, Utc::now()).await?;
        let capture = || Way::Capture(config.data_dir.join("mail"));
        let way = match config.delivery.mode() {
            DeliveryMode::Send => Way::Send(Box::new(NextHop::new(&config.delivery, &site.domain)?)),
            DeliveryMode::Capture => capture(),
            // What a person lets go leaves as it would without review.
            DeliveryMode::Review if config.delivery.smarthost.is_some() => Way::Send(Box::new(NextHop::new(&config.delivery, &site.domain)?)),
            DeliveryMode::Review => capture(),
        };
        Ok(Self {
            signer: Arc::new(Signer::new(&key, &site.domain)?),
            store,
            owner,
            site,
            way: Arc::new(way),
            review: config.delivery.mode() == DeliveryMode::Review,
            limits: Limits { most: config.delivery.concurrency.max(1), per_domain: config.delivery.per_domain.max(1) },
        })
    }

    /// Claims one batch and works it off; gives how many letters that were. For tests and the demo, which step until nothing is due.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<usize> {
        let mut flight = Flight::default();
        let term = self.owner.held().await;
        if let Some(turn) = self.begin_claim(&mut flight, term, now) {
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

    /// Works until stopped, then lets what is on its way arrive. Letters fly and land while the database marks some and claims others.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let signer = self.signer.clone();
        self.store.room().sign_with(Arc::new(move |raw| signer.sign(raw).ok().map(|signed| signed.signature)));
        let mut flight = Flight::default();
        let (mut claiming, mut marking): (Option<Turn<'_>>, Option<Turn<'_>>) = (None, None);
        // After a turn that failed: none begins before.
        let mut not_before = Instant::now();
        let mut is_due = true;
        while !stop.is_cancelled() {
            let now = Utc::now();
            let term = self.owner.term();
            for (term, letters) in self.store.room().fetch() {
                take_in_hand(&mut flight, &term, letters);
            }
            self.take_off(&mut flight, now);
            // Letters that become due, or that another process left, wake nobody.
            is_due |= flight.is_under_way() && flight.until_far().is_zero();
            self.make_room(&flight, term.as_ref(), is_due, now);
            let wait = not_before.saturating_duration_since(Instant::now());
            let is_known = term.as_ref().is_none_or(|term| term.is_known());
            if claiming.is_none() && is_due && is_known && wait.is_zero() && flight.may_claim() {
                is_due = false;
                claiming = term.clone().and_then(|term| self.begin_claim(&mut flight, term, now));
            }
            if marking.is_none() && wait.is_zero() && flight.should_mark() {
                marking = self.begin_mark(&mut flight, now);
            }
            let waits = (is_due && is_known && claiming.is_none()) || (flight.is_to_be_marked() && marking.is_none());
            let pause = match flight.is_under_way() {
                _ if waits => TURN_EVERY.max(wait),
                true => flight.until_far().max(TURN_EVERY),
                false => POLL,
            };
            tokio::select! {
                turned = either(&mut claiming, &mut marking) => match self.end_turn(&mut flight, turned) {
                    // There may be more.
                    Ok(more) => is_due |= more,
                    Err(error) => {
                        is_due = true;
                        not_before = Instant::now() + Duration::from_secs(1);
                        tracing::error!(error = format!("{error:#}"), "the outbox can't be worked off; trying again in a second");
                    }
                },
                () = flight.land(), if flight.flying() > 0 => is_due |= !flight.has_all(),
                () = wake.notified() => is_due = true,
                () = self.store.room().came() => {}
                _ = self.owner.held(), if term.is_none() => is_due = true,
                // What is left of it is given back only when nobody keeps it in mind.
                Some(()) = OptionFuture::from(term.as_deref().map(Term::lost)) => {}
                Some(()) = OptionFuture::from(term.as_deref().map(Term::known)), if !is_known => is_due = true,
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {
                    is_due = true;
                    match &*self.way {
                        Way::Send(hop) => hop.close_idle(),
                        Way::Capture(_) => {}
                    }
                }
            }
        }
        self.store.room().shut();
        while claiming.is_some() || marking.is_some() {
            if let Err(error) = self.end_turn(&mut flight, either(&mut claiming, &mut marking).await) {
                tracing::error!(error = format!("{error:#}"), "letters could not be claimed or marked");
            }
        }
        self.finish(&mut flight).await;
    }

    /// Gives back what is in hand, and waits for the letters on their way; half a minute for a database that is away, so that they are marked and not sent
    /// again.
    async fn finish(&self, flight: &mut Flight) {
        for (term, letters) in self.store.room().fetch() {
            take_in_hand(flight, &term, letters);
        }
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
            hop.close().await;
        }
    }

    /// Sets on their way as many letters in hand as there are places for; or gives them back when the next hop can't be spoken to.
    fn take_off(&self, flight: &mut Flight, now: DateTime<Utc>) {
        let limits = self.limits;
        let (room, open) = match &*self.way {
            Way::Send(hop) => (hop.circuit.room(limits.most, flight.flying(), now), hop.open()),
            // Written again, a letter takes the place of the first.
            Way::Capture(_) => (limits.most.saturating_sub(flight.flying()), limits.most),
        };
        for _ in 0..room {
            let Some(travelling) = flight.next(limits, open) else { break };
            let (store, way, signer, Travelling { letter, term }) = (self.store.clone(), self.way.clone(), self.signer.clone(), travelling.clone());
            flight.take_off(travelling, async move { way::deliver(&store, &way, &signer, &letter, &term).await });
            if let Way::Send(hop) = &*self.way {
                hop.circuit.launched(now);
            }
        }
        if self.is_hop_away() {
            flight.lay_down();
        }
    }

    fn is_hop_away(&self) -> bool {
        match &*self.way {
            Way::Send(hop) => hop.circuit.is_open(),
            Way::Capture(_) => false,
        }
    }

    /// Claims as much as there is room for; with an empty hand what landed is marked in the same commit, so that its places are free. `None`: no room.
    fn begin_claim<'a>(&'a self, flight: &mut Flight, term: Arc<Term>, now: DateTime<Utc>) -> Option<Turn<'a>> {
        let allowance = self.allowance(flight, &term, now)?;
        let landed = if flight.claimed() > flight.flying() { Vec::new() } else { flight.begin_mark() };
        flight.begin_claim(allowance.far);
        Some(Box::pin(async move {
            let claimed = self.mark_and_claim(&landed, &term, allowance, now).await.map(|(claimed, left)| Some((term, claimed, left)));
            Turned { landed, claimed }
        }))
    }

    /// Marks what landed. `None`: nothing did.
    fn begin_mark<'a>(&'a self, flight: &mut Flight, now: DateTime<Utc>) -> Option<Turn<'a>> {
        let landed = flight.begin_mark();
        if landed.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            let claimed = self.mark_all(&landed, now).await.map(|()| None);
            Turned { landed, claimed }
        }))
    }

    /// Lets whoever queues letters claim them for us, while nothing else is due that they would overtake, and all places are ours. Half of the room is left to
    /// those that are queued and wait to be claimed.
    fn make_room(&self, flight: &Flight, term: Option<&Arc<Term>>, is_due: bool, now: DateTime<Utc>) {
        let room = self.store.room();
        let Some(term) = term.filter(|term| term.is_alone() && !self.review && !self.is_hop_away()) else { return room.shut() };
        if !flight.has_all() {
            return room.open(term, 0, 0);
        }
        let able = flight.able(self.limits);
        let places = self.limits.reserve(self.free(flight, able, now)).0 + flight.room_ahead(self.limits, able);
        room.open(term, if is_due { places / 2 } else { places }, OCTETS.saturating_sub(flight.octets()));
    }

    /// How many could take off, beside those in hand that are able to.
    fn free(&self, flight: &Flight, able: usize, now: DateTime<Utc>) -> usize {
        match &*self.way {
            Way::Send(hop) => hop.circuit.room(self.limits.most, flight.flying() + able, now),
            Way::Capture(_) => self.limits.most.saturating_sub(flight.flying() + able),
        }
    }

    /// How much may be claimed, if anything.
    fn allowance(&self, flight: &Flight, term: &Term, now: DateTime<Utc>) -> Option<Allowance> {
        let limits = self.limits;
        let able = flight.able(limits);
        let free = self.free(flight, able, now);
        let ahead = if term.others() > 0 || self.is_hop_away() { 0 } else { flight.ahead(limits, able) };
        let (letters, per_domain) = limits.reserve(free);
        let octets = OCTETS.saturating_sub(flight.octets());
        (letters + ahead > 0 && octets > 0).then_some(Allowance {
            letters,
            per_domain,
            others: term.others(),
            ahead,
            octets,
            far: flight.until_far().is_zero(),
        })
    }

    /// Takes in hand what a turn brought; true when there may be more.
    fn end_turn(&self, flight: &mut Flight, Turned { landed, claimed }: Turned) -> Result<bool> {
        match claimed {
            Ok(claimed) => {
                flight.end_mark(&landed);
                match claimed {
                    Some((term, letters, left)) => {
                        let some = !letters.is_empty();
                        flight.learn(left);
                        take_in_hand(flight, &term, letters);
                        Ok(some && left)
                    }
                    // Their places are free; and who is told of a letter that was given up waits for that.
                    None => Ok(!flight.has_all() || landed.iter().any(|(_, fate)| matches!(fate, Fate::Never(..) | Fate::Later(_)))),
                }
            }
            Err(error) => {
                flight.keep(landed);
                Err(error)
            }
        }
    }

    async fn mark_and_claim(&self, landed: &[Landed], term: &Term, allowance: Allowance, now: DateTime<Utc>) -> Result<(Vec<Claimed>, bool)> {
        // Nothing is claimed yet, nor is it when this takes too long.
        let tx = in_time(outbox::begin_claim(&self.store)).await?;
        // What is claimed and not known here would wait for ever.
        in_time(self.mark_and_claim_in(tx, landed, term.id(), allowance, now)).await.inspect_err(|_| term.end())
    }

    async fn mark_and_claim_in(&self, mut tx: Tx, landed: &[Landed], owner: i64, allowance: Allowance, now: DateTime<Utc>) -> Result<(Vec<Claimed>, bool)> {
        self.mark_landed(&mut tx, landed, now).await?;
        if self.review {
            orders::hold_unreviewed(&mut tx, now).await?;
        }
        let (claimed, left) = outbox::claim(&mut tx, owner, allowance, now).await?;
        let claimed = breaker::pass(&mut tx, claimed, now).await?;
        tx.commit().await.context("cannot claim letters")?;
        Ok((claimed, left))
    }

    /// Marks all letters whose reply is known; they stay known until that is done. Marking again what was marked already changes nothing.
    async fn mark(&self, flight: &mut Flight, now: DateTime<Utc>) -> Result<()> {
        match self.begin_mark(flight, now) {
            Some(turn) => self.end_turn(flight, turn.await).map(drop),
            None => Ok(()),
        }
    }
}

fn take_in_hand(flight: &mut Flight, term: &Arc<Term>, letters: Vec<Claimed>) {
    flight.take_in_hand(letters.into_iter().map(|letter| Travelling { letter: Arc::new(letter), term: term.clone() }));
}

/// The end of the one turn or of the other; and then it is none any more.
async fn either(one: &mut Option<Turn<'_>>, other: &mut Option<Turn<'_>>) -> Turned {
    tokio::select! { turned = whole(one) => turned, turned = whole(other) => turned }
}

async fn whole(turn: &mut Option<Turn<'_>>) -> Turned {
    let Some(under_way) = turn else { return std::future::pending().await };
    let turned = under_way.await;
    *turn = None;
    turned
}
