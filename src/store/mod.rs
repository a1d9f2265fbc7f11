//! The SQL, all of it: connections, the schema, and one file per family of tables.
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::{PgPool, Postgres, migrate::Migrator, postgres::PgPoolOptions};

pub mod applications;
pub mod exchanges;
pub mod inbox;
pub mod keys;
pub mod outbox;
pub mod ownership;
pub mod partnerships;
pub mod people;
pub mod private_postgres;
pub mod proposals;
pub mod recipients;
pub mod record;
pub mod relays;
pub mod rounds;
pub mod scratch;
pub mod seeds;
pub mod subscriptions;
pub mod tokens;
pub mod topics;
pub mod wakes;

/// How to reach a database.
pub type ConnectOptions = sqlx::postgres::PgConnectOptions;
/// One connection, inside a transaction or not: what every function of this room takes first.
pub type Connection = sqlx::PgConnection;
/// A transaction: rolled back unless committed.
pub type Tx = sqlx::Transaction<'static, Postgres>;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// The pool of connections that one process shares.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects with at most `connections` at once. A dead database is noticed within ten seconds, not waited for.
    pub async fn connect(options: ConnectOptions, connections: u32) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            // A connection that carried a large letter once would hold as much memory ever after: sqlx never lets its buffers shrink by itself.
            .after_release(|conn, _| {
                sqlx::Connection::shrink_buffers(conn);
                Box::pin(std::future::ready(Ok(true)))
            })
            .connect_with(options)
            .await
            .context("cannot connect to Postgres")?;
        Ok(Self { pool })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Tx> {
        self.pool.begin().await.context("cannot begin a transaction")
    }

    /// A connection for reading, or for one statement that needs no transaction.
    pub async fn connection(&self) -> Result<sqlx::pool::PoolConnection<Postgres>> {
        self.pool.acquire().await.context("cannot get a connection to Postgres")
    }

    /// The pool itself, for listening and for the lock of ownership.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Brings the schema up to date, under sqlx's own lock, so that several processes may start at once.
    pub async fn migrate(&self) -> Result<()> {
        migrate(&self.pool).await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Brings a schema up to date: all migrations that it has not seen, each in a transaction.
pub async fn migrate(pool: &PgPool) -> Result<()> {
    MIGRATIONS.run(pool).await.context("the database's schema could not be brought up to date")
}
