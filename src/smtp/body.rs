//! DATA: bytes 0–255 gathered intact up to the cap, out of one budget of memory for all sessions; only CR LF dot CR LF ends a letter.
use std::{
    io,
    pin::Pin,
    sync::{Arc, MutexGuard},
    task::{Context, Poll},
};

use futures_io::AsyncWrite;
use memchr::memmem;
use samotop::{
    mail::{DispatchResult, MailDispatch},
    smtp::{
        Action, Esmtp, ParseError, ParseResult, Parser, SmtpContext, SmtpSession,
        command::{MailBody, SmtpData},
    },
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Step, Visit, budget::PATIENCE, replies};
use crate::{config::BareNewlines, mail::lines};

/// A letter as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    /// Octets that came, also of one that is lost: too large is said of what is that as well (RFC 1870 6.3).
    came: usize,
    lost: Option<Loss>,
    held: Vec<OwnedSemaphorePermit>,
}

/// Why the rest of a letter is swallowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    TooLarge,
    NoMemory,
    /// A CR or LF alone.
    BareNewline,
}

/// A whole letter; its share of the budget is given back when it is dropped.
pub(super) struct Whole {
    pub(super) bytes: Vec<u8>,
    _held: Vec<OwnedSemaphorePermit>,
}

impl Gathered {
    /// Swallowed from here on. What was gathered is let go at once, so that others can go on.
    fn lose(&mut self, why: Loss) {
        *self = Self { lost: Some(why), came: self.came, ..Self::default() };
    }

    fn take(&mut self, limit: usize) -> Result<Whole, String> {
        let Self { bytes, lost, held, .. } = std::mem::take(self);
        match lost {
            None => Ok(Whole { bytes, _held: held }),
            Some(Loss::TooLarge) => Err(replies::too_large(limit)),
            Some(Loss::NoMemory) => Err(replies::OUT_OF_MEMORY.to_owned()),
            Some(Loss::BareNewline) => Err(replies::BARE_NEWLINES.to_owned()),
        }
    }
}

impl Visit {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Octets of a letter that is under way.
    pub(super) fn has_gathered(&self) -> usize {
        self.gathered().bytes.len()
    }

    /// Draws memory for `more` octets: in growing steps, so that a small letter costs little and a large one few steps.
    async fn make_room(&self, more: usize) {
        let limit = self.door.limits.max_message_bytes;
        let (length, capacity) = {
            let mut gathered = self.gathered();
            gathered.came += more;
            if gathered.came > limit {
                gathered.lose(Loss::TooLarge);
            }
            if gathered.lost.is_some() {
                return;
            }
            (gathered.bytes.len(), gathered.bytes.capacity())
        };
        if length + more <= capacity {
            return;
        }
        let wanted = (length + more).max(capacity * 2).clamp(8 << 10, limit.max(8 << 10));
        match self.door.budget.draw(wanted - capacity, wanted, PATIENCE).await {
            Some(share) => {
                let mut gathered = self.gathered();
                gathered.bytes.reserve_exact(wanted - length);
                gathered.held.push(share);
            }
            None => self.gathered().lose(Loss::NoMemory),
        }
    }
}

/// Reads what follows DATA. samotop's own parser takes nothing but UTF-8; this one takes any byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing;

impl Parser<MailBody<Vec<u8>>> for Framing {
    fn parse(&self, input: &[u8], state: &SmtpContext) -> ParseResult<MailBody<Vec<u8>>> {
        let at_line_start = match state.session.mode {
            Some(SmtpSession::DATA_MODE) => true,
            Some(SmtpSession::DATA_PARTIAL_MODE) => false,
            Some(_) | None => return Err(ParseError::Mismatch("no letter is being read".into())),
        };
        frame(input, at_line_start)
    }
}

/// As much of the letter as is certain, with its stuffed dots taken out (RFC 5321 4.5.2), or its end.
/// A CR at the end of the input, and a dot at the start of a line, wait for what follows.
fn frame(input: &[u8], mut at_line_start: bool) -> ParseResult<MailBody<Vec<u8>>> {
    let mut data = Vec::with_capacity(input.len());
    let mut at = 0;
    while at < input.len() {
        let rest = &input[at..];
        if at_line_start && rest[0] == b'.' {
            if rest.starts_with(b".\r\n") {
                return match at {
                    0 => Ok((3, MailBody::End)),
                    _ => chunk(at, data, true),
                };
            }
            if b".\r\n".starts_with(rest) {
                break;
            }
            at += 1;
            at_line_start = false;
            continue;
        }
        // Only a line that begins with a dot is looked at.
        let dot = memmem::find(rest, b"\r\n.").map(|dot| dot + 2);
        let end = dot.unwrap_or(rest.len() - usize::from(rest.ends_with(b"\r")));
        data.extend_from_slice(&rest[..end]);
        at += end;
        at_line_start = rest[..end].ends_with(b"\r\n") || at_line_start && end == 0;
        if dot.is_none() {
            break;
        }
    }
    if at == 0 { Err(ParseError::Incomplete) } else { chunk(at, data, at_line_start) }
}

fn chunk(consumed: usize, data: Vec<u8>, ends_with_new_line: bool) -> ParseResult<MailBody<Vec<u8>>> {
    Ok((consumed, MailBody::Chunk { data, ends_with_new_line }))
}

/// Each of them made a CR LF. A dot behind one stays as it is: whoever sent it did not stuff it.
pub(super) fn normalised(chunk: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunk.len() + 64);
    let mut rest = chunk.iter().peekable();
    while let Some(&byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                rest.next_if(|&&next| byte == b'\r' && next == b'\n');
                out.extend(b"\r\n");
            }
            byte => out.push(byte),
        }
    }
    out
}

impl MailDispatch for Visit {
    fn open_mail_body<'a, 's, 'f>(&'a self, session: &'s mut SmtpSession) -> Step<'f, DispatchResult>
    where
        'a: 'f,
        's: 'f,
    {
        *self.gathered() = Gathered::default();
        session.transaction.sink = self.me.upgrade().map(|visit| Box::pin(Sink(visit)) as Pin<Box<_>>);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Where samotop writes the letter. It never fails: after a write error samotop would read the rest of the letter as commands.
struct Sink(Arc<Visit>);

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut gathered = self.0.gathered();
        if gathered.lost.is_none() {
            gathered.bytes.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What samotop does with a letter: chunks go into its sink; the end is ours, because samotop knows only 250 and 450 there,
/// and says 250 when closing fails with `NotConnected`.
#[derive(Debug, Clone)]
pub(super) struct Letters(pub(super) Arc<Visit>);

impl Action<MailBody<Vec<u8>>> for Letters {
    fn apply<'a, 's, 'f>(&'a self, part: MailBody<Vec<u8>>, state: &'s mut SmtpContext) -> Step<'f, ()>
    where
        'a: 'f,
        's: 'f,
    {
        Box::pin(async move {
            match part {
                MailBody::Chunk { mut data, ends_with_new_line } => {
                    // RFC 5321 2.3.8; no chunk ends between a CR and its LF.
                    if lines::has_bare_newline(&data) {
                        match self.0.door.limits.bare_newlines {
                            BareNewlines::Refuse => self.0.gathered().lose(Loss::BareNewline),
                            BareNewlines::Normalise => data = normalised(&data),
                        }
                    }
                    self.0.make_room(data.len()).await;
                    Esmtp.apply(MailBody::Chunk { data, ends_with_new_line }, state).await;
                }
                MailBody::End => {
                    let whole = self.0.gathered().take(self.0.door.limits.max_message_bytes);
                    let words = match whole {
                        Ok(letter) => self.0.receive(letter, &state.session).await,
                        Err(words) => words,
                    };
                    state.session.reset();
                    replies::say(&mut state.session, &words);
                }
            }
        })
    }
}

/// Opens the letter through samotop's state machine.
pub(super) async fn open(state: &mut SmtpContext) {
    Esmtp.apply(SmtpData, state).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `step` octets; the letter and what is left behind its end.
    fn read(input: &[u8], step: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut held, mut letter, mut line_start) = (Vec::new(), Vec::new(), true);
        let mut pieces = input.chunks(step);
        loop {
            match frame(&held, line_start) {
                Ok((consumed, MailBody::Chunk { data, ends_with_new_line })) => {
                    assert!(consumed > 0);
                    letter.extend(data);
                    line_start = ends_with_new_line;
                    held.drain(..consumed);
                }
                Ok((consumed, MailBody::End)) => {
                    held.drain(..consumed);
                    held.extend(pieces.flatten());
                    return Some((letter, held));
                }
                Err(ParseError::Incomplete) => held.extend(pieces.next()?),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn the_same_letter_comes_out_however_the_packets_are_cut() {
        let every: Vec<u8> = (0..=255).collect();
        let table: &[(&[u8], &[u8])] = &[
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"\r\n.\r\n", b"\r\n"),
            (b"..\r\n.x\r\n...\r\n.\r\n", b".\r\nx\r\n..\r\n"),
            (b". \r\n.\t\r\n.\r\n", b" \r\n\t\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\r\n"),
        ];
        let mut whole = every.clone();
        whole.extend(b"\r\n.\r\n");
        let mut expected = every;
        expected.extend(b"\r\n");
        let all = table.iter().copied().chain([(whole.as_slice(), expected.as_slice())]);
        for (sent, letter) in all {
            let mut sent = sent.to_vec();
            sent.extend(b"QUIT\r\n");
            for step in 1..=sent.len() {
                assert_eq!(read(&sent, step), Some((letter.to_vec(), b"QUIT\r\n".to_vec())), "{sent:?} by {step}");
            }
        }
    }

    #[test]
    fn nothing_but_cr_lf_dot_cr_lf_ends_a_letter() {
        for alike in [
            "\n.\n",
            "\r\n.\n",
            "\n.\r\n",
            "\r.\r",
            "\r\n.\r",
            "\r.\r\n",
            "\r\n\0.\r\n",
            "\r\n.\0\r\n",
            "\r\n.\r\0\n",
            "\r\0\n.\r\n",
            "\r\n.\r\r\n",
            "\n\r.\n\r",
        ] {
            let sent = format!("a{alike}b\r\n.\r\n");
            for step in 1..=sent.len() {
                let (letter, rest) = read(sent.as_bytes(), step).expect("ends");
                assert!(letter.ends_with(b"b\r\n") && rest.is_empty(), "{alike:?} by {step}");
            }
        }
    }

    #[test]
    fn a_cr_or_lf_alone_is_seen_and_made_a_cr_lf() {
        for good in ["", "a", "From: a@b.example\r\n\r\n", "\r\n"] {
            assert!(!lines::has_bare_newline(good.as_bytes()), "{good:?}");
            assert_eq!(normalised(good.as_bytes()), good.as_bytes());
        }
        for (bad, good) in [
            ("a\nb\r\n", "a\r\nb\r\n"),
            ("a\rb\r\n", "a\r\nb\r\n"),
            ("a\r\r\n", "a\r\n\r\n"),
            ("\n", "\r\n"),
            ("\r", "\r\n"),
            ("a\r\n\n", "a\r\n\r\n"),
            ("a\n\r.\n\rb", "a\r\n\r\n.\r\n\r\nb"),
        ] {
            assert!(lines::has_bare_newline(bad.as_bytes()), "{bad:?}");
            assert_eq!(normalised(bad.as_bytes()), good.as_bytes(), "{bad:?}");
        }
    }
}
