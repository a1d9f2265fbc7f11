//! Letters are claimed ahead, so that no connection waits for the database: what becomes of them, and what may be sent twice after a crash.
use std::{sync::Arc, time::Duration};

use chrono::Utc;
use pairpost::{
    domain::{address::EmailAddress, breaker::Stream},
    outbox::Exit,
    store::{
        letters::Bytes,
        outbox::{self, NewLetter},
        ownership::Owner,
        people,
    },
};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Post;
use crate::{
    next_hop::{Mood, NextHop, Step},
    program::until,
};

/// The next hop takes so long for a letter: others come before the database answers.
const THINKS: Duration = Duration::from_millis(30);
/// Places of one domain.
const PLACES: usize = 20;

impl Post {
    /// Queues many letters to one domain, due at any time of day.
    async fn crowd(&self, letters: usize, stream: Stream) {
        let mut conn = self.conn().await;
        for n in 0..letters {
            let to = EmailAddress::parse(&format!("m{n}@crowd.example")).unwrap();
            let letter = NewLetter {
                id: Uuid::now_v7(),
                address_id: people::address_id(&mut conn, &to, self.now).await.unwrap(),
                to: &to,
                mailbox: "help",
                kind: "notice",
                stream,
                occasion: &format!("crowd:{n}"),
                reverse_path: "",
                message_id: "x@pairs.test",
                raw: Bytes::Here(b"From: help@pairs.test\r\n\r\nhi\r\n"),
                cause: None,
                sending: None,
                not_before: self.now,
            };
            assert!(outbox::enqueue(&mut conn, &letter, self.now).await.unwrap());
        }
    }

    async fn number(&self, query: &str) -> usize {
        self.ask(query).await.parse().expect("a number")
    }

    async fn claimed(&self) -> usize {
        self.number("select count(*) from outbox where owner is not null").await
    }

    /// Waits until more are claimed than may fly.
    async fn has_some_in_hand(&self) {
        until("letters are claimed ahead", async || self.claimed().await > PLACES).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_gives_back_what_is_in_hand_as_if_it_had_never_been_claimed() {
    let hop = NextHop::start().await;
    hop.thinks_for(THINKS);
    let mut post = Post::to(&hop).await;
    post.now = Utc::now();
    post.crowd(95, Stream::Notices).await;
    let (_wake, stop, running) = post.run(&hop).await;
    post.has_some_in_hand().await;
    stop.cancel();
    running.await.unwrap();
    let sent = post.number("select count(*) from outbox where state = 'sent'").await;
    assert_eq!((post.claimed().await, sent), (0, hop.count()));
    assert!(sent < 95, "it stopped at once");
    assert_eq!(post.number("select sum(attempts) from outbox").await, sent, "no attempt is lost");
    assert_eq!(post.number("select sum(letters) from passage").await, sent, "nor counts a letter for the breaker that did not leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_next_hop_is_gone_what_is_in_hand_is_given_back_untried() {
    let hop = NextHop::start().await;
    hop.thinks_for(THINKS);
    let mut post = Post::to(&hop).await;
    post.now = Utc::now();
    post.crowd(95, Stream::Notices).await;
    let (_wake, stop, running) = post.run(&hop).await;
    post.has_some_in_hand().await;
    for step in [Step::Greeting, Step::Mail] {
        hop.mood(step, Mood::Close);
    }
    until("nothing is claimed any more", async || post.claimed().await == 0).await;
    let tried = post.number("select count(*) from outbox where attempts > 0").await - hop.count();
    // Those on their way, and those that left while letters on kept connections still arrived, each of which is a sign that the hop is there.
    assert!((1..=3 * PLACES).contains(&tried), "{tried} of 95 found out that it is gone");
    assert_eq!(post.number("select sum(letters) from passage").await, hop.count() + tried);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_can_be_marked_no_more_than_two_letters_leave_on_each_connection() {
    let hop = NextHop::start().await;
    hop.thinks_for(THINKS);
    let mut post = Post::to(&hop).await;
    post.now = Utc::now();
    post.crowd(300, Stream::Answers).await;
    let (_wake, stop, running) = post.run(&hop).await;
    post.has_some_in_hand().await;
    let mut other = PgConnection::connect_with(&post.database.options()).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("lock table exchange in exclusive mode").execute(&mut *lock).await.unwrap();
    let mut last = (0, 0);
    // Some looks in a row at which nothing happened.
    until("it has stopped", async || {
        last = (hop.count(), if hop.count() == last.0 { last.1 + 1 } else { 0 });
        last.1 >= 15
    })
    .await;
    let unmarked = hop.count() - post.number("select count(*) from outbox where state = 'sent'").await;
    assert!((PLACES..=2 * hop.connections()).contains(&unmarked), "{unmarked} letters that nobody knows to be sent, {} connections", hop.connections());
    println!("{unmarked} letters on {} connections that would be sent again after a crash", hop.connections());
    lock.rollback().await.unwrap();
    hop.wait_for_count(300).await;
    until("all are marked", async || post.number("select count(*) from outbox where state = 'sent'").await == 300).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(hop.count(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_comes_later_gets_its_places_of_a_domain_that_another_has_filled() {
    const LETTERS: usize = 1500;
    let hop = NextHop::start().await;
    hop.thinks_for(THINKS);
    let mut post = Post::to(&hop).await;
    post.now = Utc::now();
    post.crowd(LETTERS, Stream::Answers).await;
    let (_wake, stop, running) = post.run(&hop).await;
    post.has_some_in_hand().await;
    let (owner, watch) = Owner::take(&post.store).await.expect("a lock");
    tokio::spawn(watch);
    let config = super::config(post.dir.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let exit = Exit::new(post.store.clone(), owner, post.site.clone(), &config).await.expect("an exit");
    let (wake, stop_too) = (Arc::new(Notify::new()), CancellationToken::new());
    let other = tokio::spawn(exit.run(wake.clone(), stop_too.clone()));
    until("both send", async || {
        wake.notify_one();
        post.number("select count(distinct owner) from outbox where owner is not null").await == 2
    })
    .await;
    let left = post.number("select count(*) from outbox where state = 'queued'").await;
    assert!(left > 0);
    println!("both send when {} of {LETTERS} are sent", LETTERS - left);
    hop.wait_for_count(LETTERS).await;
    until("all are marked", async || post.number("select count(*) from outbox where state = 'sent'").await == LETTERS).await;
    stop.cancel();
    stop_too.cancel();
    running.await.unwrap();
    other.await.unwrap();
    assert_eq!((hop.count(), hop.crowd("crowd.example").max(PLACES)), (LETTERS, PLACES));
}
