//! Letters that can't be handled: after exactly so many attempts or deaths they are set aside, told of once, and everybody else's go on.
use std::path::Path;

use chrono::TimeDelta;
use clap::Parser as _;
use pairpost::{
    cli::Cli,
    domain::address::OwnAddress,
    mail::message::Message,
    store::{
        inbox::{self, ATTEMPTS, Claimed},
        ownership::{self, DEATHS},
        record,
    },
};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::house::House;

/// Claims as a process does.
async fn claim(house: &House, owner: i64) -> Vec<Claimed> {
    let due = inbox::claim(&mut house.store.connection().await.unwrap(), owner, 20, 64 << 20, i32::MAX, house.now).await.unwrap();
    due.into_iter().map(|due| due.letter).collect()
}

/// State, attempts and deaths of a row.
async fn row(house: &House, id: Uuid) -> String {
    house
        .ask(&format!(
            "select concat_ws(' ', i.state, i.attempts, i.deaths, e.outcome) from inbox i join exchange e on e.id = i.exchange_id where i.id = '{id}'"
        ))
        .await
}

/// A form that can't be written: its template names what is not there.
fn broken_form(dir: &Path) {
    let file = dir.join("mail/en/form.md.j2");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "A form\n{{ nothing.there }}\n").unwrap();
}

#[tokio::test]
async fn a_letter_that_fails_each_time_is_set_aside_after_the_last_attempt_and_others_go_on_also_of_its_writer() {
    let templates = tempfile::tempdir().unwrap();
    broken_form(templates.path());
    let settings = [("PAIRPOST_TEMPLATES_DIR", templates.path().to_str().unwrap()), ("PAIRPOST_OPERATOR", "olga@example.com")];
    let mut house = House::new(&settings).await;
    let poison = house.writes("ana@example.org", &OwnAddress::Join, "I would like to join.").await;
    let behind = house.writes("ana@example.org", &OwnAddress::Help, "help").await;
    let beside = house.writes("ben@example.org", &OwnAddress::Help, "help").await;
    house.work().await;
    assert_eq!((row(&house, poison).await.as_str(), row(&house, behind).await.as_str()), ("pending 1 0", "pending 0 0"), "her letters keep their order");
    assert!(row(&house, beside).await.starts_with("done 1"), "his waits for nobody");
    let began = house.now;
    for attempt in 2..=ATTEMPTS {
        assert!(row(&house, poison).await.starts_with(&format!("pending {}", attempt - 1)));
        house.now += TimeDelta::hours(1);
        house.work().await;
    }
    assert_eq!(row(&house, poison).await, format!("failed {ATTEMPTS} 0 failed"));
    assert!(row(&house, behind).await.starts_with("done 1"), "her next is not kept back any more");
    let errors = house.ask("select last_error from inbox where state = 'failed'").await;
    assert!(errors.contains("the letter form cannot be written"), "{errors}");
    // Never again by itself.
    house.now += TimeDelta::days(30);
    house.work().await;
    house.tick().await;
    assert_eq!(row(&house, poison).await, format!("failed {ATTEMPTS} 0 failed"));

    // Shown, and told once, however often the calendar is looked at.
    let listed = record::inbox(&mut house.store.connection().await.unwrap(), Some("failed"), 50).await.unwrap();
    assert_eq!(listed.iter().map(|letter| letter.id).collect::<Vec<_>>(), [poison]);
    house.tick().await;
    let told: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select stream, raw from outbox where kind = 'letters_failed'").fetch_all(&mut *house.store.connection().await.unwrap()).await.unwrap();
    assert_eq!((told.len(), told[0].0.as_str()), (1, "alarms"), "told once, and that under the breaker too");
    let words = Message::parse(&told[0].1).text().split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [poison.to_string(), format!("{ATTEMPTS} attempts"), "pairpost inbox retry ID".into(), "the letter form cannot be written".into()] {
        assert!(words.contains(&part), "{part}: {words}");
    }

    // Begun anew while nothing is mended, it has all its attempts again, and is told of again.
    let retry = Cli::try_parse_from(["pairpost", "inbox", "retry", &poison.to_string()]).unwrap();
    retry.on(&house.store, &house.site, house.now).await.unwrap();
    assert_eq!(row(&house, poison).await, "pending 0 0");
    for _ in 0..ATTEMPTS {
        house.work().await;
        house.now += TimeDelta::hours(1);
    }
    assert_eq!(row(&house, poison).await, format!("failed {ATTEMPTS} 0 failed"));
    house.tick().await;
    assert_eq!(house.ask("select count(*) from outbox where kind = 'letters_failed'").await, "2");
    println!("a letter that fails each time: set aside after {ATTEMPTS} attempts, {} s after it came at the earliest", {
        let backs_off: i64 = (1..i64::from(ATTEMPTS)).map(|n| 10 * n * n).sum();
        assert!(began < house.now);
        backs_off
    });
}

#[tokio::test]
async fn a_handler_that_panics_is_caught_and_counted_like_one_that_fails() {
    let mut house = House::new(&[]).await;
    let poison = house.writes("ana@example.org", &OwnAddress::Help, "help").await;
    let behind = house.writes("ana@example.org", &OwnAddress::Help, "status").await;
    let mut attempts = 0;
    let term = house.inbox.owner.held().await;
    while let Some(claimed) = claim(&house, term.id()).await.pop().filter(|claimed| claimed.id == poison) {
        attempts += 1;
        house.inbox.attempt(&term, &claimed, async { panic!("a letter nobody thought of") }, house.now).await;
        house.now += TimeDelta::hours(1);
    }
    assert_eq!((attempts, row(&house, poison).await.as_str()), (ATTEMPTS, format!("failed {ATTEMPTS} 0 failed").as_str()));
    let error = house.ask("select last_error from inbox where state = 'failed'").await;
    assert!(error.contains("panicked") && error.contains("a letter nobody thought of"), "{error}");
    // The loop above has claimed the next one.
    assert_eq!(house.ask("select id from inbox where owner is not null").await, behind.to_string(), "her next goes on");
    println!("a handler that panics: set aside after {attempts} attempts, the process lives");
}

#[tokio::test]
async fn a_letter_that_kills_its_process_is_set_aside_after_three_deaths_and_takes_no_other_with_it() {
    let house = House::new(&[]).await;
    let poison = house.writes("ana@example.org", &OwnAddress::Help, "deadly").await;
    let behind = house.writes("ana@example.org", &OwnAddress::Help, "help").await;
    let mut beside = Vec::new();
    for n in 0..10 {
        beside.push(house.writes(&format!("p{n}@example.org"), &OwnAddress::Help, "help").await);
    }
    // Processes without a lock are dead ones. Each works its batch in order and dies over the letter; what it had not come to by then it takes along.
    let (mut deaths, mut process) = (0, 100);
    while row(&house, poison).await.starts_with("pending") {
        process += 1;
        assert!(process < 200, "it comes to an end");
        while let claimed = claim(&house, process).await
            && !claimed.is_empty()
        {
            let mut died = false;
            for letter in claimed {
                if letter.id == poison {
                    died = true;
                    break;
                }
                done(&house, &letter).await;
            }
            if died {
                deaths += 1;
                break;
            }
        }
        ownership::release_orphans(&mut house.store.connection().await.unwrap(), house.now).await.unwrap();
    }
    assert_eq!(deaths, DEATHS, "exactly so many processes die");
    assert!(
        row(&house, poison).await.starts_with("failed") && row(&house, poison).await.ends_with(&format!("{DEATHS} failed")),
        "{}",
        row(&house, poison).await
    );
    house.work().await;
    for id in beside.iter().chain([&behind]) {
        assert!(row(&house, *id).await.starts_with("done"), "{}", row(&house, *id).await);
    }
    house.tick().await;
    assert!(row(&house, poison).await.starts_with("failed"), "never again by itself");

    let retry = Cli::try_parse_from(["pairpost", "inbox", "retry", &poison.to_string()]).unwrap();
    retry.on(&house.store, &house.site, house.now).await.unwrap();
    house.work().await;
    assert!(row(&house, poison).await.starts_with("done 1 0"), "{}", row(&house, poison).await);
    println!("a letter that kills its process: set aside after {deaths} deaths; of {} letters claimed with it none was lost", beside.len());
}

/// As a process that goes on would finish it.
async fn done(house: &House, letter: &Claimed) {
    let end = inbox::End { id: letter.id, kind: "command", class: "personal", outcome: "done".into() };
    inbox::finish(&mut house.store.connection().await.unwrap(), letter.owner, &[end], house.now).await.unwrap();
}

#[tokio::test]
async fn a_letter_whose_bytes_are_lost_is_set_aside_and_no_term_ends_for_it() {
    let mut house = House::new(&[]).await;
    let lost = house.writes("ana@example.org", &OwnAddress::Help, &"Words.\r\n".repeat(20_000)).await;
    house.change("update letter set size = size + 1").await;
    let behind = house.writes("ana@example.org", &OwnAddress::Help, "help").await;
    let beside = house.writes("ben@example.org", &OwnAddress::Help, "help").await;
    let term = house.inbox.owner.held().await;
    house.work().await;
    assert!(!term.is_over(), "other letters go on under it");
    assert_eq!(row(&house, lost).await, "failed 1 0 failed");
    let error = house.ask("select last_error from inbox where state = 'failed'").await;
    assert!(error.contains("pieces of the letter"), "{error}");
    assert!(row(&house, beside).await.starts_with("done 1"));
    house.now += TimeDelta::seconds(1);
    house.work().await;
    assert!(row(&house, behind).await.starts_with("done 1"), "her next is not kept back");
}

#[tokio::test]
async fn a_large_letter_that_is_not_read_in_time_is_tried_again_and_no_term_ends_for_it() {
    let mut house = House::new(&[]).await;
    // Nobody has it at hand.
    let large = house.writes("ana@example.org", &OwnAddress::Help, &"Words.\r\n".repeat(100_000)).await;
    let term = house.inbox.owner.held().await;
    let mut other = house.database.connection().await;
    let mut tx = other.begin().await.unwrap();
    sqlx::query("lock table piece in access exclusive mode").execute(&mut *tx).await.unwrap();
    let cutting = async {
        house.database.cut_a_wait().await;
        tx.rollback().await.unwrap();
    };
    tokio::join!(house.work(), cutting);
    assert!(!term.is_over(), "other letters go on under it");
    assert_eq!(row(&house, large).await, "pending 1 0");
    house.now += TimeDelta::hours(1);
    house.work().await;
    assert!(row(&house, large).await.starts_with("done 2"), "{}", row(&house, large).await);
}
