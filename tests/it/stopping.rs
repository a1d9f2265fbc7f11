//! The program ends when it is told to, with everything that was accepted where the next one finds it; and not because of rows that nobody foresaw.
use std::time::Duration;

use chrono::Utc;
use pairpost::{
    domain::topic::NewTopic,
    store::{Store, seeds, topics, wakes},
};
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::net::TcpStream;

use crate::{
    database::TestDatabase,
    next_hop::NextHop,
    program::{Letter, Program, until},
};

/// More than two batches of a sending.
const SUBSCRIBERS: u32 = 450;

/// Whoever changes such a row waits until this connection is dropped.
async fn held_up(database: &TestDatabase, rows: &str) -> PgConnection {
    let mut connection = database.connection().await;
    let statements = format!(
        "create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
         create trigger wait before update on {rows} execute function wait();
         select pg_advisory_lock(1)"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("good statements");
    connection
}

async fn somebody_waits(database: &TestDatabase) {
    until("somebody waits", async || database.waiting().await == 1).await;
}

/// It was told to end; an exit that did not wait for the others would have gone.
async fn is_stopping(program: &Program, hop: &NextHop) {
    program.signal(Signal::TERM);
    until("the pages are closed", async || TcpStream::connect(&program.http).await.is_err()).await;
    let gone = tokio::time::timeout(Duration::from_secs(2), until("the exit is gone", async || hop.connections() > 0 && hop.has_left(1))).await;
    println!("the exit is gone before the others: {}", gone.is_ok());
}

const CLAIMED_OR_DIED: &str =
    "select (select count(*) from inbox where owner is not null or deaths > 0) + (select count(*) from outbox where owner is not null or deaths > 0)";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_is_amid_when_the_program_stops_leaves_or_is_given_back() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let mut program = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    assert!(program.send(&Letter::joins("bea@example.org")).await.starts_with("250"));
    // One has left: so the exit has room.
    until("it is marked", async || database.ask("select count(*) from outbox where state = 'sent'").await == 1).await;
    // Its answer is queued by then.
    let lock = held_up(&database, "inbox for each row when (new.state = 'done')").await;
    assert!(program.send(&Letter::joins("ana@example.org")).await.starts_with("250"));
    somebody_waits(&database).await;
    is_stopping(&program, &hop).await;
    drop(lock);
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(database.ask(CLAIMED_OR_DIED).await, 0);
    let next = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    hop.takes("ana@example.org").await;
    until("it is marked", async || database.ask("select count(*) from outbox where state <> 'sent'").await == 0).await;
    assert_eq!((database.ask(CLAIMED_OR_DIED).await, hop.count()), (0, 2));
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sending_under_way_stops_with_the_program_and_goes_on_with_the_next() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let store = Store::connect(database.options(), 1).await.expect("a store");
    let mut tx = store.begin().await.unwrap();
    seeds::list(&mut tx, SUBSCRIBERS, Utc::now()).await.unwrap();
    let topic = topics::insert(&mut tx, &NewTopic::parse("Title: One\n\nwords").unwrap(), Utc::now()).await.unwrap().unwrap();
    assert!(topics::start(&mut tx, topic, Utc::now()).await.unwrap());
    tx.commit().await.unwrap();
    let lock = held_up(&database, "sending for each row").await;
    let mut program = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    somebody_waits(&database).await;
    is_stopping(&program, &hop).await;
    drop(lock);
    assert_eq!(program.ended().await, Some(0));
    let queued = database.ask("select count(*) from outbox").await;
    assert!(0 < queued && queued < i64::from(SUBSCRIBERS), "{queued} letters were queued before it ended");
    assert_eq!(database.ask(CLAIMED_OR_DIED).await, 0);
    let next = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    until("all are marked", async || database.ask("select count(*) from outbox where state = 'sent'").await == i64::from(SUBSCRIBERS)).await;
    assert_eq!((database.ask(CLAIMED_OR_DIED).await, hop.count()), (0, SUBSCRIBERS as usize));
    println!("stopped after {queued} of {SUBSCRIBERS} letters; the others left with the next program");
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_foresaw_stop_one_part_of_the_calendar_and_nothing_else() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    let program = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
    let store = Store::connect(database.options(), 1).await.expect("a store");
    // A date that is none of ours: whoever reads it panics.
    let strange = "insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, seed, created_at)
        values (gen_random_uuid(), 'for ever', '2027-01-01', '2027-01-02', '2027-01-03', '2027-01-04', 'infinity', 1, now())";
    sqlx::query(strange).execute(&mut *store.connection().await.unwrap()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    seeds::list(&mut tx, 1, Utc::now()).await.unwrap();
    let topic = topics::insert(&mut tx, &NewTopic::parse("Title: One\n\nwords").unwrap(), Utc::now()).await.unwrap().unwrap();
    assert!(topics::start(&mut tx, topic, Utc::now()).await.unwrap());
    tx.commit().await.unwrap();
    wakes::tell_all(&store, wakes::Work::Calendar).await.unwrap();
    until("it is said", async || program.said().contains("Rounds in the calendar: it panicked")).await;
    hop.wait_for(1).await;
    assert!(program.send(&Letter::joins("ana@example.org")).await.starts_with("250"));
    program.stop().await;
}
