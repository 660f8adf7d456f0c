//! The stand-in exchange on a thread of its own, which verifies every byte that it gets, and sidecars that lead to it.
//! Holds no expectation.

use std::thread;

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Exchange, Limits, Market, Options};
use rcgen::{KeyPair, PKCS_ED25519};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::sidecar::{Setup, Sidecar};
use super::wait::{hang_up, wait_until};

/// The key's name.
pub const KEY: &str = "hmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAChmacHMAC";
/// What signs.
pub const SECRET: &str = "canary+secret/of=the&way%out";

/// The name of a key of Ed25519, of the same account.
pub const ED25519: &str = "ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519ed25519e";

/// Everything that an exchange is asked for in tests.
const ALL: &str = "[\"WS **\", \"STREAM **\", \"GET /api/v3/**\", \"POST /api/v3/order\", \"POST /api/v3/order/test\", \"DELETE /api/v3/order\"]";

/// A line of the entry without which a clock that is minutes off is not believed.
pub const FAR: &str = "    clock: { max_offset: 5m }\n";

/// A way in that nothing comes by.
pub const ROUTES: &str = "  routes: [{ name: none, match: { path: /none }, anonymous: true }]\n";

/// The environment, without the secrets.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
    ("OUTRIDER_AUDIT__REFUSALS_PER_MINUTE", "1000000"),
];

/// What stands before the further lines of the entry.
pub const FURTHER: &str = "    # further\n";

/// Which of our keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    Hmac,
    Ed25519,
}

/// The exchange, with two keys of one account.
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
    /// Starts one that knows our keys.
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

    /// Sets its clock to the beginning of a minute: what is counted in one is not counted anew before the test is over.
    /// A sidecar believes it with [`FAR`].
    pub fn begin_minute(&self) {
        const MINUTE_US: i64 = 60_000_000;
        let now_us = self.exchange.clock().now_us();
        let begin_us = now_us - now_us.rem_euclid(MINUTE_US);
        self.exchange.clock().set_us(begin_us);
    }

    /// A way to it that signs with HMAC, with everything allowed.
    pub fn way(&self) -> Way {
        Way {
            port: self.exchange.address().port(),
            ca: self.exchange.root_pem().to_owned(),
            sockets: None,
            preset: "binance-spot",
            allow: ALL.to_owned(),
            more: String::new(),
            top: String::new(),
            workers: 1,
            with: With::Hmac,
            pem: self.ed25519.serialize_pem(),
        }
    }

    /// A sidecar that leads to it and knows its time; `more` are further lines of the entry.
    pub fn sidecar(&self, allow: &str, more: &str) -> Sidecar {
        self.sidecar_with(With::Hmac, allow, more)
    }

    /// The same, and signs with this key.
    pub fn sidecar_with(&self, with: With, allow: &str, more: &str) -> Sidecar {
        let mut way = self.way().allow(allow).more(more);
        way.with = with;
        way.start()
    }

    /// Ends every connection, and waits until whoever had them has let go of them.
    pub fn hang_up(&self) {
        hang_up(self.exchange.address().port(), || self.exchange.close_all());
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
    /// Where WebSockets are opened, if that is somewhere else, and whom it trusts for that.
    pub sockets: Option<(u16, String)>,
    /// Which exchange it is taken for.
    pub preset: &'static str,
    /// What may be called.
    pub allow: String,
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
    /// The same, and this may be called.
    pub fn allow(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.allow);
        self
    }

    /// The same to what is taken for this exchange.
    pub fn to(self, preset: &'static str) -> Self {
        Self { preset, ..self }
    }

    /// The same with further lines of the entry.
    pub fn more(mut self, lines: &str) -> Self {
        self.more.push_str(lines);
        self
    }

    /// A sidecar that knows the exchange's time.
    pub fn start(&self) -> Sidecar {
        let sidecar = self.launch();
        wait_for_time(&sidecar);
        sidecar
    }

    /// A sidecar that listens, whatever it knows.
    pub fn launch(&self) -> Sidecar {
        let (id, secret) = match self.with {
            With::Hmac => (KEY, SECRET),
            With::Ed25519 => (ED25519, self.pem.as_str()),
        };
        let mut files = vec![("ca.pem", self.ca.as_str())];
        if let Some((_, ca)) = &self.sockets {
            files.push(("sockets.pem", ca));
        }
        let secrets = [("API_KEY", id), ("API_SECRET", secret)];
        Sidecar::start(&Setup {
            top: &format!("{}{}", self.top, self.section()),
            files: &files,
            env: &[ENVIRONMENT, &secrets].concat(),
            workers: self.workers,
            ..Setup::new("http://127.0.0.1:9", ROUTES)
        })
    }

    /// The section `outbound` that leads to all of the exchange's interfaces.
    pub fn section(&self) -> String {
        let site = |(role, scheme): (&str, &str)| {
            let (port, ca) = match &self.sockets {
                Some((port, _)) if scheme == "wss" => (*port, "sockets.pem"),
                _ => (self.port, "ca.pem"),
            };
            let url = format!("{scheme}://localhost:{port}");
            format!("      {role}: {{ url: \"{url}\", ca_file: {ca}, stand_in: true }}\n")
        };
        let sites = [("rest", "https"), ("ws_api", "wss"), ("streams", "wss")];
        let sites: String = sites.map(site).concat();
        let algorithm = match self.with {
            With::Hmac => "hmac",
            With::Ed25519 => "ed25519",
        };
        format!(
            "outbound:\n  - name: binance\n    listen: 127.0.0.1:0\n    exchange: {}\n    endpoints:\n{sites}    \
             sign: {{ key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\", algorithm: {algorithm} }}\n    allow: {}\n{FURTHER}{}",
            self.preset, self.allow, self.more
        )
    }
}

/// Waits until a sidecar knows the exchange's time well enough to sign.
pub fn wait_for_time(sidecar: &Sidecar) {
    sidecar.wait_until("synced", || is_synced(sidecar));
}

/// Whether it does.
pub fn is_synced(sidecar: &Sidecar) -> bool {
    let text = sidecar.ask_health("/readyz?verbose").text();
    !text.contains("nothing can be signed")
}

/// Waits until a sidecar knows the exchange's limits. By then it has the connections over which it asks by itself.
pub fn wait_for_limits(sidecar: &Sidecar, stand_in: &StandIn) {
    let limit = stand_in.limits.weight_per_minute as f64;
    sidecar.wait_until("limits known", || {
        sidecar.metric("outrider_exchange_weight_limit", &["binance"]) == limit
    });
}

/// Waits until a sidecar has asked what it asks by itself when it starts. It asks again half a minute later at the soonest;
/// until then, what the exchange answers is answered to the test.
pub fn wait_for_quiet(sidecar: &Sidecar, stand_in: &StandIn) {
    wait_for_limits(sidecar, stand_in);
    // In quick succession, so that one of the comparisons is exact.
    wait_until("compared", || stand_in.called("GET /api/v3/time") >= 3);
}
