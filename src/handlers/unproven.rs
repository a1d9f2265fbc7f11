//! Letters whose origin nothing proves: kept, and the mailbox that they claim to come from is asked once.
use anyhow::Result;
use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, Incoming, Outcome, Sending};
use crate::{
    domain::command::Command,
    mail::markdown,
    store::{inbox, outbox, people, tokens::Purpose},
    templates::{
        Letter,
        letters::{NothingHeld, WasItYou},
    },
};

/// Days that such a letter waits.
const HELD_DAYS: i64 = 7;

/// Keeps a letter until its writer's mailbox has said whether it is theirs. The mailbox is asked at most once a day, and strangers' mailboxes, over the
/// whole service, only so often in an hour: nobody can use us to flood somebody.
pub async fn ask(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    inbox::hold(ctx.conn, incoming.claimed.id, ctx.now + TimeDelta::days(HELD_DAYS), ctx.now).await?;
    let person = people::person_of(ctx.conn, incoming.writer_id).await?;
    if person.is_none() && outbox::count_since(ctx.conn, WasItYou::NAME, ctx.now - TimeDelta::hours(1)).await? >= ctx.site.asks_per_hour {
        return Ok("held; not asked, since too many were asked within the hour".into());
    }
    // Only a mailbox that we know is told the subject: a stranger's may be anybody's, and the words anything.
    let subject = if person.is_some() { markdown::escape(&incoming.message.subject) } else { String::new() };
    let sending = Sending { answers: Some(incoming.message), ..Sending::about(ctx.now.date_naive().to_string()) }.asking(Purpose::Vouch, None);
    let (called, language) = person.as_ref().map_or(("", "en"), |person| (person.called(), person.language.as_str()));
    let asked = ctx.write_to(incoming.writer_id, incoming.writer, called, language, &WasItYou { subject, days: HELD_DAYS, again: false }, sending).await?;
    Ok(if asked { "held; its writer's mailbox is asked" } else { "held; its writer's mailbox was asked already" }.into())
}

/// The mailbox answers: the letters held from it are handled now, or dropped.
pub async fn answered(ctx: &mut Context<'_>, incoming: &Incoming<'_>, mailbox: Uuid) -> Result<Outcome> {
    let Some(own) = Command::read_yes_no(&incoming.reply.text) else {
        let letter = WasItYou { subject: String::new(), days: HELD_DAYS, again: true };
        ctx.write_to(mailbox, incoming.writer, "", "en", &letter, Sending::answering(incoming).asking(Purpose::Vouch, None)).await?;
        return Ok("an answer that says neither yes nor no; asked again".into());
    };
    let count = inbox::vouch(ctx.conn, mailbox, own, ctx.now).await?;
    if own && count > 0 {
        return Ok(format!("vouched for {count} letters"));
    }
    ctx.write_to(mailbox, incoming.writer, "", "en", &NothingHeld { dropped: !own }, Sending::answering(incoming)).await?;
    Ok(if own { "nothing was held any more".into() } else { format!("{count} letters dropped at their word") })
}
