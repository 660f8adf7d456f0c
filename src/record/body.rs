//! The answer's body on its way to the client, with the request's record riding along: closed when the body has ended,
//! aborted when it is dropped before. Never changes or keeps a byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::OpenRecord;
use crate::model::denial::Denial;

/// A body that closes its record.
pub struct RecordedBody<B> {
    inner: B,
    record: Option<OpenRecord>,
    /// Bytes still to come, if the length was known from the start: the server stops asking after the last one.
    remaining: Option<u64>,
}

impl<B: Body<Data = Bytes>> RecordedBody<B> {
    /// Takes the record over, after it was told of the answer's status. A body that nobody will ask for (an answer to
    /// `HEAD`, a 204, a 304, an empty one) closes it here.
    pub fn new(inner: B, status: StatusCode, record: OpenRecord) -> Self {
        let silent = record.method() == Some(&Method::HEAD)
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let remaining = inner.size_hint().exact();
        let mut body = Self {
            remaining,
            record: Some(record),
            inner,
        };
        if silent || body.has_ended() {
            body.close();
        }
        body
    }

    /// A body whose record is closed already, or closed by somebody else.
    pub const fn unrecorded(inner: B) -> Self {
        Self {
            inner,
            record: None,
            remaining: None,
        }
    }

    fn has_ended(&self) -> bool {
        self.remaining == Some(0) || self.inner.is_end_stream()
    }

    fn close(&mut self) {
        if let Some(record) = self.record.take() {
            record.close_now();
        }
    }

    fn count(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.remaining = self.remaining.map(|left| left.saturating_sub(bytes));
        if let Some(record) = &mut self.record {
            record.sent(bytes);
        }
        if self.has_ended() {
            self.close();
        }
    }
}

impl<B> Body for RecordedBody<B>
where
    B: Body<Data = Bytes, Error: Clone + Into<Box<Denial>>> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let polled = ready!(Pin::new(&mut this.inner).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.remaining());
                this.count(bytes);
            }
            Some(Err(fault)) => {
                if let Some(record) = this.record.take() {
                    record.close_broken(&fault.clone().into());
                }
            }
            None => this.close(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
