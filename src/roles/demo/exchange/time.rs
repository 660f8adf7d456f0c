//! The exchange's clock: the machine's, until a test moves, bends or stops it. Never what Outrider's own rooms ask.

use std::sync::{Mutex, PoisonError};

use crate::model::clock::{Clock as _, Now, SystemClock};

/// A clock that can be set, stepped, made to drift and stopped while the exchange runs.
#[derive(Debug)]
pub struct ServerClock {
    machine: SystemClock,
    skew: Mutex<Skew>,
}

#[derive(Clone, Copy, Debug)]
struct Skew {
    /// What this clock said at `since`, in microseconds since 1970.
    base_us: i64,
    since: Now,
    /// Microseconds gained each second.
    drift_ppm: i64,
    stopped: bool,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        let machine = SystemClock::new();
        let since = machine.now();
        let skew = Skew {
            base_us: since.unix_us,
            since,
            drift_ppm: 0,
            stopped: false,
        };
        Self {
            machine,
            skew: Mutex::new(skew),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z, as the exchange sees it.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.skew().at(self.machine.now())
    }

    /// Jumps by so many milliseconds; back if negative.
    pub fn step_ms(&self, milliseconds: i64) {
        let us = milliseconds.saturating_mul(1000);
        self.change(|skew| skew.base_us = skew.base_us.saturating_add(us));
    }

    /// So many milliseconds away from the machine's clock.
    pub fn set_offset_ms(&self, milliseconds: i64) {
        let us = milliseconds.saturating_mul(1000);
        self.change(|skew| skew.base_us = skew.since.unix_us.saturating_add(us));
    }

    /// Jumps to this moment, microseconds since 1970, and goes on from there.
    pub fn set_us(&self, unix_us: i64) {
        self.change(|skew| {
            skew.base_us = unix_us;
            skew.stopped = false;
        });
    }

    /// Stands still at this moment, microseconds since 1970, until it is set again.
    pub fn stop_at_us(&self, unix_us: i64) {
        self.change(|skew| {
            skew.base_us = unix_us;
            skew.stopped = true;
        });
    }

    /// Gains so many microseconds each second; loses if negative.
    pub fn drift_ppm(&self, ppm: i64) {
        self.change(|skew| skew.drift_ppm = ppm);
    }

    /// Time that no step, drift or stop changes, in nanoseconds since the start.
    pub(super) fn mono_ns(&self) -> u64 {
        self.machine.now().mono_ns
    }

    /// Begins anew from what the clock says now, with something changed.
    fn change(&self, change: impl FnOnce(&mut Skew)) {
        let now = self.machine.now();
        let mut skew = self.skew.lock().unwrap_or_else(PoisonError::into_inner);
        skew.base_us = skew.at(now);
        skew.since = now;
        change(&mut skew);
    }

    fn skew(&self) -> Skew {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Skew {
    fn at(&self, now: Now) -> i64 {
        if self.stopped {
            return self.base_us;
        }
        let passed = i64::try_from(now.since(self.since).as_micros()).unwrap_or(i64::MAX);
        let gained = i128::from(passed) * i128::from(self.drift_ppm) / 1_000_000;
        let gained = i64::try_from(gained).unwrap_or_default();
        self.base_us.saturating_add(passed).saturating_add(gained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stops_steps_and_goes_on() {
        let clock = ServerClock::new();
        clock.stop_at_us(1_000_000);
        assert_eq!(clock.now_us(), 1_000_000);
        clock.step_ms(-500);
        assert_eq!(clock.now_us(), 500_000);
        clock.set_us(2_000_000);
        assert!((2_000_000..12_000_000).contains(&clock.now_us()));
    }

    #[test]
    fn drift_is_counted_from_when_it_began() {
        let since = Now {
            mono_ns: 0,
            unix_us: 0,
        };
        let skew = Skew {
            base_us: 5,
            since,
            drift_ppm: -100_000,
            stopped: false,
        };
        let later = Now {
            mono_ns: 10_000_000_000,
            unix_us: 0,
        };
        assert_eq!(skew.at(later), 5 + 10_000_000 - 1_000_000);
    }
}
