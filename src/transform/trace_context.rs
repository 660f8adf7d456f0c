//! W3C Trace Context: passed on if it is well-formed, dropped whole if not, and with our own span in the client's place
//! where requests are traced. Never made up here.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::traceparent::{TRACEPARENT, Traceparent};

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Drops `traceparent` unless there is exactly one that is valid, and `tracestate` with it.
pub(super) fn clean(headers: &mut HeaderMap) {
    if Traceparent::sole(headers).is_none() {
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
