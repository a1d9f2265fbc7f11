//! What each letter has met: taken with 250, delivered, told its writer that it failed; and how often.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The number that a letter bears, in its subject and its Message-ID.
pub type Mark = u64;

/// All letters of one installation.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    letters: HashMap<Mark, Letter>,
    /// What the next hop kept, by the Message-ID that it came under.
    kept: HashMap<String, u32>,
    counts: Counts,
    delivered_by: HashMap<usize, usize>,
    sleeper: Option<(usize, Instant)>,
}

#[derive(Debug, Default)]
struct Letter {
    accepted: Option<Instant>,
    /// Since when its reader or its writer has something to read, and by which program.
    ended: Option<Instant>,
    relayed: bool,
}

/// Sums over all letters so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Letters that got 250.
    pub accepted: usize,
    /// How often a letter was handed over again, since no 250 had come.
    pub resent: usize,
    /// Letters that came to the next hop once more, under the same Message-ID.
    pub doubled: usize,
    /// Letters that were relayed under a second Message-ID: taken in twice.
    pub twice_taken: usize,
    /// Letters that a program sent after a pause, though another had sent them meanwhile.
    pub stale: usize,
    /// Letters that came back to their writers.
    pub returned: usize,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            resent: self.resent + other.resent,
            doubled: self.doubled + other.doubled,
            twice_taken: self.twice_taken + other.twice_taken,
            stale: self.stale + other.stale,
            returned: self.returned + other.returned,
        }
    }

    /// What was added since.
    pub fn since(self, before: Self) -> Self {
        Self {
            accepted: self.accepted - before.accepted,
            resent: self.resent - before.resent,
            doubled: self.doubled - before.doubled,
            twice_taken: self.twice_taken - before.twice_taken,
            stale: self.stale - before.stale,
            returned: self.returned - before.returned,
        }
    }
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client got 250.
    pub fn accepted(&self, mark: Mark) {
        let mut state = self.state();
        state.counts.accepted += 1;
        state.letters.entry(mark).or_default().accepted = Some(Instant::now());
    }

    /// A client hands a letter over again.
    pub fn resent(&self) {
        self.state().counts.resent += 1;
    }

    /// The next hop keeps a letter that this program sent: the relayed one, or words to the writer that it failed.
    pub fn kept(&self, mark: Mark, message_id: &str, program: usize, is_notice: bool) {
        let mut state = self.state();
        let now = Instant::now();
        let times = state.kept.entry(message_id.to_owned()).or_default();
        *times += 1;
        let again = *times > 1;
        *state.delivered_by.entry(program).or_default() += 1;
        let letter = state.letters.entry(mark).or_default();
        let ended = *letter.ended.get_or_insert(now);
        let twice_taken = !again && !is_notice && std::mem::replace(&mut letter.relayed, true);
        state.counts.doubled += usize::from(again);
        state.counts.twice_taken += usize::from(twice_taken);
        state.counts.returned += usize::from(is_notice && !again);
        state.counts.stale += usize::from(state.sleeper.is_some_and(|(sleeper, since)| program == sleeper && ended < since));
    }

    /// From now on no letter of before may come from this program.
    pub fn wakes(&self, program: Option<usize>) {
        self.state().sleeper = program.map(|program| (program, Instant::now()));
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Letters that came from this program.
    pub fn delivered_by(&self, program: usize) -> usize {
        self.state().delivered_by.get(&program).copied().unwrap_or_default()
    }

    /// Letters that got 250, and neither they nor words about them have come.
    pub fn missing(&self) -> Vec<Mark> {
        self.missing_of(|_| true)
    }

    /// … that got it before `moment`.
    pub fn missing_from_before(&self, moment: Instant) -> Vec<Mark> {
        self.missing_of(|at| at < moment)
    }

    fn missing_of(&self, wanted: impl Fn(Instant) -> bool) -> Vec<Mark> {
        let state = self.state();
        let missing = state.letters.iter().filter(|(_, letter)| letter.ended.is_none() && letter.accepted.is_some_and(&wanted));
        missing.map(|(mark, _)| *mark).collect()
    }

    /// Letters that got 250 after `moment`, and how many of them have come.
    pub fn since(&self, moment: Instant) -> (usize, usize) {
        let state = self.state();
        let fresh = state.letters.values().filter(|letter| letter.accepted.is_some_and(|at| at >= moment));
        fresh.fold((0, 0), |(taken, come), letter| (taken + 1, come + usize::from(letter.ended.is_some())))
    }

    /// A round is over: its letters are not looked at any more, but what comes once more is noticed for ever.
    pub fn close(&self) {
        self.state().letters.clear();
    }
}
