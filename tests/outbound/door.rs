//! Who may come in, and what may be called.

use crate::support::wire::Wire;
use crate::world::{Exchange, ask, get, out, services};

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
    assert_eq!(exchange.asked().len(), 0);
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
    assert_eq!(exchange.asked().len(), 1);
    let events = services(&sidecar, 5);
    let denied = events.iter().filter(|event| event["outcome"] == "denied");
    assert_eq!((denied.count(), events.len()), (4, 5));
}

#[test]
fn a_caller_token_is_asked_for_where_it_is_configured() {
    let exchange = Exchange::start();
    let sidecar = exchange.sidecar(SOME, "    caller_token: \"secret:CALLER_TOKEN\"\n");
    let at = out(&sidecar);
    for wrong in [
        "",
        "Outrider-Caller-Token: a-token-that-somebody-guessed\r\n",
    ] {
        let answer = ask(at, "GET", "/api/v3/time", wrong, "");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status, &problem["reason"]),
            (403, &"local.caller".into())
        );
    }
    let right = "Outrider-Caller-Token: a-token-that-nobody-guesses\r\n";
    assert_eq!(ask(at, "GET", "/api/v3/time", right, "").status, 200);
    let [asked] = exchange.asked().try_into().unwrap();
    assert!(!asked.has("outrider-caller-token"));
    for (place, bytes) in sidecar.outputs() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("a-token-that"), "{place}");
    }
}

#[test]
fn a_socket_in_the_file_system_is_for_its_user() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    let exchange = Exchange::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.sock");
    // One that a process before has left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let top = exchange
        .outbound(SOME, "")
        .replace("127.0.0.1:0", &format!("unix:{}", path.display()));
    let mut sidecar = exchange.launch(&top);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /api/v3/time HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(services(&sidecar, 1)[0]["actor"]["auth"], "socket");
    assert!(sidecar.stop().success());
    assert!(!path.exists());
}
