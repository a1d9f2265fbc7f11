//! `pairpost serve` and `pairpost tick`.
use std::{io::IsTerminal, sync::Arc};

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::print;
use crate::{app, config::Config, handlers::Site, schedule, store::Store};

/// Serves until SIGTERM or Ctrl-C, or until the terminal goes away, then finishes what was accepted. SIGHUP has the certificate read anew.
pub async fn run(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let reload = Arc::new(Notify::new());
    let gone = terminal_gone(signal(SignalKind::hangup())?, reload.clone());
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {}, () = gone => {} }
        asked.cancel();
        print::note("stopping: finishing what was accepted");
    });
    app::serve(config, stop, reload, |line| print::note(line)).await
}

/// Passes each SIGHUP on; ends with the one that says that the terminal we were started at is closed.
async fn terminal_gone(mut hangup: Signal, reload: Arc<Notify>) {
    let at_a_terminal = std::io::stderr().is_terminal();
    while hangup.recv().await.is_some() {
        if at_a_terminal && !std::io::stderr().is_terminal() {
            return;
        }
        reload.notify_one();
    }
    std::future::pending().await
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
