//! The next hop: which connections to it are kept, how a letter is handed over, what the replies mean, and when it is left in peace.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use mail_send::Error;
use smtp_proto::{EXT_8BIT_MIME, EXT_PIPELINING, EXT_SIZE, EXT_SMTP_UTF8, Response};
use tokio::io::AsyncWriteExt;

use super::connection::{Connection, Dialer};
use super::sign::Signed;
use crate::{
    config::Delivery,
    domain::address::EmailAddress,
    mail::{bounce, lines::lines},
    store::ownership::Term,
};

/// Letters on one connection: some servers want a limit.
const LETTERS: u32 = 100;
/// A kept connection is not trusted for longer: many servers close after a minute of silence.
const IDLE: Duration = Duration::from_secs(30);
/// Failures to reach the hop in a row after which only one letter at a time tries.
const CIRCUIT: u32 = 3;
/// The letter's bytes and the hop's last word on them may take so many times a step's time: RFC 5321 4.5.3.2.6 grants ten minutes.
const BODY_PATIENCE: u32 = 5;
/// A larger letter is written in pieces of so many octets, so that no second copy of it has to be held.
const PIECE: usize = 256 << 10;

/// Why a letter was not taken.
#[derive(Debug)]
pub enum Failure {
    /// It may be taken later (4xx, or nobody answered).
    Later(String),
    /// It will not be (5xx).
    Never(String),
    /// We lost the right to send it before its last octet was on its way.
    NotOurs,
}

/// A letter as it travels.
#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    /// The envelope's sender; `None` is the null reverse-path.
    pub from: Option<&'a EmailAddress>,
    /// The envelope's recipient.
    pub to: &'a EmailAddress,
    /// Its lines end in CRLF, the last one too; no CR or LF besides.
    pub letter: &'a Signed<'a>,
    /// While this is held, nobody else sends it: asked before each step, and for the last time before its last octets.
    pub term: &'a Term,
}

/// The smarthost.
pub struct NextHop {
    dialer: Dialer,
    idle: Mutex<Vec<(Connection, Instant)>>,
    circuit: Mutex<Circuit>,
}

/// How often the hop could not be reached, without a success between.
#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    probes: u32,
    probed_at: Option<DateTime<Utc>>,
}

impl NextHop {
    /// Reads `delivery.smarthost`: `smtp://[user:password@]host[:port]` or `smtps://…`.
    pub fn new(delivery: &Delivery, domain: &str) -> Result<Self> {
        let Some(url) = &delivery.smarthost else { bail!("delivery.smarthost is not set") };
        let dialer = Dialer::new(url, domain, Duration::from_secs(delivery.timeout_seconds.max(1))).context("delivery.smarthost")?;
        Ok(Self { dialer, idle: Mutex::default(), circuit: Mutex::default() })
    }

    /// How many of `most` letters may be on their way at once: while the hop can't be reached, one, every few seconds; the others keep their attempts.
    pub fn room(&self, most: usize, flying: usize, now: DateTime<Utc>) -> usize {
        let circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        if circuit.failures < CIRCUIT {
            return most.saturating_sub(flying);
        }
        let pause = TimeDelta::seconds((5_i64 << circuit.probes.min(4)).min(60));
        usize::from(!(flying > 0 || circuit.probed_at.is_some_and(|at| now - at < pause)))
    }

    /// Letters were set on their way; while it is open that is the one that asks.
    pub fn launched(&self, now: DateTime<Utc>) {
        let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        if circuit.failures >= CIRCUIT {
            circuit.probes += 1;
            circuit.probed_at = Some(now);
        }
    }

    /// It can't be reached, as far as we know: one letter at a time asks whether it is back.
    pub fn is_away(&self) -> bool {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner).failures >= CIRCUIT
    }

    /// Connections that are open and idle.
    pub fn kept_connections(&self) -> usize {
        self.idle().len()
    }

    /// Hands one letter over; gives the hop's last words.
    pub async fn deliver(&self, parcel: Parcel<'_>) -> Result<String, Failure> {
        if let Some(kept) = self.kept() {
            // A kept connection that the hop closed meanwhile says nothing about this letter.
            if let Some(result) = self.hand_over(kept, parcel).await {
                return result;
            }
        }
        match self.dialer.dial().await {
            Ok(fresh) => {
                *self.circuit.lock().unwrap_or_else(PoisonError::into_inner) = Circuit::default();
                let gone = || Err(Failure::Later("the next hop closed the connection".into()));
                self.hand_over(fresh, parcel).await.unwrap_or_else(gone)
            }
            Err(error) => {
                self.circuit.lock().unwrap_or_else(PoisonError::into_inner).failures += 1;
                // Also a 5xx here is about us and the hop, not about the letter.
                Err(Failure::Later(said(&error)))
            }
        }
    }

    /// Closes kept connections: those that are idle for long, or all.
    pub async fn close_idle(&self, all: bool) {
        let old = {
            let mut idle = self.idle();
            let (old, young): (Vec<_>, Vec<_>) = idle.drain(..).partition(|(_, since)| all || since.elapsed() >= IDLE);
            *idle = young;
            old
        };
        for (mut connection, _) in old {
            // RFC 5321 4.1.1.10 wants the answer awaited; a second is enough for a connection that nobody needs.
            let quit = connection.client.cmd("QUIT\r\n");
            if tokio::time::timeout(Duration::from_secs(1), quit).await.is_err() {
                tracing::debug!("the next hop did not answer QUIT");
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    /// `None`: the connection died, or said 421, before the letter was on its way.
    async fn hand_over(&self, mut connection: Connection, parcel: Parcel<'_>) -> Option<Result<String, Failure>> {
        connection.letters += 1;
        let (result, usable) = match dialogue(&mut connection, parcel).await {
            Said::Taken(reply) => (Ok(words(&reply)), true),
            Said::No(reply) if reply.code == 421 && connection.letters > 1 => return None,
            Said::No(reply) => {
                // 421 closes (RFC 5321 3.8); after another no the connection can be used again, if the hop says so.
                let usable = reply.code != 421 && matches!(connection.client.cmd("RSET\r\n").await, Ok(reset) if reset.is_positive_completion());
                (Err(if reply.code / 100 == 5 { Failure::Never(words(&reply)) } else { Failure::Later(words(&reply)) }), usable)
            }
            // Without its end the hop drops what it has of the letter (RFC 5321 4.1.1.4); the connection is of no use any more.
            Said::NotOurs => (Err(Failure::NotOurs), false),
            Said::Nothing { error: Error::Timeout, .. } => (Err(Failure::Later(said(&Error::Timeout))), false),
            Said::Nothing { in_body: false, .. } if connection.letters > 1 => return None,
            Said::Nothing { error, .. } => (Err(Failure::Later(said(&error))), false),
        };
        if usable && connection.letters < LETTERS {
            self.idle().push((connection, Instant::now()));
        }
        Some(result)
    }
}

/// How a dialogue ended.
enum Said {
    /// The hop has the letter.
    Taken(Response<String>),
    /// It said no, at whichever command.
    No(Response<String>),
    /// It said nothing, or nothing that can be read; `in_body`: nobody knows whether it took the letter (RFC 1047).
    Nothing { error: Error, in_body: bool },
    /// We did not end the letter, since it may be another process's by now.
    NotOurs,
}

/// MAIL, RCPT, DATA, and the letter.
async fn dialogue(connection: &mut Connection, parcel: Parcel<'_>) -> Said {
    let commands = match commands(connection, parcel) {
        Ok(commands) => commands,
        Err(no) => return Said::No(no),
    };
    let nothing = |error| Said::Nothing { error, in_body: false };
    if !parcel.term.is_held() {
        return Said::NotOurs;
    }
    let may_send = match connection.offers(EXT_PIPELINING) {
        true => pipelined(connection, &commands).await,
        false => one_by_one(connection, &commands).await,
    };
    match may_send {
        Ok(None) => {}
        Ok(Some(no)) => return Said::No(no),
        Err(error) => return nothing(error),
    }
    match body(connection, parcel).await {
        Ok(None) => Said::NotOurs,
        Ok(Some(reply)) if reply.is_positive_completion() => Said::Taken(reply),
        Ok(Some(reply)) => Said::No(reply),
        Err(error) => Said::Nothing { error, in_body: true },
    }
}

/// The three commands; an error where the hop can't take this letter at all.
fn commands(connection: &Connection, parcel: Parcel<'_>) -> Result<[String; 3], Response<String>> {
    let mut mail = format!("MAIL FROM:<{}>", parcel.from.map(EmailAddress::as_str).unwrap_or_default());
    if connection.offers(EXT_SIZE) {
        mail.push_str(&format!(" SIZE={}", parcel.letter.signature.len() + parcel.letter.letter.len()));
    }
    if connection.offers(EXT_8BIT_MIME) && !parcel.letter.letter.is_ascii() {
        mail.push_str(" BODY=8BITMIME");
    }
    if needs_smtputf8(parcel) {
        if !connection.offers(EXT_SMTP_UTF8) {
            // RFC 6531 3.5; the code is of RFC 6531 3.7.4.1's table.
            return Err(Response { code: 550, esc: [5, 6, 7], message: "the next hop takes no international addresses (SMTPUTF8)".into() });
        }
        mail.push_str(" SMTPUTF8");
    }
    Ok([mail + "\r\n", format!("RCPT TO:<{}>\r\n", parcel.to), "DATA\r\n".into()])
}

/// An address or a header field beyond ASCII (RFC 6531 3.4).
fn needs_smtputf8(parcel: Parcel<'_>) -> bool {
    let letter = parcel.letter.letter.as_ref();
    let header = memchr::memmem::find(letter, b"\r\n\r\n").map_or(letter, |end| &letter[..end]);
    parcel.to.is_international() || parcel.from.is_some_and(EmailAddress::is_international) || !header.is_ascii()
}

/// All three in one write (RFC 2920): `None` when the letter may follow, else the first no.
async fn pipelined(connection: &mut Connection, commands: &[String; 3]) -> Result<Option<Response<String>>, Error> {
    let client = &mut connection.client;
    let replies = tokio::time::timeout(client.timeout, async {
        client.stream.write_all(commands.concat().as_bytes()).await?;
        client.stream.flush().await?;
        client.read_many(3).await
    });
    let [mail, rcpt, data] = replies.await.map_err(|_| Error::Timeout)??.try_into().map_err(|_| Error::UnparseableReply)?;
    let waits_for_letter = data.code == 354;
    let first_no = [(mail, false), (rcpt, false), (data, true)].into_iter().find(|(reply, is_data)| match is_data {
        true => reply.code != 354,
        false => !reply.is_positive_completion(),
    });
    if waits_for_letter && first_no.is_some() {
        // It said no and waits all the same (RFC 2920 3.1): an empty letter to nobody ends that.
        client.cmd(".\r\n").await?;
    }
    Ok(first_no.map(|(reply, _)| reply))
}

async fn one_by_one(connection: &mut Connection, commands: &[String; 3]) -> Result<Option<Response<String>>, Error> {
    let [mail, rcpt, data] = commands;
    for command in [mail, rcpt] {
        let reply = connection.client.cmd(command).await?;
        if !reply.is_positive_completion() {
            return Ok(Some(reply));
        }
    }
    let reply = connection.client.cmd(data).await?;
    Ok((reply.code != 354).then_some(reply))
}

/// The letter, dots doubled at the beginning of lines (RFC 5321 4.5.2), in one write unless it is large; `None`: it is not ours any more, and not ended.
async fn body(connection: &mut Connection, parcel: Parcel<'_>) -> Result<Option<Response<String>>, Error> {
    let client = &mut connection.client;
    let patience = client.timeout * BODY_PATIENCE;
    tokio::time::timeout(patience, async {
        for piece in stuffed(parcel.letter) {
            if !parcel.term.is_held() {
                return Ok(None);
            }
            let write = async {
                client.stream.write_all(&piece).await?;
                client.stream.flush().await
            };
            tokio::select! { written = write => written?, () = parcel.term.lost() => return Ok(None) }
        }
        client.read().await.map(Some)
    })
    .await
    .map_err(|_| Error::Timeout)?
}

/// The letter as it travels, in pieces, the last with the dot that ends it.
pub(super) fn stuffed<'a>(letter: &'a Signed<'_>) -> impl Iterator<Item = Vec<u8>> + 'a {
    let (mut head, mut rest) = (letter.signature.as_bytes(), letter.letter.as_ref());
    let (mut at_line_start, mut ended) = (true, false);
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        let mut out = Vec::with_capacity(head.len() + piece.len() + piece.len() / 64 + 8);
        out.extend_from_slice(std::mem::take(&mut head));
        for line in lines(piece) {
            if at_line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            at_line_start = line.ends_with(b"\n");
        }
        rest = after;
        if rest.is_empty() {
            if !at_line_start || letter.letter.is_empty() {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b".\r\n");
            ended = true;
        }
        Some(out)
    })
}

/// Code, enhanced code and text, on one line, without addresses: those stand in one table alone.
fn words(reply: &Response<String>) -> String {
    let text: String = bounce::without_addresses(&reply.message).chars().take(300).collect();
    match reply.esc {
        [0, ..] => format!("{} {text}", reply.code),
        [class, subject, detail] => format!("{} {class}.{subject}.{detail} {text}", reply.code),
    }
}

fn said(error: &Error) -> String {
    match error {
        Error::UnexpectedReply(reply) | Error::AuthenticationFailed(reply) => format!("the next hop does not serve us: {}", words(reply)),
        Error::Timeout => "the next hop did not answer in time".into(),
        Error::UnparseableReply => "the next hop closed the connection, or its answer can't be read".into(),
        Error::MissingStartTls => "the next hop offers no encryption, without which the password is not sent".into(),
        error => format!("the next hop can't be spoken to: {}", bounce::without_addresses(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn travelling(signature: &str, letter: &str) -> Vec<u8> {
        stuffed(&Signed { signature: signature.into(), letter: letter.as_bytes().into() }).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_large_letter_travels_in_pieces_and_whole() {
        for shift in 0..4 {
            let lines = format!("{}\r\n.dot\r\na.b\r\n", "x".repeat(PIECE - shift));
            let wanted = format!("X: y\r\n{}.\r\n", lines.replace("\n.", "\n.."));
            assert_eq!(travelling("X: y\r\n", &lines), wanted.as_bytes(), "{shift}");
        }
    }

    #[test]
    fn a_letter_ends_only_where_it_ends() {
        for (letter, travels) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("a\r\n.\r\nb\r\n..c\r\n", "a\r\n..\r\nb\r\n...c\r\n.\r\n"),
            ("a.\r\n", "a.\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&travelling("", letter)), travels, "{letter:?}");
        }
    }

    #[test]
    fn a_hop_that_can_not_be_reached_is_tried_by_one_letter_every_few_seconds() {
        let delivery = Delivery { smarthost: Some("smtp://127.0.0.1:1".into()), ..Delivery::default() };
        let hop = NextHop::new(&delivery, "pairs.example").expect("reads");
        let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
        assert_eq!((hop.room(20, 0, now), hop.room(20, 18, now)), (20, 2));
        hop.circuit.lock().expect("unpoisoned").failures = CIRCUIT;
        assert_eq!((hop.room(20, 5, now), hop.room(20, 0, now), hop.room(20, 0, now)), (0, 1, 0));
        let later = now + TimeDelta::seconds(11);
        assert_eq!((hop.room(20, 1, later), hop.room(20, 0, later), hop.room(20, 0, later)), (0, 1, 0));
        assert_eq!(hop.room(20, 0, later + TimeDelta::seconds(61)), 1);
    }
}
