//! A look at a server: a handshake for what it shows, judged as any other, and nothing behind it. Never sends a byte of
//! HTTP, and never completes a handshake with a server that is not believed.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor};
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use webpki::VerifiedPath;

use super::trust::TrustFault;
use super::verifier::{Judging, Shown, Verifier};
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
    let looked = Mutex::default();
    let onlooker = Arc::new(Verifier::new(Onlooker { roots, looked }));
    let shaking = shake((host, port), name, &onlooker, clock);
    let shaken = timeout(wait, shaking).await;
    let shaken = shaken.unwrap_or(Err(DialFault::HandshakeTimeout));
    let Looked { sent, paths } = std::mem::take(&mut *onlooker.judge.looked());
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
    onlooker: &Arc<Verifier<Onlooker>>,
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
        .with_custom_certificate_verifier(onlooker.clone())
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
    looked: Mutex<Looked>,
}

#[derive(Default)]
struct Looked {
    sent: Vec<CertificateDer<'static>>,
    paths: Option<Result<Vec<BuiltPath>, TrustFault>>,
}

impl Onlooker {
    fn looked(&self) -> MutexGuard<'_, Looked> {
        // Each field is written whole.
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every path to a root. Each one that is found is kept and said to be none, so that the next is looked for.
    fn paths(&self, shown: &Shown<'_>) -> Result<Vec<BuiltPath>, TrustFault> {
        let found = RefCell::new(Vec::new());
        let keep = |path: &VerifiedPath<'_>| {
            let mut found = found.borrow_mut();
            found.push(BuiltPath::of(path));
            let enough = found.len() >= PATHS_MAX;
            enough.then_some(()).ok_or(webpki::Error::UnknownIssuer)
        };
        let built = shown.paths(&self.roots, &keep);
        match (found.into_inner(), built) {
            (found, Err(fault)) if found.is_empty() => Err(fault),
            (found, Ok(()) | Err(_)) => Ok(found),
        }
    }
}

impl Judging for Onlooker {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), TrustFault> {
        let paths = self.paths(shown);
        let answer = paths.as_ref().map(|_| ()).map_err(TrustFault::clone);
        let all = std::iter::once(shown.own).chain(shown.sent);
        *self.looked() = Looked {
            sent: all.map(|one| one.clone().into_owned()).collect(),
            paths: Some(paths),
        };
        answer
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
