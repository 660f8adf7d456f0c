//! What the themes have in common: the stand-in exchange on a thread of its own, and sidecars that lead to it. Holds no
//! expectation.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Exchange, Limits, Market, Options};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{PATIENCE, Response, Wire};

/// The key's name.
pub const KEY: &str = "hmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAC";
/// What signs.
pub const SECRET: &str = "canary+secret/of=the&way%out";

/// The name of a key of Ed25519, of the same account.
pub const ED25519: &str = "ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519e";

/// Everything that these tests call.
pub const ALL: &str = "[\"WS **\", \"STREAM **\", \"GET /api/v3/**\", \"POST /api/v3/order\", \"POST /api/v3/order/test\", \"DELETE /api/v3/order\"]";
/// An order that rests in the book, without a name.
pub const ORDER: &str =
    "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000";

/// The environment, without the secrets.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
    ("OUTRIDER_AUDIT__REFUSALS_PER_MINUTE", "1000000"),
];

/// Which of our keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    Hmac,
    Ed25519,
}

/// What stands before the further lines of the entry.
const FURTHER: &str = "    # further\n";
/// What stands behind them.
const BEHIND: &str = "\ninbound:";

/// A way in that nothing comes by.
const ROUTES: &str = "  routes: [{ name: none, match: { path: /none }, anonymous: true }]\n";

/// The stand-in exchange, which verifies every byte that it gets.
pub struct StandIn {
    /// The exchange.
    pub exchange: Exchange,
    /// What it allows.
    pub limits: Limits,
    /// The pair of the second key.
    pub ed25519: KeyPair,
    handle: Handle,
    /// Dropped, it ends the exchange's thread.
    _stop: oneshot::Sender<()>,
}

impl StandIn {
    /// Starts one that knows our key.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// The same with something else about it.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::of(Market::Spot, change)
    }

    /// The same of another market.
    pub fn of(market: Market, change: impl FnOnce(&mut Options)) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut options = Options {
            keys: vec![
                ApiKey::hmac(KEY, &Secret::new(SECRET.to_owned())),
                ApiKey::ed25519(ED25519, ed25519.public_key_raw()),
            ],
            ..Options::of(market)
        };
        change(&mut options);
        let limits = options.limits;
        let exchange = runtime.block_on(Exchange::start(options)).unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || runtime.block_on(stopped));
        Self {
            exchange,
            limits,
            ed25519,
            handle,
            _stop: stop,
        }
    }

    /// A way to it, with everything allowed.
    pub fn way(&self) -> Way {
        Way {
            port: self.exchange.address().port(),
            ca: self.exchange.root_pem().to_owned(),
            preset: "binance-spot",
            allow: ALL,
            more: String::new(),
            top: String::new(),
            workers: 1,
            with: With::Hmac,
            pem: self.ed25519.serialize_pem(),
        }
    }

    /// Ends every connection, and waits until the ends are there.
    pub fn hang_up(&self) {
        self.exchange.close_all();
        wait_until("hung up", || self.exchange.open_connections() == 0);
    }

    /// Takes no connections any more, or takes them again.
    pub fn refuse(&self, refuse: bool) {
        self.handle
            .block_on(self.exchange.refuse_connections(refuse));
    }

    /// How often a route was called.
    pub fn called(&self, route: &str) -> u64 {
        self.exchange.requests().get(route).copied().unwrap_or(0)
    }

    /// Nothing has reached the exchange that never should.
    pub fn assert_clean(&self) {
        assert_eq!(self.exchange.violations(), Vec::<String>::new());
    }
}

/// How a sidecar leads to the exchange.
pub struct Way {
    /// Where it connects to, as `localhost`.
    pub port: u16,
    /// Whom it trusts, as PEM.
    pub ca: String,
    /// Which exchange it is taken for.
    pub preset: &'static str,
    /// What may be called.
    pub allow: &'static str,
    /// Further lines of the entry, each indented by four blanks.
    pub more: String,
    /// Further lines at the top level.
    pub top: String,
    /// How many workers there are.
    pub workers: u32,
    /// Which key signs.
    pub with: With,
    pem: String,
}

impl Way {
    /// The same to another exchange, with lines of its own.
    pub fn to(self, preset: &'static str, allow: &'static str) -> Self {
        Self {
            preset,
            allow,
            ..self
        }
    }

    /// The same with further lines of the entry.
    pub fn more(mut self, lines: &str) -> Self {
        self.more.push_str(lines);
        self
    }

    /// A sidecar that knows the exchange's time.
    pub fn start(&self) -> Sidecar {
        let sidecar = self.launch();
        sidecar.wait_until("synced", || is_synced(&sidecar));
        sidecar
    }

    /// A sidecar that listens, whatever it knows.
    pub fn launch(&self) -> Sidecar {
        let at = format!("://localhost:{}", self.port);
        let site =
            |scheme: &str| format!("{{ url: \"{scheme}{at}\", ca_file: ca.pem, stand_in: true }}");
        let (algorithm, id, secret) = match self.with {
            With::Hmac => ("hmac", KEY, SECRET),
            With::Ed25519 => ("ed25519", ED25519, self.pem.as_str()),
        };
        let secrets = [("API_KEY", id), ("API_SECRET", secret)];
        let top = format!(
            "{}outbound:\n  - name: binance\n    listen: 127.0.0.1:0\n    exchange: {}\n    endpoints:\n      \
             rest: {}\n      ws_api: {}\n      streams: {}\n    \
             sign: {{ key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\", algorithm: {algorithm} }}\n    allow: {}\n{FURTHER}{}",
            self.top,
            self.preset,
            site("https"),
            site("wss"),
            site("wss"),
            self.allow,
            self.more
        );
        Sidecar::start(&Setup {
            top: &top,
            files: &[("ca.pem", &self.ca)],
            env: &[ENVIRONMENT, &secrets].concat(),
            workers: self.workers,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        })
    }
}

/// Whether a sidecar knows the exchange's time well enough to sign.
pub fn is_synced(sidecar: &Sidecar) -> bool {
    let text = sidecar.ask_health("/readyz?verbose").text();
    !text.contains("nothing can be signed")
}

/// The listener of the way out.
pub fn out(sidecar: &Sidecar) -> SocketAddr {
    sidecar.listener("outbound/binance")
}

/// A request on a connection of its own; `headers` are whole lines.
pub fn ask(at: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let request = text(at, method, target, headers, body);
    Wire::connect(at).ask(request).unwrap()
}

/// The bytes of a request after which the connection ends.
pub fn text(at: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = match body {
        "" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    format!(
        "{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
}

/// `GET` without more.
pub fn get(at: SocketAddr, target: &str) -> Response {
    ask(at, "GET", target, "", "")
}

/// An order that rests in the book.
pub fn place(at: SocketAddr) -> Response {
    ask(at, "POST", ORDER, "", "")
}

/// What an answer says.
pub fn told(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// The `http.request` events of what services asked, as soon as there are so many.
pub fn events(sidecar: &Sidecar, count: usize) -> Vec<Value> {
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

/// Limits that no test reaches.
pub fn generous(options: &mut Options) {
    options.limits.weight_per_minute = 10_000_000;
    options.limits.requests_per_5_minutes = 10_000_000;
    options.limits.orders_per_10_seconds = 1_000_000;
    options.limits.orders_per_day = 10_000_000;
    options.limits.orders_per_minute = 1_000_000;
}

/// Waits until the sidecar knows the exchange's limits.
pub fn wait_for_limits(sidecar: &Sidecar, stand_in: &StandIn) {
    let limit = stand_in.limits.weight_per_minute as f64;
    sidecar.wait_until("limits known", || {
        sidecar.metric("outrider_exchange_weight_limit", &["binance"]) == limit
    });
}

/// The lines that pin these keys.
pub fn pins(keys: &[&str], mode: &str) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"sha256/{key}\"")).collect();
    format!("    pins: [{}]\n    pin_mode: {mode}\n", keys.join(", "))
}

/// Replaces the further lines of the entry, and waits until that is in force.
pub fn reload(sidecar: &Sidecar, further: &str) {
    let taken = || sidecar.metric("outrider_config_reloads_total", &["success"]);
    let before = taken();
    let path = sidecar.folder().join("sidecar.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(FURTHER).unwrap();
    let (_old, behind) = rest.split_once(BEHIND).unwrap();
    let fresh = sidecar.folder().join("fresh");
    fs::write(&fresh, format!("{head}{FURTHER}{further}{BEHIND}{behind}")).unwrap();
    fs::rename(&fresh, &path).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_until("reloaded", || taken() > before);
}

/// Waits for something that must become true, sooner or later.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + 4 * PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not {what} in time");
        thread::sleep(Duration::from_millis(2));
    }
}
