//! Letters on hold, when several things happen to one at the same moment.
use chrono::TimeDelta;
use pairpost::{
    domain::address::OwnAddress,
    store::{held, recipients::Recipient},
};
use uuid::Uuid;

use crate::{
    house::{House, letter},
    program::until,
};

/// A letter of Ana's waits for a word of her mailbox; gives its row, and her mailbox's.
async fn on_hold(house: &House) -> (Uuid, Uuid) {
    let id = house.comes(&Recipient::Service(OwnAddress::Help), "ana@example.org", &letter("ana@example.org", "help"), true).await;
    house.work().await;
    assert_eq!(house.ask("select state from inbox").await, "held");
    (id, house.ask("select writer_id from inbox").await.parse().expect("a row"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_just_being_vouched_for_is_not_dropped() {
    // The other one comes meanwhile: the calendar, with which its time on hold is over, or a second answer of its writer's.
    for calendar in [true, false] {
        let house = House::new(&[]).await;
        let ((id, ana), store, later) = (on_hold(&house).await, house.store.clone(), house.now + TimeDelta::days(30));
        let mut vouching = house.store.begin().await.unwrap();
        assert!(held::vouch(&mut vouching, id, ana, true, house.now).await.unwrap());
        let dropping = tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let dropped = match calendar {
                true => held::expire(&mut tx, later).await.unwrap(),
                false => usize::from(held::vouch(&mut tx, id, ana, false, later).await.unwrap()),
            };
            tx.commit().await.unwrap();
            dropped
        });
        until("the other one waits for the letter", async || house.database.waiting().await == 1).await;
        vouching.commit().await.unwrap();
        assert_eq!(dropping.await.unwrap(), 0, "calendar: {calendar}");
        assert_eq!(house.ask("select state || ' ' || admission from inbox where writer_id is not null").await, "pending take", "calendar: {calendar}");
        assert_eq!(house.ask("select outcome from exchange where direction = 'in'").await, "held", "calendar: {calendar}");
    }
}
