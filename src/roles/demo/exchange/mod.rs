//! A stand-in exchange that speaks as Binance's spot and futures exchanges do, on TLS 1.3, and verifies everything:
//! bytes, signatures, times, weights, bans and repetitions. For the demo and for tests; it never trades, and shares no
//! code with what signs.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::drain::Drain;

mod amount;
mod api;
mod book;
mod certificates;
mod dialect;
mod door;
mod evidence;
mod faults;
mod frame;
mod gate;
mod headers;
mod keys;
mod limits;
mod listening;
mod market;
mod paced;
mod params;
mod present;
mod refusal;
mod rest;
mod routes;
mod socket;
mod state;
mod streams;
mod time;
mod trading;

use certificates::Certificates;
pub use certificates::{Pins, Shown};
pub use dialect::Market;
use door::Door;
use evidence::read;
pub use faults::Fault;
pub use keys::ApiKey;
pub use limits::Limits;
pub use socket::Sockets;
use state::State;
pub use time::ServerClock;

/// How an exchange is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names and addresses for which it has certificates and takes requests. The first is in its URLs.
    pub names: Vec<String>,
    /// Which market it is.
    pub market: Market,
    /// The keys it knows.
    pub keys: Vec<ApiKey>,
    /// What it allows.
    pub limits: Limits,
    /// How it treats WebSockets.
    pub sockets: Sockets,
}

impl Options {
    /// `localhost`, no key, the limits of the real one.
    #[must_use]
    pub fn of(market: Market) -> Self {
        Self {
            names: ["localhost", "127.0.0.1"].map(str::to_owned).to_vec(),
            market,
            keys: Vec::new(),
            limits: Limits::of(market),
            sockets: Sockets::default(),
        }
    }
}

impl Default for Options {
    /// A spot exchange.
    fn default() -> Self {
        Self::of(Market::Spot)
    }
}

/// An exchange that runs; it stops when this is dropped.
pub struct Exchange {
    state: Arc<State>,
    certificates: Certificates,
    door: Door,
    name: String,
}

impl Exchange {
    /// Starts on a free port of this machine, on the current runtime.
    ///
    /// # Errors
    ///
    /// When there is no port, or no certificate can be made for a name.
    pub async fn start(options: Options) -> io::Result<Self> {
        let name = options.names.first().cloned();
        let name = name.ok_or_else(|| io::Error::other("an exchange has a name"))?;
        let certificates = Certificates::new(&options.names)?;
        let configuration = certificates.configuration(Shown::Right)?;
        let state = Arc::new(State::new(options));
        let door = Door::new(Arc::clone(&state), configuration, Drain::new())?;
        door.open()?;
        // Who has the handle can connect.
        let mut is_shut = door.is_shut.subscribe();
        let _open = is_shut.wait_for(|shut| !shut).await;
        Ok(Self {
            state,
            certificates,
            door,
            name,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// `https://NAME:PORT`, for REST.
    #[must_use]
    pub fn rest_url(&self) -> String {
        format!("https://{}:{}", self.name, self.address().port())
    }

    /// The roots that its clients trust, as PEM: that of the right chain, that of the backup, and another one.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        self.certificates.root_pem()
    }

    /// What can be pinned.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        self.certificates.pins()
    }

    /// Changes what new connections are shown; those that stand go on.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be made.
    pub fn show(&self, shown: Shown) -> io::Result<()> {
        let configuration = self.certificates.configuration(shown)?;
        self.door.configuration.store(configuration);
        Ok(())
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &ServerClock {
        &self.state.clock
    }

    /// Lets a fault befall the next so many requests whose route begins so, as `POST /api/v3/order`; every request if
    /// the route is empty.
    pub fn fault(&self, fault: Fault, route: &str, times: u32) {
        self.state.faults.plan(fault, route, times);
    }

    /// Takes back every fault that has not happened yet.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Ends connections that are between two requests, and the others after their answer.
    pub fn close_idle(&self) {
        self.door.end_idle.send_modify(|count| *count += 1);
    }

    /// Ends every connection at once, also WebSockets.
    pub fn close_all(&self) {
        self.door.end_all.send_modify(|count| *count += 1);
    }

    /// Tells every WebSocket that the server is about to shut down.
    pub fn announce_shutdown(&self) {
        self.door.notice.send_modify(|count| *count += 1);
    }

    /// Makes a key known from now on.
    pub fn add_key(&self, key: ApiKey) {
        self.state.add_key(key);
    }

    /// Makes a key unknown from now on, also to sessions that were authenticated with it.
    pub fn revoke_key(&self, id: &str) {
        self.state.remove_key(id);
    }

    /// Refuses connections from now on, or takes them again. Those that stand go on.
    pub async fn refuse_connections(&self, refuse: bool) {
        let mut is_shut = self.door.is_shut.subscribe();
        self.door.shut.send_replace(refuse);
        let _done = is_shut.wait_for(|shut| *shut == refuse).await;
    }

    /// Bans every sender, as if it had overdone it.
    pub fn ban(&self, length: Duration) {
        let moment = self.state.moment();
        self.state.meter().ban(moment, length);
    }

    /// Uses weight, as somebody else at the same address would.
    pub fn use_weight(&self, weight: u64) {
        let moment = self.state.moment();
        self.state.meter().charge(moment, weight);
    }

    /// The weight used in this minute.
    #[must_use]
    pub fn used_weight(&self) -> u64 {
        let moment = self.state.moment();
        self.state.meter().used(moment)
    }

    /// What should never have reached an exchange; empty if all is well.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.evidence.violations()
    }

    /// Forgets the violations so far.
    pub fn clear_violations(&self) {
        self.state.evidence.clear_violations();
    }

    /// Requests by route, as `GET /api/v3/time`.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.state.evidence.routes()
    }

    /// The server name of each handshake, in their order.
    #[must_use]
    pub fn server_names(&self) -> Vec<Option<String>> {
        self.state.evidence.server_names()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        read(&self.state.evidence.counts.connections)
    }

    /// Connections now.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        read(&self.state.evidence.counts.open)
    }

    /// WebSockets that are open.
    #[must_use]
    pub fn open_sockets(&self) -> u64 {
        read(&self.state.evidence.counts.sockets)
    }

    /// Connections that ended before their handshake did.
    #[must_use]
    pub fn failed_handshakes(&self) -> u64 {
        read(&self.state.evidence.counts.handshakes_failed)
    }

    /// Connections that resumed an earlier session.
    #[must_use]
    pub fn resumed_handshakes(&self) -> u64 {
        read(&self.state.evidence.counts.resumed)
    }

    /// Orders that were placed.
    #[must_use]
    pub fn orders_placed(&self) -> u64 {
        read(&self.state.evidence.counts.placed)
    }

    /// Orders that were cancelled.
    #[must_use]
    pub fn orders_cancelled(&self) -> u64 {
        read(&self.state.evidence.counts.cancelled)
    }

    /// Withdrawals and transfers that arrived.
    #[must_use]
    pub fn withdrawals(&self) -> u64 {
        read(&self.state.evidence.counts.withdrawals)
    }

    /// Signed requests that only read and came twice, byte for byte.
    #[must_use]
    pub fn repeated_reads(&self) -> u64 {
        read(&self.state.evidence.counts.repeated_reads)
    }

    /// Requests that were sent during a ban, after its answer could have been read.
    #[must_use]
    pub fn sent_while_banned(&self) -> u64 {
        read(&self.state.evidence.counts.sent_while_banned)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.door.drain.begin();
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Exchange({})", self.address())
    }
}
