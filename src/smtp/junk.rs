//! Against junk: DNS lists, greylisting, clients that give our own name, and a rate per sender domain. Whatever can't be asked lets the letter pass.
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use mail_auth::{MessageAuthenticator, common::to_a_label};
use tracing::warn;

use super::{Visit, clients::Rate, guard::DATABASE_PATIENCE, replies, verify};
use crate::{
    config::{Config, Smtp, Switch},
    domain::{
        address::{EmailAddress, OwnAddress},
        network::Network,
    },
    store::{greylist, recipients::Recipient},
    telemetry::{self, Figure},
};

/// All lists have answered within this time, or are passed over …
const PATIENCE: Duration = Duration::from_secs(3);
/// … and not asked again for so long: one that is down delays one letter, and not all.
const NOT_ASKED: Duration = Duration::from_secs(60);

/// DNS lists of senders of junk (RFC 5782).
pub(super) struct Lists {
    resolver: MessageAuthenticator,
    zones: Vec<Zone>,
}

struct Zone {
    name: String,
    /// It did not answer; until then it is not asked.
    silent_until: Mutex<Option<Instant>>,
}

impl Lists {
    /// None where none are configured.
    pub(super) fn new(config: &Config) -> Result<Option<Self>> {
        let zones: Vec<_> = config.smtp.dns_lists.iter().map(|zone| Zone { name: zone.0.clone(), silent_until: Mutex::default() }).collect();
        if zones.is_empty() { Ok(None) } else { Ok(Some(Self { resolver: verify::resolver(config.dns.server)?, zones })) }
    }

    /// The first list, in the configured order, on which the address stands.
    async fn ask(&self, ip: IpAddr) -> Option<String> {
        let mut asking = tokio::task::JoinSet::new();
        let now = Instant::now();
        let mut unanswered = BTreeSet::new();
        for (at, zone) in self.zones.iter().enumerate() {
            if zone.silent().is_some_and(|until| now < until) {
                continue;
            }
            unanswered.insert(at);
            let (resolver, name) = (self.resolver.resolver().clone(), format!("{}.{}.", reversed(ip), zone.name));
            asking.spawn(async move { (at, resolver.lookup(name, hickory_resolver::proto::rr::RecordType::A).await) });
        }
        let mut listed: Vec<usize> = Vec::new();
        let all = async {
            while let Some(answer) = asking.join_next().await {
                let Ok((at, answer)) = answer else { continue };
                unanswered.remove(&at);
                if let Ok(answer) = answer {
                    let stands = answer.answers().iter().any(|record| match &record.data {
                        hickory_resolver::proto::rr::RData::A(a) => means_listed(a.0.octets()),
                        _ => false,
                    });
                    listed.extend(stands.then_some(at));
                }
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            telemetry::count(Figure::TimeOuts, "dns-list");
            for at in unanswered {
                warn!(list = self.zones[at].name, "a DNS list does not answer, and is passed over for a minute");
                *self.zones[at].silent() = Some(now + NOT_ASKED);
            }
        }
        listed.into_iter().min().map(|at| self.zones[at].name.clone())
    }
}

impl Zone {
    fn silent(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The labels under which an address stands in a list (RFC 5782 2.1, 2.4).
fn reversed(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(four) => four.octets().iter().rev().map(u8::to_string).collect::<Vec<_>>().join("."),
        IpAddr::V6(six) => {
            let nibbles = six.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// RFC 5782 2.1: 127.0.0.2 and more. Lists say 127.255.255.* where they don't want to be asked by us, and another network where a resolver lies.
fn means_listed(answer: [u8; 4]) -> bool {
    matches!(answer, [127, rest @ ..] if !matches!(rest, [0, 0, 0 | 1] | [255, 255, _]))
}

/// How many letters came from which domain lately: those that prove it are counted apart, so that nobody can use up another's.
pub(super) struct Letters(Option<Rate<(String, bool)>>);

impl Letters {
    pub(super) fn new(config: &Config) -> Self {
        let most = config.smtp.max_letters_per_domain;
        let counted = most > 0 && config.relay.limits == Switch::On;
        Self(counted.then(|| Rate::new(most, Duration::from_secs(60 * 60))))
    }

    /// One more, unless that is too many.
    pub(super) fn take(&self, writer: &EmailAddress, proven: bool) -> bool {
        self.0.as_ref().is_none_or(|rate| rate.take((writer.domain().to_lowercase(), proven), Instant::now()))
    }
}

/// How many refused letters got a row in the record lately, by where they came from: whoever sends them by the thousand does not fill it.
pub(super) struct Refusals(Rate<String>);

impl Refusals {
    pub(super) fn new(limits: &Smtp) -> Self {
        Self(Rate::new(limits.max_refusals_recorded, Duration::from_secs(60 * 60)))
    }

    /// Whether one more gets a row.
    pub(super) fn has_room(&self, origins: &[String]) -> bool {
        let now = Instant::now();
        origins.iter().all(|origin| self.0.has_room(origin, now))
    }

    /// A letter was refused; one without a row is counted.
    pub(super) fn note(&self, origins: Vec<String>, recorded: bool) {
        match recorded {
            true => {
                for origin in origins {
                    self.0.take(origin, Instant::now());
                }
            }
            false => telemetry::count(Figure::Unrecorded, ""),
        }
    }
}

/// Where a letter says, or is seen, to come from: a network and a domain.
pub(super) fn origins(ip: Option<IpAddr>, writer: Option<&EmailAddress>) -> Vec<String> {
    let network = ip.map(|ip| Network::of_service(ip).to_string());
    network.into_iter().chain(writer.map(|writer| writer.domain().to_lowercase())).collect()
}

impl Visit {
    /// A client from elsewhere that gives our own name, or our own address, in EHLO.
    pub(super) fn is_name_of_ours(&self, name: &str) -> bool {
        if self.front || self.peer.ip().to_canonical().is_loopback() {
            return false;
        }
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(|inner| inner.trim_start_matches("IPv6:"));
        match literal {
            Some(literal) => literal.parse::<IpAddr>().is_ok_and(|ip| self.door.limits.listen.iter().any(|ours| ours.ip() == ip)),
            None => to_a_label(&name.trim_end_matches('.').to_lowercase()) == self.door.domain.as_str(),
        }
    }

    /// Whether this client's letter for the recipient is welcome, or the reply that refuses it. Nobody is kept from writing to whoever can help.
    pub(super) async fn welcome(&self, recipient: &Recipient, sender: Option<&EmailAddress>) -> Result<(), String> {
        let Some(ip) = self.caller().ip.filter(|ip| !ip.is_loopback()) else { return Ok(()) };
        if matches!(recipient, Recipient::Service(OwnAddress::Postmaster | OwnAddress::Abuse)) {
            return Ok(());
        }
        if let Some(list) = self.list_of(ip).await {
            telemetry::count(Figure::Reasons, "dns-list");
            return Err(replies::listed(&list));
        }
        // Bounces and answers to letters of ours are not first letters.
        let first_letter = matches!(recipient, Recipient::Service(_) | Recipient::Alias { .. });
        if self.door.limits.greylisting == Switch::On && first_letter && !self.has_met(ip, sender, recipient).await {
            telemetry::count(Figure::Reasons, "greylisted");
            return Err(replies::COME_AGAIN.to_owned());
        }
        Ok(())
    }

    /// Asked once for each address.
    async fn list_of(&self, ip: IpAddr) -> Option<String> {
        self.door.lists.as_ref()?;
        if let Some((_, list)) = self.listed.lock().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|(asked, _)| *asked == ip) {
            return list.clone();
        }
        let door = self.door.clone();
        // In a task of its own, because samotop wants a future that is `Sync`.
        let asking = tokio::spawn(async move { door.lists.as_ref()?.ask(ip).await });
        let list = asking.await.ok().flatten();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some((ip, list.clone()));
        list
    }

    /// Network, sender and recipient have been here before, some minutes ago at least. Kept as a hash: addresses stand in one table only.
    async fn has_met(&self, ip: IpAddr, sender: Option<&EmailAddress>, recipient: &Recipient) -> bool {
        let triple = format!("{}\n{}\n{}", Network::of_service(ip), sender.map(EmailAddress::key).unwrap_or_default(), recipient.mailbox());
        let triple = self.door.secret.word("greylist", triple.as_bytes());
        let door = self.door.clone();
        let asking = tokio::spawn(async move {
            let now = (door.clock)();
            let mut conn = door.store.connection().await?;
            let first = greylist::note(&mut conn, &triple, now).await?;
            conn.put_back();
            anyhow::Ok(now - first >= TimeDelta::seconds(door.limits.greylisting_seconds.into()))
        });
        let met = async { tokio::time::timeout(DATABASE_PATIENCE, asking).await.context("the database did not answer in time")?.context("the look-up died")? };
        met.await.unwrap_or_else(|error: anyhow::Error| {
            warn!(error = format!("{error:#}"), "greylisting could not be asked");
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_as_lists_have_them() {
        for (ip, labels) in [
            ("192.0.2.99", "99.2.0.192"),
            ("::ffff:192.0.2.99", "99.2.0.192"),
            ("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"),
        ] {
            assert_eq!(reversed(ip.parse().expect("an address")), labels);
        }
        for (answer, listed) in
            [([127, 0, 0, 2], true), ([127, 0, 1, 9], true), ([127, 0, 0, 1], false), ([127, 255, 255, 254], false), ([192, 0, 2, 1], false)]
        {
            assert_eq!(means_listed(answer), listed, "{answer:?}");
        }
    }

    #[test]
    fn whoever_forges_a_domain_uses_up_none_of_its_letters() {
        let config = Config { smtp: crate::config::Smtp { max_letters_per_domain: 1, ..Default::default() }, ..Config::default() };
        let (letters, ana) = (Letters::new(&config), EmailAddress::parse("ana@example.org").expect("an address"));
        assert!(letters.take(&ana, false) && !letters.take(&ana, false));
        assert!(letters.take(&ana, true) && !letters.take(&ana, true));
    }
}
