//! The command line: what a person types, a file per group of commands.
use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::domain::programme::{LIBRARIANS, Programme};

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
    /// Looks a programme file over before a round depends on it
    Programme(programme::ProgrammeArgs),
    /// Shows a letter as the relay would send it
    RelayPreview(relay_preview::RelayPreview),
}

impl Cli {
    /// Does what was typed. An error is one line for the person who typed it.
    pub fn run(self) -> Result<ExitCode> {
        let config = Config::load(self.config.as_deref(), std::env::vars())?;
        match self.command {
            Command::Inspect(command) => command.run(&config.domain, &programme_of(&config)?).map(|()| ExitCode::SUCCESS),
            Command::Match(args) => matching::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Programme(args) => programme::run(&args).map(|()| ExitCode::SUCCESS),
            Command::RelayPreview(command) => command.run(),
        }
    }
}

/// The programme that the configuration names, or the librarians' exchange.
fn programme_of(config: &Config) -> Result<Programme> {
    let Some(path) = &config.programme else { return Ok(Programme::parse(LIBRARIANS)?) };
    let text = std::fs::read_to_string(path).with_context(|| format!("the programme file {} can't be read", path.display()))?;
    Programme::parse(&text).with_context(|| format!("the programme file {} can't be used: try `pairpost programme check`", path.display()))
}
