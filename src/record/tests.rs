//! Records as they end up in the spool.

mod flood;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

use super::segment::Header;
use super::*;
use crate::model::caller::{Caller, Identity};
use crate::model::clock::SystemClock;
use crate::model::denial::{Cause, Denial, RuleId};
use crate::model::facts::{Authority, Credentials, Facts, Framing};
use crate::model::path::JudgedPath;
use crate::model::pins::{PinMode, SpkiPin};
use crate::model::traceparent::Traceparent;
use crate::model::units::ByteSize;
use bytes::Bytes;
use http_body::{Body as _, Frame};

struct Bench {
    folder: tempfile::TempDir,
    recorder: Option<Recorder>,
}

const CANARY: &str = "canary-b7f3e1";

impl Bench {
    fn new() -> Self {
        Self::by(Arc::new(SystemClock::new()))
    }

    fn by(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpoolSettings {
            folder: folder.path().join("spool"),
            segment_bytes_max: ByteSize(1 << 20),
            spool_bytes_max: ByteSize(1 << 24),
            buffer_bytes_max: ByteSize(1 << 20),
            refusals_per_minute: 300,
        };
        let metrics = Metrics::new("1").unwrap();
        let (recorder, _) = Recorder::start(&settings, "gateway", "1.0", clock, metrics).unwrap();
        Self {
            folder,
            recorder: Some(recorder),
        }
    }

    fn open(&self) -> OpenRecord {
        let recorder = self.recorder.as_ref().unwrap();
        let now = recorder.0.clock.now();
        recorder.open(
            now,
            new_id(now),
            "192.0.2.9:4711".parse().unwrap(),
            Scheme::Http,
        )
    }

    fn service(&self) -> Arc<ClientMetrics> {
        let metrics = &self.recorder.as_ref().unwrap().0.metrics;
        Arc::new(metrics.client("127.0.0.1", "3000"))
    }

    fn now(&self) -> Now {
        self.recorder.as_ref().unwrap().0.clock.now()
    }

    /// Every event as text, after the recorder has ended.
    fn texts(&mut self) -> Vec<String> {
        drop(self.recorder.take());
        let mut texts = Vec::new();
        for (path, _) in list_segments(&self.folder.path().join("spool")).unwrap() {
            let bytes = fs::read(path).unwrap();
            let mut rest = Header::decode(&bytes).unwrap().1;
            while let segment::Next::Event(event, behind) = segment::next(rest) {
                texts.push(String::from_utf8(event.to_vec()).unwrap());
                rest = behind;
            }
        }
        texts
    }

    fn requests(&mut self) -> Vec<Value> {
        let texts = self.texts();
        let events = texts.iter().map(|text| serde_json::from_str(text).unwrap());
        events
            .filter(|event: &Value| event["action"]["type"] != "audit.start")
            .collect()
    }
}

fn facts(target: &str) -> Facts {
    let target = PathAndQuery::try_from(target).unwrap();
    Facts {
        method: Method::POST,
        authority: Authority::judge(&HeaderValue::from_static("orders.example:8443")).unwrap(),
        path: JudgedPath::judge(&target).unwrap(),
        framing: Framing::None,
        content_type: None,
        encoded: false,
        origin: None,
        preflight: None,
        credentials: Credentials::None,
        peer: "10.0.0.1:999".parse().unwrap(),
        client_ip: "198.51.100.7".parse().unwrap(),
        certificate: None,
    }
}

fn caller(subject: &str) -> Caller {
    Caller::Token(Arc::new(Identity {
        issuer: "https://issuer.example".to_owned(),
        subject: subject.to_owned(),
        roles: (0..40).map(|at| format!("role-{at}")).collect(),
        permissions: Vec::new(),
        session: Some("s-1".to_owned()),
        token_id: Some(CANARY.to_owned()),
        expires_at: 0,
        authenticated_at: None,
        methods: vec!["pwd".to_owned(), "mfa".to_owned()],
        claims: [("secret".to_owned(), CANARY.to_owned())].into(),
        headers: crate::model::caller::IdentityHeaders::default(),
    }))
}

fn denial() -> Box<Denial> {
    let mut denial = Denial::new(Cause::PermissionMissing, "orders:place is missing");
    denial.rule = Some(RuleId {
        name: "place-order/require.permissions".into(),
        place: crate::model::node::Place::Default,
    });
    denial
}

#[test]
fn a_whole_request_has_every_field_and_no_canary() {
    let mut bench = Bench::new();
    let metrics = bench.recorder.as_ref().unwrap().metrics().clone();
    let mut record = bench.open();
    record.facts(&facts(&format!("/api/v1/orders?token={CANARY}")));
    record.caller(&caller("trader-00042"));
    record.route(&metrics.route("place-order", "/api/v1/orders", Scheme::Http));
    record.shadow(&[*denial()]);
    record.traceparent(Traceparent::parse(&HeaderValue::from_static(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )));
    record.receiving().add(512);
    record.forwarded(bench.now(), &bench.service());
    record.answered(bench.now(), StatusCode::CREATED);
    record.sent(230);
    record.close(bench.now());
    let texts = bench.texts();
    assert!(!texts.concat().contains(CANARY));
    let event: Value = serde_json::from_str(texts.last().unwrap()).unwrap();
    let expected = [
        ("/action/class", Value::from("access")),
        ("/action/name", Value::from("POST /api/v1/orders")),
        ("/action/type", Value::from("http.request")),
        ("/actor/id", Value::from("trader-00042")),
        ("/actor/ip", Value::from("198.51.100.7")),
        ("/actor/mfa", Value::from(true)),
        ("/actor/sid", Value::from("s-1")),
        ("/outcome", Value::from("success")),
        ("/request/bytes", Value::from(512)),
        ("/request/host", Value::from("orders.example:8443")),
        ("/request/path", Value::from("/api/v1/orders")),
        ("/request/peer", Value::from("192.0.2.9:4711")),
        ("/request/route", Value::from("place-order")),
        ("/response/bytes", Value::from(230)),
        ("/response/status", Value::from(201)),
        ("/response/upstream", Value::from(true)),
        ("/seq", Value::from(1)),
        ("/shadow/0/code", Value::from("authz.insufficient_scope")),
        (
            "/shadow/0/rule",
            Value::from("place-order/require.permissions"),
        ),
        ("/source/service", Value::from("gateway")),
        ("/trace/span", Value::from("00f067aa0ba902b7")),
        ("/v", Value::from(1)),
    ];
    for (pointer, value) in expected {
        assert_eq!(event.pointer(pointer), Some(&value), "{pointer}");
    }
    assert_eq!(event["actor"]["roles"].as_array().unwrap().len(), 16);
    assert!(metrics.text().contains(
        "outrider_requests_total{code=\"\",outcome=\"success\",route=\"place-order\"} 1"
    ));
}

/// A server whose keys are not pinned, met twice.
fn missed(bench: &Bench) {
    let recorder = bench.recorder.as_ref().unwrap();
    for mode in [PinMode::Enforce, PinMode::Report] {
        recorder.pin_mismatch(&PinMismatch {
            upstream: "binance",
            host: "api.example",
            port: 443,
            mode,
            keys: &[
                ("leaf", SpkiPin::of_digest([1; 32])),
                ("root", SpkiPin::of_digest([2; 32])),
            ],
        });
    }
}

#[test]
fn a_server_whose_keys_are_not_pinned_is_told_with_the_keys_it_has() {
    let mut bench = Bench::new();
    missed(&bench);
    let events = bench.requests();
    for (event, (mode, outcome)) in events
        .iter()
        .zip([("enforce", "denied"), ("report", "success")])
    {
        assert_eq!(event["action"]["type"], "upstream.pin_mismatch");
        assert_eq!(
            (&event["pins"]["mode"], &event["outcome"]),
            (&mode.into(), &outcome.into())
        );
        assert_eq!(event["pins"]["host"], "api.example");
        let keys = event["pins"]["keys"].as_array().unwrap();
        let leaf = SpkiPin::of_digest([1; 32]).to_string();
        assert_eq!(
            (&keys[0]["level"], &keys[0]["pin"]),
            (&"leaf".into(), &leaf.into())
        );
        assert_eq!(keys.len(), 2);
    }
    assert_eq!(events.len(), 2);
}

#[test]
fn what_is_waited_for_is_not_our_own_time() {
    let bench = Bench::new();
    let metrics = bench.recorder.as_ref().unwrap().metrics().clone();
    let mut record = bench.open();
    let long_ago = Now {
        mono_ns: 0,
        unix_us: 0,
    };
    record.waited(Stage::Body, long_ago);
    record.forwarded(bench.now(), &bench.service());
    record.close_now();
    let text = metrics.text();
    for line in [
        "outrider_stage_duration_seconds_count{stage=\"body\"} 1\n",
        "outrider_stage_duration_seconds_count{stage=\"decide\"} 1\n",
        "outrider_stage_duration_seconds_sum{stage=\"decide\"} 0\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_bytes_are_those_of_a_canonical_serialisation() {
    let mut bench = Bench::new();
    let mut record = bench.open();
    record.facts(&facts("/grün-not".replace("ü", "u").as_str()));
    record.caller(&caller("Jürgen \"J\" \u{1b}[31m\n\u{202e}"));
    record.denied(&denial());
    record.close(bench.now());
    drop(bench.open());
    missed(&bench);
    for text in bench.texts() {
        let event: Value = serde_json::from_str(&text).unwrap();
        // serde_json's map is sorted and its escapes are those of RFC 8785.
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn a_refusal_says_why_and_the_first_reason_stays() {
    let mut bench = Bench::new();
    let mut record = bench.open();
    record.facts(&facts("/orders"));
    record.denied(&denial());
    record.denied(&Denial::new(Cause::Internal, "later"));
    record.answered(bench.now(), StatusCode::FORBIDDEN);
    record.close(bench.now());
    let event = bench.requests().remove(0);
    assert_eq!(event["outcome"], "denied");
    assert_eq!(event["action"]["class"], "security");
    assert_eq!(event["reason"]["code"], "authz.insufficient_scope");
    assert_eq!(event["reason"]["detail"], "orders:place is missing");
    assert_eq!(event["reason"]["rule"], "place-order/require.permissions");
    assert_eq!(event["response"]["upstream"], false);
}

#[test]
fn an_unjudged_request_is_capped_and_says_so() {
    let mut bench = Bench::new();
    let mut record = bench.open();
    let target = format!("/{}?x={CANARY}", "a\u{1b}".repeat(50_000));
    record.unjudged(Some(&Method::GET), target.as_bytes());
    record.denied(&Denial::new(Cause::TargetTooLong, "d".repeat(100_000)));
    record.close(bench.now());
    let text = bench.texts().pop().unwrap();
    assert!(
        text.len() < 16 * 1024 && !text.contains(CANARY),
        "{}",
        text.len()
    );
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(event["request"]["unjudged"], true);
    assert_eq!(event["actor"]["ip"], "192.0.2.9");
}

#[test]
fn a_record_that_is_dropped_is_aborted() {
    let mut bench = Bench::new();
    drop(bench.open());
    let event = bench.requests().remove(0);
    assert_eq!(event["outcome"], "aborted");
}

#[tokio::test]
async fn an_intent_is_durable_before_the_request_is_closed() {
    let mut bench = Bench::new();
    let mut record = bench.open();
    record.facts(&facts("/orders"));
    record.intent().await.unwrap();
    let id = record.id().to_string();
    record.answered(bench.now(), StatusCode::OK);
    record.close(bench.now());
    let events = bench.requests();
    assert_eq!(events[0]["action"]["type"], "http.intent");
    assert_eq!(events[0]["outcome"], Value::Null);
    assert_eq!(events[1]["action"]["class"], "security");
    assert!(events.iter().all(|event| event["id"] == id.as_str()));
}

fn answered(bench: &Bench, method: Method, status: StatusCode) -> OpenRecord {
    let mut record = bench.open();
    let mut facts = facts("/orders");
    facts.method = method;
    record.facts(&facts);
    record.forwarded(bench.now(), &bench.service());
    record.answered(bench.now(), status);
    record
}

/// Why an answer broke off.
#[derive(Clone, Copy, Debug)]
struct Late;

impl From<Late> for Box<Denial> {
    fn from(_: Late) -> Self {
        Denial::new(Cause::UpstreamTimeout, "too late")
    }
}

type Chunk = Result<Frame<Bytes>, Late>;

struct Chunks(std::vec::IntoIter<Chunk>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Late;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Chunk>> {
        std::task::Poll::Ready(self.get_mut().0.next())
    }
}

fn full(text: &'static str) -> impl http_body::Body<Data = Bytes, Error = Late> + Unpin {
    Full::<Bytes>::from(text).map_err(|never| match never {})
}

#[tokio::test]
async fn a_body_closes_its_record_at_its_end() {
    let mut bench = Bench::new();
    let record = answered(&bench, Method::GET, StatusCode::OK);
    let mut body = RecordedBody::new(full("hello"), StatusCode::OK, record);
    // The server stops asking after the last byte of a known length.
    let frame = body.frame().await.unwrap();
    assert_eq!(frame.unwrap().into_data().unwrap(), "hello");
    drop(body);
    let event = bench.requests().remove(0);
    assert_eq!(event["outcome"], "success");
    assert_eq!(event["response"]["bytes"], 5);
}

#[tokio::test]
async fn a_body_that_nobody_asks_for_is_no_abort() {
    let mut bench = Bench::new();
    let cases = [
        (Method::HEAD, StatusCode::OK, "text"),
        (Method::GET, StatusCode::NOT_MODIFIED, "text"),
        (Method::GET, StatusCode::NO_CONTENT, ""),
        (Method::GET, StatusCode::OK, ""),
    ];
    for (method, status, text) in cases.clone() {
        let record = answered(&bench, method, status);
        drop(RecordedBody::new(full(text), status, record));
    }
    let events = bench.requests();
    assert_eq!(events.len(), cases.len());
    assert!(
        events.iter().all(|event| event["outcome"] == "success"),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_body_left_early_is_aborted_and_a_broken_one_an_error() {
    let mut bench = Bench::new();
    let data = || Ok(Frame::data(Bytes::from_static(b"abc")));
    let record = answered(&bench, Method::GET, StatusCode::OK);
    let mut left = RecordedBody::new(
        Chunks(vec![data(), data()].into_iter()),
        StatusCode::OK,
        record,
    );
    assert!(left.frame().await.unwrap().is_ok());
    drop(left);
    let record = answered(&bench, Method::GET, StatusCode::OK);
    let broken = Chunks(vec![data(), Err(Late)].into_iter());
    let mut broken = RecordedBody::new(broken, StatusCode::OK, record);
    assert!(broken.frame().await.unwrap().is_ok());
    assert!(broken.frame().await.unwrap().is_err());
    assert!(!broken.is_end_stream());
    drop(broken);
    let events = bench.requests();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["outcome"], "aborted");
    assert_eq!(events[1]["outcome"], "error");
    assert_eq!(events[1]["reason"]["code"], "upstream.timeout");
    assert!(events.iter().all(|event| event["response"]["bytes"] == 3));
}

#[test]
fn epochs_sort_although_the_clock_was_set_back() {
    let at = |unix_us| Now {
        mono_ns: 0,
        unix_us,
    };
    let first = new_epoch(at(1_800_000_000_000_000), None);
    let previous = Previous {
        epoch: first,
        last_seq: None,
    };
    assert!(new_epoch(at(1_700_000_000_000_000), Some(previous)) > first);
    assert!(new_epoch(at(1_800_000_000_000_000), Some(previous)) > first);
}
