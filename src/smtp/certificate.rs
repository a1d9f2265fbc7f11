//! The certificate that clients are shown: read from its files, or made by ourselves at first; and what it says about itself.
use std::{
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use mail_auth::common::to_a_label;
use mail_builder::encoders::base64::Base64Encoder;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use crate::config::Config;

/// A certificate of our own making is good for so many years.
const YEARS: i32 = 10;
/// One that is not good for so long any more is made anew when we start.
const RENEWED_BEFORE: TimeDelta = TimeDelta::days(60);

/// Where the certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain in PEM, our own first.
    pub certificate: PathBuf,
    /// The private key in PEM; it may be the same file.
    pub key: PathBuf,
    /// Of our own making, because the configuration names none.
    pub our_own: bool,
}

impl Files {
    /// `smtp.tls_certificate` and `smtp.tls_key`, or one file in `data_dir`.
    pub fn of(config: &Config) -> Self {
        match &config.smtp.tls_certificate {
            Some(certificate) => {
                Self { certificate: certificate.clone(), key: config.smtp.tls_key.clone().unwrap_or_else(|| certificate.clone()), our_own: false }
            }
            None => {
                let file = config.data_dir.join("smtp-tls.pem");
                Self { certificate: file.clone(), key: file, our_own: true }
            }
        }
    }

    /// Reads both. Errors name the file, and say so where the key belongs to another certificate.
    pub fn read(&self, provider: &CryptoProvider) -> Result<Read> {
        let shown = self.certificate.display();
        let no_certificate = || format!("cannot read the certificate in {shown}");
        let pem = fs::read(&self.certificate).with_context(no_certificate)?;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| anyhow::anyhow!("{error}")).with_context(no_certificate)?;
        ensure!(!chain.is_empty(), "{shown} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
        let no_key = || format!("cannot read the private key in {}", self.key.display());
        // One file is read once: another process may replace it at any moment.
        let pem = if self.key == self.certificate { pem } else { fs::read(&self.key).with_context(no_key)? };
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| anyhow::anyhow!("{error}")).with_context(no_key)?;
        let facts = Facts::read(&chain[0]).with_context(|| format!("{shown} holds something else than a certificate"))?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .with_context(|| format!("the key in {} does not belong to the certificate in {shown}", self.key.display()))?;
        Ok(Read { key: Arc::new(key), facts })
    }

    /// Makes the file of our own, for its owner alone, where it is missing, or speaks of another name than `domain`, or is near its end.
    pub fn ensure_our_own(&self, domain: &str, now: DateTime<Utc>) -> Result<()> {
        let name = to_a_label(domain.trim_matches(['[', ']'])).into_owned();
        let fits = |facts: &Facts| facts.names.iter().any(|one| one.eq_ignore_ascii_case(&name)) && facts.until - now > RENEWED_BEFORE;
        if self.certificate.exists() && facts(&self.certificate).is_ok_and(|facts| fits(&facts)) {
            return Ok(());
        }
        let pem = make(name, now)?;
        let write = || {
            if let Some(folder) = self.certificate.parent() {
                fs::create_dir_all(folder)?;
            }
            // Whoever reads meanwhile reads the old one or the new one, and so does another process that makes one too.
            let folder = self.certificate.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(pem.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.certificate)?;
            Ok::<_, std::io::Error>(())
        };
        write().with_context(|| format!("cannot write the certificate {}", self.certificate.display()))
    }

    /// What changes when a file does: asked before each handshake, so that a renewed certificate counts at once. Where a file is away, that too.
    pub fn stamp(&self) -> Stamp {
        let of = |path: &Path| fs::metadata(path).ok().map(|found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec()));
        Stamp(of(&self.certificate), of(&self.key))
    }
}

/// Which file it is, its size, and when it was last written to, of certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, i64, i64)>, Option<(u64, u64, i64, i64)>);

/// A certificate with its key, and what it says.
pub struct Read {
    /// What rustls shows.
    pub key: Arc<CertifiedKey>,
    /// What it says.
    pub facts: Facts,
}

/// What the first certificate of a file says.
fn facts(file: &Path) -> Result<Facts> {
    let first = CertificateDer::from_pem_file(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    Facts::read(&first).context("no certificate")
}

/// A self-signed certificate and its key in PEM. Other servers take it for what it is: encryption without a name proved (RFC 7435).
fn make(name: String, now: DateTime<Utc>) -> Result<String> {
    let mut wanted = rcgen::CertificateParams::new(vec![name])?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(rcgen::DnType::CommonName, "Pairpost");
    wanted.not_before = rcgen::date_time_ymd(now.year() - 1, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(now.year() + YEARS, 1, 1);
    wanted.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let certificate = wanted.self_signed(&key)?;
    Ok(pem("CERTIFICATE", certificate.der())? + &pem("PRIVATE KEY", &key.serialize_der())?)
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> Result<String> {
    let text = Base64Encoder::new().encode(der)?;
    let lines: Vec<_> = text.chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")))
}

/// What a certificate says about itself (RFC 5280).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// DNS names and IP addresses of its subjectAltName: whom it proves.
    pub names: Vec<String>,
    /// From when it is good.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Nobody but itself vouches for it.
    pub self_signed: bool,
}

impl Facts {
    /// Reads the few fields that people ask for. `None` for what is no certificate; whether it is a valid one is for clients to judge.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut signed = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(signed.expect(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.next()?;
        }
        let (_serial, _algorithm, issuer) = (fields.expect(INTEGER)?, fields.expect(SEQUENCE)?, fields.expect(SEQUENCE)?);
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let subject = fields.expect(SEQUENCE)?;
        let _public_key = fields.expect(SEQUENCE)?;
        let mut names = Vec::new();
        while let Some((tag, value)) = fields.next() {
            if tag == EXTENSIONS {
                names = alternative_names(value).unwrap_or_default();
            }
        }
        Some(Self { names, from: time(validity.next()?)?, until: time(validity.next()?)?, self_signed: issuer == subject })
    }

    /// Whether one of its names is `host`, also by a `*` for its first label (RFC 9525 6.3).
    pub fn names(&self, host: &str) -> bool {
        let host = to_a_label(host.trim_matches(['[', ']'])).to_ascii_lowercase();
        self.names.iter().map(|name| name.to_ascii_lowercase()).any(|name| match name.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(_, rest)| rest == above),
            None => name == host,
        })
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// id-ce-subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut list = Der(Der(extensions).expect(SEQUENCE)?);
    while let Some(extension) = list.expect(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.expect(OBJECT)? != ALTERNATIVE_NAME {
            continue;
        }
        let value = std::iter::from_fn(|| extension.next()).find(|(tag, _)| *tag == OCTETS)?.1;
        let mut names = Der(Der(value).expect(SEQUENCE)?);
        return Some(std::iter::from_fn(|| names.next()).filter_map(name).collect());
    }
    None
}

fn name((tag, value): (u8, &[u8])) -> Option<String> {
    match (tag, value.len()) {
        (DNS_NAME, _) => std::str::from_utf8(value).ok().filter(|name| name.chars().all(|c| c.is_ascii_graphic())).map(str::to_owned),
        (IP_ADDRESS, 4) => Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)).to_string()),
        (IP_ADDRESS, 16) => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)).to_string()),
        _ => None,
    }
}

/// RFC 5280 4.1.2.5: two digits of a year below 50 are of this century.
fn time((tag, value): (u8, &[u8])) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(value).ok()?;
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok().map(|moment| moment.and_utc())
}

/// What is left to read of values one after the other in DER (X.690 8.1).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value with its tag; nothing at the end, or where it is longer than what holds it.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            _ => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| (1..=4).contains(&digits.len()))?;
                (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, if it has this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> CryptoProvider {
        rustls::crypto::ring::default_provider()
    }

    fn own(folder: &Path) -> Files {
        let file = folder.join("below").join("smtp-tls.pem");
        Files { certificate: file.clone(), key: file, our_own: true }
    }

    fn day(text: &str) -> DateTime<Utc> {
        format!("{text}T00:00:00Z").parse().expect("a day")
    }

    #[test]
    fn a_certificate_of_our_own_is_made_once_and_again_for_another_name_or_near_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = own(folder.path());
        files.ensure_our_own("pairs.test", day("2026-03-01")).expect("made");
        let made = fs::read_to_string(&files.certificate).expect("it is there");
        assert_eq!(fs::metadata(&files.certificate).expect("it is there").mode() & 0o777, 0o600);
        let read = files.read(&provider()).expect("reads");
        assert_eq!(read.facts, Facts { names: vec!["pairs.test".into()], from: day("2025-01-01"), until: day("2036-01-01"), self_signed: true });
        files.ensure_our_own("Pairs.test", day("2035-10-01")).expect("nothing to do");
        assert_eq!(fs::read_to_string(&files.certificate).expect("it is there"), made);
        files.ensure_our_own("pairs.test", day("2035-11-15")).expect("made anew");
        assert_eq!(files.read(&provider()).expect("reads").facts.until, day("2045-01-01"));
        for (domain, name) in [("b\u{fc}cher.test", "xn--bcher-kva.test"), ("[192.0.2.1]", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")] {
            files.ensure_our_own(domain, day("2026-03-01")).expect("made");
            let facts = files.read(&provider()).expect("reads").facts;
            assert_eq!(facts.names, [name]);
            assert!(facts.names(domain));
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (own(&folder.path().join("one")), own(&folder.path().join("other")));
        for files in [&one, &other] {
            files.ensure_our_own("pairs.test", day("2026-03-01")).expect("made");
        }
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "nothing").expect("written");
        for (certificate, key, word) in [
            (&one.certificate, &other.key, "does not belong"),
            (&empty, &one.key, "no certificate in PEM"),
            (&one.certificate, &empty, "private key"),
            (&folder.path().join("away.pem"), &one.key, "away.pem"),
        ] {
            let files = Files { certificate: certificate.clone(), key: key.clone(), our_own: false };
            let error = format!("{:#}", files.read(&provider()).err().expect(word));
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn names_and_times_are_read_and_broken_ones_are_none() {
        let mut wanted = rcgen::CertificateParams::new(vec!["mx.pairs.test".into(), "*.hosts.test".into(), "192.0.2.7".into()]).expect("names");
        wanted.not_after = rcgen::date_time_ymd(2051, 2, 3);
        let der = wanted.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("signed").der().to_vec();
        let facts = Facts::read(&der).expect("reads");
        assert_eq!((facts.names.len(), facts.until), (3, day("2051-02-03")));
        for (host, named) in
            [("MX.pairs.test", true), ("a.hosts.test", true), ("a.b.hosts.test", false), ("hosts.test", false), ("[192.0.2.7]", true), ("x", false)]
        {
            assert_eq!(facts.names(host), named, "{host}");
        }
        for end in 0..der.len() {
            assert_eq!(Facts::read(&der[..end]), None, "cut off at {end}");
        }
        for at in 0..der.len() {
            for byte in [0, 0x30, 0x80, 0x84, 0xff] {
                let mut changed = der.clone();
                changed[at] = byte;
                let _ = Facts::read(&changed);
            }
        }
    }
}
