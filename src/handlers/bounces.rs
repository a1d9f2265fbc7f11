//! A letter of ours that did not arrive: recorded, and told to the person whose words it carried, in our words and without the failing address.
use anyhow::Result;
use uuid::Uuid;

use super::{Context, Outcome, Sending};
use crate::{
    domain::breaker::Stream,
    mail::{
        bounce::{self, Action, BounceRecipient, FailureClass},
        classify::{self, Class},
        markdown,
        message::Message,
    },
    store::{
        exchanges::{self, Sent},
        people,
    },
    templates::letters::Undelivered,
};

/// How the last words on a letter begin whose time was over.
pub const EXPIRED: &str = "given up after five days";

/// What a next hop's no was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The mailbox, or the letter as a whole.
    Mailbox,
    /// The sender, or the letter before anything was known of its mailbox.
    Letter,
}

/// Something came back to the signed return path of the letter `id`: an RFC 3464 report, or the like of one.
pub async fn returned(ctx: &mut Context<'_>, id: Uuid, message: &Message) -> Result<Outcome> {
    let Some(sent) = exchanges::sent(ctx.conn, id).await? else { return Ok("about a letter that we no longer know".into()) };
    // People's and programs' answers come here too, for some answer to the return path: they are no failures, whatever words stand in them.
    // (Dovecot says in the form of a receipt that it threw a letter away.)
    if !matches!(classify::classify(true, message, &ctx.site.domain), Class::Bounce | Class::Receipt) {
        return Ok("not a report of a failure".into());
    }
    let report = bounce::read(message);
    // The return path names one letter to one mailbox, so whatever the report lists is about that.
    let Some(failure) = report.recipients.iter().find(|recipient| recipient.action == Action::Failed) else {
        let Some(other) = report.recipients.first() else { return Ok("a report that names no mailbox".into()) };
        if other.action == Action::Delayed {
            exchanges::end(ctx.conn, sent.exchange_id, "delayed", Some(&recorded(other)), ctx.now).await?;
        }
        return Ok(format!("a report that says {}", other.action.name()));
    };
    exchanges::end(ctx.conn, sent.exchange_id, "bounced", Some(&recorded(failure)), ctx.now).await?;
    tell(ctx, &sent, failure.class).await?;
    Ok("a bounce, recorded with the letter that failed".into())
}

/// The exit gave the letter `id` up, with the next hop's last words.
pub async fn given_up(ctx: &mut Context<'_>, id: Uuid, reply: &str, refused: Refused) -> Result<()> {
    let Some(sent) = exchanges::sent(ctx.conn, id).await? else { return Ok(()) };
    let class = match (class_of(reply), refused) {
        // "Sender unknown", said to MAIL, is about us: the mailbox lives.
        (FailureClass::Hard, Refused::Letter) => FailureClass::Blocked,
        (class, Refused::Letter | Refused::Mailbox) => class,
    };
    tell(ctx, &sent, class).await
}

/// What a hop's last words mean: its enhanced code first (RFC 3463), else its code.
fn class_of(reply: &str) -> FailureClass {
    if reply.starts_with(EXPIRED) {
        return FailureClass::Expired;
    }
    let mut words = reply.split_whitespace();
    let (code, enhanced) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    bounce::class_of(Some(enhanced).filter(|word| word.contains('.')).unwrap_or(code), reply)
}

async fn tell(ctx: &mut Context<'_>, sent: &Sent, class: FailureClass) -> Result<()> {
    match class {
        FailureClass::Hard => people::suppress(ctx.conn, sent.address_id, ctx.now).await?,
        FailureClass::Soft | FailureClass::Blocked | FailureClass::Full | FailureClass::Expired | FailureClass::Content | FailureClass::Other => {}
    }
    // Only a partner's letter carried somebody's words; our own letters have nobody to tell but the record.
    let Some(writer) = sent.writer.filter(|_| sent.kind == "relay") else { return Ok(()) };
    let Some(person) = people::person_of(ctx.conn, writer).await? else { return Ok(()) };
    let partner = people::person_of(ctx.conn, sent.address_id).await?;
    let original = sent.original.as_deref().map(Message::parse);
    let letter = Undelivered {
        partner: markdown::escape(partner.as_ref().map_or("your partner", |partner| partner.called())),
        subject: markdown::escape(original.as_ref().map_or("", |original| original.subject.as_str())),
        why: why(class).to_owned(),
        what_next: what_next(class, &ctx.site.domain),
    };
    ctx.cause = ctx.cause.or(sent.cause);
    // One letter about each that failed, in the thread of the writer's own.
    let sending = Sending { answers: original.as_ref(), ..Sending::about(sent.exchange_id.to_string()).within(Stream::Answers) };
    ctx.write(&person, &letter, sending).await?;
    Ok(())
}

/// Status, class, and the server's words without addresses.
fn recorded(failure: &BounceRecipient) -> String {
    let class = failure.class.name();
    let words: String = bounce::without_addresses(failure.diagnostic.as_deref().unwrap_or_default()).chars().take(300).collect();
    format!("{} {class} {words}", failure.status.as_deref().unwrap_or("no status")).trim_end().to_owned()
}

fn why(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Hard => "their mailbox does not take letters any more",
        FailureClass::Full => "their mailbox is full",
        FailureClass::Expired => "their mail server could not be reached for five days",
        FailureClass::Content => "their mail server did not like something in it, such as a picture or a link",
        FailureClass::Blocked => "their mail server refuses letters from us at the moment",
        FailureClass::Soft | FailureClass::Other => "their mail server sent it back",
    }
}

fn what_next(class: FailureClass, domain: &str) -> String {
    let person = format!("write a line to postmaster@{domain}: a person reads it and looks into it.");
    match class {
        FailureClass::Hard => {
            format!("Please keep your letter. As soon as your partner writes from that mailbox again, letters pass as before. Until then {person}")
        }
        FailureClass::Full | FailureClass::Expired | FailureClass::Soft | FailureClass::Other => {
            "Please keep your letter and send it again in a few days.".into()
        }
        FailureClass::Content => "Please send it again as plain text, without pictures and links.".into(),
        FailureClass::Blocked => format!("Please keep your letter and send it again in a few days. If it comes back once more, {person}"),
    }
}
