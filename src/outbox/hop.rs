//! The next hop: where it is, how it is spoken to, which connections to it are kept, and what its replies mean.
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use mail_send::{Error, smtp::message::Parameters};
use smtp_proto::{EXT_8BIT_MIME, EXT_SIZE, EXT_SMTP_UTF8, Response};
use tokio::sync::Semaphore;

use super::connection::{Connection, Dialer};
use crate::{config::Delivery, domain::address::EmailAddress};

/// Letters on one connection: some servers want a limit.
const LETTERS: u32 = 100;
/// A kept connection is not trusted for longer: most servers close after five minutes of silence.
const IDLE: Duration = Duration::from_secs(60);
/// Failures to reach the hop in a row after which only one connection at a time probes it.
const CIRCUIT: u32 = 3;

/// Why a letter was not taken.
#[derive(Debug)]
pub enum Failure {
    /// It may be taken later (4xx, or nobody answered).
    Later(String),
    /// It will not be (5xx).
    Never(String),
}

/// The smarthost.
pub struct NextHop {
    dialer: Dialer,
    idle: Mutex<Vec<(Connection, Instant)>>,
    failures: AtomicU32,
    probe: Semaphore,
}

impl NextHop {
    /// Reads `delivery.smarthost`: `smtp://[user:password@]host[:port]` or `smtps://…`.
    pub fn new(delivery: &Delivery, domain: &str) -> Result<Self> {
        let Some(url) = &delivery.smarthost else { bail!("delivery.smarthost is not set") };
        let dialer = Dialer::new(url, domain, Duration::from_secs(delivery.timeout_seconds)).context("delivery.smarthost")?;
        Ok(Self { dialer, idle: Mutex::default(), failures: AtomicU32::new(0), probe: Semaphore::new(1) })
    }

    /// Hands one letter over; gives the hop's last words.
    pub async fn deliver(&self, reverse_path: &str, to: &EmailAddress, letter: &[u8]) -> Result<String, Failure> {
        // While the hop can't be reached, one letter at a time tries; the others follow when it answers again.
        let _probe = match self.failures.load(Ordering::Relaxed) >= CIRCUIT {
            true => Some(self.probe.try_acquire().map_err(|_| Failure::Later("the next hop does not answer; waiting for it".into()))?),
            false => None,
        };
        if let Some(mut kept) = self.kept() {
            match send(&mut kept, reverse_path, to, letter).await {
                // A kept connection that died meanwhile says nothing about the hop, if nothing was sent on it.
                Err((_, Broken::BeforeData)) => {}
                other => return self.settle(kept, other),
            }
        }
        match self.dialer.dial().await {
            Ok(mut fresh) => {
                self.failures.store(0, Ordering::Relaxed);
                let sent = send(&mut fresh, reverse_path, to, letter).await;
                self.settle(fresh, sent)
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(refused(&error).map_or_else(|| Failure::Later(said(&error)), |reply| Failure::Later(words(reply))))
            }
        }
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn settle(&self, mut connection: Connection, sent: Result<String, (Error, Broken)>) -> Result<String, Failure> {
        let (result, alive) = match sent {
            Ok(reply) => (Ok(reply), true),
            Err((error, broken)) => match refused(&error) {
                Some(reply) => (Err(if reply.code / 100 == 5 { Failure::Never(words(reply)) } else { Failure::Later(words(reply)) }), broken == Broken::Not),
                None => (Err(Failure::Later(said(&error))), false),
            },
        };
        connection.letters += 1;
        if alive && connection.letters < LETTERS {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        }
        result
    }
}

/// How a dialogue that failed left its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// It is in order: RSET was answered.
    Not,
    /// It died before the letter's bytes were on their way: another connection may try.
    BeforeData,
    /// It died with the letter on its way: nobody knows whether it was taken (RFC 1047).
    InData,
}

/// MAIL, RCPT, DATA: step by step, so that each refusal is known for what it is.
async fn send(connection: &mut Connection, reverse_path: &str, to: &EmailAddress, letter: &[u8]) -> Result<String, (Error, Broken)> {
    let size = letter.len().to_string();
    let mut mail = Parameters::new();
    if connection.offers(EXT_SIZE) {
        mail.add(("SIZE", size.as_str()));
    }
    if connection.offers(EXT_8BIT_MIME) && !letter.is_ascii() {
        mail.add(("BODY", "8BITMIME"));
    }
    if to.is_international() {
        if !connection.offers(EXT_SMTP_UTF8) {
            return Err((Error::UnexpectedReply(no_smtputf8()), Broken::Not));
        }
        mail.add("SMTPUTF8");
    }
    let envelope = async {
        connection.client.mail_from(reverse_path, &mail).await?;
        connection.client.rcpt_to(to.as_str(), &Parameters::new()).await
    };
    if let Err(error) = envelope.await {
        return Err(reset(connection, error).await);
    }
    // mail-send ends the letter with CRLF.CRLF: our own last CRLF would become an empty line.
    let letter = letter.strip_suffix(b"\r\n").unwrap_or(letter);
    match connection.client.data(letter).await {
        Ok(reply) => Ok(words(&reply)),
        Err(error) if refused(&error).is_some() => Err(reset(connection, error).await),
        Err(error) => Err((error, Broken::InData)),
    }
}

/// After a refusal the connection can be used again, if it says so.
async fn reset(connection: &mut Connection, error: Error) -> (Error, Broken) {
    match refused(&error) {
        // 421 closes (RFC 5321 3.8).
        Some(reply) if reply.code == 421 => (error, Broken::InData),
        Some(_) => match connection.client.rset().await {
            Ok(()) => (error, Broken::Not),
            Err(_) => (error, Broken::InData),
        },
        None => (error, Broken::BeforeData),
    }
}

/// The hop's own no, where it said one.
fn refused(error: &Error) -> Option<&Response<String>> {
    match error {
        Error::UnexpectedReply(reply) | Error::AuthenticationFailed(reply) => Some(reply),
        Error::Io(_)
        | Error::Tls(_)
        | Error::Base64(_)
        | Error::Auth(_)
        | Error::UnparseableReply
        | Error::InvalidTLSName
        | Error::MissingCredentials
        | Error::MissingMailFrom
        | Error::MissingRcptTo
        | Error::UnsupportedAuthMechanism
        | Error::Timeout
        | Error::MissingStartTls => None,
    }
}

/// Code, enhanced code and text, on one line.
fn words(reply: &Response<String>) -> String {
    let text: String = reply.message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    match reply.esc {
        [0, 0, 0] => format!("{} {}", reply.code, text.trim()),
        [class, subject, detail] => format!("{} {class}.{subject}.{detail} {}", reply.code, text.trim()),
    }
}

fn said(error: &Error) -> String {
    match error {
        Error::Timeout => "the next hop did not answer in time".into(),
        error => format!("the next hop can't be spoken to: {error}"),
    }
}

fn no_smtputf8() -> Response<String> {
    Response { code: 550, esc: [5, 6, 7], message: "the next hop takes no international addresses (SMTPUTF8)".into() }
}
