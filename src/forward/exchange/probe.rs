//! A look at a server: a handshake for what it shows, judged as any other, and nothing behind it. Never sends a byte of
//! HTTP, and never completes a handshake with a server that is not believed.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::trust::TrustFault;
use super::{DialFault, HTTP_1_1, Time};
use crate::model::clock::Clock;
use crate::runtime::crypto;

/// Paths that are looked for; more are not told of.
const PATHS_MAX: usize = 8;

/// What a server showed, and what came of it.
#[derive(Debug)]
pub struct Probed {
    /// The certificates as they were sent, the server's own first; empty if it did not come to that.
    pub sent: Vec<CertificateDer<'static>>,
    /// Every path from the server's own certificate to a trusted root, and the version that was spoken; or why the server
    /// is not believed.
    pub judged: Result<(Vec<BuiltPath>, Option<ProtocolVersion>), DialFault>,
}

/// A path that was verified.
#[derive(Clone, Debug)]
pub struct BuiltPath {
    /// The server's own certificate, then those between.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The root, which is trusted as a name and a key.
    pub root: TrustAnchor<'static>,
}

/// Shakes hands with a server and hangs up. Speaks TLS 1.2 too, because it only looks.
pub async fn probe(
    (host, port): (&str, u16),
    name: &ServerName<'static>,
    roots: Vec<TrustAnchor<'static>>,
    wait: Duration,
    clock: &Arc<dyn Clock>,
) -> Probed {
    let onlooker = Arc::new(Onlooker::new(roots));
    let shaking = shake((host, port), name, &onlooker, clock);
    let shaken = timeout(wait, shaking).await;
    let shaken = shaken.unwrap_or(Err(DialFault::HandshakeTimeout));
    let Looked { sent, paths } = std::mem::take(&mut *onlooker.looked());
    let judged = match (paths, shaken) {
        (Some(Err(fault)), _) => Err(DialFault::Trust(fault)),
        (_, Err(fault)) => Err(fault),
        (Some(Ok(paths)), Ok(version)) => Ok((paths, version)),
        // Without a certificate there is no handshake.
        (None, Ok(_)) => Err(DialFault::Malformed),
    };
    Probed { sent, judged }
}

async fn shake(
    at: (&str, u16),
    name: &ServerName<'static>,
    onlooker: &Arc<Onlooker>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<ProtocolVersion>, DialFault> {
    let socket = TcpStream::connect(at).await.map_err(DialFault::Connect)?;
    let time = Arc::new(Time(Arc::clone(clock)));
    let builder = ClientConfig::builder_with_details(crypto::provider(), time);
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|_| DialFault::Malformed)?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(onlooker) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name.clone(), socket)
        .await
        .map_err(DialFault::of)?;
    let version = stream.get_ref().1.protocol_version();
    // A server that does not wait for the goodbye has shown what there was to see.
    stream.shutdown().await.ok();
    Ok(version)
}

/// Judges like anybody else, and keeps what it saw.
struct Onlooker {
    roots: Vec<TrustAnchor<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    looked: Mutex<Looked>,
}

#[derive(Default)]
struct Looked {
    sent: Vec<CertificateDer<'static>>,
    paths: Option<Result<Vec<BuiltPath>, TrustFault>>,
}

impl Onlooker {
    fn new(roots: Vec<TrustAnchor<'static>>) -> Self {
        Self {
            roots,
            algorithms: crypto::provider().signature_verification_algorithms,
            looked: Mutex::default(),
        }
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        // Each field is written whole.
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every path to a root. Each one that is found is kept and said to be none, so that the next is looked for.
    fn paths(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Vec<BuiltPath>, TrustFault> {
        let of = |error| TrustFault::of(&error);
        let own = EndEntityCert::try_from(own).map_err(of)?;
        own.verify_is_valid_for_subject_name(name).map_err(of)?;
        let found = RefCell::new(Vec::new());
        let keep = |path: &VerifiedPath<'_>| {
            let mut found = found.borrow_mut();
            found.push(BuiltPath::of(path));
            let enough = found.len() >= PATHS_MAX;
            enough.then_some(()).ok_or(webpki::Error::UnknownIssuer)
        };
        let (all, usage) = (self.algorithms.all, KeyUsage::server_auth());
        let built = own.verify_for_usage(all, &self.roots, sent, now, usage, None, Some(&keep));
        let built = built.map(|_path| ());
        match (found.into_inner(), built) {
            (found, Err(error)) if found.is_empty() => Err(TrustFault::of(&error)),
            (found, Ok(()) | Err(_)) => Ok(found),
        }
    }
}

impl BuiltPath {
    fn of(path: &VerifiedPath<'_>) -> Self {
        let own = path.end_entity().der().into_owned();
        let between = path.intermediate_certificates();
        let between = between.map(|cert| cert.der().into_owned());
        Self {
            certificates: std::iter::once(own).chain(between).collect(),
            root: path.anchor().to_owned(),
        }
    }
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Onlooker")
    }
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let paths = self.paths(own, sent, name, now);
        let answer = match &paths {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(fault) => Err(fault.error()),
        };
        let all = std::iter::once(own).chain(sent);
        *self.looked() = Looked {
            sent: all.map(|one| one.clone().into_owned()).collect(),
            paths: Some(paths),
        };
        answer
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, own, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, own, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
