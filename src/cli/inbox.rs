//! `pairpost inbox`: letters that came in and are not done, and those that failed.
use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::print;
use crate::store::{
    Store, failures,
    record::{self, Received},
};

/// Letters that came in.
#[derive(Debug, Args)]
pub struct Inbox {
    #[command(subcommand)]
    command: Command,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists letters that are waiting, held or failed
    List {
        /// Only failed ones: they are never tried again by themselves.
        #[arg(long, conflicts_with_all = ["held", "operator"])]
        failed: bool,
        /// Only those held until their writer's mailbox answers.
        #[arg(long, conflicts_with = "operator")]
        held: bool,
        /// Those to postmaster@ and abuse@, done or not.
        #[arg(long)]
        operator: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// Shows one letter and, while they are kept, its words
    Show {
        /// Its id.
        id: Uuid,
    },
    /// Tries a failed letter again
    Retry {
        /// Its id.
        id: Uuid,
    },
}

impl Inbox {
    /// Does it.
    pub async fn run(self, store: &Store, now: DateTime<Utc>) -> Result<()> {
        let mut conn = store.connection().await?;
        match self.command {
            Command::List { failed, held, operator, limit } => {
                let state = if failed { Some("failed") } else { held.then_some("held") };
                let rows = if operator { record::for_operator(&mut conn, limit).await? } else { record::inbox(&mut conn, state, limit).await? };
                if self.json {
                    return print::json(&rows);
                }
                print::table(rows.iter().map(line));
                Ok(())
            }
            Command::Show { id } => {
                let (row, words) = record::received(&mut conn, id).await?.with_context(|| format!("no letter of the inbox has the id {id}"))?;
                print::letter(&row, line, words.as_deref(), self.json)
            }
            Command::Retry { id } => {
                ensure!(failures::retry(&mut conn, id, now).await?, "{id} is no failed letter; see: pairpost inbox list --failed");
                if self.json {
                    return print::json(&record::received(&mut conn, id).await?.map(|(row, _)| row));
                }
                print::line(format_args!("{id} is tried again"));
                Ok(())
            }
        }
    }
}

fn line(row: &Received) -> [String; 7] {
    [
        row.received_at.format("%Y-%m-%d %H:%M:%S").to_string(),
        row.state.clone(),
        row.address.clone().unwrap_or_else(|| "–".into()),
        row.mailbox.clone(),
        format!("{} attempts", row.attempts),
        row.last_error.clone().or_else(|| row.outcome.clone()).unwrap_or_default(),
        row.id.to_string(),
    ]
}
