//! One-word letters: pause, resume, leave, status, help; and what can't be done by mail yet, said in words.
use anyhow::Result;

use super::{Context, Incoming, Outcome, Sending, brake, help, rounds, sign_up, topics};
use crate::{
    domain::{
        command::{Audience, Command},
        round,
    },
    mail::markdown,
    store::{
        applications::{self, State},
        partnerships,
        people::{self, Person},
        subscriptions,
    },
    templates::{
        letters::{Left, NotYet, NothingToDo, PartnerLeft, Paused, Resumed, Status},
        round_letters::{NewPartner, PartnershipEnded},
    },
};

/// A letter to `help@`, or a reply to a letter of ours that asked nothing in particular.
pub async fn told(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    match ctx.command(incoming) {
        Some(command) => obey(ctx, incoming, command).await,
        // A line of the form is a correction, wherever it is sent to.
        None => match sign_up::replied(ctx, incoming).await? {
            Some(outcome) => Ok(outcome),
            None => help::puzzled(ctx, incoming).await,
        },
    }
}

/// Does what a command says.
pub async fn obey(ctx: &mut Context<'_>, incoming: &Incoming<'_>, command: Command) -> Result<Outcome> {
    let person = people::person_of(ctx.conn, incoming.writer_id).await?;
    match (&command, person) {
        (Command::Help, _) => help::help(ctx, incoming).await,
        (Command::Join, _) => sign_up::applied(ctx, incoming).await,
        (Command::Subscribe { .. }, _) => topics::wants(ctx, incoming, true).await,
        (Command::Unsubscribe { .. }, _) => topics::wants(ctx, incoming, false).await,
        (Command::Topics { on }, _) => topics::wants(ctx, incoming, *on).await,
        (Command::Hold, _) => brake::asked(ctx, incoming, true).await,
        (Command::Release, _) => brake::asked(ctx, incoming, false).await,
        (_, None) => nothing_to_do(ctx, incoming, &command).await,
        (Command::Status, Some(person)) => status(ctx, incoming, &person).await,
        (Command::Pause { until }, Some(person)) => pause(ctx, incoming, &person, *until).await,
        (Command::Resume, Some(person)) => resume(ctx, incoming, &person).await,
        (Command::Leave, Some(person)) => leave(ctx, incoming, &person).await,
        (Command::NewPartner, Some(person)) => new_partner(ctx, incoming, &person).await,
        (Command::Confirm | Command::Change, Some(_)) => match sign_up::replied(ctx, incoming).await? {
            Some(outcome) => Ok(outcome),
            None => help::puzzled(ctx, incoming).await,
        },
        (
            Command::AllWell
            | Command::MyData
            | Command::ForgetMe
            | Command::AddAddress { .. }
            | Command::Language { .. }
            | Command::ShareAddress
            | Command::Block
            | Command::Report
            | Command::Approve
            | Command::Undo
            | Command::Preview { .. }
            | Command::Pin { .. }
            | Command::Veto { .. }
            | Command::Swap { .. }
            | Command::Refuse { .. }
            | Command::Note { .. }
            | Command::Rematch
            | Command::Accept
            | Command::Reject { .. }
            | Command::Discard
            | Command::Ban
            | Command::Done,
            Some(person),
        ) => not_yet(ctx, incoming, &person, &command).await,
    }
}

/// Whether a command is done by itself, so that help may name it; the others are answered by [`not_yet`].
pub fn is_done_by_mail(command: &Command) -> bool {
    match command {
        Command::Help | Command::Join | Command::Subscribe { .. } | Command::Unsubscribe { .. } | Command::Topics { .. } => true,
        Command::Status | Command::Confirm | Command::Change | Command::Pause { .. } | Command::Resume | Command::Leave => true,
        Command::NewPartner => true,
        Command::AllWell | Command::MyData | Command::ForgetMe | Command::AddAddress { .. } | Command::Language { .. } => false,
        Command::ShareAddress | Command::Block | Command::Report => false,
        Command::Approve | Command::Undo | Command::Preview { .. } | Command::Pin { .. } | Command::Veto { .. } | Command::Swap { .. } => false,
        Command::Refuse { .. } | Command::Note { .. } | Command::Rematch | Command::Accept | Command::Reject { .. } | Command::Discard => false,
        Command::Ban | Command::Done => false,
        Command::Hold | Command::Release => true,
    }
}

/// A command as people write it, without what stood behind it.
fn word(command: &Command) -> String {
    command.name().replace('-', " ")
}

async fn nothing_to_do(ctx: &mut Context<'_>, incoming: &Incoming<'_>, command: &Command) -> Result<Outcome> {
    // A coordinator need not take part.
    if command.audience() == Audience::Coordinator {
        ctx.write_to(incoming.writer_id, incoming.writer, "friend", "en", &NotYet { word: word(command) }, Sending::answering(incoming)).await?;
        return Ok(format!("{}: not by mail yet", command.name()));
    }
    let letter = NothingToDo { word: word(command) };
    ctx.write_to(incoming.writer_id, incoming.writer, "", "en", &letter, Sending::answering(incoming)).await?;
    Ok(format!("{}: nobody we know", command.name()))
}

async fn not_yet(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person, command: &Command) -> Result<Outcome> {
    let letter = NotYet { word: word(command) };
    ctx.write(person, &letter, Sending::answering(incoming)).await?;
    Ok(format!("{}: not by mail yet", command.name()))
}

async fn status(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person) -> Result<Outcome> {
    let mut lines = Vec::new();
    let application = applications::find_live(ctx.conn, person.id).await?;
    lines.push(match application.as_ref().map(|application| application.state) {
        Some(State::Confirmed) => "Your application is confirmed.".to_owned(),
        Some(State::Draft) => "Your application is not confirmed yet: reply “yes” to the letter that told you what we understood.".to_owned(),
        Some(State::Withdrawn | State::Done) | None => "You have no application for a coming round.".to_owned(),
    });
    for partner in partnerships::current(ctx.conn, person.id).await? {
        lines.push(format!("You write with {}, at {}@{}.", markdown::escape(&partner.name), partner.alias, ctx.site.domain));
    }
    if person.paused_at.is_some() {
        lines.push(match person.paused_until {
            Some(until) => format!("You are paused until {}.", round::day(until)),
            None => "You are paused until you write “resume”.".to_owned(),
        });
    }
    lines.push(if subscriptions::is_subscribed(ctx.conn, person.id).await? {
        "You get the topic of each month.".to_owned()
    } else {
        "You don't get the topics of each month.".to_owned()
    });
    lines.push(rounds::sentence_for(ctx, person.id).await?);
    let known = match &application {
        Some(application) => sign_up::known(&ctx.site.programme, &application.answers),
        None => applications::latest_answers(ctx.conn, person.id).await?.map(|answers| sign_up::known(&ctx.site.programme, &answers)).unwrap_or_default(),
    };
    ctx.write(person, &Status { lines, known }, Sending::answering(incoming)).await?;
    Ok("status sent".into())
}

async fn pause(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person, until: Option<chrono::NaiveDate>) -> Result<Outcome> {
    let until = until.filter(|day| *day > ctx.now.date_naive());
    people::pause(ctx.conn, person.id, until, ctx.now).await?;
    let letter = Paused { until: until.map(round::day).unwrap_or_default() };
    ctx.write(person, &letter, Sending::answering(incoming)).await?;
    Ok("paused".into())
}

async fn resume(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person) -> Result<Outcome> {
    let was_paused = people::resume(ctx.conn, person.id).await?;
    let letter = Resumed { was_paused, round: rounds::sentence_for(ctx, person.id).await? };
    ctx.write(person, &letter, Sending::answering(incoming)).await?;
    Ok(if was_paused { "resumed" } else { "was not paused" }.into())
}

/// Whoever asks for another partner loses the one they have, who is told without a reason, and goes on the list with their answers as they were.
async fn new_partner(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person) -> Result<Outcome> {
    let current = partnerships::current(ctx.conn, person.id).await?;
    let application = applications::find_live(ctx.conn, person.id).await?;
    let waits = application.as_ref().is_some_and(|application| application.state == State::Confirmed);
    let answers = applications::latest_answers(ctx.conn, person.id).await?;
    match (&application, &answers) {
        // Which of several partners is meant only a person can ask.
        _ if current.len() > 1 => return not_yet(ctx, incoming, person, &Command::NewPartner).await,
        // What is missing is asked first, and a partner is not given up for a form.
        (Some(application), _) if application.state == State::Draft => return sign_up::applied(ctx, incoming).await,
        (None, None) => return sign_up::applied(ctx, incoming).await,
        (None, Some(answers)) => {
            let round = rounds::open_for_applications(ctx).await?;
            let id = applications::insert(ctx.conn, person.id, round, answers, ctx.now).await?;
            applications::confirm(ctx.conn, id, round, ctx.now).await?;
        }
        (Some(_), _) => {}
    }
    // Whoever is in a round that begins waits for that one.
    let has_round = applications::find_live(ctx.conn, person.id).await?.is_some_and(|application| application.round_id.is_some());
    let running = if has_round { None } else { rounds::running(ctx).await? }.map(|round| markdown::escape(&round.name)).unwrap_or_default();
    for partner in &current {
        partnerships::end(ctx.conn, partner.partnership_id, ctx.now).await?;
        if let Some(other) = people::find(ctx.conn, partner.person_id).await? {
            let letter = PartnershipEnded { partner: markdown::escape(person.called()), round: rounds::sentence_for(ctx, other.id).await? };
            ctx.write(&other, &letter, Sending::about(partner.partnership_id.to_string())).await?;
        }
    }
    let letter = NewPartner {
        partner: current.first().map(|partner| markdown::escape(&partner.name)).unwrap_or_default(),
        again: waits && current.is_empty(),
        running,
        every: ctx.site.programme.calendar.late_every,
        round: rounds::sentence_for(ctx, person.id).await?,
    };
    ctx.write(person, &letter, Sending::answering(incoming)).await?;
    Ok(if letter.again { "was on the list for a partner already" } else { "on the list for a new partner" }.into())
}

/// Leaving ends everything at once: application, partnerships, topics. Partners are told, without a reason.
async fn leave(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person) -> Result<Outcome> {
    people::set_left(ctx.conn, person.id, Some(ctx.now)).await?;
    applications::withdraw(ctx.conn, person.id, ctx.now).await?;
    let had_topics = topics::leave(ctx, person.id).await?;
    let partners = partnerships::end_all(ctx.conn, person.id, ctx.now).await?;
    for partner in &partners {
        if let Some(partner) = people::find(ctx.conn, *partner).await? {
            let letter = PartnerLeft { partner: markdown::escape(person.called()), round: rounds::sentence_for(ctx, partner.id).await? };
            ctx.write(&partner, &letter, Sending::about(incoming.claimed.id.to_string())).await?;
        }
    }
    let letter = Left { had_partner: !partners.is_empty(), had_topics };
    ctx.write(person, &letter, Sending::answering(incoming)).await?;
    Ok("left".into())
}
