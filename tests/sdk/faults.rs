//! What breaks between a sidecar and the exchange, or before it: an order is done once or not at all, and nobody is told
//! anything about it that is not known.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use outrider::roles::demo::exchange::Fault;
use serde_json::Value;
use socket2::SockRef;

use crate::middle::{Manner, Middle};
use crate::support::sidecar::Sidecar;
use crate::support::wire::{NoAnswer, PATIENCE, Response, Wire};
use crate::world::{
    ORDER, StandIn, ask, get, out, place, record_of, services, text, told, wait_for_limits,
    wait_until,
};

/// The route of an order.
const PLACING: &str = "POST /api/v3/order";
/// An exchange that does not answer is given up soon, but not so soon that an honest answer is late on a busy machine.
const SHORT: &str = "    timeouts: { connect: 3s, handshake: 3s, response_head: 3s, response_idle: 3s, total: 6s }\n";
/// Longer than anybody waits: an answer that comes before was not waited for.
const FOR_EVER: Duration = Duration::from_secs(600);

/// Status, reason and execution of an answer.
fn brief(answer: &Response) -> (u16, String, String) {
    let told = told(answer);
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    (answer.status, text("reason"), text("execution"))
}

fn unknown() -> (u16, String, String) {
    (504, "exchange.unknown".to_owned(), "unknown".to_owned())
}

fn not_sent() -> (u16, String, String) {
    (503, "exchange.not_sent".to_owned(), "not_sent".to_owned())
}

/// The record of an answer says this of the execution, and is the last of so many.
fn assert_recorded(sidecar: &Sidecar, answer: &Response, count: usize, execution: &str) -> Value {
    let event = record_of(sidecar, answer);
    assert_eq!(event["exchange"]["execution"], execution, "{event}");
    let events = services(sidecar, count);
    assert_eq!(events.len(), count, "{events:#?}");
    event
}

/// The record of a request that nobody was there to hear the answer to, which is the last of so many.
fn last_recorded(sidecar: &Sidecar, count: usize) -> Value {
    let mut events = services(sidecar, count);
    assert_eq!(events.len(), count, "{events:#?}");
    events.pop().unwrap()
}

/// Nothing is left of what broke: the next order comes out well.
fn assert_recovered(sidecar: &Sidecar, stand_in: &StandIn) {
    assert_eq!(place(out(sidecar)).status, 200);
    stand_in.assert_clean();
}

#[test]
fn f1_an_exchange_that_refuses_connections_is_sent_nothing() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    assert_eq!(place(out(&sidecar)).status, 200);
    stand_in.refuse(true);
    stand_in.hang_up();
    let read = get(out(&sidecar), "/api/v3/account");
    assert_eq!(
        brief(&read),
        (
            502,
            "upstream.unreachable".to_owned(),
            "not_sent".to_owned()
        )
    );
    let order = place(out(&sidecar));
    assert_eq!(brief(&order), not_sent());
    let event = assert_recorded(&sidecar, &order, 3, "not_sent");
    let detail = event["reason"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("upstream.unreachable: "), "{detail}");
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    stand_in.refuse(false);
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f2_an_exchange_that_never_answers_leaves_the_outcome_open() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().more(SHORT).start();
    wait_for_limits(&sidecar, &stand_in);
    assert_eq!(place(out(&sidecar)).status, 200);
    let kept = stand_in.exchange.open_connections();
    let long = Fault::Slow(FOR_EVER);
    stand_in.exchange.fault(long, PLACING, 1);
    let order = place(out(&sidecar));
    assert_eq!(brief(&order), unknown());
    assert_recorded(&sidecar, &order, 2, "unknown");
    // It was done, once, and the connection that hangs is used no more.
    assert_eq!(stand_in.called(PLACING), 2);
    assert_eq!(stand_in.exchange.orders_placed(), 2);
    wait_until("given up", || stand_in.exchange.open_connections() < kept);
    assert_recovered(&sidecar, &stand_in);
    assert_eq!(stand_in.exchange.orders_placed(), 3);
}

#[test]
fn f2_a_handshake_that_is_never_answered_sends_nothing() {
    let stand_in = StandIn::start();
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    let mut way = stand_in.way().more(SHORT);
    way.port = middle.address.port();
    let sidecar = way.start();
    middle.be(Manner::Ignore);
    assert_eq!(get(out(&sidecar), "/api/v3/account").status, 502);
    let order = place(out(&sidecar));
    assert_eq!(brief(&order), not_sent());
    assert_recorded(&sidecar, &order, 2, "not_sent");
    assert_eq!(stand_in.called(PLACING), 0);
    middle.be(Manner::Pass);
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f3_an_answer_that_drips_is_given_up_in_time() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().more(SHORT).start();
    // When it is given up, some thirty bytes have come.
    let drip = Fault::Drip(Duration::from_millis(200));
    stand_in.exchange.fault(drip, PLACING, 1);
    stand_in.exchange.fault(drip, "GET /api/v3/account", 1);
    let order = place(out(&sidecar));
    assert_eq!(brief(&order), unknown());
    assert_recorded(&sidecar, &order, 1, "unknown");
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    // A question's answer is passed on as it comes, and ends as what it is: broken off.
    let at = out(&sidecar);
    let request = text(at, "GET", "/api/v3/account", "", "");
    let answer = Wire::connect(at).ask(request);
    assert!(matches!(answer, Err(NoAnswer::Cut(_))), "{answer:?}");
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f4_an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let stand_in = StandIn::start();
    let middle = Middle::start(stand_in.exchange.address(), stand_in.exchange.root_pem());
    let mut way = stand_in.way();
    way.port = middle.address.port();
    way.ca.push_str(&middle.ca);
    let sidecar = way.start();
    stand_in.exchange.fault(Fault::HalfAnswer, PLACING, 1);
    let order = place(out(&sidecar));
    assert_eq!(brief(&order), unknown());
    assert_recorded(&sidecar, &order, 1, "unknown");
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    // A reset in the middle of the head, and in the middle of the body.
    for (bytes, placed, count) in [(40, 2, 2), (500, 3, 3)] {
        // What stood before is gone then, so that nothing is left to be noticed while the order leaves.
        middle.be(Manner::ResetAfter(bytes));
        let answer = place(out(&sidecar));
        assert_eq!(
            brief(&answer),
            unknown(),
            "after {bytes}: {}",
            answer.text()
        );
        assert_recorded(&sidecar, &answer, count, "unknown");
        assert_eq!(stand_in.called(PLACING), placed, "after {bytes}");
        assert_eq!(stand_in.exchange.orders_placed(), placed, "after {bytes}");
    }
    // A question may be asked a second time; what came of it is then broken again.
    let at = out(&sidecar);
    let answer = Wire::connect(at).ask(text(at, "GET", "/api/v3/account", "", ""));
    let broken = match &answer {
        Ok(answer) => answer.status == 502,
        Err(NoAnswer::Cut(_)) => true,
        Err(_) => false,
    };
    assert!(broken, "{answer:?}");
    middle.be(Manner::Pass);
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f5_an_answer_before_the_request_is_read_is_delivered_and_the_next_one_is_its_own() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    let at = out(&sidecar);
    // More than fits into the buffers of a connection, so that the answer comes while the body leaves.
    let body = format!("symbol=BTCUSDT&newClientOrderId={}", "x".repeat(200 << 10));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let faults = [
        (Fault::Conflict, 409, "answered"),
        (Fault::Unavailable, 504, "unknown"),
        (Fault::Forbidden, 403, "answered"),
    ];
    for (fault, expected, execution) in faults {
        stand_in.exchange.fault(fault, PLACING, 1);
        let answer = ask(at, "POST", "/api/v3/order", form, &body);
        // Where the end of the connection is there before the answer, nobody can know.
        let (status, _, said) = brief(&answer);
        assert!(
            status == expected || (status == 504 && said == "unknown"),
            "{fault:?}: {status} {said}"
        );
        let event = record_of(&sidecar, &answer);
        let recorded = event["exchange"]["execution"].as_str().unwrap();
        let known = if status == expected {
            execution
        } else {
            "unknown"
        };
        assert_eq!(recorded, known, "{fault:?}");
        let next = place(at);
        match status {
            // The firewall holds everybody up for a moment.
            403 => assert_eq!(told(&next)["reason"], "exchange.halted", "{}", next.text()),
            _ => assert_eq!(next.status, 200, "after {fault:?}: {}", next.text()),
        }
    }
    assert!(stand_in.exchange.orders_placed() >= 2);
    stand_in.assert_clean();
}

/// The end of what a client says is how it is seen that it has gone (F7), and is taken for that here too.
#[test]
fn f6_a_client_that_ends_its_half_is_taken_for_gone_and_its_order_is_seen_to_its_end() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    let at = out(&sidecar);
    let slow = Fault::Slow(Duration::from_secs(3));
    stand_in.exchange.fault(slow, PLACING, 1);
    let mut wire = Wire::connect(at);
    wire.send(text(at, "POST", ORDER, "", ""));
    wait_until("sent", || stand_in.called(PLACING) == 1);
    wire.finish();
    let (ticks, from) = (sidecar.cpu_ticks(), Instant::now());
    let event = last_recorded(&sidecar, 1);
    assert_eq!(event["exchange"]["execution"], "answered", "{event}");
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    // It waits, and does not spin: a tick is 10 ms.
    let busy = sidecar.cpu_ticks() - ticks;
    let waited = from.elapsed().as_millis() as u64 / 10;
    assert!(busy * 3 < waited, "{busy} of {waited} ticks");
    assert!(wire.ends_within(PATIENCE));
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f7_a_client_that_vanishes_takes_no_order_back() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    wait_for_limits(&sidecar, &stand_in);
    let at = out(&sidecar);
    for reset in [false, true] {
        let before = stand_in.exchange.orders_placed();
        let slow = Fault::Slow(Duration::from_secs(1));
        stand_in.exchange.fault(slow, PLACING, 1);
        let mut client = TcpStream::connect(at).unwrap();
        client
            .write_all(text(at, "POST", ORDER, "", "").as_bytes())
            .unwrap();
        wait_until("sent", || stand_in.called(PLACING) == before + 1);
        match reset {
            true => SockRef::from(&client)
                .set_linger(Some(Duration::ZERO))
                .unwrap(),
            false => client.shutdown(Shutdown::Both).unwrap(),
        }
        drop(client);
        let event = last_recorded(&sidecar, before as usize + 1);
        assert_eq!(event["exchange"]["execution"], "answered", "{event}");
        assert_eq!(event["response"]["status"], 200, "{event}");
        assert_eq!(event["outcome"], "success", "{event}");
        assert_eq!(stand_in.exchange.orders_placed(), before + 1);
    }
    // A question that nobody waits for any more is not worth its answer.
    let drip = Fault::Drip(Duration::from_millis(50));
    stand_in.exchange.fault(drip, "GET /api/v3/account", 1);
    let kept = stand_in.exchange.open_connections();
    let mut wire = Wire::connect(at);
    wire.send(text(at, "GET", "/api/v3/account", "", ""));
    wire.bytes(1, PATIENCE);
    drop(wire);
    let event = last_recorded(&sidecar, 3);
    assert_eq!(event["outcome"], "aborted", "{event}");
    wait_until("cancelled", || stand_in.exchange.open_connections() < kept);
    assert_recovered(&sidecar, &stand_in);
}

#[test]
fn f7_a_client_that_vanishes_before_it_has_said_all_sends_nothing() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    let at = out(&sidecar);
    let whole = text(
        at,
        "POST",
        "/api/v3/order",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        ORDER.split('?').next_back().unwrap(),
    );
    for cut in [whole.len() - 1, whole.len() - 20] {
        let mut client = TcpStream::connect(at).unwrap();
        client.write_all(&whole.as_bytes()[..cut]).unwrap();
        drop(client);
    }
    let events = services(&sidecar, 2);
    for event in &events {
        assert_eq!(event["exchange"]["execution"], "not_sent", "{event}");
        assert_ne!(event["outcome"], "success", "{event}");
    }
    assert_eq!(stand_in.called(PLACING), 0);
    assert_recovered(&sidecar, &stand_in);
}
