//! `pairpost seed`: fills an empty database with people for load tests.
use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};

use super::print;
use crate::store::{Store, seeds};

/// People for load tests.
#[derive(Debug, Args)]
pub struct Seed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Partnerships of senderN@sender.example and partnerN@partner.example, who is reached at aliasN
    Relay {
        /// How many.
        #[arg(long)]
        pairs: u32,
    },
    /// Subscribers mN@partner.example of the monthly topics
    List {
        /// How many.
        #[arg(long)]
        subscribers: u32,
    },
}

impl Seed {
    /// Does it; refuses a database that holds anybody else.
    pub async fn run(self, store: &Store, now: DateTime<Utc>) -> Result<()> {
        let mut tx = store.begin().await?;
        ensure!(!seeds::holds_anybody_else(&mut tx).await?, "this database holds people: seed only an empty one (another data_dir, or another database.url)");
        let done = match self.command {
            Command::Relay { pairs } => {
                seeds::relay(&mut tx, pairs, now, now + TimeDelta::days(365)).await?;
                format!("{pairs} partnerships")
            }
            Command::List { subscribers } => {
                seeds::list(&mut tx, subscribers, now).await?;
                format!("{subscribers} subscribers")
            }
        };
        tx.commit().await?;
        print::line(format_args!("seeded {done}"));
        Ok(())
    }
}
