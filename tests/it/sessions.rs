//! SMTP sessions with a real listener: dialogues as data (their language is described at the head of `sessions/script.rs`), and what dialogues can't tell.
mod listening;
mod script;

use std::{path::Path, sync::Arc, time::Duration};

use pairpost::domain::secret::Secret;
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

pub use listening::{Client, Listening, PEOPLE, believing_in};

// On several threads: a session that drops its database waits for those of the others that are in the midst of a COPY.
#[tokio::test(flavor = "multi_thread")]
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
            script::play(&text).await.map_err(|failure| format!("{}:{failure}", file.file_name().unwrap_or_default().to_string_lossy()))
        });
    }
    let failures: Vec<_> = playing.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
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
        let began = crate::stopwatch::Stopwatch::start();
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
