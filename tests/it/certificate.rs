//! The certificate for STARTTLS, renewed while the program runs.
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    database::TestDatabase,
    program::PATIENCE,
    sessions::{Client, Listening, believing_in},
};

/// As certificates and keys lie in files.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = mail_builder::encoders::base64::Base64Encoder::new().encode(der).expect("base64");
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", String::from_utf8(text).expect("ASCII"))
}

/// Writes a certificate and its key, each over what was there.
fn renew(certificate: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["mx.pairs.test".into()]).expect("a certificate");
    fs::write(certificate, pem("CERTIFICATE", made.cert.der())).expect("written");
    fs::write(key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).expect("written");
}

/// Whether the certificate in this file is the one shown now.
async fn is_shown(address: SocketAddr, certificate: &Path) -> bool {
    let mut client = Client::connect_to(address).await;
    assert!(client.line().await.expect("a greeting").starts_with("220 "));
    client.send(b"HELO client.test\r\n").await;
    assert!(client.line().await.expect("a reply").starts_with("250 "));
    client.send(b"STARTTLS\r\n").await;
    assert!(client.line().await.expect("a reply").starts_with("220 "));
    if client.encrypt(&believing_in(certificate, ""), "mx.pairs.test").await.is_err() {
        return false;
    }
    client.send(b"NOOP\r\n").await;
    client.line().await.expect("a reply").starts_with("250 ")
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_at_once_and_a_broken_one_never() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key, old) = (folder.path().join("fullchain.pem"), folder.path().join("privkey.pem"), folder.path().join("old.pem"));
    renew(&certificate, &key);
    let settings =
        [("PAIRPOST_SMTP__TLS_CERTIFICATE", &certificate), ("PAIRPOST_SMTP__TLS_KEY", &key)].map(|(name, file)| (name.to_owned(), file.display().to_string()));
    let listening = Listening::start(&settings).await;
    assert!(is_shown(listening.address, &certificate).await);
    fs::copy(&certificate, &old).expect("copied");
    renew(&certificate, &key);
    assert!(is_shown(listening.address, &certificate).await, "no signal is needed");
    assert!(!is_shown(listening.address, &old).await);
    // In the moment between the two files the old pair serves.
    fs::copy(&certificate, &old).expect("copied");
    renew(&certificate, &folder.path().join("later.pem"));
    assert!(is_shown(listening.address, &old).await);
    fs::rename(folder.path().join("later.pem"), &key).expect("moved");
    assert!(is_shown(listening.address, &certificate).await);
    fs::copy(&certificate, &old).expect("copied");
    fs::remove_file(&certificate).expect("removed");
    assert!(is_shown(listening.address, &old).await, "also where the file is gone");
    listening.end().await;
}

/// A test that fails leaves no program behind.
struct Program(Child);

impl Program {
    /// Its standard error is the test's to read, or to close.
    fn serve(database: &TestDatabase, data: &Path) -> Self {
        Self(
            Command::new(env!("CARGO_BIN_EXE_pairpost"))
                .arg("serve")
                .env("DATABASE_URL", database.url())
                .env("PAIRPOST_DATA_DIR", data)
                .env("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0")
                .env("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0")
                .env("RUST_LOG", "pairpost=info")
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts"),
        )
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _it_may_be_gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_hangup_has_the_certificate_read_anew_and_ends_nothing() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let mut program = Program::serve(&database, data.path());
    let said = BufReader::new(program.0.stderr.take().expect("piped"));
    let (speak, hear) = mpsc::channel();
    std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| speak.send(line)));
    let wait_for = |words: &str| while !hear.recv_timeout(PATIENCE).expect(words).contains(words) {};
    wait_for("STARTTLS is offered with this certificate");
    wait_for("ready ");
    let pid = Pid::from_raw(i32::try_from(program.0.id()).expect("a number of a process")).expect("not zero");
    for _ in 0..2 {
        kill_process(pid, Signal::HUP).expect("it runs");
        wait_for("STARTTLS is offered with this certificate");
    }
    kill_process(pid, Signal::TERM).expect("it runs");
    wait_for("stopping");
    assert!(program.0.wait().expect("it ends").success());
}

#[tokio::test]
async fn mail_is_taken_also_when_whoever_read_the_log_is_gone() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let mut program = Program::serve(&database, data.path());
    let mut said = BufReader::new(program.0.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("ready ") {
        line.clear();
        assert!(said.read_line(&mut line).expect("it speaks") > 0, "it did not come up");
    }
    drop(said);
    let address = line.split(' ').find_map(|word| word.strip_prefix("smtp=")).and_then(|place| place.parse().ok()).expect("it says where");
    let pid = Pid::from_raw(i32::try_from(program.0.id()).expect("a number of a process")).expect("not zero");
    for _ in 0..3 {
        let mut client = Client::connect_to(address).await;
        // The refusal is logged, or would be.
        client.send(b"NONSENSE\r\nQUIT\r\n").await;
        for code in ["220 ", "500 ", "221 "] {
            assert!(client.line().await.is_some_and(|line| line.starts_with(code)), "{code}");
        }
        kill_process(pid, Signal::HUP).expect("it runs");
    }
    kill_process(pid, Signal::TERM).expect("it runs");
    assert!(program.0.wait().expect("it ends").success());
}
