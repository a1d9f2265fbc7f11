//! Partners get to know each other: a letter to each with the other's profile, address and ideas for a beginning; and a kind one to those left over.
use anyhow::Result;
use chrono::TimeDelta;
use uuid::Uuid;

use super::{Context, Sending, rounds as round_life};
use crate::{
    domain::{
        address::OwnAddress,
        answers::Answers,
        breaker::Stream,
        matching::Side,
        round::{self, Action, Round, State},
    },
    mail::{answers, markdown},
    store::{
        applications,
        partnerships::{self, Partner, Partnership},
        people::{self, Person},
        proposals, rounds,
    },
    templates::{
        letters::Line,
        round_letters::{IntroducedPartner, Introduction, LeftOver},
    },
};

/// Partnerships introduced in one transaction.
const BATCH: i64 = 50;
/// Introductions that go out on one day; more where the days of the programme file would not suffice.
const A_DAY: usize = 200;

/// Introduces the next partnerships of a round that was approved or (those found late) runs, and after the last of an approved one takes care of those left over. Gives how many letters that made, or `None` when
/// the round has nothing to introduce. The caller commits, and comes again until `None`: what is done is not done twice.
pub async fn step(ctx: &mut Context<'_>, id: Uuid) -> Result<Option<usize>> {
    let round = rounds::lock(ctx.conn, id).await?;
    let runs = round.state == State::Running;
    if round.may(Action::Introduce).is_err() && !runs {
        return Ok(None);
    }
    let batch = partnerships::of_round(ctx.conn, id, Some(BATCH)).await?;
    match (batch.is_empty(), runs) {
        (true, true) => return Ok(None),
        (true, false) => return finish(ctx, &round).await.map(Some),
        (false, _) => {}
    }
    let (mut sent, total, first) = partnerships::letters(ctx.conn, id).await?;
    let (first, days) = (first.unwrap_or(ctx.now), usize::from(ctx.site.programme.calendar.introductions_over));
    let mut letters = 0;
    for mut partnership in batch {
        let Some(people) = available(ctx, &round, &mut partnership).await? else { continue };
        partnerships::introduce(ctx.conn, partnership.id, ctx.now).await?;
        let day = TimeDelta::days(i64::try_from(round::spread(sent, total, A_DAY, days))?);
        sent += people.len();
        for reader in &people {
            if runs {
                rounds::finish_late(ctx.conn, id, reader.person.id, ctx.now).await?;
            }
            let letter = introduction(ctx, &round, &partnership, &people, reader)?;
            let sending = Sending { not_before: Some((first + day).max(ctx.now)), ..Sending::about(partnership.id.to_string()).within(Stream::Introductions) };
            letters += usize::from(ctx.write(&reader.person, &letter, sending).await?);
        }
    }
    Ok(Some(letters))
}

/// A partner who is there, with what they told us.
struct Present {
    person: Person,
    answers: Answers,
}

/// The partners, if at least two of them can still take part; else the partnership is forgotten, and whoever remains counts as left over.
async fn available(ctx: &mut Context<'_>, round: &Round, partnership: &mut Partnership) -> Result<Option<Vec<Present>>> {
    let (mut present, mut gone) = (Vec::new(), Vec::new());
    for partner in &partnership.partners {
        let person =
            people::find(ctx.conn, partner.person_id).await?.filter(|person| person.paused_at.is_none() && person.left_at.is_none() && person.email.is_some());
        match (person, applications::introducible(ctx.conn, partner.person_id, round.id, round.state == State::Running).await?) {
            (Some(person), Some(answers)) => present.push(Present { person, answers }),
            (Some(_), None) | (None, _) => gone.push(partner.person_id),
        }
    }
    if gone.is_empty() {
        return Ok(Some(present));
    }
    let remaining: Vec<Uuid> = present.iter().map(|one| one.person.id).collect();
    let stands = partnerships::withdraw(ctx.conn, round.id, partnership.id, &gone, &remaining).await?;
    partnership.partners.retain(|partner| !gone.contains(&partner.person_id));
    Ok(stands.then_some(present))
}

fn introduction(ctx: &Context<'_>, round: &Round, partnership: &Partnership, people: &[Present], reader: &Present) -> Result<Introduction> {
    let side = partnership.partners.iter().find(|partner| partner.person_id == reader.person.id).map(|partner| &partner.side);
    let others = people.iter().filter(|other| other.person.id != reader.person.id);
    let partners = others.filter_map(|other| {
        let partner = partnership.partners.iter().find(|partner| partner.person_id == other.person.id)?;
        Some(shown(ctx, partner, other))
    });
    let sentences = |which: fn(&Side) -> &Vec<String>| side.map(|side| which(side).iter().map(|words| sentence(words)).collect()).unwrap_or_default();
    Ok(Introduction {
        partners: partners.collect::<Result<Vec<_>>>()?,
        met: sentences(|side| &side.met),
        unmet: sentences(|side| &side.unmet),
        reasons: sentences(|side| &side.reasons),
        ideas: ctx.site.programme.guidance.clone(),
        ends: round::day(round.days.ends_on),
    })
}

fn shown(ctx: &Context<'_>, partner: &Partner, other: &Present) -> Result<IntroducedPartner> {
    // The name stands above the list already.
    let known = answers::shared(&ctx.site.programme, &other.answers).into_iter().filter(|(_, value)| value != other.person.called());
    Ok(IntroducedPartner {
        name: markdown::escape(other.person.called()),
        address: ctx.site.own(&OwnAddress::Alias(partner.alias.clone()))?.as_str().to_owned(),
        known: known.map(|(label, value)| Line::new(markdown::escape(&label), markdown::escape(&value))).collect(),
    })
}

/// A clause as a sentence of its own, safe in Markdown.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let capital = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    markdown::escape(&format!("{capital}{}", letters.as_str()))
}

/// All partners know each other: the round runs. Whoever is left over waits for the next round, first in line, and is told why.
async fn finish(ctx: &mut Context<'_>, round: &Round) -> Result<usize> {
    rounds::finish_introduced(ctx.conn, round.id, ctx.now).await?;
    let unmatched = proposals::unmatched(ctx.conn, round.id).await?;
    let left_over = rounds::requeue(ctx.conn, round.id, ctx.now).await?;
    rounds::set_state(ctx.conn, round.id, Action::Introduce.to()).await?;
    let where_rounds_stand = round_life::sentence(ctx, true).await?;
    let mut letters = 0;
    for person in left_over {
        let Some(reader) = people::find(ctx.conn, person).await? else { continue };
        let why = unmatched.iter().find(|left| left.person_id == person).map_or("you joined us after the match had been made", |left| &left.why);
        let letter = LeftOver { name: markdown::escape(&round.name), why: markdown::escape(why), round: where_rounds_stand.clone() };
        letters += usize::from(ctx.write(&reader, &letter, Sending::about(round.id.to_string()).within(Stream::Introductions)).await?);
    }
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_becomes_a_sentence_and_stays_words() {
        assert_eq!(sentence("you both like *maps*"), "You both like \\*maps\\*");
        assert_eq!(sentence("évora is near"), "Évora is near");
        assert_eq!(sentence(""), "");
    }
}
