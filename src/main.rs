//! Pairpost.
use clap::{Parser, Subcommand};
use pairpost::cli::inspect::Inspect;

#[derive(Parser)]
#[command(name = "pairpost", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(Inspect),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Inspect(inspect) => inspect.run(&pairpost::config::Config::default().domain),
    }
}
