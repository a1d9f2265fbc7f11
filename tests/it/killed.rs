//! The built program, killed in the middle of its work: what it answered 250 is answered, nothing is lost.
use std::collections::HashSet;

use sqlx::{Connection as _, PgConnection};

use crate::{
    database::TestDatabase,
    program::{Letter, Program, until},
};

/// Letters accepted before each kill.
const LETTERS: usize = 12;

async fn answered(database: &TestDatabase) -> HashSet<String> {
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    let query = "select a.email_key from outbox o join address a on a.id = o.address_id where o.kind = 'form' and o.state = 'sent'";
    sqlx::query_scalar::<_, String>(query).fetch_all(&mut connection).await.expect("a good query").into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_answered_250_is_handled_though_the_program_is_killed() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let mut accepted = HashSet::new();
    for life in 0..3 {
        let mut program = Program::serve(Some(&database.url()), data.path(), &[]);
        for number in 0..LETTERS {
            let who = format!("p{life}x{number}@example.org");
            if program.send(&Letter::joins(&who)).await.starts_with("250") {
                accepted.insert(who);
            }
        }
        program.kill();
    }
    assert_eq!(accepted.len(), 3 * LETTERS);

    let program = Program::serve(Some(&database.url()), data.path(), &[]);
    until("all are answered", async || answered(&database).await == accepted).await;
    program.stop().await;
    let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
    let query = "select count(*) from outbox where kind = 'form'";
    let written: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("a good query");
    assert_eq!(written as usize, accepted.len(), "nobody is written to twice");
}
