//! Connections that went well a moment ago. The pool asks the server about each that comes back, and gives out the one that rested longest; these go to the
//! next who needs one as they are, the last one first: its session has everything at hand.
use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Postgres, pool::PoolConnection, postgres::PgTransactionManager as Manager};
use sqlx_core::transaction::TransactionManager;

use super::Connection;

/// So many stay out of the pool.
const KEPT: usize = 4;
/// … for so long; then the pool looks after them.
const MOMENT: Duration = Duration::from_millis(500);

/// The connections that are warm.
#[derive(Debug, Clone, Default)]
pub(super) struct Warm(Arc<Mutex<Vec<(Instant, PoolConnection<Postgres>)>>>);

/// A connection on loan: it goes back to the pool, or by [`Held::put_back`] to the next who needs one.
#[derive(Debug)]
pub struct Held {
    conn: PoolConnection<Postgres>,
    warm: Warm,
}

/// A transaction: rolled back unless committed, as its connection goes back to the pool.
#[derive(Debug)]
pub struct Tx(Held);

impl Warm {
    /// The connection that was put back last, if that is not long ago. What is older goes to the pool.
    pub(super) fn take(&self) -> Option<Held> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.pop() {
            Some((at, conn)) if at.elapsed() < MOMENT => Some(self.lend(conn)),
            Some(_) | None => {
                kept.clear();
                None
            }
        }
    }

    /// Gives all to the pool.
    pub(super) fn clear(&self) {
        drop(mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    pub(super) fn lend(&self, conn: PoolConnection<Postgres>) -> Held {
        Held { conn, warm: self.clone() }
    }
}

impl Held {
    /// Gives it to the next who needs one. Only when all that was asked was answered, without an error.
    pub fn put_back(mut self) {
        sqlx::Connection::shrink_buffers(&mut *self.conn);
        let mut kept = self.warm.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push((Instant::now(), self.conn));
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
