//! What the handshakes with one endpoint have shown: read by metrics, evidence and readiness. Never decides anything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::path::Chain;
use super::trust::Proven;
use crate::model::endpoint::Endpoint;
use crate::model::pins::PinMode;

/// A server whose chain holds in everything but the pins.
#[derive(Debug)]
pub struct Mismatch<'a> {
    /// Which endpoint.
    pub endpoint: &'a Endpoint,
    /// The keys that were seen.
    pub chain: &'a Chain,
    /// What came of it: `Enforce` is a connection that was closed, `Report` one that is used.
    pub mode: PinMode,
}

/// Told of each mismatch, in the middle of a handshake: it must neither wait nor block.
pub type OnMismatch = Arc<dyn Fn(&Mismatch<'_>) + Send + Sync>;

/// What was seen at one endpoint. Shared by all workers; no lock.
#[derive(Default)]
pub struct Seen {
    chain: ArcSwapOption<Chain>,
    leaf_only: AtomicBool,
    handshakes: AtomicU64,
    mismatches: AtomicU64,
}

impl Seen {
    /// The chain of the newest connection that was made.
    #[must_use]
    pub fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.load_full()
    }

    /// Whether, on the newest connection, only the server's own key is pinned.
    #[must_use]
    pub fn is_pinned_only_at_leaf(&self) -> bool {
        self.leaf_only.load(Ordering::Relaxed)
    }

    /// Connections made.
    #[must_use]
    pub fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Chains none of whose keys was pinned.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        self.mismatches.load(Ordering::Relaxed)
    }

    /// Notes a connection that was made.
    pub(super) fn proven(&self, endpoint: &Endpoint, proven: &Proven) -> Arc<Chain> {
        let chain = self.keep(&proven.chain);
        let pins = endpoint.pins.as_ref();
        let only = pins.is_some_and(|pins| chain.meets_only_at_leaf(&pins.value));
        self.leaf_only.store(only, Ordering::Relaxed);
        self.handshakes.fetch_add(1, Ordering::Relaxed);
        chain
    }

    pub(super) fn mismatch(&self) {
        self.mismatches.fetch_add(1, Ordering::Relaxed);
    }

    /// The chain that is shown; a new one only if it differs, because most connections show the same.
    fn keep(&self, chain: &Chain) -> Arc<Chain> {
        if let Some(known) = self.chain.load_full()
            && *known == *chain
        {
            return known;
        }
        let new = Arc::new(chain.clone());
        self.chain.store(Some(Arc::clone(&new)));
        new
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seen({:?})", self.chain.load_full())
    }
}
