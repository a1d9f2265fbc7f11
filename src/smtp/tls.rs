//! STARTTLS (RFC 3207): TLS 1.2 and 1.3 by rustls, with a certificate that is read anew when its files change or somebody asks for it.
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use rustls::{
    ProtocolVersion, ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use samotop::io::tls::{Io, TlsUpgrade};
use tokio_rustls::TlsAcceptor;
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tracing::{info, warn};

use super::{
    SyncStep, Visit,
    certificate::{Facts, Files, Read, Stamp},
};
use crate::config::{Config, Switch};

/// How long a handshake may take at most; a client with less patience granted has that.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);
/// From here on a certificate near its end is spoken of.
const NEAR: TimeDelta = TimeDelta::days(14);

/// What TLS needs of the house.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl Tls {
    /// `None` where `smtp.tls` is off. Makes a certificate of our own where none is configured. Errors where a certificate can't be used.
    pub(super) fn new(config: &Config) -> Result<Option<Self>> {
        match config.smtp.tls {
            Switch::Off => return Ok(None),
            Switch::On => {}
        }
        let files = Files::of(config);
        if files.our_own {
            files.ensure_our_own(&config.domain, Utc::now())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let stamp = files.stamp();
        let read = files.read(&provider).context("STARTTLS can't be offered (smtp.tls_certificate, smtp.tls_key; smtp.tls = \"off\" does without)")?;
        tell(&read.facts);
        let held = RwLock::new(Held { key: read.key, stamp });
        let certificate = Arc::new(Certificate { files, provider: provider.clone(), held });
        let server =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_no_client_auth().with_cert_resolver(certificate.clone());
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(server)), certificate }))
    }

    /// Reads the certificate anew: always, or (`changed`) only where its files are not those that were read last. One that can't be used leaves the old one.
    pub(super) fn reload(&self, changed: bool) {
        self.certificate.reload(changed);
    }

    /// samotop's way to a handshake, for one visit.
    pub(super) fn upgrade(self: &Arc<Self>, visit: Weak<Visit>) -> Box<dyn TlsUpgrade> {
        Box::new(Upgrade { tls: self.clone(), visit })
    }
}

impl Visit {
    /// Which TLS the client speaks, for the log.
    pub(super) fn tls_version(&self) -> &'static str {
        match self.tls.get() {
            None => "none",
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(_) => "other",
        }
    }
}

/// What is to be said of a certificate in the log.
fn tell(facts: &Facts) {
    let (names, until) = (facts.names.join(" "), facts.until);
    if until - Utc::now() < NEAR {
        warn!(names, %until, "the certificate for STARTTLS is near its end or past it");
    } else {
        info!(names, %until, self_signed = facts.self_signed, "STARTTLS is offered with this certificate");
    }
}

/// The certificate in force; rustls asks for it at each handshake.
struct Certificate {
    files: Files,
    provider: Arc<CryptoProvider>,
    held: RwLock<Held>,
}

struct Held {
    key: Arc<CertifiedKey>,
    /// Of the files as they were read, or tried, last.
    stamp: Stamp,
}

impl Certificate {
    fn reload(&self, changed: bool) {
        let stamp = self.files.stamp();
        if changed && self.held.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp {
            return;
        }
        let read = self.files.read(&self.provider);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.stamp = stamp;
        match read {
            Ok(Read { key, facts }) => {
                held.key = key;
                drop(held);
                tell(&facts);
            }
            // Also in the moment between two files being written: the second one changes the stamp again.
            Err(error) => warn!(error = format!("{error:#}"), "a new certificate can't be used; the old one stays"),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.files).finish()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.held.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

/// The handshake of one visit. Its time is the driver's business.
struct Upgrade {
    tls: Arc<Tls>,
    visit: Weak<Visit>,
}

impl TlsUpgrade for Upgrade {
    fn upgrade_to_tls(&self, stream: Box<dyn Io>, _: String) -> SyncStep<'static, std::io::Result<Box<dyn Io>>> {
        let (tls, visit) = (self.tls.clone(), self.visit.clone());
        Box::pin(async move {
            let certificate = tls.certificate.clone();
            // Where the task can't be run the old certificate serves.
            let _ = tokio::task::spawn_blocking(move || certificate.reload(true)).await;
            let stream = tls.acceptor.accept(stream.compat()).await?;
            if let (Some(visit), Some(version)) = (visit.upgrade(), stream.get_ref().1.protocol_version()) {
                let _first = visit.tls.set(version);
            }
            Ok(Box::new(stream.compat()) as Box<dyn Io>)
        })
    }
}

/// How the certificate stands: where it is, and what it says; `None` where `smtp.tls` is off, or it is yet to be made. For `pairpost check`.
pub fn examine(config: &Config) -> Result<Option<(Files, Facts)>> {
    let files = Files::of(config);
    match config.smtp.tls {
        Switch::Off => return Ok(None),
        Switch::On if files.our_own && !files.certificate.exists() => return Ok(None),
        Switch::On => {}
    }
    let read = files.read(&rustls::crypto::ring::default_provider())?;
    Ok(Some((files, read.facts)))
}
