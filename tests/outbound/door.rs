//! Who may come in, and what may be called.

use crate::support::wire::Wire;
use crate::world::{Exchange, ask, get, out};

const SOME: &str = "[\"GET /api/v3/time\", \"POST /api/v3/order\"]";

#[test]
fn pages_and_foreign_names_are_refused_before_anything_is_sent() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar(SOME, "");
    let at = out(&sidecar);
    for (headers, reason) in [
        ("Host: evil.example", "local.host"),
        ("Host: localhost", "local.host"),
        (
            &*format!("Host: {at}\r\nOrigin: https://evil.example"),
            "local.browser",
        ),
        (
            &*format!("Host: {at}\r\nSec-Fetch-Site: cross-site"),
            "local.browser",
        ),
    ] {
        let request =
            format!("GET /api/v3/time HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
        let answer = Wire::connect(at).ask(request).unwrap();
        assert_eq!(answer.status, 403, "{headers}");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["reason"], reason, "{headers}");
        assert!(answer.all("access-control-allow-origin").is_empty());
    }
    let absolute =
        format!("GET http://{at}/api/v3/time HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    assert_eq!(Wire::connect(at).ask(absolute).unwrap().status, 400);
    assert_eq!(exchange.origin.mark(), 0);
    let port = at.port();
    let own =
        format!("GET /api/v3/time HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    assert_eq!(Wire::connect(at).ask(own).unwrap().status, 200);
}

#[test]
fn only_what_a_line_names_is_sent() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar(SOME, "");
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/time").status, 200);
    for (method, target, reason) in [
        ("GET", "/api/v3/depth?symbol=A", "exchange.not_allowed"),
        ("DELETE", "/api/v3/order?symbol=A", "exchange.not_allowed"),
        (
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            "exchange.reserved",
        ),
        ("GET", "/sapi/v1/account/status", "exchange.not_allowed"),
    ] {
        let answer = ask(at, method, target, "", "");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status, &problem["reason"]),
            (403, &reason.into()),
            "{target}"
        );
        assert_eq!(problem["code"], -1002);
        assert!(problem["msg"].is_string());
    }
    assert_eq!(exchange.origin.mark(), 1);
    let events = sidecar.requests(5);
    assert!(events[1..].iter().all(|event| event["outcome"] == "denied"));
}
