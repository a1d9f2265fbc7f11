//! A next hop that is dead: left in peace but for one letter now and then.
use std::time::Duration;

use chrono::TimeDelta;
use pairpost::{outbox::Exit, store::ownership::Owner};

use super::{Post, SENT};
use crate::{
    next_hop::{Mood, NextHop, Step},
    program::until,
};

async fn dead(hop: NextHop, concurrency: &str) -> (Post, String) {
    let (url, place) = (hop.url(), hop.address.to_string());
    drop(hop);
    (Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url), ("PAIRPOST_DELIVERY__CONCURRENCY", concurrency)]).await, place)
}

async fn attempts(post: &Post) -> usize {
    post.ask("select sum(attempts) from outbox").await.parse().expect("a number")
}

#[tokio::test]
async fn a_kept_connection_that_dies_is_no_sign_that_the_hop_is_there() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    hop.mood(Step::Dot, Mood::Wait);
    for n in 0..4 {
        post.write(&format!("ana@{n}.example"), "kept").await;
    }
    let (sent, ()) = tokio::join!(post.step(), async {
        until("each has a connection of its own", async || hop.commands().iter().filter(|command| *command == ".").count() == 4).await;
        until("all are taken", async || {
            hop.go_on();
            hop.count() == 4
        })
        .await;
    });
    hop.calm();
    assert_eq!((sent, hop.count(), hop.connections()), (4, 4, 4));
    for step in [Step::Greeting, Step::Mail] {
        hop.mood(step, Mood::Close);
    }
    // Each finds one of the four dead, and no other.
    for n in 0..3 {
        post.write(&format!("ben@{n}.example"), "lost").await;
        assert_eq!(post.step().await, 1);
    }
    for n in 0..4 {
        post.write(&format!("cy@{n}.example"), "waits").await;
    }
    assert_eq!(post.step().await, 1, "one letter asks whether it is back");
}

#[tokio::test]
async fn a_dead_hop_is_asked_by_one_letter_now_and_then_and_all_leave_when_it_is_back() {
    let (mut post, place) = dead(NextHop::start().await, "20").await;
    for n in 0..40 {
        post.write(&format!("ana{n}@dead{n}.example"), "one").await;
    }
    let found_out = post.step().await;
    assert_eq!((found_out > 3, attempts(&post).await), (true, found_out), "all that were on their way when it died");
    let (mut probes, died) = (0, post.now);
    while post.now < died + TimeDelta::minutes(5) {
        let tried = post.step().await;
        assert!(tried <= 1, "nothing else is attempted: {tried}");
        probes += tried;
        post.now += TimeDelta::seconds(1);
    }
    assert_eq!(attempts(&post).await, found_out + probes);
    assert!((5..=8).contains(&probes), "{probes}");

    let hop = NextHop::at(&place).await;
    let back = post.now;
    while hop.count() == 0 {
        assert_eq!(hop.connections(), 0, "the first that comes is one letter");
        post.now += TimeDelta::seconds(1);
        assert!(post.step().await <= 1);
    }
    let waited = post.now - back;
    assert!(waited <= TimeDelta::seconds(60), "{waited}");
    assert_eq!(hop.count(), 1);
    assert!(post.step().await > 1, "the others follow at once");
    post.now += TimeDelta::minutes(5);
    post.work().await;
    assert_eq!((hop.count(), post.record().await), (40, [SENT; 40].join(" | ")));
    println!(
        "a dead hop: {found_out} letters found out, {probes} asked within five minutes, the first {} s after it was back, the other 39 behind it",
        waited.num_seconds()
    );
}

#[tokio::test]
async fn a_hop_that_takes_connections_and_nothing_else_is_as_good_as_dead() {
    for (step, mood) in
        [(Step::Greeting, Mood::Close), (Step::Hello, Mood::Say("421 4.3.2 closing")), (Step::Mail, Mood::Close), (Step::Mail, Mood::Say("421 4.3.2 closing"))]
    {
        let hop = NextHop::start().await;
        let mut post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__CONCURRENCY", "4")]).await;
        hop.mood(step, mood);
        for n in 0..20 {
            post.write(&format!("ana{n}@example.org"), "one").await;
        }
        post.work().await;
        assert_eq!((attempts(&post).await, hop.connections()), (5, 5), "four found out, and one asked: {mood:?} at {step:?}");
        hop.calm();
        post.now += TimeDelta::seconds(10);
        assert_eq!(post.step().await, 1);
        assert_eq!(post.step().await, 4);
    }
}

#[tokio::test]
async fn what_is_about_a_letter_is_not_held_against_the_hop() {
    let hop = NextHop::start().await;
    let post = Post::hasty(&hop).await;
    hop.is_slow_about("slow.example", Duration::from_secs(60));
    for n in 0..6 {
        post.write(&format!("ana{n}@slow.example"), "one").await;
    }
    hop.answers("no@example.org", "550 5.1.1 who?");
    hop.answers("later@example.org", "451 4.3.0 not now");
    for name in ["no", "later"] {
        post.write(&format!("{name}@example.org"), "one").await;
    }
    post.work().await;
    post.write("cy@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["cy@example.org"], "no pause after six that timed out at RCPT");
}

#[tokio::test]
async fn each_process_finds_out_for_itself_whether_the_hop_is_there() {
    let (post, place) = dead(NextHop::start().await, "4").await;
    let (owner, watch) = Owner::take(&post.store).await.expect("a lock");
    tokio::spawn(watch);
    let url = format!("smtp://{place}");
    let config = super::config(post.dir.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &url), ("PAIRPOST_DELIVERY__CONCURRENCY", "4")]);
    let other = Exit::new(post.store.clone(), owner, post.site.clone(), &config).await.expect("an exit");
    for n in 0..20 {
        post.write(&format!("ana{n}@dead{n}.example"), "one").await;
    }
    let mut tried = Vec::new();
    for exit in [&post.exit, &post.exit, &post.exit, &other, &other, &other] {
        tried.push(exit.step(post.now).await.expect("it works"));
    }
    assert_eq!(tried, [4, 1, 0, 4, 1, 0], "four find out, one asks, and then it is left in peace");
    println!("two processes before a dead hop: {tried:?} letters tried, in steps of the one and of the other");
}
