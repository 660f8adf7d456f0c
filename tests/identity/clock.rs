//! What happens when somebody sets the clock: limits and waits do not notice, tokens go by what the wall clock shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use outrider::identify::Reason;
use outrider::ledger::{Ledger, LimitSpec, Spent};
use outrider::model::clock::{Clock, Now};
use outrider::model::settings::Allowance;
use outrider::model::units::Rate;

use crate::support::{ISSUER, LIFETIME_MAX, NOW, good_token, verifier};

const HOUR: i64 = 3_600;

/// A clock that is set by hand, as an operator or an NTP server that lies would.
struct SetClock {
    mono_ns: AtomicU64,
    unix_seconds: AtomicI64,
}

impl SetClock {
    fn new() -> Self {
        Self {
            mono_ns: AtomicU64::new(1_000_000_000),
            unix_seconds: AtomicI64::new(NOW),
        }
    }

    /// Only what the wall shows.
    fn set(&self, unix_seconds: i64) {
        self.unix_seconds.store(unix_seconds, Ordering::Relaxed);
    }

    /// Time that has passed, on both.
    fn pass(&self, seconds: u32) {
        let nanos = u64::from(seconds) * 1_000_000_000;
        self.mono_ns.fetch_add(nanos, Ordering::Relaxed);
        self.unix_seconds
            .fetch_add(i64::from(seconds), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Now {
        Now {
            mono_ns: self.mono_ns.load(Ordering::Relaxed),
            unix_us: self.unix_seconds.load(Ordering::Relaxed) * 1_000_000,
        }
    }
}

fn once_a_minute() -> Ledger {
    let rate = Rate::parse("1/min").unwrap();
    let limit = LimitSpec {
        name: Arc::from("place"),
        rule: Arc::from("orders/limits.place"),
        per: Arc::from("all"),
        rate,
        burst: 1,
    };
    Ledger::new(&[limit], Allowance { rate, burst: 1 })
}

#[test]
fn a_clock_that_is_set_neither_fills_a_limit_nor_empties_it() {
    let clock = SetClock::new();
    let ledger = once_a_minute();
    let key = ledger.key(&[b"everybody"]);
    let address = "192.0.2.1".parse().unwrap();
    let granted = || {
        let spent = ledger.limit(0).unwrap().spend(key, clock.now());
        matches!(spent, Spent::Granted { .. })
    };
    assert!(granted());
    ledger.note_failure(address, clock.now());
    for jump in [24 * HOUR, -24 * HOUR, 0] {
        clock.set(NOW + jump);
        assert!(!granted(), "{jump}");
        let wait = ledger.failures_spent(address, clock.now());
        assert_eq!(wait, Some(Duration::from_secs(60)), "{jump}");
    }
    clock.set(NOW - 24 * HOUR);
    clock.pass(60);
    assert!(granted(), "a minute has passed, whatever the wall shows");
    assert_eq!(ledger.failures_spent(address, clock.now()), None);
}

#[test]
fn waits_are_measured_by_time_that_has_passed() {
    let clock = SetClock::new();
    let begun = clock.now();
    clock.set(NOW - 24 * HOUR);
    clock.pass(5);
    assert_eq!(clock.now().since(begun), Duration::from_secs(5));
    clock.set(NOW + 24 * HOUR);
    assert_eq!(clock.now().since(begun), Duration::from_secs(5));
}

/// A wrong jump forward locks nobody out for longer than it lasts, also not by what was remembered meanwhile.
#[test]
fn tokens_go_by_the_wall_clock_in_both_directions() {
    let clock = SetClock::new();
    let verifier = verifier(&ISSUER.jwks());
    let token = good_token();
    let fingerprint = verifier.fingerprint(token.as_bytes()).unwrap();
    let verified = || verifier.verify(token.as_bytes(), clock.now());
    let remembered = || verifier.cached(&fingerprint, clock.now()).is_some();
    let first = verified().unwrap();
    verifier.remember(verifier.fingerprint(token.as_bytes()).unwrap(), first);
    assert!(remembered());
    for (shown, reason) in [
        (NOW + 24 * HOUR, Reason::Expired),
        (NOW - HOUR, Reason::IssuedInFuture),
        (NOW - LIFETIME_MAX, Reason::IssuedInFuture),
    ] {
        clock.set(shown);
        assert_eq!(verified().err(), Some(reason), "{shown}");
        assert!(!remembered(), "{shown}");
    }
    clock.set(NOW);
    assert!(verified().is_ok());
}
