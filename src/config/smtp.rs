//! `[smtp]`: where mail comes in, whom we believe, and how much of everything one client may take.
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Result, ensure};
use serde::{Deserialize, Deserializer};

use super::Switch;
use crate::domain::{address::EmailAddress, network::Network};

/// What a session holds outside of its letter at most, TLS included: its places are set aside in the budget.
pub const SESSION_BYTES: usize = 32 << 10;

/// `[smtp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// Where mail comes in; a list, or one text with commas.
    #[serde(deserialize_with = "super::one_or_more")]
    pub listen: Vec<SocketAddr>,

    /// Larger mail is refused with 552 5.3.4.
    pub max_message_bytes: usize,
    /// A larger header is refused with 552 5.3.4.
    pub max_header_bytes: usize,
    /// More parts (RFC 2046) are refused with 554 5.6.0.
    pub max_parts: usize,
    /// Parts deeper within parts are refused with 554 5.6.0.
    pub max_depth: usize,
    /// Bytes of letters in flight, over all sessions; none: 64 MiB, or more where letters may be so large that they need it.
    pub memory_bytes: Option<usize>,

    /// A longer command line is refused with 500 5.5.2 (RFC 5321 4.5.3.1.4: at least 512, and what extensions add).
    pub max_line_bytes: usize,
    /// Recipients of one letter; more are answered 452 4.5.3 (RFC 5321 4.5.3.1.8: at least 100).
    pub max_recipients: usize,
    /// Refused commands in one session before it is closed with 421.
    pub max_errors: usize,
    /// Commands between two letters before the session is closed with 421.
    pub max_commands: usize,
    /// Sessions at once; more are answered 421.
    pub max_connections: usize,
    /// … of one client (an IPv4 address, an IPv6 /64); none: half of all.
    pub max_connections_per_client: Option<usize>,
    /// New connections of one client in a minute; more are answered 421. Clients on this machine are not counted.
    pub max_new_connections_per_minute: u32,

    /// Seconds to wait for the next bytes of a client (RFC 5321 4.5.3.2.7: at least 5 minutes).
    pub timeout_seconds: u64,
    /// Bytes in a second that a client must keep up while it sends a letter.
    pub min_bytes_per_second: u64,
    /// Seconds that one letter may take, at whatever pace.
    pub letter_seconds: u64,
    /// Seconds that one session may take; a letter under way is let through.
    pub session_seconds: u64,

    /// Whether STARTTLS is offered (RFC 3207).
    pub tls: Switch,
    /// The certificate shown, with its chain, in PEM; none: one of our own making in `data_dir`.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key in PEM; none: it stands in the certificate's file.
    pub tls_key: Option<PathBuf>,
    /// What becomes of a letter with a CR or LF alone.
    pub bare_newlines: BareNewlines,

    /// Mail servers that receive for us: their XCLIENT and XFORWARD count. Addresses or networks; a list, or one text with commas.
    #[serde(deserialize_with = "super::one_or_more")]
    pub trusted_front: Vec<Network>,
    /// … and their `Authentication-Results` under this name (RFC 8601 2.5), if one is given.
    pub trusted_authserv_id: Option<String>,
    /// Balancers in front of us, which begin each connection with a header of the PROXY protocol, version 2.
    #[serde(deserialize_with = "super::one_or_more")]
    pub trusted_balancers: Vec<Network>,

    /// DNS lists of senders of junk (RFC 5782) to ask about each client; one that does not answer is passed over.
    #[serde(deserialize_with = "super::one_or_more")]
    pub dns_lists: Vec<ListName>,
    /// Whoever writes for the first time is asked to come again, which programs that send junk seldom do.
    pub greylisting: Switch,
    /// Seconds after which they may.
    pub greylisting_seconds: u32,
    /// Milliseconds before the greeting, in which a client must not speak; none: 300, for clients from elsewhere that have not yet brought a letter.
    pub greeting_delay_ms: Option<u64>,
    /// Letters in an hour of one sender domain; more are answered 451. Those that prove their origin are counted apart. 0: no limit.
    pub max_letters_per_domain: u32,
    /// Refused letters in an hour, of one network or one sender domain, that get a row each in the record; the rest is counted.
    pub max_refusals_recorded: u32,
}

/// What becomes of a letter with a CR or LF that is no part of a CR LF (RFC 5321 2.3.8): it could be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareNewlines {
    /// It is refused with 550 5.6.0.
    Refuse,
    /// Each becomes a CR LF.
    Normalise,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 2525))],
            max_message_bytes: 26_214_400,
            max_header_bytes: 256 << 10,
            max_parts: 1000,
            max_depth: 30,
            memory_bytes: None,
            max_line_bytes: 2048,
            max_recipients: 100,
            max_errors: 20,
            max_commands: 1000,
            max_connections: 500,
            max_connections_per_client: None,
            max_new_connections_per_minute: 120,
            timeout_seconds: 300,
            min_bytes_per_second: 4000,
            letter_seconds: 7200,
            session_seconds: 7200,
            tls: Switch::On,
            tls_certificate: None,
            tls_key: None,
            bare_newlines: BareNewlines::Refuse,
            trusted_front: Vec::new(),
            trusted_authserv_id: None,
            trusted_balancers: Vec::new(),
            dns_lists: Vec::new(),
            greylisting: Switch::Off,
            greylisting_seconds: 300,
            greeting_delay_ms: None,
            max_letters_per_domain: 1000,
            max_refusals_recorded: 100,
        }
    }
}

impl Smtp {
    /// The whole budget of memory, in bytes.
    pub fn memory(&self) -> usize {
        self.memory_bytes.unwrap_or_else(|| self.least_memory().max(64 << 20))
    }

    /// What letters may take of it: the rest belongs to the sessions' places.
    pub fn letters_memory(&self) -> usize {
        self.memory().saturating_sub(self.max_connections * SESSION_BYTES)
    }

    /// Room for every session and one letter of the largest size.
    fn least_memory(&self) -> usize {
        // Letters of the ordinary kind have a lane of their own, an eighth.
        self.max_connections.saturating_mul(SESSION_BYTES).saturating_add(self.max_message_bytes.saturating_add(1 << 20).saturating_mul(8) / 7)
    }

    pub(super) fn check(&self) -> Result<()> {
        ensure!(!self.listen.is_empty(), "smtp.listen names no address");
        let least = [
            ("max_message_bytes", self.max_message_bytes as u64, 1, "no letter could come in"),
            ("max_header_bytes", self.max_header_bytes as u64, 1, "no letter could come in"),
            ("max_parts", self.max_parts as u64, 1, "no letter could come in"),
            ("max_depth", self.max_depth as u64, 1, "a letter with text and pictures has more"),
            ("max_line_bytes", self.max_line_bytes as u64, 1000, "RFC 5321 4.5.3.1.4 asks for 512, and the parameters that we announce add to it"),
            ("max_recipients", self.max_recipients as u64, 1, "RFC 5321 4.5.3.1.8 asks for 100"),
            ("max_errors", self.max_errors as u64, 1, "everybody makes one"),
            ("max_commands", self.max_commands as u64, 5, "a letter takes five"),
            ("max_connections", self.max_connections as u64, 1, "nobody could come in"),
            ("max_connections_per_client", self.max_connections_per_client.unwrap_or(1) as u64, 1, "nobody could come in"),
            ("max_new_connections_per_minute", self.max_new_connections_per_minute.into(), 1, "nobody could come in"),
            ("timeout_seconds", self.timeout_seconds, 1, "RFC 5321 4.5.3.2 asks for 300"),
            ("min_bytes_per_second", self.min_bytes_per_second, 1, "letters could take for ever"),
            ("letter_seconds", self.letter_seconds, 1, "no letter could be sent"),
            ("session_seconds", self.session_seconds, 1, "no letter could be sent"),
        ];
        for (key, value, least, why) in least {
            ensure!(value >= least, "smtp.{key} = {value} is too little: {why}; it must be at least {least}");
        }
        ensure!(
            self.memory() >= self.least_memory(),
            "smtp.memory_bytes = {} holds no letter of smtp.max_message_bytes beside smtp.max_connections sessions: it must be at least {}, or left out",
            self.memory(),
            self.least_memory()
        );
        ensure!(self.greeting_delay_ms.unwrap_or_default() <= 60_000, "smtp.greeting_delay_ms is more than a minute, and honest clients would not wait");
        ensure!(self.tls_key.is_none() || self.tls_certificate.is_some(), "smtp.tls_key is set and smtp.tls_certificate is not: set both, or neither");
        if let Some(id) = &self.trusted_authserv_id {
            ensure!(!self.trusted_front.is_empty(), "smtp.trusted_authserv_id = {id:?} counts only from a mail server named in smtp.trusted_front");
            ensure!(
                !id.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control() || c == ';'),
                "smtp.trusted_authserv_id = {id:?} is no name such as mx.example.org"
            );
        }
        Ok(())
    }

    /// A mail server that receives for us.
    pub fn is_front(&self, ip: IpAddr) -> bool {
        self.trusted_front.iter().any(|network| network.contains(ip))
    }

    /// A balancer in front of us.
    pub fn is_balancer(&self, ip: IpAddr) -> bool {
        self.trusted_balancers.iter().any(|network| network.contains(ip))
    }
}

/// The zone of a DNS list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListName(pub String);

impl std::str::FromStr for ListName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = text.contains('.') && !text.ends_with('.') && EmailAddress::parse(&format!("x@{text}")).is_ok();
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(format!("{text:?} is no zone of a DNS list such as zen.example.org")) }
    }
}

impl<'de> Deserialize<'de> for ListName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
