//! The way out (F29): what was taken in is answered, what waits is let go, and nothing takes longer than it may.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::origin::{Act, Origin, send, tagged};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{HOLD, PATIENCE};
use crate::world::{OPEN, get, status};

/// Long enough to be asked something in it.
const PAUSE: &[(&str, &str)] = &[("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "10s")];

/// Longer than any test waits: what ends before has not waited for any of it.
const LONG: &[(&str, &str)] = &[
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN", "1h"),
    ("OUTRIDER_INBOUND__TIMEOUTS__DRAIN_PAUSE", "1h"),
    ("OUTRIDER_INBOUND__TIMEOUTS__RESPONSE_HEAD", "1h"),
    ("OUTRIDER_INBOUND__TIMEOUTS__TOTAL", "1h"),
];

/// Answers after so long.
fn slow(origin: &Origin, pause: Duration) {
    origin.answer(move |request| {
        let mut acts = vec![Act::Pause(pause)];
        acts.extend(tagged(request));
        acts
    });
}

#[test]
fn requests_in_flight_are_answered_and_idle_connections_let_go() {
    let origin = Origin::start();
    slow(&origin, Duration::from_millis(700));
    let mut sidecar = Sidecar::start(&Setup::new(&origin.url, OPEN));
    let (mut idle, mut busy, mut slow_body) =
        (sidecar.connect(), sidecar.connect(), sidecar.connect());
    assert_eq!(idle.ask(get("/open/0")).unwrap().status, 200);
    let mark = origin.mark();
    busy.send(get("/open/1"));
    slow_body.send("POST /open/2 HTTP/1.1\r\nHost: orders.test\r\nContent-Length: 10\r\n\r\n01234");
    origin.wait_since(mark, 1);
    // Both requests have begun: an idle connection would be let go.
    let begun = || {
        let raw = origin.raw_bytes();
        String::from_utf8_lossy(&raw).contains("POST /open/2")
    };
    sidecar.wait_until("the head of the slow one at the service", begun);
    sidecar.signal("TERM");
    assert!(idle.ends_within(PATIENCE));
    thread::sleep(Duration::from_millis(100));
    slow_body.send("56789");
    assert_eq!(busy.answer().unwrap().status, 200);
    assert_eq!(slow_body.answer().unwrap().status, 200);
    assert_eq!(sidecar.wait().code(), Some(0));
    let outcomes: Vec<_> = sidecar
        .requests(3)
        .iter()
        .map(|event| event["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["success"; 3]);
    assert_eq!(
        sidecar.audit().last().unwrap()["action"]["type"],
        "audit.stop"
    );
}

#[test]
fn clients_that_do_not_know_yet_are_served_during_the_pause() {
    let origin = Origin::start();
    origin.answer_tagged();
    let mut sidecar = Sidecar::start(&Setup {
        env: PAUSE,
        ..Setup::new(&origin.url, OPEN)
    });
    let asked = Instant::now();
    sidecar.signal("TERM");
    sidecar.wait_until("not ready", || sidecar.ask_health("/readyz").status == 503);
    assert_eq!(status(&sidecar, &get("/open/1")), 200);
    assert_eq!(sidecar.wait().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(10));
}

#[test]
fn a_second_signal_means_now() {
    let origin = Origin::start();
    slow(&origin, HOLD);
    let mut sidecar = Sidecar::start(&Setup {
        env: LONG,
        ..Setup::new(&origin.url, OPEN)
    });
    let mark = origin.mark();
    let mut wire = sidecar.connect();
    wire.send(get("/open/1"));
    origin.wait_since(mark, 1);
    sidecar.signal("TERM");
    sidecar.wait_for_log("\"stopping\"");
    sidecar.signal("INT");
    assert_eq!(sidecar.wait().code(), Some(0));
    assert_eq!(sidecar.requests(1)[0]["outcome"], "aborted");
}

#[test]
fn the_deadline_ends_what_does_not_end() {
    let origin = Origin::start();
    slow(&origin, HOLD);
    let inbound = format!("  timeouts: {{ drain: 1s, response_head: 1h, total: 1h }}\n{OPEN}");
    let mut sidecar = Sidecar::start(&Setup::new(&origin.url, &inbound));
    let mark = origin.mark();
    let mut wire = sidecar.connect();
    wire.send(get("/open/1"));
    origin.wait_since(mark, 1);
    assert_eq!(sidecar.stop().code(), Some(0));
    assert_eq!(sidecar.requests(1)[0]["outcome"], "aborted");
    sidecar.wait_for_log("connections were cut off");
}

#[test]
fn a_stop_while_starting_is_heard() {
    let origin = Origin::start();
    for delay in [0, 2, 5, 10, 20, 40, 80] {
        let setup = Setup::new(&origin.url, OPEN);
        let (_folder, mut child) = setup.spawn();
        thread::sleep(Duration::from_millis(delay));
        let signal = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(signal.unwrap().success());
        let until = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "it does not stop after {delay} ms");
            thread::sleep(Duration::from_millis(5));
        }
        // Before it has taken the signal over, the system ends it; afterwards it ends in order.
        let code = child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "{code:?} after {delay} ms");
    }
}

#[test]
fn a_second_process_on_one_spool_refuses() {
    let origin = Origin::start();
    origin.answer_tagged();
    let sidecar = Sidecar::start(&Setup::new(&origin.url, OPEN));
    let spool = sidecar.spool().display().to_string();
    for _ in 0..2 {
        let env = [("OUTRIDER_AUDIT__SPOOL", spool.as_str())];
        let (code, said) = Sidecar::fails_to_start(&Setup {
            env: &env,
            ..Setup::new(&origin.url, OPEN)
        });
        assert_eq!(code, Some(74), "{said}");
        assert!(said.contains(&spool), "{said}");
    }
    assert_eq!(status(&sidecar, &get("/open/1")), 200);
    assert_eq!(sidecar.requests(1).len(), 1);
}

#[test]
fn pieces_of_an_answer_under_way_all_arrive() {
    let origin = Origin::start();
    origin.answer(|_| {
        let mut acts = vec![send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        )];
        for _ in 0..10 {
            acts.push(Act::Pause(Duration::from_millis(50)));
            acts.push(send("3\r\nabc\r\n"));
        }
        acts.push(send("0\r\n\r\n"));
        acts
    });
    let mut sidecar = Sidecar::start(&Setup::new(&origin.url, OPEN));
    let mut wire = sidecar.connect();
    wire.send(get("/open/1"));
    wire.bytes(1, PATIENCE);
    sidecar.signal("TERM");
    assert_eq!(wire.answer().unwrap().text(), "abc".repeat(10));
    assert_eq!(sidecar.wait().code(), Some(0));
}
