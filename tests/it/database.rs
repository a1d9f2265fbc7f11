//! A database for each test, cloned from a migrated one; all on one throw-away server of this process, which ends with it.
use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pairpost::store::Store;
use pairpost::store::private_postgres::PrivatePostgres;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::program::until;

/// Never dropped, for want of a moment: the server and its folder go when the kernel closes what this process holds.
static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();

/// Sessions that wait for a lock.
const WAITING: &str = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

/// The migrated database that the others are made from.
const TEMPLATE: &str = "template_of_tests";

/// An empty database with the schema of today; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
}

impl TestDatabase {
    /// Makes one: some 30 ms, and the first in a process two seconds.
    pub fn new() -> Self {
        Self::like(TEMPLATE)
    }

    /// Another one with the same rows; nobody may be connected to this one meanwhile.
    pub fn copy(&self) -> Self {
        Self::like(&self.name)
    }

    fn like(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        wait_for(administer(format!("create database {name} template {template}{}", file_copy())));
        Self { name }
    }

    /// How to connect to it.
    pub fn options(&self) -> PgConnectOptions {
        server().options(&self.name)
    }

    /// The same as a URL, for a program that is told so.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// A store on it.
    pub async fn store(&self) -> Store {
        Store::connect(self.options(), 5).await.expect("the test's database is there")
    }

    /// Asks it one thing.
    pub async fn ask(&self, query: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.connection().await).await.expect("a good query")
    }

    /// The same in words; several rows with a bar between them.
    pub async fn rows(&self, query: &str) -> String {
        let query = format!("select coalesce((select string_agg(answer::text, ' | ') from ({query}) as asked (answer)), 'nothing')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.connection().await).await.expect("a good query")
    }

    /// Tells it something.
    pub async fn tell(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.connection().await).await.expect("good statements");
    }

    /// A connection that belongs to no store.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.expect("the test's database is there")
    }

    /// How many sessions wait for a lock.
    pub async fn waiting(&self) -> i64 {
        self.ask(&format!("select count(*) {WAITING}")).await
    }

    /// Cuts the first wait for a lock, as the server does by itself after ten seconds.
    pub async fn cut_a_wait(&self) {
        let cut = format!("select count(pg_cancel_backend(pid)) {WAITING}");
        until("a wait is cut", async || self.ask(&cut).await > 0).await;
    }

    /// No new connections to it, and the old ones cut, as when the server is restarted; or all well again.
    pub async fn cut_off(&self, away: bool) {
        let mut admin = PgConnection::connect_with(&server().options("postgres")).await.expect("the server is there");
        let statement = format!("alter database {} allow_connections {}", self.name, !away);
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.expect("the server obeys");
        if away {
            let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
            sqlx::query(ended).bind(&self.name).execute(&mut admin).await.expect("the server obeys");
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        wait_for(administer(format!("drop database {} with (force)", self.name)));
    }
}

fn server() -> &'static PrivatePostgres {
    SERVER.get_or_init(|| {
        let server = PrivatePostgres::throw_away().expect("the tests need a PostgreSQL server");
        let (administration, template) = (server.options("postgres"), server.options(TEMPLATE));
        wait_for(async move {
            let mut connection = PgConnection::connect_with(&administration).await?;
            sqlx::query(AssertSqlSafe(format!("create database {TEMPLATE}"))).execute(&mut connection).await?;
            connection.close().await?;
            let pool = PgPoolOptions::new().max_connections(1).connect_with(template).await?;
            pairpost::store::migrate(&pool).await.expect("the migrations run on an empty database");
            pool.close().await; // a database in use cannot be cloned
            Ok(())
        });
        server
    })
}

/// From PostgreSQL 15 on files are copied only when asked for; it is twice as fast for small databases.
fn file_copy() -> &'static str {
    static HAS: OnceLock<bool> = OnceLock::new();
    let has = *HAS.get_or_init(|| {
        let administration = server().options("postgres");
        wait_for(async move {
            let mut connection = PgConnection::connect_with(&administration).await?;
            let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(version >= 150_000)
        })
    });
    if has { " strategy file_copy" } else { "" }
}

async fn administer(statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect_with(&server().options("postgres")).await?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

/// Runs a future to its end on a thread of its own, so that it makes no difference whether the test is asynchronous.
fn wait_for<T: Send + 'static>(work: impl Future<Output = sqlx::Result<T>> + Send + 'static) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work);
    let thread = std::thread::spawn(run);
    let ended = match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        // Other tasks go on meanwhile: Postgres lets a DROP DATABASE wait for everybody who is in the midst of a COPY.
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| thread.join()),
        Ok(_) | Err(_) => thread.join(),
    };
    ended.expect("no panic").expect("the throw-away server obeys")
}

#[tokio::test]
async fn every_test_has_an_empty_migrated_database_of_its_own() {
    let (mine, yours) = (TestDatabase::new(), TestDatabase::new());
    let mut connections = Vec::new();
    for database in [&mine, &yours] {
        let mut connection = PgConnection::connect_with(&database.options()).await.unwrap();
        let letters: i64 = sqlx::query_scalar("select count(*) from letter").fetch_one(&mut connection).await.unwrap();
        assert_eq!(letters, 0);
        sqlx::query("create table mine ()").execute(&mut connection).await.expect("nobody else made it");
        connections.push(connection);
    }
    let url = mine.url();
    drop(mine); // with a connection still open
    assert!(PgConnection::connect(&url).await.is_err());
    assert!(yours.store().await.connection().await.is_ok());
}
