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
    /// Letters that got 250, and neither they nor words about them have come.
    waiting: usize,
    sleeper: Option<Sleeper>,
}

#[derive(Debug, Default)]
struct Letter {
    accepted: Option<Instant>,
    /// Since when its reader or its writer has something to read.
    ended: Option<Instant>,
    relayed: bool,
}

/// A program that was paused and goes on.
#[derive(Debug, Clone, Copy)]
struct Sleeper {
    program: usize,
    since: Instant,
    /// When it sent a letter again.
    sent: Option<Instant>,
}

/// Sums over all letters so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Letters that got 250.
    pub accepted: usize,
    /// How often a letter was handed over again, since no 250 had come.
    pub resent: usize,
    /// Letters that came back to their writers.
    pub returned: usize,
    /// Letters that came to the next hop once more, under the same Message-ID.
    pub doubled: usize,
    /// Letters that were relayed under a second Message-ID: taken in twice.
    pub twice_taken: usize,
    /// Letters that a program sent after a pause, though another had sent them meanwhile.
    pub stale: usize,
    /// What came to the next hop and was none of these letters.
    pub strange: usize,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        self.with(other, |one, other| one + other)
    }

    /// What was added since.
    pub fn since(self, before: Self) -> Self {
        self.with(before, |now, before| now - before)
    }

    fn with(self, other: Self, of: fn(usize, usize) -> usize) -> Self {
        Self {
            accepted: of(self.accepted, other.accepted),
            resent: of(self.resent, other.resent),
            returned: of(self.returned, other.returned),
            doubled: of(self.doubled, other.doubled),
            twice_taken: of(self.twice_taken, other.twice_taken),
            stale: of(self.stale, other.stale),
            strange: of(self.strange, other.strange),
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
        let letter = state.letters.entry(mark).or_default();
        letter.accepted = Some(Instant::now());
        let waits = letter.ended.is_none();
        state.waiting += usize::from(waits);
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
        let letter = state.letters.entry(mark).or_default();
        let was_waited_for = letter.accepted.is_some() && letter.ended.is_none();
        let ended = *letter.ended.get_or_insert(now);
        let twice_taken = !again && !is_notice && std::mem::replace(&mut letter.relayed, true);
        state.waiting -= usize::from(was_waited_for);
        state.counts.returned += usize::from(is_notice && !again);
        state.counts.doubled += usize::from(again);
        state.counts.twice_taken += usize::from(twice_taken);
        if let Some(sleeper) = state.sleeper.as_mut().filter(|sleeper| sleeper.program == program) {
            let stale = ended < sleeper.since;
            sleeper.sent.get_or_insert(now);
            state.counts.stale += usize::from(stale);
        }
    }

    /// Something came to the next hop that is none of these letters.
    pub fn strange(&self) {
        self.state().counts.strange += 1;
    }

    /// A program goes on after a pause: nothing that has come by now may come from it.
    pub fn wakes(&self, program: usize) {
        self.state().sleeper = Some(Sleeper { program, since: Instant::now(), sent: None });
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// How many letters got 250 and have not come.
    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// How many letters got 250 at or after `moment`.
    pub fn accepted_since(&self, moment: Instant) -> usize {
        self.state().letters.values().filter(|letter| letter.accepted.is_some_and(|at| at >= moment)).count()
    }

    /// Letters that got 250, and neither they nor words about them have come.
    pub fn missing(&self) -> Vec<Mark> {
        let state = self.state();
        state.letters.iter().filter(|(_, letter)| letter.accepted.is_some() && letter.ended.is_none()).map(|(mark, _)| *mark).collect()
    }

    /// When the first letter had come of those that got 250 at or after `moment`; after a pause, when the sleeper had sent one.
    pub fn again(&self, moment: Instant) -> Option<Instant> {
        let state = self.state();
        match state.sleeper {
            Some(sleeper) => sleeper.sent,
            None => state.letters.values().filter(|letter| letter.accepted.is_some_and(|at| at >= moment)).filter_map(|letter| letter.ended).min(),
        }
    }

    /// When the last letter had come of those that got 250 before `moment`.
    pub fn all(&self, moment: Instant) -> Option<Instant> {
        self.state().letters.values().filter(|letter| letter.accepted.is_some_and(|at| at < moment)).filter_map(|letter| letter.ended).max()
    }

    /// A round is over: its letters are not looked at any more, but what comes once more is noticed for ever.
    pub fn close(&self) {
        let mut state = self.state();
        state.letters.clear();
        state.waiting = 0;
        state.sleeper = None;
    }
}
