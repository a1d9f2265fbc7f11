//! Mail in: an accept loop on tokio, a samotop session under limits of ours for each client, and one door that all sessions share.
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, Result};
use mail_auth::common::to_a_label;
use samotop::{
    io::{
        ConnectionInfo, IoService,
        tls::{Io, MayBeTls, TlsCapable},
    },
    mail::Service,
    smtp::{
        Interpretter,
        command::{MailBody, SmtpCommand},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};
use tokio_util::{compat::TokioAsyncReadCompatExt, sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    config::{Config, Smtp, Verify},
    domain::{address::base32, secret::Secret},
    handlers::Clock,
    store::{Store, recipients::Recipient},
    telemetry::{self, Figure},
};

mod arrival;
mod body;
mod budget;
mod certificate;
mod clients;
mod dialogue;
mod dot;
mod driver;
mod front;
mod grammar;
mod guard;
mod junk;
mod keeper;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod proxy;
mod replies;
mod tls;
mod verify;

pub use certificate::{Facts, Files};
pub use tls::examine;
pub use verify::Verifier;

/// How long sessions may go on with a letter that they are in the middle of when the program stops.
const LAST_LETTERS: Duration = Duration::from_secs(20);

/// Clients that wait at once for a place, or are told that there is none; any more are hung up on.
const MOST_TURNED_AWAY: usize = 100;

type Step<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;
type SyncStep<'f, T> = Pin<Box<dyn Future<Output = T> + Send + Sync + 'f>>;

/// What all sessions share.
pub struct Door {
    /// In ASCII, as a reply must be (RFC 5321 4.2; RFC 6531 3.7.4.1).
    domain: String,
    limits: Smtp,
    verify: Verify,
    store: Store,
    secret: Secret,
    verifier: Option<Verifier>,
    clock: Clock,
    arrived: Arc<Notify>,
    budget: budget::Budget,
    clients: clients::Clients,
    turning_away: Arc<Semaphore>,
    lists: Option<junk::Lists>,
    letters: junk::Letters,
    refusals: junk::Refusals,
    tls: Option<Arc<tls::Tls>>,
    keeper: keeper::Keeper,
}

impl Door {
    /// `arrived` is woken after each letter that was kept. Fails where `dns.server`, the system's resolver, or the certificate can't be used.
    pub fn new(config: &Config, store: Store, secret: Secret, clock: Clock, arrived: Arc<Notify>) -> Result<Arc<Self>> {
        let verifier = match config.auth.verify {
            Verify::Enforce | Verify::Report => Some(Verifier::new(config.dns.server)?),
            Verify::Off => None,
        };
        let door = Arc::new(Self {
            domain: to_a_label(&config.domain).into_owned(),
            limits: config.smtp.clone(),
            verify: config.auth.verify,
            store,
            secret,
            verifier,
            clock,
            arrived,
            budget: budget::Budget::new(config.smtp.letters_memory()),
            clients: clients::Clients::new(&config.smtp),
            turning_away: Arc::new(Semaphore::new(MOST_TURNED_AWAY)),
            lists: junk::Lists::new(config)?,
            letters: junk::Letters::new(config),
            refusals: junk::Refusals::new(&config.smtp),
            tls: tls::Tls::new(config)?.map(Arc::new),
            keeper: keeper::Keeper::new(),
        });
        let seen = Arc::downgrade(&door);
        telemetry::ask(move || {
            let (whole, taken) = seen.upgrade().map(|door| door.memory()).unwrap_or_default();
            telemetry::set(Figure::Budget, whole as i64);
            telemetry::set(Figure::BudgetTaken, taken as i64);
        });
        Ok(door)
    }

    /// The octets that letters under way may take, and those that they have taken.
    pub fn memory(&self) -> (usize, usize) {
        self.budget.figures()
    }

    /// Reads the certificate for STARTTLS anew. Sessions that are encrypted already stay as they are.
    pub fn reload_certificate(&self) {
        if let Some(tls) = &self.tls {
            tls.reload(false);
        }
    }
}

/// Binds every address of `smtp.listen`; port 0 takes a free one.
pub async fn bind(config: &Config) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in &config.smtp.listen {
        listeners.push(TcpListener::bind(address).await.with_context(|| format!("cannot take mail at {address} (smtp.listen)"))?);
    }
    Ok(listeners)
}

/// Takes mail until `stop`; then no new client, and those in the middle of a letter have some seconds to finish it.
pub async fn serve(door: Arc<Door>, listeners: Vec<TcpListener>, stop: CancellationToken) {
    let sessions = TaskTracker::new();
    let loops: Vec<_> = listeners.into_iter().map(|listener| tokio::spawn(accept(door.clone(), listener, stop.clone(), sessions.clone()))).collect();
    for one in loops {
        if let Err(error) = one.await {
            warn!(%error, "an accept loop died");
        }
    }
    sessions.close();
    if tokio::time::timeout(LAST_LETTERS, sessions.wait()).await.is_err() {
        warn!(sessions = sessions.len(), "sessions were cut off in the middle of a letter, which its sender will send again");
    }
}

async fn accept(door: Arc<Door>, listener: TcpListener, stop: CancellationToken, sessions: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let id = VisitId::new();
                let span = info_span!("smtp", session = %id.0);
                match door.clients.enter() {
                    Some(place) => drop(sessions.spawn(arrival::receive(door.clone(), stream, id, peer, stop.clone(), place).instrument(span))),
                    None => match door.turning_away.clone().try_acquire_owned() {
                        Ok(turn) => drop(sessions.spawn(arrival::make_room(door.clone(), stream, id, peer, stop.clone(), turn).instrument(span))),
                        // A flood: not even a word.
                        Err(_) => telemetry::count(Figure::Reasons, "flood"),
                    },
                }
            }
            // Out of file descriptors, mostly: the listener is sound, and a moment later there may be some.
            Err(error) => {
                warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A session's id, as refusals and the log show it: the random half of a UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
struct VisitId(String);

impl VisitId {
    fn new() -> Self {
        Self(base32(&uuid::Uuid::now_v7().as_bytes()[9..15]))
    }

    /// Signs a reply, and if it refuses notes it: whoever was refused can ask, and be answered.
    fn sign(&self, reply: Vec<u8>) -> Vec<u8> {
        if matches!(reply.first(), Some(b'4' | b'5')) {
            telemetry::count(Figure::Refusals, replies::codes(&reply));
            info!(reply = %String::from_utf8_lossy(&reply).trim_end(), "refused");
        }
        replies::signed(reply, &self.0)
    }
}

/// One client's session: what samotop's own session has no place for.
struct Visit {
    id: VisitId,
    door: Arc<Door>,
    /// The client, where it came by a balancer the one that the balancer names.
    peer: SocketAddr,
    /// It is a mail server that receives for us.
    front: bool,
    heard: Mutex<front::Heard>,
    /// What the DNS lists said about this address.
    listed: Mutex<Option<(IpAddr, Option<String>)>>,
    stop: CancellationToken,
    /// Whose mailboxes the recipients taken so far are, each once, and how many RCPT were taken.
    recipients: Mutex<(Vec<Recipient>, usize)>,
    gathered: Mutex<body::Gathered>,
    /// It said EHLO last, so extensions were announced to it.
    extended: AtomicBool,
    /// A recipient was named since MAIL, whether or not it was taken.
    named: AtomicBool,
    /// Which TLS it speaks.
    tls: OnceLock<rustls::ProtocolVersion>,
    me: Weak<Visit>,
    presence: Arc<clients::Presence>,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visit({})", self.id.0)
    }
}

impl Visit {
    fn new(
        door: Arc<Door>,
        id: VisitId,
        peer: SocketAddr,
        front: bool,
        stop: CancellationToken,
        places: (clients::Place, Option<clients::OwnPlace>),
    ) -> Arc<Self> {
        let presence = door.clients.begin(places);
        Arc::new_cyclic(|me| Self {
            id,
            door,
            peer,
            front,
            heard: Mutex::default(),
            listed: Mutex::default(),
            stop,
            recipients: Mutex::default(),
            gathered: Mutex::default(),
            extended: AtomicBool::new(false),
            named: AtomicBool::new(false),
            tls: OnceLock::new(),
            me: me.clone(),
            presence,
        })
    }

    fn heard(&self) -> MutexGuard<'_, front::Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recipients(&self) -> MutexGuard<'_, (Vec<Recipient>, usize)> {
        self.recipients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(&self, reply: Vec<u8>) -> Vec<u8> {
        self.id.sign(reply)
    }

    /// Builds samotop's service out of this visit and lets it run on the stream.
    async fn attend(self: Arc<Self>, stream: TcpStream) {
        let info = ConnectionInfo::new(String::new(), self.peer.to_string());
        if let Err(error) = stream.set_nodelay(true) {
            info!(%error, "the client was gone at once");
            return;
        }
        let io: Box<dyn Io> = Box::new(stream.compat());
        let io: Box<dyn MayBeTls> = Box::new(match &self.door.tls {
            Some(tls) => TlsCapable::enabled(io, tls.upgrade(self.me.clone()), String::new()),
            None => TlsCapable::plaintext(io),
        });
        let interpreter = Interpretter::default()
            .parse::<SmtpCommand>()
            .with(grammar::Grammar)
            .and_apply(dialogue::Commands(self.clone()))
            .parse::<MailBody<Vec<u8>>>()
            .with(body::Framing)
            .and_apply(body::Letters(self.clone()));
        let service = Service::new(driver::Driver(self.clone()), interpreter, self.clone(), self.clone(), self.clone());
        if let Err(error) = service.handle(Ok(io), info).await {
            info!(%error, "a session broke off");
        }
    }
}
