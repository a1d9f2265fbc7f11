//! Builds every room and runs it until stopped: the only file that knows them all.
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use chrono::{DateTime, Utc};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, DeliveryMode, Switch},
    domain::{
        programme::{LIBRARIANS, Programme},
        secret::Secret,
    },
    handlers::{self, Clock, Site},
    inbox::Inbox,
    outbox::Exit,
    schedule, smtp,
    store::{ConnectOptions, Store, idle::Idle, ownership::Owner, private_postgres::PrivatePostgres, wakes, wakes::Work},
    templates::{Common, Templates},
    web,
};

/// Connections to Postgres that a serving process keeps at most: two keep letters, two handle them, two claim and mark those that leave, and questions at the
/// door are asked between. Each costs Postgres six megabytes.
const CONNECTIONS: u32 = 6;
/// Letters handled at once.
pub const WORKERS: usize = 2;
/// How often the calendar is looked at.
const CALENDAR: Duration = Duration::from_secs(60);
/// … and after something in it failed.
const CALENDAR_AGAIN: Duration = Duration::from_secs(5);
/// The private server's database.
const DATABASE: &str = "pairpost";

/// A database that is open and up to date, and the programme on it: what every command works with.
pub struct Opened {
    /// The database.
    pub store: Store,
    /// The programme.
    pub site: Arc<Site>,
    /// Where it is, for people: never with a password.
    pub database: String,
    private: Option<PrivatePostgres>,
}

impl Opened {
    /// Opens the database of `config` for one command: the one that `serve` runs, if it does, else the private one, started for as long as this lives.
    pub async fn join(config: &Config) -> Result<Self> {
        Self::open(config, PrivatePostgres::join, 4).await
    }

    /// Opens it for serving: nobody else may serve on the same directory.
    pub async fn serve(config: &Config) -> Result<Self> {
        Self::open(config, PrivatePostgres::start, CONNECTIONS).await
    }

    async fn open(config: &Config, start: fn(&Path) -> Result<PrivatePostgres>, connections: u32) -> Result<Self> {
        let (private, options, database) = match &config.database.url {
            Some(url) => {
                let options: ConnectOptions = url.parse().context("database.url is not a Postgres URL")?;
                let name = options.get_database().unwrap_or_default().to_owned();
                (None, options, name)
            }
            None => {
                let dir = config.data_dir.clone();
                let private = tokio::task::spawn_blocking(move || start(&dir)).await??;
                let options = private.options(DATABASE);
                (Some(private), options, format!("private in {}", config.data_dir.display()))
            }
        };
        let store = Store::connect(options, connections).await?;
        store.migrate().await?;
        let site = Arc::new(site(config)?);
        Ok(Self { store, site, database, private })
    }

    /// Closes the connections, and stops the private server if this command started it.
    pub async fn close(self) -> Result<()> {
        self.store.close().await;
        match self.private {
            Some(private) => tokio::task::spawn_blocking(move || private.stop()).await?,
            None => Ok(()),
        }
    }
}

/// The programme, its words and its secret, as the configuration says.
pub fn site(config: &Config) -> Result<Site> {
    let programme = programme(config.programme.as_deref())?;
    let templates = Templates::new(Common::new(&programme.name, &config.domain), config.templates_dir.as_deref())?;
    Ok(Site {
        domain: config.domain.clone(),
        url: config.public_url(),
        secret: secret(config)?,
        programme,
        templates,
        operator: config.operator.clone(),
        coordinators: config.coordinators.clone(),
        asks_per_hour: config.auth.asks_per_hour.into(),
        letters_per_day: (config.relay.limits == Switch::On).then_some(config.relay.letters_per_day.into()),
        keep_words_days: config.keep_words_days,
    })
}

/// The programme file, or the librarians' exchange.
pub fn programme(file: Option<&Path>) -> Result<Programme> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the programme file {}", path.display()))?;
            Programme::parse(&text).with_context(|| format!("the programme file {} can't be used", path.display()))
        }
        None => Ok(Programme::parse(LIBRARIANS)?),
    }
}

/// The master secret: read from its file, which is made, for its owner alone, on first start.
fn secret(config: &Config) -> Result<Secret> {
    let path = config.secret_file.clone().unwrap_or_else(|| config.data_dir.join("secret"));
    if !path.exists() {
        let made = Secret::from_bytes(handlers::random()?);
        write_first(&path, format!("{}\n", made.to_text()).as_bytes()).with_context(|| format!("cannot make the secret {}", path.display()))?;
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read the secret in {}", path.display()))?;
    Secret::parse(&text).with_context(|| format!("{} holds no secret of Pairpost: 52 characters of base 32", path.display()))
}

/// Writes a file for its owner alone, whole or not at all, unless another process was first.
fn write_first(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Runs everything until `stop`, or until a part of it is gone, which is an error; then finishes what is in hand. At each `reload` the certificate is read anew.
/// `ready` is called with the line that says where it listens.
pub async fn serve(config: Config, stop: CancellationToken, reload: Arc<Notify>, ready: impl FnOnce(&str) + Send) -> Result<()> {
    let opened = Opened::serve(&config).await?;
    let (store, site) = (opened.store.clone(), opened.site.clone());
    store.open_all().await;
    let (owner, watch) = Owner::take(&store).await?;
    let (arrived, queued, came) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let idle = Idle::default();
    let listeners = smtp::bind(&config).await?;
    let door = smtp::Door::new(&config, store.clone(), site.secret.clone(), Arc::new(Utc::now), came.clone(), idle.clone())?;
    let pages = web::bind(&config).await?;
    let addresses: Vec<String> = listeners.iter().filter_map(|l| l.local_addr().ok()).map(|a| a.to_string()).collect();
    let line = format!("ready smtp={} http={} database={}", addresses.join(","), pages.local_addr()?, opened.database);

    let (others, looks) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut last = Parts::default();
    last.run_until_told("the keeper of this process's lock", watch);
    last.run_until_told("the reader of certificates", {
        let door = door.clone();
        each_time(reload, move || door.reload_certificate())
    });
    last.run_until_told("the caller of other processes", wakes::tell_when(store.clone(), others.clone()));
    last.run_until_told("the listener to other processes", {
        let (arrived, queued, looks) = (arrived.clone(), queued.clone(), looks.clone());
        wakes::listen(store.clone(), move |work| match work {
            Work::Queues => {
                arrived.notify_one();
                queued.notify_one();
            }
            Work::Calendar => looks.notify_one(),
        })
    });
    last.run_until_told("the bell of the entrance", {
        let arrived = arrived.clone();
        each_time(came, move || {
            // Ours first; another process only helps where there is more than we can do.
            arrived.notify_one();
            others.notify_one();
        })
    });
    // Mail stops coming in first. Then the workers finish what they have in hand (what else was accepted waits for the next start), and a sending stops between
    // two batches. The exit ends when nobody queues letters any more: it lets those that are on their way arrive, and gives back the others. The lock, under
    // which all of these are ours, is given up last.
    let (mut doors, mut rooms, mut exit) = (Parts::default(), Parts::default(), Parts::default());
    exit.run("the exit", Exit::new(store.clone(), owner.clone(), site.clone(), &config).await?.run(queued.clone(), exit.stop.clone()));
    let inbox = Inbox { store: store.clone(), owner: owner.clone(), site: site.clone(), outbox: queued.clone() };
    for _ in 0..WORKERS {
        rooms.run("a worker", inbox.clone().run(idle.clone(), arrived.clone(), rooms.stop.clone()));
    }
    rooms.run("the calendar", calendar(store.clone(), owner, site.clone(), queued, looks, rooms.stop.clone()));
    let pages_of = pages_of(&config, store.clone(), site, Arc::new(Utc::now));
    rooms.run("the server of pages", web::serve(pages, pages_of, config.http.clone(), rooms.stop.clone()));
    ready(&line);
    doors.run("the entrance of mail", smtp::serve(door, listeners, doors.stop.clone()));
    let early = tokio::select! {
        () = stop.cancelled() => Ok(()),
        gone = doors.gone() => Err(gone),
        gone = rooms.gone() => Err(gone),
        gone = exit.gone() => Err(gone),
        gone = last.gone() => Err(gone),
    };
    if let Err(error) = &early {
        // Whoever watches over this process begins it anew, whole; what is queued from here on waits for that.
        tracing::error!(error = format!("{error:#}"), "a part of the program is gone: stopping the others");
        store.room().shut();
    }
    let mut ended = early;
    for parts in [&mut doors, &mut rooms, &mut exit, &mut last] {
        ended = ended.and(parts.end().await);
    }
    ended.and(opened.close().await)
}

/// Acts whenever it is woken.
async fn each_time(wake: Arc<Notify>, act: impl Fn()) {
    loop {
        wake.notified().await;
        act();
    }
}

/// Parts of the program that end together, and none before it is told to.
#[derive(Default)]
struct Parts {
    stop: CancellationToken,
    running: JoinSet<(&'static str, Result<(), JoinError>)>,
}

impl Parts {
    fn run(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let part = tokio::spawn(part);
        self.running.spawn(async move { (name, part.await) });
    }

    /// The same of one that never ends by itself.
    fn run_until_told(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.run(name, async move {
            tokio::select! { () = part => {}, () = stop.cancelled() => {} }
        });
    }

    /// Waits for one that ends though nobody told it to; gives which.
    async fn gone(&mut self) -> anyhow::Error {
        match self.running.join_next().await {
            Some(Ok((name, Err(died)))) => anyhow!("{name} died: {died}"),
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Err(died)) => died.into(),
            None => std::future::pending().await,
        }
    }

    /// Ends all; an error where one dies of it.
    async fn end(&mut self) -> Result<()> {
        self.stop.cancel();
        let mut ended = Ok(());
        while let Some(one) = self.running.join_next().await {
            let (name, one) = one?;
            ended = ended.and(one.with_context(|| format!("{name} died")));
        }
        ended
    }
}

/// What the pages show, as the configuration says.
fn pages_of(config: &Config, store: Store, site: Arc<Site>, clock: Clock) -> web::Pages {
    let mode = config.delivery.mode();
    let capture = (mode == DeliveryMode::Capture).then(|| config.data_dir.join("mail"));
    web::Pages { store, site, clock, capture, review: mode == DeliveryMode::Review }
}

/// Looks at the calendar until stopped; not while the database is away, and what is under way is cut when it goes.
async fn calendar(store: Store, owner: Owner, site: Arc<Site>, queued: Arc<Notify>, wake: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let term = tokio::select! { term = owner.held() => term, () = stop.cancelled() => return };
        let done = tokio::select! { done = schedule::step_until(&store, &site, Utc::now(), &stop) => done, () = term.lost() => continue };
        // What is left of a term is given back only when nobody keeps it in mind.
        drop(term);
        let pause = match done {
            Ok(0) => CALENDAR,
            Ok(_) => {
                queued.notify_one();
                continue;
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the calendar could not be worked off; trying again in some seconds");
                CALENDAR_AGAIN
            }
        };
        tokio::select! { () = stop.cancelled() => {}, () = wake.notified() => {}, () = tokio::time::sleep(pause) => {} }
    }
}

/// The whole house under a set clock, worked step by step: for tests, demonstrations and rehearsals. Its doors are real.
pub struct Stepped {
    /// The database.
    pub store: Store,
    /// The programme.
    pub site: Arc<Site>,
    /// Where it takes mail.
    pub smtp: SocketAddr,
    /// Where it shows pages.
    pub http: SocketAddr,
    clock: Arc<AtomicI64>,
    inbox: Inbox,
    exit: Exit,
    stop: CancellationToken,
    doors: tokio::task::JoinSet<()>,
}

impl Stepped {
    /// Opens the doors at `now`; nothing that came in is worked off before [`Stepped::settle`].
    pub async fn start(config: &Config, store: Store, now: DateTime<Utc>) -> Result<Self> {
        let pages = web::bind(config).await?;
        let http = pages.local_addr()?;
        let mut site = site(config)?;
        if config.url.is_none() {
            // On a free port (0) the configuration doesn't know where its pages are.
            site.url = format!("http://{http}");
        }
        let site = Arc::new(site);
        let (owner, watch) = Owner::take(&store).await?;
        let moment = Arc::new(AtomicI64::new(now.timestamp_micros()));
        let clock: Clock = {
            let moment = moment.clone();
            Arc::new(move || at(&moment))
        };
        let (queued, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let exit = Exit::new(store.clone(), owner.clone(), site.clone(), config).await?;
        let listeners = smtp::bind(config).await?;
        let smtp_address = listeners.first().context("smtp.listen names no address")?.local_addr()?;
        let door = smtp::Door::new(config, store.clone(), site.secret.clone(), clock.clone(), Arc::new(Notify::new()), Idle::default())?;
        let mut doors = tokio::task::JoinSet::new();
        doors.spawn(smtp::serve(door, listeners, stop.clone()));
        doors.spawn(web::serve(pages, pages_of(config, store.clone(), site.clone(), clock), config.http.clone(), stop.clone()));
        let watching = stop.clone();
        doors.spawn(async move {
            tokio::select! { () = watch => {}, () = watching.cancelled() => {} }
        });
        let inbox = Inbox { store: store.clone(), owner, site: site.clone(), outbox: queued };
        Ok(Self { store, site, smtp: smtp_address, http, clock: moment, inbox, exit, stop, doors })
    }

    /// The time here.
    pub fn now(&self) -> DateTime<Utc> {
        at(&self.clock)
    }

    /// Sets the clock.
    pub fn set(&self, now: DateTime<Utc>) {
        self.clock.store(now.timestamp_micros(), Ordering::SeqCst);
    }

    /// Works until nothing is due any more.
    pub async fn settle(&self) -> Result<()> {
        while self.inbox.step(self.now()).await? + self.exit.step(self.now()).await? > 0 {}
        Ok(())
    }

    /// Does whatever the calendar would do now, and all that comes of it.
    pub async fn tick(&self) -> Result<()> {
        while schedule::step(&self.store, &self.site, self.now()).await? > 0 {}
        self.settle().await
    }

    /// Closes the doors.
    pub async fn end(mut self) -> Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.doors.join_next().await {
            ended.context("a door died")?;
        }
        self.store.close().await;
        Ok(())
    }
}

fn at(moment: &AtomicI64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(moment.load(Ordering::SeqCst)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_untold_is_named_and_the_others_end_when_they_are_told() {
        let mut parts = Parts::default();
        let stop = parts.stop.clone();
        parts.run("the one", async move { stop.cancelled().await });
        parts.run_until_told("the other", async { panic!("of it") });
        assert!(parts.gone().await.to_string().starts_with("the other died"));
        assert!(parts.end().await.is_ok());
        parts = Parts::default();
        parts.run("the third", async {});
        assert_eq!(parts.gone().await.to_string(), "the third ended by itself");
    }
}
