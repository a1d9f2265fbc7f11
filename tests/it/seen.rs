//! Seen from outside: what clients do stands in the figures, and whoever was refused is found by what the reply told them.
use sqlx::{Connection as _, PgConnection};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    database::TestDatabase,
    program::{Letter, Program, until},
    sessions::{Client, believing_in},
};

const BEGIN: &[u8] = b"EHLO client.test\r\nMAIL FROM:<eve@secret.example>\r\nRCPT TO:<help@pairpost.localhost>\r\nDATA\r\n";

async fn figures(program: &Program) -> String {
    let (status, text) = program.get("/metrics").await;
    assert_eq!(status, 200);
    text
}

async fn client(program: &Program) -> Client {
    let mut client = Client::connect_to(program.smtp.parse().expect("an address")).await;
    assert!(client.line().await.expect("a greeting").starts_with("220 "));
    client
}

/// The last line of the reply to each of the lines sent.
async fn say(client: &mut Client, octets: &[u8], replies: usize) -> String {
    client.send(octets).await;
    let mut last = String::new();
    for _ in 0..replies {
        loop {
            last = client.line().await.expect("a reply");
            if last.as_bytes().get(3) == Some(&b' ') {
                break;
            }
        }
    }
    last
}

#[tokio::test]
async fn what_clients_do_stands_in_the_figures() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let settings = [("PAIRPOST_SMTP__TIMEOUT_SECONDS", "6"), ("PAIRPOST_SMTP__SESSION_SECONDS", "60"), ("PAIRPOST_SMTP__MAX_MESSAGE_BYTES", "2000000")];
    let program = Program::serve(Some(&database.url()), data.path(), &settings);
    let quiet = figures(&program).await;
    for line in ["pairpost_smtp_budget_taken_bytes 0", "pairpost_smtp_budget_bytes 50724864"] {
        assert!(quiet.contains(&format!("{line}\n")), "{line} is not in\n{quiet}");
    }
    // Refused: a command, a recipient, a letter that nobody wrote.
    let mut one = client(&program).await;
    assert!(say(&mut one, b"NONSENSE\r\n", 1).await.starts_with("500 "));
    assert!(say(&mut one, b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@pairpost.localhost>\r\n", 3).await.starts_with("550 5.1.1 "));
    assert!(say(&mut one, b"RCPT TO:<help@pairpost.localhost>\r\nDATA\r\nSubject: no From\r\n\r\n.\r\n", 3).await.starts_with("550 5.6.0 "));
    // Over both versions of TLS, and none at all.
    let certificate = data.path().join("smtp-tls.pem");
    for version in ["1.2", "1.3"] {
        let mut secret = client(&program).await;
        assert!(say(&mut secret, b"EHLO x\r\nSTARTTLS\r\n", 2).await.starts_with("220 "));
        secret.encrypt(&believing_in(&certificate, version), "pairpost.localhost").await.expect("a handshake");
        assert!(say(&mut secret, b"QUIT\r\n", 1).await.starts_with("221 "));
    }
    let mut noise = client(&program).await;
    assert!(say(&mut noise, b"EHLO x\r\nSTARTTLS\r\n", 2).await.starts_with("220 "));
    noise.send(b"EHLO again\r\n").await;
    while noise.line().await.is_some() {}
    drop((one, noise));
    // A letter under way takes of the budget, and gives it back.
    let mut writing = client(&program).await;
    assert!(say(&mut writing, BEGIN, 4).await.starts_with("354 "));
    writing.send(&b"X: so many octets that they are seen\r\n".repeat(20_000)).await;
    until("the letter under way is seen", async || {
        let text = figures(&program).await;
        let taken = text.lines().find_map(|line| line.strip_prefix("pairpost_smtp_budget_taken_bytes ")).and_then(|taken| taken.parse::<usize>().ok());
        taken.is_some_and(|taken| taken > 500_000) && text.contains("\npairpost_smtp_sessions 1\n")
    })
    .await;
    drop(writing);
    // Time-outs: of a command, of a handshake, of a letter.
    let mut silent = client(&program).await;
    let mut shaking = client(&program).await;
    assert!(say(&mut shaking, b"EHLO x\r\nSTARTTLS\r\n", 2).await.starts_with("220 "));
    let mut stuck = client(&program).await;
    assert!(say(&mut stuck, BEGIN, 4).await.starts_with("354 "));
    assert!(say(&mut silent, b"", 1).await.starts_with("421 4.4.2 "));
    assert!(say(&mut stuck, b"", 1).await.starts_with("421 4.4.2 "));
    while shaking.line().await.is_some() {}
    drop((silent, stuck));
    until("all are gone, and what they held", async || {
        let text = figures(&program).await;
        text.contains("\npairpost_smtp_sessions 0\n") && text.contains("\npairpost_smtp_budget_taken_bytes 0\n")
    })
    .await;
    let text = figures(&program).await;
    for line in [
        "pairpost_smtp_sessions_total{way=\"direct\"} 8",
        "pairpost_smtp_refusals_total{reply=\"500 5.5.1\"} 1",
        "pairpost_smtp_refusals_total{reply=\"550 5.1.1\"} 1",
        "pairpost_smtp_refusals_total{reply=\"550 5.6.0\"} 1",
        "pairpost_smtp_refused_total{reason=\"no-writer\"} 1",
        "pairpost_smtp_refused_total{reason=\"handshake\"} 1",
        "pairpost_smtp_tls_sessions_total{version=\"1.2\"} 1",
        "pairpost_smtp_tls_sessions_total{version=\"1.3\"} 1",
        "pairpost_smtp_timeouts_total{of=\"command\"} 1",
        "pairpost_smtp_timeouts_total{of=\"handshake\"} 1",
        "pairpost_smtp_timeouts_total{of=\"letter\"} 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
    for line in text.lines() {
        assert!(
            line.starts_with("# ") || line.rsplit_once(' ').is_some_and(|(name, value)| name.starts_with("pairpost_") && value.parse::<i64>().is_ok()),
            "{line}"
        );
        assert!(!line.contains('@') && !line.contains("secret.example"), "{line}");
    }
    program.stop().await;
}

#[tokio::test]
async fn whoever_was_refused_is_found_in_the_log_and_the_record_by_the_session_of_the_reply() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let program = Program::serve(Some(&database.url()), data.path(), &[]);
    let mut refused = client(&program).await;
    let session_of = |reply: &str| reply.rsplit_once("(session ").expect("it names the session").1.trim_end_matches(')').to_owned();
    let recipient = say(&mut refused, b"HELO x\r\nMAIL FROM:<eve@secret.example>\r\nRCPT TO:<nobody-here@pairpost.localhost>\r\n", 3).await;
    let letter = say(&mut refused, b"RCPT TO:<help@pairpost.localhost>\r\nDATA\r\nSubject: private words\r\n\r\n.\r\n", 3).await;
    let session = session_of(&letter);
    assert_eq!(session_of(&recipient), session);
    let kept =
        say(&mut refused, b"MAIL FROM:<eve@secret.example>\r\nRCPT TO:<help@pairpost.localhost>\r\nDATA\r\nFrom: eve@secret.example\r\n\r\nhello\r\n.\r\n", 4)
            .await;
    let kept = kept.strip_prefix("250 2.0.0 Kept as ").expect("it is kept").to_owned();
    // One that never gets as far as a session of samotop's is signed, too.
    let mut browser = client(&program).await;
    let web = session_of(&say(&mut browser, b"GET / HTTP/1.1\r\n", 1).await);
    until("the log has all of it", async || {
        let said = program.said();
        let line = |words: &[&str]| said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        line(&[&session, "550 5.1.1"]) && line(&[&session, "550 5.6.0"]) && line(&[&session, &kept]) && line(&[&web, "421 4.7.0"])
    })
    .await;
    let said = program.said();
    for secret in ["secret.example", "nobody-here", "private words", "@"] {
        let line = said.lines().find(|line| line.contains(secret) && !line.contains("help@pairpost.localhost knows more"));
        assert_eq!(line, None, "{secret} stands in the log");
    }
    let show = |what: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pairpost"));
        let command = command.args(["exchange", "show", what, "--json"]).env("DATABASE_URL", database.url()).env("PAIRPOST_DATA_DIR", data.path());
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let row = show(&session);
    assert!(row.contains("\"decision\": \"refused: no-writer\"") && row.contains(&format!("\"session\": \"{session}\"")) && !row.contains("\"take\""), "{row}");
    assert!(show(&kept).contains("\"direction\": \"in\""));
    program.stop().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing_behind() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let program = Program::serve(Some(&database.url()), data.path(), &[]);
    for number in 0..50 {
        let mut stream = TcpStream::connect(&program.smtp).await.expect("it listens");
        stream.write_all(&[BEGIN, b"From: eve@secret.example\r\n\r\nhalf a letter\r\n.\r".as_slice()].concat()).await.expect("it listens");
        // Every other one is reset.
        stream.set_zero_linger().expect("a socket");
        if number % 2 == 0 {
            stream.shutdown().await.expect("it is half closed");
        }
    }
    until("all sessions are over", async || {
        let text = figures(&program).await;
        text.contains("\npairpost_smtp_sessions 0\n") && text.contains("\npairpost_smtp_budget_taken_bytes 0\n")
    })
    .await;
    let text = figures(&program).await;
    assert!(!text.contains("pairpost_letters{"), "{text}");
    program.stop().await;
}

#[tokio::test]
async fn letters_that_wait_or_failed_are_counted_and_those_of_all_years_are_not() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let program = Program::serve(Some(&database.url()), data.path(), &[]);
    for who in ["ana@example.org", "bea@example.org", "cy@example.org"] {
        assert!(program.send(&Letter::joins(who)).await.starts_with("250"));
    }
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the database is there");
    let done = "select (select count(*) from inbox where state = 'done') + (select count(*) from outbox where state = 'sent')";
    until("all is done", async || sqlx::query_scalar::<_, i64>(done).fetch_one(&mut connection).await.expect("a number") == 6).await;
    assert!(!figures(&program).await.contains("pairpost_letters{"));
    let stay = "update inbox set state = 'failed' where id = (select max(id::text)::uuid from inbox);
        update outbox set state = 'held' where id = (select max(id::text)::uuid from outbox);
        update outbox set state = 'failed' where id = (select min(id::text)::uuid from outbox)";
    sqlx::raw_sql(stay).execute(&mut connection).await.expect("changed");
    let text = figures(&program).await;
    let counted: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("pairpost_letters{")).collect();
    assert_eq!(counted, [r#"queue="inbox",state="failed"} 1"#, r#"queue="outbox",state="failed"} 1"#, r#"queue="outbox",state="held"} 1"#]);
    program.stop().await;
}
