//! What no request to an exchange may carry: traces of the way it came, and credentials of somebody else. Watches;
//! refuses nothing.

use http::header::{CONNECTION, HOST, UPGRADE};
use http::{HeaderMap, HeaderName};

use super::state::State;

/// Headers between two neighbours (RFC 9110 section 7.6.1), and those that tell of proxies and callers.
const NEVER: &[&str] = &[
    "authorization",
    "cookie",
    "forwarded",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "via",
    "x-real-ip",
];

/// Beginnings of such headers.
const NEVER_BEGIN: &[&str] = &["outrider-", "x-outrider-", "x-forwarded-"];

/// The header with an API key.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");

/// Notes each header that should not have come.
pub(super) fn watch(state: &State, route: &str, headers: &HeaderMap) {
    for name in headers.keys() {
        let text = name.as_str();
        let told = NEVER.contains(&text) || NEVER_BEGIN.iter().any(|begin| text.starts_with(begin));
        let hop = *name == CONNECTION || *name == UPGRADE;
        if told || (hop && !is_plain_hop(headers)) {
            state
                .evidence
                .violation(format!("the header `{text}` came with `{route}`"));
        }
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if !host.is_some_and(|host| state.options.names.iter().any(|name| name == host)) {
        state
            .evidence
            .violation(format!("a foreign Host came with `{route}`"));
    }
}

/// Notes a key where none belongs.
pub(super) fn watch_key(state: &State, route: &str, headers: &HeaderMap) {
    if headers.contains_key(KEY) {
        state
            .evidence
            .violation(format!("a key came with `{route}`, which needs none"));
    }
}

/// Notes a signature or a time where none belongs.
pub(super) fn watch_signature(state: &State, route: &str, is_signed: bool) {
    if is_signed {
        let text = format!("a signature or timestamp came with `{route}`, which needs none");
        state.evidence.violation(text);
    }
}

/// Whether `Connection` only asks for a WebSocket or an end.
fn is_plain_hop(headers: &HeaderMap) -> bool {
    let connection = headers.get(CONNECTION).map(|value| value.as_bytes());
    match connection {
        Some(value) if value.eq_ignore_ascii_case(b"close") => true,
        Some(value) => value.eq_ignore_ascii_case(b"upgrade") && headers.contains_key(UPGRADE),
        None => false,
    }
}
