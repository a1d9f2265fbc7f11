//! `pairpost queue`: letters on their way out.
use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use uuid::Uuid;

use super::print;
use crate::{
    domain::breaker::Stream,
    store::{
        Connection, Store,
        breaker::{self, Breaker, Decision},
        orders::{self, Order},
        record::{self, Queued},
    },
};

/// Letters on their way out.
#[derive(Debug, Args)]
pub struct Queue {
    #[command(subcommand)]
    command: Command,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Queued,
    Held,
    Failed,
    Sent,
    Dropped,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OneOrAll {
    /// Its id.
    id: Option<Uuid>,
    /// Everything: nothing leaves but words about that to operator and coordinators.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OneOrMore {
    /// Its id.
    id: Option<Uuid>,
    /// All that the breaker holds of a stream: introductions, reminders, topics, notices or alarms.
    #[arg(long, value_parser = watched)]
    stream: Option<Stream>,
    /// Ends `hold --all`, or, where nothing is stopped, lets every held letter go.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OneOrStream {
    /// Its id.
    id: Option<Uuid>,
    /// All that the breaker holds of a stream: introductions, reminders, topics, notices or alarms.
    #[arg(long, value_parser = watched)]
    stream: Option<Stream>,
}

fn watched(name: &str) -> Result<Stream, String> {
    let streams = || Stream::ALL.into_iter().filter(|stream| stream.is_watched());
    Stream::read(name).filter(|stream| stream.is_watched()).ok_or_else(|| {
        let names: Vec<_> = streams().map(Stream::name).collect();
        format!("the streams with a breaker are {}", names.join(", "))
    })
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists letters that are not sent
    List {
        /// Only those in this state.
        #[arg(long)]
        state: Option<State>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// Shows one letter and, while they are kept, its words
    Show {
        /// Its id.
        id: Uuid,
    },
    /// Tries a letter at once; a failed one begins anew
    Retry {
        /// Its id.
        id: Uuid,
    },
    /// Keeps a letter back, or everything
    Hold(OneOrAll),
    /// Lets a held letter go, or all of a stream that the breaker holds; with --all ends `hold --all`, or, where nothing is stopped, lets every held letter go
    Release(OneOrMore),
    /// Never sends a letter, or all of a stream that the breaker holds
    Drop(OneOrStream),
}

impl Queue {
    /// Does it.
    pub async fn run(self, store: &Store, now: DateTime<Utc>) -> Result<()> {
        let json = self.json;
        match self.command {
            Command::List { state, limit } => list(store, state, limit, now, json).await,
            Command::Show { id } => show(store, id, json).await,
            Command::Retry { id } => order(store, id, Order::Retry, "is tried at once", now, json).await,
            Command::Drop(OneOrStream { id: Some(id), .. }) => order(store, id, Order::Drop, "will never be sent", now, json).await,
            Command::Drop(OneOrStream { id: None, stream }) => decide(store, stream, Decision::Drop, now, json).await,
            Command::Hold(OneOrAll { id: Some(id), .. }) => order(store, id, Order::Hold, "is held", now, json).await,
            Command::Release(OneOrMore { id: Some(id), .. }) => order(store, id, Order::Release, "goes out", now, json).await,
            Command::Release(OneOrMore { stream: stream @ Some(_), .. }) => decide(store, stream, Decision::Release, now, json).await,
            Command::Hold(OneOrAll { id: None, .. }) => hold_all(store, json).await,
            Command::Release(OneOrMore { id: None, stream: None, .. }) => release_all(store, now, json).await,
        }
    }
}

async fn list(store: &Store, state: Option<State>, limit: i64, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let mut conn = store.connection().await?;
    let state = state.map(|state| match state {
        State::Queued => "queued",
        State::Held => "held",
        State::Failed => "failed",
        State::Sent => "sent",
        State::Dropped => "dropped",
    });
    let rows = record::queue(&mut conn, state, limit).await?;
    if as_json {
        return print::json(&rows);
    }
    if orders::is_all_held(&mut conn).await? {
        print::line(format_args!("everything is held; let it go with: pairpost queue release --all"));
    }
    for breaker in tripped(&mut conn, now).await? {
        let (name, held, ceiling) = (breaker.stream.name(), breaker.held, breaker.ceiling);
        print::line(format_args!(
            "the breaker holds {held} {name}: more than {ceiling} within a day; see them with --state held, then: pairpost queue release --stream {name}, or: pairpost queue drop --stream {name}"
        ));
    }
    print::table(rows.iter().map(line));
    Ok(())
}

async fn tripped(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Breaker>> {
    Ok(breaker::list(conn, now).await?.into_iter().filter(|breaker| breaker.tripped_at.is_some()).collect())
}

/// Decides about what a breaker holds.
async fn decide(store: &Store, stream: Option<Stream>, decision: Decision, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let stream = stream.context("name a letter's id or a stream")?;
    let mut tx = store.begin().await?;
    let letters = breaker::decide(&mut tx, stream, decision, now).await?;
    let letters = letters.with_context(|| format!("the breaker holds no {}; see: pairpost queue list", stream.name()))?;
    tx.commit().await?;
    if as_json {
        return print::json(&json!({"stream": stream, "letters": letters}));
    }
    let says = match decision {
        Decision::Release => "go out",
        Decision::Drop => "will never be sent",
    };
    print::line(format_args!("{letters} {} {says}; the stream is free again, and counted from zero", stream.name()));
    Ok(())
}

fn line(row: &Queued) -> [String; 7] {
    [
        row.next_at.format("%Y-%m-%d %H:%M:%S").to_string(),
        row.state.clone(),
        row.kind.clone(),
        row.address.clone().unwrap_or_else(|| "–".into()),
        format!("{} attempts", row.attempts),
        row.reply.clone().unwrap_or_default(),
        row.id.to_string(),
    ]
}

async fn show(store: &Store, id: Uuid, as_json: bool) -> Result<()> {
    let (row, words) = record::queued(&mut *store.connection().await?, id).await?.with_context(|| format!("no letter of the queue has the id {id}"))?;
    print::letter(&row, line, words.as_deref(), as_json)
}

async fn order(store: &Store, id: Uuid, order: Order, says: &str, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let mut conn = store.connection().await?;
    ensure!(orders::order(&mut conn, id, order, now).await?, "{id} is not in a state for that, or just on its way; see: pairpost queue show {id}");
    if as_json {
        return print::json(&record::queued(&mut conn, id).await?.map(|(row, _)| row));
    }
    print::line(format_args!("{id} {says}"));
    Ok(())
}

async fn hold_all(store: &Store, as_json: bool) -> Result<()> {
    orders::hold_all(&mut *store.connection().await?, true).await?;
    if as_json {
        return print::json(&json!({"all_held": true}));
    }
    print::line(format_args!("everything is held: nothing leaves until: pairpost queue release --all"));
    Ok(())
}

/// Lifts the stop; what was held letter by letter stays held. Where nothing is stopped, every held letter goes, as after a review.
async fn release_all(store: &Store, now: DateTime<Utc>, as_json: bool) -> Result<()> {
    let mut tx = store.begin().await?;
    let released = if orders::is_all_held(&mut tx).await? {
        orders::hold_all(&mut tx, false).await?;
        0
    } else {
        let mut released = 0;
        for breaker in tripped(&mut tx, now).await? {
            released += breaker::decide(&mut tx, breaker.stream, Decision::Release, now).await?.unwrap_or(0);
        }
        released + orders::release_held(&mut tx, now).await?
    };
    tx.commit().await?;
    if as_json {
        return print::json(&json!({"all_held": false, "released": released}));
    }
    print::line(format_args!("letters leave again; of the held ones {released} go out"));
    Ok(())
}
