//! Letters over whose sending the process dies: after three deaths set aside, and no other with them.
use std::time::Duration;

use clap::Parser as _;
use pairpost::{
    cli::Cli,
    mail::message::Message,
    schedule,
    store::{
        outbox::{self, Allowance, Claimed, Mine},
        ownership::{self, DEATHS},
    },
};
use uuid::Uuid;

use super::Post;
use crate::{
    database::TestDatabase,
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

/// Claims as a process does; one without a lock is a dead one.
async fn claim(post: &Post, owner: i64) -> Vec<Claimed> {
    let mut tx = outbox::begin_claim(&post.store).await.unwrap();
    let allowance = Allowance { letters: 32, per_domain: 20, others: 0, ahead: 0, octets: 32 << 20, far: true };
    let (claimed, _) = outbox::claim(&mut tx, owner, allowance, post.now).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn tell(post: &Post, statement: &'static str) {
    sqlx::query(statement).execute(&mut *post.conn().await).await.unwrap();
}

async fn row(post: &Post, id: Uuid) -> String {
    post.ask(&format!("select concat_ws(' ', o.state, o.deaths, e.outcome) from outbox o join exchange e on e.id = o.exchange_id where o.id = '{id}'")).await
}

#[tokio::test]
async fn a_letter_whose_sending_kills_the_process_is_set_aside_after_three_deaths_and_takes_no_other_with_it() {
    let hop = NextHop::start().await;
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_OPERATOR", "olga@example.com")]).await;
    let mut letters = Vec::new();
    for n in 0..10 {
        letters.push(post.write(&format!("p{n}@example{n}.org"), "one").await);
    }
    let poison = letters.remove(4);
    // Each process dies over it before it has marked anything of what it claimed with it; what it claimed before that is sent.
    let (mut deaths, mut process) = (0, 100);
    while row(&post, poison).await.starts_with("queued") {
        process += 1;
        assert!(process < 130, "it comes to an end");
        loop {
            let claimed = claim(&post, process).await;
            assert!(!claimed.is_empty(), "it is found");
            if claimed.iter().any(|letter| letter.id == poison) {
                deaths += 1;
                break;
            }
            let mine: Vec<_> = claimed.iter().map(|letter| Mine { id: letter.id, owner: process }).collect();
            let replies = vec!["250 ok".to_owned(); mine.len()];
            assert_eq!(outbox::mark_sent(&mut *post.conn().await, &mine, &replies, post.now).await.unwrap(), mine.len());
        }
        ownership::release_orphans(&mut *post.conn().await, post.now).await.unwrap();
    }
    assert_eq!((deaths, row(&post, poison).await), (DEATHS, format!("failed {DEATHS} failed")));
    assert_eq!(
        post.ask("select reply from exchange e join outbox o on o.exchange_id = e.id where o.state = 'failed'").await,
        "the process ended while it sent this letter"
    );
    // Told once, however often the calendar is looked at; and nobody is told of a letter that tells of it.
    let told = async || {
        while schedule::step(&post.store, &post.site, post.now).await.unwrap() > 0 {}
        post.ask("select count(*) from outbox where kind = 'letters_set_aside'").await
    };
    assert_eq!((told().await.as_str(), told().await.as_str()), ("1", "1"));
    let (stream, raw): (String, Vec<u8>) =
        sqlx::query_as("select stream, raw from outbox where kind = 'letters_set_aside'").fetch_one(&mut *post.conn().await).await.unwrap();
    let words = Message::parse(&raw).text().to_owned();
    assert!(stream == "alarms" && words.contains(&poison.to_string()) && words.contains("over 3 of which"), "{stream}: {words}");
    tell(&post, "update outbox set state = 'failed', deaths = 3 where kind = 'letters_set_aside'").await;
    assert_eq!(told().await, "1");
    tell(&post, "update outbox set state = 'queued', deaths = 0 where kind = 'letters_set_aside'").await;
    post.work().await;
    assert_eq!(post.ask("select count(*) from outbox where state = 'sent'").await, "10", "the others are sent");
    assert_eq!(row(&post, poison).await, format!("failed {DEATHS} failed"), "never again by itself");

    // Begun anew, it would be told of again.
    let retry = Cli::try_parse_from(["pairpost", "queue", "retry", &poison.to_string()]).unwrap();
    retry.on(&post.store, &post.site, post.now).await.unwrap();
    assert_eq!(post.ask("select count(*) from outbox where told_at is not null").await, "0");
    post.work().await;
    assert_eq!(row(&post, poison).await, "sent 0 sent");
    println!("a letter whose sending kills the process: set aside after {deaths} deaths; all {} that were claimed with it are sent", letters.len());
}

#[tokio::test]
async fn an_attempt_that_the_process_lived_through_is_none_of_the_deaths_in_a_row() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    let id = post.write("ana@example.org", "one").await;
    for _ in 1..DEATHS {
        assert_eq!(claim(&post, 99).await.len(), 1);
        ownership::release_orphans(&mut *post.conn().await, post.now).await.unwrap();
    }
    assert_eq!(row(&post, id).await, format!("queued {}", DEATHS - 1));
    hop.mood(Step::Rcpt, Mood::Say("451 4.3.0 not now"));
    post.work().await;
    assert_eq!(row(&post, id).await, "queued 0");
    hop.calm();
    post.now += chrono::TimeDelta::hours(1);
    post.work().await;
    assert_eq!(row(&post, id).await, "sent 0 sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_programs_were_killed_over_a_letter_the_fourth_sends_all_others() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let settings = [("PAIRPOST_DELIVERY__SMARTHOST", hop.url())];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    hop.mood(Step::Data, Mood::Stall);
    let ask = async |query: &'static str| -> String {
        let store = database.store().await;
        let answer = sqlx::query_scalar(query).fetch_one(&mut *store.connection().await.unwrap()).await.unwrap();
        store.close().await;
        answer
    };
    let began = Stopwatch::start();
    for death in 1..=DEATHS {
        let mut program = Program::serve(Some(&database.url()), data.path(), &settings);
        if death == 1 {
            assert!(program.send(&Letter::joins("deadly@example.org")).await.starts_with("250"));
        }
        until("it is on its way", async || {
            ask("select count(*)::text from outbox where owner is not null").await == "1" && hop.connections() >= death as usize
        })
        .await;
        program.kill();
    }
    let fourth = Program::serve(Some(&database.url()), data.path(), &settings);
    until("it is set aside", async || ask("select state from outbox").await == "failed").await;
    let took = began.elapsed();
    hop.calm();
    assert!(fourth.send(&Letter::joins("ben@example.org")).await.starts_with("250"));
    hop.takes("ben@example.org").await;
    assert_eq!(hop.count(), 1);
    let (_, figures) = fourth.get("/metrics").await;
    assert!(figures.contains("pairpost_outbox_set_aside 1\n"), "{figures}");
    fourth.stop().await;
    println!("three programs killed over one letter: set aside after {took:.1?}, the fourth sends the next one");
    assert!(took < Duration::from_secs(60), "{took:?}");
}
