//! One request on one connection, and the head of its answer. Never tries again, but for a request that hyper hands back
//! because no byte of it was written: that takes one fresh connection.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::RequestBody;
use super::answer::ResponseBody;
use super::connect::connect;
use super::pool::{Connection, Pool};
use super::request_body::Watched;
use crate::model::denial::{Cause, Denial};
use crate::transform::Outbound;

/// A connection that is taken by one request. Dropped unused it is closed.
pub struct Slot<B> {
    pool: Arc<Pool<B>>,
    connection: Connection<B>,
    reused: bool,
}

impl<B: RequestBody> Slot<B> {
    pub(super) const fn new(pool: Arc<Pool<B>>, connection: Connection<B>, reused: bool) -> Self {
        Self {
            pool,
            connection,
            reused,
        }
    }

    /// Sends the request and waits for the head of the answer, at the latest until `deadline`. If the request's own body
    /// fails first, that is the refusal.
    pub async fn send(
        self,
        outbound: Outbound<B>,
        deadline: Instant,
    ) -> Result<Response<ResponseBody<B>>, Box<Denial>> {
        let Self {
            pool,
            mut connection,
            reused,
        } = self;
        let (head, body) = outbound.into_request().into_parts();
        let (body, mut taken) = Watched::new(body);
        let request = Request::from_parts(head, body);
        let waits = Waits {
            head: pool.response_head,
            deadline,
        };
        let mut tried = waits.attempt(&mut connection, request, &mut taken).await?;
        if let Err(error) = &mut tried
            && reused
            && let Some(request) = error.take_message()
        {
            drop(connection);
            connection = timeout_at(deadline, connect(&pool))
                .await
                .map_err(|_| late())??;
            tried = waits.attempt(&mut connection, request, &mut taken).await?;
        }
        let response = tried.map_err(|error| blame::<B>(error))?;
        if let Some(why) = objection(&response) {
            return Err(Denial::new(Cause::UpstreamBroken, why));
        }
        let idle = pool.response_idle;
        Ok(response.map(|body| ResponseBody::new(body, pool, connection, idle, deadline)))
    }
}

impl<B> fmt::Debug for Slot<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Slot(reused: {})", self.reused)
    }
}

/// How long an answer is waited for.
struct Waits {
    head: std::time::Duration,
    deadline: Instant,
}

type Tried<B> = Result<Response<Incoming>, TrySendError<Request<Watched<B>>>>;

impl Waits {
    /// Sends once. The time for the head of the answer begins when the request's body is out; dropping the connection is
    /// the caller's way to give up.
    async fn attempt<B: RequestBody>(
        &self,
        connection: &mut Connection<B>,
        request: Request<Watched<B>>,
        taken: &mut Option<oneshot::Receiver<()>>,
    ) -> Result<Tried<B>, Box<Denial>> {
        let mut answer = std::pin::pin!(connection.sender.try_send_request(request));
        if let Some(taken) = taken {
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                _all = taken => {}
                () = sleep_until(self.deadline) => return Err(late()),
            }
        }
        let until = self.deadline.min(Instant::now() + self.head);
        timeout_at(until, answer).await.map_err(|_| late())
    }
}

fn late() -> Box<Denial> {
    Denial::new(Cause::UpstreamTimeout, "no head of an answer in time")
}

/// Who is to blame: the request's own body, we (a request that hyper does not send), or the service.
fn blame<B: RequestBody>(mut error: TrySendError<Request<Watched<B>>>) -> Box<Denial> {
    if error.take_message().is_some() {
        let why = format!("closed before the request was sent: {}", error.error());
        return Denial::new(Cause::UpstreamUnreachable, why);
    }
    let error = error.into_error();
    if let Some(fault) = error
        .source()
        .and_then(|source| source.downcast_ref::<B::Error>())
    {
        return fault.clone().into();
    }
    let cause = if error.is_user() {
        Cause::Internal
    } else {
        Cause::UpstreamBroken
    };
    let source = error.source().map(|source| format!(": {source}"));
    Denial::new(cause, format!("{error}{}", source.unwrap_or_default()))
}

/// What makes an answer's end uncertain. hyper refuses lengths that differ; the rest it reads in its own way, which need
/// not be the service's (RFC 9112 section 6.3).
fn objection<T>(response: &Response<T>) -> Option<&'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some("101 without an upgrade that was asked for");
    }
    let headers = response.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).into_iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).into_iter();
    let (coding, length) = (codings.next(), lengths.next());
    if coding.is_some() && length.is_some() {
        return Some("both Transfer-Encoding and Content-Length");
    }
    if codings.next().is_some() || lengths.next().is_some() {
        return Some("more than one Transfer-Encoding or Content-Length");
    }
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Some("a Transfer-Encoding other than chunked");
    }
    if length.is_some_and(|length| !is_plain_number(length)) {
        return Some("a Content-Length that is not a plain number");
    }
    let nothing = length.is_none_or(|length| length == "0");
    let has_body = coding.is_some() || !nothing;
    (response.status() == StatusCode::NO_CONTENT && has_body).then_some("204 with a body")
}

fn is_plain_number(length: &HeaderValue) -> bool {
    let digits = length.as_bytes();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
