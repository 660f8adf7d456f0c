//! The way out as operators see it: every metric with the value that the exchange knows to be right, spans that nobody at
//! the exchange hears of, and the page of exchanges.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrider::roles::demo::exchange::{Fault, Shown};
use serde_json::Value;

use crate::collector::{Collector, Got, hex};
use crate::outbound::{
    Exchange, KEY, ROUTES, SECRET, SECRETS, StandIn, ask, get, out, wait_for_time,
};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::{Response, Wire};

const ALLOW: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"WS time\"]";
const ORDER: &str =
    "/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";
/// Two keys that no exchange has; reported only, so that connections come about.
const PINS: &str = "    pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"sha256/BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n    pin_mode: report\n    pins_expire: 2099-06-30\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A sidecar with an admin listener whose way out leads to this exchange, over REST and WebSockets.
fn sidecar(stand_in: &StandIn, more: &str, environment: &[(&str, &str)]) -> Sidecar {
    let section = stand_in.way().allow(ALLOW).more(more).section();
    let top = format!("admin: {{ listen: \"127.0.0.1:0\" }}\n{section}");
    let environment = [SECRETS, environment].concat();
    let files = [("ca.pem", stand_in.exchange.root_pem())];
    let sidecar = Sidecar::start(&Setup {
        top: &top,
        files: &files,
        env: &environment,
        ..Setup::new("http://127.0.0.1:9", ROUTES)
    });
    wait_for_time(&sidecar);
    sidecar
}

/// One that everything has happened to that has a metric.
pub fn busy() -> (Sidecar, StandIn) {
    let stand_in = StandIn::start();
    let sidecar = sidecar(&stand_in, &format!("{PINS}    coalesce: 10s\n"), &[]);
    let at = out(&sidecar);
    for target in ["/api/v3/depth?symbol=BTCUSDT", "/api/v3/account"] {
        assert_eq!(get(at, target).status, 200, "{target}");
    }
    (sidecar, stand_in)
}

fn page(sidecar: &Sidecar) -> (Value, String) {
    let admin = sidecar.listener("admin");
    let request = format!("GET /exchanges HTTP/1.1\r\nConnection: close\r\nHost: {admin}\r\n\r\n");
    let answer = Wire::connect(admin).ask(request).unwrap();
    assert_eq!(answer.status, 200);
    let page: Value = serde_json::from_str(&answer.text()).unwrap();
    (page["exchanges"][0].clone(), answer.text())
}

/// Opens a WebSocket of the exchange's API; it is open as long as this is there.
fn open_socket(sidecar: &Sidecar) -> (Wire, Response) {
    let at = out(sidecar);
    let mut wire = Wire::connect(at);
    let answer = wire.ask(format!(
        "GET /ws-api/v3 HTTP/1.1\r\nHost: {at}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    (wire, answer.unwrap())
}

fn unix_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs_f64()
}

#[test]
fn metrics_tell_what_the_exchange_knows_to_be_right() {
    let begun = unix_now();
    let (sidecar, stand_in) = busy();
    let at = out(&sidecar);
    let metric = |name: &str| {
        sidecar.metric(
            &format!("outrider_exchange_{name}"),
            &["outbound=\"binance\""],
        )
    };
    // In the same minute, of which the exchange and the sidecar each have a counter.
    sidecar.wait_until("one weight", || {
        let spent = stand_in.exchange.used_weight().to_string();
        metric("weight_used").to_string() == spent
    });
    assert!((metric("weight_limit") - 6000.0).abs() < 0.1);
    assert!(metric("clock_unsynced") < 0.5);
    assert!(metric("clock_uncertainty_seconds") > 0.0);
    // Both of one comparison, if none comes between.
    sidecar.wait_until("a clock within its uncertainty", || {
        metric("clock_offset_seconds").abs() <= metric("clock_uncertainty_seconds") + 0.001
    });
    let secret = sidecar.metric("outrider_secret_timestamp_seconds", &["API_SECRET"]);
    assert!((begun - 1.0..=unix_now()).contains(&secret), "{secret}");

    assert_eq!(ask(at, "POST", ORDER, "", "").status, 200);
    sidecar.wait_until("one order", || (metric("orders_used") - 1.0).abs() < 0.1);
    assert!(metric("orders_limit") > 1.0);

    // Asked a moment ago: the exchange does not hear of it.
    let depth = "/api/v3/depth?symbol=BTCUSDT";
    let mut asked = 1;
    sidecar.wait_until("one answer for two", || {
        asked += 1;
        assert_eq!(get(at, depth).status, 200);
        metric("coalesced_total") > 0.5
    });
    assert_eq!(stand_in.exchange.requests()["GET /api/v3/depth"], asked - 1);

    let (wire, answer) = open_socket(&sidecar);
    assert_eq!(answer.status, 101);
    sidecar.wait_until("one is open", || (metric("sockets") - 1.0).abs() < 0.1);
    drop(wire);
    sidecar.wait_until("none is open", || metric("sockets") < 0.5);

    let before = unix_now();
    stand_in.exchange.ban(Duration::from_secs(600));
    assert_eq!(get(at, "/api/v3/account").status, 418);
    let after = unix_now();
    assert_eq!(get(at, "/api/v3/account").status, 429);
    for counted in ["halts_total", "refused_total"] {
        sidecar.wait_until(counted, || metric(counted) > 0.5);
        assert!((metric(counted) - 1.0).abs() < 0.1, "{counted}");
    }
    // What is left is told in whole seconds.
    let end = metric("halted_until_timestamp_seconds");
    assert!((before + 598.0..=after + 602.0).contains(&end), "{end}");
}

#[test]
fn chains_and_pins_are_shown_as_the_exchange_has_them() {
    let (sidecar, stand_in) = busy();
    let own = ["upstream=\"binance\"", "host=\"localhost\""];
    // 2099-06-30, to its end or its beginning.
    let end = sidecar.metric("outrider_pin_expiry_timestamp_seconds", &own);
    assert!((end - 4_086_460_800.0).abs() <= 86_400.0, "{end}");
    let certificate = sidecar.metric("outrider_upstream_cert_expiry_timestamp_seconds", &own);
    assert!(certificate > unix_now());
    let missed = sidecar.metric("outrider_pin_mismatch_total", &["mode=\"report\""]);
    assert!(missed > 0.5);
    let leaf = stand_in.exchange.pins().leaf.clone();
    let shown = sidecar.metric("outrider_upstream_spki_info", &["level=\"leaf\"", &leaf]);
    assert!((shown - 1.0).abs() < 0.1);
    let info = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("outrider_upstream_spki_info"))
            .count()
    };
    let before = info(&sidecar.metrics());
    // After a renewal the keys of before are gone: there are as many series as the newest chain has keys.
    stand_in.exchange.show(Shown::Backup).unwrap();
    stand_in.exchange.close_all();
    sidecar.wait_until("renewed", || {
        get(out(&sidecar), "/api/v3/account");
        !sidecar.metrics().contains(&leaf)
    });
    sidecar.wait_until("as many as before", || info(&sidecar.metrics()) == before);
}

#[test]
fn the_page_of_exchanges_tells_all_but_values() {
    let begun = unix_now();
    let (sidecar, stand_in) = busy();
    let (_wire, answer) = open_socket(&sidecar);
    assert_eq!(answer.status, 101);
    let (mut told, mut text) = (Value::Null, String::new());
    sidecar.wait_until("told", || {
        // What was spent is that of a minute, which may have ended.
        assert_eq!(get(out(&sidecar), "/api/v3/account").status, 200);
        (told, text) = page(&sidecar);
        let used = told["budget"]["weight"]["used"].as_u64();
        used > Some(0) && told["open_sockets"] == 1
    });
    assert_eq!(told["name"], "binance");
    assert_eq!(told["preset"], "binance-spot");
    let endpoints = told["endpoints"].as_array().unwrap();
    let roles: Vec<&Value> = endpoints.iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, ["rest", "ws_api", "streams"]);
    let rest = &endpoints[0];
    assert_eq!(
        (&rest["host"], &rest["port"]),
        (
            &"localhost".into(),
            &stand_in.exchange.address().port().into()
        )
    );
    assert_eq!(rest["pins"]["mode"], "report");
    assert_eq!(rest["seen"][0]["level"], "leaf");
    assert_eq!(
        rest["seen"][0]["pin"],
        format!("sha256/{}", stand_in.exchange.pins().leaf)
    );
    assert_eq!(rest["seen"][0]["pinned"], false);
    assert!(rest["not_after"].as_str().unwrap().ends_with('Z'));
    assert_eq!(told["budget"]["weight"]["limit"], 6000);
    assert_eq!(told["budget"]["halted"], Value::Null);
    assert_eq!(told["clock"]["unsynced"], Value::Null);
    assert!(told["clock"]["offset_us"].is_i64());
    let keys = told["keys"].as_array().unwrap();
    let names: Vec<(&Value, &Value)> = keys.iter().map(|key| (&key["for"], &key["name"])).collect();
    let (id, secret) = (("sign.key_id", "API_KEY"), ("sign.key", "API_SECRET"));
    assert_eq!(names.len(), 2, "{told}");
    for (role, name) in [id, secret] {
        assert!(names.contains(&(&role.into(), &name.into())), "{told}");
    }
    let age = keys[0]["age_seconds"].as_f64().unwrap();
    assert!(age <= unix_now() - begun + 1.0, "{age}");
    assert!(!text.contains(KEY) && !text.contains(SECRET));

    stand_in.exchange.ban(Duration::from_secs(600));
    assert_eq!(get(out(&sidecar), "/api/v3/account").status, 418);
    let budget = page(&sidecar).0["budget"].clone();
    assert_eq!(budget["halted"], "banned");
    assert!(budget["halted_until"].is_string());
}

#[test]
fn a_try_is_a_span_of_kind_client_that_the_exchange_hears_nothing_of() {
    let (collector, exchange) = (Collector::start(), Exchange::start());
    let files = [("ca.pem", exchange.ca.as_str())];
    let environment = [SECRETS, &traced(&collector)].concat();
    let sidecar = Sidecar::start(&Setup {
        top: &exchange.outbound("[\"GET /api/v3/**\"]", ""),
        files: &files,
        env: &environment,
        ..Setup::new("http://127.0.0.1:9", ROUTES)
    });
    let sent =
        format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: vendor=1\r\nbaggage: a=b\r\n");
    let target = "/api/v3/depth?symbol=CANARY";
    assert_eq!(ask(out(&sidecar), "GET", target, &sent, "").status, 200);
    for asked in exchange.origin.since(0) {
        for name in ["traceparent", "tracestate", "baggage", "b3"] {
            assert!(!asked.has(name), "{name} left with {}", asked.target);
        }
    }
    let spans = collector.spans(2);
    let (server, client) = (of_kind(&spans, 2)[0], of_kind(&spans, 3)[0]);
    assert_eq!(hex(&server.span.trace_id), TRACE);
    assert_eq!(hex(&server.span.parent_span_id), PARENT);
    assert_eq!(client.span.trace_id, server.span.trace_id);
    assert_eq!(client.span.parent_span_id, server.span.span_id);
    assert!(client.span.start_time_unix_nano >= server.span.start_time_unix_nano);
    assert_eq!(client.span.name, "GET /api/v3/**");
    let port = exchange.address.port().to_string();
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("outrider.outbound", "binance"),
        ("outrider.outcome", "success"),
        ("outrider.route", "outbound/binance"),
        ("server.address", "localhost"),
        ("server.port", &port),
        ("url.scheme", "https"),
        ("url.template", "/api/v3/**"),
    ];
    let attributes: Vec<(&str, &str)> = client
        .attributes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(attributes, expected, "and nothing else");
    let bytes = collector.origin.raw_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"));
}

#[test]
fn tries_that_fail_say_why_and_a_second_one_says_so() {
    let (collector, stand_in) = (Collector::start(), StandIn::start());
    let sidecar = sidecar(&stand_in, "", &traced(&collector));
    let at = out(&sidecar);
    // A question is asked again, on a connection of its own.
    stand_in
        .exchange
        .fault(Fault::ResetAfterwards, "GET /api/v3/account", 1);
    stand_in
        .exchange
        .fault(Fault::HalfAnswer, "POST /api/v3/order", 1);
    assert_eq!(get(at, "/api/v3/account").status, 200);
    assert_eq!(ask(at, "POST", ORDER, "", "").status, 504);
    let missing = "/api/v3/order?symbol=BTCUSDT&orderId=999";
    assert_eq!(get(at, missing).status, 400);
    let spans = collector.spans(7);
    let clients = of_kind(&spans, 3);
    let find = |method: &str, key: &str, value: &str| {
        let mut found = clients.iter().filter(|got| {
            got.attributes["http.request.method"] == method
                && got.attributes.get(key).is_some_and(|text| text == value)
        });
        let found = found.next();
        *found.unwrap_or_else(|| panic!("{method} {key} {value}: {clients:?}"))
    };
    find("GET", "error.type", "upstream.broken");
    let again = find("GET", "http.request.resend_count", "1");
    assert_eq!(again.attributes["http.response.status_code"], "200");
    let order = of_method(&clients, "POST");
    assert_eq!(order.len(), 1, "never twice");
    assert_eq!(order[0].span.status.clone().unwrap().code, 2);
    assert_eq!(order[0].attributes["error.type"], "exchange.unknown");
    let refused = find("GET", "http.response.status_code", "400");
    assert_eq!(refused.attributes["error.type"], "400");
    assert_eq!(refused.span.status.clone().unwrap().code, 2);
    let bytes = collector.origin.raw_bytes();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["signature", "BTCUSDT", KEY, SECRET] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// So that spans come at once.
fn traced(collector: &Collector) -> [(&str, &str); 2] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.origin.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ]
}

/// Those of a kind: 2 is server, 3 client.
fn of_kind(spans: &[Got], kind: i32) -> Vec<&Got> {
    spans.iter().filter(|got| got.span.kind == kind).collect()
}

fn of_method<'g>(spans: &[&'g Got], method: &str) -> Vec<&'g Got> {
    let mut found = spans.to_vec();
    found.retain(|got| got.attributes["http.request.method"] == method);
    found
}
