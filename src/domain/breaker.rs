//! The streams that letters of ours leave in, and how many of each a day may bring before something must have gone wrong.
use serde::Serialize;

/// Why a letter of ours is written; what it waits for when there is more than can go at once, and which breaker watches over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A partner's letter, passed on.
    Relay,
    /// An answer to somebody who wrote, or a letter that theirs caused and nothing else could.
    #[default]
    Answers,
    /// Partners made known to each other, and words to those left over.
    Introductions,
    /// Asks people again for what they have not done.
    Reminders,
    /// Letters to everybody on a list.
    Topics,
    /// News: a round opens or ends, a partner left, a pause is over.
    Notices,
    /// Words to the people who run the installation. They leave while everything else is held, for they say why.
    Alarms,
}

/// Letters of a stream that a day may bring however few people there are: a dozen people who try things out are no alarm.
pub const FLOOR: u64 = 100;
/// A stream is held when it brings several times what is expected.
pub const SEVERAL: u64 = 4;
/// Letters in a day to the people who run the installation. More would tell them nothing new.
pub const ALARMS: u64 = 50;

impl Stream {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Relay, Self::Answers, Self::Introductions, Self::Reminders, Self::Topics, Self::Notices, Self::Alarms];

    /// Its name, as it is stored, printed and typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Answers => "answers",
            Self::Introductions => "introductions",
            Self::Reminders => "reminders",
            Self::Topics => "topics",
            Self::Notices => "notices",
            Self::Alarms => "alarms",
        }
    }

    /// The stream of that name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// What letters these are, for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::Relay => "letters of partners",
            Self::Answers => "answers to letters",
            Self::Introductions => "introductions of partners",
            Self::Reminders => "reminders of what people have not done",
            Self::Topics => "topics, to everybody who gets them",
            Self::Notices => "news of the programme",
            Self::Alarms => "words to the people who run the installation",
        }
    }

    /// What goes first when there is more than can go at once: the smallest number.
    pub fn priority(self) -> i16 {
        match self {
            Self::Alarms => -1,
            Self::Relay => 0,
            Self::Answers => 1,
            Self::Introductions | Self::Reminders | Self::Notices => 2,
            Self::Topics => 3,
        }
    }

    /// How many letters of this stream a day may bring; `None` where people who write set the number themselves, each letter of theirs bringing one of ours.
    pub fn ceiling(self, facts: &Facts) -> Option<u64> {
        let expected = match self {
            Self::Relay | Self::Answers => return None,
            Self::Alarms => return Some(ALARMS),
            // One to each, and one more to each whom the round had no partner for.
            Self::Introductions => facts.in_rounds,
            Self::Reminders => facts.in_rounds,
            // One topic a day, if it is the day, and each that somebody sends by a command.
            Self::Topics => facts.subscribers.saturating_mul(facts.sent_by_hand.saturating_add(1)),
            Self::Notices => facts.people,
        };
        Some(FLOOR.max(expected.saturating_mul(SEVERAL)))
    }

    /// Whether a breaker watches over it.
    pub fn is_watched(self) -> bool {
        self.ceiling(&Facts::default()).is_some()
    }
}

/// What expectations rest on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// People who ever applied and did not leave.
    pub people: u64,
    /// People with an application that is alive, or with a partner today or within the last day.
    pub in_rounds: u64,
    /// People who get the topics.
    pub subscribers: u64,
    /// Topics that somebody sent by a command within the last day.
    pub sent_by_hand: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_letters_go_before_answers_before_introductions_before_topics() {
        let order = [Stream::Relay, Stream::Answers, Stream::Introductions, Stream::Topics].map(Stream::priority);
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
    }

    #[test]
    fn each_watched_stream_may_bring_several_times_what_is_expected_and_never_less_than_the_floor() {
        let facts = Facts { people: 300, in_rounds: 80, subscribers: 1000, sent_by_hand: 2 };
        let ceilings = Stream::ALL.map(|stream| (stream.name(), stream.ceiling(&Facts::default()), stream.ceiling(&facts)));
        assert_eq!(
            ceilings,
            [
                ("relay", None, None),
                ("answers", None, None),
                ("introductions", Some(100), Some(320)),
                ("reminders", Some(100), Some(320)),
                ("topics", Some(100), Some(12_000)),
                ("notices", Some(100), Some(1200)),
                ("alarms", Some(50), Some(50)),
            ]
        );
    }

    #[test]
    fn a_name_is_read_back() {
        assert!(Stream::ALL.into_iter().all(|stream| Stream::read(stream.name()) == Some(stream)));
        assert_eq!(Stream::read("letters"), None);
    }
}
