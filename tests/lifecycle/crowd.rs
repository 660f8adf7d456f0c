//! Too many at once: file descriptors run out and come back (F23), and idle connections cost little (F24).

use std::io::Read as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::world::{OPEN, get, status};

const CROWD: &str = "  bounds: { connections_max: 5000, connections_per_ip_max: 5000 }\n";

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
    thread::sleep(Duration::from_millis(300));
    let (begun, ticks) = (Instant::now(), sidecar.cpu_ticks());
    thread::sleep(Duration::from_secs(2));
    // A tick is a hundredth of a second: a fifth of one processor, at most.
    let (spent, passed) = (sidecar.cpu_ticks() - ticks, begun.elapsed());
    assert!(
        u128::from(spent) * 50 < passed.as_millis(),
        "{spent} ticks in {passed:?}"
    );
    assert!(sidecar.is_alive());
    drop(crowd);
    sidecar.wait_until("answering again", || {
        status(&sidecar, &get("/open/1")) == 200
    });
    assert!(sidecar.metric("outrider_connections_refused_total", &["system"]) >= 1.0);
    assert_eq!(sidecar.stop().code(), Some(0));
}

#[test]
fn idle_connections_cost_little_and_slow_nobody_down() {
    const COUNT: usize = 2000;
    let origin = Origin::start();
    origin.answer_tagged();
    let inbound = format!("{CROWD}{OPEN}");
    let sidecar = Sidecar::start(&Setup::new(&origin.url, &inbound));
    assert_eq!(status(&sidecar, &get("/open/0")), 200);
    let before = sidecar.resident();
    let mut crowd: Vec<_> = (0..COUNT)
        .map(|_| TcpStream::connect(sidecar.inbound).unwrap())
        .collect();
    sidecar.wait_until("all taken in", || {
        sidecar.metric("outrider_connections", &[]) >= COUNT as f64
    });
    let each = sidecar.resident().saturating_sub(before) / COUNT;
    assert!(each < 20 * 1024, "{each} bytes for each idle connection");
    let mut wire = sidecar.connect();
    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(wire.ask(get("/open/1")).unwrap().status, 200);
            begun.elapsed()
        })
        .collect();
    took.sort();
    assert!(took[198] < Duration::from_millis(200), "{:?}", took[198]);
    let first = &mut crowd[0];
    first.set_nonblocking(true).unwrap();
    let still_open = first.read(&mut [0]).unwrap_err();
    assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
}
