//! A round: letters on their way, somebody dies at a random moment, and all that was answered 250 has to come all the same.
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tokio::time::{interval, sleep_until};

use crate::{
    chance::Chance,
    clients::{Clients, PAIRS},
    installation::Installation,
    kind::Kind,
    moods::Mood,
    postgres::Postgres,
    stopwatch::{self, Stopwatch},
    table::Tally,
};

/// How long anything is waited for before it counts as never.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);
/// Once in so many looks the database is asked.
const ASK: u32 = 10;

/// How somebody died.
struct Death {
    /// When.
    at: Instant,
    /// When what died, or the next hop, was well again or began to be.
    back: Instant,
    /// Connections to the next hop that were open.
    open: usize,
}

impl Death {
    fn now(open: usize) -> Self {
        Self { at: Instant::now(), back: Instant::now(), open }
    }
}

/// Rounds on one installation, one after the other.
pub struct Rounds {
    installation: Installation,
    /// At work while a round lasts.
    clients: Clients,
    chance: Chance,
    pause: Duration,
    /// The next partnership whose mailbox does not exist.
    dead: u32,
}

impl Rounds {
    /// On this installation; who is paused is so for `pause`.
    pub fn new(installation: Installation, pause: Duration, chance: Chance) -> Self {
        Self { installation, clients: Clients::default(), chance, pause, dead: PAIRS }
    }

    /// Ends the installation.
    pub async fn stop(self) -> Result<()> {
        self.installation.stop().await
    }

    /// Plays one.
    pub async fn play(&mut self, kind: Kind) -> Result<Tally> {
        let played = self.round(kind).await;
        if played.is_err() {
            self.explain().await;
        }
        played.with_context(|| format!("a round of “{}”; the last words of\n{}", kind.name(), self.installation.said()))
    }

    async fn round(&mut self, kind: Kind) -> Result<Tally> {
        let milliseconds = |chance: &mut Chance, choices: &[u64]| Duration::from_millis(chance.one_of(choices));
        let (thinks, pause) = (milliseconds(&mut self.chance, &[2, 20, 100]), milliseconds(&mut self.chance, &[5, 20, 50]));
        self.installation.places.iter().for_each(|place| place.sink.thinks(thinks));
        let before = self.installation.ledger().counts();
        let also = matches!(kind, Kind::Mood(Mood::Rejects)).then_some(self.dead);
        self.clients = Clients::start(&self.installation.post, pause, also, &mut self.chance);
        self.letters_since(Instant::now(), 40, false).await?;
        let death = match kind {
            Kind::Program => self.program().await?,
            Kind::Postmaster => {
                let death = Death::now(self.installation.places[0].sink.open());
                self.installation.postgres.kill()?;
                death
            }
            Kind::Backend => {
                let death = Death::now(self.installation.places[0].sink.open());
                self.installation.postgres.kill_a_session(&mut self.chance)?;
                death
            }
            Kind::Mood(mood) => self.mood(mood).await?,
            Kind::OneOfTwo => self.one_of_two().await?,
            Kind::Paused => self.paused().await?,
        };
        let (ledger, postgres) = (self.installation.post.ledger.clone(), self.installation.postgres.clone());
        let is_moody = matches!(kind, Kind::Mood(_));
        self.letters_since(death.back, 20, is_moody).await?;
        until("letters come again", async |look| {
            again_soon(&postgres, is_moody, look).await;
            ledger.again(death.back).is_some()
        })
        .await?;
        tokio::time::timeout(PATIENCE, std::mem::take(&mut self.clients).stop()).await.context("letters are not taken any more")??;
        let settled = until("nothing waits any more", async |look| {
            again_soon(&postgres, is_moody, look).await;
            look % ASK == 0 && ledger.missing().is_empty() && postgres.waiting().await.is_ok_and(|waiting| waiting == 0)
        })
        .await;
        self.explain().await;
        let missing = ledger.missing();
        if missing.is_empty() {
            settled?;
        }
        let from = if is_moody { death.back } else { death.at };
        let after = |moment: Option<Instant>, from| moment.map(|moment| stopwatch::ran(from, moment)).unwrap_or_default();
        let (again, all) = (after(ledger.again(death.back), death.back), after(ledger.all(death.at), from));
        let unrecorded = postgres.unrecorded().await?;
        ledger.close();
        Ok(Tally { rounds: 1, counts: ledger.counts().since(before), lost: missing.len() + unrecorded, open: death.open, again, all })
    }

    /// Until a random number of letters, up to `most`, was taken since `moment`, and a little longer. With `retry`, those that the next hop refused are tried
    /// again meanwhile: while too many of them wait, no client writes.
    async fn letters_since(&mut self, moment: Instant, most: u64, retry: bool) -> Result<()> {
        let wanted = 1 + self.chance.below(most);
        let (ledger, postgres) = (self.installation.post.ledger.clone(), self.installation.postgres.clone());
        let clients = &mut self.clients;
        let mut ended = Ok(());
        until("letters are taken", async |look| {
            again_soon(&postgres, retry, look).await;
            ended = clients.check();
            ended.is_err() || ledger.accepted_since(moment) as u64 >= wanted
        })
        .await?;
        ended?;
        sleep_until((Instant::now() + Duration::from_micros(self.chance.below(30_000))).into()).await;
        Ok(())
    }

    async fn program(&mut self) -> Result<Death> {
        let open = self.installation.kill(0).await?;
        let death = Death::now(open);
        if self.chance.once_in(4) {
            let life = Duration::from_millis(self.chance.below(1500));
            self.installation.start_in_vain(0, life).await?;
        }
        self.installation.start(0).await?;
        Ok(death)
    }

    async fn mood(&mut self, mood: Mood) -> Result<Death> {
        let dead = format!("partner{}@partner.example", self.dead);
        self.dead += u32::from(mood == Mood::Rejects);
        self.installation.places[0].sink.mood(mood, dead);
        self.letters_since(Instant::now(), 40, false).await?;
        let open = self.installation.kill(0).await?;
        let mut death = Death::now(open);
        self.installation.start(0).await?;
        self.letters_since(Instant::now(), 40, false).await?;
        // Long enough, now and then, for the program to lose its patience with the hop.
        sleep_until((Instant::now() + Duration::from_millis(self.chance.below(5000))).into()).await;
        self.installation.places[0].sink.mood(Mood::Good, String::new());
        death.back = Instant::now();
        Ok(death)
    }

    async fn one_of_two(&mut self) -> Result<Death> {
        let victim = self.chance.below(2) as usize;
        let open = self.installation.kill(victim).await?;
        let death = Death::now(open);
        // At once, or when the other has stood in for it.
        if self.chance.once_in(2) {
            sleep_until((death.at + Duration::from_secs(4)).into()).await;
        }
        self.installation.start(victim).await?;
        Ok(death)
    }

    async fn paused(&mut self) -> Result<Death> {
        let victim = self.chance.below(2) as usize;
        let open = self.installation.places[victim].sink.open();
        self.installation.places[victim].program()?.signal(Signal::STOP)?;
        let mut death = Death::now(open);
        sleep_until((death.at + self.pause).into()).await;
        self.installation.ledger().wakes(victim);
        self.installation.places[victim].program()?.signal(Signal::CONT)?;
        death.back = Instant::now();
        Ok(death)
    }

    /// Says of some letters that are missing how they stand.
    async fn explain(&self) {
        for mark in self.installation.ledger().missing().into_iter().take(5) {
            match self.installation.postgres.tells(&format!("{mark}.loop@sender.example")).await {
                Ok(told) if told.is_empty() => eprintln!("letter {mark} is missing: the database has never heard of it"),
                Ok(told) => eprintln!("letter {mark} is missing: {}", told.join("; ")),
                Err(error) => eprintln!("letter {mark} is missing: {error:#}"),
            }
        }
    }
}

/// Now and then, what a mood had refused is tried again at once.
async fn again_soon(postgres: &Postgres, is_moody: bool, look: u32) {
    if is_moody && look.is_multiple_of(ASK) {
        // The next look asks again.
        drop(postgres.retry_all().await);
    }
}

/// Waits until a condition, which hears how often it was looked at, holds.
async fn until(what: &str, mut condition: impl AsyncFnMut(u32) -> bool) -> Result<()> {
    let (began, mut looks, mut look) = (Stopwatch::start(), interval(LOOK), 0);
    while !condition(look).await {
        if began.elapsed() > PATIENCE {
            bail!("after {} s it is not so yet that {what}", PATIENCE.as_secs());
        }
        looks.tick().await;
        look += 1;
    }
    Ok(())
}
