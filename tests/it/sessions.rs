//! SMTP dialogues as data (`tests/sessions/*.txt`), played against a real listener with a database and a name server of its own.
//!
//! | line | what it does |
//! |---|---|
//! | `# …` | says what the session shows; the first one is its name |
//! | `set KEY VALUE` | configuration (`smtp.max_errors 3`), before the first line of the dialogue |
//! | `c: …` | is sent, with CR LF; `\r \n \t \0 \\ \xHH` stand for octets |
//! | `c+: …` | is sent in one packet with what follows |
//! | `raw: …` | octets as they are, without CR LF; `raw+:` as above |
//! | `fill N: …` | the line N times |
//! | `long N` | N octets without a line end |
//! | `skip N: …` | N received lines that all look so |
//! | `s: …` | the next line that is received; `*` stands for anything |
//! | `closed` | the server hangs up |
//! | `tls` | the client shakes hands; `tls 1.2`: in that version |
//! | `reconnect` | a new session |
//! | `other` | from here on the other client plays, who connects when it first does |
//! | `taken N` | waits until letters under way have taken so many octets of the budget of memory |
//! | `database away`, `database back` | connections to it are refused, or made again |
//! | `? select …`, then `= …` | what the database answers, as text |
use std::{path::Path, sync::Arc, time::Duration};

use pairpost::{config::Config, domain::secret::Secret, smtp, store::Store};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, Semaphore},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
};

/// What the sessions' name server knows: `proven.test` speaks for letters from loopback, `there.test` for those
/// from 192.0.2.7, `forged.test` for none, `bare.test` publishes nothing.
const ZONE: &str = "
    proven.test TXT v=spf1 ip4:127.0.0.1 -all
    _dmarc.proven.test TXT v=DMARC1; p=reject
    spf-only.test TXT v=spf1 ip4:127.0.0.1 -all
    forged.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.forged.test TXT v=DMARC1; p=reject
    _dmarc.watched.test TXT v=DMARC1; p=none
    ill.test SERVFAIL
    _dmarc.ill.test SERVFAIL
    there.test TXT v=spf1 ip4:192.0.2.7 -all
    _dmarc.there.test TXT v=DMARC1; p=reject
    7.2.0.192.list.test A 127.0.0.2
    7.2.0.192.ill.test SERVFAIL
    7.2.0.192.silent.test SILENCE
    8.2.0.192.silent.test SILENCE
";

/// Ana and Ben are partners: who writes to `to-ben@` reaches Ben. Their former partnership is over. Ana was asked something twice, once long ago.
pub const PEOPLE: &str = "
    insert into person (id, name, created_at) select ('00000000-0000-7000-8000-00000000000' || n)::uuid, name, now() from (values (1, 'Ana'), (2, 'Ben')) as p (n, name);
    insert into address (id, person_id, email, email_key, is_primary, created_at)
        select person.id, person.id, lower(name) || '@proven.test', lower(name) || '@proven.test', true, now() from person;
    insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, seed, created_at)
        values ('00000000-0000-7000-8000-000000000010', 'spring', '2027-01-01', '2027-01-02', '2027-01-03', '2027-01-04', '2027-06-01', 1, now());
    insert into partnership (id, round_id, state, score, created_at) values
        ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000010', 'introduced', 1, now()),
        ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000010', 'ended', 1, now());
    insert into partner (partnership_id, person_id, alias, side)
        select p.id, person.id, case p.state when 'ended' then 'once-' else 'to-' end || lower(person.name), '{}' from partnership p, person;
    insert into token (token, purpose, address_id, created_at, expires_at)
        select word, 'sign-up', '00000000-0000-7000-8000-000000000001', now(), until
        from (values ('aaaaaaaaaaaaaaaa', timestamptz '2100-01-01'), ('bbbbbbbbbbbbbbbb', '2020-01-01')) as t (word, until);
";

/// How long anything may take before the session has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A listener with all that belongs to it.
pub struct Listening {
    /// The database.
    pub database: TestDatabase,
    /// Where it takes mail.
    pub address: std::net::SocketAddr,
    /// Ends it.
    pub stop: CancellationToken,
    /// Comes to its end after `stop`.
    pub serving: JoinHandle<()>,
    /// Where its certificate lies.
    pub data: tempfile::TempDir,
    store: Store,
    door: Arc<smtp::Door>,
    _name_server: NameServer,
}

impl Listening {
    /// For `pairs.test`, on a free port, with the configuration given as environment variables.
    pub async fn start(settings: &[(String, String)]) -> Self {
        let database = TestDatabase::new();
        let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
        sqlx::raw_sql(PEOPLE).execute(&mut connection).await.expect("people are there");
        let store = database.store().await;
        let name_server = NameServer::start(zone(ZONE)).await;
        let data = tempfile::tempdir().expect("a folder");
        let fixed = [
            ("PAIRPOST_DATA_DIR".to_owned(), data.path().display().to_string()),
            ("PAIRPOST_DOMAIN".to_owned(), "pairs.test".to_owned()),
            ("PAIRPOST_SMTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("PAIRPOST_DNS__SERVER".to_owned(), name_server.address.to_string()),
        ];
        let config = Config::load(Some(Path::new("/dev/null")), fixed.into_iter().chain(settings.iter().cloned())).expect("a good configuration");
        let door = smtp::Door::new(&config, store.clone(), Secret::from_bytes([7; 32]), Arc::new(chrono::Utc::now), Arc::new(Notify::new())).expect("a door");
        let listeners = smtp::bind(&config).await.expect("a free port");
        let address = listeners[0].local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(smtp::serve(door.clone(), listeners, stop.clone()));
        Self { database, address, stop, serving, data, store, door, _name_server: name_server }
    }

    /// What the database answers, as text.
    pub async fn ask(&self, query: &str) -> String {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the test's database is there");
        let query = format!("select coalesce((select answer::text from ({query}) as asked (answer)), 'null')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
    }

    /// Ends it; the pool is closed before the database goes.
    pub async fn end(self) {
        self.stop.cancel();
        self.serving.await.expect("the listener ends");
        self.store.close().await;
    }
}

/// A client's TLS, in `version` or in any, that believes in the certificate in this file and in no other.
pub fn believing_in(certificate: &Path, version: &str) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("a good one");
    let versions: &[&rustls::SupportedProtocolVersion] = match version {
        "1.2" => &[&rustls::version::TLS12],
        "1.3" => &[&rustls::version::TLS13],
        _ => rustls::ALL_VERSIONS,
    };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Either side of TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client that plays its part line by line.
pub struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(listening: &Listening) -> Self {
        Self::connect_to(listening.address).await
    }

    /// Connects to an address.
    pub async fn connect_to(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the listener listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream: Box::new(stream), received: Vec::new(), unsent: Vec::new() }
    }

    /// Shakes hands; what the server said in clear after its word to go on is an error.
    pub async fn encrypt(&mut self, connector: &TlsConnector, name: &str) -> Result<(), String> {
        if !self.received.is_empty() {
            return Err(format!("{:?} was said in clear", String::from_utf8_lossy(&self.received)));
        }
        let clear = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let shaking = tokio::time::timeout(PATIENCE, connector.connect(name, clear)).await.map_err(|_| "no handshake in time".to_owned())?;
        self.stream = Box::new(shaking.map_err(|error| format!("no handshake: {error}"))?);
        Ok(())
    }

    /// Sends octets; a server that has hung up does not mind.
    pub async fn send(&mut self, octets: &[u8]) {
        self.unsent.extend(octets);
        let _ = self.stream.write_all(&std::mem::take(&mut self.unsent)).await;
        let _ = self.stream.flush().await;
    }

    /// The next line without its CR LF; `None` once the server has hung up.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            match read.expect("an answer in time") {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }
}

#[tokio::test]
async fn every_session_goes_as_it_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("sessions").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 20, "the sessions are found");
    let (places, mut playing) = (Arc::new(Semaphore::new(4)), JoinSet::new());
    for file in files {
        let (text, places) = (std::fs::read_to_string(&file).expect("a text"), places.clone());
        playing.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            play(&text).await.map_err(|failure| format!("{}:{failure}", file.file_name().unwrap_or_default().to_string_lossy()))
        });
    }
    let failures: Vec<_> = playing.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

async fn play(text: &str) -> Result<(), String> {
    let lines = || text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let settings: Vec<_> = lines().filter_map(|(_, line)| setting(line)).collect();
    let listening = Listening::start(&settings).await;
    let mut client = Client::connect(&listening).await;
    let mut other = None;
    let mut answer = None;
    let mut outcome = Ok(());
    for (number, line) in lines().filter(|(_, line)| setting(line).is_none()) {
        if line == "other" {
            let next = match other.take() {
                Some(other) => other,
                None => Client::connect(&listening).await,
            };
            other = Some(std::mem::replace(&mut client, next));
            continue;
        }
        outcome = step(line, &listening, &mut client, &mut answer).await.map_err(|failure| format!("{number}: {failure}"));
        if outcome.is_err() {
            break;
        }
    }
    drop((client, other));
    listening.end().await;
    outcome
}

/// `set smtp.max_errors 3` as an environment variable.
fn setting(line: &str) -> Option<(String, String)> {
    let (key, value) = line.strip_prefix("set ")?.split_once(' ')?;
    Some((format!("PAIRPOST_{}", key.to_uppercase().replace('.', "__")), value.to_owned()))
}

async fn step(line: &str, listening: &Listening, client: &mut Client, answer: &mut Option<String>) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest));
    match word {
        "c:" => client.send(&[octets(rest), b"\r\n".to_vec()].concat()).await,
        "c+:" => client.unsent.extend([octets(rest), b"\r\n".to_vec()].concat()),
        "raw:" => client.send(&octets(rest)).await,
        "raw+:" => client.unsent.extend(octets(rest)),
        "fill" => {
            let (count, text) = rest.split_once(": ").ok_or("fill N: text")?;
            let line = [octets(text), b"\r\n".to_vec()].concat();
            client.send(&line.repeat(count.parse().map_err(|_| "fill N: text")?)).await;
        }
        "s:" => match client.line().await {
            Some(got) if matches(rest, &got) => {}
            got => return Err(format!("expected {rest:?}, got {got:?}")),
        },
        "long" => client.send(&vec![b'x'; rest.parse().map_err(|_| "long N")?]).await,
        "skip" => {
            let (count, pattern) = rest.split_once(": ").ok_or("skip N: pattern")?;
            for number in 1..=count.parse().map_err(|_| "skip N: pattern")? {
                match client.line().await {
                    Some(got) if matches(pattern, &got) => {}
                    got => return Err(format!("expected {pattern:?}, got {got:?} as number {number}")),
                }
            }
        }
        "closed" => {
            if let Some(got) = client.line().await {
                return Err(format!("expected the server to hang up, got {got:?}"));
            }
        }
        "tls" => client.encrypt(&believing_in(&listening.data.path().join("smtp-tls.pem"), rest), "pairs.test").await?,
        "reconnect" => *client = Client::connect(listening).await,
        "taken" => {
            let octets: usize = rest.parse().map_err(|_| "taken N")?;
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            let taken = async {
                while listening.door.memory().1 < octets {
                    looks.tick().await;
                }
            };
            tokio::time::timeout(PATIENCE, taken).await.map_err(|_| format!("{octets} octets of memory are not taken"))?;
        }
        "database" => listening.database.cut_off(rest == "away").await,
        "?" => *answer = Some(listening.ask(rest).await),
        "=" => {
            let got = answer.take().ok_or("there was no question")?;
            if !matches(rest, &got) {
                return Err(format!("expected {rest:?}, the database says {got:?}"));
            }
        }
        other => return Err(format!("{other:?} is no word of a session")),
    }
    Ok(())
}

/// The escapes of a line undone.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next().expect("something behind the backslash") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("\\{} is no escape", char::from(other)),
        });
    }
    out
}

/// `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))),
    }
}

#[tokio::test]
async fn every_octet_arrives_intact_but_a_cr_or_lf_alone() {
    let listening = Listening::start(&[("PAIRPOST_AUTH__VERIFY".to_owned(), "off".to_owned())]).await;
    let mut client = Client::connect(&listening).await;
    let every: Vec<u8> = (0..=255).chain((0..=255).rev()).filter(|byte| !b"\r\n".contains(byte)).collect();
    let letter = [b"From: ana@proven.test\r\nMessage-ID: <1@proven.test>\r\n\r\n".as_slice(), &every, b"\r\n"].concat();
    client.send(b"EHLO client.test\r\nMAIL FROM:<ana@proven.test> BODY=8BITMIME\r\nRCPT TO:<join@pairs.test>\r\nDATA\r\n").await;
    while !client.line().await.expect("a reply").starts_with("354") {}
    client.send(&letter).await;
    client.send(b".\r\n").await;
    let reply = client.line().await.expect("a reply");
    let mut connection = PgConnection::connect_with(&listening.database.options()).await.expect("the test's database is there");
    let (id, kept): (uuid::Uuid, Vec<u8>) = sqlx::query_as("select id, raw from letter").fetch_one(&mut connection).await.expect("one letter");
    assert_eq!(kept, letter);
    assert_eq!(reply, format!("250 2.0.0 Kept as {id}"));
    listening.end().await;
}

#[tokio::test]
async fn a_program_that_stops_says_so_and_lets_a_letter_be_finished() {
    let listening = Listening::start(&[("PAIRPOST_AUTH__VERIFY".to_owned(), "off".to_owned())]).await;
    let (mut idle, mut busy) = (Client::connect(&listening).await, Client::connect(&listening).await);
    assert!(idle.line().await.expect("a greeting").starts_with("220 "));
    busy.send(b"EHLO client.test\r\nMAIL FROM:<ana@proven.test>\r\nRCPT TO:<join@pairs.test>\r\nDATA\r\n").await;
    while !busy.line().await.expect("a reply").starts_with("354") {}
    listening.stop.cancel();
    assert!(idle.line().await.expect("a goodbye").starts_with("421 4.3.2"));
    assert_eq!(idle.line().await, None);
    busy.send(b"From: ana@proven.test\r\n\r\nHello\r\n.\r\n").await;
    assert!(busy.line().await.expect("a reply").starts_with("250 2.0.0"));
    assert!(busy.line().await.expect("a goodbye").starts_with("421 4.3.2"));
    assert!(TcpStream::connect(listening.address).await.is_err(), "nobody listens any more");
    listening.end().await;
}

#[tokio::test]
async fn one_client_too_many_is_told_to_come_again() {
    let listening = Listening::start(&[("PAIRPOST_SMTP__MAX_CONNECTIONS".to_owned(), "2".to_owned())]).await;
    let (mut first, mut second) = (Client::connect(&listening).await, Client::connect(&listening).await);
    assert!(first.line().await.expect("a greeting").starts_with("220 "));
    assert!(second.line().await.expect("a reply").starts_with("421 4.3.2"));
    assert_eq!(second.line().await, None);
    listening.end().await;
}

#[tokio::test]
async fn a_bounce_is_judged_by_the_address_we_signed_and_not_by_its_writer() {
    let listening = Listening::start(&[]).await;
    let address = Secret::from_bytes([7; 32]).signed_id("bounce", uuid::Uuid::from_u128(1));
    let mut client = Client::connect(&listening).await;
    client.send(format!("HELO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<bounce-{address}@pairs.test>\r\nDATA\r\n").as_bytes()).await;
    while !client.line().await.expect("a reply").starts_with("354") {}
    client.send(b"From: MAILER-DAEMON@forged.test\r\nSubject: Undelivered\r\n\r\n.\r\n").await;
    assert!(client.line().await.expect("a reply").starts_with("250 2.0.0 Kept as "));
    assert_eq!(listening.ask("select admission || ' ' || (verdict ->> 'dmarc') from inbox").await, "take none");
    listening.end().await;
}

#[tokio::test]
async fn the_same_dialogue_has_the_same_replies_however_its_packets_are_cut() {
    let dialogue = b"EHLO client.test\r\nMAIL FROM:<ana@proven.test>\r\nRCPT TO:<join@pairs.test>\r\nRCPT TO:<nobody@pairs.test>\r\nDATA\r\n\
        From: ana@proven.test\r\n\r\n.x\r\n..\r\n.\r\nNOOP\nQUIT\r\nMAIL FROM:<>\r\nDATA\r\nQUIT\r\nNOOP\r\n";
    let listening = Listening::start(&[("PAIRPOST_AUTH__VERIFY".to_owned(), "off".to_owned())]).await;
    let mut expected = None;
    for step in [dialogue.len(), 1, 2, 3, 5, 7, 64] {
        let mut client = Client::connect(&listening).await;
        for packet in dialogue.chunks(step) {
            client.send(packet).await;
        }
        let mut codes = Vec::new();
        while let Some(line) = client.line().await {
            codes.push(line[..4].to_owned());
        }
        let all = "220 ,250-,250-,250-,250-,250-,250-,250 ,250 ,250 ,550 ,354 ,250 ,500 ,250 ,503 ,221 ";
        assert_eq!(codes.join(","), all, "in packets of {step}");
        let kept = listening.ask("select string_agg(distinct encode(sha256, 'hex'), ' ') from letter").await;
        assert_eq!(expected.get_or_insert_with(|| kept.clone()), &kept, "in packets of {step}");
    }
    listening.end().await;
}

#[tokio::test]
async fn whoever_writes_for_the_first_time_is_let_in_when_they_come_again() {
    let settings = [("SMTP__GREYLISTING", "on"), ("SMTP__TRUSTED_BALANCERS", "127.0.0.1"), ("SMTP__GREETING_DELAY_MS", "0"), ("AUTH__VERIFY", "off")];
    let listening = Listening::start(&settings.map(|(key, value)| (format!("PAIRPOST_{key}"), value.to_owned()))).await;
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x19";
    let mut connection = PgConnection::connect_with(&listening.database.options()).await.expect("the test's database is there");
    for (minutes_ago, recipient, reply) in
        [(0, "join", "451 4.7.1"), (1, "join", "451 4.7.1"), (6, "join", "250 2.1.5"), (0, "help", "451 4.7.1"), (0, "postmaster", "250 2.1.5")]
    {
        sqlx::query("update greylist set first_at = last_at - make_interval(mins => $1)")
            .bind(minutes_ago)
            .execute(&mut connection)
            .await
            .expect("a good query");
        let mut client = Client::connect(&listening).await;
        client.send(header).await;
        client.send(format!("HELO client.test\r\nMAIL FROM:<ana@proven.test>\r\nRCPT TO:<{recipient}@pairs.test>\r\n").as_bytes()).await;
        for _ in 0..3 {
            assert!(client.line().await.expect("a reply").starts_with('2'));
        }
        let got = client.line().await.expect("a reply");
        assert!(got.starts_with(reply), "{recipient} after {minutes_ago} minutes: {got}");
    }
    let kept: Vec<String> = sqlx::query_scalar("select triple from greylist").fetch_all(&mut connection).await.expect("a good query");
    assert!(kept.len() == 2 && kept.iter().all(|triple| !triple.contains('@')), "no address stands there: {kept:?}");
    listening.end().await;
}

#[tokio::test]
async fn a_list_that_does_not_answer_delays_one_letter_for_some_seconds_and_refuses_none() {
    let settings = [("SMTP__DNS_LISTS", "silent.test,list.test"), ("SMTP__TRUSTED_BALANCERS", "127.0.0.1"), ("SMTP__GREETING_DELAY_MS", "0")];
    let listening = Listening::start(&settings.map(|(key, value)| (format!("PAIRPOST_{key}"), value.to_owned()))).await;
    let mut took = Vec::new();
    for (last, reply) in [(8, "250 2.1.5"), (8, "250 2.1.5"), (7, "550 5.7.1")] {
        let mut client = Client::connect(&listening).await;
        client.send(&[b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02".as_slice(), &[last], b"\x7f\x00\x00\x01\x12\x34\x00\x19"].concat()).await;
        client.send(b"HELO client.test\r\nMAIL FROM:<ana@proven.test>\r\nRCPT TO:<join@pairs.test>\r\n").await;
        for _ in 0..3 {
            assert!(client.line().await.expect("a reply").starts_with('2'));
        }
        let began = std::time::Instant::now();
        let got = client.line().await.expect("a reply");
        took.push(began.elapsed());
        assert!(got.starts_with(reply), "192.0.2.{last}: {got}");
    }
    assert!(took[0] < Duration::from_secs(6) && took[1] < Duration::from_secs(2) && took[2] < Duration::from_secs(2), "{took:?}");
    listening.end().await;
}

#[tokio::test]
async fn where_all_places_are_taken_whoever_let_us_wait_longest_makes_room() {
    let settings = [("SMTP__MAX_CONNECTIONS", "1"), ("SMTP__MAX_CONNECTIONS_PER_CLIENT", "1")];
    let listening = Listening::start(&settings.map(|(key, value)| (format!("PAIRPOST_{key}"), value.to_owned()))).await;
    let mut slow = Client::connect(&listening).await;
    assert!(slow.line().await.expect("a greeting").starts_with("220 "));
    crate::program::until("another comes in", async || {
        let mut next = Client::connect(&listening).await;
        next.line().await.is_some_and(|line| line.starts_with("220 "))
    })
    .await;
    assert!(slow.line().await.expect("a word").starts_with("421 4.3.2 Many others are waiting"));
    assert_eq!(slow.line().await, None);
    listening.end().await;
}
