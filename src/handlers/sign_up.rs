//! Signing up by mail: a form for any words, what was understood of a filled-in one, corrections, and a "yes" that confirms.
use anyhow::Result;

use super::{Context, Incoming, Outcome, Sending, rounds};
use crate::{
    domain::{answers::Answers, command::Command, programme::Programme},
    mail::{
        answers::{self, FormReading},
        markdown,
    },
    store::{
        applications::{self, Application, State},
        people::{self, Person},
        subscriptions,
        tokens::Purpose,
    },
    templates::letters::{Confirmed, Form, Line, NotComplete, Understood, Unread},
};

/// A letter to `join@`: brings the form, or what was understood of a filled-in one.
pub async fn applied(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    let person = people::ensure(ctx.conn, incoming.writer_id, ctx.now).await?;
    if person.left_at.is_some() {
        people::set_left(ctx.conn, person.id, None).await?;
    }
    let (application, new) = living_application(ctx, &person).await?;
    let reading = read(ctx, incoming, &application.answers);
    if says_nothing(&reading) {
        send_form(ctx, incoming, &person, &application).await?;
        return Ok(if new { "form sent" } else { "form sent again" }.into());
    }
    understood(ctx, incoming, &person, application, reading).await
}

/// A reply to a letter about an application: a correction, a "yes", or both.
pub async fn replied(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Option<Outcome>> {
    let Some(person) = people::person_of(ctx.conn, incoming.writer_id).await? else { return Ok(None) };
    let Some(application) = applications::find_live(ctx.conn, person.id).await? else { return Ok(None) };
    // The one word may stand in the subject.
    let says_yes = Command::read_yes_no(&incoming.reply().text) == Some(true) || ctx.command(incoming) == Some(Command::Confirm);
    // Below a "yes" stands our own letter, quoted: only what is written beside the "yes" changes anything.
    let own = answers::read_form_knowing(&incoming.reply().text, &ctx.site.programme, &application.answers);
    let reading = if says_yes { own } else { read(ctx, incoming, &application.answers) };
    match (says_yes, says_nothing(&reading)) {
        // Whoever can write in the name of a domain could say yes for anybody there: the letter that asks goes to the mailbox itself.
        (true, true) if !incoming.claimed.recipient.proves_mailbox() && application.state != State::Confirmed => {
            understood(ctx, incoming, &person, application, reading).await.map(Some)
        }
        (true, true) => confirmed(ctx, incoming, &person, application).await.map(Some),
        (_, false) => understood(ctx, incoming, &person, application, reading).await.map(Some),
        (false, true) => Ok(None),
    }
}

/// What the letter says that is new: quotations are read as well, since some people answer inside them, but what they only repeat is no answer.
fn read(ctx: &Context<'_>, incoming: &Incoming<'_>, known: &Answers) -> FormReading {
    let mut reading = answers::read_form_knowing(incoming.message.text(), &ctx.site.programme, known);
    reading.answers = reading.answers.differing_from(known);
    reading
}

fn says_nothing(reading: &FormReading) -> bool {
    reading.answers.is_empty() && reading.unread.is_empty()
}

/// The application that is alive, or a new one: for the open round, else for the next.
async fn living_application(ctx: &mut Context<'_>, person: &Person) -> Result<(Application, bool)> {
    if let Some(application) = applications::find_live(ctx.conn, person.id).await? {
        return Ok((application, false));
    }
    // Somebody who was here before need not tell it all again.
    let answers = applications::latest_answers(ctx.conn, person.id).await?.unwrap_or_default();
    let round_id = rounds::open_for_applications(ctx).await?;
    let id = applications::insert(ctx.conn, person.id, round_id, &answers, ctx.now).await?;
    Ok((Application { id, person_id: person.id, round_id, answers, state: State::Draft }, true))
}

async fn send_form(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person, application: &Application) -> Result<()> {
    let form = answers::blank_form(&ctx.site.programme, &application.answers);
    let letter = Form { round: rounds::sentence(ctx, true).await?, form: form.lines().map(|line| format!("    {line}\n")).collect() };
    ctx.write(person, &letter, Sending::answering(incoming).asking(Purpose::SignUp, Some(application.id))).await?;
    Ok(())
}

async fn understood(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person, mut application: Application, reading: FormReading) -> Result<Outcome> {
    application.answers.correct_with(reading.answers);
    applications::set_answers(ctx.conn, application.id, &application.answers, ctx.now).await?;
    let person = &with_name(ctx, person, &application.answers).await?;
    let (programme, round) = (&ctx.site.programme, rounds::sentence_for(ctx, person.id).await?);
    let letter = Understood {
        confirmed: application.state == State::Confirmed,
        known: known(programme, &application.answers),
        unread: reading.unread.iter().map(unread).collect(),
        missing: missing(programme, &application.answers),
        example: example(programme),
        rules: programme.rules.clone(),
        round,
    };
    let outcome = if letter.missing.is_empty() { "understood" } else { "understood in part" };
    ctx.write(person, &letter, Sending::answering(incoming).asking(Purpose::SignUp, Some(application.id))).await?;
    Ok(outcome.into())
}

async fn confirmed(ctx: &mut Context<'_>, incoming: &Incoming<'_>, person: &Person, application: Application) -> Result<Outcome> {
    let programme = &ctx.site.programme;
    let missing = missing(programme, &application.answers);
    let sending = Sending::answering(incoming).asking(Purpose::SignUp, Some(application.id));
    if !missing.is_empty() {
        ctx.write(person, &NotComplete { missing }, sending).await?;
        return Ok("yes, but answers are missing".into());
    }
    let again = application.state == State::Confirmed;
    if !again {
        let round = rounds::open_for_applications(ctx).await?;
        applications::confirm(ctx.conn, application.id, round, ctx.now).await?;
        if application.answers.yes_no("topics") == Some(true) {
            subscriptions::subscribe(ctx.conn, person.id, ctx.now).await?;
        }
    }
    let letter = Confirmed { round: rounds::sentence_for(ctx, person.id).await?, example: example(programme) };
    ctx.write(person, &letter, sending).await?;
    Ok(if again { "was confirmed already" } else { "confirmed" }.into())
}

/// The name that they chose to show is the one we call them by.
async fn with_name(ctx: &mut Context<'_>, person: &Person, answers: &Answers) -> Result<Person> {
    let mut person = person.clone();
    if let Some(name) = answers.text("name").filter(|name| person.name.as_deref() != Some(name)) {
        people::set_name(ctx.conn, person.id, name).await?;
        person.name = Some(name.to_owned());
    }
    Ok(person)
}

/// What is known, in words, safe for a letter.
pub fn known(programme: &Programme, answers: &Answers) -> Vec<Line> {
    answers::show(programme, answers).into_iter().map(|(label, value)| Line::new(markdown::escape(&label), markdown::escape(&value))).collect()
}

fn missing(programme: &Programme, answers: &Answers) -> Vec<Line> {
    answers::missing(programme, answers).into_iter().map(|question| Line::new(question.ask.clone(), question.hint.clone().unwrap_or_default())).collect()
}

fn unread(line: &answers::Unread) -> Unread {
    Unread { label: markdown::escape(&line.label), value: markdown::escape(&line.value), why: markdown::escape(&line.why) }
}

/// A line as somebody would correct it.
fn example(programme: &Programme) -> Line {
    let question = programme.questions.iter().find(|question| question.key == "country").or(programme.questions.first());
    question.map_or_else(|| Line::new("Name", "…"), |question| Line::new(question.ask.clone(), "…"))
}
