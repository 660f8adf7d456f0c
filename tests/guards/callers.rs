//! Who must be known, what they must hold, and how fresh their second factor must be.

use std::time::Duration;

use outrider::model::denial::{Advice, Cause};
use outrider::pipeline::Verdict;
use serde_json::{Value, json};

use crate::support::{ISSUER, START, ask, get, policy, refusable};

fn requiring(what: &str) -> String {
    format!("- {{ name: here, match: {{ path: /** }}, require: {{ {what} }} }}")
}

#[test]
fn only_a_route_that_says_so_takes_a_caller_nobody_knows() {
    let routes = "- { name: public, match: { path: /public }, anonymous: true }\n\
                  - { name: closed, match: { path: /closed } }\n\
                  - { name: said, match: { path: /said }, anonymous: false }";
    let snapshot = policy("", routes);
    for (path, refused) in [("/public", false), ("/closed", true), ("/said", true)] {
        let refusal = ask("GET", path).refusal(&snapshot);
        let expected = refused.then_some(Cause::CredentialsMissing);
        assert_eq!(refusal, expected, "{path}");
        assert_eq!(ask("GET", path).known().refusal(&snapshot), None);
    }
}

#[test]
fn a_token_in_the_header_is_verified_and_a_bad_one_is_refused_everywhere() {
    let routes = "- { name: public, match: { path: /public }, anonymous: true }\n\
                  - { name: closed, match: { path: /** } }";
    let snapshot = policy("", routes);
    let claims = json!({
        "iss": "https://auth.example", "aud": "orders", "sub": "trader-7",
        "iat": START - 60, "exp": START + 60,
    });
    let good = ISSUER.sign(&ISSUER.header(), &claims);
    for path in ["/public", "/closed"] {
        let request = ask("GET", path);
        assert_eq!(request.clone().token(&good).refusal(&snapshot), None);
        for (bad, cause) in [
            (request.clone().token("junk"), Cause::TokenInvalid),
            (
                request.clone().token(&good).on_the_wall(3600),
                Cause::TokenInvalid,
            ),
            (
                request.clone().with("authorization", "Basic YTpi"),
                Cause::TokenInvalid,
            ),
            (
                request.clone().token(&good).token(&good),
                Cause::CredentialsSeveral,
            ),
        ] {
            assert_eq!(bad.refusal(&snapshot), Some(cause), "{path}");
        }
    }
    let query = ask("GET", &format!("/closed?access_token={good}"));
    assert_eq!(query.refusal(&snapshot), Some(Cause::TokenInvalid));
}

#[test]
fn permissions_come_from_roles_and_from_the_token_and_all_are_needed() {
    let one = requiring("permissions: [orders:place]");
    let two = requiring("permissions: [orders:place, positions:view]");
    let other = requiring("permissions: [ordersx:place]");
    for (route, claims, missing) in [
        (&one, json!({"roles": ["trader"]}), None),
        (&one, json!({"roles": ["risk"]}), None),
        (&one, json!({"roles": ["viewer"]}), Some("orders:place")),
        (&one, json!({"roles": ["Trader"]}), Some("orders:place")),
        (
            &one,
            json!({"roles": ["trader,risk"]}),
            Some("orders:place"),
        ),
        (&one, json!({}), Some("orders:place")),
        (&one, json!({"permissions": ["orders:place"]}), None),
        (&one, json!({"permissions": ["orders:*"]}), None),
        (&one, json!({"scope": "openid orders:place"}), None),
        (
            &one,
            json!({"permissions": ["orders:cancel"]}),
            Some("orders:place"),
        ),
        (
            &one,
            json!({"permissions": ["orders:place-all"]}),
            Some("orders:place"),
        ),
        (
            &one,
            json!({"permissions": ["Orders:place"]}),
            Some("orders:place"),
        ),
        (&one, json!({"permissions": ["*:*"]}), Some("orders:place")),
        (
            &one,
            json!({"permissions": ["order:*"]}),
            Some("orders:place"),
        ),
        (
            &one,
            json!({"permissions": ["orders:pl*"]}),
            Some("orders:place"),
        ),
        (
            &other,
            json!({"permissions": ["orders:*"]}),
            Some("ordersx:place"),
        ),
        (&two, json!({"roles": ["trader"]}), None),
        (&two, json!({"roles": ["risk"]}), Some("positions:view")),
        (
            &two,
            json!({"roles": ["risk"], "permissions": ["positions:view"]}),
            None,
        ),
        (
            &two,
            json!({"permissions": ["positions:view"]}),
            Some("orders:place"),
        ),
    ] {
        let snapshot = policy("", route);
        let request = get().by("a", claims.clone());
        let denial = request.live(&snapshot).err();
        let expected = missing.map(|name| format!("the caller does not hold {name}"));
        let detail = denial.as_ref().map(|denial| denial.detail.clone());
        assert_eq!(detail, expected, "{claims} for {route}");
        let refusal = request.refusal(&snapshot);
        assert_eq!(refusal, missing.map(|_| Cause::PermissionMissing));
    }
}

#[test]
fn a_missing_permission_is_advised_in_full() {
    let snapshot = policy(
        "",
        &requiring("permissions: [orders:place, positions:view]"),
    );
    let denial = get().known().live(&snapshot).unwrap_err();
    assert_eq!(
        denial.advice,
        Advice::Scope("orders:place positions:view".to_owned())
    );
    let Verdict::Refused(denial) = get().explained(&snapshot).verdict else {
        panic!("nobody holds nothing");
    };
    assert_eq!(
        denial.cause,
        Cause::CredentialsMissing,
        "who is asked before what"
    );
}

#[test]
fn what_an_anonymous_route_may_not_require_is_refused_at_load() {
    for what in ["permissions: [orders:place]", "mfa_within: 15m"] {
        let route = format!(
            "- {{ name: here, match: {{ path: /** }}, anonymous: true, require: {{ {what} }} }}"
        );
        assert!(refusable("", &route).is_err(), "{what}");
    }
    for what in [
        "permissions: []",
        "permissions: [\"orders:*\"]",
        "permissions: [orders]",
        "permissions: [\"\"]",
        "mfa_within: 0s",
        "mfa_within: 15",
    ] {
        assert!(refusable("", &requiring(what)).is_err(), "{what}");
    }
}

#[test]
fn a_second_factor_counts_by_its_kind_and_its_age_to_the_second() {
    let snapshot = policy("", &requiring("mfa_within: 15m"));
    let factor = |amr: Value, age: i64| json!({"amr": amr, "auth_time": START - age});
    for (claims, may) in [
        (factor(json!(["mfa"]), 0), true),
        (factor(json!(["pwd", "otp"]), 0), true),
        (factor(json!(["hwk"]), 0), true),
        (factor(json!(["sc"]), 0), true),
        (factor(json!(["pwd"]), 0), false),
        (factor(json!(["pwd", "pin"]), 0), false),
        (factor(json!(["geo"]), 0), false),
        (factor(json!(["MFA"]), 0), false),
        (factor(json!(["mfa2", "xotp"]), 0), false),
        (factor(json!([]), 0), false),
        (factor(json!(["mfa"]), 899), true),
        (factor(json!(["mfa"]), 900), true),
        (factor(json!(["mfa"]), 901), false),
        (factor(json!(["mfa"]), 86_400 * 365), false),
        (factor(json!(["mfa"]), -30), true),
        (factor(json!(["mfa"]), -31), false),
        (factor(json!(["mfa"]), -86_400), false),
        (json!({"amr": ["mfa"]}), false),
        (json!({"auth_time": START}), false),
        (json!({"acr": "mfa", "auth_time": START}), false),
        (json!({}), false),
    ] {
        let request = get().by("a", claims.clone());
        let expected = (!may).then_some(Cause::MfaRequired);
        assert_eq!(request.refusal(&snapshot), expected, "{claims}");
    }
    // A token that is still good does not keep the factor fresh.
    let long = json!({"amr": ["mfa"], "auth_time": START, "iat": START, "exp": START + 7200});
    let request = get().by("a", long);
    assert_eq!(request.clone().on_the_wall(900).refusal(&snapshot), None);
    let refusal = request.on_the_wall(901).refusal(&snapshot);
    assert_eq!(refusal, Some(Cause::MfaRequired));
}

#[test]
fn the_challenge_says_how_fresh_the_factor_must_be() {
    let snapshot = policy("", &requiring("mfa_within: 15m"));
    let denial = get().known().live(&snapshot).unwrap_err();
    assert_eq!(denial.advice, Advice::StepUp(Duration::from_secs(900)));
}
