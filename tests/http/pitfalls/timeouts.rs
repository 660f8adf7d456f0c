//! 20: every wait has an end. Head, body, connection to the service, its head, its body, and the whole. Only the wait that
//! is meant ends while a test looks on, and every honest request has seconds for it.

use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::oracle::{Stage, demand};
use crate::support::origin::{Act, Received, send, tagged};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{HOLD, NoAnswer, PATIENCE, Response, Wire, describe};
use crate::world::{OPEN, get, pair, request};

/// How long the wait is that a test is about.
const SHORT: Duration = Duration::from_secs(3);

/// This wait ends after [`SHORT`], all others when nobody looks on any more.
fn policy(short: &str) -> String {
    let waits = [
        "head",
        "body_idle",
        "connect",
        "response_head",
        "response_idle",
        "total",
    ];
    let waits = waits.map(|wait| format!("{wait}: {}", if wait == short { "3s" } else { "1h" }));
    format!("  timeouts: {{ {} }}\n{OPEN}", waits.join(", "))
}

/// Every wait of a request ends with the whole, which is short.
fn in_all() -> String {
    let waits = "body_idle: 3s, connect: 3s, response_head: 3s, response_idle: 3s, total: 3s";
    format!("  timeouts: {{ {waits} }}\n{OPEN}")
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

/// Whether an answer began, and the connection ended in it.
fn is_cut_off(answer: &Result<Response, NoAnswer>) -> bool {
    matches!(answer, Err(NoAnswer::Cut(_)))
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let (sidecar, origin) = pair(&policy("head"), None);
    for (name, drip) in [("half a head", false), ("a head in drops", true)] {
        let mut wire = sidecar.connect();
        let started = Instant::now();
        wire.send("GET /open/x HTTP/1.1\r\nHo");
        // Drops go on until the end, so that it is none of them that it waits for.
        let between = if drip { SHORT / 60 } else { PATIENCE };
        while !wire.ends_within(between) {
            assert!(started.elapsed() < PATIENCE, "{name}: left open");
            wire.try_send("s");
        }
        assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
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
    let (sidecar, _origin) = pair(&policy("head"), None);
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
    let (sidecar, origin) = pair(&policy("body_idle"), None);
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
    let (sidecar, origin) = pair(&in_all(), None);
    let mut wire = sidecar.connect();
    let started = Instant::now();
    wire.send(request("POST", "/open/x", "Content-Length: 5000\r\n"));
    while wire.bytes(1, SHORT / 60).is_empty() {
        assert!(started.elapsed() < PATIENCE, "it goes on");
        wire.try_send("x");
    }
    let answer = wire.answer();
    let ended = matches!(&answer, Ok(answer) if matches!(answer.status, 408 | 504));
    assert!(ended, "{}", describe(&answer));
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
    assert_eq!(origin.mark(), 0);
}

#[test]
fn a_service_that_does_not_answer_is_504() {
    let (sidecar, origin) = pair(&policy("response_head"), None);
    origin.answer(|_: &Received| vec![Act::Pause(HOLD), Act::Close]);
    let mut wire = sidecar.connect();
    let started = Instant::now();
    let answer = wire.ask(get("/open/x")).unwrap();
    told(&answer, 504, "upstream.timeout");
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
    assert_eq!(
        recorded(&sidecar, &wire)["reason"]["code"],
        "upstream.timeout"
    );
    // Half a head is no head.
    origin.answer(|_: &Received| {
        vec![
            send("HTTP/1.1 200 OK\r\nConte"),
            Act::Pause(HOLD),
            Act::Close,
        ]
    });
    let mut wire = sidecar.connect();
    told(&wire.ask(get("/open/x")).unwrap(), 504, "upstream.timeout");
}

#[test]
fn an_answer_that_stops_is_cut_off() {
    let (sidecar, origin) = pair(&policy("response_idle"), None);
    for head in ["Content-Length: 50", "Transfer-Encoding: chunked"] {
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
        origin.answer(move |_: &Received| vec![send(&text), Act::Pause(HOLD), Act::Close]);
        let mut wire = sidecar.connect();
        let started = Instant::now();
        let answer = wire.ask(get("/open/x"));
        assert!(is_cut_off(&answer), "{head}: {}", describe(&answer));
        assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
        let event = recorded(&sidecar, &wire);
        assert_eq!(event["reason"]["code"], "upstream.timeout", "{event}");
    }
}

#[test]
fn an_answer_in_drops_ends_with_the_total() {
    let (sidecar, origin) = pair(&in_all(), None);
    origin.answer(|_: &Received| {
        let mut acts = vec![send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")];
        for _ in 0..4000 {
            acts.push(Act::Pause(SHORT / 60));
            acts.push(send("x"));
        }
        acts.push(Act::Close);
        acts
    });
    let mut wire = sidecar.connect();
    let started = Instant::now();
    let answer = wire.ask(get("/open/x"));
    assert!(is_cut_off(&answer), "{}", describe(&answer));
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
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
    let sidecar = Sidecar::start(&Setup::new(&url, &policy("connect")));
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
    assert!(started.elapsed() >= SHORT, "{:?}", started.elapsed());
}

/// A client that does not read its answer holds a connection, not the sidecar.
#[test]
fn a_client_that_does_not_read_is_let_go() {
    let mut stage = Stage::start(&policy("response_idle"));
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
