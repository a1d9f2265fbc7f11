//! The built program: found or built, served, spoken to by signals, and killed.
use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// How long a start or a clean end may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Lines of its log that are kept to be shown.
const LINES: usize = 60;

/// The program of the profile that this was built with. `$PROGRAM` is taken as it is; else cargo sees to it that it is of today.
pub async fn built() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("PROGRAM") {
        return Ok(given.into());
    }
    // This lies in target/PROFILE/examples.
    let own = std::env::current_exe()?;
    let beside = own.ancestors().nth(2).context("an example lies in a folder of its own")?.join("pairpost");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--bin", "pairpost"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    ensure!(cargo.status().await.context("cargo builds the program")?.success(), "the program can't be built");
    Ok(beside)
}

/// What its environment says, beside the folder of its data.
pub type Settings = Vec<(&'static str, String)>;

fn command(binary: &Path, data: &Path, settings: &Settings) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name == "DATABASE_URL" || name.starts_with("PAIRPOST_") || name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("PAIRPOST_DATA_DIR", data).env("RUST_LOG", "pairpost=info").current_dir(data.parent().unwrap_or(data));
    command.env("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0").env("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0");
    command.env("PAIRPOST_AUTH__VERIFY", "off").env("PAIRPOST_RELAY__LIMITS", "off");
    command.envs(settings.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

/// Runs one of its commands to its end.
pub async fn run(binary: &Path, data: &Path, settings: &Settings, words: &[&str]) -> Result<()> {
    let done = command(binary, data, settings).args(words).output().await?;
    ensure!(done.status.success(), "pairpost {}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

/// `pairpost serve`, killed with this value.
pub struct Program {
    process: Child,
    lines: Option<Lines<BufReader<ChildStderr>>>,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Program {
    /// Begins to start it.
    pub fn spawn(binary: &Path, data: &Path, settings: &Settings) -> Result<Self> {
        let mut process = command(binary, data, settings).arg("serve").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting the program")?;
        let lines = BufReader::new(process.stderr.take().context("piped")?).lines();
        Ok(Self { process, lines: Some(lines), said: Arc::default() })
    }

    /// Waits until it takes mail; gives where.
    pub async fn ready(&mut self) -> Result<SocketAddr> {
        let mut lines = self.lines.take().context("it is waited for once")?;
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                note(&self.said, &line);
                if let Some(place) = line.strip_prefix("ready ").and_then(|rest| rest.split(' ').find_map(|word| word.strip_prefix("smtp="))) {
                    return Ok(place.parse()?);
                }
            }
            bail!("it ended")
        };
        let place = timeout(PATIENCE, ready).await.context("it takes too long").flatten();
        let place = place.with_context(|| format!("the program did not come up:\n{}", self.said()))?;
        let said = self.said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                note(&said, &line);
            }
        });
        Ok(place)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.process.id().context("it was waited for")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// `kill -9`, and it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// SIGTERM, and it ends cleanly.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let ended = timeout(PATIENCE, self.process.wait()).await.context("SIGTERM does not end it")??;
        ensure!(ended.success(), "SIGTERM does not end it cleanly:\n{}", self.said());
        Ok(())
    }

    /// Its last words.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|line| format!("    {line}\n")).collect()
    }
}

fn note(said: &Mutex<VecDeque<String>>, line: &str) {
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.push_back(line.to_owned());
    if said.len() > LINES {
        said.pop_front();
    }
}
