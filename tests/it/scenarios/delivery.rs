//! A letter's way in by SMTP, as any server would hand it over; and what stands in one, however it is encoded.
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use mail_parser::MessageParser;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A letter with its envelope.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// MAIL FROM; empty is the null reverse-path.
    pub from: String,
    /// RCPT TO.
    pub to: String,
    /// The bytes, without the last line's end.
    pub raw: Vec<u8>,
}

/// What became of it.
pub struct Answer {
    /// It came as far as the dot.
    pub was_read: bool,
    /// The last reply.
    pub reply: String,
}

/// Hands one letter over.
pub async fn deliver(address: SocketAddr, letter: &Delivery) -> Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    reply(&mut stream).await?;
    let helo = letter.from.rsplit('@').next().filter(|domain| !domain.is_empty()).unwrap_or("mx.example.org");
    let commands = [format!("EHLO {helo}"), format!("MAIL FROM:<{}>", letter.from), format!("RCPT TO:<{}>", letter.to), "DATA".to_owned()];
    for command in commands {
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let reply = reply(&mut stream).await?;
        if !reply.starts_with(['2', '3']) {
            return Ok(Answer { was_read: false, reply });
        }
    }
    let mut stuffed = Vec::with_capacity(letter.raw.len() + 16);
    for line in letter.raw.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b"\r\n.\r\n");
    stream.write_all(&stuffed).await?;
    let reply = reply(&mut stream).await?;
    stream.write_all(b"QUIT\r\n").await?;
    Ok(Answer { was_read: true, reply })
}

/// The last line of a reply.
async fn reply(stream: &mut BufReader<TcpStream>) -> Result<String> {
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line).await? > 0, "the house hung up");
        if line.as_bytes().get(3) == Some(&b' ') {
            return Ok(line.trim_end().to_owned());
        }
    }
}

/// Whether a word stands anywhere in a letter, in whichever case: in its bytes as they are, or decoded. Our signature, which comes first, is chance letters.
pub fn holds(raw: &[u8], word: &str) -> bool {
    let signature = raw.starts_with(b"DKIM-Signature:").then(|| raw.windows(3).position(|at| at[..2] == *b"\r\n" && !matches!(at[2], b' ' | b'\t')));
    let raw = &raw[signature.flatten().unwrap_or_default()..];
    let word = word.to_ascii_lowercase();
    let has = |bytes: &[u8]| bytes.to_ascii_lowercase().windows(word.len()).any(|window| window == word.as_bytes());
    let decoded = MessageParser::default().parse(raw).is_some_and(|message| message.parts.iter().any(|part| has(part.contents())));
    decoded || has(raw)
}

#[test]
fn a_word_is_found_in_whichever_encoding() {
    for body in [
        "Content-Transfer-Encoding: base64\r\n\r\nd3JpdGUgdG8gQW5hQGV4YW1wbGUub3Jn\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nana=40exa=\r\nmple.org\r\n",
    ] {
        assert!(holds(body.as_bytes(), "ana@example.org"), "{body}");
        assert!(!holds(body.as_bytes(), "ben@example.org"), "{body}");
    }
}
