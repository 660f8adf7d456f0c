//! Connections on both sides: reuse, races, hang-ups, ends, exhaustion.

use std::time::Duration;

use crate::support::oracle::{Stage, demand};
use crate::support::origin::{Act, Origin, Received, Vacant, send, tagged};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{HOLD, PATIENCE, Wire, describe};
use crate::world::{OPEN, get, pair, post, request};

/// 16: one connection to the service, used again; one that the service has closed is not met by a request.
#[test]
fn connections_to_the_service_are_used_again() {
    let mut stage = Stage::start(OPEN);
    let before = stage.origin.connections();
    let mut wire = stage.fresh(None);
    for turn in 0..20 {
        let answer = wire.ask(get(&format!("/open/{turn}"))).unwrap();
        stage.expect("reuse", demand(answer.status == 200, format!("{answer}")));
    }
    let after = stage.origin.connections();
    stage.expect(
        "reuse",
        demand(
            after == before,
            format!("{} more connections", after - before),
        ),
    );
    stage.origin.answer(|got: &Received| {
        let mut acts = tagged(got);
        acts.push(Act::Close);
        acts
    });
    for turn in 0..20 {
        let answer = wire.ask(get(&format!("/open/closing/{turn}"))).unwrap();
        stage.expect(
            "closing",
            demand(answer.status == 200, format!("{turn}: {answer}")),
        );
        // The service closes after its answer; a request that leaves in between meets the end of its connection.
        stage.sidecar.wait_until("the end of the connection", || {
            stage.sidecar.metric("outrider_upstream_connections", &[]) < 0.5
        });
    }
    stage.origin.answer_tagged();
    drop(wire);
    stage.settle();
}

/// 16, 19: a request of which a byte was sent is never sent again, whatever its method.
#[test]
fn nothing_is_sent_twice() {
    let mut stage = Stage::start(OPEN);
    stage.origin.answer(|got: &Received| {
        if got.target == "/probe" {
            tagged(got)
        } else {
            vec![Act::Close]
        }
    });
    for (name, bytes) in [
        ("GET", get("/open/x").into_bytes()),
        ("POST", post("/open/x", "", "order")),
        ("PUT", request("PUT", "/open/x", "").into()),
    ] {
        for _ in 0..3 {
            let before = stage.origin.mark();
            // The probe leaves an idle connection behind, which is the one that tempts to try again.
            stage.probe().unwrap();
            let mut wire = stage.fresh(None);
            let answer = wire.ask(&bytes);
            let told = answer.as_ref().is_ok_and(|answer| {
                answer.status == 502 && answer.code().as_deref() == Some("upstream.broken")
            });
            stage.expect(name, demand(told, describe(&answer)));
            let sent = stage
                .origin
                .since(before)
                .iter()
                .filter(|got| got.target == "/open/x")
                .count();
            stage.expect(name, demand(sent == 1, format!("sent {sent} times")));
        }
    }
    stage.settle();
}

/// 19: a client that hangs up ends its request, and the record says so.
#[test]
fn a_client_that_hangs_up_is_recorded_as_aborted() {
    let (sidecar, origin) = pair(OPEN, None);
    origin.answer(|got: &Received| {
        let mut acts = vec![Act::Pause(HOLD)];
        acts.extend(tagged(got));
        acts
    });
    let mark = origin.mark();
    let mut wire = sidecar.connect();
    let peer = wire.local().to_string();
    wire.send(get("/open/x"));
    origin.wait_since(mark, 1);
    drop(wire);
    let mut own = Vec::new();
    sidecar.wait_until("recorded", || {
        own = sidecar.requests(1);
        own.retain(|event| event["request"]["peer"] == peer.as_str());
        !own.is_empty()
    });
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(own[0]["outcome"], "aborted", "{}", own[0]);
    origin.answer_tagged();
    assert_eq!(sidecar.connect().ask(get("/open/y")).unwrap().status, 200);
}

/// A body that breaks off never becomes a complete request, and its connection to the service is not used again.
#[test]
fn a_body_that_breaks_off_stays_incomplete() {
    let mut stage = Stage::start(OPEN);
    for (name, bytes) in [
        (
            "length",
            request("POST", "/open/x", "Content-Length: 50\r\n") + "hello",
        ),
        (
            "chunks",
            request("POST", "/open/x", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n",
        ),
    ] {
        let before = stage.origin.mark();
        let mut wire = stage.fresh(None);
        wire.send(bytes);
        std::thread::sleep(Duration::from_millis(30));
        drop(wire);
        for _ in 0..3 {
            stage.probe().unwrap();
        }
        let complete = stage
            .origin
            .since(before)
            .iter()
            .filter(|got| got.target != "/probe")
            .count();
        stage.expect(
            name,
            demand(complete == 0, "the half body became a request"),
        );
    }
    stage.settle();
}

/// A service that answers before it has read the body: the answer arrives, nothing hangs, nothing is mixed up.
#[test]
fn an_early_answer_of_the_service_arrives() {
    let mut stage = Stage::start(OPEN);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut piece = [0; 1024];
            let _head = stream.read(&mut piece);
            let _answered = stream.write_all(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
            );
            // Until the other side has had enough.
            while stream.read(&mut piece).is_ok_and(|count| count > 0) {}
        }
    });
    let setup_url = format!("http://{address}");
    let sidecar = Sidecar::start(&Setup::new(&setup_url, OPEN));
    let mut wire = sidecar.connect();
    wire.send(request("POST", "/open/x", "Content-Length: 100000\r\n"));
    wire.send("x".repeat(1000));
    let answer = wire.answer();
    stage.expect(
        "early",
        demand(
            answer.as_ref().is_ok_and(|answer| answer.status == 413),
            describe(&answer),
        ),
    );
    stage.expect(
        "early",
        demand(
            wire.ends_within(PATIENCE),
            "the connection goes on with a body to come",
        ),
    );
    stage.settle();
}

/// 14: requests in flight are finished, nothing new is taken, and the end is in order.
#[test]
fn a_stop_finishes_what_is_in_flight() {
    // Nothing waits for the end of the drain.
    let inbound = format!("  timeouts: {{ drain: 1h }}\n{OPEN}");
    let (mut sidecar, origin) = pair(&inbound, None);
    origin.answer(|got: &Received| {
        let mut acts = vec![Act::Pause(Duration::from_millis(300))];
        acts.extend(tagged(got));
        acts
    });
    let mut idle = sidecar.connect();
    assert_eq!(idle.ask(get("/open/before")).unwrap().status, 200);
    let mark = origin.mark();
    let mut wire = sidecar.connect();
    wire.send(get("/open/slow"));
    origin.wait_since(mark, 1);
    sidecar.signal("TERM");
    assert!(
        idle.ends_within(PATIENCE),
        "an idle connection ends at once"
    );
    let answer = wire.answer().unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    assert!(
        answer.says_close(),
        "the last answer says that it is the last"
    );
    assert!(sidecar.wait().success());
    assert!(
        std::net::TcpStream::connect(sidecar.inbound).is_err(),
        "nobody listens any more"
    );
    let events = sidecar.audit();
    let slow = events
        .iter()
        .filter(|event| event["request"]["path"] == "/open/slow")
        .count();
    assert_eq!(slow, 1, "the last record is flushed");
}

/// 14: a drain has an end, and a second signal means now.
#[test]
fn a_stop_has_a_deadline_and_a_second_signal_means_now() {
    for (drain, second) in [("300ms", false), ("1h", true)] {
        let inbound =
            format!("  timeouts: {{ drain: {drain}, response_head: 1h, total: 1h }}\n{OPEN}");
        let (mut sidecar, origin) = pair(&inbound, None);
        origin.answer(|_: &Received| vec![Act::Pause(HOLD)]);
        let mark = origin.mark();
        let mut wire = sidecar.connect();
        wire.send(get("/open/endless"));
        origin.wait_since(mark, 1);
        sidecar.signal("TERM");
        if second {
            sidecar.wait_for_log("stopping");
            sidecar.signal("TERM");
        }
        // Every other end would come when nobody waits any more.
        sidecar.wait();
        let events = sidecar.audit();
        let endless = events
            .iter()
            .filter(|event| event["request"]["path"] == "/open/endless");
        assert_eq!(
            endless.count(),
            1,
            "{drain}: the request that was cut off is recorded"
        );
    }
}

/// 22: a process without a free file descriptor goes on once there is one.
#[test]
fn exhausted_descriptors_are_survived() {
    let origin = Origin::start();
    let setup = Setup {
        open_files: Some(40),
        ..Setup::new(&origin.url, OPEN)
    };
    let mut sidecar = Sidecar::start(&setup);
    let held: Vec<Wire> = (0..60).map(|_| sidecar.connect()).collect();
    sidecar.wait_until_it_rests();
    assert!(sidecar.is_alive());
    drop(held);
    sidecar.wait_until("answering again", || {
        let mut wire = sidecar.connect();
        wire.send(get("/open/x"));
        wire.answer_to(false, Duration::from_secs(5))
            .is_ok_and(|answer| answer.status == 200)
    });
}

/// 25: a proxy that forwards to itself is refused at load.
#[test]
fn a_loop_is_refused_at_load() {
    for (listen, forward_to) in [
        ("127.0.0.1:18080", "http://127.0.0.1:18080"),
        ("0.0.0.0:18080", "http://127.0.0.1:18080"),
        ("127.0.0.1:18080", "http://localhost:18080"),
    ] {
        let setup = Setup {
            listen,
            ..Setup::new(forward_to, OPEN)
        };
        let (code, said) = Sidecar::fails_to_start(&setup);
        assert_eq!(code, Some(78), "{listen} to {forward_to}: {said}");
        assert!(said.contains("forward_to"), "{said}");
    }
}

/// A service that is not there, and one that comes back.
#[test]
fn a_service_that_is_away_is_told_and_comes_back() {
    let vacant = Vacant::take();
    let url = format!("http://{}", vacant.address);
    let sidecar = Sidecar::start(&Setup::new(&url, OPEN));
    let mut wire = sidecar.connect();
    let answer = wire.ask(get("/open/x")).unwrap();
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (502, Some("upstream.unreachable")),
        "{answer}"
    );
    let listener = vacant.listen();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut piece = [0; 4096];
            let _read = stream.read(&mut piece);
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let answer = wire.ask(get("/open/x")).unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(
        sidecar.ask_health("/readyz").status,
        200,
        "a service that is away does not make the sidecar unready"
    );
}

/// Two answers, two clients: each gets its own, also when both wait at once.
#[test]
fn answers_are_not_exchanged_between_clients() {
    let (sidecar, origin) = pair(OPEN, None);
    origin.answer(|got: &Received| {
        let slow = got.target.ends_with("slow");
        let body = format!("{} ", got.target).repeat(50);
        vec![
            Act::Pause(Duration::from_millis(if slow { 20 } else { 1 })),
            send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )),
        ]
    });
    std::thread::scope(|scope| {
        for client in 0..8 {
            let sidecar = &sidecar;
            scope.spawn(move || {
                let mut wire = sidecar.connect();
                for turn in 0..20 {
                    let speed = if (client + turn) % 3 == 0 {
                        "slow"
                    } else {
                        "fast"
                    };
                    let target = format!("/open/{client}/{turn}/{speed}");
                    let answer = wire.ask(get(&target)).unwrap();
                    assert!(
                        answer
                            .text()
                            .split(' ')
                            .all(|word| word.is_empty() || word == target),
                        "{target} got {answer}"
                    );
                }
            });
        }
    });
}
