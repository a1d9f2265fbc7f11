//! One or two programs on one Postgres, each with a next hop, set up in a folder of their own and seeded with partnerships.
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use pairpost::store::private_postgres::{DATABASE, PrivatePostgres};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use crate::{
    chance::Chance,
    clients::{PAIRS, Post},
    kind::Stage,
    ledger::Ledger,
    postgres::Postgres,
    program::{self, Program, Settings},
    sink::Sink,
};

/// Seconds that the program waits for a moody next hop at each step; by default they are 120.
const HOP_PATIENCE: u32 = 4;

/// A program, where it lives, and where it sends to.
pub struct Place {
    data: PathBuf,
    settings: Settings,
    /// Its next hop.
    pub sink: Sink,
    /// None while it is dead.
    pub program: Option<Program>,
}

impl Place {
    /// The program that runs here.
    pub fn program(&mut self) -> Result<&mut Program> {
        self.program.as_mut().context("the program runs")
    }
}

/// All that belongs together.
pub struct Installation {
    binary: PathBuf,
    /// The programs.
    pub places: Vec<Place>,
    /// What clients share.
    pub post: Arc<Post>,
    /// What the programs work on.
    pub postgres: Postgres,
    /// … where it is not the private one of the only program.
    server: Option<PrivatePostgres>,
    _folder: TempDir,
}

impl Installation {
    /// Sets it up and starts it. There are `more` partnerships beside those of the clients.
    pub async fn new(stage: Stage, binary: &Path, more: u32, chance: &mut Chance) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kill-loop-").tempdir_in("/tmp")?;
        // So that the account that runs Postgres for root can pass.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let mut settings: Settings = vec![("PAIRPOST_SECRET_FILE", folder.path().join("secret").display().to_string())];
        let mut names = vec!["one"];
        let mut server = None;
        match stage {
            Stage::Alone => {}
            Stage::Moody => settings.push(("PAIRPOST_DELIVERY__TIMEOUT_SECONDS", HOP_PATIENCE.to_string())),
            Stage::Two => {
                names.push("two");
                let data = folder.path().join("server");
                server = Some(tokio::task::spawn_blocking(move || PrivatePostgres::start(&data)).await??);
            }
        }
        let post = Arc::new(Post::default());
        let mut places = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let sink = Sink::start(number, post.ledger.clone(), chance.split()).await?;
            let mut settings = settings.clone();
            settings.push(("PAIRPOST_DELIVERY__SMARTHOST", format!("smtp://{}", sink.address)));
            settings.extend(server.as_ref().map(|server| ("DATABASE_URL", server.url(DATABASE))));
            places.push(Place { data: folder.path().join(name), settings, sink, program: None });
        }
        let postgres = Postgres::of(&folder.path().join(if server.is_some() { "server" } else { "one" }));
        let mut installation = Self { binary: binary.to_owned(), places, post, postgres, server, _folder: folder };
        let first = &installation.places[0];
        program::run(binary, &first.data, &first.settings, &["seed", "relay", "--pairs", &(PAIRS + more).to_string()]).await?;
        for number in 0..installation.places.len() {
            installation.start(number).await?;
        }
        Ok(installation)
    }

    /// What has become of the letters.
    pub fn ledger(&self) -> &Ledger {
        &self.post.ledger
    }

    /// Starts a program, and clients find it.
    pub async fn start(&mut self, number: usize) -> Result<()> {
        let place = &mut self.places[number];
        let mut program = Program::spawn(&self.binary, &place.data, &place.settings)?;
        let door = program.ready().await?;
        place.program = Some(program);
        self.post.doors.set(number, Some(door));
        Ok(())
    }

    /// Starts a program and kills it after so long, unless it was faster.
    pub async fn start_in_vain(&mut self, number: usize, life: Duration) -> Result<()> {
        let place = &mut self.places[number];
        let mut program = Program::spawn(&self.binary, &place.data, &place.settings)?;
        let end = sleep_until(Instant::now() + life);
        tokio::select! { ready = program.ready() => drop(ready?), () = end => {} }
        program.kill().await
    }

    /// `kill -9` of a program; gives how many connections to its next hop were open.
    pub async fn kill(&mut self, number: usize) -> Result<usize> {
        let place = &mut self.places[number];
        let mut program = place.program.take().context("the program runs")?;
        let open = place.sink.open();
        program.kill().await?;
        self.post.doors.set(number, None);
        Ok(open)
    }

    /// What the programs said last.
    pub fn said(&self) -> String {
        let words = self.places.iter().enumerate().filter_map(|(number, place)| Some(format!("program {}:\n{}", number + 1, place.program.as_ref()?.said())));
        words.collect()
    }

    /// Ends everything cleanly.
    pub async fn stop(self) -> Result<()> {
        for place in self.places {
            if let Some(program) = place.program {
                program.stop().await?;
            }
        }
        match self.server {
            Some(server) => tokio::task::spawn_blocking(move || server.stop()).await?,
            None => Ok(()),
        }
    }
}
