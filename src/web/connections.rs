//! The pages' connections: so many at once, each with its time to ask, so that nobody keeps others out of them, or takes the files and memory that mail needs.
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;

use crate::{
    config::Http,
    telemetry::{self, Figure},
};

/// Octets of a request's line and header; more is answered 431.
const HEADER: usize = 16 << 10;
/// How long a connection may last at most: a client that does not read its answer is not waited for longer.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long answers may take to leave when the program stops, and a connection that makes room for another to do so.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Those that are open.
struct Connections {
    all: Arc<Semaphore>,
    patience: Duration,
    open: Mutex<Vec<Arc<Connection>>>,
}

/// One of them.
struct Connection {
    /// Since when we wait for its next request; none while one is answered.
    waiting: Mutex<Option<Instant>>,
    /// Another is to have its place.
    evicted: CancellationToken,
}

/// Shows pages until `stop`. Where all places are taken the client that let us wait longest for its request makes room.
pub(super) async fn serve(listener: TcpListener, router: Router, limits: &Http, stop: CancellationToken) {
    let connections = Arc::new(Connections {
        all: Arc::new(Semaphore::new(limits.max_connections)),
        patience: Duration::from_secs(limits.timeout_seconds),
        open: Mutex::default(),
    });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match connections.enter().await {
                Some((place, one)) => drop(tasks.spawn(connections.clone().attend(stream, router.clone(), place, one, stop.clone()))),
                None => telemetry::count(Figure::PagesRefused, "none-free"),
            },
            // Out of file descriptors, mostly: the listener is sound, and a moment later there may be some.
            Err(error) => {
                tracing::warn!(%error, "a connection for the pages could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    let _whoever_is_slow_is_cut_off = tokio::time::timeout(LAST_ANSWERS, tasks.wait()).await;
}

impl Connections {
    /// A place; none where each is taken by a request that is being answered.
    async fn enter(&self) -> Option<(OwnedSemaphorePermit, Arc<Connection>)> {
        let place = match self.all.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.enter_instead().await?,
        };
        let one = Arc::new(Connection { waiting: Mutex::new(Some(Instant::now())), evicted: CancellationToken::new() });
        lock(&self.open).push(one.clone());
        Some((place, one))
    }

    async fn enter_instead(&self) -> Option<OwnedSemaphorePermit> {
        let waiting = |one: &Arc<Connection>| Some(((*lock(&one.waiting)).filter(|_| !one.evicted.is_cancelled())?, one.clone()));
        let (_, longest) = lock(&self.open).iter().filter_map(waiting).min_by_key(|(since, _)| *since)?;
        longest.evicted.cancel();
        telemetry::count(Figure::PagesRefused, "made-room");
        tokio::time::timeout(LAST_ANSWERS, self.all.clone().acquire_owned()).await.ok()?.ok()
    }

    /// One client's requests.
    async fn attend(self: Arc<Self>, stream: TcpStream, router: Router, place: OwnedSemaphorePermit, this: Arc<Connection>, stop: CancellationToken) {
        let answer = service_fn(|request: Request<Incoming>| {
            let (mut router, this) = (router.clone(), this.clone());
            async move {
                *lock(&this.waiting) = None;
                let answered = router.call(request).await;
                *lock(&this.waiting) = Some(Instant::now());
                answered
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.patience).max_buf_size(HEADER);
        let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answer));
        let ended = tokio::select! {
            ended = tokio::time::timeout(LIFETIME, serving.as_mut()) => ended.unwrap_or(Ok(())),
            () = this.evicted.cancelled() => Ok(()),
            () = stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if ended.is_err_and(|error| error.is_timeout()) {
            telemetry::count(Figure::PagesRefused, "too-slow");
        }
        lock(&self.open).retain(|one| !Arc::ptr_eq(one, &this));
        drop(place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
