//! A stopwatch that stands still with the machine: what a promise of seconds is held to on a machine that has other things to do.
//!
//! A thread looks at the clock every few milliseconds. Where it is woken late, so is everybody else: the virtual machine was not run, or its processors were
//! with others. What it was late by is not counted, and so not held against the program. Whatever the program waits for or does while the machine runs is.
use std::{
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How often the thread looks.
const LOOK: Duration = Duration::from_millis(5);
/// From one look to the next so much is no delay.
const IN_TIME: Duration = Duration::from_millis(20);

/// When the machine stood still, as far as it was looked at.
struct Looks {
    last: Instant,
    /// From and until when, in order.
    still: Vec<(Instant, Instant)>,
}

impl Looks {
    fn look(&mut self, now: Instant) {
        if now > self.last + IN_TIME {
            self.still.push((self.last + IN_TIME, now));
        }
        self.last = now;
    }

    fn ran(&self, from: Instant, until: Instant) -> Duration {
        let still = self.still.iter().rev().take_while(|(_, end)| *end > from);
        let still: Duration = still.map(|(begin, end)| (*end).min(until).saturating_duration_since((*begin).max(from))).sum();
        until.saturating_duration_since(from).saturating_sub(still)
    }
}

/// How long the machine ran between two moments; since when that is known, the first call says.
pub fn ran(from: Instant, until: Instant) -> Duration {
    static LOOKS: OnceLock<Mutex<Looks>> = OnceLock::new();
    let looks = LOOKS.get_or_init(|| {
        thread::spawn(|| {
            loop {
                thread::park_timeout(LOOK);
                if let Some(looks) = LOOKS.get() {
                    looks.lock().unwrap_or_else(PoisonError::into_inner).look(Instant::now());
                }
            }
        });
        Mutex::new(Looks { last: Instant::now(), still: Vec::new() })
    });
    let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
    looks.look(Instant::now());
    looks.ran(from, until)
}

/// Runs from its start on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        let now = Instant::now();
        ran(now, now);
        Self(now)
    }

    /// How long the machine has run since.
    pub fn elapsed(&self) -> Duration {
        ran(self.0, Instant::now())
    }
}

#[test]
fn what_the_machine_stood_still_is_not_counted_and_all_else_is() {
    let began = Instant::now();
    let mut looks = Looks { last: began, still: Vec::new() };
    let mut now = began;
    for passed in [LOOK, LOOK, Duration::from_secs(3), LOOK, IN_TIME, Duration::from_secs(2)] {
        now += passed;
        looks.look(now);
    }
    assert_eq!(looks.ran(began, now), LOOK * 3 + IN_TIME * 3);
    let in_the_middle = began + Duration::from_secs(1);
    assert_eq!(looks.ran(in_the_middle, now), LOOK + IN_TIME * 2);
    assert_eq!(looks.ran(began, in_the_middle), LOOK * 2 + IN_TIME);
    assert_eq!(looks.ran(in_the_middle, in_the_middle + LOOK), Duration::ZERO);
}
