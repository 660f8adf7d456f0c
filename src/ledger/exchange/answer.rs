//! What an answer says of limits, in one place for HTTP and WebSocket. Never looks at a body.

use http::{HeaderMap, StatusCode};

use super::breaker::{Halt, RetryAfter};
use super::limits::Told;

/// An exchange's answer, as far as it matters to budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it is.
    pub outcome: Outcome,
    /// How much the exchange has counted.
    pub told: Told,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Success,
    /// It did not, or nobody knows.
    Failure,
    /// Stop.
    Halt(Halt, RetryAfter),
}

impl Answer {
    /// Reads the head of an HTTP answer.
    #[must_use]
    pub fn read(status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            outcome: Outcome::of(status, || RetryAfter::read(headers)),
            told: Told::read(headers),
        }
    }

    /// The answer of a WebSocket API: its `status`, its `rateLimits`, and `error.data.retryAfter` in milliseconds since
    /// 1970.
    #[must_use]
    pub fn of_frame(status: StatusCode, told: Told, retry_after_ms: Option<i64>) -> Self {
        let retry = || retry_after_ms.map_or(RetryAfter::Absent, RetryAfter::at_unix_ms);
        Self {
            outcome: Outcome::of(status, retry),
            told,
        }
    }
}

impl Outcome {
    fn of(status: StatusCode, retry: impl FnOnce() -> RetryAfter) -> Self {
        match Halt::of(status) {
            Some(halt) => Self::Halt(halt, retry()),
            None if status.is_success() => Self::Success,
            None => Self::Failure,
        }
    }
}
