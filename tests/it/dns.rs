//! A name server on loopback that knows what a test tells it: asked over UDP by the real resolver (`dns.server`).
use std::{net::SocketAddr, sync::Arc};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, MX, TXT},
    },
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Answers until it is dropped.
#[derive(Debug)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    answering: JoinHandle<()>,
}

/// One line of a zone file: the name without its last dot, `TXT`, `A`, `MX`, `SERVFAIL` or `SILENCE`, and the value.
#[derive(Debug, Clone)]
pub struct Line {
    name: String,
    kind: Kind,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Of(RecordType),
    /// Every question about the name fails for now.
    Failure,
    /// It is not answered at all.
    Silence,
}

/// Reads `name KIND value` lines; empty lines and those that begin with `#` say nothing.
pub fn zone(text: &str) -> Vec<Line> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let (name, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let kind = match kind {
                "TXT" => Kind::Of(RecordType::TXT),
                "A" => Kind::Of(RecordType::A),
                "MX" => Kind::Of(RecordType::MX),
                "SERVFAIL" => Kind::Failure,
                "SILENCE" => Kind::Silence,
                other => panic!("{line}: {other} is no kind of record"),
            };
            Line { name: name.to_owned(), kind, value: words.next().unwrap_or_default().to_owned() }
        })
        .collect()
}

impl NameServer {
    /// Knows these lines; every other name does not exist.
    pub async fn start(zone: Vec<Line>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        Self { address, answering: tokio::spawn(answer_all(Arc::new(socket), zone)) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer_all(socket: Arc<UdpSocket>, zone: Vec<Line>) {
    let mut packet = [0; 4096];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut packet).await else { return };
        let Ok(question) = Message::from_vec(&packet[..length]) else { continue };
        if question.queries.iter().any(|query| known(query.name(), &zone).iter().any(|line| line.kind == Kind::Silence)) {
            continue;
        }
        let answer = answer(question, &zone).to_vec().expect("an answer can be written");
        if socket.send_to(&answer, client).await.is_err() {
            return;
        }
    }
}

fn known<'z>(name: &Name, zone: &'z [Line]) -> Vec<&'z Line> {
    let asked = name.to_ascii();
    zone.iter().filter(|line| asked.trim_end_matches('.').eq_ignore_ascii_case(&line.name)).collect()
}

fn answer(question: Message, zone: &[Line]) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    for query in &question.queries {
        let known = known(query.name(), zone);
        if known.iter().any(|line| line.kind == Kind::Failure) {
            answer.metadata.response_code = ResponseCode::ServFail;
        } else if known.is_empty() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        for line in known.iter().filter(|line| line.kind == Kind::Of(query.query_type())) {
            answer.answers.push(Record::from_rdata(query.name().clone(), 60, line.data()));
        }
    }
    answer
}

impl Line {
    fn data(&self) -> RData {
        match self.kind {
            Kind::Of(RecordType::TXT) => {
                let strings = self.value.as_bytes().chunks(200).map(|part| String::from_utf8_lossy(part).into_owned());
                RData::TXT(TXT::new(strings.collect()))
            }
            Kind::Of(RecordType::MX) => RData::MX(MX::new(10, Name::from_ascii(&self.value).expect("a host name"))),
            Kind::Of(_) | Kind::Failure | Kind::Silence => RData::A(A(self.value.parse().expect("an IPv4 address"))),
        }
    }
}
