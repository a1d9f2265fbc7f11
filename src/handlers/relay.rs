//! A partner's letter to the other: passed on without a trace of who wrote it but the name they chose, or sent back with words that say why not.
use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, Incoming, Outcome, Sending};
use crate::{
    domain::{
        address::{EmailAddress, OwnAddress},
        breaker::Stream,
    },
    mail::{
        anonymize::{self, Parties, RelayRefusal, Threading},
        markdown,
        message::Message,
    },
    store::{
        outbox::{self, NewLetter},
        people::{self, Person},
        relays,
    },
    templates::letters::RelayRefused,
};

/// Characters of a token, and of a signed id: what stands behind `reply-` and `bounce-`.
const TOKEN_LENGTH: usize = 16;
const SIGNED_ID_LENGTH: usize = 42;
/// Letters of ours that one letter quotes at most; each costs a search through it.
const SECRETS_AT_MOST: usize = 40;

/// Passes a letter on to `reader`, in their partnership.
pub async fn forward(ctx: &mut Context<'_>, incoming: &Incoming<'_>, partnership: Uuid, reader: Uuid) -> Result<Outcome> {
    let Some(writer) = people::person_of(ctx.conn, incoming.writer_id).await? else { return Ok("dropped: the writer is nobody's partner any more".into()) };
    let Some(reader) = people::find(ctx.conn, reader).await? else { return Ok("dropped: the reader is gone".into()) };
    if let Some(limit) = ctx.site.letters_per_day {
        let mailbox = incoming.claimed.recipient.mailbox();
        if relays::passed_on_since(ctx.conn, incoming.writer_id, &mailbox, ctx.now - TimeDelta::days(1)).await? >= limit {
            return refuse(
                ctx,
                incoming,
                &reader,
                &format!("you have written more than {limit} letters to this partner within a day, and we stop there"),
                "Please go on tomorrow.",
                false,
            )
            .await;
        }
    }
    // It may have ended while the letter waited for proof, or for another attempt.
    if !relays::runs(ctx.conn, partnership).await? {
        return refuse(ctx, incoming, &reader, "the two of you are no longer partners here", "Reply with “help” to see what you can do now.", false).await;
    }
    let Some(to) = reader.email.clone().filter(|_| reader.left_at.is_none()) else {
        return refuse(ctx, incoming, &reader, "your partner is no longer in the programme", "Reply with “help” to see what you can do now.", false).await;
    };
    let mut parties = parties(ctx, incoming, partnership, &writer, &reader, to).await?;
    parties.writer_addresses.extend(quoted_secrets(incoming.message, &ctx.site.domain));
    let (threading, original) = threading(ctx, incoming, partnership).await?;
    match anonymize::relay(&incoming.claimed.raw, &parties, &threading, &ctx.site.domain) {
        Ok(raw) => {
            if let Some(original) = original {
                relays::remember(ctx.conn, partnership, &original, &threading.message_id).await?;
            }
            let passed = Passed { reader: &reader, to: &parties.reader_address, from: &parties.writer_alias, message_id: &threading.message_id, raw: &raw };
            pass_on(ctx, incoming, passed).await
        }
        Err(refusal) => {
            let (why, what_to_do) = words(&refusal);
            refuse(ctx, incoming, &reader, &why, what_to_do, true).await
        }
    }
}

/// Who is who in this letter. A third partner is named only where the letter was addressed to them as well.
async fn parties(
    ctx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    partnership: Uuid,
    writer: &Person,
    reader: &Person,
    reader_address: EmailAddress,
) -> Result<Parties> {
    let all = relays::parties(ctx.conn, partnership).await?;
    let alias = |person: Uuid| -> Result<EmailAddress> {
        let party = all.iter().find(|party| party.person_id == person).context("a partner without an alias")?;
        ctx.site.own(&OwnAddress::Alias(party.alias.clone()))
    };
    let (writer_alias, reader_alias) = (alias(writer.id)?, alias(reader.id)?);
    let own = people::addresses(ctx.conn, reader.id).await?.into_iter().filter(|address| *address != reader_address);
    let mut others: Vec<_> = own.map(|address| (address, reader_alias.clone())).collect();
    let mut third = None;
    if let Some(party) = all.iter().find(|party| party.person_id != writer.id && party.person_id != reader.id) {
        let alias = ctx.site.own(&OwnAddress::Alias(party.alias.clone()))?;
        others.extend(people::addresses(ctx.conn, party.person_id).await?.into_iter().map(|address| (address, alias.clone())));
        if incoming.message.to.iter().chain(&incoming.message.cc).any(|address| *address == alias) {
            let name = people::find(ctx.conn, party.person_id).await?.map(|person| person.called().to_owned()).unwrap_or_default();
            third = Some((name, alias));
        }
    }
    Ok(Parties {
        writer_name: writer.called().to_owned(),
        writer_addresses: people::addresses(ctx.conn, writer.id).await?,
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

/// The letter's new identity, and the letters it follows as the reader knows them. The second is its own identifier, as the writer knows it.
async fn threading(ctx: &mut Context<'_>, incoming: &Incoming<'_>, partnership: Uuid) -> Result<(Threading, Option<String>)> {
    let mentioned = anonymize::mentioned_ids(&incoming.claimed.raw);
    let ids: Vec<String> = mentioned.in_reply_to.iter().chain(&mentioned.references).cloned().collect();
    let known = relays::translate(ctx.conn, partnership, &ids).await?;
    let threading = Threading {
        message_id: format!("{}@{}", ctx.site.secret.word("relay", incoming.claimed.id.as_bytes()), ctx.site.domain),
        in_reply_to: mentioned.in_reply_to.iter().find_map(|id| known.get(id).cloned()),
        references: mentioned.references.iter().filter_map(|id| known.get(id).cloned()).collect(),
        received: incoming.claimed.received_at.timestamp(),
    };
    Ok((threading, mentioned.message_id))
}

/// A letter made ready for its reader.
struct Passed<'a> {
    reader: &'a Person,
    to: &'a EmailAddress,
    from: &'a EmailAddress,
    message_id: &'a str,
    raw: &'a [u8],
}

async fn pass_on(ctx: &mut Context<'_>, incoming: &Incoming<'_>, passed: Passed<'_>) -> Result<Outcome> {
    let (id, occasion) = (Uuid::now_v7(), format!("relay:{}:{}", incoming.claimed.id, passed.reader.id));
    let letter = NewLetter {
        id,
        address_id: passed.reader.address_id,
        to: passed.to,
        mailbox: passed.from.local(),
        kind: "relay",
        stream: Stream::Relay,
        occasion: &occasion,
        reverse_path: &ctx.reverse_path(id),
        message_id: passed.message_id,
        raw: passed.raw,
        cause: ctx.cause,
        sending: None,
        not_before: ctx.now,
    };
    // One that was passed on before is passed on: only a dead mailbox is a reason to tell the writer.
    if outbox::enqueue(ctx.conn, &letter, ctx.now).await? || outbox::is_known(ctx.conn, &occasion).await? {
        return Ok(relays::RELAYED.into());
    }
    let why = "letters to your partner's mailbox have come back as undeliverable";
    let what_to_do = format!(
        "As soon as your partner writes from that mailbox again, letters pass as before. Until then keep your letter, or write a line to postmaster@{}: a person reads it and looks into it.",
        ctx.site.domain
    );
    refuse(ctx, incoming, passed.reader, why, &what_to_do, false).await
}

async fn refuse(ctx: &mut Context<'_>, incoming: &Incoming<'_>, reader: &Person, why: &str, what_to_do: &str, tells: bool) -> Result<Outcome> {
    let Some(writer) = people::person_of(ctx.conn, incoming.writer_id).await? else { return Ok("dropped: nobody to tell".into()) };
    let letter = RelayRefused {
        partner: markdown::escape(reader.called()),
        subject: markdown::escape(&incoming.message.subject),
        why: markdown::escape(why),
        what_to_do: what_to_do.to_owned(),
        tells,
    };
    ctx.write(&writer, &letter, Sending::answering(incoming)).await?;
    Ok(format!("not passed on: {why}"))
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
