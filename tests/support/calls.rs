//! Requests on the way out, in raw bytes, each on a connection of its own. Holds no expectation.

use std::net::SocketAddr;

use serde_json::Value;

use super::sidecar::Sidecar;
use super::wire::{Response, Wire};

/// An order that rests in the book, without a name.
pub const ORDER: &str =
    "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000";

/// The listener of the way out.
pub fn out(sidecar: &Sidecar) -> SocketAddr {
    sidecar.listener("outbound/binance")
}

/// A request; `headers` are whole lines.
pub fn ask(at: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let request = text(at, method, target, headers, body);
    Wire::connect(at).ask(request).unwrap()
}

/// The bytes of a request after which the connection ends.
pub fn text(at: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = match body {
        "" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    format!(
        "{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
}

/// `GET` without more.
pub fn get(at: SocketAddr, target: &str) -> Response {
    ask(at, "GET", target, "", "")
}

/// An order that rests in the book.
pub fn place(at: SocketAddr) -> Response {
    ask(at, "POST", ORDER, "", "")
}

/// What an answer says; nothing if that is no JSON.
pub fn told(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}
