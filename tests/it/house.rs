//! A programme on a database of its own, worked step by step: letters are put into its inbox, its calendar is looked at, its exit goes to a hop of the test's.
use std::{path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use pairpost::{
    app,
    config::Config,
    domain::{
        address::{EmailAddress, OwnAddress},
        admission::Admission,
    },
    handlers::Site,
    inbox::Inbox,
    mail::{
        envelope::{Envelope, Verdict},
        message::Message,
    },
    outbox::Exit,
    schedule,
    store::{
        Store,
        arrivals::{self, Arrival},
        ownership::Owner,
        recipients::{self, Recipient},
    },
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{database::TestDatabase, exit::share_key, next_hop::NextHop};

/// Ours.
pub const DOMAIN: &str = "pairs.test";

/// The programme, and a clock that only the test moves.
pub struct House {
    /// Its database.
    pub database: TestDatabase,
    /// The same, opened.
    pub store: Store,
    /// Its words.
    pub site: Arc<Site>,
    /// Its worker.
    pub inbox: Inbox,
    /// Its time.
    pub now: DateTime<Utc>,
    settings: Vec<(String, String)>,
    dir: tempfile::TempDir,
}

impl House {
    /// With these keys of the configuration.
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        let (database, dir) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let store = database.store().await;
        let site = Arc::new(app::site(&config(dir.path(), &settings)).expect("a programme"));
        let (owner, watch) = Owner::take(&store).await.expect("a lock");
        tokio::spawn(watch);
        let inbox = Inbox { store: store.clone(), owner, site: site.clone(), outbox: Arc::new(Notify::new()) };
        Self { database, store, site, inbox, now: DateTime::from_timestamp(1_800_000_000, 0).expect("a moment"), settings, dir }
    }

    /// A letter has come, and is kept; gives its row in the inbox.
    pub async fn comes(&self, recipient: &Recipient, from: &str, raw: &str, held: bool) -> Uuid {
        self.keeps(recipient, from, raw, held).await;
        self.ask("select id from inbox order by id desc limit 1").await.parse().expect("an id")
    }

    /// The same where nobody asks for the row.
    pub async fn keeps(&self, recipient: &Recipient, from: &str, raw: &str, held: bool) {
        self.arrives(recipient, from, raw.contains("delivery-status"), raw, held).await;
    }

    /// The same with the null reverse-path, or not.
    pub async fn arrives(&self, recipient: &Recipient, from: &str, null_path: bool, raw: &str, held: bool) {
        let from = EmailAddress::parse(from).expect("an address");
        let envelope = Envelope { peer: [127, 0, 0, 1].into(), helo: "x".into(), reverse_path: (!null_path).then(|| from.clone()) };
        let arrival = Arrival {
            raw: raw.as_bytes(),
            envelope: &envelope,
            from: Some(&from),
            message_id: None,
            verdict: &Verdict::UNCHECKED,
            recipients: std::slice::from_ref(recipient),
            domain: DOMAIN,
            session: "abc",
            tls: None,
            records_refusals: true,
        };
        let admission = if held { Admission::Hold } else { Admission::Take };
        let mut conn = self.store.connection().await.expect("a connection");
        arrivals::accept(&mut conn, &[arrival], |_, _, _| admission, None, self.now).await.expect("kept");
    }

    /// A letter of a few words to one of our mailboxes has come.
    pub async fn writes(&self, from: &str, to: &OwnAddress, words: &str) -> Uuid {
        self.comes(&self.recipient(to).await, from, &letter(from, words), false).await
    }

    /// Whose mailbox of ours it is.
    pub async fn recipient(&self, own: &OwnAddress) -> Recipient {
        let mut conn = self.store.connection().await.expect("a connection");
        recipients::resolve(&mut conn, own, &self.site.secret, self.now).await.expect("the database answers").expect("it is ours")
    }

    /// Where an answer to the last letter of that kind to somebody goes.
    pub async fn reply_to(&self, kind: &str, to: &str) -> OwnAddress {
        let mut conn = self.store.connection().await.expect("a connection");
        let query = "select o.raw from outbox o join address a on a.id = o.address_id where o.kind = $1 and a.email_key = $2 order by o.id desc limit 1";
        let raw: Vec<u8> = sqlx::query_scalar(query).bind(kind).bind(to).fetch_one(&mut *conn).await.unwrap_or_else(|_| panic!("{kind} was written to {to}"));
        OwnAddress::read(Message::parse(&raw).reply_to[0].local())
    }

    /// Works off what came.
    pub async fn work(&self) {
        while self.inbox.step(self.now).await.expect("the inbox works") > 0 {}
    }

    /// Does what the calendar does now.
    pub async fn tick(&self) {
        while schedule::step(&self.store, &self.site, self.now).await.expect("the calendar works") > 0 {}
    }

    /// An exit of its own, as each process has one.
    pub async fn exit(&self, hop: &NextHop) -> Exit {
        let (owner, watch) = Owner::take(&self.store).await.expect("a lock");
        tokio::spawn(watch);
        self.exit_of(owner, hop).await
    }

    /// The exit of the process that has this lock.
    pub async fn exit_of(&self, owner: Owner, hop: &NextHop) -> Exit {
        share_key(&self.store, &self.site).await;
        let mut settings = self.settings.clone();
        settings.push(("PAIRPOST_DELIVERY__SMARTHOST".into(), hop.url()));
        Exit::new(self.store.clone(), owner, self.site.clone(), &config(self.dir.path(), &settings)).await.expect("an exit")
    }

    /// What the database says; several rows with a bar between them.
    pub async fn ask(&self, query: &str) -> String {
        self.database.rows(query).await
    }

    /// Changes rows.
    pub async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(&mut *self.store.connection().await.expect("a connection")).await.expect("a good statement");
    }
}

/// A letter of a few words.
pub fn letter(from: &str, words: &str) -> String {
    format!("From: {from}\r\nSubject: Hello\r\nMessage-ID: <{}@example.org>\r\n\r\n{words}\r\n", Uuid::now_v7())
}

fn config(dir: &Path, settings: &[(String, String)]) -> Config {
    let fixed = [("PAIRPOST_DOMAIN".to_owned(), DOMAIN.to_owned()), ("PAIRPOST_DATA_DIR".to_owned(), dir.display().to_string())];
    Config::load(Some(Path::new("/dev/null")), fixed.into_iter().chain(settings.iter().cloned())).expect("good settings")
}
