//! Who owns a claimed row: a session, not a clock. Each process holds an advisory lock on a connection of its own; rows of an owner whose lock is free are free.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::Connection as _;

use super::{Connection, Store};

/// The first half of our advisory locks, so that they meet nobody else's.
const LOCK_CLASS: i32 = 7725;
/// After this many deaths of the process over one letter, the letter is set aside.
pub const DEATHS: i32 = 3;

/// This process as an owner of rows.
#[derive(Debug, Clone)]
pub struct Owner {
    id: i64,
    held: Arc<AtomicBool>,
}

impl Owner {
    /// Takes a lock for this process under `id` (random, positive, 31 bits) and keeps it until the returned future's task ends.
    /// The future must be spawned: it watches the connection, and takes the lock anew when the database comes back.
    pub async fn take(store: &Store, id: i32) -> Result<(Self, impl Future<Output = ()> + use<>)> {
        let owner = Self { id: i64::from(id), held: Arc::new(AtomicBool::new(false)) };
        let mut session = lock(store, id).await?;
        owner.held.store(true, Ordering::SeqCst);
        let (store, watched) = (store.clone(), owner.clone());
        Ok((owner, async move {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                if session.ping().await.is_err() {
                    watched.held.store(false, Ordering::SeqCst);
                    tracing::warn!("the connection that marks our rows is lost; nothing is claimed until it is back");
                    session = loop {
                        match lock(&store, id).await {
                            Ok(session) => break session,
                            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                        }
                    };
                    watched.held.store(true, Ordering::SeqCst);
                    tracing::info!("the connection that marks our rows is back");
                }
            }
        }))
    }

    /// What stands in the `owner` column of our rows.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The lock is held, as far as we know: rows may be claimed.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }
}

async fn lock(store: &Store, id: i32) -> Result<Connection> {
    let mut session = store.pool().acquire().await.context("cannot connect to Postgres")?.detach();
    sqlx::query!("select pg_advisory_lock($1, $2)", LOCK_CLASS, id).execute(&mut session).await?;
    Ok(session)
}

/// Frees the rows of owners that are gone, and counts the death; a letter that saw [`DEATHS`] is `failed`, in the record as well, and never tried again by
/// itself. Gives how many rows were freed.
pub async fn release_orphans(conn: &mut Connection, now: DateTime<Utc>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "with living as (
             select l.objid::bigint as owner from pg_locks l
             where l.locktype = 'advisory' and l.classid::bigint = $1 and l.objsubid = 2 and l.granted
               and l.database = (select oid from pg_database where datname = current_database())),
         letters as (
             update inbox set owner = null, deaths = deaths + 1,
                 state = case when deaths + 1 >= $2 then 'failed' else state end,
                 last_error = 'the process ended while it worked on this letter'
             where owner is not null and owner not in (select owner from living) returning exchange_id, state),
         told as (
             update exchange e set outcome = 'failed', ended_at = $3 from letters where e.id = letters.exchange_id and letters.state = 'failed'),
         ours as (
             update outbox set owner = null where owner is not null and owner not in (select owner from living) returning 1)
         select (select count(*) from letters) + (select count(*) from ours) as \"freed!\"",
        i64::from(LOCK_CLASS),
        DEATHS,
        now
    )
    .fetch_one(conn)
    .await?)
}
