//! A real listener with a database and a name server of its own, and a client that talks to it.
use std::{path::Path, sync::Arc};

use pairpost::{
    config::Config,
    domain::secret::Secret,
    smtp,
    store::{Store, idle::Idle},
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::{
    database::TestDatabase,
    dns::{NameServer, zone},
    program::PATIENCE,
};

/// What the sessions' name server knows: `proven.test` speaks for letters from loopback, `there.test` for those
/// from 192.0.2.7, `forged.test` for none, `bare.test` publishes nothing.
const ZONE: &str = "
    proven.test TXT v=spf1 ip4:127.0.0.1 -all
    _dmarc.proven.test TXT v=DMARC1; p=reject
    spf-only.test TXT v=spf1 ip4:127.0.0.1 -all
    forged.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.forged.test TXT v=DMARC1; p=reject
    _dmarc.watched.test TXT v=DMARC1; p=none
    ill.test SERVFAIL
    _dmarc.ill.test SERVFAIL
    there.test TXT v=spf1 ip4:192.0.2.7 -all
    _dmarc.there.test TXT v=DMARC1; p=reject
    7.2.0.192.list.test A 127.0.0.2
    7.2.0.192.ill.test SERVFAIL
    7.2.0.192.silent.test SILENCE
    8.2.0.192.silent.test SILENCE
";

/// Ana and Ben are partners: who writes to `to-ben@` reaches Ben. Their former partnership is over. Ana was asked something twice, once long ago.
pub const PEOPLE: &str = "
    insert into person (id, name, created_at) select ('00000000-0000-7000-8000-00000000000' || n)::uuid, name, now() from (values (1, 'Ana'), (2, 'Ben')) as p (n, name);
    insert into address (id, person_id, email, email_key, is_primary, created_at)
        select person.id, person.id, lower(name) || '@proven.test', lower(name) || '@proven.test', true, now() from person;
    insert into round (id, name, opens_on, closes_on, match_on, introduce_on, ends_on, seed, created_at)
        values ('00000000-0000-7000-8000-000000000010', 'spring', '2027-01-01', '2027-01-02', '2027-01-03', '2027-01-04', '2027-06-01', 1, now());
    insert into partnership (id, round_id, state, score, created_at) values
        ('00000000-0000-7000-8000-000000000021', '00000000-0000-7000-8000-000000000010', 'introduced', 1, now()),
        ('00000000-0000-7000-8000-000000000022', '00000000-0000-7000-8000-000000000010', 'ended', 1, now());
    insert into partner (partnership_id, person_id, alias, side)
        select p.id, person.id, case p.state when 'ended' then 'once-' else 'to-' end || lower(person.name), '{}' from partnership p, person;
    insert into token (token, purpose, address_id, created_at, expires_at)
        select word, 'sign-up', '00000000-0000-7000-8000-000000000001', now(), until
        from (values ('aaaaaaaaaaaaaaaa', timestamptz '2100-01-01'), ('bbbbbbbbbbbbbbbb', '2020-01-01')) as t (word, until);
";

/// A listener with all that belongs to it.
pub struct Listening {
    /// The database.
    pub database: TestDatabase,
    /// Where it takes mail.
    pub address: std::net::SocketAddr,
    /// Ends it.
    pub stop: CancellationToken,
    /// Comes to its end after `stop`.
    pub serving: JoinHandle<()>,
    /// Where its certificate lies.
    pub data: tempfile::TempDir,
    store: Store,
    pub(super) door: Arc<smtp::Door>,
    _name_server: NameServer,
}

impl Listening {
    /// For `pairs.test`, on a free port, with the configuration given as environment variables.
    pub async fn start(settings: &[(String, String)]) -> Self {
        let database = TestDatabase::new();
        let mut connection = PgConnection::connect_with(&database.options()).await.expect("the test's database is there");
        sqlx::raw_sql(PEOPLE).execute(&mut connection).await.expect("people are there");
        let store = database.store().await;
        let name_server = NameServer::start(zone(ZONE)).await;
        let data = tempfile::tempdir().expect("a folder");
        let fixed = [
            ("PAIRPOST_DATA_DIR".to_owned(), data.path().display().to_string()),
            ("PAIRPOST_DOMAIN".to_owned(), "pairs.test".to_owned()),
            ("PAIRPOST_SMTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("PAIRPOST_DNS__SERVER".to_owned(), name_server.address.to_string()),
        ];
        let config = Config::load(Some(Path::new("/dev/null")), fixed.into_iter().chain(settings.iter().cloned())).expect("a good configuration");
        let door = smtp::Door::new(&config, store.clone(), Secret::from_bytes([7; 32]), Arc::new(chrono::Utc::now), Arc::new(Notify::new()), Idle::default())
            .expect("a door");
        let listeners = smtp::bind(&config).await.expect("a free port");
        let address = listeners[0].local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(smtp::serve(door.clone(), listeners, stop.clone()));
        Self { database, address, stop, serving, data, store, door, _name_server: name_server }
    }

    /// What the database answers, as text.
    pub async fn ask(&self, query: &str) -> String {
        let mut connection = PgConnection::connect_with(&self.database.options()).await.expect("the test's database is there");
        let query = format!("select coalesce((select answer::text from ({query}) as asked (answer)), 'null')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut connection).await.expect("a good query")
    }

    /// Ends it; the pool is closed before the database goes.
    pub async fn end(self) {
        self.stop.cancel();
        self.serving.await.expect("the listener ends");
        self.store.close().await;
    }
}

/// A client's TLS, in `version` or in any, that believes in the certificate in this file and in no other.
pub fn believing_in(certificate: &Path, version: &str) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).expect("a certificate")).expect("a good one");
    let versions: &[&rustls::SupportedProtocolVersion] = match version {
        "1.2" => &[&rustls::version::TLS12],
        "1.3" => &[&rustls::version::TLS13],
        _ => rustls::ALL_VERSIONS,
    };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Either side of TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client that plays its part line by line.
pub struct Client {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    pub(super) unsent: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(listening: &Listening) -> Self {
        Self::connect_to(listening.address).await
    }

    /// Connects to an address.
    pub async fn connect_to(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the listener listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream: Box::new(stream), received: Vec::new(), unsent: Vec::new() }
    }

    /// Shakes hands; what the server said in clear after its word to go on is an error.
    pub async fn encrypt(&mut self, connector: &TlsConnector, name: &str) -> Result<(), String> {
        if !self.received.is_empty() {
            return Err(format!("{:?} was said in clear", String::from_utf8_lossy(&self.received)));
        }
        let clear = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let shaking = tokio::time::timeout(PATIENCE, connector.connect(name, clear)).await.map_err(|_| "no handshake in time".to_owned())?;
        self.stream = Box::new(shaking.map_err(|error| format!("no handshake: {error}"))?);
        Ok(())
    }

    /// Sends octets; a server that has hung up does not mind.
    pub async fn send(&mut self, octets: &[u8]) {
        self.unsent.extend(octets);
        let _ = self.stream.write_all(&std::mem::take(&mut self.unsent)).await;
        let _ = self.stream.flush().await;
    }

    /// The next line without its CR LF; `None` once the server has hung up.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
            match read.expect("an answer in time") {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }
}
