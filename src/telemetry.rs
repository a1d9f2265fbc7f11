//! Logs: to standard error, at the level of `RUST_LOG`; ids, never addresses or words. And figures: what is counted while the program runs.
use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

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
    // A line that can't be written, since whoever read the log is gone, is no reason to stop: told of on the same standard error, it would be one (a panic).
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // Only the first call in a process counts; tests call it more than once.
    let _first = log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init();
}

/// What is counted while the program runs, for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// SMTP sessions begun; the label says how they came: `direct`, `front`, `balancer`.
    Sessions,
    /// SMTP sessions now.
    SessionsNow,
    /// Replies of the listener that refused something, by their codes: `550 5.7.1`.
    Refusals,
    /// Why clients and letters were refused, in a word: `dns-list`, `greylisted`, `forged` …
    Reasons,
    /// Refused letters that got no row in the record, since enough of their kind have.
    Unrecorded,
    /// Waits that a client did not end in time: `command`, `letter`, `session`, `proxy`, `handshake`, `dns-list`.
    TimeOuts,
    /// Sessions that went over to TLS, by its version.
    Tls,
    /// Clients of the pages that were hung up on: `made-room`, `none-free`, `too-slow`.
    PagesRefused,
    /// Octets of the budget of memory that letters in flight may take.
    Budget,
    /// … and that they have taken.
    BudgetTaken,
    /// Times that the next hop could not be spoken to.
    HopFailures,
    /// The circuit to the next hop is open: it is only asked, now and then, whether it is back.
    HopAway,
}

impl Figure {
    /// Its name for Prometheus, the name of its label, whether it only grows, and what it is.
    fn describe(self) -> (&'static str, &'static str, bool, &'static str) {
        match self {
            Self::Sessions => ("pairpost_smtp_sessions_total", "way", true, "SMTP sessions begun."),
            Self::SessionsNow => ("pairpost_smtp_sessions", "", false, "SMTP sessions now."),
            Self::Refusals => ("pairpost_smtp_refusals_total", "reply", true, "Refusing replies of the SMTP listener by their codes."),
            Self::Reasons => ("pairpost_smtp_refused_total", "reason", true, "Clients and letters refused, by reason."),
            Self::Unrecorded => {
                ("pairpost_smtp_refused_unrecorded_total", "", true, "Refused letters without a row in the record, since enough of their kind have one.")
            }
            Self::TimeOuts => ("pairpost_smtp_timeouts_total", "of", true, "Waits that a client did not end in time."),
            Self::Tls => ("pairpost_smtp_tls_sessions_total", "version", true, "SMTP sessions that went over to TLS."),
            Self::PagesRefused => ("pairpost_http_refused_total", "reason", true, "Clients of the pages that were hung up on, by reason."),
            Self::Budget => ("pairpost_smtp_budget_bytes", "", false, "Memory that letters in flight may take."),
            Self::HopFailures => ("pairpost_hop_failures_total", "", true, "Times that the next hop could not be spoken to."),
            Self::HopAway => ("pairpost_hop_away", "", false, "The next hop can't be spoken to; one letter at a time asks whether it is back."),
            Self::BudgetTaken => ("pairpost_smtp_budget_taken_bytes", "", false, "Memory that letters in flight have taken."),
        }
    }
}

static FIGURES: Mutex<BTreeMap<(Figure, String), i64>> = Mutex::new(BTreeMap::new());

fn figures() -> MutexGuard<'static, BTreeMap<(Figure, String), i64>> {
    FIGURES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more, under a label out of a small set; an empty one where the figure has none.
pub fn count(figure: Figure, label: &str) {
    add(figure, label, 1);
}

/// So many more, or fewer.
pub fn add(figure: Figure, label: &str, more: i64) {
    *figures().entry((figure, label.to_owned())).or_default() += more;
}

/// So many now.
pub fn set(figure: Figure, now: i64) {
    figures().insert((figure, String::new()), now);
}

type Ask = Box<dyn Fn() + Send>;
static ASKED: Mutex<Option<Ask>> = Mutex::new(None);

/// Whom to ask for what is not counted but measured, each time that somebody looks.
pub fn ask(whom: impl Fn() + Send + 'static) {
    *ASKED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(whom));
}

/// What was counted since the program began (0 where nothing was).
pub fn counted(figure: Figure, label: &str) -> i64 {
    figures().get(&(figure, label.to_owned())).copied().unwrap_or_default()
}

/// All of it in Prometheus' text format.
pub fn render() -> String {
    if let Some(asked) = &*ASKED.lock().unwrap_or_else(PoisonError::into_inner) {
        asked();
    }
    let mut text = String::new();
    let mut last = None;
    for ((figure, label), value) in figures().iter() {
        let (name, key, grows, help) = figure.describe();
        if last.replace(*figure) != Some(*figure) {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", if grows { "counter" } else { "gauge" }));
        }
        match key {
            "" => text.push_str(&format!("{name} {value}\n")),
            key => text.push_str(&format!("{name}{{{key}=\"{}\"}} {value}\n", label.replace(['"', '\\', '\n'], "_"))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_once_described_and_by_label() {
        count(Figure::Tls, "a test's \"version\"");
        count(Figure::Tls, "a test's \"version\"");
        count(Figure::Tls, "another");
        assert_eq!(counted(Figure::Tls, "another"), 1);
        let text = render();
        assert_eq!(text.matches("# TYPE pairpost_smtp_tls_sessions_total counter\n").count(), 1);
        assert!(text.contains("pairpost_smtp_tls_sessions_total{version=\"a test's _version_\"} 2\n"), "{text}");
    }
}
