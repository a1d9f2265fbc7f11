//! `pairpost programme`: looks a programme file over before a round depends on it.
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::domain::programme::Programme;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct ProgrammeArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Says what is wrong with a programme file, a line for each fault, and how to mend it
    Check {
        /// The programme file (TOML)
        file: PathBuf,
    },
}

/// Runs the command. Faults go to standard output, a line each.
///
/// # Errors
/// The file cannot be read, or it has faults.
pub fn run(args: &ProgrammeArgs) -> Result<()> {
    match &args.action {
        Action::Check { file } => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}: give the path of a programme file", file.display()))?;
            check(&text, &file.display().to_string(), &mut io::stdout().lock())
        }
    }
}

fn check(text: &str, name: &str, out: &mut impl Write) -> Result<()> {
    match Programme::parse(text) {
        Ok(programme) => {
            let required = programme.questions.iter().filter(|question| question.required).count();
            writeln!(out, "ok: {}, {} questions, {required} of them required", programme.name, programme.questions.len())?;
            Ok(())
        }
        Err(error) => {
            for fault in &error.faults {
                writeln!(out, "{name}: {fault}")?;
            }
            bail!("{name} has {} {}: mend the lines named", error.faults.len(), if error.faults.len() == 1 { "fault" } else { "faults" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::programme::LIBRARIANS;

    fn checked(text: &str) -> (bool, String) {
        let mut out = Vec::new();
        let ok = check(text, "my.toml", &mut out).is_ok();
        (ok, String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn a_good_file_is_one_line_and_a_bad_one_a_line_for_each_fault() {
        let (ok, out) = checked(LIBRARIANS);
        assert!(ok && out.starts_with("ok: The Librarians' Exchange, ") && out.lines().count() == 1, "{out}");
        let bad = LIBRARIANS.replace("kind = \"country\"", "kind = \"text\"").replace("\"weekly\", say", "\"daily\", say");
        let (ok, out) = checked(&bad);
        assert!(!ok && out.lines().count() == 2 && out.lines().all(|line| line.starts_with("my.toml: line ")), "{out}");
    }
}
