//! The session's loop: reads with limits of length, time and number, and writes replies in batches, so that pipelining costs nothing.
use std::{pin::Pin, sync::Arc, time::Duration};

use samotop::{
    io::tls::MayBeTls,
    smtp::{Drive, DriverControl, DriverError, Interpret, ParseError, SessionService, SmtpContext},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tokio_util::{
    compat::{Compat, FuturesAsyncReadCompatExt},
    sync::CancellationToken,
};
use tracing::{debug, info};

use super::{Step, Visit, replies, tls};
use crate::{
    mail::lines,
    telemetry::{self, Figure},
};

/// Octets read, or replied, at a time …
const BLOCK: usize = 16 << 10;
/// … and of a letter that is large already: no more of it than it holds anyway.
const LARGE_BLOCK: usize = 64 << 10;
/// Commands of one client in a row before others have their turn.
const PATCH: usize = 8;
/// A line beyond this is not waited for to end.
const ENDLESS: usize = 1 << 20;
/// How long, and how much, a client that was told goodbye is listened to, so that a reset does not overtake the reply.
const LINGER: Duration = Duration::from_secs(2);

/// Drives a visit.
#[derive(Debug)]
pub(super) struct Driver(pub(super) Arc<Visit>);

impl Drive for Driver {
    fn drive<'a, 'i, 'x, 's, 'f>(
        &'a self,
        io: &'i mut Box<dyn MayBeTls>,
        interpreter: &'x (dyn Interpret + Send + Sync),
        state: &'s mut SmtpContext,
    ) -> Step<'f, Result<(), DriverError>>
    where
        'a: 'f,
        'i: 'f,
        'x: 'f,
        's: 'f,
    {
        Box::pin(async move {
            state.service().prepare_session(io, state).await;
            let patience = Duration::from_secs(self.0.door.limits.timeout_seconds);
            let wire = Wire { io: io.compat(), out: Vec::new(), patience, evicted: &self.0.presence.evicted };
            let now = Instant::now();
            let session_ends = now + Duration::from_secs(self.0.door.limits.session_seconds);
            let talk = Talk { visit: &self.0, wire, errors: 0, commands: 0, swallowed: 0, deadline: now + patience, session_ends, letter_ends: None };
            talk.run(interpreter, state).await
        })
    }
}

/// The stream, and the replies that wait to be sent together.
struct Wire<'i> {
    io: Compat<&'i mut Box<dyn MayBeTls>>,
    out: Vec<u8>,
    patience: Duration,
    /// Another is to have the place: a client that does not read its replies is not waited for.
    evicted: &'i CancellationToken,
}

impl Wire<'_> {
    async fn flush(&mut self) -> Result<(), DriverError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let write = async {
            self.io.write_all(&self.out).await?;
            self.io.flush().await
        };
        let written = tokio::select! {
            biased;
            written = tokio::time::timeout(self.patience, write) => written.unwrap_or(Err(std::io::ErrorKind::TimedOut.into())),
            () = self.evicted.cancelled() => Err(std::io::ErrorKind::TimedOut.into()),
        };
        self.out.clear();
        written.map_err(DriverError::WriteFailed)
    }

    /// Says the last words and hangs up.
    async fn close(mut self) -> Result<(), DriverError> {
        self.flush().await?;
        self.io.shutdown().await.map_err(DriverError::CloseFailed)?;
        let mut rest = vec![0; BLOCK];
        let listen = async {
            for _ in 0..64 {
                if !matches!(self.io.read(&mut rest).await, Ok(1..)) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, listen).await;
        Ok(())
    }
}

/// One session's loop.
struct Talk<'v, 'i> {
    visit: &'v Visit,
    wire: Wire<'i>,
    errors: usize,
    commands: usize,
    /// Octets dropped of a line that is too long.
    swallowed: usize,
    /// When the client must have sent more.
    deadline: Instant,
    /// When the session is over, but for a letter under way.
    session_ends: Instant,
    /// When the letter under way must be through, at whatever pace.
    letter_ends: Option<Instant>,
}

/// What is to be done once the replies are collected.
enum Next {
    Go,
    Encrypt,
    HangUp,
}

/// What reading brought.
enum Heard {
    Octets,
    End,
    TooSlow,
    TooLong,
    MakeRoom,
    Closing,
}

impl Talk<'_, '_> {
    async fn run(mut self, interpreter: &(dyn Interpret + Send + Sync), state: &mut SmtpContext) -> Result<(), DriverError> {
        loop {
            let dropped = state.session.mode.is_none() && self.drop_long_line(state);
            match self.collect(state) {
                Next::Go => {}
                Next::HangUp => return self.wire.close().await,
                // After a handshake that failed nothing is said in clear (RFC 3207 4.1).
                Next::Encrypt if !self.encrypt(state).await? => return Ok(()),
                Next::Encrypt => continue,
            }
            if self.wire.out.len() > BLOCK {
                self.wire.flush().await?;
            }
            // The next line may be as long.
            if dropped {
                continue;
            }
            match interpreter.interpret(state).await {
                Ok(consumed) => {
                    self.consumed(consumed.unwrap_or_default(), state);
                    // Whoever sends thousands of commands at once, or a large letter, shares the processor with the others all the same.
                    if state.session.mode.is_some() || self.commands.is_multiple_of(PATCH) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(ParseError::Incomplete) => {
                    self.wire.flush().await?;
                    match self.read(state).await? {
                        Heard::Octets => {}
                        Heard::End => return Ok(()),
                        Heard::TooSlow => {
                            telemetry::count(Figure::TimeOuts, if state.session.mode.is_some() { "letter" } else { "command" });
                            state.session.say_shutdown_with(replies::TOO_SLOW);
                        }
                        Heard::TooLong => {
                            telemetry::count(Figure::TimeOuts, "session");
                            state.session.say_shutdown_with(replies::TOO_LONG_A_SESSION);
                        }
                        Heard::MakeRoom => {
                            self.visit.presence.give_up();
                            state.session.say_shutdown_with(replies::MAKE_ROOM);
                        }
                        Heard::Closing => state.session.say_shutdown_with(replies::CLOSING),
                    }
                }
                Err(ParseError::Failed(words) | ParseError::Mismatch(words)) => self.refuse_line(&words, state),
            }
        }
    }

    /// Takes what was said.
    fn collect(&mut self, state: &mut SmtpContext) -> Next {
        for control in state.session.output.drain(..) {
            match control {
                DriverControl::Response(words) => {
                    self.errors += usize::from(words.first() == Some(&b'5'));
                    self.wire.out.extend(self.visit.sign(words));
                }
                // What stands behind these was said about words in clear that no longer count.
                DriverControl::Shutdown => return Next::HangUp,
                DriverControl::StartTls => return Next::Encrypt,
            }
        }
        let too_much = match (self.errors >= self.visit.door.limits.max_errors, self.commands > self.visit.door.limits.max_commands, self.swallowed > ENDLESS) {
            (true, _, _) => replies::TOO_MANY_ERRORS,
            (_, true, _) => replies::TOO_MANY_COMMANDS,
            (_, _, true) => replies::TOO_MUCH,
            (false, false, false) => return Next::Go,
        };
        self.wire.out.extend(self.visit.sign(format!("{too_much}\r\n").into_bytes()));
        Next::HangUp
    }

    /// RFC 3207 4.2: what was said and heard in clear is forgotten, also what came behind the command. `false` where the handshake failed:
    /// then the stream must not be touched any more.
    async fn encrypt(&mut self, state: &mut SmtpContext) -> Result<bool, DriverError> {
        self.wire.flush().await?;
        state.session.input.clear();
        self.swallowed = 0;
        Pin::new(self.wire.io.get_mut()).encrypt();
        let patience = self.wire.patience.min(tls::HANDSHAKE);
        let handshake = tokio::select! {
            () = self.visit.stop.cancelled() => return Ok(false),
            () = self.visit.presence.evicted.cancelled() => return Ok(false),
            // samotop's stream shakes hands before it does anything else.
            handshake = tokio::time::timeout(patience, self.wire.io.flush()) => handshake,
        };
        match handshake {
            Ok(Ok(())) => {
                telemetry::count(Figure::Tls, self.visit.tls_version());
                self.deadline = Instant::now() + self.wire.patience;
                Ok(true)
            }
            Ok(Err(error)) => {
                telemetry::count(Figure::Reasons, "handshake");
                info!(%error, "a TLS handshake failed");
                Ok(false)
            }
            Err(_) => {
                telemetry::count(Figure::TimeOuts, "handshake");
                info!("a TLS handshake took too long");
                Ok(false)
            }
        }
    }

    /// Input that was understood. A new command has its time anew; a letter that is through starts the count of commands again.
    fn consumed(&mut self, octets: usize, state: &mut SmtpContext) {
        let was_letter = state.session.input.get(..octets) == Some(b".\r\n") && state.session.mode.is_none();
        state.session.input.drain(..octets);
        if state.session.mode.is_some() {
            return;
        }
        self.letter_ends = None;
        if was_letter {
            state.session.input.shrink_to(BLOCK);
        }
        self.commands = if was_letter { 0 } else { self.commands + 1 };
        self.deadline = Instant::now() + self.wire.patience;
        self.visit.presence.keeps_pace();
    }

    /// Waits for more. While a letter is under way it may be finished, also when the program stops, and its time grows with it.
    async fn read(&mut self, state: &mut SmtpContext) -> Result<Heard, DriverError> {
        let in_letter = state.session.mode.is_some();
        let limits = &self.visit.door.limits;
        let input = &mut state.session.input;
        input.reserve(if in_letter { self.visit.has_gathered().clamp(BLOCK, LARGE_BLOCK) } else { BLOCK });
        let read = self.wire.io.read_buf(input);
        let last = if in_letter { *self.letter_ends.get_or_insert(Instant::now() + Duration::from_secs(limits.letter_seconds)) } else { self.session_ends };
        let heard = tokio::select! {
            biased;
            () = self.visit.stop.cancelled(), if !in_letter => return Ok(Heard::Closing),
            () = self.visit.presence.evicted.cancelled() => return Ok(Heard::MakeRoom),
            heard = tokio::time::timeout_at(self.deadline.min(last), read) => heard,
        };
        match heard {
            Err(_) if !in_letter && self.session_ends < self.deadline => Ok(Heard::TooLong),
            Err(_) => Ok(Heard::TooSlow),
            Ok(Err(error)) => Err(DriverError::IoFailed(error)),
            Ok(Ok(0)) => Ok(Heard::End),
            Ok(Ok(octets)) => {
                if in_letter {
                    let worth = Duration::from_micros(octets as u64 * 1_000_000 / limits.min_bytes_per_second);
                    self.deadline += worth;
                    self.visit.presence.came_on(worth);
                }
                Ok(Heard::Octets)
            }
        }
    }

    /// One answer to a line that is longer than a command may be, once it has ended: then `true`.
    fn drop_long_line(&mut self, state: &mut SmtpContext) -> bool {
        let ended = swallow(&mut state.session.input, &mut self.swallowed, self.visit.door.limits.max_line_bytes);
        if ended {
            self.commands += 1;
            self.deadline = Instant::now() + self.wire.patience;
            if self.swallowed == 0 {
                replies::say(&mut state.session, replies::LINE_TOO_LONG);
            }
        }
        ended
    }

    /// A line that is no command: the whole reply came as the parser's words.
    fn refuse_line(&mut self, words: &str, state: &mut SmtpContext) {
        let end = lines::end_of_line(&state.session.input).unwrap_or(state.session.input.len());
        if is_http(&state.session.input[..end]) {
            return state.session.say_shutdown_with(replies::NO_WEB);
        }
        debug!(words, "a line was refused");
        let known = words.starts_with(|c: char| c.is_ascii_digit());
        replies::say(&mut state.session, if known { words } else { replies::UNKNOWN_COMMAND });
        self.consumed(end.max(1).min(state.session.input.len()), state);
    }
}

/// Lets go of a line that is longer than a command may be, all but a CR at its end, and counts what is gone; true when its end is gone, too.
/// Its tail is never left to be read as a command.
pub(super) fn swallow(input: &mut Vec<u8>, swallowed: &mut usize, longest: usize) -> bool {
    match lines::end_of_line(input) {
        Some(end) if *swallowed > 0 || end > longest => {
            input.drain(..end);
            // One that was endless stays so, wherever its packets were cut.
            *swallowed = if *swallowed + end > ENDLESS { *swallowed + end } else { 0 };
            true
        }
        None if *swallowed > 0 || input.len() > longest => {
            let gone = input.len() - usize::from(input.ends_with(b"\r"));
            *swallowed += gone;
            input.drain(..gone);
            false
        }
        Some(_) | None => false,
    }
}

/// A browser that was led here must not be led on into the lines of its form.
fn is_http(line: &[u8]) -> bool {
    [&b"GET "[..], b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PATCH ", b"TRACE ", b"PRI "]
        .iter()
        .any(|method| line.starts_with(method))
}

/// Last words.
trait SayShutdown {
    fn say_shutdown_with(&mut self, words: &str);
}

impl SayShutdown for samotop::smtp::SmtpSession {
    fn say_shutdown_with(&mut self, words: &str) {
        replies::say(self, words);
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_gone_as_one_however_its_packets_are_cut() {
        let mut sent = vec![b'x'; 5000];
        sent.extend(b" QUIT\r\nNOOP\r\n");
        for step in [1, 2, 3, 7, 1000, 2047, 2048, 2049, 4096, 5000, 5001, 5006, 5007, 5008, sent.len()] {
            let (mut input, mut swallowed, mut ended) = (Vec::new(), 0, 0);
            for packet in sent.chunks(step) {
                input.extend(packet);
                ended += usize::from(swallow(&mut input, &mut swallowed, 2048));
            }
            assert_eq!((ended, input.as_slice(), swallowed), (1, b"NOOP\r\n".as_slice(), 0), "by {step}");
        }
    }
}
