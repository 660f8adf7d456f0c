//! Counters and limits: everything that changes from request to request, bounded, behind `&self`.
//! Never reads a clock: the moment is given with every question. Imports only `model`.

pub mod exchange;
pub mod exchange_clock;
mod limit;

use std::collections::HashMap;
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
    limits: Vec<Arc<Limit>>,
    failures: Arc<Limit>,
    hashers: (RandomState, RandomState),
}

/// The key of a counter: 128 bits of two keyed hashes, so that state is small and nobody can aim at another's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u128);

impl Ledger {
    /// Counters for the limits of a policy, in its order, and for failures of identity.
    #[must_use]
    pub fn new(limits: &[LimitSpec], failures: Allowance) -> Self {
        let fresh = |spec: LimitSpec| Arc::new(Limit::new(spec));
        Self {
            limits: limits.iter().cloned().map(fresh).collect(),
            failures: fresh(failures_spec(failures)),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// The same for a policy that follows another one: what stayed as it was goes on counting where it is, for both, as
    /// long as requests of both are under way.
    #[must_use]
    pub fn succeeding(old: &Self, limits: &[LimitSpec], failures: Allowance) -> Self {
        let known: HashMap<&LimitSpec, &Arc<Limit>> =
            (old.limits.iter().map(|limit| (limit.spec(), limit))).collect();
        let kept = |spec: &LimitSpec| match known.get(spec) {
            Some(limit) => Arc::clone(limit),
            None => Arc::new(Limit::new(spec.clone())),
        };
        let failures = failures_spec(failures);
        Self {
            limits: limits.iter().map(kept).collect(),
            failures: match *old.failures.spec() == failures {
                true => Arc::clone(&old.failures),
                false => Arc::new(Limit::new(failures)),
            },
            hashers: old.hashers.clone(),
        }
    }

    /// The limit at this position of the policy.
    #[must_use]
    pub fn limit(&self, index: usize) -> Option<&Limit> {
        self.limits.get(index).map(Arc::as_ref)
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
            .map(|limit| limit.keys())
            .sum()
    }
}

fn failures_spec(failures: Allowance) -> LimitSpec {
    LimitSpec {
        name: Arc::from("failures"),
        rule: Arc::from("inbound/tokens.failures"),
        per: Arc::from("client_ip"),
        rate: failures.rate,
        burst: failures.burst,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Rate;

    const NOW: Now = Now {
        mono_ns: 1_000_000_000,
        unix_us: 0,
    };

    fn spec(rule: &str, per: &str, rate: &str) -> LimitSpec {
        LimitSpec {
            name: Arc::from("place"),
            rule: Arc::from(rule),
            per: Arc::from(per),
            rate: Rate::parse(rate).unwrap(),
            burst: 1,
        }
    }

    fn failures(burst: u32) -> Allowance {
        Allowance {
            rate: Rate::parse("1/h").unwrap(),
            burst,
        }
    }

    #[test]
    fn what_stayed_as_it_was_keeps_its_state() {
        let before = spec("order/limits.place", "user", "1/h");
        let old = Ledger::new(std::slice::from_ref(&before), failures(1));
        let key = old.key(&[b"issuer", b"alice"]);
        let address = "192.0.2.1".parse().unwrap();
        assert!(matches!(
            old.limit(0).unwrap().spend(key, NOW),
            Spent::Granted { .. }
        ));
        old.note_failure(address, NOW);

        let added = spec("other/limits.place", "user", "1/h");
        let new = Ledger::succeeding(&old, &[added, before], failures(1));
        assert_eq!(new.key(&[b"issuer", b"alice"]), key);
        assert_eq!(new.limit(0).unwrap().wait(key, NOW), None);
        assert!(new.limit(1).unwrap().wait(key, NOW).is_some());
        assert!(new.failures_spent(address, NOW).is_some());
    }

    #[test]
    fn what_changed_begins_anew() {
        let before = spec("order/limits.place", "user", "1/h");
        let old = Ledger::new(std::slice::from_ref(&before), failures(1));
        let key = old.key(&[b"alice"]);
        let address = "192.0.2.1".parse().unwrap();
        old.limit(0).unwrap().spend(key, NOW);
        old.note_failure(address, NOW);
        for changed in [
            spec("order/limits.place", "user", "2/h"),
            spec("order/limits.place", "all", "1/h"),
            spec("trade/limits.place", "user", "1/h"),
        ] {
            let new = Ledger::succeeding(&old, &[changed], failures(2));
            assert_eq!(new.limit(0).unwrap().wait(key, NOW), None);
            assert_eq!(new.failures_spent(address, NOW), None);
        }
    }
}
