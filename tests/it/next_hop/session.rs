//! One session of the next hop's, in whatever mood.
use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::{
    Seen, Taken,
    mood::{Mood, Step},
};

/// Either side of TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session<'a> {
    /// Counts as a letter on its way to a domain. Before the stream, so that the other side never hears of an end that is not noted here.
    under_way: Option<UnderWay<'a>>,
    /// Has come, and is not yet kept.
    letter: Option<Vec<u8>>,
    stream: BufReader<Box<dyn Stream>>,
    seen: &'a Seen,
    number: usize,
    encrypted: bool,
    /// It hangs up as soon as what it does is done.
    over: bool,
    from: Option<String>,
    to: Option<String>,
}

/// Until it is dropped.
struct UnderWay<'a>(&'a Seen, String);

impl<'a> UnderWay<'a> {
    fn new(seen: &'a Seen, domain: &str) -> Self {
        let mut crowds = seen.crowds.lock().unwrap();
        let (now, most) = crowds.entry(domain.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        seen.changed.notify_waiters();
        Self(seen, domain.to_owned())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = self.0.crowds.lock().unwrap().get_mut(&self.1) {
            *now -= 1;
        }
    }
}

/// From the greeting to the end.
pub async fn run(stream: TcpStream, seen: &Seen, number: usize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let stream = BufReader::new(Box::new(stream) as Box<dyn Stream>);
    let mut session = Session { under_way: None, letter: None, stream, seen, number, encrypted: false, over: false, from: None, to: None };
    if seen.tls_from_start {
        session = session.encrypt().await?;
    }
    session.reply(Step::Greeting, "220 next.test").await?;
    while !session.over {
        let line = session.line().await?;
        seen.hear(&line);
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => session.hello().await?,
            "HELO" => drop(session.reply(Step::Helo, "250 next.test").await?),
            "STARTTLS" => {
                if session.reply(Step::StartTls, "220 go").await? {
                    session = session.encrypt().await?;
                }
            }
            "AUTH" => drop(session.reply(Step::Auth, "235 2.7.0 welcome").await?),
            "MAIL" => {
                if session.reply(Step::Mail, "250 2.1.0 ok").await? {
                    session.from = line.split_once(':').map(|(_, path)| path.to_owned());
                }
            }
            "RCPT" => session.recipient(&line).await?,
            "DATA" => session.data().await?,
            "RSET" => {
                session.forget();
                session.reply(Step::Rset, "250 2.0.0 ok").await?;
            }
            "QUIT" => return session.reply(Step::Quit, "221 2.0.0 bye").await.map(drop),
            _ => session.say("500 5.5.2 what?").await?,
        }
    }
    Some(())
}

impl<'a> Session<'a> {
    async fn hello(&mut self) -> Option<()> {
        let extensions = self.seen.extensions.lock().unwrap().clone();
        let lines = extensions.iter().filter(|word| !(self.encrypted && word.as_str() == "STARTTLS")).map(|word| format!("250-{word}\r\n"));
        let reply = format!("250-next.test\r\n{}250 HELP", lines.collect::<String>());
        self.reply(if self.encrypted { Step::Secure } else { Step::Hello }, &reply).await.map(drop)
    }

    async fn recipient(&mut self, line: &str) -> Option<()> {
        let mailbox = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(mailbox, _)| mailbox.to_owned()).unwrap_or_default();
        let domain = mailbox.rsplit('@').next().unwrap_or_default().to_owned();
        self.under_way = Some(UnderWay::new(self.seen, &domain));
        let pause = self.seen.slow.lock().unwrap().get(&domain).copied();
        if let Some(pause) = pause {
            tokio::time::sleep_until(Instant::now() + pause).await;
        }
        let own = self.seen.recipients.lock().unwrap().get(&mailbox).cloned();
        let usual = own.unwrap_or_else(|| if self.from.is_some() { "250 2.1.5 ok" } else { "503 5.5.1 MAIL first" }.to_owned());
        if self.reply(Step::Rcpt, &usual).await? && usual.starts_with('2') {
            self.to = Some(mailbox);
        }
        Some(())
    }

    async fn data(&mut self) -> Option<()> {
        if self.to.is_none() {
            return self.reply(Step::Data, "503 5.5.1 RCPT first").await.map(drop);
        }
        if !self.reply(Step::Data, "354 go on").await? {
            return Some(());
        }
        self.letter = Some(self.letter().await?);
        self.seen.hear(".");
        let pause = *self.seen.pause.lock().unwrap();
        if !pause.is_zero() {
            tokio::time::sleep_until(Instant::now() + pause).await;
        }
        self.reply(Step::Dot, "250 2.0.0 queued as 77").await?;
        self.forget();
        Some(())
    }

    /// Before it says so, for whoever hears that may look.
    fn keep(&mut self) {
        if let Some(bytes) = self.letter.take() {
            let (from, to) = (self.from.take().unwrap_or_default(), self.to.take().unwrap_or_default());
            self.forget();
            self.seen.keep(Taken { from, to, bytes, connection: self.number, encrypted: self.encrypted });
        }
    }

    fn forget(&mut self) {
        (self.from, self.to, self.under_way, self.letter) = (None, None, None, None);
    }

    async fn encrypt(mut self) -> Option<Session<'a>> {
        let mood = self.seen.moods.lock().unwrap().at(Step::Handshake, self.number);
        match mood {
            None => {}
            Some(Mood::Raw(octets)) => self.write(octets).await?,
            Some(Mood::Stall) => self.stall().await?,
            Some(_) => return None,
        }
        let acceptor = self.seen.tls.clone()?;
        let stream = acceptor.accept(self.stream.into_inner()).await.ok()?;
        Some(Session { stream: BufReader::new(Box::new(stream)), encrypted: true, from: None, to: None, ..self })
    }

    /// Says what it should, or what its mood is; true when it said what it should. `None` ends the session.
    async fn reply(&mut self, step: Step, usual: &str) -> Option<bool> {
        let mood = self.seen.moods.lock().unwrap().at(step, self.number);
        match mood {
            None => {
                self.keep();
                self.say(usual).await?;
            }
            Some(Mood::Say(line)) => {
                // Other words for the same are as good.
                let is_the_same = line.get(..1) == usual.get(..1);
                if is_the_same {
                    self.keep();
                } else if self.letter.is_some() {
                    self.forget();
                }
                self.say(line).await?;
                return (!line.starts_with("421")).then_some(is_the_same);
            }
            Some(Mood::Raw(octets)) => {
                self.write(octets).await?;
                return Some(false);
            }
            Some(Mood::Endless(octets)) => {
                let much = octets.repeat(65536 / octets.len());
                loop {
                    self.write(&much).await?;
                    self.seen.poured.fetch_add(much.len(), Ordering::SeqCst);
                }
            }
            Some(Mood::Close) => return None,
            Some(Mood::Stall) => self.stall().await?,
            Some(Mood::Wait) => {
                self.seen.go_on.notified().await;
                self.keep();
                self.say(usual).await?;
            }
            Some(Mood::Slowly(pause)) => self.slowly(usual, pause).await?,
            Some(Mood::More(octets)) => {
                self.keep();
                self.write(&[usual.as_bytes(), b"\r\n", octets].concat()).await?;
            }
            Some(Mood::Lose) => {
                self.keep();
                self.over = true;
            }
        }
        Some(true)
    }

    /// Until the other side has enough of it.
    async fn stall(&mut self) -> Option<()> {
        while self.line().await.is_some() {}
        None
    }

    async fn slowly(&mut self, line: &str, pause: Duration) -> Option<()> {
        for octet in format!("{line}\r\n").as_bytes() {
            tokio::time::sleep_until(Instant::now() + pause).await;
            if *octet == b'\n' {
                self.keep();
            }
            self.write(&[*octet]).await?;
        }
        Some(())
    }

    async fn say(&mut self, line: &str) -> Option<()> {
        self.write(format!("{line}\r\n").as_bytes()).await
    }

    async fn write(&mut self, octets: &[u8]) -> Option<()> {
        self.stream.write_all(octets).await.ok()?;
        self.stream.flush().await.ok()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line).await.ok()?;
        (read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn letter(&mut self) -> Option<Vec<u8>> {
        let mut letter = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await.ok()? == 0 {
                return None;
            }
            if line == b".\r\n" {
                return Some(letter);
            }
            letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
