//! What differs between deployments: `pairpost.toml`, and an environment variable for each key that overrides it.
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::domain::address::EmailAddress;

pub mod smtp;

pub use smtp::{BareNewlines, Smtp};

/// The whole configuration; every key has a default that makes `pairpost serve` run on a laptop.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The mail domain of the programme.
    pub domain: String,
    /// Where the few pages are reached from outside, without a slash at its end; none: `http://` and `http.listen`.
    pub url: Option<String>,
    /// The mailbox of the person who runs the installation: letters to `postmaster@` and `abuse@` are passed on to it.
    pub operator: Option<EmailAddress>,
    /// The mailboxes of the people who may use the coordinators' commands by mail, beside the operator; a list, or one text with commas.
    #[serde(deserialize_with = "one_or_more")]
    pub coordinators: Vec<EmailAddress>,
    /// Private Postgres, captured mail, keys.
    pub data_dir: PathBuf,
    /// The installation's master secret; none: `data_dir/secret`, made on first start.
    pub secret_file: Option<PathBuf>,
    /// Files here replace embedded templates of the same path.
    pub templates_dir: Option<PathBuf>,
    /// The programme file; none: the librarians' exchange.
    pub programme: Option<PathBuf>,
    /// Days that the words of letters are kept after they were handled and delivered.
    pub keep_words_days: u16,
    /// Mail in.
    pub smtp: Smtp,
    /// Pages.
    pub http: Http,
    /// Postgres.
    pub database: Database,
    /// Mail out.
    pub delivery: Delivery,
    /// Who wrote it.
    pub auth: Auth,
    /// Partners' letters.
    pub relay: Relay,
    /// The resolver.
    pub dns: Dns,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: "pairpost.localhost".into(),
            url: None,
            operator: None,
            coordinators: Vec::new(),
            data_dir: "./pairpost-data".into(),
            secret_file: None,
            templates_dir: None,
            programme: None,
            keep_words_days: 14,
            smtp: Smtp::default(),
            http: Http::default(),
            database: Database::default(),
            delivery: Delivery::default(),
            auth: Auth::default(),
            relay: Relay::default(),
            dns: Dns::default(),
        }
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Unsubscribe, mailboxes of a demo, `/healthz`, `/readyz`, `/metrics`.
    pub listen: SocketAddr,
    /// Connections at once; beyond, the client that let us wait longest for a request makes room.
    pub max_connections: usize,
    /// Seconds in which a request must have come, its header whole; then the connection is closed.
    pub timeout_seconds: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8025)), max_connections: 200, timeout_seconds: 10 }
    }
}

/// `[database]`
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…`; none: a private Postgres under `data_dir`. `DATABASE_URL` serves too.
    pub url: Option<String>,
    /// The private Postgres is meant, also behind a listener that is not loopback.
    pub private: bool,
}

/// Never the URL, which may hold a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("url", &self.url.as_ref().map(|_| "…")).field("private", &self.private).finish()
    }
}

/// What becomes of letters of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// Handed to the smarthost.
    Send,
    /// Kept in `data_dir/mail` (Maildir) and readable on a page.
    Capture,
    /// Held until released by hand.
    Review,
}

/// `[delivery]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// `smtp://host:port` or `smtps://…`, with credentials where the host asks for them.
    pub smarthost: Option<String>,
    /// None: `send` with a smarthost, else `capture`.
    pub mode: Option<DeliveryMode>,
    /// Connections to the next hop in all.
    pub concurrency: usize,
    /// Letters on their way at once to one recipient domain.
    pub per_domain: usize,
    /// Seconds that one step of a dialogue with the next hop may take.
    pub timeout_seconds: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { smarthost: None, mode: None, concurrency: 32, per_domain: 20, timeout_seconds: 120 }
    }
}

/// Never the smarthost's credentials.
impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("smarthost", &self.smarthost.as_ref().map(|_| "…")).field("mode", &self.mode()).finish_non_exhaustive()
    }
}

impl Delivery {
    /// The mode in force.
    pub fn mode(&self) -> DeliveryMode {
        self.mode.unwrap_or(if self.smarthost.is_some() { DeliveryMode::Send } else { DeliveryMode::Capture })
    }
}

/// How strictly the origin of letters is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// SPF, DKIM, DMARC decide.
    Enforce,
    /// They are looked up and recorded, and everybody is trusted.
    Report,
    /// Nothing is looked up: loopback listeners only.
    Off,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// See [`Verify`].
    pub verify: Verify,
    /// Letters in an hour, over the whole service, that ask strangers whether a letter was theirs.
    pub asks_per_hour: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self { verify: Verify::Enforce, asks_per_hour: 100 }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// `[relay]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// `off` lifts the limit per person (load tests; loopback listeners only).
    pub limits: Switch,
    /// Letters that one person may send to one partner in a day.
    pub letters_per_day: u32,
}

impl Default for Relay {
    fn default() -> Self {
        Self { limits: Switch::On, letters_per_day: 60 }
    }
}

/// `[dns]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// The DNS server to ask instead of the system's resolver.
    pub server: Option<SocketAddr>,
}

impl Config {
    /// Reads `file` (or `pairpost.toml` here, if it is there), then the environment given, and checks what must agree.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let chosen = file.map(Path::to_owned).or_else(|| Some(PathBuf::from("pairpost.toml")).filter(|path| path.exists()));
        let mut table = match &chosen {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .parse::<Table>()
                .with_context(|| format!("{} is not TOML", path.display()))?,
            None => Table::new(),
        };
        let mut database_url = None;
        for (name, value) in environment {
            if name == "DATABASE_URL" {
                database_url = Some(value);
            } else if let Some(key) = name.strip_prefix("PAIRPOST_") {
                set(&mut table, &key.to_lowercase(), &value).with_context(|| format!("{name} does not fit"))?;
            }
        }
        let mut config: Self = table.try_into().context("the configuration has a key or value that Pairpost does not know")?;
        config.database.url = config.database.url.or(database_url);
        config.domain = config.domain.to_lowercase();
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        ensure!(EmailAddress::parse(&format!("join@{}", self.domain)).is_ok(), "domain = {:?} is not a mail domain", self.domain);
        self.smtp.check()?;
        ensure!(self.http.max_connections > 0 && self.http.timeout_seconds > 0, "http.max_connections and http.timeout_seconds must be at least 1");
        if let Some(open) = self.smtp.listen.iter().find(|address| !is_loopback(address.ip())) {
            ensure!(self.auth.verify != Verify::Off, "auth.verify = \"off\" is for loopback listeners only, and smtp.listen has {open}: use \"enforce\"");
            ensure!(self.relay.limits == Switch::On, "relay.limits = \"off\" is for loopback listeners only, and smtp.listen has {open}: use \"on\"");
            ensure!(
                self.database.url.is_some() || self.database.private,
                "smtp.listen has {open}, which is not loopback, and no database.url is set: set it, or say database.private = true if the private Postgres is meant to serve for real"
            );
        }
        match (self.delivery.mode(), &self.delivery.smarthost) {
            (DeliveryMode::Send, None) => bail!("delivery.mode = \"send\" needs delivery.smarthost"),
            (DeliveryMode::Send | DeliveryMode::Capture | DeliveryMode::Review, _) => Ok(()),
        }
    }

    /// Where people reach the pages.
    pub fn public_url(&self) -> String {
        self.url.as_deref().map_or_else(|| format!("http://{}", self.http.listen), |url| url.trim_end_matches('/').to_owned())
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Sets `a__b` to `value`, read as TOML where it is TOML, else as a text.
fn set(table: &mut Table, key: &str, value: &str) -> Result<()> {
    let (section, rest) = match key.split_once("__") {
        Some((section, rest)) => (section, Some(rest)),
        None => (key, None),
    };
    match rest {
        Some(rest) => match table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) => {
                bail!("{section} is not a section")
            }
        },
        None => {
            let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
            table.insert(section.to_owned(), parsed.unwrap_or_else(|| Value::String(value.to_owned())));
            Ok(())
        }
    }
}

/// A list, or one text with commas, which is how it stands in the environment.
fn one_or_more<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let words: Vec<String> = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => text.split(',').map(str::to_owned).collect(),
        OneOrMore::More(list) => list,
    };
    let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|error| serde::de::Error::custom(format!("{word:?}: {error}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config> {
        Config::load(Some(Path::new("/dev/null")), pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_environment_overrides_every_key_and_the_defaults_run_on_a_laptop() {
        let config = load(&[]).expect("defaults");
        assert_eq!((config.domain.as_str(), config.delivery.mode()), ("pairpost.localhost", DeliveryMode::Capture));
        let config = load(&[
            ("PAIRPOST_DOMAIN", "Relay.test"),
            ("PAIRPOST_SMTP__LISTEN", "127.0.0.1:1, [::1]:2"),
            ("PAIRPOST_COORDINATORS", "cleo@example.org, dan@example.net"),
            ("PAIRPOST_AUTH__VERIFY", "off"),
            ("PAIRPOST_RELAY__LIMITS", "off"),
            ("PAIRPOST_DELIVERY__SMARTHOST", "smtp://127.0.0.1:25"),
            ("PAIRPOST_SMTP__MAX_MESSAGE_BYTES", "1000"),
            ("DATABASE_URL", "postgres://x"),
            ("HOME", "/root"),
        ])
        .expect("loads");
        assert_eq!((config.domain.as_str(), config.smtp.listen.len(), config.smtp.max_message_bytes), ("relay.test", 2, 1000));
        assert_eq!((config.auth.verify, config.relay.limits, config.delivery.mode()), (Verify::Off, Switch::Off, DeliveryMode::Send));
        assert_eq!(config.database.url.as_deref(), Some("postgres://x"));
        assert_eq!(config.coordinators.iter().map(EmailAddress::as_str).collect::<Vec<_>>(), ["cleo@example.org", "dan@example.net"]);
        assert_eq!(load(&[("PAIRPOST_COORDINATORS", "[\"cleo@example.org\"]")]).expect("a list").coordinators.len(), 1);
    }

    #[test]
    fn what_would_be_dangerous_or_is_unknown_is_refused_with_its_cure() {
        for (pairs, word) in [
            (&[("PAIRPOST_SMTP__LISTEN", "0.0.0.0:25"), ("PAIRPOST_AUTH__VERIFY", "off")][..], "auth.verify"),
            (&[("PAIRPOST_SMTP__LISTEN", "0.0.0.0:25")], "database.private"),
            (&[("PAIRPOST_SMTP__LISTEN", "0.0.0.0:25"), ("DATABASE_URL", "postgres://x"), ("PAIRPOST_RELAY__LIMITS", "off")], "relay.limits"),
            (&[("PAIRPOST_DELIVERY__MODE", "send")], "smarthost"),
            (&[("PAIRPOST_DOMAIN", "no domain")], "mail domain"),
            (&[("PAIRPOST_SMTP__TLS_KEY", "/etc/key.pem")], "smtp.tls_certificate"),
            (&[("PAIRPOST_SMTP__TLS", "maybe")], "does not know"),
            (&[("PAIRPOST_SMTP__BARE_NEWLINES", "keep")], "does not know"),
            (&[("PAIRPOST_SMPT__LISTEN", "x")], "does not know"),
            (&[("PAIRPOST_COORDINATORS", "cleo@example.org, dan")], "\"dan\""),
        ] {
            let error = format!("{:#}", load(pairs).expect_err(word));
            assert!(error.contains(word), "{error}");
        }
        assert!(load(&[("PAIRPOST_SMTP__LISTEN", "0.0.0.0:25"), ("PAIRPOST_DATABASE__PRIVATE", "true")]).is_ok());
    }
}
