//! A next hop that keeps what it gets, and refuses whom a test tells it to.
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A letter that was caught.
#[derive(Debug, Clone)]
pub struct Caught {
    /// MAIL FROM, without brackets.
    pub reverse_path: String,
    /// RCPT TO, without brackets.
    pub to: String,
    /// The bytes, dots unstuffed.
    pub raw: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    caught: Vec<Caught>,
    count: i64,
    refusals: HashMap<String, String>,
}

/// Catches until it is dropped.
#[derive(Debug)]
pub struct Catcher {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: JoinHandle<()>,
}

impl Catcher {
    /// Listens on a free port of loopback.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, shared.clone()));
            }
        });
        Self { address, state, listening }
    }

    /// From now on RCPT for `address` is answered with `reply`; `None`: taken again.
    pub fn refuse(&self, address: &str, reply: Option<String>) {
        let mut state = self.state.lock().expect("no panic");
        match reply {
            Some(reply) => state.refusals.insert(address.to_owned(), reply),
            None => state.refusals.remove(address),
        };
    }

    /// Takes the first letter to `address` out.
    pub fn take(&self, address: &str) -> Option<Caught> {
        let mut state = self.state.lock().expect("no panic");
        let at = state.caught.iter().position(|letter| letter.to == address)?;
        Some(state.caught.remove(at))
    }

    /// Letters caught so far, those taken out included.
    pub fn count(&self) -> i64 {
        self.state.lock().expect("no panic").count
    }

    /// Everything that nobody took out.
    pub fn rest(&self) -> Vec<Caught> {
        self.state.lock().expect("no panic").caught.clone()
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn talk(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    writer.write_all(b"220 catcher\r\n").await.ok()?;
    let (mut from, mut to) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let path = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let reply = match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => "250-catcher\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES".to_owned(),
            "MAIL" => {
                from = path();
                to.clear();
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" => {
                let refusal = state.lock().expect("no panic").refusals.get(&path()).cloned();
                to = if refusal.is_some() { String::new() } else { path() };
                refusal.unwrap_or_else(|| "250 2.1.5 ok".to_owned())
            }
            "DATA" if to.is_empty() => "503 5.5.1 no recipient was taken".to_owned(),
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await.ok()?;
                let raw = body(&mut reader).await?;
                let letter = Caught { reverse_path: from.clone(), to: to.clone(), raw };
                let mut state = state.lock().expect("no panic");
                state.caught.push(letter);
                state.count += 1;
                drop(state);
                "250 2.0.0 caught".to_owned()
            }
            "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n").await.ok(),
            _ => "250 2.0.0 ok".to_owned(),
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}

async fn body(reader: &mut (impl AsyncReadExt + AsyncBufReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(raw);
        }
        raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
