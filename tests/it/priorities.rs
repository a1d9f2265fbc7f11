//! A partner's letter waits behind nothing: not behind a sending to many on the way out, not behind a thousand bounces and sign-ups on the way in.
//! `PRIORITY_LETTERS=100000` plays the sending in full length; CI plays a short one, in which a partner's letter would wait longer all the same if it had to.
use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use pairpost::{
    app,
    domain::{
        address::{EmailAddress, OwnAddress},
        breaker::Stream,
        topic::NewTopic,
    },
    handlers::{Context, Sending},
    schedule,
    store::{idle::Idle, people, recipients::Recipient, seeds, topics},
    templates::letters::Subscribed,
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    house::{House, letter},
    next_hop::NextHop,
    stopwatch::Stopwatch,
};

/// What a partner's letter may wait for.
const BOUND: Duration = Duration::from_secs(1);
/// … or, on a machine that is slow at the moment, while so many letters of a sending leave: a tenth of what the next hop would take within that time.
const FEW: usize = 100;
/// Partners' letters that are timed.
const TIMED: usize = 12;

fn figures(mut waits: Vec<Duration>) -> (Duration, Duration) {
    waits.sort();
    (waits[waits.len() / 2], waits[waits.len() - 1])
}

/// Works inbox and exit as a serving process does.
struct Running {
    arrived: Arc<Notify>,
    stop: CancellationToken,
    rooms: JoinSet<()>,
}

impl Running {
    async fn start(house: &House, hop: &NextHop) -> Self {
        let (arrived, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let mut rooms = JoinSet::new();
        for _ in 0..app::WORKERS {
            rooms.spawn(house.inbox.clone().run(Idle::default(), arrived.clone(), stop.clone()));
        }
        rooms.spawn(house.exit_of(house.inbox.owner.clone(), hop).await.run(house.inbox.outbox.clone(), stop.clone()));
        Self { arrived, stop, rooms }
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.rooms.join_next().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sending_to_many_delays_no_partners_letter() {
    let letters: u32 = std::env::var("PRIORITY_LETTERS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    let hop = NextHop::start().await;
    hop.thinks_for(Duration::from_millis(20));
    let mut house = House::new(&[]).await;
    house.now = Utc::now();
    let mut conn = house.store.connection().await.unwrap();
    seeds::list(&mut conn, letters, house.now).await.unwrap();
    seeds::relay(&mut conn, u32::try_from(TIMED).unwrap(), house.now, house.now + TimeDelta::days(100)).await.unwrap();
    let topic = topics::insert(&mut conn, &NewTopic::parse("Title: To many\n\nwords").unwrap(), house.now).await.unwrap().unwrap();
    assert!(topics::start(&mut conn, topic, house.now).await.unwrap());
    drop(conn);
    let began = Stopwatch::start();
    let running = Running::start(&house, &hop).await;
    let (store, site, queued, now) = (house.store.clone(), house.site.clone(), house.inbox.outbox.clone(), house.now);
    let mut queueing = Some(tokio::spawn(async move {
        while schedule::send_on(&store, &site, now).await.unwrap().is_some() {
            queued.notify_one();
        }
    }));
    let mut waits = Vec::new();
    for n in 0..TIMED {
        // Spread over the sending, which is at the limit of its domain all the while: the partner's domain, too. In a long one the first half while it is
        // queued, the others behind all of it. What is left behind the last takes longer than that may.
        hop.wait_for_count((n + 1) * letters.min(2000) as usize / (2 * TIMED)).await;
        if n == TIMED / 2 && letters > 2000 {
            queueing.take().unwrap().await.unwrap();
        }
        let recipient = house.recipient(&OwnAddress::Alias(format!("alias{n}"))).await;
        let (from, sent, left) = (format!("sender{n}@sender.example"), Stopwatch::start(), hop.count());
        house.keeps(&recipient, &from, &letter(&from, "Dear partner, hello!"), false).await;
        running.arrived.notify_one();
        hop.takes(&format!("partner{n}@partner.example")).await;
        let (wait, passed) = (sent.elapsed(), hop.count() - left);
        assert!(wait < BOUND || passed < FEW, "{wait:?}, and {passed} others left meanwhile");
        waits.push(wait);
    }
    assert!(hop.count() < letters as usize, "the sending was under way all the time");
    let rate = hop.count() as f64 / began.elapsed().as_secs_f64();
    if let Some(queueing) = queueing {
        queueing.abort();
    }
    running.end().await;
    let (median, longest) = figures(waits);
    println!("partners' letters in a sending of {letters} ({rate:.0} letters/s): kept → taken by the next hop, median {median:.0?}, longest {longest:.0?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_bounces_and_sign_ups_delays_no_partners_letter() {
    const CROWD: usize = 500;
    let hop = NextHop::start().await;
    let mut house = House::new(&[("PAIRPOST_RELAY__LIMITS", "off")]).await;
    house.now = Utc::now();
    seeds::relay(&mut house.store.connection().await.unwrap(), u32::try_from(TIMED).unwrap(), house.now, house.now + TimeDelta::days(100)).await.unwrap();
    for n in 0..CROWD {
        // A large provider sends its reports from one mailbox, others from many.
        let from = if n % 2 == 0 { "MAILER-DAEMON@large.example".to_owned() } else { format!("MAILER-DAEMON@mx{n}.example") };
        let report = format!(
            "From: {from}\r\nSubject: Mail status\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; next.test\r\n\r\n\
             Final-Recipient: rfc822; m{n}@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n"
        );
        house.keeps(&Recipient::Bounce { outbox: Uuid::now_v7() }, &from, &report, false).await;
        let from = format!("p{n}@example.org");
        house.keeps(&Recipient::Service(OwnAddress::Join), &from, &letter(&from, "Name: Ana\r\nCountry: Peru\r\nLanguages: Spanish"), false).await;
    }
    let running = Running::start(&house, &hop).await;
    running.arrived.notify_waiters();
    let mut waits = Vec::new();
    for n in 0..TIMED {
        let recipient = house.recipient(&OwnAddress::Alias(format!("alias{n}"))).await;
        let (from, sent) = (format!("sender{n}@sender.example"), Stopwatch::start());
        house.keeps(&recipient, &from, &letter(&from, "Dear partner, hello!"), false).await;
        running.arrived.notify_one();
        hop.takes(&format!("partner{n}@partner.example")).await;
        waits.push(sent.elapsed());
    }
    let left: usize = house.ask("select count(*) from inbox where state = 'pending'").await.parse().unwrap();
    assert!(left > 0, "the crowd was there all the time");
    running.end().await;
    let (median, longest) = figures(waits);
    println!(
        "partners' letters beside {CROWD} bounces and {CROWD} sign-ups, {left} of them left: kept → taken by the next hop, median {median:.0?}, longest {longest:.0?}"
    );
    assert!(longest < BOUND, "{longest:?}");
}

#[tokio::test]
async fn what_waits_leaves_in_the_order_of_its_urgency() {
    let hop = NextHop::start().await;
    let house = House::new(&[("PAIRPOST_DELIVERY__CONCURRENCY", "1")]).await;
    let mut tx = house.store.begin().await.unwrap();
    for (name, stream) in [
        ("topic", Stream::Topics),
        ("introduction", Stream::Introductions),
        ("reminder", Stream::Reminders),
        ("notice", Stream::Notices),
        ("confirmation", Stream::Answers),
        ("partner", Stream::Relay),
        ("alarm", Stream::Alarms),
    ] {
        let to = EmailAddress::parse(&format!("{name}@example.org")).unwrap();
        let address = people::address_id(&mut tx, &to, house.now).await.unwrap();
        let mut ctx = Context::new(&mut tx, house.now, &house.site);
        assert!(ctx.write_to(address, &to, "Ana", "en", &Subscribed { again: false }, Sending::about(name).within(stream)).await.unwrap());
    }
    tx.commit().await.unwrap();
    let exit = house.exit(&hop).await;
    while exit.step(house.now).await.unwrap() > 0 {}
    let order: Vec<_> = hop.taken().iter().map(|letter| letter.to.split('@').next().unwrap().to_owned()).collect();
    assert_eq!(order, ["alarm", "partner", "confirmation", "introduction", "reminder", "notice", "topic"]);
}
