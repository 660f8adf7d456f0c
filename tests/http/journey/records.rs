//! What is kept: the record of a request, the intent before it leaves, metrics and readiness.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::origin::{Received, tagged};
use crate::support::sidecar::{Sidecar, audit_text, events, of_type};
use crate::world::{
    OPEN, TOKENS, bearer, get, guarded, issuer, pair, post, request, token, token_with,
};

fn record_of(sidecar: &Sidecar, path: &str) -> Value {
    let mut found = None;
    sidecar.wait_until("recorded", || {
        found = sidecar
            .requests(0)
            .into_iter()
            .find(|event| event["request"]["path"] == path);
        found.is_some()
    });
    found.unwrap_or_default()
}

#[test]
fn a_record_says_who_what_whether_and_why() {
    let issuer = issuer();
    let (sidecar, origin) = pair(&guarded(), Some(&issuer));
    let who = token_with(
        &issuer,
        &json!({"sub": "user-7", "sid": "session-9", "amr": ["mfa"], "auth_time": crate::world::now()}),
    );
    let mut wire = sidecar.connect();
    let lines = format!(
        "{}Cookie: a=secret-cookie\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        bearer(&who)
    );
    let sent = post("/orders?secret-query=1", &lines, "{\"secret-body\":1}");
    let answer = wire.ask(sent).unwrap();
    assert_eq!(answer.status, 200, "{answer}");
    let event = record_of(&sidecar, "/orders");
    let expected = [
        ("/action/type", json!("http.request")),
        ("/action/name", json!("POST /orders")),
        ("/action/class", json!("access")),
        ("/actor/id", json!("user-7")),
        ("/actor/auth", json!("jwt")),
        ("/actor/type", json!("user")),
        ("/actor/ip", json!("127.0.0.1")),
        ("/actor/roles", json!(["trader"])),
        ("/actor/sid", json!("session-9")),
        ("/actor/mfa", json!(true)),
        ("/outcome", json!("success")),
        ("/request/method", json!("POST")),
        ("/request/path", json!("/orders")),
        ("/request/host", json!("a")),
        ("/request/route", json!("place-order")),
        ("/request/bytes", json!(17)),
        ("/response/status", json!(200)),
        ("/response/bytes", json!(answer.body.len())),
        ("/response/upstream", json!(true)),
        ("/trace/trace", json!("0af7651916cd43dd8448eb211c80319c")),
        ("/source/service", json!("order-gateway")),
        ("/v", json!(1)),
    ];
    for (pointer, value) in expected {
        assert_eq!(event.pointer(pointer), Some(&value), "{pointer} of {event}");
    }
    for missing in ["/reason", "/shadow"] {
        assert_eq!(event.pointer(missing), None, "{missing} of {event}");
    }
    assert!(
        event["response"]["duration_us"]
            .as_u64()
            .is_some_and(|time| time > 0),
        "{event}"
    );
    let written = event["ts"].as_str().unwrap_or_default();
    assert!(written.ends_with('Z') && written.contains('T'), "{written}");
    for kept in ["secret-cookie", "secret-query", "secret-body"] {
        assert!(!event.to_string().contains(kept), "{kept} is kept");
    }
    let refused = sidecar.connect().ask(get("/orders/77")).unwrap();
    assert_eq!(refused.status, 401);
    let event = record_of(&sidecar, "/orders/77");
    assert_eq!(
        (&event["outcome"], &event["reason"]["code"]),
        (&json!("denied"), &json!("authn.required")),
        "{event}"
    );
    assert_eq!(
        (&event["action"]["class"], &event["actor"]["type"]),
        (&json!("security"), &json!("anonymous")),
        "{event}"
    );
    assert_eq!(event["response"]["upstream"], false, "{event}");
    origin.answer(|_: &Received| {
        vec![crate::support::origin::send(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        )]
    });
    let own = sidecar.connect().ask(get("/open/lost")).unwrap();
    assert_eq!(own.status, 404);
    let event = record_of(&sidecar, "/open/lost");
    assert_eq!(
        (&event["outcome"], &event["response"]["upstream"]),
        (&json!("failure"), &json!(true)),
        "{event}"
    );
}

/// Sequence numbers have no gap, and a start stands before everything.
#[test]
fn records_are_numbered_without_a_gap() {
    let (mut sidecar, _origin) = pair(OPEN, None);
    let mut wire = sidecar.connect();
    for turn in 0..50 {
        wire.send(get(&format!("/open/{turn}")));
        wire.send(get("/nowhere"));
    }
    for _ in 0..100 {
        wire.answer().unwrap();
    }
    drop(wire);
    assert!(sidecar.stop().success());
    let events = sidecar.audit();
    let numbers: Vec<u64> = events
        .iter()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    let expected: Vec<u64> = (0..u64::try_from(events.len()).unwrap()).collect();
    assert_eq!(numbers, expected);
    assert_eq!(events[0]["action"]["type"], "audit.start");
    assert_eq!(of_type(&events, "http.request").len(), 100);
    assert_eq!(events.last().unwrap()["action"]["type"], "audit.stop");
}

/// On a `before_forward` route the intent is on disk before the service sees the first byte.
#[test]
fn an_intent_is_durable_before_the_request_leaves() {
    let inbound = format!(
        "{OPEN}    - {{ name: order, match: {{ method: POST, path: /order }}, anonymous: true, audit: before_forward }}\n"
    );
    let (sidecar, origin) = pair(&inbound, None);
    let spool = sidecar.spool();
    let found: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = Arc::clone(&found);
    origin.answer(move |got: &Received| {
        if got.target == "/order" {
            let intents = of_type(&events(&audit_text(&spool)), "http.intent").len();
            seen.lock().unwrap().push(intents);
        }
        tagged(got)
    });
    let mut wire = sidecar.connect();
    for _ in 0..3 {
        assert_eq!(wire.ask(post("/order", "", "{}")).unwrap().status, 200);
    }
    assert_eq!(
        *found.lock().unwrap(),
        [1, 2, 3],
        "intents on disk when the service got each order"
    );
    sidecar.wait_until("closed", || sidecar.requests(0).len() == 3);
    let events = sidecar.audit();
    for intent in of_type(&events, "http.intent") {
        let same = events.iter().filter(|event| {
            event["id"] == intent["id"] && event["action"]["type"] == "http.request"
        });
        assert_eq!(same.count(), 1, "an intent and its end have one id");
    }
}

#[test]
fn readiness_and_metrics_tell_the_truth() {
    let issuer = issuer();
    let (sidecar, _origin) = pair(&guarded(), Some(&issuer));
    let verbose = sidecar.ask_health("/readyz?verbose");
    assert_eq!(verbose.status, 200);
    for check in ["config", "keys", "audit"] {
        assert!(
            verbose.text().contains(check),
            "{check} is not told: {}",
            verbose.text()
        );
    }
    let mut wire = sidecar.connect();
    let who = token(&issuer);
    for _ in 0..3 {
        assert_eq!(
            wire.ask(request("GET", "/orders/1", &bearer(&who)))
                .unwrap()
                .status,
            200
        );
    }
    assert_eq!(wire.ask(get("/orders/1")).unwrap().status, 401);
    assert_eq!(wire.ask(get("/nowhere")).unwrap().status, 404);
    let about = |count: f64, expected: f64| (count - expected).abs() < 0.1;
    sidecar.wait_until("counted", || {
        about(sidecar.metric("outrider_requests_total", &[]), 5.0)
    });
    let allowed = sidecar.metric(
        "outrider_requests_total",
        &["route=\"one-order\"", "outcome=\"success\""],
    );
    assert!(about(allowed, 3.0), "{allowed}");
    let refused = sidecar.metric(
        "outrider_requests_total",
        &["route=\"one-order\"", "outcome=\"denied\""],
    );
    assert!(about(refused, 1.0), "{refused}");
    assert!(about(sidecar.metric("outrider_build_info", &[]), 1.0));
    let text = sidecar.metrics();
    for family in [
        "http_server_request_duration_seconds",
        "outrider_connections",
        "outrider_audit_events_total",
        "process_resident_memory_bytes",
    ] {
        assert!(text.contains(family), "{family} is missing");
    }
    assert!(!text.contains("/orders/1"), "a path stands in the metrics");
    let log = sidecar.stdout();
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line)
            .is_ok_and(|line| line["msg"].is_string() && line["level"].is_string())),
        "{log}"
    );
}

/// A route without tokens needs no `tokens` section; one with tokens and none configured does not start.
#[test]
fn a_guarded_route_without_tokens_does_not_start() {
    let origin = crate::support::origin::Origin::start();
    let inbound = guarded().replace(TOKENS, "");
    let (code, said) =
        Sidecar::fails_to_start(&crate::support::sidecar::Setup::new(&origin.url, &inbound));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("tokens"), "{said}");
}
