//! The Postgres that programs work on: its processes, and what stands in its tables.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use pairpost::store::private_postgres::DATABASE;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{
    Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::chance::Chance;

/// A server on the data in a folder, whoever started it. It is looked at anew each time, since it dies now and then.
#[derive(Debug, Clone)]
pub struct Postgres {
    cluster: PathBuf,
}

impl Postgres {
    /// The private server of a `data_dir`.
    pub fn of(data: &Path) -> Self {
        Self { cluster: data.join("cluster") }
    }

    /// A line of the server's own file: its process (0), the folder of its socket (4).
    fn noted(&self, line: usize) -> Result<String> {
        let note = fs::read_to_string(self.cluster.join("postmaster.pid")).context("no server runs")?;
        Ok(note.lines().nth(line).context("the server has only begun to start")?.trim().to_owned())
    }

    fn postmaster(&self) -> Result<Pid> {
        Pid::from_raw(self.noted(0)?.parse()?).context("no process")
    }

    /// `kill -9` of the server, not of its children.
    pub fn kill(&self) -> Result<()> {
        Ok(kill_process(self.postmaster()?, Signal::KILL)?)
    }

    /// `kill -9` of a process that serves one client.
    pub fn kill_a_session(&self, chance: &mut Chance) -> Result<()> {
        let sessions = self.sessions()?;
        Ok(kill_process(chance.one_of(&sessions), Signal::KILL)?)
    }

    fn sessions(&self) -> Result<Vec<Pid>> {
        let postmaster = self.postmaster()?.as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
        let is_session = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(&format!("postgres {DATABASE} ")));
        let sessions: Vec<Pid> = children.split(' ').filter_map(|pid| pid.parse().ok()).filter(is_session).filter_map(Pid::from_raw).collect();
        anyhow::ensure!(!sessions.is_empty(), "nobody is connected to the server");
        Ok(sessions)
    }

    async fn connect(&self) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.noted(4)?).port(5432).username("postgres").database(DATABASE);
        Ok(PgConnection::connect_with(&options.ssl_mode(PgSslMode::Disable).application_name("kill_loop")).await?)
    }

    /// Letters that are not worked off: in, and out.
    pub async fn waiting(&self) -> Result<i64> {
        let mut connection = self.connect().await?;
        let query = "select (select count(*) from inbox where state = 'pending') + (select count(*) from outbox where state = 'queued')";
        let waiting = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(waiting)
    }

    /// What `pairpost queue retry` does, for all letters at once: they are not to wait for the minutes that a refusal costs.
    pub async fn retry_all(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql("update outbox set next_at = now() where state = 'queued' and owner is null and next_at > now(); notify pairpost")
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// Letters that were given up, and the record does not say so, or nobody wrote to their writers.
    pub async fn unrecorded(&self) -> Result<usize> {
        let mut connection = self.connect().await?;
        let query = "select count(*) from outbox o join exchange e on e.id = o.exchange_id
                     where o.state = 'failed' and o.kind = 'relay' and (e.outcome is distinct from 'failed' or e.reply is null
                         or not exists (select 1 from exchange n where n.cause_id = e.cause_id and n.kind = 'undelivered'))";
        let unrecorded: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(usize::try_from(unrecorded)?)
    }

    /// How a letter stands, for whoever looks for one that is lost.
    pub async fn tells(&self, message_id: &str) -> Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let query = "select concat_ws(' ', 'in:', e.decision, e.outcome, i.state, 'attempts', i.attempts, 'deaths', i.deaths, i.last_error, '; out:', x.kind, o.state,
                         'attempts', o.attempts, 'owner', o.owner, o.next_at, x.outcome, x.reply)
                     from exchange e left join inbox i on i.exchange_id = e.id left join exchange x on x.cause_id = e.id left join outbox o on o.exchange_id = x.id
                     where e.message_id = $1";
        let told = sqlx::query_scalar(query).bind(message_id).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(told)
    }
}
