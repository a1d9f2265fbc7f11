//! What is left of a term that is over: given back, soon and whole, whatever else is under way, and never taken for a death.
use std::{sync::Arc, time::Duration};

use pairpost::{
    domain::address::OwnAddress,
    store::{
        inbox::{self, End},
        ownership::Term,
    },
};
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use crate::{house::House, program::until};

/// Rows of the inbox that are as if nobody had tried them.
const FREE: &str = "select count(*) from inbox where state = 'pending' and owner is null and attempts = 0 and deaths = 0";

/// A letter that came and is claimed.
async fn claimed() -> (House, Arc<Term>, Uuid) {
    let house = House::new(&[]).await;
    let id = house.writes("ana@example.org", &OwnAddress::Help, "help").await;
    let term = house.inbox.owner.held().await;
    let mut conn = house.store.connection().await.unwrap();
    assert_eq!(inbox::claim(&mut conn, term.id(), 20, 64 << 20, i32::MAX, house.now).await.unwrap().len(), 1);
    (house, term, id)
}

async fn is_given_back(house: &House) -> Duration {
    until("it is given back", async || house.ask("select count(*) from inbox where owner is not null").await == "0").await
}

#[tokio::test]
async fn a_letter_on_its_way_out_keeps_no_letter_that_came_from_being_given_back() {
    let (house, term, id) = claimed().await;
    house.writes("ben@example.org", &OwnAddress::Join, "I would like to join.").await;
    house.work().await;
    let out = format!("update outbox set owner = {}, attempts = 1", term.id());
    sqlx::query(AssertSqlSafe(out)).execute(&mut *house.store.connection().await.unwrap()).await.unwrap();
    term.end();
    let took = is_given_back(&house).await;
    println!("a term ended while a letter under it was on its way out: the letter that came was free after {took:.1?}");
    assert_eq!(house.ask(FREE).await, "1");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Whoever still works on it ends nothing any more.
    let ends = [End { id, kind: "help", class: "personal", outcome: "done".into() }];
    let ended = inbox::finish(&mut house.store.connection().await.unwrap(), term.id(), &ends, house.now).await;
    assert!(ended.is_err());

    let locked = format!("select count(*) from pg_locks where locktype = 'advisory' and objid = {}", term.id());
    assert_eq!(house.ask(&locked).await, "1", "its row is held as long as it flies");
    assert_eq!(house.ask("select owner from outbox").await, term.id().to_string());
    drop(term);
    until("it is given back as well", async || house.ask("select count(*) from outbox where owner is null and attempts = 0 and deaths = 0").await == "1").await;
    until("the lock is free", async || house.ask(&locked).await == "0").await;
}

#[tokio::test]
async fn what_could_not_be_given_back_at_the_first_try_is_at_the_next_and_nobody_counts_a_death() {
    let (house, term, _) = claimed().await;
    let mut other = house.database.connection().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("lock table inbox in access exclusive mode").execute(&mut *tx).await.unwrap();
    term.end();
    drop(term);
    house.database.cut_a_wait().await;
    tx.rollback().await.unwrap();
    is_given_back(&house).await;
    assert_eq!(house.ask("select concat_ws(' ', attempts, deaths) from inbox").await, "0 0");
}

#[tokio::test]
async fn a_handler_that_has_not_come_to_its_end_keeps_the_next_term_from_nobody() {
    let (house, term, _) = claimed().await;
    let mut handler = house.database.connection().await;
    let mut tx = handler.begin().await.unwrap();
    sqlx::query("select 1 from inbox for update").execute(&mut *tx).await.unwrap();
    let before = term.id();
    term.end();
    drop(term);
    let took = until("the next term begins", async || house.inbox.owner.term().is_some_and(|term| term.id() != before)).await;
    tx.rollback().await.unwrap();
    is_given_back(&house).await;
    println!("a term ended while a handler held a row: the next one began after {took:.1?}");
    assert_eq!(house.ask("select concat_ws(' ', attempts, deaths) from inbox").await, "0 0");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
