//! The built program as a test runs it: served, spoken to, stopped, paused and killed.
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::stopwatch::Stopwatch;

/// How long anything may take before a test has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `pairpost serve`, ended with the test.
pub struct Program {
    process: Child,
    /// Where it takes mail.
    pub smtp: String,
    /// Where it shows pages.
    pub http: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Serves on a database (none: its private one in `data`), with these keys of its configuration.
    pub fn serve(database: Option<&str>, data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairpost"));
        for (name, _) in std::env::vars().filter(|(name, _)| name == "DATABASE_URL" || name.starts_with("PAIRPOST_")) {
            command.env_remove(name);
        }
        command.envs(database.map(|url| ("DATABASE_URL", url))).env("PAIRPOST_DATA_DIR", data).env("RUST_LOG", "pairpost=info");
        command.env("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0").env("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0").env("PAIRPOST_AUTH__VERIFY", "off");
        let mut process = command.arg("serve").envs(settings.iter().copied()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().inspect(|line| said.push(line.clone())).find(|line| line.starts_with("ready "));
        let ready = ready.unwrap_or_else(|| panic!("it did not come up: {said:?}"));
        let place = |word| ready.split(' ').find_map(|part| part.strip_prefix(word)).expect("it says where").to_owned();
        let said = Arc::new(Mutex::new(said));
        let heard = said.clone();
        std::thread::spawn(move || lines.for_each(|line| heard.lock().unwrap().push(line)));
        Self { smtp: place("smtp="), http: place("http="), process, said }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a number of a process")).expect("not zero");
        kill_process(pid, signal).expect("it runs");
    }

    /// SIGKILL, and it is gone.
    pub fn kill(&mut self) {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("it is gone");
    }

    /// SIGTERM, and it ends cleanly.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended().await, Some(0), "SIGTERM ends it cleanly");
    }

    /// Waits until it has ended, and gives its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        until("it has ended", async || self.process.try_wait().expect("a child").is_some()).await;
        self.process.wait().expect("it has ended").code()
    }

    /// What it has said so far, on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Hands over a letter; the reply that decided, which is the one to the dot if it came so far. Errors are in words.
    pub async fn send(&self, letter: &Letter<'_>) -> String {
        send(&self.smtp, letter).await.unwrap_or_else(|error| format!("421 {error}"))
    }

    /// Status and body of a page.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.http).await.expect("it shows pages");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await.expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

/// A test that fails leaves no program behind, and tells what it said.
impl Drop for Program {
    fn drop(&mut self) {
        let _it_may_be_gone = self.process.kill();
        let _reaped = self.process.wait();
        if std::thread::panicking() {
            println!("The program said:\n{}", self.said());
        }
    }
}

/// A letter to the programme.
pub struct Letter<'a> {
    /// Who writes, in envelope and header; its Message-ID is made of it.
    pub from: &'a str,
    /// To whom.
    pub to: &'a str,
    /// The body, its lines ended by CR LF and without dots at their beginning.
    pub body: &'a str,
}

impl<'a> Letter<'a> {
    /// Somebody would like to join.
    pub fn joins(from: &'a str) -> Self {
        Self { from, to: "join@pairpost.localhost", body: "I would like to join.\r\n" }
    }
}

async fn send(smtp: &str, Letter { from, to, body }: &Letter<'_>) -> std::io::Result<String> {
    let mut stream = tokio::io::BufStream::new(TcpStream::connect(smtp).await?);
    let letter = format!("From: {from}\r\nTo: {to}\r\nMessage-ID: <{from}>\r\nSubject: Hello\r\n\r\n{body}.\r\n");
    let mut answer = String::new();
    for (step, wanted) in [
        ("", '2'),
        ("EHLO example.org\r\n", '2'),
        (&format!("MAIL FROM:<{from}>\r\n"), '2'),
        (&format!("RCPT TO:<{to}>\r\n"), '2'),
        ("DATA\r\n", '3'),
        (&letter, '2'),
    ] {
        stream.write_all(step.as_bytes()).await?;
        stream.flush().await?;
        loop {
            answer.clear();
            if stream.read_line(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if answer.as_bytes().get(3) == Some(&b' ') {
                break;
            }
        }
        if !answer.starts_with(wanted) {
            break;
        }
    }
    Ok(answer.trim_end().to_owned())
}

/// Waits until a condition holds; gives how long that took.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let began = Stopwatch::start();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    // After a moment in which nobody looked, others have their turn between two looks as ever.
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?} not yet: {what}");
        looks.tick().await;
    }
    began.elapsed()
}
