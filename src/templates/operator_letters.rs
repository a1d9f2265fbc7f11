//! The letters to the people who run the installation: one struct each, with a sample that its golden file is made of.
use serde::Serialize;

use super::Letter;

/// Their templates: path below `templates/`, and source.
pub const SOURCES: &[(&str, &str)] = &[
    ("mail/en/brake_asked.md.j2", include_str!("../../templates/mail/en/brake_asked.md.j2")),
    ("mail/en/held.md.j2", include_str!("../../templates/mail/en/held.md.j2")),
    ("mail/en/letters_failed.md.j2", include_str!("../../templates/mail/en/letters_failed.md.j2")),
    ("mail/en/letters_set_aside.md.j2", include_str!("../../templates/mail/en/letters_set_aside.md.j2")),
    ("mail/en/released.md.j2", include_str!("../../templates/mail/en/released.md.j2")),
    ("mail/en/stream_held.md.j2", include_str!("../../templates/mail/en/stream_held.md.j2")),
];

/// Asks a coordinator whether everything is to stop, or to go again.
#[derive(Debug, Serialize)]
pub struct BrakeAsked {
    /// To stop.
    pub hold: bool,
}
impl Letter for BrakeAsked {
    const NAME: &'static str = "brake_asked";
    // Anybody at the coordinator's domain can have us ask.
    const A_DAY: i64 = 5;
    fn sample() -> Self {
        Self { hold: true }
    }
}

/// Everything is held.
#[derive(Debug, Serialize)]
pub struct Held {
    /// It was before.
    pub before: bool,
    /// Letters that wait.
    pub waiting: i64,
}
impl Letter for Held {
    const NAME: &'static str = "held";
    fn sample() -> Self {
        Self { before: false, waiting: 1234 }
    }
}

/// Letters leave again.
#[derive(Debug, Serialize)]
pub struct Released {
    /// Everything was held, and is not any more.
    pub before: bool,
    /// Letters that breakers held, and that go now.
    pub released: u64,
    /// Letters that breakers hold still.
    pub still: i64,
}
impl Letter for Released {
    const NAME: &'static str = "released";
    fn sample() -> Self {
        Self { before: true, released: 0, still: 12 }
    }
}

/// A letter that came in and could not be handled.
#[derive(Debug, Serialize)]
pub struct FailedLetter {
    /// Its row in the inbox.
    pub id: String,
    /// What it came for.
    pub kind: String,
    /// When it came, in words.
    pub came: String,
    /// How often it was tried.
    pub attempts: i16,
    /// How many processes ended over it.
    pub deaths: i16,
    /// Why the last attempt failed, safe in Markdown.
    pub error: String,
}

/// Letters that came in could not be handled.
#[derive(Debug, Serialize)]
pub struct LettersFailed {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub letters: Vec<FailedLetter>,
}
impl Letter for LettersFailed {
    const NAME: &'static str = "letters_failed";
    fn sample() -> Self {
        let letter = |id: &str, kind: &str, attempts, deaths, error: &str| FailedLetter {
            id: id.into(),
            kind: kind.into(),
            came: "3 March 2027 at 09:00 UTC".into(),
            attempts,
            deaths,
            error: error.into(),
        };
        let letters = vec![
            letter("0190", "sign-up", 8, 0, "the letter form cannot be written"),
            letter("0191", "relay", 3, 3, "the process ended while it worked on it"),
        ];
        Self { count: 12, letters }
    }
}

/// A letter of ours over whose sending the process ended too often.
#[derive(Debug, Serialize)]
pub struct LetterSetAside {
    /// Its row in the outbox.
    pub id: String,
    /// What kind of letter.
    pub kind: String,
    /// When it was written, in words.
    pub written: String,
    /// How often it was tried.
    pub attempts: i16,
    /// How many processes ended over it.
    pub deaths: i16,
}

/// Letters of ours are set aside.
#[derive(Debug, Serialize)]
pub struct LettersSetAside {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub letters: Vec<LetterSetAside>,
}
impl Letter for LettersSetAside {
    const NAME: &'static str = "letters_set_aside";
    fn sample() -> Self {
        let letter = LetterSetAside { id: "0192".into(), kind: "relay".into(), written: "3 March 2027 at 09:00 UTC".into(), attempts: 5, deaths: 3 };
        Self { count: 1, letters: vec![letter] }
    }
}

/// A stream of letters is held by its breaker.
#[derive(Debug, Serialize)]
pub struct StreamHeld {
    /// Its name, as commands take it.
    pub stream: String,
    /// What letters these are.
    pub what: String,
    /// Since when, in words.
    pub since: String,
    /// Letters that left within a day before.
    pub passed: i32,
    /// Letters that may.
    pub ceiling: i32,
    /// Letters that wait.
    pub held: i64,
}
impl Letter for StreamHeld {
    const NAME: &'static str = "stream_held";
    fn sample() -> Self {
        Self {
            stream: "introductions".into(),
            what: "introductions of partners".into(),
            since: "3 March 2027 at 09:00 UTC".into(),
            passed: 400,
            ceiling: 400,
            held: 2600,
        }
    }
}
