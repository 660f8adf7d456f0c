//! Bodies by script: limits, clocks, breaks.

use std::collections::VecDeque;

use super::*;

/// A body by script: pieces, waits, trailers, a break.
enum Step {
    Piece(&'static str),
    Wait(u64),
    Trailers,
    Break,
}

struct Script {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
}

fn script(length: Option<u64>, steps: impl IntoIterator<Item = Step>) -> Script {
    Script {
        steps: steps.into_iter().collect(),
        waiting: None,
        length,
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Poll::Ready(match self.steps.pop_front() {
            None => None,
            Some(Step::Piece(text)) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Some(Step::Trailers) => Some(Ok(Frame::trailers(http::HeaderMap::new()))),
            Some(Step::Break) => Some(Err("broken")),
            Some(Step::Wait(seconds)) => {
                let sleep = tokio::time::sleep(Duration::from_secs(seconds));
                self.waiting = Some(Box::pin(sleep));
                return self.poll_frame(cx);
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

const LIMITS: BodyLimits = BodyLimits {
    bytes_max: 10,
    idle: Duration::from_secs(5),
    total: Duration::from_secs(12),
};

/// Reads to the end, or to the fault.
async fn read(mut body: Admitted<Script>) -> Result<String, BodyFault> {
    let mut text = String::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        text.push_str(std::str::from_utf8(frame?.data_ref().unwrap()).unwrap());
    }
    assert!(body.is_end_stream());
    Ok(text)
}

async fn stream(
    length: Option<u64>,
    steps: impl IntoIterator<Item = Step>,
) -> Result<String, Cause> {
    let body = admit(script(length, steps), Need::Stream, LIMITS).await;
    read(body.map_err(|denial| denial.cause)?)
        .await
        .map_err(BodyFault::cause)
}

async fn whole(length: Option<u64>, steps: impl IntoIterator<Item = Step>) -> Result<Bytes, Cause> {
    let body = admit(script(length, steps), Need::Whole, LIMITS).await;
    let body = body.map_err(|denial| denial.cause)?;
    let bytes = body.whole().unwrap().clone();
    assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
    assert_eq!(read(body).await.unwrap().as_bytes(), bytes);
    Ok(bytes)
}

#[tokio::test(start_paused = true)]
async fn a_body_within_its_limits_arrives() {
    use Step::{Piece, Trailers, Wait};
    let steps = || {
        [
            Piece("hello"),
            Wait(4),
            Piece("wor"),
            Wait(4),
            Piece("ld"),
            Trailers,
        ]
    };
    assert_eq!(stream(Some(10), steps()).await.unwrap(), "helloworld");
    assert_eq!(stream(None, steps()).await.unwrap(), "helloworld");
    assert_eq!(whole(Some(10), steps()).await.unwrap(), "helloworld");
    assert_eq!(whole(None, steps()).await.unwrap(), "helloworld");
    assert_eq!(whole(None, []).await.unwrap(), "");
    assert_eq!(whole(Some(5), [Piece("hello")]).await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_its_limits_is_refused() {
    use Step::{Break, Piece, Wait};
    let too_large = || [Piece("hello"), Piece("world"), Piece("!")];
    let idle = || [Piece("hello"), Wait(6), Piece("x")];
    let slow = || {
        [
            Wait(4),
            Piece("a"),
            Wait(4),
            Piece("b"),
            Wait(4),
            Piece("c"),
            Wait(4),
        ]
    };
    let broken = || [Piece("hello"), Break];
    assert_eq!(stream(None, too_large()).await, Err(Cause::BodyTooLarge));
    assert_eq!(whole(None, too_large()).await, Err(Cause::BodyTooLarge));
    assert_eq!(stream(None, idle()).await, Err(Cause::BodyTimeout));
    assert_eq!(whole(None, idle()).await, Err(Cause::BodyTimeout));
    assert_eq!(stream(None, slow()).await, Err(Cause::BodyTimeout));
    assert_eq!(stream(None, broken()).await, Err(Cause::BodyBroken));
    assert_eq!(whole(None, broken()).await, Err(Cause::BodyBroken));
}

#[tokio::test(start_paused = true)]
async fn a_drip_is_slow_and_a_silence_is_idle() {
    use Step::{Piece, Wait};
    let drip = (0..8).flat_map(|_| [Wait(4), Piece("a")]);
    let body = admit(script(None, drip), Need::Stream, LIMITS)
        .await
        .unwrap();
    assert_eq!(read(body).await, Err(BodyFault::Slow));
    let body = admit(script(None, [Wait(60)]), Need::Stream, LIMITS)
        .await
        .unwrap();
    assert_eq!(read(body).await, Err(BodyFault::Idle));
}

#[tokio::test]
async fn a_length_over_the_limit_is_refused_unread() {
    for need in [Need::Stream, Need::Whole] {
        let refused = admit(script(Some(11), [Step::Wait(60)]), need, LIMITS).await;
        assert_eq!(
            refused.err().map(|denial| denial.cause),
            Some(Cause::BodyTooLarge)
        );
    }
}

#[tokio::test]
async fn a_streamed_length_stays_a_length() {
    let steps = [Step::Piece("hello")];
    let body = admit(script(Some(5), steps), Need::Stream, LIMITS)
        .await
        .unwrap();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    assert!(body.whole().is_none());
    let empty = admit(script(Some(0), []), Need::Stream, LIMITS)
        .await
        .unwrap();
    assert!(empty.is_end_stream());
}
