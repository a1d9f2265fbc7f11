//! The built program among hostile clients: its memory stays within the budget and a constant, and a good client is served meanwhile.
use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{database::TestDatabase, program::PATIENCE, stopwatch::Stopwatch};

/// What letters may take here, beside the sessions' places.
const BUDGET: usize = 12 << 20;
/// What else may grow: buffers of the database's connections, letters that are worked on one at a time, the allocator's own.
const CONSTANT: usize = 24 << 20;

struct Served {
    program: Child,
    smtp: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _it_may_be_gone = self.program.kill();
        let _reaped = self.program.wait();
    }
}

impl Served {
    fn start(database: &TestDatabase, data: &std::path::Path) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pairpost"))
            .arg("serve")
            .env("DATABASE_URL", database.url())
            .env("PAIRPOST_DATA_DIR", data)
            .env("PAIRPOST_SMTP__LISTEN", "127.0.0.1:0")
            .env("PAIRPOST_HTTP__LISTEN", "127.0.0.1:0")
            .env("PAIRPOST_AUTH__VERIFY", "off")
            .env("PAIRPOST_SMTP__MAX_MESSAGE_BYTES", "4000000")
            .env("PAIRPOST_SMTP__MAX_CONNECTIONS", "40")
            .env("PAIRPOST_SMTP__MEMORY_BYTES", (BUDGET + 40 * (32 << 10)).to_string())
            .env("RUST_LOG", "off")
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut words = BufReader::new(program.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let ready = words.find(|line| line.starts_with("ready ")).expect("it is ready");
        let smtp = ready.split(' ').find_map(|word| word.strip_prefix("smtp=")).expect("it says where").to_owned();
        Self { program, smtp }
    }

    /// The proportional set size, in bytes.
    fn memory(&self) -> usize {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.program.id())).expect("it runs");
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    /// A hostile client; the good one comes from elsewhere.
    fn connect(&self) -> TcpStream {
        self.connect_from("127.0.0.2:0")
    }

    fn connect_from(&self, client: &str) -> TcpStream {
        let connecting = async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(client.parse().expect("an address"))?;
            socket.connect(self.smtp.parse().expect("an address")).await?.into_std()
        };
        let stream = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime").block_on(connecting).expect("it listens");
        stream.set_nonblocking(false).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Within a letter, or none where the door is closed to it.
    fn begin_letter(&self) -> Option<TcpStream> {
        let mut stream = self.connect();
        stream.write_all(b"EHLO evil.test\r\nMAIL FROM:<e@evil.test>\r\nRCPT TO:<postmaster@pairpost.localhost>\r\nDATA\r\n").ok()?;
        wait_for(&mut stream, "354").then_some(stream)
    }

    /// A good client's letter, from the connection to the goodbye.
    fn good_letter(&self) -> Duration {
        let began = Stopwatch::start();
        let mut stream = self.connect_from("127.0.0.1:0");
        assert!(wait_for(&mut stream, "220"), "a good client is greeted");
        let sent = "EHLO good.test\r\nMAIL FROM:<g@good.test>\r\nRCPT TO:<postmaster@pairpost.localhost>\r\nDATA\r\n";
        stream.write_all(sent.as_bytes()).expect("it listens");
        assert!(wait_for(&mut stream, "354"), "a good client may write");
        stream.write_all(b"From: g@good.test\r\n\r\nHello\r\n.\r\n").expect("it listens");
        assert!(wait_for(&mut stream, "250 2.0.0"), "a good client's letter is taken");
        began.elapsed()
    }
}

/// Reads until a line begins so; false where the session ends before.
fn wait_for(stream: &mut TcpStream, code: &str) -> bool {
    let (mut heard, mut block) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut block) {
            // As when the machine stood still.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return false,
            Ok(octets) => heard.extend_from_slice(&block[..octets]),
        }
        let text = String::from_utf8_lossy(&heard);
        if text.split("\r\n").any(|line| line.starts_with(code)) && text.ends_with("\r\n") {
            return true;
        }
    }
}

/// Sends until the server has had enough, or so much is sent.
fn pour(mut stream: TcpStream, block: &[u8], blocks: usize) -> TcpStream {
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
    for _ in 0..blocks {
        if stream.write_all(block).is_err() {
            break;
        }
    }
    stream
}

#[test]
fn hostile_clients_take_the_budget_and_no_more_and_a_good_one_is_served_meanwhile() {
    let (database, data) = (TestDatabase::new(), tempfile::tempdir().expect("a folder"));
    let served = Served::start(&database, data.path());
    // What every process has once it has worked at all.
    for _ in 0..5 {
        served.good_letter();
    }
    let before = served.memory();
    let mut most = before;
    let mut check = |what: &str, kept: Vec<TcpStream>| {
        let times: Vec<Duration> = (0..3).map(|_| served.good_letter()).collect();
        most = most.max(served.memory());
        // The best of three: the machine that tests has other things to do.
        assert!(times.iter().min().expect("three") < &Duration::from_secs(1), "{what}: {times:?}");
        assert!(most < before + BUDGET + CONSTANT, "{what}: from {before} to {most} bytes");
        drop(kept);
    };
    let line = b"x".repeat(1 << 16);
    check("endless lines", (0..4).map(|_| pour(served.connect(), &line, 64)).collect());
    let text = [b"y".repeat(998).as_slice(), b"\r\n"].concat().repeat(64);
    check("endless letters", (0..10).filter_map(|_| served.begin_letter()).map(|stream| pour(stream, &text, 58)).collect());
    let recipients = b"RCPT TO:<postmaster@pairpost.localhost>\r\n".repeat(900);
    let to_many = || pour(served.connect(), &[b"EHLO e.test\r\nMAIL FROM:<e@evil.test>\r\n".as_slice(), &recipients].concat(), 1);
    check("recipients without end", (0..3).map(|_| to_many()).collect());
    check("all places taken by one client", (0..60).map(|_| served.connect()).collect());
    check("letters that drip", (0..15).filter_map(|_| served.begin_letter()).map(|stream| pour(stream, b"z", 1)).collect());
    let shake = |mut stream: TcpStream| {
        stream.write_all(b"EHLO e.test\r\nSTARTTLS\r\n").expect("it listens");
        wait_for(&mut stream, "220 2").then(|| pour(stream, b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb", 1))
    };
    check("handshakes that never end", (0..15).filter_map(|_| shake(served.connect())).collect());
    check("clients that never read", (0..15).map(|_| pour(served.connect(), b"NOOP\r\n", 900)).collect());
}
