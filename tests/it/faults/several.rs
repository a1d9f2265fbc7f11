//! Several programs on one Postgres: the same binary, the same secret, no leader. Each thing is done once, limits hold over all, and who dies is stood in for.
use std::{collections::BTreeSet, path::Path};

use chrono::Utc;
use pairpost::{
    domain::topic::NewTopic,
    store::{seeds, topics},
};
use rustix::process::Signal;
use sqlx::Connection as _;

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
    next_hop::{Mood, NextHop, Step},
    program::{Letter, Program, until},
    stopwatch::Stopwatch,
};

use super::got;

const SUBSCRIBERS: u32 = 60;
const WAITING: i64 = 8;
const LETTERS: usize = 40;
/// Letters on their way at once to one domain, over all programs.
const PER_DOMAIN: usize = 3;

/// A field of a letter's header.
fn field<'a>(letter: &'a str, name: &str) -> &'a str {
    letter.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// Notes each claim: by whom, and of what.
const WATCH: &str = "
    create table claimed (owner bigint, letter uuid, queue text);
    create function note_claim() returns trigger language plpgsql as $$ begin
        insert into claimed values (new.owner, new.id, tg_table_name);
        return null; end $$;
    create trigger note after update of owner on inbox for each row when (new.owner is not null) execute function note_claim();
    create trigger note after update of owner on outbox for each row when (new.owner is not null) execute function note_claim();";

/// Two of them at once.
fn two(database: &TestDatabase, data: &Path, settings: &[(&str, &str)]) -> (Program, Program) {
    let url = database.url();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| Program::serve(Some(&url), data, settings));
        (Program::serve(Some(&url), data, settings), first.join().expect("it serves too"))
    })
}

/// Things for the calendar, all due: a topic for subscribers, and a round that opens for people who wait.
async fn calendar(database: &TestDatabase) {
    let store = database.store().await;
    let mut tx = store.begin().await.expect("a transaction");
    seeds::list(&mut tx, SUBSCRIBERS, Utc::now()).await.expect("subscribers");
    let topic = NewTopic::parse("Title: A day at the desk\n\nWhich question do you hear most?").expect("a topic");
    topics::insert(&mut tx, &topic, Utc::now()).await.expect("written").expect("new");
    tx.commit().await.expect("committed");
    let today = "(now() at time zone 'utc')::date";
    database
        .tell(&format!(
            "update topic set state = 'scheduled', send_on = {today};
             insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, seed, created_at)
                 values (gen_random_uuid(), 'Spring', {today}, {today} + 9, {today} + 10, {today} + 20, {today} + 90, 1, now());
             with n as (select n, gen_random_uuid() as id from generate_series(1, {WAITING}) as n),
                 p as (insert into person (id, name, created_at) select id, 'W' || n, now() from n returning id),
                 a as (insert into address (id, person_id, email, email_key, is_primary, proven_at, created_at)
                     select gen_random_uuid(), id, 'w' || n || '@waiting.example', 'w' || n || '@waiting.example', true, now(), now() from n)
             insert into application (id, person_id, answers, state, confirmed_at, created_at, updated_at)
                 select gen_random_uuid(), id, '{{}}', 'confirmed', now(), now(), now() from n"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_do_each_thing_once_and_both_work_and_one_stands_in_for_the_other() {
    let (database, hop, data) = (TestDatabase::new(), NextHop::start().await, tempfile::tempdir().expect("a folder"));
    calendar(&database).await;
    database.tell(WATCH).await;
    let began = Stopwatch::start();
    let per_domain = PER_DOMAIN.to_string();
    let settings = [("PAIRPOST_DELIVERY__SMARTHOST", hop.url()), ("PAIRPOST_DELIVERY__PER_DOMAIN", per_domain)];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (mut one, other) = two(&database, data.path(), &settings);
    let send = async |program: &Program, first: usize| {
        for number in (first..LETTERS).step_by(2) {
            let reply = program.send(&Letter::joins(&format!("p{number}@example.org"))).await;
            assert!(reply.starts_with("250"), "{reply}");
        }
    };
    tokio::join!(send(&one, 0), send(&other, 1));
    let all = SUBSCRIBERS as usize + usize::try_from(WAITING).expect("few") + LETTERS;
    until("everybody has a letter", async || got(&hop).len() >= all).await;
    until("all is marked", async || database.ask("select count(*) from outbox where state <> 'sent'").await == 0).await;
    let took = began.elapsed();
    assert_eq!(got(&hop).len(), all);
    // Who applied just before the round opened is told that too: a letter of another kind.
    let taken = hop.taken();
    let letters: BTreeSet<String> = taken.iter().map(|letter| format!("{} {}", letter.to, field(&letter.text(), "Subject"))).collect();
    assert_eq!(letters.len(), taken.len(), "nobody has the same letter twice");
    assert_eq!(database.ask("select count(*) from (select address_id, kind from outbox group by 1, 2 having count(*) > 1) twice").await, 0);
    let claims = async |queue: &str| {
        let mut connection = sqlx::PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
        let query = "select count(*) from claimed where queue = $1 group by owner order by 1";
        sqlx::query_scalar::<_, i64>(query).bind(queue).fetch_all(&mut connection).await.expect("a good query")
    };
    let (letters, ours) = (claims("inbox").await, claims("outbox").await);
    let domains: BTreeSet<&str> = taken.iter().filter_map(|letter| letter.to.rsplit_once('@')).map(|(_, domain)| domain).collect();
    let most = domains.into_iter().map(|domain| hop.crowd(domain)).max().unwrap_or_default();
    let all = taken.len();
    println!("two programs: {all} letters, each once, in {took:.1?}; handled {letters:?}, sent {ours:?}; at most {most} at once to a domain");
    assert_eq!(database.ask("select count(distinct owner) from claimed").await, 2, "both work");
    assert_eq!(letters.iter().sum::<i64>(), i64::try_from(LETTERS).expect("few"), "each letter is claimed once");
    assert_eq!(database.ask("select count(*) from (select letter from claimed group by letter having count(*) > 1) twice").await, 0);
    assert!(most <= PER_DOMAIN, "{most}");

    // One dies with letters in its hands, before their last dot.
    hop.mood(Step::Data, Mood::Wait);
    other.signal(Signal::STOP); // so that it is this one's
    assert!(one.send(&Letter::joins("last@example.org")).await.starts_with("250"));
    until("it is on its way", async || database.ask("select count(*) from outbox where owner is not null").await == 1).await;
    let by_one = database.ask("select owner from outbox where owner is not null").await;
    hop.calm();
    one.kill();
    other.signal(Signal::CONT);
    let began = Stopwatch::start();
    until("another sends it", async || got(&hop).contains_key("last@example.org")).await;
    let took = began.elapsed();
    println!("one was killed: the letter in its hands left {took:.1?} later, by the other");
    assert!(
        database
            .ask(&format!(
                "select count(*) from claimed where letter = (select id from outbox where owner is null order by created_at desc limit 1) and owner <> {by_one}"
            ))
            .await
            == 1
    );
    assert!(took.as_secs() < 10, "{took:?}");
    until("it is marked", async || database.ask("select count(*) from outbox where state <> 'sent'").await == 0).await;
    assert_eq!(got(&hop)["last@example.org"], 1);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_for_an_hour_holds_over_all_programs() {
    let (database, hop, names, data) = (TestDatabase::new(), NextHop::start().await, NameServer::start(zone("")).await, tempfile::tempdir().expect("a folder"));
    let (address, url) = (names.address.to_string(), hop.url());
    let settings = [
        ("PAIRPOST_DELIVERY__SMARTHOST", url.as_str()),
        ("PAIRPOST_AUTH__VERIFY", "enforce"),
        ("PAIRPOST_DNS__SERVER", &address),
        ("PAIRPOST_AUTH__ASKS_PER_HOUR", "4"),
    ];
    let (one, other) = two(&database, data.path(), &settings);
    let send = async |program: &Program, name: &str| {
        for number in 0..6 {
            let who = format!("{name}@stranger{number}.example.com");
            let reply = program.send(&Letter::joins(&who)).await;
            assert!(reply.starts_with("250"), "{reply}");
        }
    };
    tokio::join!(send(&one, "ana"), send(&other, "ben"));
    until("all are on hold", async || database.ask("select count(*) from inbox where state = 'held'").await == 12).await;
    until("nothing waits", async || database.ask("select count(*) from outbox where state <> 'sent'").await == 0).await;
    println!("12 strangers at two programs, 4 may be asked: {} were", got(&hop).len());
    assert_eq!(got(&hop).len(), 4);
    one.stop().await;
    other.stop().await;
}
