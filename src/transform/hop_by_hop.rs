//! Fields that are meant for one hop only (RFC 9110 section 7.6.1), taken off in both directions.
//! Always runs before any field of ours is set, so that nobody can have ours removed.

use http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

/// What never passes, nominated or not.
static FIXED: [HeaderName; 11] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    // Never a standard, still sent by old clients.
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    TE,
    // Trailers are dropped on the way, so none may be announced.
    TRAILER,
    // Framing is made anew for each hop.
    TRANSFER_ENCODING,
    UPGRADE,
    // Part of the `h2c` upgrade (RFC 7540 section 3.2.1).
    HeaderName::from_static("http2-settings"),
];

/// Takes off every field that any `Connection` line nominates, then the fixed set.
pub(super) fn strip(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    for name in &FIXED {
        headers.remove(name);
    }
}

/// The names on all `Connection` lines. Options such as `close` name no field, and removing nothing does no harm.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !is_common_option(option))
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .collect()
}

/// The options that nearly every `Connection` line holds; skipping them saves an allocation.
fn is_common_option(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
}
