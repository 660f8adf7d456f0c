//! Clocks that are apart, are set and run wrongly: what is signed is believed, or is refused here; the exchange is never
//! stormed with times that it cannot believe.

use crate::crowd::{Crowd, Outcome, tally};
use crate::support::sidecar::Sidecar;
use crate::world::{
    StandIn, generous, get, is_synced, out, place, told, wait_for_limits, wait_until,
};

/// Callers at the same time.
const CALLERS: usize = 4;

/// The question for the time.
const TIME: &str = "GET /api/v3/time";

/// The exchange's refusal of a time.
const REFUSED_THERE: &str = "400 -1021";
/// Ours.
const REFUSED_HERE: &str = "503 exchange.clock";

/// Nothing was answered but these.
fn assert_only(outcomes: &[Outcome], allowed: &[&str]) {
    let tally = tally(outcomes);
    assert!(tally.keys().all(|told| allowed.contains(told)), "{tally:?}");
}

/// The sidecar has noticed that the exchange's clock was set: what was on its way then is answered, and from now on nothing
/// leaves with a time that the exchange cannot believe.
fn assert_noticed(crowd: &Crowd) {
    crowd.settle();
    let refused = crowd.count(REFUSED_THERE);
    crowd.wait_for(100);
    assert_eq!(crowd.count(REFUSED_THERE), refused);
}

/// Waits until orders are accepted again.
fn wait_for_orders(sidecar: &Sidecar) {
    wait_until("accepted again", || place(out(sidecar)).status == 200);
}

#[test]
fn clocks_that_are_minutes_apart_are_corrected_from_the_first_order_on() {
    for offset_ms in [-170_000, 170_000] {
        let stand_in = StandIn::start();
        stand_in.exchange.clock().set_offset_ms(offset_ms);
        let way = stand_in.way().more("    clock: { max_offset: 3m }\n");
        let sidecar = way.start();
        assert_eq!(place(out(&sidecar)).status, 200, "{offset_ms}");
        assert_eq!(get(out(&sidecar), "/api/v3/account").status, 200);
        let metric = sidecar.metric("outrider_exchange_clock_offset_seconds", &[]);
        // As exactly as it must be known to be signed.
        assert!((metric - offset_ms as f64 / 1000.0).abs() < 0.9, "{metric}");
        stand_in.assert_clean();
    }
}

#[test]
fn clocks_that_are_further_apart_than_is_allowed_sign_nothing() {
    let stand_in = StandIn::start();
    stand_in.exchange.clock().set_offset_ms(200_000);
    let way = stand_in.way().more("    clock: { max_offset: 3m }\n");
    let sidecar = way.launch();
    wait_until("compared", || stand_in.called(TIME) >= 3);
    for _ in 0..5 {
        let answer = place(out(&sidecar));
        let told = told(&answer);
        assert_eq!(
            (answer.status, &told["reason"], &told["execution"]),
            (503, &"exchange.clock".into(), &"not_sent".into())
        );
        assert!(answer.one("retry-after").is_some());
    }
    // What needs no signature needs no clock.
    assert_eq!(
        get(out(&sidecar), "/api/v3/depth?symbol=BTCUSDT").status,
        200
    );
    assert_eq!(stand_in.called("POST /api/v3/order"), 0);
    // It is set right, and nobody has to be told.
    stand_in.exchange.clock().set_offset_ms(0);
    wait_for_orders(&sidecar);
    stand_in.assert_clean();
}

#[test]
fn a_clock_that_is_set_while_orders_flow_costs_those_that_leave_before_it_is_noticed() {
    let stand_in = StandIn::with(generous);
    let way = stand_in.way().more("    clock: { max_offset: 10m }\n");
    let sidecar = way.start();
    wait_for_limits(&sidecar, &stand_in);
    for step_ms in [180_000, -240_000] {
        let steps = || sidecar.metric("outrider_exchange_clock_steps_total", &[]);
        let before = steps();
        let crowd = Crowd::start(out(&sidecar), CALLERS);
        crowd.wait_for(40);
        stand_in.exchange.clock().step_ms(step_ms);
        // Sooner than clocks are compared when nobody complains.
        wait_until("noticed", || steps() > before);
        assert_noticed(&crowd);
        crowd.wait_for_told("200", 40);
        let outcomes = crowd.stop();
        assert_only(&outcomes, &["200", REFUSED_HERE, REFUSED_THERE]);
    }
    // What the exchange forgives costs nothing.
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    stand_in.exchange.clock().step_ms(2_000);
    crowd.wait_for_told("200", 80);
    assert_only(&crowd.stop(), &["200", REFUSED_HERE]);
    stand_in.assert_clean();
}

#[test]
fn a_clock_that_is_set_too_far_off_stops_what_is_signed_until_it_is_right_again() {
    let stand_in = StandIn::with(generous);
    let sidecar = stand_in.way().start();
    wait_for_limits(&sidecar, &stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    crowd.wait_for(40);
    stand_in.exchange.clock().step_ms(600_000);
    wait_until("stopped", || !is_synced(&sidecar));
    let before = stand_in.called("POST /api/v3/order");
    crowd.wait_for(200);
    // At most those that were on their way.
    assert!(stand_in.called("POST /api/v3/order") - before <= CALLERS as u64);
    assert_noticed(&crowd);
    stand_in.exchange.clock().step_ms(-600_000);
    wait_for_orders(&sidecar);
    assert_noticed(&crowd);
    let outcomes = crowd.stop();
    assert_only(&outcomes, &["200", REFUSED_HERE, REFUSED_THERE]);
    stand_in.assert_clean();
}

#[test]
fn a_clock_that_runs_wrongly_is_followed() {
    let stand_in = StandIn::with(generous);
    // Compared every three seconds or so; in that time it gains or loses less than is forgiven.
    let way = stand_in.way().more("    clock: { max_age: 10s }\n");
    let sidecar = way.start();
    wait_for_limits(&sidecar, &stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    // The first comparisons are made in quick succession.
    wait_until("compared", || stand_in.called(TIME) >= 3);
    for ppm in [40_000, -40_000] {
        stand_in.exchange.clock().drift_ppm(ppm);
        // Whether it was just compared or not, orders are accepted.
        for _ in 0..2 {
            let asked = stand_in.called(TIME);
            wait_until("compared", || stand_in.called(TIME) > asked);
            crowd.wait_for_told("200", 100);
        }
    }
    let outcomes = crowd.stop();
    assert_only(&outcomes, &["200", REFUSED_HERE]);
    stand_in.assert_clean();
}
