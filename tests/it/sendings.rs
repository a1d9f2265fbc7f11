//! A letter to many goes on where it stopped, and reaches everybody once.
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use pairpost::{
    app,
    domain::topic::NewTopic,
    handlers::{Context, Site, topics as sending},
    schedule,
    store::{Store, record, seeds, topics},
};
use uuid::Uuid;

use crate::{database::TestDatabase, next_hop::NextHop, program::Program};

/// More than two batches of a sending.
const SUBSCRIBERS: u32 = 450;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn started(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    seeds::list(&mut tx, SUBSCRIBERS, now()).await.unwrap();
    let topic = NewTopic::parse("Title: A day at the desk\n\nWhich question do you hear most?").unwrap();
    let topic = topics::insert(&mut tx, &topic, now()).await.unwrap().unwrap();
    assert!(topics::start(&mut tx, topic, now()).await.unwrap());
    tx.commit().await.unwrap();
}

async fn one(store: &Store, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut *store.connection().await.unwrap()).await.unwrap()
}

fn site(data_dir: &std::path::Path) -> Site {
    let set = [("PAIRPOST_DATA_DIR".to_owned(), data_dir.display().to_string())];
    app::site(&pairpost::config::Config::load(Some(std::path::Path::new("/dev/null")), set.into_iter()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_sending_that_was_cut_off_goes_on_where_it_stopped_and_reaches_everybody_once() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let (store, site) = (database.store().await, site(data.path()));
    started(&store).await;
    assert_eq!(schedule::send_on(&store, &site, now()).await.unwrap(), Some(200));

    // A process that dies in the middle of a batch leaves nothing of it.
    let mut tx = store.begin().await.unwrap();
    let cut_off = sending::send_on(&mut Context::new(&mut tx, now(), &site)).await.unwrap();
    assert_eq!(cut_off, Some(200));
    // While it is at work, another one finds nothing to do and does not wait.
    assert_eq!(schedule::send_on(&store, &site, now()).await.unwrap(), None);
    tx.rollback().await.unwrap();
    assert_eq!(one(&store, "select count(*) from outbox").await, 200);

    while schedule::send_on(&store, &site, now()).await.unwrap().is_some() {}
    assert_eq!(one(&store, "select count(*) from outbox").await, i64::from(SUBSCRIBERS));
    assert_eq!(one(&store, "select count(distinct address_id) from outbox where kind = 'topic'").await, i64::from(SUBSCRIBERS));
    assert_eq!(one(&store, "select enqueued::bigint from sending where finished_at is not null").await, i64::from(SUBSCRIBERS));
}

#[tokio::test]
async fn what_the_letters_of_a_sending_have_in_common_is_kept_once_and_forgotten_with_the_last_of_them() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let (store, site) = (database.store().await, site(data.path()));
    started(&store).await;
    while schedule::send_on(&store, &site, now()).await.unwrap().is_some() {}
    assert_eq!(one(&store, "select count(*) from sheet").await, 3, "one for each batch");
    assert_eq!(one(&store, "select count(*) from outbox where length(raw) * 2 < size").await, i64::from(SUBSCRIBERS));

    let mut conn = store.connection().await.unwrap();
    let rows: Vec<(Uuid, i32, String)> =
        sqlx::query_as("select o.id, o.size, a.email from outbox o join address a on a.id = o.address_id").fetch_all(&mut *conn).await.unwrap();
    for (id, size, email) in rows {
        let raw = record::queued(&mut conn, id).await.unwrap().and_then(|(_, raw)| raw).expect("kept");
        let letter = String::from_utf8(raw).expect("ASCII");
        assert_eq!(letter.len(), usize::try_from(size).unwrap());
        assert!(letter.contains(&format!("\r\nTo: <{email}>\r\n")) && letter.matches("Which question do you hear most?").count() == 2, "{letter}");
    }

    sqlx::raw_sql("update outbox set state = 'sent', sent_at = to_timestamp(1800000000) where id <> (select max(id::text)::uuid from outbox)")
        .execute(&mut *conn)
        .await
        .unwrap();
    let later = now() + TimeDelta::days(15);
    schedule::step(&store, &site, later).await.unwrap();
    assert_eq!(one(&store, "select count(*) from sheet").await, 1, "one letter is still to be sent");
    sqlx::raw_sql("update outbox set state = 'sent', sent_at = to_timestamp(1800000000)").execute(&mut *conn).await.unwrap();
    schedule::step(&store, &site, later).await.unwrap();
    assert_eq!(one(&store, "select (select count(*) from sheet) + (select count(*) from outbox where raw is not null)").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_command_sends_reaches_everybody_once_also_beside_a_program_that_serves() {
    let (database, data, hop) = (TestDatabase::new(), tempfile::tempdir().unwrap(), NextHop::start().await);
    let store = database.store().await;
    seeds::list(&mut store.connection().await.unwrap(), SUBSCRIBERS, Utc::now()).await.unwrap();
    let url = hop.url();
    let program = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &url)]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pairpost"));
    command.env("DATABASE_URL", database.url()).env("PAIRPOST_DATA_DIR", data.path()).args(["topic", "add", "--shipped"]);
    assert!(command.status().unwrap().success());
    for (nth, topic) in ["getting-started", "what-we-let-go"].into_iter().enumerate() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairpost"));
        command.env("DATABASE_URL", database.url()).env("PAIRPOST_DATA_DIR", data.path()).args(["topic", "send", "--now", topic]);
        let said = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), format!("{topic}: {SUBSCRIBERS} letters queued\n"), "{}", String::from_utf8_lossy(&said.stderr));
        hop.wait_for_count((nth + 1) * SUBSCRIBERS as usize).await;
    }
    program.stop().await;
    assert_eq!(
        one(&store, "select count(distinct (address_id, sending_id)) from outbox where state = 'sent' and attempts = 1").await,
        2 * i64::from(SUBSCRIBERS)
    );
    assert_eq!(hop.count(), 2 * SUBSCRIBERS as usize);
}
