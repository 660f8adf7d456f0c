//! The account of bodies held whole: how many bytes all of them together may take, and who gives them back.
//! Never waits for room: a body that finds none is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::BodyFault;

/// What bodies held whole may take together. Clones share one account: all workers, and every configuration in turn.
#[derive(Clone, Debug)]
pub struct WholeBodies {
    held: Arc<AtomicU64>,
    bytes_max: u64,
}

impl WholeBodies {
    /// An account with nothing on it.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self {
            held: Arc::default(),
            bytes_max,
        }
    }

    /// The same account with another bound.
    #[must_use]
    pub fn rebound(&self, bytes_max: u64) -> Self {
        Self {
            held: Arc::clone(&self.held),
            bytes_max,
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most bytes of all bodies, and so of any one.
    pub(super) const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The share of one body, empty at first.
    pub(super) fn share(&self) -> Share {
        Share {
            account: self.clone(),
            bytes: 0,
        }
    }
}

/// What one body has on the account; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    account: WholeBodies,
    bytes: u64,
}

impl Share {
    /// Puts a piece that came onto the account.
    pub(super) fn add(&mut self, piece: &Bytes) -> Result<(), BodyFault> {
        let (bytes, most) = (piece.len() as u64, self.account.bytes_max);
        let with = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= most);
        // Only the sum counts; nothing else is read by it.
        let held = &self.account.held;
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with)
            .map_err(|_| BodyFault::Crowded)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Ties the share to the bytes: it is given back when the last of them is let go, wherever that is.
    pub(super) fn of(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Shared {
            bytes,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Shared {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
