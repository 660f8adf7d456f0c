//! One limit: governor's token bucket (GCRA) for each key, on time that is given, in a map that cannot outgrow its cap.

use std::cell::Cell;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::model::clock::Now;
use crate::model::units::{Rate, seconds_up};

use super::Key;

/// Keys that one limit tells apart. About 50 bytes each; further keys share one bucket until the next sweep, so that a
/// stranger with many addresses can neither grow the map nor push known callers out of it.
const KEYS_MAX: usize = 100_000;

/// What a limit grants, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitSpec {
    /// Its name, as clients are told.
    pub name: Arc<str>,
    /// The rule that asks it: what it is known by when the policy changes.
    pub rule: Arc<str>,
    /// What it counts apart, as written.
    pub per: Arc<str>,
    /// What it grants over time.
    pub rate: Rate,
    /// What it grants at once; at least one.
    pub burst: u32,
}

impl LimitSpec {
    /// Whole seconds, rounded up, in which an empty bucket fills.
    #[must_use]
    pub fn window_seconds(&self) -> u64 {
        seconds_up(self.rate.interval().saturating_mul(self.burst))
    }
}

/// The state after one was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Granted; so many are left.
    Granted {
        /// Left at this moment.
        remaining: u32,
    },
    /// Refused until so much time has passed.
    Refused {
        /// Until the next one is granted.
        wait: Duration,
    },
}

/// One limit with the state of all its keys.
#[derive(Debug)]
pub struct Limit {
    spec: LimitSpec,
    limiter: RateLimiter<Key, BoundedStore, GivenClock, StateInformationMiddleware>,
    keys: Arc<Keys>,
    tolerance: Nanos,
}

impl Limit {
    /// A limit with no key spent.
    #[must_use]
    pub fn new(spec: LimitSpec) -> Self {
        let burst = NonZeroU32::new(spec.burst).unwrap_or(NonZeroU32::MIN);
        let interval = spec.rate.interval().max(Duration::from_nanos(1));
        // `with_period` refuses only zero, which `max` above excludes.
        let quota = Quota::with_period(interval).unwrap_or_else(|| Quota::per_second(burst));
        let keys = Arc::new(Keys::default());
        set_time(0);
        let store = BoundedStore(Arc::clone(&keys));
        let limiter = RateLimiter::new(quota.allow_burst(burst), store, GivenClock);
        let tolerance = Nanos::from(interval.saturating_mul(burst.get().saturating_sub(1)));
        Self {
            spec,
            limiter,
            keys,
            tolerance,
        }
    }

    /// What it grants.
    #[must_use]
    pub const fn spec(&self) -> &LimitSpec {
        &self.spec
    }

    /// Takes one from the key's bucket.
    pub fn spend(&self, key: Key, now: Now) -> Spent {
        set_time(now.mono_ns);
        match self.limiter.check_key(&key) {
            Ok(state) => Spent::Granted {
                remaining: state.remaining_burst_capacity(),
            },
            Err(refused) => Spent::Refused {
                wait: refused.wait_time_from(Nanos::new(now.mono_ns)),
            },
        }
    }

    /// How long until the key's bucket grants one; `None` if it would now. Takes nothing.
    #[must_use]
    pub fn wait(&self, key: Key, now: Now) -> Option<Duration> {
        let arrival = self.keys.peek(key)?;
        let earliest = arrival.saturating_sub(self.tolerance).as_u64();
        let wait = earliest.saturating_sub(now.mono_ns);
        (wait > 0).then(|| Duration::from_nanos(wait))
    }

    /// Forgets keys whose bucket is full again.
    pub fn sweep(&self, now: Now) {
        self.keys.forget_full(now);
    }

    /// Keys held at the moment.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.count.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// The moment of the question being asked on this thread.
    static TIME: Cell<u64> = const { Cell::new(0) };
}

fn set_time(mono_ns: u64) {
    TIME.with(|time| time.set(mono_ns));
}

/// governor asks its clock; this one answers what the question was asked with.
#[derive(Clone, Copy, Debug)]
struct GivenClock;

impl Clock for GivenClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(TIME.with(Cell::get))
    }
}

/// The buckets: known keys keep theirs, new keys beyond the cap share one.
#[derive(Debug, Default)]
struct Keys {
    buckets: DashMap<Key, InMemoryState, BuildHasherDefault<AlreadyHashed>>,
    count: AtomicUsize,
    overflow: InMemoryState,
}

impl Keys {
    /// When the key's bucket would be full again, in GCRA's terms; `None` if it is full or unknown.
    fn peek(&self, key: Key) -> Option<Nanos> {
        match self.buckets.get(&key) {
            Some(bucket) => arrival(&bucket),
            None if self.is_full() => arrival(&self.overflow),
            None => None,
        }
    }

    fn forget_full(&self, now: Now) {
        self.buckets.retain(|_, bucket| {
            arrival(bucket).is_some_and(|arrival| arrival.as_u64() > now.mono_ns)
        });
        self.buckets.shrink_to_fit();
        self.count.store(self.buckets.len(), Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= KEYS_MAX
    }
}

/// A bucket's theoretical arrival time, read without changing it: a measurement that refuses replaces nothing.
fn arrival(bucket: &InMemoryState) -> Option<Nanos> {
    bucket
        .measure_and_replace(&NotKeyed::NonKey, Err::<((), Nanos), _>)
        .err()
        .flatten()
}

#[derive(Debug)]
struct BoundedStore(Arc<Keys>);

impl StateStore for BoundedStore {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let keys = &*self.0;
        if let Some(bucket) = keys.buckets.get(key) {
            return bucket.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        if keys.is_full() {
            return keys
                .overflow
                .measure_and_replace(&NotKeyed::NonKey, measure);
        }
        let bucket = match keys.buckets.entry(*key) {
            Entry::Occupied(known) => known.into_ref(),
            Entry::Vacant(free) => {
                keys.count.fetch_add(1, Ordering::Relaxed);
                free.insert(InMemoryState::default())
            }
        };
        bucket.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

/// Keys are keyed hashes already; hashing them again would only cost.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = (hash >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ns: u64) -> Now {
        Now {
            mono_ns,
            unix_us: 0,
        }
    }

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit::new(LimitSpec {
            name: Arc::from("test"),
            rule: Arc::from("test"),
            per: Arc::from("all"),
            rate: Rate::parse(rate).unwrap(),
            burst,
        })
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn exactly_the_burst_passes_and_the_wait_is_true() {
        let limit = limit("10/s", 5);
        for left in (0..5).rev() {
            assert_eq!(
                limit.spend(Key(1), at(7 * SECOND)),
                Spent::Granted { remaining: left }
            );
        }
        let Spent::Refused { wait } = limit.spend(Key(1), at(7 * SECOND)) else {
            panic!("the sixth of five passed");
        };
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(limit.wait(Key(1), at(7 * SECOND)), Some(wait));
        let then = 7 * SECOND + u64::try_from(wait.as_nanos()).unwrap();
        assert!(matches!(
            limit.spend(Key(1), at(then - 1)),
            Spent::Refused { .. }
        ));
        assert!(matches!(
            limit.spend(Key(1), at(then)),
            Spent::Granted { .. }
        ));
    }

    #[test]
    fn keys_do_not_share_and_asking_takes_nothing() {
        let limit = limit("1/min", 1);
        assert_eq!(limit.wait(Key(1), at(0)), None);
        assert_eq!(limit.keys(), 0);
        assert_eq!(limit.spend(Key(1), at(0)), Spent::Granted { remaining: 0 });
        assert_eq!(limit.wait(Key(2), at(0)), None);
        assert_eq!(limit.spend(Key(2), at(0)), Spent::Granted { remaining: 0 });
    }

    #[test]
    fn keys_beyond_the_cap_share_one_bucket_and_known_keys_keep_theirs() {
        let limit = limit("1/h", 1);
        for key in 0..KEYS_MAX as u128 {
            limit.spend(Key(key << 64 | key), at(SECOND));
        }
        assert_eq!(limit.keys(), KEYS_MAX);
        let stranger = |key: u128| limit.spend(Key(u128::MAX - key), at(SECOND));
        assert!(matches!(stranger(1), Spent::Granted { .. }));
        assert!(matches!(stranger(2), Spent::Refused { .. }));
        assert!(matches!(
            limit.spend(Key(0), at(SECOND)),
            Spent::Refused { .. }
        ));
        limit.sweep(at(2 * 3600 * SECOND));
        assert_eq!(limit.keys(), 0);
    }

    #[test]
    fn a_thousand_threads_worth_of_asking_grants_the_burst_and_no_more() {
        let limit = limit("1/h", 1000);
        let granted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if matches!(limit.spend(Key(9), at(SECOND)), Spent::Granted { .. }) {
                            granted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(granted.into_inner(), 1000);
    }
}
