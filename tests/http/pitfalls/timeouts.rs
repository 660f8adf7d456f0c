//! 20: every wait has an end. Head, body, connection to the service, its head, its body, and the whole.

use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::oracle::{Stage, demand};
use crate::support::origin::{Act, Received, send, tagged};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{PATIENCE, Response, Wire, describe};
use crate::world::{OPEN, get, pair, request};

const SHORT: &str = "  timeouts: { head: 300ms, body_idle: 200ms, connect: 200ms, response_head: 300ms, response_idle: 200ms, total: 900ms }\n";

fn policy() -> String {
    format!("{SHORT}{OPEN}")
}

/// The code of the one record of a connection.
fn recorded(sidecar: &Sidecar, wire: &Wire) -> Value {
    let peer = wire.local().to_string();
    let mut own = Vec::new();
    sidecar.wait_until("recorded", || {
        own = sidecar.requests(0);
        own.retain(|event| event["request"]["peer"] == peer.as_str());
        !own.is_empty()
    });
    assert_eq!(own.len(), 1, "{own:?}");
    own.remove(0)
}

fn told(answer: &Response, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (status, Some(code)),
        "{answer}"
    );
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let (sidecar, origin) = pair(&policy(), None);
    for (name, drip) in [("half a head", false), ("a head in drops", true)] {
        let mut wire = sidecar.connect();
        let started = Instant::now();
        wire.send("GET /open/x HTTP/1.1\r\nHo");
        while drip && started.elapsed() < Duration::from_millis(600) && wire.try_send("s") {
            if wire.ends_within(Duration::from_millis(40)) {
                break;
            }
        }
        assert!(wire.ends_within(PATIENCE), "{name}: left open");
        assert!(
            started.elapsed() < Duration::from_millis(1500),
            "{name}: {:?}",
            started.elapsed()
        );
        assert_eq!(
            recorded(&sidecar, &wire)["reason"]["code"],
            "request.head_timeout",
            "{name}"
        );
    }
    assert_eq!(origin.mark(), 0);
}

#[test]
fn a_silent_or_idle_connection_ends_without_a_record() {
    let (sidecar, _origin) = pair(&policy(), None);
    let mut silent = sidecar.connect();
    let mut idle = sidecar.connect();
    assert_eq!(idle.ask(get("/open/x")).unwrap().status, 200);
    assert!(silent.ends_within(PATIENCE), "the silent one is left open");
    assert!(idle.ends_within(PATIENCE), "the idle one is left open");
    assert_eq!(
        idle.rest(PATIENCE).unwrap(),
        b"",
        "an idle connection ends without a word"
    );
    assert_eq!(sidecar.requests(1).len(), 1, "only the request is recorded");
}

#[test]
fn a_body_that_stops_is_408() {
    let (sidecar, origin) = pair(&policy(), None);
    for headers in ["Content-Length: 50\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut wire = sidecar.connect();
        wire.send(request("POST", "/open/x", headers));
        wire.send("5\r\nhello\r\n");
        let answer = wire.answer();
        told(
            answer
                .as_ref()
                .unwrap_or_else(|_| panic!("{headers:?}: {}", describe(&answer))),
            408,
            "body.timeout",
        );
        assert!(wire.ends_within(PATIENCE));
        assert_eq!(recorded(&sidecar, &wire)["reason"]["code"], "body.timeout");
    }
    assert_eq!(origin.mark(), 0, "no half body became a request");
}

/// Bytes that drip fast enough for every single wait do not hold a request beyond `total`.
#[test]
fn a_body_in_drops_ends_with_the_total() {
    let (sidecar, origin) = pair(&policy(), None);
    let mut wire = sidecar.connect();
    wire.send(request("POST", "/open/x", "Content-Length: 5000\r\n"));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) && wire.try_send("x") {
        if !wire.bytes(1, Duration::from_millis(50)).is_empty() {
            break;
        }
    }
    let answer = wire.answer();
    let ended = matches!(&answer, Ok(answer) if matches!(answer.status, 408 | 504));
    assert!(ended, "{}", describe(&answer));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(origin.mark(), 0);
}

#[test]
fn a_service_that_does_not_answer_is_504() {
    let (sidecar, origin) = pair(&policy(), None);
    origin.answer(|_: &Received| vec![Act::Pause(Duration::from_millis(1500)), Act::Close]);
    let mut wire = sidecar.connect();
    let started = Instant::now();
    let answer = wire.ask(get("/open/x")).unwrap();
    told(&answer, 504, "upstream.timeout");
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        recorded(&sidecar, &wire)["reason"]["code"],
        "upstream.timeout"
    );
    // Half a head is no head.
    origin.answer(|_: &Received| {
        vec![
            send("HTTP/1.1 200 OK\r\nConte"),
            Act::Pause(Duration::from_millis(1500)),
            Act::Close,
        ]
    });
    let mut wire = sidecar.connect();
    told(&wire.ask(get("/open/x")).unwrap(), 504, "upstream.timeout");
}

#[test]
fn an_answer_that_stops_is_cut_off() {
    let (sidecar, origin) = pair(&policy(), None);
    for head in ["Content-Length: 50", "Transfer-Encoding: chunked"] {
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        origin.answer(move |_: &Received| {
            vec![
                send(&text),
                Act::Pause(Duration::from_millis(1500)),
                Act::Close,
            ]
        });
        let mut wire = sidecar.connect();
        let started = Instant::now();
        let answer = wire.ask(get("/open/x"));
        assert!(answer.is_err(), "{head}: {}", describe(&answer));
        assert!(
            started.elapsed() < Duration::from_millis(1200),
            "{head}: {:?}",
            started.elapsed()
        );
        let event = recorded(&sidecar, &wire);
        assert_eq!(event["reason"]["code"], "upstream.timeout", "{event}");
    }
}

#[test]
fn an_answer_in_drops_ends_with_the_total() {
    let (sidecar, origin) = pair(&policy(), None);
    origin.answer(|_: &Received| {
        let mut acts = vec![send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")];
        for _ in 0..40 {
            acts.push(Act::Pause(Duration::from_millis(50)));
            acts.push(send("x"));
        }
        acts.push(Act::Close);
        acts
    });
    let mut wire = sidecar.connect();
    let started = Instant::now();
    let answer = wire.ask(get("/open/x"));
    assert!(answer.is_err(), "{}", describe(&answer));
    assert!(
        started.elapsed() < Duration::from_millis(1700),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_service_that_does_not_take_a_connection_is_told() {
    // A queue of one that is full: the kernel drops every further handshake.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _first = Wire::connect(address);
    let url = format!("http://{address}");
    let sidecar = Sidecar::start(&Setup::new(&url, &policy()));
    let mut wire = sidecar.connect();
    let started = Instant::now();
    let answer = wire.ask(get("/open/x")).unwrap();
    assert!(matches!(answer.status, 502 | 504), "{answer}");
    assert!(
        matches!(
            answer.code().as_deref(),
            Some("upstream.unreachable" | "upstream.timeout")
        ),
        "{answer}"
    );
    assert!(
        started.elapsed() < Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
}

/// A client that does not read its answer holds a connection, not the sidecar.
#[test]
fn a_client_that_does_not_read_is_let_go() {
    let mut stage = Stage::start(&policy());
    let large = "x".repeat(16 << 20);
    stage
        .origin
        .answer(move |got: &Received| match got.target.as_str() {
            "/probe" => tagged(got),
            _ => vec![send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{large}",
                large.len()
            ))],
        });
    let mut wire = stage.fresh(None);
    wire.send(get("/open/large"));
    let peer = wire.local().to_string();
    let mut found = false;
    let until = Instant::now() + PATIENCE;
    while !found && Instant::now() < until {
        found = stage
            .sidecar
            .requests(0)
            .iter()
            .any(|event| event["request"]["peer"] == peer.as_str());
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.expect(
        "unread",
        demand(
            found,
            "the request of a client that does not read never ends",
        ),
    );
    drop(wire);
    stage.settle();
}
