//! One request for a page, as a mail program's own button makes it.
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Asks `server` for the page of `link`; a POST says what RFC 8058 (3.2) has it say. Gives the page; anything but 200 is an error.
pub async fn ask(server: SocketAddr, method: &str, link: &str) -> Result<String> {
    let path = link.splitn(4, '/').nth(3).unwrap_or_default();
    let body = if method == "POST" { "List-Unsubscribe=One-Click" } else { "" };
    let length = body.len();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{method} {link} was answered: {}", answer.lines().next().unwrap_or_default());
    Ok(answer)
}
