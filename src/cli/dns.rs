//! `pairpost dns`: the DNS records to publish, as lines of a zone file, each with a word on what it is for.
use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use ring::digest;
use serde::Serialize;

use super::print;
use crate::{
    config::Config,
    domain::address::base32,
    handlers::Site,
    store::{Store, keys},
};

/// The DNS records to publish.
#[derive(Debug, Args)]
pub struct Dns {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A record.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Record {
    name: String,
    kind: &'static str,
    value: String,
    what_for: String,
}

impl Dns {
    /// Prints them; makes the DKIM key first, if there is none yet.
    pub async fn run(self, config: &Config, store: &Store, site: &Site, now: DateTime<Utc>) -> Result<()> {
        let key = keys::ensure(store, &site.secret, &site.domain, now).await?;
        let records = records(&config.domain, smarthost(config), &key.selector, &key.public_key);
        if self.json {
            return print::json(&records);
        }
        for record in &records {
            print::line(format_args!("; {}\n{}. 3600 IN {} {}\n", record.what_for, record.name, record.kind, presented(record)));
        }
        print::line(format_args!("; The policy for MTA-STS, to serve as https://mta-sts.{}/.well-known/mta-sts.txt:", config.domain));
        for line in policy(&config.domain).lines() {
            print::line(format_args!(";   {line}"));
        }
        Ok(())
    }
}

/// The host of the smarthost, where it has a name that others can look up.
fn smarthost(config: &Config) -> Option<&str> {
    let url = config.delivery.smarthost.as_deref()?;
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place).trim_end_matches('/');
    let host = place.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(place, |(host, _)| host);
    Some(host).filter(|host| host.contains('.') && host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err())
}

fn records(domain: &str, smarthost: Option<&str>, selector: &str, public_key: &str) -> Vec<Record> {
    let record = |name: &str, kind, value: String, what_for: &str| Record {
        name: if name.is_empty() { domain.to_owned() } else { format!("{name}.{domain}") },
        kind,
        value,
        what_for: what_for.to_owned(),
    };
    let (sender, spf) = match smarthost {
        Some(host) => {
            (format!(" a:{host}"), "SPF (RFC 7208): who may send for the domain. Where your smarthost's people name an include:, put it in the place of a:")
        }
        None => (String::new(), "SPF (RFC 7208): who may send for the domain. Add what your smarthost's people name"),
    };
    let id = base32(&digest::digest(&digest::SHA256, policy(domain).as_bytes()).as_ref()[..10]);
    vec![
        record(
            "",
            "MX",
            format!("10 {domain}."),
            "MX (RFC 5321 5): where mail comes in. The host needs an A or AAAA record; put its name here if it has another one",
        ),
        record("", "TXT", format!("v=spf1 mx{sender} ~all"), spf),
        record(
            &format!("{selector}._domainkey"),
            "TXT",
            format!("v=DKIM1; k=rsa; p={public_key}"),
            "DKIM (RFC 6376): the key that every letter is signed with",
        ),
        record(
            "_dmarc",
            "TXT",
            format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}"),
            "DMARC (RFC 9989): what others should do with letters that only pretend to be from here, and where reports go",
        ),
        record("_mta-sts", "TXT", format!("v=STSv1; id={id}"), "MTA-STS (RFC 8461): there is a policy on encryption; the id changes with it"),
        record("_smtp._tls", "TXT", format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}"), "TLS-RPT (RFC 8460): where reports on encryption go"),
    ]
}

/// `testing`: `enforce` would turn mail away as long as the host that mail comes in at has no certificate of its own.
fn policy(domain: &str) -> String {
    format!("version: STSv1\nmode: testing\nmx: {domain}\nmax_age: 604800\n")
}

/// As a zone file has it (RFC 1035 5.1): texts in quotes, of at most 255 octets each.
fn presented(record: &Record) -> String {
    if record.kind != "TXT" {
        return record.value.clone();
    }
    let pieces = record.value.as_bytes().chunks(255).map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)));
    pieces.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_are_what_a_zone_file_takes() {
        let records = records("pairs.example", Some("mail.host.example"), "pp202703", &"A".repeat(392));
        let lines: Vec<_> = records.iter().map(|record| format!("{} {} {}", record.name, record.kind, presented(record))).collect();
        assert_eq!(lines[..2], ["pairs.example MX 10 pairs.example.", "pairs.example TXT \"v=spf1 mx a:mail.host.example ~all\""]);
        let key = lines[2].strip_prefix("pp202703._domainkey.pairs.example TXT \"v=DKIM1; k=rsa; p=A").expect("the key's record");
        assert!(key.contains("A\" \"A") && key.split("\" \"").all(|piece| piece.len() <= 256), "{key}");
        assert!(lines[3].starts_with("_dmarc.pairs.example TXT \"v=DMARC1; p=quarantine;"), "{}", lines[3]);
        // RFC 8461 3.1: letters and digits, at most 32.
        let id = lines[4].split("id=").nth(1).and_then(|id| id.strip_suffix('"')).expect("an id");
        assert!(id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        assert_eq!(lines[5], "_smtp._tls.pairs.example TXT \"v=TLSRPTv1; rua=mailto:postmaster@pairs.example\"");
    }

    #[test]
    fn only_a_smarthost_with_a_name_stands_in_the_record() {
        for (url, host) in [
            ("smtp://mail.host.example:587", Some("mail.host.example")),
            ("smtps://user:p%40ss@mail.host.example/", Some("mail.host.example")),
            ("smtp://127.0.0.1:25", None),
            ("smtp://[::1]:25", None),
            ("smtp://localhost", None),
        ] {
            let mut config = Config::default();
            config.delivery.smarthost = Some(url.into());
            assert_eq!(smarthost(&config), host, "{url}");
        }
    }
}
