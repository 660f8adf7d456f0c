//! What pages of other origins are granted, and routes on their way out.

use http::StatusCode;
use outrider::model::cors::PreflightVerdict;
use outrider::model::denial::Cause;
use outrider::pipeline::{Snapshot, Verdict};

use crate::support::{Ask, START, ask, policy};

const CORS: &str = "cors: { origins: [\"https://app.example\", \"https://*.pages.example\"] }";

const ROUTES: &str = "
- { name: place, match: { method: POST, path: /orders }, require: { permissions: [orders:place] } }
- { name: list, match: { methods: [GET, DELETE], path: /orders }, require: { permissions: [orders:view] } }
- { name: own, match: { path: /own }, cors: { origins: [\"*\"], methods: [PUT], headers: [x-one] } }
- { name: inner, match: { methods: [GET, OPTIONS], path: /inner }, anonymous: true, cors: none }
- { name: closed, match: { method: GET, path: /closed }, deny_ips: [192.0.2.0/24] }
";

/// A browser's question.
fn preflight(target: &str, origin: &str, method: &str, headers: &str) -> Ask {
    let asked = ask("OPTIONS", target)
        .with("origin", origin)
        .with("access-control-request-method", method);
    if headers.is_empty() {
        return asked;
    }
    asked.with("access-control-request-headers", headers)
}

fn verdict(snapshot: &Snapshot, asked: &Ask) -> Result<String, Cause> {
    match asked.explained(snapshot).verdict {
        Verdict::Preflight(PreflightVerdict::Granted) => Ok("granted".to_owned()),
        Verdict::Preflight(PreflightVerdict::Refused(why)) => Ok(why),
        Verdict::Forwarded { .. } => Ok("forwarded".to_owned()),
        Verdict::Refused(denial) => Err(denial.cause),
    }
}

#[test]
fn a_preflight_is_granted_by_the_route_that_would_take_the_request() {
    let snapshot = policy(CORS, ROUTES);
    let app = "https://app.example";
    let own = "https://anybody.test";
    for (target, origin, method, headers, expected) in [
        (
            "/orders",
            app,
            "POST",
            "authorization,content-type",
            "granted",
        ),
        ("/orders", app, "DELETE", "authorization", "granted"),
        (
            "/orders",
            app,
            "GET",
            " Authorization , traceparent,, ",
            "granted",
        ),
        ("/orders", "https://a.pages.example", "GET", "", "granted"),
        (
            "/orders",
            "https://evil.test",
            "GET",
            "",
            "pages of https://evil.test are not allowed",
        ),
        (
            "/orders",
            "null",
            "GET",
            "",
            "pages of null are not allowed",
        ),
        ("/orders", app, "PUT", "", "pages may not use PUT"),
        ("/orders", app, "delete", "", "pages may not use delete"),
        (
            "/orders",
            app,
            "POST",
            "authorization,x-other",
            "pages may not set x-other",
        ),
        ("/own", own, "PUT", "x-one,content-type", "granted"),
        ("/own", own, "GET", "", "granted"),
        ("/own", own, "PATCH", "", "pages may not use PATCH"),
        (
            "/own",
            own,
            "PUT",
            "authorization",
            "pages may not set authorization",
        ),
    ] {
        let asked = preflight(target, origin, method, headers);
        assert_eq!(
            verdict(&snapshot, &asked),
            Ok(expected.to_owned()),
            "{asked:?}"
        );
        let status = asked.explained(&snapshot).verdict.status();
        assert_eq!(status, Some(StatusCode::NO_CONTENT));
    }
    let found = preflight("/orders", app, "DELETE", "").explained(&snapshot);
    assert_eq!(found.route, Some(1));
}

#[test]
fn what_is_no_preflight_goes_its_ordinary_way() {
    let snapshot = policy(CORS, ROUTES);
    let app = "https://app.example";
    let table = [
        (ask("OPTIONS", "/orders"), Err(Cause::RouteMethod)),
        (
            ask("OPTIONS", "/orders").with("origin", app),
            Err(Cause::RouteMethod),
        ),
        (
            ask("OPTIONS", "/orders").with("access-control-request-method", "POST"),
            Err(Cause::RouteMethod),
        ),
        (
            ask("POST", "/orders")
                .with("origin", app)
                .with("access-control-request-method", "POST"),
            Err(Cause::CredentialsMissing),
        ),
        (
            preflight("/inner", app, "GET", ""),
            Ok("forwarded".to_owned()),
        ),
        (preflight("/nowhere", app, "GET", ""), Err(Cause::RouteNone)),
        (
            preflight("/closed", app, "GET", "").from("192.0.2.1"),
            Err(Cause::Ip),
        ),
        (
            preflight("/orders", app, "no method", ""),
            Err(Cause::Header),
        ),
        (preflight("/orders", app, "GET", "a b"), Err(Cause::Header)),
        (
            preflight("/orders", app, "GET", "").with("access-control-request-method", "PUT"),
            Err(Cause::Header),
        ),
    ];
    for (asked, expected) in table {
        assert_eq!(verdict(&snapshot, &asked), expected, "{asked:?}");
    }
    // Without `cors` everything is the service's own affair.
    let silent = policy("", "- { name: all, match: { path: /** }, anonymous: true }");
    let asked = preflight("/orders", app, "PUT", "x-one");
    assert_eq!(verdict(&silent, &asked), Ok("forwarded".to_owned()));
}

#[test]
fn a_request_has_one_origin_or_none() {
    let snapshot = policy("", "- { name: all, match: { path: /** }, anonymous: true }");
    for (origins, expected) in [
        (&["https://app.example"][..], Ok("forwarded".to_owned())),
        (&["null"], Ok("forwarded".to_owned())),
        (
            &["https://a.example", "https://a.example"],
            Err(Cause::Header),
        ),
        (
            &["https://a.example, https://b.example"],
            Err(Cause::Header),
        ),
        (&["https://a.example https://b.example"], Err(Cause::Header)),
        (&[""], Err(Cause::Header)),
        (&["https://b\u{fc}cher.example"], Err(Cause::Header)),
    ] {
        let asked = origins.iter().fold(ask("GET", "/"), |asked, origin| {
            asked.with("origin", origin)
        });
        assert_eq!(verdict(&snapshot, &asked), expected, "{origins:?}");
    }
    let named = ask("GET", "/").with("connection", "origin");
    assert_eq!(verdict(&snapshot, &named), Err(Cause::Header));
}

#[test]
fn a_route_is_gone_from_the_second_of_its_sunset_on() {
    let day = jiff::Timestamp::from_second(START).unwrap().to_string();
    let route = |after: &str| {
        format!(
            "- {{ name: old, match: {{ method: PUT, path: /old }}, anonymous: true, deprecated: {{ since: 2026-01-01, sunset: \"{day}\", after_sunset: {after} }} }}"
        )
    };
    let gone = policy(CORS, &route("gone"));
    let old = ask("PUT", "/old");
    let before = old.clone().on_the_wall(-1);
    assert_eq!(verdict(&gone, &before), Ok("forwarded".to_owned()));
    assert_eq!(verdict(&gone, &old), Err(Cause::RouteGone));
    let served = policy(CORS, &route("serve"));
    assert_eq!(verdict(&served, &old), Ok("forwarded".to_owned()));
    // The page can read that it is gone.
    let asked = preflight("/old", "https://app.example", "PUT", "");
    assert_eq!(verdict(&gone, &asked), Ok("granted".to_owned()));
}
