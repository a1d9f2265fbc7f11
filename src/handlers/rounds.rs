//! A round's life: it opens for those who wait, closes, gets a match proposed and approved, and ends.
use std::collections::{HashMap, HashSet};

use anyhow::{Result, ensure};
use uuid::Uuid;

use super::{Context, Sending, random};
use crate::{
    domain::{
        acquaintance::{self, Fit},
        address::base32,
        answers::{Answer, Answers},
        breaker::Stream,
        fold::fold,
        matching::{self, Applicant, Certificate, Fairness, Input, Matching, Past, Proven, Side, Unmatched},
        programme::Programme,
        round::{self, Action, Prospects, Round, State},
    },
    mail::{answers, markdown},
    store::{
        applications,
        partnerships::{self, NewPartner},
        people,
        proposals::{self, Candidate, Reason, Snapshot},
        rounds::{self, Waiting},
        tokens::Purpose,
    },
    templates::{
        letters::Line,
        round_letters::{RoundEnded, RoundOpened},
    },
};

/// The round that somebody who applies now is in, if one is open and has a place; else they wait for the next. Locks it, so that its last place is not
/// given away twice.
pub async fn open_for_applications(ctx: &mut Context<'_>) -> Result<Option<Uuid>> {
    let open = rounds::open(ctx.conn).await?;
    let Some(chosen) = round::for_new_application(&open).map(|round| round.id) else { return Ok(None) };
    let round = rounds::lock(ctx.conn, chosen).await?;
    let taken = rounds::taken(ctx.conn, chosen).await?;
    Ok(round.has_place(taken).then_some(chosen))
}

/// Where the rounds stand, in a sentence that is safe in Markdown, for somebody whose application waits, or who has none.
pub async fn sentence(ctx: &mut Context<'_>, waits: bool) -> Result<String> {
    let open = rounds::open(ctx.conn).await?;
    let prospects = Prospects {
        full: open.first().map(|(round, _)| escaped(round)),
        open: round::for_new_application(&open).map(escaped),
        next: rounds::next_planned(ctx.conn).await?.as_ref().map(escaped),
        running: running(ctx).await?.as_ref().map(escaped),
    };
    Ok(round::sentence(ctx.now.date_naive(), &prospects, waits))
}

/// The round that runs and in which somebody who waits for a partner may find one, if there is one.
pub async fn running(ctx: &mut Context<'_>) -> Result<Option<Round>> {
    let (today, calendar) = (ctx.now.date_naive(), &ctx.site.programme.calendar);
    Ok(rounds::running(ctx.conn).await?.into_iter().find(|round| round.takes_late_ones(today, calendar)))
}

/// Where the rounds stand for a person: the one whose introductions they await, else as [`sentence`].
pub async fn sentence_for(ctx: &mut Context<'_>, person: Uuid) -> Result<String> {
    let application = applications::find_live(ctx.conn, person).await?;
    let waits = application.is_some();
    let confirmed = application.filter(|application| application.state == applications::State::Confirmed);
    match confirmed.and_then(|application| application.round_id) {
        Some(id) => {
            let round = rounds::lock(ctx.conn, id).await?;
            Ok(round::sentence_within(ctx.now.date_naive(), &escaped(&round)))
        }
        None => sentence(ctx, waits).await,
    }
}

fn escaped(round: &Round) -> Round {
    Round { name: markdown::escape(&round.name), ..round.clone() }
}

/// Opens a round. Confirmed applications that waited are in, as far as there are places, and hear so; those without a place hear that too; and whoever did
/// not finish signing up hears what is missing. Gives the number of letters.
pub async fn open(ctx: &mut Context<'_>, id: Uuid) -> Result<usize> {
    let mut round = rounds::lock(ctx.conn, id).await?;
    round.may(Action::Open)?;
    rounds::set_state(ctx.conn, id, Action::Open.to()).await?;
    round.state = Action::Open.to();
    let mut told = take_in(ctx, &round).await?;
    for waiting in rounds::still_waiting(ctx.conn).await? {
        told += usize::from(tell(ctx, &round, &waiting, true, false).await?);
    }
    Ok(told)
}

/// Takes into an open round whoever waits and can be in it now: after a pause, after another round left them over, or because somebody made room. Gives the
/// number of letters.
pub async fn take_in(ctx: &mut Context<'_>, round: &Round) -> Result<usize> {
    let taken = rounds::taken(ctx.conn, round.id).await?;
    if !round.has_place(taken) {
        return Ok(0);
    }
    let places = round.capacity.map(|capacity| (capacity as usize).saturating_sub(taken));
    let mut told = 0;
    let taken_in = rounds::attach_waiting(ctx.conn, round.id, places).await?;
    for waiting in &taken_in {
        told += usize::from(tell(ctx, round, waiting, true, true).await?);
    }
    if places.is_some_and(|places| taken_in.len() >= places) {
        return Ok(told);
    }
    for draft in rounds::attach_drafts(ctx.conn, round.id).await? {
        told += usize::from(tell(ctx, round, &draft, false, true).await?);
    }
    Ok(told)
}

/// The news that a round is open. Somebody to whom it was full hears once more if they move up.
async fn tell(ctx: &mut Context<'_>, round: &Round, waiting: &Waiting, confirmed: bool, has_place: bool) -> Result<bool> {
    // A round that is opened after its day, to catch up, is no news.
    if ctx.now.date_naive() > round.days.closes_on {
        return Ok(false);
    }
    let Some(person) = people::find(ctx.conn, waiting.person_id).await? else { return Ok(false) };
    let missing = answers::missing(&ctx.site.programme, &waiting.answers);
    let letter = RoundOpened {
        name: markdown::escape(&round.name),
        closes: round::day(round.days.closes_on),
        introduced: round::day(round.days.introduce_on),
        confirmed,
        has_place,
        missing: missing
            .into_iter()
            .map(|question| Line::new(markdown::escape(&question.ask), question.hint.as_deref().map(markdown::escape).unwrap_or_default()))
            .collect(),
    };
    let occasion = format!("{}:{}", round.id, if has_place { "in" } else { "full" });
    // To somebody who did not confirm yet it is no news but a reminder.
    let stream = if confirmed { Stream::Notices } else { Stream::Reminders };
    ctx.write(&person, &letter, Sending::about(occasion).within(stream).asking(Purpose::SignUp, Some(waiting.application_id))).await
}

/// Closes a round: whoever applies from now on waits for the next, as do those who did not confirm in time.
pub async fn close(ctx: &mut Context<'_>, id: Uuid) -> Result<()> {
    let round = rounds::lock(ctx.conn, id).await?;
    round.may(Action::Close)?;
    rounds::release_drafts(ctx.conn, id).await?;
    rounds::set_state(ctx.conn, id, Action::Close.to()).await
}

/// All that the match of a round rests on. Matching it ([`matched`]) takes time and is done outside of any transaction.
pub async fn snapshot(ctx: &mut Context<'_>, id: Uuid) -> Result<Snapshot> {
    let round = rounds::lock(ctx.conn, id).await?;
    // After the approval a match is mended around those who came, went or changed their answers; while the round runs, it is about those who wait.
    match round.state {
        State::Approved | State::Running => {}
        State::Planned | State::Open | State::Closed | State::Proposed | State::Ended => round.may(Action::Propose)?,
    }
    proposals::snapshot(ctx.conn, round).await
}

/// What a match of a snapshot came to.
#[derive(Debug)]
pub struct Matched {
    /// The match.
    pub matching: Matching,
    /// Its proof.
    pub certificate: Certificate,
    /// How fair it is, where that does not take too long.
    pub fairness: Option<Fairness>,
}

/// Beyond so many people a report on fairness, which compares everybody with everybody, is left out.
const REPORTED: usize = 5000;

/// The best match for a snapshot: a pure computation, of seconds for thousands of people. `anew` forgets who was proposed to whom; else such a pair stays unless
/// much is won by parting it.
pub fn matched(programme: &Programme, snapshot: &Snapshot, anew: bool) -> Result<Matched> {
    let applicants = snapshot.candidates.iter().map(|candidate| applicant(candidate, &snapshot.candidates)).collect::<Result<Vec<_>>>()?;
    let pairs = |pairs: &[(Uuid, Uuid)]| pairs.iter().map(|(a, b)| Past { a: a.to_string(), b: b.to_string() }).collect::<Vec<_>>();
    let (past, under_way) = (pairs(&snapshot.history), pairs(&snapshot.under_way));
    let kept = if anew { Vec::new() } else { pairs(&snapshot.proposed) };
    let wording = programme.wording();
    let input =
        Input { past: &past, under_way: &under_way, kept: &kept, wording: &wording, ..Input::new(&applicants, &programme.matching, snapshot.round.seed) };
    let Proven { matching, certificate } = matching::prove_round(&input)?;
    let fairness = if applicants.len() <= REPORTED { Some(matching::fairness(&input, &matching)?) } else { None };
    Ok(Matched { matching, certificate, fairness })
}

/// Somebody as the matcher knows them: names of people have become people, and a mailbox may tell of an employer.
fn applicant(candidate: &Candidate, all: &[Candidate]) -> Result<Applicant> {
    let mut known = candidate.answers.clone();
    people_meant(&mut known, "prefers.people", candidate, all, acquaintance::wished);
    people_meant(&mut known, "excludes.people", candidate, all, acquaintance::avoided);
    let mut applicant = loop {
        match Applicant::from_answers(candidate.person_id.to_string(), &known) {
            Ok(applicant) => break applicant,
            // An answer from the days of another programme file is no fact any more; the others are.
            Err(bad) => ensure!(known.0.remove(bad.key).is_some(), "person {}: {bad}", candidate.person_id),
        }
    };
    applicant.organisation_domain = acquaintance::employer_domain(&candidate.email).map(str::to_owned);
    Ok(applicant)
}

/// Which people somebody means by the names in an answer. A name that is nobody's stays: as a wish it was stated and is not met.
fn people_meant(known: &mut Answers, key: &str, asking: &Candidate, all: &[Candidate], choose: fn(std::vec::IntoIter<(Uuid, Fit)>) -> Vec<Uuid>) {
    let names = known.list(key).to_vec();
    if names.is_empty() {
        return;
    }
    let mut meant: Vec<String> = Vec::new();
    for name in names {
        let others = all.iter().filter(|other| other.person_id != asking.person_id);
        let fits: Vec<(Uuid, Fit)> = others.map(|other| (other.person_id, acquaintance::fit(&name, &other.name, &other.email))).collect();
        let people = choose(fits.into_iter());
        meant.extend(if people.is_empty() { vec![name] } else { people.iter().map(Uuid::to_string).collect() });
    }
    known.set(key, Answer::List(meant));
}

/// Writes a match down as the round's proposal, in place of an earlier one; false, and nothing written, when people came, went or changed their answers
/// since the snapshot. A round that was approved or runs stays so.
pub async fn record(ctx: &mut Context<'_>, snapshot: &Snapshot, matched: &Matched) -> Result<bool> {
    if !proposals::is_unchanged(ctx.conn, snapshot).await? {
        return Ok(false);
    }
    let (id, matching) = (snapshot.round.id, &matched.matching);
    partnerships::drop_proposed(ctx.conn, id).await?;
    let names: HashMap<Uuid, &str> = snapshot.candidates.iter().map(|candidate| (candidate.person_id, candidate.name.as_str())).collect();
    for pair in &matching.pairs {
        propose(ctx, id, pair.score, &[&pair.a, &pair.b], &pair.sides, &names).await?;
    }
    for trio in &matching.trios {
        propose(ctx, id, trio.score, &trio.members.each_ref(), &trio.sides, &names).await?;
    }
    let widowed = widowed(ctx, snapshot).await?;
    let reasons = matching.unmatched.iter().map(|left| reason(left, &widowed)).collect::<Result<Vec<_>>>()?;
    proposals::set_unmatched(ctx.conn, id, &reasons).await?;
    match snapshot.round.state {
        State::Running => proposals::set_rematched(ctx.conn, id, ctx.now.date_naive(), &matched.certificate).await?,
        State::Planned | State::Open | State::Closed | State::Proposed | State::Approved | State::Ended => {
            proposals::set_proposal(ctx.conn, snapshot, &matching.objective, matched.fairness.as_ref(), &matched.certificate).await?;
            if snapshot.round.state != State::Approved {
                rounds::set_state(ctx.conn, id, Action::Propose.to()).await?;
            }
        }
    }
    Ok(true)
}

/// Those who had been found a partner, unknown to them, that could not take part.
async fn widowed(ctx: &mut Context<'_>, snapshot: &Snapshot) -> Result<HashSet<Uuid>> {
    let left = proposals::unmatched(ctx.conn, snapshot.round.id).await?;
    let mut widowed: HashSet<Uuid> = left.into_iter().filter(|left| left.why.starts_with(partnerships::PARTNER_WITHDREW)).map(|left| left.person_id).collect();
    let is_there = |person: &Uuid| snapshot.candidates.iter().any(|candidate| candidate.person_id == *person);
    for (a, b) in &snapshot.proposed {
        match (is_there(a), is_there(b)) {
            (true, false) => widowed.insert(*a),
            (false, true) => widowed.insert(*b),
            (true, true) | (false, false) => continue,
        };
    }
    Ok(widowed)
}

fn reason(left: &Unmatched, widowed: &HashSet<Uuid>) -> Result<Reason> {
    let person_id = Uuid::parse_str(&left.id)?;
    let why = if widowed.contains(&person_id) { format!("{}, and {}", partnerships::PARTNER_WITHDREW, left.why) } else { left.why.clone() };
    Ok(Reason { person_id, why, witness: left.witness.clone() })
}

async fn propose(ctx: &mut Context<'_>, round: Uuid, score: i64, members: &[&String], sides: &[Side], names: &HashMap<Uuid, &str>) -> Result<()> {
    let mut partners = Vec::with_capacity(members.len());
    for (member, side) in members.iter().zip(sides) {
        let person_id = Uuid::parse_str(member)?;
        partners.push(NewPartner { person_id, alias: alias(names.get(&person_id).copied().unwrap_or_default())?, side: side.clone() });
    }
    partnerships::insert(ctx.conn, round, score, &partners, ctx.now).await?;
    Ok(())
}

/// A local part for a partner: their name as far as ASCII goes, and 65 random bits. No hyphen, which marks mailboxes of the service.
fn alias(name: &str) -> Result<String> {
    let words: Vec<String> =
        fold(name).split(' ').map(|word| word.chars().filter(char::is_ascii_alphanumeric).collect()).filter(|word: &String| !word.is_empty()).collect();
    let mut slug: String = words.join(".").chars().take(20).collect();
    slug.truncate(slug.trim_end_matches('.').len());
    let slug = if slug.is_empty() { "partner" } else { &slug };
    let chance: String = base32(&random::<9>()?).chars().take(13).collect();
    Ok(format!("{slug}.{chance}"))
}

/// Says yes to a proposal. Whether it still fits the round's people ([`proposals::is_stale`]) is for the caller to look at first.
pub async fn approve(ctx: &mut Context<'_>, id: Uuid) -> Result<()> {
    let round = rounds::lock(ctx.conn, id).await?;
    round.may(Action::Approve)?;
    ensure!(
        !proposals::is_stale(ctx.conn, &round).await?,
        "people of round “{}” came, went or changed their answers since the match was proposed: make a new one with `round propose`",
        round.name
    );
    rounds::set_state(ctx.conn, id, Action::Approve.to()).await
}

/// Ends a round and its partnerships; everybody in it is told. Gives the number of letters.
pub async fn end(ctx: &mut Context<'_>, id: Uuid) -> Result<usize> {
    let round = rounds::lock(ctx.conn, id).await?;
    round.may(Action::End)?;
    rounds::set_state(ctx.conn, id, Action::End.to()).await?;
    // Matches made late and not approved: nobody was told of them.
    partnerships::drop_proposed(ctx.conn, id).await?;
    let people = partnerships::end_of_round(ctx.conn, id, ctx.now).await?;
    let letter = RoundEnded { name: markdown::escape(&round.name), round: sentence(ctx, false).await? };
    let mut told = 0;
    for person in people {
        if let Some(person) = people::find(ctx.conn, person).await?.filter(|person| person.left_at.is_none()) {
            told += usize::from(ctx.write(&person, &letter, Sending::about(id.to_string())).await?);
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::{EmailAddress, OwnAddress};

    #[test]
    fn an_alias_shows_the_chosen_name_and_is_no_mailbox_of_the_service() {
        for (name, slug) in [
            ("María José Núñez", "maria.jose.nunez"),
            ("李明", "partner"),
            ("bounce-Ana", "bounce.ana"),
            ("reply", "reply"),
            ("O'Neil, Jr.", "oneil.jr"),
            ("Wolfeschlegelstein Hausenberger", "wolfeschlegelstein.h"),
            ("Wolfeschlegelsteinab cd", "wolfeschlegelsteinab"),
            ("", "partner"),
        ] {
            let alias = alias(name).expect("random bytes");
            let (shown, chance) = alias.rsplit_once('.').expect("has a dot");
            assert_eq!((shown, chance.len()), (slug, 13), "{alias}");
            assert_eq!(OwnAddress::read(&alias), OwnAddress::Alias(alias.clone()));
            assert!(EmailAddress::parse(&format!("{alias}@pairs.test")).is_ok());
        }
    }

    fn candidate(id: u128, name: &str, email: &str, answers: &[(&str, Answer)]) -> Candidate {
        let mut known = Answers::default();
        for (key, answer) in answers {
            known.set(*key, answer.clone());
        }
        Candidate { person_id: Uuid::from_u128(id), name: name.into(), email: EmailAddress::parse(email).expect("an address"), answers: known }
    }

    #[test]
    fn names_become_people_and_answers_of_another_programme_are_no_facts() {
        let list = |items: &[&str]| Answer::List(items.iter().map(|item| (*item).to_owned()).collect());
        let all = [
            candidate(
                1,
                "Ana",
                "ana@bl.uk",
                &[
                    ("prefers.people", list(&["ben ortiz", "Zoe"])),
                    ("excludes.people", list(&["Carla", "my boss"])),
                    ("stage", Answer::Text("legendary".into())),
                    ("country", Answer::Text("PE".into())),
                ],
            ),
            candidate(2, "Ben Ortiz", "ben@gmail.com", &[]),
            candidate(3, "Carla Díaz", "carla@gmail.com", &[]),
            candidate(4, "Carla Fox", "fox@gmail.com", &[]),
        ];
        let ana = applicant(&all[0], &all).expect("usable");
        let id = |id: u128| Uuid::from_u128(id).to_string();
        assert_eq!(ana.prefers.people, [id(2), "Zoe".to_owned()]);
        assert_eq!(ana.excludes.people, [id(3), id(4), "my boss".to_owned()]);
        assert_eq!((ana.stage, ana.country.as_deref(), ana.organisation_domain.as_deref()), (None, Some("PE"), Some("bl.uk")));
        assert_eq!(applicant(&all[1], &all).expect("usable").organisation_domain, None);
    }
}
