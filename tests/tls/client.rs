//! A client that says exactly what it offers: versions, host, certificate. One request a connection, blocking.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use outrider::runtime::crypto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::authority::{Authority, Made};

/// Longer than anything here takes on any machine; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client offers.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
}

/// What came of a request.
pub(crate) struct Answer {
    /// Head and body.
    pub(crate) text: String,
    /// The common name or host of the certificate that was shown, as DER.
    pub(crate) shown: Vec<u8>,
    pub(crate) resumed: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or("no answer")
    }
}

impl Client {
    pub(crate) fn new(authority: &Authority, host: &str, own: Option<&Made>) -> Self {
        Self::speaking(&[&rustls::version::TLS13], authority, host, own)
    }

    pub(crate) fn speaking(
        versions: &[&'static SupportedProtocolVersion],
        authority: &Authority,
        host: &str,
        own: Option<&Made>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::pem_slice_iter(own.certificate.as_bytes());
                let chain: Result<Vec<_>, _> = chain.collect();
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.unwrap(), key).unwrap()
            }
        };
        Self {
            config: Arc::new(config),
            host: ServerName::try_from(host.to_owned()).unwrap(),
        }
    }

    /// Offers other protocols (ALPN).
    pub(crate) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        self
    }

    /// Sends a request and reads to the end of the connection.
    pub(crate) fn send(&self, to: SocketAddr, path: &str, lines: &[&str]) -> io::Result<Answer> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), self.host.clone());
        let mut tls = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
        let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let host = self.host.to_str();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        tls.write_all(head.as_bytes())?;
        let mut text = Vec::new();
        tls.read_to_end(&mut text)?;
        let certificates = tls.conn.peer_certificates();
        Ok(Answer {
            text: String::from_utf8_lossy(&text).into_owned(),
            shown: certificates.unwrap().first().unwrap().to_vec(),
            resumed: tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        })
    }
}

/// A connection that is kept.
pub(crate) struct Kept(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Opens a connection that is kept.
    pub(crate) fn open(&self, to: SocketAddr) -> io::Result<Kept> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), self.host.clone());
        let connection = connection.map_err(io::Error::other)?;
        Ok(Kept(StreamOwned::new(connection, stream)))
    }
}

impl Kept {
    /// Sends a request.
    pub(crate) fn send(&mut self, path: &str) -> io::Result<()> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: orders.jts.local\r\n\r\n");
        self.0.write_all(head.as_bytes())
    }

    /// Sends a request and reads its answer, which states its length.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<Answer> {
        self.send(path)?;
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(self.byte()?);
        }
        let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        for _ in 0..length {
            text.push(self.byte()?);
        }
        Ok(Answer {
            text: String::from_utf8_lossy(&text).into_owned(),
            shown: Vec::new(),
            resumed: false,
        })
    }

    /// Whether bytes go on coming for a while: half a kilobyte is more than what may be on the way.
    pub(crate) fn flows(&mut self) -> bool {
        (0..512).all(|_| self.byte().is_ok())
    }

    /// Whether the connection ends although the answer goes on.
    pub(crate) fn ends(&mut self) -> bool {
        // A tenth of the whole, and minutes of it.
        (0..64 * 1024).any(|_| self.byte().is_err())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}
