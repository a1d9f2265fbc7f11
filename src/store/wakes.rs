//! Waking other processes: NOTIFY, outside of every letter's transaction (inside, it makes all commits queue for one lock), and not more often than is of use.
use std::{sync::Arc, time::Duration};

use anyhow::Result;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::{Connection, Store};

const CHANNEL: &str = "pairpost";
/// At most one NOTIFY in this time: others poll anyway.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Tells every process that there is work in the queues.
pub async fn tell(conn: &mut Connection) -> Result<()> {
    sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(conn).await?;
    Ok(())
}

/// Tells the others, debounced, each time that `happened` is notified. Runs until dropped.
pub async fn tell_when(store: Store, happened: Arc<Notify>) {
    loop {
        happened.notified().await;
        let told = async { tell(&mut *store.connection().await?).await };
        if let Err(error) = told.await {
            tracing::debug!(error = format!("{error:#}"), "other processes could not be woken; they poll");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Calls `wake` whenever another process tells of work. Runs until dropped; while the database is away, workers poll.
pub async fn listen(store: Store, wake: impl Fn()) {
    loop {
        if let Ok(mut listener) = PgListener::connect_with(store.pool()).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            while listener.recv().await.is_ok() {
                wake();
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
