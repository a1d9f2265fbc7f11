//! One connection to the next hop: dialled, encrypted where that is offered, introduced, authenticated.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use mail_send::{Error, SmtpClient, smtp::AssertReply};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use smtp_proto::{EXT_START_TLS, EhloResponse};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::replies::{Client, within};

/// Either side of TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that said hello.
pub struct Connection {
    /// The dialogue.
    pub client: Client<Box<dyn Stream>>,
    /// Letters so far.
    pub letters: u32,
    /// It answered this letter's MAIL: whatever comes then is about a letter, and no longer about the hop.
    pub serves: bool,
    /// The largest letter it takes, in octets (RFC 1870).
    pub largest: Option<usize>,
    capabilities: u32,
    /// As long as it is there, it is counted.
    _open: Arc<()>,
}

impl Connection {
    /// Whether the hop announced an extension (`smtp_proto::EXT_…`).
    pub fn offers(&self, extension: u32) -> bool {
        self.capabilities & extension != 0
    }
}

/// How to reach the hop.
pub struct Dialer {
    host: String,
    port: u16,
    implicit_tls: bool,
    credentials: Option<(String, String)>,
    helo: String,
    timeout: Duration,
    tls: TlsConnector,
    tls_broken_at: Mutex<Option<Instant>>,
    /// Each of its connections holds one more.
    open: Arc<()>,
}

impl Dialer {
    /// Reads `smtp://[user:password@]host[:port]` (STARTTLS when offered) or `smtps://…` (TLS from the start). With credentials, or `smtps`, the
    /// certificate must be good; without, any encryption is better than none.
    pub fn new(url: &str, helo: &str, timeout: Duration) -> Result<Self> {
        let (implicit_tls, rest) = match url.split_once("://") {
            Some(("smtp", rest)) => (false, rest),
            Some(("smtps", rest)) => (true, rest),
            _ => bail!("it begins with smtp:// or smtps://"),
        };
        let (credentials, place) = match rest.trim_end_matches('/').rsplit_once('@') {
            Some((user, place)) => {
                let (name, password) = user.split_once(':').context("credentials have the form user:password")?;
                (Some((percent_decode(name)?, percent_decode(password)?)), place)
            }
            None => (None, rest.trim_end_matches('/')),
        };
        let default = if implicit_tls { 465 } else { 25 };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().context("the port is a number")?),
            _ => (place, default),
        };
        if host.is_empty() {
            bail!("it names no host");
        }
        let strict = implicit_tls || credentials.is_some();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            host,
            port,
            implicit_tls,
            credentials,
            helo: helo.to_owned(),
            timeout,
            tls: connector(strict)?,
            tls_broken_at: Mutex::default(),
            open: Arc::default(),
        })
    }

    /// Dials and says hello; encrypted where the hop offers it.
    pub async fn dial(&self) -> Result<Connection, Error> {
        if self.implicit_tls {
            let mut client = self.encrypt(self.knock().await?).await?;
            client.hear(self.timeout).await?.assert_positive_completion()?;
            let hello = client.ehlo(&self.helo).await?;
            return self.introduce(client, &hello).await;
        }
        let (mut plain, hello) = self.greet().await?;
        if hello.has_capability(EXT_START_TLS) && !self.tls_is_broken() {
            match self.go_over_to_tls(plain).await {
                Ok(Offer::Kept(client, hello)) => return self.introduce(*client, &hello).await,
                Ok(Offer::Withdrawn(same)) => plain = *same,
                // Offered, but broken: without credentials to protect, plain is better than never (RFC 7435). Tried again after a while.
                Err(Error::Tls(_) | Error::Io(_) | Error::Timeout | Error::InvalidTLSName | Error::UnparseableReply) if self.credentials.is_none() => {
                    let (client, hello) = self.greet().await?;
                    *self.tls_broken_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    return self.introduce(boxed(client), &hello).await;
                }
                Err(error) => return Err(error),
            }
        }
        if self.credentials.is_some() && !plain.stream.peer_addr()?.ip().to_canonical().is_loopback() {
            return Err(Error::MissingStartTls);
        }
        self.introduce(boxed(plain), &hello).await
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    fn tls_is_broken(&self) -> bool {
        let at = *self.tls_broken_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < Duration::from_secs(600))
    }

    async fn knock(&self) -> Result<TcpStream, Error> {
        let stream = within(self.timeout, async { Ok(TcpStream::connect((self.host.as_str(), self.port)).await?) }).await?;
        // Without this, small writes wait for the other side's delayed acknowledgement: 22 letters a second instead of over a thousand.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The greeting, and EHLO; HELO where that is not known (RFC 5321 3.2).
    async fn greet(&self) -> Result<(Client<TcpStream>, EhloResponse<String>), Error> {
        let mut client = Client::new(self.knock().await?, self.timeout);
        client.hear(self.timeout).await?.assert_positive_completion()?;
        let hello = match client.ehlo(&self.helo).await {
            Err(Error::UnexpectedReply(no)) if no.code / 100 == 5 => {
                client.cmd(&format!("HELO {}\r\n", self.helo)).await?.assert_positive_completion()?;
                EhloResponse::default()
            }
            hello => hello?,
        };
        Ok((client, hello))
    }

    async fn go_over_to_tls(&self, mut plain: Client<TcpStream>) -> Result<Offer, Error> {
        let reply = plain.cmd("STARTTLS\r\n").await?;
        match reply.code {
            220 => {}
            421 => return Err(Error::UnexpectedReply(reply)),
            // A hop may announce STARTTLS and then not have it today (454, RFC 3207 4).
            _ => return Ok(Offer::Withdrawn(Box::new(plain))),
        }
        plain.keeps_silent().await?;
        let mut client = self.encrypt(plain.stream).await?;
        // What was announced before TLS does not count (RFC 3207 4.2).
        let hello = client.ehlo(&self.helo).await?;
        Ok(Offer::Kept(Box::new(client), Box::new(hello)))
    }

    async fn encrypt(&self, stream: TcpStream) -> Result<Client<Box<dyn Stream>>, Error> {
        let encrypted = SmtpClient { stream, timeout: self.timeout }.into_tls(&self.tls, &self.host).await?;
        Ok(Client::new(Box::new(encrypted.stream), self.timeout))
    }

    async fn introduce(&self, mut client: Client<Box<dyn Stream>>, hello: &EhloResponse<String>) -> Result<Connection, Error> {
        if let Some((name, password)) = &self.credentials {
            client.authenticate(name, password, hello).await?;
        }
        // 0: no limit that it knows of (RFC 1870 4).
        let largest = Some(hello.size).filter(|&size| size > 0);
        Ok(Connection { client, letters: 0, serves: false, largest, capabilities: hello.capabilities, _open: self.open.clone() })
    }
}

/// What became of the offer of TLS.
enum Offer {
    Kept(Box<Client<Box<dyn Stream>>>, Box<EhloResponse<String>>),
    Withdrawn(Box<Client<TcpStream>>),
}

fn boxed(client: Client<TcpStream>) -> Client<Box<dyn Stream>> {
    client.map(|stream| Box::new(stream) as Box<dyn Stream>)
}

fn percent_decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let pair = [*high, *low];
                let code = std::str::from_utf8(&pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
                bytes.push(code.context("a % is followed by two hexadecimal digits")?);
                rest = after;
            }
            (b'%', _) => bail!("a % is followed by two hexadecimal digits"),
            (byte, after) => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).context("credentials are UTF-8")
}

fn connector(strict: bool) -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let config = if strict {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))).with_no_client_auth()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Opportunistic TLS (RFC 7435): nobody's identity is proved, but nobody on the way reads along without effort.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smarthost_is_read_with_port_and_credentials_and_faults_are_named() {
        let dial = |url: &str| Dialer::new(url, "pairs.example", Duration::from_secs(1));
        let plain = dial("smtp://127.0.0.1:2526").expect("reads");
        assert_eq!((plain.host.as_str(), plain.port, plain.implicit_tls), ("127.0.0.1", 2526, false));
        let full = dial("smtps://ana%40x:p%3Aw@mail.example/").expect("reads");
        assert_eq!((full.host.as_str(), full.port, full.credentials), ("mail.example", 465, Some(("ana@x".into(), "p:w".into()))));
        assert_eq!(dial("smtp://[::1]:25").expect("reads").host, "::1");
        for (url, word) in
            [("http://x", "smtp://"), ("smtp://", "host"), ("smtp://x:port", "port"), ("smtp://user@x", "user:password"), ("smtp://u:%zz@x", "hexadecimal")]
        {
            let error = format!("{:#}", dial(url).err().expect(url));
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}
