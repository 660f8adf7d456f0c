//! Time as an argument: `Now` is read once a request and handed on. Never read the clock anywhere else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks. Tokens and evidence use the wall clock, limits and timeouts the monotonic one,
/// so that a clock that is set back can neither revive a limit nor stop a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since the process began; never goes back.
    pub mono_ns: u64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub unix_us: i64,
}

impl Now {
    /// Whole seconds since 1970-01-01T00:00:00Z, the unit of token times (RFC 7519 NumericDate).
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.unix_us.div_euclid(1_000_000)
    }

    /// Time from `earlier` to this moment on the monotonic clock; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.mono_ns.saturating_sub(earlier.mono_ns))
    }
}

/// Where a moment comes from.
pub trait Clock: Send + Sync {
    /// The moment of the call.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono_ns: u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            unix_us: i64::try_from(unix.as_micros()).unwrap_or(i64::MAX),
        }
    }
}

/// A clock that stands still: `explain --now` and policy tests.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub Now);

impl Clock for FixedClock {
    fn now(&self) -> Now {
        self.0
    }
}
