//! The demo's trading service: it believes whatever reaches it and says what it was told. Never used outside the demo.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::model::ip::LOOPBACK;
use crate::runtime::drain::Drain;

/// Headers by which the sidecar tells who is calling.
const TOLD: &[&str] = &[
    "outrider-subject",
    "outrider-roles",
    "outrider-permissions",
    "x-forwarded-for",
    "x-request-id",
];

/// Answers orders and positions, with what it was told of the caller.
pub(super) async fn start(drain: &Drain) -> io::Result<SocketAddr> {
    let orders = AtomicU64::new(0);
    listen(drain, move |request| answer(&request, &orders)).await
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

/// Serves on a free port of this machine.
pub(super) async fn listen(
    drain: &Drain,
    answer: impl Fn(Request<Incoming>) -> Response<String> + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((LOOPBACK, 0)).await?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    let connections = drain.clone();
    drain.spawn(async move {
        // A stand-in that cannot accept any more ends; the demo shows what a sidecar makes of that.
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let response = answer(request).map(|text| Full::new(Bytes::from(text)));
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // A client that hangs up is not the stand-in's concern.
                let _ended = connection.await;
            });
        }
    });
    Ok(address)
}
