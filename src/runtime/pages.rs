//! A small HTTP listener for people and probes: few connections, small heads, no bodies, an end to everything. Knows
//! nothing of what it serves.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Connections at once. Probes, a scraper and an operator need a handful; who comes when all are taken takes the place
/// of another.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// For a whole request head, also from a machine that does much else; and how long an idle connection is kept. Whoever holds
/// a place without asking loses it to the next before.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole connection.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(120);
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// After the system refused a socket (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An answer that is at hand.
pub(super) type Page = Response<Full<Bytes>>;

/// Answers at once.
pub(super) type Answer = Arc<dyn Fn(&Request<Incoming>, SocketAddr) -> Page + Send + Sync>;

/// Serves until `stop` is done; open connections end with it. `name` is the listener's, for the log.
pub(super) async fn serve(
    name: &'static str,
    listener: TcpListener,
    answer: Answer,
    stop: impl Future<Output = ()>,
) {
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
                Ok((stream, peer)) => {
                    make_room(&mut open);
                    let asked = Arc::new(AtomicBool::new(false));
                    let served = connection(stream, peer, Arc::clone(&answer), Arc::clone(&asked));
                    let task = connections.spawn(served);
                    open.push(Open { task, asked });
                }
                Err(error) => pause_after(name, &error).await,
            },
        }
    }
}

/// A text that nobody may store or take for something else.
pub(super) fn page(status: StatusCode, kind: HeaderValue, body: String) -> Page {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
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

async fn pause_after(name: &'static str, error: &io::Error) {
    tracing::warn!(%error, listener = name, "a listener cannot accept");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, answer: Answer, asked: Arc<AtomicBool>) {
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let answer = answer(&request, peer);
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
