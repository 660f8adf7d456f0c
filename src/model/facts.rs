//! What a request says of itself, judged once at the door. Everything later reads this and never the raw head.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::certificate::ClientCertificate;
use super::cors::PreflightAsk;
use super::path::JudgedPath;

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Whether it is TLS.
    pub secure: bool,
    /// The certificate that the client proved to hold, if it was asked for one.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Connection {
    /// A connection in clear text.
    #[must_use]
    pub const fn clear(peer: SocketAddr) -> Self {
        Self {
            peer,
            secure: false,
            certificate: None,
        }
    }
}

/// One request, judged. Cheap to clone: the texts are shared with the request head.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The method, as sent.
    pub method: Method,
    /// The host that the request is for.
    pub authority: Authority,
    /// Path and query.
    pub path: JudgedPath,
    /// Whether a body follows.
    pub framing: Framing,
    /// The `Content-Type`, if there is exactly one.
    pub content_type: Option<HeaderValue>,
    /// Whether the body is encoded (`Content-Encoding` other than `identity`), so that its bytes are not what is meant.
    pub encoded: bool,
    /// The origin of the page that sends it, if a browser does; one line and one value, or `null`.
    pub origin: Option<HeaderValue>,
    /// What a browser asks, if the request is a CORS preflight.
    pub preflight: Option<Box<PreflightAsk>>,
    /// What stands in `Authorization` and its forbidden places.
    pub credentials: Credentials,
    /// Who is at the other end of the connection.
    pub peer: SocketAddr,
    /// On whose behalf, as far as trusted hops say; canonical.
    pub client_ip: IpAddr,
    /// The certificate of the other end of the connection: a trusted hop's own, if the request came through one.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// `host` or `host:port`, valid by RFC 3986 and the same wherever the request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    text: HeaderValue,
    host_length: usize,
}

impl Authority {
    /// Judges the value of `Host` (or the authority of an absolute target).
    pub fn judge(text: &HeaderValue) -> Result<Self, &'static str> {
        let plain = text
            .to_str()
            .map_err(|_| "the host holds a character outside ASCII")?;
        let (host, port) = match plain.find(']') {
            Some(end) => plain.split_at(end + 1),
            None => plain.split_at(plain.find(':').unwrap_or(plain.len())),
        };
        let port_is_sound = match port.strip_prefix(':') {
            Some(digits) => {
                digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
            }
            None => port.is_empty(),
        };
        let named = is_host_name(host);
        let v6 = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let literal = v6.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        if host.is_empty() || !port_is_sound || !(named || literal) {
            return Err("the host is not a host with an optional port");
        }
        Ok(Self {
            text: text.clone(),
            host_length: host.len(),
        })
    }

    /// The whole, as sent.
    #[must_use]
    pub const fn as_header(&self) -> &HeaderValue {
        &self.text
    }

    /// The whole, as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    /// The host without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.as_str().get(..self.host_length).unwrap_or_default()
    }
}

/// Labels and single dots. A dot at the end is refused too: with it `admin.example.` would be another host than
/// `admin.example` here and the same one to a service.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    host.split('.').all(is_label)
}

/// How the length of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes; never zero.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// Where credentials stood. Only [`Credentials::Bearer`] is looked at further.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nowhere.
    None,
    /// One `Authorization: Bearer` with a token. The value is marked sensitive, so that it cannot be printed.
    Bearer(BearerToken),
    /// One `Authorization` with another scheme, or a `Bearer` that is not RFC 6750.
    Malformed(&'static str),
    /// More than one way at once (RFC 6750 section 2): refused whatever the tokens are.
    Several(&'static str),
}

/// The token of an `Authorization: Bearer` header.
#[derive(Clone)]
pub struct BearerToken(HeaderValue);

const SCHEME_LENGTH: usize = "Bearer ".len();

impl BearerToken {
    /// Judges an `Authorization` value: the scheme in any case, one space, and a `b64token`.
    pub fn judge(value: &HeaderValue) -> Result<Self, &'static str> {
        let bytes = value.as_bytes();
        let (scheme, token) = bytes
            .split_at_checked(SCHEME_LENGTH)
            .ok_or("no bearer token")?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err("not the bearer scheme");
        }
        if token.is_empty() || !is_b64token(token) {
            return Err("the bearer token holds a character that no token holds");
        }
        let mut kept = value.clone();
        kept.set_sensitive(true);
        Ok(Self(kept))
    }

    /// The token itself. The name is long so that each use is seen in review.
    #[must_use]
    pub fn expose_token(&self) -> &[u8] {
        self.0.as_bytes().get(SCHEME_LENGTH..).unwrap_or_default()
    }
}

/// RFC 6750 section 2.1. Never stops early, so that the compiler takes sixteen bytes at a time: every byte of every token
/// comes by here.
fn is_b64token(token: &[u8]) -> bool {
    let sound = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    token.iter().fold(true, |all, byte| all & sound(byte))
}

impl std::fmt::Debug for BearerToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("BearerToken(..)")
    }
}
