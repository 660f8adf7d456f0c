//! The checks of a signed request, in the order in which the exchange makes them: time, parameters, signature. Decides
//! only from what came over the wire and what the exchange keeps; nothing of Outrider signs or checks here.

use std::sync::Arc;

use super::evidence::count;
use super::keys::{ApiKey, well_formed};
use super::params::{Params, Raw};
use super::refusal::Refusal;
use super::routes::Security;
use super::state::State;

/// How long a request may be under way if it does not say, in microseconds.
const RECV_WINDOW_US: i64 = 5_000_000;

/// The longest `recvWindow`, in microseconds.
const RECV_WINDOW_US_MAX: i64 = 60_000_000;

/// How far ahead of the server a timestamp may be, in microseconds.
const AHEAD_US_MAX: i64 = 1_000_000;

/// From so many digits on, a timestamp is in microseconds.
const MICROSECOND_DIGITS: usize = 16;

/// The key of a request.
///
/// # Errors
///
/// -2014 for what cannot be a key, -2015 for one that is unknown or may not do this.
pub(super) fn key(
    state: &State,
    id: Option<&str>,
    security: Security,
) -> Result<Arc<ApiKey>, Refusal> {
    let id = id
        .filter(|id| well_formed(id))
        .ok_or_else(Refusal::key_format)?;
    let known = state.key(id).ok_or_else(Refusal::key)?;
    if security == Security::Trade && !known.may_trade {
        return Err(Refusal::key());
    }
    Ok(known)
}

/// Whether the timestamp of a request is near enough to the server's time.
///
/// # Errors
///
/// -1102 if it is missing or malformed, -1131 for a `recvWindow` that is too long, -1021 if it is too far away.
pub(super) fn time(params: &Params, now_us: i64) -> Result<(), Refusal> {
    let text = params.required("timestamp")?;
    let number: i64 = text
        .parse()
        .ok()
        .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| Refusal::missing("timestamp"))?;
    let us = if text.len() >= MICROSECOND_DIGITS {
        number
    } else {
        number.saturating_mul(1000)
    };
    let window = match params.get("recvWindow") {
        None => RECV_WINDOW_US,
        Some(text) => window(text).ok_or_else(|| Refusal::missing("recvWindow"))?,
    };
    if window > RECV_WINDOW_US_MAX {
        return Err(Refusal::bad(
            -1131,
            "recvWindow must be less than or equal to 60000.",
        ));
    }
    if us >= now_us.saturating_add(AHEAD_US_MAX) {
        let msg = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err(Refusal::bad(-1021, msg));
    }
    if now_us.saturating_sub(us) > window {
        let msg = "Timestamp for this request is outside of the recvWindow.";
        return Err(Refusal::bad(-1021, msg));
    }
    Ok(())
}

/// A `recvWindow` in microseconds: milliseconds with at most three decimals.
fn window(text: &str) -> Option<i64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > 3 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let places: i64 = format!("{places:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(places)
}

/// Whether the parameters of a request over REST stand once each, are plain ASCII and are signed by the key. Gives the
/// signature.
///
/// # Errors
///
/// -1101 for a name twice, -1102 without a signature, -1022 for one that is wrong or not at the end.
pub(super) fn signature(key: &ApiKey, raw: Raw<'_>) -> Result<String, Refusal> {
    raw.names_once()?;
    if !raw.is_ascii() {
        return Err(Refusal::signature());
    }
    let signed = raw.signed();
    let signature = signed.signature.filter(|signature| !signature.is_empty());
    let signature = signature.ok_or_else(|| Refusal::missing("signature"))?;
    if !signed.last || !key.verifies(&signed.payload, &signature) {
        return Err(Refusal::signature());
    }
    Ok(signature)
}

/// Remembers a signed request. One that changes something and comes twice was sent twice.
pub(super) fn remember(state: &State, key: &ApiKey, signature: &str, route: &str, changes: bool) {
    if !state.evidence.is_repeated(&key.id, signature, route) {
        return;
    }
    if changes {
        let text = format!("the signed request `{route}` came twice");
        state.evidence.violation(text);
    } else {
        count(&state.evidence.counts.repeated_reads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn code(timestamp: &str, window: Option<&str>) -> i32 {
        let mut pairs = vec![("timestamp".to_owned(), timestamp.to_owned())];
        pairs.extend(window.map(|text| ("recvWindow".to_owned(), text.to_owned())));
        time(&Params::new(pairs), NOW_US).map_or_else(|refusal| refusal.code, |()| 0)
    }

    #[test]
    fn timestamps_are_judged_as_documented() {
        let table = [
            ("1700000000000", None, 0),
            ("1700000000999", None, 0),
            ("1700000001000", None, -1021),
            ("1699999995000", None, 0),
            ("1699999994999", None, -1021),
            ("1700000000000000", None, 0),
            ("1699999994999999", None, -1021),
            ("1699999940000", Some("60000"), 0),
            ("1700000000000", Some("60000.001"), -1131),
            ("1699999999999", Some("0.999"), -1021),
            ("1700000000000", Some("6000.346"), 0),
            ("1700000000000", Some("6000.3467"), -1102),
            ("1700000000000", Some("-1"), -1102),
            ("1700000000000", Some(""), -1102),
            ("", None, -1102),
            ("-1", None, -1102),
            ("+1700000000000", None, -1102),
            ("1700000000000.0", None, -1102),
            ("99999999999999999999", None, -1102),
        ];
        for (timestamp, window, expected) in table {
            assert_eq!(code(timestamp, window), expected, "{timestamp} {window:?}");
        }
        assert_eq!(time(&Params::default(), NOW_US).unwrap_err().code, -1102);
    }
}
