//! Measures the matching, and writes graphs for other solvers: see ../matching.sh.
#[path = "../../../../src/domain"]
pub mod domain {
    //! What of the program's rules the matching needs.
    pub mod answers;
    pub mod fold;
    pub mod languages;
    pub mod matching;
    pub mod places;
}
#[path = "../../../../src/domain/matching/trials/graphs.rs"]
mod graphs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::process::{Command, ExitCode};

use domain::matching::{Applicant, Graph, Input, Matching, Pairs, Past, Weights, certificate, each_pair, generate, match_round, optimum, prove_round};
use graphs::{Chance, Mode};

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["round", people, seed] => round(people.parse()?, seed.parse()?),
        ["rounds", people, seconds, mebibytes] => rounds(people, seconds.parse()?, mebibytes.parse()?),
        ["graph", people, seed] => graph(people.parse()?, seed.parse()?),
        ["trials", count, largest] => trials(count.parse()?, largest.parse()?),
        ["withdrawals", people, count] => withdrawals(people.parse()?, count.parse()?),
        _ => Err("round N SEED | rounds N SECONDS MEBIBYTES | graph N SEED | trials COUNT LARGEST | withdrawals N COUNT".into()),
    }
}

/// Matches made-up people and examines the proof: seconds of all cores, seconds on the clock, MiB at the most.
fn round(people: usize, seed: u64) -> Result<ExitCode, Fault> {
    let (applicants, weights) = (generate::applicants(people, seed), Weights::default());
    let (begin, busy) = (std::time::Instant::now(), cpu_seconds());
    prove_round(&Input::new(&applicants, &weights, seed))?;
    println!("{:.3} {:.3} {:.1}", cpu_seconds() - busy, begin.elapsed().as_secs_f64(), peak_mebibytes()?);
    Ok(ExitCode::SUCCESS)
}

/// The medians of three rounds, each in a process of its own; fails where they exceed what they may be.
fn rounds(people: &str, seconds: f64, mebibytes: f64) -> Result<ExitCode, Fault> {
    let mut measured: [Vec<f64>; 3] = Default::default();
    for seed in ["1", "2", "3"] {
        let output = Command::new(std::env::current_exe()?).args(["round", people, seed]).output()?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() || text.split_whitespace().count() != 3 {
            return Err(format!("seed {seed}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        for (column, word) in measured.iter_mut().zip(text.split_whitespace()) {
            column.push(word.parse()?);
        }
    }
    measured.iter_mut().for_each(|column| column.sort_by(f64::total_cmp));
    let [busy, clock, memory] = measured.map(|column| column[1]);
    let good = busy <= seconds && memory <= mebibytes;
    let verdict = if good { "" } else { "   TOO MUCH" };
    println!("{people:>6} people  {busy:>8.3} CPU s (at most {seconds})  {clock:>8.3} s on the clock  {memory:>6.1} MiB (at most {mebibytes}){verdict}");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a round's graph for others, with the answer, and says what it took on one core.
fn graph(people: usize, seed: u64) -> Result<ExitCode, Fault> {
    let (applicants, weights) = (generate::applicants(people, seed), Weights::default());
    let (mut names, mut named) = (BTreeSet::new(), Vec::new());
    each_pair(&Input::new(&applicants, &weights, seed), |a, b, w| {
        names.extend([a.to_owned(), b.to_owned()]);
        named.push((a.to_owned(), b.to_owned(), w));
    })?;
    let positions: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let edges: Vec<(u32, u32, i64)> = named.iter().map(|(a, b, w)| (positions[a.as_str()], positions[b.as_str()], *w)).collect();
    let busy = answered(&mut BufWriter::new(io::stdout().lock()), names.len() as u32, &edges)?;
    eprintln!("{busy:.3}");
    Ok(ExitCode::SUCCESS)
}

/// Writes graphs of each kind, with the answers.
fn trials(count: u64, largest: u32) -> Result<ExitCode, Fault> {
    let mut out = BufWriter::new(io::stdout().lock());
    for mode in Mode::ALL {
        for number in 0..count {
            let (vertices, edges) = mode.graph(number, largest);
            answered(&mut out, vertices, &edges)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes `graph VERTICES EDGES PAIRS WEIGHT` and a line for each edge. Gives the CPU seconds it took to find the answer and examine it.
fn answered(out: &mut impl Write, vertices: u32, edges: &[(u32, u32, i64)]) -> Result<f64, Fault> {
    let graph = Graph::new((0..vertices).map(|number| format!("{number:07}")).collect(), edges.to_vec());
    let busy = cpu_seconds();
    let optimum = optimum::find_on(&graph, 1, 1)?;
    certificate::examine(&graph, &optimum.pairs, &optimum.certificate)?;
    let busy = cpu_seconds() - busy;
    let weight: i128 = optimum.pairs.iter().map(|&(_, _, w)| i128::from(w)).sum();
    writeln!(out, "graph {} {} {} {weight}", graph.names().len(), edges.len(), optimum.pairs.len())?;
    for (a, b, w) in edges {
        writeln!(out, "{a} {b} {w}")?;
    }
    Ok(busy)
}

/// One after another of some people withdraws before introductions: how many others get another partner.
fn withdrawals(people: usize, count: usize) -> Result<ExitCode, Fault> {
    let (applicants, weights) = (generate::applicants(people, 1), Weights::default());
    let before = match_round(&Input::new(&applicants, &weights, 1))?;
    let proposed: Vec<Past> = before.pairs.iter().map(|pair| Past { a: pair.a.clone(), b: pair.b.clone() }).collect();
    let mut median_with_bonus = 0;
    for (what, kept) in [("with the bonus for kept pairs", &proposed[..]), ("without it", &[])] {
        let mut chance = Chance(1);
        let mut moved = Vec::new();
        for _ in 0..count {
            let gone = &applicants[chance.below(people as u64) as usize].id;
            let rest: Vec<Applicant> = applicants.iter().filter(|person| person.id != *gone).cloned().collect();
            moved.push(others_moved(&before, &match_round(&Input { kept, ..Input::new(&rest, &weights, 1) })?, gone));
        }
        moved.sort_unstable();
        let median = moved[count / 2];
        if !kept.is_empty() {
            median_with_bonus = median;
        }
        println!("{people} people, one withdraws, {count} times, {what}: other people who get another partner: median {median}, all {moved:?}");
    }
    Ok(if median_with_bonus <= 6 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many of those who are neither gone nor were the partner of who is gone have other partners than before.
fn others_moved(before: &Matching, after: &Matching, gone: &str) -> usize {
    let partners = |matching: &Matching| {
        let mut partners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for pair in &matching.pairs {
            partners.entry(pair.a.clone()).or_default().insert(pair.b.clone());
            partners.entry(pair.b.clone()).or_default().insert(pair.a.clone());
        }
        partners
    };
    let (before, after) = (partners(before), partners(after));
    let left = before.get(gone).cloned().unwrap_or_default();
    let everybody: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    everybody.into_iter().filter(|&id| id != gone && !left.contains(id) && before.get(id) != after.get(id)).count()
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_mebibytes() -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
