//! Pins change while orders flow: reported, enforced, changed to the backup, and not one request fails.

use outrider::roles::demo::exchange::Shown;

use crate::crowd::{Crowd, tally};
use crate::world::{StandIn, generous, get, out, pins, place, reload, wait_for_limits, wait_until};

/// Callers at the same time.
const CALLERS: usize = 6;
/// Answers between two changes.
const MEANWHILE: usize = 60;

#[test]
fn pins_are_reported_enforced_and_changed_under_load_without_a_failed_request() {
    let stand_in = StandIn::with(generous);
    let keys = stand_in.exchange.pins().clone();
    let mut way = stand_in.way();
    way.workers = 2;
    let sidecar = way.start();
    wait_for_limits(&sidecar, &stand_in);
    let crowd = Crowd::start(out(&sidecar), CALLERS);
    crowd.wait_for(MEANWHILE);

    // Wrong pins that are only reported break nothing and are told.
    let change = |lines: &str| reload(&sidecar, lines);
    change(&pins(&[&keys.other_root, &keys.backup_leaf], "report"));
    crowd.wait_for(MEANWHILE);
    let mismatches = |mode| sidecar.metric("outrider_pin_mismatch_total", &[mode]);
    wait_until("reported", || mismatches("report") > 0.0);

    change(&pins(&[&keys.root, &keys.backup_root], "enforce"));
    crowd.wait_for(MEANWHILE);

    // The exchange changes its chain: connections that stand go on, new ones are proven by the backup.
    stand_in.exchange.show(Shown::Backup).unwrap();
    crowd.wait_for(MEANWHILE);
    let before = stand_in.exchange.connections();
    change(&pins(
        &[&keys.backup_root, &keys.backup_intermediate],
        "enforce",
    ));
    crowd.wait_for(MEANWHILE);

    let outcomes = crowd.stop();
    assert_eq!(tally(&outcomes), [("200", outcomes.len())].into());
    assert!(
        stand_in.exchange.connections() > before,
        "no connection was kept"
    );
    assert_eq!(stand_in.exchange.resumed_handshakes(), 0);
    assert_eq!(mismatches("enforce"), 0.0);
    let orders = outcomes.iter().filter(|outcome| outcome.order).count();
    assert_eq!(stand_in.exchange.orders_placed(), orders as u64);
    stand_in.assert_clean();

    // The pins that count are the new ones.
    stand_in.exchange.show(Shown::Right).unwrap();
    stand_in.hang_up();
    assert_eq!(get(out(&sidecar), "/api/v3/account").status, 502);
    assert_eq!(place(out(&sidecar)).status, 503);
    assert!(mismatches("enforce") > 0.0);
}
