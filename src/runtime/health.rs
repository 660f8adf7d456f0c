//! The health listener: liveness, readiness and metrics for the platform. Read-only, bounded, and without secrets;
//! never serves a request for the service.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::readiness::Readiness;

/// Connections at once. Probes and a scraper need a handful; who comes when all are taken takes the place of another.
const CONNECTIONS_MAX: usize = 64;
/// For a whole request head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// For a whole connection.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(120);
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// After the system refused a socket (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the listener shows.
#[derive(Clone)]
pub struct Shown {
    /// For `/readyz` and `/startupz`.
    pub readiness: Readiness,
    /// Gives the text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Serves until `stop` is done; open connections end with it.
pub async fn serve(listener: TcpListener, shown: Shown, stop: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut open: Vec<Open> = Vec::with_capacity(CONNECTIONS_MAX);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {
                open.retain(|one| !one.task.is_finished());
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    make_room(&mut open);
                    let asked = Arc::new(AtomicBool::new(false));
                    let served = connection(stream, shown.clone(), Arc::clone(&asked));
                    let task = connections.spawn(served);
                    open.push(Open { task, asked });
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
}

/// A connection that is being served.
struct Open {
    task: AbortHandle,
    /// Whether a whole head has come on it.
    asked: Arc<AtomicBool>,
}

/// When every place is taken, ends the oldest connection that has asked nothing, or else the oldest: half a head must
/// not keep a probe out.
fn make_room(open: &mut Vec<Open>) {
    if open.len() < CONNECTIONS_MAX {
        return;
    }
    let silent = |one: &Open| !one.asked.load(Ordering::Relaxed);
    let oldest = open.iter().position(silent).unwrap_or_default();
    open.remove(oldest).task.abort();
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "the health listener cannot accept");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(stream: TcpStream, shown: Shown, asked: Arc<AtomicBool>) {
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let answer = answer(&request, &shown);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a probe ends its connection is of no interest.
    drop(tokio::time::timeout(CONNECTION_AGE_MAX, served).await);
}

fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<Full<Bytes>> {
    let verbose = request.uri().query().is_some_and(asks_verbose);
    let path = request.uri().path();
    if !matches!(
        path,
        "/livez" | "/healthz" | "/readyz" | "/startupz" | "/metrics"
    ) {
        return text(StatusCode::NOT_FOUND, "there is nothing here\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    match path {
        "/readyz" => readiness(&shown.readiness, verbose),
        "/startupz" => verdict(shown.readiness.has_started(), "starting"),
        "/metrics" => text(StatusCode::OK, (shown.metrics)()),
        _ => verdict(true, ""),
    }
}

fn asks_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|part| part == "verbose" || part.starts_with("verbose="))
}

fn readiness(readiness: &Readiness, verbose: bool) -> Response<Full<Bytes>> {
    let report = readiness.report();
    if !verbose {
        return verdict(report.ready, "not ready");
    }
    let (status, last) = if report.ready {
        (StatusCode::OK, "readyz check passed\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "readyz check failed\n")
    };
    text(status, report.lines + last)
}

fn verdict(good: bool, otherwise: &str) -> Response<Full<Bytes>> {
    if good {
        text(StatusCode::OK, "ok\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, format!("{otherwise}\n"))
    }
}

/// The content type of the Prometheus text format; plain text to everybody else.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
