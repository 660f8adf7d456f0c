//! The body of an answer: the service's, passed on as it comes, or our own. Never buffers the service's. One that may stay
//! open is cut when it is not allowed any more.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::Upload;
use super::streams::Held;
use crate::forward::{AnswerFault, ResponseBody};
use crate::model::denial::Denial;

/// The body of an answer.
pub enum AnswerBody {
    /// The service's, soon over.
    Reply(ResponseBody<Upload>),
    /// The service's, which may stay open.
    Stream(Box<Stream>),
    /// Ours.
    Own(Full<Bytes>),
}

impl AnswerBody {
    /// A body that is at hand.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::Own(Full::new(bytes))
    }

    pub(super) fn stream(reply: ResponseBody<Upload>, held: Held) -> Self {
        Self::Stream(Box::new(Stream { reply, held }))
    }
}

/// A body of the service that is judged again while it is open.
pub struct Stream {
    reply: ResponseBody<Upload>,
    held: Held,
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        // Asked first: what is refused does not get one more piece.
        if let Poll::Ready(denial) = self.held.poll_cut(cx) {
            return Poll::Ready(Some(Err(AnswerBroken::Cut(denial))));
        }
        let polled = Pin::new(&mut self.reply).poll_frame(cx);
        polled.map_err(AnswerBroken::Service)
    }
}

/// Why an answer broke off after its head was sent. The client sees the connection break.
#[derive(Clone, Debug)]
pub enum AnswerBroken {
    /// The service's doing.
    Service(AnswerFault),
    /// The caller may not have the rest.
    Cut(Box<Denial>),
}

impl From<AnswerBroken> for Box<Denial> {
    fn from(broken: AnswerBroken) -> Self {
        match broken {
            AnswerBroken::Service(fault) => fault.into(),
            AnswerBroken::Cut(denial) => denial,
        }
    }
}

impl fmt::Display for AnswerBroken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(fault) => fault.fmt(out),
            Self::Cut(denial) => out.write_str(denial.cause.title()),
        }
    }
}

impl std::error::Error for AnswerBroken {}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBroken>>> {
        match self.get_mut() {
            Self::Reply(reply) => Pin::new(reply)
                .poll_frame(cx)
                .map_err(AnswerBroken::Service),
            Self::Stream(stream) => stream.poll_frame(cx),
            Self::Own(own) => Pin::new(own).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Reply(reply) => reply.is_end_stream(),
            Self::Stream(stream) => stream.reply.is_end_stream(),
            Self::Own(own) => own.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Reply(reply) => reply.size_hint(),
            Self::Stream(stream) => stream.reply.size_hint(),
            Self::Own(own) => own.size_hint(),
        }
    }
}
