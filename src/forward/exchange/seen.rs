//! What the handshakes with one endpoint have shown: read by metrics, evidence and readiness. Never decides anything.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::path::Chain;
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
    /// Whether the same was told a moment ago: worth a count, but not a line for each connection.
    pub repeated: bool,
}

/// Told of each mismatch, in the middle of a handshake: it must neither wait nor block.
pub type OnMismatch = Arc<dyn Fn(&Mismatch<'_>) + Send + Sync>;

/// How long a mismatch is the same as the one before.
const REPEATED_WITHIN: Duration = Duration::from_secs(60);

/// What was seen at one endpoint. Shared by all workers.
#[derive(Default)]
pub struct Seen {
    chain: ArcSwapOption<Chain>,
    /// The last mismatch, and when it was told. Locked only when there is one.
    missed: Mutex<Option<(Chain, Instant)>>,
}

impl Seen {
    /// The chain of the newest connection that was made.
    #[must_use]
    pub fn chain(&self) -> Option<Arc<Chain>> {
        self.chain.load_full()
    }

    /// Notes a connection that was made. Most show the same chain, which is then kept.
    pub(super) fn proven(&self, chain: &Chain) -> Arc<Chain> {
        if let Some(known) = self.chain.load_full()
            && *known == *chain
        {
            return known;
        }
        let new = Arc::new(chain.clone());
        self.chain.store(Some(Arc::clone(&new)));
        new
    }

    /// Notes a mismatch; true if the same was noted a moment ago.
    pub(super) fn missed(&self, chain: &Chain) -> bool {
        // What is in it is whole.
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let repeated = missed.as_ref().is_some_and(|(before, told)| {
            before == chain && now.duration_since(*told) < REPEATED_WITHIN
        });
        if !repeated {
            *missed = Some((chain.clone(), now));
        }
        repeated
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Seen({:?})", self.chain.load_full())
    }
}
