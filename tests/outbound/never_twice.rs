//! What changes something is done once or not at all, and nobody is told anything that is not known.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use outrider::roles::demo::exchange::Fault;

use crate::support::origin::{Act, send};
use crate::support::wire::PATIENCE;
use crate::world::{Exchange, StandIn, ask, get, json, out, services, told};

const ALL: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"DELETE /api/v3/order\"]";
const ORDER: &str =
    "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";

#[test]
fn what_nobody_knows_is_answered_and_recorded_as_unknown() {
    for fault in [
        Fault::UnknownOutcome(Duration::from_millis(50)),
        Fault::ResetAfterwards,
        Fault::ResetAfterBody,
        Fault::HalfAnswer,
        Fault::Unavailable,
    ] {
        let stand_in = StandIn::start();
        let sidecar = stand_in.sidecar(ALL, "");
        stand_in.exchange.fault(fault, "POST /api/v3/order", 1);
        let answer = ask(out(&sidecar), "POST", ORDER, "", "");
        let told = told(&answer);
        assert_eq!(
            (answer.status, &told["execution"]),
            (504, &"unknown".into()),
            "{fault:?}"
        );
        assert_eq!(told["code"], -1007);
        assert!(stand_in.exchange.orders_placed() <= 1, "{fault:?}");
        let orders = stand_in.exchange.requests();
        assert_eq!(orders["POST /api/v3/order"], 1, "{fault:?}");
        let [event] = services(&sidecar, 1).try_into().unwrap();
        assert_eq!(event["exchange"]["execution"], "unknown", "{fault:?}");
        assert_eq!(
            (&event["outcome"], &event["reason"]["code"]),
            (&"error".into(), &"exchange.unknown".into())
        );
    }
}

#[test]
fn a_connection_that_ended_unseen_is_replaced_and_the_order_signed_anew() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar(ALL, "");
    for round in 0..20 {
        assert_eq!(get(out(&sidecar), "/api/v3/account").status, 200);
        stand_in.exchange.close_idle();
        // Two that are alike and are signed in the same millisecond have the same signature.
        let order = format!("{ORDER}&newClientOrderId={round}");
        let answer = ask(out(&sidecar), "POST", &order, "", "");
        // Either the end was seen, or nothing of the order had left, or nobody knows: but never twice.
        assert!(matches!(answer.status, 200 | 504), "{}", answer.text());
    }
    let orders = stand_in.exchange.requests();
    assert!(orders["POST /api/v3/order"] <= 20);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
}

#[test]
fn where_no_connection_comes_about_nothing_was_sent() {
    let exchange = Exchange::start();
    let sidecar = exchange.signing(ALL, "    pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"sha256/BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n    pin_mode: report\n");
    assert_eq!(ask(out(&sidecar), "POST", ORDER, "", "").status, 200);
    drop(sidecar);
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar(ALL, "");
    stand_in.refuse(true);
    stand_in.hang_up();
    let answer = ask(out(&sidecar), "POST", ORDER, "", "");
    let told = told(&answer);
    assert_eq!(
        (answer.status, &told["execution"]),
        (503, &"not_sent".into())
    );
    assert_eq!(
        (&told["reason"], &told["code"]),
        (&"exchange.not_sent".into(), &(-1008).into())
    );
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["execution"], "not_sent");
    assert_eq!(event["outcome"], "error");
}

#[test]
fn a_client_that_hangs_up_does_not_take_the_record_of_its_order_along() {
    let exchange = Exchange::start();
    exchange.answer(|_| {
        let mut acts = vec![Act::Pause(Duration::from_millis(300))];
        acts.extend(json(200, "{\"orderId\":7}"));
        acts
    });
    let sidecar = exchange.signing(ALL, "");
    let at = out(&sidecar);
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!("POST {ORDER} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    exchange.wait_for(1);
    drop(stream);
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["execution"], "answered");
    assert_eq!(
        (&event["outcome"], &event["response"]["status"]),
        (&"success".into(), &200.into())
    );
}

#[test]
fn a_client_that_hangs_up_before_it_has_sent_all_sends_nothing() {
    let exchange = Exchange::start();
    let sidecar = exchange.signing(ALL, "");
    let at = out(&sidecar);
    let mut stream = TcpStream::connect(at).unwrap();
    let head = format!(
        "POST /api/v3/order HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nsymbol=A"
    );
    stream.write_all(head.as_bytes()).unwrap();
    drop(stream);
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["execution"], "not_sent");
    assert_ne!(event["outcome"], "success");
    assert_eq!(exchange.asked().len(), 0);
}

#[test]
fn a_read_may_be_asked_again_signed_anew() {
    let exchange = Exchange::start();
    let first = std::sync::atomic::AtomicBool::new(true);
    exchange.answer(
        move |_| match first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            // Behind the millisecond in which it was signed.
            true => vec![
                send("HTTP/1.1 200 O"),
                Act::Pause(Duration::from_millis(10)),
                Act::Close,
            ],
            false => json(200, "{\"a\":1}"),
        },
    );
    let sidecar = exchange.signing(ALL, "");
    let answer = get(out(&sidecar), "/api/v3/account");
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"a\":1}"));
    let asked = exchange.asked();
    assert_eq!(asked.len(), 2);
    assert_ne!(
        asked[0].target, asked[1].target,
        "a new time, a new signature"
    );
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["attempts"], 2);
}

#[test]
fn orders_are_seen_to_their_end_when_the_sidecar_stops() {
    let exchange = Exchange::start();
    exchange.answer(|_| {
        let mut acts = vec![Act::Pause(Duration::from_millis(500))];
        acts.extend(json(200, "{\"orderId\":7}"));
        acts
    });
    let mut sidecar = exchange.signing(ALL, "");
    let at = out(&sidecar);
    let asking = std::thread::spawn(move || ask(at, "POST", ORDER, "", ""));
    exchange.wait_for(1);
    assert!(sidecar.stop().success());
    assert_eq!(asking.join().unwrap().status, 200);
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["execution"], "answered");
}

/// A client whose request the exchange has heard, and keeps silent.
fn asking(exchange: &Exchange, at: SocketAddr, method: &str, target: &str) -> TcpStream {
    exchange.answer(|_| vec![Act::Pause(Duration::from_secs(600))]);
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    exchange.wait_for(1);
    stream
}

#[test]
fn an_order_that_is_cut_off_is_recorded_as_unknown() {
    let exchange = Exchange::start();
    let mut sidecar = exchange.signing(ALL, "");
    let _client = asking(&exchange, out(&sidecar), "POST", ORDER);
    sidecar.signal("TERM");
    sidecar.wait_for_log("stopping");
    // Once more means now.
    sidecar.signal("TERM");
    sidecar.wait();
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["outcome"], "aborted", "{event}");
    assert_eq!(event["exchange"]["execution"], "unknown", "{event}");
    assert_eq!(event["exchange"]["attempts"], 1);
}

#[test]
fn an_order_that_comes_while_the_sidecar_stops_is_seen_to_its_end() {
    let exchange = Exchange::start();
    exchange.answer(|_| {
        let mut acts = vec![Act::Pause(Duration::from_secs(1))];
        acts.extend(json(200, "{\"orderId\":7}"));
        acts
    });
    let mut sidecar = exchange.signing(ALL, "");
    let at = out(&sidecar);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v3/order HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut goes_on = [0; 12];
    stream.read_exact(&mut goes_on).unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100");
    sidecar.signal("TERM");
    // The way in has ended, and the ways out are next.
    sidecar.wait_for_log("every connection ended by itself");
    stream.write_all(b"symbol=A").unwrap();
    exchange.wait_for(1);
    drop(stream);
    assert!(sidecar.wait().success());
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["execution"], "answered", "{event}");
    assert_eq!(event["outcome"], "success", "{event}");
}

#[test]
fn a_question_that_nobody_waits_for_was_sent_all_the_same() {
    let exchange = Exchange::start();
    let sidecar = exchange.signing(ALL, "");
    drop(asking(&exchange, out(&sidecar), "GET", "/api/v3/account"));
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["outcome"], "aborted", "{event}");
    assert_eq!(event["exchange"]["execution"], "unknown", "{event}");
}

#[test]
fn identical_public_questions_are_asked_once() {
    let exchange = Exchange::start();
    exchange.answer(|_| {
        let mut acts = vec![Act::Pause(Duration::from_millis(300))];
        acts.extend(json(200, "{\"bids\":[]}"));
        acts
    });
    let sidecar = exchange.sidecar(ALL, "    coalesce: 10s\n");
    let at = out(&sidecar);
    let asking: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || get(at, "/api/v3/depth?symbol=A")))
        .collect();
    for one in asking {
        assert_eq!(one.join().unwrap().text(), "{\"bids\":[]}");
    }
    assert_eq!(exchange.asked().len(), 1);
    assert_eq!(services(&sidecar, 8).len(), 8);
}
