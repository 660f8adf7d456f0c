//! Budgets against what exchanges do: edges, late answers, other processes, many threads, bans.

mod bans;
mod firewall;
mod model;
mod told;

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, StatusCode};

use super::*;

/// 2026-11-22T00:00:00Z in milliseconds.
pub(super) const DAY_MS: i64 = 1_795_305_600_000;

/// So many milliseconds after the day began, known to 50 ms.
pub(super) fn at(millis: i64) -> Moment {
    let mono_ns = u64::try_from(millis + 1_000_000).unwrap() * 1_000_000;
    Moment::new(mono_ns, (DAY_MS + millis) * 1_000, 50_000)
}

pub(super) fn limit(kind: LimitKind, interval: &str, limit: u64) -> RateLimit {
    RateLimit {
        kind,
        interval: Interval::parse(interval).unwrap(),
        limit,
    }
}

pub(super) fn spec(limits: &[RateLimit]) -> BudgetSpec {
    BudgetSpec {
        exchange: Arc::from("binance-spot"),
        account: Arc::from("main"),
        limits: limits.to_vec(),
        settings: BudgetSettings {
            use_percent: 90,
            cancels_keep_percent: 10,
        },
    }
}

fn binance() -> Budget {
    ExchangeLedger::default().budget(&spec(&[
        limit(LimitKind::Weight, "1M", 6_000),
        limit(LimitKind::RawRequests, "5M", 300_000),
        limit(LimitKind::Orders, "10S", 50),
        limit(LimitKind::Orders, "1D", 160_000),
    ]))
}

fn answer(status: u16, fields: &[(&str, &str)]) -> Answer {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    let headers: HeaderMap = fields.collect();
    Answer::read(StatusCode::from_u16(status).unwrap(), &headers)
}

fn used_weight(told: &str) -> Answer {
    answer(200, &[("x-mbx-used-weight-1m", told)])
}

/// Weight in the present minute.
fn weight(budget: &Budget, at: Moment) -> u64 {
    budget.state(at).weight.unwrap().used
}

fn orders(budget: &Budget, at: Moment) -> u64 {
    budget.state(at).orders.unwrap().used
}

fn take(budget: &Budget, charge: Charge, at: Moment) -> Reservation {
    budget.reserve(charge, Lane::Normal, at).unwrap()
}

fn refused_limit(kind: LimitKind, interval: &str) -> Which {
    Which::Limit {
        kind,
        interval: Interval::parse(interval).unwrap(),
    }
}

#[test]
fn the_last_part_is_for_cancels_and_the_rest_for_nobody() {
    let budget = binance();
    let _held = take(&budget, Charge::request(4_800), at(1_000));
    let refused = budget
        .reserve(Charge::request(1), Lane::Normal, at(1_000))
        .unwrap_err();
    assert_eq!(refused.which, refused_limit(LimitKind::Weight, "1M"));
    assert_eq!(refused.wait, Duration::from_millis(59_050));
    let _cancels = budget
        .reserve(Charge::orders(600, 0), Lane::Cancel, at(1_000))
        .unwrap();
    let refused = budget
        .reserve(Charge::orders(1, 0), Lane::Cancel, at(1_000))
        .unwrap_err();
    assert_eq!(refused.which, refused_limit(LimitKind::Weight, "1M"));
}

#[test]
fn asking_takes_nothing_and_says_the_same() {
    let budget = binance();
    for weight in [1, 4_800, 4_801] {
        let charge = Charge::request(weight);
        let refusal = budget.refusal(charge, Lane::Normal, at(1_000));
        assert_eq!(refusal.is_some(), weight > 4_800);
        assert_eq!(budget.state(at(1_000)).weight.unwrap().used, 0);
        match budget.reserve(charge, Lane::Normal, at(1_000)) {
            Ok(reservation) => reservation.settle(Settled::NotSent, at(1_000)),
            Err(refused) => assert_eq!(Some(refused), refusal),
        }
    }
}

#[test]
fn success_costs_what_it_costs_unless_it_is_free() {
    let told = answer(200, &[]);
    for (charge, kept) in [
        (Charge::orders(1, 1), 1),
        (Charge::orders(1, 0), 1),
        (Charge::orders(1, 1).free_on_success(), 0),
        (Charge::request(5), 5),
    ] {
        let budget = binance();
        take(&budget, charge, at(1_000)).settle(Settled::Answered(&told), at(1_001));
        assert_eq!(weight(&budget, at(1_002)), kept, "{charge:?}");
    }
}

#[test]
fn what_was_not_sent_comes_back_and_what_may_have_been_does_not() {
    let budget = binance();
    let charge = Charge::orders(1, 2).free_on_success();
    take(&budget, charge, at(1_000)).settle(Settled::NotSent, at(1_001));
    assert_eq!(
        (weight(&budget, at(1_002)), orders(&budget, at(1_002))),
        (0, 0)
    );
    take(&budget, charge, at(1_000)).settle(Settled::Unknown, at(1_001));
    assert_eq!(
        (weight(&budget, at(1_002)), orders(&budget, at(1_002))),
        (1, 2)
    );
    drop(take(&budget, charge, at(1_003)));
    assert_eq!(
        (weight(&budget, at(1_004)), orders(&budget, at(1_004))),
        (2, 4)
    );
    take(&budget, charge, at(1_005)).settle(Settled::Answered(&answer(400, &[])), at(1_006));
    assert_eq!(
        (weight(&budget, at(1_007)), orders(&budget, at(1_007))),
        (3, 6)
    );
    // Placing that succeeded weighs nothing.
    take(&budget, charge, at(1_008)).settle(Settled::Answered(&answer(200, &[])), at(1_009));
    assert_eq!(
        (weight(&budget, at(1_010)), orders(&budget, at(1_010))),
        (3, 8)
    );
    take(&budget, Charge::request(5), at(1_008))
        .settle(Settled::Answered(&answer(200, &[])), at(1_009));
    assert_eq!(weight(&budget, at(1_010)), 8);
}

#[test]
fn others_behind_the_same_address_are_seen_in_what_the_exchange_tells() {
    let budget = binance();
    take(&budget, Charge::request(1), at(1_000))
        .settle(Settled::Answered(&used_weight("4799")), at(1_050));
    assert_eq!(weight(&budget, at(1_100)), 4_799);
    let _last = take(&budget, Charge::request(1), at(1_100));
    assert!(
        budget
            .reserve(Charge::request(1), Lane::Normal, at(1_100))
            .is_err()
    );
}

#[test]
fn a_figure_that_was_overtaken_does_not_lower_what_is_counted() {
    let budget = binance();
    let first = take(&budget, Charge::request(10), at(1_000));
    let second = take(&budget, Charge::request(10), at(1_001));
    second.settle(Settled::Answered(&used_weight("120")), at(1_050));
    first.settle(Settled::Answered(&used_weight("110")), at(1_051));
    assert_eq!(weight(&budget, at(1_052)), 120);
    // The same when the one that was sent first is answered by the higher figure.
    let third = take(&budget, Charge::request(10), at(1_060));
    let fourth = take(&budget, Charge::request(10), at(1_061));
    third.settle(Settled::Answered(&used_weight("140")), at(1_070));
    fourth.settle(Settled::Answered(&used_weight("130")), at(1_071));
    assert_eq!(weight(&budget, at(1_072)), 140);
}

#[test]
fn filled_orders_come_back_once_the_exchange_says_so() {
    let budget = binance();
    let told = |count| {
        answer(
            200,
            &[
                ("X-MBX-ORDER-COUNT-10S", count),
                ("X-MBX-ORDER-COUNT-1D", count),
            ],
        )
    };
    for (millis, figure, counted) in [(1_000, "30", 30), (1_100, "3", 30), (1_200, "4", 4)] {
        take(&budget, Charge::orders(1, 1), at(millis))
            .settle(Settled::Answered(&told(figure)), at(millis + 9));
        assert_eq!(orders(&budget, at(millis + 10)), counted, "{millis}");
    }
}

#[test]
fn a_late_answer_does_not_pollute_the_new_window() {
    let budget = binance();
    let early = take(&budget, Charge::request(10), at(59_000));
    assert_eq!(
        weight(&budget, at(60_100)),
        10,
        "it may still be on its way"
    );
    early.settle(Settled::Answered(&used_weight("5400")), at(60_200));
    assert_eq!(weight(&budget, at(60_300)), 10);
    // Nobody can know whose window this figure is: the exchange's clock may be on the other side of the edge.
    take(&budget, Charge::request(10), at(119_940))
        .settle(Settled::Answered(&used_weight("5400")), at(119_960));
    take(&budget, Charge::request(10), at(120_040))
        .settle(Settled::Answered(&used_weight("5400")), at(120_200));
    assert_eq!(weight(&budget, at(120_300)), 20);
}

#[test]
fn windows_end_when_the_exchange_is_past_the_edge_for_certain() {
    let budget = binance();
    let full = Charge::orders(0, 40);
    take(&budget, full, at(5_000)).settle(Settled::Unknown, at(5_100));
    let one = Charge::orders(0, 1);
    for (millis, wait) in [
        (5_100, Some(4_950)),
        (9_900, Some(150)),
        (9_999, Some(51)),
        (10_000, Some(50)),
        (10_049, Some(1)),
        (10_050, None),
    ] {
        let refusal = budget.refusal(one, Lane::Normal, at(millis));
        let expected = wait.map(|wait| Refused {
            which: refused_limit(LimitKind::Orders, "10S"),
            wait: Duration::from_millis(wait),
        });
        assert_eq!(refusal, expected, "{millis}");
    }
}

#[test]
fn days_begin_at_midnight_utc() {
    let budget = ExchangeLedger::default().budget(&spec(&[limit(LimitKind::Orders, "1D", 10)]));
    take(&budget, Charge::orders(0, 8), at(3_600_000)).settle(Settled::Unknown, at(3_600_001));
    let one = Charge::orders(0, 1);
    let hours = 23 * 3_600_000;
    let refused = budget.refusal(one, Lane::Normal, at(hours)).unwrap();
    assert_eq!(refused.wait, Duration::from_millis(3_600_050));
    assert_eq!(
        budget.refusal(one, Lane::Normal, at(24 * 3_600_000 + 51)),
        None
    );
}

#[test]
fn a_time_that_is_set_back_forgets_nothing() {
    let budget = binance();
    take(&budget, Charge::request(4_800), at(600_000)).settle(Settled::Unknown, at(600_100));
    for back in [1, 59_000, 61_000, 300_000, 500_000] {
        let then = at(600_000 - back);
        assert_eq!(weight(&budget, then), 4_800, "{back}");
    }
    assert_eq!(weight(&budget, at(160_100)), 0, "and goes on from there");
}

#[test]
fn limits_are_learned_in_place_of_those_to_begin_with() {
    let budget = binance();
    take(&budget, Charge::request(1_000), at(0)).settle(Settled::Unknown, at(1));
    budget.learn(&[
        limit(LimitKind::Weight, "1M", 1_200),
        limit(LimitKind::Connections, "5M", 300),
    ]);
    assert!(
        budget
            .refusal(Charge::request(1), Lane::Normal, at(100))
            .is_some()
    );
    assert!(
        budget
            .refusal(Charge::orders(1, 0), Lane::Cancel, at(100))
            .is_none()
    );
    let connections: Vec<_> = (0..240)
        .map(|_| {
            take(
                &budget,
                Charge {
                    weight: 0,
                    ..Charge::connection(0)
                },
                at(100),
            )
        })
        .collect();
    let refused = budget
        .refusal(Charge::connection(0), Lane::Normal, at(100))
        .unwrap();
    assert_eq!(refused.which, refused_limit(LimitKind::Connections, "5M"));
    drop(connections);
}

#[test]
fn what_is_spent_is_shared_by_address_and_by_account_and_survives_reloads() {
    let ledger = ExchangeLedger::default();
    let limits = [
        limit(LimitKind::Weight, "1M", 100),
        limit(LimitKind::Orders, "10S", 10),
    ];
    let main = spec(&limits);
    let other_account = BudgetSpec {
        account: Arc::from("other"),
        ..main.clone()
    };
    let other_exchange = BudgetSpec {
        exchange: Arc::from("binance-futures"),
        ..main.clone()
    };
    let before = ledger.budget(&main);
    before.learn(&[limit(LimitKind::Weight, "1M", 90)]);
    take(&before, Charge::orders(50, 5), at(100)).settle(Settled::Unknown, at(101));
    drop(before);
    // Another part may be spent now; what is spent, and what the exchange said, stays.
    let settings = BudgetSettings {
        use_percent: 50,
        cancels_keep_percent: 0,
    };
    let after = ledger.budget(&BudgetSpec { settings, ..main });
    let state = after.state(at(200));
    assert_eq!(
        (state.weight.unwrap().used, state.weight.unwrap().limit),
        (50, 90)
    );
    assert_eq!(state.orders.unwrap().used, 5);
    assert!(
        after
            .refusal(Charge::request(1), Lane::Normal, at(200))
            .is_some()
    );
    let other = ledger.budget(&other_account).state(at(200));
    assert_eq!(
        (other.weight.unwrap().used, other.orders.unwrap().used),
        (50, 0)
    );
    let other = ledger.budget(&other_exchange).state(at(200));
    assert_eq!(
        (other.weight.unwrap().used, other.orders.unwrap().used),
        (0, 0)
    );
}

#[test]
fn names_that_nobody_uses_do_not_add_up() {
    let ledger = ExchangeLedger::default();
    let kept = ledger.budget(&spec(&[]));
    for name in 0..10_000 {
        let account = Arc::from(format!("account-{name}"));
        let _budget = ledger.budget(&BudgetSpec {
            account,
            ..spec(&[])
        });
        let settings = ClockSettings {
            max_offset: Duration::ZERO,
            max_age: Duration::ZERO,
        };
        let _clock = ledger.clock(&format!("host-{name}"), settings);
    }
    assert!(ledger.scopes.lock().unwrap().len() <= UNUSED_MAX + 2);
    assert!(ledger.clocks.lock().unwrap().len() <= UNUSED_MAX + 1);
    assert!(Arc::ptr_eq(
        &kept.address,
        &ledger.budget(&spec(&[])).address
    ));
}

#[test]
fn many_threads_never_take_more_than_there_is() {
    let budget = binance();
    let granted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (budget, granted) = (budget.clone(), &granted);
            scope.spawn(move || {
                for turn in 0..2_000 {
                    let Ok(reservation) =
                        budget.reserve(Charge::request(3), Lane::Normal, at(1_000))
                    else {
                        continue;
                    };
                    match (thread + turn) % 4 {
                        0 => reservation.settle(Settled::NotSent, at(1_000)),
                        kind => {
                            granted.fetch_add(3, Ordering::Relaxed);
                            match kind {
                                1 => reservation.settle(Settled::Unknown, at(1_000)),
                                2 => reservation
                                    .settle(Settled::Answered(&answer(200, &[])), at(1_000)),
                                _ => drop(reservation),
                            }
                        }
                    }
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 4_800);
    assert_eq!(weight(&budget, at(1_001)), 4_800);
}
