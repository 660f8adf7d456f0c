//! `mode: shadow`: what would be refused is recorded and passes; identity and addresses know no shadow.

use outrider::decide::Said;
use outrider::decide::policy::Mode;
use outrider::model::denial::Cause;
use outrider::pipeline::Verdict;
use serde_json::json;

use crate::support::{ask, get, line, policy, refusable};

#[test]
fn a_shadowed_requirement_is_recorded_and_passes() {
    let route = "- { name: here, match: { path: /** }, require: { permissions: [orders:place], mfa_within: 5m, mode: shadow } }";
    let snapshot = policy("", route);
    let noted = |request: crate::support::Ask| -> Vec<String> {
        let passed = request.live(&snapshot).unwrap();
        let Verdict::Forwarded { shadow } = request.explained(&snapshot).verdict else {
            panic!("the question is answered otherwise than the request");
        };
        assert_eq!(shadow.len(), passed.shadow.len());
        let rules = passed.shadow.into_iter().filter_map(|denial| denial.rule);
        rules.map(|rule| rule.to_string()).collect()
    };
    assert_eq!(
        noted(get().known()),
        ["here/require.permissions", "here/require.mfa_within"]
    );
    assert_eq!(
        noted(get().by("a", json!({"roles": ["trader"]}))),
        ["here/require.mfa_within"]
    );
    let found = get().known().explained(&snapshot);
    let said = line(&found, "here/require.permissions");
    assert_eq!(said.mode, Mode::Shadow);
    assert_eq!(said.said, Said::Deny(Cause::PermissionMissing));
}

#[test]
fn a_shadowed_body_is_recorded_and_passes() {
    let route = "- { name: here, match: { path: /** }, anonymous: true, body: { content_types: [application/json], json: true, mode: shadow } }";
    let snapshot = policy("", route);
    let request = ask("POST", "/")
        .body("buy")
        .with("content-type", "text/plain");
    assert_eq!(request.refusal(&snapshot), None);
    let causes: Vec<Cause> = request
        .live(&snapshot)
        .unwrap()
        .shadow
        .iter()
        .map(|denial| denial.cause)
        .collect();
    assert_eq!(causes, [Cause::ContentType, Cause::Json]);
}

#[test]
fn shadow_is_the_word_of_one_section_only() {
    let route = "- { name: here, match: { path: /** }, require: { permissions: [orders:place], mode: shadow }, body: { json: true }, deny_ips: [192.0.2.1], limits: [{ name: few, per: all, rate: 1/h }] }";
    let snapshot = policy("", route);
    let post = || ask("POST", "/").known();
    for (request, cause) in [
        (ask("POST", "/").body("{}"), Cause::CredentialsMissing),
        (
            ask("POST", "/").body("{}").token("junk"),
            Cause::TokenInvalid,
        ),
        (post().body("{}").from("192.0.2.1"), Cause::Ip),
        (post().body("{"), Cause::Json),
        (post().body("{}"), Cause::RateLimited),
    ] {
        assert_eq!(request.spent(&snapshot), Some(cause), "{request:?}");
    }
}

#[test]
fn neither_a_route_nor_the_listener_nor_identity_has_a_mode() {
    for (listener, route) in [
        ("mode: shadow", ""),
        ("", ", mode: shadow"),
        ("deny_ips: { networks: [10.0.0.0/8], mode: shadow }", ""),
        ("tokens_mode: shadow", ""),
    ] {
        let route = format!("- {{ name: here, match: {{ path: /** }}{route} }}");
        let refused = refusable(listener, &route);
        assert!(refused.is_err(), "{listener}{route}");
    }
}

#[test]
fn a_refusal_behind_a_shadow_is_still_a_refusal() {
    let route = "- { name: here, match: { path: /** }, require: { permissions: [orders:place], mode: shadow }, body: { content_types: [a/b] } }";
    let snapshot = policy("", route);
    let request = ask("POST", "/").known().body("x");
    assert_eq!(request.refusal(&snapshot), Some(Cause::ContentType));
}
