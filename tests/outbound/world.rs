//! What the themes have in common: a scripted exchange behind TLS, and a sidecar that leads to it. Holds no expectation.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use crate::support::calls::{ask, get, out, told};
pub use crate::support::exchange::{KEY, ROUTES, SECRET, StandIn, wait_for_time};
use crate::support::localhost::identity;
use crate::support::origin::{Act, Origin, Received, send};
use crate::support::sidecar::{Setup, Sidecar};
pub use crate::support::wait::{record_of, services, wait_until};

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
        let exchange = Self {
            origin,
            address,
            ca,
        };
        exchange.answer(|_| json(200, "{}"));
        exchange
    }

    /// Answers like this from now on. What the sidecar asks by itself is answered as it should be.
    pub fn answer(&self, script: impl Fn(&Received) -> Vec<Act> + Send + 'static) {
        self.origin.answer(move |request| match is_own(request) {
            false => script(request),
            true if request.target.ends_with("/time") => json(200, &server_time()),
            true => json(200, "{\"rateLimits\":[]}"),
        });
    }

    /// What services asked, without what the sidecar asks by itself.
    pub fn asked(&self) -> Vec<Received> {
        let mut all = self.origin.since(0);
        all.retain(|request| !is_own(request));
        all
    }

    /// Waits until services have asked so much.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        wait_until("asked", || self.asked().len() >= count);
        self.asked()
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
        self.launch(&self.outbound(allow, more))
    }

    /// A sidecar with this section `outbound`.
    pub fn launch(&self, top: &str) -> Sidecar {
        let files = [("ca.pem", self.ca.as_str())];
        Sidecar::start(&Setup {
            top,
            files: &files,
            env: SECRETS,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        })
    }

    /// One that signs, and knows the exchange's time.
    pub fn signing(&self, allow: &str, more: &str) -> Sidecar {
        let sign = "    sign: { key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\" }\n";
        let sidecar = self.sidecar(allow, &format!("{sign}{more}"));
        wait_for_time(&sidecar);
        sidecar
    }
}

/// The environment, with secrets in it.
pub const SECRETS: &[(&str, &str)] = &[
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
    ("API_KEY", KEY),
    ("API_SECRET", SECRET),
    ("CALLER_TOKEN", "a-token-that-nobody-guesses"),
];

/// What the sidecar asks by itself says so.
fn is_own(request: &Received) -> bool {
    request
        .one("user-agent")
        .is_some_and(|agent| agent.starts_with("outrider/"))
}

fn server_time() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{{\"serverTime\":{}}}", now.as_millis())
}

/// An answer of JSON.
pub fn json(status: u16, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![send(format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))]
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
