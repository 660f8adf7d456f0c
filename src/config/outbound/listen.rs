//! Where a way out listens: loopback or a socket in the file system. Never an address that the network reaches.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, decode_scalar, one_of};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::outbound::LocalListen;

/// Bytes of a socket's path (`sockaddr_un` has 108, with one for the end).
const PATH_BYTES_MAX: usize = 107;

/// The value of `listen`.
#[derive(Clone, Debug)]
pub(super) enum LocalAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl LocalAddress {
    pub(super) fn into_listen(self, mode: SocketMode) -> LocalListen {
        match self {
            Self::Tcp(address) => LocalListen::Tcp(address),
            Self::Unix(path) => LocalListen::Unix { path, mode: mode.0 },
        }
    }
}

impl Decode for LocalAddress {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "127.0.0.1:PORT or unix:/PATH", faults, parse)
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^((localhost|127[.][0-9.]+|\\[::1\\]):[0-9]{1,5}|unix:/.+)$",
            "examples": ["127.0.0.1:9101", "unix:/run/outrider/binance.sock"],
        })
    }
}

fn parse(text: &str) -> Result<LocalAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.starts_with('/') && (2..=PATH_BYTES_MAX).contains(&path.len()) {
            true => Ok(LocalAddress::Unix(PathBuf::from(path))),
            false => Err(format!(
                "`{text}` names no socket: write unix: and an absolute path of at most {PATH_BYTES_MAX} bytes"
            )),
        };
    }
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .ok()
            .filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        None => text.parse().ok(),
    };
    let Some(address) = address else {
        return Err(format!("`{text}` is neither 127.0.0.1:PORT nor unix:/PATH"));
    };
    // Whoever reaches this listener trades with the key behind it.
    match address.ip().is_loopback() {
        true => Ok(LocalAddress::Tcp(address)),
        false => Err(format!(
            "`{text}` can be reached from other machines; the way out listens on loopback only, like 127.0.0.1:{}",
            address.port()
        )),
    }
}

/// The permission bits of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketMode(u32);

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl Decode for SocketMode {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        one_of(
            node,
            faults,
            &[("0600", Self(0o600)), ("0660", Self(0o660))],
        )
    }

    fn schema() -> Json {
        json!({"enum": ["0600", "0660"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        for text in [
            "127.0.0.1:9101",
            "localhost:0",
            "[::1]:1",
            "127.0.0.2:80",
            "unix:/a",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0:9101",
            "10.0.0.1:9101",
            "[::]:9101",
            "192.168.1.1:80",
            "example.com:80",
            "localhost:+80",
            "127.0.0.1",
            "unix:a",
            "unix:/",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
