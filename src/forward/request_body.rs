//! The request's body on its way out, with a signal for when all of it was handed over. Never changes a byte.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::RequestBody;

/// A body that tells when hyper has taken all of it: hyper drops it then.
pub(super) struct Watched<B> {
    body: B,
    _sent: Option<oneshot::Sender<()>>,
}

impl<B: RequestBody> Watched<B> {
    /// Wraps a body. The receiver ends when the body was taken; there is none if there is nothing to take.
    pub(super) fn new(body: B) -> (Self, Option<oneshot::Receiver<()>>) {
        if body.is_end_stream() {
            return (Self { body, _sent: None }, None);
        }
        let (sent, taken) = oneshot::channel();
        let watched = Self {
            body,
            _sent: Some(sent),
        };
        (watched, Some(taken))
    }
}

impl<B: RequestBody> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
