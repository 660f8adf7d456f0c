//! A moment as budgets need it: how long the process runs, and what the exchange's clock may show. Never read from a
//! clock here; [`super::super::exchange_clock::ExchangeClock::moment`] makes it from a `Now`.

use std::time::Duration;

/// A moment on the monotonic clock and on the exchange's, with how far off the latter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    mono_ns: u64,
    exchange_us: i64,
    uncertainty_us: i64,
}

impl Moment {
    /// A moment: nanoseconds since the process began, microseconds since 1970 on the exchange's clock, and by how many
    /// microseconds the latter may be too early or too late.
    #[must_use]
    pub fn new(mono_ns: u64, exchange_us: i64, uncertainty_us: u64) -> Self {
        Self {
            mono_ns,
            exchange_us,
            uncertainty_us: i64::try_from(uncertainty_us).unwrap_or(i64::MAX),
        }
    }

    /// Nanoseconds since the process began.
    #[must_use]
    pub const fn mono_ns(self) -> u64 {
        self.mono_ns
    }

    /// Microseconds since 1970 on the exchange's clock, as far as is known.
    #[must_use]
    pub const fn exchange_us(self) -> i64 {
        self.exchange_us
    }

    /// The earliest and the latest that the exchange's clock may show.
    pub(super) const fn bounds_us(self) -> (i64, i64) {
        let earliest = self.exchange_us.saturating_sub(self.uncertainty_us);
        (
            earliest,
            self.exchange_us.saturating_add(self.uncertainty_us),
        )
    }

    /// How long until the exchange's clock shows `unix_us` for certain; at least a millisecond.
    pub(super) fn until_surely(self, unix_us: i64) -> Duration {
        let (earliest, _) = self.bounds_us();
        let micros = u64::try_from(unix_us.saturating_sub(earliest)).unwrap_or(0);
        Duration::from_micros(micros.max(1_000))
    }
}
