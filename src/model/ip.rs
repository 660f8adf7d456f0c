//! Addresses and sets of networks: canonical forms, and a lookup in a sorted table of merged ranges.
//! Never reinterprets a spelling: what is not a plain address or network is an error.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::decode::{Decode, decode_scalar};
use super::fault::Faults;
use super::node::Node;

#[cfg(test)]
mod tests;

/// The address as rules see it: an IPv4-mapped IPv6 address is that IPv4 address. NAT64 and IPv4-compatible
/// forms stay what they are.
#[must_use]
pub const fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The address that limits and failure budgets count: IPv4 whole, IPv6 its /64, because one customer holds all of it.
#[must_use]
pub const fn counted(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u64::MAX as u128))),
    }
}

/// An address as text. Made by hand where it is IPv4: each request writes several, and `Display` pads every octet.
#[derive(Clone, Copy, Debug)]
pub struct IpText {
    bytes: [u8; IP_TEXT_MAX],
    length: usize,
}

/// The longest form of an IPv6 address.
const IP_TEXT_MAX: usize = 45;

impl IpText {
    /// The text as `Display` writes it.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; IP_TEXT_MAX],
            length: 0,
        };
        match address {
            IpAddr::V4(v4) => {
                let [first, rest @ ..] = v4.octets();
                text.push_octet(first);
                for octet in rest {
                    text.push(b'.');
                    text.push_octet(octet);
                }
            }
            // There is room for every address.
            IpAddr::V6(v6) => write!(text, "{v6}").unwrap_or_default(),
        }
        text
    }

    /// ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push_octet(&mut self, octet: u8) {
        if octet >= 100 {
            self.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            self.push(b'0' + octet / 10 % 10);
        }
        self.push(b'0' + octet % 10);
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }
}

impl fmt::Write for IpText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// One network, written as `10.0.0.0/8`, `fd00::/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Reads the text strictly: no host bits, no IPv4-mapped network, no zone, no odd number forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        // `/08` is octal to some.
        let plain_prefix = !text.contains("/0") || text.ends_with("/0");
        let net = match text.parse::<IpNet>() {
            Ok(net) if plain_prefix => net,
            Ok(_) | Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
                format!("`{text}` is not an address or network (like 10.0.0.0/8 or fd00::/8)")
            })?,
        };
        if let IpAddr::V6(v6) = net.addr()
            && v6.to_ipv4_mapped().is_some()
        {
            return Err(format!(
                "`{text}` is an IPv4-mapped network; write it as IPv4"
            ));
        }
        if net.addr() != net.network() {
            return Err(format!(
                "`{text}` has bits behind its prefix; `{}` was probably meant",
                net.trunc()
            ));
        }
        Ok(Self(net))
    }
}

impl Decode for Cidr {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "an address or network", faults, Self::parse)
    }

    fn schema() -> Json {
        json!({"type": "string", "examples": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]})
    }
}

/// Many networks, merged into sorted ranges: a lookup is a binary search and allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl CidrSet {
    /// Merges the networks.
    pub fn new(networks: impl IntoIterator<Item = Cidr>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Cidr(net) in networks {
            match net {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self {
            v4: merge(v4),
            v6: merge(v6),
        }
    }

    /// Whether the address lies in one of the networks. Mapped forms are judged as the IPv4 address they carry.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match canonical(address) {
            IpAddr::V4(v4) => within(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => within(&self.v6, v6.to_bits()),
        }
    }

    /// Whether there is no network at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn merge<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
            Some(_) | None => merged.push((first, last)),
        }
    }
    merged.into_boxed_slice()
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    behind
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|(_, last)| address <= *last)
}

/// One entry of `X-Forwarded-For`: an address, with a port or brackets if need be. Anything else is `None`.
#[must_use]
pub fn forwarded_entry(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    if text.contains('%') {
        return None; // a zone, which means something on one machine only
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(inner) = bare {
        return inner
            .parse::<Ipv6Addr>()
            .ok()
            .map(|v6| canonical(IpAddr::V6(v6)));
    }
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(canonical)
}

/// The loopback address, for listeners and stand-ins.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
