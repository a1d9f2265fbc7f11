//! The exit against a mail server in every mood: what is sent, kept, tried again, given up, told; how often, and in which words.
use std::{path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use pairpost::{
    app,
    config::Config,
    domain::{address::EmailAddress, breaker::Stream},
    handlers::{Context, Sending, Site},
    mail::{
        envelope::{AuthResult, Envelope},
        message::Message,
    },
    outbox::Exit,
    smtp::Verifier,
    store::{
        Store, exchanges,
        keys::{self, DkimKey},
        letters::Bytes,
        outbox::{self, NewLetter},
        ownership::Owner,
        people,
    },
    templates::letters::Subscribed,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
    next_hop::NextHop,
};

mod ahead;
mod circuit;
mod deaths;
mod encryption;
mod endless;
mod limits;
mod moods;
mod refusals;
mod room;
mod sending;

/// What a letter is marked with that the next hop took.
const SENT: &str = "sent / sent / 250 2.0.0 queued as 77";

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
        Self::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]).await
    }

    /// The same, of one who waits four seconds for an answer: for a hop that gives none.
    async fn hasty(hop: &NextHop) -> Self {
        Self::new(&[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url()), ("PAIRPOST_DELIVERY__TIMEOUT_SECONDS", "4")]).await
    }

    /// Queues a letter of ours.
    async fn write(&self, to: &str, occasion: &str) -> Uuid {
        let mut conn = self.store.connection().await.expect("a connection");
        let to = EmailAddress::parse(to).expect("an address");
        let address = people::address_id(&mut conn, &to, self.now).await.expect("a row");
        let mut ctx = Context::new(&mut conn, self.now, &self.site);
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
        let reverse_path = Context::new(&mut conn, self.now, &self.site).reverse_path(id);
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
            raw: Bytes::Here(b"From: to-ana@pairs.test\r\nTo: ben@example.net\r\nSubject: Greetings from Lima\r\n\r\nhi\r\n.\r\n"),
            cause: Some(cause),
            sending: None,
            not_before: self.now,
        };
        assert!(outbox::enqueue(&mut conn, &letter, self.now).await.unwrap());
        id
    }

    /// Queues many letters to one domain.
    async fn crowd(&self, domain: &str, letters: usize, stream: Stream) {
        let mut conn = self.conn().await;
        for n in 0..letters {
            let to = EmailAddress::parse(&format!("m{n}@{domain}")).unwrap();
            let letter = NewLetter {
                id: Uuid::now_v7(),
                address_id: people::address_id(&mut conn, &to, self.now).await.unwrap(),
                to: &to,
                mailbox: "help",
                kind: "notice",
                stream,
                occasion: &format!("crowd:{n}"),
                reverse_path: "",
                message_id: "x@pairs.test",
                raw: Bytes::Here(b"From: help@pairs.test\r\n\r\nhi\r\n"),
                cause: None,
                sending: None,
                not_before: self.now,
            };
            assert!(outbox::enqueue(&mut conn, &letter, self.now).await.unwrap());
        }
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
        self.run_exit(hop, &self.store, &self.owner).await
    }

    /// Lets the exit of another process run.
    async fn run_exit(&self, hop: &NextHop, store: &Store, owner: &Owner) -> (Arc<Notify>, CancellationToken, JoinHandle<()>) {
        let config = config(self.dir.path(), &[("PAIRPOST_DELIVERY__SMARTHOST", &hop.url())]);
        let exit = Exit::new(store.clone(), owner.clone(), self.site.clone(), &config).await.expect("an exit");
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let running = tokio::spawn(exit.run(wake.clone(), stop.clone()));
        (wake, stop, running)
    }

    async fn ask(&self, query: &str) -> String {
        self.database.rows(query).await
    }

    /// State, outcome and the next hop's words on each letter out, in order.
    async fn record(&self) -> String {
        self.ask("select concat_ws(' ', o.state, '/', coalesce(e.outcome, 'under way'), '/', e.reply) from outbox o join exchange e on e.id = o.exchange_id order by o.id").await
    }

    /// What a receiver makes of the signature of a letter from help@, by the record to publish.
    async fn signature_of(&self, letter: &[u8]) -> Option<AuthResult> {
        let key = keys::find(&mut *self.conn().await, &self.site.secret, "pairs.test").await.unwrap().expect("a key was made");
        let name_server = NameServer::start(zone(&format!("{}._domainkey.pairs.test TXT v=DKIM1; k=rsa; p={}", key.selector, key.public_key))).await;
        let from = EmailAddress::parse("help@pairs.test").unwrap();
        let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: None };
        let verifier = Verifier::new(Some(name_server.address)).unwrap();
        verifier.verify(letter, &from, &envelope, "receiver.test").await.map(|verdict| verdict.dkim)
    }

    async fn conn(&self) -> pairpost::store::Held {
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
