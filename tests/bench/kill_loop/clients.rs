//! Mail clients that relay letters as long as a round lasts, and hand over each again, with the same bytes, until it is answered 250.
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    chance::Chance,
    ledger::{Ledger, Mark},
};

/// Clients at once.
const CLIENTS: u32 = 8;
/// Partnerships whose letters they carry; each client has its own.
pub const PAIRS: u32 = 48;
/// Letters on one connection.
const LETTERS: u32 = 10;
/// While so many letters have not come, no more are written: what matters is who dies, not how long the queue grows meanwhile.
const UNDER_WAY: usize = 300;
/// Octets of a large letter: such a one is kept in another way than the others.
const LARGE: usize = 300 << 10;
/// How long a reply is waited for before the letter is handed over elsewhere or again.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where programs take mail now; an entry for each, empty while it is down.
#[derive(Debug, Default)]
pub struct Doors(Mutex<Vec<Option<SocketAddr>>>);

impl Doors {
    /// Program `number` takes mail there, or nowhere.
    pub fn set(&self, number: usize, place: Option<SocketAddr>) {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = doors.len().max(number + 1);
        doors.resize(length, None);
        doors[number] = place;
    }

    fn any(&self, chance: &mut Chance) -> Option<SocketAddr> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<_> = doors.iter().flatten().copied().collect();
        (!open.is_empty()).then(|| chance.one_of(&open))
    }
}

/// Clients at work.
#[derive(Default)]
pub struct Clients {
    stop: Arc<AtomicBool>,
    at_work: JoinSet<Result<()>>,
}

/// What all clients of an installation share.
#[derive(Debug, Default)]
pub struct Post {
    /// Where to.
    pub doors: Doors,
    /// What became of it.
    pub ledger: Arc<Ledger>,
    marks: AtomicU64,
}

impl Clients {
    /// They begin; each pauses at most so long between letters. With `also`, one of them writes to that partnership's partner as well.
    pub fn start(post: &Arc<Post>, pause: Duration, also: Option<u32>, chance: &mut Chance) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut at_work = JoinSet::new();
        for number in 0..CLIENTS {
            let mut pairs: Vec<u32> = (number..PAIRS).step_by(CLIENTS as usize).collect();
            pairs.extend(also.filter(|_| number == 0));
            let client = Client { post: post.clone(), stop: stop.clone(), chance: chance.split(), pause, pairs };
            at_work.spawn(client.run());
        }
        Self { stop, at_work }
    }

    /// An error when one of them can't go on.
    pub fn check(&mut self) -> Result<()> {
        match self.at_work.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }

    /// They end when what they have begun is answered 250.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.at_work.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Client {
    post: Arc<Post>,
    stop: Arc<AtomicBool>,
    chance: Chance,
    pause: Duration,
    pairs: Vec<u32>,
}

struct Session {
    stream: BufStream<TcpStream>,
    letters: u32,
}

impl Client {
    async fn run(mut self) -> Result<()> {
        let mut session = None;
        while !self.stop.load(Ordering::SeqCst) {
            if self.post.ledger.waiting() >= UNDER_WAY {
                sleep_until(Instant::now() + Duration::from_millis(20)).await;
                continue;
            }
            let mark = self.post.marks.fetch_add(1, Ordering::SeqCst);
            let pair = self.chance.one_of(&self.pairs);
            let size = if self.chance.once_in(50) { LARGE } else { self.chance.below(4000) as usize };
            let letter = letter(mark, pair, size);
            while !self.hand_over(&mut session, pair, &letter).await? {
                session = None;
                self.post.ledger.resent();
                sleep_until(Instant::now() + Duration::from_millis(20 + self.chance.below(60))).await;
            }
            self.post.ledger.accepted(mark);
            sleep_until(Instant::now() + self.pause.mul_f64(self.chance.below(1000) as f64 / 1000.0)).await;
        }
        Ok(())
    }

    /// True when it was answered 250. An error: it was refused for good, which no letter of ours deserves.
    async fn hand_over(&mut self, session: &mut Option<Session>, pair: u32, letter: &str) -> Result<bool> {
        let mut kept = match session.take().filter(|kept| kept.letters < LETTERS) {
            Some(kept) => kept,
            None => match self.connect().await {
                Some(fresh) => fresh,
                None => return Ok(false),
            },
        };
        let commands = [&format!("MAIL FROM:<sender{pair}@sender.example>\r\n"), &format!("RCPT TO:<alias{pair}@pairpost.localhost>\r\n"), "DATA\r\n", letter];
        for (command, wanted) in commands.into_iter().zip(['2', '2', '3', '2']) {
            match kept.ask(command).await {
                Some(reply) if reply.starts_with(wanted) => {}
                Some(reply) if reply.starts_with('5') => bail!("the program refused a letter of {} octets for good: {reply}", letter.len()),
                Some(_) | None => return Ok(false),
            }
        }
        kept.letters += 1;
        *session = Some(kept);
        Ok(true)
    }

    async fn connect(&mut self) -> Option<Session> {
        let door = self.post.doors.any(&mut self.chance)?;
        let stream = timeout(PATIENCE, TcpStream::connect(door)).await.ok()?.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut session = Session { stream: BufStream::new(stream), letters: 0 };
        session.ask("").await.filter(|greeting| greeting.starts_with('2'))?;
        session.ask("EHLO client.example\r\n").await.filter(|hello| hello.starts_with('2'))?;
        Some(session)
    }
}

impl Session {
    /// The last line of the reply; `None` when none came.
    async fn ask(&mut self, command: &str) -> Option<String> {
        let dialogue = async {
            self.stream.write_all(command.as_bytes()).await.ok()?;
            self.stream.flush().await.ok()?;
            loop {
                let mut reply = String::new();
                self.stream.read_line(&mut reply).await.ok().filter(|read| *read > 0)?;
                if reply.as_bytes().get(3) != Some(&b'-') {
                    return Some(reply.trim_end().to_owned());
                }
            }
        };
        timeout(PATIENCE, dialogue).await.ok().flatten()
    }
}

/// A letter with its mark, and so many octets of words.
fn letter(mark: Mark, pair: u32, size: usize) -> String {
    let words = "Thank you for your letter; here it rains and the reading room is full.\r\n".repeat(1 + size / 72);
    format!(
        "From: Sender <sender{pair}@sender.example>\r\nTo: <alias{pair}@pairpost.localhost>\r\nSubject: letter {mark}\r\n\
         Message-ID: <{mark}.loop@sender.example>\r\nDate: Mon, 01 Mar 2027 09:00:00 +0000\r\n\r\n{words}.\r\n"
    )
}
