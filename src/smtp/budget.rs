//! One budget of memory for all that sessions hold: whoever finds none left waits, and is then asked to come again.
use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a session waits for memory before its letter is answered 452.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Letters up to here have a lane of their own, an eighth of the budget, so that a few huge ones do not keep the ordinary ones waiting.
const ORDINARY: usize = 64 << 10;

/// The bytes of letters in flight, over all sessions.
#[derive(Debug)]
pub(super) struct Budget {
    ordinary: Lane,
    large: Lane,
}

#[derive(Debug)]
struct Lane {
    left: Arc<Semaphore>,
    whole: usize,
}

impl Budget {
    /// Of so many octets.
    pub(super) fn new(octets: usize) -> Self {
        let octets = octets.clamp(1, Semaphore::MAX_PERMITS);
        Self { ordinary: Lane::new(octets / 8), large: Lane::new(octets - octets / 8) }
    }

    /// How many there are, and how many are taken.
    pub(super) fn figures(&self) -> (usize, usize) {
        let lanes = [&self.ordinary, &self.large];
        (lanes.iter().map(|lane| lane.whole).sum(), lanes.iter().map(|lane| lane.whole - lane.left.available_permits()).sum())
    }

    /// `more` octets for a letter that will then have `size`; waited for.
    pub(super) async fn draw(&self, more: usize, size: usize, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let at_once = if size <= ORDINARY { self.ordinary.draw_now(more) } else { None };
        match at_once {
            Some(share) => Some(share),
            None => self.large.draw(more, patience).await,
        }
    }
}

impl Lane {
    fn new(whole: usize) -> Self {
        Self { left: Arc::new(Semaphore::new(whole)), whole }
    }

    fn draw_now(&self, octets: usize) -> Option<OwnedSemaphorePermit> {
        self.left.clone().try_acquire_many_owned(u32::try_from(octets).ok()?).ok()
    }

    /// Waited for; none for what will never be there.
    async fn draw(&self, octets: usize, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let share = u32::try_from(octets).ok().filter(|_| octets <= self.whole)?;
        tokio::time::timeout(patience, self.left.clone().acquire_many_owned(share)).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_too_long_for_memory_is_turned_away_and_what_is_dropped_comes_back() {
        let budget = Budget::new(800_000);
        let first = budget.draw(600_000, 600_000, PATIENCE).await.expect("there is room");
        assert!(budget.draw(200_000, 200_000, Duration::from_millis(1)).await.is_none(), "not while the first one is held");
        assert!(budget.draw(50_000, 50_000, Duration::from_millis(1)).await.is_some(), "an ordinary letter has its lane");
        assert!(budget.draw(900_000, 900_000, PATIENCE).await.is_none(), "what will never be there is not waited for");
        drop(first);
        assert!(budget.draw(700_000, 700_000, PATIENCE).await.is_some());
    }
}
