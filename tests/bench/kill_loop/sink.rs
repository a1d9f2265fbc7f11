//! The next hop: notes each letter that it keeps, knows how many connections are open, and can be in any mood.
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    chance::Chance,
    ledger::{Ledger, Mark},
    moods::{Act, Mood, Step},
};

/// Listens until it is dropped.
pub struct Sink {
    /// Where.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    /// Whose next hop it is.
    program: usize,
    ledger: Arc<Ledger>,
    mood: watch::Sender<Mood>,
    /// A mailbox that does not exist for [`Mood::Rejects`].
    dead: Mutex<String>,
    /// At most so long it thinks about a letter.
    thinks: Mutex<Duration>,
    open: AtomicUsize,
    chance: Mutex<Chance>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Sink {
    /// The next hop of this program.
    pub async fn start(program: usize, ledger: Arc<Ledger>, chance: Chance) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            program,
            ledger,
            mood: watch::Sender::new(Mood::Good),
            dead: Mutex::default(),
            thinks: Mutex::default(),
            open: AtomicUsize::new(0),
            chance: Mutex::new(chance),
        });
        let accepting = shared.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = accepting.clone();
                shared.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _over = Session::new(stream, &shared).run().await;
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { address, shared, listening })
    }

    /// From now on it is in this mood; whom it kept waiting it hangs up on.
    pub fn mood(&self, mood: Mood, dead: String) {
        *self.shared.dead.lock().unwrap_or_else(PoisonError::into_inner) = dead;
        self.shared.mood.send_replace(mood);
    }

    /// From now on it thinks at most so long about a letter.
    pub fn thinks(&self, at_most: Duration) {
        *self.shared.thinks.lock().unwrap_or_else(PoisonError::into_inner) = at_most;
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

struct Session<'a> {
    stream: BufStream<TcpStream>,
    shared: &'a Shared,
    chance: Chance,
}

impl<'a> Session<'a> {
    fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        let chance = shared.chance.lock().unwrap_or_else(PoisonError::into_inner).split();
        Self { stream: BufStream::new(stream), shared, chance }
    }

    /// `None`: it is over.
    async fn run(&mut self) -> Option<()> {
        self.stream.get_ref().set_nodelay(true).ok()?;
        let (mut from, mut to) = (false, None);
        self.reply(Step::Greeting, "220 next.test").await?;
        loop {
            let line = self.line().await?;
            let verb: String = line.chars().take_while(char::is_ascii_alphabetic).collect();
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let tls = if self.mood().announces_tls(&mut self.chance) { "250-STARTTLS\r\n" } else { "" };
                    self.reply(Step::Hello, &format!("250-next.test\r\n250-PIPELINING\r\n{tls}250 8BITMIME")).await?;
                }
                "STARTTLS" => drop(self.reply(Step::StartTls, "454 4.7.0 not today").await?),
                "MAIL" => {
                    to = None;
                    from = self.reply(Step::Mail, "250 2.1.0 ok").await?;
                }
                "RCPT" if !from => self.say("503 5.5.1 MAIL first").await?,
                "RCPT" => {
                    let mailbox = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(mailbox, _)| mailbox.to_owned())?;
                    let dead = self.shared.dead.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    match self.mood().rejects(&mailbox, &dead) {
                        Some(no) => self.say(no).await?,
                        None => to = self.reply(Step::Rcpt, "250 2.1.5 ok").await?.then_some(mailbox),
                    }
                }
                "DATA" if to.is_none() => self.say("503 5.5.1 RCPT first").await?,
                "DATA" => {
                    if self.reply(Step::Data, "354 go on").await? {
                        let letter = self.letter().await?;
                        self.end(&to.take()?, &letter).await?;
                    }
                }
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => drop(self.reply(Step::Other, "250 2.0.0 ok").await?),
            }
        }
    }

    /// The dot has come: the letter is noted exactly if it is going to be answered 250, and before that.
    async fn end(&mut self, to: &str, letter: &str) -> Option<()> {
        let thinks = *self.shared.thinks.lock().unwrap_or_else(PoisonError::into_inner);
        let thinks = thinks.mul_f64(self.chance.below(1000) as f64 / 1000.0);
        self.pause(thinks).await;
        let act = self.mood().act(Step::Dot, &mut self.chance);
        if matches!(act, Act::Usual | Act::Drip(_)) {
            let field = |name: &str| letter.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name));
            let is_notice = to.ends_with("@sender.example");
            let mark = match is_notice {
                true => field("In-Reply-To: <").and_then(|rest| rest.split('.').next()),
                false => field("Subject: letter "),
            };
            let mark: Option<Mark> = mark.and_then(|mark| mark.trim().parse().ok());
            match (mark, field("Message-ID: ")) {
                (Some(mark), Some(message_id)) => self.shared.ledger.kept(mark, message_id, self.shared.program, is_notice),
                _ => {
                    self.shared.ledger.strange();
                    eprintln!("a letter that nobody wrote came to {to}:\n{letter}");
                }
            }
        }
        self.perform(act, "250 2.0.0 kept").await.map(drop)
    }

    fn mood(&self) -> Mood {
        *self.shared.mood.borrow()
    }

    /// Says what it should, or what its mood is; true when it said what it should.
    async fn reply(&mut self, step: Step, usual: &str) -> Option<bool> {
        let act = self.mood().act(step, &mut self.chance);
        self.perform(act, usual).await
    }

    async fn perform(&mut self, act: Act, usual: &str) -> Option<bool> {
        match act {
            Act::Usual => self.say(usual).await.map(|()| true),
            Act::Say(line) => {
                self.say(line).await?;
                (!line.starts_with("421")).then_some(false)
            }
            Act::Close => None,
            Act::Stall => {
                let mut mood = self.shared.mood.subscribe();
                let changed = mood.wait_for(|mood| *mood != Mood::Stalls);
                // The other side may have enough of it before, or die.
                let mut swallowed = Vec::new();
                tokio::select! { _ = changed => {}, _ = swallow(&mut self.stream, &mut swallowed) => {} }
                None
            }
            Act::Drip(pause) => {
                let (first, rest) = usual.split_at(1);
                self.stream.write_all(first.as_bytes()).await.ok()?;
                self.stream.flush().await.ok()?;
                self.pause(pause).await;
                self.say(rest).await.map(|()| true)
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        if !pause.is_zero() {
            sleep_until(Instant::now() + pause).await;
        }
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
        self.stream.flush().await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await.ok()?;
        (read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The lines up to the dot.
    async fn letter(&mut self) -> Option<String> {
        let mut letter = String::new();
        if self.mood().closes_in_letter(&mut self.chance) {
            self.line().await?;
            return None;
        }
        loop {
            let line = self.line().await?;
            if line == "." {
                return Some(letter);
            }
            letter.push_str(&line);
            letter.push('\n');
        }
    }
}

async fn swallow(stream: &mut BufStream<TcpStream>, into: &mut Vec<u8>) {
    while stream.read_until(b'\n', into).await.is_ok_and(|read| read > 0) {
        into.clear();
    }
}
