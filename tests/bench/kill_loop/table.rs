//! What is counted for each kind of round, and what must hold.
use std::time::Duration;

use crate::{kind::Kind, ledger::Counts};

/// Work goes on by itself within this time of the return of Postgres.
const RECOVERS: Duration = Duration::from_secs(10);
/// What a paused program had in its hands comes through another within this time: Postgres gives it up after 20 seconds.
pub const STOOD_IN: Duration = Duration::from_secs(26);
/// Letters that may come twice for each connection to the next hop that is open at a crash.
const DOUBLES: usize = 2;

/// What one round, or all rounds of a kind, brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: usize,
    /// Sums over their letters.
    pub counts: Counts,
    /// Letters that got 250 and came to nothing.
    pub lost: usize,
    /// Connections to the next hop that were open at the crashes.
    pub open: usize,
    /// From the return of what died to the first letter taken and delivered after it.
    pub again: Duration,
    /// … to the last letter of before.
    pub all: Duration,
}

impl Tally {
    /// Takes another in.
    pub fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.counts = self.counts.plus(other.counts);
        self.lost += other.lost;
        self.open += other.open;
        self.again = self.again.max(other.again);
        self.all = self.all.max(other.all);
    }

    fn bound(&self) -> usize {
        DOUBLES * self.open
    }

    /// In words, what should not be so.
    pub fn broken(&self, kind: Kind) -> Vec<String> {
        let waits_for_postgres = matches!(kind, Kind::Postmaster | Kind::Backend);
        let faults = [
            (self.lost > 0, format!("{} letters that were answered 250 are lost", self.lost)),
            (self.counts.doubled > self.bound(), format!("{} letters came once more than they should; {} may", self.counts.doubled, self.bound())),
            (self.counts.twice_taken > 0, format!("{} letters that were handed over again were taken for new ones", self.counts.twice_taken)),
            (self.counts.stale > 0, format!("{} letters were sent by a program that had lost them to another", self.counts.stale)),
            (
                waits_for_postgres && self.again > RECOVERS,
                format!("work went on {:.1} s after the return of Postgres, not within {} s", self.again.as_secs_f64(), RECOVERS.as_secs()),
            ),
            (
                kind == Kind::Paused && self.all > STOOD_IN,
                format!("what it had in its hands came {:.1} s later, not within {} s", self.all.as_secs_f64(), STOOD_IN.as_secs()),
            ),
            (self.counts.strange > 0, format!("{} letters came that nobody wrote", self.counts.strange)),
        ];
        faults.into_iter().filter(|(is, _)| *is).map(|(_, words)| format!("{}: {words}", kind.name())).collect()
    }
}

/// The table, a line for each kind and one for all.
pub fn print(tallies: &[(Kind, Tally)]) {
    let line = |name: &str, cells: [String; 9]| {
        let cells: Vec<String> = cells.into_iter().zip([7, 9, 7, 9, 5, 8, 6, 6, 6]).map(|(cell, width)| format!("{cell:>width$}")).collect();
        println!("{name:<40}{}", cells.join(" "));
    };
    line("killed", ["rounds", "accepted", "resent", "returned", "lost", "doubled", "bound", "again", "all"].map(str::to_owned));
    let mut sum = Tally::default();
    let row = |name: &str, tally: &Tally| {
        let counts = tally.counts;
        let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
        let numbers =
            [tally.rounds, counts.accepted, counts.resent, counts.returned, tally.lost, counts.doubled, tally.bound()].map(|number| number.to_string());
        let [rounds, accepted, resent, returned, lost, doubled, bound] = numbers;
        line(name, [rounds, accepted, resent, returned, lost, doubled, bound, seconds(tally.again), seconds(tally.all)]);
    };
    for (kind, tally) in tallies {
        row(kind.name(), tally);
        sum.add(tally);
    }
    row("all", &sum);
    println!(
        "accepted: answered 250. resent: handed over again for want of a 250. returned: refused for good by the next hop, and its writer told so.\n\
         lost: neither delivered nor returned (0 are allowed). doubled: delivered once more; bound: two for each connection of the exit open at a crash.\n\
         again: the slowest time, in seconds, from the return of what died to a letter taken and delivered after it; all: … to the last letter of before it."
    );
}
