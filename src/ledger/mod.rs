//! Counters and limits: everything that changes from request to request, bounded, behind `&self`.
//! Never reads a clock: the moment is given with every question. Imports only `model`.

mod limit;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::clock::Now;
use crate::model::ip::counted;
use crate::model::settings::Allowance;

pub use limit::{Limit, LimitSpec, Spent};

/// What one set of routes counts. Shared by all workers: a limit is one limit for the whole process.
#[derive(Debug)]
pub struct Ledger {
    limits: Vec<Limit>,
    failures: Limit,
    hashers: (RandomState, RandomState),
}

/// The key of a counter: 128 bits of two keyed hashes, so that state is small and nobody can aim at another's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u128);

impl Ledger {
    /// Counters for the limits of a policy, in its order, and for failures of identity.
    #[must_use]
    pub fn new(limits: &[LimitSpec], failures: Allowance) -> Self {
        let failures = LimitSpec {
            name: Arc::from("failures"),
            rate: failures.rate,
            burst: failures.burst,
        };
        Self {
            limits: limits.iter().cloned().map(Limit::new).collect(),
            failures: Limit::new(failures),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// The limit at this position of the policy.
    #[must_use]
    pub fn limit(&self, index: usize) -> Option<&Limit> {
        self.limits.get(index)
    }

    /// A key from parts that cannot run into each other: every part is hashed with its length.
    #[must_use]
    pub fn key(&self, parts: &[&[u8]]) -> Key {
        let high = self.hashers.0.hash_one(parts);
        let low = self.hashers.1.hash_one(parts);
        Key(u128::from(high) << 64 | u128::from(low))
    }

    /// A key for a client address: IPv4 whole, IPv6 its /64.
    #[must_use]
    pub fn address_key(&self, address: IpAddr) -> Key {
        match counted(address) {
            IpAddr::V4(v4) => self.key(&[&v4.octets()]),
            IpAddr::V6(v6) => self.key(&[&v6.octets()]),
        }
    }

    /// How long an address has to wait because its budget of failures is spent; `None` if it is not.
    #[must_use]
    pub fn failures_spent(&self, address: IpAddr, now: Now) -> Option<Duration> {
        self.failures.wait(self.address_key(address), now)
    }

    /// Counts one failure of identity.
    pub fn note_failure(&self, address: IpAddr, now: Now) {
        // Spent or not, the state says so the next time it is asked.
        let _state = self.failures.spend(self.address_key(address), now);
    }

    /// Forgets counters that are as good as new. Run about every half minute.
    pub fn sweep(&self, now: Now) {
        for limit in self.limits.iter().chain([&self.failures]) {
            limit.sweep(now);
        }
    }

    /// Counters held at the moment, over all limits.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.limits
            .iter()
            .chain([&self.failures])
            .map(Limit::keys)
            .sum()
    }
}
