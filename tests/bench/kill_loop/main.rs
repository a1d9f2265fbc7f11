//! `cargo run --release --example kill_loop -- ROUNDS [--seed N] [--only WORDS]`: kills the program, its Postgres and its like at random moments under load, before a next hop
//! in all its moods, and prints what became of the letters that were answered 250. Exit 1: one is lost, more came twice than may, or work did not go on.
use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};

mod chance;
mod clients;
mod installation;
mod kind;
mod ledger;
mod moods;
mod postgres;
mod program;
mod rounds;
mod sink;
#[path = "../../it/stopwatch.rs"]
mod stopwatch;
mod table;

use chance::Chance;
use installation::Installation;
use kind::{Kind, Stage};
use moods::Mood;
use rounds::Rounds;
use stopwatch::Stopwatch;
use table::Tally;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        eprintln!("kill_loop: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let Arguments { rounds, seed, only } = arguments()?;
    println!("kill_loop: {rounds} rounds; the same choices again: --seed {seed}");
    let binary = program::built().await?;
    let mut chance = Chance::new(seed);
    let plan = kind::plan(rounds, &only, &mut chance);
    // Long enough in any case for another to stand in.
    let pause = if rounds < 100 { table::STOOD_IN + Duration::from_secs(1) } else { Duration::from_secs(30) };
    let mut stage = |stage: Stage| {
        let kinds: Vec<Kind> = plan.iter().copied().filter(|kind| kind.stage() == stage).collect();
        play(stage, &binary, kinds, pause, chance.split())
    };
    let stages = (stage(Stage::Alone), stage(Stage::Moody), stage(Stage::Two));
    let played = async { tokio::try_join!(stages.0, stages.1, stages.2) };
    let played = tokio::select! {
        played = played => played?,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped before the end"),
    };
    let mut tallies: Vec<(Kind, Tally)> = Kind::all().filter(|kind| plan.contains(kind)).map(|kind| (kind, Tally::default())).collect();
    for (kind, tally) in [played.0, played.1, played.2].concat() {
        tallies.iter_mut().filter(|(of, _)| *of == kind).for_each(|(_, sum)| sum.add(&tally));
    }
    table::print(&tallies);
    let broken: Vec<String> = tallies.iter().flat_map(|(kind, tally)| tally.broken(*kind)).collect();
    broken.iter().for_each(|words| println!("BROKEN: {words}"));
    if broken.is_empty() {
        println!("nothing lost, nothing doubled beyond the bound");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(stage: Stage, binary: &Path, kinds: Vec<Kind>, pause: Duration, mut chance: Chance) -> Result<Vec<(Kind, Tally)>> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let dead_mailboxes = kinds.iter().filter(|kind| **kind == Kind::Mood(Mood::Rejects)).count();
    let installation = Installation::new(stage, binary, u32::try_from(dead_mailboxes)?, &mut chance).await?;
    let mut rounds = Rounds::new(installation, pause, chance);
    let (mut tallies, began) = (Vec::new(), Stopwatch::start());
    for kind in kinds {
        let tally = rounds.play(kind).await?;
        let (counts, again, at) = (tally.counts, tally.again.as_secs_f64(), began.elapsed().as_secs_f64());
        eprintln!(
            "{at:5.1} s {}: {} letters, {} resent, {} lost, {} doubled, again after {again:.1} s",
            kind.name(),
            counts.accepted,
            counts.resent,
            tally.lost,
            counts.doubled
        );
        tallies.push((kind, tally));
    }
    rounds.stop().await?;
    Ok(tallies)
}

struct Arguments {
    rounds: usize,
    seed: u64,
    /// Words that stand in the names of the kinds that are played.
    only: String,
}

fn arguments() -> Result<Arguments> {
    let usage = "usage: kill_loop ROUNDS [--seed N] [--only WORDS]";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut read = Arguments { rounds: 20, seed: now.as_secs() % 1_000_000, only: String::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => read.seed = arguments.next().and_then(|seed| seed.parse().ok()).context(usage)?,
            "--only" => read.only = arguments.next().context(usage)?,
            number => read.rounds = number.parse().context(usage)?,
        }
    }
    Ok(read)
}
