//! The circuit to the next hop: after some failures in a row it opens, and one letter at a time asks, every few seconds, whether the hop is back; the others
//! keep their attempts. Each process has its own: what one can't reach, another may.
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::telemetry::{self, Figure};

/// Failures in a row after which it opens.
const FAILURES: u32 = 3;

/// How often the hop could not be spoken to, without a success between.
#[derive(Default)]
pub struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    probes: u32,
    probed_at: Option<DateTime<Utc>>,
}

impl Circuit {
    /// How many of `most` letters may be on their way at once.
    pub fn room(&self, most: usize, flying: usize, now: DateTime<Utc>) -> usize {
        let state = self.state();
        if state.failures < FAILURES {
            return most.saturating_sub(flying);
        }
        let pause = TimeDelta::seconds((5_i64 << state.probes.min(4)).min(60));
        // A clock that was set back keeps nothing back.
        let waits = flying > 0 || state.probed_at.is_some_and(|at| at <= now && now - at < pause);
        usize::from(!waits)
    }

    /// The hop can't be spoken to, as far as we know.
    pub fn is_open(&self) -> bool {
        self.state().failures >= FAILURES
    }

    /// Letters were set on their way; while it is open that is the one that asks.
    pub fn launched(&self, now: DateTime<Utc>) {
        let mut state = self.state();
        if state.failures >= FAILURES {
            state.probes += 1;
            state.probed_at = Some(now);
        }
    }

    /// The hop could be spoken to, whatever it said about a letter; or it could not.
    pub fn note(&self, well: bool) {
        let mut state = self.state();
        if well {
            if state.failures >= FAILURES {
                tracing::info!("the next hop is back; letters leave again");
            }
            *state = State::default();
        } else {
            telemetry::count(Figure::HopFailures, "");
            state.failures = state.failures.saturating_add(1);
            if state.failures == FAILURES {
                tracing::warn!("the next hop can't be spoken to; one letter at a time asks whether it is back, the others wait");
            }
        }
        telemetry::set(Figure::HopAway, i64::from(state.failures >= FAILURES));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_keeps_no_letter_from_asking() {
        let circuit = Circuit::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
        (0..FAILURES).for_each(|_| circuit.note(false));
        circuit.launched(now);
        assert_eq!((circuit.room(20, 0, now), circuit.room(20, 0, now - TimeDelta::hours(1))), (0, 1));
    }

    #[test]
    fn a_hop_that_can_not_be_reached_is_tried_by_one_letter_every_few_seconds() {
        let circuit = Circuit::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
        assert_eq!((circuit.room(20, 0, now), circuit.room(20, 18, now)), (20, 2));
        (0..FAILURES).for_each(|_| circuit.note(false));
        assert_eq!((circuit.room(20, 5, now), circuit.room(20, 0, now), circuit.room(20, 0, now)), (0, 1, 1), "none has asked yet");
        let mut at = now;
        for pause in [10, 20, 40, 60, 60] {
            circuit.launched(at);
            circuit.note(false);
            assert_eq!(circuit.room(20, 0, at + TimeDelta::seconds(pause - 1)), 0);
            at += TimeDelta::seconds(pause);
            assert_eq!((circuit.room(20, 1, at), circuit.room(20, 0, at)), (0, 1));
        }
        circuit.note(true);
        assert_eq!(circuit.room(20, 0, at), 20);
    }
}
