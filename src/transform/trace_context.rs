//! W3C Trace Context: passed on if it is well-formed, dropped whole if not, and with our own span in the client's place
//! where requests are traced. Never made up here.

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Drops `traceparent` unless there is exactly one that is well-formed, and `tracestate` with it.
pub(super) fn clean(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(TRACEPARENT).into_iter();
    let sound = match (lines.next(), lines.next()) {
        (Some(value), None) => is_well_formed(value),
        (None, _) | (Some(_), Some(_)) => false,
    };
    if !sound {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
}

/// Puts our span in the place of the client's; `tracestate`, which belongs to the whole trace, stays.
pub(super) fn set(headers: &mut HeaderMap, traceparent: Option<&HeaderValue>) {
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent.clone());
    }
}

/// `version-traceid-parentid-flags` in lower-case hex. Version 00 has exactly four parts; a later one may have more
/// behind them; ff is forbidden, and so are ids of zeroes (Trace Context section 3.2.2).
fn is_well_formed(value: &HeaderValue) -> bool {
    let mut parts = value.as_bytes().split(|byte| *byte == b'-');
    let version = parts
        .next()
        .filter(|part| is_hex(part, 2) && *part != b"ff");
    let trace = parts
        .next()
        .filter(|part| is_hex(part, 32) && !is_zero(part));
    let parent = parts
        .next()
        .filter(|part| is_hex(part, 16) && !is_zero(part));
    let flags = parts.next().filter(|part| is_hex(part, 2));
    let ends = version != Some(b"00") || parts.next().is_none();
    version.is_some() && trace.is_some() && parent.is_some() && flags.is_some() && ends
}

fn is_hex(part: &[u8], length: usize) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    part.len() == length && part.iter().all(digit)
}

fn is_zero(part: &[u8]) -> bool {
    part.iter().all(|byte| *byte == b'0')
}
