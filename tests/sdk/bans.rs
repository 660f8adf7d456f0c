//! The exchange says stop: from then on nothing is sent to it by anybody, until it may be.

use std::thread;
use std::time::{Duration, Instant};

use outrider::roles::demo::exchange::Options;

use crate::crowd::{Crowd, tally};
use crate::support::sidecar::Sidecar;
use crate::world::{FAR, StandIn, generous, get, out, place, told, wait_for_limits, wait_until};

/// Callers at the same time.
const CALLERS: usize = 10;
/// What is told while nothing is sent.
const HALTED: &str = "429 exchange.halted";

/// Limits that no test reaches; what arrives during a ban is looked at by the test.
fn patient(options: &mut Options) {
    generous(options);
    options.limits.grace = Duration::from_secs(600);
}

/// One that knows the exchange's limits, with two workers.
fn busy(stand_in: &StandIn) -> Sidecar {
    let mut way = stand_in.way().more(FAR);
    way.workers = 2;
    let sidecar = way.start();
    wait_for_limits(&sidecar, stand_in);
    sidecar
}

#[test]
fn nothing_is_sent_during_a_ban_while_ten_callers_push() {
    let stand_in = StandIn::with(patient);
    let sidecar = busy(&stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    crowd.wait_for(100);
    stand_in.exchange.ban(Duration::from_secs(600));
    wait_until("halted", || crowd.count(HALTED) > 0);
    // Nobody has anything on its way that was sent before.
    crowd.settle();
    let before = stand_in.exchange.requests();
    crowd.wait_for(400);
    assert_eq!(stand_in.exchange.requests(), before, "sent while banned");
    let outcomes = crowd.stop();
    let tally = tally(&outcomes);
    let known = ["200", "418 -1003", HALTED];
    assert!(tally.keys().all(|told| known.contains(told)), "{tally:?}");
    // Each caller may have had one on its way when the ban began.
    let banned = tally.get("418 -1003").copied().unwrap_or(0);
    assert!(banned <= CALLERS, "{tally:?}");
    assert!(tally[HALTED] >= 400, "{tally:?}");
    stand_in.assert_clean();
}

#[test]
fn everybody_goes_on_when_a_ban_is_over() {
    let stand_in = StandIn::with(patient);
    let sidecar = busy(&stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    crowd.wait_for(20);
    stand_in.exchange.ban(Duration::from_secs(3));
    wait_until("halted", || crowd.count(HALTED) > 0);
    crowd.wait_for_told("200", 100);
    let outcomes = crowd.stop();
    let tally = tally(&outcomes);
    let known = ["200", "418 -1003", HALTED];
    assert!(tally.keys().all(|told| known.contains(told)), "{tally:?}");
    stand_in.assert_clean();
}

#[test]
fn a_warning_stops_everybody_until_it_is_over() {
    let stand_in = StandIn::with(|options| {
        generous(options);
        // Each caller may have one request on its way, and the test too; whoever goes on after that is banned.
        options.limits.warnings = CALLERS as u32 + 2;
        options.limits.ban = Duration::from_secs(600);
    });
    // A few seconds of a minute are left. Where it takes longer to come so far, it is the next minute that is waited for.
    let now_us = stand_in.exchange.clock().now_us();
    let minute_us = 60_000_000;
    let late_us = now_us - now_us.rem_euclid(minute_us) + minute_us - 4_000_000;
    stand_in.exchange.clock().set_us(late_us);
    let sidecar = busy(&stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    // Somebody else at the same address uses up what there is.
    stand_in
        .exchange
        .use_weight(stand_in.limits.weight_per_minute);
    wait_until("stopped", || {
        let answer = get(out(&sidecar), "/api/v3/account");
        answer.status == 429 && told(&answer)["reason"].is_string()
    });
    let until = Instant::now() + Duration::from_secs(100);
    while place(out(&sidecar)).status != 200 {
        assert!(Instant::now() < until, "not over in time");
        thread::sleep(Duration::from_millis(20));
    }
    let outcomes = crowd.stop();
    let tally = tally(&outcomes);
    assert!(
        tally
            .keys()
            .all(|told| told.starts_with("429 ") || *told == "200"),
        "{tally:?}"
    );
    assert_eq!(stand_in.exchange.sent_while_banned(), 0);
    stand_in.assert_clean();
}
