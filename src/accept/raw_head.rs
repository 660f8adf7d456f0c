//! Follows HTTP/1.1 message boundaries on the bytes that hyper reads and notes what hyper accepts and hides.
//! Never alters, holds back or answers a byte.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::follow::Follower;
use crate::model::denial::{Cause, Denial};

#[cfg(test)]
mod differential;
mod follow;
#[cfg(test)]
mod tests;

/// What is wrong with a raw head. None of it can be seen in the head that hyper hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 section 6.1).
    LengthAndEncoding,
    /// More than one `Content-Length` line, equal or not (RFC 9110 section 8.6).
    LengthTwice,
    /// A `Content-Length` that is not a plain number.
    LengthBroken,
    /// `Transfer-Encoding` that is not exactly one line saying `chunked`.
    Encoding,
    /// A line that ends without a carriage return (RFC 9112 section 2.2).
    BareLineFeed,
    /// An empty line before the request line.
    LeadingLine,
    /// A fragment in the request target.
    Fragment,
    /// A header line that continues the one before (RFC 9112 section 5.2).
    Fold,
    /// The body before this head had no clear end, so this head may be part of it.
    Lost,
}

impl HeadFault {
    /// The cause of the refusal.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::LengthAndEncoding
            | Self::LengthTwice
            | Self::LengthBroken
            | Self::Encoding
            | Self::Lost => Cause::Framing,
            Self::BareLineFeed | Self::LeadingLine | Self::Fold => Cause::Head,
            Self::Fragment => Cause::Target,
        }
    }

    /// What was wrong, for the operator.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
            Self::LengthTwice => "more than one Content-Length",
            Self::LengthBroken => "a Content-Length that is not a plain number",
            Self::Encoding => "a Transfer-Encoding that is not exactly one line `chunked`",
            Self::BareLineFeed => "a line of the head ends in a bare line feed",
            Self::LeadingLine => "an empty line before the request line",
            Self::Fragment => "a fragment in the request target",
            Self::Fold => "a folded header line",
            Self::Lost => "the message before has no clear end",
        }
    }

    /// The refusal.
    #[must_use]
    pub fn denial(self) -> Box<Denial> {
        Denial::new(self.cause(), self.reason())
    }
}

/// What was seen so far on one connection. Written by [`Watched`], read by whoever answers the requests.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Complete heads, doubled; odd while the bytes end inside a head. One word, so that one store tells both.
    progress: AtomicU64,
    fault: OnceLock<(u64, HeadFault)>,
    /// Set when what follows is no longer HTTP.
    over: AtomicBool,
}

impl Watch {
    /// The fault of the `ordinal`-th request of the connection, counted from 1. Every request from the first faulty
    /// head on is faulty. So is one whose head was not seen to end: then hyper reads boundaries where none were seen.
    #[must_use]
    pub fn fault_of(&self, ordinal: u64) -> Option<HeadFault> {
        match self.0.fault.get() {
            Some((first, fault)) if *first == ordinal => Some(*fault),
            Some((first, _)) if *first < ordinal => Some(HeadFault::Lost),
            Some(_) | None => (self.heads() < ordinal).then_some(HeadFault::Lost),
        }
    }

    /// Whether bytes of a head behind the first `served` ones have arrived.
    #[must_use]
    pub fn any_head_after(&self, served: u64) -> bool {
        let inside = self.0.progress.load(Ordering::Acquire) % 2 == 1;
        let faulty = self.0.fault.get().is_some_and(|(first, _)| *first > served);
        inside || faulty || self.heads() > served
    }

    /// From now on the bytes are no longer HTTP, and nothing is looked for in them.
    pub fn end(&self) {
        self.0.over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    fn heads(&self) -> u64 {
        self.0.progress.load(Ordering::Acquire) / 2
    }

    fn note(&self, follower: &Follower) {
        if let Some(fault) = follower.fault() {
            // Only the first fault counts, and a follower reports only one.
            self.0.fault.get_or_init(|| fault);
        }
        let progress = follower.heads() * 2 + u64::from(follower.inside_head());
        self.0.progress.store(progress, Ordering::Release);
    }
}

/// A stream whose read side is watched. Writes pass through.
#[derive(Debug)]
pub struct Watched<T> {
    stream: T,
    follower: Follower,
    watch: Watch,
}

impl<T> Watched<T> {
    /// Wraps a fresh connection: no byte of it may have been read before.
    pub fn new(stream: T) -> Self {
        Self {
            stream,
            follower: Follower::default(),
            watch: Watch::default(),
        }
    }

    /// Where the findings can be read.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let this = &mut *self;
        if let Some(fresh) = into.filled().get(before..)
            && !this.follower.is_lost()
            && !this.watch.is_over()
        {
            this.follower.follow(fresh);
            this.watch.note(&this.follower);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
