//! Waking other processes: NOTIFY, outside of every letter's transaction (inside, it makes all commits queue for one lock), and not more often than is of use.
use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;

use super::{Connection, Store, health::in_time};

const CHANNEL: &str = "pairpost";
/// At most one NOTIFY in this time: others poll anyway.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// A listener that heard nothing for so long asks whether the server is still there.
const LISTENS: Duration = Duration::from_secs(10);

/// Where there is work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// In the queues.
    Queues,
    /// In the calendar.
    Calendar,
}

/// What is told of work in the calendar; of any other nothing.
const CALENDAR: &str = "calendar";

/// Tells every process that there is work.
pub async fn tell(conn: &mut Connection, work: Work) -> Result<()> {
    let words = match work {
        Work::Queues => "",
        Work::Calendar => CALENDAR,
    };
    sqlx::query!("select pg_notify($1, $2)", CHANNEL, words).execute(conn).await?;
    Ok(())
}

/// The same, on a connection of the store's.
pub async fn tell_all(store: &Store, work: Work) -> Result<()> {
    let mut conn = store.connection().await?;
    tell(&mut conn, work).await?;
    conn.put_back();
    Ok(())
}

/// Tells the others of work in the queues, debounced, each time that `happened` is notified. Runs until dropped.
pub async fn tell_when(store: Store, happened: Arc<Notify>) {
    loop {
        happened.notified().await;
        if let Err(error) = in_time(tell_all(&store, Work::Queues)).await {
            tracing::debug!(error = format!("{error:#}"), "other processes could not be woken; they poll");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Calls `wake` whenever another process tells of work, and for the queues when it may have done so unheard. Runs until dropped; while the database is away,
/// workers poll.
pub async fn listen(store: Store, wake: impl Fn(Work)) {
    loop {
        match listen_once(&store, &wake).await {
            Ok(never) => match never {},
            Err(error) => tracing::debug!(error = format!("{error:#}"), "other processes are not heard for a moment; workers poll"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Listens until the connection is lost, which a listener that only waits would not notice where the network swallows everything: it asks now and then.
async fn listen_once(store: &Store, wake: &impl Fn(Work)) -> Result<Infallible> {
    // A pool of its own: a connection that hangs takes no place that somebody else needs.
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with((*store.pool().connect_options()).clone());
    let mut listener = in_time(async { Ok(PgListener::connect_with(&pool).await?) }).await?;
    in_time(async { Ok(listener.listen(CHANNEL).await?) }).await?;
    wake(Work::Queues);
    loop {
        match tokio::time::timeout(LISTENS, listener.try_recv()).await {
            Ok(heard) => {
                let heard = heard?.context("the connection is lost")?;
                wake(if heard.payload() == CALENDAR { Work::Calendar } else { Work::Queues });
            }
            Err(_) => in_time(async { Ok(sqlx::query!("select 1 as \"there!\"").fetch_one(&mut listener).await?) }).await.map(drop)?,
        }
    }
}
