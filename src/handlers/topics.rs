//! The monthly topic: joining and leaving it by letter or by one click, and sending it to everybody who wants it.
use anyhow::Result;
use uuid::Uuid;

use super::{Context, Incoming, Outcome, Sending, help, membership};
use crate::{
    domain::{address::OwnAddress, breaker::Stream, command::Command},
    mail::{draft::ListFields, markdown},
    store::{
        people,
        room::Places,
        subscriptions,
        tokens::Purpose,
        topics::{self, Topic},
    },
    templates::letters::{Subscribe, Subscribed, TopicLetter, Unsubscribed},
};

/// Letters queued in one transaction, at most.
pub const BATCH: usize = 200;

/// A letter to `topics-join@`, `topics-leave@`, or a word to `topics@`.
pub async fn written_to(ctx: &mut Context<'_>, incoming: &Incoming<'_>, address: &OwnAddress) -> Result<Outcome> {
    match address {
        OwnAddress::TopicsJoin => wants(ctx, incoming, true).await,
        OwnAddress::TopicsLeave => wants(ctx, incoming, false).await,
        OwnAddress::Topics
        | OwnAddress::Join
        | OwnAddress::Help
        | OwnAddress::Postmaster
        | OwnAddress::Abuse
        | OwnAddress::Reply(_)
        | OwnAddress::Bounce(_)
        | OwnAddress::Alias(_) => match ctx.command(incoming) {
            // At this address, joining and leaving mean the topics.
            Some(Command::Join | Command::Subscribe { .. }) => wants(ctx, incoming, true).await,
            Some(Command::Leave | Command::Unsubscribe { .. }) => wants(ctx, incoming, false).await,
            Some(command) => membership::obey(ctx, incoming, command).await,
            None => help::puzzled(ctx, incoming).await,
        },
    }
}

/// Somebody would like the topics (asked back once, so that nobody is signed up by another), or would not (done at once).
pub async fn wants(ctx: &mut Context<'_>, incoming: &Incoming<'_>, topics: bool) -> Result<Outcome> {
    let person = people::ensure(ctx.conn, incoming.writer_id, ctx.now).await?;
    if !topics {
        let left = leave(ctx, person.id).await?;
        ctx.write(&person, &Unsubscribed { was_subscribed: left, declined: false }, Sending::answering(incoming)).await?;
        return Ok(if left { "left the topics" } else { "did not get the topics" }.into());
    }
    if subscriptions::is_subscribed(ctx.conn, person.id).await? {
        ctx.write(&person, &Subscribed { again: true }, Sending::answering(incoming)).await?;
        return Ok("gets the topics already".into());
    }
    ctx.write(&person, &Subscribe {}, Sending::answering(incoming).asking(Purpose::Subscribe, None)).await?;
    Ok("asked to confirm the topics".into())
}

/// An answer to "do you want the topics?".
pub async fn answered(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    match Command::read_yes_no(&incoming.reply().text) {
        Some(true) => {
            let person = people::ensure(ctx.conn, incoming.writer_id, ctx.now).await?;
            let new = subscriptions::subscribe(ctx.conn, person.id, ctx.now).await?;
            ctx.write(&person, &Subscribed { again: !new }, Sending::answering(incoming)).await?;
            Ok("gets the topics".into())
        }
        Some(false) => {
            let person = people::ensure(ctx.conn, incoming.writer_id, ctx.now).await?;
            leave(ctx, person.id).await?;
            ctx.write(&person, &Unsubscribed { was_subscribed: false, declined: true }, Sending::answering(incoming)).await?;
            Ok("wants no topics".into())
        }
        None => membership::told(ctx, incoming).await,
    }
}

/// Leaves: counts for the topic that is going out as well. True when they got the topics before.
pub async fn leave(ctx: &mut Context<'_>, person: Uuid) -> Result<bool> {
    let left = subscriptions::unsubscribe(ctx.conn, person, ctx.now).await?;
    topics::drop_waiting(ctx.conn, person, ctx.now).await?;
    Ok(left)
}

/// The path of the page that leaves the topics by one click: signed, so that it leaves for nobody else.
fn leave_path(ctx: &Context<'_>, person: Uuid) -> String {
    format!("/leave/{}", ctx.site.secret.signed_id("leave", person))
}

/// Starts the topics whose day has come; gives how many.
pub async fn start_due(ctx: &mut Context<'_>) -> Result<usize> {
    let mut started = 0;
    for topic in topics::due(ctx.conn, ctx.now.date_naive()).await? {
        started += usize::from(topics::start(ctx.conn, topic, ctx.now).await?);
    }
    Ok(started)
}

/// Queues the next letters of a sending under way; gives how many, or `None` when none is under way. One batch a transaction: resumed after a crash
/// where it stopped, flat in memory. Where the exit has places, no more letters are queued than it can take.
pub async fn send_on(ctx: &mut Context<'_>) -> Result<Option<usize>> {
    let most = ctx.places.as_ref().map_or(BATCH, Places::left).min(BATCH);
    let Some(batch) = topics::next_batch(ctx.conn, i64::try_from(most)?).await? else { return Ok(None) };
    let Some(last) = batch.readers.last().map(|reader| reader.person_id) else {
        topics::finish(ctx.conn, batch.sending, ctx.now).await?;
        return Ok(Some(0));
    };
    let mut written = Vec::with_capacity(batch.readers.len());
    for reader in &batch.readers {
        let Some(email) = &reader.email else { continue };
        let leave = format!("{}{}", ctx.site.url, leave_path(ctx, reader.person_id));
        let letter = letter(&batch.topic, &leave);
        let sending = Sending {
            stream: Stream::Topics,
            list: Some(list(ctx, leave)),
            sending: Some(batch.sending),
            from: Some(OwnAddress::Topics),
            ..Sending::about(batch.topic.id.to_string())
        };
        let called = reader.name.as_deref().unwrap_or("friend");
        written.push(ctx.compose(reader.address_id, email, called, &reader.language, &letter, sending)?);
    }
    ctx.post(&written).await?;
    let count = batch.readers.len();
    topics::advance(ctx.conn, batch.sending, last, i32::try_from(count)?).await?;
    Ok(Some(count))
}

fn letter(topic: &Topic, leave: &str) -> TopicLetter {
    TopicLetter { title: markdown::escape(&topic.title), body: topic.body.clone(), leave: leave.to_owned() }
}

fn list(ctx: &Context<'_>, leave: String) -> ListFields {
    let site = ctx.site;
    ListFields {
        name: format!("Topics of {}", site.programme.name),
        id: format!("topics.{}", site.domain),
        unsubscribe_url: Some(leave),
        unsubscribe_mailto: Some(OwnAddress::TopicsLeave.at(&site.domain)),
        post: None,
        archive: None,
        help: Some(format!("mailto:{}", OwnAddress::Help.at(&site.domain))),
    }
}
