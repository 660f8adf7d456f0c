//! What the rooms are told at load: limits, timeouts, addresses, keys. Plain data that `config` fills in; no defaults here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::caller::Permission;
use super::ip::CidrSet;
use super::node::Place;
use super::secret::Secret;
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
    /// Bytes of all request bodies that are held whole, over all workers.
    pub whole_body_bytes_max: ByteSize,
}

/// How long the door and the way to the service wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TLS handshake, from the connection made to the last byte of it.
    pub handshake: Duration,
    /// For a whole request head; also how long an idle connection is kept.
    pub head: Duration,
    /// Between two pieces of a request body.
    pub body_idle: Duration,
    /// For a connection to the upstream, from its name on.
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

/// How the listener speaks TLS. The files are read by `config`, once; what stands in them is judged where handshakes are
/// made ready.
#[derive(Debug)]
pub struct TlsSettings {
    /// The certificates, each with its key; the first is shown to clients that name no host.
    pub certificates: Vec<CertificateSettings>,
    /// Who issues client certificates; there if they are asked for.
    pub client_ca: Option<FileSetting>,
    /// Whether clients are asked for a certificate.
    pub client_certificate: ClientAuth,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// One certificate of the listener.
#[derive(Debug)]
pub struct CertificateSettings {
    /// The certificate, and behind it those that lead to the root.
    pub certificate: FileSetting,
    /// Its private key.
    pub key: FileSetting,
    /// The hosts it is shown for, in lower case; empty means those that it names itself.
    pub hosts: Vec<HostSetting>,
}

/// A host, or `*.` and a host, and where the configuration names it.
#[derive(Clone, Debug)]
pub struct HostSetting {
    /// The name, in lower case.
    pub name: String,
    /// Where the configuration names it.
    pub place: Place,
}

/// A file that the configuration names, and what stands in it.
pub struct FileSetting {
    /// As written, for faults and metrics.
    pub name: String,
    /// Where the configuration names it.
    pub place: Place,
    /// What stands in it, perhaps a key; or why it could not be read, a sentence.
    pub text: Result<Secret<Vec<u8>>, String>,
}

impl fmt::Debug for FileSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSetting")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not.
    None,
    /// They are, and one that they send must be good.
    Optional,
    /// Nobody comes in without a good one.
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with forward secrecy and AEAD only.
    V1_2,
    /// RFC 8446.
    V1_3,
}

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
    /// Bad tokens that one client address may have verified.
    pub failures: Allowance,
}

/// Which keys tokens are verified with.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    /// The keys, or where they are fetched.
    pub source: KeySource,
    /// The file's name, `inline`, or the URL without its query: for faults, logs and `/readyz`.
    pub origin: String,
    /// Where the configuration names it.
    pub place: Place,
}

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A text that `config` has read, once.
    Text {
        /// PEM, a JWK or a JWK Set.
        text: String,
        /// The `kid` of a PEM key. Without it a PEM key goes by its RFC 7638 thumbprint.
        kid: Option<String>,
    },
    /// A JWK Set behind a URL, fetched in the background.
    Remote(RemoteKeys),
}

impl KeySource {
    /// Whether the same keys come of both in the same way, wherever the configuration names them.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Text { text, kid },
                Self::Text {
                    text: than,
                    kid: by,
                },
            ) => (text, kid) == (than, by),
            (Self::Remote(one), Self::Remote(other)) => one.is_like(other),
            (Self::Text { .. }, Self::Remote(_)) | (Self::Remote(_), Self::Text { .. }) => false,
        }
    }
}

/// A JWK Set behind a URL, and how it is fetched.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    /// Where.
    pub url: KeysUrl,
    /// Whom to trust for it; without one the public certificate authorities.
    pub ca: Option<CaText>,
    /// How often it is fetched while all is well.
    pub refresh: Duration,
    /// How old the last good document may become before tokens are no longer judged by it.
    pub stale_max: Duration,
    /// For one fetch, from the name's resolution to the last byte.
    pub timeout: Duration,
    /// Bytes of a document.
    pub document_bytes_max: ByteSize,
}

impl RemoteKeys {
    /// Whether both are fetched from one place in one way.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let timing = |keys: &Self| (keys.refresh, keys.stale_max, keys.timeout);
        self.trusts_like(other)
            && timing(self) == timing(other)
            && self.document_bytes_max == other.document_bytes_max
    }

    /// Whether a document that came of the one would be believed of the other: same URL, same certificates.
    #[must_use]
    pub fn trusts_like(&self, other: &Self) -> bool {
        let pem = |ca: &CaText| ca.pem.clone();
        self.url == other.url && self.ca.as_ref().map(pem) == other.ca.as_ref().map(pem)
    }
}

/// An `https` URL, or an `http` one on loopback, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysUrl {
    /// Whether over TLS. Without it `host` is a loopback address.
    pub https: bool,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as written: the `Host` header.
    pub authority: String,
    /// Path and query. A query may hold something that is not for everybody.
    pub target: String,
}

impl KeysUrl {
    /// The URL without its query: for faults, logs and `/readyz`.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{scheme}://{}{path}", self.authority)
    }
}

/// The text of a file of certificates.
#[derive(Clone, Debug)]
pub struct CaText {
    /// PEM.
    pub pem: String,
    /// The file's name, for faults.
    pub origin: String,
    /// Where the configuration names it.
    pub place: Place,
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
    /// Refusals of strangers that are recorded one by one in a minute; more are counted.
    pub refusals_per_minute: u32,
}

/// A file that was read at load, or was looked for.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRead {
    /// Where it was looked for.
    pub path: PathBuf,
    /// The most bytes that were read of it.
    pub bytes_max: u64,
    /// SHA-256 of what was read; `None` if it could not be.
    pub digest: Option<[u8; 32]>,
    /// Whether it holds secrets. Then the digest only serves to see a change: whoever is told it could try out values.
    pub secret: bool,
}

impl fmt::Debug for FileRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.filter(|_| !self.secret);
        f.debug_struct("FileRead")
            .field("path", &self.path)
            .field("bytes_max", &self.bytes_max)
            .field("digest", &digest)
            .field("secret", &self.secret)
            .finish()
    }
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
