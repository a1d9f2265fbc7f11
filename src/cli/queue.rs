//! `pairpost queue`: letters on their way out.
use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use uuid::Uuid;

use super::print;
use crate::store::{
    Store,
    outbox::{self, Order},
    record::{self, Queued},
};

/// Letters on their way out.
#[derive(Debug, Args)]
pub struct Queue {
    #[command(subcommand)]
    command: Command,
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
    /// Everything: nothing leaves (or all may leave again).
    #[arg(long)]
    all: bool,
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
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows one letter and, while they are kept, its words
    Show {
        /// Its id.
        id: Uuid,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tries a letter at once; a failed one begins anew
    Retry {
        /// Its id.
        id: Uuid,
    },
    /// Keeps a letter back, or everything
    Hold(OneOrAll),
    /// Lets a held letter go, or everything
    Release(OneOrAll),
    /// Never sends a letter
    Drop {
        /// Its id.
        id: Uuid,
    },
}

impl Queue {
    /// Does it.
    pub async fn run(self, store: &Store, now: DateTime<Utc>) -> Result<()> {
        match self.command {
            Command::List { state, limit, json } => list(store, state, limit, json).await,
            Command::Show { id, json } => show(store, id, json).await,
            Command::Retry { id } => order(store, id, Order::Retry, "is tried at once", now).await,
            Command::Drop { id } => order(store, id, Order::Drop, "will never be sent", now).await,
            Command::Hold(OneOrAll { id: Some(id), .. }) => order(store, id, Order::Hold, "is held", now).await,
            Command::Release(OneOrAll { id: Some(id), .. }) => order(store, id, Order::Release, "goes out", now).await,
            Command::Hold(OneOrAll { id: None, .. }) => all(store, true).await,
            Command::Release(OneOrAll { id: None, .. }) => all(store, false).await,
        }
    }
}

async fn list(store: &Store, state: Option<State>, limit: i64, as_json: bool) -> Result<()> {
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
    if outbox::is_all_held(&mut conn).await? {
        print::line(format_args!("everything is held; let it go with: pairpost queue release --all"));
    }
    print::table(rows.iter().map(line));
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
    let words = words.map(|raw| String::from_utf8_lossy(&raw).into_owned());
    if as_json {
        return print::json(&json!({"letter": row, "words": words}));
    }
    print::table(std::iter::once(line(&row)));
    print::line(format_args!("{}", words.as_deref().unwrap_or("(its words are no longer kept)")));
    Ok(())
}

async fn order(store: &Store, id: Uuid, order: Order, says: &str, now: DateTime<Utc>) -> Result<()> {
    let mut conn = store.connection().await?;
    ensure!(outbox::order(&mut conn, id, order, now).await?, "{id} is not in a state for that, or just on its way; see: pairpost queue show {id}");
    print::line(format_args!("{id} {says}"));
    Ok(())
}

async fn all(store: &Store, hold: bool) -> Result<()> {
    outbox::hold_all(&mut *store.connection().await?, hold).await?;
    print::line(format_args!("{}", if hold { "everything is held: nothing leaves until: pairpost queue release --all" } else { "letters leave again" }));
    Ok(())
}
