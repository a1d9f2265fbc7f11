//! Whatever a client sends, in clear and behind STARTTLS: the replies and the letters are the same however its packets are cut.
use std::io::{Read as _, Write as _};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use rustls::{ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    program::PATIENCE,
    sessions::{Client, Listening, believing_in},
};

/// Lines of commands, good and bad. None of them begins a letter or ends the session.
const LINES: &[&[u8]] = &[
    b"EHLO client.test\r\n",
    b"HELO client.test\r\n",
    b"MAIL FROM:<ana@proven.test>\r\n",
    b"MAIL FROM:<> BODY=8BITMIME\r\n",
    b"MAIL FROM:<\"a>b\"@proven.test> SIZE=100 SMTPUTF8\r\n",
    b"RCPT TO:<join@pairs.test>\r\n",
    b"RCPT TO:<help@pairs.test> FOO=BAR\r\n",
    b"RCPT TO:<nobody@pairs.test>\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"NOOP\nRSET\r\n",
    b"NOOP\rRSET\r\n",
    b"HELP\r\n",
    b"VRFY x\r\n",
    b"\r\n",
    b"\0\r\r\n",
    b"NONSENSE\r\n",
];

/// What letters are made of.
const BODY: &[&[u8]] =
    &[b".", b"..", b"\r\n", b"\r\n.", b"\r\n..", b"\r\n.\r\n", b"\n", b"\r", b"x", b"\0", b"\xff", b"NOOP\r\n", b"RCPT TO:<join@pairs.test>\r\n"];

fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let line = select(LINES).prop_map(<[u8]>::to_vec);
    let long = (2000..2100_usize).prop_map(|length| [vec![b'x'; length], b"\r\n".to_vec()].concat());
    let letter = vec(select(BODY), 0..8).prop_map(|body| {
        let begin = b"MAIL FROM:<ana@proven.test>\r\nRCPT TO:<join@pairs.test>\r\nDATA\r\nFrom: ana@proven.test\r\n\r\n";
        [begin.as_slice(), &body.concat(), b"\r\n.\r\n"].concat()
    });
    vec(prop_oneof![5 => line, 2 => long, 3 => letter], 0..8).prop_map(|pieces| pieces.concat())
}

/// How long packets are, over and over.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4_usize, 1..100_usize, 1000..3000_usize], 1..4)
}

async fn send(client: &mut Client, mut octets: &[u8], cuts: &[usize]) {
    for length in cuts.iter().cycle() {
        if octets.is_empty() {
            return;
        }
        let (packet, rest) = octets.split_at((*length).min(octets.len()));
        client.send(packet).await;
        octets = rest;
    }
}

/// A reply without the ids in it.
fn without_id(line: &str) -> String {
    let line = line.split_once(" (session ").map_or(line, |(words, _)| words);
    line.split_once(" Kept as ").map_or(line, |(kept, _)| kept).to_owned()
}

/// Plays both parts, the second one behind STARTTLS, and gives the replies without the ids in them.
async fn replies(listening: &Listening, clear: &[u8], hidden: &[u8], cuts: &[usize]) -> Vec<String> {
    let mut client = Client::connect(listening).await;
    let mut replies = vec![client.line().await.expect("a greeting")];
    send(&mut client, &[b"EHLO client.test\r\n", clear, b"EHLO client.test\r\nSTARTTLS\r\n"].concat(), cuts).await;
    while !replies.last().is_some_and(|line| line.starts_with("220 2.0.0 ")) {
        replies.push(without_id(&client.line().await.expect("a reply")));
    }
    client.encrypt(&believing_in(&listening.data.path().join("smtp-tls.pem"), ""), "pairs.test").await.expect("a handshake");
    send(&mut client, &[b"NOOP\r\nEHLO client.test\r\n", hidden, b"QUIT\r\n"].concat(), cuts).await;
    while let Some(line) = client.line().await {
        replies.push(without_id(&line));
    }
    assert!(replies.last().is_some_and(|line| line.starts_with("221 ")), "{replies:?}");
    replies
}

#[test]
fn replies_and_letters_are_the_same_however_the_packets_are_cut_also_behind_starttls() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let settings = [
        ("PAIRPOST_AUTH__VERIFY", "off"),
        ("PAIRPOST_SMTP__MAX_ERRORS", "1000"),
        ("PAIRPOST_SMTP__MAX_NEW_CONNECTIONS_PER_MINUTE", "100000"),
        ("PAIRPOST_SMTP__MAX_LETTERS_PER_DOMAIN", "100000"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let listening = runtime.block_on(Listening::start(&settings));
    let mut runner = TestRunner::new(Config { cases: Config::default().cases.div_ceil(8), failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(dialogue(), dialogue(), cuts()), |(clear, hidden, cuts)| {
        runtime.block_on(async {
            let whole = replies(&listening, &clear, &hidden, &[usize::MAX]).await;
            let letters = "select string_agg(distinct encode(sha256, 'hex'), ' ') from letter";
            let kept = listening.ask(letters).await;
            prop_assert_eq!(replies(&listening, &clear, &hidden, &cuts).await, whole);
            prop_assert_eq!(listening.ask(letters).await, kept);
            Ok(())
        })
    });
    runtime.block_on(listening.end());
    outcome.expect("the same");
}

/// TLS by hand, so that records and packets are cut where a test wants them.
struct ByHand {
    stream: TcpStream,
    tls: ClientConnection,
}

impl ByHand {
    /// Has said STARTTLS, and knows all of the server's part of the handshake: only our own last part is still to be sent.
    async fn all_but_finished(listening: &Listening) -> Self {
        let mut stream = TcpStream::connect(listening.address).await.expect("the listener listens");
        stream.write_all(b"EHLO client.test\r\nSTARTTLS\r\n").await.expect("it listens");
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains("\r\n220 2.0.0 ") || !heard.ends_with(b"\r\n") {
            assert!(stream.read_buf(&mut heard).await.expect("an answer") > 0, "it hung up");
        }
        let config = believing_in(&listening.data.path().join("smtp-tls.pem"), "1.3").config().clone();
        let mut tls = ClientConnection::new(config, ServerName::try_from("pairs.test").expect("a name")).expect("a client");
        let mut first = Vec::new();
        tls.write_tls(&mut first).expect("a memory");
        stream.write_all(&first).await.expect("it listens");
        let mut this = Self { stream, tls };
        while this.tls.is_handshaking() {
            assert!(this.hear().await, "it hung up");
        }
        this
    }

    /// One read of what comes; false once the server has hung up.
    async fn hear(&mut self) -> bool {
        let mut block = vec![0; 4096];
        let octets = tokio::time::timeout(PATIENCE, self.stream.read(&mut block)).await.expect("an answer in time").unwrap_or(0);
        let mut rest = &block[..octets];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest).expect("a memory");
            self.tls.process_new_packets().expect("good TLS");
        }
        octets > 0
    }

    /// What we would send, each piece in a record of its own.
    fn records(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut sent = Vec::new();
        for piece in pieces {
            self.tls.writer().write_all(piece).expect("a memory");
            while self.tls.wants_write() {
                self.tls.write_tls(&mut sent).expect("a memory");
            }
        }
        sent
    }

    /// The codes of all replies until the server hangs up.
    async fn codes(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut block = [0; 4096];
            while let Ok(octets @ 1..) = self.tls.reader().read(&mut block) {
                text.push_str(&String::from_utf8_lossy(&block[..octets]));
            }
            if !self.hear().await {
                return text.lines().map(|line| &line[..4]).collect::<Vec<_>>().join(",");
            }
        }
    }
}

const HIDDEN: &[u8] =
    b"EHLO client.test\r\nMAIL FROM:<ana@proven.test>\r\nRCPT TO:<join@pairs.test>\r\nDATA\r\nFrom: ana@proven.test\r\n\r\n..\r\n.\r\nNOOP\r\nQUIT\r\n";
const CODES: &str = "250-,250-,250-,250-,250-,250 ,250 ,250 ,354 ,250 ,250 ,221 ";

async fn listening() -> Listening {
    Listening::start(&[("PAIRPOST_AUTH__VERIFY".to_owned(), "off".to_owned())]).await
}

#[tokio::test]
async fn what_rides_in_one_packet_with_the_end_of_the_handshake_is_the_first_that_is_heard() {
    let listening = listening().await;
    let mut client = ByHand::all_but_finished(&listening).await;
    let sent = client.records(&[HIDDEN]);
    client.stream.write_all(&sent).await.expect("it listens");
    assert_eq!(client.codes().await, CODES);
    assert_eq!(listening.ask("select count(*) from letter").await, "1");
    listening.end().await;
}

#[tokio::test]
async fn records_of_one_octet_and_packets_of_one_octet_make_no_difference() {
    let listening = listening().await;
    let mut client = ByHand::all_but_finished(&listening).await;
    let octets: Vec<&[u8]> = HIDDEN.chunks(1).collect();
    let sent = client.records(&octets);
    client.stream.write_all(&sent).await.expect("it listens");
    assert_eq!(client.codes().await, CODES);
    let mut client = ByHand::all_but_finished(&listening).await;
    client.stream.set_nodelay(true).expect("a socket");
    // An empty record in between is none.
    for packet in client.records(&[&HIDDEN[..7], b"", &HIDDEN[7..]]).chunks(1) {
        client.stream.write_all(packet).await.expect("it listens");
    }
    assert_eq!(client.codes().await, CODES);
    listening.end().await;
}

#[tokio::test]
async fn whoever_has_said_all_and_closes_their_side_is_answered_to_the_end() {
    let listening = listening().await;
    let mut stream = TcpStream::connect(listening.address).await.expect("the listener listens");
    // In clear, without a QUIT.
    let letter = HIDDEN.strip_suffix(b"NOOP\r\nQUIT\r\n").expect("so it ends");
    stream.write_all(letter).await.expect("it listens");
    stream.shutdown().await.expect("half of it");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("an answer");
    assert!(heard.lines().last().is_some_and(|line| line.starts_with("250 2.0.0 Kept as ")), "{heard}");
    // In the middle of a letter: of that nothing is kept, and nothing is said about it.
    let mut stream = TcpStream::connect(listening.address).await.expect("the listener listens");
    stream.write_all(&letter[..letter.len() - 3]).await.expect("it listens");
    stream.shutdown().await.expect("half of it");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("an answer");
    assert!(heard.lines().last().is_some_and(|line| line.starts_with("354 ")), "{heard}");
    // In TLS, with the word that nothing more comes, and without it.
    for word in [true, false] {
        let mut client = ByHand::all_but_finished(&listening).await;
        let mut sent = client.records(&[letter]);
        if word {
            client.tls.send_close_notify();
            client.tls.write_tls(&mut sent).expect("a memory");
        }
        client.stream.write_all(&sent).await.expect("it listens");
        client.stream.shutdown().await.expect("half of it");
        assert_eq!(client.codes().await, "250-,250-,250-,250-,250-,250 ,250 ,250 ,354 ,250 ", "{word}");
    }
    assert_eq!(listening.ask("select count(*) from letter").await, "3");
    listening.end().await;
}
