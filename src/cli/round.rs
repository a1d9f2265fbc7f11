//! `pairpost round`: making a round, moving it from state to state, and looking at whom it matches with whom, and why.
use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::print;
use crate::{
    domain::{
        matching::{Fairness, Objective, Side},
        places,
        round::{Action, Days, Round as Row, State, day},
    },
    handlers::{self, Context, Site, rounds as handler},
    schedule,
    store::{
        Connection, Store, Tx, applications,
        partnerships::{self, Partner, Partnership},
        proposals::{self, LeftOver},
        rounds::{self, Applicant, NewRound},
    },
};

/// Rounds.
#[derive(Debug, Args)]
pub struct Round {
    #[command(subcommand)]
    command: Command,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Adds a round; the calendar opens it on its day
    Create(Create),
    /// Lists all rounds
    List,
    /// Shows a round: its people, the proposed match with its reasons, and who has no partner and why
    Show {
        /// Its name or identifier.
        name: String,
    },
    /// Opens it before its day: those who wait are in, and hear so
    Open {
        /// Its name or identifier.
        name: String,
    },
    /// Closes it before its day: whoever applies from now on waits for the next round
    Close {
        /// Its name or identifier.
        name: String,
    },
    /// Proposes the best match; again, as often as you like, until one is approved
    Propose {
        /// Its name or identifier.
        name: String,
        /// Forgets the proposal there is; else a pair of it stays unless much is won by parting it.
        #[arg(long)]
        anew: bool,
    },
    /// Matches everybody without a partner: before introductions around those who came or went, and while a round runs those who wait, with the pairs under
    /// way as they are
    Rematch {
        /// Its name or identifier.
        name: String,
        /// Introduces what is found in a round that runs at once.
        #[arg(long)]
        now: bool,
    },
    /// Prints the proof that the match it began with, or is about to begin with, is the best one: dual values, as JSON
    Proof {
        /// Its name or identifier.
        name: String,
        /// Of the last match of those who waited while it ran.
        #[arg(long)]
        late: bool,
    },
    /// Approves the proposed match; introductions go out on their day. If somebody withdraws until then, the match is mended around them. In a round that
    /// runs, introduces what `rematch` found
    Approve {
        /// Its name or identifier.
        name: String,
        /// Introductions go out at once, whatever day they have.
        #[arg(long)]
        now: bool,
    },
    /// Ends it before its day: letters between its partners no longer pass
    End {
        /// Its name or identifier.
        name: String,
    },
}

/// What a new round is made of. Days are written as 2027-03-01, and begin and end in UTC.
#[derive(Debug, Args)]
struct Create {
    /// Its name, as letters call it.
    name: String,
    /// The first day for applications.
    #[arg(long, value_name = "DAY")]
    opens: NaiveDate,
    /// The last day for applications.
    #[arg(long, value_name = "DAY")]
    closes: NaiveDate,
    /// The day on which a match is proposed.
    #[arg(long = "match", value_name = "DAY")]
    matched: NaiveDate,
    /// The day on which the first introductions go out.
    #[arg(long, value_name = "DAY")]
    introduce: NaiveDate,
    /// The last day on which partners' letters pass.
    #[arg(long, value_name = "DAY")]
    ends: NaiveDate,
    /// People it takes at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    capacity: Option<u32>,
    /// The calendar approves the match on the day of introductions if nobody did.
    #[arg(long)]
    approve_by_itself: bool,
    /// Decides between equally good matches; chance where left out.
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
}

impl Round {
    /// Does it.
    ///
    /// # Errors
    /// One line that says what is in the way and what to do.
    pub async fn run(self, store: &Store, site: &Site, now: DateTime<Utc>) -> Result<()> {
        let json = self.json;
        match self.command {
            Command::Create(new) => create(store, &new, now, json).await,
            Command::List => list(store, json).await,
            Command::Show { name } => show(store, &name, json).await,
            Command::Open { name } => {
                let (mut tx, round) = begin(store, &name).await?;
                let letters = handler::open(&mut Context::new(&mut tx, now, site), round.id).await?;
                tx.commit().await?;
                done(store, &round, &format!("open until {}; {letters} letters to those who waited", day(round.days.closes_on)), json).await
            }
            Command::Close { name } => {
                let (mut tx, round) = begin(store, &name).await?;
                handler::close(&mut Context::new(&mut tx, now, site), round.id).await?;
                tx.commit().await?;
                done(store, &round, "closed; `round propose` finds a match", json).await
            }
            Command::Propose { name, anew } => {
                let (tx, round) = begin(store, &name).await?;
                tx.rollback().await?;
                round.may(Action::Propose)?;
                let objective = schedule::propose(store, site, round.id, now, anew).await?.objective;
                done(store, &round, &format!("proposed: {}. `round show` shows it, `round approve` takes it", came_to(&objective)), json).await
            }
            Command::Rematch { name, now: at_once } => rematch(store, site, &name, at_once, now, json).await,
            Command::Proof { name, late } => {
                let mut conn = store.connection().await?;
                let round = find(&mut conn, &name).await?;
                let proof = proposals::certificate(&mut conn, round.id, late).await?;
                let (kind, command) = if late { ("late match", "rematch") } else { ("match", "propose") };
                print::json(&proof.with_context(|| format!("round “{}” has no {kind} yet: `round {command}` makes one", round.name))?)
            }
            Command::Approve { name, now: at_once } => approve(store, site, &name, at_once, now, json).await,
            Command::End { name } => {
                let (mut tx, round) = begin(store, &name).await?;
                let letters = handler::end(&mut Context::new(&mut tx, now, site), round.id).await?;
                tx.commit().await?;
                done(store, &round, &format!("ended; {letters} letters to its people"), json).await
            }
        }
    }
}

async fn find(conn: &mut Connection, name: &str) -> Result<Row> {
    rounds::find(conn, name).await?.with_context(|| format!("there is no round {name:?}; see: pairpost round list"))
}

async fn begin(store: &Store, name: &str) -> Result<(Tx, Row)> {
    let mut tx = store.begin().await?;
    let round = find(&mut tx, name).await?;
    Ok((tx, round))
}

/// Says what was done, with the round as it is now.
async fn done(store: &Store, round: &Row, what: &str, as_json: bool) -> Result<()> {
    if as_json {
        let mut conn = store.connection().await?;
        return print::json(&find(&mut conn, &round.id.to_string()).await?);
    }
    print::line(format_args!("{}: {what}", round.name));
    Ok(())
}

async fn create(store: &Store, new: &Create, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let name = new.name.trim();
    ensure!(!name.is_empty() && name.chars().count() <= 80 && !name.contains(char::is_control), "a round needs a name of 1 to 80 letters on one line");
    let days = Days { opens_on: new.opens, closes_on: new.closes, match_on: new.matched, introduce_on: new.introduce, ends_on: new.ends };
    days.check()?;
    let seed = new.seed.map_or_else(|| handlers::random::<4>().map(u32::from_be_bytes), Ok)?;
    let round = NewRound { name, days, capacity: new.capacity, self_approve: new.approve_by_itself, seed: seed.into() };
    let mut tx = store.begin().await?;
    ensure!(rounds::find(&mut tx, name).await?.is_none(), "there is a round {name:?} already: give this one another name");
    let id = rounds::insert(&mut tx, &round, now).await?.with_context(|| format!("there is a round {name:?} already: give this one another name"))?;
    let row = find(&mut tx, &id.to_string()).await?;
    tx.commit().await?;
    let approval = if new.approve_by_itself { "approves its match by itself" } else { "waits for `round approve` after its match" };
    done(store, &row, &format!("opens on {}, and {approval}", day(days.opens_on)), as_json).await
}

async fn list(store: &Store, as_json: bool) -> Result<()> {
    let mut conn = store.connection().await?;
    let all = rounds::list(&mut conn).await?;
    if as_json {
        return print::json(&all);
    }
    if all.is_empty() {
        print::line(format_args!("no rounds yet; add one with: pairpost round create NAME --opens DAY --closes DAY --match DAY --introduce DAY --ends DAY"));
        return Ok(());
    }
    let heads = ["name", "state", "people", "opens", "closes", "match", "introductions", "ends"].map(str::to_owned);
    let mut rows = vec![heads];
    for round in &all {
        let people = rounds::applicants(&mut conn, round.id).await?.iter().filter(|applicant| is_in(applicant)).count();
        let people = round.capacity.map_or_else(|| people.to_string(), |capacity| format!("{people} of {capacity}"));
        let Days { opens_on, closes_on, match_on, introduce_on, ends_on } = round.days;
        let days = [opens_on, closes_on, match_on, introduce_on, ends_on].map(|day| day.to_string());
        let [opens, closes, matched, introduce, ends] = days;
        rows.push([round.name.clone(), round.state.name().to_owned(), people, opens, closes, matched, introduce, ends]);
    }
    print::table(rows.into_iter());
    Ok(())
}

fn is_in(applicant: &Applicant) -> bool {
    match applicant.state {
        applications::State::Confirmed | applications::State::Done => true,
        applications::State::Draft | applications::State::Withdrawn => false,
    }
}

async fn approve(store: &Store, site: &Site, name: &str, at_once: bool, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let (mut tx, round) = begin(store, name).await?;
    if round.state == State::Running {
        tx.rollback().await?;
        let letters = schedule::introduce(store, site, round.id, now).await?;
        ensure!(letters > 0, "round “{}” runs, and nothing waits for approval: `round rematch` matches those who wait for a partner", round.name);
        return done(store, &round, &format!("{letters} letters with introductions"), as_json).await;
    }
    // `approve --now` after `approve` is how introductions are brought forward.
    if !(at_once && round.state == State::Approved) {
        handler::approve(&mut Context::new(&mut tx, now, site), round.id).await?;
    }
    tx.commit().await?;
    if !at_once && now.date_naive() < round.days.introduce_on {
        let what = format!("approved; introductions go out on {} (at once: `round approve --now`)", day(round.days.introduce_on));
        return done(store, &round, &what, as_json).await;
    }
    let letters = schedule::introduce(store, site, round.id, now).await?;
    done(store, &round, &format!("{}; {letters} letters with introductions", Action::Introduce.to().name()), as_json).await
}

async fn rematch(store: &Store, site: &Site, name: &str, at_once: bool, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let (tx, round) = begin(store, name).await?;
    tx.rollback().await?;
    match round.state {
        State::Running => {}
        State::Approved => {
            let objective = schedule::propose(store, site, round.id, now, false).await?.objective;
            return done(store, &round, &format!("mended: {}", came_to(&objective)), as_json).await;
        }
        State::Planned | State::Open | State::Closed | State::Proposed | State::Ended => {
            round.may(Action::Propose)?;
            let objective = schedule::propose(store, site, round.id, now, false).await?.objective;
            return done(store, &round, &format!("proposed: {}", came_to(&objective)), as_json).await;
        }
    }
    ensure!(
        round.takes_late_ones(now.date_naive(), &site.programme.calendar) || at_once,
        "round “{}” ends on {}, too soon for new pairs by the programme file (`late_until`); `--now` does it all the same",
        round.name,
        day(round.days.ends_on)
    );
    let found = schedule::propose(store, site, round.id, now, false).await?;
    let (matched, waiting) = (found.objective.matched, found.unmatched.len());
    if at_once && matched > 0 {
        let letters = schedule::introduce(store, site, round.id, now).await?;
        return done(store, &round, &format!("{letters} letters with introductions; {waiting} people go on waiting"), as_json).await;
    }
    let next = if matched > 0 { ". `round show` shows who, `round approve` introduces them" } else { "" };
    done(store, &round, &format!("of those who wait, {matched} people are in new pairs and {waiting} go on waiting{next}"), as_json).await
}

fn came_to(objective: &Objective) -> String {
    let Objective { matched, requests, requests_met, .. } = objective;
    format!("{matched} people have a partner, {requests_met} of {requests} wishes are met, and no other match is better")
}

async fn show(store: &Store, name: &str, as_json: bool) -> Result<()> {
    let mut conn = store.connection().await?;
    let round = find(&mut conn, name).await?;
    let applicants = rounds::applicants(&mut conn, round.id).await?;
    let partnerships = partnerships::of_round(&mut conn, round.id, None).await?;
    let unmatched = proposals::unmatched(&mut conn, round.id).await?;
    let proposal = proposals::proposal(&mut conn, round.id).await?;
    let stale = matches!(round.state, State::Proposed | State::Approved) && proposals::is_stale(&mut conn, &round).await?;
    if as_json {
        let left: Vec<Value> =
            unmatched.iter().map(|left| json!({"person_id": left.person_id, "name": left.name, "why": left.why, "witness": left.witness})).collect();
        let people: Vec<Value> = applicants.iter().map(person_json).collect();
        let (objective, fairness) = proposal.map(|proposal| (proposal.objective, proposal.fairness)).unzip();
        return print::json(&json!({
            "round": round, "people": people, "partnerships": partnerships, "unmatched": left, "objective": objective, "fairness": fairness.flatten(), "stale": stale,
        }));
    }
    print::line(format_args!("{} is {}", round.name, round.state.name()));
    let Days { opens_on, closes_on, match_on, introduce_on, ends_on } = round.days;
    print::line(format_args!(
        "opens {}, closes {}, match {}, introductions {}, ends {}",
        day(opens_on),
        day(closes_on),
        day(match_on),
        day(introduce_on),
        day(ends_on)
    ));
    print::line(format_args!("\nPeople ({})", applicants.iter().filter(|applicant| is_in(applicant)).count()));
    print::table(applicants.iter().map(person_row));
    if !partnerships.is_empty() {
        print_partnerships(&partnerships, &applicants);
    }
    let late = partnerships.iter().filter(|partnership| round.state == State::Running && partnership.state == partnerships::State::Proposed).count();
    if late > 0 {
        print::line(format_args!("\n{late} of these were found while the round ran, and wait for `round approve` (marked “proposed”)."));
    }
    if !unmatched.is_empty() {
        print_unmatched(&unmatched, &applicants);
    }
    if let Some(proposal) = proposal {
        print::line(format_args!("\n{}", came_to(&proposal.objective)));
        if let Some(Fairness { min, p5, median, with_wishes, all_met, .. }) = proposal.fairness {
            print::line(format_args!("All wishes are met for {all_met} of {with_wishes} who have any, and a partner."));
            print::line(format_args!("Satisfaction, of 1000: half of the people at {median} or more, one in twenty at {p5} or less, the least at {min}."));
        }
    }
    match (stale, round.state) {
        (true, State::Approved) => print::line(format_args!(
            "People came, went or changed their answers since: the match is mended around them before introductions (at once: `round rematch`)."
        )),
        (true, _) => print::line(format_args!("People came, went or changed their answers since: `round propose` makes a new match.")),
        (false, _) => {}
    }
    Ok(())
}

fn person_json(applicant: &Applicant) -> Value {
    json!({"person_id": applicant.person_id, "name": applicant.name, "application": applicant.state.name(), "standing": standing(applicant), "answers": applicant.answers.to_json()})
}

fn person_row(applicant: &Applicant) -> [String; 5] {
    let country = applicant.answers.text("country").map(|code| places::name(code).unwrap_or(code)).unwrap_or_default();
    let languages = applicant.answers.list("languages").join(", ");
    let organisation = applicant.answers.text("organisation").unwrap_or_default();
    ["  ".to_owned() + called(applicant.name.as_deref()), country.to_owned(), languages, organisation.to_owned(), standing(applicant).to_owned()]
}

fn called(name: Option<&str>) -> &str {
    name.unwrap_or("(no name)")
}

/// Whether somebody can be matched, and what is in the way.
fn standing(applicant: &Applicant) -> &'static str {
    match applicant.state {
        applications::State::Draft => "not confirmed",
        applications::State::Withdrawn => "withdrawn",
        applications::State::Done => "introduced",
        applications::State::Confirmed if applicant.left => "left",
        applications::State::Confirmed if applicant.paused => "paused: not matched",
        applications::State::Confirmed if applicant.unreachable => "mailbox dead: not matched",
        applications::State::Confirmed => "confirmed",
    }
}

fn print_partnerships(partnerships: &[Partnership], applicants: &[Applicant]) {
    let countries: HashMap<Uuid, &str> = applicants.iter().filter_map(|one| Some((one.person_id, places::name(one.answers.text("country")?)?))).collect();
    let who = |partner: &Partner| {
        let country = countries.get(&partner.person_id).map(|country| format!(", {country}")).unwrap_or_default();
        format!("{}{country}", called(partner.name.as_deref()))
    };
    print::line(format_args!("\nPartners"));
    for partnership in partnerships {
        let names: Vec<String> = partnership.partners.iter().map(who).collect();
        let state = match partnership.state {
            partnerships::State::Proposed => "proposed",
            partnerships::State::Introduced => "introduced",
            partnerships::State::Ended => "ended",
        };
        print::line(format_args!("  {} ({state})", plain(&names.join(" · "))));
        for partner in &partnership.partners {
            let Side { satisfaction, met, unmet, reasons, .. } = &partner.side;
            print::line(format_args!("    for {}, satisfied {satisfaction} of 1000:", plain(called(partner.name.as_deref()))));
            let lines = met.iter().map(|line| ('+', line)).chain(unmet.iter().map(|line| ('-', line))).chain(reasons.iter().map(|line| (' ', line)));
            lines.for_each(|(sign, line)| print::line(format_args!("      {sign} {}", plain(line))));
        }
    }
}

fn print_unmatched(unmatched: &[LeftOver], applicants: &[Applicant]) {
    let names: HashMap<String, &str> = applicants.iter().map(|one| (one.person_id.to_string(), called(one.name.as_deref()))).collect();
    print::line(format_args!("\nWithout a partner"));
    for left in unmatched {
        print::line(format_args!("  {}", plain(called(left.name.as_deref()))));
        print::line(format_args!("    is told: because {}", plain(&left.why)));
        if let Some(witness) = &left.witness {
            let words = witness.in_words(|id| names.get(id).map_or_else(|| id.to_owned(), |name| (*name).to_owned()));
            print::line(format_args!("    for you alone: {}", plain(&words)));
        }
    }
}

/// Without control characters, which could rearrange a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
