//! What the demonstration says while it runs: plain lines, one thing each; colour for eyes on a terminal only.
use std::io::{IsTerminal as _, Write as _};

/// Says on standard error how far it is.
#[derive(Debug)]
pub struct Terminal {
    colour: bool,
    station: u32,
}

impl Terminal {
    /// Looks whether somebody looks (<https://no-color.org>).
    pub fn new() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: std::io::stderr().is_terminal() && !is_set("NO_COLOR") && !dumb, station: 0 }
    }

    /// The next station.
    pub fn station(&mut self, name: &str) {
        self.station += 1;
        let heading = format!("{}. {name}", self.station);
        say(&if self.colour { format!("\n\x1b[1;36m{heading}\x1b[0m") } else { format!("\n{heading}") });
    }

    /// Something that happened there.
    pub fn line(&self, words: &str) {
        say(&format!("   {}", plain(words)));
    }
}

/// Where nobody reads any more, the demonstration goes on to its end all the same, so that it can clear up.
fn say(line: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{line}");
}

/// Without control characters, which could rearrange a terminal.
fn plain(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
