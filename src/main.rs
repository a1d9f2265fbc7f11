//! Pairpost.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "pairpost", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Matches applicants, or a graph, without a database.
    Match(pairpost::cli::matching::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Match(args) => pairpost::cli::matching::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pairpost: {error:#}");
            ExitCode::from(1)
        }
    }
}
