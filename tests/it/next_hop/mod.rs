//! The mail server behind us, for tests: catches letters, says what it has seen, and can be moody at every command.
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

mod certificate;
mod mood;
mod session;

use certificate::certificate;
use mood::Moods;
pub use mood::{Mood, Step};

use crate::program::PATIENCE;

/// A letter that it took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What stood behind MAIL FROM: the path in its brackets, and the parameters.
    pub from: String,
    /// What stood behind RCPT TO.
    pub to: String,
    /// The octets, dots unstuffed.
    pub bytes: Vec<u8>,
    /// The number of the connection, from 1.
    pub connection: usize,
    /// It came through TLS.
    pub encrypted: bool,
}

impl Taken {
    /// The octets as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// MAIL FROM, without brackets and parameters.
    pub fn reverse_path(&self) -> &str {
        self.from.split(['<', '>']).nth(1).unwrap_or_default()
    }
}

#[derive(Default)]
struct Seen {
    letters: Mutex<Vec<Taken>>,
    count: AtomicUsize,
    commands: Mutex<Vec<String>>,
    moods: Mutex<Moods>,
    recipients: Mutex<HashMap<String, String>>,
    slow: Mutex<HashMap<String, Duration>>,
    /// Of each domain, the letters that are on their way to it now, and at most.
    crowds: Mutex<HashMap<String, (usize, usize)>>,
    extensions: Mutex<Vec<String>>,
    pause: Mutex<Duration>,
    poured: AtomicUsize,
    connections: AtomicUsize,
    left: Mutex<HashSet<usize>>,
    changed: Notify,
    go_on: Notify,
    tls: Option<TlsAcceptor>,
    tls_from_start: bool,
}

impl Seen {
    fn hear(&self, command: &str) {
        self.commands.lock().unwrap().push(command.to_owned());
        self.changed.notify_waiters();
    }

    fn keep(&self, letter: Taken) {
        self.letters.lock().unwrap().push(letter);
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
}

/// Listens until it is dropped.
pub struct NextHop {
    /// Where.
    pub address: SocketAddr,
    /// Its certificate, in PEM; in good mood nobody asks for it.
    pub certificate: Option<String>,
    seen: Arc<Seen>,
    listening: JoinHandle<()>,
}

impl Drop for NextHop {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl NextHop {
    /// In good mood, without TLS.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// The same at a place, such as that of one that died.
    pub async fn at(place: &str) -> Self {
        Self::listen(place, Seen::default(), None).await
    }

    /// Offers STARTTLS, with a certificate that only it believes in.
    pub async fn with_tls() -> Self {
        let (tls, certificate) = certificate();
        let hop = Self::listen("127.0.0.1:0", Seen { tls: Some(tls), ..Seen::default() }, Some(certificate)).await;
        hop.seen.extensions.lock().unwrap().push("STARTTLS".into());
        hop
    }

    /// Speaks TLS from the start, with such a certificate.
    pub async fn in_tls() -> Self {
        let (tls, certificate) = certificate();
        Self::listen("127.0.0.1:0", Seen { tls: Some(tls), tls_from_start: true, ..Seen::default() }, Some(certificate)).await
    }

    async fn listen(place: &str, seen: Seen, certificate: Option<String>) -> Self {
        let listener = TcpListener::bind(place).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let extensions = ["PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"].map(str::to_owned);
        let seen = Arc::new(Seen { extensions: Mutex::new(extensions.to_vec()), ..seen });
        let shared = seen.clone();
        let listening = tokio::spawn(async move {
            // Its sessions end with it.
            let mut sessions = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = shared.clone();
                let connection = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
                sessions.spawn(async move {
                    session::run(stream, &seen, connection).await;
                    seen.left.lock().unwrap().insert(connection);
                    seen.changed.notify_waiters();
                });
                while sessions.try_join_next().is_some() {}
            }
        });
        Self { address, certificate, seen, listening }
    }

    /// As `delivery.smarthost` names it.
    pub fn url(&self) -> String {
        let scheme = if self.seen.tls_from_start { "smtps" } else { "smtp" };
        format!("{scheme}://{}", self.address)
    }

    /// From now on it does this at that step.
    pub fn mood(&self, step: Step, mood: Mood) {
        self.seen.moods.lock().unwrap().always(step, mood);
    }

    /// The next time it comes to that step.
    pub fn mood_once(&self, step: Step, mood: Mood) {
        self.seen.moods.lock().unwrap().once(step, mood);
    }

    /// The same on one connection alone, by its number.
    pub fn mood_on(&self, connection: usize, step: Step, mood: Mood) {
        self.seen.moods.lock().unwrap().on(connection, step, mood);
    }

    /// From now on it says this to RCPT TO a mailbox.
    pub fn answers(&self, mailbox: &str, reply: &str) {
        self.seen.recipients.lock().unwrap().insert(mailbox.to_owned(), reply.to_owned());
    }

    /// From now on it takes letters to a mailbox again.
    pub fn takes_again(&self, mailbox: &str) {
        self.seen.recipients.lock().unwrap().remove(mailbox);
    }

    /// From now on it thinks so long about each letter.
    pub fn thinks_for(&self, pause: Duration) {
        *self.seen.pause.lock().unwrap() = pause;
    }

    /// From now on it thinks so long about each mailbox of a domain.
    pub fn is_slow_about(&self, domain: &str, pause: Duration) {
        self.seen.slow.lock().unwrap().insert(domain.to_owned(), pause);
    }

    /// In good mood again.
    pub fn calm(&self) {
        self.seen.moods.lock().unwrap().clear();
        self.seen.recipients.lock().unwrap().clear();
        self.seen.slow.lock().unwrap().clear();
    }

    /// What it announces, instead of all it can.
    pub fn announce(&self, extensions: &[&str]) {
        *self.seen.extensions.lock().unwrap() = extensions.iter().map(|&word| word.to_owned()).collect();
    }

    /// What it announces besides.
    pub fn reveal(&self, extension: &str) {
        self.seen.extensions.lock().unwrap().push(extension.to_owned());
    }

    /// What it announces no more.
    pub fn conceal(&self, extension: &str) {
        self.seen.extensions.lock().unwrap().retain(|word| word != extension);
    }

    /// The letters it has taken, but those that were taken out.
    pub fn taken(&self) -> Vec<Taken> {
        self.seen.letters.lock().unwrap().clone()
    }

    /// Takes the first letter to a mailbox out.
    pub fn take(&self, mailbox: &str) -> Option<Taken> {
        let mut letters = self.seen.letters.lock().unwrap();
        let at = letters.iter().position(|letter| letter.to == mailbox)?;
        Some(letters.remove(at))
    }

    /// How many letters it has taken, those taken out included.
    pub fn count(&self) -> usize {
        self.seen.count.load(Ordering::SeqCst)
    }

    /// Waits for so many letters.
    pub async fn wait_for(&self, letters: usize) -> Vec<Taken> {
        self.wait_for_count(letters).await;
        self.taken()
    }

    /// Waits for so many letters, as long as they keep coming.
    pub async fn wait_for_count(&self, letters: usize) {
        while self.count() < letters {
            let before = self.count();
            self.until(&format!("letters came: {before}, not {letters}"), || self.count() > before || before >= letters).await;
        }
    }

    /// Waits until it has taken a letter to this mailbox.
    pub async fn takes(&self, mailbox: &str) {
        self.until(&format!("no letter came to {mailbox}"), || self.seen.letters.lock().unwrap().iter().any(|letter| letter.to == mailbox)).await;
    }

    /// Waits until it has heard this command.
    pub async fn hears(&self, command: &str) {
        self.until(&format!("{command} was not heard"), || self.commands().iter().any(|heard| heard == command)).await;
    }

    /// Waits for so many letters on their way to a domain at once.
    pub async fn is_crowded(&self, domain: &str, letters: usize) {
        self.until(&format!("{letters} letters are not on their way to {domain}"), || self.crowd(domain) >= letters).await;
    }

    async fn until(&self, otherwise: &str, condition: impl Fn() -> bool) {
        let met = async {
            loop {
                let changed = self.seen.changed.notified();
                if condition() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, met).await.unwrap_or_else(|_| panic!("{otherwise}"));
    }

    /// Ends a [`Mood::Wait`].
    pub fn go_on(&self) {
        self.seen.go_on.notify_one();
    }

    /// The commands it has heard, all connections together; "." is the end of a letter.
    pub fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap().clone()
    }

    /// Whether a connection is over.
    pub fn has_left(&self, connection: usize) -> bool {
        self.seen.left.lock().unwrap().contains(&connection)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many letters to a domain were on their way at once, at most.
    pub fn crowd(&self, domain: &str) -> usize {
        self.seen.crowds.lock().unwrap().get(domain).map_or(0, |(_, most)| *most)
    }

    /// Octets of [`Mood::Endless`] that it got rid of.
    pub fn poured(&self) -> usize {
        self.seen.poured.load(Ordering::SeqCst)
    }
}
