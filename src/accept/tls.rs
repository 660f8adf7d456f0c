//! TLS at the door: one handshake on one connection, in its time, with what it proved of the client. Which certificates
//! and versions there are is one immutable [`TlsState`] behind one door; a reload puts another door in its place, and
//! connections keep what they began with.
//!
//! * Spoken are TLS 1.3, and 1.2 where it is asked for, then with ECDHE and AEAD only. No early data: it can be replayed.
//! * A client that names no host gets the first certificate, because clients that connect to an address name none. A
//!   client that names a host no certificate is for is closed without an answer.
//! * Sessions are resumed from tickets whose keys live in memory, change every six hours and belong to one state: a
//!   changed client CA begins with no sessions. A client certificate is looked at again when a session is resumed.
//! * A connection that is kept is asked again who issued its certificate when `client_ca` has changed.
//! * Certificates are not looked up in revocation lists: short-lived ones expire, others are taken from `client_ca`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::model::certificate::ClientCertificate;
use crate::model::clock::{Clock, Now};

mod client;
mod fault;
mod hosts;
mod pair;
mod state;

pub use client::{read_certificate, rfc4514};
pub use fault::HandshakeFault;
pub use state::{Shown, TlsState};

/// Where connections become TLS. One for each configuration in service, shared by all workers.
pub struct TlsDoor {
    state: TlsState,
    handshake_max: Duration,
    clock: Arc<dyn Clock>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Opened {
    /// The decrypted stream.
    pub stream: TlsStream<TcpStream>,
    /// The certificate that the client proved to hold.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl TlsDoor {
    /// A door that gives each handshake so much time.
    #[must_use]
    pub fn new(state: TlsState, handshake_max: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            state,
            handshake_max,
            clock,
        }
    }

    /// What handshakes go by.
    #[must_use]
    pub const fn state(&self) -> &TlsState {
        &self.state
    }

    /// Shakes hands. `Ok(None)` if the peer hung up without a word, as probes of a port do.
    ///
    /// # Errors
    /// Why there is no connection; the stream is closed.
    pub async fn open(&self, stream: TcpStream) -> Result<Option<Opened>, HandshakeFault> {
        let opened = tokio::time::timeout(self.handshake_max, self.shake(stream)).await;
        opened.unwrap_or(Err(HandshakeFault::Timeout))
    }

    async fn shake(&self, stream: TcpStream) -> Result<Option<Opened>, HandshakeFault> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) if first != HANDSHAKE_RECORD => return Err(HandshakeFault::ClearText),
            Ok(_) => {}
        }
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let hello = hello.await.map_err(|error| fault_of(&error))?;
        if !self.state.hosts.knows(hello.client_hello().server_name()) {
            return Err(HandshakeFault::UnknownHost);
        }
        let accepted = hello.into_stream(Arc::clone(&self.state.config)).await;
        let stream = accepted.map_err(|error| fault_of(&error))?;
        let certificate = self.certificate(&stream)?;
        Ok(Some(Opened {
            stream,
            certificate,
        }))
    }

    /// What the client showed, now or in the session that is resumed: that one may have expired since.
    fn certificate(
        &self,
        stream: &TlsStream<TcpStream>,
    ) -> Result<Option<Arc<ClientCertificate>>, HandshakeFault> {
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let Some(shown) = chain.first() else {
            return Ok(None);
        };
        let mut certificate =
            read_certificate(shown).map_err(|_| HandshakeFault::CertificateUnreadable)?;
        if certificate.has_expired(self.clock.now().unix_seconds()) {
            return Err(HandshakeFault::CertificateExpired);
        }
        certificate.chain = Some(Arc::new(self.state.chain(chain)));
        Ok(Some(Arc::new(certificate)))
    }

    /// Whether a certificate that another door let in would be let in here, as far as its issuer goes.
    #[must_use]
    pub fn trusts(&self, certificate: &ClientCertificate, now: Now) -> bool {
        let chain = certificate.chain.as_deref();
        chain.is_none_or(|chain| self.state.trusts(chain, now))
    }
}

/// The type of a TLS record that holds part of a handshake (RFC 8446 section 5.1). An HTTP method begins otherwise.
const HANDSHAKE_RECORD: [u8; 1] = [22];

fn fault_of(error: &io::Error) -> HandshakeFault {
    let inner = error.get_ref();
    let told = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    told.map_or(HandshakeFault::HungUp, HandshakeFault::of)
}
