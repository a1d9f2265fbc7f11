//! Pairpost.
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match pairpost::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(1)
        }
    }
}
