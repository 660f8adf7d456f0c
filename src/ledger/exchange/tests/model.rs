//! Budgets against an exchange that counts for itself, at its own time, while answers are late, lost and out of order.

use proptest::prelude::*;

use super::*;

const UNCERTAINTY_US: i64 = 80_000;
const WINDOW_US: i64 = 10_000_000;
const LIMIT: u64 = 6;
const CAP: u64 = 5;

#[derive(Clone, Debug)]
enum Step {
    /// Time goes on by so many milliseconds, and our idea of it is off by so much of the uncertainty, in quarters.
    Wait(i64, i64),
    /// Time goes on to so many milliseconds before or after the next edge that is so far off.
    Edge(i64, i64),
    /// Something is reserved.
    Reserve(u32),
    /// The exchange counts what is on its way.
    Count(usize),
    /// An order is filled.
    Fill,
    /// A request ends: told, not told, or without a word.
    End(usize, End),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Told,
    Untold,
    Unknown,
    Dropped,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Told),
        1 => Just(End::Untold),
        1 => Just(End::Unknown),
        1 => Just(End::Dropped),
    ];
    prop_oneof![
        3 => (0..100_i64, -4..=4_i64).prop_map(|(wait, off)| Step::Wait(wait, off)),
        1 => (-90..90_i64, -4..=4_i64).prop_map(|(edge, off)| Step::Edge(edge, off)),
        6 => (1..3_u32).prop_map(Step::Reserve),
        6 => (0..8_usize).prop_map(Step::Count),
        1 => Just(Step::Fill),
        4 => (0..8_usize, end).prop_map(|(at, end)| Step::End(at, end)),
    ]
}

/// A request under way.
struct Sent {
    reservation: Reservation,
    orders: u32,
    /// What the exchange told when it counted it.
    figure: Option<u64>,
}

struct World {
    budget: Budget,
    true_us: i64,
    off_us: i64,
    counted: HashMap<i64, u64>,
    under_way: Vec<Sent>,
}

impl World {
    fn now(&self) -> Moment {
        let mono_ns = u64::try_from(self.true_us - DAY_MS * 1_000).unwrap() * 1_000;
        Moment::new(
            mono_ns,
            self.true_us + self.off_us,
            UNCERTAINTY_US.unsigned_abs(),
        )
    }

    fn here(&mut self) -> &mut u64 {
        self.counted.entry(self.true_us / WINDOW_US).or_default()
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(millis, off) => {
                self.true_us += millis * 1_000;
                self.off_us = UNCERTAINTY_US * off / 4;
            }
            Step::Edge(millis, off) => {
                let edge_us = (self.true_us / WINDOW_US + 1) * WINDOW_US + millis * 1_000;
                self.true_us = self.true_us.max(edge_us);
                self.off_us = UNCERTAINTY_US * off / 4;
            }
            Step::Reserve(orders) => {
                let charge = Charge::orders(0, *orders);
                if let Ok(reservation) = self.budget.reserve(charge, Lane::Cancel, self.now()) {
                    self.under_way.push(Sent {
                        reservation,
                        orders: *orders,
                        figure: None,
                    });
                }
            }
            Step::Count(at) => self.count(*at),
            Step::Fill => {
                let here = self.here();
                *here = here.saturating_sub(1);
            }
            Step::End(at, end) => self.end(*at, *end),
        }
    }

    fn count(&mut self, at: usize) {
        let at = at % self.under_way.len().max(1);
        let Some(sent) = self.under_way.get(at).filter(|sent| sent.figure.is_none()) else {
            return;
        };
        let orders = u64::from(sent.orders);
        *self.here() += orders;
        let figure = *self.here();
        assert!(figure <= CAP, "{figure} of {CAP}");
        self.under_way[at].figure = Some(figure);
    }

    fn end(&mut self, at: usize, end: End) {
        if self.under_way.is_empty() {
            return;
        }
        let sent = self.under_way.remove(at % self.under_way.len());
        let now = self.now();
        let Some(figure) = sent.figure else {
            return sent.reservation.settle(Settled::NotSent, now);
        };
        let interval = Interval::parse("10S").unwrap();
        let figure = Figure {
            kind: LimitKind::Orders,
            interval,
            count: figure,
        };
        let told = match end {
            End::Told => Told::from_iter([figure]),
            End::Untold => Told::default(),
            End::Unknown => return sent.reservation.settle(Settled::Unknown, now),
            End::Dropped => return drop(sent.reservation),
        };
        let answer = Answer {
            outcome: Outcome::Failure,
            told,
        };
        sent.reservation.settle(Settled::Answered(&answer), now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_exchange_never_counts_more_than_we_may_spend(steps in prop::collection::vec(step(), 1..200)) {
        let limits = [limit(LimitKind::Orders, "10S", LIMIT)];
        let mut world = World {
            budget: ExchangeLedger::default().budget(&spec(&limits)),
            true_us: (DAY_MS + 9_800) * 1_000,
            off_us: 0,
            counted: HashMap::new(),
            under_way: Vec::new(),
        };
        for step in &steps {
            world.take(step);
        }
    }

    #[test]
    fn what_is_all_settled_is_free_again_two_windows_later(steps in prop::collection::vec(step(), 1..100)) {
        let limits = [limit(LimitKind::Orders, "10S", LIMIT)];
        let mut world = World {
            budget: ExchangeLedger::default().budget(&spec(&limits)),
            true_us: (DAY_MS + 9_800) * 1_000,
            off_us: 0,
            counted: HashMap::new(),
            under_way: Vec::new(),
        };
        for step in &steps {
            world.take(step);
        }
        while !world.under_way.is_empty() {
            world.end(0, End::Unknown);
        }
        let _now = world.budget.state(world.now());
        world.take(&Step::Wait(20_200, 0));
        prop_assert_eq!(orders(&world.budget, world.now()), 0);
    }
}
