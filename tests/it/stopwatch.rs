//! A stopwatch that stands still with the machine: what a promise of seconds is held to on a machine that has other things to do.
//!
//! A thread looks at it every few milliseconds. Where it is woken late, so is everybody else: the virtual machine was not run, or its processors were with
//! others. What it was late by is not counted, and so not held against the program. Whatever the program waits for or does while the machine runs is counted.
use std::{
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

/// How often the thread looks.
const LOOK: Duration = Duration::from_millis(5);
/// At most so much is counted from one look to the next.
const MOST: Duration = Duration::from_millis(20);

/// Time in which the machine ran.
struct Time {
    counted: Duration,
    looked: Instant,
}

impl Time {
    fn look(&mut self, now: Instant) -> Duration {
        self.counted += now.saturating_duration_since(self.looked).min(MOST);
        self.looked = now;
        self.counted
    }
}

fn now() -> Duration {
    static TIME: OnceLock<Mutex<Time>> = OnceLock::new();
    let look = |time: &Mutex<Time>| time.lock().unwrap().look(Instant::now());
    let time = TIME.get_or_init(|| {
        thread::spawn(move || {
            loop {
                thread::park_timeout(LOOK);
                if let Some(time) = TIME.get() {
                    look(time);
                }
            }
        });
        Mutex::new(Time { counted: Duration::ZERO, looked: Instant::now() })
    });
    look(time)
}

/// Runs from its start on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        Self(now())
    }

    /// How long the machine has run since.
    pub fn elapsed(&self) -> Duration {
        now() - self.0
    }
}

#[test]
fn a_machine_that_stands_still_is_not_counted_and_one_that_runs_is() {
    let mut looked = Instant::now();
    let mut time = Time { counted: Duration::ZERO, looked };
    for passed in [LOOK, LOOK, Duration::from_secs(3), LOOK] {
        looked += passed;
        time.look(looked);
    }
    assert_eq!(time.counted, LOOK * 3 + MOST);
}
