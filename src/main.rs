//! The program: arguments in, an exit code out.
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match pairpost::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            pairpost::cli::print::note(format_args!("pairpost: {error:#}"));
            ExitCode::from(1)
        }
    }
}
