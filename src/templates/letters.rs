//! The letters: one struct each, with a sample that its golden file is made of.
use serde::Serialize;

use super::Letter;

/// Every embedded template: its path below `templates/`, and its source.
pub const SOURCES: &[(&str, &str)] = &[
    ("mail/en/confirmed.md.j2", include_str!("../../templates/mail/en/confirmed.md.j2")),
    ("mail/en/for_operator.md.j2", include_str!("../../templates/mail/en/for_operator.md.j2")),
    ("mail/en/form.md.j2", include_str!("../../templates/mail/en/form.md.j2")),
    ("mail/en/help.md.j2", include_str!("../../templates/mail/en/help.md.j2")),
    ("mail/en/left.md.j2", include_str!("../../templates/mail/en/left.md.j2")),
    ("mail/en/not_complete.md.j2", include_str!("../../templates/mail/en/not_complete.md.j2")),
    ("mail/en/not_yet.md.j2", include_str!("../../templates/mail/en/not_yet.md.j2")),
    ("mail/en/nothing_held.md.j2", include_str!("../../templates/mail/en/nothing_held.md.j2")),
    ("mail/en/nothing_to_do.md.j2", include_str!("../../templates/mail/en/nothing_to_do.md.j2")),
    ("mail/en/partner_left.md.j2", include_str!("../../templates/mail/en/partner_left.md.j2")),
    ("mail/en/paused.md.j2", include_str!("../../templates/mail/en/paused.md.j2")),
    ("mail/en/relay_refused.md.j2", include_str!("../../templates/mail/en/relay_refused.md.j2")),
    ("mail/en/resumed.md.j2", include_str!("../../templates/mail/en/resumed.md.j2")),
    ("mail/en/status.md.j2", include_str!("../../templates/mail/en/status.md.j2")),
    ("mail/en/subscribe.md.j2", include_str!("../../templates/mail/en/subscribe.md.j2")),
    ("mail/en/subscribed.md.j2", include_str!("../../templates/mail/en/subscribed.md.j2")),
    ("mail/en/topic.md.j2", include_str!("../../templates/mail/en/topic.md.j2")),
    ("mail/en/undelivered.md.j2", include_str!("../../templates/mail/en/undelivered.md.j2")),
    ("mail/en/understood.md.j2", include_str!("../../templates/mail/en/understood.md.j2")),
    ("mail/en/unsubscribed.md.j2", include_str!("../../templates/mail/en/unsubscribed.md.j2")),
    ("mail/en/was_it_you.md.j2", include_str!("../../templates/mail/en/was_it_you.md.j2")),
];

/// A line of what somebody told us: a label and words, both safe in Markdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The question, as on the form.
    pub label: String,
    /// The answer in words, or a hint.
    pub value: String,
}

impl Line {
    /// From two texts.
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into() }
    }
}

/// A line of a form that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The label that was written.
    pub label: String,
    /// What stood behind it.
    pub value: String,
    /// Why it could not be read, and what could be.
    pub why: String,
}

/// The form, for somebody who wrote to `join@` in any words.
#[derive(Debug, Serialize)]
pub struct Form {
    /// Where the rounds stand, in a sentence.
    pub round: String,
    /// The form, indented as a block.
    pub form: String,
}
impl Letter for Form {
    const NAME: &'static str = "form";
    fn sample() -> Self {
        Self { round: sample_round(), form: "    Name*:\n    Country*:\n    Languages*:\n    Interests:\n".into() }
    }
}

/// What was understood, what is missing, how to correct and confirm.
#[derive(Debug, Serialize)]
pub struct Understood {
    /// The application was confirmed before: this is a correction.
    pub confirmed: bool,
    /// What is known.
    pub known: Vec<Line>,
    /// Lines that could not be read.
    pub unread: Vec<Unread>,
    /// Questions without an answer that must have one: label and hint.
    pub missing: Vec<Line>,
    /// A line as one would correct it.
    pub example: Line,
    /// The rules of taking part.
    pub rules: Vec<String>,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for Understood {
    const NAME: &'static str = "understood";
    fn sample() -> Self {
        Self {
            confirmed: false,
            known: vec![Line::new("Name", "Ana"), Line::new("Country", "Peru")],
            unread: vec![Unread { label: "Languages".into(), value: "the usual".into(), why: "no language that we know".into() }],
            missing: vec![Line::new("Languages", "those you can write letters in")],
            example: Line::new("Country", "New Zealand"),
            rules: vec!["Be kind.".into(), "Answer within two weeks.".into()],
            round: sample_round(),
        }
    }
}

/// The application is confirmed.
#[derive(Debug, Serialize)]
pub struct Confirmed {
    /// Where the rounds stand, in a sentence.
    pub round: String,
    /// A line as one would correct it.
    pub example: Line,
}
impl Letter for Confirmed {
    const NAME: &'static str = "confirmed";
    fn sample() -> Self {
        Self { round: sample_round(), example: Line::new("Country", "New Zealand") }
    }
}

/// A "yes" that came too early.
#[derive(Debug, Serialize)]
pub struct NotComplete {
    /// Questions without an answer that must have one: label and hint.
    pub missing: Vec<Line>,
}
impl Letter for NotComplete {
    const NAME: &'static str = "not_complete";
    fn sample() -> Self {
        Self { missing: vec![Line::new("Languages", "those you can write letters in")] }
    }
}

/// Asks the mailbox that a letter claims to come from.
#[derive(Debug, Serialize)]
pub struct WasItYou {
    /// The letter's subject, for people whom we know; strangers' words are not repeated to a mailbox that may not be theirs.
    pub subject: String,
    /// Days until it is dropped.
    pub days: i64,
    /// Their answer to the first such letter said neither yes nor no.
    pub again: bool,
}
impl Letter for WasItYou {
    const NAME: &'static str = "was_it_you";
    fn sample() -> Self {
        Self { subject: "Greetings from Lima".into(), days: 7, again: false }
    }
}

/// An answer to [`WasItYou`] that came too late, or said no.
#[derive(Debug, Serialize)]
pub struct NothingHeld {
    /// The letters were dropped at their word.
    pub dropped: bool,
}
impl Letter for NothingHeld {
    const NAME: &'static str = "nothing_held";
    fn sample() -> Self {
        Self { dropped: true }
    }
}

/// One command, as help explains it.
#[derive(Debug, Clone, Serialize)]
pub struct HelpLine {
    /// The word to write.
    pub word: String,
    /// What it does.
    pub does: String,
}

/// Help, asked for or not.
#[derive(Debug, Serialize)]
pub struct Help {
    /// We could not tell what they wanted.
    pub puzzled: bool,
    /// What they may write.
    pub commands: Vec<HelpLine>,
}
impl Letter for Help {
    const NAME: &'static str = "help";
    // What a program that answers everything gets.
    const A_DAY: i64 = 4;
    fn sample() -> Self {
        Self { puzzled: false, commands: vec![HelpLine { word: "pause".into(), does: "we leave you out until you say resume".into() }] }
    }
}

/// Where a person stands.
#[derive(Debug, Serialize)]
pub struct Status {
    /// A sentence each.
    pub lines: Vec<String>,
    /// What is known of them.
    pub known: Vec<Line>,
}
impl Letter for Status {
    const NAME: &'static str = "status";
    fn sample() -> Self {
        Self { lines: vec!["Your application is confirmed.".into()], known: vec![Line::new("Name", "Ana")] }
    }
}

/// The pause began.
#[derive(Debug, Serialize)]
pub struct Paused {
    /// The day it ends, in words; empty: when they say so.
    pub until: String,
}
impl Letter for Paused {
    const NAME: &'static str = "paused";
    fn sample() -> Self {
        Self { until: "1 March 2027".into() }
    }
}

/// The pause is over.
#[derive(Debug, Serialize)]
pub struct Resumed {
    /// There was a pause.
    pub was_paused: bool,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for Resumed {
    const NAME: &'static str = "resumed";
    fn sample() -> Self {
        Self { was_paused: true, round: sample_round() }
    }
}

/// They left.
#[derive(Debug, Serialize)]
pub struct Left {
    /// They had a partner.
    pub had_partner: bool,
    /// They got the topics.
    pub had_topics: bool,
}
impl Letter for Left {
    const NAME: &'static str = "left";
    fn sample() -> Self {
        Self { had_partner: true, had_topics: true }
    }
}

/// Their partner left.
#[derive(Debug, Serialize)]
pub struct PartnerLeft {
    /// The partner's chosen name.
    pub partner: String,
    /// Where the rounds stand, in a sentence.
    pub round: String,
}
impl Letter for PartnerLeft {
    const NAME: &'static str = "partner_left";
    fn sample() -> Self {
        Self { partner: "Ana".into(), round: sample_round() }
    }
}

/// A command that a person has to do by hand for now.
#[derive(Debug, Serialize)]
pub struct NotYet {
    /// The word they wrote.
    pub word: String,
}
impl Letter for NotYet {
    const NAME: &'static str = "not_yet";
    fn sample() -> Self {
        Self { word: "my data".into() }
    }
}

/// A command from somebody who takes no part.
#[derive(Debug, Serialize)]
pub struct NothingToDo {
    /// The word they wrote.
    pub word: String,
}
impl Letter for NothingToDo {
    const NAME: &'static str = "nothing_to_do";
    fn sample() -> Self {
        Self { word: "pause".into() }
    }
}

/// A letter to `postmaster@` or `abuse@`, passed on.
#[derive(Debug, Serialize)]
pub struct ForOperator {
    /// `postmaster` or `abuse`.
    pub mailbox: String,
    /// Its subject.
    pub subject: String,
    /// Who wrote it.
    pub writer: String,
    /// Its words, line by line.
    pub words: Vec<String>,
    /// Its row.
    pub inbox: String,
}
impl Letter for ForOperator {
    const NAME: &'static str = "for_operator";
    fn sample() -> Self {
        Self {
            mailbox: "abuse".into(),
            subject: "A complaint".into(),
            writer: "somebody@example.net".into(),
            words: vec!["Please look.".into()],
            inbox: "0190".into(),
        }
    }
}

/// A partner's letter that can't be passed on.
#[derive(Debug, Serialize)]
pub struct RelayRefused {
    /// The partner's chosen name.
    pub partner: String,
    /// The letter's subject.
    pub subject: String,
    /// Why, as the end of a sentence.
    pub why: String,
    /// What the writer can do.
    pub what_to_do: String,
    /// It is because of what stands in it, which could tell who wrote it.
    pub tells: bool,
}
impl Letter for RelayRefused {
    const NAME: &'static str = "relay_refused";
    fn sample() -> Self {
        Self {
            partner: "Ana".into(),
            subject: "My report".into(),
            why: "the attachment “report.docx” may hold names and addresses".into(),
            what_to_do: "Please put the words into the letter itself.".into(),
            tells: true,
        }
    }
}

/// A partner's letter did not arrive.
#[derive(Debug, Serialize)]
pub struct Undelivered {
    /// The partner's chosen name.
    pub partner: String,
    /// The subject of the writer's letter; empty where it is no longer kept.
    pub subject: String,
    /// Why, as the end of a sentence.
    pub why: String,
    /// What happens, and what the writer can do.
    pub what_next: String,
}
impl Letter for Undelivered {
    const NAME: &'static str = "undelivered";
    fn sample() -> Self {
        Self {
            partner: "Ana".into(),
            subject: "Greetings from Lima".into(),
            why: "their mailbox is full".into(),
            what_next: "Please keep your letter and send it again in a few days.".into(),
        }
    }
}

/// Asks whether somebody wants the topics.
#[derive(Debug, Serialize)]
pub struct Subscribe {}
impl Letter for Subscribe {
    const NAME: &'static str = "subscribe";
    fn sample() -> Self {
        Self {}
    }
}

/// They get the topics.
#[derive(Debug, Serialize)]
pub struct Subscribed {
    /// They did before.
    pub again: bool,
}
impl Letter for Subscribed {
    const NAME: &'static str = "subscribed";
    fn sample() -> Self {
        Self { again: false }
    }
}

/// They don't get the topics.
#[derive(Debug, Serialize)]
pub struct Unsubscribed {
    /// They did before.
    pub was_subscribed: bool,
    /// They say no to our question whether they would like them.
    pub declined: bool,
}
impl Letter for Unsubscribed {
    const NAME: &'static str = "unsubscribed";
    fn sample() -> Self {
        Self { was_subscribed: true, declined: false }
    }
}

/// The topic of a month.
#[derive(Debug, Serialize)]
pub struct TopicLetter {
    /// Its title.
    pub title: String,
    /// Its words, in the Markdown of its author.
    pub body: String,
    /// The page that leaves with one click.
    pub leave: String,
}
impl Letter for TopicLetter {
    const NAME: &'static str = "topic";
    fn sample() -> Self {
        Self {
            title: "Getting started".into(),
            body: "Where do you work, and what does your role mean **day to day**?".into(),
            leave: "https://pairs.example/leave/abc".into(),
        }
    }
}

fn sample_round() -> String {
    "The next round opens on 1 March 2027.".into()
}
