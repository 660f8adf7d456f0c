//! What the exchange has seen: requests, connections, orders, and whatever should never have reached it. Holds neither
//! keys nor signatures.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

/// Entries of each list; later ones are counted and not kept.
const KEPT_MAX: usize = 10_000;

/// Signed requests that are remembered.
const REPLAYS_MAX: usize = 500_000;

/// Counters and lists of one exchange.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    violations: Mutex<Vec<String>>,
    routes: Mutex<BTreeMap<String, u64>>,
    names: Mutex<Vec<Option<String>>>,
    replays: Mutex<HashSet<[u8; 32]>>,
    pub(super) counts: Counts,
}

/// How often something happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) sockets: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    pub(super) resumed: AtomicU64,
    pub(super) placed: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) withdrawals: AtomicU64,
    pub(super) repeated_reads: AtomicU64,
    pub(super) sent_while_banned: AtomicU64,
}

impl Evidence {
    /// Something that should never have reached an exchange.
    pub(super) fn violation(&self, text: String) {
        let mut violations = lock(&self.violations);
        if violations.len() < KEPT_MAX {
            violations.push(text);
        }
    }

    pub(super) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    pub(super) fn clear_violations(&self) {
        lock(&self.violations).clear();
    }

    /// A request for a route, as `GET /api/v3/time` or `ws order.place`.
    pub(super) fn seen(&self, route: &str) {
        let mut routes = lock(&self.routes);
        if let Some(count) = routes.get_mut(route) {
            *count += 1;
        } else if routes.len() < KEPT_MAX {
            routes.insert(route.to_owned(), 1);
        }
    }

    pub(super) fn routes(&self) -> BTreeMap<String, u64> {
        lock(&self.routes).clone()
    }

    /// The server name of a handshake.
    pub(super) fn server_name(&self, name: Option<&str>) {
        let mut names = lock(&self.names);
        if names.len() < KEPT_MAX {
            names.push(name.map(str::to_owned));
        }
    }

    pub(super) fn server_names(&self) -> Vec<Option<String>> {
        lock(&self.names).clone()
    }

    /// Remembers a signed request, and says whether it came before. Only a digest is kept.
    pub(super) fn is_repeated(&self, key: &str, signature: &str, route: &str) -> bool {
        let text = format!("{key}\n{signature}\n{route}");
        let mut known = [0; 32];
        let digest = digest(&SHA256, text.as_bytes());
        known
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        let mut replays = lock(&self.replays);
        if replays.len() >= REPLAYS_MAX {
            replays.clear();
        }
        !replays.insert(known)
    }
}

/// Something open; counted down when it is dropped, however it ends.
#[derive(Debug)]
pub(super) struct Open<'c>(&'c AtomicU64);

impl<'c> Open<'c> {
    /// Counts up.
    pub(super) fn new(counter: &'c AtomicU64) -> Self {
        count(counter);
        Self(counter)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a counter says.
pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The lists are whole at every step, so a panic elsewhere does not spoil them.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
