//! A process that has work for others wakes them, and need not wait for their next look.
use std::{sync::Arc, time::Duration};

use pairpost::store::wakes::{self, Work};
use tokio::sync::Notify;

use crate::{database::TestDatabase, program::PATIENCE};

#[tokio::test]
async fn what_happens_in_one_process_wakes_another() {
    let database = TestDatabase::new();
    let (ours, theirs) = (database.store().await, database.store().await);
    let (happened, woken, looks) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let telling = tokio::spawn(wakes::tell_when(ours.clone(), happened.clone()));
    let listening = tokio::spawn(wakes::listen(theirs, {
        let (woken, looks) = (woken.clone(), looks.clone());
        move |work| match work {
            Work::Queues => woken.notify_one(),
            Work::Calendar => looks.notify_one(),
        }
    }));
    let heard = async {
        // The other one may not listen yet: what happens next reaches it.
        while tokio::time::timeout(Duration::from_millis(300), woken.notified()).await.is_err() {
            happened.notify_one();
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it is woken");
    wakes::tell_all(&ours, Work::Calendar).await.expect("told");
    tokio::time::timeout(PATIENCE, looks.notified()).await.expect("its calendar is woken");
    telling.abort();
    listening.abort();
}
