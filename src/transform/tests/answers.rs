//! What the client gets: the service's answers and our own.

use super::*;

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
        None,
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
        &Page::default(),
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
    let mut route = open_route();
    route.limit_policy = Some(HeaderValue::from_static("\"place\";q=20;w=12"));
    let answers = Answers::new(HeaderPreset::Api, LimitHeaders::Draft, "orders");
    let denial = Denial::new(Cause::RateLimited, "").advising(Advice::Quota(quota()));
    let told = refusal(
        &denial,
        &answers,
        &ID,
        Some(&route),
        &Page::default(),
        RequestBody::Settled,
    );
    assert_eq!(
        all(told.headers(), "ratelimit-policy"),
        ["\"place\";q=20;w=12"]
    );
    assert!(!told.headers().contains_key("x-ratelimit-limit"));
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
    let unread = refusal(
        &denial,
        &answers,
        &ID,
        None,
        &Page::default(),
        RequestBody::Unread,
    );
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
