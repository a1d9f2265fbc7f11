//! `pairpost demo`: a whole round with invented people, through real SMTP on loopback, on a database and in a folder that are gone at its end.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use self::{play::Play, post::Post, terminal::Terminal};
use super::print;
use crate::{
    app::Stepped,
    config::{Config, DeliveryMode, Verify},
    store::{
        ConnectOptions, Store,
        private_postgres::{DATABASE, PrivatePostgres},
        scratch::Scratch,
    },
};

mod cast;
mod compose;
mod figures;
mod leaks;
mod letters;
mod page;
mod photo;
mod play;
mod post;
mod terminal;

/// When the story begins: the clock is set, so that half a year fits into seconds.
const BEGINS: &str = "2027-02-25T09:00:00Z";
/// How long doors may take to close.
const CLOSING: Duration = Duration::from_secs(10);
/// How often letters are worked off while `--keep` leaves everything running.
const BEAT: Duration = Duration::from_millis(500);

/// Plays a whole round with invented people, and shows what they got.
#[derive(Debug, Args)]
pub struct Demo {
    /// Leaves everything running at the end, for a look at everybody's mailbox, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Plays it. Nothing is left behind, however it ends but by `kill -9`.
    ///
    /// # Errors
    /// One line that names the station that failed; also when stopped before its end.
    pub async fn run(self, config: &Config) -> Result<()> {
        print::go_on_without_a_reader();
        let stopped = stopped()?;
        tokio::pin!(stopped);
        let began = Instant::now();
        let mut say = Terminal::new();
        say.line("Everybody here is invented, and so is the time; the mail server, the database and the letters are real.");
        let stage = Stage::build(config.database.url.as_deref(), &mut say).await?;
        let mut played = tokio::select! {
            played = self.play(&stage, say, began) => played,
            () = &mut stopped => Err(anyhow!("stopped before the end; nothing is left behind")),
        };
        if played.is_ok() && self.keep {
            stage.show();
            played = tokio::select! {
                ended = go_on(&stage.house) => ended,
                () = stopped => Ok(()),
            };
        }
        // What went wrong in the play says more than what went wrong in clearing up after it.
        let cleared = stage.clear().await;
        played.and(cleared)
    }

    async fn play(&self, stage: &Stage, say: Terminal, began: Instant) -> Result<()> {
        let mut play = Play::new(&stage.house, Post::new(stage.house.smtp, stage.maildirs()), say);
        play.everything().await?;
        let figures = play.figures().await.context("the demonstration came to its end, but its figures are not right")?;
        print::line(format_args!("\nA whole round in {:.1} seconds.\n", began.elapsed().as_secs_f64()));
        figures.print();
        if !self.keep {
            print::line("\nTo read everybody's letters, on a page or with a mail program: pairpost demo --keep");
        }
        Ok(())
    }
}

/// Ready when somebody wants it to end: Ctrl-C, SIGTERM, or the terminal closed.
fn stopped() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate, mut hangup) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
    })
}

/// The clock goes on from where the story ended; letters are answered, and the calendar looks at the time.
async fn go_on(house: &Stepped) -> Result<()> {
    let (story, real) = (house.now(), Instant::now());
    loop {
        house.set(story + real.elapsed());
        if let Err(error) = house.tick().await {
            tracing::error!(error = format!("{error:#}"), "letters could not be worked off; trying again");
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// The house, and all that it stands on: nothing of it was there before.
struct Stage {
    house: Stepped,
    folder: TempDir,
    ground: Ground,
    /// How to reach the database from a shell: never with a password.
    database: String,
}

/// Whose server the database is on.
enum Ground {
    Private(PrivatePostgres),
    Scratch(Box<Scratch>),
}

impl Stage {
    async fn build(url: Option<&str>, say: &mut Terminal) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pairpost-demo-").tempdir().context("cannot make a folder for the letters")?;
        let (ground, options, database) = match url {
            Some(url) => {
                let scratch = Scratch::create(url).await?;
                let name = format!("DATABASE_URL=…/{}", scratch.name());
                let options = scratch.options();
                say.line("A database of its own is made on the server of database.url, and dropped at the end.");
                (Ground::Scratch(Box::new(scratch)), options, name)
            }
            None => {
                say.line("A private Postgres is started, and thrown away at the end.");
                let private = tokio::task::spawn_blocking(PrivatePostgres::throw_away).await??;
                let (options, name) = (private.options(DATABASE), format!("DATABASE_URL={}", private.url(DATABASE)));
                (Ground::Private(private), options, name)
            }
        };
        match open(folder.path(), options).await {
            Ok(house) => Ok(Self { house, folder, ground, database }),
            Err(error) => {
                ground.clear().await?;
                Err(error)
            }
        }
    }

    /// Says where everything is to be looked at.
    fn show(&self) {
        let (http, smtp) = (self.house.http, self.house.smtp);
        print::line(format_args!("\nEverybody's mailbox as a page    http://{http}/mailboxes"));
        print::line(format_args!("The same as Maildirs             {}", self.maildirs().display()));
        print::line(format_args!("To write a letter of your own    to join@{}, by SMTP at {smtp}", self.house.site.domain));
        print::line(format_args!(
            "For commands at a shell          {} PAIRPOST_DATA_DIR={} pairpost exchange list",
            self.database,
            self.folder.path().display()
        ));
        print::line("\nThe clock goes on from the end of the story. Ctrl-C ends it all, and takes it away.");
    }

    fn maildirs(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    async fn clear(self) -> Result<()> {
        let ended = tokio::time::timeout(CLOSING, self.house.end()).await.context("the doors did not close in time").and_then(|ended| ended);
        let cleared = self.ground.clear().await;
        self.folder.close().context("the folder of letters could not be removed")?;
        ended.and(cleared)
    }
}

impl Ground {
    async fn clear(self) -> Result<()> {
        match self {
            Self::Private(private) => tokio::task::spawn_blocking(move || private.stop()).await?,
            Self::Scratch(scratch) => scratch.remove().await,
        }
    }
}

/// The whole house in `folder`, on free ports of loopback, where everybody is believed and no letter leaves.
async fn open(folder: &Path, options: ConnectOptions) -> Result<Stepped> {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    config.smtp.listen = vec![free];
    config.http.listen = free;
    config.delivery.mode = Some(DeliveryMode::Capture);
    config.auth.verify = Verify::Off;
    let store = Store::connect(options, 8).await?;
    store.migrate().await?;
    Stepped::start(&config, store, BEGINS.parse()?).await
}
