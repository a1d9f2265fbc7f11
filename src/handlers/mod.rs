//! What the service does: a file per happening. A handler loads, decides, records and writes, inside the one transaction it is given; it reaches no socket.
use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use crate::{
    domain::{
        address::{EmailAddress, OwnAddress, Token},
        breaker::Stream,
        command::{Audience, Command},
        programme::Programme,
        secret::Secret,
    },
    mail::{
        draft::{Draft, ListFields},
        message::Message,
        reply::{self, Reply},
    },
    store::{
        Connection,
        inbox::Claimed,
        letters::Bytes,
        outbox::{self, NewLetter},
        people::Person,
        room::Places,
        tokens::{self, NewToken, Purpose},
    },
    templates::{Letter, Templates},
};

pub mod alarms;
pub mod bounces;
pub mod brake;
pub mod help;
pub mod introductions;
pub mod membership;
pub mod relay;
pub mod rounds;
pub mod sign_up;
pub mod topics;
pub mod unproven;

/// Days that a token in a letter of ours may be answered.
const TOKEN_DAYS: i64 = 90;

/// Where an entrance asks for the time: one moment per transaction, and a set clock in tests and rehearsals.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What does not change while the program runs: the programme, its words, its secret, its limits.
#[derive(Debug)]
pub struct Site {
    /// The mail domain.
    pub domain: String,
    /// Where people reach the pages, without a slash at the end.
    pub url: String,
    /// The programme file.
    pub programme: Programme,
    /// The master secret.
    pub secret: Secret,
    /// The words.
    pub templates: Templates,
    /// Where letters to `postmaster@` and `abuse@` are passed on to.
    pub operator: Option<EmailAddress>,
    /// Who may use the coordinators' commands by mail, beside the operator.
    pub coordinators: Vec<EmailAddress>,
    /// Letters in an hour that ask strangers whether a letter was theirs.
    pub asks_per_hour: i64,
    /// Letters that one person may send to one partner in a day; `None`: no limit, nor one to our answers.
    pub letters_per_day: Option<i64>,
    /// Days that the words of letters are kept after they were handled and delivered.
    pub keep_words_days: u16,
}

impl Site {
    /// Whether somebody is a coordinator; the operator is one.
    pub fn is_coordinator(&self, writer: &EmailAddress) -> bool {
        self.operator.iter().chain(&self.coordinators).any(|one| one == writer)
    }

    /// Whose commands somebody may use.
    pub fn audience(&self, writer: &EmailAddress) -> Audience {
        if self.is_coordinator(writer) { Audience::Coordinator } else { Audience::Member }
    }

    /// One of our mailboxes.
    pub fn own(&self, own: &OwnAddress) -> Result<EmailAddress> {
        EmailAddress::parse(&own.at(&self.domain)).with_context(|| format!("{} is not an address at {}", own.local(), self.domain))
    }
}

/// What a handler works with.
pub struct Context<'a> {
    /// The transaction; the entrance commits it.
    pub conn: &'a mut Connection,
    /// The moment at which everything in this transaction happens.
    pub now: DateTime<Utc>,
    /// See [`Site`].
    pub site: &'a Site,
    /// The exchange row of the letter that caused all this.
    pub cause: Option<Uuid>,
    /// Places at the exit for what is queued; who gives them commits with them.
    pub places: Option<Places>,
}

/// A letter that came in, read.
pub struct Incoming<'a> {
    /// Its row.
    pub claimed: &'a Claimed,
    /// What stands in it.
    pub message: &'a Message,
    /// Its header From.
    pub writer: &'a EmailAddress,
    /// The address row of that.
    pub writer_id: Uuid,
    reply: OnceLock<Reply>,
}

impl<'a> Incoming<'a> {
    /// A letter, and whose it is.
    pub fn new(claimed: &'a Claimed, message: &'a Message, writer: &'a EmailAddress, writer_id: Uuid) -> Self {
        Self { claimed, message, writer, writer_id, reply: OnceLock::new() }
    }

    /// Its words, apart from quotes and signature: taken apart when somebody asks, which nobody does for a letter that only passes.
    pub fn reply(&self) -> &Reply {
        self.reply.get_or_init(|| reply::split(self.message.text()))
    }
}

/// A letter of ours, ready to be queued.
struct Written {
    id: Uuid,
    address_id: Uuid,
    to: EmailAddress,
    mailbox: String,
    kind: &'static str,
    stream: Stream,
    occasion: String,
    reverse_path: String,
    message_id: String,
    raw: Vec<u8>,
    sending: Option<Uuid>,
    not_before: DateTime<Utc>,
    token: Option<NewToken>,
}

/// What became of a letter that a handler took: a few words for the record.
pub type Outcome = String;

/// What makes a letter of ours the only one of its kind to its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// It answers this row of the inbox. One letter gets one answer of whichever kind: a handler that runs twice on one row, and finds the second time
    /// that all is done, has nothing to add.
    AnswerTo(Uuid),
    /// A round, a topic, a day …
    About(String),
}

impl Occasion {
    /// The key, unique in the database, of a letter of this kind to this mailbox.
    fn key(&self, kind: &str, address_id: Uuid) -> String {
        match self {
            Self::AnswerTo(inbox) => format!("answer:{address_id}:{inbox}"),
            Self::About(occasion) => format!("{kind}:{address_id}:{occasion}"),
        }
    }
}

/// To whom a letter of ours goes, and how.
#[derive(Debug)]
pub struct Sending<'a> {
    /// What it is written for.
    pub stream: Stream,
    /// See [`Occasion`].
    pub occasion: Occasion,
    /// What a reply to it may do; without, a reply may do what any letter from a proven mailbox may.
    pub purpose: Option<(Purpose, Option<Uuid>)>,
    /// The letter that it answers.
    pub answers: Option<&'a Message>,
    /// The list it belongs to.
    pub list: Option<ListFields>,
    /// The sending it belongs to.
    pub sending: Option<Uuid>,
    /// Not before then.
    pub not_before: Option<DateTime<Utc>>,
    /// Where an answer goes, where that is neither us nor a token.
    pub reply_to: Option<EmailAddress>,
    /// The local part it comes from; `help` by default.
    pub from: Option<OwnAddress>,
}

impl<'a> Sending<'a> {
    /// An answer to a letter, unique per letter answered.
    pub fn answering(incoming: &Incoming<'a>) -> Self {
        Self { answers: Some(incoming.message), ..Self::new(Occasion::AnswerTo(incoming.claimed.id), Stream::Answers) }
    }

    /// A letter of our own accord, unique per occasion.
    pub fn about(occasion: impl Into<String>) -> Self {
        Self::new(Occasion::About(occasion.into()), Stream::Notices)
    }

    fn new(occasion: Occasion, stream: Stream) -> Self {
        Self { stream, occasion, purpose: None, answers: None, list: None, sending: None, not_before: None, reply_to: None, from: None }
    }

    /// Written for this.
    pub fn within(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }

    /// A reply to it may do this.
    pub fn asking(mut self, purpose: Purpose, subject: Option<Uuid>) -> Self {
        self.purpose = Some((purpose, subject));
        self
    }
}

impl<'a> Context<'a> {
    /// At a moment, of our own accord.
    pub fn new(conn: &'a mut Connection, now: DateTime<Utc>, site: &'a Site) -> Self {
        Self { conn, now, site, cause: None, places: None }
    }

    /// Queues letters, at the exit itself where there are places for them; gives those that were not written before, and whose mailbox is not known to be dead.
    async fn enqueue(&mut self, letters: &[NewLetter<'_>]) -> Result<HashSet<Uuid>> {
        match &mut self.places {
            Some(places) => places.enqueue(self.conn, letters, self.now).await,
            None => outbox::enqueue_all(self.conn, letters, self.now).await,
        }
    }

    /// Writes a letter of ours to a person's primary mailbox; false when it was written before, their mailbox is known to be dead, or got
    /// [`Letter::A_DAY`] such answers within a day.
    pub async fn write<L: Letter>(&mut self, to: &Person, letter: &L, sending: Sending<'_>) -> Result<bool> {
        match &to.email {
            Some(email) => self.write_to(to.address_id, email, to.called(), &to.language, letter, sending).await,
            None => Ok(false),
        }
    }

    /// Writes a letter of ours to a mailbox, whoever reads it.
    pub async fn write_to<L: Letter>(
        &mut self,
        address_id: Uuid,
        to: &EmailAddress,
        called: &str,
        language: &str,
        letter: &L,
        sending: Sending<'_>,
    ) -> Result<bool> {
        let site = self.site;
        if sending.answers.is_some()
            && site.letters_per_day.is_some()
            && outbox::count_to(self.conn, address_id, L::NAME, self.now - TimeDelta::days(1)).await? >= L::A_DAY
        {
            tracing::warn!(kind = L::NAME, cause = ?self.cause, "not answered: its mailbox got as many such answers within a day as it may");
            return Ok(false);
        }
        let written = self.compose(address_id, to, called, language, letter, sending)?;
        Ok(!self.post(&[written]).await?.is_empty())
    }

    /// Makes a letter of ours ready, and nothing more.
    fn compose<L: Letter>(&self, address_id: Uuid, to: &EmailAddress, called: &str, language: &str, letter: &L, sending: Sending<'_>) -> Result<Written> {
        let site = self.site;
        let words = site.templates.letter(letter, called, language)?;
        let id = Uuid::now_v7();
        let (purpose, subject) = sending.purpose.unwrap_or((Purpose::Service, None));
        let (reply_to, token) = match sending.reply_to {
            Some(elsewhere) => (elsewhere, None),
            None => {
                let token = Token::from_random(random()?);
                let reply_to = site.own(&OwnAddress::Reply(token.clone()))?;
                (reply_to, Some(NewToken { token, purpose, address_id, subject_id: subject, expires_at: self.now + TimeDelta::days(TOKEN_DAYS) }))
            }
        };
        let from = sending.from.unwrap_or(OwnAddress::Help);
        let thread = sending.answers.and_then(|message| message.message_id.clone());
        let draft = Draft {
            from: (site.programme.name.clone(), site.own(&from)?),
            to: (None, to.clone()),
            reply_to: Some(reply_to),
            subject: words.subject,
            text: words.text,
            html: Some(words.html),
            message_id: format!("{}@{}", site.secret.word("message-id", id.as_bytes()), site.domain),
            references: sending.answers.map(|m| m.references.iter().cloned().chain(thread.clone()).collect()).unwrap_or_default(),
            in_reply_to: thread,
            date: self.now,
            auto_submitted: Some(if sending.answers.is_some() { "auto-replied" } else { "auto-generated" }),
            bulk: sending.list.is_some(),
            list: sending.list,
        };
        Ok(Written {
            id,
            address_id,
            to: to.clone(),
            mailbox: from.local(),
            kind: L::NAME,
            stream: sending.stream,
            occasion: sending.occasion.key(L::NAME, address_id),
            reverse_path: self.reverse_path(id),
            raw: draft.to_bytes(),
            message_id: draft.message_id,
            sending: sending.sending,
            not_before: sending.not_before.unwrap_or(self.now),
            token,
        })
    }

    /// Queues letters that are ready, with their tokens; gives what [`Self::enqueue`] gives.
    async fn post(&mut self, written: &[Written]) -> Result<HashSet<Uuid>> {
        let tokens: Vec<_> = written.iter().filter_map(|written| written.token.as_ref()).collect();
        tokens::insert_all(self.conn, &tokens, self.now).await?;
        let letters: Vec<_> = written
            .iter()
            .map(|written| NewLetter {
                id: written.id,
                address_id: written.address_id,
                to: &written.to,
                mailbox: &written.mailbox,
                kind: written.kind,
                stream: written.stream,
                occasion: &written.occasion,
                reverse_path: &written.reverse_path,
                message_id: &written.message_id,
                raw: Bytes::Here(&written.raw),
                cause: self.cause,
                sending: written.sending,
                not_before: written.not_before,
            })
            .collect();
        self.enqueue(&letters).await
    }

    /// The command that a letter is, if it is one.
    pub fn command(&self, incoming: &Incoming<'_>) -> Option<Command> {
        Command::read(&incoming.message.subject, &incoming.reply().text, self.site.audience(incoming.writer), self.now.date_naive())
    }

    /// The return path of the letter `id` of ours: it comes back only to say that this letter failed (VERP).
    pub fn reverse_path(&self, id: Uuid) -> String {
        OwnAddress::Bounce(self.site.secret.signed_id("bounce", id)).at(&self.site.domain)
    }
}

/// Random bytes for a token or an alias.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}
