//! What happens when the exchange says stop: nothing, until it may be asked again, and then once.

use std::sync::atomic::AtomicUsize;

use super::*;

pub(super) fn halted(halt: Halt, wait_ms: u64) -> Refused {
    Refused {
        which: Which::Halted(halt),
        wait: Duration::from_millis(wait_ms),
    }
}

pub(super) fn ask(budget: &Budget, lane: Lane, millis: i64) -> Result<Reservation, Refused> {
    budget.reserve(Charge::request(1), lane, at(millis))
}

/// The exchange answers a request with this.
pub(super) fn stop(budget: &Budget, status: u16, fields: &[(&str, &str)], millis: i64) {
    let reservation = ask(budget, Lane::Normal, millis).unwrap();
    reservation.settle(Settled::Answered(&answer(status, fields)), at(millis));
}

/// How long a fresh budget is halted by an answer, in milliseconds.
fn wait_after(status: u16, fields: &[(&str, &str)]) -> u128 {
    let budget = binance();
    stop(&budget, status, fields, 0);
    let stops = budget.state(at(0)).stops;
    let wait = stops.iter().flatten().map(|stop| stop.left.as_millis());
    wait.max().unwrap_or(0)
}

#[test]
fn retry_after_is_read_in_every_form_or_has_a_default() {
    let three_days = 3 * 86_400_000;
    let table = [
        (429, Some("1"), 1_000),
        (429, Some("120"), 120_000),
        (418, Some("259200"), three_days),
        (418, Some("259201"), three_days),
        (418, Some("99999999999999999999999"), three_days),
        // The exchange's clock may be 50 ms behind of what we take it for.
        (418, Some("Sun, 22 Nov 2026 00:10:00 GMT"), 600_050),
        (418, Some("Sunday, 22-Nov-26 00:10:00 GMT"), 600_050),
        (418, Some("Fri, 22 Nov 2126 00:10:00 GMT"), three_days),
        (418, Some("Sat, 21 Nov 2026 00:10:00 GMT"), 120_000),
        (429, Some("0"), 60_000),
        (429, Some("-1"), 60_000),
        (429, Some("1.5"), 60_000),
        (429, Some("soon"), 60_000),
        (429, Some(""), 60_000),
        (429, None, 60_000),
        (418, None, 120_000),
        (403, None, 5_000),
        (403, Some("30"), 30_000),
        // One caller's request must not stop the others for days.
        (403, Some("259200"), 60_000),
        (200, Some("30"), 0),
        (400, Some("30"), 0),
        (401, None, 0),
        (500, None, 0),
        (503, Some("30"), 0),
    ];
    for (status, retry, expected) in table {
        let fields: Vec<_> = retry
            .map(|retry| ("retry-after", retry))
            .into_iter()
            .collect();
        assert_eq!(wait_after(status, &fields), expected, "{status} {retry:?}");
    }
    let twice = [("retry-after", "1"), ("retry-after", "100")];
    assert_eq!(wait_after(429, &twice), 60_000);
}

#[test]
fn a_websocket_api_says_when_in_milliseconds_since_1970() {
    for (retry, expected) in [
        (Some(DAY_MS + 30_000), 30_050),
        (Some(DAY_MS - 1), 60_000),
        (Some(i64::MAX), 3 * 86_400_000),
        (Some(i64::MIN), 60_000),
        (None, 60_000),
    ] {
        let budget = binance();
        let answer = Answer::of_frame(StatusCode::TOO_MANY_REQUESTS, Told::default(), retry);
        ask(&budget, Lane::Normal, 0)
            .unwrap()
            .settle(Settled::Answered(&answer), at(0));
        let (halt, wait) = budget.state(at(0)).halted().unwrap();
        assert_eq!(
            (halt, wait.as_millis()),
            (Halt::TooMany, expected),
            "{retry:?}"
        );
    }
}

#[test]
fn nothing_passes_while_it_lasts_and_one_asks_when_it_is_over() {
    for (status, halt) in [(429, Halt::TooMany), (418, Halt::Banned)] {
        let budget = binance();
        stop(&budget, status, &[("retry-after", "10")], 0);
        for lane in [Lane::Normal, Lane::Cancel] {
            assert_eq!(ask(&budget, lane, 1).unwrap_err(), halted(halt, 9_999));
            assert_eq!(ask(&budget, lane, 9_999).unwrap_err(), halted(halt, 1));
        }
        let probe = ask(&budget, Lane::Normal, 10_000).unwrap();
        assert_eq!(
            ask(&budget, Lane::Cancel, 10_001).unwrap_err(),
            halted(halt, 1_000)
        );
        probe.settle(Settled::Answered(&answer(400, &[])), at(10_050));
        let _all = [
            ask(&budget, Lane::Normal, 10_051).unwrap(),
            ask(&budget, Lane::Cancel, 10_051).unwrap(),
        ];
        assert_eq!(budget.state(at(10_051)).halted(), None);
    }
}

#[test]
fn whoever_asks_and_gets_no_answer_leaves_it_to_the_next() {
    let budget = binance();
    stop(&budget, 418, &[("retry-after", "10")], 0);
    ask(&budget, Lane::Normal, 10_000)
        .unwrap()
        .settle(Settled::NotSent, at(10_001));
    ask(&budget, Lane::Normal, 10_001)
        .unwrap()
        .settle(Settled::Unknown, at(10_002));
    drop(ask(&budget, Lane::Normal, 10_002).unwrap());
    let again = ask(&budget, Lane::Normal, 10_003).unwrap();
    again.settle(
        Settled::Answered(&answer(418, &[("retry-after", "60")])),
        at(10_003),
    );
    assert_eq!(
        ask(&budget, Lane::Normal, 70_002).unwrap_err(),
        halted(Halt::Banned, 1)
    );
}

#[test]
fn a_request_that_finds_no_room_is_not_the_one_that_asks() {
    let budget = binance();
    stop(&budget, 429, &[("retry-after", "10")], 0);
    let large = Charge::request(4_801);
    assert!(matches!(
        budget
            .reserve(large, Lane::Normal, at(10_000))
            .unwrap_err()
            .which,
        Which::Limit { .. }
    ));
    let _probe = ask(&budget, Lane::Normal, 10_000).unwrap();
}

#[test]
fn late_answers_neither_end_a_stop_nor_shorten_it() {
    let budget = binance();
    let early: Vec<_> = (0..10)
        .map(|_| ask(&budget, Lane::Normal, 0).unwrap())
        .collect();
    stop(&budget, 418, &[("retry-after", "100")], 1);
    let answers = [
        answer(200, &[]),
        answer(429, &[("retry-after", "1")]),
        answer(403, &[]),
        answer(429, &[]),
        answer(418, &[]),
    ];
    for (reservation, answer) in early.into_iter().zip(answers.iter().cycle()) {
        reservation.settle(Settled::Answered(answer), at(2));
    }
    assert_eq!(
        ask(&budget, Lane::Cancel, 100_000).unwrap_err(),
        halted(Halt::Banned, 20_002)
    );
}

#[test]
fn stops_in_a_row_without_a_time_grow() {
    let budget = binance();
    let mut millis = 0;
    for wait in [120, 240, 480, 960] {
        stop(&budget, 418, &[], millis);
        millis += wait * 1_000;
        assert_eq!(
            ask(&budget, Lane::Normal, millis - 1).unwrap_err(),
            halted(Halt::Banned, 1)
        );
    }
    ask(&budget, Lane::Normal, millis)
        .unwrap()
        .settle(Settled::Answered(&answer(200, &[])), at(millis));
    stop(&budget, 418, &[], millis);
    assert_eq!(
        ask(&budget, Lane::Normal, millis).unwrap_err(),
        halted(Halt::Banned, 120_000)
    );
}

#[test]
fn a_ban_holds_for_every_account_and_over_reloads() {
    let ledger = ExchangeLedger::default();
    let main = spec(&[limit(LimitKind::Weight, "1M", 6_000)]);
    stop(&ledger.budget(&main), 418, &[("retry-after", "3600")], 0);
    let other = ledger.budget(&BudgetSpec {
        account: Arc::from("other"),
        ..main.clone()
    });
    assert!(ask(&other, Lane::Cancel, 1).is_err());
    let settings = BudgetSettings {
        use_percent: 50,
        cancels_keep_percent: 0,
    };
    let after = ledger.budget(&BudgetSpec {
        settings,
        ..main.clone()
    });
    assert!(ask(&after, Lane::Normal, 1).is_err());
    let elsewhere = ledger.budget(&BudgetSpec {
        exchange: Arc::from("binance-testnet"),
        ..main
    });
    let _passes = ask(&elsewhere, Lane::Normal, 1).unwrap();
}

#[test]
fn a_clock_that_is_set_does_not_end_a_ban() {
    let budget = binance();
    stop(&budget, 418, &[("retry-after", "60")], 0);
    let tomorrow = Moment::new(at(1).mono_ns(), at(86_400_000).exchange_us(), 50_000);
    assert!(
        budget
            .reserve(Charge::request(1), Lane::Normal, tomorrow)
            .is_err()
    );
}

#[test]
fn ten_callers_push_and_nothing_passes() {
    let budget = binance();
    stop(&budget, 418, &[("retry-after", "60")], 0);
    let (passed, probes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let push = |counter: &AtomicUsize, millis: i64| {
        let held = [Lane::Normal, Lane::Cancel].map(|lane| ask(&budget, lane, millis).ok());
        counter.fetch_add(held.iter().flatten().count(), Ordering::Relaxed);
        held
    };
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (1..2_000).for_each(|turn| drop(push(&passed, turn * 30))));
        }
    });
    let held = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mine = push(&probes, 60_000);
                    held.lock().unwrap().extend(mine);
                }
            });
        }
    });
    assert_eq!((passed.into_inner(), probes.into_inner()), (0, 1));
}

#[test]
fn a_stop_that_is_lifted_is_asked_about_by_one() {
    let budget = binance();
    stop(&budget, 418, &[("retry-after", "259200")], 0);
    let none = Err(NotLifted::NoSuchStop);
    assert_eq!(budget.resume(Halt::TooMany, at(1_000)), none);
    assert!(ask(&budget, Lane::Cancel, 1_000).is_err());
    let left = budget.resume(Halt::Banned, at(1_000));
    assert_eq!(left, Ok(Duration::from_secs(259_199)));
    assert_eq!(budget.resume(Halt::Banned, at(1_000)), none);
    let asks = ask(&budget, Lane::Normal, 1_001).unwrap();
    assert!(ask(&budget, Lane::Cancel, 1_001).is_err());
    // It was none of the exchange's mistakes.
    let again = answer(418, &[("retry-after", "60")]);
    asks.settle(Settled::Answered(&again), at(1_002));
    assert_eq!(
        ask(&budget, Lane::Normal, 1_003).unwrap_err(),
        halted(Halt::Banned, 59_999)
    );
    assert!(budget.resume(Halt::Banned, at(2_000)).is_ok());
    let asks = ask(&budget, Lane::Cancel, 2_001).unwrap();
    asks.settle(Settled::Answered(&answer(200, &[])), at(2_002));
    let _after = [(); 2].map(|()| ask(&budget, Lane::Normal, 2_003).unwrap());
    assert_eq!(budget.resume(Halt::Banned, at(2_003)), none);
}

#[test]
fn only_so_many_stops_are_lifted_in_an_hour() {
    let budget = binance();
    stop(&budget, 418, &[("retry-after", "259200")], 0);
    let lift = |millis| budget.resume(Halt::Banned, at(millis));
    for second in 1..=5 {
        assert!(lift(second * 1_000).is_ok(), "{second}");
        let asks = ask(&budget, Lane::Normal, second * 1_000).unwrap();
        let again = answer(418, &[("retry-after", "259200")]);
        asks.settle(Settled::Answered(&again), at(second * 1_000));
    }
    let wait = Duration::from_secs(3_595);
    assert_eq!(lift(6_000), Err(NotLifted::TooMany(wait)));
    assert!(ask(&budget, Lane::Normal, 6_000).is_err());
    assert_eq!(
        budget.resume(Halt::TooMany, at(6_000)),
        Err(NotLifted::NoSuchStop)
    );
    assert!(lift(3_601_000).is_ok());
}
