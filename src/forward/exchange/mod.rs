//! An exchange's endpoint made ready: TLS with pins, and how a connection to it is made. Never sends a byte of HTTP before
//! the server has proved that it is the exchange; every handshake is a full one, because a session that is resumed proves
//! nothing anew (RFC 8446 section 4.6.1), and early data can be replayed.

mod fault;
mod path;
mod probe;
mod resolve;
mod roots;
mod seen;
mod trust;
mod verifier;

#[cfg(test)]
pub(super) mod pki;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::{ServerName, TrustAnchor, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Spawner;
use crate::model::clock::Clock;
use crate::model::decode::Placed;
use crate::model::endpoint::Endpoint;
use crate::model::fault::Faults;
use crate::model::pins::{PinMode, PinSet};
use crate::model::settings::TlsVersion;
use crate::runtime::crypto;

pub use fault::DialFault;
pub use path::{Chain, Level, Link, pin_of_anchor, pin_of_spki, sequence};
pub use probe::{BuiltPath, Probed, probe};
pub use roots::{of_pem as roots_of_pem, public as public_roots};
pub use seen::{Mismatch, OnMismatch, Seen};
pub use trust::{Proven, TrustFault};

use resolve::Resolver;
use trust::{Judge, Trust};
use verifier::Verifier;

/// The one protocol that is spoken (RFC 7301 section 6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// An endpoint that connections can be made to. Immutable but for what was seen: other pins, another CA or another host
/// are another one, with connections of its own. Shared by all workers.
pub struct Exchange {
    endpoint: Endpoint,
    name: ServerName<'static>,
    /// Without the judge, who is another one for each handshake.
    config: ClientConfig,
    trust: Arc<Trust>,
    resolver: Arc<Resolver>,
    clock: Arc<dyn Clock>,
    seen: Seen,
    on_mismatch: OnMismatch,
}

/// How long making a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct DialTimes {
    /// From the name to the connection.
    pub(super) connect: Duration,
    /// For the handshake.
    pub(super) handshake: Duration,
}

/// A connection whose server has proved that it is the exchange.
pub(super) struct Dialled {
    pub(super) stream: TlsStream<TcpStream>,
    /// What it proved that with.
    pub(super) chain: Arc<Chain>,
    /// From then on the pins count no more, and no request begins on it.
    pub(super) until: Option<Instant>,
}

impl Exchange {
    /// Makes an endpoint ready; nothing is connected. `None` if anything is wrong with it: a CA file without a certificate,
    /// pins that have expired. Each fault is noted where the configuration names its subject.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        clock: &Arc<dyn Clock>,
        on_mismatch: OnMismatch,
        faults: &mut Faults,
    ) -> Option<Self> {
        let name = server_name(&endpoint, faults);
        let roots = trusted(&endpoint, faults);
        let current = pins_count(&endpoint, clock.now().unix_seconds(), faults);
        let (name, roots, ()) = (name?, roots?, current?);
        let pins = endpoint.pins.as_ref().map(|pins| pins.value.clone());
        let trust = Arc::new(Trust::new(roots, pins));
        let config = match config(endpoint.min_version, &trust, clock) {
            Ok(config) => config,
            Err(error) => {
                faults.error(&endpoint.place, format!("TLS cannot be set up: {error}"));
                return None;
            }
        };
        Some(Self {
            resolver: Arc::new(Resolver::new(&endpoint.host, endpoint.port)),
            endpoint,
            name,
            config,
            trust,
            clock: Arc::clone(clock),
            seen: Seen::default(),
            on_mismatch,
        })
    }

    /// What it was made of.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What its handshakes have shown.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether, on the newest connection, only the server's own key is pinned, though it is a public one that is soon
    /// renewed.
    #[must_use]
    pub fn is_pinned_only_at_leaf(&self) -> bool {
        let pins = self.endpoint.pins.as_ref();
        let pins = pins.filter(|_| self.endpoint.is_public());
        let met = |pins: &Placed<PinSet>| {
            let chain = self.seen.chain();
            chain.is_some_and(|chain| chain.meets_only_at_leaf(&pins.value))
        };
        pins.is_some_and(met)
    }

    /// Whether a connection that was proved by this chain would be used by the pins of this endpoint: for connections that
    /// stay open while pins change.
    #[must_use]
    pub fn would_use(&self, chain: &Chain) -> bool {
        let pins = self.endpoint.pins.as_ref();
        pins.is_none_or(|pins| {
            pins.value.mode() == PinMode::Report
                || (chain.meets(&pins.value)
                    && !pins.value.is_expired(self.clock.now().unix_seconds()))
        })
    }

    /// Makes a connection.
    pub(super) async fn dial(
        &self,
        times: DialTimes,
        spawn: &Spawner,
    ) -> Result<Dialled, DialFault> {
        let deadline = Instant::now() + times.connect;
        let stream = self.connect(deadline, spawn).await?;
        let verifier = Arc::new(Verifier::new(Judge::new(Arc::clone(&self.trust))));
        let mut config = self.config.clone();
        config
            .dangerous()
            .set_certificate_verifier(verifier.clone());
        let connector = TlsConnector::from(Arc::new(config));
        let shaking = timeout(
            times.handshake,
            connector.connect(self.name.clone(), stream),
        );
        let shaken = shaking.await;
        match (shaken, verifier.judge.take()) {
            (_, Some(Err(fault))) => {
                self.note_mismatch(&fault);
                Err(DialFault::Trust(fault))
            }
            (Err(_elapsed), _) => Err(DialFault::HandshakeTimeout),
            (Ok(Err(error)), _) => Err(DialFault::of(error)),
            (Ok(Ok(stream)), Some(Ok(proven))) => Ok(self.dialled(stream, &proven)),
            // The library asks the judge in every full handshake, and no other is made.
            (Ok(Ok(_)), None) => Err(DialFault::Malformed),
        }
    }

    async fn connect(&self, deadline: Instant, spawn: &Spawner) -> Result<TcpStream, DialFault> {
        let late = |_| DialFault::ConnectTimeout;
        let resolving = self.resolver.addresses(spawn);
        let found = timeout_at(deadline, resolving).await.map_err(late)?;
        let addresses = found.map_err(DialFault::Name)?;
        let mut fault = DialFault::ConnectTimeout;
        for (at, address) in addresses.iter().enumerate() {
            // The rest of the time is shared with those that are still to be tried.
            let left = deadline.saturating_duration_since(Instant::now());
            let others = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            match timeout(left / others, open(*address)).await {
                Ok(Ok(stream)) => {
                    self.resolver.worked(*address);
                    return Ok(stream);
                }
                Ok(Err(error)) => fault = DialFault::Connect(error),
                Err(_elapsed) => fault = DialFault::ConnectTimeout,
            }
        }
        Err(fault)
    }

    fn dialled(&self, stream: TlsStream<TcpStream>, proven: &Proven) -> Dialled {
        let chain = self.seen.proven(&proven.chain);
        if proven.pinned == Some(false) {
            self.tell(&chain, PinMode::Report);
        }
        Dialled {
            stream,
            chain,
            until: self.pins_end(),
        }
    }

    /// The moment at which the pins expire, if they are enforced and do.
    fn pins_end(&self) -> Option<Instant> {
        let pins = &self.endpoint.pins.as_ref()?.value;
        let end = pins.expires().filter(|_| pins.mode() == PinMode::Enforce)?;
        let end = end.saturating_mul(1_000_000);
        let left = end.saturating_sub(self.clock.now().unix_us);
        let left = Duration::from_micros(u64::try_from(left).unwrap_or_default());
        Instant::now().checked_add(left)
    }

    fn note_mismatch(&self, fault: &TrustFault) {
        if let TrustFault::Pins(chain) = fault {
            self.tell(chain, PinMode::Enforce);
        }
    }

    fn tell(&self, chain: &Chain, mode: PinMode) {
        (self.on_mismatch)(&Mismatch {
            endpoint: &self.endpoint,
            chain,
            mode,
            repeated: self.seen.missed(chain),
        });
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint {
            upstream,
            host,
            port,
            ..
        } = &self.endpoint;
        write!(out, "Exchange({upstream}: {host}:{port})")
    }
}

async fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn server_name(endpoint: &Endpoint, faults: &mut Faults) -> Option<ServerName<'static>> {
    let name = &endpoint.server_name;
    let read = ServerName::try_from(name.clone());
    if read.is_err() {
        let message = format!("no certificate can be for `{name}`");
        faults.error(&endpoint.place, message);
    }
    read.ok()
}

fn trusted(endpoint: &Endpoint, faults: &mut Faults) -> Option<Vec<TrustAnchor<'static>>> {
    let Some(ca) = &endpoint.ca else {
        return Some(public_roots());
    };
    let roots = roots_of_pem(ca.pem.as_bytes());
    if let Err(why) = roots {
        let help = "it holds one or more blocks `-----BEGIN CERTIFICATE-----` of the CA";
        faults.error_with_help(&ca.place, format!("the file `{}` {why}", ca.origin), help);
    }
    roots.ok()
}

/// Whether the pins, if there are any, count at this moment.
fn pins_count(endpoint: &Endpoint, now: i64, faults: &mut Faults) -> Option<()> {
    let pins = endpoint.pins.as_ref();
    let Some(pins) = pins.filter(|pins| pins.value.is_expired(now)) else {
        return Some(());
    };
    let message = format!(
        "the pins of `{}` have expired, and count no more",
        endpoint.host
    );
    let help = "look at the chain (`outrider pin HOST`), then write pins and a later day";
    faults.error_with_help(&pins.place, message, help);
    None
}

fn config(
    min: TlsVersion,
    trust: &Arc<Trust>,
    clock: &Arc<dyn Clock>,
) -> Result<ClientConfig, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match min {
        TlsVersion::V1_3 => &[&version::TLS13],
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
    };
    let time = Arc::new(Time(Arc::clone(clock)));
    let verifier = Verifier::new(Judge::new(Arc::clone(trust)));
    let mut config = ClientConfig::builder_with_details(crypto::provider(), time)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// Our clock, as the library asks for the time.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
