//! A stream of letters that runs away is held before more than several times its expected volume has left, whoever sends it; the operator is told once, and
//! decides.
use chrono::{TimeDelta, Utc};
use clap::Parser as _;
use pairpost::{
    cli::Cli,
    domain::{
        address::EmailAddress,
        breaker::{FLOOR, Stream},
        topic::NewTopic,
    },
    handlers::{Context, Sending},
    mail::message::Message,
    schedule,
    store::{
        breaker::{self, Breaker},
        people, seeds, topics,
    },
    templates::letters::Subscribed,
};

use crate::{house::House, next_hop::NextHop};

const FLOOD: usize = 160;

/// Letters that a mistake writes: each under an occasion of its own.
async fn floods(house: &House, stream: Stream, letters: usize, which: &str) {
    let mut tx = house.store.begin().await.unwrap();
    for n in 0..letters {
        let to = EmailAddress::parse(&format!("p{n}@example{}.org", n % 40)).unwrap();
        let address = people::address_id(&mut tx, &to, house.now).await.unwrap();
        let mut ctx = Context::new(&mut tx, house.now, &house.site);
        let sending = Sending::about(format!("{which}{n}")).within(stream);
        assert!(ctx.write_to(address, &to, "Ana", "en", &Subscribed { again: false }, sending).await.unwrap());
    }
    tx.commit().await.unwrap();
}

async fn state(house: &House, stream: Stream) -> Breaker {
    breaker::list(&mut house.store.connection().await.unwrap(), house.now).await.unwrap().into_iter().find(|breaker| breaker.stream == stream).unwrap()
}

async fn command(house: &House, words: &[&str]) -> anyhow::Result<()> {
    let cli = Cli::try_parse_from(["pairpost"].iter().chain(words)).unwrap();
    cli.on(&house.store, &house.site, house.now).await
}

fn to_people(hop: &NextHop) -> usize {
    hop.taken().iter().filter(|letter| letter.to.starts_with('p')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_runs_away_is_held_by_all_processes_and_the_operator_told_once() {
    let hop = NextHop::start().await;
    let mut house = House::new(&[("PAIRPOST_OPERATOR", "olga@example.com")]).await;
    let floor = usize::try_from(FLOOR).unwrap();
    floods(&house, Stream::Notices, FLOOD, "one").await;
    let (one, two) = (house.exit(&hop).await, house.exit(&hop).await);
    let work = async |exit: &pairpost::outbox::Exit| while exit.step(house.now).await.unwrap() > 0 {};
    tokio::join!(work(&one), work(&two));
    assert!(to_people(&hop) <= floor && to_people(&hop) > floor - 20, "{} left", to_people(&hop));
    let left = to_people(&hop);
    let held = state(&house, Stream::Notices).await;
    assert_eq!((held.tripped_at, held.held, held.passed), (Some(house.now), (FLOOD - left) as i64, left as i64));
    assert_eq!(house.ask("select count(*) from outbox where state = 'queued'").await, "0");

    // A restart changes nothing, and what is written now waits too; everything else goes on.
    house.now += TimeDelta::hours(2);
    floods(&house, Stream::Notices, 30, "two").await;
    floods(&house, Stream::Answers, 30, "three").await;
    let three = house.exit(&hop).await;
    while three.step(house.now).await.unwrap() > 0 {}
    assert_eq!(to_people(&hop), left + 30, "the answers");
    assert_eq!(state(&house, Stream::Notices).await.held, (FLOOD - left + 30) as i64);
    assert_eq!(house.ask("select count(*) from outbox where state = 'held' and attempts > 0").await, "0", "no attempt was made");

    // One letter to the operator, whoever looks at the calendar and how often; it leaves though its own kind could run away as well.
    let other = house.database.store().await;
    let (first, second) = tokio::join!(schedule::step(&house.store, &house.site, house.now), schedule::step(&other, &house.site, house.now));
    first.and(second).unwrap();
    house.tick().await;
    while three.step(house.now).await.unwrap() > 0 {}
    let told: Vec<_> = hop.taken().into_iter().filter(|letter| letter.to == "olga@example.com").collect();
    assert_eq!(told.len(), 1);
    let letter = Message::parse(&told[0].bytes);
    let words = letter.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(letter.subject, "Held: too many notices");
    for part in [
        format!("Within a day {left} of them had left"),
        format!("We stop at {floor}"),
        format!("Held are *{}* letters", FLOOD - left + 30),
        "pairpost queue release --stream notices".into(),
        "pairpost queue drop --stream notices".into(),
    ] {
        assert!(words.contains(&part), "{part}: {words}");
    }
    let beside = house.ask("select distinct e.reply from outbox o join exchange e on e.id = o.exchange_id where o.state = 'held'").await;
    assert_eq!(beside, "held by the breaker: more notices than expected; pairpost queue release --stream notices");

    // Let go, they all leave, and are not counted again; what is new is counted from zero.
    command(&house, &["queue", "list"]).await.unwrap();
    command(&house, &["queue", "release", "--stream", "notices"]).await.unwrap();
    floods(&house, Stream::Notices, 50, "four").await;
    while three.step(house.now).await.unwrap() > 0 {}
    assert_eq!(to_people(&hop), FLOOD + 30 + 30 + 50);
    let free = state(&house, Stream::Notices).await;
    assert_eq!((free.tripped_at, free.held, free.passed), (None, 0, 50));
    assert!(command(&house, &["queue", "release", "--stream", "notices"]).await.is_err(), "nothing is held");
    println!(
        "runaway: {FLOOD} letters of one stream where {FLOOR} may leave in a day, two processes: {left} left, {} held, the operator told once",
        FLOOD - left
    );
}

#[tokio::test]
async fn what_a_breaker_holds_can_be_dropped_for_good_and_the_stream_goes_on() {
    let hop = NextHop::start().await;
    let house = House::new(&[]).await;
    floods(&house, Stream::Reminders, FLOOD, "one").await;
    let exit = house.exit(&hop).await;
    while exit.step(house.now).await.unwrap() > 0 {}
    let left = to_people(&hop);
    assert!(left <= usize::try_from(FLOOR).unwrap());
    command(&house, &["queue", "drop", "--stream", "reminders"]).await.unwrap();
    floods(&house, Stream::Reminders, 10, "two").await;
    while exit.step(house.now).await.unwrap() > 0 {}
    assert_eq!(to_people(&hop), left + 10);
    assert_eq!(house.ask("select count(*) from outbox where state = 'dropped'").await, (FLOOD - left).to_string());
    assert_eq!(house.ask("select count(*) from outbox where state in ('queued', 'held') or by_breaker").await, "0");
}

#[tokio::test]
async fn a_day_later_a_stream_may_bring_as_much_again() {
    let hop = NextHop::start().await;
    let mut house = House::new(&[]).await;
    let exit = house.exit(&hop).await;
    for day in 0..3 {
        floods(&house, Stream::Introductions, 90, &format!("day{day} ")).await;
        while exit.step(house.now).await.unwrap() > 0 {}
        house.now += TimeDelta::hours(25);
    }
    assert_eq!((to_people(&hop), state(&house, Stream::Introductions).await.tripped_at), (270, None));
}

#[tokio::test]
async fn a_topic_goes_to_all_its_readers_and_as_many_as_somebody_sends_but_not_ten_by_mistake() {
    let hop = NextHop::start().await;
    let mut house = House::new(&[]).await;
    let subscribers = 150;
    house.now = Utc::now();
    let mut conn = house.store.connection().await.unwrap();
    seeds::list(&mut conn, subscribers, house.now).await.unwrap();
    let exit = house.exit(&hop).await;
    let mut send = async |title: String, by_hand: bool| {
        let topic = topics::insert(&mut conn, &NewTopic::parse(&format!("Title: {title}\n\nwords")).unwrap(), house.now).await.unwrap().unwrap();
        assert!(topics::start(&mut conn, topic, house.now).await.unwrap());
        if by_hand {
            topics::mark_by_hand(&mut conn, topic).await.unwrap();
        }
        while schedule::send_on(&house.store, &house.site, house.now).await.unwrap().is_some() {}
        while exit.step(house.now).await.unwrap() > 0 {}
    };
    for n in 0..6 {
        send(format!("By hand {n}"), true).await;
    }
    assert_eq!(hop.taken().len(), 6 * subscribers as usize, "a person asked for each of them");
    for n in 0..30 {
        send(format!("By mistake {n}"), false).await;
    }
    let (left, may) = (hop.taken().len(), 4 * 7 * subscribers as usize);
    assert!(left <= may && left > may - 20, "{left} left, {may} may");
    assert_eq!(state(&house, Stream::Topics).await.held as usize, 36 * subscribers as usize - left);
}

#[tokio::test]
async fn words_to_the_operator_come_to_an_end_as_well() {
    let hop = NextHop::start().await;
    let house = House::new(&[("PAIRPOST_OPERATOR", "olga@example.com")]).await;
    floods(&house, Stream::Alarms, FLOOD, "one").await;
    let exit = house.exit(&hop).await;
    while exit.step(house.now).await.unwrap() > 0 {}
    assert!(to_people(&hop) <= 50, "{}", to_people(&hop));
    house.tick().await;
    assert_eq!(house.ask("select count(*) from outbox where kind = 'stream_held'").await, "0", "nor does it tell of itself");
}
