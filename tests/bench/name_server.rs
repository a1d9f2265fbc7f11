//! A name server for measurements: `name_server ZONE` says `ready ADDRESS` and answers by that file until its standard input ends.
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result};

#[path = "../it/dns.rs"]
mod dns;

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: name_server ZONE")?;
    let lines = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let server = dns::NameServer::start(dns::zone(&lines)).await;
    let mut out = std::io::stdout();
    writeln!(out, "ready {}", server.address)?;
    out.flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
