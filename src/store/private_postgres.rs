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
mod home;
mod installation;

use anyhow::{Context, Result, bail};
use home::{Home, Server, belongs_to_folder, until};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The database that is there from the first start on.
pub const DATABASE: &str = "pairpost";

/// How often each user sees to it that the server is alive.
const WATCH: Duration = Duration::from_millis(200);
/// A server that does not start, as on a full disk, is tried again after a second, two, four, and then every so often.
const SLOWEST: Duration = Duration::from_secs(5);

/// A user's hold on a private server. Dropping it ends the server unless somebody else uses it, which may block for a moment.
#[derive(Debug)]
pub struct PrivatePostgres {
    home: Arc<Home>,
    held: Arc<Mutex<Held>>,
    users: File,
    supervisor: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
    serving: Option<File>,
}

impl PrivatePostgres {
    /// The durable server of `dir` for `serve`: made on first use (one to three seconds), started, or taken over from a command that
    /// runs. Blocking. Errors are one line that says what to do: another `serve` has `dir`; PostgreSQL is not installed, or another
    /// release than the data's; the account that must run it for root cannot reach `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let dir = made(dir)?;
        let serving = lock_file(&dir, "serving.lock")?;
        match serving.try_lock() {
            Ok(()) => Self::attach(Home::kept(dir)?, Some(serving)),
            Err(TryLockError::WouldBlock) => {
                bail!("another `pairpost serve` runs on {}: stop it first, or give this one a `data_dir` of its own", dir.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", dir.display())),
        }
    }

    /// The durable server of `dir` for every other command: that of a running `serve` or command, and if there is none one of its own,
    /// until the last user is gone. Blocking; errors as for [`PrivatePostgres::start`].
    pub fn join(dir: &Path) -> Result<Self> {
        Self::attach(Home::kept(made(dir)?)?, None)
    }

    /// A server for a test or a demonstration: fast, forgetful, and gone without a trace when its user is, even by `kill -9`. Blocking.
    pub fn throw_away() -> Result<Self> {
        let (home, folder) = Home::throw_away()?;
        let server = Self::attach(home, None)?;
        let _the_keeper_removes_it = folder.keep();
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
    #[cfg(test)]
    fn server_pid(&self) -> u32 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).server.pid
    }

    /// Ends this use, and with the last one the server. Blocking: the server writes its last checkpoint.
    pub fn stop(mut self) -> Result<()> {
        self.leave()
    }

    fn attach(mut home: Home, serving: Option<File>) -> Result<Self> {
        let _starting = locked(&home.dir, "starting.lock")?;
        let users = lock_file(&home.dir, "users.lock")?;
        match users.try_lock() {
            Ok(()) => {
                home.end_leftovers()?;
                home.make_room()?;
                users.unlock()?; // nobody else takes it meanwhile, for want of starting.lock
            }
            Err(TryLockError::WouldBlock) => home.find_socket(),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("locking {}", home.dir.display())),
        }
        users.lock_shared()?;
        let (hold, keeper) = home.keeper()?;
        home.create_cluster(&hold)?;
        let server = home.server(&hold)?;
        let (home, held) = (Arc::new(home), Arc::new(Mutex::new(Held { server, hold, keeper })));
        let supervisor = Some(supervise(home.clone(), held.clone())?);
        Ok(Self { home, held, users, supervisor, serving })
    }

    fn leave(&mut self) -> Result<()> {
        let Some((end, thread)) = self.supervisor.take() else { return Ok(()) };
        drop(end);
        let _ended = thread.join();
        let _starting = locked(&self.home.dir, "starting.lock")?;
        self.users.unlock()?;
        if let Some(serving) = &self.serving {
            // Said, not left to closing: a child that another thread is just starting holds a copy for a moment.
            serving.unlock()?;
        }
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

    /// Whether server and keeper live.
    fn is_well(&mut self, home: &Home) -> Result<bool> {
        let mut ended = false;
        for child in self.children() {
            ended |= child.try_wait()?.is_some(); // so that a dead one does not stay as a zombie
        }
        Ok(!ended && home.is_ours(self.server.pid) && home.has_keeper())
    }

    /// Starts what died, or finds what another user has started meanwhile.
    fn mend(&mut self, home: &Home) -> Result<()> {
        let _starting = locked(&home.dir, "starting.lock")?;
        if !home.has_keeper() {
            (self.hold, self.keeper) = home.keeper()?;
        }
        self.server = home.server(&self.hold)?;
        Ok(())
    }
}

/// The thread that sees to it that server and keeper live, until the sender is dropped.
fn supervise(home: Arc<Home>, held: Arc<Mutex<Held>>) -> Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (end, ended) = mpsc::channel();
    let watch = move || {
        let mut pause = WATCH;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            let well = held.is_well(&home);
            if let Ok(true) = well {
                pause = WATCH;
                continue;
            }
            // Said once, not with every try.
            let is_news = pause == WATCH;
            match well {
                Ok(_) if is_news => tracing::warn!(process = held.server.pid, "the private PostgreSQL died and is started again"),
                Err(error) if is_news => tracing::error!("watching the private PostgreSQL: {error:#}"),
                Ok(_) | Err(_) => {}
            }
            match held.mend(&home) {
                Ok(()) => {
                    pause = WATCH;
                    tracing::info!(process = held.server.pid, "the private PostgreSQL runs");
                }
                Err(error) => {
                    if is_news {
                        tracing::error!("{error:#}; it is tried again until it starts");
                    }
                    pause = (pause * 2).clamp(Duration::from_secs(1), SLOWEST);
                }
            }
        }
    };
    let thread = thread::Builder::new().name("private-postgres".into()).spawn(watch).context("starting a thread")?;
    Ok((end, thread))
}

/// The folder, made where it is missing, for us alone; root's can be passed through by the account that runs the server.
fn made(dir: &Path) -> Result<PathBuf> {
    let make = || {
        if !dir.exists() {
            DirBuilder::new().recursive(true).create(dir)?;
            fs::set_permissions(dir, fs::Permissions::from_mode(if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 }))?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::home::signal;
    use super::*;
    use rustix::process::Signal;
    use sqlx::{Connection, PgConnection};
    use std::io::{self, BufRead, BufReader};
    use std::process::{Command, Stdio};

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
    fn a_ctrl_c_at_the_terminal_is_for_the_program_alone() {
        let server = PrivatePostgres::throw_away().unwrap();
        for pid in [server.server_pid(), keeper(&server)] {
            let process = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
            assert_eq!(rustix::process::getpgid(process).unwrap(), process.unwrap(), "it leads a group of its own");
        }
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
