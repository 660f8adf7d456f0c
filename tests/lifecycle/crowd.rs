//! Too many at once: file descriptors run out and come back (F23), and idle connections cost little (F24).

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::world::{OPEN, get, status};
use std::io::Read as _;
use std::net::TcpStream;

/// Connections stay as long as a test needs for all of them.
const CROWD: &str =
    "  bounds: { connections_max: 5000, connections_per_ip_max: 5000 }\n  timeouts: { head: 1h }\n";

#[test]
fn without_file_descriptors_it_waits_and_recovers() {
    let origin = Origin::start();
    origin.answer_tagged();
    let inbound = format!("{CROWD}{OPEN}");
    let mut sidecar = Sidecar::start(&Setup {
        open_files: Some(64),
        ..Setup::new(&origin.url, &inbound)
    });
    let crowd: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(sidecar.inbound).unwrap())
        .collect();
    sidecar.wait_until_it_rests();
    assert!(sidecar.is_alive());
    drop(crowd);
    sidecar.wait_until("answering again", || {
        status(&sidecar, &get("/open/1")) == 200
    });
    assert!(sidecar.metric("outrider_connections_refused_total", &["system"]) >= 1.0);
    assert_eq!(sidecar.stop().code(), Some(0));
}

/// Ticks of processor time for some hundred requests; how long they take is the machine's affair.
fn cost(sidecar: &Sidecar) -> u64 {
    let (mut wire, before) = (sidecar.connect(), sidecar.cpu_ticks());
    for _ in 0..500 {
        assert_eq!(wire.ask(get("/open/1")).unwrap().status, 200);
    }
    sidecar.cpu_ticks() - before
}

#[test]
fn idle_connections_cost_little_and_slow_nobody_down() {
    const COUNT: usize = 2000;
    let origin = Origin::start();
    origin.answer_tagged();
    let inbound = format!("{CROWD}{OPEN}");
    let sidecar = Sidecar::start(&Setup::new(&origin.url, &inbound));
    assert_eq!(status(&sidecar, &get("/open/0")), 200);
    let alone = cost(&sidecar);
    let before = sidecar.resident();
    let mut crowd: Vec<_> = (0..COUNT)
        .map(|_| TcpStream::connect(sidecar.inbound).unwrap())
        .collect();
    sidecar.wait_until("all taken in", || {
        sidecar.metric("outrider_connections", &[]) >= COUNT as f64
    });
    let each = sidecar.resident().saturating_sub(before) / COUNT;
    // Some 18 KiB without optimisation; what an allocator keeps beside that varies. A buffer for each would be more.
    assert!(each < 40 * 1024, "{each} bytes for each idle connection");
    // Ten times as much work for each request would be a scan of the crowd.
    let beside = cost(&sidecar);
    assert!(beside < 10 * alone + 50, "{alone} ticks, then {beside}");
    let first = &mut crowd[0];
    first.set_nonblocking(true).unwrap();
    let still_open = first.read(&mut [0]).unwrap_err();
    assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
}
