//! The demo's trading service: it believes whatever reaches it and says what it was told. Never used outside the demo.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::model::ip::LOOPBACK;
use crate::runtime::drain::Drain;

use super::listener;

/// Headers by which the sidecar tells who is calling.
const TOLD: &[&str] = &[
    "outrider-subject",
    "outrider-roles",
    "outrider-permissions",
    "outrider-client",
    "x-forwarded-for",
    "x-request-id",
];

/// Answers orders and positions on a free port of this machine, with what it was told of the caller.
pub(super) async fn start(drain: &Drain) -> io::Result<SocketAddr> {
    let orders = AtomicU64::new(0);
    let listener = TcpListener::bind((LOOPBACK, 0)).await?;
    let address = listener.local_addr()?;
    listener::serve(listener, None, drain, move |request| {
        answer(&request, &orders)
    });
    Ok(address)
}

fn answer(request: &Request<Incoming>, orders: &AtomicU64) -> Response<String> {
    let told: Value = TOLD
        .iter()
        .filter_map(|name| Some((*name, request.headers().get(*name)?.to_str().ok()?)))
        .collect();
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::POST, "/api/v1/orders") => {
            let number = orders.fetch_add(1, Ordering::Relaxed) + 1;
            (
                StatusCode::CREATED,
                json!({"order": number, "status": "NEW", "told": told}),
            )
        }
        (&Method::DELETE, "/api/v1/orders") => {
            (StatusCode::OK, json!({"status": "CANCELED", "told": told}))
        }
        (&Method::GET, "/api/v1/positions") => (
            StatusCode::OK,
            json!({"positions": [{"symbol": "BTCUSDT", "quantity": "0.015"}], "told": told}),
        ),
        (&Method::GET, "/health") => (StatusCode::OK, json!({"healthy": true})),
        _ => (StatusCode::NOT_FOUND, json!({"told": told})),
    };
    let mut response = Response::new(format!("{body}\n"));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static("stand-in/1.0"));
    response
}
