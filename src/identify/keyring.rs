//! The keys in force, and how long they may be: fixed ones for ever, fetched ones until they are too old. A new set
//! replaces the old one whole, or not at all. Never fetches, never waits: keys that are missed are only asked for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};

use super::keys::{DroppedKey, KeyError, KeySet};
use crate::model::clock::Now;
use crate::runtime::fetch::FetchRequests;

/// The keys that tokens are verified with now. Read without a lock; shared by whoever fetches.
pub struct Keyring {
    loaded: ArcSwapOption<Loaded>,
    remote: Option<Remote>,
}

/// What only fetched keys have.
struct Remote {
    stale_max: Duration,
    requests: Arc<FetchRequests>,
    /// Whether the keys were fetched by certificates that are not the trusted ones any more.
    on_probation: AtomicBool,
}

/// A set and when it was asked for.
pub(super) struct Loaded {
    pub(super) set: Arc<KeySet>,
    fetched_at: Now,
}

/// Why no token can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// No good document has come yet.
    NeverLoaded,
    /// The last good one is older than it may be.
    TooOld,
}

impl Unavailable {
    /// For the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverLoaded => "no keys have been fetched yet",
            Self::TooOld => "the keys are older than `stale_max`",
        }
    }
}

/// What a document changed.
#[derive(Debug)]
pub struct Replaced {
    /// Whether the keys are others than before.
    pub changed: bool,
    /// Keys of the document that are not used, and why.
    pub dropped: Vec<DroppedKey>,
}

impl Keyring {
    /// Keys that are there for as long as the verifier.
    pub(super) fn fixed(set: KeySet) -> Self {
        let loaded = Loaded {
            set: Arc::new(set),
            fetched_at: Now {
                mono_ns: 0,
                unix_us: 0,
            },
        };
        Self {
            loaded: ArcSwapOption::from_pointee(loaded),
            remote: None,
        }
    }

    /// No keys yet; what is fetched counts for `stale_max`.
    #[must_use]
    pub fn remote(stale_max: Duration) -> Self {
        Self {
            loaded: ArcSwapOption::empty(),
            remote: Some(Remote {
                stale_max,
                requests: Arc::default(),
                on_probation: AtomicBool::new(false),
            }),
        }
    }

    /// Begins with the keys of another one, as old as they are; what is fetched counts for `stale_max`. If those are on
    /// probation, so are these.
    #[must_use]
    pub fn following(before: &Self, stale_max: Duration) -> Self {
        let keyring = Self::remote(stale_max);
        keyring.loaded.store(before.loaded.load_full());
        let on_probation = before.remote.as_ref().is_some_and(Remote::on_probation);
        keyring.set_on_probation(on_probation);
        keyring
    }

    /// The same where other certificates are trusted now: the keys count until the first fetch ends, which replaces or
    /// confirms them, or else takes them away. So certificates can be rolled while tokens are in use, and keys that only
    /// a distrusted authority vouched for do not outlive it.
    #[must_use]
    pub fn following_on_probation(before: &Self, stale_max: Duration) -> Self {
        let keyring = Self::following(before, stale_max);
        keyring.set_on_probation(true);
        keyring
    }

    /// A fetch has failed: takes keys on probation away, and says whether there were any.
    pub fn fetch_failed(&self) -> bool {
        if !self.remote.as_ref().is_some_and(Remote::on_probation) {
            return false;
        }
        self.set_on_probation(false);
        let taken = self.loaded.swap(None);
        if let Some(taken) = &taken {
            taken.set.retire_all();
        }
        taken.is_some()
    }

    fn set_on_probation(&self, on_probation: bool) {
        if let Some(remote) = &self.remote {
            remote.on_probation.store(on_probation, Ordering::Release);
        }
    }

    /// Takes a JWK Set that was asked for at `asked`. Tokens of keys that are not in it are no longer remembered,
    /// tokens of keys that are in both sets are. For one fetcher: two at once could bring the older set last.
    ///
    /// # Errors
    /// The document is not acceptable as a whole; the keys are what they were.
    pub fn replace(&self, document: &[u8], asked: Now) -> Result<Replaced, KeyError> {
        let (mut set, dropped) = KeySet::parse_fetched(document)?;
        let old = self.loaded.load_full();
        let changed = old.as_ref().is_none_or(|old| !set.inherit(&old.set));
        self.store(Arc::new(set), asked);
        if let (true, Some(old), Some(new)) = (changed, old, self.loaded.load_full()) {
            old.set.retire_all_but(&new.set);
        }
        Ok(Replaced { changed, dropped })
    }

    /// The document is what it was, as its server said when asked at `asked`.
    pub fn confirm(&self, asked: Now) {
        if let Some(old) = self.loaded.load_full() {
            self.store(Arc::clone(&old.set), asked);
        }
    }

    fn store(&self, set: Arc<KeySet>, fetched_at: Now) {
        self.set_on_probation(false);
        self.loaded
            .store(Some(Arc::new(Loaded { set, fetched_at })));
    }

    /// Whether tokens can be judged.
    ///
    /// # Errors
    /// They cannot, whatever they say.
    pub fn available(&self, now: Now) -> Result<(), Unavailable> {
        match (&*self.loaded.load(), &self.remote) {
            (None, _) => Err(Unavailable::NeverLoaded),
            (Some(loaded), Some(remote)) if now.since(loaded.fetched_at) > remote.stale_max => {
                Err(Unavailable::TooOld)
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// How old the fetched keys are; before the first, how long the process has waited; zero for fixed keys.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        match (&*self.loaded.load(), &self.remote) {
            (_, None) => Duration::ZERO,
            (None, Some(_)) => Duration::from_nanos(now.mono_ns),
            (Some(loaded), Some(_)) => now.since(loaded.fetched_at),
        }
    }

    /// How many keys are in force.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.loaded
            .load()
            .as_ref()
            .map_or(0, |loaded| loaded.set.len())
    }

    /// Their names, sorted.
    #[must_use]
    pub fn kids(&self) -> Vec<String> {
        let loaded = self.loaded.load();
        let kids = loaded.as_ref().map(|loaded| loaded.set.kids());
        kids.into_iter().flatten().map(str::to_owned).collect()
    }

    /// Through which missed keys are asked for; none for fixed keys.
    #[must_use]
    pub fn fetch_requests(&self) -> Option<&Arc<FetchRequests>> {
        self.remote.as_ref().map(|remote| &remote.requests)
    }

    pub(super) fn load(&self) -> Guard<Option<Arc<Loaded>>> {
        self.loaded.load()
    }

    /// A token names a key that is not there.
    pub(super) fn missed(&self, kid: &str) {
        if let Some(remote) = &self.remote {
            remote.requests.miss(kid);
        }
    }
}

impl Remote {
    fn on_probation(&self) -> bool {
        self.on_probation.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loaded = self.loaded.load();
        out.debug_tuple("Keyring")
            .field(&loaded.as_ref().map(|loaded| &loaded.set))
            .finish()
    }
}

#[cfg(test)]
mod tests;
