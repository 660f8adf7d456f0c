//! When two questions are the same. Never if either has a header that is not known to be harmless: what is new here may
//! be a credential.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT,
};
use http::{HeaderMap, HeaderName, Method};

/// A question: its method, host and target, and the headers that its answer may depend on. Compared byte by byte, so
/// that nobody can get another's answer by a hash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

/// Answers depend on these.
const KEYED: [HeaderName; 5] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    HeaderName::from_static("x-mbx-time-unit"),
];

/// No answer depends on these.
const IGNORED: [HeaderName; 6] = [
    CONNECTION,
    HOST,
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// Parameters that only a question with a credential has, in lower case.
const PRIVATE: [&[u8]; 4] = [b"signature", b"apikey", b"timestamp", b"listenkey"];

impl Key {
    /// The key of a request without a body to `host`, as it is sent; `None` if it must not share an answer: another
    /// method than GET, a parameter of a signed request or one whose name is written in percent form, or a header that
    /// is not known to be harmless.
    #[must_use]
    pub fn of(method: &Method, host: &str, target: &str, headers: &HeaderMap) -> Option<Self> {
        let is_known = |name: &HeaderName| KEYED.contains(name) || IGNORED.contains(name);
        if method != Method::GET || is_private(target) || !headers.keys().all(is_known) {
            return None;
        }
        let mut key = Vec::with_capacity(128);
        push(&mut key, host.as_bytes());
        push(&mut key, target.as_bytes());
        for (at, name) in KEYED.iter().enumerate() {
            for value in headers.get_all(name) {
                key.push(u8::try_from(at).ok()?);
                push(&mut key, value.as_bytes());
            }
        }
        Some(Self(key.into_boxed_slice()))
    }
}

/// Parts cannot run into each other: each is preceded by its length.
fn push(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&part.len().to_be_bytes());
    key.extend_from_slice(part);
}

fn is_private(target: &str) -> bool {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let is_named = |private: &[u8]| name.as_bytes().eq_ignore_ascii_case(private);
        name.contains('%') || PRIVATE.into_iter().any(is_named)
    })
}
