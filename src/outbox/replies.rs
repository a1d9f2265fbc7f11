//! What the next hop says: read without trust. A reply has an end, keeps to one code, and answers something that was asked.
use std::{
    io,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

use mail_send::{Credentials, Error, SmtpClient};
use smtp_proto::{EXT_SIZE, EhloResponse, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// A reply's most octets. A line has 512 (RFC 5321 4.5.3.1.5), and what a hop announces takes some lines; whatever goes on longer never ends.
const LONGEST: usize = 16 << 10;

/// A dialogue with the next hop.
pub struct Client<S> {
    /// What the dialogue runs on.
    pub stream: S,
    /// How long a step may take.
    pub timeout: Duration,
    /// What came and was not read yet.
    unread: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// On a fresh connection.
    pub fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, timeout, unread: Vec::new() }
    }

    /// The same dialogue on another kind of stream.
    pub fn map<T>(self, change: impl FnOnce(S) -> T) -> Client<T> {
        Client { stream: change(self.stream), timeout: self.timeout, unread: self.unread }
    }

    /// Says a command and waits for its reply, in the time of one step.
    pub async fn cmd(&mut self, command: &str) -> Result<Response<String>, Error> {
        within(self.timeout, async {
            self.say(command.as_bytes()).await?;
            self.read().await.map(|reply| reply.answer())
        })
        .await
    }

    /// The greeting, or the reply to something said before, in so much time.
    pub async fn hear(&mut self, patience: Duration) -> Result<Response<String>, Error> {
        within(patience, async { self.read().await.map(|reply| reply.answer()) }).await
    }

    /// EHLO, and what the hop announces. A line that can't be read announces nothing, and spoils no other.
    pub async fn ehlo(&mut self, name: &str) -> Result<EhloResponse<String>, Error> {
        within(self.timeout, async {
            self.say(format!("EHLO {name}\r\n").as_bytes()).await?;
            let reply = self.read().await?;
            if reply.code == 250 { Ok(reply.announced()) } else { Err(Error::UnexpectedReply(reply.answer())) }
        })
        .await
    }

    /// AUTH, in the strongest way that both know.
    pub async fn authenticate(&mut self, name: &str, password: &str, hello: &EhloResponse<String>) -> Result<(), Error> {
        self.keeps_silent().await?;
        let stream = Few { stream: &mut self.stream, left: LONGEST };
        SmtpClient { stream, timeout: self.timeout }.authenticate(Credentials::new(name, password), hello).await?;
        Ok(())
    }

    /// Says something to a hop that waits for it.
    pub async fn say(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.keeps_silent().await?;
        self.stream.write_all(octets).await?;
        Ok(self.stream.flush().await?)
    }

    /// An error when it said something unasked, or hung up. What would be read next is the answer to nothing, or to something else: who takes it for the
    /// answer to the next command marks letters as sent that were not. In plain text behind STARTTLS it would be somebody else's (RFC 3207 4.2).
    pub async fn keeps_silent(&mut self) -> Result<(), Error> {
        if self.has_spoken().await { Err(Error::UnparseableReply) } else { Ok(()) }
    }

    /// Whether there is something to read, if only the end.
    pub async fn has_spoken(&mut self) -> bool {
        if !self.unread.is_empty() {
            return true;
        }
        std::future::poll_fn(|cx| {
            let mut octets = [0; 512];
            let mut octets = ReadBuf::new(&mut octets);
            match Pin::new(&mut self.stream).poll_read(cx, &mut octets) {
                Poll::Pending => Poll::Ready(false),
                Poll::Ready(_) => {
                    self.unread.extend_from_slice(octets.filled());
                    Poll::Ready(true)
                }
            }
        })
        .await
    }

    async fn read(&mut self) -> Result<Reply, Error> {
        let (mut reply, mut octets) = (Reply::default(), 0);
        loop {
            let line = self.line(LONGEST.saturating_sub(octets)).await?;
            octets += line.len();
            let Line { code, is_last, text } = Line::parse(&line).ok_or(Error::UnparseableReply)?;
            if !reply.lines.is_empty() && reply.code != code {
                // RFC 5321 4.2.1: the same on each line. Which one it meant, nobody knows.
                return Err(Error::UnparseableReply);
            }
            reply.code = code;
            reply.lines.push(text);
            if is_last {
                return Ok(reply);
            }
        }
    }

    async fn line(&mut self, most: usize) -> Result<Vec<u8>, Error> {
        let mut seen = 0;
        loop {
            if seen >= most {
                return Err(Error::UnparseableReply);
            }
            if let Some(end) = self.unread[seen..].iter().position(|&octet| octet == b'\n') {
                return Ok(self.unread.drain(..=seen + end).collect());
            }
            seen = self.unread.len();
            self.unread.reserve(512);
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Err(Error::UnparseableReply);
            }
        }
    }
}

#[derive(Default)]
struct Reply {
    code: u16,
    /// Without code and line end.
    lines: Vec<String>,
}

impl Reply {
    /// Code, enhanced code (RFC 2034) and text.
    fn answer(self) -> Response<String> {
        let esc = self.lines.first().and_then(|line| enhanced(line)).unwrap_or_default();
        let shown = format!("{}.{}.{}", esc[0], esc[1], esc[2]);
        let text = |line: &String| line.strip_prefix(&shown).unwrap_or(line).trim_start().to_owned();
        Response { code: self.code, esc, message: self.lines.iter().map(text).collect::<Vec<_>>().join("\n") }
    }

    fn announced(self) -> EhloResponse<String> {
        let mut all = EhloResponse::default();
        for line in self.lines.iter().skip(1) {
            let alone = format!("250-hop\r\n250 {line}\r\n");
            let Ok(one) = EhloResponse::parse(&mut alone.as_bytes().iter()) else { continue };
            all.capabilities |= one.capabilities;
            all.auth_mechanisms |= one.auth_mechanisms;
            if one.has_capability(EXT_SIZE) {
                all.size = one.size;
            }
        }
        all
    }
}

struct Line {
    code: u16,
    is_last: bool,
    text: String,
}

impl Line {
    /// RFC 5321 4.2: three digits, the first of them 2 to 5; a blank and text where it is the last line, a hyphen where not.
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, rest) = line.split_at_checked(3)?;
        let code: u16 = code.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(code).ok()?.parse().ok())??;
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        (200..600).contains(&code).then(|| Self { code, is_last, text: String::from_utf8_lossy(text).into_owned() })
    }
}

fn enhanced(text: &str) -> Option<[u8; 3]> {
    let mut parts = text.split(' ').next()?.split('.').map(|part| part.parse().ok());
    let code = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && (2..6).contains(&code[0])).then_some(code)
}

/// So much time, and no more.
pub async fn within<T>(time: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(time, work).await.map_err(|_| Error::Timeout)?
}

/// A stream that ends after so many octets: for what reads as long as there is something.
struct Few<'a, S> {
    stream: &'a mut S,
    left: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Few<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, octets: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = octets.filled().len();
        if self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        task::ready!(Pin::new(&mut *self.stream).poll_read(cx, octets))?;
        self.left = self.left.saturating_sub(octets.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Few<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of all that a hop says.
    async fn heard(said: &str) -> Result<Response<String>, Error> {
        Client::new(io::Cursor::new(said.as_bytes().to_vec()), Duration::from_secs(5)).hear(Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_reply_is_read_with_its_enhanced_code_and_all_its_lines() {
        for (said, code, esc, text) in [
            ("250 2.1.5 ok\r\n", 250, [2, 1, 5], "ok"),
            ("250\r\n", 250, [0; 3], ""),
            ("250 \n", 250, [0; 3], ""),
            ("354 go on\r\n250 more", 354, [0; 3], "go on"),
            ("550-5.1.1 no\r\n550-5.1.1\r\n550 5.1.1 really\r\n", 550, [5, 1, 1], "no\n\nreally"),
            ("450 4.10 is no code\r\n", 450, [0; 3], "4.10 is no code"),
            ("450 1.2.3.4 is an address\r\n", 450, [0; 3], "1.2.3.4 is an address"),
            ("599 \u{e9}\r\n", 599, [0; 3], "\u{e9}"),
        ] {
            let reply = heard(said).await.unwrap_or_else(|error| panic!("{said:?}: {error}"));
            assert_eq!((reply.code, reply.esc, reply.message.as_str()), (code, esc, text), "{said:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_is_none() {
        for said in ["", "\r\n", "25 ok\r\n", "2500 ok\r\n", "ok\r\n", "099 x\r\n", "150 x\r\n", "600 x\r\n", "250 ok", "250-ok\r\n550 no\r\n", "250-ok\r\n"] {
            assert!(matches!(heard(said).await, Err(Error::UnparseableReply)), "{said:?}");
        }
        for endless in ["2", "250 ", "250-", "250-\r\n", "250-\n", "250-words\r\n", "\r", "\0"] {
            assert!(matches!(heard(&endless.repeat(1 << 20)).await, Err(Error::UnparseableReply)), "{endless:?}");
        }
    }

    #[test]
    fn what_is_announced_is_read_line_by_line_whatever_stands_in_the_others() {
        let lines = ["hop.test greets", "PIPELINING", "SIZE 1000", "AUTH=LOGIN", "auth PLAIN LOGIN", "SIZE-LIKE", "", "XCLIENT NAME ADDR", "8bitmime", "\u{1}"];
        let hello = Reply { code: 250, lines: lines.map(str::to_owned).to_vec() }.announced();
        assert_eq!(hello.size, 1000);
        for extension in [smtp_proto::EXT_PIPELINING, smtp_proto::EXT_8BIT_MIME, smtp_proto::EXT_AUTH] {
            assert!(hello.has_capability(extension), "{extension}");
        }
        assert!(!hello.has_capability(smtp_proto::EXT_START_TLS));
        assert_eq!(hello.auth_mechanisms, smtp_proto::AUTH_PLAIN | smtp_proto::AUTH_LOGIN);
    }
}
