//! The database at its worst, and several programs on one: what was answered 250 is done once, and work goes on by itself. Each test prints its figure.
mod commits;
mod disk;
mod outages;
mod owners;
mod proxy;
mod several;

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{database::TestDatabase, next_hop::NextHop};

/// Asks the test's database one thing.
async fn ask(database: &TestDatabase, query: &str) -> i64 {
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
}

/// Tells it something.
async fn tell(database: &TestDatabase, statements: &str) {
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("good statements");
}

/// Who got letters, and how many each.
fn got(hop: &NextHop) -> BTreeMap<String, usize> {
    let mut got = BTreeMap::new();
    hop.taken().into_iter().for_each(|letter| *got.entry(letter.to).or_default() += 1);
    got
}
