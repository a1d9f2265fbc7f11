//! Whatever a client sends, in clear and behind STARTTLS: the replies and the letters are the same however its packets are cut.
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::sessions::{Client, Listening, believing_in};

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
