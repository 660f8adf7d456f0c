//! Places for what is under way on one way out, of which the last few are kept for cancels: slow readers and slow answers
//! take the others, and a cancel finds its client connection and its connection to the exchange free. Never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::denial::{Cause, Denial};

/// The places of one way out, over all workers and all configurations: the listener's own number stays as it was at the
/// start, too.
#[derive(Debug)]
pub struct Places {
    max: u32,
    taken: AtomicU32,
}

/// A place, given back when the last clone is dropped: the client's answer has one, and so has an order whose client has
/// hung up.
#[derive(Clone, Debug)]
pub(super) struct Place {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held(Arc<Places>);

impl Places {
    /// So many places.
    #[must_use]
    pub const fn new(max: u32) -> Self {
        Self {
            max,
            taken: AtomicU32::new(0),
        }
    }

    /// A place for something that is no cancel, if there is one beside those that are `kept`.
    ///
    /// # Errors
    /// [`Cause::LocalCrowded`].
    pub(super) fn take(self: &Arc<Self>, kept: u32) -> Result<Place, Box<Denial>> {
        let max = self.max.saturating_sub(kept);
        let more = |taken: u32| (taken < max).then(|| taken + 1);
        let order = Ordering::Relaxed;
        match self.taken.fetch_update(order, order, more) {
            Ok(_) => Ok(Place {
                _held: Arc::new(Held(Arc::clone(self))),
            }),
            Err(_) => {
                let why = format!("{max} requests are under way, and what is left is for cancels");
                Err(Denial::new(Cause::LocalCrowded, why))
            }
        }
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_places_are_kept_and_come_back_with_the_last_clone() {
        let places = Arc::new(Places::new(3));
        let [one, _other] = [(); 2].map(|()| places.take(1).unwrap());
        let refused = places.take(1).unwrap_err();
        assert_eq!(refused.cause, Cause::LocalCrowded);
        let again = one.clone();
        drop(one);
        assert!(places.take(1).is_err());
        drop(again);
        let _one = places.take(1).unwrap();
        assert_eq!(places.taken(), 2);
        // More are kept than there are: nothing but cancels.
        assert!(places.take(4).is_err());
    }
}
