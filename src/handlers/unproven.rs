//! Letters whose origin nothing proves: kept, and the mailbox that they claim to come from is asked once.
use anyhow::Result;
use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, Incoming, Outcome, Sending};
use crate::{
    domain::{address::EmailAddress, breaker::Stream, command::Command},
    mail::{markdown, message::Message},
    store::{held, outbox, people, recipients::Recipient, tokens::Purpose},
    templates::{
        Letter,
        letters::{NothingHeld, WasItYou},
    },
};

/// Days that such a letter waits.
const HELD_DAYS: i64 = 7;
/// Questions in a day to one stranger's mailbox, however its address is spelled.
const ASKS_A_DAY: usize = 3;
/// Of a subject, so many characters are shown.
const SUBJECT_CHARACTERS: usize = 80;

/// Keeps a letter until its writer's mailbox has said whether it is theirs. The mailbox is asked at most once a day, and strangers' mailboxes, over the
/// whole service, only so often in an hour: nobody can use us to flood somebody.
pub async fn ask(ctx: &mut Context<'_>, incoming: &Incoming<'_>) -> Result<Outcome> {
    held::hold(ctx.conn, incoming.claimed, ctx.now + TimeDelta::days(HELD_DAYS), ctx.now).await?;
    let person = people::person_of(ctx.conn, incoming.writer_id).await?;
    if person.is_none() && outbox::count_since(ctx.conn, WasItYou::NAME, ctx.now - TimeDelta::hours(1)).await? >= ctx.site.asks_per_hour {
        return Ok("held; not asked, since too many were asked within the hour".into());
    }
    if person.is_none() && !incoming.writer.has_public_domain() {
        return Ok("held; not asked, since its address is none of the public network".into());
    }
    if person.is_none() && asked_alike(ctx, incoming.writer).await? >= ASKS_A_DAY {
        return Ok("held; not asked, since the same mailbox was asked under other spellings of its address".into());
    }
    // Only a mailbox that we know is told the subject: a stranger's may be anybody's, and the words anything.
    let subject = if person.is_some() { markdown::escape(&harmless(&incoming.message.subject)) } else { String::new() };
    let sending = Sending { answers: Some(incoming.message), ..Sending::about(ctx.now.date_naive().to_string()).within(Stream::Answers) }
        .asking(Purpose::Vouch, Some(incoming.claimed.id));
    let (called, language) = person.as_ref().map_or(("", "en"), |person| (person.called(), person.language.as_str()));
    let asked = ctx.write_to(incoming.writer_id, incoming.writer, called, language, &WasItYou { subject, days: HELD_DAYS, again: false }, sending).await?;
    Ok(if asked { "held; its writer's mailbox is asked" } else { "held; its writer's mailbox was asked already" }.into())
}

/// Questions within a day to addresses that are likely to reach the same mailbox: `ana+1@`, `ana+2@` and so on would get one each.
async fn asked_alike(ctx: &mut Context<'_>, writer: &EmailAddress) -> Result<usize> {
    let alike = writer.spelled_alike();
    let asked = outbox::written_to_domain(ctx.conn, WasItYou::NAME, writer.domain(), ctx.now - TimeDelta::days(1)).await?;
    Ok(asked.iter().filter(|other| other.spelled_alike() == alike).count())
}

/// The mailbox answers about the letter it was asked about, which is handled now, or dropped. A yes says nothing of others: a forger may have written them
/// meanwhile. About the next of them it is asked now.
pub async fn answered(ctx: &mut Context<'_>, incoming: &Incoming<'_>, mailbox: Uuid) -> Result<Outcome> {
    let asked = match &incoming.claimed.recipient {
        Recipient::Reply { subject, .. } => *subject,
        Recipient::Service(_) | Recipient::Alias { .. } | Recipient::Bounce { .. } => None,
    };
    let Some(own) = Command::read_yes_no(&incoming.reply().text) else {
        let letter = WasItYou { subject: String::new(), days: HELD_DAYS, again: true };
        ctx.write_to(mailbox, incoming.writer, "", "en", &letter, Sending::answering(incoming).asking(Purpose::Vouch, asked)).await?;
        return Ok("an answer that says neither yes nor no; asked again".into());
    };
    let known = match asked {
        Some(letter) => held::vouch(ctx.conn, letter, mailbox, own, ctx.now).await?,
        None => false,
    };
    // An answer that runs once more finds that its letter waits no more, which is its own doing.
    let again = incoming.claimed.attempts > 1;
    if !(own && (known || again)) {
        ctx.write_to(mailbox, incoming.writer, "", "en", &NothingHeld { dropped: !own }, Sending::answering(incoming)).await?;
    }
    ask_about_the_next(ctx, incoming, mailbox).await?;
    Ok(match (known, own) {
        (true, true) => "vouched for the letter",
        (true, false) => "the letter was dropped at their word",
        (false, _) => "nothing was held any more",
    }
    .into())
}

/// Asks about the oldest letter that still waits for this mailbox's word, if there is one.
async fn ask_about_the_next(ctx: &mut Context<'_>, incoming: &Incoming<'_>, mailbox: Uuid) -> Result<()> {
    let Some((letter, raw)) = held::next(ctx.conn, mailbox).await? else { return Ok(()) };
    let held = Message::parse(&raw);
    let person = people::person_of(ctx.conn, mailbox).await?;
    let subject = if person.is_some() { markdown::escape(&harmless(&held.subject)) } else { String::new() };
    let (called, language) = person.as_ref().map_or(("", "en"), |person| (person.called(), person.language.as_str()));
    let sending = Sending { answers: Some(&held), ..Sending::about(letter.to_string()).within(Stream::Answers) }.asking(Purpose::Vouch, Some(letter));
    ctx.write_to(mailbox, incoming.writer, called, language, &WasItYou { subject, days: HELD_DAYS, again: false }, sending).await?;
    Ok(())
}

/// A subject by which somebody can tell their own letter, or nothing. Perhaps a forger chose it, and it goes out in our name: none that programs would
/// make a link of, and no long one.
fn harmless(subject: &str) -> String {
    let leads_somewhere = |word: &str| {
        let word = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        word.contains(['@', '/']) || word.rsplit_once('.').is_some_and(|(before, end)| !before.is_empty() && end.chars().count() > 1)
    };
    if subject.split_whitespace().any(leads_somewhere) {
        return String::new();
    }
    match subject.char_indices().nth(SUBJECT_CHARACTERS) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forger_gets_no_link_into_our_question() {
        for good in ["Greetings from Lima", "Re: Dr. Quispe's question, e.g. hours?", "Olá! Como vai?", ""] {
            assert_eq!(harmless(good), good);
        }
        for bad in ["See https://evil.example/x", "Log in at evil.example now!", "Write to me@evil.example.", "evil.example"] {
            assert_eq!(harmless(bad), "", "{bad}");
        }
        assert_eq!(harmless(&"words ".repeat(100)).chars().count(), SUBJECT_CHARACTERS + 1);
    }
}
