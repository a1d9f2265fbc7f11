//! Where a private server lives: its data, its socket, its keeper, and how it is started and found.
use super::DATABASE;
use super::installation::{self, Account};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a start or an end may take: the recovery after a crash, or the last checkpoint, of a large database.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a thing that nobody announces is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// A socket's path holds 107 bytes on Linux and 103 on macOS, `/.s.PGSQL.5432` among them.
const LONGEST_SOCKET_DIR: usize = 85;

/// For every server. No JIT: our queries are short. The server's log holds no values of rows, which would be people's addresses.
const ALWAYS: [&str; 7] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "jit=off",
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
    // What is asked for often is far smaller; the rest is the kernel's to keep.
    "shared_buffers=32MB",
    // A vacuum takes what it may, not what it needs.
    "autovacuum_work_mem=8MB",
];
/// For servers whose data nobody will miss.
const FORGETFUL: [&str; 7] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off", "max_connections=200"];

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

/// What becomes of the data when the last user is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    Kept,
    ThrowAway,
}

/// A running server; `child` where this process started it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pid: u32,
    pub(super) child: Option<Child>,
}

/// Where a server lives, and how it is run.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    cluster: PathBuf,
    pub(super) socket_dir: PathBuf,
    account: Account,
    programs: PathBuf,
    lifetime: Lifetime,
}

impl Home {
    /// The home in `dir`, where the data stay.
    pub(super) fn kept(dir: PathBuf) -> Result<Home> {
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
        Ok(Home { socket_dir: dir.join("run"), dir, cluster, account, programs, lifetime: Lifetime::Kept })
    }

    /// A home in a new folder, which the keeper removes from when it is there on; until then the value beside it does.
    pub(super) fn throw_away() -> Result<(Home, tempfile::TempDir)> {
        // What takes long comes first: between the folder and its keeper nobody would remove it.
        let account = Account::for_cluster(Path::new(""))?;
        let programs = installation::find(Path::new(""))?;
        let mut place = std::env::temp_dir();
        if !account.may_remove_from(&place) {
            place = "/tmp".into();
        }
        let folder = tempfile::Builder::new().prefix("pairpost-").tempdir_in(place.canonicalize()?).context("making a folder for a throw-away server")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
        account.own(folder.path())?; // so that the keeper may remove it
        let dir = folder.path().to_owned();
        Ok((Home { socket_dir: dir.join("run"), cluster: dir.join("cluster"), dir, account, programs, lifetime: Lifetime::ThrowAway }, folder))
    }

    /// Finds the socket of a server that others use.
    pub(super) fn find_socket(&mut self) {
        if let Ok(place) = fs::read_to_string(self.elsewhere()) {
            self.socket_dir = place.into();
        }
    }

    /// Clears away what earlier users left who could not do it themselves. Only for one who is alone.
    pub(super) fn end_leftovers(&mut self) -> Result<()> {
        // The keeper of users that were killed is at work, and must not meet the server we are going to start.
        until(|| Ok(!self.has_keeper())).context("an earlier private PostgreSQL is still being stopped")?;
        // A server is left only when its keeper was killed too.
        if let Some(pid) = self.server_process() {
            signal(pid, rustix::process::Signal::INT);
            until(|| Ok(self.server_process().is_none())).with_context(|| format!("an earlier private PostgreSQL does not stop (process {pid})"))?;
        }
        if let Ok(place) = fs::read_to_string(self.elsewhere()) {
            let _gone_with_its_keeper = fs::remove_dir_all(place);
        }
        for begun in fs::read_dir(&self.dir)?.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"new-")) {
            fs::remove_dir_all(begun.path())?; // a first start that was interrupted
        }
        Ok(())
    }

    /// Makes a place for the socket: in the folder, or elsewhere when its path is too long for one. Only for one who is alone.
    pub(super) fn make_room(&mut self) -> Result<()> {
        let run = self.dir.join("run");
        if !run.exists() {
            DirBuilder::new().mode(0o700).create(&run)?;
            self.account.own(&run)?;
        }
        if run.as_os_str().len() > LONGEST_SOCKET_DIR {
            let place = tempfile::Builder::new().prefix("pairpost-").tempdir_in("/tmp").context("making a folder for the socket")?;
            self.account.own(place.path())?;
            fs::write(self.elsewhere(), place.path().as_os_str().as_encoded_bytes())?;
            self.socket_dir = place.keep();
        } else {
            let _a_longer_path_once = fs::remove_file(self.elsewhere());
        }
        Ok(())
    }

    /// Says where the socket is, when it is not in the folder.
    fn elsewhere(&self) -> PathBuf {
        self.dir.join("elsewhere")
    }

    /// Makes the data with the database in them where there are none, under another name first: they are there whole or not at all.
    /// Both programs have an end of the FIFO, so that the keeper clears up after them, not under them.
    pub(super) fn create_cluster(&self, hold: &File) -> Result<()> {
        if self.cluster.exists() {
            return Ok(());
        }
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
        let made = initdb.stdin(hold.try_clone()?).output().context("running initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());

        let mut single = self.account.command(&self.programs.join("postgres"));
        single.args(["--single", "-D"]).arg(&fresh).args(self.lifetime.settings()).arg("postgres");
        let mut single = single.stdin(Stdio::piped()).stdout(hold.try_clone()?).stderr(Stdio::piped()).spawn().context("running postgres --single")?;
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
    pub(super) fn has_keeper(&self) -> bool {
        self.writing_end().is_ok()
    }

    fn writing_end(&self) -> io::Result<File> {
        OpenOptions::new().write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(self.fifo())
    }

    /// A hold on the keeper, which is started where there is none.
    pub(super) fn keeper(&self) -> Result<(File, Option<Child>)> {
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
            sh.arg(&self.socket_dir).arg(self.elsewhere());
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
    pub(super) fn server_process(&self) -> Option<u32> {
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
    pub(super) fn is_ours(&self, pid: u32) -> bool {
        match fs::read(format!("/proc/{pid}/cmdline")) {
            Ok(line) => line.split(|byte| *byte == 0).any(|word| word == self.cluster.as_os_str().as_encoded_bytes()),
            Err(_) if Path::new("/proc/self/cmdline").exists() => false,
            Err(_) => process(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()),
        }
    }

    /// The running server; one is started where there is none.
    pub(super) fn server(&self, hold: &File) -> Result<Server> {
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

/// What root makes in the folder of another account stays usable for that account.
pub(super) fn belongs_to_folder(path: &Path) -> Result<()> {
    match path.parent().map(fs::metadata).transpose()? {
        Some(folder) if rustix::process::geteuid().is_root() => Ok(lchown(path, Some(folder.uid()), Some(folder.gid()))?),
        Some(_) | None => Ok(()),
    }
}

/// Waits for a condition, within bounds.
pub(super) fn until(mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
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

pub(super) fn signal(pid: u32, signal: rustix::process::Signal) {
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
