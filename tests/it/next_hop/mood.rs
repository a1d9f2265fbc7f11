//! How a next hop can be out of sorts, and when.
use std::{collections::HashMap, time::Duration};

/// A moment in a session at which a mood shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The greeting.
    Greeting,
    /// EHLO.
    Hello,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// What follows the consent to STARTTLS.
    Handshake,
    /// EHLO within TLS.
    Secure,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// After the last dot; with anything but a 2xx the letter is not kept.
    Dot,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// What it does there instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    /// Says this line, and does what it should if that means the same; after a 421 it hangs up.
    Say(&'static str),
    /// Says these octets, whatever they are.
    Raw(&'static [u8]),
    /// Says these octets again and again, until the other side has enough of it.
    Endless(&'static [u8]),
    /// Hangs up.
    Close,
    /// Says nothing any more.
    Stall,
    /// Says what it should, once the test lets it.
    Wait,
    /// Says what it should, octet by octet, each after so long.
    Slowly(Duration),
    /// Says what it should, and these octets, in one breath.
    More(&'static [u8]),
    /// Does what it should, and hangs up instead of saying so.
    Lose,
}

/// The moods to come.
#[derive(Default)]
pub struct Moods(HashMap<Step, (When, Mood)>);

#[derive(Clone, Copy)]
enum When {
    Always,
    Once,
    On(usize),
}

impl Moods {
    /// From now on.
    pub fn always(&mut self, step: Step, mood: Mood) {
        self.0.insert(step, (When::Always, mood));
    }

    /// The next time.
    pub fn once(&mut self, step: Step, mood: Mood) {
        self.0.insert(step, (When::Once, mood));
    }

    /// On one connection, by its number.
    pub fn on(&mut self, connection: usize, step: Step, mood: Mood) {
        self.0.insert(step, (When::On(connection), mood));
    }

    /// No more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What shows at a step on a connection.
    pub fn at(&mut self, step: Step, connection: usize) -> Option<Mood> {
        let (when, mood) = self.0.get(&step).copied()?;
        match when {
            When::Always => Some(mood),
            When::Once => self.0.remove(&step).map(|(_, mood)| mood),
            When::On(only) => (only == connection).then_some(mood),
        }
    }
}
