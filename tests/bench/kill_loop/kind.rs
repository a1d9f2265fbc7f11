//! What dies, and how the rounds are shared out.
use crate::{chance::Chance, moods::Mood};

/// What happens in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `kill -9` of the program.
    Program,
    /// … of the private Postgres, all of it but its children.
    Postmaster,
    /// … of one of its sessions, whereupon the server ends all others and recovers.
    Backend,
    /// The next hop is in a mood, and the program is killed meanwhile.
    Mood(Mood),
    /// One of two programs on one Postgres is killed.
    OneOfTwo,
    /// One of two is stopped for so long that Postgres gives it up, and goes on.
    Paused,
}

/// The installations that run beside each other, each with its own rounds one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A program on its private Postgres.
    Alone,
    /// The same before a moody next hop.
    Moody,
    /// Two programs on one Postgres.
    Two,
}

/// Every kind, with how many of two hundred rounds it has.
const SHARES: [(Kind, usize); 13] = [
    (Kind::Program, 56),
    (Kind::Postmaster, 22),
    (Kind::Backend, 22),
    (Kind::Mood(Mood::Refuses), 8),
    (Kind::Mood(Mood::Rejects), 8),
    (Kind::Mood(Mood::Stalls), 8),
    (Kind::Mood(Mood::ClosesInLetter), 8),
    (Kind::Mood(Mood::ClosesAtDot), 8),
    (Kind::Mood(Mood::Garbage), 8),
    (Kind::Mood(Mood::StartTls), 8),
    (Kind::Mood(Mood::Tarpit), 8),
    (Kind::OneOfTwo, 26),
    (Kind::Paused, 10),
];

impl Kind {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        SHARES.into_iter().map(|(kind, _)| kind)
    }

    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Postmaster => "postmaster",
            Self::Backend => "one session of Postgres",
            Self::Mood(mood) => mood.name(),
            Self::OneOfTwo => "one of two programs",
            Self::Paused => "one of two programs paused",
        }
    }

    /// Where it is played.
    pub fn stage(self) -> Stage {
        match self {
            Self::Program | Self::Postmaster | Self::Backend => Stage::Alone,
            Self::Mood(_) => Stage::Moody,
            Self::OneOfTwo | Self::Paused => Stage::Two,
        }
    }
}

/// So many rounds in a random order, of the kinds whose names hold the words; each kind at least once, and the first once more for each that rounding leaves.
pub fn plan(rounds: usize, only: &str, chance: &mut Chance) -> Vec<Kind> {
    let shares: Vec<(Kind, usize)> = SHARES.into_iter().filter(|(kind, _)| kind.name().contains(only)).collect();
    let all: usize = shares.iter().map(|(_, share)| share).sum();
    let mut plan = Vec::new();
    for (kind, share) in &shares {
        plan.extend(std::iter::repeat_n(*kind, (rounds * share / all).max(1)));
    }
    let rest = rounds.saturating_sub(plan.len());
    plan.extend(shares.first().into_iter().flat_map(|(kind, _)| std::iter::repeat_n(*kind, rest)));
    chance.shuffle(&mut plan);
    plan
}
