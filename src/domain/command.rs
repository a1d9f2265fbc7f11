//! The one vocabulary of commands: what a letter of one word or one line can ask for, who may ask it, and how help explains it.
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::address::EmailAddress;

mod read;
mod words;

/// Who may use a command. Each may also use those of the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Anybody who writes.
    Anybody,
    /// Applicants and participants.
    Member,
    /// Coordinators.
    Coordinator,
}

/// What a letter asks the service to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// What can be written here.
    Help,
    /// The form, to take part.
    Join,
    /// To get letters of a list.
    Subscribe {
        /// Which; the usual one where not said.
        list: Option<String>,
    },
    /// To get them no more.
    Unsubscribe {
        /// Which; the usual one where not said.
        list: Option<String>,
    },
    /// How things stand.
    Status,
    /// "Yes": acts only in reply to a letter of ours with a token.
    Confirm,
    /// To change answers; they stand in the letter's form.
    Change,
    /// To be left out for a while.
    Pause {
        /// The day of the return, where it was said and is to come.
        until: Option<NaiveDate>,
    },
    /// To be back.
    Resume,
    /// To leave the programme.
    Leave,
    /// To be matched anew.
    NewPartner,
    /// "We write elsewhere": the pair is well though we see no letters.
    AllWell,
    /// A copy of everything known.
    MyData,
    /// To be erased.
    ForgetMe,
    /// To write from another address as well.
    AddAddress {
        /// Which.
        address: EmailAddress,
    },
    /// Letters in another language.
    Language {
        /// BCP 47, shortest form.
        language: &'static str,
    },
    /// The monthly topics.
    Topics {
        /// Wanted or not.
        on: bool,
    },
    /// To show the partner one's address, once both ask.
    ShareAddress,
    /// No more letters from this partner.
    Block,
    /// To tell the coordinators of a letter or a person.
    Report,
    /// A proposal is good.
    Approve,
    /// The last decision is taken back.
    Undo,
    /// The letters that somebody would get.
    Preview {
        /// Name, address or id.
        person: String,
    },
    /// These two together.
    Pin {
        /// One of them.
        a: String,
        /// The other.
        b: String,
    },
    /// These two never.
    Veto {
        /// One of them.
        a: String,
        /// The other.
        b: String,
    },
    /// These two exchange their partners.
    Swap {
        /// One of them.
        a: String,
        /// The other.
        b: String,
    },
    /// An application is declined.
    Refuse {
        /// Name, address or id.
        person: String,
        /// In words for the applicant.
        reason: Option<String>,
    },
    /// Something to remember, for the other coordinators.
    Note {
        /// The words.
        text: String,
    },
    /// Everybody without a partner is matched anew.
    Rematch,
    /// A comment may appear.
    Accept,
    /// A comment may not appear, and its writer is told.
    Reject {
        /// In words for the writer.
        reason: Option<String>,
    },
    /// A comment may not appear, and nobody is told.
    Discard,
    /// Its writer may not write again.
    Ban,
    /// A report has been dealt with.
    Done,
    /// Outgoing letters wait.
    Hold,
    /// Outgoing letters go again.
    Release,
}

impl Command {
    /// Reads a command from a letter's subject and the new words of its body. One word or one polite line is a command, in the
    /// body's first line or in the subject; a longer text that mentions the word is not. `who` is who wrote: commands that they may
    /// not use are not seen. `today` gives days without a year their year.
    pub fn read(subject: &str, reply_text: &str, who: Audience, today: NaiveDate) -> Option<Self> {
        read::command(subject, reply_text, who, today).filter(|command| command.audience() <= who)
    }

    /// Reads yes or no from the answer to a letter of ours that asked. `None` where it says neither, both, or "yes, but".
    pub fn read_yes_no(reply_text: &str) -> Option<bool> {
        read::yes_no_of(reply_text)
    }

    /// One of each, in the order of help letters; their arguments are examples.
    pub fn all() -> Vec<Self> {
        let (a, b) = ("Ana Flores".to_owned(), "Ben Otter".to_owned());
        let mut all = vec![Self::Help, Self::Join, Self::Subscribe { list: None }, Self::Unsubscribe { list: None }, Self::Status, Self::Confirm, Self::Change];
        all.extend([Self::Pause { until: None }, Self::Resume, Self::Leave, Self::NewPartner, Self::AllWell, Self::MyData, Self::ForgetMe]);
        // An address that cannot be read is no reason to leave a command out of the list: this one can.
        all.extend(EmailAddress::parse("ana@example.org").ok().map(|address| Self::AddAddress { address }));
        all.extend([Self::Language { language: "es" }, Self::Topics { on: false }, Self::ShareAddress, Self::Block, Self::Report, Self::Approve, Self::Undo]);
        all.extend([Self::Preview { person: a.clone() }, Self::Pin { a: a.clone(), b: b.clone() }, Self::Veto { a: a.clone(), b: b.clone() }]);
        all.extend([
            Self::Swap { a: a.clone(), b },
            Self::Refuse { person: a, reason: Some("the round is full".into()) },
            Self::Note { text: "writes in May".into() },
        ]);
        all.extend([
            Self::Rematch,
            Self::Accept,
            Self::Reject { reason: Some("it is off the topic".into()) },
            Self::Discard,
            Self::Ban,
            Self::Done,
            Self::Hold,
            Self::Release,
        ]);
        all
    }

    /// The commands that somebody may use, in the order of help letters.
    pub fn for_audience(who: Audience) -> Vec<Self> {
        Self::all().into_iter().filter(|command| command.audience() <= who).collect()
    }

    /// Its name outside: in `inspect` and in the record.
    pub fn name(&self) -> &'static str {
        self.card().0
    }

    /// Who may use it.
    pub fn audience(&self) -> Audience {
        self.card().1
    }

    /// What to write, as help letters show it.
    pub fn usage(&self) -> &'static str {
        self.card().2
    }

    /// What it does, in one sentence for the person who writes it.
    pub fn help(&self) -> &'static str {
        self.card().3
    }

    /// `{"name": …, "arguments": {…}}`; arguments that were not said are left out.
    pub fn to_json(&self) -> Value {
        json!({"name": self.name(), "arguments": Value::Object(self.arguments())})
    }

    fn arguments(&self) -> Map<String, Value> {
        let pairs = match self {
            Self::Subscribe { list } | Self::Unsubscribe { list } => vec![("list", json!(list))],
            Self::Pause { until } => vec![("until", json!(until))],
            Self::AddAddress { address } => vec![("address", json!(address.as_str()))],
            Self::Language { language } => vec![("language", json!(language))],
            Self::Topics { on } => vec![("on", json!(on))],
            Self::Preview { person } => vec![("person", json!(person))],
            Self::Pin { a, b } | Self::Veto { a, b } | Self::Swap { a, b } => vec![("a", json!(a)), ("b", json!(b))],
            Self::Refuse { person, reason } => vec![("person", json!(person)), ("reason", json!(reason))],
            Self::Reject { reason } => vec![("reason", json!(reason))],
            Self::Note { text } => vec![("text", json!(text))],
            Self::Help | Self::Join | Self::Status | Self::Confirm | Self::Change | Self::Resume | Self::Leave | Self::NewPartner | Self::AllWell => vec![],
            Self::MyData | Self::ForgetMe | Self::ShareAddress | Self::Block | Self::Report | Self::Approve | Self::Undo | Self::Rematch => vec![],
            Self::Accept | Self::Discard | Self::Ban | Self::Done | Self::Hold | Self::Release => vec![],
        };
        pairs.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Name, audience, what to write, what it does.
    fn card(&self) -> (&'static str, Audience, &'static str, &'static str) {
        use Audience::{Anybody, Coordinator, Member};
        match self {
            Self::Help => ("help", Anybody, "help", "Tells you what you can write here."),
            Self::Join => ("join", Anybody, "join", "Sends you the form to take part in the programme."),
            Self::Subscribe { .. } => ("subscribe", Anybody, "subscribe", "Sends you the monthly topics, whether or not you take part."),
            Self::Unsubscribe { .. } => ("unsubscribe", Anybody, "unsubscribe", "Stops the monthly topics."),
            Self::Status => ("status", Member, "status", "Tells you how things stand: your answers, your round, your partner."),
            Self::Confirm => ("confirm", Member, "yes", "Confirms what our letter asked; write it in reply to that letter."),
            Self::Change => ("change", Member, "Country: Peru", "Changes an answer: write any line of the form again, as in this example."),
            Self::Pause { .. } => ("pause", Member, "pause until 1 March 2027", "Leaves you out of matching until that day, or until you write \"resume\"."),
            Self::Resume => ("resume", Member, "resume", "Ends your pause."),
            Self::Leave => ("leave", Member, "leave", "Ends your part in the programme; your partner is told kindly."),
            Self::NewPartner => ("new-partner", Member, "new partner", "Asks for another partner, if yours does not answer or it does not work."),
            Self::AllWell => ("all-well", Member, "all well", "Tells us that you two are in touch another way, so that we stop asking."),
            Self::MyData => ("my-data", Member, "my data", "Sends you a copy of everything we keep about you."),
            Self::ForgetMe => ("forget-me", Member, "forget me", "Erases you and everything we keep about you."),
            Self::AddAddress { .. } => ("add-address", Member, "add address ana@example.org", "Lets you write from another address of yours as well."),
            Self::Language { .. } => ("language", Member, "language Spanish", "Changes the language of our letters to you."),
            Self::Topics { .. } => ("topics", Member, "topics off", "Stops the monthly topics, and \"topics on\" brings them back."),
            Self::ShareAddress => ("share-address", Member, "share address", "Shows your own address to your partner, as soon as both of you have asked."),
            Self::Block => ("block", Member, "block", "Stops all letters from your partner to you at once."),
            Self::Report => ("report", Member, "report", "Tells the coordinators that something is wrong; write what it is below."),
            Self::Approve => ("approve", Coordinator, "approve", "Approves the proposed matches; introductions go out on their day."),
            Self::Undo => ("undo", Coordinator, "undo", "Takes back your last decision."),
            Self::Preview { .. } => ("preview", Coordinator, "preview Ana Flores", "Shows the introduction that this person would get."),
            Self::Pin { .. } => ("pin", Coordinator, "pin Ana Flores with Ben Otter", "Puts these two together."),
            Self::Veto { .. } => ("veto", Coordinator, "veto Ana Flores with Ben Otter", "Never puts these two together."),
            Self::Swap { .. } => ("swap", Coordinator, "swap Ana Flores with Ben Otter", "Lets these two exchange their partners."),
            Self::Refuse { .. } => ("refuse", Coordinator, "refuse Ana Flores: the round is full", "Declines an application, with the reason you give."),
            Self::Note { .. } => ("note", Coordinator, "note writes in May", "Keeps a remark for the other coordinators."),
            Self::Rematch => ("rematch", Coordinator, "rematch", "Matches anew, with your pins and vetoes."),
            Self::Accept => ("accept", Coordinator, "accept", "Lets the comment appear."),
            Self::Reject { .. } => ("reject", Coordinator, "reject it is off the topic", "Keeps the comment out and tells its writer why."),
            Self::Discard => ("discard", Coordinator, "discard", "Keeps the comment out and tells nobody."),
            Self::Ban => ("ban", Coordinator, "ban", "Keeps the comment out, and its writer too."),
            Self::Done => ("done", Coordinator, "done", "Closes a report that has been dealt with."),
            Self::Hold => ("hold", Coordinator, "hold", "Holds all outgoing letters."),
            Self::Release => ("release", Coordinator, "release", "Lets outgoing letters go again."),
        }
    }
}

#[cfg(test)]
mod tests;
