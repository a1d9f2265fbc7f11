//! A disk that really is full, under the data of the private server or under its log: clients are told to come again, nothing is lost, and with room again
//! work goes on by itself.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{
    got,
    outages::{BOUND, place, server},
};
use crate::{
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

/// A disk of so many octets at a folder, gone when dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// `None` where this account may not mount.
    fn mount(at: &'a Path, octets: usize) -> Option<Self> {
        std::fs::create_dir(at).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={octets},mode=711"), "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(at))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// But for a mebibyte.
    fn fill(&self) {
        let disk = rustix::fs::statvfs(self.0).expect("a disk");
        let free = usize::try_from(disk.f_bavail * disk.f_frsize).expect("small");
        std::fs::write(self.filler(), vec![1; free.saturating_sub(1 << 20)]).expect("there is room for it");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _so_well_as_it_goes = Command::new("umount").args(["-l"]).arg(self.0).status();
    }
}

/// Text that can hardly be compressed, so that room is really used.
fn words() -> String {
    let mut seed = 1_u64;
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:016x}\r\n")
    };
    (0..10_000).map(|_| word()).collect()
}

/// Who writes large letters, which are refused for want of room or taken, and nothing else.
#[derive(Default)]
struct Writers {
    written: usize,
    accepted: Vec<String>,
    replies: BTreeMap<String, usize>,
}

impl Writers {
    async fn send(&mut self, program: &Program, body: &str) {
        let from = format!("p{}@example.org", self.written);
        self.written += 1;
        let reply = program.send(&Letter { from: &from, to: "join@pairpost.localhost", body }).await;
        assert!(["250", "452 4.3.1", "451 4.3.0"].iter().any(|good| reply.starts_with(good)), "{reply}");
        *self.replies.entry(reply.get(..9).unwrap_or(&reply).to_owned()).or_default() += 1;
        if reply.starts_with("250") {
            self.accepted.push(from);
        }
    }
}

/// With room again: a letter is taken, and all that were taken are answered, each once. Gives how long both took.
async fn goes_on(program: &Program, hop: &NextHop, mut accepted: Vec<String>) -> (Duration, Duration) {
    let began = Stopwatch::start();
    until("a letter is taken", async || program.send(&Letter::joins("late@example.org")).await.starts_with("250")).await;
    accepted.push("late@example.org".into());
    let taken = began.elapsed();
    until("all are answered", async || accepted.iter().all(|who| got(hop).contains_key(who))).await;
    let answered = began.elapsed();
    assert!(got(hop).values().all(|letters| *letters == 1), "{:?}", got(hop));
    (taken, answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_really_is_full_costs_time_and_no_letter() {
    let (hop, place) = (NextHop::start().await, place());
    let data = place.path().join("data");
    let Some(disk) = Disk::mount(&data, 160 << 20) else {
        return println!("a disk that really is full: not tried, for want of the right to mount one");
    };
    let program = Program::serve(None, &data, &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let body = words();
    disk.fill();
    let mut writers = Writers::default();
    for _ in 0..16 {
        writers.send(&program, &body).await;
    }
    let Writers { accepted, replies, .. } = writers;
    assert!(replies.keys().any(|reply| reply.starts_with("452")), "{replies:?}");
    assert_eq!(program.get("/healthz").await.0, 200);
    disk.make_room();
    let (taken, answered) = goes_on(&program, &hop, accepted).await;
    println!("a disk that really is full: {replies:?}; with room again a letter is taken in {taken:.1?}, all answered in {answered:.1?}");
    assert!(answered < BOUND, "{answered:?}");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_that_dies_for_want_of_room_for_its_log_costs_no_letter_and_is_there_again_as_soon_as_there_is_room() {
    let (hop, place) = (NextHop::start().await, place());
    let data = place.path().join("data");
    let Some(disk) = Disk::mount(&data, 160 << 20) else {
        return println!("a log without room: not tried, for want of the right to mount a disk");
    };
    let program = Program::serve(None, &data, &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let body = words();
    // What is taken now is answered before or after it all.
    hop.mood(Step::Data, Mood::Wait);
    let first = server(&data).expect("it runs");
    let mut writers = Writers::default();
    writers.send(&program, &body).await;
    assert_eq!(writers.accepted.len(), 1, "while there is room");
    disk.fill();
    until("it has died", async || {
        end_log_file(&data).await;
        writers.send(&program, &body).await;
        program.said().contains("the private PostgreSQL died")
    })
    .await;
    for _ in 0..5 {
        writers.send(&program, &body).await;
    }
    let Writers { accepted, replies, .. } = writers;
    assert_eq!(program.get("/healthz").await.0, 200);
    assert_eq!(program.get("/readyz").await.0, 503);
    hop.calm();
    // An answer may have got as far as the next hop before all that.
    hop.go_on();
    disk.make_room();
    let (taken, answered) = goes_on(&program, &hop, accepted).await;
    println!("no room for the log: {replies:?}; with room again a letter is taken in {taken:.1?}, all answered in {answered:.1?}");
    assert_ne!(server(&data), Some(first), "another server runs");
    assert!(answered < BOUND, "{answered:?}");
    program.stop().await;
}

/// What the server writes next needs a file of its log that is not there yet; nothing where it does not answer.
async fn end_log_file(data: &Path) {
    let Some(folder) = std::fs::read_to_string(data.join("cluster/postmaster.pid")).ok().and_then(|note| note.lines().nth(4).map(str::to_owned)) else {
        return;
    };
    let options = PgConnectOptions::new_without_pgpass().socket(folder.trim()).port(5432).username("postgres").database("pairpost");
    if let Ok(mut connection) = PgConnection::connect_with(&options.ssl_mode(PgSslMode::Disable)).await {
        let _it_may_die_of_it = sqlx::raw_sql("select pg_switch_wal()").execute(&mut connection).await;
    }
}
