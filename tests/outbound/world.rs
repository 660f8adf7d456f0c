//! What the themes have in common: a scripted exchange behind TLS, and a sidecar that leads to it. Holds no expectation.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Limits, Options};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::origin::{Act, Origin, Received, send};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{PATIENCE, Response, Wire};

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
        let until = Instant::now() + PATIENCE;
        while self.asked().len() < count {
            assert!(Instant::now() < until, "not asked in time");
            thread::sleep(Duration::from_millis(2));
        }
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
        let sidecar = self.sidecar(allow, &format!("{SIGN}{more}"));
        wait_for_time(&sidecar);
        sidecar
    }
}

/// The `http.request` events of what services asked, as soon as there are so many.
pub fn services(sidecar: &Sidecar, count: usize) -> Vec<serde_json::Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut events = sidecar.requests(0);
        events.retain(|event| event["actor"]["auth"] != "own");
        if events.len() >= count || Instant::now() > until {
            return events;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the sidecar knows the exchange's time.
pub fn wait_for_time(sidecar: &Sidecar) {
    sidecar.wait_until("synced", || {
        let text = sidecar.ask_health("/readyz?verbose").text();
        !text.contains("nothing can be signed")
    });
}

/// The section `sign`.
pub const SIGN: &str = "    sign: { key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\" }\n";

/// The key's name.
pub const KEY: &str = "hmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAC";

/// What signs.
pub const SECRET: &str = "canary-secret-of-this-test";

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

/// The stand-in exchange of the program itself, which verifies every byte that it gets.
pub struct StandIn {
    /// The exchange.
    pub exchange: outrider::roles::demo::exchange::Exchange,
    handle: tokio::runtime::Handle,
    /// Dropped, it ends the exchange's thread.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl StandIn {
    /// Starts one that knows our key.
    pub fn start() -> Self {
        Self::with(Limits::default())
    }

    /// The same with other limits.
    pub fn with(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let key = ApiKey::hmac(KEY, &Secret::new(SECRET.to_owned()));
        let options = Options {
            keys: vec![key],
            limits,
            ..Options::default()
        };
        let exchange = runtime
            .block_on(outrider::roles::demo::exchange::Exchange::start(options))
            .unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        thread::spawn(move || runtime.block_on(stopped));
        Self {
            exchange,
            handle,
            _stop: stop,
        }
    }

    /// A sidecar that leads to it and knows its time.
    pub fn sidecar(&self, allow: &str, more: &str) -> Sidecar {
        let sidecar = self.launch(allow, more);
        wait_for_time(&sidecar);
        sidecar
    }

    /// Takes no connections any more, and ends those that stand.
    pub fn refuse(&self) {
        self.exchange.close_all();
        self.handle.block_on(self.exchange.refuse_connections(true));
        // The sidecar sees the ends a moment later.
        thread::sleep(Duration::from_millis(100));
    }

    /// A sidecar that leads to it and cannot believe its time.
    pub fn exchange_unsynced(&self, allow: &str) -> Sidecar {
        let sidecar = self.launch(allow, "");
        sidecar.wait_until("asked", || {
            self.exchange
                .requests()
                .keys()
                .any(|route| route.ends_with("time"))
        });
        sidecar
    }

    /// The section `outbound` that leads to it.
    pub fn outbound(&self, allow: &str, more: &str) -> String {
        self.outbound_with("", allow, more)
    }

    fn outbound_with(&self, endpoints: &str, allow: &str, more: &str) -> String {
        format!(
            "outbound:\n  - name: binance\n    listen: 127.0.0.1:0\n    exchange: binance-spot\n    endpoints:\n      rest: {{ url: \"{}\", ca_file: ca.pem, stand_in: true }}\n{endpoints}    allow: {allow}\n{SIGN}{more}",
            self.exchange.rest_url()
        )
    }

    /// A sidecar that leads to all its interfaces.
    pub fn sockets(&self, allow: &str) -> Sidecar {
        let url = self.exchange.rest_url().replacen("https", "wss", 1);
        let [api, streams] = ["ws_api", "streams"].map(|role| {
            format!("      {role}: {{ url: \"{url}\", ca_file: ca.pem, stand_in: true }}\n")
        });
        self.lead(&self.outbound_with(&format!("{api}{streams}"), allow, ""))
    }

    fn launch(&self, allow: &str, more: &str) -> Sidecar {
        self.lead(&self.outbound(allow, more))
    }

    fn lead(&self, top: &str) -> Sidecar {
        let files = [("ca.pem", self.exchange.root_pem())];
        Sidecar::start(&Setup {
            top,
            files: &files,
            env: SECRETS,
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

/// A CA, and what a server that it vouches for is called `localhost` with.
pub fn identity() -> (String, ServerConfig) {
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
