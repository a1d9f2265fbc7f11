//! A coordinator stops everything that leaves, or lets it go again, by a letter: once a token has come back from their mailbox, else they are asked first.
use anyhow::Result;

use super::{Context, Incoming, Outcome, Sending, membership};
use crate::{
    domain::{breaker::Stream, command::Command},
    store::{
        breaker::{self, Decision},
        orders, people,
        tokens::Purpose,
    },
    templates::{
        Letter,
        operator_letters::{BrakeAsked, Held, Released},
    },
};

/// The command `hold` or `release`. A proven domain is not enough: whoever can write in its name could silence us, or let go what should not leave.
pub async fn asked(ctx: &mut Context<'_>, incoming: &Incoming<'_>, hold: bool) -> Result<Outcome> {
    if incoming.claimed.recipient.proves_mailbox() {
        return pulled(ctx, incoming, hold).await;
    }
    let purpose = if hold { Purpose::Hold } else { Purpose::Release };
    write(ctx, incoming, &BrakeAsked { hold }, purpose).await?;
    Ok(format!("{}: asked to confirm", if hold { "hold" } else { "release" }))
}

/// The answer to that question: "yes", or the command once more. Anything else is read as any reply is.
pub async fn answered(ctx: &mut Context<'_>, incoming: &Incoming<'_>, hold: bool) -> Result<Outcome> {
    match (ctx.command(incoming), Command::read_yes_no(&incoming.reply().text)) {
        // Whoever is no coordinator any more has a token that does nothing.
        (Some(Command::Confirm) | None, Some(true)) if ctx.site.is_coordinator(incoming.writer) => pulled(ctx, incoming, hold).await,
        (_, Some(false)) => Ok("not confirmed: nothing was changed".into()),
        (_, Some(true) | None) => membership::told(ctx, incoming).await,
    }
}

async fn pulled(ctx: &mut Context<'_>, incoming: &Incoming<'_>, hold: bool) -> Result<Outcome> {
    let before = orders::is_all_held(ctx.conn).await?;
    if hold {
        orders::hold_all(ctx.conn, true).await?;
        let waiting = orders::count_waiting(ctx.conn).await?;
        write(ctx, incoming, &Held { before, waiting }, Purpose::Release).await?;
        return Ok("everything is held".into());
    }
    // One step at a time, as at a shell: first the stop is lifted, then what the breakers hold goes.
    let mut released = 0;
    if before {
        orders::hold_all(ctx.conn, false).await?;
    } else {
        for held in breaker::list(ctx.conn, ctx.now).await?.iter().filter(|breaker| breaker.tripped_at.is_some()) {
            released += breaker::decide(ctx.conn, held.stream, Decision::Release, ctx.now).await?.unwrap_or(0);
        }
    }
    let still = breaker::list(ctx.conn, ctx.now).await?.iter().map(|breaker| breaker.held).sum();
    write(ctx, incoming, &Released { before, released, still }, Purpose::Release).await?;
    Ok("letters leave again".into())
}

/// Answers as an alarm, which leaves though all else is held.
async fn write<L: Letter>(ctx: &mut Context<'_>, incoming: &Incoming<'_>, letter: &L, purpose: Purpose) -> Result<bool> {
    let person = people::person_of(ctx.conn, incoming.writer_id).await?;
    let (called, language) = person.as_ref().map_or(("friend", "en"), |person| (person.called(), person.language.as_str()));
    let sending = Sending::answering(incoming).within(Stream::Alarms).asking(purpose, None);
    ctx.write_to(incoming.writer_id, incoming.writer, called, language, letter, sending).await
}
