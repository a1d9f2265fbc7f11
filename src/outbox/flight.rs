//! Letters between claim and mark: in hand until a connection is free, on their way, and landed until their reply is committed.
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{self, JoinSet};

use crate::store::{
    outbox::{Claimed, Mine},
    ownership::Term,
};

/// Letters are claimed no more often than this while many are under way: the next may go along with those that come meanwhile.
pub const CLAIM_EVERY: Duration = Duration::from_millis(5);

/// What became of one letter.
pub enum Fate {
    /// The next hop took it, with these words.
    Sent(String),
    /// It did not, and may later.
    Later(String),
    /// It never will.
    Never(String),
    /// There is nobody any more to send it to.
    Nobody,
    /// It was not sent: it may be another process's by now, or its turn did not come.
    Back,
}

/// A letter that is ours as long as the term lasts under which it was claimed. Holding the term keeps the letter's row from being freed.
#[derive(Clone)]
pub struct Travelling {
    /// The letter.
    pub letter: Arc<Claimed>,
    /// Its term.
    pub term: Arc<Term>,
}

impl Travelling {
    /// What marks it.
    pub fn mine(&self) -> Mine {
        Mine { id: self.letter.id, owner: self.term.id() }
    }

    fn domain(&self) -> &str {
        self.letter.to.as_ref().map(|to| to.domain()).unwrap_or_default()
    }
}

/// All letters of one exit that are under way.
#[derive(Default)]
pub struct Flight {
    /// Claimed ahead, so that no connection waits for the database.
    hand: VecDeque<Travelling>,
    flying: JoinSet<Fate>,
    letters: HashMap<task::Id, Travelling>,
    /// How many fly to each recipient domain.
    domains: HashMap<String, usize>,
    /// Their reply is known and not yet committed: kept until it is, for only we know it.
    landed: Vec<(Travelling, Fate)>,
    /// Landed, and just being committed.
    marking: usize,
    /// When letters were claimed last, and how many landed since.
    claimed_at: Option<Instant>,
    landed_since: usize,
}

impl Flight {
    /// How many are on their way.
    pub fn flying(&self) -> usize {
        self.flying.len()
    }

    /// How many are claimed and not landed.
    pub fn claimed(&self) -> usize {
        self.flying.len() + self.hand.len()
    }

    /// The octets of those.
    pub fn octets(&self) -> usize {
        self.letters.values().chain(&self.hand).map(|travelling| travelling.letter.size.unsigned_abs() as usize).sum()
    }

    /// Anything that has to be waited for, or marked.
    pub fn is_under_way(&self) -> bool {
        self.claimed() > 0 || self.is_to_be_marked()
    }

    /// A reply is known that is not committed.
    pub fn is_to_be_marked(&self) -> bool {
        !self.landed.is_empty()
    }

    /// Claiming for one place costs as much as for twenty: a moment has to pass, or, with nothing in hand, a quarter of what flies has to land.
    pub fn may_claim(&self) -> bool {
        let landed_enough = self.hand.is_empty() && self.landed_since * 4 >= self.flying.len();
        landed_enough || self.claimed_at.is_none_or(|at| at.elapsed() >= CLAIM_EVERY)
    }

    /// How many may be claimed ahead: as many as land twice between two claims. So what waits in hand waits no longer than some milliseconds, and where
    /// letters land slowly, nothing does: a more urgent one is never behind it.
    pub fn ahead(&self) -> usize {
        self.landed_since * 2
    }

    /// What landed, to be marked; and a new count of what lands from now on.
    pub fn begin_turn(&mut self) -> Vec<(Travelling, Fate)> {
        (self.claimed_at, self.landed_since) = (Some(Instant::now()), 0);
        let landed = std::mem::take(&mut self.landed);
        self.marking = landed.len();
        landed
    }

    /// It was marked, and these were claimed.
    pub fn end_turn(&mut self, claimed: impl IntoIterator<Item = Travelling>) {
        self.marking = 0;
        self.hand.extend(claimed);
    }

    /// It could not be marked: it is still to be. Marking again what was marked already changes nothing.
    pub fn keep(&mut self, mut landed: Vec<(Travelling, Fate)>) {
        self.marking = 0;
        landed.append(&mut self.landed);
        self.landed = landed;
    }

    /// The next letter in hand that may take off: to a domain to which fewer than `per_domain` fly, and with no more than two letters unmarked for each
    /// connection, `kept` idle ones among them: so many may be sent again after a crash, and no more (RFC 1047).
    pub fn next(&mut self, per_domain: usize, kept: usize) -> Option<Travelling> {
        let flying = self.flying.len();
        let connections = (flying + kept).max(flying + 1);
        if flying + 1 + self.landed.len() + self.marking > 2 * connections {
            return None;
        }
        let at = self.hand.iter().position(|travelling| self.domains.get(travelling.domain()).is_none_or(|&flying| flying < per_domain))?;
        self.hand.remove(at)
    }

    /// Sets a letter on its way.
    pub fn take_off(&mut self, travelling: Travelling, delivery: impl Future<Output = Fate> + Send + 'static) {
        *self.domains.entry(travelling.domain().to_owned()).or_default() += 1;
        let task = self.flying.spawn(delivery);
        self.letters.insert(task.id(), travelling);
    }

    /// Nothing in hand takes off any more: it is given back, with its attempt.
    pub fn lay_down(&mut self) {
        self.landed.extend(self.hand.drain(..).map(|travelling| (travelling, Fate::Back)));
    }

    /// Waits for a reply, and takes all others that are there meanwhile. Safe to be given up at any moment.
    pub async fn land(&mut self) {
        let mut next = self.flying.join_next_with_id().await;
        while let Some(joined) = next {
            let (id, fate) = match joined {
                Ok((id, fate)) => (id, fate),
                Err(died) => (died.id(), Fate::Later(format!("the delivery died: {died}"))),
            };
            if let Some(letter) = self.letters.remove(&id) {
                if let Some(flying) = self.domains.get_mut(letter.domain()) {
                    *flying -= 1;
                    if *flying == 0 {
                        self.domains.remove(letter.domain());
                    }
                }
                self.landed.push((letter, fate));
                self.landed_since += 1;
            }
            next = self.flying.try_join_next_with_id();
        }
    }
}
