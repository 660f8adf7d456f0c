//! The body of an answer: whole, in drops, without a length, or broken off. Knows nothing of what it carries.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A body whose pieces come in their own time.
#[derive(Debug)]
pub(super) struct Paced {
    pieces: VecDeque<Bytes>,
    pause: Option<Duration>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes still to be announced; none for a chunked answer.
    length: Option<u64>,
    broken: bool,
}

impl Paced {
    /// The text at once.
    pub(super) fn whole(text: String) -> Self {
        let length = u64::try_from(text.len()).ok();
        Self {
            pieces: (!text.is_empty())
                .then(|| Bytes::from(text))
                .into_iter()
                .collect(),
            pause: None,
            waiting: None,
            length,
            broken: false,
        }
    }

    /// Byte for byte.
    pub(super) fn drops(text: String, pause: Duration) -> Self {
        let whole = Bytes::from(text);
        let pieces = (0..whole.len()).map(|at| whole.slice(at..=at)).collect();
        Self {
            pieces,
            pause: Some(pause),
            waiting: None,
            length: u64::try_from(whole.len()).ok(),
            broken: false,
        }
    }

    /// In two pieces, without a length.
    pub(super) fn chunked(text: String) -> Self {
        let mut first = Bytes::from(text);
        let second = first.split_off(first.len() / 2);
        Self {
            pieces: [first, second]
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
            pause: None,
            waiting: None,
            length: None,
            broken: false,
        }
    }

    /// Half of what is announced, and then the end of the connection.
    pub(super) fn half(text: String) -> Self {
        let mut whole = Self::chunked(text);
        whole.length = Some(whole.left());
        whole.pieces.truncate(1);
        whole.broken = true;
        whole.pause = Some(Duration::from_millis(1));
        whole
    }

    fn left(&self) -> u64 {
        self.pieces
            .iter()
            .filter_map(|piece| u64::try_from(piece.len()).ok())
            .sum()
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            let error = || io::Error::other("the rest is not sent, as was asked for");
            return Poll::Ready(self.broken.then(|| Err(error())));
        };
        // The pause follows each piece, so that what is broken off has been sent.
        self.waiting = self.pause.map(|pause| Box::pin(sleep(pause)));
        self.length = self
            .length
            .map(|length| length.saturating_sub(u64::try_from(piece.len()).unwrap_or_default()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
