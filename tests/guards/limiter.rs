//! The token bucket against an exact model: any order of keys and moments, and many threads on a moving clock.

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use outrider::ledger::{Ledger, LimitSpec, Spent};
use outrider::model::clock::Now;
use outrider::model::settings::Allowance;
use outrider::model::units::Rate;
use proptest::collection::vec;
use proptest::prelude::*;

fn at(mono_ns: u64) -> Now {
    Now {
        mono_ns,
        unix_us: 0,
    }
}

fn ledger(rate: &str, burst: u32) -> Ledger {
    let rate = Rate::parse(rate).unwrap();
    let spec = LimitSpec {
        name: "few".into(),
        rule: "few".into(),
        per: "user".into(),
        rate,
        burst,
    };
    Ledger::new(&[spec], Allowance { rate, burst })
}

/// A bucket in exact arithmetic: fractions of a token are counted in nanoseconds of its interval.
struct Bucket {
    interval: u128,
    burst: u128,
    filled: u128,
    seen: u64,
}

impl Bucket {
    fn new(interval: u128, burst: u128, now: u64) -> Self {
        Self {
            interval,
            burst,
            filled: burst * interval,
            seen: now,
        }
    }

    fn spend(&mut self, now: u64) -> Spent {
        let grown = self.filled + u128::from(now - self.seen);
        self.filled = grown.min(self.burst * self.interval);
        self.seen = now;
        if self.filled >= self.interval {
            self.filled -= self.interval;
            let remaining = u32::try_from(self.filled / self.interval).unwrap();
            return Spent::Granted { remaining };
        }
        let wait = u64::try_from(self.interval - self.filled).unwrap();
        let wait = Duration::from_nanos(wait);
        Spent::Refused { wait }
    }
}

proptest! {
    #[test]
    fn any_sequence_is_granted_as_the_model_grants_it(
        rate in prop::sample::select(vec!["1/s", "3/s", "7/s", "10/min", "100/min", "1000/h", "5/d", "1000000/s"]),
        burst in 1u32..40,
        steps in vec((0usize..3, prop_oneof![0u64..3, 0u64..2_000_000_000, 0u64..100_000_000_000]), 1..200),
    ) {
        let ledger = ledger(rate, burst);
        let limit = ledger.limit(0).unwrap();
        let interval = Rate::parse(rate).unwrap().interval().as_nanos();
        let mut buckets: HashMap<usize, Bucket> = HashMap::new();
        let mut now = 1_000_000_000;
        for (who, step) in steps {
            now += step;
            let bucket = buckets
                .entry(who)
                .or_insert_with(|| Bucket::new(interval, u128::from(burst), now));
            let key = ledger.key(&[&[u8::try_from(who).unwrap()]]);
            let asked = limit.wait(key, at(now));
            let spent = limit.spend(key, at(now));
            prop_assert_eq!(spent, bucket.spend(now));
            match spent {
                Spent::Granted { .. } => prop_assert_eq!(asked, None),
                Spent::Refused { wait } => prop_assert_eq!(asked, Some(wait)),
            }
        }
    }

    #[test]
    fn sweeping_at_any_moment_changes_no_answer(
        burst in 1u32..5,
        steps in vec((any::<bool>(), 0u64..2_000_000_000), 1..100),
    ) {
        let (swept, kept) = (ledger("1/s", burst), ledger("1/s", burst));
        let mut now = 1;
        for (sweep, step) in steps {
            now += step;
            if sweep {
                swept.sweep(at(now));
            }
            let answers = [&swept, &kept].map(|ledger| {
                let key = ledger.key(&[b"one"]);
                ledger.limit(0).unwrap().spend(key, at(now))
            });
            prop_assert_eq!(answers[0], answers[1]);
        }
    }
}

#[test]
fn threads_on_a_moving_clock_are_granted_burst_and_refill_to_the_last_one() {
    const THREADS: usize = 8;
    const ROUNDS: u64 = 200;
    const STEP: u64 = 37_000_000;
    let ledger = ledger("100/s", 50);
    let limit = ledger.limit(0).unwrap();
    let keys: Vec<_> = (0..4u8).map(|n| ledger.key(&[&[n]])).collect();
    let granted: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
    let clock = AtomicU64::new(1_000_000_000);
    let (begin, end) = (Barrier::new(THREADS), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    begin.wait();
                    let now = at(clock.load(Ordering::SeqCst));
                    for (key, granted) in keys.iter().zip(&granted) {
                        for _ in 0..10 {
                            if matches!(limit.spend(*key, now), Spent::Granted { .. }) {
                                granted.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    if end.wait().is_leader() {
                        clock.fetch_add(STEP, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    // Eighty ask for each key in each round, more than are ever there, so that every token is taken as it comes.
    let mut model = Bucket::new(10_000_000, 50, 1_000_000_000);
    let expected = (0..ROUNDS)
        .map(|round| {
            let now = 1_000_000_000 + round * STEP;
            (0..THREADS * 10)
                .filter(|_| matches!(model.spend(now), Spent::Granted { .. }))
                .count()
        })
        .sum::<usize>();
    for granted in granted {
        assert_eq!(granted.into_inner(), expected);
    }
}
