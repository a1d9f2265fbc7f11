//! The command line: what a person types, a file per group of commands.
use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::config::Config;

pub mod inspect;
pub mod matching;
pub mod programme;
pub mod relay_preview;

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "pairpost", version, about)]
pub struct Cli {
    /// The configuration; without it `pairpost.toml` here, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows how raw letters are understood, a line of JSON each
    Inspect(inspect::Inspect),
    /// Matches applicants from a file, and proves that no better match exists
    Match(matching::Args),
    /// Shows a letter as the relay would send it
    RelayPreview(relay_preview::RelayPreview),
}

impl Cli {
    /// Does what was typed. An error is one line for the person who typed it.
    pub fn run(self) -> Result<ExitCode> {
        let config = Config::load(self.config.as_deref(), std::env::vars())?;
        match self.command {
            Command::Inspect(command) => command.run(&config.domain).map(|()| ExitCode::SUCCESS),
            Command::Match(args) => matching::run(&args).map(|()| ExitCode::SUCCESS),
            Command::RelayPreview(command) => command.run(),
        }
    }
}
