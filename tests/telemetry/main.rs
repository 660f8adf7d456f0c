//! What operators see: spans at a real OTLP receiver, metrics by the page that describes them, and the admin listener.
//! The real binary; nothing here reaches into the program.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test that cannot go on stops with a panic"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../tls/authority.rs"]
#[allow(dead_code, reason = "not every kind of certificate is needed here")]
mod authority;
#[path = "../tls/client.rs"]
#[allow(
    dead_code,
    reason = "not everything that a client can offer is needed here"
)]
mod client;

#[path = "../outbound/world.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "not every kind of exchange is needed here"
)]
mod outbound;

mod admin;
mod boards;
mod collector;
mod exchanges;
mod metrics;
mod tls;
mod traces;

use support::origin::Origin;
use support::sidecar::{Setup, Sidecar};

/// A route for everybody, one that only tells what it would refuse, and one for nobody.
pub const INBOUND: &str = "  tokens:
    issuer: https://issuer.test
    audience: order-gateway
    keys: { file: keys.json }
  roles: { trader: [orders:place] }
  deny_ips: [10.9.9.0/24]
  routes:
    - name: one-order
      match: { path: \"/orders/{id}\" }
      anonymous: true
      limits: [{ name: orders, per: client_ip, rate: 1000/s, burst: 1000 }]
    - name: trial
      match: { method: GET, path: /trial }
      anonymous: true
      limits: [{ name: trial, per: all, rate: 1/h, burst: 1, mode: shadow }]
    - name: place
      match: { method: POST, path: /place }
      require: { permissions: [orders:place] }
";

/// An origin and a sidecar in front of it, with keys, an admin listener and these variables.
pub fn world(environment: &[(&str, &str)]) -> (Sidecar, Origin) {
    let origin = Origin::start();
    let keys = support::tokens::Issuer::new(2048).jwks();
    let files = [("keys.json", keys.as_str())];
    // Nobody waits for clients that are not there; connections stay, however much time passes between two looks at them.
    let times = [
        ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "0s"),
        ("OUTRIDER_INBOUND__TIMEOUTS__HEAD", "1h"),
        ("OUTRIDER_INBOUND__TIMEOUTS__UPSTREAM_IDLE", "1h"),
    ];
    let environment = [environment, &times].concat();
    let setup = Setup {
        files: &files,
        top: "admin: { listen: \"127.0.0.1:0\" }",
        env: &environment,
        ..Setup::new(&origin.url, INBOUND)
    };
    (Sidecar::start(&setup), origin)
}

/// A request without a body; `headers` are whole lines.
pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}
