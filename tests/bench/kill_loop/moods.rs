//! The ways in which a next hop can be at its worst.
use std::time::Duration;

use crate::chance::Chance;

/// How the next hop behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes every letter, after some thought.
    Good,
    /// 4xx, at any command.
    Refuses,
    /// 5xx to some recipients.
    Rejects,
    /// Says nothing any more, at any command.
    Stalls,
    /// Hangs up in the middle of a letter.
    ClosesInLetter,
    /// Hangs up after the last dot, instead of a reply.
    ClosesAtDot,
    /// Answers what is no reply, to any command.
    Garbage,
    /// Announces STARTTLS and has none, or has it no more.
    StartTls,
    /// Drips its replies.
    Tarpit,
}

/// A moment in a session at which a mood shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The greeting.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The last dot; a letter that is not answered 250 here is not kept.
    Dot,
    /// RSET, QUIT and the like.
    Other,
}

/// What it does at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// What it should.
    Usual,
    /// Says this instead.
    Say(&'static str),
    /// Says nothing until its mood is over, and hangs up.
    Stall,
    /// Hangs up.
    Close,
    /// Says what it should, in two pieces with so much time between.
    Drip(Duration),
}

impl Mood {
    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "next hop: well",
            Self::Refuses => "program, next hop: 4xx",
            Self::Rejects => "program, next hop: 5xx per recipient",
            Self::Stalls => "program, next hop: stalls",
            Self::ClosesInLetter => "program, next hop: closes in the letter",
            Self::ClosesAtDot => "program, next hop: closes at the dot",
            Self::Garbage => "program, next hop: garbage",
            Self::StartTls => "program, next hop: STARTTLS on and off",
            Self::Tarpit => "program, next hop: tarpit",
        }
    }

    /// What it does at this step; the greeting and EHLO, without which there is no session, mostly go well.
    pub fn act(self, step: Step, chance: &mut Chance) -> Act {
        let rarely = match step {
            Step::Greeting | Step::Hello => 6,
            Step::StartTls | Step::Mail | Step::Rcpt | Step::Data | Step::Dot | Step::Other => 3,
        };
        match self {
            Self::Refuses if chance.once_in(rarely) => Act::Say(match step {
                Step::Greeting | Step::Hello => "421 4.3.2 come again",
                Step::StartTls | Step::Mail | Step::Rcpt | Step::Data | Step::Other => "451 4.3.0 not now",
                Step::Dot => "452 4.3.1 no room just now",
            }),
            Self::Stalls if chance.once_in(rarely) => Act::Stall,
            Self::Garbage if chance.once_in(rarely) => Act::Say("\u{1}\u{7f}not a reply at all"),
            Self::ClosesAtDot if step == Step::Dot && chance.once_in(2) => Act::Close,
            Self::StartTls if step == Step::StartTls => chance.one_of(&[Act::Say("454 4.7.0 not today"), Act::Say("220 go\r\nno TLS at all"), Act::Close]),
            Self::Tarpit => Act::Drip(Duration::from_millis(100 + chance.below(400))),
            Self::Good | Self::Refuses | Self::Rejects | Self::Stalls | Self::ClosesInLetter | Self::ClosesAtDot | Self::Garbage | Self::StartTls => Act::Usual,
        }
    }

    /// Whether it hangs up in the middle of this letter.
    pub fn closes_in_letter(self, chance: &mut Chance) -> bool {
        self == Self::ClosesInLetter && chance.once_in(2)
    }

    /// Whether it announces STARTTLS in this session.
    pub fn announces_tls(self, chance: &mut Chance) -> bool {
        self == Self::StartTls && chance.once_in(2)
    }

    /// Its no to a mailbox for good, if it has one: `dead` does not exist, one in three is full or does not like us.
    pub fn rejects(self, mailbox: &str, dead: &str) -> Option<&'static str> {
        let number: u32 = mailbox.strip_prefix("partner")?.split('@').next()?.parse().ok()?;
        match number % 6 {
            _ if self != Self::Rejects => None,
            _ if mailbox == dead => Some("550 5.1.1 no such mailbox"),
            0 => Some("550 5.7.1 not from you"),
            3 => Some("552 5.2.2 the mailbox is full"),
            _ => None,
        }
    }
}
