//! The demonstration as a person runs it: it plays to its end, its figures are right, and nothing of it is left, however it ends.
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection};

use crate::{database::TestDatabase, program::PATIENCE, stopwatch::Stopwatch};

/// A place for everything that the demonstration makes, which the account that runs Postgres for root can reach.
fn place() -> tempfile::TempDir {
    let place = tempfile::Builder::new().prefix("demo-").tempdir_in("/tmp").expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).expect("ours to change");
    place
}

fn demo(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pairpost"));
    for (name, _) in std::env::vars().filter(|(name, _)| name == "DATABASE_URL" || name == "RUST_LOG" || name.starts_with("PAIRPOST_")) {
        command.env_remove(name);
    }
    command.arg("demo").current_dir(place).env("TMPDIR", place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The number behind a word at the beginning of a line.
fn figure(output: &str, word: &str) -> u32 {
    let line = output.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word:?} in:\n{output}"));
    line.trim().parse().expect("a number")
}

/// No file below `place`, and no process that was told of it.
fn nothing_is_left(place: &Path) {
    let name = place.to_str().expect("a plain name").as_bytes();
    let began = Stopwatch::start();
    loop {
        let files: Vec<_> = fs::read_dir(place).expect("still there").flatten().map(|entry| entry.path()).collect();
        let processes: Vec<_> = fs::read_dir("/proc")
            .expect("Linux")
            .flatten()
            .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.windows(name.len()).any(|part| part == name)))
            .map(|entry| entry.path())
            .collect();
        if files.is_empty() && processes.is_empty() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "left behind: {files:?} {processes:?}");
        std::thread::yield_now();
    }
}

fn plays_well(mut command: Command) {
    let output = command.output().expect("runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for (word, at_least) in [("Letters in ", 50), ("Letters out ", 80), ("Refused ", 2)] {
        assert!(figure(&out, word) >= at_least, "{out}");
    }
    for word in ["Failed ", "Leaks found "] {
        assert_eq!(figure(&out, word), 0, "{out}");
    }
    assert_eq!(err.lines().filter(|line| line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())).count(), 15, "{err}");
    assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "no colour where nobody looks");
}

#[test]
fn the_demonstration_plays_a_whole_round_twice_and_leaves_nothing_behind() {
    let place = place();
    for _ in 0..2 {
        plays_well(demo(place.path()));
        nothing_is_left(place.path());
    }
}

#[tokio::test]
async fn on_a_server_that_is_there_it_makes_a_database_of_its_own_and_drops_it() {
    let (place, database) = (place(), TestDatabase::new());
    for _ in 0..2 {
        let mut command = demo(place.path());
        command.env("DATABASE_URL", database.url());
        plays_well(command);
        nothing_is_left(place.path());
    }
    let mut connection = PgConnection::connect_with(&database.options()).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar("select datname from pg_database where datname like 'pairpost%demo%'").fetch_all(&mut connection).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    let letters: i64 = sqlx::query_scalar("select count(*) from exchange").fetch_one(&mut connection).await.unwrap();
    assert_eq!(letters, 0, "the database that the URL names is not touched");
}

/// Lines that a running demonstration says, until one holds `words`.
fn hear(said: impl std::io::Read, words: &str) -> Vec<String> {
    let mut heard = Vec::new();
    for line in BufReader::new(said).lines() {
        let line = line.expect("text");
        heard.push(line.clone());
        if line.contains(words) {
            return heard;
        }
    }
    panic!("it ended without saying {words:?}: {heard:#?}");
}

/// A running demonstration; killed where a test fails before its end.
struct Running(Child);

impl Running {
    fn ctrl_c(&self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.0.wait().expect("ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn stopped_in_the_middle_it_says_so_and_leaves_nothing_behind() {
    let place = place();
    let mut running = Running(demo(place.path()).spawn().expect("runs"));
    let mut said = running.0.stderr.take().expect("piped");
    hear(&mut said, "They fill in the form");
    running.ctrl_c();
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!(running.exit_code(), Some(1));
    assert!(rest.ends_with("pairpost: stopped before the end; nothing is left behind\n"), "{rest}");
    nothing_is_left(place.path());
}

#[test]
fn a_reader_that_goes_makes_no_difference() {
    let place = place();
    let mut running = Running(demo(place.path()).spawn().expect("runs"));
    hear(running.0.stderr.take().expect("piped"), "1. ");
    drop(running.0.stdout.take());
    assert_eq!(running.exit_code(), Some(0));
    nothing_is_left(place.path());
}

#[test]
fn kept_it_shows_everybodys_letters_until_ctrl_c() {
    let place = place();
    let mut running = Running(demo(place.path()).arg("--keep").stderr(Stdio::null()).spawn().expect("runs"));
    let mut said = running.0.stdout.take().expect("piped");
    let heard = hear(&mut said, "Ctrl-C ends it");
    let told = |word: &str| heard.iter().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("no {word:?}: {heard:#?}")).trim().to_owned();
    let server = told("Everybody's mailbox as a page").trim_start_matches("http://").trim_end_matches("/mailboxes").to_owned();
    let ask = |path: &str| -> String {
        let mut stream = TcpStream::connect(&server).expect("a page is there");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    };
    let page = |path: &str| -> String {
        let answer = ask(path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        answer
    };
    let mailboxes = page("/mailboxes");
    assert!(mailboxes.contains("The Librarians&#x27; Exchange"), "{mailboxes}");
    let mut pictures = 0;
    for entry in fs::read_dir(told("The same as Maildirs")).expect("Maildirs").flatten() {
        let name = entry.file_name().into_string().expect("an address");
        assert!(mailboxes.contains(&name), "{name} is not on the page");
        let mailbox = page(&format!("/mailboxes/{name}"));
        let letters: Vec<_> = fs::read_dir(entry.path().join("cur")).expect("a Maildir").flatten().collect();
        assert_eq!(mailbox.matches("<li>").count(), letters.len(), "{name}");
        for letter in letters {
            let path = format!("/mailboxes/{name}/{}", letter.file_name().into_string().expect("a name").replace(':', "%3A"));
            pictures += page(&path).replace("&#x2f;", "/").matches("<img src=\"data:image/jpeg;base64,/9j/").count();
            let html = page(&format!("{path}/html"));
            assert!(html.contains("content-security-policy: sandbox; default-src 'none'"), "{html}");
        }
    }
    assert_eq!(pictures, 1, "the photograph is shown where it arrived");
    for nowhere in ["/mailboxes/..%2F..", "/mailboxes/nobody@example.org", "/mailboxes/tama@example.org/..%2F..%2Fsecret"] {
        assert!(ask(nowhere).starts_with("HTTP/1.1 404 "), "{nowhere}");
    }
    running.ctrl_c();
    assert_eq!(running.exit_code(), Some(0));
    nothing_is_left(place.path());
}
