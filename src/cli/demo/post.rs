//! Everybody's small mail program: sends by SMTP, and reads what lies in the Maildir.
use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, Utc};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{
    cast::Person,
    compose::{self, Words},
};
use crate::mail::message::Message;

/// A letter that somebody sent.
#[derive(Debug)]
pub struct Sent {
    /// Who.
    pub writer: &'static Person,
    /// To which mailbox of ours.
    pub to: String,
    /// As it left their machine.
    pub raw: Vec<u8>,
    /// What the server said in the end.
    pub answer: String,
}

impl Sent {
    /// Whether the server took it.
    pub fn taken(&self) -> bool {
        self.answer.starts_with("250 ")
    }
}

/// A letter that somebody got.
#[derive(Debug)]
pub struct Received {
    /// As it was delivered.
    pub raw: Vec<u8>,
    /// Read.
    pub message: Message,
}

impl Received {
    /// Its words without their line ends, for looking a phrase up.
    pub fn words(&self) -> String {
        self.message.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// All mail programs, and what passed through them.
#[derive(Debug)]
pub struct Post {
    server: SocketAddr,
    maildirs: PathBuf,
    /// Letters sent, in order.
    pub sent: Vec<Sent>,
    /// Letters that lie read in somebody's mailbox but were not looked for yet.
    unexpected: HashMap<&'static str, Vec<Received>>,
}

impl Post {
    /// Sends to `server`, reads below `maildirs`.
    pub fn new(server: SocketAddr, maildirs: PathBuf) -> Self {
        Self { server, maildirs, sent: Vec::new(), unexpected: HashMap::new() }
    }

    /// Somebody's Maildir.
    pub fn maildir(&self, person: &Person) -> PathBuf {
        self.maildirs.join(person.address)
    }

    /// Sends a letter that the server has to take.
    pub async fn send(&mut self, writer: &'static Person, to: &str, words: &Words<'_>, now: DateTime<Utc>) -> Result<()> {
        let sent = self.offer(writer, to, words, now).await?;
        ensure!(sent.taken(), "the letter of {} was refused: {}", writer.name, sent.answer);
        Ok(())
    }

    /// Answers a letter as a mail program does: to its Reply-To, else to its From.
    pub async fn reply(&mut self, writer: &'static Person, message: &Message, words: Words<'_>, now: DateTime<Utc>) -> Result<()> {
        let to = message.reply_to.first().or(message.from.as_ref()).context("the letter names nobody to reply to")?.to_string();
        self.send(writer, &to, &Words { answers: Some(message), ..words }, now).await
    }

    /// Offers a letter to the server, which may refuse it.
    pub async fn offer(&mut self, writer: &'static Person, to: &str, words: &Words<'_>, now: DateTime<Utc>) -> Result<&Sent> {
        let raw = compose::letter(writer, to, words, self.sent.len() + 1, now)?;
        let answer = hand_over(self.server, writer, to, &raw).await.with_context(|| format!("sending a letter of {}", writer.name))?;
        self.sent.push(Sent { writer, to: to.to_owned(), raw, answer });
        self.sent.last().context("it was just sent")
    }

    /// The letter that somebody got whose subject holds `words`; an error that says what else lies there, if it does not.
    pub fn open(&mut self, reader: &'static Person, words: &str) -> Result<Received> {
        let here = self.look(reader)?;
        match here.iter().position(|letter| letter.message.subject.contains(words)) {
            Some(at) => Ok(here.remove(at)),
            None => {
                let subjects: Vec<&str> = here.iter().map(|letter| letter.message.subject.as_str()).collect();
                bail!("{} did not get the letter “{words}”; new in the mailbox: {subjects:?}", reader.name)
            }
        }
    }

    /// Whether no letter lies there that was not looked for.
    pub fn nothing_more(&mut self, reader: &'static Person) -> Result<()> {
        let here = self.look(reader)?;
        let subjects: Vec<&str> = here.iter().map(|letter| letter.message.subject.as_str()).collect();
        ensure!(subjects.is_empty(), "{} got letters that nobody expected: {subjects:?}", reader.name);
        Ok(())
    }

    /// Reads what is new, and marks it so, as mail programs do: from `new` to `cur`, with the flag S.
    fn look(&mut self, reader: &'static Person) -> Result<&mut Vec<Received>> {
        let maildir = self.maildir(reader);
        let here = self.unexpected.entry(reader.address).or_default();
        for path in letters_in(&maildir.join("new"))? {
            let raw = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.file_name().context("a letter has a name")?.to_string_lossy().into_owned();
            fs::rename(&path, maildir.join("cur").join(format!("{name}:2,S"))).with_context(|| format!("marking {} as read", path.display()))?;
            here.push(Received { message: Message::parse(&raw), raw });
        }
        Ok(here)
    }

    /// Every letter in somebody's mailbox, as it was delivered.
    pub fn delivered(&self, reader: &Person) -> Result<Vec<Vec<u8>>> {
        let maildir = self.maildir(reader);
        let mut paths = letters_in(&maildir.join("cur"))?;
        paths.extend(letters_in(&maildir.join("new"))?);
        paths.iter().map(|path| fs::read(path).with_context(|| format!("reading {}", path.display()))).collect()
    }

    /// How many mailboxes there are, whosesoever.
    pub fn mailboxes(&self) -> Result<usize> {
        Ok(letters_in(&self.maildirs)?.len())
    }
}

/// What lies in a folder, in the order of names, which is that of delivery.
fn letters_in(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", folder.display())),
    }
}

/// One letter in one session; gives the last reply, whatever it is.
async fn hand_over(server: SocketAddr, writer: &Person, to: &str, raw: &[u8]) -> Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    stream.get_ref().set_nodelay(true)?;
    reply(&mut stream).await?;
    let from = writer.address;
    for command in [format!("EHLO {}", writer.host), format!("MAIL FROM:<{from}> BODY=8BITMIME"), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let answer = reply(&mut stream).await?;
        if !answer.starts_with(['2', '3']) {
            return Ok(answer);
        }
    }
    // A line that begins with a dot gets another one (RFC 5321 4.5.2).
    let mut data = Vec::with_capacity(raw.len() + 8);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            data.push(b'.');
        }
        data.extend_from_slice(line);
    }
    data.extend_from_slice(b".\r\n");
    stream.write_all(&data).await?;
    let answer = reply(&mut stream).await?;
    stream.write_all(b"QUIT\r\n").await?;
    Ok(answer)
}

/// A reply, its lines as one.
async fn reply(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut words = String::new();
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the server hung up");
        let line = line.trim_end();
        match (words.is_empty(), line.get(4..)) {
            (true, _) => words.push_str(line),
            (false, Some(rest)) => {
                words.push(' ');
                words.push_str(rest);
            }
            (false, None) => {}
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            // A reply of several lines names its code once.
            return Ok(words.replacen('-', " ", usize::from(words.as_bytes().get(3) == Some(&b'-'))));
        }
    }
}
