//! Bodies: their type, whether they are JSON with one reading, and where a body may be missing.

use outrider::decide::{self, BodyNeeds, Evaluation};
use outrider::model::caller::Caller;
use outrider::model::denial::Cause;

use crate::support::{Ask, ask, entered, policy, refusable};

fn taking(body: &str) -> String {
    format!("- {{ name: here, match: {{ path: /** }}, anonymous: true, body: {{ {body} }} }}")
}

fn post(body: impl AsRef<[u8]>) -> Ask {
    ask("POST", "/").body(body)
}

fn typed(body: impl AsRef<[u8]>) -> Ask {
    post(body).with("content-type", "application/json")
}

#[test]
fn a_content_type_is_read_without_its_parameters_and_in_any_case() {
    let snapshot = policy(
        "",
        &taking("content_types: [application/json, application/vnd.fix+json]"),
    );
    for (sent, may) in [
        ("application/json", true),
        ("Application/JSON", true),
        ("application/json ", true),
        ("application/vnd.fix+json", true),
        ("application/json; charset=utf-8", true),
        ("application/json;charset=UTF-8", true),
        ("application/json; charset=\"utf-8\"", true),
        ("application/json; version=1; charset=utf-8", true),
        ("application/json; charset=utf-16", false),
        ("application/json; charset=utf-7", false),
        ("application/json; CHARSET = utf-7", false),
        ("application/json; charset=utf-8; charset=utf-16", false),
        ("application/json; v=1; charset=latin1", false),
        ("application/json; charset=", false),
        ("application/jsonx", false),
        ("application/jso", false),
        ("application", false),
        ("application/json, text/plain", false),
        ("text/plain", false),
        ("text/plain; application/json", false),
        ("*/*", false),
        ("", false),
    ] {
        let request = post("{}").with("content-type", sent);
        let expected = (!may).then_some(Cause::ContentType);
        assert_eq!(request.refusal(&snapshot), expected, "{sent:?}");
    }
    let missing = post("{}").refusal(&snapshot);
    assert_eq!(missing, Some(Cause::ContentType));
    let chunked = ask("POST", "/").chunked(b"{}").refusal(&snapshot);
    assert_eq!(chunked, Some(Cause::ContentType));
    let twice = post("{}")
        .with("content-type", "application/json")
        .with("content-type", "application/json");
    assert_eq!(twice.refusal(&snapshot), Some(Cause::ContentType));
    for method in ["POST", "GET", "DELETE"] {
        let bodiless = ask(method, "/").refusal(&snapshot);
        assert_eq!(bodiless, None, "{method} without a body needs no type");
    }
}

#[test]
fn json_is_of_a_json_type_and_what_is_read_is_not_encoded() {
    let json = policy("", &taking("json: true"));
    for (sent, may) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/problem+json", true),
        ("application/json; charset=utf-16", false),
        ("text/plain", false),
        ("text/json", false),
        ("application/x-www-form-urlencoded", false),
        ("application/jsonx", false),
        ("+json", false),
        ("json", false),
    ] {
        let expected = (!may).then_some(Cause::ContentType);
        let request = post("{}").with("content-type", sent);
        assert_eq!(request.refusal(&json), expected, "{sent:?}");
    }
    assert_eq!(post("{}").refusal(&json), Some(Cause::ContentType));
    let listed = policy("", &taking("content_types: [application/json]"));
    let unread = policy("", &taking("bytes_max: 1KiB"));
    for (coding, may) in [
        ("identity", true),
        ("Identity", true),
        ("gzip", false),
        ("identity, gzip", false),
        ("", false),
    ] {
        let request = typed("{}").with("content-encoding", coding);
        let expected = (!may).then_some(Cause::ContentType);
        for snapshot in [&json, &listed] {
            assert_eq!(request.refusal(snapshot), expected, "{coding:?}");
        }
        assert_eq!(request.refusal(&unread), None, "{coding:?}");
    }
    let twice = post("{}")
        .with("content-type", "application/json")
        .with("content-encoding", "identity")
        .with("content-encoding", "br");
    assert_eq!(twice.refusal(&json), Some(Cause::ContentType));
}

#[test]
fn case_140_json_with_two_readings() {
    let snapshot = policy("", &taking("json: true"));
    let utf16: Vec<u8> = "{\"a\":1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let many = format!("[{}0]", "0,".repeat(200_000));
    let sound: [&[u8]; 7] = [
        br#"{"symbol":"BTCUSDT","quantity":0.5}"#,
        b"[1,2,3]",
        b"-0",
        b"0.1000000000000000055511151231257827021181",
        b" {} \n",
        br#"{"a":{"x":1},"b":{"x":2}}"#,
        many.as_bytes(),
    ];
    for body in sound {
        let refusal = typed(body).refusal(&snapshot);
        assert_eq!(refusal, None, "{}", body.escape_ascii());
    }
    let broken: [&[u8]; 15] = [
        br#"{"price":1,"price":2}"#,
        br#"{"a":1,"\u0061":2}"#,
        br#"[{"x":{"a":1,"a":2}}]"#,
        b"1e400",
        b"NaN",
        b"Infinity",
        br#""\ud800""#,
        b"\xef\xbb\xbf{}",
        &utf16,
        b"{} {}",
        b"{}x",
        b"// no\n{}",
        b"{\"a\":1,}",
        b"\"\xff\"",
        b" ",
    ];
    for body in broken {
        let refusal = typed(body).refusal(&snapshot);
        assert_eq!(refusal, Some(Cause::Json), "{}", body.escape_ascii());
    }
}

#[test]
fn depth_is_what_the_policy_says() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mixed = |depth: usize| format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
    for (body, deepest) in [("json: true", 32), ("json: true, depth_max: 4", 4)] {
        let snapshot = policy("", &taking(body));
        assert_eq!(typed(nested(deepest)).refusal(&snapshot), None, "{body}");
        let deeper = typed(nested(deepest + 1)).refusal(&snapshot);
        assert_eq!(deeper, Some(Cause::Json), "{body}");
        assert_eq!(typed(mixed(deepest / 2)).refusal(&snapshot), None);
        let deeper = typed(mixed(deepest / 2 + 1)).refusal(&snapshot);
        assert_eq!(deeper, Some(Cause::Json), "{body}");
        let refusal = typed(nested(10_000)).refusal(&snapshot);
        assert_eq!(refusal, Some(Cause::Json), "{body}");
    }
    for wrong in [
        "depth_max: 4",
        "json: false, depth_max: 4",
        "json: true, depth_max: 0",
        "json: true, depth_max: 128",
        "content_types: []",
        "content_types: [json]",
        "content_types: [\"application/json; charset=utf-8\"]",
    ] {
        assert!(refusable("", &taking(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn a_body_may_be_missing_where_the_method_carries_none() {
    let empty = |method| ask(method, "/").with("content-type", "application/json");
    let snapshot = policy("", &taking("json: true, allow_on_get: true"));
    for (method, needs) in [
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("GET", false),
        ("HEAD", false),
        ("DELETE", false),
        ("OPTIONS", false),
    ] {
        let expected = needs.then_some(Cause::Json);
        assert_eq!(
            empty(method).refusal(&snapshot),
            expected,
            "{method} without a body"
        );
        assert_eq!(
            empty(method).chunked(b"").refusal(&snapshot),
            expected,
            "{method} with an empty body in chunks"
        );
        let broken = empty(method).body("{").refusal(&snapshot);
        assert_eq!(broken, Some(Cause::Json), "{method} with half a body");
        assert_eq!(empty(method).body("{}").refusal(&snapshot), None);
    }
}

#[test]
fn a_body_is_taken_in_whole_only_where_a_rule_looks_at_it() {
    for (body, whole, most) in [
        ("json: true, bytes_max: 1KiB", true, 1024),
        ("content_types: [a/b], bytes_max: 2KiB", false, 2048),
        ("json: true, mode: shadow", true, 10_000_000),
        ("json: false", false, 10_000_000),
    ] {
        let snapshot = policy("", &taking(body));
        let media = match body.contains("a/b") {
            true => "a/b",
            false => "application/json",
        };
        let request = post("{}").with("content-type", media);
        let facts = outrider::accept::facts::facts(
            &request.connection(),
            &request.head(),
            &snapshot.fact_rules,
        )
        .unwrap();
        let evaluation = &mut Evaluation::live(&snapshot.ledger, request.now());
        let entry = decide::admit(&snapshot.policy, &facts, evaluation).unwrap();
        let entry = entered(entry);
        let caller = Caller::Anonymous;
        let head = decide::head(entry, &facts, &caller, evaluation).unwrap();
        match head.body_needs() {
            BodyNeeds::Whole { bytes_max } => assert!(whole && bytes_max.0 == most, "{body}"),
            BodyNeeds::Stream { bytes_max } => assert!(!whole && bytes_max.0 == most, "{body}"),
        }
    }
}

#[test]
fn a_question_about_a_body_that_is_too_large_is_answered_as_the_door_would() {
    let snapshot = policy("", &taking("json: true, bytes_max: 8B"));
    for (body, refused) in [("[1,2,3] ", None), ("[1,2,3]  ", Some(Cause::BodyTooLarge))] {
        let verdict = typed(body).explained(&snapshot).verdict;
        let cause = match verdict {
            outrider::pipeline::Verdict::Forwarded { .. } => None,
            outrider::pipeline::Verdict::Preflight(_) => panic!("no preflight"),
            outrider::pipeline::Verdict::Refused(denial) => Some(denial.cause),
        };
        assert_eq!(cause, refused, "{body:?}");
    }
}
