//! Nothing that we send by ourselves answers a machine (RFC 3834): tried with every sign of one, at every mailbox of ours.
use std::collections::BTreeSet;

use pairpost::{
    domain::address::{OwnAddress, Token},
    store::recipients::Recipient,
};
use uuid::Uuid;

use crate::{
    house::{House, letter},
    sessions::PEOPLE,
};

/// Header fields by which a machine is known, each in a letter that would be answered without them.
const SIGNS: &[&str] = &[
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated",
    "Auto-Submitted: auto-notified; owner-email=x@example.org",
    "auto-submitted: (a comment) AUTO-REPLIED",
    "Auto-Submitted: a-word-of-tomorrow",
    "Precedence: bulk",
    "Precedence: list",
    "PRECEDENCE: Junk",
    "Precedence: auto_reply",
    "List-Id: Librarians <librarians.example.org>",
    "List-Post: <mailto:librarians@example.org>",
    "List-Unsubscribe: <https://example.org/leave>",
    "List-Help: <mailto:help@example.org>",
    "List-Owner: <mailto:owner@example.org>",
    "List-Archive: <https://example.org/>",
    "Mailing-List: list librarians@example.org; contact owner@example.org",
    "X-Mailing-List: <librarians@example.org>",
    "X-Auto-Response-Suppress: All",
    "X-Auto-Response-Suppress: OOF",
    "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
    "X-Autoreply: yes",
    "X-Autorespond: yes",
    "X-Auto-Reply-From: x@example.org",
    "X-Loop: x@example.org",
    "X-Loop: help@pairs.test",
    "Message-ID: <of-ours@pairs.test>",
    "Subject: Automatic reply: Hello",
    "Subject: Out of office: back on Monday",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "Content-Type: multipart/report; report-type=disposition-notification; boundary=b",
    "Content-Type: multipart/report; report-type=feedback-report; boundary=b",
    "Content-Type: multipart/report; report-type=tlsrpt; boundary=b",
    "Content-Disposition: reaction",
];

/// Mailboxes that no person stands behind, some of them ours.
const SENDERS: &[&str] = &[
    "MAILER-DAEMON@example.org",
    "mailer-daemon@mx1.example.org",
    "noreply@example.org",
    "no-reply@example.org",
    "No_Reply@example.org",
    "do-not-reply@example.org",
    "donotreply+tag7@example.org",
    "nepasrepondre@example.org",
    "owner-librarians@example.org",
    "librarians-owner@example.org",
    "librarians-bounces@example.org",
    "listserv@example.org",
    "majordomo@example.org",
    "help@pairs.test",
    "join@pairs.test",
    "topics@PAIRS.test",
    "postmaster@pairs.test",
    "to-ana@pairs.test",
    "reply-aaaaaaaaaaaaaaaa@pairs.test",
];

/// What each purpose of a token is called in the database.
const PURPOSES: [&str; 6] = ["sign-up", "vouch", "subscribe", "service", "hold", "release"];

/// A house with partners, tokens of all purposes, and a letter of ours that may come back; and every kind of mailbox that it has.
async fn house() -> (House, Vec<Recipient>) {
    let house = House::new(&[("PAIRPOST_OPERATOR", "olga@example.com"), ("PAIRPOST_RELAY__LIMITS", "off"), ("PAIRPOST_AUTH__ASKS_PER_HOUR", "100000")]).await;
    for statement in PEOPLE.split_inclusive(";\n") {
        house.change(statement).await;
    }
    let mut recipients = Vec::new();
    for own in
        [OwnAddress::Join, OwnAddress::Help, OwnAddress::Topics, OwnAddress::TopicsJoin, OwnAddress::TopicsLeave, OwnAddress::Abuse, OwnAddress::Postmaster]
    {
        recipients.push(house.recipient(&own).await);
    }
    recipients.push(house.recipient(&OwnAddress::read("to-ben")).await);
    for (n, purpose) in PURPOSES.into_iter().enumerate() {
        let token = Token::from_random([n as u8 + 1; 10]);
        let mut conn = house.store.connection().await.expect("a connection");
        sqlx::query("insert into token (token, purpose, address_id, created_at, expires_at) select $1, $2, $3, $4, $4 + interval '90 days'")
            .bind(token.as_str())
            .bind(purpose)
            .bind(Uuid::from_u128(0x7000_8000_0000_0000_0001))
            .bind(house.now)
            .execute(&mut *conn)
            .await
            .expect("a token");
        drop(conn);
        recipients.push(house.recipient(&OwnAddress::Reply(token)).await);
    }
    house.writes("ana@proven.test", &OwnAddress::Help, "help").await;
    house.work().await;
    let outbox = house.ask("select id from outbox").await.parse().expect("ana is answered");
    recipients.push(Recipient::Bounce { outbox });
    house.change("delete from outbox where kind <> 'help'").await;
    (house, recipients)
}

/// All that was written since, but what goes to the operator: letters to `postmaster@` and `abuse@` are passed on, whoever wrote them.
const WRITTEN: &str =
    "select o.kind || ' to ' || a.email from outbox o join address a on a.id = o.address_id where a.email <> 'olga@example.com' and o.occasion <> 'the first'";

#[tokio::test]
async fn no_machine_is_answered_by_whatever_it_writes_to_whichever_mailbox_of_ours() {
    let (house, recipients) = house().await;
    house.change("update outbox set occasion = 'the first'").await;
    let received = "Received: from a.example by b.example; Mon, 2 Mar 2026 10:00:00 +0000\r\n".repeat(31);
    let mut machines: Vec<(String, bool, String)> = Vec::new();
    for (n, sign) in SIGNS.iter().enumerate() {
        machines.push((format!("writer{n}@example.org"), false, format!("{sign}\r\n")));
    }
    machines.extend(SENDERS.iter().map(|sender| ((*sender).to_owned(), false, String::new())));
    machines.push(("circle@example.org".into(), false, received));
    machines.push(("nobody@example.org".into(), true, String::new()));
    for recipient in &recipients {
        for (from, null_path, fields) in &machines {
            for held in [false, true] {
                let subject = if fields.contains("Subject:") { "" } else { "Subject: yes\r\n" };
                // Words that each of these mailboxes acts on when a person writes them.
                let raw = format!("{fields}From: {from}\r\n{subject}X-Which: {}\r\n\r\nyes\r\n\r\nhelp\r\n", Uuid::now_v7());
                house.arrives(recipient, from, *null_path, &raw, held).await;
            }
        }
    }
    house.work().await;
    assert_eq!(house.ask(WRITTEN).await, "nothing");
    assert_eq!(house.ask("select i.id from inbox i where i.state <> 'done'").await, "nothing", "none waits, none failed");
    assert_eq!(house.ask("select id from person where name not in ('Ana', 'Ben')").await, "nothing", "nor has one signed up");
}

#[tokio::test]
async fn a_person_who_writes_the_same_is_answered_and_the_answers_say_that_they_are_automatic() {
    let (house, recipients) = house().await;
    house.change("update outbox set occasion = 'the first'").await;
    let mut silent = BTreeSet::new();
    for (n, recipient) in recipients.iter().enumerate() {
        let from = match recipient {
            Recipient::Alias { .. } | Recipient::Reply { .. } => "ana@proven.test".to_owned(),
            Recipient::Service(_) | Recipient::Bounce { .. } => format!("person{n}@example.org"),
        };
        let before = house.ask("select count(*) from outbox").await;
        house.comes(recipient, &from, &letter(&from, "help"), false).await;
        house.work().await;
        if house.ask("select count(*) from outbox").await == before {
            silent.insert(recipient.kind().to_owned());
        }
        if matches!(recipient, Recipient::Service(own) if !matches!(own, OwnAddress::Abuse | OwnAddress::Postmaster)) {
            let held = format!("held{n}@example.org");
            house.comes(recipient, &held, &letter(&held, "help"), true).await;
            house.work().await;
            assert_ne!(house.ask(&format!("{WRITTEN} and a.email = '{held}'")).await, "nothing", "{recipient:?}");
        }
    }
    assert_eq!(silent.into_iter().collect::<Vec<_>>(), ["bounce"], "only what comes back is never answered");
    let automatic = "select o.kind from outbox o where o.kind <> 'relay' and position('Auto-Submitted: auto-' in convert_from(o.raw, 'UTF8')) = 0";
    assert_eq!(house.ask(automatic).await, "nothing");
}

#[tokio::test]
async fn of_letters_to_postmaster_so_many_are_passed_on_within_an_hour_and_the_others_kept() {
    let (mut house, _) = house().await;
    let postmaster = house.recipient(&OwnAddress::Postmaster).await;
    let write = async |house: &House, hour: usize| {
        for n in 0..33 {
            let from = format!("writer{hour}-{n}@example.org");
            house.comes(&postmaster, &from, &letter(&from, "Your mail server bites"), n % 2 == 0).await;
        }
        house.work().await;
        house.ask("select count(*) from outbox o join address a on a.id = o.address_id where a.email = 'olga@example.com'").await
    };
    assert_eq!(write(&house, 1).await, "30");
    assert_eq!(house.ask("select count(*) from exchange where outcome like 'kept for the operator; not passed on%'").await, "3", "and it is said");
    house.now += chrono::TimeDelta::minutes(61);
    assert_eq!(write(&house, 2).await, "60");
}
