//! Whoever stands between a sidecar and the exchange: hands bytes on unread, ends TLS with a certificate of an authority
//! that the sidecar trusts and reads along, or breaks things. Holds no expectation.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use outrider::runtime::crypto::provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::localhost::identity;
use crate::support::wait::hang_up;

/// What is done with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Bytes go through as they are.
    Pass,
    /// TLS ends here, with a good certificate of another key; what was read goes on over TLS of our own.
    Intercept,
    /// The same, and the connection is reset after so many bytes of answers.
    ResetAfter(usize),
    /// Connections are taken, and nothing on them is ever read.
    Ignore,
}

/// One that runs; its thread ends with the test's process.
pub struct Middle {
    /// Where it listens.
    pub address: SocketAddr,
    /// The authority that vouches for it, as PEM.
    pub ca: String,
    manner: watch::Sender<Manner>,
    seen: Arc<Seen>,
}

/// What came over it.
#[derive(Default)]
struct Seen {
    /// Bytes of HTTP that it could read.
    heard: Mutex<Vec<u8>>,
    refused: AtomicU64,
}

impl Middle {
    /// Starts one before the exchange that is at `exchange` and is proven by `roots` (PEM); it hands bytes on.
    pub fn start(exchange: SocketAddr, roots: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (ca, server) = identity();
        let manner = watch::Sender::new(Manner::Pass);
        let seen = Arc::new(Seen::default());
        let ways = Ways {
            exchange,
            server: TlsAcceptor::from(Arc::new(server)),
            client: TlsConnector::from(Arc::new(trusting(roots))),
            seen: Arc::clone(&seen),
        };
        let told = manner.subscribe();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, Arc::new(ways), told));
        });
        Self {
            address,
            ca,
            manner,
            seen,
        }
    }

    /// Does so from now on, ends the connections that stand, and waits until whoever had them has let go of them.
    pub fn be(&self, manner: Manner) {
        hang_up(self.address.port(), || {
            self.manner.send_replace(manner);
        });
    }

    /// What HTTP it could read.
    pub fn heard(&self) -> Vec<u8> {
        self.seen.heard.lock().unwrap().clone()
    }

    /// Handshakes that the sidecar ended.
    pub fn refused(&self) -> u64 {
        self.seen.refused.load(Ordering::SeqCst)
    }
}

struct Ways {
    exchange: SocketAddr,
    server: TlsAcceptor,
    client: TlsConnector,
    seen: Arc<Seen>,
}

async fn serve(listener: TcpListener, ways: Arc<Ways>, manner: watch::Receiver<Manner>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let ways = Arc::clone(&ways);
        let mut changes = manner.clone();
        let manner = *changes.borrow_and_update();
        tokio::spawn(async move {
            tokio::select! {
                () = ways.carry(stream, manner) => {}
                _changed = changes.changed() => {}
            }
        });
    }
}

impl Ways {
    async fn carry(&self, mut stream: TcpStream, manner: Manner) {
        match manner {
            Manner::Pass => {
                let Ok(mut behind) = TcpStream::connect(self.exchange).await else {
                    return;
                };
                // Whoever ends it, both are over.
                let _ended = copy_bidirectional(&mut stream, &mut behind).await;
            }
            Manner::Intercept => self.read_along(stream, usize::MAX).await,
            Manner::ResetAfter(bytes) => self.read_along(stream, bytes).await,
            Manner::Ignore => tokio::time::sleep(Duration::from_secs(3600)).await,
        }
    }

    async fn read_along(&self, stream: TcpStream, bytes_max: usize) {
        let line = SockRef::from(&stream).try_clone().unwrap();
        let Ok(front) = self.server.accept(stream).await else {
            self.seen.refused.fetch_add(1, Ordering::SeqCst);
            return;
        };
        let behind = TcpStream::connect(self.exchange).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let behind = self.client.connect(name, behind).await.unwrap();
        let (asks, answers) = (tokio::io::split(front), tokio::io::split(behind));
        tokio::select! {
            () = note(asks.0, answers.1, &self.seen) => {}
            () = limited(answers.0, asks.1, bytes_max) => {
                // Closed with a reset, not with an end.
                line.set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
    }
}

/// Hands on what a client asks, and keeps it.
async fn note(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: &Seen) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        seen.heard
            .lock()
            .unwrap()
            .extend_from_slice(&piece[..count]);
        if to.write_all(&piece[..count]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Hands on what is answered, up to so many bytes.
async fn limited(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, max: usize) {
    let mut left = max;
    let mut piece = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let count = count.min(left);
        left -= count;
        if to.write_all(&piece[..count]).await.is_err() || to.flush().await.is_err() || left == 0 {
            return;
        }
    }
}

fn trusting(roots: &str) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth()
}
