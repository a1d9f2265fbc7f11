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

use super::{
    Connection,
    health::{ANSWER, Health},
};

/// So long they stay out of the pool; then it looks after them.
const MOMENT: Duration = Duration::from_millis(500);

/// A connection, and since when it is warm.
type Kept = (Instant, PoolConnection<Postgres>);

/// The connections that are warm, and whose turn it is: in order, whether the next connection comes from here or from the pool.
#[derive(Debug, Clone)]
pub(super) struct Warm {
    kept: Arc<Mutex<Vec<Kept>>>,
    turns: Arc<Semaphore>,
    health: Health,
}

/// A connection on loan: it goes back to the pool, or by [`Held::put_back`] to the next who needs one.
#[derive(Debug)]
pub struct Held {
    conn: PoolConnection<Postgres>,
    turn: Turn,
    /// A transaction was asked for, and nobody heard whether it began.
    unheard: bool,
}

/// Lets the next one look for a connection. Where this one was not put back something may be wrong, with the others as well: the pool asks each.
#[derive(Debug)]
struct Turn {
    warm: Warm,
    went_well: bool,
    _next: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.went_well {
            self.warm.clear();
        }
    }
}

/// A transaction: rolled back unless committed, as its connection goes back to the pool.
#[derive(Debug)]
pub struct Tx(Held);

impl Warm {
    /// For a pool of so many connections.
    pub(super) fn new(connections: usize, health: Health) -> Self {
        Self { kept: Arc::default(), turns: Arc::new(Semaphore::new(connections)), health }
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
        Ok(Held { conn, turn: Turn { warm: self.clone(), went_well: false, _next: turn }, unheard: false })
    }

    /// Gives all to the pool.
    pub(super) fn clear(&self) {
        drop(mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Held {
    /// Gives it to the next who needs one. Only when all that was asked was answered, without an error. In trouble the pool closes it, as it does every other.
    pub fn put_back(mut self) {
        if self.unheard || self.turn.warm.health.is_troubled() {
            return;
        }
        sqlx::Connection::shrink_buffers(&mut *self.conn);
        self.turn.went_well = true;
        self.turn.warm.kept.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), self.conn));
        // Only now may the next one look for it.
        drop(self.turn);
    }

    /// Begins a transaction on it. sqlx 0.9.0 forgets a BEGIN that it was not let to hear the answer of (its issues 4385 and 4393), and the next one who got
    /// the connection would write into a transaction that nobody commits: so nobody gets it.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        let mut asking = Asking { held: self, is_answered: false };
        Manager::begin(asking.held, None).await?;
        asking.is_answered = true;
        Ok(())
    }

    /// Commits what was begun on it.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        Manager::commit(self).await
    }

    /// Undoes what was begun on it.
    pub(super) async fn rollback(&mut self) -> sqlx::Result<()> {
        Manager::rollback(self).await
    }
}

/// A BEGIN that may have been sent.
struct Asking<'a> {
    held: &'a mut Held,
    is_answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.held.unheard = true;
            self.held.conn.close_on_drop();
        }
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
        conn.begin().await?;
        Ok(Self(conn))
    }

    /// All of it, or an error; where the connection was lost meanwhile nobody knows which.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.0.commit().await?;
        self.0.put_back();
        Ok(())
    }

    /// Nothing of it.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        self.0.rollback().await
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

/// Whether a connection that goes back to the pool can be used again, which it is to show soon: until then it keeps its place.
pub(super) async fn is_well(conn: &mut Connection) -> sqlx::Result<bool> {
    tokio::time::timeout(ANSWER, make_well(conn)).await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// What was begun on it and not committed is undone; a session that began while the database was read-only is so to its end.
async fn make_well(conn: &mut Connection) -> sqlx::Result<bool> {
    while Manager::get_transaction_depth(conn) > 0 {
        Manager::rollback(conn).await?;
    }
    sqlx::Connection::shrink_buffers(conn);
    let read_only: bool = sqlx::query_scalar("select current_setting('transaction_read_only')::boolean").fetch_one(conn).await?;
    Ok(!read_only)
}
