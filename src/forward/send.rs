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

/// How much of a request has left, when there is no answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte, and none ever will: whatever the request does was not done, and it may take another connection.
    Nothing,
    /// Some bytes, perhaps all: nobody knows what was done.
    Something,
}

/// Why there is no answer, and how much of the request has left.
#[derive(Debug)]
pub struct SendFault {
    /// The refusal.
    pub denial: Box<Denial>,
    /// What may have been done.
    pub sent: Sent,
}

impl<B: RequestBody> Slot<B> {
    pub(super) fn new(pool: Arc<Pool<B>>, connection: Connection<B>, reused: bool) -> Self {
        connection.seal.begin();
        Self {
            pool,
            connection,
            reused,
        }
    }

    /// Whether the connection has carried a request before, so that its peer may be about to close it.
    #[must_use]
    pub const fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends the request and waits for the head of the answer, at the latest until `deadline`. If the request's own body
    /// fails first, that is the refusal. A request that hyper hands back unsent from a connection that was used before
    /// takes one fresh connection.
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
        let (request, mut taken) = watched(outbound);
        let waits = Waits::new(&pool, deadline);
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
        answer(response, pool, connection, deadline)
    }

    /// Sends the request on this connection and on no other: for a request that is made anew for each connection, as a
    /// signed one is. Without an answer it says whether a byte of it has left.
    pub async fn send_once(
        self,
        outbound: Outbound<B>,
        deadline: Instant,
    ) -> Result<Response<ResponseBody<B>>, SendFault> {
        let (response, pool, connection) = self.ask(outbound, deadline).await?;
        answer(response, pool, connection, deadline).map_err(SendFault::late)
    }

    /// Sends the request, and leaves open what becomes of its answer.
    pub(super) async fn ask(
        self,
        outbound: Outbound<B>,
        deadline: Instant,
    ) -> Result<(Response<Incoming>, Arc<Pool<B>>, Connection<B>), SendFault> {
        let Self {
            pool,
            mut connection,
            reused: _,
        } = self;
        let (request, mut taken) = watched(outbound);
        let waits = Waits::new(&pool, deadline);
        let tried = waits.attempt(&mut connection, request, &mut taken).await;
        let answered = tried.and_then(|tried| tried.map_err(|error| blame::<B>(error)));
        match answered {
            Ok(response) => Ok((response, pool, connection)),
            Err(denial) => Err(SendFault {
                denial,
                sent: match connection.seal.close() {
                    true => Sent::Nothing,
                    false => Sent::Something,
                },
            }),
        }
    }
}

impl SendFault {
    /// After an answer, which nothing comes without.
    pub(super) const fn late(denial: Box<Denial>) -> Self {
        Self {
            denial,
            sent: Sent::Something,
        }
    }
}

/// The answer, if its end is certain.
pub(super) fn answer<B: RequestBody>(
    response: Response<Incoming>,
    pool: Arc<Pool<B>>,
    connection: Connection<B>,
    deadline: Instant,
) -> Result<Response<ResponseBody<B>>, Box<Denial>> {
    if let Some(why) = objection(&response) {
        return Err(Denial::new(Cause::UpstreamBroken, why));
    }
    let idle = pool.response_idle;
    Ok(response.map(|body| ResponseBody::new(body, pool, connection, idle, deadline)))
}

impl<B> fmt::Debug for Slot<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Slot(reused: {})", self.reused)
    }
}

/// The request, and a signal for when all of its body was taken.
fn watched<B: RequestBody>(
    outbound: Outbound<B>,
) -> (Request<Watched<B>>, Option<oneshot::Receiver<()>>) {
    let (head, body) = outbound.into_request().into_parts();
    let (body, taken) = Watched::new(body);
    (Request::from_parts(head, body), taken)
}

/// How long an answer is waited for.
struct Waits {
    head: std::time::Duration,
    deadline: Instant,
}

type Tried<B> = Result<Response<Incoming>, TrySendError<Request<Watched<B>>>>;

impl Waits {
    const fn new<B>(pool: &Pool<B>, deadline: Instant) -> Self {
        let head = pool.response_head;
        Self { head, deadline }
    }

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

pub(super) fn late() -> Box<Denial> {
    Denial::new(
        Cause::UpstreamTimeout,
        "no head of an answer within `timeouts.response_head` and `timeouts.total`",
    )
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
