//! Connections that went well a moment ago. The pool asks the server about each that comes back, and gives out the one that rested longest; these go to the
//! next who needs one as they are, the last one first: its session has everything at hand.
use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgPool, Postgres, pool::PoolConnection, postgres::PgTransactionManager as Manager};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Connection;

/// So long they stay out of the pool; then it looks after them.
const MOMENT: Duration = Duration::from_millis(500);

/// A connection, and since when it is warm.
type Kept = (Instant, PoolConnection<Postgres>);

/// The connections that are warm, and whose turn it is: in order, whether the next connection comes from here or from the pool.
#[derive(Debug, Clone)]
pub(super) struct Warm {
    kept: Arc<Mutex<Vec<Kept>>>,
    turns: Arc<Semaphore>,
}

/// A connection on loan: it goes back to the pool, or by [`Held::put_back`] to the next who needs one.
#[derive(Debug)]
pub struct Held {
    conn: PoolConnection<Postgres>,
    warm: Warm,
    turn: OwnedSemaphorePermit,
}

/// A transaction: rolled back unless committed, as its connection goes back to the pool.
#[derive(Debug)]
pub struct Tx(Held);

impl Warm {
    /// For a pool of so many connections.
    pub(super) fn new(connections: usize) -> Self {
        Self { kept: Arc::default(), turns: Arc::new(Semaphore::new(connections)) }
    }

    /// A connection: the one that was put back last, if that is not long ago; else one of the pool. What is older goes to the pool.
    pub(super) async fn take(&self, pool: &PgPool) -> sqlx::Result<Held> {
        let turn = self.turns.clone().acquire_owned();
        let turn = tokio::time::timeout(pool.options().get_acquire_timeout(), turn).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let warm = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let last = kept.pop().filter(|(at, _)| at.elapsed() < MOMENT);
            if last.is_none() {
                kept.clear();
            }
            last
        };
        let conn = match warm {
            Some((_, conn)) => conn,
            None => pool.acquire().await?,
        };
        Ok(Held { conn, warm: self.clone(), turn })
    }

    /// Gives all to the pool.
    pub(super) fn clear(&self) {
        drop(mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Held {
    /// Gives it to the next who needs one. Only when all that was asked was answered, without an error.
    pub fn put_back(mut self) {
        sqlx::Connection::shrink_buffers(&mut *self.conn);
        self.warm.kept.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), self.conn));
        // Only now may the next one look for it.
        drop(self.turn);
    }
}

impl Deref for Held {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.conn
    }
}

impl Tx {
    pub(super) async fn begin(mut conn: Held) -> sqlx::Result<Self> {
        Manager::begin(&mut conn, None).await?;
        Ok(Self(conn))
    }

    /// All of it, or an error; where the connection was lost meanwhile nobody knows which.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        Manager::commit(&mut self).await?;
        self.0.put_back();
        Ok(())
    }

    /// Nothing of it.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        Manager::rollback(&mut self).await
    }
}

impl Deref for Tx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// What was begun and not committed on a connection that goes back to the pool is undone.
pub(super) async fn undo(conn: &mut Connection) -> sqlx::Result<()> {
    while Manager::get_transaction_depth(conn) > 0 {
        Manager::rollback(conn).await?;
    }
    Ok(())
}
