//! How much leaves at once, what goes first, and what keeps everything back.
use std::time::{Duration, Instant};

use pairpost::{
    domain::{address::EmailAddress, breaker::Stream},
    store::{
        outbox::{self, NewLetter, Order},
        people,
    },
};
use uuid::Uuid;

use super::Post;
use crate::{
    database::TestDatabase,
    next_hop::NextHop,
    program::{Letter, Program},
};

#[tokio::test]
async fn nothing_leaves_while_everything_is_held() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    outbox::hold_all(&mut *post.conn().await, true).await.unwrap();
    assert_eq!((post.step().await, hop.connections()), (0, 0));
    outbox::hold_all(&mut *post.conn().await, false).await.unwrap();
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
}

#[tokio::test]
async fn in_review_a_letter_waits_until_somebody_lets_it_go_and_then_leaves() {
    let hop = NextHop::start().await;
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__MODE", "review")]).await;
    let (one, two) = (post.write("ana@example.org", "one").await, post.write("ben@example.org", "one").await);
    post.work().await;
    assert_eq!((hop.taken().len(), post.record().await.as_str()), (0, "held / held / | held / held /"));
    let mut conn = post.conn().await;
    assert!(outbox::order(&mut conn, one, Order::Release, post.now).await.unwrap());
    assert!(outbox::order(&mut conn, two, Order::Drop, post.now).await.unwrap());
    assert!(!outbox::order(&mut conn, two, Order::Release, post.now).await.unwrap());
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert_eq!(post.record().await, "sent / sent / 250 2.0.0 queued as 77 | dropped / dropped /");
}

#[tokio::test]
async fn partners_letters_go_first_and_no_domain_takes_all_places() {
    let hop = NextHop::start().await;
    let post =
        Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__CONCURRENCY", "4"), ("PAIRPOST_DELIVERY__PER_DOMAIN", "2")]).await;
    for n in 0..30 {
        post.write(&format!("ana{n}@big.example"), "one").await;
    }
    post.write("cy@small.example", "one").await;
    post.relay().await;
    assert_eq!(post.step().await, 4);
    let mut to: Vec<_> = hop.taken().iter().map(|letter| letter.to.rsplit('@').next().unwrap_or_default().to_owned()).collect();
    to.sort();
    assert_eq!(to, ["big.example", "big.example", "example.net", "small.example"]);
    assert!(hop.connections() <= 4);
}

#[tokio::test]
async fn a_long_row_of_letters_to_one_domain_at_its_limit_hides_nobody() {
    let hop = NextHop::start().await;
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__PER_DOMAIN", "1")]).await;
    let mut conn = post.conn().await;
    for n in 0..250 {
        let to = EmailAddress::parse(&format!("m{n}@big.example")).unwrap();
        let address_id = people::address_id(&mut conn, &to, post.now).await.unwrap();
        let id = Uuid::now_v7();
        let letter = NewLetter {
            id,
            address_id,
            to: &to,
            mailbox: "topics",
            kind: "topic",
            stream: Stream::Notices,
            occasion: &format!("topic:{n}"),
            reverse_path: "",
            message_id: "x@pairs.test",
            raw: b"From: help@pairs.test\r\n\r\nhi\r\n",
            cause: None,
            sending: None,
            not_before: post.now,
        };
        assert!(outbox::enqueue(&mut conn, &letter, post.now).await.unwrap());
    }
    // One of them is on its way, in another process.
    sqlx::query("update outbox set owner = 99 where id = (select min(id::text)::uuid from outbox)").execute(&mut *conn).await.unwrap();
    post.write("cy@small.example", "one").await;
    assert_eq!(post.step().await, 1);
    assert_eq!(hop.taken()[0].to, "cy@small.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_are_slow_delay_no_other_however_much_waits_for_them_in_two_programs() {
    const LETTERS: usize = 60;
    const SLOW: [&str; 3] = ["slow.example", "slower.example", "slowest.example"];
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    // For as long as this takes, and with the limits that the programs have of themselves.
    SLOW.into_iter().for_each(|domain| hop.is_slow_about(domain, Duration::from_secs(200)));
    let settings = [("PAIRPOST_DELIVERY__SMARTHOST", hop.url())];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let programs = [(); 2].map(|()| Program::serve(Some(&database.url()), data.path(), &settings));
    let send = async |program: &Program, who: &str| {
        let reply = program.send(&Letter::joins(who)).await;
        assert!(reply.starts_with("250"), "{reply}");
    };
    let mut waits = Vec::new();
    for domain in SLOW {
        let crowd = async |which: usize| {
            for n in (which..LETTERS).step_by(2) {
                send(&programs[which], &format!("p{n}@{domain}")).await;
            }
        };
        tokio::join!(crowd(0), crowd(1));
        hop.is_crowded(domain, 5).await;
        for n in 0..5 {
            let (who, began) = (format!("cy@{n}.other.than.{domain}"), Instant::now());
            send(&programs[n % 2], &who).await;
            hop.takes(&who).await;
            waits.push(began.elapsed());
        }
    }
    waits.sort();
    let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    let crowds = SLOW.map(|domain| hop.crowd(domain));
    println!(
        "two programs, {LETTERS} letters to each of three domains that take none, {crowds:?} of them at once: one to another domain is there after {median:.0?} (median), {longest:.0?} (longest of {})",
        waits.len()
    );
    assert_eq!(crowds[0], 20, "delivery.per_domain, over both programs");
    assert!(crowds.iter().all(|most| *most <= 20), "{crowds:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
