//! The exit against a mail server in every mood: what is sent, kept, tried again, given up, told; how often, and in which words.
use std::{collections::BTreeSet, path::Path, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use pairpost::{
    app,
    config::Config,
    domain::{address::EmailAddress, breaker::Stream},
    handlers::{Context, Sending, Site, bounces},
    mail::{
        envelope::{AuthResult, Envelope},
        message::Message,
    },
    outbox::Exit,
    smtp::Verifier,
    store::{
        Store, exchanges,
        keys::{self, DkimKey},
        letters,
        outbox::{self, NewLetter, Order},
        ownership::Owner,
        people,
    },
    templates::letters::{Subscribed, TopicLetter},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
    next_hop::{Mood, NextHop, Step},
};

/// A programme with letters to send, and a clock that only the test moves.
struct Post {
    database: TestDatabase,
    store: Store,
    site: Arc<Site>,
    owner: Owner,
    exit: Exit,
    now: DateTime<Utc>,
    dir: tempfile::TempDir,
}

impl Post {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new();
        let dir = tempfile::tempdir().expect("a folder");
        let store = database.store().await;
        let config = config(dir.path(), settings);
        let site = Arc::new(app::site(&config).expect("a programme"));
        share_key(&store, &site).await;
        let (owner, watch) = Owner::take(&store).await.expect("a lock");
        tokio::spawn(watch);
        let exit = Exit::new(store.clone(), owner.clone(), site.clone(), &config).await.expect("an exit");
        Self { database, store, site, owner, exit, now: DateTime::from_timestamp(1_800_000_000, 0).expect("a moment"), dir }
    }

    async fn to(hop: &NextHop) -> Self {
        Self::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__TIMEOUT_SECONDS", "1")]).await
    }

    /// Queues a letter of ours.
    async fn write(&self, to: &str, occasion: &str) -> Uuid {
        let mut conn = self.store.connection().await.expect("a connection");
        let to = EmailAddress::parse(to).expect("an address");
        let address = people::address_id(&mut conn, &to, self.now).await.expect("a row");
        let mut ctx = Context { conn: &mut conn, now: self.now, site: &self.site, cause: None };
        assert!(ctx.write_to(address, &to, "Ana", "en", &Subscribed { again: false }, Sending::about(occasion)).await.expect("written"));
        drop(conn);
        self.ask("select id::text from outbox order by created_at desc, id desc limit 1").await.parse().expect("an id")
    }

    /// Queues a letter of Ana's to Ben, as the relay does.
    async fn relay(&self) -> Uuid {
        let mut conn = self.store.connection().await.expect("a connection");
        let mut rows = Vec::new();
        for (name, email) in [("Ana", "ana@example.org"), ("Ben", "ben@example.net")] {
            let address = people::address_id(&mut conn, &EmailAddress::parse(email).unwrap(), self.now).await.unwrap();
            let person = people::ensure(&mut conn, address, self.now).await.unwrap();
            people::set_name(&mut conn, person.id, name).await.unwrap();
            rows.push(address);
        }
        let letter = exchanges::In { writer: Some(rows[0]), mailbox: "to-ben", kind: "relay", size: 1, message_id: Some("hers@example.org"), decision: "take" };
        let cause = exchanges::insert_in(&mut conn, letter, self.now).await.unwrap();
        sqlx::query("insert into letter (id, sha256, raw, size, received_at) values ($1, '', $2, 1, $3)")
            .bind(cause)
            .bind(b"From: ana@example.org\r\nSubject: Greetings from Lima\r\nMessage-ID: <hers@example.org>\r\n\r\nhi\r\n".as_slice())
            .bind(self.now)
            .execute(&mut *conn)
            .await
            .unwrap();
        sqlx::query("insert into inbox (id, letter_id, exchange_id, recipient, writer_id, peer, helo, verdict, admission, state, next_at, received_at) values ($1, $1, $1, '{}', $2, 'x', 'x', '{}', 'take', 'done', $3, $3)")
            .bind(cause)
            .bind(rows[0])
            .bind(self.now)
            .execute(&mut *conn)
            .await
            .unwrap();
        let id = Uuid::now_v7();
        let reverse_path = Context { conn: &mut conn, now: self.now, site: &self.site, cause: None }.reverse_path(id);
        let letter = NewLetter {
            id,
            address_id: rows[1],
            to: &EmailAddress::parse("ben@example.net").unwrap(),
            mailbox: "to-ana",
            kind: "relay",
            stream: Stream::Relay,
            occasion: &format!("relay:{id}"),
            reverse_path: &reverse_path,
            message_id: "ours@pairs.test",
            raw: b"From: to-ana@pairs.test\r\nTo: ben@example.net\r\nSubject: Greetings from Lima\r\n\r\nhi\r\n.\r\n",
            cause: Some(cause),
            sending: None,
            not_before: self.now,
        };
        assert!(outbox::enqueue(&mut conn, &letter, self.now).await.unwrap());
        id
    }

    async fn step(&self) -> usize {
        self.exit.step(self.now).await.expect("the exit works")
    }

    /// Until nothing is due.
    async fn work(&self) {
        while self.step().await > 0 {}
    }

    /// Lets a second exit run by itself, as it does when the program serves; letters are written at the time of day from here on.
    async fn run(&mut self, hop: &NextHop) -> (Arc<Notify>, CancellationToken, JoinHandle<()>) {
        self.now = Utc::now();
        let config = config(self.dir.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
        let exit = Exit::new(self.store.clone(), self.owner.clone(), self.site.clone(), &config).await.expect("an exit");
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let running = tokio::spawn(exit.run(wake.clone(), stop.clone()));
        (wake, stop, running)
    }

    async fn ask(&self, query: &str) -> String {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the database is there");
        let query = format!("select coalesce((select string_agg(answer::text, ' | ') from ({query}) as asked (answer)), 'nothing')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
    }

    /// State, outcome and the next hop's words on each letter out, in order.
    async fn record(&self) -> String {
        self.ask("select concat_ws(' ', o.state, '/', coalesce(e.outcome, 'under way'), '/', e.reply) from outbox o join exchange e on e.id = o.exchange_id order by o.id").await
    }

    async fn conn(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.store.connection().await.expect("a connection")
    }
}

/// The first test of a process has a key made, as a first start does; the others get the same.
pub async fn share_key(store: &Store, site: &Site) {
    static KEY: tokio::sync::OnceCell<DkimKey> = tokio::sync::OnceCell::const_new();
    let first = || async { keys::ensure(store, &site.secret, &site.domain, Utc::now()).await.expect("a key") };
    let key = KEY.get_or_init(first).await;
    sqlx::query("insert into dkim_key (domain, selector, sealed, public_key, created_at) values ($1, $2, $3, $4, now()) on conflict do nothing")
        .bind(&site.domain)
        .bind(&key.selector)
        .bind(site.secret.seal("dkim", [1; 12], &key.private_key).expect("it can be sealed"))
        .bind(&key.public_key)
        .execute(&mut *store.connection().await.expect("a connection"))
        .await
        .expect("written");
}

/// A letter's words, however its lines are wrapped.
fn one_line(letter: &[u8]) -> String {
    Message::parse(letter).text().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn config(dir: &Path, settings: &[(&str, &str)]) -> Config {
    let fixed = [("PAIRPOST_DOMAIN", "pairs.test"), ("PAIRPOST_DATA_DIR", dir.to_str().expect("a name"))];
    Config::load(Some(Path::new("/dev/null")), fixed.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
        .expect("good settings")
}

#[tokio::test]
async fn each_letter_is_sent_once_on_a_kept_connection_with_its_own_return_path() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    for n in 0..3 {
        post.write(&format!("ana{n}@example.org"), "one").await;
        post.work().await;
    }
    post.work().await;
    let taken = hop.taken();
    assert_eq!((taken.iter().map(|letter| letter.connection).collect::<Vec<_>>(), hop.connections()), (vec![1, 1, 1], 1));
    let paths: BTreeSet<_> = taken.iter().map(|letter| letter.from.split('>').next().unwrap_or_default().to_owned()).collect();
    assert!(paths.len() == 3 && paths.iter().all(|path| path.starts_with("<bounce-") && path.ends_with("@pairs.test")), "{paths:?}");
    assert!(taken.iter().all(|letter| letter.from.contains(&format!(" SIZE={}", letter.bytes.len()))), "{taken:?}");
    assert!(taken[0].text().starts_with("DKIM-Signature: ") && taken[0].text().ends_with("\r\n") && !taken[0].text().ends_with("\r\n\r\n"));
    assert_eq!(post.record().await, ["sent / sent / 250 2.0.0 queued as 77"; 3].join(" | "));
}

#[tokio::test]
async fn a_hop_without_extensions_gets_the_commands_one_by_one_and_no_parameters() {
    let hop = NextHop::start().await;
    hop.announce(&[]);
    let post = Post::to(&hop).await;
    let plain = post.write("ana@example.org", "one").await;
    let _foreign = post.write("jörg@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert!(hop.taken()[0].from.ends_with('>'), "{:?}", hop.taken());
    assert_eq!(
        post.record().await,
        "sent / sent / 250 2.0.0 queued as 77 | failed / failed / 550 5.6.7 the next hop takes no international addresses (SMTPUTF8)"
    );
    assert_eq!(post.ask(&format!("select attempts from outbox where id = '{plain}'")).await, "1");
}

#[tokio::test]
async fn an_international_address_travels_where_it_may() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.write("jörg@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken()[0].to, "jörg@example.org");
    assert!(hop.taken()[0].from.ends_with(" SMTPUTF8"), "{:?}", hop.taken());
}

#[tokio::test]
async fn a_letter_refused_for_now_is_tried_again_a_minute_later_whatever_the_command() {
    for step in [Step::Mail, Step::Rcpt, Step::Data, Step::Dot] {
        for extensions in [&["PIPELINING"][..], &[]] {
            let hop = NextHop::start().await;
            hop.announce(extensions);
            let mut post = Post::to(&hop).await;
            hop.mood(step, Mood::Say("451 4.3.0 ask again, ana@example.org"));
            post.write("ana@example.org", "one").await;
            post.work().await;
            assert_eq!(post.record().await, "queued / under way / 451 4.3.0 ask again, (address)", "{step:?}");
            hop.calm();
            post.now += TimeDelta::seconds(59);
            assert_eq!(post.step().await, 0, "{step:?}");
            post.now += TimeDelta::seconds(1);
            post.work().await;
            assert_eq!(post.record().await, "sent / sent / 250 2.0.0 queued as 77", "{step:?}");
            assert_eq!((hop.taken().len(), hop.connections()), (1, 1), "{step:?}");
        }
    }
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_is_given_up_and_the_others_get_their_letters() {
    let hop = NextHop::start().await;
    hop.answers("no@example.org", "550 5.1.1 no such user here");
    hop.answers("full@example.org", "452 4.2.2 full");
    let mut post = Post::to(&hop).await;
    for name in ["a", "no", "full", "b"] {
        post.write(&format!("{name}@example.org"), "one").await;
    }
    post.work().await;
    let mut to: Vec<_> = hop.taken().into_iter().map(|letter| letter.to).collect();
    to.sort();
    assert_eq!(to, ["a@example.org", "b@example.org"]);
    let sent = "sent / sent / 250 2.0.0 queued as 77";
    assert_eq!(post.record().await, format!("{sent} | failed / failed / 550 5.1.1 no such user here | queued / under way / 452 4.2.2 full | {sent}"));
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "no@example.org");
    // The full mailbox stays full for five days, and is given up then; it lives.
    for _ in 0..40 {
        post.now += TimeDelta::hours(4);
        post.work().await;
    }
    assert!(post.record().await.contains("failed / failed / given up after five days: 452 4.2.2 full"), "{}", post.record().await);
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "no@example.org");
}

#[tokio::test]
async fn a_hop_that_closes_stalls_or_babbles_costs_time_and_no_letter() {
    for mood in [Mood::Close, Mood::Stall, Mood::Garbage, Mood::Say("421 4.3.2 going down")] {
        for step in [Step::Greeting, Step::Hello, Step::Rcpt, Step::Dot] {
            // A hop is given five times as long for the letter itself; once is enough to wait for that.
            if matches!((mood, step), (Mood::Stall, Step::Hello | Step::Dot)) {
                continue;
            }
            let hop = NextHop::start().await;
            let mut post = Post::to(&hop).await;
            hop.mood(step, mood);
            post.write("ana@example.org", "one").await;
            post.work().await;
            assert!(post.record().await.starts_with("queued / under way / "), "{mood:?} at {step:?}: {}", post.record().await);
            hop.calm();
            post.now += TimeDelta::minutes(1);
            post.work().await;
            assert_eq!((post.record().await.as_str(), hop.taken().len()), ("sent / sent / 250 2.0.0 queued as 77", 1), "{mood:?} at {step:?}");
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_hop_closed_meanwhile_costs_no_attempt() {
    for mood in [Mood::Close, Mood::Say("421 4.4.2 timeout, closing")] {
        let hop = NextHop::start().await;
        let post = Post::to(&hop).await;
        post.write("ana@example.org", "one").await;
        post.work().await;
        hop.mood_on(1, Step::Mail, mood);
        post.write("ben@example.org", "two").await;
        post.work().await;
        assert_eq!((hop.taken().len(), hop.connections()), (2, 2), "{mood:?}");
        assert_eq!(post.ask("select max(attempts) from outbox").await, "1", "{mood:?}");
    }
}

#[tokio::test]
async fn a_dead_hop_is_tried_by_one_letter_and_the_others_keep_their_attempts() {
    let hop = NextHop::start().await;
    let url = hop.url();
    let mut post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url), ("PAIRPOST_DELIVERY__CONCURRENCY", "20")]).await;
    drop(hop);
    assert!(url.starts_with("smtp://127.0.0.1:"));
    for n in 0..40 {
        post.write(&format!("ana{n}@dead{n}.example"), "one").await;
    }
    for _ in 0..5 {
        post.work().await;
        post.now += TimeDelta::seconds(1);
    }
    // The twenty that were on their way when it died, and one that asked since.
    assert_eq!(post.ask("select count(*) from outbox where attempts = 0").await, "19");
}

#[tokio::test]
async fn encryption_is_used_where_it_is_offered_and_any_certificate_will_do_without_a_password() {
    let hop = NextHop::with_tls().await;
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert!(hop.taken()[0].encrypted);
    // Announced, and then not to be had today.
    let hop = NextHop::with_tls().await;
    hop.mood(Step::StartTls, Mood::Say("454 4.7.0 not now"));
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert!(!hop.taken()[0].encrypted);
}

#[tokio::test]
async fn a_password_goes_only_to_a_hop_whose_certificate_is_good() {
    let hop = NextHop::with_tls().await;
    let url = hop.url().replace("smtp://", "smtp://ana%40x:secret@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url), ("PAIRPOST_DELIVERY__TIMEOUT_SECONDS", "2")]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 0);
    assert!(!hop.commands().iter().any(|command| command.starts_with("AUTH")), "{:?}", hop.commands());
    assert!(post.record().await.starts_with("queued / under way / the next hop can't be spoken to: "), "{}", post.record().await);
    // On this machine nobody reads along.
    let hop = NextHop::start().await;
    hop.announce(&["AUTH PLAIN LOGIN"]);
    let url = hop.url().replace("smtp://", "smtp://ana%40x:secret@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert!(hop.commands().contains(&"AUTH PLAIN AGFuYUB4AHNlY3JldA==".to_owned()), "{:?}", hop.commands());
}

#[tokio::test]
async fn a_wrong_password_is_our_fault_and_no_letters() {
    let hop = NextHop::start().await;
    hop.announce(&["AUTH PLAIN"]);
    hop.mood(Step::Auth, Mood::Say("535 5.7.8 wrong"));
    let url = hop.url().replace("smtp://", "smtp://ana:wrong@");
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &url)]).await;
    post.write("ana@example.org", "one").await;
    post.work().await;
    assert_eq!(post.record().await, "queued / under way / the next hop does not serve us: 535 5.7.8 wrong");
}

#[tokio::test]
async fn signatures_verify_by_the_record_to_publish_and_cover_what_must_not_be_added() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    let key = keys::find(&mut *post.conn().await, &post.site.secret, "pairs.test").await.unwrap().expect("a key was made");
    let name_server = NameServer::start(zone(&format!("{}._domainkey.pairs.test TXT v=DKIM1; k=rsa; p={}", key.selector, key.public_key))).await;
    let mut conn = post.conn().await;
    let to = EmailAddress::parse("ana@example.org").unwrap();
    let address = people::address_id(&mut conn, &to, post.now).await.unwrap();
    let leave = "https://pairs.test/leave/abc".to_owned();
    let list = pairpost::mail::draft::ListFields {
        name: "Topics".into(),
        id: "topics.pairs.test".into(),
        unsubscribe_url: Some(leave.clone()),
        unsubscribe_mailto: Some("topics-leave@pairs.test".into()),
        post: None,
        archive: None,
        help: None,
    };
    let topic = TopicLetter { title: "Getting started".into(), body: "Where do you work?\n\n.\n..\n".into(), leave };
    let sending = Sending { list: Some(list), ..Sending::about("one") };
    assert!(Context { conn: &mut conn, now: post.now, site: &post.site, cause: None }.write_to(address, &to, "Ana", "en", &topic, sending).await.unwrap());
    post.work().await;
    let letter = hop.taken().remove(0);
    let from = EmailAddress::parse("help@pairs.test").unwrap();
    let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: None };
    let verifier = Verifier::new(Some(name_server.address)).unwrap();
    let verdict = async |bytes: &[u8]| verifier.verify(bytes, &from, &envelope, "receiver.test").await.map(|verdict| verdict.dkim);
    assert_eq!(verdict(&letter.bytes).await, Some(AuthResult::Pass));
    let signature = letter.text().split("\r\nDate:").next().unwrap_or_default().replace("\r\n\t", "").replace([' ', '\r', '\n'], "");
    for twice in ["From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"] {
        let signed = signature.split("h=").nth(1).unwrap().split(';').next().unwrap();
        assert_eq!(signed.split(':').filter(|name| *name == twice).count(), 2, "{twice} in {signature}");
    }
    // A second Subject, or another way to leave, breaks the signature; so does a changed word.
    for (old, new) in [("\r\nDate:", "\r\nSubject: other\r\nDate:"), ("\r\nDate:", "\r\nList-Unsubscribe: <https://evil.test>\r\nDate:"), ("work?", "live?")] {
        let changed = letter.text().replacen(old, new, 1);
        assert_ne!(changed, letter.text());
        assert_eq!(verdict(changed.as_bytes()).await, Some(AuthResult::Fail), "{new}");
    }
}

#[tokio::test]
async fn captured_letters_lie_in_a_maildir_for_each_mailbox() {
    let post = Post::new(&[]).await;
    post.write("Ana@example.org", "one").await;
    post.write("ana@example.org", "two").await;
    post.write("\"../../x\"@example.org", "one").await;
    post.work().await;
    let mail = post.dir.path().join("mail");
    let mut boxes: Vec<_> = std::fs::read_dir(&mail).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    boxes.sort();
    assert_eq!(boxes, ["%22..%2f..%2fx%22@example.org", "ana@example.org"]);
    let letters: Vec<_> = std::fs::read_dir(mail.join("ana@example.org/new")).unwrap().flatten().collect();
    assert_eq!((letters.len(), std::fs::read_dir(mail.join("ana@example.org/tmp")).unwrap().count()), (2, 0));
    let letter = std::fs::read_to_string(letters[0].path()).unwrap();
    assert!(letter.starts_with("Return-Path: <bounce-") && letter.contains("\r\nDKIM-Signature: "), "{letter}");
    assert_eq!(post.record().await, ["sent / sent / captured"; 3].join(" | "));
}

#[tokio::test]
async fn nothing_leaves_while_everything_is_held() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    post.write("ana@example.org", "one").await;
    outbox::hold_all(&mut *post.conn().await, true).await.unwrap();
    assert_eq!((post.step().await, hop.connections()), (0, 0));
    outbox::hold_all(&mut *post.conn().await, false).await.unwrap();
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
}

#[tokio::test]
async fn in_review_a_letter_waits_until_somebody_lets_it_go_and_then_leaves() {
    let hop = NextHop::start().await;
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__MODE", "review")]).await;
    let (one, two) = (post.write("ana@example.org", "one").await, post.write("ben@example.org", "one").await);
    post.work().await;
    assert_eq!((hop.taken().len(), post.record().await.as_str()), (0, "held / held / | held / held /"));
    let mut conn = post.conn().await;
    assert!(outbox::order(&mut conn, one, Order::Release, post.now).await.unwrap());
    assert!(outbox::order(&mut conn, two, Order::Drop, post.now).await.unwrap());
    assert!(!outbox::order(&mut conn, two, Order::Release, post.now).await.unwrap());
    post.work().await;
    assert_eq!(hop.taken().len(), 1);
    assert_eq!(post.record().await, "sent / sent / 250 2.0.0 queued as 77 | dropped / dropped /");
}

#[tokio::test]
async fn partners_letters_go_first_and_no_domain_takes_all_places() {
    let hop = NextHop::start().await;
    let post =
        Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__CONCURRENCY", "4"), ("PAIRPOST_DELIVERY__PER_DOMAIN", "2")]).await;
    for n in 0..30 {
        post.write(&format!("ana{n}@big.example"), "one").await;
    }
    post.write("cy@small.example", "one").await;
    post.relay().await;
    assert_eq!(post.step().await, 4);
    let mut to: Vec<_> = hop.taken().iter().map(|letter| letter.to.rsplit('@').next().unwrap_or_default().to_owned()).collect();
    to.sort();
    assert_eq!(to, ["big.example", "big.example", "example.net", "small.example"]);
    assert!(hop.connections() <= 4);
}

#[tokio::test]
async fn a_long_row_of_letters_to_one_domain_at_its_limit_hides_nobody() {
    let hop = NextHop::start().await;
    let post = Post::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__PER_DOMAIN", "1")]).await;
    let mut conn = post.conn().await;
    for n in 0..250 {
        let to = EmailAddress::parse(&format!("m{n}@big.example")).unwrap();
        let address_id = people::address_id(&mut conn, &to, post.now).await.unwrap();
        let id = Uuid::now_v7();
        let letter = NewLetter {
            id,
            address_id,
            to: &to,
            mailbox: "topics",
            kind: "topic",
            stream: Stream::Notices,
            occasion: &format!("topic:{n}"),
            reverse_path: "",
            message_id: "x@pairs.test",
            raw: b"From: help@pairs.test\r\n\r\nhi\r\n",
            cause: None,
            sending: None,
            not_before: post.now,
        };
        assert!(outbox::enqueue(&mut conn, &letter, post.now).await.unwrap());
    }
    // One of them is on its way, in another process.
    sqlx::query("update outbox set owner = 99 where id = (select min(id::text)::uuid from outbox)").execute(&mut *conn).await.unwrap();
    post.write("cy@small.example", "one").await;
    assert_eq!(post.step().await, 1);
    assert_eq!(hop.taken()[0].to, "cy@small.example");
}

#[tokio::test]
async fn a_letter_that_the_hop_refuses_is_told_to_its_writer_without_the_address() {
    let hop = NextHop::start().await;
    hop.answers("ben@example.net", "552 5.2.2 ben@example.net is over quota");
    let post = Post::to(&hop).await;
    post.relay().await;
    post.work().await;
    let told = hop.taken();
    assert_eq!(told.len(), 1);
    let letter = Message::parse(&told[0].bytes);
    assert_eq!((told[0].to.as_str(), letter.subject.as_str()), ("ana@example.org", "Your letter has not arrived: Greetings from Lima"));
    let words = one_line(&told[0].bytes);
    assert!(words.contains("your letter to Ben, “Greetings from Lima”, has not arrived: their mailbox is full."), "{words}");
    assert_eq!(letter.in_reply_to, ["hers@example.org"]);
    assert!(!told[0].text().contains("ben@example.net") && !told[0].text().contains("quota"));
    assert_eq!(post.ask("select reply from exchange where kind = 'relay' and direction = 'out'").await, "552 5.2.2 (address) is over quota");
    assert_eq!(post.ask("select count(*) from address where suppressed_at is not null").await, "0");
    assert_eq!(post.ask("select count(*) from exchange c join exchange e on e.cause_id = c.id where e.kind = 'undelivered' and c.direction = 'in'").await, "1");
}

#[tokio::test]
async fn a_bounce_is_recorded_and_told_once_and_answers_to_the_return_path_are_not_taken_for_one() {
    let hop = NextHop::start().await;
    let post = Post::to(&hop).await;
    let id = post.relay().await;
    post.work().await;
    let report = |action: &str, status: &str| {
        format!(
            "From: MAILER-DAEMON@next.test\r\nSubject: Mail status\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; next.test\r\n\r\n\
             Final-Recipient: rfc822; ben@example.net\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} <ben@example.net> unknown\r\n--b--\r\n"
        )
    };
    let away = "From: ben@example.net\r\nSubject: Automatic reply\r\nAuto-Submitted: auto-replied\r\n\r\nMessage could not be delivered? I have left; ask eve@example.net.\r\n";
    for (letter, outcome) in
        [(away.to_owned(), "sent"), (report("delayed", "4.4.1"), "delayed"), (report("failed", "5.1.1"), "bounced"), (report("failed", "5.1.1"), "bounced")]
    {
        let mut tx = post.store.begin().await.unwrap();
        let mut ctx = Context { conn: &mut tx, now: post.now, site: &post.site, cause: None };
        bounces::returned(&mut ctx, id, &Message::parse(letter.as_bytes())).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(post.ask("select outcome from exchange where kind = 'relay' and direction = 'out'").await, outcome);
    }
    assert_eq!(post.ask("select reply from exchange where kind = 'relay' and direction = 'out'").await, "5.1.1 hard 550 5.1.1 (address) unknown");
    assert_eq!(post.ask("select email from address where suppressed_at is not null").await, "ben@example.net");
    post.work().await;
    assert_eq!(hop.taken().len(), 2);
    let words = one_line(&hop.taken()[1].bytes);
    assert!(words.contains("their mailbox does not take letters any more"), "{words}");
    // The letter that told of it fails too: recorded, and nobody is written to about that.
    let told = post.ask("select id::text from outbox where kind = 'undelivered'").await.parse().unwrap();
    let mut tx = post.store.begin().await.unwrap();
    let mut ctx = Context { conn: &mut tx, now: post.now, site: &post.site, cause: None };
    bounces::returned(&mut ctx, told, &Message::parse(report("failed", "5.2.2").as_bytes())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(post.ask("select count(*) from outbox").await, "2");
}

#[tokio::test]
async fn an_erased_mailbox_gets_nothing_and_words_are_forgotten_in_time() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    post.write("gone@example.org", "one").await;
    sqlx::query("update address set email = null, email_key = null").execute(&mut *post.conn().await).await.unwrap();
    post.relay().await;
    post.work().await;
    assert_eq!(post.record().await, "dropped / dropped / the mailbox was erased | sent / sent / 250 2.0.0 queued as 77");
    assert_eq!(letters::drop_words(&mut *post.conn().await, post.now).await.unwrap(), 0);
    post.now += TimeDelta::days(14);
    assert_eq!(letters::drop_words(&mut *post.conn().await, post.now).await.unwrap(), 3);
    assert_eq!(post.ask("select count(*) from outbox where raw is not null union all select count(*) from letter where raw is not null").await, "0 | 0");
    assert_eq!(post.ask("select peer || helo from inbox").await, "");
}

#[tokio::test]
async fn the_running_exit_is_woken_sends_and_stops_without_leaving_a_connection() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    let (wake, stop, running) = post.run(&hop).await;
    for n in 0..30 {
        post.write(&format!("ana{n}@example{n}.org"), "one").await;
    }
    wake.notify_one();
    hop.wait_for(30).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(post.ask("select count(*) from outbox where state = 'sent' and owner is null").await, "30");
    assert_eq!(hop.commands().iter().filter(|command| *command == "QUIT").count(), hop.connections());
}

#[tokio::test]
async fn a_reply_that_comes_while_the_database_is_away_is_not_forgotten() {
    let hop = NextHop::start().await;
    let mut post = Post::to(&hop).await;
    let (wake, stop, running) = post.run(&hop).await;
    hop.mood(Step::Dot, Mood::Wait);
    post.write("ana@example.org", "one").await;
    wake.notify_one();
    hop.hears(".").await;
    post.database.cut_off(true).await;
    hop.go_on();
    hop.wait_for(1).await;
    post.database.cut_off(false).await;
    let marked = async { while post.ask("select state from outbox").await != "sent" {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), marked).await.expect("it is marked when the database is back");
    stop.cancel();
    running.await.unwrap();
    assert_eq!((hop.taken().len(), post.ask("select attempts from outbox").await.as_str()), (1, "1"));
}
