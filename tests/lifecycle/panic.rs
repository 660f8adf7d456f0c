//! A panic in one request (F30). The real walk, with a clock that fails in the middle of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use outrider::accept::http::Http;
use outrider::config;
use outrider::forward::{Forwarder, PoolLimits};
use outrider::model::clock::{Clock, Now, SystemClock};
use outrider::model::facts::Connection;
use outrider::pipeline::{Live, Pipeline};
use outrider::record::{Metrics, Recorder};
use outrider::roles::load;
use outrider::runtime::drain::Drain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::origin::Origin;
use crate::support::sidecar;
use crate::world::{OPEN, get};

/// Fails when it is asked for the second time: once the head is judged, before the request is sent.
struct Failing(SystemClock, AtomicU32);

impl Clock for Failing {
    fn now(&self) -> Now {
        let before = self.1.fetch_add(1, Ordering::Relaxed);
        assert_ne!(before, 1, "the clock fails on purpose");
        self.0.now()
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_recorded_and_the_next_request_is_served() {
    let origin = Origin::start();
    origin.answer_tagged();
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let yaml = format!(
        "service: s\naudit: {{ spool: spool }}\ninbound:\n  listen: 127.0.0.1:1\n  forward_to: {}\n{OPEN}",
        origin.url
    );
    let loaded = config::load_bytes("sidecar.yaml", yaml.as_bytes(), folder.path(), []).unwrap();
    let (inbound, audit) = (loaded.config.inbound, loaded.config.audit);
    let metrics = Metrics::new("1").unwrap();
    let clock = Arc::new(SystemClock::new());
    let (recorder, _) = Recorder::start(&audit, "s", "1", clock, metrics.clone()).unwrap();
    let (drain, drivers) = (Drain::new(), Drain::new());
    let limits = PoolLimits {
        connections_max: 8,
        idle_max: 8,
    };
    let spawner = Arc::new(move |driver| drivers.spawn(driver));
    let way = Forwarder::new(inbound.upstream.clone(), &inbound.timeouts, limits, spawner);
    let http = Http::new(&inbound.limits, &inbound.timeouts);
    let snapshot = load::snapshot(inbound).unwrap().snapshot;
    let service = Arc::new(metrics.client("127.0.0.1", "1"));
    let live = Live::new(
        1,
        snapshot,
        http.clone(),
        None,
        vec![way],
        Vec::new(),
        service,
        &metrics,
    );
    let pipeline = Pipeline {
        live: Arc::new(ArcSwap::from_pointee(live)),
        recorder: recorder.clone(),
        clock: Arc::new(Failing(SystemClock::new(), AtomicU32::new(0))),
        worker: 0,
        streams: Arc::default(),
    };
    let peer = "192.0.2.1:1".parse().unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let request = get("/open/1").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let serving = http.serve(server, Connection::clear(peer), &pipeline, &drain);
        let (_, read) = tokio::join!(serving, client.read_to_string(&mut answer));
        read.unwrap();
        answers.push(answer);
    }
    assert!(answers[0].starts_with("HTTP/1.1 500 "), "{}", answers[0]);
    assert!(!answers[0].contains("on purpose"), "{}", answers[0]);
    assert!(answers[1].starts_with("HTTP/1.1 200 "), "{}", answers[1]);
    recorder.stop(crate::support::wire::PATIENCE).await.unwrap();
    let events = sidecar::events(&sidecar::audit_text(&spool));
    let requests = sidecar::of_type(&events, "http.request");
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0]["outcome"], "error");
    assert_eq!(requests[0]["reason"]["code"], "proxy.internal");
    assert_eq!(requests[1]["outcome"], "success");
}
