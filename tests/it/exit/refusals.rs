//! Letters that the next hop does not take: tried again, given up, told to whoever wrote them, once.
use chrono::TimeDelta;
use pairpost::{
    handlers::{Context, bounces},
    mail::message::Message,
};

use super::{Post, SENT, one_line};
use crate::next_hop::{Mood, NextHop, Step};

#[tokio::test]
async fn a_mailbox_that_does_not_exist_is_given_up_and_the_others_get_their_letters() {
    let hop = NextHop::start().await;
    hop.answers("no@example.org", "550 5.1.1 no such user here");
    hop.answers("full@example.org", "452 4.2.2 full");
    let mut post = Post::to(&hop).await;
    for name in ["a", "no", "full", "b"] {
        post.write(&format!("{name}@example.org"), "one").await;
    }
    post.work().await;
    let mut to: Vec<_> = hop.taken().into_iter().map(|letter| letter.to).collect();
    to.sort();
    assert_eq!(to, ["a@example.org", "b@example.org"]);
    let sent = "sent / sent / 250 2.0.0 queued as 77";
    assert_eq!(post.record().await, format!("{sent} | failed / failed / 550 5.1.1 no such user here | queued / under way / 452 4.2.2 full | {sent}"));
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "no@example.org");
    // The full mailbox stays full for five days, and is given up then; it lives.
    for _ in 0..40 {
        post.now += TimeDelta::hours(4);
        post.work().await;
    }
    assert!(post.record().await.contains("failed / failed / given up after five days: 452 4.2.2 full"), "{}", post.record().await);
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "no@example.org");
}

#[tokio::test]
async fn a_writer_who_can_not_be_told_keeps_no_other_letter_from_being_marked() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    // Whatever goes wrong over telling Ana that Ben's mailbox is gone.
    let mut conn = post.conn().await;
    for statement in [
        "create function fail() returns trigger language plpgsql as $$ begin raise exception 'no words'; end $$",
        "create trigger fail before insert on outbox for each row when (new.kind = 'undelivered') execute function fail()",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.unwrap();
    }
    post.relay().await;
    post.write("cy@example.org", "one").await;
    hop.answers("ben@example.net", "550 5.1.1 no such user here");
    post.work().await;
    assert_eq!(post.record().await, format!("failed / failed / 550 5.1.1 no such user here | {SENT}"));
    assert_eq!(post.ask("select count(*) from outbox where kind = 'undelivered'").await, "0");
}

#[tokio::test]
async fn a_kept_connection_that_the_hop_closed_meanwhile_costs_no_attempt() {
    for mood in [Mood::Close, Mood::Say("421 4.4.2 timeout, closing")] {
        let hop = NextHop::start().await;
        let post = Post::to(&hop).await;
        post.write("ana@example.org", "one").await;
        post.work().await;
        hop.mood_on(1, Step::Mail, mood);
        post.write("ben@example.org", "two").await;
        post.work().await;
        assert_eq!((hop.taken().len(), hop.connections()), (2, 2), "{mood:?}");
        assert_eq!(post.ask("select max(attempts) from outbox").await, "1", "{mood:?}");
    }
}

#[tokio::test]
async fn a_letter_that_the_hop_refuses_is_told_to_its_writer_without_the_address() {
    let hop = NextHop::start().await;
    hop.answers("ben@example.net", "552 5.2.2 ben@example.net is over quota");
    let post = Post::to(&hop).await;
    post.relay().await;
    post.work().await;
    let told = hop.taken();
    assert_eq!(told.len(), 1);
    let letter = Message::parse(&told[0].bytes);
    assert_eq!((told[0].to.as_str(), letter.subject.as_str()), ("ana@example.org", "Your letter has not arrived: Greetings from Lima"));
    let words = one_line(&told[0].bytes);
    assert!(words.contains("your letter to Ben, “Greetings from Lima”, has not arrived: their mailbox is full."), "{words}");
    assert_eq!(letter.in_reply_to, ["hers@example.org"]);
    assert!(!told[0].text().contains("ben@example.net") && !told[0].text().contains("quota"));
    assert_eq!(post.ask("select reply from exchange where kind = 'relay' and direction = 'out'").await, "552 5.2.2 (address) is over quota");
    assert_eq!(post.ask("select count(*) from address where suppressed_at is not null").await, "0");
    assert_eq!(post.ask("select count(*) from exchange c join exchange e on e.cause_id = c.id where e.kind = 'undelivered' and c.direction = 'in'").await, "1");
}

#[tokio::test]
async fn a_bounce_is_recorded_and_told_once_and_answers_to_the_return_path_are_not_taken_for_one() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    let id = post.relay().await;
    post.work().await;
    let report = |action: &str, status: &str| {
        format!(
            "From: MAILER-DAEMON@next.test\r\nSubject: Mail status\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; next.test\r\n\r\n\
             Final-Recipient: rfc822; ben@example.net\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} <ben@example.net> unknown\r\n--b--\r\n"
        )
    };
    let away = "From: ben@example.net\r\nSubject: Automatic reply\r\nAuto-Submitted: auto-replied\r\n\r\nMessage could not be delivered? I have left; ask eve@example.net.\r\n";
    for (letter, outcome) in
        [(away.to_owned(), "sent"), (report("delayed", "4.4.1"), "delayed"), (report("failed", "5.1.1"), "bounced"), (report("failed", "5.1.1"), "bounced")]
    {
        let mut tx = post.store.begin().await.unwrap();
        let mut ctx = Context::new(&mut tx, post.now, &post.site);
        bounces::returned(&mut ctx, id, &Message::parse(letter.as_bytes())).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(post.ask("select outcome from exchange where kind = 'relay' and direction = 'out'").await, outcome);
    }
    assert_eq!(post.ask("select reply from exchange where kind = 'relay' and direction = 'out'").await, "5.1.1 hard 550 5.1.1 (address) unknown");
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "ben@example.net");
    post.work().await;
    assert_eq!(hop.taken().len(), 2);
    let words = one_line(&hop.taken()[1].bytes);
    assert!(words.contains("their mailbox does not take letters any more"), "{words}");
    // The letter that told of it fails too: recorded, and nobody is written to about that.
    let told = post.ask("select id::text from outbox where kind = 'undelivered'").await.parse().unwrap();
    let mut tx = post.store.begin().await.unwrap();
    let mut ctx = Context::new(&mut tx, post.now, &post.site);
    bounces::returned(&mut ctx, told, &Message::parse(report("failed", "5.2.2").as_bytes())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(post.ask("select count(*) from outbox").await, "2");
}
