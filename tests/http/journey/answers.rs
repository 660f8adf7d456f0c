//! What clients are told: security headers, problem documents, and nothing about what runs behind.

use serde_json::Value;

use crate::support::oracle::{Stage, demand};
use crate::support::origin::{Received, send, tagged};
use crate::support::wire::{NoAnswer, describe};
use crate::world::{OPEN, get, post, request};

const API: &[(&str, &str)] = &[
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

fn start(preset: &str) -> Stage {
    let stage = Stage::start(&format!("  headers: {preset}\n{OPEN}"));
    stage.origin.answer(|got: &Received| match got.target.as_str() {
        "/open/own" => vec![send(
            "HTTP/1.1 200 OK\r\nServer: inner/1.0\r\nX-Powered-By: php\r\nCache-Control: max-age=5\r\nX-Frame-Options: SAMEORIGIN\r\nContent-Length: 0\r\n\r\n",
        )],
        _ => tagged(got),
    });
    stage
}

#[test]
fn every_answer_carries_the_preset_and_the_service_may_know_better() {
    let mut stage = start("api");
    let answers = [("forwarded", "/open/x"), ("refused", "/nowhere")];
    for (id, path) in answers {
        let answer = stage.fresh(None).ask(get(path)).unwrap();
        for (name, value) in API {
            stage.expect(
                id,
                demand(
                    answer.one(name) == Some(value),
                    format!("{name}: {:?}", answer.all(name)),
                ),
            );
        }
        stage.expect(
            id,
            demand(
                answer.one("permissions-policy").is_some(),
                "no Permissions-Policy",
            ),
        );
        stage.expect(
            id,
            demand(answer.one("x-request-id").is_some(), "no X-Request-Id"),
        );
        stage.expect(id, demand(answer.one("date").is_some(), "no Date"));
        for name in [
            "server",
            "x-powered-by",
            "x-xss-protection",
            "expect-ct",
            "via",
        ] {
            stage.expect(
                id,
                demand(answer.all(name).is_empty(), format!("{name} is sent")),
            );
        }
    }
    let own = stage.fresh(None).ask(get("/open/own")).unwrap();
    let kept = own.one("cache-control") == Some("max-age=5")
        && own.one("x-frame-options") == Some("SAMEORIGIN");
    stage.expect("own", demand(kept, format!("{:?}", own.headers)));
    let silent = own.all("server").is_empty() && own.all("x-powered-by").is_empty();
    stage.expect("own", demand(silent, "the service's software is told"));
    stage.settle();
}

#[test]
fn the_other_presets_are_what_they_say() {
    let mut web = start("web");
    let answer = web.fresh(None).ask(get("/open/x")).unwrap();
    let policy = answer
        .one("content-security-policy")
        .unwrap_or_default()
        .to_owned();
    web.expect(
        "web",
        demand(
            policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            policy,
        ),
    );
    web.settle();
    let mut none = start("none");
    let answer = none.fresh(None).ask(get("/open/x")).unwrap();
    for (name, _) in API {
        none.expect(
            "none",
            demand(answer.all(name).is_empty(), format!("{name} is sent")),
        );
    }
    none.settle();
}

/// RFC 9457: every refusal is one document of one shape, and its words are the same whatever was sent.
#[test]
fn refusals_are_problem_documents() {
    let mut stage = start("api");
    let long = get(&format!("/open/{}", "x".repeat(9000)));
    let asked = [
        (
            "404",
            get("/secret-path-of-mine").into_bytes(),
            404,
            "route.none",
        ),
        ("405", post("/probe", "", ""), 405, "route.method"),
        (
            "400",
            get("/open/../secret-path-of-mine").into(),
            400,
            "request.path",
        ),
        (
            "host",
            b"GET /open/x HTTP/1.1\r\nHost: secret-path-of-mine:x\r\n\r\n".to_vec(),
            400,
            "request.host",
        ),
        (
            "417",
            request(
                "POST",
                "/open/x",
                "Expect: secret-path-of-mine\r\nContent-Length: 1\r\n",
            )
            .into(),
            417,
            "request.expectation",
        ),
        ("414", long.into(), 414, "request.target_too_long"),
    ];
    for (id, bytes, status, code) in asked {
        let answer = stage.fresh(None).ask(bytes).unwrap();
        stage.expect(id, demand(answer.status == status, format!("{answer}")));
        let kind = answer.one("content-type").unwrap_or_default().to_owned();
        stage.expect(id, demand(kind == "application/problem+json", kind.clone()));
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let sound = problem["code"] == code
            && problem["status"] == status
            && problem["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
            && problem["type"]
                .as_str()
                .is_some_and(|kind| kind.ends_with(code))
            && problem["instance"]
                .as_str()
                .is_some_and(|id| Some(id) == answer.one("x-request-id"));
        stage.expect(id, demand(sound, problem.to_string()));
        let echoed = answer.text().contains("secret-path")
            || format!("{:?}", answer.headers).contains("secret-path");
        stage.expect(id, demand(!echoed, "what was sent comes back"));
    }
    let answer = stage.fresh(None).ask(post("/probe", "", "")).unwrap();
    stage.expect(
        "Allow",
        demand(
            answer.one("allow") == Some("GET"),
            format!("{:?}", answer.all("allow")),
        ),
    );
    stage.settle();
}

#[test]
fn a_refusal_of_head_has_no_content() {
    let mut stage = start("api");
    let mut wire = stage.fresh(None);
    let answer = wire.ask(request("HEAD", "/nowhere", ""));
    stage.expect(
        "HEAD",
        demand(
            answer.as_ref().is_ok_and(|answer| answer.status == 404),
            describe(&answer),
        ),
    );
    let next = wire.ask(get("/open/next"));
    stage.expect(
        "HEAD",
        demand(
            next.as_ref()
                .is_ok_and(|answer| answer.text().ends_with("/open/next")),
            describe(&next),
        ),
    );
    drop(wire);
    stage.settle();
}

/// Bodies have an end: told beforehand, or counted while they pass. What passed before is no complete request.
#[test]
fn bodies_are_limited_while_they_pass() {
    let routes = "    - { name: small, match: { method: POST, path: /small }, anonymous: true, body: { bytes_max: 1KB } }\n";
    let mut stage = Stage::start(&format!(
        "  bounds: {{ body_bytes_max: 100KB }}\n{OPEN}{routes}"
    ));
    let chunked = |path: &str, count: usize| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        format!(
            "{}{}0\r\n\r\n",
            request("POST", path, "Transfer-Encoding: chunked\r\n"),
            chunk.repeat(count)
        )
    };
    for (id, bytes, passes) in [
        (
            "length at the limit",
            post("/small", "", "x".repeat(1000)),
            true,
        ),
        ("length beyond", post("/small", "", "x".repeat(1001)), false),
        (
            "chunks at the limit",
            chunked("/small", 1).into_bytes(),
            true,
        ),
        ("chunks beyond", chunked("/small", 2).into(), false),
        (
            "the listener's limit",
            post("/open/x", "", "x".repeat(100_000)),
            true,
        ),
        (
            "beyond the listener's limit",
            post("/open/x", "", "x".repeat(100_001)),
            false,
        ),
        (
            "chunks at the listener's limit",
            chunked("/open/x", 100).into(),
            true,
        ),
        (
            "chunks beyond the listener's limit",
            chunked("/open/x", 101).into(),
            false,
        ),
        (
            "a length that nobody has",
            request(
                "POST",
                "/open/x",
                "Content-Length: 18446744073709551605\r\n",
            )
            .into(),
            false,
        ),
    ] {
        let before = stage.origin.mark();
        let mut wire = stage.fresh(None);
        let answer = wire.ask(bytes);
        drop(wire);
        let complete = stage.origin.since(before).len();
        let expected = match (&answer, passes) {
            (Ok(answer), true) => answer.status == 200 && complete == 1,
            (Ok(answer), false) => {
                answer.status == 413
                    && answer.code().as_deref() == Some("body.too_large")
                    && complete == 0
            }
            (
                Err(NoAnswer::Closed | NoAnswer::Cut(_) | NoAnswer::Late(_) | NoAnswer::Garbled(_)),
                _,
            ) => false,
        };
        stage.expect(
            id,
            demand(
                expected,
                format!("{}, {complete} complete", describe(&answer)),
            ),
        );
    }
    stage.settle();
}
