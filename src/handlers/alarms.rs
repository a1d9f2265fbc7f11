//! What the people who run the installation must hear though nobody looks at figures by night: letters that could not be handled or sent, streams that are
//! held.
use anyhow::Result;
use chrono::{DateTime, Utc};

use super::{Context, Sending};
use crate::{
    domain::{address::EmailAddress, breaker::Stream},
    mail::markdown,
    store::{breaker, failures, people},
    templates::{
        Letter,
        operator_letters::{FailedLetter, LetterSetAside, LettersFailed, LettersSetAside, StreamHeld},
    },
};

/// Failed letters that are named one by one in a letter about them.
const NAMED: usize = 10;

/// Writes to the operator, if there is one, about whatever they were not told of. Gives how many letters that made.
pub async fn tell(ctx: &mut Context<'_>) -> Result<usize> {
    let Some(operator) = ctx.site.operator.clone() else { return Ok(0) };
    Ok(failed_letters(ctx, &operator).await? + letters_set_aside(ctx, &operator).await? + held_streams(ctx, &operator).await?)
}

/// One letter about all that failed since the last.
async fn failed_letters(ctx: &mut Context<'_>, operator: &EmailAddress) -> Result<usize> {
    let failed = failures::tell(ctx.conn, ctx.now).await?;
    let Some(first) = failed.first() else { return Ok(0) };
    // A letter that is begun anew and fails again is another occasion.
    let occasion = format!("{}:{}", first.id, first.failed_at.unwrap_or(ctx.now).timestamp_millis());
    let letter = LettersFailed {
        count: failed.len(),
        letters: failed
            .iter()
            .take(NAMED)
            .map(|letter| FailedLetter {
                id: letter.id.to_string(),
                kind: letter.kind.clone(),
                came: in_words(letter.received_at),
                attempts: letter.attempts,
                deaths: letter.deaths,
                error: markdown::escape(letter.last_error.as_deref().unwrap_or_default()),
            })
            .collect(),
    };
    Ok(usize::from(write(ctx, operator, &letter, occasion).await?))
}

/// One letter about all that were set aside since the last.
async fn letters_set_aside(ctx: &mut Context<'_>, operator: &EmailAddress) -> Result<usize> {
    let set_aside = failures::tell_set_aside(ctx.conn, ctx.now).await?;
    let Some(first) = set_aside.first() else { return Ok(0) };
    let occasion = format!("{}:{}", first.id, first.ended_at.unwrap_or(ctx.now).timestamp_millis());
    let letter = LettersSetAside {
        count: set_aside.len(),
        letters: set_aside
            .iter()
            .take(NAMED)
            .map(|letter| LetterSetAside {
                id: letter.id.to_string(),
                kind: letter.kind.clone(),
                written: in_words(letter.created_at),
                attempts: letter.attempts,
                deaths: letter.deaths,
            })
            .collect(),
    };
    Ok(usize::from(write(ctx, operator, &letter, occasion).await?))
}

/// One letter about each stream that a breaker holds.
async fn held_streams(ctx: &mut Context<'_>, operator: &EmailAddress) -> Result<usize> {
    let mut letters = 0;
    for held in breaker::untold(ctx.conn, ctx.now).await? {
        breaker::set_told(ctx.conn, held.stream, ctx.now).await?;
        let Some(since) = held.tripped_at else { continue };
        // The stream of alarms can't tell of itself.
        if held.stream == Stream::Alarms {
            continue;
        }
        let letter = StreamHeld {
            stream: held.stream.name().to_owned(),
            what: held.stream.what().to_owned(),
            since: in_words(since),
            passed: held.passed_then.unwrap_or_default(),
            ceiling: held.ceiling,
            held: held.held,
        };
        let occasion = format!("{}:{}", held.stream.name(), since.timestamp_millis());
        letters += usize::from(write(ctx, operator, &letter, occasion).await?);
    }
    Ok(letters)
}

fn in_words(moment: DateTime<Utc>) -> String {
    moment.format("%-d %B %Y at %H:%M UTC").to_string()
}

async fn write<L: Letter>(ctx: &mut Context<'_>, operator: &EmailAddress, letter: &L, occasion: String) -> Result<bool> {
    let address = people::address_id(ctx.conn, operator, ctx.now).await?;
    ctx.write_to(address, operator, "operator", "en", letter, Sending::about(occasion).within(Stream::Alarms)).await
}
