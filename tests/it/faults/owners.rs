//! The lock by which a process owns rows: who lost it, or can't confirm it, ends no letter any more, and no letter leaves twice for it.
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{
    database::TestDatabase,
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

use super::{got, proxy::Proxy};

/// Ends the sessions that hold a process's lock, as a server does with a client that it lost sight of.
const FREE_LOCKS: &str = "select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and classid = 7725 and objid <= 2147483647 and database = (select oid from pg_database where datname = current_database())";

/// A program whose letter waits at a step of the next hop's.
async fn halted(url: &str, data: &std::path::Path, step: Step) -> (Program, NextHop) {
    let hop = NextHop::start().await;
    hop.mood_on(1, step, Mood::Wait);
    let program = Program::serve(Some(url), data, &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    assert!(program.send(&Letter::joins("ana@example.org")).await.starts_with("250"));
    hop.hears(if step == Step::Dot { "." } else { "DATA" }).await;
    (program, hop)
}

/// How often the next hop heard a line; "." is the end of a letter.
fn heard(hop: &NextHop, line: &str) -> usize {
    hop.commands().iter().filter(|command| *command == line).count()
}

async fn is_said(program: &Program, words: &str) {
    until(words, async || program.said().contains(words)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_lock_is_lost_a_letter_is_ended_only_if_it_was_and_leaves_once() {
    let data = tempfile::tempdir().expect("a folder");
    for (step, dialogues) in [(Step::Data, 2), (Step::Dot, 1)] {
        let database = TestDatabase::new();
        let (program, hop) = halted(&database.url(), data.path(), step).await;
        database.tell(FREE_LOCKS).await;
        let began = Stopwatch::start();
        is_said(&program, "is lost").await;
        let noticed = began.elapsed();
        is_said(&program, "work goes on").await;
        hop.go_on();
        until("it is marked", async || database.ask("select count(*) from outbox where state = 'sent'").await == 1).await;
        println!("lock lost at {step:?}: noticed after {noticed:.1?}; {dialogues} dialogues, 1 letter; marked after {:.1?}", began.elapsed());
        assert_eq!((heard(&hop, "DATA"), heard(&hop, "."), hop.taken().len()), (dialogues, 1, 1));
        assert_eq!(database.ask("select attempts::bigint from outbox").await, 1);
        assert!(noticed < Duration::from_secs(2), "{noticed:?}");
        program.stop().await;
    }
}

/// The network, or the server, swallows everything and ends nothing.
async fn nothing_comes_back() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::before(&database).await;
    let (program, hop) = halted(&proxy.url(), data.path(), Step::Data).await;
    proxy.hang(true);
    let began = Stopwatch::start();
    let unready = until("it is not ready", async || program.get("/readyz").await.0 == 503).await;
    assert_eq!(program.get("/healthz").await.0, 200);
    is_said(&program, "is lost").await;
    let lost = began.elapsed();
    hop.go_on();
    until("the connection is given up", async || hop.has_left(1)).await;
    assert_eq!((heard(&hop, "."), hop.taken().len()), (0, 0), "nothing is ended meanwhile");
    let reply = program.send(&Letter::joins("early@example.org")).await;
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    proxy.hang(false);
    let began = Stopwatch::start();
    until("a letter is taken", async || program.send(&Letter::joins("late@example.org")).await.starts_with("250")).await;
    until("both are answered", async || got(&hop).len() == 2).await;
    let back = began.elapsed();
    println!("nothing comes back: not ready after {unready:.1?}, the lock given up after {lost:.1?}; back to work {back:.1?} after its return");
    assert!(got(&hop).values().all(|letters| *letters == 1), "{:?}", got(&hop));
    assert!(unready < Duration::from_secs(6) && lost <= Duration::from_secs(15) && back < Duration::from_secs(10), "{unready:?} {lost:?} {back:?}");
}

/// A process that was stopped for longer than it may trust its lock, which was freed meanwhile.
async fn paused() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let (sleeper, hop) = halted(&database.url(), data.path(), Step::Data).await;
    sleeper.signal(Signal::STOP);
    let stopped = Instant::now();
    database.tell(FREE_LOCKS).await;
    let other = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let began = Stopwatch::start();
    hop.wait_for(1).await;
    let taken_over = began.elapsed();
    until("the pause is over", async || stopped.elapsed() > Duration::from_millis(15_500)).await;
    sleeper.signal(Signal::CONT);
    hop.go_on();
    is_said(&sleeper, "work goes on").await;
    until("its connection is given up", async || hop.has_left(1)).await;
    assert_eq!((heard(&hop, "DATA"), heard(&hop, "."), hop.taken().len()), (2, 1, 1), "it ends no letter that another has sent");
    assert!(sleeper.send(&Letter::joins("late@example.org")).await.starts_with("250"));
    hop.wait_for(2).await;
    println!("paused for 15.5 s: its letter was taken over {taken_over:.1?} after another was ready, and left once; awake, it works again");
    assert!(taken_over < Duration::from_secs(10), "{taken_over:?}");
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_confirm_the_lock_for_fifteen_seconds_ends_no_letter() {
    tokio::join!(nothing_comes_back(), paused());
}
