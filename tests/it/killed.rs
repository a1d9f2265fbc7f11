//! The built program, killed in the middle of its work: what it answered 250 is answered, nothing is lost.
use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};

use crate::database::TestDatabase;

/// Letters accepted before each kill.
const LETTERS: usize = 12;
/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Served {
    program: Child,
    smtp: String,
}

/// A test that fails leaves no program behind.
impl Drop for Served {
    fn drop(&mut self) {
        let _it_may_be_gone = self.program.kill();
        let _reaped = self.program.wait();
    }
}

fn serve(database: &TestDatabase, data: &std::path::Path) -> Served {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pairpost"))
        .arg("serve")
        .env("DATABASE_URL", database.url())
        .env("PAIRPOST_DATA_DIR", data)
        .env("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0")
        .env("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0")
        .env("PAIRPOST_AUTH__VERIFY", "off")
        .env("RUST_LOG", "off")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let words =
        BufReader::new(program.stderr.take().expect("piped")).lines().map_while(Result::ok).find(|line| line.starts_with("ready ")).expect("it is ready");
    let smtp = words.split(' ').find_map(|word| word.strip_prefix("smtp=")).expect("it says where").to_owned();
    Served { program, smtp }
}

/// Signs somebody up; true once the letter was answered 250.
fn send(smtp: &str, who: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(smtp)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut answer = String::new();
    let letter = format!("From: {who}\r\nMessage-ID: <{who}>\r\nSubject: Hello\r\n\r\nI would like to join.\r\n.\r\n");
    for step in ["", "EHLO example.org\r\n", &format!("MAIL FROM:<{who}>\r\n"), "RCPT TO:<join@pairpost.localhost>\r\n", "DATA\r\n", &letter] {
        stream.write_all(step.as_bytes())?;
        loop {
            answer.clear();
            if replies.read_line(&mut answer)? == 0 {
                return Ok(false);
            }
            if answer.as_bytes().get(3) == Some(&b' ') {
                break;
            }
        }
    }
    Ok(answer.starts_with("250"))
}

async fn answered(database: &TestDatabase) -> HashSet<String> {
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    let query = "select a.email_key from outbox o join address a on a.id = o.address_id where o.kind = 'form' and o.state = 'sent'";
    sqlx::query_scalar::<_, String>(query).fetch_all(&mut connection).await.expect("a good query").into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_answered_250_is_handled_though_the_program_is_killed() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let mut accepted = HashSet::new();
    for life in 0..3 {
        let mut served = serve(&database, data.path());
        for number in 0..LETTERS {
            let who = format!("p{life}x{number}@example.org");
            if send(&served.smtp, &who).expect("it listens") {
                accepted.insert(who);
            }
        }
        served.program.kill().expect("SIGKILL");
        served.program.wait().expect("it is gone");
    }
    assert_eq!(accepted.len(), 3 * LETTERS);

    let mut served = serve(&database, data.path());
    let until = Instant::now() + PATIENCE;
    while answered(&database).await != accepted {
        assert!(Instant::now() < until, "unanswered: {:?}", accepted.difference(&answered(&database).await).collect::<Vec<_>>());
        tokio::task::yield_now().await;
    }
    let pid = Pid::from_raw(i32::try_from(served.program.id()).expect("a number of a process")).expect("not zero");
    kill_process(pid, Signal::TERM).expect("it runs");
    // Nobody reads its standard error any more, which must not keep it from ending.
    let ended = loop {
        if let Some(ended) = served.program.try_wait().expect("it is a child") {
            break ended;
        }
        assert!(Instant::now() < until, "SIGTERM does not end it");
        tokio::task::yield_now().await;
    };
    assert!(ended.success(), "SIGTERM ends it cleanly");
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    let query = "select count(*) from outbox where kind = 'form'";
    let written: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("a good query");
    assert_eq!(written as usize, accepted.len(), "nobody is written to twice");
}
