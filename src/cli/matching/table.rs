//! The answer for reading on a terminal: who writes with whom, who is left over and why, how satisfied people will be, and what that means.
use std::collections::{HashMap, HashSet};
use std::io::Write;

use crate::domain::matching::{Applicant, Fairness, Matching, Objective, Side, Unmatched, WeightedPair};

/// Marks of the longest bar.
const LONGEST: usize = 40;

pub(super) fn of_round(out: &mut dyn Write, applicants: &[Applicant], matching: &Matching, fairness: &Fairness) -> anyhow::Result<()> {
    let people = People::of(applicants);
    partners(out, &people, matching)?;
    if !matching.unmatched.is_empty() {
        left_over(out, &people, &matching.unmatched)?;
    }
    if matching.objective.matched > 0 {
        plot(out, matching)?;
    }
    wishes(out, fairness)?;
    summary(out, applicants.len(), matching, fairness)
}

pub(super) fn of_graph(out: &mut dyn Write, names: &[String], pairs: &[WeightedPair]) -> anyhow::Result<()> {
    pairs.iter().try_for_each(|pair| writeln!(out, "{}  {}  {}", plain(&pair.a), plain(&pair.b), pair.w))?;
    let matched: HashSet<&String> = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]).collect();
    let left: Vec<String> = names.iter().filter(|name| !matched.contains(name)).map(|name| plain(name)).collect();
    let left = if left.is_empty() { "nobody".to_owned() } else { left.join(", ") };
    let worth: i128 = pairs.iter().map(|pair| i128::from(pair.w)).sum();
    writeln!(out, "\n{}, worth {worth} together. Left over: {left}.\n{PROVEN}", counted(pairs.len(), "pair"))?;
    Ok(())
}

const PROVEN: &str = "No other match has more pairs, and none with as many is better: this was proven.";

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

struct People<'a>(HashMap<&'a str, &'a Applicant>);

impl<'a> People<'a> {
    fn of(applicants: &'a [Applicant]) -> Self {
        Self(applicants.iter().map(|person| (person.id.as_str(), person)).collect())
    }

    fn called(&self, id: &str) -> String {
        let name = self.0.get(id).and_then(|person| person.name.as_deref()).map(|name| format!(" {name}")).unwrap_or_default();
        plain(&format!("{id}{name}"))
    }

    fn with_country(&self, id: &str) -> String {
        let country = self.0.get(id).and_then(|person| person.country.as_deref()).map(|country| format!(", {country}")).unwrap_or_default();
        format!("{}{}", self.called(id), plain(&country))
    }
}

fn partners(out: &mut dyn Write, people: &People, matching: &Matching) -> anyhow::Result<()> {
    let cells = |ids: &[&String], sides: &[Side]| -> Vec<(String, String)> {
        let met = |side: &Side| if side.asked.is_empty() { "-".to_owned() } else { format!("{} of {}", side.met.len(), side.asked.len()) };
        ids.iter().zip(sides).map(|(id, side)| (people.with_country(id), format!("{:>4}  {:<6}", side.satisfaction, met(side)))).collect()
    };
    let mut rows: Vec<Vec<(String, String)>> = matching.pairs.iter().map(|pair| cells(&[&pair.a, &pair.b], &pair.sides)).collect();
    rows.extend(matching.trios.iter().map(|trio| cells(&trio.members.each_ref(), &trio.sides)));
    if rows.is_empty() {
        writeln!(out, "Nobody has a partner.")?;
        return Ok(());
    }
    let width = rows.iter().flatten().map(|(who, _)| who.chars().count()).max().unwrap_or(0);
    writeln!(out, "Partners, each with the satisfaction to be expected (of 1000) and how many of the wishes are met")?;
    for row in &rows {
        let cells: Vec<String> = row.iter().map(|(who, served)| format!("{who:<width$} {served}")).collect();
        writeln!(out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn left_over(out: &mut dyn Write, people: &People, unmatched: &[Unmatched]) -> anyhow::Result<()> {
    writeln!(out, "\nWithout a partner")?;
    for left in unmatched {
        writeln!(out, "  {}", people.with_country(&left.id))?;
        writeln!(out, "      they are told: because {}", plain(&left.why))?;
        if let Some(witness) = &left.witness {
            writeln!(out, "      for you alone: {}", witness.in_words(|id| people.called(id)))?;
        }
    }
    Ok(())
}

fn plot(out: &mut dyn Write, matching: &Matching) -> anyhow::Result<()> {
    let sides = matching.pairs.iter().flat_map(|pair| &pair.sides).chain(matching.trios.iter().flat_map(|trio| &trio.sides));
    let mut bars = [0_usize; 10];
    sides.for_each(|side| bars[(side.satisfaction as usize / 100).min(9)] += 1);
    writeln!(out, "\nHow satisfied")?;
    let longest = bars.into_iter().max().unwrap_or(0).max(1);
    for (step, &count) in bars.iter().enumerate().rev() {
        // At least one mark for anybody at all.
        let bar = "#".repeat((count * LONGEST).div_ceil(longest));
        writeln!(out, "{}", format!("  {:>3} to {:<4} {count:>4} {bar}", step * 100, if step == 9 { 1000 } else { step * 100 + 99 }).trim_end())?;
    }
    Ok(())
}

fn wishes(out: &mut dyn Write, fairness: &Fairness) -> anyhow::Result<()> {
    if fairness.wishes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWishes for                asked   met   lost   nobody could meet")?;
    for tally in &fairness.wishes {
        let lost = tally.asked - tally.met - tally.hopeless;
        writeln!(out, "{}", format!("  {:<22} {:>6} {:>5} {lost:>6} {:>6}", tally.wish.about(), tally.asked, tally.met, tally.hopeless).trim_end())?;
    }
    Ok(())
}

fn summary(out: &mut dyn Write, people: usize, matching: &Matching, fairness: &Fairness) -> anyhow::Result<()> {
    let Objective { matched, requests, requests_met, .. } = &matching.objective;
    let (pairs, trios) = (counted(matching.pairs.len(), "pair"), counted(matching.trios.len(), "trio"));
    writeln!(out, "\nWith a partner: {matched} of {}, in {pairs} and {trios}. Wishes met: {requests_met} of {requests}.", counted(people, "applicant"))?;
    let Fairness { min, p1, p5, median, with_wishes, all_met, blocking_pairs, deep_blocking_pairs, in_blocking_pairs, .. } = fairness;
    if *matched > 0 {
        if *with_wishes > 0 {
            writeln!(out, "All wishes are met for {all_met} of {with_wishes} who have any, and a partner.")?;
        }
        writeln!(
            out,
            "Half of the people are at {median} or more; the least satisfied is at {min} (one in a hundred at {p1} or less, one in twenty at {p5})."
        )?;
        match blocking_pairs {
            0 => writeln!(out, "No two people would both rather have each other.")?,
            _ => writeln!(
                out,
                "{} of people would both be served better by each other ({in_blocking_pairs} people; {deep_blocking_pairs} of the pairs by more than 100 each); to put them together would cost others more.",
                counted(*blocking_pairs, "pair")
            )?,
        }
    }
    writeln!(out, "{PROVEN}")?;
    Ok(())
}

/// Without control characters, which could rearrange a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
