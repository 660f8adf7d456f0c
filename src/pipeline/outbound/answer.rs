//! The body of an answer on the way out: the exchange's, passed on as it comes, or one at hand. Never buffers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};

use super::places::Place;
use crate::forward::{AnswerFault, ResponseBody};

/// The body of an answer.
pub struct OutboundBody {
    content: Content,
    /// Until the client has taken it in.
    _place: Option<Place>,
}

enum Content {
    /// The exchange's.
    Reply(ResponseBody<Full<Bytes>>),
    /// At hand: ours, or one that was read whole.
    Whole(Full<Bytes>),
}

impl OutboundBody {
    /// A body that is at hand.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::of(Content::Whole(Full::new(bytes)))
    }

    /// The exchange's, as it comes.
    pub(super) const fn reply(body: ResponseBody<Full<Bytes>>) -> Self {
        Self::of(Content::Reply(body))
    }

    /// The same, which keeps this place until it is dropped.
    pub(super) fn holding(self, place: Option<Place>) -> Self {
        Self {
            _place: place,
            ..self
        }
    }

    const fn of(content: Content) -> Self {
        Self {
            content,
            _place: None,
        }
    }
}

/// The whole of a body of at most so many bytes; `None` if it breaks off or is longer.
pub(super) async fn whole<B>(mut body: B, bytes_max: usize) -> Option<Bytes>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are no part of it.
        let Ok(piece) = frame.ok()?.into_data() else {
            continue;
        };
        if whole.len().saturating_add(piece.len()) > bytes_max {
            return None;
        }
        whole.extend_from_slice(&piece);
    }
    Some(whole.freeze())
}

impl Default for OutboundBody {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl Body for OutboundBody {
    type Data = Bytes;
    type Error = AnswerFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerFault>>> {
        match &mut self.get_mut().content {
            Content::Reply(reply) => Pin::new(reply).poll_frame(cx),
            Content::Whole(whole) => {
                let frame = Pin::new(whole).poll_frame(cx);
                frame.map_err(|never| match never {})
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Reply(reply) => reply.is_end_stream(),
            Content::Whole(whole) => whole.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Reply(reply) => reply.size_hint(),
            Content::Whole(whole) => whole.size_hint(),
        }
    }
}
