//! How much leaves at once, what goes first, and what keeps everything back.
use std::time::Duration;

use pairpost::{
    domain::breaker::Stream,
    store::{
        orders::{self, Order},
        outbox::{self, Allowance, Mine},
        ownership::{Owner, Term},
    },
};
use uuid::Uuid;

use super::Post;
use crate::{
    database::TestDatabase,
    next_hop::NextHop,
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

#[tokio::test]
async fn nothing_leaves_while_everything_is_held() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    orders::hold_all(&mut *post.conn().await, true).await.unwrap();
    assert_eq!((post.step().await, hop.connections()), (0, 0));
    orders::hold_all(&mut *post.conn().await, false).await.unwrap();
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
    assert!(orders::order(&mut conn, one, Order::Release, post.now).await.unwrap());
    assert!(orders::order(&mut conn, two, Order::Drop, post.now).await.unwrap());
    assert!(!orders::order(&mut conn, two, Order::Release, post.now).await.unwrap());
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
    post.crowd("big.example", 250, Stream::Notices).await;
    // One of them is on its way, in another process.
    sqlx::query("update outbox set owner = 99 where id = (select min(id::text)::uuid from outbox)").execute(&mut *conn).await.unwrap();
    post.write("cy@small.example", "one").await;
    assert_eq!(post.step().await, 1);
    assert_eq!(hop.taken()[0].to, "cy@small.example");
}

#[tokio::test]
async fn two_processes_share_the_places_of_a_domain_however_long_one_of_them_had_them_all() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.crowd("big.example", 200, Stream::Notices).await;
    let term = post.owner.held().await;
    assert_eq!(term.others(), 0);
    // What it has, after so many of its letters were taken and it has claimed again in the same transaction, as the exit does.
    let goes_on = async |term: &Term, taken: i64| {
        let mut tx = outbox::begin_claim(&post.store).await.unwrap();
        let mine = "select id from outbox where owner = $1 order by id limit $2";
        let mine: Vec<Uuid> = sqlx::query_scalar(mine).bind(term.id()).bind(taken).fetch_all(&mut *tx).await.unwrap();
        let (letters, replies): (Vec<_>, Vec<_>) = mine.into_iter().map(|id| (Mine { id, owner: term.id() }, "250 ok".to_owned())).unzip();
        outbox::mark_sent(&mut tx, &letters, &replies, post.now).await.unwrap();
        let allowance = Allowance { letters: 32, per_domain: 20, others: term.others(), ahead: 0, octets: 32 << 20, far: false };
        let (_, left) = outbox::claim(&mut tx, term.id(), allowance, post.now).await.unwrap();
        assert!(left, "many wait for a place");
        let has = sqlx::query_scalar::<_, i64>("select count(*) from outbox where owner = $1").bind(term.id()).fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        has
    };
    assert_eq!((goes_on(&term, 0).await, goes_on(&term, 5).await), (20, 20), "alone it has them all");

    let (other, watch) = Owner::take(&post.store).await.unwrap();
    tokio::spawn(watch);
    let other = other.held().await;
    until("each knows of the other", async || (term.others(), other.others()) == (1, 1)).await;
    assert_eq!(goes_on(&other, 0).await, 0, "none is free yet");
    assert_eq!((goes_on(&term, 5).await, goes_on(&term, 5).await), (19, 19), "one is kept for the other");
    let mut have = Vec::new();
    for _ in 0..5 {
        have.push((goes_on(&other, 1).await, goes_on(&term, 5).await));
    }
    assert_eq!(have, [(1, 17), (3, 13), (7, 10), (10, 10), (10, 10)]);
    // The other has nothing more to do with that domain.
    sqlx::query("update outbox set owner = null, state = 'dropped' where owner = $1").bind(other.id()).execute(&mut *post.conn().await).await.unwrap();
    assert_eq!(goes_on(&term, 1).await, 19);
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
            let (who, began) = (format!("cy@{n}.other.than.{domain}"), Stopwatch::start());
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
