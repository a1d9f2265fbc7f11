//! `pairpost exchange`: the record, one row for every letter in or out.
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::print;
use crate::store::{
    Store,
    record::{self, Exchange as Row, Filter},
};

/// The record.
#[derive(Debug, Args)]
pub struct Exchange {
    #[command(subcommand)]
    command: Command,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Direction {
    In,
    Out,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists letters, the newest first
    List {
        /// Only letters that came in, or went out.
        #[arg(long)]
        direction: Option<Direction>,
        /// Only of this kind, such as relay or introduction.
        #[arg(long)]
        kind: Option<String>,
        /// Only from or to this address.
        #[arg(long)]
        address: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
    },
    /// Shows a letter's whole chain: what came in, what was decided, what went out, what the next hop said
    Show {
        /// The id of a row, a Message-ID, or the session that a refusal named.
        id: String,
    },
}

impl Exchange {
    /// Does it.
    pub async fn run(self, store: &Store) -> Result<()> {
        let (mut conn, json) = (store.connection().await?, self.json);
        match self.command {
            Command::List { direction, kind, address, limit } => {
                let direction = direction.map(|direction| match direction {
                    Direction::In => "in",
                    Direction::Out => "out",
                });
                let address = address.map(|address| address.to_lowercase());
                let rows = record::list(&mut conn, &Filter { direction, kind: kind.as_deref(), address: address.as_deref(), limit }).await?;
                if json {
                    return print::json(&rows);
                }
                print::table(rows.iter().map(line));
                Ok(())
            }
            Command::Show { id } => {
                let message_id = id.trim().trim_matches(['<', '>']);
                let found = record::find(&mut conn, Uuid::parse_str(message_id).ok(), message_id).await?;
                let mut chain: Vec<Row> = Vec::new();
                for id in found {
                    if chain.iter().all(|row| row.id != id) {
                        chain.extend(record::chain(&mut conn, id).await?);
                    }
                }
                if chain.is_empty() {
                    bail!(
                        "no letter of the record has the id or Message-ID {message_id:?}, nor was one refused in such a session; see: pairpost exchange list"
                    );
                }
                if json {
                    return print::json(&chain);
                }
                chain.iter().for_each(|row| tell(row, depth(row, &chain)));
                Ok(())
            }
        }
    }
}

fn line(row: &Row) -> [String; 7] {
    [
        row.at.format("%Y-%m-%d %H:%M:%S").to_string(),
        row.direction.clone(),
        row.kind.clone(),
        row.address.clone().unwrap_or_else(|| "–".into()),
        row.mailbox.clone(),
        row.outcome.clone().unwrap_or_else(|| "under way".into()),
        row.id.to_string(),
    ]
}

fn depth(row: &Row, chain: &[Row]) -> usize {
    let (mut depth, mut at) = (0, row);
    while let Some(cause) = at.cause.and_then(|cause| chain.iter().find(|row| row.id == cause)) {
        (depth, at) = (depth + 1, cause);
    }
    depth
}

fn tell(row: &Row, depth: usize) {
    let pad = "    ".repeat(depth);
    let other = row.address.as_deref().unwrap_or("nobody we can name");
    let way = if row.direction == "in" { format!("from {other} to {}@", row.mailbox) } else { format!("to {other} as {}@", row.mailbox) };
    print::line(format_args!("{pad}{} {} {}: {way}, {} octets", row.at.format("%Y-%m-%d %H:%M:%S"), row.direction, row.kind, row.size));
    if let Some(id) = &row.message_id {
        print::line(format_args!("{pad}    Message-ID  <{id}>"));
    }
    for (name, value) in [("session", &row.session), ("TLS", &row.tls), ("decided", &row.decision), ("became", &row.outcome), ("reply", &row.reply)] {
        if let Some(value) = value {
            print::line(format_args!("{pad}    {name:<11} {value}"));
        }
    }
    print::line(format_args!("{pad}    row         {}", row.id));
}
