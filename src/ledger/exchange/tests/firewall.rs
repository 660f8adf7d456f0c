//! What an exchange's firewall holds up: one call first, everything when others are refused too, cancels never.

use super::bans::{ask, halted, stop};
use super::*;

const DEPTH: &str = "/api/v3/depth";
const ORDER: &str = "/api/v3/order";

fn call(budget: &Budget, path: &str, millis: i64) -> Result<Reservation, Refused> {
    let charge = Charge::request(1).of_call(CallMark::of("POST", path));
    budget.reserve(charge, Lane::Normal, at(millis))
}

/// The firewall refuses a call that was let through.
fn refuse(budget: &Budget, path: &str, millis: i64) {
    let passed = call(budget, path, millis).unwrap();
    passed.settle(Settled::Answered(&answer(403, &[])), at(millis));
}

fn extent(budget: &Budget, millis: i64) -> Option<Extent> {
    let [_, firewall] = budget.state(at(millis)).stops;
    firewall.map(|stop| stop.extent)
}

#[test]
fn one_refusal_holds_up_what_is_like_it_and_nothing_else() {
    let budget = binance();
    refuse(&budget, DEPTH, 0);
    assert_eq!(
        call(&budget, DEPTH, 4_999).unwrap_err(),
        halted(Halt::Firewall, 1)
    );
    assert_eq!(extent(&budget, 1), Some(Extent::OneCall));
    assert_eq!(budget.state(at(1)).halted(), None);
    let _others = [
        call(&budget, ORDER, 1).unwrap(),
        ask(&budget, Lane::Cancel, 1).unwrap(),
    ];
    // Then one of them asks for all of them.
    let asks = call(&budget, DEPTH, 5_000).unwrap();
    assert_eq!(
        call(&budget, DEPTH, 5_000).unwrap_err(),
        halted(Halt::Firewall, 1_000)
    );
    asks.settle(Settled::Answered(&answer(400, &[])), at(5_001));
    let _after = [(); 2].map(|()| call(&budget, DEPTH, 5_002).unwrap());
    assert_eq!(extent(&budget, 5_002), None);
}

#[test]
fn who_asks_again_and_again_waits_ever_longer_and_alone() {
    let budget = binance();
    let mut millis = 0;
    for wait in [5, 10, 20, 40, 60, 60] {
        refuse(&budget, DEPTH, millis);
        let _other = call(&budget, ORDER, millis).unwrap();
        millis += wait * 1_000;
        assert_eq!(
            call(&budget, DEPTH, millis - 1).unwrap_err(),
            halted(Halt::Firewall, 1)
        );
    }
    // A minute after a hold it is forgotten.
    refuse(&budget, DEPTH, millis + 60_000);
    let _first = call(&budget, DEPTH, millis + 65_000).unwrap();
}

#[test]
fn refusals_of_different_calls_hold_up_everything_but_cancels() {
    let budget = binance();
    refuse(&budget, DEPTH, 0);
    refuse(&budget, ORDER, 1_000);
    for path in [DEPTH, ORDER, "/api/v3/account"] {
        assert_eq!(
            call(&budget, path, 5_999).unwrap_err(),
            halted(Halt::Firewall, 1)
        );
    }
    assert_eq!(extent(&budget, 5_999), Some(Extent::Everything));
    let halted_by = budget.state(at(1_000)).halted();
    assert_eq!(halted_by, Some((Halt::Firewall, Duration::from_secs(5))));
    let _cancel = ask(&budget, Lane::Cancel, 5_999).unwrap();
    // One asks for all; refused, all wait for longer.
    refuse(&budget, "/api/v3/account", 6_000);
    assert_eq!(
        call(&budget, DEPTH, 15_999).unwrap_err(),
        halted(Halt::Firewall, 1)
    );
    let asks = call(&budget, ORDER, 16_000).unwrap();
    assert!(call(&budget, DEPTH, 16_000).is_err());
    // Who asks and gets no answer leaves it to the next.
    asks.settle(Settled::Unknown, at(16_001));
    let asks = call(&budget, DEPTH, 16_002).unwrap();
    asks.settle(Settled::Answered(&answer(200, &[])), at(16_003));
    let _after = [DEPTH, ORDER].map(|path| call(&budget, path, 16_004).unwrap());
}

#[test]
fn refusals_of_what_was_under_way_are_one_refusal() {
    let budget = binance();
    let under_way = [(); 4].map(|()| call(&budget, DEPTH, 0).unwrap());
    for one in under_way {
        one.settle(Settled::Answered(&answer(403, &[])), at(0));
    }
    let _first = call(&budget, DEPTH, 5_000).unwrap();
}

#[test]
fn one_that_asks_does_not_end_what_was_refused_meanwhile() {
    let budget = binance();
    let under_way = call(&budget, ORDER, 0).unwrap();
    refuse(&budget, DEPTH, 0);
    let asks = call(&budget, DEPTH, 5_000).unwrap();
    under_way.settle(Settled::Answered(&answer(403, &[])), at(5_001));
    asks.settle(Settled::Answered(&answer(200, &[])), at(5_002));
    assert!(call(&budget, ORDER, 5_003).is_err());
}

#[test]
fn the_firewall_never_makes_a_stop_longer() {
    for (status, wait) in [(429, 60_000), (418, 120_000)] {
        let budget = binance();
        let under_way = ask(&budget, Lane::Normal, 0).unwrap();
        stop(&budget, status, &[], 0);
        let refusal = answer(403, &[("retry-after", "3600")]);
        under_way.settle(Settled::Answered(&refusal), at(wait - 60_000));
        // The one that asks meets the firewall: the same waits for its moment, and a cancel asks at once.
        stop(&budget, 403, &[], wait);
        assert!(ask(&budget, Lane::Normal, wait + 4_999).is_err());
        let asks = ask(&budget, Lane::Cancel, wait + 1).unwrap();
        assert!(ask(&budget, Lane::Cancel, wait + 1).is_err());
        asks.settle(Settled::Answered(&answer(200, &[])), at(wait + 2));
        let _after = [(); 2].map(|()| call(&budget, ORDER, wait + 3).unwrap());
    }
}

#[test]
fn it_is_lifted_by_its_own_name() {
    let budget = binance();
    refuse(&budget, DEPTH, 0);
    let none = Err(NotLifted::NoSuchStop);
    assert_eq!(budget.resume(Halt::Banned, at(1_000)), none);
    let left = budget.resume(Halt::Firewall, at(1_000));
    assert_eq!(left, Ok(Duration::from_secs(4)));
    let _asks = call(&budget, DEPTH, 1_000).unwrap();
    assert!(call(&budget, DEPTH, 1_000).is_err());
    assert_eq!(budget.resume(Halt::Firewall, at(1_001)), none);
}

#[test]
fn a_refusal_that_comes_late_is_of_the_call_that_asked() {
    let budget = binance();
    let depth = CallMark::of("POST", DEPTH);
    budget.heard(&answer(403, &[]), depth, at(0));
    assert_eq!(extent(&budget, 0), Some(Extent::OneCall));
    assert_eq!(
        call(&budget, DEPTH, 4_999).unwrap_err(),
        halted(Halt::Firewall, 1)
    );
    let _other = call(&budget, ORDER, 4_999).unwrap();
    // The same call once more is nobody else's.
    refuse(&budget, DEPTH, 5_000);
    budget.heard(&answer(403, &[]), depth, at(5_001));
    assert_eq!(extent(&budget, 5_001), Some(Extent::OneCall));
    // Where nobody knows which call it was, it may have been another one.
    budget.heard(&answer(403, &[]), CallMark::NONE, at(5_002));
    assert_eq!(extent(&budget, 5_002), Some(Extent::Everything));
}
