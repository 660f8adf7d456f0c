//! The body of the service's answer, passed on as it is asked for, against the clock. Never buffers; gives the connection
//! back only at a clean end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::RequestBody;
use super::pool::{Connection, Pool};
use crate::model::denial::{Cause, Denial};

/// Why an answer's body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// No piece came for too long.
    Idle,
    /// The request as a whole took too long.
    Late,
    /// The service broke off, or framed it wrongly.
    Broken,
}

impl AnswerFault {
    /// The cause that the record states. The client has the head already and sees the connection break.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::Idle | Self::Late => Cause::UpstreamTimeout,
            Self::Broken => Cause::UpstreamBroken,
        }
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Idle => "no piece of the answer came within `timeouts.response_idle`",
            Self::Late => "the answer as a whole did not come within `timeouts.total`",
            Self::Broken => "the answer broke off",
        })
    }
}

impl std::error::Error for AnswerFault {}

impl From<AnswerFault> for Box<Denial> {
    fn from(fault: AnswerFault) -> Self {
        Denial::new(fault.cause(), fault.to_string())
    }
}

/// The answer's body. Trailers are dropped: `Trailer` and `TE` do not pass, so nobody expects them.
pub struct ResponseBody<B> {
    body: Incoming,
    /// Until the end, clean or not.
    lease: Option<(Arc<Pool<B>>, Connection<B>)>,
    idle: Duration,
    deadline: Instant,
    /// Made when a piece is waited for the first time, then kept.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<B: RequestBody> ResponseBody<B> {
    pub(super) fn new(
        body: Incoming,
        pool: Arc<Pool<B>>,
        connection: Connection<B>,
        idle: Duration,
        deadline: Instant,
    ) -> Self {
        let mut answer = Self {
            body,
            lease: Some((pool, connection)),
            idle,
            deadline,
            timer: None,
            waiting: false,
        };
        answer.settle();
        answer
    }

    /// Gives the connection back if the body has ended. Nobody polls a body that says so.
    fn settle(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some((pool, connection)) = self.lease.take() {
            pool.give_back(connection);
        }
    }

    fn fail(&mut self, fault: AnswerFault) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        self.lease = None;
        Poll::Ready(Some(Err(fault)))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<AnswerFault> {
        let (idle, deadline) = (self.idle, self.deadline);
        let until = || deadline.min(Instant::now() + idle);
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.waiting {
                    timer.as_mut().reset(until());
                }
                timer
            }
            none => none.insert(Box::pin(sleep_until(until()))),
        };
        self.waiting = true;
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(if timer.deadline() < deadline {
            AnswerFault::Idle
        } else {
            AnswerFault::Late
        })
    }
}

impl<B: RequestBody> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        loop {
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(cx) else {
                let fault = ready!(self.poll_timer(cx));
                return self.fail(fault);
            };
            self.waiting = false;
            match polled {
                Some(Ok(_)) if self.deadline <= Instant::now() => {
                    return self.fail(AnswerFault::Late);
                }
                Some(Ok(frame)) if frame.is_data() => {
                    self.settle();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Ok(_trailers)) => {}
                Some(Err(_)) => return self.fail(AnswerFault::Broken),
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ResponseBody({:?})", self.body)
    }
}
