//! A partner's letter to the other: passed on without a trace of who wrote it but the name they chose, or sent back with words that say why not.
use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, Incoming, Outcome, Sending, Site};
use crate::{
    aside,
    domain::{
        address::{EmailAddress, OwnAddress},
        breaker::Stream,
    },
    mail::{
        anonymize::{self, Loan, Parties, RelayRefusal, Threading},
        markdown,
        message::Message,
        mime,
    },
    store::{
        letters::{self, Bytes},
        outbox::{self, NewLetter},
        people::{self, Person},
        relays::{self, Circle, Member},
    },
    templates::letters::RelayRefused,
};

/// Characters of a token, and of a signed id: what stands behind `reply-` and `bounce-`.
const TOKEN_LENGTH: usize = 16;
const SIGNED_ID_LENGTH: usize = 42;
/// Letters of ours that one letter quotes at most; each costs a search through it.
const SECRETS_AT_MOST: usize = 40;
/// What to do when the partnership is over.
const WHAT_NOW: &str = "Reply with “help” to see what you can do now.";

/// A letter on its way from one partner to another.
pub struct Passing<'a> {
    /// The letter.
    pub incoming: Incoming<'a>,
    /// Its parts.
    pub tree: &'a mime::Tree<'a>,
    /// Theirs.
    pub partnership: Uuid,
    /// To whom.
    pub reader: Uuid,
}

/// Passes letters on, each of another writer; gives what became of each.
pub async fn forward(ctx: &mut Context<'_>, letters: &[Passing<'_>]) -> Result<Vec<Outcome>> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let known = Known::load(ctx, letters).await?;
    let mut fates = Vec::with_capacity(letters.len());
    for (at, letter) in letters.iter().enumerate() {
        fates.push(decide(ctx, letter, &known, at).await?);
    }
    let queued = queue(ctx, letters, &fates).await?;
    let mut outcomes = Vec::with_capacity(letters.len());
    for (letter, fate) in letters.iter().zip(fates) {
        ctx.cause = Some(letter.incoming.claimed.exchange_id);
        outcomes.push(match fate {
            // One that was passed on before is passed on: only a dead mailbox is a reason to tell the writer.
            Fate::Pass(ready) if queued.contains(&ready.id) || outbox::is_known(ctx.conn, &ready.occasion).await? => {
                if let Made::Here(bytes, loans) = ready.bytes
                    && !loans.is_empty()
                {
                    letters::remember(ready.id, bytes);
                }
                relays::RELAYED.into()
            }
            Fate::Pass(ready) => refuse(ctx, &letter.incoming, &returned(ctx.site, ready.reader)).await?,
            Fate::Refuse(no) => refuse(ctx, &letter.incoming, &no).await?,
            Fate::Drop(why) => format!("dropped: {why}"),
        });
    }
    Ok(outcomes)
}

/// What the database knows about a batch of letters.
struct Known {
    circles: HashMap<Uuid, Circle>,
    /// How the readers know the letters that these answer or follow.
    names: HashMap<(Uuid, String), String>,
    /// Letters that each writer sent to this partner within a day; empty where nobody counts.
    today: Vec<i64>,
}

impl Known {
    async fn load(ctx: &mut Context<'_>, letters: &[Passing<'_>]) -> Result<Self> {
        let partnerships: Vec<_> = letters.iter().map(|letter| letter.partnership).collect();
        let (mut within, mut ids) = (Vec::new(), Vec::new());
        for letter in letters {
            for id in letter.incoming.message.in_reply_to.iter().chain(&letter.incoming.message.references) {
                within.push(letter.partnership);
                ids.push(id.clone());
            }
        }
        let today = match ctx.site.letters_per_day {
            Some(_) => {
                let writers: Vec<_> = letters.iter().map(|letter| letter.incoming.writer_id).collect();
                let mailboxes: Vec<_> = letters.iter().map(|letter| letter.incoming.claimed.recipient.mailbox()).collect();
                relays::passed_on_since(ctx.conn, &writers, &mailboxes, ctx.now - TimeDelta::days(1)).await?
            }
            None => Vec::new(),
        };
        Ok(Self { circles: relays::circles(ctx.conn, &partnerships).await?, names: relays::translate(ctx.conn, &within, &ids).await?, today })
    }
}

/// What happens to a letter.
enum Fate<'a> {
    /// It is passed on, if its reader's mailbox lives.
    Pass(Ready<'a>),
    /// It is sent back, with words.
    Refuse(No<'a>),
    /// Nobody is there to read it, nor to be told.
    Drop(&'static str),
}

/// A letter made ready for its reader.
struct Ready<'a> {
    id: Uuid,
    reader: &'a Person,
    to: EmailAddress,
    from: String,
    occasion: String,
    reverse_path: String,
    message_id: String,
    bytes: Made,
}

/// Its bytes: written out while they were made where they are many.
enum Made {
    /// With the pictures that they have from the letter that came in.
    Here(Vec<u8>, Vec<Loan>),
    Kept(usize),
}

/// Why a letter is not passed on, and what its writer can do.
struct No<'a> {
    reader: &'a Person,
    why: String,
    what_to_do: String,
    tells: bool,
}

impl<'a> No<'a> {
    fn new(reader: &'a Person, why: impl Into<String>, what_to_do: &str) -> Self {
        Self { reader, why: why.into(), what_to_do: what_to_do.into(), tells: false }
    }
}

/// Decides about the letter `at` that place of its batch.
async fn decide<'a>(ctx: &mut Context<'_>, letter: &Passing<'_>, known: &'a Known, at: usize) -> Result<Fate<'a>> {
    let incoming = &letter.incoming;
    let circle = known.circles.get(&letter.partnership).context("a letter to a partnership that is gone")?;
    let Some(writer) = circle.members.iter().find(|member| member.addresses.contains(incoming.writer)) else {
        return Ok(Fate::Drop("the writer is nobody's partner any more"));
    };
    let Some(reader) = circle.members.iter().find(|member| member.person.id == letter.reader) else { return Ok(Fate::Drop("the reader is gone")) };
    if let (Some(limit), Some(count)) = (ctx.site.letters_per_day, known.today.get(at))
        && *count >= limit
    {
        let why = format!("you have written more than {limit} letters to this partner within a day, and we stop there");
        return Ok(Fate::Refuse(No::new(&reader.person, why, "Please go on tomorrow.")));
    }
    // It may have ended while the letter waited for proof, or for another attempt.
    if !circle.runs {
        return Ok(Fate::Refuse(No::new(&reader.person, "the two of you are no longer partners here", WHAT_NOW)));
    }
    let Some(to) = reader.person.email.clone().filter(|_| reader.person.left_at.is_none()) else {
        return Ok(Fate::Refuse(No::new(&reader.person, "your partner is no longer in the programme", WHAT_NOW)));
    };
    let mut parties = parties(ctx.site, incoming, circle, writer, reader, to)?;
    parties.writer_addresses.extend(quoted_secrets(incoming.message, &ctx.site.domain));
    let threading = threading(ctx.site, letter, &known.names);
    let raw = &incoming.claimed.raw;
    Ok(match aside::work(raw.len(), || anonymize::rebuild(letter.tree, &parties, &threading, &ctx.site.domain)) {
        Ok(relayed) => {
            let id = Uuid::now_v7();
            let bytes = match aside::is_long(raw.len()) {
                true => Made::Kept(letters::keep(ctx.conn, id, |out| relayed.write_to(out)).await?),
                false => {
                    let bytes = relayed.into_bytes();
                    let loans = if raw.len().min(bytes.len()) >= letters::LARGE { anonymize::loans(raw, letter.tree, &bytes) } else { Vec::new() };
                    Made::Here(bytes, loans)
                }
            };
            Fate::Pass(Ready {
                id,
                reader: &reader.person,
                to: parties.reader_address,
                from: parties.writer_alias.local().to_owned(),
                occasion: format!("relay:{}:{}", incoming.claimed.id, reader.person.id),
                reverse_path: ctx.reverse_path(id),
                message_id: threading.message_id,
                bytes,
            })
        }
        Err(refusal) => {
            let (why, what_to_do) = words(&refusal);
            Fate::Refuse(No { tells: true, ..No::new(&reader.person, why, what_to_do) })
        }
    })
}

/// Queues all that pass, and remembers under which identifiers; gives those that were queued.
async fn queue(ctx: &mut Context<'_>, letters: &[Passing<'_>], fates: &[Fate<'_>]) -> Result<HashSet<Uuid>> {
    let (mut out, mut partnerships, mut original, mut relayed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (letter, fate) in letters.iter().zip(fates) {
        let Fate::Pass(ready) = fate else { continue };
        if let Some(id) = &letter.incoming.message.message_id {
            partnerships.push(letter.partnership);
            original.push(id.clone());
            relayed.push(ready.message_id.clone());
        }
        out.push(NewLetter {
            id: ready.id,
            address_id: ready.reader.address_id,
            to: &ready.to,
            mailbox: &ready.from,
            kind: "relay",
            stream: Stream::Relay,
            occasion: &ready.occasion,
            reverse_path: &ready.reverse_path,
            message_id: &ready.message_id,
            raw: match &ready.bytes {
                Made::Here(raw, loans) if loans.is_empty() => Bytes::Here(raw),
                Made::Here(raw, loans) => Bytes::Lent { raw, loans, lender: letter.incoming.claimed.letter_id },
                Made::Kept(octets) => Bytes::Kept(*octets),
            },
            cause: Some(letter.incoming.claimed.exchange_id),
            sending: None,
            not_before: ctx.now,
        });
    }
    relays::remember(ctx.conn, &partnerships, &original, &relayed).await?;
    ctx.enqueue(&out).await
}

/// Who is who in this letter. A third partner is named only where the letter was addressed to them as well.
fn parties(site: &Site, incoming: &Incoming<'_>, circle: &Circle, writer: &Member, reader: &Member, reader_address: EmailAddress) -> Result<Parties> {
    let alias = |member: &Member| site.own(&OwnAddress::Alias(member.alias.clone()));
    let (writer_alias, reader_alias) = (alias(writer)?, alias(reader)?);
    let own = reader.addresses.iter().filter(|address| **address != reader_address);
    let mut others: Vec<_> = own.map(|address| (address.clone(), reader_alias.clone())).collect();
    let mut third = None;
    if let Some(member) = circle.members.iter().find(|member| ![writer.person.id, reader.person.id].contains(&member.person.id)) {
        let alias = alias(member)?;
        others.extend(member.addresses.iter().map(|address| (address.clone(), alias.clone())));
        if incoming.message.to.iter().chain(&incoming.message.cc).any(|address| *address == alias) {
            third = Some((member.person.called().to_owned(), alias));
        }
    }
    Ok(Parties {
        writer_name: writer.person.called().to_owned(),
        writer_addresses: writer.addresses.clone(),
        writer_alias,
        reader_address,
        reader_alias,
        others,
        third,
    })
}

/// Addresses of ours in a letter that may do something in the name of whoever got them: of tokens, and of return paths. They stand in letters of ours
/// that the writer quotes or forwards, and become the writer's alias like their own.
fn quoted_secrets(message: &Message, domain: &str) -> Vec<EmailAddress> {
    let mut found = Vec::new();
    for text in message.parts.iter().filter_map(|part| part.text.as_deref()).chain([message.subject.as_str()]) {
        let text = text.to_ascii_lowercase();
        for (prefix, length) in [("reply-", TOKEN_LENGTH), ("bounce-", SIGNED_ID_LENGTH)] {
            for (at, _) in text.match_indices(prefix) {
                let end = at + prefix.len() + length;
                let own = text.get(at..end).filter(|local| matches!(OwnAddress::read(local), OwnAddress::Reply(_) | OwnAddress::Bounce(_)));
                let address = own.and_then(|local| EmailAddress::parse(&format!("{local}@{domain}")).ok());
                found.extend(address.filter(|address| found.len() < SECRETS_AT_MOST && !found.contains(address)));
            }
        }
    }
    found
}

/// The letter's new identity, and the letters it follows as the reader knows them.
fn threading(site: &Site, letter: &Passing<'_>, names: &HashMap<(Uuid, String), String>) -> Threading {
    let (claimed, message) = (letter.incoming.claimed, letter.incoming.message);
    let known = |id: &String| names.get(&(letter.partnership, id.clone())).cloned();
    Threading {
        message_id: format!("{}@{}", site.secret.word("relay", claimed.id.as_bytes()), site.domain),
        in_reply_to: message.in_reply_to.iter().find_map(known),
        references: message.references.iter().filter_map(known).collect(),
        received: claimed.received_at.timestamp(),
    }
}

/// The reader's mailbox sends letters back.
fn returned<'a>(site: &Site, reader: &'a Person) -> No<'a> {
    let what_to_do = format!(
        "As soon as your partner writes from that mailbox again, letters pass as before. Until then keep your letter, or write a line to postmaster@{}: a person reads it and looks into it.",
        site.domain
    );
    No::new(reader, "letters to your partner's mailbox have come back as undeliverable", &what_to_do)
}

async fn refuse(ctx: &mut Context<'_>, incoming: &Incoming<'_>, no: &No<'_>) -> Result<Outcome> {
    let Some(writer) = people::person_of(ctx.conn, incoming.writer_id).await? else { return Ok("dropped: nobody to tell".into()) };
    let letter = RelayRefused {
        partner: markdown::escape(no.reader.called()),
        subject: markdown::escape(&incoming.message.subject),
        why: markdown::escape(&no.why),
        what_to_do: no.what_to_do.clone(),
        tells: no.tells,
    };
    ctx.write(&writer, &letter, Sending::answering(incoming)).await?;
    Ok(format!("not passed on: {}", no.why))
}

/// Why, as the end of "we could not pass it on, because …", and what the writer can do.
fn words(refusal: &RelayRefusal) -> (String, &'static str) {
    let again = "Please send it again as a plain letter, without the part we could not read.";
    let unsigned =
        "Please switch signing and encryption off for this letter and send it again. What you and your partner write passes only through this service.";
    match refusal {
        RelayRefusal::Unparsable | RelayRefusal::TooNested | RelayRefusal::UnreadableText => (refusal.to_string(), again),
        RelayRefusal::NothingLeft => (refusal.to_string(), "Please send it again with a few words in it."),
        RelayRefusal::Signed | RelayRefusal::Encrypted | RelayRefusal::Key => (refusal.to_string(), unsigned),
        RelayRefusal::EnclosedMessage => {
            (refusal.to_string(), "Please copy the words you want to show into a new letter, or forward it within the letter's text.")
        }
        RelayRefusal::Report => (refusal.to_string(), "Only letters between people pass here."),
        RelayRefusal::Calendar | RelayRefusal::ContactCard => {
            (refusal.to_string(), "Please write the date, or what you would like to share, into the letter itself.")
        }
        RelayRefusal::Picture { .. } => (refusal.to_string(), "Please save the picture as JPEG or PNG and send it again."),
        RelayRefusal::Attachment { name } => (
            format!("the attachment “{name}” may hold names and addresses that we can't take out"),
            "Please put the words into the letter itself, or send a link. Pictures in the letter (JPEG, PNG, GIF, WebP) pass.",
        ),
        RelayRefusal::AddressStays => (refusal.to_string(), "Please take your address out of the letter and send it again."),
    }
}
