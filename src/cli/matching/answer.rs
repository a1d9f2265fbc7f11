//! The answer as JSON, in the fixed form.
use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use crate::domain::matching::{Matching, Pair, Side, Trio, WeightedPair};

#[derive(Serialize)]
struct Answer<'a, Objective> {
    pairs: Vec<Partners<'a>>,
    trios: Vec<Three<'a>>,
    unmatched: Vec<Left<'a>>,
    objective: Objective,
    seconds: f64,
}

#[derive(Serialize)]
struct Partners<'a> {
    a: &'a str,
    b: &'a str,
    score: i64,
    reasons: Both<'a>,
    unmet: Both<'a>,
}

#[derive(Serialize)]
struct Both<'a> {
    a: Vec<&'a str>,
    b: Vec<&'a str>,
}

#[derive(Serialize)]
struct Three<'a> {
    members: &'a [String; 3],
    score: i64,
    reasons: BTreeMap<&'a str, Vec<&'a str>>,
    unmet: BTreeMap<&'a str, Vec<&'a str>>,
}

#[derive(Serialize)]
struct Left<'a> {
    id: &'a str,
    why: &'a str,
}

/// What a graph's matching comes to.
#[derive(Serialize)]
struct Sum {
    matched: usize,
    requests: usize,
    requests_met: usize,
    score: Value,
    optimal: bool,
    bound: Value,
}

pub(super) fn of_round(out: &mut dyn Write, matching: &Matching, seconds: f64) -> anyhow::Result<()> {
    let unmatched = matching.unmatched.iter().map(|left| Left { id: &left.id, why: &left.why });
    print(
        out,
        &Answer {
            pairs: matching.pairs.iter().map(partners).collect(),
            trios: matching.trios.iter().map(three).collect(),
            unmatched: unmatched.collect(),
            objective: &matching.objective,
            seconds,
        },
    )
}

pub(super) fn of_graph(out: &mut dyn Write, names: &[String], pairs: &[WeightedPair], seconds: f64) -> anyhow::Result<()> {
    let nothing = || Both { a: Vec::new(), b: Vec::new() };
    let matched: HashSet<&String> = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]).collect();
    let left = names.iter().filter(|name| !matched.contains(name));
    // JSON's own numbers end at 64 bits in many readers; a sum beyond is exact as text.
    let sum: i128 = pairs.iter().map(|pair| i128::from(pair.w)).sum();
    let sum = i64::try_from(sum).map_or_else(|_| Value::from(sum.to_string()), Value::from);
    print(
        out,
        &Answer {
            pairs: pairs.iter().map(|pair| Partners { a: &pair.a, b: &pair.b, score: pair.w, reasons: nothing(), unmet: nothing() }).collect(),
            trios: Vec::new(),
            unmatched: left.map(|id| Left { id, why: "the best matching leaves it over" }).collect(),
            objective: Sum { matched: matched.len(), requests: 0, requests_met: 0, score: sum.clone(), optimal: true, bound: sum },
            seconds,
        },
    )
}

fn partners(pair: &Pair) -> Partners<'_> {
    let [a, b] = &pair.sides;
    let (reasons, unmet) = (Both { a: reasons(a), b: reasons(b) }, Both { a: unmet(a), b: unmet(b) });
    Partners { a: &pair.a, b: &pair.b, score: pair.score, reasons, unmet }
}

fn three(trio: &Trio) -> Three<'_> {
    let by_id = |what: fn(&Side) -> Vec<&str>| trio.members.iter().map(String::as_str).zip(trio.sides.iter().map(what)).collect();
    Three { members: &trio.members, score: trio.score, reasons: by_id(reasons), unmet: by_id(unmet) }
}

fn print<O: Serialize>(out: &mut dyn Write, answer: &Answer<'_, O>) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, answer)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// What speaks for a match: the wishes met first.
pub(super) fn reasons(side: &Side) -> Vec<&str> {
    side.met.iter().chain(&side.reasons).map(String::as_str).collect()
}

pub(super) fn unmet(side: &Side) -> Vec<&str> {
    side.unmet.iter().map(String::as_str).collect()
}
