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

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// A moment in a session at which a mood shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The greeting.
    Greeting,
    /// EHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// After the last dot; with anything but a 2xx the letter is not kept.
    Dot,
}

/// What it does there instead of what it should.
#[derive(Debug, Clone, Copy)]
pub enum Mood {
    /// Says this line.
    Say(&'static str),
    /// Hangs up.
    Close,
    /// Says nothing any more.
    Stall,
    /// Says octets that are no reply.
    Garbage,
    /// Says what it should, once the test lets it.
    Wait,
}

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
}

#[derive(Default)]
struct Seen {
    letters: Mutex<Vec<Taken>>,
    commands: Mutex<Vec<String>>,
    /// Without a number: on every connection.
    moods: Mutex<HashMap<Step, (Option<usize>, Mood)>>,
    recipients: Mutex<HashMap<&'static str, &'static str>>,
    extensions: Mutex<Vec<&'static str>>,
    pause: Mutex<Duration>,
    connections: AtomicUsize,
    left: Mutex<HashSet<usize>>,
    changed: Notify,
    go_on: Notify,
    tls: Option<TlsAcceptor>,
}

/// Listens until it is dropped.
pub struct NextHop {
    /// Where.
    pub address: SocketAddr,
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
        Self::listen(None).await
    }

    /// Offers STARTTLS, with a certificate that only it believes in.
    pub async fn with_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let server = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("they belong together");
        let hop = Self::listen(Some(TlsAcceptor::from(Arc::new(server)))).await;
        hop.seen.extensions.lock().unwrap().push("STARTTLS");
        hop
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen {
            tls,
            extensions: Mutex::new(vec!["PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]),
            ..Seen::default()
        });
        let shared = seen.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = shared.clone();
                let connection = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(async move {
                    session(stream, &seen, connection).await;
                    seen.left.lock().unwrap().insert(connection);
                });
            }
        });
        Self { address, seen, listening }
    }

    /// As `delivery.smarthost` names it.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// From now on it does this at that step.
    pub fn mood(&self, step: Step, mood: Mood) {
        self.seen.moods.lock().unwrap().insert(step, (None, mood));
    }

    /// The same on one connection alone, by its number.
    pub fn mood_on(&self, connection: usize, step: Step, mood: Mood) {
        self.seen.moods.lock().unwrap().insert(step, (Some(connection), mood));
    }

    /// From now on it says this to RCPT TO a mailbox.
    pub fn answers(&self, mailbox: &'static str, reply: &'static str) {
        self.seen.recipients.lock().unwrap().insert(mailbox, reply);
    }

    /// From now on it thinks so long about each letter.
    pub fn thinks_for(&self, pause: Duration) {
        *self.seen.pause.lock().unwrap() = pause;
    }

    /// In good mood again.
    pub fn calm(&self) {
        self.seen.moods.lock().unwrap().clear();
        self.seen.recipients.lock().unwrap().clear();
    }

    /// What it announces, instead of all it can.
    pub fn announce(&self, extensions: &[&'static str]) {
        *self.seen.extensions.lock().unwrap() = extensions.to_vec();
    }

    /// The letters it has taken.
    pub fn taken(&self) -> Vec<Taken> {
        self.seen.letters.lock().unwrap().clone()
    }

    /// Waits for so many letters.
    pub async fn wait_for(&self, letters: usize) -> Vec<Taken> {
        let enough = async {
            loop {
                let changed = self.seen.changed.notified();
                if self.taken().len() >= letters {
                    return self.taken();
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), enough).await.unwrap_or_else(|_| panic!("{} letters came, not {letters}", self.taken().len()))
    }

    /// Waits until it has taken a letter to this mailbox.
    pub async fn takes(&self, mailbox: &str) {
        let taken = async {
            loop {
                let changed = self.seen.changed.notified();
                if self.seen.letters.lock().unwrap().iter().any(|letter| letter.to == mailbox) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap_or_else(|_| panic!("no letter came to {mailbox}"));
    }

    /// Waits for so many letters, as long as they keep coming.
    pub async fn wait_for_count(&self, letters: usize) {
        loop {
            let changed = self.seen.changed.notified();
            if self.count() >= letters {
                return;
            }
            tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap_or_else(|_| panic!("{} letters came, not {letters}", self.count()));
        }
    }

    /// How many letters it has taken.
    pub fn count(&self) -> usize {
        self.seen.letters.lock().unwrap().len()
    }

    /// Waits until it has heard this command.
    pub async fn hears(&self, command: &str) {
        let heard = async {
            loop {
                let changed = self.seen.changed.notified();
                if self.commands().iter().any(|heard| heard == command) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap_or_else(|_| panic!("{command} was not heard"));
    }

    /// Ends a [`Mood::Wait`].
    pub fn go_on(&self) {
        self.seen.go_on.notify_one();
    }

    /// The commands it has heard, all connections together.
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
}

/// Either side of TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session<'a> {
    stream: BufReader<Box<dyn Stream>>,
    seen: &'a Seen,
    number: usize,
}

async fn session(stream: tokio::net::TcpStream, seen: &Seen, connection: usize) -> Option<()> {
    let mut session = Session { stream: BufReader::new(Box::new(stream)), seen, number: connection };
    let (mut from, mut to, mut encrypted) = (None, None, false);
    session.reply(Step::Greeting, "220 next.test").await?;
    loop {
        let line = session.line().await?;
        seen.commands.lock().unwrap().push(line.clone());
        seen.changed.notify_waiters();
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let extensions: Vec<_> = seen.extensions.lock().unwrap().iter().copied().filter(|word| !(encrypted && *word == "STARTTLS")).collect();
                let mut reply = String::new();
                for extension in &extensions {
                    reply.push_str(&format!("250-{extension}\r\n"));
                }
                session.reply(Step::Hello, &format!("250-next.test\r\n{reply}250 HELP")).await?;
            }
            "STARTTLS" => {
                if session.reply(Step::StartTls, "220 go").await? {
                    let acceptor = seen.tls.clone()?;
                    let inner = session.stream.into_inner();
                    session.stream = BufReader::new(Box::new(acceptor.accept(inner).await.ok()?));
                    encrypted = true;
                }
            }
            "AUTH" => drop(session.reply(Step::Auth, "235 2.7.0 welcome").await?),
            "MAIL" => {
                if session.reply(Step::Mail, "250 2.1.0 ok").await? {
                    from = line.split_once(':').map(|(_, path)| path.to_owned());
                }
            }
            "RCPT" => {
                let mailbox = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(mailbox, _)| mailbox.to_owned()).unwrap_or_default();
                let own = seen.recipients.lock().unwrap().get(mailbox.as_str()).copied();
                let usual = own.unwrap_or(if from.is_some() { "250 2.1.5 ok" } else { "503 5.5.1 MAIL first" });
                if session.reply(Step::Rcpt, usual).await? && usual.starts_with('2') {
                    to = Some(mailbox);
                }
            }
            "DATA" if to.is_none() => drop(session.reply(Step::Data, "503 5.5.1 RCPT first").await?),
            "DATA" => {
                if session.reply(Step::Data, "354 go on").await? {
                    let bytes = session.letter().await?;
                    seen.commands.lock().unwrap().push(".".into());
                    seen.changed.notify_waiters();
                    let pause = *seen.pause.lock().unwrap();
                    if !pause.is_zero() {
                        tokio::time::sleep_until(tokio::time::Instant::now() + pause).await;
                    }
                    if session.reply(Step::Dot, "250 2.0.0 queued as 77").await? {
                        let letter = Taken { from: from.take().unwrap_or_default(), to: to.take().unwrap_or_default(), bytes, connection, encrypted };
                        seen.letters.lock().unwrap().push(letter);
                        seen.changed.notify_waiters();
                    }
                    (from, to) = (None, None);
                }
            }
            "RSET" => {
                (from, to) = (None, None);
                session.say("250 2.0.0 ok").await?;
            }
            "QUIT" => return session.say("221 2.0.0 bye").await,
            _ => session.say("500 5.5.2 what?").await?,
        }
    }
}

impl Session<'_> {
    /// Says what it should, or what its mood is; true when it said what it should. `None` ends the session.
    async fn reply(&mut self, step: Step, usual: &str) -> Option<bool> {
        let mood = self.seen.moods.lock().unwrap().get(&step).copied();
        match mood.filter(|(only, _)| only.is_none_or(|only| only == self.number)).map(|(_, mood)| mood) {
            None => self.say(usual).await.map(|()| true),
            Some(Mood::Say(line)) => {
                self.say(line).await?;
                (!line.starts_with("421")).then_some(false)
            }
            Some(Mood::Close) => None,
            Some(Mood::Garbage) => self.say("\u{1}\u{7f}not a reply at all").await.map(|()| false),
            Some(Mood::Wait) => {
                self.seen.go_on.notified().await;
                self.say(usual).await.map(|()| true)
            }
            // Until the other side has enough of it.
            Some(Mood::Stall) => {
                while self.line().await.is_some() {}
                None
            }
        }
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
        self.stream.flush().await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await.ok()?;
        (read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn letter(&mut self) -> Option<Vec<u8>> {
        let mut letter = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            if line == b".\r\n" {
                return Some(letter);
            }
            letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
