//! Many at once: places for connections, workers that share what must be shared, and a service behind a Unix socket.

use std::time::Duration;

use crate::support::oracle::{Stage, demand};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{PATIENCE, QUIET, Wire};
use crate::world::{OPEN, get, pair, post, request};

/// One address has its places and no more; others are not touched by that.
#[test]
fn one_address_cannot_take_every_place() {
    let inbound = format!("  bounds: {{ connections_max: 10, connections_per_ip_max: 2 }}\n{OPEN}");
    let (sidecar, _origin) = pair(&inbound, None);
    let from = |address: &str| Wire::connect_from(address.parse().unwrap(), sidecar.inbound);
    let mut held: Vec<Wire> = (0..2).map(|_| from("127.0.0.20")).collect();
    for wire in &mut held {
        assert_eq!(wire.ask(get("/open/x")).unwrap().status, 200);
    }
    let mut third = from("127.0.0.20");
    assert!(
        third.ends_within(PATIENCE),
        "the third of one address is left open"
    );
    let mut other = from("127.0.0.21");
    assert_eq!(
        other.ask(get("/open/x")).unwrap().status,
        200,
        "another address"
    );
    for wire in &mut held {
        assert_eq!(
            wire.ask(get("/open/x")).unwrap().status,
            200,
            "those that were there stay"
        );
    }
    sidecar.wait_until("counted", || {
        sidecar.metric("outrider_connections_refused_total", &["per_ip"]) >= 1.0
    });
    drop(held);
    sidecar.wait_until("a place free again", || {
        let mut wire = from("127.0.0.20");
        wire.ask(get("/open/x"))
            .is_ok_and(|answer| answer.status == 200)
    });
}

/// Every place taken: the next waits until one is free, and is served then.
#[test]
fn places_are_bounded_over_all_workers() {
    let inbound = format!("  bounds: {{ connections_max: 4, connections_per_ip_max: 4 }}\n{OPEN}");
    let origin = Origin::start();
    let setup = Setup {
        workers: 2,
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    let from = |last: usize| {
        Wire::connect_from(format!("127.0.0.{last}").parse().unwrap(), sidecar.inbound)
    };
    let mut held: Vec<Wire> = (0..4).map(|number| from(30 + number)).collect();
    for wire in &mut held {
        assert_eq!(wire.ask(get("/open/x")).unwrap().status, 200);
    }
    let mut waiting = from(40);
    waiting.send(get("/open/late"));
    assert!(
        waiting.bytes(1, QUIET).is_empty(),
        "served beyond the bound"
    );
    drop(held);
    let answer = waiting.answer().unwrap();
    assert_eq!(answer.status, 200, "{answer}");
}

/// Bodies that a rule must see whole share one account, whichever worker holds them and however slowly they come.
#[test]
fn bodies_held_whole_are_bounded_together() {
    let inbound = format!(
        "  bounds: {{ whole_body_bytes_max: 64KiB }}\n  timeouts: {{ body_idle: 1h, total: 1h }}\n{OPEN}    - name: json
      match: {{ method: POST, path: /json }}
      anonymous: true
      body: {{ json: true, content_types: [application/json] }}
"
    );
    let origin = Origin::start();
    let setup = Setup {
        workers: 2,
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    let typed = "Content-Type: application/json\r\n";
    let body = format!("[{}0]", "0,".repeat(20_000));
    let slow = format!("{typed}Content-Length: {}\r\n", body.len() + 1);
    let hold = || {
        let mut wire = sidecar.connect();
        wire.send(format!(
            "{}{}",
            request("POST", "/json", &slow),
            &body[..30_000]
        ));
        wire
    };
    let mut held = [hold(), hold()];
    let whole = post("/json", typed, &body);
    sidecar.wait_until("no room for another", || {
        // Who came while another was held had no room himself.
        for wire in &mut held {
            if wire.ends_within(Duration::from_millis(5)) {
                *wire = hold();
            }
        }
        let answer = sidecar.connect().ask(whole.clone()).unwrap();
        answer.status == 503
            && answer.code().as_deref() == Some("proxy.overloaded")
            && answer.one("retry-after") == Some("1")
    });
    let streamed = sidecar.connect().ask(post("/open/x", typed, &body));
    assert_eq!(
        streamed.unwrap().status,
        200,
        "what is not held needs no room"
    );
    drop(held);
    sidecar.wait_until("room again", || {
        sidecar.connect().ask(whole.clone()).unwrap().status == 200
    });
}

/// A second sidecar on the same port does not start, and so takes no connection from the first.
#[test]
fn a_port_belongs_to_one_sidecar() {
    let origin = Origin::start();
    for workers in [1, 2] {
        let first = Sidecar::start(&Setup {
            workers,
            ..Setup::new(&origin.url, OPEN)
        });
        let listen = first.inbound.to_string();
        for workers in [1, 2] {
            let (code, said) = Sidecar::fails_to_start(&Setup {
                workers,
                listen: &listen,
                ..Setup::new(&origin.url, OPEN)
            });
            assert_eq!(code, Some(1), "{said}");
            let told = format!("inbound.listen: {listen} cannot be bound");
            assert!(said.contains(&told), "{said}");
        }
    }
}

/// Limits hold over all workers together, not for each.
#[test]
fn workers_share_limits() {
    let inbound = "  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - name: shared
      match: { method: GET, path: /shared }
      anonymous: true
      limits: [{ name: shared, per: client_ip, rate: 1/h, burst: 10 }]
";
    let origin = Origin::start();
    let setup = Setup {
        workers: 2,
        ..Setup::new(&origin.url, inbound)
    };
    let mut stage = Stage::over(Sidecar::start(&setup), origin);
    let statuses: Vec<u16> = (0..40)
        .map(|_| stage.fresh(None).ask(get("/shared")).unwrap().status)
        .collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    stage.expect(
        "shared",
        demand(passed == 10, format!("{passed} of 40 passed: {statuses:?}")),
    );
    let at_service = stage
        .origin
        .since(0)
        .iter()
        .filter(|got| got.target == "/shared")
        .count();
    stage.expect(
        "shared",
        demand(at_service == 10, format!("{at_service} at the service")),
    );
    // Forty connections over two sockets of one port: nearly never all on one.
    let workers = stage.origin.connections();
    stage.expect(
        "spread",
        demand(workers >= 2, format!("{workers} pools were used")),
    );
    stage.settle();
}

#[test]
fn a_service_behind_a_unix_socket_is_served_alike() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start_unix(&folder.path().join("service.sock"));
    let sidecar = Sidecar::start(&Setup::new(&origin.url, OPEN));
    let mut wire = sidecar.connect();
    for turn in 0..3 {
        let answer = wire
            .ask(post(&format!("/open/{turn}"), "", "body"))
            .unwrap();
        assert_eq!(answer.status, 200, "{answer}");
    }
    let upstream = origin.since(0);
    assert_eq!(upstream.len(), 3);
    assert!(
        upstream
            .iter()
            .all(|got| got.body == b"body" && got.one("host") == Some("a"))
    );
    assert_eq!(origin.connections(), 1, "one connection, used again");
    drop(origin);
    std::thread::sleep(Duration::from_millis(20));
}
