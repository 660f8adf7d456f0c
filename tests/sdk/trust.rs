//! Who the exchange is: whoever cannot prove it gets no byte of HTTP, and the order is known not to have been sent.

use outrider::roles::demo::exchange::Shown;
use serde_json::Value;

use crate::middle::{Manner, Middle};
use crate::support::sidecar::Sidecar;
use crate::world::{KEY, StandIn, get, out, pins, place, record_of, told, wait_until};

/// An order is answered and recorded as not sent, for this cause.
fn assert_not_sent(sidecar: &Sidecar, cause: &str, what: &str) {
    let answer = place(out(sidecar));
    let told = told(&answer);
    assert_eq!(
        (
            answer.status,
            &told["reason"],
            &told["execution"],
            &told["code"]
        ),
        (
            503,
            &"exchange.not_sent".into(),
            &"not_sent".into(),
            &(-1008).into()
        ),
        "{what}: {told}"
    );
    let event = record_of(sidecar, &answer);
    assert_eq!(
        event["exchange"]["execution"], "not_sent",
        "{what}: {event}"
    );
    assert_eq!(event["exchange"]["signed"], false, "{what}: {event}");
    assert_eq!(event["reason"]["code"], "exchange.not_sent", "{what}");
    let detail = event["reason"]["detail"].as_str().unwrap_or_default();
    assert!(
        detail.starts_with(&format!("{cause}: ")),
        "{what}: {detail}"
    );
}

/// A question is refused for this cause.
fn assert_refused(sidecar: &Sidecar, cause: &str, what: &str) {
    let answer = get(out(sidecar), "/api/v3/account");
    let told = told(&answer);
    assert_eq!(
        (answer.status, &told["reason"]),
        (502, &cause.into()),
        "{what}"
    );
    assert_eq!(told["execution"], "not_sent", "{what}");
}

#[test]
fn whoever_cannot_prove_to_be_the_exchange_gets_no_byte_of_http() {
    let stand_in = StandIn::start();
    let keys = stand_in.exchange.pins();
    let way = stand_in
        .way()
        .more(&pins(&[&keys.root, &keys.backup_root], "enforce"));
    let sidecar = way.start();
    assert_eq!(place(out(&sidecar)).status, 200);
    for (shown, cause) in [
        (Shown::Expired, "upstream.untrusted"),
        (Shown::WrongHost, "upstream.untrusted"),
        (Shown::UnknownCa, "upstream.untrusted"),
        (Shown::SelfSigned, "upstream.untrusted"),
        (Shown::StolenCertificate, "upstream.untrusted"),
        (Shown::Tls12Only, "upstream.unreachable"),
        (Shown::WrongKey, "upstream.pin_mismatch"),
    ] {
        let what = format!("{shown:?}");
        stand_in.exchange.show(shown).unwrap();
        stand_in.hang_up();
        let before = stand_in.exchange.requests();
        assert_refused(&sidecar, cause, &what);
        assert_not_sent(&sidecar, cause, &what);
        assert_eq!(stand_in.exchange.requests(), before, "{what}");
        stand_in.exchange.show(Shown::Right).unwrap();
        assert_eq!(place(out(&sidecar)).status, 200, "after {what}");
    }
    stand_in.exchange.show(Shown::Backup).unwrap();
    stand_in.hang_up();
    assert_eq!(get(out(&sidecar), "/api/v3/account").status, 200);
    assert_eq!(stand_in.exchange.orders_placed(), 8);
    assert_eq!(stand_in.exchange.resumed_handshakes(), 0);
    stand_in.assert_clean();
}

#[test]
fn an_intruder_whose_authority_is_trusted_reads_nothing() {
    let stand_in = StandIn::start();
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    let keys = stand_in.exchange.pins();
    let mut way = stand_in
        .way()
        .more(&pins(&[&keys.root, &keys.backup_root], "enforce"));
    way.port = middle.address.port();
    way.ca.push_str(&middle.ca);
    let sidecar = way.start();
    assert_eq!(place(out(&sidecar)).status, 200);

    middle.be(Manner::Intercept);
    assert_refused(&sidecar, "upstream.pin_mismatch", "intercepted");
    assert_not_sent(&sidecar, "upstream.pin_mismatch", "intercepted");
    assert_eq!(middle.heard(), Vec::<u8>::new());
    wait_until("refused", || middle.refused() >= 2);
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    let missed = sidecar.metric("outrider_pin_mismatch_total", &["enforce"]);
    assert!(missed >= 2.0, "{missed}");
    let told = |event: &Value| event["action"]["type"] == "upstream.pin_mismatch";
    sidecar.wait_until("evidence", || sidecar.audit().iter().any(told));

    middle.be(Manner::Pass);
    assert_eq!(place(out(&sidecar)).status, 200);
    stand_in.assert_clean();
}

/// What the test above would prove nothing without: where nothing is pinned, the same intruder reads everything.
#[test]
fn without_pins_the_same_intruder_reads_everything() {
    let stand_in = StandIn::start();
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    middle.be(Manner::Intercept);
    let mut way = stand_in.way();
    way.port = middle.address.port();
    way.ca.push_str(&middle.ca);
    let sidecar = way.start();
    assert_eq!(place(out(&sidecar)).status, 200);
    let heard = String::from_utf8(middle.heard()).unwrap();
    assert!(heard.contains("POST /api/v3/order") && heard.contains(KEY));
}

#[test]
fn with_an_intruder_from_the_start_nothing_is_ever_signed() {
    let stand_in = StandIn::start();
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    middle.be(Manner::Intercept);
    let keys = stand_in.exchange.pins();
    let mut way = stand_in
        .way()
        .more(&pins(&[&keys.root, &keys.backup_root], "enforce"));
    way.port = middle.address.port();
    way.ca.push_str(&middle.ca);
    let sidecar = way.launch();
    sidecar.wait_until("asked", || middle.refused() > 0);
    let answer = place(out(&sidecar));
    let told = told(&answer);
    assert_eq!(
        (answer.status, &told["reason"]),
        (503, &"exchange.clock".into())
    );
    assert_eq!(middle.heard(), Vec::<u8>::new());
    assert_eq!(stand_in.exchange.connections(), 0);
}
