//! The command line: what a person types, a file per group of commands.
use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};

use crate::{
    app::{self, Opened},
    config::Config,
    handlers::Site,
    store::{Store, wakes},
    telemetry,
};

pub mod check;
pub mod demo;
pub mod dns;
pub mod exchange;
pub mod inbox;
pub mod inspect;
pub mod matching;
pub mod print;
pub mod programme;
pub mod queue;
pub mod relay_preview;
pub mod round;
pub mod seed;
pub mod serve;
pub mod topic;

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "pairpost", version, about)]
pub struct Cli {
    /// The configuration; without it `pairpost.toml` here, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything: mail in, workers, calendar, mail out, pages
    Serve,
    /// Plays a whole round with invented people, by real mail, and shows what they got
    Demo(demo::Demo),
    /// Rounds: create, open, close, propose, approve, end
    Round(round::Round),
    /// Topics of the months: add, schedule, send
    Topic(topic::Topic),
    /// Letters on their way out: look, retry, hold, release, drop
    Queue(queue::Queue),
    /// Letters that came in and are not done
    Inbox(inbox::Inbox),
    /// The record: one row for every letter in or out
    Exchange(exchange::Exchange),
    /// Does now whatever the calendar would do at a moment (for tests and rehearsals)
    Tick {
        /// The moment, such as 2027-03-01T09:00:00Z.
        #[arg(long)]
        at: DateTime<Utc>,
    },
    /// Checks configuration, database and keys: right, or how to mend it
    Check(check::Check),
    /// Prints the DNS records to publish
    Dns(dns::Dns),
    /// Fills an empty database with people for load tests
    Seed(seed::Seed),
    /// Checks a programme file
    Programme(programme::ProgrammeArgs),
    /// Matches applicants from a file, and proves that no better match exists
    Match(matching::Args),
    /// Shows how raw letters are understood, a line of JSON each
    Inspect(inspect::Inspect),
    /// Shows a letter as the relay would send it
    RelayPreview(relay_preview::RelayPreview),
}

impl Cli {
    /// Does what was typed. An error is one line for the person who typed it.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            // These need neither database nor network.
            Command::Programme(args) => return programme::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Match(args) => return matching::run(&args).map(|()| ExitCode::SUCCESS),
            Command::RelayPreview(command) => return command.run(),
            Command::Serve
            | Command::Demo(_)
            | Command::Round(_)
            | Command::Topic(_)
            | Command::Queue(_)
            | Command::Inbox(_)
            | Command::Exchange(_)
            | Command::Tick { .. }
            | Command::Check(_)
            | Command::Dns(_)
            | Command::Seed(_)
            | Command::Inspect(_) => {}
        }
        let config = Config::load(self.config.as_deref(), std::env::vars())?;
        if let Command::Inspect(command) = self.command {
            let programme = app::programme(config.programme.as_deref())?;
            return command.run(&config.domain, &programme).map(|()| ExitCode::SUCCESS);
        }
        if let Command::Serve = self.command {
            serve::begin_lean();
        }
        match self.command {
            Command::Demo(_) => telemetry::start_quietly(),
            _ => telemetry::start(),
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
        runtime.block_on(with_database(self.command, config)).map(|()| ExitCode::SUCCESS)
    }
}

async fn with_database(command: Command, config: Config) -> Result<()> {
    if let Command::Serve = command {
        return serve::run(config).await;
    }
    if let Command::Check(command) = command {
        return command.run(&config).await;
    }
    if let Command::Demo(demo) = command {
        return demo.run(&config).await;
    }
    let opened = Opened::join(&config).await?;
    let done = match command {
        Command::Dns(command) => command.run(&config, &opened.store, &opened.site, Utc::now()).await,
        command => command.on(&opened.store, &opened.site, Utc::now()).await,
    };
    // A service that runs on this database need not wait for its next look.
    wakes::tell_all(&opened.store, wakes::Work::Queues).await?;
    opened.close().await?;
    done
}

impl Cli {
    /// Does what was typed on a database that is open already: for the demonstration, and for stories.
    pub async fn on(self, store: &Store, site: &Site, now: DateTime<Utc>) -> Result<()> {
        self.command.on(store, site, now).await
    }
}

impl Command {
    async fn on(self, store: &Store, site: &Site, now: DateTime<Utc>) -> Result<()> {
        match self {
            Command::Round(command) => command.run(store, site, now).await,
            Command::Topic(command) => command.run(store, site, now).await,
            Command::Queue(command) => command.run(store, now).await,
            Command::Inbox(command) => command.run(store, now).await,
            Command::Exchange(command) => command.run(store).await,
            Command::Tick { at } => serve::tick(store, site, at).await,
            Command::Seed(command) => command.run(store, now).await,
            Command::Serve
            | Command::Check(_)
            | Command::Demo(_)
            | Command::Dns(_)
            | Command::Programme(_)
            | Command::Match(_)
            | Command::Inspect(_)
            | Command::RelayPreview(_) => Ok(()),
        }
    }
}
