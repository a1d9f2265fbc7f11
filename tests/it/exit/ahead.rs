//! Letters are claimed ahead, so that no connection waits for the database: what becomes of them, and what may be sent twice after a crash.
use std::{sync::Arc, time::Duration};

use chrono::Utc;
use pairpost::{domain::breaker::Stream, store::ownership::Owner};
use sqlx::{Connection as _, PgConnection};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

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
    async fn number(&self, query: &str) -> usize {
        self.ask(query).await.parse().expect("a number")
    }

    async fn claimed(&self) -> usize {
        self.number("select count(*) from outbox where owner is not null").await
    }

    /// Letters to one domain are leaving, and more are claimed than may fly; a third of them have not left, or a little less.
    async fn with_some_in_hand(letters: usize, stream: Stream) -> (NextHop, Self, Arc<Notify>, CancellationToken, JoinHandle<()>) {
        // That lasts for a moment, in which a busy machine may have other things to do than to let us look.
        for _ in 0..20 {
            let hop = NextHop::start().await;
            hop.thinks_for(THINKS);
            let mut post = Self::to(&hop).await;
            // Due at any time of day.
            post.now = Utc::now();
            post.crowd("crowd.example", letters, stream).await;
            let (wake, stop, running) = post.run(&hop).await;
            let (mut are_ahead, mut are_few) = (false, false);
            until("letters are claimed ahead, or most have left", async || {
                are_ahead = post.claimed().await > PLACES;
                are_few = hop.count() > letters * 2 / 3;
                are_ahead || are_few
            })
            .await;
            if are_ahead && !are_few {
                return (hop, post, wake, stop, running);
            }
            stop.cancel();
            running.await.unwrap();
        }
        panic!("letters are never claimed ahead");
    }
}

/// A condition: some looks in a row saw the same.
fn still<Seen: PartialEq>(mut look: impl AsyncFnMut() -> Seen) -> impl AsyncFnMut() -> bool {
    let (mut last, mut looks) = (None, 0);
    async move || {
        let seen = Some(look().await);
        looks = if seen == last { looks + 1 } else { 0 };
        last = seen;
        looks >= 15
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_gives_back_what_is_in_hand_as_if_it_had_never_been_claimed() {
    let (hop, post, _wake, stop, running) = Post::with_some_in_hand(95, Stream::Notices).await;
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
    let (hop, post, _wake, stop, running) = Post::with_some_in_hand(95, Stream::Notices).await;
    for step in [Step::Greeting, Step::Mail] {
        hop.mood(step, Mood::Close);
    }
    let mut rests = still(async || post.number("select sum(attempts) from outbox").await);
    until("all is given back, and nothing claimed any more", async || rests().await && post.claimed().await == 0).await;
    let tried = post.number("select count(*) from outbox where attempts > 0").await - hop.count();
    // The circuit opens at the third failure in a row. What had passed MAIL when the hop went may still end well, as many letters as there are places, each
    // between two failures; and when it opens the other places are taken by letters that fail as well.
    let most = PLACES * 2 + 3 + (PLACES - 1);
    assert!((1..=most).contains(&tried), "{tried} of 95 found out that it is gone");
    assert_eq!(post.number("select sum(letters) from passage").await, hop.count() + tried);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_can_be_marked_no_more_than_two_letters_leave_on_each_connection() {
    let (hop, post, _wake, stop, running) = Post::with_some_in_hand(300, Stream::Answers).await;
    let mut other = PgConnection::connect_with(&post.database.options()).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("lock table exchange in exclusive mode").execute(&mut *lock).await.unwrap();
    let unmarked = async || hop.count() - post.number("select count(*) from outbox where state = 'sent'").await;
    let mut rests = still(async || hop.count());
    until("as many have left as may", async || rests().await && unmarked().await >= PLACES).await;
    let unmarked = unmarked().await;
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
    let (hop, post, _wake, stop, running) = Post::with_some_in_hand(LETTERS, Stream::Answers).await;
    let store = post.database.store().await;
    let (owner, watch) = Owner::take(&store).await.expect("a lock");
    tokio::spawn(watch);
    let (wake, stop_too, other) = post.run_exit(&hop, &store, &owner).await;
    // It claims when the first knows of it: until then no more leave than a few at a time.
    hop.thinks_for(Duration::from_millis(100));
    owner.held().await.known().await;
    hop.thinks_for(THINKS);
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
