//! Letters between partners, from the row in the inbox to the row in the outbox: who is named, what is hidden, and how much is held at once.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use pairpost::{
    app,
    config::Config,
    domain::{address::EmailAddress, admission::Admission, breaker::Stream},
    inbox::Inbox,
    mail::{
        envelope::{Envelope, Verdict},
        message::Message,
    },
    store::{
        Store,
        arrivals::{self, Arrival},
        inbox,
        letters::{self, Bytes},
        outbox::{self, Allowance, NewLetter},
        ownership::Owner,
        people,
        recipients::Recipient,
        record,
    },
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::database::TestDatabase;

/// Three partners: Ana, Ben and Cleo; Ben has a second mailbox.
struct Trio {
    store: Store,
    inbox: Inbox,
    partnership: Uuid,
    people: Vec<Uuid>,
    now: DateTime<Utc>,
    _database: TestDatabase,
    _dir: tempfile::TempDir,
}

const MAILBOXES: [(&str, &str); 3] = [("Ana", "ana@example.org"), ("Ben", "ben@example.net"), ("Cleo", "cleo@example.com")];
const ALIASES: [&str; 3] = ["to-ana", "to-ben", "to-cleo"];

impl Trio {
    async fn new() -> Self {
        let (database, dir) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
        let store = database.store().await;
        let settings = [("PAIRPOST_DOMAIN", "pairs.test"), ("PAIRPOST_DATA_DIR", dir.path().to_str().expect("a name"))];
        let config = Config::load(Some(std::path::Path::new("/dev/null")), settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter());
        let site = Arc::new(app::site(&config.expect("good settings")).expect("a programme"));
        let (owner, watch) = Owner::take(&store).await.expect("a lock");
        tokio::spawn(watch);
        let inbox = Inbox { store: store.clone(), owner, site, outbox: Arc::new(Notify::new()) };
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
        let (partnership, people) = partners(&store, now).await;
        Self { store, inbox, partnership, people, now, _database: database, _dir: dir }
    }

    /// A letter of Ana's to the partner of that number comes in.
    async fn comes(&self, to: usize, head: &str, body: &str) {
        self.comes_from("ana@example.org", to, &format!("From: ana@example.org\r\n{head}\r\n{body}\r\n")).await;
    }

    async fn comes_from(&self, from: &str, to: usize, raw: &str) {
        let from = EmailAddress::parse(from).expect("an address");
        let envelope = Envelope { peer: std::net::Ipv4Addr::LOCALHOST.into(), helo: "x".into(), reverse_path: Some(from.clone()) };
        let recipient = Recipient::Alias { alias: ALIASES[to].into(), partnership: self.partnership, reader: self.people[to], over: false };
        let arrival = Arrival {
            raw: raw.as_bytes(),
            envelope: &envelope,
            from: Some(&from),
            message_id: None,
            verdict: &Verdict::UNCHECKED,
            recipients: &[recipient],
            domain: "pairs.test",
            session: "abc",
            tls: None,
            records_refusals: true,
        };
        let mut conn = self.store.connection().await.expect("a connection");
        arrivals::accept(&mut conn, &[arrival], |_, _, _| Admission::Take, None, self.now).await.expect("kept");
    }

    /// Handles what came, and gives what goes out: to whom, and the letter.
    async fn passed_on(&self) -> Vec<(String, Message)> {
        while self.inbox.step(self.now).await.expect("the inbox works") > 0 {}
        let mut conn = self.store.connection().await.expect("a connection");
        let undone: Vec<String> = sqlx::query_scalar(
            "select concat_ws(' / ', e.decision, e.outcome, i.last_error) from inbox i join exchange e on e.id = i.exchange_id where e.outcome is distinct from 'relayed'",
        )
        .fetch_all(&mut *conn)
        .await
        .expect("rows");
        assert_eq!(undone, [""; 0]);
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("select a.email, o.raw from outbox o join address a on a.id = o.address_id where o.kind = 'relay' order by o.id")
                .fetch_all(&mut *conn)
                .await
                .expect("rows");
        rows.into_iter().map(|(to, raw)| (to, Message::parse(&raw))).collect()
    }
}

async fn partners(store: &Store, now: DateTime<Utc>) -> (Uuid, Vec<Uuid>) {
    let mut conn = store.connection().await.expect("a connection");
    let mut people = Vec::new();
    for (name, email) in MAILBOXES {
        let address = people::address_id(&mut conn, &EmailAddress::parse(email).expect("an address"), now).await.expect("a row");
        let person = people::ensure(&mut conn, address, now).await.expect("a row");
        people::set_name(&mut conn, person.id, name).await.expect("a name");
        people.push(person.id);
    }
    let second = people::address_id(&mut conn, &EmailAddress::parse("benjamin@work.example").expect("an address"), now).await.expect("a row");
    sqlx::query("update address set person_id = $2 where id = $1").bind(second).bind(people[1]).execute(&mut *conn).await.expect("his too");
    let (round, partnership) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query(
        "insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, seed, created_at)
         values ($1, 'Spring', '2027-01-01', '2027-01-02', '2027-01-03', '2027-01-04', '2027-06-01', 1, $2)",
    )
    .bind(round)
    .bind(now)
    .execute(&mut *conn)
    .await
    .expect("a round");
    sqlx::query("insert into partnership (id, round_id, state, score, created_at) values ($1, $2, 'introduced', 1, $3)")
        .bind(partnership)
        .bind(round)
        .bind(now)
        .execute(&mut *conn)
        .await
        .expect("a partnership");
    for (person, alias) in people.iter().zip(ALIASES) {
        let row = sqlx::query("insert into partner (partnership_id, person_id, alias, side) values ($1, $2, $3, '{}')");
        row.bind(partnership).bind(person).bind(alias).execute(&mut *conn).await.expect("a partner");
    }
    (partnership, people)
}

fn texts(addresses: &[EmailAddress]) -> Vec<&str> {
    addresses.iter().map(EmailAddress::as_str).collect()
}

#[tokio::test]
async fn in_a_trio_the_third_is_named_only_where_the_letter_went_to_both() {
    let trio = Trio::new().await;
    trio.comes(1, "To: to-ben@pairs.test\r\nSubject: alone\r\n", "Hello Ben").await;
    for to in [1, 2] {
        trio.comes(to, "To: Ben <to-ben@pairs.test>\r\nCc: TO-Cleo@pairs.test\r\nSubject: both\r\n", "Hello you two").await;
    }
    let out = trio.passed_on().await;
    let seen: Vec<_> = out.iter().map(|(to, letter)| (to.as_str(), letter.subject.as_str(), texts(&letter.to), texts(&letter.cc))).collect();
    assert_eq!(
        seen,
        [
            ("ben@example.net", "alone", vec!["ben@example.net"], vec![]),
            ("ben@example.net", "both", vec!["ben@example.net"], vec!["to-cleo@pairs.test"]),
            ("cleo@example.com", "both", vec!["cleo@example.com"], vec!["to-ben@pairs.test"]),
        ]
    );
    assert!(out.iter().all(|(_, letter)| letter.from.as_ref().is_some_and(|from| from.as_str() == "to-ana@pairs.test")));
}

#[tokio::test]
async fn no_known_address_of_anybody_stands_in_a_quote() {
    let trio = Trio::new().await;
    trio.comes(1, "To: to-ben@pairs.test\r\n", "> Ben <ben@example.net>, or benjamin@work.example, and cleo@example.com wrote to ana@example.org").await;
    let out = trio.passed_on().await;
    assert_eq!(out[0].1.text(), "> Ben <to-ben@pairs.test>, or to-ben@pairs.test, and to-cleo@pairs.test wrote to to-ana@pairs.test");
}

#[tokio::test]
async fn octets_of_text_come_through_as_they_were_written() {
    let trio = Trio::new().await;
    let all: String = (0u8..128).filter(|b| !matches!(b, b'\r' | b'\n')).map(char::from).collect();
    trio.comes(1, "Content-Type: text/plain; charset=us-ascii\r\n", &format!("<{all}>")).await;
    let out = trio.passed_on().await;
    let part = out[0].1.part("text/plain").expect("a text");
    assert_eq!(part.text.as_deref().map(str::trim_end), Some(format!("<{all}>").as_str()));
}

#[tokio::test]
async fn large_letters_are_not_claimed_many_at_once() {
    let trio = Trio::new().await;
    let large = format!("Subject: large\r\n\r\n{}", "x".repeat(3000));
    for n in 0..6 {
        trio.comes_from(&format!("writer{n}@example.org"), 1, &large).await;
    }
    let mut conn = trio.store.connection().await.expect("a connection");
    let owner = trio.inbox.owner.held().await.id();
    for wanted in [2, 2, 2, 0] {
        let claimed = inbox::claim(&mut conn, owner, 20, 4000, i32::MAX, trio.now).await.expect("claimed");
        assert_eq!(claimed.len(), wanted);
    }
}

#[tokio::test]
async fn large_letters_do_not_leave_many_at_once() {
    let trio = Trio::new().await;
    let mut conn = trio.store.connection().await.expect("a connection");
    let to = EmailAddress::parse("ben@example.net").expect("an address");
    let address_id = people::address_id(&mut conn, &to, trio.now).await.expect("a row");
    for n in 0..3 {
        let letter = NewLetter {
            id: Uuid::now_v7(),
            address_id,
            to: &to,
            mailbox: "to-ana",
            kind: "relay",
            stream: Stream::Relay,
            occasion: &format!("relay:{n}"),
            reverse_path: "",
            message_id: &format!("{n}@pairs.test"),
            raw: Bytes::Here(&[b'x'; 3000]),
            cause: None,
            sending: None,
            not_before: trio.now,
        };
        assert!(outbox::enqueue(&mut conn, &letter, trio.now).await.expect("queued"));
    }
    for wanted in [(2, true), (1, false), (0, false)] {
        let allowance = Allowance { letters: 20, per_domain: 20, others: 0, ahead: 0, octets: 4000, far: false };
        let mut tx = trio.store.begin().await.expect("a transaction");
        let (claimed, left) = outbox::claim(&mut tx, trio.inbox.owner.held().await.id(), allowance, trio.now).await.expect("claimed");
        tx.commit().await.expect("claimed");
        assert_eq!((claimed.len(), left), wanted);
    }
}

// Threads, for the largest is written while it is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_letter_is_kept_in_pieces_on_both_sides_comes_out_whole_and_is_forgotten() {
    let trio = Trio::new().await;
    let line = format!("{}\r\n", "So much to tell. ".repeat(4).trim_end());
    // Around the size from which on letters are in pieces, and ends within, at and behind a piece's.
    let sizes = [65_000, 65_536, 72_000, 72_001, 700_000];
    for (n, size) in sizes.into_iter().enumerate() {
        let head = format!("From: ana@example.org\r\nSubject: {n}\r\nContent-Type: text/plain\r\n\r\n");
        let mut raw = head + &line.repeat(size / line.len() + 1);
        raw.truncate(size - 2);
        raw.push_str("\r\n");
        trio.comes_from("ana@example.org", 1, &raw).await;
        while trio.inbox.step(trio.now).await.expect("the inbox works") > 0 {}
    }
    let mut conn = trio.store.connection().await.expect("a connection");
    let pieces = "select count(*), coalesce(max(length(raw)), 0) from piece";
    let kept: (i64, i32) = sqlx::query_as(pieces).fetch_one(&mut *conn).await.expect("pieces");
    assert!(kept.0 >= 2 * (9 + 9 + 10 + 88) && kept.1 == 8000, "{kept:?}");
    let received: Vec<Uuid> = sqlx::query_scalar("select id from inbox order by id").fetch_all(&mut *conn).await.expect("rows");
    for (id, size) in received.into_iter().zip(sizes) {
        let (_, raw) = record::received(&mut conn, id).await.expect("a row").expect("a letter");
        assert_eq!(raw.expect("kept").len(), size);
    }
    let allowance = Allowance { letters: 20, per_domain: 20, others: 0, ahead: 0, octets: usize::MAX >> 1, far: false };
    let mut tx = trio.store.begin().await.expect("a transaction");
    let (claimed, left) = outbox::claim(&mut tx, trio.inbox.owner.held().await.id(), allowance, trio.now).await.expect("claimed");
    tx.commit().await.expect("claimed");
    assert_eq!((claimed.len(), left), (sizes.len(), false));
    for (letter, size) in claimed.iter().zip(sizes) {
        let large = outbox::bytes_of(&trio.store, letter).await.expect("read");
        let raw = large.as_ref().unwrap_or(&letter.raw);
        assert_eq!((raw.len(), large.is_some()), (letter.size as usize, raw.len() >= 65_536));
        assert!(raw.len() > size - 100 && raw.windows(line.len()).filter(|one| *one == line.as_bytes()).count() >= size / line.len() - 4);
        let (_, shown) = record::queued(&mut conn, letter.id).await.expect("a row").expect("a letter");
        assert_eq!(shown.as_ref(), Some(raw));
    }
    sqlx::query("update outbox set state = 'sent', sent_at = $1, owner = null").bind(trio.now).execute(&mut *conn).await.expect("marked");
    assert_eq!(
        letters::drop_words(&mut conn, trio.now + chrono::TimeDelta::days(14), trio.now + chrono::TimeDelta::days(14)).await.expect("forgotten"),
        2 * sizes.len() as u64
    );
    let kept: (i64, i32) = sqlx::query_as(pieces).fetch_one(&mut *conn).await.expect("pieces");
    assert_eq!(kept, (0, 0));
}

/// A picture of about so many octets, with a word of its maker in it.
fn a_png(size: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], kind, body, b"crc!"].concat();
    let noise: Vec<u8> = (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &[0; 13]), chunk(b"tEXt", b"Ana made it"), chunk(b"IDAT", &noise), chunk(b"IEND", b"")].concat()
}

#[tokio::test]
async fn a_picture_that_passes_is_kept_once_and_made_again_and_its_letter_is_forgotten_with_the_last_that_has_it() {
    let trio = Trio::new().await;
    let part = |size, columns| {
        let encoded = mail_builder::encoders::Base64Encoder::new().encode(&a_png(size)).expect("encoded");
        let lines: Vec<_> = encoded.chunks(columns).map(|line| String::from_utf8_lossy(line)).collect();
        format!("--b\r\nContent-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", lines.join("\r\n"))
    };
    let words = format!("--b\r\n\r\n{}\r\n", "Look at this!\r\n".repeat(800));
    // As most programs write them, as some do, several, and one too small to matter.
    let letters = [vec![part(90_000, 76)], vec![part(90_001, 60)], vec![part(60_000, 76), part(500, 76), part(70_000, 76)]];
    for (n, parts) in letters.iter().enumerate() {
        let head = format!("From: ana@example.org\r\nSubject: {n}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
        trio.comes_from("ana@example.org", 1, &format!("{head}{words}{}--b--\r\n", parts.concat())).await;
        while trio.inbox.step(trio.now).await.expect("the inbox works") > 0 {}
    }
    let mut conn = trio.store.connection().await.expect("a connection");
    let allowance = Allowance { letters: 20, per_domain: 20, others: 0, ahead: 0, octets: usize::MAX >> 1, far: false };
    let mut tx = trio.store.begin().await.expect("a transaction");
    let (claimed, _) = outbox::claim(&mut tx, trio.inbox.owner.held().await.id(), allowance, trio.now).await.expect("claimed");
    tx.commit().await.expect("claimed");
    assert_eq!(claimed.len(), letters.len());
    for letter in &claimed {
        let kept: i64 =
            sqlx::query_scalar("select sum(length(raw)) from piece where letter_id = $1").bind(letter.id).fetch_one(&mut *conn).await.expect("pieces");
        assert!((10_000..30_000).contains(&kept), "{kept} of {}", letter.size);
        // As it was made, which this process remembers, and then made again.
        let (first, again) = (outbox::bytes_of(&trio.store, letter).await.expect("made"), outbox::bytes_of(&trio.store, letter).await.expect("made again"));
        let first = first.expect("it is large");
        assert_eq!(first.len(), letter.size as usize);
        assert!(again.is_some_and(|again| again == first), "another letter");
        let (_, shown) = record::queued(&mut conn, letter.id).await.expect("a row").expect("a letter");
        assert!(shown.is_some_and(|shown| shown == first), "another letter is shown");
    }
    let later = trio.now + chrono::TimeDelta::days(30);
    assert_eq!(letters::drop_words(&mut conn, later, later).await.expect("nothing"), 0, "the letters that leave are not sent yet");
    sqlx::query("update outbox set state = 'sent', sent_at = $1, owner = null").bind(trio.now).execute(&mut *conn).await.expect("marked");
    assert_eq!(letters::drop_words(&mut conn, later, later).await.expect("forgotten"), 6);
    let kept: i64 = sqlx::query_scalar("select count(*) from piece").fetch_one(&mut *conn).await.expect("pieces");
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_letter_whose_writing_ends_midway_and_the_connection_serves_the_next() {
    let trio = Trio::new().await;
    let line = "So much to tell.\r\n";
    for (letter, dies) in [("poison", true), ("broken", false), ("whole", false)] {
        let store = trio.store.clone();
        let written = tokio::spawn(async move {
            let mut tx = store.begin().await.expect("a transaction");
            let octets = letters::keep(&mut tx, Uuid::now_v7(), |out| {
                for n in 0..40_000 {
                    out.write_all(line.as_bytes())?;
                    assert!(n < 30_000 || !dies, "a letter over which we die");
                    if n > 30_000 && letter == "broken" {
                        return Err(std::io::ErrorKind::InvalidData.into());
                    }
                }
                Ok(())
            });
            let octets = octets.await?;
            tx.commit().await.map(|()| octets)
        });
        match (letter, written.await) {
            ("poison", Err(died)) => assert!(died.is_panic()),
            ("broken", Ok(written)) => assert!(written.is_err()),
            ("whole", Ok(written)) => assert_eq!(written.expect("written"), 40_000 * line.len()),
            (letter, other) => panic!("{letter}: {other:?}"),
        }
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(trio.store.begin().await.expect("a sound connection"));
        }
        let kept: i64 = sqlx::query_scalar("select coalesce(sum(length(raw)), 0) from piece").fetch_one(&mut *all[0]).await.expect("pieces");
        assert_eq!(kept as usize, if letter == "whole" { 40_000 * line.len() } else { 0 }, "{letter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pieces_stay_of_a_letter_that_was_written_before() {
    let trio = Trio::new().await;
    let to = EmailAddress::parse("ben@example.net").expect("an address");
    for queued in [true, false] {
        let mut tx = trio.store.begin().await.expect("a transaction");
        let address_id = people::address_id(&mut tx, &to, trio.now).await.expect("a row");
        let id = Uuid::now_v7();
        let octets = letters::keep(&mut tx, id, |out| out.write_all(&[b'x'; 300_000])).await.expect("written");
        let letter = NewLetter {
            id,
            address_id,
            to: &to,
            mailbox: "to-ana",
            kind: "relay",
            stream: Stream::Relay,
            occasion: "relay:once",
            reverse_path: "",
            message_id: "once@pairs.test",
            raw: Bytes::Kept(octets),
            cause: None,
            sending: None,
            not_before: trio.now,
        };
        assert_eq!(outbox::enqueue(&mut tx, &letter, trio.now).await.expect("queued"), queued);
        tx.commit().await.expect("committed");
        let kept: i64 = sqlx::query_scalar("select sum(length(raw)) from piece")
            .fetch_one(&mut *trio.store.connection().await.expect("a connection"))
            .await
            .expect("pieces");
        assert_eq!(kept, 300_000);
    }
}
