//! The command line: what a person types, a file per group of commands.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod relay_preview;

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "pairpost", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a letter as the relay would send it
    RelayPreview(relay_preview::RelayPreview),
}

impl Cli {
    /// Does what was typed. Errors are one line for the person who typed it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::RelayPreview(command) => command.run(),
        }
    }
}
