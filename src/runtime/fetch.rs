//! When something that changes elsewhere is fetched: on a schedule, sooner after a failure, once when it is missed.
//! Knows nothing of what is fetched; one fetch at a time, and nobody waits for it.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// After the first failure; doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// However often it failed.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Between two fetches of which the later is asked for because something is missing. A stranger can ask as often as
/// they like.
pub const COOLDOWN: Duration = Duration::from_secs(30);

/// Names that are remembered as missed already.
const MISSED_MAX: usize = 256;

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// What is there is new, or still right; for so long, if its source says.
    Good(Option<Duration>),
    /// It did not work; what was there stays.
    Failed,
}

/// Fetches at once and then again and again until `stop` is done: after `refresh` or what the source says, but not
/// more often than [`COOLDOWN`]; after a failure sooner, with a growing pause; for a request as soon as the cooldown allows.
/// Pauses are shortened by chance, so that a fleet that starts together does not stay together.
pub async fn run<F>(
    refresh: Duration,
    requests: &FetchRequests,
    stop: impl Future<Output = ()>,
    mut fetch: impl FnMut() -> F,
) where
    F: Future<Output = Fetched>,
{
    let (chance, mut failures, mut stop) = (Chance::default(), 0, std::pin::pin!(stop));
    loop {
        requests.begin();
        let begun = Instant::now();
        let fetched = tokio::select! {
            () = &mut stop => return,
            fetched = fetch() => fetched,
        };
        failures = match fetched {
            Fetched::Good(_) => 0,
            Fetched::Failed => failures + 1,
        };
        let pause = pause(refresh, fetched, failures);
        let requested = async {
            sleep_until(begun + COOLDOWN).await;
            requests.requested().await;
        };
        tokio::select! {
            () = &mut stop => return,
            () = sleep(chance.shorten(pause)) => requests.forget(),
            () = requested => {}
        }
    }
}

fn pause(refresh: Duration, fetched: Fetched, failures: u32) -> Duration {
    match fetched {
        Fetched::Good(None) => refresh,
        Fetched::Good(Some(fresh)) => fresh.max(COOLDOWN).min(refresh),
        Fetched::Failed => {
            let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
            let grown = doubled.and_then(|factor| RETRY_FIRST.checked_mul(factor));
            grown.unwrap_or(RETRY_MAX).min(RETRY_MAX).min(refresh)
        }
    }
}

/// What was looked for and is not there: asks for a fetch, once. Lock-free but for the one call that wakes the fetcher.
pub struct FetchRequests {
    requested: AtomicBool,
    wake: Notify,
    /// Hashes of names, each in the slot that it falls on: a name that a fetch did not bring is not asked for again
    /// before the next fetch by schedule. Bounded, because names come from strangers; one that is pushed out may be
    /// asked for again, which the cooldown bounds.
    missed: [AtomicU64; MISSED_MAX],
    hasher: RandomState,
}

impl FetchRequests {
    /// Notes that something of this name is not there.
    pub fn miss(&self, name: &str) {
        // Zero is an empty slot.
        let hash = self.hasher.hash_one(name) | 1;
        let slot = usize::try_from(hash >> 32).unwrap_or_default() % MISSED_MAX;
        let known = self
            .missed
            .get(slot)
            .map(|slot| slot.swap(hash, Ordering::Relaxed));
        if known == Some(hash) || self.requested.swap(true, Ordering::AcqRel) {
            return;
        }
        self.wake.notify_one();
    }

    /// A fetch begins that may meet every request so far.
    fn begin(&self) {
        self.requested.store(false, Ordering::Release);
    }

    /// Every name may be asked for again.
    fn forget(&self) {
        for slot in &self.missed {
            slot.store(0, Ordering::Relaxed);
        }
    }

    async fn requested(&self) {
        // A notice may be left over from a request that a fetch by schedule has met.
        while !self.requested.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
    }
}

impl Default for FetchRequests {
    fn default() -> Self {
        Self {
            requested: AtomicBool::new(false),
            wake: Notify::new(),
            missed: std::array::from_fn(|_| AtomicU64::new(0)),
            hasher: RandomState::new(),
        }
    }
}

impl fmt::Debug for FetchRequests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "FetchRequests({})",
            self.requested.load(Ordering::Relaxed)
        )
    }
}

/// Random numbers that nobody's safety hangs on.
#[derive(Default)]
struct Chance(RandomState, std::cell::Cell<u64>);

impl Chance {
    /// Between four fifths of the pause and all of it.
    fn shorten(&self, pause: Duration) -> Duration {
        self.1.set(self.1.get().wrapping_add(1));
        let drawn = u32::try_from(self.0.hash_one(self.1.get()) % 1_000).unwrap_or_default();
        pause - pause / 5 * drawn / 1_000
    }
}

#[cfg(test)]
mod tests;
