//! The next hop: which connections to it are kept, how a letter is handed over, and what the replies mean.
use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use mail_send::Error;
use memchr::memmem;
use smtp_proto::{EXT_8BIT_MIME, EXT_PIPELINING, EXT_SIZE, EXT_SMTP_UTF8, Response};

use super::{
    circuit::Circuit,
    connection::{Connection, Dialer},
    replies::within,
    sign::Signed,
};
use crate::{
    config::Delivery,
    domain::address::EmailAddress,
    handlers::bounces::Refused,
    mail::{bounce, charset::header_end},
    store::ownership::Term,
};

/// Letters on one connection: some servers want a limit.
const LETTERS: u32 = 100;
/// A kept connection is not trusted for longer: many servers close after a minute of silence.
const IDLE: Duration = Duration::from_secs(30);
/// The letter's bytes and the hop's last word on them may take so many times a step's time: RFC 5321 4.5.3.2.6 grants ten minutes.
const BODY_PATIENCE: u32 = 5;
/// A larger letter is written in pieces of so many octets, so that no second copy of it has to be held.
const PIECE: usize = 64 << 10;

/// Why a letter was not taken.
#[derive(Debug)]
pub enum Failure {
    /// It may be taken later (4xx, or nobody answered).
    Later(String),
    /// It will not be (5xx), for this or that.
    Never(String, Refused),
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
    /// Whether letters are sent to it at all.
    pub circuit: Circuit,
}

impl NextHop {
    /// Reads `delivery.smarthost`: `smtp://[user:password@]host[:port]` or `smtps://…`.
    pub fn new(delivery: &Delivery, domain: &str) -> Result<Self> {
        let Some(url) = &delivery.smarthost else { bail!("delivery.smarthost is not set") };
        let dialer = Dialer::new(url, domain, Duration::from_secs(delivery.timeout_seconds.max(1))).context("delivery.smarthost")?;
        Ok(Self { dialer, idle: Mutex::default(), circuit: Circuit::default() })
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
                let gone = || Err(Failure::Later("the next hop closed the connection".into()));
                self.hand_over(fresh, parcel).await.unwrap_or_else(gone)
            }
            Err(error) => {
                self.circuit.note(false);
                // Also a 5xx here is about us and the hop, not about the letter.
                Err(Failure::Later(said_of(&error)))
            }
        }
    }

    /// Connections that are open, in use or kept.
    pub fn open(&self) -> usize {
        self.dialer.open()
    }

    /// Closes kept connections that are idle for long, aside: a hop that does not answer keeps no letter waiting.
    pub fn close_idle(&self) {
        let old: Vec<_> = self.idle().extract_if(.., |(_, since)| since.elapsed() >= IDLE).collect();
        if !old.is_empty() {
            tokio::spawn(quit(old));
        }
    }

    /// Closes all that are kept.
    pub async fn close(&self) {
        let all = mem::take(&mut *self.idle());
        quit(all).await;
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
        connection.serves = false;
        let is_kept = connection.letters > 1;
        let said = dialogue(&mut connection, parcel).await;
        if connection.serves || (!is_kept && said.is_about_the_hop()) {
            self.circuit.note(connection.serves);
        }
        let (result, usable) = match said {
            Said::Taken(reply) => (Ok(words(&reply)), true),
            Said::No(no) if no.reply.code == 421 && is_kept => return None,
            Said::No(No { reply, refused, in_step }) => {
                // 421 closes (RFC 5321 3.8); after another no the connection can be used again, if the hop says so.
                let usable = in_step && reply.code != 421 && matches!(connection.client.cmd("RSET\r\n").await, Ok(reset) if reset.is_positive_completion());
                (Err(if reply.code / 100 == 5 { Failure::Never(words(&reply), refused) } else { Failure::Later(words(&reply)) }), usable)
            }
            // Without its end the hop drops what it has of the letter (RFC 5321 4.1.1.4); the connection is of no use any more.
            Said::NotOurs => (Err(Failure::NotOurs), false),
            Said::Nothing { error: Error::Timeout, .. } => (Err(Failure::Later(said_of(&Error::Timeout))), false),
            Said::Nothing { in_body: false, .. } if is_kept => return None,
            Said::Nothing { error, .. } => (Err(Failure::Later(said_of(&error))), false),
        };
        if usable && connection.letters < LETTERS {
            self.idle().push((connection, Instant::now()));
        }
        Some(result)
    }
}

/// Takes leave on each. RFC 5321 4.1.1.10 wants the answer awaited; a second is enough for connections that nobody needs.
async fn quit(connections: Vec<(Connection, Instant)>) {
    let quits = connections.into_iter().map(|(mut connection, _)| async move { connection.client.cmd("QUIT\r\n").await });
    if tokio::time::timeout(Duration::from_secs(1), join_all(quits)).await.is_err() {
        tracing::debug!("the next hop did not answer QUIT");
    }
}

/// How a dialogue ended.
enum Said {
    /// The hop has the letter.
    Taken(Response<String>),
    /// It said no, at whichever command.
    No(No),
    /// It said nothing, or nothing that can be read; `in_body`: nobody knows whether it took the letter (RFC 1047).
    Nothing { error: Error, in_body: bool },
    /// We did not end the letter, since it may be another process's by now.
    NotOurs,
}

impl Said {
    /// The hop does not serve anybody, as far as this letter could find out.
    fn is_about_the_hop(&self) -> bool {
        match self {
            Said::No(no) => no.reply.code == 421,
            Said::Nothing { .. } => true,
            Said::Taken(_) | Said::NotOurs => false,
        }
    }
}

/// A letter is not taken, now or ever.
struct No {
    reply: Response<String>,
    refused: Refused,
    /// Each of us knows what the other waits for.
    in_step: bool,
}

/// MAIL, RCPT, DATA, and the letter.
async fn dialogue(connection: &mut Connection, parcel: Parcel<'_>) -> Said {
    let commands = match commands(connection, parcel) {
        Ok(commands) => commands,
        Err(reply) => return Said::No(No { reply, refused: Refused::Letter, in_step: true }),
    };
    if !parcel.term.is_held() {
        return Said::NotOurs;
    }
    match ask(connection, &commands).await {
        Ok(None) => {}
        Ok(Some(no)) => return Said::No(no),
        Err(error) => return Said::Nothing { error, in_body: false },
    }
    match body(connection, parcel).await {
        Ok(said) => said,
        Err(error) => Said::Nothing { error, in_body: true },
    }
}

/// The three commands; an error where the hop can't take this letter at all.
fn commands(connection: &Connection, parcel: Parcel<'_>) -> Result<[String; 3], Response<String>> {
    let no = |code, esc, message: &str| Err(Response { code, esc, message: message.to_owned() });
    let mut mail = format!("MAIL FROM:<{}>", parcel.from.map(EmailAddress::as_str).unwrap_or_default());
    if connection.offers(EXT_SIZE) {
        let size = parcel.letter.signature.len() + parcel.letter.letter.len();
        if connection.largest.is_some_and(|largest| size > largest) {
            // RFC 1870 5: it would say so, sooner or later.
            return no(552, [5, 3, 4], "the letter is larger than the next hop takes");
        }
        mail.push_str(&format!(" SIZE={size}"));
    }
    if !parcel.letter.letter.is_ascii() {
        if !connection.offers(EXT_8BIT_MIME) {
            // RFC 6152 3: under no circumstances. Our letters are ASCII, unless their header is not.
            return no(554, [5, 6, 3], "the next hop takes ASCII alone (8BITMIME)");
        }
        mail.push_str(" BODY=8BITMIME");
    }
    if needs_smtputf8(parcel) {
        if !connection.offers(EXT_SMTP_UTF8) {
            // RFC 6531 3.5; the code is of RFC 6531 3.7.4.1's table.
            return no(550, [5, 6, 7], "the next hop takes no international addresses (SMTPUTF8)");
        }
        mail.push_str(" SMTPUTF8");
    }
    Ok([mail + "\r\n", format!("RCPT TO:<{}>\r\n", parcel.to), "DATA\r\n".into()])
}

/// An address or a header field beyond ASCII (RFC 6531 3.4).
fn needs_smtputf8(parcel: Parcel<'_>) -> bool {
    let letter = parcel.letter.letter.as_ref();
    let header = &letter[..header_end(letter)];
    parcel.to.is_international() || parcel.from.is_some_and(EmailAddress::is_international) || !header.is_ascii()
}

/// The three commands, in one write where the hop announced PIPELINING (RFC 2920): `None` when the letter may follow, else the first no.
async fn ask(connection: &mut Connection, commands: &[String; 3]) -> Result<Option<No>, Error> {
    let at_once = connection.offers(EXT_PIPELINING);
    let Connection { client, serves, .. } = connection;
    let timeout = client.timeout;
    if at_once {
        within(timeout, client.say(commands.concat().as_bytes())).await?;
    }
    let (mut first_no, mut waits_for_letter): (Option<No>, bool) = (None, false);
    for (command, refused, good) in
        [(&commands[0], Refused::Letter, 200..300), (&commands[1], Refused::Mailbox, 200..300), (&commands[2], Refused::Letter, 354..355)]
    {
        match if at_once { client.hear(timeout).await } else { client.cmd(command).await } {
            Ok(reply) if good.contains(&reply.code) => waits_for_letter = reply.code == 354,
            // It closes, and answers nothing else (RFC 5321 3.8).
            Ok(reply) if reply.code == 421 && first_no.is_none() => return Ok(Some(No { reply, refused, in_step: false })),
            Ok(reply) if (400..600).contains(&reply.code) && reply.code != 421 => {
                first_no.get_or_insert(No { reply, refused, in_step: true });
            }
            // It hung up or fell silent, or means by its words something else than we do.
            lost => match (first_no, lost) {
                (Some(no), _) => return Ok(Some(No { in_step: false, ..no })),
                (None, Ok(reply)) => return Err(Error::UnexpectedReply(reply)),
                (None, Err(error)) => return Err(error),
            },
        }
        *serves = true;
        if first_no.is_some() && !at_once {
            break;
        }
    }
    match first_no {
        // It said no and waits all the same (RFC 2920 3.1): an empty letter to nobody ends that.
        Some(no) if waits_for_letter && no.refused == Refused::Mailbox => {
            let in_step = client.cmd(".\r\n").await.is_ok();
            Ok(Some(No { in_step, ..no }))
        }
        // … but to somebody it would be a letter.
        Some(no) => Ok(Some(No { in_step: !waits_for_letter, ..no })),
        None => Ok(None),
    }
}

/// The letter, dots doubled at the beginning of lines (RFC 5321 4.5.2), in one write unless it is large. What the hop says before its end can't be that it
/// took it; some say no and hang up when they have enough of a large one.
async fn body(connection: &mut Connection, parcel: Parcel<'_>) -> Result<Said, Error> {
    let client = &mut connection.client;
    let patience = client.timeout * BODY_PATIENCE;
    within(patience, async {
        let mut is_ended = true;
        for piece in stuffed(parcel.letter) {
            if !parcel.term.is_held() {
                return Ok(Said::NotOurs);
            }
            let written = tokio::select! { written = client.say(&piece) => written, () = parcel.term.lost() => return Ok(Said::NotOurs) };
            if written.is_err() {
                is_ended = false;
                break;
            }
        }
        let reply = client.hear(patience).await?;
        match reply.code {
            200..300 if is_ended => Ok(Said::Taken(reply)),
            400..600 => Ok(Said::No(No { reply, refused: if is_ended { Refused::Mailbox } else { Refused::Letter }, in_step: is_ended })),
            _ => Err(Error::UnexpectedReply(reply)),
        }
    })
    .await
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
        let mut left = piece;
        if at_line_start && left.first() == Some(&b'.') {
            out.push(b'.');
        }
        while let Some(end) = memmem::find(left, b"\n.").map(|end| end + 1) {
            out.extend_from_slice(&left[..end]);
            out.push(b'.');
            left = &left[end..];
        }
        out.extend_from_slice(left);
        at_line_start = piece.last().map_or(at_line_start, |last| *last == b'\n');
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

fn said_of(error: &Error) -> String {
    match error {
        Error::UnexpectedReply(reply) if (200..400).contains(&reply.code) => format!("the next hop says what it should not: {}", words(reply)),
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
}
