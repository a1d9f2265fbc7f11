//! Help, asked for or needed; and letters for the people who run the installation.
use anyhow::Result;

use super::{Context, Incoming, Outcome, Sending, membership};
use crate::{
    domain::{address::OwnAddress, breaker::Stream, command::Command},
    mail::markdown,
    store::people,
    templates::letters::{ForOperator, Help, HelpLine},
};

/// What became of a letter whose mailbox has had enough of our help.
const UNANSWERED: &str = "not answered: as much help as there is for one mailbox within a day was sent";

/// Tells what can be done by mail.
pub async fn help(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    Ok(if write(ctx, incoming, false).await? { "help sent" } else { UNANSWERED }.into())
}

/// We could not tell what they wanted: says so, and what can be done.
pub async fn puzzled(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    Ok(if write(ctx, incoming, true).await? { "not understood; help sent" } else { UNANSWERED }.into())
}

async fn write(ctx: &mut Context<'_>, incoming: &Incoming<'_>, puzzled: bool) -> Result<bool> {
    let commands = Command::for_audience(ctx.site.audience(incoming.writer));
    let commands = commands.iter().filter(|command| membership::is_done_by_mail(command));
    let commands = commands.map(|command| HelpLine { word: command.usage().to_owned(), does: command.help().to_owned() }).collect();
    let letter = Help { puzzled, commands };
    let person = people::person_of(ctx.conn, incoming.writer_id).await?;
    let (called, language) = person.as_ref().map_or(("friend", "en"), |person| (person.called(), person.language.as_str()));
    ctx.write_to(incoming.writer_id, incoming.writer, called, language, &letter, Sending::answering(incoming)).await
}

/// A letter to `postmaster@` or `abuse@` (RFC 2142): passed on to the operator where one is named, else kept and listed in the inbox.
pub async fn for_operator(ctx: &mut Context<'_>, incoming: &Incoming<'_>, mailbox: &OwnAddress) -> Result<Outcome> {
    let Some(operator) = ctx.site.operator.clone().filter(|operator| operator != incoming.writer) else {
        return Ok("kept for the operator".into());
    };
    let letter = ForOperator {
        mailbox: mailbox.local(),
        subject: markdown::escape(&incoming.message.subject),
        writer: markdown::escape(incoming.writer.as_str()),
        words: incoming.message.text().lines().map(str::to_owned).collect(),
        inbox: incoming.claimed.id.to_string(),
    };
    let address = people::address_id(ctx.conn, &operator, ctx.now).await?;
    let sending = Sending { reply_to: Some(incoming.writer.clone()), ..Sending::about(incoming.claimed.id.to_string()).within(Stream::Answers) };
    ctx.write_to(address, &operator, "operator", "en", &letter, sending).await?;
    Ok("passed on to the operator".into())
}
