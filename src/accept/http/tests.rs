//! What hyper refuses by itself, and that it is told; never more than one connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::model::units::ByteSize;
use crate::runtime::drain::Drained;

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

fn http(head_bytes_max: u64) -> Http {
    let limits = AcceptLimits {
        connections_max: 8,
        connections_per_ip_max: 8,
        head_bytes_max: ByteSize(head_bytes_max),
        headers_max: 64,
        target_bytes_max: ByteSize(8 * 1024),
        body_bytes_max: ByteSize(1024),
    };
    let long = Duration::from_secs(3600);
    let timeouts = Timeouts {
        head: HEAD_TIMEOUT,
        body_idle: long,
        connect: long,
        response_head: long,
        response_idle: long,
        total: long,
        upstream_idle: long,
        drain: long,
        drain_pause: Duration::ZERO,
    };
    Http::new(&limits, &timeouts)
}

#[derive(Default)]
struct Recorder {
    faults: Mutex<Vec<Option<HeadFault>>>,
    refused: Mutex<Vec<(Cause, String)>>,
}

impl Handler for Recorder {
    type Body = Full<Bytes>;

    async fn handle(&self, arrival: Arrival) -> Response<Self::Body> {
        self.faults.lock().unwrap().push(arrival.fault);
        Response::new(Full::new(Bytes::from_static(b"ok")))
    }

    fn refused_head(&self, refusal: HeadRefusal) {
        let mut refused = self.refused.lock().unwrap();
        refused.push((refusal.cause, refusal.detail));
    }
}

struct Served {
    client: DuplexStream,
    recorder: Arc<Recorder>,
    drain: Drain,
}

fn start(http: Http) -> Served {
    let (client, server) = tokio::io::duplex(1024 * 1024);
    let (recorder, drain) = (Arc::new(Recorder::default()), Drain::new());
    let (own, signal) = (Arc::clone(&recorder), drain.clone());
    drain.spawn(async move {
        let peer = "192.0.2.7:4711".parse().unwrap();
        http.serve(server, peer, own.as_ref(), &signal).await;
    });
    Served {
        client,
        recorder,
        drain,
    }
}

/// Sends the bytes, ends the sending side if asked to, reads to the end; the status line, and what was refused.
async fn ask(http: Http, bytes: &str, hang_up: bool) -> (String, Vec<(Cause, String)>) {
    let mut served = start(http);
    served.client.write_all(bytes.as_bytes()).await.unwrap();
    if hang_up {
        served.client.shutdown().await.unwrap();
    }
    let mut answer = String::new();
    served.client.read_to_string(&mut answer).await.unwrap();
    served.drain.drain(HEAD_TIMEOUT).await;
    let refused = std::mem::take(&mut *served.recorder.refused.lock().unwrap());
    (
        answer.lines().next().unwrap_or_default().to_owned(),
        refused,
    )
}

/// The cause matches what hyper writes on the wire.
#[tokio::test(start_paused = true)]
async fn heads_that_hyper_refuses_are_told_with_their_status() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    let big = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(20_000));
    for (bytes, status, cause) in [
        (many.as_str(), "431", Cause::HeadTooLarge),
        (&big, "431", Cause::HeadTooLarge),
        (&endless, "431", Cause::HeadTooLarge),
        ("GET / HTTP/1.1\r\nX : y\r\n\r\n", "400", Cause::Head),
        ("GET  / HTTP/1.1\r\n\r\n", "400", Cause::Head),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", "400", Cause::Head),
        ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", "400", Cause::Head),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", "400", Cause::Head),
        ("GET /\0 HTTP/1.1\r\n\r\n", "400", Cause::Head),
        ("GET / HTTP/3.0\r\n\r\n", "400", Cause::Head),
        (
            "GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            "400",
            Cause::Framing,
        ),
        (
            "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "400",
            Cause::Framing,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            "400",
            Cause::Framing,
        ),
    ] {
        let (line, refused) = ask(http(16 * 1024), bytes, false).await;
        let shown: String = bytes.chars().take(60).collect();
        assert_eq!(line.split(' ').nth(1), Some(status), "{shown:?}");
        let causes: Vec<Cause> = refused.iter().map(|(cause, _)| *cause).collect();
        assert_eq!(causes, [cause], "{shown:?} {refused:?}");
        assert_eq!(cause.status().as_str(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_target_is_told_as_such() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let (line, refused) = ask(http(200_000), &long, false).await;
    assert_eq!(line.split(' ').nth(1), Some("414"));
    assert_eq!(
        refused.first().map(|(cause, _)| *cause),
        Some(Cause::TargetTooLong)
    );
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_told_and_silence_is_not() {
    for (bytes, hang_up, cause) in [
        ("GET / HT", false, Some(Cause::HeadTimeout)),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n",
            false,
            Some(Cause::HeadTimeout),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n",
            true,
            Some(Cause::HeadIncomplete),
        ),
        ("", false, None),
        ("", true, None),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, None),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, None),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
            false,
            Some(Cause::HeadTimeout),
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, Some(Cause::Head)),
    ] {
        let (_, refused) = ask(http(16 * 1024), bytes, hang_up).await;
        let found = refused.first().map(|(cause, _)| *cause);
        assert_eq!(found, cause, "{bytes:?} hang up: {hang_up}");
    }
}

#[tokio::test(start_paused = true)]
async fn hidden_faults_reach_the_handler_with_their_request() {
    let bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX";
    let mut served = start(http(16 * 1024));
    served.client.write_all(bytes.as_bytes()).await.unwrap();
    let mut answers = String::new();
    served.client.read_to_string(&mut answers).await.unwrap();
    let faults = served.recorder.faults.lock().unwrap().clone();
    assert_eq!(faults, [None, Some(HeadFault::LengthAndEncoding)]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_idle_connections_and_finishes_requests() {
    let mut served = start(http(16 * 1024));
    served
        .client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    served.client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    assert_eq!(
        served.drain.drain(Duration::from_secs(1)).await,
        Drained::Finished
    );
    assert!(served.recorder.refused.lock().unwrap().is_empty());
}
