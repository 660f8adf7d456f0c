//! Changes while running: lines, pins and keys come into force without a failed request, and what must not change is
//! refused.

use crate::support::wait::{reconfigure, write_config};
use crate::world::{Exchange, StandIn, get, out, told};

#[test]
fn a_line_comes_into_force_and_connections_stay() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar("[\"GET /api/v3/time\"]", "");
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/time").status, 200);
    assert_eq!(get(at, "/api/v3/depth?symbol=A").status, 403);
    reconfigure(&sidecar, |text| {
        text.replace("[\"GET /api/v3/time\"]", "[\"GET /api/v3/**\"]")
    });
    assert_eq!(get(at, "/api/v3/depth?symbol=A").status, 200);
    let asked = exchange.asked();
    assert!(
        asked
            .iter()
            .all(|one| one.connection == asked[0].connection)
    );
}

#[test]
fn new_pins_are_new_connections() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar("[\"GET /api/v3/**\"]", "");
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/account").status, 200);
    let pins = "\n    pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"sha256/BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n    allow:";
    reconfigure(&sidecar, |text| text.replace("\n    allow:", pins));
    // Idle connections were checked with other pins, and are used no more.
    let answer = get(at, "/api/v3/account");
    let told = told(&answer);
    assert_eq!(
        (answer.status, &told["reason"]),
        (502, &"upstream.pin_mismatch".into())
    );
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
}

/// A resumed session shows no certificate, so nothing could be held against the pins.
#[test]
fn every_handshake_is_a_full_one() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar("[\"GET /api/v3/**\"]", "");
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/account").status, 200);
    for _ in 0..3 {
        let before = stand_in.exchange.connections();
        stand_in.exchange.close_idle();
        sidecar.wait_until("another connection", || {
            assert_eq!(get(at, "/api/v3/account").status, 200);
            stand_in.exchange.connections() > before
        });
    }
    assert_eq!(stand_in.exchange.resumed_handshakes(), 0);
}

#[test]
fn a_listener_cannot_change_while_running() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar("[\"GET /api/v3/time\"]", "");
    write_config(&sidecar, |text| {
        text.replace("name: binance", "name: other")
    });
    sidecar.wait_until("refused", || {
        sidecar
            .stdout()
            .contains("`outbound` cannot change while running")
    });
    assert_eq!(get(out(&sidecar), "/api/v3/time").status, 200);
}
