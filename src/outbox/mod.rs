//! The exit: claims letters of ours, signs them, hands them to the next hop on kept connections, and marks each as its reply comes.
use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config::{Config, DeliveryMode},
    handlers::{Context, Site, bounces},
    store::{
        Store, keys,
        outbox::{self, Claimed},
        ownership::Owner,
    },
};

mod capture;
mod connection;
mod hop;
mod sign;

use hop::{Failure, NextHop};
use sign::Signer;

/// How long the exit sleeps when nothing wakes it.
const POLL: Duration = Duration::from_secs(5);

/// Where letters go.
enum Way {
    /// To the smarthost.
    Send(NextHop),
    /// Into Maildirs.
    Capture(PathBuf),
    /// Nowhere until released.
    Review,
}

/// What became of one letter.
enum Fate {
    /// The next hop took it, with these words.
    Sent(String),
    /// It did not, and may later.
    Later(String),
    /// It never will.
    Never(String),
}

/// The exit of one process.
pub struct Exit {
    store: Store,
    owner: Owner,
    site: Arc<Site>,
    signer: Arc<Signer>,
    way: Arc<Way>,
    concurrency: usize,
    per_domain: i64,
}

impl Exit {
    /// Reads the DKIM key (made if there is none) and the smarthost; errors name the key of the configuration that is wrong.
    pub async fn new(store: Store, owner: Owner, site: Arc<Site>, config: &Config) -> Result<Self> {
        let key = keys::ensure(&store, &site.secret, &site.domain, Utc::now()).await?;
        let way = match config.delivery.mode() {
            DeliveryMode::Send => Way::Send(NextHop::new(&config.delivery, &site.domain)?),
            DeliveryMode::Capture => Way::Capture(config.data_dir.join("mail")),
            DeliveryMode::Review => Way::Review,
        };
        Ok(Self {
            signer: Arc::new(Signer::new(&key, &site.domain)?),
            store,
            owner,
            site,
            way: Arc::new(way),
            concurrency: config.delivery.concurrency.max(1),
            per_domain: i64::try_from(config.delivery.per_domain.max(1))?,
        })
    }

    /// Claims one batch and works it off; gives how many letters that were. For tests and the demo, which step until nothing is due.
    pub async fn step(&self, now: DateTime<Utc>) -> Result<usize> {
        let mut flying = JoinSet::new();
        let count = self.launch(&mut flying, now).await?;
        while !flying.is_empty() {
            self.land(&mut flying, now).await?;
        }
        Ok(count)
    }

    /// Works until stopped, then lets what is on its way arrive.
    pub async fn run(self, wake: Arc<Notify>, stop: CancellationToken) {
        let mut flying = JoinSet::new();
        while !stop.is_cancelled() {
            if let Err(error) = self.turn(&mut flying, &wake, &stop).await {
                tracing::error!(error = format!("{error:#}"), "the outbox can't be worked off; trying again in a second");
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(Duration::from_secs(1)) => {} }
            }
        }
        while !flying.is_empty() {
            if let Err(error) = self.land(&mut flying, Utc::now()).await {
                tracing::error!(error = format!("{error:#}"), "letters on their way could not be marked");
                return;
            }
        }
    }

    async fn turn(&self, flying: &mut JoinSet<(Claimed, Fate)>, wake: &Notify, stop: &CancellationToken) -> Result<()> {
        let launched = if self.owner.is_held() { self.launch(flying, Utc::now()).await? } else { 0 };
        if !flying.is_empty() {
            return self.land(flying, Utc::now()).await;
        }
        if launched == 0 {
            tokio::select! {
                () = wake.notified() => {}
                () = stop.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Claims as many letters as there is room for, and sets them on their way.
    async fn launch(&self, flying: &mut JoinSet<(Claimed, Fate)>, now: DateTime<Utc>) -> Result<usize> {
        let room = self.concurrency.saturating_sub(flying.len());
        // Claiming for one free place costs as much as for twenty: wait until some are free, unless nothing flies.
        if room == 0 || (room < self.concurrency.div_ceil(4) && !flying.is_empty()) {
            return Ok(0);
        }
        let claimed = {
            let mut conn = self.store.connection().await?;
            outbox::claim(&mut conn, self.owner.id(), i64::try_from(room)?, self.per_domain, now).await?
        };
        if matches!(*self.way, Way::Review) {
            let ids: Vec<Uuid> = claimed.iter().map(|letter| letter.id).collect();
            outbox::put_back(&mut *self.store.connection().await?, &ids, true).await?;
            return Ok(ids.len());
        }
        let count = claimed.len();
        for letter in claimed {
            let (way, signer) = (self.way.clone(), self.signer.clone());
            flying.spawn(async move {
                let fate = deliver(&way, &signer, &letter).await;
                (letter, fate)
            });
        }
        Ok(count)
    }

    /// Waits for a letter to arrive, and marks it with all others that have meanwhile.
    async fn land(&self, flying: &mut JoinSet<(Claimed, Fate)>, now: DateTime<Utc>) -> Result<()> {
        let Some(first) = flying.join_next().await else { return Ok(()) };
        let mut landed = vec![first.context("a delivery died")?];
        while let Some(next) = flying.try_join_next() {
            landed.push(next.context("a delivery died")?);
        }
        let (mut ids, mut replies) = (Vec::new(), Vec::new());
        let mut tx = self.store.begin().await?;
        for (letter, fate) in landed {
            match fate {
                Fate::Sent(reply) => {
                    ids.push(letter.id);
                    replies.push(reply);
                }
                Fate::Later(reply) => {
                    let next = now + back_off(letter.attempts);
                    if next < letter.expires_at {
                        outbox::reschedule(&mut tx, letter.id, &reply, next).await?;
                    } else {
                        self.give_up(&mut tx, letter.id, &reply, now).await?;
                    }
                }
                Fate::Never(reply) => self.give_up(&mut tx, letter.id, &reply, now).await?,
            }
        }
        outbox::mark_sent(&mut tx, &ids, &replies, now).await?;
        tx.commit().await.context("cannot mark letters as sent")
    }

    async fn give_up(&self, conn: &mut crate::store::Connection, id: Uuid, reply: &str, now: DateTime<Utc>) -> Result<()> {
        outbox::give_up(conn, id, reply, now).await?;
        bounces::given_up(&mut Context { conn, now, site: &self.site, cause: None }, id, reply).await
    }
}

async fn deliver(way: &Way, signer: &Signer, letter: &Claimed) -> Fate {
    let Some(to) = &letter.to else { return Fate::Never("the mailbox was erased before the letter went out".into()) };
    if letter.raw.is_empty() {
        return Fate::Never("its words are no longer kept".into());
    }
    let signed = match signer.sign(&letter.raw) {
        Ok(signed) => signed,
        Err(error) => return Fate::Later(format!("it could not be signed: {error:#}")),
    };
    match way {
        Way::Send(hop) => match hop.deliver(&letter.reverse_path, to, &signed).await {
            Ok(reply) => Fate::Sent(reply),
            Err(Failure::Later(reply)) => Fate::Later(reply),
            Err(Failure::Never(reply)) => Fate::Never(reply),
        },
        Way::Capture(dir) => match capture::keep(dir.clone(), to.clone(), letter.id, signed).await {
            Ok(()) => Fate::Sent("captured".into()),
            Err(error) => Fate::Later(format!("it could not be captured: {error:#}")),
        },
        // Such letters were put back before.
        Way::Review => Fate::Later("held for review".into()),
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
