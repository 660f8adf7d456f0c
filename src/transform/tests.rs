//! Tables: what passes in each direction, what is set, and the answer of every cause.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;

use super::*;
use crate::decide::fixtures::{facts, open_route, permit};
use crate::model::caller::{Caller, Identity, IdentityHeaders};
use crate::model::denial::{Advice, Cause, Denial, Quota, RuleId};
use crate::model::facts::Framing;
use crate::model::node::Place;
use crate::model::settings::{HeaderPreset, LimitHeaders};

static ID: HeaderValue = HeaderValue::from_static("0193-request");

/// What the service gets of a GET with these fields.
fn sent(lines: &[(&str, &str)]) -> HeaderMap {
    sent_by(lines, &Caller::Anonymous, false)
}

fn sent_by(lines: &[(&str, &str)], caller: &Caller, forward_token: bool) -> HeaderMap {
    let mut route = open_route();
    route.forward_token = forward_token;
    let facts = facts(Method::GET, "/orders?side=buy", Framing::None);
    let stamp = Stamp {
        request_id: &ID,
        secure: false,
    };
    let (head, ()) = with_lines(Request::builder(), lines)
        .body(())
        .unwrap()
        .into_parts();
    let body = Full::new(Bytes::new());
    let request = prepare(&permit(route, None), &facts, caller, head, body, &stamp).into_request();
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.uri().to_string(), "/orders?side=buy");
    request.headers().clone()
}

fn with_lines(builder: http::request::Builder, lines: &[(&str, &str)]) -> http::request::Builder {
    lines.iter().fold(builder, |builder, (name, value)| {
        builder.header(*name, *value)
    })
}

fn trader() -> Caller {
    let text = |text: &'static str| Some(HeaderValue::from_static(text));
    Caller::Token(Arc::new(Identity {
        issuer: "https://auth.example".into(),
        subject: "alice".into(),
        roles: vec!["trader".into()],
        permissions: Vec::new(),
        session: None,
        token_id: None,
        expires_at: 0,
        authenticated_at: None,
        methods: Vec::new(),
        claims: Default::default(),
        headers: IdentityHeaders {
            subject: text("alice"),
            roles: text("trader"),
            permissions: text("orders:place"),
            session: None,
        },
    }))
}

/// All values of a field.
fn all<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

/// The fields that every request has.
const ALWAYS: &[&str] = &[
    "host",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

fn extra_names(headers: &HeaderMap) -> Vec<&str> {
    headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !ALWAYS.contains(name))
        .collect()
}

#[test]
fn a_plain_request_gets_our_fields_and_nothing_else() {
    let headers = sent(&[("host", "orders.example:8080"), ("accept", "*/*")]);
    assert_eq!(extra_names(&headers), ["accept"]);
    assert_eq!(all(&headers, "host"), ["orders.example:8080"]);
    assert_eq!(all(&headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&headers, "x-request-id"), ["0193-request"]);
    assert_eq!(all(&headers, "via"), ["1.1 outrider"]);
}

#[test]
fn fields_of_one_hop_do_not_reach_the_service() {
    let hop: &[(&str, &str)] = &[
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-authenticate", "Basic"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("connection", "Upgrade, HTTP2-Settings"),
        ("trailer", "Authorization"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
        ("content-length", "17"),
    ];
    for line in hop {
        let name = line.0;
        let headers = sent(&[*line]);
        assert!(
            !headers.contains_key(name) || name == "content-length",
            "{name}"
        );
        assert_ne!(all(&headers, name), [line.1], "{name}");
    }
    let nominated = sent(&[
        ("connection", "close, X-Signature"),
        ("connection", " x-desk ,, keep-alive,\tX-Trace-Me"),
        ("x-signature", "a"),
        ("x-signature", "b"),
        ("x-desk", "prop"),
        ("x-trace-me", "1"),
        ("x-stays", "1"),
    ]);
    assert_eq!(extra_names(&nominated), ["x-stays"]);
}

#[test]
fn nominating_our_fields_does_not_remove_them() {
    let connection =
        "close, Outrider-Subject, OUTRIDER-ROLES, X-Request-Id, Host, X-Forwarded-For, Via";
    let lines = [("connection", connection), ("outrider-subject", "root")];
    let headers = sent_by(&lines, &trader(), false);
    for (name, value) in [
        ("outrider-subject", "alice"),
        ("outrider-roles", "trader"),
        ("outrider-permissions", "orders:place"),
        ("x-request-id", "0193-request"),
        ("host", "orders.example:8080"),
        ("x-forwarded-for", "192.0.2.7"),
        ("via", "1.1 outrider"),
    ] {
        assert_eq!(all(&headers, name), [value], "{name}");
    }
    assert!(!headers.contains_key("outrider-session"));
    assert!(!headers.contains_key("connection"));
}

#[test]
fn what_a_client_must_not_say_is_removed_in_both_spellings() {
    let names = [
        "outrider-subject",
        "outrider-anything",
        "outrider-",
        "forwarded",
        "x-forwarded-host",
        "x-forwarded-uri",
        "x-forwarded-prefix",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-envoy-original-path",
        "x-http-method-override",
        "x-remote-user",
        "ssl-client-cert",
        "true-client-ip",
        "proxy",
    ];
    for name in names {
        for spelling in [
            name.to_owned(),
            name.replace('-', "_"),
            name.to_ascii_uppercase(),
        ] {
            let headers = sent(&[(&spelling, "/health"), (&spelling, "again")]);
            assert_eq!(extra_names(&headers), [""; 0], "{spelling}");
        }
    }
    let lines = [
        ("x-forwarded-for", "10.9.9.9"),
        ("x_forwarded_for", "10.9.9.9"),
    ];
    let forwarded = sent(&lines);
    assert_eq!(all(&forwarded, "x-forwarded-for"), ["192.0.2.7"]);
    assert!(!forwarded.contains_key("x_forwarded_for"));
    let kept = sent(&[("outriders", "1"), ("x-forward", "1"), ("proxy-hint", "1")]);
    assert_eq!(extra_names(&kept), ["outriders", "x-forward", "proxy-hint"]);
}

#[test]
fn the_token_passes_only_where_the_route_says_so() {
    let lines = [("authorization", "Bearer abc")];
    assert!(!sent_by(&lines, &trader(), false).contains_key("authorization"));
    assert_eq!(
        all(&sent_by(&lines, &trader(), true), "authorization"),
        ["Bearer abc"]
    );
}

#[test]
fn a_trace_context_passes_only_if_it_is_well_formed() {
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let table = [
        (good, true),
        (
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            true,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            false,
        ),
        (
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            false,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            false,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            false,
        ),
        ("", false),
    ];
    for (parent, passes) in table {
        let headers = sent(&[("traceparent", parent), ("tracestate", "a=1")]);
        assert_eq!(headers.contains_key("traceparent"), passes, "{parent}");
        assert_eq!(headers.contains_key("tracestate"), passes, "{parent}");
    }
    let twice = sent(&[
        ("traceparent", good),
        ("traceparent", good),
        ("tracestate", "a=1"),
    ]);
    assert_eq!(extra_names(&twice), [""; 0]);
    assert_eq!(extra_names(&sent(&[("tracestate", "a=1")])), [""; 0]);
}

#[test]
fn via_keeps_what_came_and_names_the_version_that_was_received() {
    let (mut head, ()) = Request::builder()
        .header("via", "1.1 edge")
        .body(())
        .unwrap()
        .into_parts();
    head.version = Version::HTTP_10;
    let stamp = Stamp {
        request_id: &ID,
        secure: true,
    };
    let facts = facts(Method::GET, "/", Framing::None);
    let body = Full::new(Bytes::new());
    let permit = permit(open_route(), None);
    let request = prepare(&permit, &facts, &Caller::Anonymous, head, body, &stamp).into_request();
    assert_eq!(all(request.headers(), "via"), ["1.1 edge", "1.0 outrider"]);
    assert_eq!(all(request.headers(), "x-forwarded-proto"), ["https"]);
}

fn quota() -> Quota {
    Quota {
        name: Arc::from("place"),
        burst: 20,
        remaining: 3,
        more_in: Duration::from_millis(600),
    }
}

/// What the client gets of an answer with these fields.
fn replied(
    lines: &[(&str, &str)],
    preset: HeaderPreset,
    limits: LimitHeaders,
    quota: Option<Quota>,
) -> HeaderMap {
    let mut route = open_route();
    route.limit_policy = Some(HeaderValue::from_static("\"place\";q=20;w=12"));
    let builder = Response::builder().version(Version::HTTP_10);
    let builder = lines.iter().fold(builder, |builder, (name, value)| {
        builder.header(*name, *value)
    });
    let answers = Answers::new(preset, limits, "orders");
    let response = reply(
        &permit(route, quota),
        builder.body(()).unwrap(),
        &answers,
        &ID,
    );
    assert_eq!(response.version(), Version::HTTP_11);
    response.headers().clone()
}

#[test]
fn fields_of_the_other_hop_and_of_frameworks_do_not_reach_the_client() {
    let headers = replied(
        &[
            ("server", "nginx/1.2"),
            ("x-powered-by", "Express"),
            ("x-aspnet-version", "4"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "keep-alive, X-Internal"),
            ("connection", "x-also"),
            ("x-internal", "1"),
            ("x-also", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x-checksum"),
            ("upgrade", "h2c"),
            ("proxy-authenticate", "Basic"),
            ("x-request-id", "theirs"),
            ("content-length", "5"),
            ("content-type", "text/plain"),
        ],
        HeaderPreset::None,
        LimitHeaders::None,
        Some(quota()),
    );
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "x-request-id"]);
    assert_eq!(all(&headers, "x-request-id"), ["0193-request"]);
}

#[test]
fn presets_are_set_where_the_service_says_nothing() {
    let api = replied(&[], HeaderPreset::Api, LimitHeaders::None, None);
    for (name, value) in [
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
    ] {
        assert_eq!(all(&api, name), [value], "{name}");
    }
    assert!(api.contains_key("permissions-policy"));
    let own = [
        ("cache-control", "max-age=60"),
        ("X-Frame-Options", "SAMEORIGIN"),
    ];
    let kept = replied(&own, HeaderPreset::Api, LimitHeaders::None, None);
    assert_eq!(all(&kept, "cache-control"), ["max-age=60"]);
    assert_eq!(all(&kept, "x-frame-options"), ["SAMEORIGIN"]);
    let web = replied(&[], HeaderPreset::Web, LimitHeaders::None, None);
    assert!(!web.contains_key("cache-control"));
    assert!(all(&web, "content-security-policy")[0].starts_with("default-src 'self'"));
    let none = replied(&[], HeaderPreset::None, LimitHeaders::None, None);
    assert_eq!(none.keys().count(), 1);
    for never in ["x-xss-protection", "expect-ct", "public-key-pins"] {
        assert!(
            !api.contains_key(never) && !web.contains_key(never),
            "{never}"
        );
    }
}

#[test]
fn limits_are_told_in_the_style_asked_for() {
    let draft = [
        ("ratelimit", "\"place\";r=3;t=1"),
        ("ratelimit-policy", "\"place\";q=20;w=12"),
    ];
    let legacy = [
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "3"),
        ("x-ratelimit-reset", "1"),
    ];
    let service = [("ratelimit", "\"theirs\";r=9;t=9")];
    for (style, tells_draft, tells_legacy) in [
        (LimitHeaders::Draft, true, false),
        (LimitHeaders::Legacy, false, true),
        (LimitHeaders::Both, true, true),
    ] {
        let lines: &[(&str, &str)] = if tells_draft { &service } else { &[] };
        let headers = replied(lines, HeaderPreset::None, style, Some(quota()));
        for (told, fields) in [(tells_draft, &draft[..]), (tells_legacy, &legacy[..])] {
            for (name, value) in fields {
                let expected: &[&str] = if told { &[value] } else { &[] };
                assert_eq!(all(&headers, name), expected, "{style:?} {name}");
            }
        }
    }
    let unlimited = replied(&[], HeaderPreset::None, LimitHeaders::Both, None);
    assert!(!unlimited.contains_key("ratelimit"));
    assert!(!unlimited.contains_key("x-ratelimit-limit"));
}

fn refused(denial: &Denial) -> Response<Bytes> {
    let answers = Answers::new(HeaderPreset::Api, LimitHeaders::Both, "order\"gateway\\é");
    refusal(
        denial,
        &answers,
        &ID,
        Some(&open_route()),
        RequestBody::Settled,
    )
}

const DETAIL: &str = "issuer https://internal.example differs";

#[test]
fn every_cause_has_its_answer_and_none_tells_the_detail() {
    for cause in Cause::ALL {
        let mut denial = Denial::new(*cause, DETAIL);
        denial.rule = Some(RuleId {
            name: Arc::from("place-order/secret-rule"),
            place: Place::Default,
        });
        let response = refused(&denial);
        let code = cause.code();
        let (status, headers) = (response.status(), response.headers());
        assert_eq!(status, cause.status(), "{code}");
        assert_eq!(
            all(headers, "content-type"),
            ["application/problem+json"],
            "{code}"
        );
        assert_eq!(all(headers, "cache-control"), ["no-store"], "{code}");
        assert_eq!(
            all(headers, "x-content-type-options"),
            ["nosniff"],
            "{code}"
        );
        assert_eq!(all(headers, "x-request-id"), ["0193-request"], "{code}");
        let closes: &[&str] = if cause.closes() { &["close"] } else { &[] };
        assert_eq!(all(headers, "connection"), closes, "{code}");
        if status == StatusCode::UNAUTHORIZED {
            assert!(headers.contains_key("www-authenticate"), "{code}");
        }
        if *cause == Cause::MethodRefused {
            assert!(headers.contains_key("allow"), "{code}");
        }
        let waits = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        assert_eq!(
            headers.contains_key("retry-after"),
            waits.contains(&status),
            "{code}"
        );
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            problem["type"],
            format!("https://outrider.dev/problems/{code}")
        );
        assert_eq!(problem["title"], cause.title());
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["instance"], "0193-request");
        assert_eq!(problem["code"], code);
        assert!(problem.get("detail").is_none());
        let whole = format!("{headers:?}{problem}");
        assert!(
            !whole.contains("internal.example") && !whole.contains("secret-rule"),
            "{code}"
        );
    }
}

#[test]
fn challenges_say_what_the_standards_have_for_them() {
    let realm = r#"Bearer realm="ordergateway""#;
    let table = [
        (Cause::CredentialsMissing, Advice::None, ""),
        (
            Cause::TokenInvalid,
            Advice::None,
            r#", error="invalid_token""#,
        ),
        (
            Cause::CredentialsSeveral,
            Advice::None,
            r#", error="invalid_request""#,
        ),
        (
            Cause::PermissionMissing,
            Advice::Scope("orders:place orders:cancel".into()),
            r#", error="insufficient_scope", scope="orders:place orders:cancel""#,
        ),
        (
            Cause::MfaRequired,
            Advice::StepUp(Duration::from_secs(900)),
            r#", error="insufficient_user_authentication", max_age="900""#,
        ),
    ];
    for (cause, advice, rest) in table {
        let response = refused(&Denial::new(cause, DETAIL).advising(advice));
        let expected = format!("{realm}{rest}");
        assert_eq!(
            all(response.headers(), "www-authenticate"),
            [expected.as_str()]
        );
    }
    for cause in [Cause::Ip, Cause::KeysUnavailable, Cause::RateLimited] {
        assert!(
            !refused(&Denial::new(cause, DETAIL))
                .headers()
                .contains_key("www-authenticate")
        );
    }
}

#[test]
fn bad_tokens_are_answered_alike() {
    let one = refused(&Denial::new(Cause::TokenInvalid, "expired"));
    let other = refused(&Denial::new(Cause::TokenInvalid, "signed by another key"));
    assert_eq!(one.headers(), other.headers());
    assert_eq!(one.body(), other.body());
}

#[test]
fn advice_stands_in_the_fields_for_it() {
    let spent = Quota {
        remaining: 0,
        more_in: Duration::from_millis(1200),
        ..quota()
    };
    let limited = refused(&Denial::new(Cause::RateLimited, "").advising(Advice::Quota(spent)));
    assert_eq!(all(limited.headers(), "retry-after"), ["2"]);
    assert_eq!(all(limited.headers(), "ratelimit"), ["\"place\";r=0;t=2"]);
    assert_eq!(all(limited.headers(), "x-ratelimit-remaining"), ["0"]);
    let problem: serde_json::Value = serde_json::from_slice(limited.body()).unwrap();
    assert_eq!(problem["retry_after"], 2);
    let methods = Advice::Methods("GET, POST".into());
    let wrong = refused(&Denial::new(Cause::RouteMethod, "").advising(methods));
    assert_eq!(all(wrong.headers(), "allow"), ["GET, POST"]);
    let wait = Advice::RetryAfter(Duration::from_secs(7));
    let budget = refused(&Denial::new(Cause::FailureBudget, "").advising(wait));
    assert_eq!(all(budget.headers(), "retry-after"), ["7"]);
    assert!(!budget.headers().contains_key("ratelimit"));
}

#[test]
fn a_refusal_before_the_body_was_read_closes() {
    let answers = Answers::new(HeaderPreset::None, LimitHeaders::None, "orders");
    let denial = Denial::new(Cause::CredentialsMissing, "");
    let unread = refusal(&denial, &answers, &ID, None, RequestBody::Unread);
    assert_eq!(all(unread.headers(), "connection"), ["close"]);
}

#[tokio::test]
async fn a_refused_head_request_gets_the_length_but_no_body() {
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (mut client, server) = tokio::io::duplex(4096);
    let service = service_fn(async |_| {
        let denial = Denial::new(Cause::Ip, DETAIL);
        Ok::<_, std::convert::Infallible>(refused(&denial).map(Full::new))
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(server), service);
    let exchange = async {
        client
            .write_all(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut raw = String::new();
        client.read_to_string(&mut raw).await.unwrap();
        raw
    };
    let (raw, _ended) = tokio::join!(exchange, served);
    let length = refused(&Denial::new(Cause::Ip, DETAIL)).body().len();
    assert!(raw.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{raw}");
    assert!(
        raw.contains(&format!("content-length: {length}\r\n")),
        "{raw}"
    );
    assert!(
        raw.ends_with("\r\n\r\n") && !raw.contains("outrider.dev"),
        "{raw}"
    );
}
