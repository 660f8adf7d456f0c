//! The section `outbound` as it is written, and as it must not be.

use std::path::Path;

use crate::config::{Loaded, load_bytes};

fn load(outbound: &str) -> Result<Loaded, String> {
    load_with(outbound, &[])
}

fn load_with(outbound: &str, env: &[(&str, &str)]) -> Result<Loaded, String> {
    let text = format!(
        "service: a\naudit: {{ spool: ./s }}\ninbound:\n  listen: 127.0.0.1:8080\n  forward_to: http://127.0.0.1:3000\n  \
         routes: [{{ name: a, match: {{ path: /a }}, anonymous: true }}]\noutbound:\n{outbound}"
    );
    let loaded = load_bytes(
        "a.yaml",
        text.as_bytes(),
        Path::new(""),
        env.iter().map(|(name, value)| (name.into(), value.into())),
    );
    loaded.map_err(|report| report.render(false))
}

const SPOT: &str = "  - name: binance\n    listen: 127.0.0.1:9101\n    exchange: binance-spot\n    allow: [\"GET /api/v3/**\"]\n";

#[test]
fn a_preset_says_where_the_exchange_is() {
    let loaded = load(SPOT).unwrap();
    let [outbound] = loaded.config.outbound.as_slice() else {
        panic!("not one")
    };
    let hosts: Vec<&str> = outbound
        .endpoints
        .iter()
        .map(|(_, endpoint)| endpoint.host.as_str())
        .collect();
    assert_eq!(
        hosts,
        [
            "api.binance.com",
            "ws-api.binance.com",
            "stream.binance.com"
        ]
    );
    assert_eq!(outbound.policy.allow.len(), 1);
}

#[test]
fn what_would_open_the_way_to_others_is_refused() {
    let table = [
        (
            "listen: 127.0.0.1:9101",
            "listen: 0.0.0.0:9101",
            "other machines",
        ),
        (
            "listen: 127.0.0.1:9101",
            "listen: 127.0.0.1:8080",
            "one address",
        ),
        (
            "listen: 127.0.0.1:9101",
            "listen: 127.0.0.1:9912",
            "one address",
        ),
        (
            "binance-spot",
            "binance-sopt",
            "did you mean `binance-spot`",
        ),
        ("binance-spot", "custom", "where the exchange is"),
        ("GET /api/v3/**", "GET api/v3", "not a path"),
        (
            "    allow",
            "    endpoints: { rest: { url: \"https://evil.example\" } }\n    allow",
            "no host of `binance-spot`",
        ),
        (
            "    allow",
            "    endpoints: { rest: { url: \"https://testnet.binance.vision\" } }\n    allow",
            "no host of `binance-spot`",
        ),
        (
            "    allow",
            "    endpoints: { rest: { url: \"https://api1.binance.com\", stand_in: true } }\n    allow",
            "not a stand-in",
        ),
        (
            "    allow",
            "    socket_mode: \"0660\"\n    allow",
            "sockets in the file system",
        ),
        (
            "    allow",
            "    pin_mode: report\n    allow",
            "there are no pins",
        ),
    ];
    for (from, to, expected) in table {
        let said = load(&SPOT.replace(from, to)).err().unwrap_or_default();
        assert!(said.contains(expected), "{to}: {said}");
    }
    let twice = load(&format!("{SPOT}{SPOT}")).err().unwrap_or_default();
    assert!(
        twice.contains("called `binance`") && twice.contains("listen on"),
        "{twice}"
    );
}

#[test]
fn a_stand_in_is_named_as_one() {
    let stand_in =
        "    endpoints: { rest: { url: \"https://127.0.0.1:9443\", stand_in: true } }\n    allow";
    let loaded = load(&SPOT.replace("    allow", stand_in)).unwrap();
    let (_, rest) = &loaded.config.outbound[0].endpoints[0];
    assert_eq!((rest.host.as_str(), rest.port), ("127.0.0.1", 9443));
    assert_eq!(loaded.warnings.render(false), "");
    let frames = SPOT
        .replace("    allow", stand_in)
        .replace("GET /api/v3/**\"", "GET /api/v3/**\", \"WS order.place\"");
    let said = load(&frames).unwrap().warnings.render(false);
    assert!(said.contains("`ws_api` leads to the exchange"), "{said}");
}

#[test]
fn a_line_that_meets_nothing_is_told() {
    for (line, expected) in [
        ("GET /api/v3/oder", "did you mean `GET /api/v3/order`?"),
        ("GET /api/v3/ordersOfYesterday", "make sure that this"),
        ("GET /sapi/**", "opens no call"),
        ("POST /sapi/v1/capital/**", "what moves money, and"),
        ("POST /sapi/v1/capital/withdraw/apply", "moves money out"),
        ("WS order.palce", "did you mean `WS order.place`?"),
    ] {
        let loaded = load(&SPOT.replace("GET /api/v3/**", line)).unwrap();
        let said = loaded.warnings.render(false);
        assert!(said.contains(expected), "{line}: {said}");
    }
}

#[test]
fn where_there_is_no_preset_no_other_faults_are_told() {
    let unknown = SPOT.replace("binance-spot", "binance_spot");
    let sign = "    sign: { key_id: \"secret:ID\", key: \"secret:KEY\" }\n    allow";
    let said = load(&unknown.replace("    allow", sign)).unwrap_err();
    assert_eq!(said.matches("error:").count(), 1, "{said}");
}

#[test]
fn of_other_exchanges_what_moves_money_and_what_does_not_exist_is_told() {
    let okx = SPOT.replace("binance-spot", "okx");
    for (line, expected) in [
        ("POST /api/v5/asset/withdrawal", "moves money out"),
        ("WS order.place", "opens nothing"),
        ("STREAM **", "opens nothing"),
    ] {
        let loaded = load(&okx.replace("GET /api/v3/**", line)).unwrap();
        let said = loaded.warnings.render(false);
        assert!(said.contains(expected), "{line}: {said}");
    }
    let socket = "    endpoints: { rest: { url: \"https://a.example\" }, ws_api: { url: \"wss://a.example\" } }\n    allow";
    let custom = SPOT.replace("binance-spot", "custom");
    let said = load(&custom.replace("    allow", socket)).unwrap_err();
    assert!(said.contains("no interface `ws_api`"), "{said}");
}

#[test]
fn a_wildcard_never_opens_changes_of_an_exchange_that_nobody_knows() {
    let endpoints = "endpoints: { rest: { url: \"https://api.example.com\" } }\n    allow";
    let custom = SPOT
        .replace("binance-spot", "custom")
        .replace("allow", endpoints);
    let okx = SPOT.replace("binance-spot", "okx");
    for (line, opens) in [
        ("POST /**", true),
        ("PUT /orders/*", true),
        ("DELETE /**", true),
        ("* /withdraw", true),
        ("POST /order", false),
        ("GET /**", false),
    ] {
        let own = load(&custom.replace("GET /api/v3/**", line));
        let said = own.err().unwrap_or_default();
        assert_eq!(said.contains("name each call"), opens, "{line}: {said}");
        assert_eq!(said.is_empty(), !opens, "{line}: {said}");
        let sketched = load(&okx.replace("GET /api/v3/**", line)).unwrap();
        let said = sketched.warnings.render(false);
        assert_eq!(said.contains("those stay refused"), opens, "{line}: {said}");
    }
    let spot = load(&SPOT.replace("GET /api/v3/**", "POST /api/v3/order*")).unwrap();
    assert_eq!(spot.warnings.render(false), "");
}

#[test]
fn only_what_can_log_on_does() {
    let no_key = SPOT.replace("    allow", "    log_on: true\n    allow");
    let refused = load_with(&no_key, &[("ID", "abc"), ("KEY", "def")]).unwrap_err();
    assert!(refused.contains("needs a key to log on with"), "{refused}");
    let sign = "    sign: { key_id: \"secret:ID\", key: \"secret:KEY\" }\n";
    let hmac = SPOT.replace("    allow", &format!("{sign}    log_on: true\n    allow"));
    let refused = load_with(&hmac, &[("ID", "abc"), ("KEY", "def")]).unwrap_err();
    assert!(refused.contains("only Ed25519 keys"), "{refused}");
    assert!(
        load_with(
            &hmac.replace("true", "false"),
            &[("ID", "abc"), ("KEY", "def")]
        )
        .is_ok()
    );
}
