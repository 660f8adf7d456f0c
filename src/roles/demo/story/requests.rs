//! The requests of the story.

use std::io;

use http::{Request, request};

use crate::model::secret::Secret;

use super::super::ORDER;

/// The head of a request, with a token or without.
pub(super) fn head(method: &str, path: &str, token: Option<&Secret<String>>) -> request::Builder {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "orders.demo");
    match token {
        Some(token) => builder.header("authorization", format!("Bearer {}", token.expose_secret())),
        None => builder,
    }
}

/// A `GET`.
pub(super) fn get(path: &str, token: Option<&Secret<String>>) -> io::Result<Request<String>> {
    finish(head("GET", path, token), "")
}

/// The usual order.
pub(super) fn order(token: Option<&Secret<String>>) -> io::Result<Request<String>> {
    order_of(token, ORDER)
}

/// An order with this body.
pub(super) fn order_of(token: Option<&Secret<String>>, body: &str) -> io::Result<Request<String>> {
    let head = head("POST", "/api/v1/orders", token).header("content-type", "application/json");
    finish(head, body)
}

/// Cancels every order.
pub(super) fn cancel_all(token: Option<&Secret<String>>) -> io::Result<Request<String>> {
    finish(head("DELETE", "/api/v1/orders", token), "")
}

/// The request with its body.
pub(super) fn finish(head: request::Builder, body: &str) -> io::Result<Request<String>> {
    head.body(body.to_owned()).map_err(io::Error::other)
}
