//! The times that are signed with one key: each later than the one before, so that equal requests within one millisecond get
//! different signatures. Never far ahead of the clock.

use std::sync::atomic::{AtomicI64, Ordering};

/// How far a signed time may be ahead of the clock. Exchanges take a second and more; five orders in a millisecond are
/// more than their limits allow for long.
const AHEAD_MAX_MS: i64 = 5;

/// The newest time that was signed with a key, in milliseconds since 1970, over all workers and configurations.
#[derive(Debug, Default)]
pub struct Stamps(AtomicI64);

impl Stamps {
    /// The time to sign: the clock's, or a millisecond after the newest where that is later and still near. Takes and gives
    /// microseconds since 1970; where the clock is taken as it is, to the microsecond.
    pub(super) fn next(&self, unix_us: i64) -> i64 {
        let clock = unix_us.div_euclid(1_000);
        let near = |newest: i64| newest >= clock && newest < clock.saturating_add(AHEAD_MAX_MS);
        let next = |newest: i64| match near(newest) {
            true => Some(newest.saturating_add(1)),
            false => Some(clock),
        };
        let order = Ordering::Relaxed;
        match self.0.fetch_update(order, order, next) {
            Ok(newest) if near(newest) => newest.saturating_add(1).saturating_mul(1_000),
            Ok(_) | Err(_) => unix_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_and_stay_near_the_clock() {
        let stamps = Stamps::default();
        let at = |micros: i64| stamps.next(1_000_000 + micros);
        assert_eq!(at(0), 1_000_000);
        assert_eq!(at(999), 1_001_000);
        assert_eq!(at(1_500), 1_002_000);
        assert_eq!(at(9_001), 1_009_001);
        let burst: Vec<i64> = (0..6).map(|_| at(9_001)).collect();
        let ahead = [1_010_000, 1_011_000, 1_012_000, 1_013_000, 1_014_000];
        assert_eq!(burst, [&ahead[..], &[1_009_001]].concat());
        // A clock that was set back is taken as it is.
        assert_eq!(at(-500_000), 500_000);
        assert_eq!(at(-500_000), 501_000);
    }

    #[test]
    fn no_two_threads_get_one_time() {
        let stamps = Stamps::default();
        let times = std::thread::scope(|scope| {
            let threads = [(); 6].map(|()| scope.spawn(|| stamps.next(7_000)));
            threads.map(|thread| thread.join().unwrap())
        });
        let mut times = times.to_vec();
        times.sort_unstable();
        assert_eq!(times, [7_000, 8_000, 9_000, 10_000, 11_000, 12_000]);
    }
}
