//! HTTP/1.1 on one connection: hyper with every knob set, its raw heads watched, and what it refuses by itself told.
//! Never decides about a request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::raw_head::{HeadFault, Watch, Watched};
use crate::model::denial::Cause;
use crate::model::facts::Connection;
use crate::model::settings::{AcceptLimits, Timeouts};
use crate::runtime::drain::Drain;

#[cfg(test)]
mod tests;

/// Lines of a head that hyper takes without an allocation a request. Lower limits are kept by [`super::facts`].
const HYPER_HEADERS: usize = 100;

/// Bytes that hyper buffers of a connection, if heads need no more.
const BUFFER_BYTES: usize = 64 * 1024;

/// A request as it came in.
#[derive(Debug)]
pub struct Arrival {
    /// The head as hyper read it, and the body to come.
    pub request: Request<Incoming>,
    /// The connection it came on.
    pub connection: Connection,
    /// What hyper hid of the head. Such a request is answered with [`HeadFault::denial`] and nothing else.
    pub fault: Option<HeadFault>,
}

/// A head that never became a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRefusal {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Why; its status is what the peer was answered, if it was answered.
    pub cause: Cause,
    /// What exactly, for the operator.
    pub detail: String,
}

/// Whoever answers the requests of a listener.
pub trait Handler: Send + Sync + 'static {
    /// The body of answers.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request. Dropped without an answer when the peer hangs up.
    fn handle(&self, arrival: Arrival) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Counts and records a head that never became a request.
    fn refused_head(&self, refusal: HeadRefusal);
}

/// The HTTP settings of a listener, ready for each connection.
#[derive(Clone, Debug)]
pub struct Http {
    builder: http1::Builder,
}

impl Http {
    /// Every knob of hyper, so that no default of a later version changes what is accepted.
    #[must_use]
    pub fn new(limits: &AcceptLimits, timeouts: &Timeouts) -> Self {
        let head_bytes_max = limits.head_bytes_max.as_usize();
        let headers_max = usize::try_from(limits.headers_max).unwrap_or(usize::MAX);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(timeouts.head)
            .max_header_size(head_bytes_max)
            .max_buf_size(head_bytes_max.max(BUFFER_BYTES))
            .keep_alive(true)
            .half_close(false)
            .pipeline_flush(false)
            .title_case_headers(false)
            .preserve_header_case(false)
            .ignore_invalid_headers(false)
            .allow_multiple_spaces_in_request_line_delimiters(false)
            .auto_date_header(true);
        if headers_max > HYPER_HEADERS {
            builder.max_headers(headers_max);
        }
        Self { builder }
    }

    /// Serves one connection to its end. When the drain begins, the request in flight is the last one.
    pub async fn serve<S, H>(&self, stream: S, known: Connection, handler: &H, drain: &Drain)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Handler,
    {
        let stream = Watched::new(stream);
        let watch = stream.watch();
        let served = Served::default();
        let service = service_fn(|request| {
            let arrival = Arrival {
                request,
                connection: known.clone(),
                fault: watch.fault_of(served.next()),
            };
            async { Ok::<_, Infallible>(handler.handle(arrival).await) }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        // Only a way out ever answers 101: on the way in nobody is asked for another protocol, and a 101 is no answer.
        let mut connection = pin!(connection.with_upgrades());
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = drain.draining() => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        watch.end();
        if let Err(error) = ended
            && let Some((cause, detail)) = refused_head(&error, &watch, served.so_far())
        {
            handler.refused_head(HeadRefusal {
                peer: known.peer,
                cause,
                detail,
            });
        }
    }
}

/// The requests of one connection so far.
#[derive(Default)]
struct Served(AtomicU64);

impl Served {
    /// The ordinal of the next request, from 1.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What hyper answered by itself, or closed without an answer, and why. `None` if the end concerns no head.
fn refused_head(error: &hyper::Error, watch: &Watch, served: u64) -> Option<(Cause, String)> {
    let cause = if error.is_parse_too_large() {
        // hyper tells 414 from 431 only in words.
        match error.to_string().as_str() {
            "URI too long" => Cause::TargetTooLong,
            _ => Cause::HeadTooLarge,
        }
    } else if error.is_parse() {
        Cause::Head
    } else if !watch.any_head_after(served) {
        return None;
    } else if error.is_timeout() {
        Cause::HeadTimeout
    } else if error.is_incomplete_message() {
        Cause::HeadIncomplete
    } else {
        return None;
    };
    // What was seen in the raw bytes says more than hyper does, where both mean a malformed head.
    match watch.fault_of(served + 1) {
        Some(fault) if cause == Cause::Head && fault != HeadFault::Lost => {
            Some((fault.cause(), fault.reason().to_owned()))
        }
        Some(_) | None => Some((cause, error.to_string())),
    }
}
