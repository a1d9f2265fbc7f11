//! A connection that is lost during COMMIT: nobody knows whether it is done, and all the same it is done once.
use std::{future::poll_fn, pin::pin, task::Poll};

use chrono::Utc;
use pairpost::{
    domain::{address::OwnAddress, admission::Admission},
    mail::envelope::{Envelope, Verdict},
    store::{
        Store,
        arrivals::{self, Arrival},
        recipients::Recipient,
    },
};

use crate::{
    database::TestDatabase,
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

use super::{
    got,
    proxy::{Moment, Proxy},
};

/// Words of each statement by which a letter's way is committed after it was kept: claimed, handled, claimed by the exit, marked.
const COMMITS: [&str; 4] = ["update inbox i set owner = $1", "update inbox i set state = 'done'", "update outbox o set owner = $1", "set state = 'sent'"];

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_at_any_commit_loses_and_doubles_nothing() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::before(&database).await;
    let program = Program::serve(Some(&proxy.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);

    // Its sender is told to come again; what it sends again is kept, or was kept already.
    for (who, moment, kept) in [("before@example.org", Moment::BeforeCommit, 0), ("after@example.org", Moment::AfterCommit, 1)] {
        proxy.cut("insert into letter", moment);
        let reply = program.send(&Letter::joins(who)).await;
        assert!(reply.starts_with("451 4.3.0"), "{who}: {reply}");
        let rows = format!("select count(*) from inbox where reverse_path = '{who}'");
        assert_eq!(database.ask(&rows).await, kept, "{who}");
        let reply = program.send(&Letter::joins(who)).await;
        assert!(reply.starts_with("250"), "{who}: {reply}");
        assert_eq!(database.ask(&rows).await, 1, "{who}");
    }

    for words in COMMITS {
        proxy.cut(words, Moment::BeforeCommit);
        proxy.cut(words, Moment::AfterCommit);
    }
    let mut sent = 2;
    let cut = proxy.has_cut();
    tokio::pin!(cut);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tokio::select! {
            () = &mut cut => break,
            _ = looks.tick() => {
                // No crowd that would have to be worked off after the last cut.
                if sent >= got(&hop).len() + 10 {
                    continue;
                }
                let who = format!("p{sent}@example.org");
                // Now and then the first statement on a connection that broke meanwhile: its sender comes again.
                while !program.send(&Letter::joins(&who)).await.starts_with("250") {}
                sent += 1;
            }
        }
    }
    let took = until("all is done", async || {
        database.ask("select (select count(*) from inbox where state <> 'done') + (select count(*) from outbox where state <> 'sent')").await == 0
    })
    .await;
    let got = got(&hop);
    println!("{} commits cut, {sent} letters: all answered once, the last {took:.1?} after the last cut", 2 + 2 * COMMITS.len());
    assert!(got.values().all(|letters| *letters == 1), "{got:?}");
    assert_eq!(got.len(), sent);
    assert_eq!(database.ask("select count(*) from outbox").await, i64::try_from(sent).expect("few"));
    assert!(took.as_secs() < 10, "{took:?}");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_unheard_is_given_back_in_a_moment_also_where_nothing_else_happens() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::before(&database).await;
    let program = Program::serve(Some(&proxy.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let mut waits = Vec::new();
    for number in 0..3 {
        proxy.cut(COMMITS[0], Moment::AfterCommit);
        let (who, began) = (format!("p{number}@example.org"), Stopwatch::start());
        assert!(program.send(&Letter::joins(&who)).await.starts_with("250"));
        hop.takes(&who).await;
        waits.push(began.elapsed());
    }
    println!("claimed unheard, and all quiet: answered after {waits:.1?}");
    assert!(waits.iter().all(|wait| wait.as_secs() < 5), "{waits:?}");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_knows_whether_letters_were_given_back_the_term_ends_and_each_leaves_once() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let proxy = Proxy::before(&database).await;
    let settings = [("PAIRPOST_DELIVERY__SMARTHOST", hop.url()), ("PAIRPOST_DELIVERY__PER_DOMAIN", "1".to_owned())];
    let program = Program::serve(Some(&proxy.url()), data.path(), &settings.each_ref().map(|(key, value)| (*key, value.as_str())));
    // One waits at the next hop; the next is claimed ahead, and given back because its turn does not come.
    hop.mood_on(1, Step::Dot, Mood::Wait);
    proxy.cut("attempts = greatest(attempts - 1, 0) from unnest", Moment::AfterCommit);
    for number in 0..3 {
        assert!(program.send(&Letter::joins(&format!("p{number}@example.org"))).await.starts_with("250"));
    }
    proxy.has_cut().await;
    until("another term", async || program.said().contains("work goes on")).await;
    hop.calm();
    hop.go_on();
    until("all are marked", async || database.ask("select count(*) from outbox where state = 'sent'").await == 3).await;
    assert!(got(&hop).values().all(|letters| *letters == 1) && got(&hop).len() == 3, "{:?}", got(&hop));
    program.stop().await;
}

/// Gives a future up after so many looks at it; true where it had come to its end.
async fn given_up_after(looks: i64, work: impl Future) -> bool {
    let (mut work, mut looked) = (pin!(work), 0);
    poll_fn(|cx| {
        looked += 1;
        match looked > looks {
            true => Poll::Ready(false),
            false => work.as_mut().poll(cx).map(|_| true),
        }
    })
    .await
}

/// Somebody else writes, on the store's one connection: it is there.
async fn others_work_is_kept(store: &Store, database: &TestDatabase, before: i64) {
    let kept = "insert into greylist (triple, first_at, last_at) values ($1, now(), now())";
    sqlx::query(kept).bind(before.to_string()).execute(&mut *store.connection().await.expect("a connection")).await.expect("kept");
    assert_eq!(database.ask("select count(*) from greylist").await, before + 1, "somebody else sees what was written after {before} looks");
}

/// sqlx would forget a transaction whose beginning is given up at the wrong moment, and what the next one writes on that connection would be lost.
#[tokio::test]
async fn a_transaction_given_up_while_it_begins_swallows_nobody_elses_work() {
    let database = TestDatabase::new();
    let store = Store::connect(database.options(), 1).await.expect("a store");
    for looks in 0..10 {
        given_up_after(looks, store.begin()).await;
        others_work_is_kept(&store, &database, looks).await;
    }
    println!("10 beginnings given up: nothing is left open");
}

#[tokio::test]
async fn a_large_letter_given_up_while_it_is_being_kept_swallows_nobody_elses_work() {
    let database = TestDatabase::new();
    let store = Store::connect(database.options(), 1).await.expect("a store");
    let raw = "Many words. ".repeat(20_000);
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: None };
    let arrival = Arrival {
        raw: raw.as_bytes(),
        envelope: &envelope,
        from: None,
        message_id: None,
        verdict: &Verdict::UNCHECKED,
        recipients: &[Recipient::Service(OwnAddress::Help)],
        domain: "pairs.test",
        session: "abc",
        tls: None,
        records_refusals: true,
    };
    let (mut looks, mut kept) = (0, false);
    while !kept {
        let mut conn = store.connection().await.expect("a connection");
        kept = given_up_after(looks, arrivals::accept(&mut conn, &[arrival], |_, _, _| Admission::Take, None, Utc::now())).await;
        drop(conn);
        others_work_is_kept(&store, &database, looks).await;
        looks += 1;
    }
    println!("kept with the {looks}th look, and given up after each one before: nothing is left open");
}
