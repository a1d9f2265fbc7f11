//! Logs: to standard error, at the level of `RUST_LOG`; ids, never addresses or words.
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Begins to log. samotop logs what clients say, which is people's addresses: it is never heard.
pub fn start() {
    begin("warn,pairpost=info");
}

/// The same, but of what goes right nothing: for a command that tells a person itself what happens.
pub fn start_quietly() {
    begin("warn");
}

fn begin(usual: &str) {
    let chosen = std::env::var("RUST_LOG").unwrap_or_else(|_| usual.to_owned());
    let filter = EnvFilter::new(format!("{chosen},samotop=off,samotop_core=off"));
    // Only the first call in a process counts; tests call it more than once.
    let _first =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init();
}
