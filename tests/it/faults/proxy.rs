//! Stands between the program and Postgres and reads along: cuts a connection exactly at a commit, swallows everything, or turns new connections away.
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{database::TestDatabase, program::PATIENCE};

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// What commits does not reach the server: nothing is done.
    BeforeCommit,
    /// The server has committed, and nobody hears of it.
    AfterCommit,
}

/// The proxy; gone when dropped, with all connections.
pub struct Proxy {
    port: u16,
    database: String,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    /// The server's socket.
    server: PathBuf,
    /// Words of a statement, and when the transaction that runs it is cut; each once.
    armed: Mutex<Vec<(&'static str, Moment)>>,
    cut: Notify,
    /// Nothing passes, in neither direction, and nobody is told.
    hangs: watch::Sender<bool>,
    /// Counts up when nothing passes any more on all connections that there are, though new ones are sound.
    lost: watch::Sender<u32>,
    /// Counts up when all connections are closed at once.
    closed: watch::Sender<u32>,
    /// New connections get this error (SQLSTATE, words).
    refusal: Mutex<Option<(&'static str, &'static str)>>,
}

impl Proxy {
    /// Before `database`.
    pub async fn before(database: &TestDatabase) -> Self {
        let options = database.options();
        let server = options.get_socket().expect("the test server listens on a socket").join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            server,
            armed: Mutex::default(),
            cut: Notify::new(),
            hangs: watch::Sender::new(false),
            lost: watch::Sender::new(0),
            closed: watch::Sender::new(0),
            refusal: Mutex::default(),
        });
        let accepting = shared.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = accepting.clone();
                tokio::spawn(async move { shared.connection(client).await });
            }
        });
        Self { port, database: options.get_database().expect("it has a name").to_owned(), shared, listening }
    }

    /// Where the program finds its database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", self.port, self.database)
    }

    /// Cuts the next transaction that runs a statement with these words.
    pub fn cut(&self, words: &'static str, moment: Moment) {
        self.shared.armed.lock().unwrap().push((words, moment));
    }

    /// Waits until every cut that was asked for is done.
    pub async fn has_cut(&self) {
        let done = async {
            loop {
                let cut = self.shared.cut.notified();
                if self.shared.armed.lock().unwrap().is_empty() {
                    return;
                }
                cut.await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.unwrap_or_else(|_| panic!("never run: {:?}", self.shared.armed.lock().unwrap()));
    }

    /// Swallows everything, as a network that lost its way; or lets it through.
    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.send_replace(hangs);
    }

    /// Loses the connections that there are, and tells nobody, as a firewall that was restarted; new ones are sound.
    pub fn lose(&self) {
        self.shared.lost.send_modify(|count| *count += 1);
    }

    /// New connections get this error, and the others are closed; or all is well again.
    pub fn refuse(&self, error: Option<(&'static str, &'static str)>) {
        *self.shared.refusal.lock().unwrap() = error;
        if error.is_some() {
            self.shared.closed.send_modify(|count| *count += 1);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.shared.hangs.send_replace(false);
        self.shared.closed.send_modify(|count| *count += 1);
    }
}

impl Shared {
    async fn connection(&self, mut client: TcpStream) -> Option<()> {
        client.set_nodelay(true).ok()?;
        let (mut closed, lost) = (self.closed.subscribe(), *self.lost.borrow());
        self.flows(lost).await;
        // The first message has no letter before its length.
        let hello = message(&mut client, false).await?;
        let refusal = *self.refusal.lock().unwrap();
        if let Some((code, words)) = refusal {
            let fields = format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0");
            let length = u32::try_from(fields.len() + 4).ok()?.to_be_bytes();
            return client.write_all(&[b"E", &length[..], fields.as_bytes()].concat()).await.ok();
        }
        let mut server = UnixStream::connect(&self.server).await.ok()?;
        server.write_all(&hello).await.ok()?;
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        let cut_after = AtomicBool::new(false);
        let up = async {
            let mut session = Session::default();
            loop {
                let message = message(&mut from_client, true).await?;
                self.flows(lost).await;
                match self.due(&mut session, &message) {
                    Some(Moment::BeforeCommit) => return None::<()>,
                    Some(Moment::AfterCommit) => cut_after.store(true, Ordering::SeqCst),
                    None => {}
                }
                to_server.write_all(&message).await.ok()?;
            }
        };
        let down = async {
            loop {
                let message = message(&mut from_server, true).await?;
                self.flows(lost).await;
                match (cut_after.load(Ordering::SeqCst), message[0]) {
                    (true, b'Z') => return None::<()>, // ready again: it is committed
                    (true, _) => {}
                    (false, _) => to_client.write_all(&message).await.ok()?,
                }
            }
        };
        tokio::select! { _ = up => {}, _ = down => {}, _ = closed.changed() => {} }
        self.cut.notify_waiters();
        None
    }

    /// Waits while nothing passes on a connection that was made after so many losses.
    async fn flows(&self, lost: u32) {
        let mut hangs = self.hangs.subscribe();
        let _always = hangs.wait_for(|hangs| !hangs).await.is_ok();
        if *self.lost.borrow() > lost {
            std::future::pending().await
        }
    }

    /// Whether this message commits a transaction that is to be cut.
    fn due(&self, session: &mut Session, message: &[u8]) -> Option<Moment> {
        let touched = session.read(message)?;
        let mut armed = self.armed.lock().unwrap();
        let at = armed.iter().position(|(words, _)| touched.iter().any(|statement| statement.contains(words)))?;
        Some(armed.remove(at).1)
    }
}

/// What a client has under way.
#[derive(Default)]
struct Session {
    prepared: HashMap<String, String>,
    in_transaction: bool,
    touched: Vec<String>,
}

impl Session {
    /// Takes a message in; gives the statements that it commits, if it does that.
    fn read(&mut self, message: &[u8]) -> Option<Vec<String>> {
        let mut texts = message[5..].split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        match message[0] {
            b'P' => {
                self.prepared.insert(first, second);
                None
            }
            // To a portal (first) a prepared statement (second) is bound.
            b'B' => {
                self.touched.extend(self.prepared.get(&second).cloned());
                None
            }
            b'Q' if first.to_uppercase().starts_with("BEGIN") => {
                self.in_transaction = true;
                None
            }
            b'Q' if first.starts_with("COMMIT") => {
                self.in_transaction = false;
                Some(std::mem::take(&mut self.touched))
            }
            b'Q' if first.starts_with("ROLLBACK") => {
                self.in_transaction = false;
                self.touched.clear();
                None
            }
            // Outside of a transaction a statement commits by itself, with Sync.
            b'S' if !self.in_transaction && !self.touched.is_empty() => Some(std::mem::take(&mut self.touched)),
            _ => None,
        }
    }
}

/// One whole message of the protocol (version 3): a letter, but for the first one, and a length that counts itself.
async fn message(stream: &mut (impl AsyncRead + Unpin), has_type: bool) -> Option<Vec<u8>> {
    let mut message = vec![0; if has_type { 5 } else { 4 }];
    stream.read_exact(&mut message).await.ok()?;
    let at = message.len() - 4;
    let length = u32::from_be_bytes(message[at..].try_into().ok()?) as usize;
    let head = message.len();
    message.resize(at + length, 0);
    stream.read_exact(&mut message[head..]).await.ok()?;
    Some(message)
}
