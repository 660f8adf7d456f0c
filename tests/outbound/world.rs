//! What the themes have in common: a scripted exchange behind TLS, and a sidecar that leads to it. Holds no expectation.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::origin::{Act, Origin, Received, send};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{Response, Wire};

/// An exchange: scripted answers behind TLS 1.3, with a CA of its own.
pub struct Exchange {
    /// What it got, and what it answers.
    pub origin: Origin,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whom to trust for it.
    pub ca: String,
}

impl Exchange {
    /// Starts one that is called `localhost`.
    pub fn start() -> Self {
        let origin = Origin::start();
        let behind: SocketAddr = origin.url.trim_start_matches("http://").parse().unwrap();
        let (ca, config) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || serve(listener, behind, config));
        origin.answer(|_| json(200, "{}"));
        Self {
            origin,
            address,
            ca,
        }
    }

    /// The section `outbound` that leads to it; `more` are further lines of the entry.
    pub fn outbound(&self, allow: &str, more: &str) -> String {
        format!(
            "outbound:\n  - name: binance\n    listen: 127.0.0.1:0\n    exchange: binance-spot\n    endpoints:\n      rest: {{ url: \"https://localhost:{}\", ca_file: ca.pem, stand_in: true }}\n    allow: {allow}\n{more}",
            self.address.port()
        )
    }

    /// A sidecar that leads to it.
    pub fn sidecar(&self, allow: &str, more: &str) -> Sidecar {
        let top = self.outbound(allow, more);
        let files = [("ca.pem", self.ca.as_str())];
        Sidecar::start(&Setup {
            top: &top,
            files: &files,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        })
    }
}

/// A way in that nothing comes by.
pub const ROUTES: &str = "  routes: [{ name: none, match: { path: /none }, anonymous: true }]\n";

/// The listener of the way out.
pub fn out(sidecar: &Sidecar) -> SocketAddr {
    sidecar.listener("outbound/binance")
}

/// A request on a connection of its own; `headers` are whole lines.
pub fn ask(at: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let length = match body {
        "" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    );
    Wire::connect(at).ask(request).unwrap()
}

/// `GET` without more.
pub fn get(at: SocketAddr, target: &str) -> Response {
    ask(at, "GET", target, "", "")
}

/// An answer of JSON.
pub fn json(status: u16, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![send(format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))]
}

/// The path of a request, without its query.
pub fn path(request: &Received) -> &str {
    request.target.split('?').next().unwrap()
}

fn identity() -> (String, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&own, &issuer).unwrap();
    let chain = vec![CertificateDer::from(leaf)];
    let key = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (ca, config)
}

/// Ends TLS, and hands the bytes on.
fn serve(listener: TcpListener, behind: SocketAddr, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut front) = acceptor.accept(stream).await else {
                    return;
                };
                let mut back = TcpStream::connect(behind).await.unwrap();
                // Whoever ends it, both are over.
                let _ended = copy_bidirectional(&mut front, &mut back).await;
            });
        }
    });
}
