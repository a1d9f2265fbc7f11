//! Letters that are queued while the exit has room are claimed as they are queued: which are, which are not, and what becomes of them.
use std::{sync::Arc, time::Duration};

use chrono::Utc;
use pairpost::{
    domain::breaker::Stream,
    handlers::{Context, Sending},
    mail::envelope::AuthResult,
    store::{
        Tx, orders,
        ownership::Owner,
        people,
        room::{Leaving, Places},
    },
    templates::letters::Subscribed,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Post;
use crate::{
    next_hop::{Mood, NextHop, Step},
    program::until,
};

impl Post {
    /// The exit runs, and has room.
    async fn with_room(hop: &NextHop) -> (Self, Arc<Notify>, CancellationToken, JoinHandle<()>) {
        let mut post = Self::to(hop).await;
        let (wake, stop, running) = post.run(hop).await;
        post.has_room().await;
        (post, wake, stop, running)
    }

    async fn has_room(&self) {
        until("the exit has room", async || self.store.room().ask(1).is_some()).await;
    }

    /// Queues letters of ours in one transaction, not committed yet, with the places that are asked for.
    async fn queue(&self, letters: &[String], places: Option<Places>, sending: impl Fn() -> Sending<'static>) -> (Tx, Option<Places>) {
        let mut tx = self.store.begin().await.expect("a transaction");
        let mut ctx = Context { places, ..Context::new(&mut tx, self.now, &self.site) };
        for to in letters {
            let to = to.parse().expect("an address");
            let address = people::address_id(ctx.conn, &to, self.now).await.expect("a row");
            assert!(ctx.write_to(address, &to, "Ana", "en", &Subscribed { again: false }, sending()).await.expect("written"));
        }
        let places = ctx.places;
        (tx, places)
    }

    /// The same, and committed; the exit is not told yet.
    async fn commit(&self, letters: &[String], places: Places, sending: impl Fn() -> Sending<'static>) -> Leaving {
        let (tx, places) = self.queue(letters, Some(places), sending).await;
        let leaving = places.expect("those that were given").leave();
        tx.commit().await.expect("committed");
        leaving
    }

    fn places(&self, most: usize) -> Places {
        self.store.room().ask(most).expect("room")
    }
}

fn anas(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ana{n}@{n}.example")).collect()
}

fn about_one() -> Sending<'static> {
    Sending::about("one")
}

const ROWS: &str = "select concat_ws(' ', state, attempts, case when owner is not null then 'claimed' end) from outbox order by id";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_while_there_is_room_is_claimed_with_it_and_leaves_when_it_is_committed() {
    let hop = NextHop::start().await;
    // The hop keeps them, so that their rows can be looked at; nobody wakes the exit.
    hop.mood(Step::Dot, Mood::Wait);
    let (post, _wake, stop, running) = Post::with_room(&hop).await;
    let leaving = post.commit(&anas(3), post.places(2), about_one).await;
    assert!(leaving.committed(), "the third waits to be claimed");
    until("two are on their way", async || hop.commands().iter().filter(|command| *command == ".").count() == 2).await;
    assert_eq!(post.ask(ROWS).await, "queued 1 claimed | queued 1 claimed | queued 0");
    until("they are taken", async || {
        hop.go_on();
        hop.count() == 2
    })
    .await;
    hop.calm();
    until("all are sent", async || post.ask(ROWS).await == "sent 1 | sent 1 | sent 1").await;
    stop.cancel();
    running.await.unwrap();
    assert!(post.store.room().ask(1).is_none(), "an exit that stopped has no room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_signed_as_well_while_it_is_being_committed() {
    let hop = NextHop::start().await;
    let (post, _wake, stop, running) = Post::with_room(&hop).await;
    let leaving = post.commit(&anas(1), post.places(1), about_one).await;
    leaving.committed();
    hop.wait_for(1).await;
    assert_eq!(post.signature_of(&hop.taken()[0].bytes).await, Some(AuthResult::Pass));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_nobody_used_are_free_again() {
    let hop = NextHop::start().await;
    let (post, _wake, stop, running) = Post::with_room(&hop).await;
    let all = || post.places(usize::MAX).left();
    let places = all();
    for gives_up in [true, false] {
        let (tx, asked) = post.queue(&anas(1), Some(post.places(5)), about_one).await;
        assert_eq!((asked.as_ref().map(Places::left), all()), (Some(4), places - 5));
        match gives_up {
            true => tx.rollback().await.unwrap(),
            false => {
                let leaving = asked.map(Places::leave);
                tx.commit().await.unwrap();
                assert!(!leaving.is_none_or(Leaving::committed), "nothing waits");
            }
        }
    }
    hop.wait_for(1).await;
    until("the last is free as well", async || all() == places).await;
    assert_eq!(post.ask("select count(*) from outbox").await, "1");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_knows_what_was_committed_the_term_ends_and_the_letter_leaves_under_the_next() {
    let hop = NextHop::start().await;
    let (post, _wake, stop, running) = Post::with_room(&hop).await;
    let term = post.owner.held().await;
    drop(post.commit(&anas(1), post.places(1), about_one).await);
    assert!(term.is_over());
    drop(term);
    hop.wait_for(1).await;
    until("it is marked", async || post.ask(ROWS).await.starts_with("sent")).await;
    assert_eq!(hop.count(), 1);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_or_due_later_is_not_claimed() {
    let hop = NextHop::start().await;
    let (post, _wake, stop, running) = Post::with_room(&hop).await;
    let later = || Sending { not_before: Some(Utc::now() + chrono::TimeDelta::hours(1)), ..about_one() };
    // Everything is held while these are being queued, or their stream is, or it is not yet time.
    let stopped = "insert into breaker (stream, tripped_at) values ('notices', now()) on conflict (stream) do update set tripped_at = now()";
    for (hold, sending, row) in [
        ("update installation set hold_all = true", &about_one as &(dyn Fn() -> Sending<'static> + Sync), "queued 0"),
        ("update installation set hold_all = false", &later, "queued 0"),
        (stopped, &about_one, "held 0"),
    ] {
        let places = post.places(5);
        sqlx::query(hold).execute(&mut *post.conn().await).await.unwrap();
        drop(post.commit(&anas(1), places, sending).await);
        assert_eq!(post.ask(ROWS).await, row, "{hold}");
        sqlx::query("delete from outbox").execute(&mut *post.conn().await).await.unwrap();
        post.has_room().await;
    }
    assert_eq!(hop.count(), 0);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overtakes_letters_that_wait_nor_takes_anothers_places() {
    let hop = NextHop::start().await;
    hop.mood(Step::Dot, Mood::Wait);
    let (mut post, wake, stop, running) = Post::with_room(&hop).await;
    post.now = Utc::now();
    // More than one domain may have at once.
    post.crowd("slow.example", 30, Stream::Notices).await;
    wake.notify_one();
    until("some wait", async || post.store.room().ask(1).is_none() && post.ask("select count(*) from outbox where owner is not null").await == "20").await;
    hop.calm();
    until("all are taken", async || {
        hop.go_on();
        hop.count() == 30
    })
    .await;
    post.has_room().await;
    let (other, watch) = Owner::take(&post.store).await.unwrap();
    let watch = tokio::spawn(watch);
    until("the other is seen", async || post.store.room().ask(1).is_none()).await;
    drop(other);
    watch.abort();
    let _ended = watch.await;
    post.has_room().await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(orders::count_waiting(&mut *post.conn().await).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_comes_takes_no_place_that_is_just_being_given_away_beside_it() {
    const PER_DOMAIN: usize = 20;
    let hop = NextHop::start().await;
    hop.is_slow_about("slow.example", Duration::from_secs(200));
    let (mut post, _wake, stop, running) = Post::with_room(&hop).await;
    let at_slow: Vec<_> = (0..PER_DOMAIN).map(|n| format!("ana{n}@slow.example")).collect();
    let (tx, places) = post.queue(&at_slow, Some(post.places(PER_DOMAIN)), about_one).await;
    // Claimed, and nobody else can see it yet.
    post.now = Utc::now();
    post.crowd("slow.example", PER_DOMAIN, Stream::Notices).await;
    let store = post.database.store().await;
    let (other, watch) = Owner::take(&store).await.unwrap();
    let watch = tokio::spawn(watch);
    let (_wake, other_stop, other_running) = post.run_exit(&hop, &store, &other).await;
    let term = post.owner.held().await;
    until("the first knows of the other", async || term.others() == 1).await;
    assert!(post.store.room().ask(1).is_none());
    let leaving = places.expect("those that were given").leave();
    tx.commit().await.unwrap();
    assert!(!leaving.committed());
    hop.is_crowded("slow.example", PER_DOMAIN).await;
    // The first has stopped claiming: this is the other's.
    stop.cancel();
    other.held().await.known().await;
    post.write("cy@example.org", "two").await;
    hop.takes("cy@example.org").await;
    assert_eq!(hop.crowd("slow.example"), PER_DOMAIN, "delivery.per_domain, over both");
    other_stop.cancel();
    hop.calm();
    running.abort();
    other_running.abort();
    watch.abort();
}
