//! `pairpost check`: what an installation needs, a line each: right, or how to mend it.
use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;

use super::print;
use crate::{
    app::{self, Opened},
    config::{Config, DeliveryMode, Switch},
    outbox, smtp,
    store::keys,
};

/// Checks configuration, certificate, database and keys.
#[derive(Debug, Args)]
pub struct Check {}

/// What was found out about one thing.
enum Finding {
    /// It is right.
    Right(String),
    /// It works, and could be better.
    Better(String),
    /// It is wrong, with the cure.
    Wrong(String),
}

impl Check {
    /// Checks everything, however much of it is wrong; an error at the end if anything is. The configuration could be read, or nobody would come here.
    pub async fn run(self, config: &Config) -> Result<()> {
        let mut findings = vec![
            ("configuration", incoming(config)),
            ("STARTTLS", certificate(config, Utc::now())),
            ("delivery", delivery(config)),
            ("operator", operator(config)),
        ];
        match app::site(config) {
            Ok(site) => {
                findings.push(("programme", Finding::Right(format!("{}, with its templates; the secret is there", site.programme.name))));
                findings.extend(database(config).await);
            }
            Err(error) => findings.push(("programme", Finding::Wrong(format!("{error:#}")))),
        }
        let mut wrong = 0;
        for (what, finding) in &findings {
            let (sign, says) = match finding {
                Finding::Right(says) => ("right ", says),
                Finding::Better(says) => ("better", says),
                Finding::Wrong(says) => ("wrong ", says),
            };
            print::line(format_args!("{sign}  {what}: {}", says.replace('\n', " ")));
            wrong += usize::from(matches!(finding, Finding::Wrong(_)));
        }
        match wrong {
            0 => Ok(()),
            1 => bail!("one thing is wrong"),
            more => bail!("{more} things are wrong"),
        }
    }
}

fn incoming(config: &Config) -> Finding {
    let at: Vec<_> = config.smtp.listen.iter().map(ToString::to_string).collect();
    let (at, domain) = (at.join(", "), &config.domain);
    if config.smtp.listen.iter().all(|address| address.ip().to_canonical().is_loopback()) {
        return Finding::Better(format!("mail for {domain} comes in at {at}, which only this machine reaches; set smtp.listen to take mail from the world"));
    }
    Finding::Right(format!("mail for {domain} comes in at {at}"))
}

/// How the certificate stands: where, for whom, and until when. One that others don't believe in still encrypts.
fn certificate(config: &Config, now: DateTime<Utc>) -> Finding {
    let (files, facts) = match smtp::examine(config) {
        Ok(Some(found)) => found,
        Ok(None) if config.smtp.tls == Switch::Off => {
            return Finding::Better("it is not offered, so letters to us travel in clear; smtp.tls = \"on\" offers it".into());
        }
        Ok(None) => {
            return Finding::Better("there is no certificate yet; one of our own making is made on first start; smtp.tls_certificate names another".into());
        }
        Err(error) => return Finding::Wrong(format!("{error:#}")),
    };
    let (file, until) = (files.certificate.display(), facts.until.format("%Y-%m-%d"));
    let names = if facts.names.is_empty() { "no name".to_owned() } else { facts.names.join(", ") };
    if facts.until <= now || facts.from > now {
        let from = facts.from.format("%Y-%m-%d");
        return Finding::Wrong(format!("the certificate in {file} is good from {from} to {until}, which is not now: renew it; it is read anew by itself"));
    }
    let says = format!("the certificate in {file} is for {names}, until {until}");
    if facts.until - now < TimeDelta::days(14) {
        return Finding::Better(format!("{says}, which is soon: renew it; it is read anew by itself"));
    }
    if facts.self_signed {
        return Finding::Better(format!(
            "{says}; nobody vouches for it, so letters are encrypted and the name is not proved: smtp.tls_certificate, smtp.tls_key"
        ));
    }
    if !facts.names(&config.domain) {
        return Finding::Better(format!("{says}; {} is not among these names: right if its MX record names one of them", config.domain));
    }
    Finding::Right(says)
}

fn delivery(config: &Config) -> Finding {
    if let Err(error) = outbox::examine(config) {
        return Finding::Wrong(format!("{error:#}"));
    }
    let mail = config.data_dir.join("mail");
    match config.delivery.mode() {
        DeliveryMode::Send => Finding::Right("letters go to the smarthost".into()),
        DeliveryMode::Capture => Finding::Better(format!("letters are kept in {} and reach nobody; set delivery.smarthost to send them", mail.display())),
        DeliveryMode::Review => Finding::Right("letters wait until they are let go: pairpost queue list, pairpost queue release".into()),
    }
}

fn operator(config: &Config) -> Finding {
    match &config.operator {
        Some(_) => Finding::Right("letters to postmaster@ and abuse@ are passed on, and alarms go there".into()),
        None => Finding::Better(
            "letters to postmaster@ and abuse@ are kept and not passed on, and nobody is told of failures; set operator to a mailbox that somebody reads"
                .into(),
        ),
    }
}

async fn database(config: &Config) -> Vec<(&'static str, Finding)> {
    let opened = match Opened::join(config).await {
        Ok(opened) => opened,
        Err(error) => return vec![("database", Finding::Wrong(format!("{error:#}")))],
    };
    let mut findings = vec![("database", Finding::Right(format!("{}, its schema is up to date", opened.database)))];
    findings.push(("DKIM key", key(&opened).await.unwrap_or_else(|error| Finding::Wrong(format!("{error:#}")))));
    if let Err(error) = opened.close().await {
        findings.push(("database", Finding::Wrong(format!("it could not be closed: {error:#}"))));
    }
    findings
}

async fn key(opened: &Opened) -> Result<Finding> {
    let site = &opened.site;
    Ok(match keys::find(&mut *opened.store.connection().await?, &site.secret, &site.domain).await? {
        Some(key) => Finding::Right(format!("{}._domainkey.{} opens; publish its record: pairpost dns", key.selector, site.domain)),
        None => Finding::Better("there is none yet; it is made on first start, or by: pairpost dns".into()),
    })
}
