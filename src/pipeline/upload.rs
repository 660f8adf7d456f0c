//! The body of a request on its way to the service: an admitted body whose bytes are told to the record.
//! Never buffers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::accept::body::{Admitted, BodyFault};
use crate::model::facts::Framing;
use crate::record::{ByteCounter, OpenRecord};

/// An admitted body. One of unknown length is counted as it passes.
#[derive(Debug)]
pub struct Upload {
    body: Admitted,
    counter: Option<ByteCounter>,
}

impl Upload {
    /// Tells the record the length, or how it will be found out.
    pub(super) fn new(body: Admitted, framing: Framing, record: &mut OpenRecord) -> Self {
        let counter = match framing {
            Framing::None => None,
            Framing::Length(bytes) => {
                record.received(bytes);
                None
            }
            Framing::Chunked => Some(record.receiving()),
        };
        Self { body, counter }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(counter), Some(Ok(frame))) = (&self.counter, &frame)
            && let Some(piece) = frame.data_ref()
        {
            counter.add(piece.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
