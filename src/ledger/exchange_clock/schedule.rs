//! When an exchange's clock is asked again. Never waits: says how long the asker should.

use std::time::Duration;

use crate::model::clock::Now;

use super::ExchangeClock;

/// Comparisons in quick succession at the beginning, so that one of them is exact.
const FIRST: usize = 3;

/// Between those, and while the exchange's clock contradicts itself.
const QUICK: Duration = Duration::from_millis(250);

/// After the first failure, or while nothing may be signed; doubles with each further failure.
const RETRY: Duration = Duration::from_secs(1);

/// However often it failed.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// While everything is well, unless comparisons must be younger than twice that.
const USUAL: Duration = Duration::from_secs(45);

impl ExchangeClock {
    /// How long until the exchange's clock should be asked again, after so many failures in a row. `chance` is any
    /// number: pauses are shortened by it by up to a fifth, so that a fleet that starts together does not stay together.
    #[must_use]
    pub fn next_sample(&self, now: Now, failures: u32, chance: u32) -> Duration {
        let state = self.state();
        let is_quick = state.suspect.is_some() || state.samples.len() < FIRST;
        let is_synced = state.corrected(now, &self.settings).is_ok();
        drop(state);
        let pause = match (failures, is_quick, is_synced) {
            (0, true, _) => QUICK,
            (0, false, true) => USUAL.min(self.settings.max_age / 3),
            (0, false, false) => RETRY,
            _ => {
                let doubled = 1_u32
                    .checked_shl(failures.saturating_sub(1))
                    .unwrap_or(u32::MAX);
                RETRY.saturating_mul(doubled).min(RETRY_MAX)
            }
        };
        pause - pause / 5 * (chance % 1_000) / 1_000
    }
}
