//! From a service to the exchange and back: what leaves, what comes back, what is recorded.

use crate::world::{Exchange, ask, get, json, out, services};

const ALL: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"DELETE /api/v3/order\"]";

#[test]
fn a_public_question_is_asked_and_recorded() {
    let exchange = Exchange::start();
    exchange.answer(|_| json(200, "{\"serverTime\":1}"));
    let sidecar = exchange.sidecar(ALL, "");
    let headers = "X-MBX-APIKEY: dummy\r\nUser-Agent: bot/1\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Forwarded-For: 10.0.0.1\r\n\
                   outrider-subject: root\r\nOutrider-Caller-Token: t\r\n";
    let answer = ask(
        out(&sidecar),
        "GET",
        "/api/v3/depth?symbol=A&limit=5&timestamp=1&signature=2",
        headers,
        "",
    );
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "{\"serverTime\":1}")
    );
    assert!(answer.one("x-request-id").is_some());

    let [asked] = exchange.asked().try_into().unwrap();
    assert_eq!(asked.target, "/api/v3/depth?symbol=A&limit=5");
    let port = exchange.address.port();
    assert_eq!(
        asked.one("host"),
        Some(format!("localhost:{port}").as_str())
    );
    assert_eq!(asked.one("user-agent"), Some("bot/1"));
    let mut names: Vec<&str> = asked
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["host", "user-agent"],
        "nothing of this house leaves"
    );

    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["action"]["direction"], "outbound");
    assert_eq!(event["outcome"], "success");
    assert_eq!(event["actor"]["auth"], "loopback");
    assert_eq!(event["exchange"]["name"], "binance");
    assert_eq!(event["exchange"]["preset"], "binance-spot");
    assert_eq!(event["exchange"]["execution"], "answered");
    assert_eq!(event["exchange"]["signed"], false);
    assert_eq!(event["request"]["path"], "/api/v3/depth");
    assert_eq!(event["request"]["route"], "outbound/binance");
}

#[test]
fn connections_are_kept_and_shared() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar(ALL, "");
    for _ in 0..5 {
        assert_eq!(get(out(&sidecar), "/api/v3/time").status, 200);
    }
    let asked = exchange.asked();
    assert_eq!(asked.len(), 5);
    assert!(
        asked
            .iter()
            .all(|one| one.connection == asked[0].connection)
    );
}

#[test]
fn without_a_key_nothing_that_needs_one_is_sent() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar(ALL, "");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = ask(out(&sidecar), "POST", "/api/v3/order", form, "symbol=A");
    assert_eq!(answer.status, 503);
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["reason"], "exchange.signing");
    assert_eq!(problem["execution"], "not_sent");
    assert_eq!(exchange.asked().len(), 0);
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["outcome"], "denied");
    assert_eq!(event["exchange"]["execution"], "not_sent");
}
