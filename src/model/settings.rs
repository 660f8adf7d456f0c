//! What the rooms are told at load: limits, timeouts, addresses, keys. Plain data that `config` fills in; no defaults here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::caller::Permission;
use super::ip::CidrSet;
use super::node::Place;
use super::units::{ByteSize, Rate};

/// What the door takes in. Every limit that a stranger could otherwise grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections at once, over all workers.
    pub connections_max: u32,
    /// Connections at once from one peer address (/64 for IPv6).
    pub connections_per_ip_max: u32,
    /// Bytes of a request head, start line included.
    pub head_bytes_max: ByteSize,
    /// Lines of a request head.
    pub headers_max: u32,
    /// Bytes of a request target.
    pub target_bytes_max: ByteSize,
    /// Bytes of a request body.
    pub body_bytes_max: ByteSize,
}

/// How long the door and the way to the service wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole request head; also how long an idle connection is kept.
    pub head: Duration,
    /// Between two pieces of a request body.
    pub body_idle: Duration,
    /// For a connection to the service.
    pub connect: Duration,
    /// From the request sent to the head of the answer.
    pub response_head: Duration,
    /// Between two pieces of an answer's body.
    pub response_idle: Duration,
    /// For a whole request, from its head to the end of the answer.
    pub total: Duration,
    /// How long an idle connection to the service is kept; shorter than the service keeps it.
    pub upstream_idle: Duration,
    /// How long the way out takes after a stop was asked for: the pause, and then the requests in flight.
    pub drain: Duration,
    /// How long connections are still taken in after a stop was asked for; part of `drain`.
    pub drain_pause: Duration,
}

/// Who may speak for others in `X-Forwarded-For`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedHops {
    /// Networks of proxies in front of this one.
    pub cidrs: CidrSet,
}

/// Where the service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// `http://host:port`, resolved to loopback or any address at load.
    Tcp {
        /// `host:port` as written, for logs.
        authority: String,
        /// The address.
        address: SocketAddr,
    },
    /// `unix:/path/to.sock`.
    Unix(PathBuf),
}

/// What each role may.
pub type RoleMap = BTreeMap<String, Vec<Permission>>;

/// How tokens are verified.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The one `iss` that is accepted.
    pub issuer: String,
    /// The `aud` that must be there.
    pub audience: String,
    /// The keys.
    pub keys: KeyMaterial,
    /// Tolerance for `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// The longest `exp - iat` that is accepted.
    pub lifetime_max: Duration,
    /// Bytes of a token; longer ones are refused unread.
    pub token_bytes_max: ByteSize,
    /// Verified tokens remembered.
    pub cache_entries_max: u32,
    /// Bad tokens that one client address may send.
    pub failures: Allowance,
}

/// Where keys come from. The text is read by `config`, once.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    /// PEM, a JWK or a JWK Set.
    pub text: String,
    /// The file's name or `inline`: for faults and `/readyz`.
    pub origin: String,
    /// Where the configuration names it.
    pub place: Place,
    /// The `kid` of a PEM key. Without it a PEM key goes by its RFC 7638 thumbprint.
    pub kid: Option<String>,
}

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Over time.
    pub rate: Rate,
    /// At once.
    pub burst: u32,
}

/// Where evidence is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The folder of the segments.
    pub folder: PathBuf,
    /// Bytes of one segment file.
    pub segment_bytes_max: ByteSize,
    /// Bytes of all segments together; the oldest go first.
    pub spool_bytes_max: ByteSize,
    /// Bytes of events not yet written; beyond that requests are refused.
    pub buffer_bytes_max: ByteSize,
}

/// A file that was read at load, or was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRead {
    /// Where it was looked for.
    pub path: PathBuf,
    /// The most bytes that were read of it.
    pub bytes_max: u64,
    /// SHA-256 of what was read; `None` if it could not be.
    pub digest: Option<[u8; 32]>,
}

/// Which security headers every answer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPreset {
    /// For programs: nothing may be embedded, cached or sniffed.
    Api,
    /// For browsers' pages: as strict as a page allows.
    Web,
    /// None of ours.
    None,
}

/// Which rate-limit fields answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitHeaders {
    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    Draft,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    Legacy,
    /// Both.
    Both,
    /// Only `Retry-After`.
    None,
}
