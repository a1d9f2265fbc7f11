//! Migrations that change rows, tried on rows as the version before wrote them.
use pairpost::domain::breaker::Stream;
use sqlx::{Connection, PgConnection};

use crate::database::TestDatabase;

/// Those before streams.
const BEFORE: [&str; 4] = [
    include_str!("../../migrations/0001_people.sql"),
    include_str!("../../migrations/0002_letters.sql"),
    include_str!("../../migrations/0003_rounds.sql"),
    include_str!("../../migrations/0004_topics.sql"),
];
const STREAMS: &str = include_str!("../../migrations/0005_streams.sql");

#[tokio::test]
async fn letters_that_wait_come_into_their_streams_and_partners_to_the_front() {
    let database = TestDatabase::new();
    let mut conn = PgConnection::connect_with(&database.options()).await.unwrap();
    sqlx::raw_sql("create schema before; set search_path = before").execute(&mut conn).await.unwrap();
    for migration in BEFORE {
        sqlx::raw_sql(migration).execute(&mut conn).await.unwrap();
    }
    let kinds = [
        ("relay", 0, "queued", Stream::Relay),
        ("form", 1, "queued", Stream::Answers),
        ("was_it_you", 2, "queued", Stream::Answers),
        ("introduction", 2, "held", Stream::Introductions),
        ("round_ended", 2, "queued", Stream::Notices),
        ("topic", 3, "queued", Stream::Topics),
        // What is long sent stays as it is.
        ("topic", 3, "sent", Stream::Answers),
    ];
    sqlx::raw_sql("insert into address (id, email, email_key, created_at) values (gen_random_uuid(), 'a@example.org', 'a@example.org', now())")
        .execute(&mut conn)
        .await
        .unwrap();
    for (kind, priority, state, _) in kinds {
        let insert =
            "with e as (insert into exchange (id, at, direction, mailbox, kind, size) values (gen_random_uuid(), now(), 'out', 'help', $1, 1) returning id)
             insert into outbox (id, exchange_id, address_id, domain, kind, priority, reverse_path, size, state, next_at, expires_at, created_at)
             select gen_random_uuid(), e.id, a.id, 'example.org', $1, $2, '', 1, $3, now(), now(), clock_timestamp() from e, address a";
        sqlx::query(insert).bind(kind).bind(priority as i16).bind(state).execute(&mut conn).await.unwrap();
    }
    for (recipient, state) in [(r#"{"alias": {"alias": "x"}}"#, "pending"), (r#"{"service": "join"}"#, "pending")] {
        let insert =
            "with e as (insert into exchange (id, at, direction, mailbox, kind, size) values (gen_random_uuid(), now(), 'in', 'x', 'x', 1) returning id),
                 l as (insert into letter (id, sha256, size, received_at) values (gen_random_uuid(), '', 1, now()) returning id)
             insert into inbox (id, letter_id, exchange_id, recipient, peer, helo, verdict, admission, state, next_at, received_at)
             select gen_random_uuid(), l.id, e.id, $1::jsonb, '', '', '{}', 'take', $2, now(), clock_timestamp() from e, l";
        sqlx::query(insert).bind(recipient).bind(state).execute(&mut conn).await.unwrap();
    }
    sqlx::raw_sql(STREAMS).execute(&mut conn).await.unwrap();
    let streams: Vec<String> = sqlx::query_scalar("select stream from outbox order by created_at").fetch_all(&mut conn).await.unwrap();
    assert_eq!(streams, kinds.map(|(.., stream)| stream.name()));
    let keys: (i64, i64) = sqlx::query_as("select count(*), count(distinct occasion) from outbox").fetch_one(&mut conn).await.unwrap();
    assert_eq!(keys, (7, 7), "each has an occasion of its own");
    let priorities: Vec<i16> = sqlx::query_scalar("select priority from inbox order by received_at").fetch_all(&mut conn).await.unwrap();
    assert_eq!(priorities, [0, 1]);
    let watched: Vec<String> = sqlx::query_scalar("select stream from breaker order by stream").fetch_all(&mut conn).await.unwrap();
    let mut all: Vec<_> = Stream::ALL.into_iter().filter(|stream| stream.is_watched()).map(Stream::name).collect();
    all.sort_unstable();
    assert_eq!(watched, all, "each watched stream has its breaker");
}
