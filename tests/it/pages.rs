//! The pages' listener among hostile clients: each has its time and its measure, and neither the pages nor mail are kept from anybody.
use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    database::TestDatabase,
    program::{Letter, PATIENCE, Program, until},
    stopwatch::Stopwatch,
};

/// What is heard until the connection ends.
async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    // Being reset is an end, too.
    let _end = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it ends in time");
    String::from_utf8_lossy(&heard).into_owned()
}

async fn ask(program: &Program, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&program.http).await.expect("it shows pages");
    // Who is refused in the middle of it may be hung up on.
    let _heard_or_not = stream.write_all(request).await;
    stream
}

fn figure(text: &str, name: &str) -> i64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_request_has_its_time_and_its_measure() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let program = Program::serve(Some(&database.url()), data.path(), &[("PAIRPOST_HTTP__TIMEOUT_SECONDS", "4")]);
    let began = Stopwatch::start();
    let is_hung_up_on = async |slow: &[u8]| assert!(!hear(&mut ask(&program, slow).await).await.contains(" 200 "), "{slow:?}");
    tokio::join!(is_hung_up_on(b""), is_hung_up_on(b"GET /healthz"), is_hung_up_on(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // One that drips has no more time than one that is silent.
    let mut dripping = ask(&program, b"GET /healthz HTTP/1.1\r\nX-Slow: ").await;
    until("a client that drips is hung up on", async || {
        dripping.write_all(b"x").await.is_err() || matches!(timeout(Duration::from_millis(50), dripping.read(&mut [0; 512])).await, Ok(Ok(0) | Err(_)))
    })
    .await;
    // A kept connection is asked over and over, and closed when it is silent.
    let twice = hear(&mut ask(&program, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert_eq!(twice.matches("HTTP/1.1 200 OK").count(), 2, "{twice}");
    let wide = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Wide: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(2_000));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(40_000));
    for large in [&wide, &many, &long] {
        let heard = hear(&mut ask(&program, large.as_bytes()).await).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 431 ") || heard.starts_with("HTTP/1.1 414 "), "{heard}");
    }
    let body = "POST /leave/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(hear(&mut ask(&program, body.as_bytes()).await).await.starts_with("HTTP/1.1 413 "));
    let chunks = [b"POST /leave/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), b"1000\r\n", &[b'x'; 0x1000], b"\r\n"].concat();
    assert!(hear(&mut ask(&program, &chunks).await).await.starts_with("HTTP/1.1 404 "), "a link that is none is answered without its body");
    for noise in [b"EHLO x\r\nMAIL FROM:<>\r\n\r\n".as_slice(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let heard = hear(&mut ask(&program, noise).await).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 ") || heard.starts_with("HTTP/1.1 505 "), "{heard}");
    }
    assert_eq!(program.get("/healthz").await.0, 200);
    program.stop().await;
}

#[tokio::test]
async fn five_hundred_clients_that_never_ask_keep_nobody_from_the_pages_or_from_mail() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let settings = [("PAIRPOST_HTTP__MAX_CONNECTIONS", "50"), ("PAIRPOST_HTTP__TIMEOUT_SECONDS", "300")];
    let program = Program::serve(Some(&database.url()), data.path(), &settings);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", program.id())).expect("it runs").count();
    let before = files();
    let mut crowd = Vec::new();
    for number in 0..500 {
        crowd.push(ask(&program, if number % 2 == 0 { b"GET /healthz HTTP/1.1\r\nX-Slow: " } else { b"" }).await);
    }
    let began = Stopwatch::start();
    assert_eq!(program.get("/healthz").await.0, 200);
    assert!(program.send(&Letter::joins("ana@example.org")).await.starts_with("250 "));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    until("no more than fifty are open", async || files() <= before + 60).await;
    let figures = program.get("/metrics").await.1;
    assert!(figure(&figures, "pairpost_http_refused_total{reason=\"made-room\"}") >= 450, "{figures}");
    // Nor do they keep the program from stopping.
    program.stop().await;
    drop(crowd);
}
