//! Fields that are meant for one hop only (RFC 9110 section 7.6.1), taken off in both directions, and with them whatever
//! else must not pass. Always runs before any field of ours is set, so that nobody can have ours removed.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

/// What never passes, nominated or not.
fn is_of_one_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            // Never a standard, still sent by old clients.
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            // Trailers are dropped on the way, so none may be announced.
            | "trailer"
            // Framing is made anew for each hop.
            | "transfer-encoding"
            | "upgrade"
            // Part of the `h2c` upgrade (RFC 7540 section 3.2.1).
            | "http2-settings"
    )
}

/// Takes off every field that any `Connection` line nominates, those of one hop, and those that `goes` names.
///
/// Each field that is there is asked about once: a head holds far fewer than there are names that must not pass, and most
/// hold nothing that goes but `Connection`.
pub(super) fn strip(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    take_off(headers, |name| is_of_one_hop(name) || goes(name));
}

/// Takes off the fields that `goes` names.
pub(super) fn take_off(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let going = headers.keys().filter(|name| goes(name.as_str()));
    let going: Vec<HeaderName> = going.cloned().collect();
    for name in going {
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
