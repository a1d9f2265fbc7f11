//! `pairpost serve` and `pairpost tick`.
use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::print;
use crate::{app, config::Config, handlers::Site, schedule, store::Store};

/// Serves until SIGTERM or Ctrl-C, then finishes what was accepted.
pub async fn run(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        asked.cancel();
        print::note("stopping: finishing what was accepted");
    });
    app::serve(config, stop, |line| print::note(line)).await
}

/// Does whatever the calendar would do at `at`, until nothing is left to do.
pub async fn tick(store: &Store, site: &Site, at: DateTime<Utc>) -> Result<()> {
    let mut done = 0;
    loop {
        match schedule::step(store, site, at).await? {
            0 => break,
            more => done += more,
        }
    }
    print::line(format_args!("{done} things done as of {at}"));
    Ok(())
}
