//! Spans by the `OTEL_` variables: whose children they are, which are kept, and what is never in one.

use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::collector::{Collector, hex};
use crate::support::origin::{Act, Origin, send};
use crate::support::sidecar::{Setup, Sidecar};
use crate::{INBOUND, request, world};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const CANARY: &str = "canary-5f1c";

/// `OTEL_EXPORTER_OTLP_ENDPOINT`.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// So that spans come at once.
const AT_ONCE: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "1");

fn sent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: vendor=1\r\n")
}

#[test]
fn a_trace_goes_on_through_the_sidecar() {
    let collector = Collector::start();
    let (mut sidecar, origin) = world(&[
        (ENDPOINT, &collector.origin.url),
        AT_ONCE,
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t1"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
    ]);
    let mut wire = sidecar.connect();
    let answer = wire.ask(request(
        "GET",
        &format!("/orders/{CANARY}?q={CANARY}"),
        &sent("01"),
    ));
    assert_eq!(answer.unwrap().status, 200);
    let got = &collector.spans(1)[0];
    let span = &got.span;
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.name, "GET /orders/{id}");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("outrider.route", "one-order"),
        ("outrider.outcome", "success"),
    ] {
        assert_eq!(
            got.attributes.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    }
    assert_eq!(got.resource["service.name"], "order-gateway");
    assert_eq!(got.resource["deployment.environment.name"], "test");

    let own = hex(&span.span_id);
    let received = &origin.since(0)[0];
    let child = format!("00-{TRACE}-{own}-01");
    assert_eq!(received.one("traceparent"), Some(child.as_str()));
    assert_eq!(received.one("tracestate"), Some("vendor=1"));
    let event = &sidecar.requests(1)[0];
    assert_eq!(event["trace"]["trace"], TRACE);
    assert_eq!(event["trace"]["span"], own.as_str());

    let post = &collector.origin.since(0)[0];
    assert_eq!(post.one("x-tenant"), Some("t1"));
    let bytes = collector.origin.raw_bytes();
    assert!(
        !String::from_utf8_lossy(&bytes).contains(CANARY),
        "a path or query left"
    );
    sidecar.wait_until("counted", || {
        sidecar.metric("outrider_spans_exported_total", &[]) > 0.5
    });
    assert!(sidecar.stop().success());
}

#[test]
fn a_refusal_is_a_span_with_our_code_and_no_secret() {
    let collector = Collector::start();
    let (sidecar, origin) = world(&[(ENDPOINT, &collector.origin.url), AT_ONCE]);
    let mut wire = sidecar.connect();
    let headers =
        format!("Authorization: Bearer {CANARY}\r\nCookie: a={CANARY}\r\nContent-Length: 0\r\n");
    assert_eq!(
        wire.ask(request("POST", "/place", &headers))
            .unwrap()
            .status,
        401
    );
    let mut wire = sidecar.connect();
    let strange = format!("/orders/{CANARY}");
    assert_eq!(wire.ask(request(CANARY, &strange, "")).unwrap().status, 405);
    let mut wire = sidecar.connect();
    assert_eq!(
        wire.ask(request("GET", "/nowhere", "")).unwrap().status,
        404
    );
    origin.answer(|_| vec![Act::Close]);
    let mut wire = sidecar.connect();
    assert_eq!(
        wire.ask(request("GET", "/orders/1", "")).unwrap().status,
        502
    );
    let spans = collector.spans(4);
    let find = |name: &str, code: &str| {
        let same = spans.iter().find(|got| {
            got.span.name == name && got.attributes["http.response.status_code"] == code
        });
        same.unwrap_or_else(|| panic!("no span {name} {code} among {spans:?}"))
    };
    let refused = find("POST /place", "401");
    assert_eq!(refused.attributes["error.type"], "authn.invalid_token");
    assert_eq!(refused.attributes["outrider.outcome"], "denied");
    assert_eq!(
        refused.span.status.clone().unwrap_or_default().code,
        0,
        "the client's own fault"
    );
    assert!(refused.span.parent_span_id.is_empty());
    let strange = find("HTTP", "405");
    assert_eq!(strange.attributes["http.request.method"], "_OTHER");
    assert_eq!(strange.attributes["error.type"], "request.method");
    find("GET", "404");
    let broken = find("GET /orders/{id}", "502");
    assert_eq!(broken.span.status.clone().unwrap_or_default().code, 2);
    let bytes = collector.origin.raw_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains(CANARY));
}

#[test]
fn the_clients_decision_is_followed_and_samplers_decide_the_rest() {
    let table = [
        ("parentbased_always_on", "", [false, true, true]),
        ("parentbased_always_off", "", [false, true, false]),
        ("parentbased_traceidratio", "0", [false, true, false]),
        ("always_off", "", [false, false, false]),
        ("always_on", "", [true, true, true]),
    ];
    for (sampler, argument, kept) in table {
        let collector = Collector::start();
        let (mut sidecar, origin) = world(&[
            (ENDPOINT, &collector.origin.url),
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
            AT_ONCE,
        ]);
        let mut wire = sidecar.connect();
        for (at, headers) in [sent("00"), sent("01"), String::new()].iter().enumerate() {
            wire.ask(request("GET", &format!("/orders/{at}"), headers))
                .unwrap();
            let received = origin.since(at);
            let flags = if kept[at] { "-01" } else { "-00" };
            let told = received[0].one("traceparent").unwrap();
            assert!(told.ends_with(flags), "{sampler} {at}: {told}");
        }
        let expected = kept.iter().filter(|kept| **kept).count();
        collector.spans(expected);
        // Whatever else there is would come on the way out.
        assert!(sidecar.stop().success());
        assert_eq!(collector.so_far().len(), expected, "{sampler}");
    }
}

#[test]
fn what_is_queued_is_sent_on_the_way_out() {
    let collector = Collector::start();
    let (mut sidecar, _origin) = world(&[
        (ENDPOINT, &collector.origin.url),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ]);
    let mut wire = sidecar.connect();
    wire.ask(request("GET", "/orders/1", &sent("01"))).unwrap();
    sidecar.requests(1);
    assert!(collector.so_far().is_empty());
    let asked = Instant::now();
    assert!(sidecar.stop().success());
    // A way out that takes longer leaves what nobody has taken by then.
    if asked.elapsed() < Duration::from_secs(1) {
        assert_eq!(collector.so_far().len(), 1);
    }
}

#[test]
fn without_an_endpoint_the_clients_own_goes_on_and_nothing_is_made_up() {
    for environment in [
        &[][..],
        &[
            (ENDPOINT, "http://127.0.0.1:1"),
            ("OTEL_SDK_DISABLED", "true"),
        ],
        &[
            (ENDPOINT, "http://127.0.0.1:1"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ],
    ] {
        let (sidecar, origin) = world(environment);
        let mut wire = sidecar.connect();
        wire.ask(request("GET", "/orders/1", &sent("01"))).unwrap();
        wire.ask(request("GET", "/orders/2", "")).unwrap();
        let received = origin.since(0);
        let own = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(received[0].one("traceparent"), Some(own.as_str()));
        assert!(!received[1].has("traceparent"));
        let events = sidecar.requests(2);
        let mut events = events.iter();
        let first = events.find(|event| event["request"]["path"] == "/orders/1");
        assert_eq!(first.unwrap()["trace"]["span"], PARENT);
    }
}

#[test]
fn a_collector_that_is_slow_or_away_costs_spans_and_nothing_else() {
    let silent = Origin::start();
    silent.answer(|_| Vec::new());
    let refusing = Origin::start();
    refusing.answer(|_| {
        vec![send(
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        )]
    });
    for endpoint in ["http://127.0.0.1:1", &silent.url, &refusing.url] {
        let (mut sidecar, _origin) = world(&[
            (ENDPOINT, endpoint),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            AT_ONCE,
        ]);
        let mut wire = sidecar.connect();
        for at in 0..40 {
            let answer = wire
                .ask(request("GET", &format!("/orders/{at}"), ""))
                .unwrap();
            assert_eq!(answer.status, 200);
        }
        sidecar.wait_until("counted as lost", || {
            sidecar.metric("outrider_spans_dropped_total", &[]) > 0.5
        });
        assert!(sidecar.metric("outrider_spans_exported_total", &[]) < 0.5);
        assert!(sidecar.stop().success(), "{endpoint}");
    }
}

#[test]
fn a_collector_behind_tls_is_believed_by_its_authority_only() {
    let (authority, stranger) = (Authority::new("collectors"), Authority::new("others"));
    let (own, other) = (
        authority.server(&["localhost"]),
        authority.server(&["else"]),
    );
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (good, bad) = (
        write("ca.pem", &authority.pem),
        write("x.pem", &stranger.pem),
    );
    for (shown, ca, believed) in [
        (&own, Some(&good), true),
        (&own, Some(&bad), false),
        (&own, None, false),
        (&other, Some(&good), false),
    ] {
        let collector = Collector::start_secret(shown);
        let mut environment = vec![(ENDPOINT, collector.origin.url.as_str()), AT_ONCE];
        environment.extend(ca.map(|ca| ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str())));
        let (sidecar, _origin) = world(&environment);
        let mut wire = sidecar.connect();
        let answer = wire.ask(request("GET", "/orders/1", &sent("01"))).unwrap();
        assert_eq!(answer.status, 200);
        if believed {
            assert_eq!(hex(&collector.spans(1)[0].span.trace_id), TRACE);
        } else {
            sidecar.wait_until("counted as lost", || {
                sidecar.metric("outrider_spans_dropped_total", &["export_failed"]) > 0.5
            });
            assert!(collector.so_far().is_empty());
        }
    }
}

#[test]
fn variables_that_cannot_be_meant_are_refused_at_start() {
    let origin = Origin::start();
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    for (environment, said) in [
        (
            vec![(ENDPOINT, "http://user:canary@127.0.0.1:1")],
            "names no user",
        ),
        (
            vec![
                (ENDPOINT, "https://127.0.0.1:1"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
            ],
            "/nowhere.pem",
        ),
        (
            vec![
                (ENDPOINT, "https://127.0.0.1:1"),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"),
            ],
            "no certificate is shown",
        ),
        (
            vec![(ENDPOINT, "collector:4318")],
            "write http:// or https://",
        ),
        (
            vec![
                (ENDPOINT, "http://127.0.0.1:1"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            "http/protobuf",
        ),
        (
            vec![
                (ENDPOINT, "http://127.0.0.1:1"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ],
            "OTEL_BSP_MAX_QUEUE_SIZE",
        ),
    ] {
        let setup = Setup {
            files: &[("keys.json", keys.as_str())],
            env: &environment,
            ..Setup::new(&origin.url, INBOUND)
        };
        let (code, output) = Sidecar::fails_to_start(&setup);
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains(said), "{output}");
        assert!(!output.contains("canary"), "{output}");
    }
}
