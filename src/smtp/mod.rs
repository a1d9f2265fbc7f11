//! Mail in: an accept loop on tokio, a samotop session under limits of ours for each client, and one door that all sessions share.
use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use anyhow::{Context, Result};
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
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{compat::TokioAsyncReadCompatExt, sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    config::{Config, Smtp, Verify},
    domain::secret::Secret,
    handlers::Clock,
    store::{Store, recipients::Recipient},
};

mod body;
mod budget;
mod dialogue;
mod dot;
mod driver;
mod grammar;
mod guard;
mod replies;
mod verify;

pub use verify::Verifier;

/// How long sessions may go on with a letter that they are in the middle of when the program stops.
const LAST_LETTERS: Duration = Duration::from_secs(20);

type Step<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;
type SyncStep<'f, T> = Pin<Box<dyn Future<Output = T> + Send + Sync + 'f>>;

/// What all sessions share.
pub struct Door {
    domain: String,
    limits: Smtp,
    verify: Verify,
    store: Store,
    secret: Secret,
    verifier: Option<Verifier>,
    clock: Clock,
    arrived: Arc<Notify>,
    budget: budget::Budget,
    clients: Clients,
}

impl Door {
    /// `arrived` is woken after each letter that was kept. Fails where `dns.server` or the system's resolver can't be used.
    pub fn new(config: &Config, store: Store, secret: Secret, clock: Clock, arrived: Arc<Notify>) -> Result<Arc<Self>> {
        let verifier = match config.auth.verify {
            Verify::Enforce | Verify::Report => Some(Verifier::new(config.dns.server)?),
            Verify::Off => None,
        };
        Ok(Arc::new(Self {
            domain: config.domain.clone(),
            limits: config.smtp.clone(),
            verify: config.auth.verify,
            store,
            secret,
            verifier,
            clock,
            arrived,
            budget: budget::Budget::new(config.smtp.memory_bytes),
            clients: Clients::new(config.smtp.max_connections),
        }))
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
            Ok((stream, peer)) => match door.clients.enter(peer.ip()) {
                Some(place) => {
                    let visit = Visit::new(door.clone(), peer, stop.clone(), place);
                    let span = info_span!("smtp", session = %visit.id);
                    sessions.spawn(async move { visit.attend(stream).await }.instrument(span));
                }
                None => drop(sessions.spawn(turn_away(stream))),
            },
            // Out of file descriptors, mostly: the listener is sound, and a moment later there may be some.
            Err(error) => {
                warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One reply without a session; the client need not read it.
async fn turn_away(mut stream: TcpStream) {
    let words = format!("{}\r\n", replies::TOO_MANY_CLIENTS);
    let said = tokio::time::timeout(Duration::from_secs(1), stream.write_all(words.as_bytes())).await;
    if matches!(said, Ok(Ok(()))) {
        let _ = stream.shutdown().await;
    }
}

/// Who is connected: so many in all, and of one client at most half, so that nobody can shut the others out.
struct Clients {
    all: Arc<Semaphore>,
    each: usize,
    by_client: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place among the clients, given up when dropped.
struct Place {
    client: IpAddr,
    by_client: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Clients {
    fn new(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))), each: most.div_ceil(2).max(1), by_client: Arc::default() }
    }

    fn enter(&self, ip: IpAddr) -> Option<Place> {
        let one_of_all = self.all.clone().try_acquire_owned().ok()?;
        let client = network(ip);
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.entry(client).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { client, by_client: self.by_client.clone(), _one_of_all: one_of_all })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}

/// One customer of a provider: the address, or for IPv6 its /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !u128::from(u64::MAX)).into()),
    }
}

/// One client's session: what samotop's own session has no place for.
struct Visit {
    id: uuid::Uuid,
    door: Arc<Door>,
    peer: SocketAddr,
    stop: CancellationToken,
    /// Whose mailboxes the recipients taken so far are, each once, and how many RCPT were taken.
    recipients: Mutex<(Vec<Recipient>, usize)>,
    gathered: Mutex<body::Gathered>,
    me: Weak<Visit>,
    _place: Place,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Visit({})", self.id)
    }
}

impl Visit {
    fn new(door: Arc<Door>, peer: SocketAddr, stop: CancellationToken, place: Place) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            id: uuid::Uuid::now_v7(),
            door,
            peer,
            stop,
            recipients: Mutex::default(),
            gathered: Mutex::default(),
            me: me.clone(),
            _place: place,
        })
    }

    fn recipients(&self) -> MutexGuard<'_, (Vec<Recipient>, usize)> {
        self.recipients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds samotop's service out of this visit and lets it run on the stream.
    async fn attend(self: Arc<Self>, stream: TcpStream) {
        let info = ConnectionInfo::new(String::new(), self.peer.to_string());
        if let Err(error) = stream.set_nodelay(true) {
            info!(%error, "the client was gone at once");
            return;
        }
        let io: Box<dyn Io> = Box::new(stream.compat());
        let io: Box<dyn MayBeTls> = Box::new(TlsCapable::plaintext(io));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_half_of_the_places_and_gives_them_back() {
        let clients = Clients::new(4);
        let (a, b) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first: Vec<_> = (0..3).map(|_| clients.enter(a)).collect();
        assert_eq!(first.iter().filter(|place| place.is_some()).count(), 2);
        let second: Vec<_> = (0..3).map(|_| clients.enter(b)).collect();
        assert_eq!(second.iter().filter(|place| place.is_some()).count(), 2);
        drop(first);
        assert!(clients.enter(a).is_some());
        drop(second);
        assert!(clients.by_client.lock().expect("not poisoned").is_empty());
    }

    #[test]
    fn a_client_of_ipv6_is_its_64() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::ffff:1")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }
}
