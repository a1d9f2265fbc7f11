//! Letters that were kept are worked off one writer's at a time and in order, and those of a process that is gone by another.
use chrono::{DateTime, TimeDelta, Utc};
use pairpost::{
    domain::{
        address::{EmailAddress, OwnAddress},
        admission::Admission,
    },
    mail::envelope::{Envelope, Verdict},
    store::{
        Store,
        arrivals::{self, Arrival},
        inbox::{self, Again, End},
        letters, outbox,
        ownership::{self, DEATHS, Owner},
        recipients::Recipient,
    },
};
use uuid::Uuid;

use crate::database::TestDatabase;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn arrives(store: &Store, from: &str, words: &str) {
    let from = EmailAddress::parse(from).unwrap();
    comes(store, Some(from), &[Recipient::Service(OwnAddress::Help)], words).await;
}

async fn comes(store: &Store, from: Option<EmailAddress>, recipients: &[Recipient], words: &str) {
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: from.clone() };
    let arrival = Arrival { from: from.as_ref(), ..arrival(&envelope, recipients, words) };
    arrivals::accept(&mut store.connection().await.unwrap(), &[arrival], |_, _, _| Admission::Take, None, now()).await.unwrap();
}

fn arrival<'a>(envelope: &'a Envelope, recipients: &'a [Recipient], words: &'a str) -> Arrival<'a> {
    Arrival {
        raw: words.as_bytes(),
        envelope,
        from: None,
        message_id: None,
        verdict: &Verdict::UNCHECKED,
        recipients,
        domain: "pairs.test",
        session: "abc",
        tls: None,
        records_refusals: true,
    }
}

/// What a process gets to work on: the words of each letter, and their rows.
async fn claim(store: &Store, owner: i64, now: DateTime<Utc>) -> (Vec<String>, Vec<Uuid>) {
    let mut claimed = Vec::new();
    for mut due in inbox::claim(&mut store.connection().await.unwrap(), owner, 20, 64 << 20, i32::MAX, now).await.unwrap() {
        due.read(store).await.unwrap();
        claimed.push(due.letter);
    }
    claimed.sort_by_key(|letter| letter.id);
    claimed.into_iter().map(|letter| (String::from_utf8(letter.raw).unwrap(), letter.id)).unzip()
}

#[tokio::test]
async fn a_writers_letters_wait_for_each_other_and_for_nobody_elses() {
    let database = TestDatabase::new();
    let store = database.store().await;
    for (from, words) in [("ana@example.org", "ana 1"), ("ana@example.org", "ana 2"), ("ben@example.org", "ben 1")] {
        arrives(&store, from, words).await;
    }
    let (first, ids) = claim(&store, 1, now()).await;
    assert_eq!(first, ["ana 1", "ben 1"]);
    assert!(claim(&store, 2, now()).await.0.is_empty(), "nothing is claimed twice, and Ana's second waits for her first");

    // A letter that failed and is tried again later still comes before its writer's next.
    let later = now() + TimeDelta::minutes(1);
    let mut conn = store.connection().await.unwrap();
    assert!(!inbox::fail(&mut conn, ids[0], 2, "no luck", Again::Never, now()).await.unwrap(), "it is the first one's");
    assert!(inbox::fail(&mut conn, ids[0], 1, "no luck", Again::At(later), now()).await.unwrap());
    assert!(claim(&store, 2, now()).await.0.is_empty());
    assert_eq!(claim(&store, 2, later).await.0, ["ana 1"]);
    inbox::finish(&mut conn, 2, &[End { id: ids[0], kind: "help", class: "personal", outcome: "done".into() }], later).await.unwrap();
    assert_eq!(claim(&store, 1, later).await.0, ["ana 2"]);
}

#[tokio::test]
async fn what_a_partner_writes_is_claimed_as_it_is_kept_unless_an_earlier_letter_of_theirs_waits() {
    let database = TestDatabase::new();
    let store = database.store().await;
    let alias = [Recipient::Alias { alias: "ben.k7".into(), partnership: Uuid::now_v7(), reader: Uuid::now_v7(), over: false }];
    let [ana, ben] = ["ana@example.org", "ben@example.org"].map(|from| EmailAddress::parse(from).unwrap());
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: None };
    let keep = async |letters: &[(&EmailAddress, &str)], admission: Admission| {
        let arrivals: Vec<_> = letters.iter().map(|(from, words)| Arrival { from: Some(from), ..arrival(&envelope, &alias, words) }).collect();
        let mut conn = store.connection().await.unwrap();
        let kept = arrivals::accept(&mut conn, &arrivals, |_, _, _| admission, Some(7), now()).await.unwrap();
        let words: Vec<_> = kept.claimed.iter().map(|letter| String::from_utf8(letter.raw.clone()).unwrap()).collect();
        (words, kept.waiting, kept.claimed)
    };
    let (words, waiting, claimed) = keep(&[(&ana, "ana 1"), (&ana, "ana 2"), (&ben, "ben 1")], Admission::Take).await;
    assert_eq!((words, waiting), (vec!["ana 1".to_owned(), "ben 1".into()], true));
    assert!(keep(&[(&ana, "ana 3")], Admission::Take).await.1, "two of hers are not done");
    assert!(claim(&store, 1, now()).await.0.is_empty(), "what is claimed is no other's, and Ana's wait for each other");

    let first = &claimed[0];
    assert_eq!((first.owner, first.attempts, first.writer.as_ref(), first.recipient.clone()), (7, 1, Some(&ana), alias[0].clone()));
    let ends = [End { id: first.id, kind: "relay", class: "personal", outcome: "done".into() }];
    inbox::finish(&mut store.connection().await.unwrap(), 7, &ends, now()).await.unwrap();
    assert_eq!(claim(&store, 1, now()).await.0, ["ana 2"]);

    let cleo = EmailAddress::parse("cleo@example.org").unwrap();
    for (words, admission) in [("x".repeat(100_000), Admission::Take), ("words".into(), Admission::Hold)] {
        assert!(keep(&[(&cleo, &words)], admission).await.1, "a worker looks at it in its own time");
    }
}

#[tokio::test]
async fn a_large_letter_of_nobody_is_whole_in_each_of_its_mailboxes_also_when_they_are_claimed_together() {
    let database = TestDatabase::new();
    let store = database.store().await;
    let words = "x".repeat(100_000);
    comes(&store, None, &[Recipient::Service(OwnAddress::Help), Recipient::Service(OwnAddress::Join)], &words).await;
    assert_eq!(claim(&store, 1, now()).await.0, [words.as_str(), &words]);
}

#[tokio::test]
async fn letters_of_a_process_that_is_gone_are_free_again_until_one_has_killed_too_many() {
    let database = TestDatabase::new();
    let store = database.store().await;
    arrives(&store, "ana@example.org", "deadly").await;
    let (alive, _watch) = Owner::take(&store).await.unwrap();
    let mut conn = store.connection().await.unwrap();
    assert_eq!(claim(&store, alive.held().await.id(), now()).await.0, ["deadly"]);
    assert_eq!(ownership::release_orphans(&mut conn, now()).await.unwrap(), 0, "its owner lives");
    sqlx::query("update inbox set owner = null").execute(&mut *conn).await.unwrap();

    for _ in 0..DEATHS {
        assert_eq!(claim(&store, 8, now()).await.0, ["deadly"], "8 holds no lock: it is dead");
        assert_eq!(ownership::release_orphans(&mut conn, now()).await.unwrap(), 1);
    }
    assert!(claim(&store, alive.held().await.id(), now()).await.0.is_empty());
    let state: String = sqlx::query_scalar("select state || ' ' || attempts || ' ' || deaths from inbox").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(state, format!("failed {} {DEATHS}", DEATHS + 1));
    let told: Option<String> = sqlx::query_scalar("select outcome from exchange").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(told.as_deref(), Some("failed"), "the record knows it too");
}

#[tokio::test]
async fn who_waits_for_the_claims_of_another_in_vain_leaves_no_transaction_behind() {
    let database = TestDatabase::new();
    let store = Store::connect(database.options(), 1).await.unwrap();
    let others = database.store().await;
    let _held = outbox::begin_claim(&others).await.unwrap();
    let waits = tokio::spawn({
        let store = store.clone();
        async move { outbox::begin_claim(&store).await.map(drop) }
    });
    database.cut_a_wait().await;
    assert!(waits.await.unwrap().is_err());
    arrives(&store, "ana@example.org", "is kept on the only connection").await;
}

#[tokio::test]
async fn a_letter_that_comes_again_within_five_days_is_known_also_when_its_words_are_forgotten_sooner() {
    let database = TestDatabase::new();
    let store = database.store().await;
    let ana = EmailAddress::parse("ana@example.org").unwrap();
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: Some(ana.clone()) };
    let recipients = [Recipient::Service(OwnAddress::Help)];
    let arrival = Arrival { from: Some(&ana), message_id: Some("one@example.org"), ..arrival(&envelope, &recipients, "words") };
    let after = |days| now() + TimeDelta::days(days);
    let known = "select count(*) from inbox where fingerprint is not null";
    let mut conn = store.connection().await.unwrap();
    for (day, kept, of_them_known) in [(0, 1, 1), (1, 1, 1), (4, 1, 1), (6, 1, 0), (6, 2, 1)] {
        if day < 6 || kept > 1 {
            arrivals::accept(&mut conn, &[arrival], |_, _, _| Admission::Take, None, after(day)).await.unwrap();
        }
        sqlx::query("update inbox set state = 'done'").execute(&mut *conn).await.unwrap();
        // `keep_words_days` is 1.
        letters::drop_words(&mut conn, after(day - 1), after(day)).await.unwrap();
        assert_eq!(sqlx::query_scalar::<_, i64>("select count(*) from inbox").fetch_one(&mut *conn).await.unwrap(), kept, "day {day}");
        assert_eq!(sqlx::query_scalar::<_, i64>(known).fetch_one(&mut *conn).await.unwrap(), of_them_known, "day {day}");
        let words = "select count(*) from letter where raw is not null and received_at < $1";
        assert_eq!(sqlx::query_scalar::<_, i64>(words).bind(after(day - 1)).fetch_one(&mut *conn).await.unwrap(), 0, "day {day}");
    }
}
