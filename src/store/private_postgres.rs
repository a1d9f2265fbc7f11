//! A private PostgreSQL in a folder: a Unix socket, no port, no password; it lives as long as somebody uses it.
//!
//! Any number of programs use one server. What each of them holds is given back by the kernel however the program ends, and all rests on that:
//!
//! | in the folder | held by | says |
//! |---|---|---|
//! | `serving.lock` | one `serve` | a second one is refused |
//! | `users.lock` | every user, shared | who gets it alone is the only user |
//! | `starting.lock` | whoever starts or ends the server | one at a time |
//! | `users` (a FIFO) | every user, for writing | when the last one is gone its reader, the keeper, sees the end of file and ends the server |
//!
//! The **keeper** is a small shell process, so that nothing outlives a `kill -9` of the program. A thread of each user starts a server
//! that died again, and a keeper as well. Server and keeper have process groups of their own: a Ctrl-C at the terminal is for the
//! program, which drains first.
mod installation;

use anyhow::{Context, Result, bail, ensure};
use installation::Account;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The database that is there from the first start on.
pub const DATABASE: &str = "pairpost";

/// How long a start or an end may take: the recovery after a crash, or the last checkpoint, of a large database.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a thing that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How often each user sees to it that the server is alive.
const WATCH: Duration = Duration::from_millis(200);
/// A socket's path holds 107 bytes on Linux and 103 on macOS, `/.s.PGSQL.5432` among them.
const LONGEST_SOCKET_DIR: usize = 85;

/// For every server. No JIT: our queries are short. The server's log holds no values of rows, which would be people's addresses.
const ALWAYS: [&str; 5] = ["listen_addresses=", "unix_socket_permissions=0700", "jit=off", "log_error_verbosity=terse", "log_min_error_statement=panic"];
/// For servers whose data nobody will miss.
const FORGETFUL: [&str; 8] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "shared_buffers=64MB",
    "max_connections=200",
];

/// Becomes the server. It notes its process first; only then does it let go of its end of the FIFO, so the keeper cannot miss it.
const BECOME_SERVER: &str = r#"pid=$1 log=$2; shift 2; echo $$ >"$pid" || exit; exec "$@" </dev/null >>"$log" 2>&1"#;
/// Waits for the last user to go, ends the server, and removes what shall not stay.
const KEEP: &str = r#"pid=$1 signal=$2; shift 2; trap '' HUP INT TERM
while read -r _; do :; done
server=$(cat "$pid") && while kill -0 "$server"; do
    case $(tr '\0' ' ' <"/proc/$server/cmdline" || echo "$pid") in '') break ;; *"${pid%/*/*}"*) ;; *) break ;; esac
    tries=$((tries + 1)); [ "$tries" -lt 600 ] || signal=QUIT; [ "$tries" -lt 900 ] || signal=KILL
    kill -s "$signal" "$server"; sleep 0.1
done
for folder in "$@"; do rm -rf "$folder"; done"#;

/// A user's hold on a private server. Dropping it ends the server unless somebody else uses it, which may block for a moment.
#[derive(Debug)]
pub struct PrivatePostgres {
    home: Arc<Home>,
    held: Arc<Mutex<Held>>,
    users: File,
    supervisor: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
    _serving: Option<File>,
}

impl PrivatePostgres {
    /// The durable server of `dir` for `serve`: made on first use (one to three seconds), started, or taken over from a command that
    /// runs. Blocking. Errors are one line that says what to do: another `serve` has `dir`; PostgreSQL is not installed, or another
    /// release than the data's; the account that must run it for root cannot reach `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let dir = made(dir)?;
        let serving = lock_file(&dir, "serving.lock")?;
        match serving.try_lock() {
            Ok(()) => Self::attach(dir, Lifetime::Kept, Some(serving)),
            Err(TryLockError::WouldBlock) => {
                bail!("another `pairpost serve` runs on {}: stop it first, or give this one a `data_dir` of its own", dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", dir.display())),
        }
    }

    /// The durable server of `dir` for every other command: that of a running `serve` or command, and if there is none one of its own,
    /// until the last user is gone. Blocking; errors as for [`PrivatePostgres::start`].
    pub fn join(dir: &Path) -> Result<Self> {
        Self::attach(made(dir)?, Lifetime::Kept, None)
    }

    /// A server for a test or a demonstration: fast, forgetful, and gone without a trace when its user is, even by `kill -9`. Blocking.
    pub fn throw_away() -> Result<Self> {
        let account = Account::for_cluster(Path::new(""))?;
        let mut place = std::env::temp_dir();
        if !account.may_remove_from(&place) {
            place = "/tmp".into();
        }
        let dir = tempfile::Builder::new().prefix("pairpost-").tempdir_in(place).context("making a folder for a throw-away server")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        account.own(dir.path())?; // so that the keeper may remove it
        let server = Self::attach(dir.path().canonicalize()?, Lifetime::ThrowAway, None)?;
        let _keepers = dir.keep();
        Ok(server)
    }

    /// How to connect to `database` of this server. Stays right when the server is restarted.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        // Whatever PG… variables and .pgpass say is of another server.
        PgConnectOptions::new_without_pgpass()
            .socket(&self.home.socket_dir)
            .port(5432)
            .username("postgres")
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("pairpost")
    }

    /// The same as a URL, as `psql` and DATABASE_URL take it.
    pub fn url(&self, database: &str) -> String {
        let host: String = self
            .home
            .socket_dir
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
            .collect();
        format!("postgres://postgres@{host}/{database}")
    }

    /// The process of the server as it runs now; another one after a restart.
    pub fn server_pid(&self) -> u32 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).server.pid
    }

    /// Ends this use, and with the last one the server. Blocking: the server writes its last checkpoint.
    pub fn stop(mut self) -> Result<()> {
        self.leave()
    }

    fn attach(dir: PathBuf, lifetime: Lifetime, serving: Option<File>) -> Result<Self> {
        let _starting = locked(&dir, "starting.lock")?;
        let users = lock_file(&dir, "users.lock")?;
        let alone = match users.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("locking {}", dir.display())),
        };
        let mut home = Home::of(dir, lifetime)?;
        if alone {
            home.end_leftovers()?;
            home.create()?;
            users.unlock()?; // nobody else takes it meanwhile, for want of starting.lock
        }
        users.lock_shared()?;
        let (hold, keeper) = home.keeper()?;
        let server = home.server(&hold)?;
        let (home, held) = (Arc::new(home), Arc::new(Mutex::new(Held { server, hold, keeper })));
        let supervisor = Some(supervise(home.clone(), held.clone())?);
        Ok(Self { home, held, users, supervisor, _serving: serving })
    }

    fn leave(&mut self) -> Result<()> {
        let Some((end, thread)) = self.supervisor.take() else { return Ok(()) };
        drop(end);
        let _ended = thread.join();
        let _starting = locked(&self.home.dir, "starting.lock")?;
        self.users.unlock()?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.hold = File::open("/dev/null")?; // closes ours
        if self.users.try_lock().is_err() {
            return Ok(()); // others use it
        }
        // The keeper ends the server; a server or keeper of ours is gone only when we have waited for it.
        until(|| {
            let gone = held.children().try_fold(true, |gone, child| child.try_wait().map(|end| gone && end.is_some()))?;
            Ok(gone && !self.home.has_keeper() && self.home.server_process().is_none())
        })
        .context("the private PostgreSQL does not stop")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.leave() {
            tracing::warn!("{error:#}");
        }
    }
}

/// What becomes of the data when the last user is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    Kept,
    ThrowAway,
}

/// What a user holds while the server runs.
#[derive(Debug)]
struct Held {
    server: Server,
    hold: File,
    keeper: Option<Child>,
}

impl Held {
    fn children(&mut self) -> impl Iterator<Item = &mut Child> {
        self.server.child.iter_mut().chain(self.keeper.iter_mut())
    }
}

/// A running server; `child` where this process started it.
#[derive(Debug)]
struct Server {
    pid: u32,
    child: Option<Child>,
}

/// Where a server lives, and how it is run.
#[derive(Debug)]
struct Home {
    dir: PathBuf,
    cluster: PathBuf,
    socket_dir: PathBuf,
    account: Account,
    programs: PathBuf,
    lifetime: Lifetime,
}

impl Home {
    /// The home in `dir`; its socket may still have no place when we are its first user.
    fn of(dir: PathBuf, lifetime: Lifetime) -> Result<Home> {
        let cluster = dir.join("cluster");
        let account = Account::for_cluster(&cluster)?;
        if let Some(barrier) = account.barrier(&cluster) {
            bail!(
                "the account that must run PostgreSQL for root may not pass {}, so cannot reach {}: give a `data_dir` elsewhere, such as /var/lib/pairpost",
                barrier.display(),
                dir.display()
            );
        }
        let programs = installation::find(&cluster)?;
        let socket_dir = match fs::read_to_string(dir.join("elsewhere")) {
            Ok(place) => PathBuf::from(place),
            Err(_) => dir.join("run"),
        };
        Ok(Home { dir, cluster, socket_dir, account, programs, lifetime })
    }

    /// Clears away what earlier users left who could not do it themselves. Only for one who is alone.
    fn end_leftovers(&mut self) -> Result<()> {
        // The keeper of users that were killed is at work, and must not meet the server we are going to start.
        until(|| Ok(!self.has_keeper())).context("an earlier private PostgreSQL is still being stopped")?;
        // A server is left only when its keeper was killed too.
        if let Some(pid) = self.server_process() {
            signal(pid, rustix::process::Signal::INT);
            until(|| Ok(self.server_process().is_none())).with_context(|| format!("an earlier private PostgreSQL does not stop (process {pid})"))?;
        }
        if self.socket_dir.starts_with("/tmp") && self.socket_dir != self.dir.join("run") {
            let _gone_with_its_keeper = fs::remove_dir_all(&self.socket_dir);
        }
        for begun in fs::read_dir(&self.dir)?.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"new-")) {
            fs::remove_dir_all(begun.path())?; // a first start that was interrupted
        }
        Ok(())
    }

    /// Makes what the server needs and is not there. Only for one who is alone.
    fn create(&mut self) -> Result<()> {
        let run = self.dir.join("run");
        if !run.exists() {
            DirBuilder::new().mode(0o700).create(&run)?;
            self.account.own(&run)?;
        }
        let elsewhere = self.dir.join("elsewhere");
        if run.as_os_str().len() > LONGEST_SOCKET_DIR {
            let place = tempfile::Builder::new().prefix("pairpost-").tempdir_in("/tmp").context("making a folder for the socket")?;
            self.account.own(place.path())?;
            fs::write(&elsewhere, place.path().as_os_str().as_encoded_bytes())?;
            self.socket_dir = place.keep();
        } else {
            let _a_shorter_path_once = fs::remove_file(&elsewhere);
            self.socket_dir = run;
        }
        if self.cluster.exists() { Ok(()) } else { self.create_cluster() }
    }

    /// Makes the data with the database in them, under another name first: they are there whole or not at all.
    fn create_cluster(&self) -> Result<()> {
        let fresh = self.dir.join(format!("new-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&fresh)?;
        self.account.own(&fresh)?;
        let mut initdb = self.account.command(&self.programs.join("initdb"));
        initdb.args(["-U", "postgres", "--auth-local=trust", "--auth-host=reject", "-E", "UTF8", "--no-instructions", "-D"]).arg(&fresh);
        initdb.args(if cfg!(target_os = "macos") { ["--lc-collate=C", "--lc-ctype=en_US.UTF-8"] } else { ["--lc-collate=C.UTF-8", "--lc-ctype=C.UTF-8"] });
        initdb.arg(match self.lifetime {
            Lifetime::Kept => "--data-checksums",
            Lifetime::ThrowAway => "--no-sync",
        });
        let made = initdb.output().context("running initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());

        let mut single = self.account.command(&self.programs.join("postgres"));
        single.args(["--single", "-D"]).arg(&fresh).args(self.lifetime.settings()).arg("postgres");
        let mut single = single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("running postgres --single")?;
        if let Some(mut input) = single.stdin.take() {
            input.write_all(format!("create database {DATABASE}\n").as_bytes())?;
        }
        let made = single.wait_with_output()?;
        ensure!(made.status.success(), "making the database failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        fs::rename(&fresh, &self.cluster).context("putting the new data in place")
    }

    fn fifo(&self) -> PathBuf {
        self.dir.join("users")
    }

    /// Whether a keeper reads the FIFO: without a reader it cannot be opened for writing.
    fn has_keeper(&self) -> bool {
        self.writing_end().is_ok()
    }

    fn writing_end(&self) -> io::Result<File> {
        OpenOptions::new().write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(self.fifo())
    }

    /// A hold on the keeper, which is started where there is none.
    fn keeper(&self) -> Result<(File, Option<Child>)> {
        if let Ok(hold) = self.writing_end() {
            return Ok((hold, None));
        }
        let fifo = self.fifo();
        if !fifo.exists() {
            let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&fifo).output().context("running mkfifo")?;
            ensure!(made.status.success(), "mkfifo failed: {}", String::from_utf8_lossy(&made.stderr).trim());
            belongs_to_folder(&fifo)?;
        }
        // Opening for reading would wait for a writer, and the other way round; the shell must wait in its reads.
        let read = OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(&fifo)?;
        let hold = self.writing_end()?;
        rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::empty())?;
        let mut sh = self.account.command(Path::new("/bin/sh"));
        sh.args(["-c", KEEP, "sh"]).arg(self.noted_pid());
        match self.lifetime {
            Lifetime::Kept => sh.arg("INT"),
            Lifetime::ThrowAway => sh.arg("QUIT").arg(&self.dir),
        };
        if self.socket_dir != self.dir.join("run") {
            sh.arg(&self.socket_dir).arg(self.dir.join("elsewhere"));
        }
        let keeper =
            sh.process_group(0).stdin(read).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting the keeper of the private PostgreSQL")?;
        Ok((hold, Some(keeper)))
    }

    fn noted_pid(&self) -> PathBuf {
        self.dir.join("run/pid")
    }

    fn pid_file(&self) -> PathBuf {
        self.cluster.join("postmaster.pid")
    }

    /// The process that the server's own file names, if it lives and is a server on our data.
    fn server_process(&self) -> Option<u32> {
        self.process_in(&self.pid_file())
    }

    fn process_in(&self, note: &Path) -> Option<u32> {
        let pid = fs::read_to_string(note).ok()?.lines().next()?.trim().parse().ok()?;
        self.is_ours(pid).then_some(pid)
    }

    /// The process of the server, if it takes connections.
    fn ready_process(&self) -> Option<u32> {
        // postmaster.pid: process, data, start, port, socket, address, shared memory, state
        let state = fs::read_to_string(self.pid_file()).ok()?;
        let lines: Vec<&str> = state.lines().map(str::trim).collect();
        let pid = lines.first()?.parse().ok()?;
        (*lines.get(7)? == "ready" && self.is_ours(pid)).then_some(pid)
    }

    /// Whether a process lives and works on our data. A number may have gone to somebody else (in a container it soon does), and a
    /// dead process that nobody waited for has a number but no command line. Without /proc we believe the number.
    fn is_ours(&self, pid: u32) -> bool {
        match fs::read(format!("/proc/{pid}/cmdline")) {
            Ok(line) => line.split(|byte| *byte == 0).any(|word| word == self.cluster.as_os_str().as_encoded_bytes()),
            Err(_) if Path::new("/proc/self/cmdline").exists() => false,
            Err(_) => process(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
        }
    }

    /// The running server; one is started where there is none.
    fn server(&self, hold: &File) -> Result<Server> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(pid) = self.ready_process() {
                return Ok(Server { pid, child: None });
            }
            if let Some(server) = self.launch(hold, deadline)? {
                return Ok(server);
            }
            thread::sleep(5 * LOOK); // processes of a killed server are still closing
        }
    }

    /// Starts a server and waits until it is ready; `None` when what a killed one left stands in the way for now.
    fn launch(&self, hold: &File, deadline: Instant) -> Result<Option<Server>> {
        let stale = fs::read_to_string(self.pid_file()).ok();
        for note in [self.pid_file(), self.socket_dir.join(".s.PGSQL.5432.lock")] {
            // What a killed server left may name a process that lives and is no server, or a dead one that nobody waited for, and the
            // new server would give way to it. It guards the data by shared memory as well, under a key that comes from the folder.
            if note.exists() && self.process_in(&note).is_none() {
                fs::remove_file(note)?;
            }
        }
        let log = self.cluster.join("server.log");
        let log_from = fs::metadata(&log).map_or(0, |log| log.len());
        let mut sh = self.account.command(Path::new("/bin/sh"));
        sh.args(["-c", BECOME_SERVER, "sh"]).arg(self.noted_pid()).arg(&log).arg(self.programs.join("postgres"));
        sh.arg("-D").arg(&self.cluster).arg("-k").arg(&self.socket_dir).args(self.lifetime.settings());
        let mut child =
            sh.process_group(0).stdin(hold.try_clone()?).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting the private PostgreSQL")?;
        loop {
            if self.ready_process() == Some(child.id()) && fs::read_to_string(self.pid_file()).ok() != stale {
                return Ok(Some(Server { pid: child.id(), child: Some(child) }));
            }
            let ended = child.try_wait()?.is_some();
            let late = Instant::now() > deadline;
            if ended || late {
                let said = tail(&log, log_from);
                let in_the_way = (said.contains("lock file") && said.contains("already exists")) || said.contains("still in use");
                ensure!(ended && in_the_way && !late, "the private PostgreSQL does not start; {} ends: {}", log.display(), last_line(&said));
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether server and keeper live.
    fn is_well(&self, held: &mut Held) -> Result<bool> {
        let mut ended = false;
        for child in held.children() {
            ended |= child.try_wait()?.is_some(); // so that a dead one does not stay as a zombie
        }
        Ok(!ended && self.is_ours(held.server.pid) && self.has_keeper())
    }

    fn mend(&self, held: &mut Held) -> Result<()> {
        let _starting = locked(&self.dir, "starting.lock")?;
        if !self.has_keeper() {
            (held.hold, held.keeper) = self.keeper()?;
        }
        held.server = self.server(&held.hold)?;
        Ok(())
    }
}

impl Lifetime {
    fn settings(self) -> Vec<&'static str> {
        let forgetful: &[&str] = match self {
            Lifetime::Kept => &[],
            Lifetime::ThrowAway => &FORGETFUL,
        };
        ALWAYS.iter().chain(forgetful).flat_map(|setting| ["-c", setting]).collect()
    }
}

/// The thread that sees to it that server and keeper live, until the sender is dropped.
fn supervise(home: Arc<Home>, held: Arc<Mutex<Held>>) -> Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (end, ended) = mpsc::channel();
    let watch = move || {
        while ended.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            match home.is_well(&mut held) {
                Ok(true) => continue,
                Ok(false) => tracing::warn!(process = held.server.pid, "the private PostgreSQL died and is started again"),
                Err(error) => tracing::error!("watching the private PostgreSQL: {error:#}"),
            }
            match home.mend(&mut held) {
                Ok(()) => tracing::info!(process = held.server.pid, "the private PostgreSQL runs"),
                Err(error) => tracing::error!("{error:#}"),
            }
        }
    };
    let thread = thread::Builder::new().name("private-postgres".into()).spawn(watch).context("starting a thread")?;
    Ok((end, thread))
}

/// The folder, made where it is missing. Others may pass it (the account that runs the server may be one of them), not look into it.
fn made(dir: &Path) -> Result<PathBuf> {
    let make = || {
        if !dir.exists() {
            DirBuilder::new().recursive(true).create(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o711))?;
        }
        dir.canonicalize()
    };
    make().with_context(|| format!("making {}", dir.display()))
}

fn lock_file(dir: &Path, name: &str) -> Result<File> {
    let path = dir.join(name);
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path).with_context(|| format!("opening {}", path.display()))?;
    belongs_to_folder(&path)?;
    Ok(file)
}

fn locked(dir: &Path, name: &str) -> Result<File> {
    let file = lock_file(dir, name)?;
    until(|| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    })
    .with_context(|| format!("another process has been starting or stopping the private PostgreSQL in {} for long", dir.display()))?;
    Ok(file)
}

/// What root makes in the folder of another account stays usable for that account.
fn belongs_to_folder(path: &Path) -> Result<()> {
    match path.parent().map(fs::metadata).transpose()? {
        Some(folder) if rustix::process::geteuid().is_root() => Ok(lchown(path, Some(folder.uid()), Some(folder.gid()))?),
        Some(_) | None => Ok(()),
    }
}

/// Waits for a condition, within bounds.
fn until(mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        ensure!(Instant::now() < deadline, "not within {} s", PATIENCE.as_secs());
        thread::sleep(LOOK);
    }
    Ok(())
}

fn process(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = process(pid) {
        let _it_may_be_gone = rustix::process::kill_process(pid, signal);
    }
}

/// What was added to a log since it was `from` bytes long.
fn tail(log: &Path, from: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(from))?;
        io::read_to_string(file)
    };
    read().unwrap_or_default()
}

fn last_line(text: &str) -> &str {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("empty")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustix::process::Signal;
    use sqlx::{Connection, PgConnection};
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    /// Says to a copy of this test program which part of another process it plays.
    const PART: &str = "PAIRPOST_TEST_PART";
    const FOLDER: &str = "PAIRPOST_TEST_FOLDER";

    /// Another process that uses a private server until it is killed.
    struct Other {
        process: Child,
        server: u32,
        keeper: u32,
        dir: PathBuf,
    }

    impl Other {
        fn plays(part: &str, dir: &Path) -> Other {
            let mut process = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "store::private_postgres::tests::the_part_of_another_process", "--nocapture"])
                .env(PART, part)
                .env(FOLDER, dir)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let said = BufReader::new(process.stdout.take().unwrap())
                .lines()
                .map_while(Result::ok)
                .find_map(|line| line.split_once("runs ").map(|(_, rest)| rest.to_owned()))
                .expect("the other process starts a server");
            let [server, keeper, dir] = said.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            Other { process, server: server.parse().unwrap(), keeper: keeper.parse().unwrap(), dir: dir.into() }
        }

        fn kill(mut self) {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }
    }

    #[test]
    fn the_part_of_another_process() {
        let Ok(part) = std::env::var(PART) else { return };
        let dir = PathBuf::from(std::env::var(FOLDER).unwrap());
        let server = match part.as_str() {
            "serve" => PrivatePostgres::start(&dir),
            "command" => PrivatePostgres::join(&dir),
            _ => PrivatePostgres::throw_away(),
        }
        .unwrap();
        println!("runs {} {} {}", server.server_pid(), keeper(&server), server.home.dir.display());
        // Until we are killed, or the one who started us is gone.
        io::stdin().read_line(&mut String::new()).unwrap();
    }

    /// A folder that the server's account can reach, which the temporary folder of the one who runs the tests may not be.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix("pairpost-test-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        folder
    }

    /// Runs statements one after the other on a new connection, and gives the last one's answer.
    fn ask(server: &PrivatePostgres, statements: &[&'static str]) -> sqlx::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&server.options(DATABASE)).await?;
            let mut answer = String::new();
            for statement in statements {
                answer = sqlx::query_scalar::<_, String>(*statement).fetch_optional(&mut connection).await?.unwrap_or_default();
            }
            connection.close().await?;
            Ok(answer)
        })
    }

    /// The process of the keeper that `server` started.
    fn keeper(server: &PrivatePostgres) -> u32 {
        server.held.lock().unwrap().keeper.as_ref().unwrap().id()
    }

    fn is_gone(pid: u32) -> bool {
        fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty())
    }

    fn by_and_by(what: &str, mut condition: impl FnMut() -> bool) {
        until(|| Ok(condition())).expect(what);
    }

    #[test]
    fn data_survive_a_stop_and_are_durable_and_nothing_else_is_left() {
        let folder = folder();
        let dir = folder.path().join("not/there/yet");
        let server = PrivatePostgres::start(&dir).unwrap();
        let pid = server.server_pid();
        ask(&server, &["create table letter (words text)", "insert into letter values ('Dear Ana')"]).unwrap();
        assert_eq!(ask(&server, &["show fsync"]).unwrap(), "on");
        assert_eq!(ask(&server, &["show listen_addresses"]).unwrap(), "");
        server.stop().unwrap();
        assert!(is_gone(pid));
        let server = PrivatePostgres::start(&dir).unwrap();
        assert_ne!(server.server_pid(), pid);
        assert_eq!(ask(&server, &["select words from letter"]).unwrap(), "Dear Ana");
    }

    #[test]
    fn a_killed_server_is_started_again_with_all_that_was_committed() {
        let folder = folder();
        let server = PrivatePostgres::start(folder.path()).unwrap();
        ask(&server, &["create table letter (words text)", "insert into letter values ('Dear Ana')"]).unwrap();
        let killed = server.server_pid();
        signal(killed, Signal::KILL);
        by_and_by("another server runs", || server.server_pid() != killed);
        assert_eq!(ask(&server, &["select words from letter"]).unwrap(), "Dear Ana");
    }

    #[test]
    fn a_killed_keeper_is_started_again() {
        let folder = folder();
        let server = PrivatePostgres::start(folder.path()).unwrap();
        let killed = keeper(&server);
        signal(killed, Signal::KILL);
        by_and_by("another keeper runs", || keeper(&server) != killed);
        let pid = server.server_pid();
        server.stop().unwrap();
        assert!(is_gone(pid));
    }

    #[test]
    fn a_killed_program_takes_its_server_along() {
        let folder = folder();
        let other = Other::plays("serve", folder.path());
        let pid = other.server;
        other.kill();
        by_and_by("the server is gone", || is_gone(pid));
    }

    #[test]
    fn the_next_program_starts_whatever_was_killed() {
        let folder = folder();
        let mut before = 0;
        for with_server in [false, true] {
            let other = Other::plays("serve", folder.path());
            assert_ne!(other.server, before);
            before = other.server;
            if with_server {
                signal(other.server, Signal::KILL);
            }
            other.kill();
        }
        let server = PrivatePostgres::start(folder.path()).unwrap();
        assert_eq!(ask(&server, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn a_server_that_outlived_program_and_keeper_is_stopped_by_the_next() {
        let folder = folder();
        let other = Other::plays("serve", folder.path());
        signal(other.process.id(), Signal::STOP); // so that it makes no new keeper
        signal(other.keeper, Signal::KILL);
        let outlived = other.server;
        other.kill();
        assert!(!is_gone(outlived));
        let next = PrivatePostgres::start(folder.path()).unwrap();
        assert!(is_gone(outlived));
        assert_eq!(ask(&next, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn a_second_serve_is_refused_and_commands_join() {
        let folder = folder();
        let serve = PrivatePostgres::start(folder.path()).unwrap();
        let refused = PrivatePostgres::start(folder.path()).unwrap_err().to_string();
        assert!(refused.starts_with("another `pairpost serve` runs on "), "{refused}");
        let command = PrivatePostgres::join(folder.path()).unwrap();
        assert_eq!(command.server_pid(), serve.server_pid());
        command.stop().unwrap();
        assert_eq!(ask(&serve, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn the_server_of_a_command_stays_for_a_serve_that_came_later() {
        let folder = folder();
        let command = Other::plays("command", folder.path());
        let serve = PrivatePostgres::start(folder.path()).unwrap();
        assert_eq!(serve.server_pid(), command.server);
        command.kill();
        assert_eq!(ask(&serve, &["select 'well'"]).unwrap(), "well");
        // Adopted, it is watched over as if it were ours.
        let killed = serve.server_pid();
        signal(killed, Signal::KILL);
        by_and_by("another server runs", || serve.server_pid() != killed);
        assert_eq!(ask(&serve, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn many_commands_at_once_share_one_server() {
        let folder = folder();
        let meeting = std::sync::Barrier::new(4);
        let pids: Vec<u32> = thread::scope(|scope| {
            let commands: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let server = PrivatePostgres::join(folder.path()).unwrap();
                        meeting.wait(); // nobody leaves before all have come
                        server.server_pid()
                    })
                })
                .collect();
            commands.into_iter().map(|command| command.join().unwrap()).collect()
        });
        assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
        assert!(is_gone(pids[0]));
    }

    #[test]
    fn a_throw_away_server_leaves_nothing_even_when_all_are_killed() {
        let server = PrivatePostgres::throw_away().unwrap();
        assert_eq!(ask(&server, &["show fsync"]).unwrap(), "off");
        let (pid, dir) = (server.server_pid(), server.home.dir.clone());
        server.stop().unwrap();
        assert!(is_gone(pid) && !dir.exists());

        for with_server in [false, true] {
            let other = Other::plays("throw-away", Path::new("/"));
            let (pid, dir) = (other.server, other.dir.clone());
            assert!(dir.exists());
            if with_server {
                signal(pid, Signal::KILL);
            }
            other.kill();
            by_and_by("server and folder are gone", || is_gone(pid) && !dir.exists());
        }
    }

    #[test]
    fn a_deep_folder_has_its_socket_elsewhere_and_takes_that_away_too() {
        let folder = folder();
        let dir = folder.path().join("a".repeat(100));
        let server = PrivatePostgres::start(&dir).unwrap();
        let elsewhere = server.home.socket_dir.clone();
        assert!(elsewhere.starts_with("/tmp"));
        assert_eq!(PrivatePostgres::join(&dir).unwrap().home.socket_dir, elsewhere);
        assert_eq!(ask(&server, &["select 'well'"]).unwrap(), "well");
        server.stop().unwrap();
        assert!(!elsewhere.exists());

        let other = Other::plays("serve", &dir);
        let elsewhere = PathBuf::from(fs::read_to_string(dir.join("elsewhere")).unwrap());
        assert!(elsewhere.exists());
        other.kill();
        by_and_by("the socket's folder is gone", || !elsewhere.exists());
    }

    #[test]
    fn data_of_another_release_are_refused_with_the_cure() {
        let folder = folder();
        let cluster = folder.path().join("cluster");
        fs::create_dir(&cluster).unwrap();
        fs::write(cluster.join("PG_VERSION"), "8\n").unwrap();
        let refused = PrivatePostgres::start(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("written by PostgreSQL 8, and only ") && refused.contains("apt-get install postgresql-8"), "{refused}");
        assert_eq!(refused.lines().count(), 1);
    }

    #[test]
    fn an_interrupted_first_start_is_begun_anew() {
        let folder = folder();
        let begun = folder.path().join("new-1");
        fs::create_dir(&begun).unwrap();
        fs::write(begun.join("PG_VERSION"), "15\n").unwrap();
        let server = PrivatePostgres::start(folder.path()).unwrap();
        assert!(!begun.exists());
        assert_eq!(ask(&server, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn a_number_that_went_to_another_process_is_not_taken_for_the_server() {
        let folder = folder();
        PrivatePostgres::start(folder.path()).unwrap().stop().unwrap();
        let cluster = folder.path().join("cluster");
        fs::write(cluster.join("postmaster.pid"), format!("{}\n{}\n0\n5432\n\n\n\nready\n", std::process::id(), cluster.display())).unwrap();
        let server = PrivatePostgres::start(folder.path()).unwrap();
        assert_eq!(ask(&server, &["select 'well'"]).unwrap(), "well");
    }

    #[test]
    fn root_is_told_that_its_own_folders_are_out_of_reach() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let refused = PrivatePostgres::start(&folder.path().join("data")).unwrap_err().to_string();
        assert!(refused.contains("may not pass") && refused.contains("/var/lib/pairpost"), "{refused}");
    }

    #[test]
    fn the_url_is_one_that_others_understand() {
        let server = PrivatePostgres::throw_away().unwrap();
        let options: PgConnectOptions = server.url(DATABASE).parse().unwrap();
        assert_eq!(options.get_socket(), Some(&server.home.socket_dir));
        assert_eq!(options.get_database(), Some(DATABASE));
    }
}
