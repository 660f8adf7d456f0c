//! Request bodies: admitted with a limit and against the clock, either streamed or whole.
//! Never reads a byte before the head was decided upon, and never hands on more than was allowed.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::model::denial::{Cause, Denial};

#[cfg(test)]
mod tests;
mod whole;

use whole::Share;
pub use whole::WholeBodies;

/// What a whole body is given at first; more comes as bytes arrive, not as a client says they will.
const WHOLE_BYTES_AT_FIRST: u64 = 64 * 1024;

/// What the decision needs to see of a body.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// Nothing: it is passed on as it comes.
    Stream,
    /// Every byte before anything is forwarded; they go onto this account as they arrive.
    Whole(&'a WholeBodies),
}

/// What a body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes of the body, without framing.
    pub bytes_max: u64,
    /// Between two pieces.
    pub idle: Duration,
    /// From the first time that nothing was there to the end of the body.
    pub total: Duration,
}

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// More bytes than allowed.
    TooLarge,
    /// No piece came for too long.
    Idle,
    /// The whole took too long.
    Slow,
    /// The peer broke off, or the framing is wrong.
    Broken,
    /// Other bodies that are held whole leave no room for this one.
    Crowded,
}

impl BodyFault {
    /// The cause of the refusal.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::TooLarge => Cause::BodyTooLarge,
            Self::Idle | Self::Slow => Cause::BodyTimeout,
            Self::Broken => Cause::BodyBroken,
            Self::Crowded => Cause::Overloaded,
        }
    }

    /// The refusal.
    #[must_use]
    pub fn denial(self) -> Box<Denial> {
        Denial::new(self.cause(), self.reason())
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "more bytes than allowed",
            Self::Idle => "no piece of the body came in time",
            Self::Slow => "the body as a whole did not come within `timeouts.total`",
            Self::Broken => "the body breaks off or is framed wrongly",
            Self::Crowded => "bodies held whole take all that `whole_body_bytes_max` allows",
        }
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason())
    }
}

impl std::error::Error for BodyFault {}

impl From<BodyFault> for Box<Denial> {
    fn from(fault: BodyFault) -> Self {
        fault.denial()
    }
}

/// Admits a body whose head was decided upon. A length over the limit is refused unread.
pub async fn admit<B>(
    body: B,
    need: Need<'_>,
    mut limits: BodyLimits,
) -> Result<Admitted<B>, Box<Denial>>
where
    B: Body<Data = Bytes> + Unpin,
{
    if let Need::Whole(account) = need {
        // One that could never have room is too large, not early.
        limits.bytes_max = limits.bytes_max.min(account.bytes_max());
    }
    if body.size_hint().lower() > limits.bytes_max {
        return Err(BodyFault::TooLarge.denial());
    }
    let metered = Metered::new(body, limits);
    match need {
        Need::Stream => Ok(Admitted(State::Streamed(metered))),
        Need::Whole(account) => match collect(metered, account.share()).await {
            Ok(whole) => Ok(Admitted(State::Whole(whole))),
            Err(fault) => Err(fault.denial()),
        },
    }
}

/// An admitted body. Trailers are dropped: they were not there when the request was judged.
#[derive(Debug)]
pub struct Admitted<B = Incoming>(State<B>);

#[derive(Debug)]
enum State<B> {
    Streamed(Metered<B>),
    Whole(Bytes),
    Ended,
}

impl<B> Admitted<B> {
    /// The bytes of a body that was asked for whole.
    #[must_use]
    pub const fn whole(&self) -> Option<&Bytes> {
        match &self.0 {
            State::Whole(bytes) => Some(bytes),
            State::Streamed(_) | State::Ended => None,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Admitted<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let piece = match &mut self.0 {
            State::Streamed(metered) => ready!(metered.poll_piece(cx)),
            State::Whole(bytes) if bytes.is_empty() => None,
            State::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            State::Ended => None,
        };
        if !matches!(piece, Some(Ok(_))) {
            self.0 = State::Ended;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::Streamed(metered) => metered.body.is_end_stream(),
            State::Whole(bytes) => bytes.is_empty(),
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Streamed(metered) => metered.body.size_hint(),
            State::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}

/// A body that is counted and timed. The timer exists only once a piece was waited for, and is then kept.
#[derive(Debug)]
struct Metered<B> {
    body: B,
    left: u64,
    limits: BodyLimits,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    total_until: Instant,
    waiting: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Metered<B> {
    const fn new(body: B, limits: BodyLimits) -> Self {
        Self {
            body,
            left: limits.bytes_max,
            limits,
            timer: None,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.poll_timer(cx).map(|fault| Some(Err(fault)));
            };
            let piece = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyFault::Broken))),
                // Trailers are not data, and no more data comes behind them.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => piece,
                    Err(_) => continue,
                },
            };
            return Poll::Ready(Some(self.count(piece)));
        }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, BodyFault> {
        if let Some(timer) = &mut self.timer {
            timer.waiting = false;
        }
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or(BodyFault::TooLarge)?;
        Ok(piece)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let limits = self.limits;
        let timer = self.timer.get_or_insert_with(|| Timer::new(limits));
        timer.poll(cx, limits.idle)
    }
}

impl Timer {
    fn new(limits: BodyLimits) -> Self {
        let now = Instant::now();
        Self {
            sleep: Box::pin(tokio::time::sleep_until(now)),
            total_until: now + limits.total,
            waiting: false,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, idle: Duration) -> Poll<BodyFault> {
        if !self.waiting {
            self.waiting = true;
            let until = (Instant::now() + idle).min(self.total_until);
            self.sleep.as_mut().reset(until);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(match self.sleep.deadline() < self.total_until {
            true => BodyFault::Idle,
            false => BodyFault::Slow,
        })
    }
}

/// One piece stays what it is; several are put together once.
async fn collect<B>(mut metered: Metered<B>, mut share: Share) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let expected = metered.body.size_hint().lower().min(WHOLE_BYTES_AT_FIRST);
    let expected = usize::try_from(expected).unwrap_or_default();
    let mut next = async || {
        let piece = std::future::poll_fn(|cx| metered.poll_piece(cx)).await;
        let piece = piece.transpose()?;
        if let Some(piece) = &piece {
            share.add(piece)?;
        }
        Ok::<_, BodyFault>(piece)
    };
    let Some(first) = next().await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next().await? else {
        return Ok(share.of(first));
    };
    let mut whole = BytesMut::with_capacity(expected.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(share.of(whole.freeze()))
}
