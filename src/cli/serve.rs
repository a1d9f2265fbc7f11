//! `pairpost serve` and `pairpost tick`.
use std::{io::IsTerminal, sync::Arc};

use std::os::unix::process::CommandExt as _;

use anyhow::Result;
use chrono::{DateTime, Utc};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::print;
use crate::{app, config::Config, handlers::Site, schedule, store::Store};

/// Blocks from this size on are given back to the system when they are freed. glibc raises the size by itself as soon as a large block was freed, up to
/// 32 MiB, and then keeps what one large letter took: after letters of 25 MB the program held 150 MiB, with this 47 (and its Postgres, which inherits it,
/// half as much); mimalloc held 121. It is read when a program begins, hence the second beginning.
const GIVEN_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

/// Begins again, as the same process, with the allocator set as it should be, unless somebody has set it.
pub fn begin_lean() {
    if cfg!(target_env = "gnu")
        && std::env::var_os(GIVEN_BACK.0).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let mut words = std::env::args_os();
        let name = words.next().unwrap_or_else(|| "pairpost".into());
        let error = std::process::Command::new(program).arg0(name).args(words).env(GIVEN_BACK.0, GIVEN_BACK.1).exec();
        // It works all the same.
        print::note(format_args!("pairpost: the allocator stays as it was: {error}"));
    }
}

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
        print::note("stopping: finishing what is in hand");
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
