//! Whether Postgres can be worked with: what each session is asked to do about vanished partners, how connections are tried, and what an error says.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::watch;

use super::{Connection, Held, Store};

/// How long one statement, a commit or a new connection may be waited for before the database counts as away.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A sound connection answers within this time.
pub(super) const ANSWER: Duration = Duration::from_secs(2);
/// After a letter could not be kept for want of room, we are not ready for so long.
const FULL_FOR: Duration = Duration::from_secs(30);

/// Settings of each session, where the server knows them. The server gives up a client that is silent for 20 seconds, so always later than that client,
/// which trusts its session for 15, has stopped sending; a client that was paused in a transaction keeps nobody waiting for long; and nothing waits for ever.
const SETTINGS: [(&str, &str); 8] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "2"),
    ("tcp_user_timeout", "20000"),
    ("client_connection_check_interval", "1000"),
    ("idle_in_transaction_session_timeout", "15000"),
    ("lock_timeout", "10000"),
    ("statement_timeout", "600000"),
];

/// … and of the one whose lock says that a process lives. It is never idle for long: a process that is stopped, whose system goes on answering for it, would
/// else keep its letters from all others for as long as that takes.
const SETTINGS_OF_THE_LOCK: [(&str, &str); 1] = [("idle_session_timeout", "20000")];

/// What one process knows about the state of its database.
#[derive(Debug, Clone)]
pub(super) struct Health {
    troubled: Arc<watch::Sender<bool>>,
    full_at: Arc<Mutex<Option<Instant>>>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { troubled: Arc::new(watch::Sender::new(false)), full_at: Arc::default() }
    }

    /// While in trouble, nobody waits long for a connection, and none that was used is used again.
    pub(super) fn set_troubled(&self, troubled: bool) {
        self.troubled.send_replace(troubled);
    }

    pub(super) fn is_troubled(&self) -> bool {
        *self.troubled.borrow()
    }

    /// Ends when there was trouble for a while.
    async fn is_away(&self) {
        let mut troubled = self.troubled.subscribe();
        // Whoever says so lives as long as we do.
        let _always = troubled.wait_for(|troubled| *troubled).await.is_ok();
        tokio::time::sleep(ANSWER).await;
    }
}

/// What an error says about the database, rather than about the letter at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room left on its disk.
    Full,
    /// It can't be worked with just now: not there, starting, stopping, read-only, or out of connections.
    Away,
    /// The connection broke while it was used; perhaps what was done on it is the reason.
    Cut,
}

impl Trouble {
    /// `None`: the error is about something else.
    pub fn of(error: &anyhow::Error) -> Option<Self> {
        error.chain().find_map(|cause| match cause.downcast_ref::<sqlx::Error>()? {
            sqlx::Error::Database(said) => match said.code()?.as_ref() {
                "53100" => Some(Self::Full),
                "25006" | "57P01" | "57P03" | "57P05" => Some(Self::Away),
                "57P02" => Some(Self::Cut),
                code if code.starts_with("53") => Some(Self::Away),
                code if code.starts_with("08") => Some(Self::Cut),
                _ => None,
            },
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Some(Self::Away),
            sqlx::Error::Io(error) => match error.kind() {
                // Nobody listens: nothing was done on it.
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => Some(Self::Away),
                _ => Some(Self::Cut),
            },
            _ => None,
        })
    }
}

/// Whether what failed left nothing behind for certain: the database refused it, and the transaction with it.
pub fn is_refused(error: &anyhow::Error) -> bool {
    let refused = error.chain().any(|cause| matches!(cause.downcast_ref::<sqlx::Error>(), Some(sqlx::Error::Database(_))));
    refused && matches!(Trouble::of(error), None | Some(Trouble::Full))
}

/// Whether the same may go well in a moment: the database is in trouble, or somebody else was in the way (deadlocks, limits on waiting).
pub fn is_passing(error: &anyhow::Error) -> bool {
    let in_the_way = |code: &str| code.starts_with("40") || ["55P03", "57014"].contains(&code);
    let said = error.chain().find_map(|cause| match cause.downcast_ref::<sqlx::Error>()? {
        sqlx::Error::Database(said) => said.code(),
        _ => None,
    });
    Trouble::of(error).is_some() || said.is_some_and(|code| in_the_way(&code))
}

impl Store {
    /// What an error says about the database; a full disk is remembered for [`Store::ready`].
    pub fn diagnose(&self, error: &anyhow::Error) -> Option<Trouble> {
        let trouble = Trouble::of(error);
        if trouble == Some(Trouble::Full) {
            *self.health.full_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        trouble
    }

    /// Whether letters can be kept; the error is one line that says why not.
    pub async fn ready(&self) -> Result<(), &'static str> {
        let asked = async {
            let mut conn = self.connection().await?;
            Ok::<_, anyhow::Error>(
                sqlx::query_scalar!("select current_setting('transaction_read_only')::boolean as \"read_only!\"").fetch_one(&mut *conn).await?,
            )
        };
        match tokio::time::timeout(2 * ANSWER, asked).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => return Err("the database is read-only"),
            Ok(Err(_)) | Err(_) => return Err("the database does not answer"),
        }
        let full_at = *self.health.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        match full_at {
            Some(at) if at.elapsed() < FULL_FOR => Err("the database has no room left on its disk"),
            Some(_) | None => Ok(()),
        }
    }

    /// A connection of the pool. Where the database is known to be away, nobody waits for it as long as they would for one that is busy.
    pub(super) async fn acquire(&self) -> Result<Held> {
        tokio::select! {
            biased;
            acquired = self.warm.take(&self.pool) => Ok(acquired?),
            () = self.health.is_away() => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    /// A connection beside the pool, for the lock that lives as long as the process.
    pub(super) async fn lone_connection(&self) -> Result<Connection> {
        // Its statements are slow on purpose, which is nothing to be warned of.
        let options = (*self.pool.connect_options()).clone().disable_statement_logging();
        let connected = async {
            let mut conn = Connection::connect_with(&options).await?;
            set(&mut conn, &[&SETTINGS[..], &SETTINGS_OF_THE_LOCK].concat()).await?;
            Ok::<_, sqlx::Error>(conn)
        };
        tokio::time::timeout(5 * ANSWER, connected).await.context("Postgres does not answer")?.context("cannot connect to Postgres")
    }
}

/// The result of `work`, or an error when that takes longer than a database that is there may take.
pub async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.context("the database does not answer")?
}

/// Makes a new session ours.
pub(super) async fn prepare(conn: &mut Connection) -> sqlx::Result<()> {
    set(conn, &SETTINGS).await
}

async fn set(conn: &mut Connection, settings: &[(&str, &str)]) -> sqlx::Result<()> {
    let (names, values): (Vec<String>, Vec<String>) = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).unzip();
    sqlx::query!(
        "select set_config(name, value, false) from unnest($1::text[], $2::text[]) as wanted (name, value) where current_setting(name, true) is not null",
        &names,
        &values
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Whether an idle connection can be used.
pub(super) async fn answers(conn: &mut Connection) -> bool {
    matches!(tokio::time::timeout(ANSWER, conn.ping()).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_databases_own_trouble_counts_as_such() {
        let of = |error: sqlx::Error| Trouble::of(&anyhow::Error::from(error).context("keeping a letter"));
        let io = |kind: std::io::ErrorKind| of(sqlx::Error::Io(kind.into()));
        assert_eq!(of(sqlx::Error::PoolTimedOut), Some(Trouble::Away));
        assert_eq!(io(std::io::ErrorKind::ConnectionRefused), Some(Trouble::Away));
        assert_eq!(io(std::io::ErrorKind::UnexpectedEof), Some(Trouble::Cut));
        assert_eq!(of(sqlx::Error::RowNotFound), None);
        assert_eq!(Trouble::of(&anyhow::anyhow!("no such template")), None);
    }
}
