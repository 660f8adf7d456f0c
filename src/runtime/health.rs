//! The health listener: liveness, readiness and metrics for the platform. Read-only, bounded, and without secrets;
//! never serves a request for the service.

use std::sync::Arc;

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use tokio::net::TcpListener;

use super::pages::{self, Page};
use super::readiness::Readiness;

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
    let answer = move |request: &Request<_>, _peer| answer(request, &shown);
    pages::serve("health", listener, Arc::new(answer), stop).await;
}

fn answer<B>(request: &Request<B>, shown: &Shown) -> Page {
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

fn readiness(readiness: &Readiness, verbose: bool) -> Page {
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

fn verdict(good: bool, otherwise: &str) -> Page {
    if good {
        text(StatusCode::OK, "ok\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, format!("{otherwise}\n"))
    }
}

/// The content type of the Prometheus text format; plain text to everybody else.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

fn text(status: StatusCode, body: String) -> Page {
    pages::page(status, TEXT, body)
}

#[cfg(test)]
mod tests;
