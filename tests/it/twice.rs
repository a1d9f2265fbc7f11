//! Whatever runs twice writes once: each handler on the same row of the inbox, each part of the calendar, one after the other and in two processes at once.
//! Both tables stop compiling when a route or a part is added, until somebody has said what it writes.
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use pairpost::{
    domain::{
        address::{EmailAddress, OwnAddress},
        answers::{Answer, Answers},
        round::{Action, Days, State},
        topic::NewTopic,
    },
    handlers::{Context, rounds as round_life},
    mail::{classify, message::Message},
    route::{self, Route},
    schedule::{self, Part},
    store::{
        Store, applications, people,
        recipients::Recipient,
        rounds::{self, NewRound},
        seeds, subscriptions, topics,
    },
};
use uuid::Uuid;

use crate::house::{House, letter};

const OPERATOR: &str = "olga@example.com";
const SENDER: &str = "sender0@sender.example";
const PARTNER: &str = "partner0@partner.example";

/// A place in the table for each route.
fn place(route: &Route) -> usize {
    match route {
        Route::Bounce { .. } => 0,
        Route::Quiet(_) => 1,
        Route::Operator(_) => 2,
        Route::AskWriter => 3,
        Route::Relay { .. } => 4,
        Route::Vouch { .. } => 5,
        Route::SignUpReply => 6,
        Route::TopicsReply => 7,
        Route::Brake { .. } => 8,
        Route::Reply => 9,
        Route::SignUp => 10,
        Route::Topics(_) => 11,
        Route::Help => 12,
    }
}
const ROUTES: usize = 13;

/// A house in which letters are handled twice.
struct Twice {
    house: House,
    seen: BTreeSet<usize>,
}

impl Twice {
    /// A letter comes and is handled, and then again: first as if only its row had been forgotten, then its row in the record as well, so that the handler
    /// really runs a second time. It brings letters of these kinds, once.
    async fn handles(&mut self, recipient: &Recipient, from: &str, raw: &str, held: bool, brings: &[&str]) {
        let message = Message::parse(raw.as_bytes());
        let class = classify::classify(raw.contains("delivery-status"), &message, &self.house.site.domain);
        let route = route::route(recipient, class, held);
        self.seen.insert(place(&route));
        let before = self.letters().await;
        let row = self.house.comes(recipient, from, raw, held).await;
        self.house.work().await;
        assert_eq!(self.house.ask("select concat_ws(' ', state, last_error) from inbox where state not in ('done', 'held')").await, "nothing", "{route:?}");
        let after = self.letters().await;
        let brought: Vec<_> = after.iter().filter(|(key, _)| !before.contains_key(*key)).map(|(_, kind)| kind.as_str()).collect();
        assert_eq!(brought, brings, "{route:?}: {raw}");
        for statement in [
            format!("update inbox set state = 'pending', owner = null, next_at = received_at where id = '{row}'"),
            format!(
                "with i as (update inbox set state = 'pending', next_at = received_at where id = '{row}' returning exchange_id) update exchange e set outcome = null from i where e.id = i.exchange_id"
            ),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *self.house.store.connection().await.unwrap()).await.unwrap();
            self.house.work().await;
            assert_eq!(self.house.ask("select concat_ws(' ', state, last_error) from inbox where state not in ('done', 'held')").await, "nothing", "{route:?}");
            assert_eq!(self.letters().await, after, "{route:?} wrote a second letter: {raw}");
        }
    }

    /// All letters of ours, by row, with their kind.
    async fn letters(&self) -> BTreeMap<Uuid, String> {
        let rows: Vec<(Uuid, String)> =
            sqlx::query_as("select id, kind from outbox").fetch_all(&mut *self.house.store.connection().await.unwrap()).await.unwrap();
        rows.into_iter().collect()
    }

    /// The same for an answer to the last letter of that kind.
    async fn answers(&mut self, from: &str, kind: &str, words: &str, brings: &[&str]) {
        let to = self.house.reply_to(kind, from).await;
        let recipient = self.house.recipient(&to).await;
        self.handles(&recipient, from, &letter(from, words), false, brings).await;
    }

    /// The same for a letter to one of our mailboxes.
    async fn writes(&mut self, from: &str, to: OwnAddress, words: &str, brings: &[&str]) {
        let recipient = self.house.recipient(&to).await;
        self.handles(&recipient, from, &letter(from, words), false, brings).await;
    }
}

#[tokio::test]
async fn a_letter_that_is_handled_twice_brings_nobody_a_second_letter() {
    let house = House::new(&[("PAIRPOST_OPERATOR", OPERATOR)]).await;
    let mut conn = house.store.connection().await.unwrap();
    seeds::relay(&mut conn, 1, house.now, house.now + TimeDelta::days(100)).await.unwrap();
    drop(conn);
    let mut twice = Twice { house, seen: BTreeSet::new() };
    let help = || Recipient::Service(OwnAddress::Help);

    // Signing up, in words, corrections and a yes; and everything that can be said afterwards.
    twice.writes("ana@example.org", OwnAddress::Join, "I would like to join.", &["form"]).await;
    twice.answers("ana@example.org", "form", "Name: Ana\nCountry: Peru", &["understood"]).await;
    twice.answers("ana@example.org", "understood", "yes", &["not_complete"]).await;
    twice.answers("ana@example.org", "not_complete", "Languages: Spanish, English", &["understood"]).await;
    twice.answers("ana@example.org", "understood", "yes", &["confirmed"]).await;
    twice.answers("ana@example.org", "confirmed", "Country: Chile", &["understood"]).await;
    for (words, brings) in [("status", "status"), ("pause", "paused"), ("resume", "resumed"), ("help", "help"), ("my data", "not_yet"), ("well well", "help")] {
        twice.writes("ana@example.org", OwnAddress::Help, words, &[brings]).await;
    }
    twice.answers("ana@example.org", "status", "status", &["status"]).await;
    twice.writes("nobody@example.org", OwnAddress::Help, "status", &["nothing_to_do"]).await;
    // Topics.
    twice.writes("ben@example.org", OwnAddress::TopicsJoin, "please", &["subscribe"]).await;
    twice.answers("ben@example.org", "subscribe", "yes", &["subscribed"]).await;
    twice.writes("ben@example.org", OwnAddress::TopicsLeave, "enough", &["unsubscribed"]).await;
    // A letter that nothing proves, and the answer about it.
    twice.handles(&help(), "eve@example.org", &letter("eve@example.org", "help"), true, &["was_it_you"]).await;
    twice.answers("eve@example.org", "was_it_you", "yes", &["help"]).await;
    twice.answers("eve@example.org", "was_it_you", "perhaps", &["was_it_you"]).await;
    twice.answers("eve@example.org", "was_it_you", "no", &["nothing_held"]).await;
    // The people who run it.
    twice.writes("eve@example.org", OwnAddress::Abuse, "a complaint", &["for_operator"]).await;
    twice.writes(OPERATOR, OwnAddress::Help, "hold", &["brake_asked"]).await;
    twice.answers(OPERATOR, "brake_asked", "yes", &["held"]).await;
    twice.answers(OPERATOR, "held", "release", &["released"]).await;
    // Machines.
    let automatic = letter(SENDER, "I am away").replace("Subject:", "Auto-Submitted: auto-replied\r\nSubject:");
    twice.handles(&help(), SENDER, &automatic, false, &[]).await;
    // Partners: a letter that passes, one that does not arrive, one that can't pass, and the end.
    let alias = OwnAddress::Alias("alias0".into());
    twice.writes(SENDER, alias.clone(), "Dear partner, hello!", &["relay"]).await;
    let sent: Uuid = twice.house.ask("select id from outbox where kind = 'relay'").await.parse().unwrap();
    let report = "From: MAILER-DAEMON@next.test\r\nSubject: Mail status\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
                  --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; next.test\r\n\r\n\
                  Final-Recipient: rfc822; partner0@partner.example\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n";
    twice.handles(&Recipient::Bounce { outbox: sent }, "MAILER-DAEMON@next.test", report, false, &["undelivered"]).await;
    twice.writes(SENDER, alias, "Are you there?", &["relay_refused"]).await;
    twice.writes(PARTNER, OwnAddress::Help, "leave", &["partner_left", "left"]).await;

    assert_eq!(twice.seen.into_iter().collect::<Vec<_>>(), (0..ROUTES).collect::<Vec<_>>(), "each route was tried");
    let answered = twice.house.ask("select count(*) from inbox where attempts < 3").await;
    assert_eq!(answered, "0", "each letter was handled three times");
}

/// The kinds of letters that a part of the calendar writes.
fn kinds(part: Part) -> Vec<&'static str> {
    match part {
        Part::Pauses => vec!["resumed"],
        Part::Rounds => ACTIONS.into_iter().flat_map(kinds_of).collect(),
        Part::TopicLetters => vec!["topic"],
        Part::Alarms => vec!["letters_failed", "letters_set_aside", "stream_held"],
        Part::LettersOnHold | Part::TopicsDue | Part::Words => vec![],
    }
}

const ACTIONS: [Action; 6] = [Action::Open, Action::Close, Action::Propose, Action::Approve, Action::Introduce, Action::End];

/// The kinds of letters that a step of a round writes.
fn kinds_of(action: Action) -> Vec<&'static str> {
    match action {
        Action::Open => vec!["round_opened"],
        Action::Introduce => vec!["introduction", "left_over"],
        Action::End => vec!["round_ended"],
        Action::Close | Action::Propose | Action::Approve => vec![],
    }
}

/// The days on which something is due, one after the other; on each of them the calendar is worked, and on all before once more.
const DAYS: [&str; 8] = ["2027-03-01", "2027-03-05", "2027-03-10", "2027-03-21", "2027-03-22", "2027-04-01", "2027-04-02", "2027-10-01"];

fn at(day: &str) -> DateTime<Utc> {
    format!("{day}T09:00:00Z").parse().unwrap()
}

/// A house with all that a calendar can find to do.
async fn year() -> House {
    let mut house = House::new(&[("PAIRPOST_OPERATOR", OPERATOR)]).await;
    house.now = at("2027-02-01");
    let day = |text: &str| text.parse().unwrap();
    let mut tx = house.store.begin().await.unwrap();
    let days = Days {
        opens_on: day("2027-03-01"),
        closes_on: day("2027-03-20"),
        match_on: day("2027-03-22"),
        introduce_on: day("2027-04-01"),
        ends_on: day("2027-09-30"),
    };
    rounds::insert(&mut tx, &NewRound { name: "Spring", days, capacity: None, self_approve: true, seed: 1 }, house.now).await.unwrap();
    for n in 0..8 {
        let email = EmailAddress::parse(&format!("p{n}@example.org")).unwrap();
        let address = people::address_id(&mut tx, &email, house.now).await.unwrap();
        let person = people::ensure(&mut tx, address, house.now).await.unwrap();
        let mut answers = Answers::default();
        answers.set("name", Answer::Text(format!("Person {n}")));
        answers.set("country", Answer::Text("PE".into()));
        answers.set("languages", Answer::List(vec!["en".into()]));
        let application = applications::insert(&mut tx, person.id, None, &answers, house.now).await.unwrap();
        // One did not finish, one pauses until the round is open.
        if n > 0 {
            let round = round_life::open_for_applications(&mut Context::new(&mut tx, house.now, &house.site)).await.unwrap();
            applications::confirm(&mut tx, application, round, house.now).await.unwrap();
        }
        if n == 1 {
            people::pause(&mut tx, person.id, Some(day("2027-03-05")), house.now).await.unwrap();
        }
        subscriptions::subscribe(&mut tx, person.id, house.now).await.unwrap();
    }
    // Topics for more than one batch, and two of them on one day.
    seeds::list(&mut tx, 250, house.now).await.unwrap();
    for title in ["One", "Two"] {
        let topic = topics::insert(&mut tx, &NewTopic::parse(&format!("Title: {title}\n\nwords")).unwrap(), house.now).await.unwrap().unwrap();
        assert!(topics::schedule(&mut tx, &title.to_lowercase(), day("2027-03-10")).await.unwrap(), "{topic}");
    }
    tx.commit().await.unwrap();
    // A letter on hold for which nobody vouches and one to ask about it that is set aside, one that failed, and a stream that is held.
    house.comes(&Recipient::Service(OwnAddress::Help), "eve@example.org", &letter("eve@example.org", "help"), true).await;
    house.work().await;
    house.writes("ivo@example.org", &OwnAddress::Help, "help").await;
    house.change("update inbox set state = 'failed' where state = 'pending'").await;
    house.change("update outbox set state = 'failed', deaths = 3").await;
    house.change("update breaker set tripped_at = '2027-02-01', passed = 100 where stream = 'notices'").await;
    house
}

/// Works the calendar off, as one process does; what fails because another was there first is tried again, as it is a minute later.
async fn work(store: &Store, house: &House, day: &str) {
    for _ in 0..50 {
        if let Ok(0) = schedule::step(store, &house.site, at(day)).await {
            return;
        }
    }
    panic!("the calendar never comes to an end on {day}");
}

/// How many letters of each kind were written; nobody has two about the same.
async fn written(house: &House) -> BTreeMap<String, i64> {
    let query = "select o.kind, count(*), count(distinct (o.address_id, o.sending_id)) from outbox o group by o.kind";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(query).fetch_all(&mut *house.store.connection().await.unwrap()).await.unwrap();
    assert!(rows.iter().all(|(_, letters, mailboxes)| letters == mailboxes), "somebody was written to twice: {rows:?}");
    rows.into_iter().map(|(kind, letters, _)| (kind, letters)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_is_worked_twice_and_by_two_processes_at_once_writes_what_one_writes_once() {
    let (one, two) = (year().await, year().await);
    let other = two.database.store().await;
    for (index, day) in DAYS.into_iter().enumerate() {
        work(&one.store, &one, day).await;
        tokio::join!(work(&two.store, &two, day), work(&other, &two, day));
        assert_eq!(written(&two).await, written(&one).await, "{day}, two at once");
        for again in &DAYS[..=index] {
            work(&two.store, &two, again).await;
            work(&other, &two, again).await;
        }
        assert_eq!(written(&two).await, written(&one).await, "{day}, once more");
    }
    let once = written(&one).await;
    for part in Part::ALL {
        assert!(kinds(part).into_iter().all(|kind| once.contains_key(kind)), "{part:?} had nothing to write: {once:?}");
    }
    let state = rounds::find(&mut two.store.connection().await.unwrap(), "Spring").await.unwrap().unwrap().state;
    assert_eq!((state, two.ask("select count(*) from inbox where state = 'held'").await.as_str()), (State::Ended, "0"));
    println!("calendar, two processes at once on {} days: {} letters, none of them twice", DAYS.len(), once.values().sum::<i64>());
}
