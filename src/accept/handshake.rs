//! The client's half of a WebSocket handshake (RFC 6455 section 4.2.1), judged. Never answers it.

use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::model::denial::{Cause, Denial};
use crate::model::facts::{Facts, Framing};
use crate::runtime::handshake::is_key;

/// Judges a request for a path where only WebSockets are spoken, and gives back its key. Extensions and subprotocols that
/// it offers are not taken up.
///
/// # Errors
/// [`Cause::LocalHandshake`] says what is missing.
pub fn judge(facts: &Facts, head: &Parts) -> Result<HeaderValue, Box<Denial>> {
    let headers = &head.headers;
    if facts.method != Method::GET || facts.framing != Framing::None {
        return refuse("not a GET without a body");
    }
    if head.version != Version::HTTP_11 {
        return refuse("not HTTP/1.1");
    }
    if !names(headers, &UPGRADE, "websocket") || !names(headers, &CONNECTION, "upgrade") {
        return refuse("no `Connection: Upgrade` with `Upgrade: websocket`");
    }
    if sole(headers, &SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return refuse("not version 13");
    }
    match sole(headers, &SEC_WEBSOCKET_KEY) {
        Some(key) if is_key(key.as_bytes()) => Ok(key.clone()),
        Some(_) | None => refuse("no Sec-WebSocket-Key of 16 bytes in base64"),
    }
}

fn refuse<T>(why: &'static str) -> Result<T, Box<Denial>> {
    Err(Denial::new(Cause::LocalHandshake, why))
}

/// Whether one of the lines lists the word.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    lines.next().filter(|_| lines.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::facts::{FactRules, facts};
    use crate::model::facts::Connection;
    use crate::model::settings::TrustedHops;

    fn judged(method: &str, change: (&'static str, &'static str)) -> Result<HeaderValue, String> {
        let mut request = http::Request::builder().method(method).uri("/ws");
        let usual = [
            ("host", "localhost"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-extensions", "permessage-deflate"),
        ];
        for (name, value) in usual {
            let value = if name == change.0 { change.1 } else { value };
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let rules = FactRules {
            trusted: TrustedHops::default(),
            target_bytes_max: 100,
            headers_max: 20,
        };
        let connection = Connection::clear("127.0.0.1:1".parse().unwrap());
        let facts = facts(&connection, &head, &rules).unwrap();
        judge(&facts, &head).map_err(|denial| denial.detail)
    }

    #[test]
    fn a_handshake_is_whole_or_refused() {
        assert!(judged("GET", ("", "")).is_ok());
        for change in [
            ("connection", ""),
            ("connection", "keep-alive"),
            ("upgrade", ""),
            ("upgrade", "h2c"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-version", ""),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "short"),
        ] {
            assert!(judged("GET", change).is_err(), "{change:?}");
        }
        assert!(judged("POST", ("", "")).is_err());
    }
}
