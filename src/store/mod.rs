//! The SQL, all of it: connections, the schema, and one file per family of tables.
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{Connection as _, PgConnection, PgPool, migrate::Migrator, postgres::PgPoolOptions};

pub mod applications;
pub mod arrivals;
pub mod breaker;
pub mod exchanges;
pub mod failures;
pub mod greylist;
pub mod health;
pub mod held;
pub mod idle;
pub mod inbox;
pub mod keys;
pub mod letters;
pub mod orders;
pub mod outbox;
pub mod ownership;
pub mod partnerships;
pub mod people;
pub mod private_postgres;
pub mod proposals;
mod recent;
pub mod recipients;
pub mod record;
pub mod relays;
pub mod room;
pub mod rounds;
pub mod scratch;
pub mod seeds;
pub mod sheets;
pub mod subscriptions;
pub mod tokens;
pub mod topics;
pub mod wakes;
mod warm;

pub use warm::{Held, Tx};

/// How to reach a database.
pub type ConnectOptions = sqlx::postgres::PgConnectOptions;
/// One connection, inside a transaction or not: what every function of this room takes first.
pub type Connection = sqlx::PgConnection;

/// Our statements look rows up by key. So the plan that fits all values is the right one, and planning anew costs as much as running; a table of which
/// Postgres has no figures yet must not be read whole, as it would choose to while the table is small, and go on doing with the plan that it keeps; and the
/// index of a queue is full of entries of rows that are gone, which a plain scan leaves out from the second time on, a bitmap scan never.
const BY_KEY: [(&str, &str); 4] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off")];

static MIGRATIONS: Migrator = sqlx::migrate!();
const MIGRATION_FAILED: &str = "the database's schema could not be brought up to date";

/// The pool of connections that one process shares.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    warm: warm::Warm,
    health: health::Health,
    room: room::Room,
}

impl Store {
    /// Connects with at most `connections` at once. A dead database is noticed within ten seconds, not waited for.
    pub async fn connect(options: ConnectOptions, connections: u32) -> Result<Self> {
        let health = health::Health::new();
        let returned = health.clone();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|conn, _| Box::pin(health::prepare(conn)))
            // sqlx's own test waits without end for a server that hangs.
            .test_before_acquire(false)
            .before_acquire(|conn, _| Box::pin(async move { Ok(health::answers(conn).await) }))
            // A connection that carried a large letter once would hold as much memory ever after: sqlx never lets its buffers shrink by itself.
            .after_release(move |conn, _| {
                let is_well = !returned.is_troubled();
                Box::pin(async move { Ok(is_well && warm::is_well(conn).await?) })
            })
            .connect_with(options.options(BY_KEY))
            .await
            .context("cannot connect to Postgres")?;
        Ok(Self { pool, warm: warm::Warm::new(connections as usize, health.clone()), health, room: room::Room::default() })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx> {
        let begun = async { Ok::<_, anyhow::Error>(Tx::begin(self.acquire().await?).await?) };
        begun.await.context("cannot begin a transaction")
    }

    /// A connection for reading, or for one statement that needs no transaction. Who asks often, and was answered, puts it back.
    pub async fn connection(&self) -> Result<Held> {
        self.acquire().await.context("cannot get a connection to Postgres")
    }

    /// Opens all connections at once, as many as there can be: what each takes is taken from the start, and not by whoever comes in a crowd. Postgres may have
    /// fewer left.
    pub async fn open_all(&self) {
        let mut open = Vec::new();
        while open.len() < self.pool.options().get_max_connections() as usize
            && let Ok(connection) = self.pool.acquire().await
        {
            open.push(connection);
        }
    }

    /// Room at the exit of this process.
    pub fn room(&self) -> &room::Room {
        &self.room
    }

    /// The pool itself, for listening and for the lock of ownership.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Brings the schema up to date, under sqlx's own lock, so that several processes may start at once.
    pub async fn migrate(&self) -> Result<()> {
        // On a connection of its own without limits of time: a migration may take long, and wait long for another process's.
        let mut conn = PgConnection::connect_with(&self.pool.connect_options()).await.context("cannot connect to Postgres")?;
        MIGRATIONS.run(&mut conn).await.context(MIGRATION_FAILED)?;
        Ok(conn.close().await?)
    }

    /// Closes every connection. Those that somebody still has, or that don't answer, are waited for no longer than a moment: the server notices that they are
    /// gone.
    pub async fn close(&self) {
        self.warm.clear();
        if tokio::time::timeout(2 * health::ANSWER, self.pool.close()).await.is_err() {
            tracing::warn!("some connections to Postgres could not be closed in order");
        }
    }
}

/// A part of a transaction that can be undone by itself: it is unless committed.
pub async fn part(conn: &mut Connection) -> Result<Part<'_>> {
    Ok(Part(conn.begin().await.context("cannot begin a part of a transaction")?))
}

/// See [`part`].
pub struct Part<'a>(sqlx::Transaction<'a, sqlx::Postgres>);

impl Part<'_> {
    /// Its connection.
    pub fn conn(&mut self) -> &mut Connection {
        &mut self.0
    }

    /// It belongs to the transaction.
    pub async fn commit(self) -> Result<()> {
        self.0.commit().await.context("cannot end a part of a transaction")
    }

    /// It never was.
    pub async fn undo(self) -> Result<()> {
        self.0.rollback().await.context("cannot undo a part of a transaction")
    }
}

/// Brings a schema up to date: all migrations that it has not seen, each in a transaction.
pub async fn migrate(pool: &PgPool) -> Result<()> {
    MIGRATIONS.run(pool).await.context(MIGRATION_FAILED)
}
