//! The body of an answer: the service's, passed on as it comes, or our own. Never buffers the service's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::Upload;
use crate::forward::{AnswerFault, ResponseBody};

/// The body of an answer.
pub enum AnswerBody {
    /// The service's.
    Reply(ResponseBody<Upload>),
    /// Ours.
    Own(Full<Bytes>),
}

impl AnswerBody {
    /// A body that is at hand.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::Own(Full::new(bytes))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match self.get_mut() {
            Self::Reply(reply) => Pin::new(reply).poll_frame(cx),
            Self::Own(own) => Pin::new(own).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Reply(reply) => reply.is_end_stream(),
            Self::Own(own) => own.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Reply(reply) => reply.size_hint(),
            Self::Own(own) => own.size_hint(),
        }
    }
}
