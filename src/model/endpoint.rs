//! One TLS endpoint of an exchange: everything that makes a connection to it what it is. Plain data; never connects.

use super::decode::Placed;
use super::node::Place;
use super::pins::PinSet;
use super::settings::{CaText, TlsVersion};

/// Where an exchange listens, and whom to believe that it is the exchange. Two endpoints that differ in any of this share
/// no connection.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The outbound's name, for metrics and evidence.
    pub upstream: String,
    /// What is connected to: a name in lower case, or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that the handshake asks for (SNI) and the certificate must be for; mostly that of the host.
    pub server_name: String,
    /// Whom to trust; without it the public certificate authorities.
    pub ca: Option<CaText>,
    /// The keys of which one must stand in the chain.
    pub pins: Option<Placed<PinSet>>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Where the configuration names it.
    pub place: Place,
}

impl Endpoint {
    /// Whether a connection to the one is as good as one to the other, wherever the configuration names them.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (
            Self {
                upstream,
                host,
                port,
                server_name,
                ca,
                pins,
                min_version,
                place: _,
            },
            than,
        ) = (self, other);
        let ca = ca.as_ref().map(|ca| &ca.pem) == than.ca.as_ref().map(|ca| &ca.pem);
        let pins = pins.as_ref().map(|pins| &pins.value);
        ca && pins == than.pins.as_ref().map(|pins| &pins.value)
            && (upstream, host, port) == (&than.upstream, &than.host, &than.port)
            && (server_name, min_version) == (&than.server_name, &than.min_version)
    }

    /// Whether the public certificate authorities are trusted for it.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.ca.is_none()
    }
}
