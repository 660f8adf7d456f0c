//! Keys that name sockets: `listen` and `forward_to`. Never resolves a name over the network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, decode_scalar};
use crate::model::fault::Faults;
use crate::model::node::Node;
use crate::model::settings::Upstream;

/// An address and port to listen on.
#[derive(Clone, Copy)]
pub(super) struct Listen(pub(super) SocketAddr);

impl Decode for Listen {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(
            node,
            "an address and port such as 127.0.0.1:8080",
            faults,
            |text| {
                socket(text).map(Self).ok_or_else(|| {
                format!(
                    "`{text}` is not an address and port (like 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080)"
                )
            })
            },
        )
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^(localhost|[0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$",
            "examples": ["127.0.0.1:8080", "[::]:8080"],
        })
    }
}

/// Where the service listens.
pub(super) struct ForwardTo(pub(super) Upstream);

impl Decode for ForwardTo {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let expected = "the service's address such as http://127.0.0.1:3000";
        decode_scalar(node, expected, faults, parse_upstream).map(Self)
    }

    fn schema() -> Json {
        json!({
            "type": "string",
            "pattern": "^(http://(localhost|[0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}/?|unix:/.+)$",
            "examples": ["http://127.0.0.1:3000", "unix:/run/service.sock"],
        })
    }
}

/// Whether binding both would fail: the same port, on the same address or on one that stands for it.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    // Port 0 asks the system for a free one.
    one.port() == other.port() && one.port() != 0 && same
}

/// Whether a connection to `target` would arrive at our own `listen`.
pub(super) fn arrives_at(target: SocketAddr, listen: SocketAddr) -> bool {
    let local = target.ip().is_loopback() || target.ip().is_unspecified();
    let same = target.ip() == listen.ip() || (listen.ip().is_unspecified() && local);
    target.port() == listen.port() && same
}

fn parse_upstream(text: &str) -> Result<Upstream, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.len() > 1 && path.starts_with('/') {
            Ok(Upstream::Unix(PathBuf::from(path)))
        } else {
            Err(format!(
                "`{text}` names no socket: write unix: and an absolute path"
            ))
        };
    }
    if text.starts_with("https://") {
        return Err(format!(
            "`{text}`: the service beside the sidecar is spoken to in clear; write http://"
        ));
    }
    let Some(rest) = text.strip_prefix("http://") else {
        return Err(format!(
            "`{text}` is neither http://ADDRESS:PORT nor unix:/PATH"
        ));
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(format!(
            "`{text}` holds more than an address and port; the client's path is sent as it came"
        ));
    }
    let address = socket(authority).filter(|address| address.port() != 0).ok_or_else(|| {
        format!("`{text}` needs an IP address or `localhost`, and a port (like http://127.0.0.1:3000)")
    })?;
    Ok(Upstream::Tcp {
        authority: authority.to_owned(),
        address,
    })
}

/// An address and port; `localhost` is 127.0.0.1, whatever the machine's files say.
fn socket(text: &str) -> Option<SocketAddr> {
    let Some(port) = text.strip_prefix("localhost:") else {
        return text.parse().ok();
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}
