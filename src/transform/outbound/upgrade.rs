//! The two heads of a WebSocket handshake: the request as the exchange gets it, and the answer as the client does. Never
//! offers or takes an extension or a subprotocol, never passes a key on.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;

use super::super::hop_by_hop;
use super::super::request::Outbound;
use super::{Target, strip};
use crate::decide::outbound::OutboundPermit;

/// The request that opens a WebSocket at the exchange; `key` is our own `Sec-WebSocket-Key`, and `to` what was judged.
#[must_use]
pub fn upgrade(
    _permit: &OutboundPermit,
    head: Parts,
    to: PathAndQuery,
    target: &Target,
    key: HeaderValue,
) -> Outbound<Full<Bytes>> {
    let mut headers = head.headers;
    strip(&mut headers);
    strip_handshake(&mut headers);
    headers.insert(HOST, target.host.clone());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from(to);
    *request.headers_mut() = headers;
    Outbound::of(request)
}

/// What the client offered is between it and this program.
fn strip_handshake(headers: &mut HeaderMap) {
    hop_by_hop::take_off(headers, |name| name.starts_with("sec-websocket-"));
    // There is no body, neither way.
    for name in [CONTENT_TYPE, ACCEPT_ENCODING] {
        headers.remove(name);
    }
}

/// The answer that makes the client's connection a WebSocket; `accept` answers its key.
#[must_use]
pub fn switched(accept: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
