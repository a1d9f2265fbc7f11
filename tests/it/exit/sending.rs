//! What leaves, how it is handed over, and what is kept: on one connection, signed, or into Maildirs.
use std::collections::BTreeSet;

use chrono::TimeDelta;
use pairpost::{
    domain::address::EmailAddress,
    handlers::{Context, Sending},
    mail::{draft::ListFields, envelope::AuthResult},
    store::{letters, people},
    templates::letters::TopicLetter,
};

use super::{Post, SENT};
use crate::{
    next_hop::{Mood, NextHop, Step},
    program::until,
    stopwatch::Stopwatch,
};

#[tokio::test]
async fn each_letter_is_sent_once_on_a_kept_connection_with_its_own_return_path() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    for n in 0..3 {
        post.write(&format!("ana{n}@example.org"), "one").await;
        post.work().await;
    }
    post.work().await;
    let taken = hop.taken();
    assert_eq!((taken.iter().map(|letter| letter.connection).collect::<Vec<_>>(), hop.connections()), (vec![1, 1, 1], 1));
    let paths: BTreeSet<_> = taken.iter().map(|letter| letter.from.split('>').next().unwrap_or_default().to_owned()).collect();
    assert!(paths.len() == 3 && paths.iter().all(|path| path.starts_with("<bounce-") && path.ends_with("@pairs.test")), "{paths:?}");
    assert!(taken.iter().all(|letter| letter.from.contains(&format!(" SIZE={}", letter.bytes.len()))), "{taken:?}");
    assert!(taken[0].text().starts_with("DKIM-Signature: ") && taken[0].text().ends_with("\r\n") && !taken[0].text().ends_with("\r\n\r\n"));
    assert_eq!(post.record().await, ["sent / sent / 250 2.0.0 queued as 77"; 3].join(" | "));
}

#[tokio::test]
async fn an_international_address_travels_where_it_may() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.write("jörg@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken()[0].to, "jörg@example.org");
    assert!(hop.taken()[0].from.ends_with(" SMTPUTF8"), "{:?}", hop.taken());
}

#[tokio::test]
async fn signatures_verify_by_the_record_to_publish_and_cover_what_must_not_be_added() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    let mut conn = post.conn().await;
    let to = EmailAddress::parse("ana@example.org").unwrap();
    let address = people::address_id(&mut conn, &to, post.now).await.unwrap();
    let leave = "https://pairs.test/leave/abc".to_owned();
    let list = ListFields {
        name: "Topics".into(),
        id: "topics.pairs.test".into(),
        unsubscribe_url: Some(leave.clone()),
        unsubscribe_mailto: Some("topics-leave@pairs.test".into()),
        post: None,
        archive: None,
        help: None,
    };
    let topic = TopicLetter { title: "Getting started".into(), body: "Where do you work?\n\n.\n..\n".into(), leave };
    let sending = Sending { list: Some(list), ..Sending::about("one") };
    assert!(Context::new(&mut conn, post.now, &post.site).write_to(address, &to, "Ana", "en", &topic, sending).await.unwrap());
    post.work().await;
    let letter = hop.taken().remove(0);
    assert_eq!(post.signature_of(&letter.bytes).await, Some(AuthResult::Pass));
    let signature = letter.text().split("\r\nDate:").next().unwrap_or_default().replace("\r\n\t", "").replace([' ', '\r', '\n'], "");
    for twice in ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"] {
        let signed = signature.split("h=").nth(1).unwrap().split(';').next().unwrap();
        assert_eq!(signed.split(':').filter(|name| *name == twice).count(), 2, "{twice} in {signature}");
    }
    // A second Subject, or another way to leave, breaks the signature; so does a changed word.
    for (old, new) in [("\r\nDate:", "\r\nSubject: other\r\nDate:"), ("\r\nDate:", "\r\nList-Unsubscribe: <https://evil.test>\r\nDate:"), ("work?", "live?")] {
        let changed = letter.text().replacen(old, new, 1);
        assert_ne!(changed, letter.text());
        assert_eq!(post.signature_of(changed.as_bytes()).await, Some(AuthResult::Fail), "{new}");
    }
}

#[tokio::test]
async fn captured_letters_lie_in_a_maildir_for_each_mailbox() {
    let post = Post::new(&[]).await;
    post.write("Ana@example.org", "one").await;
    post.write("ana@example.org", "two").await;
    post.write("\"../../x\"@example.org", "one").await;
    post.work().await;
    let mail = post.dir.path().join("mail");
    let mut boxes: Vec<_> = std::fs::read_dir(&mail).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    boxes.sort();
    assert_eq!(boxes, ["%22..%2f..%2fx%22@example.org", "ana@example.org"]);
    let letters: Vec<_> = std::fs::read_dir(mail.join("ana@example.org/new")).unwrap().flatten().collect();
    assert_eq!((letters.len(), std::fs::read_dir(mail.join("ana@example.org/tmp")).unwrap().count()), (2, 0));
    let letter = std::fs::read_to_string(letters[0].path()).unwrap();
    assert!(letter.starts_with("Return-Path: <bounce-") && letter.contains("\r\nDKIM-Signature: "), "{letter}");
    assert_eq!(post.record().await, ["sent / sent / captured"; 3].join(" | "));
}

#[tokio::test]
async fn an_erased_mailbox_gets_nothing_and_words_are_forgotten_in_time() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    post.write("gone@example.org", "one").await;
    sqlx::query("update address set email = null, email_key = null").execute(&mut *post.conn().await).await.unwrap();
    post.relay().await;
    post.work().await;
    assert_eq!(post.record().await, "dropped / dropped / the mailbox was erased | sent / sent / 250 2.0.0 queued as 77");
    assert_eq!(letters::drop_words(&mut *post.conn().await, post.now, post.now).await.unwrap(), 0);
    post.now += TimeDelta::days(14);
    assert_eq!(letters::drop_words(&mut *post.conn().await, post.now, post.now).await.unwrap(), 3);
    assert_eq!(post.ask("select count(*) from outbox where raw is not null union all select count(*) from letter where raw is not null").await, "0 | 0");
    assert_eq!(post.ask("select peer || helo from inbox").await, "");
}

#[tokio::test]
async fn the_running_exit_is_woken_sends_and_stops_without_leaving_a_connection() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    let (wake, stop, running) = post.run(&hop).await;
    for n in 0..30 {
        post.write(&format!("ana{n}@example{n}.org"), "one").await;
    }
    wake.notify_one();
    hop.wait_for(30).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(post.ask("select count(*) from outbox where state = 'sent' and owner is null").await, "30");
    until("each connection has heard a goodbye", async || hop.commands().iter().filter(|command| *command == "QUIT").count() == hop.connections()).await;
}

#[tokio::test]
async fn a_reply_that_comes_while_the_database_is_away_is_not_forgotten() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    let (wake, stop, running) = post.run(&hop).await;
    hop.mood(Step::Dot, Mood::Wait);
    post.write("ana@example.org", "one").await;
    wake.notify_one();
    hop.hears(".").await;
    post.database.cut_off(true).await;
    hop.go_on();
    hop.wait_for(1).await;
    post.database.cut_off(false).await;
    until("it is marked when the database is back", async || post.ask("select state from outbox").await == "sent").await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!((hop.taken().len(), post.ask("select attempts from outbox").await.as_str()), (1, "1"));
}

#[tokio::test]
async fn a_hop_without_extensions_gets_the_commands_one_by_one_and_no_parameters() {
    let hop = NextHop::start().await;
    hop.announce(&[]);
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert!(hop.taken()[0].from.ends_with('>'), "{:?}", hop.taken());
    assert_eq!((post.record().await.as_str(), post.ask("select attempts from outbox").await.as_str()), (SENT, "1"));
}

#[tokio::test]
async fn what_a_hop_can_not_take_is_not_tried_on_it() {
    for (without, announced, to, made, says) in [
        ("SMTPUTF8", None, "jörg@example.org", "raw", "550 5.6.7 the next hop takes no international addresses (SMTPUTF8)"),
        ("8BITMIME", None, "ana@example.org", "raw || '\\xc3a90d0a'", "554 5.6.3 the next hop takes ASCII alone (8BITMIME)"),
        ("SIZE 10000000", Some("SIZE 500"), "ana@example.org", "raw", "552 5.3.4 the letter is larger than the next hop takes"),
        ("SIZE 10000000", Some("SIZE 0"), "ana@example.org", "raw", ""),
        ("SIZE 10000000", Some("SIZE"), "ana@example.org", "raw", ""),
    ] {
        let hop = NextHop::start().await;
        hop.conceal(without);
        announced.into_iter().for_each(|extension| hop.reveal(extension));
        let post = Post::to(&hop).await;
        post.write(to, "one").await;
        sqlx::query(sqlx::AssertSqlSafe(format!("update outbox set raw = {made}"))).execute(&mut *post.conn().await).await.unwrap();
        post.work().await;
        let wanted = if says.is_empty() { SENT.to_owned() } else { format!("failed / failed / {says}") };
        assert_eq!(post.record().await, wanted, "without {without}");
        assert_eq!(hop.commands().iter().any(|command| command.starts_with("MAIL")), says.is_empty(), "{:?}", hop.commands());
        assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "nothing", "the mailbox lives");
    }
}

#[tokio::test]
async fn the_exit_ends_however_the_hop_takes_its_leave() {
    for mood in [Mood::Stall, Mood::Close, Mood::Say("421 4.3.2 closing"), Mood::Say("500 5.5.2 what?"), Mood::Raw(b"\xff\n"), Mood::Endless(b"221-\r\n")] {
        let hop = NextHop::start().await;
        let mut post = Post::to(&hop).await;
        hop.mood(Step::Quit, mood);
        let (wake, stop, running) = post.run(&hop).await;
        post.write("ana@example.org", "one").await;
        wake.notify_one();
        hop.wait_for(1).await;
        let began = Stopwatch::start();
        stop.cancel();
        running.await.unwrap();
        assert_eq!(post.record().await, SENT, "{mood:?}");
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{mood:?}: {:?}", began.elapsed());
    }
}
