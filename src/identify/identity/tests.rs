//! What each claim becomes, and which claims make a token bad.

use http::HeaderValue;
use serde_json::json;

use super::*;

fn built(extra: serde_json::Value) -> Result<Identity, Reason> {
    let mut claims = json!({"iss": "https://auth", "sub": "trader-7"});
    for (name, value) in extra.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let permission = |text| Permission::parse_grant(text).unwrap();
    let roles = RoleMap::from([
        (
            "trader".to_owned(),
            vec![permission("orders:place"), permission("orders:view")],
        ),
        (
            "risk".to_owned(),
            vec![permission("positions:*"), permission("orders:view")],
        ),
    ]);
    build(&serde_json::from_value(claims).unwrap(), 99, &roles)
}

fn permissions_of(extra: serde_json::Value) -> Vec<String> {
    built(extra)
        .unwrap()
        .permissions
        .iter()
        .map(|own| own.as_str().to_owned())
        .collect()
}

#[test]
fn permissions_are_the_tokens_own_and_those_of_its_roles() {
    let claims = json!({
        "roles": ["trader", "risk", "unheard-of"],
        "permissions": ["reports:read", "not a permission", "orders:place", "", "a:b:c"],
        "scope": "openid quotes:* profile  reports:read",
    });
    // An empty entry of `permissions` is a fault, not a permission.
    assert_eq!(built(claims.clone()).err(), Some(Reason::Claims));
    let mut claims = claims;
    claims["permissions"][3] = json!("x");
    assert_eq!(
        permissions_of(claims),
        [
            "orders:place",
            "orders:view",
            "positions:*",
            "quotes:*",
            "reports:read"
        ]
    );
    assert_eq!(
        permissions_of(json!({"roles": "trader"})),
        ["orders:place", "orders:view"]
    );
    assert_eq!(permissions_of(json!({"roles": "trader risk"})), [""; 0]);
    assert_eq!(permissions_of(json!({})), [""; 0]);
}

#[test]
fn fields_and_single_values() {
    let identity = built(json!({
        "sid": "s-1", "sessionId": "s-1", "jti": "t-1", "auth_time": 1_700_000_000.7,
        "amr": ["pwd", "otp"], "desk": "fx", "level": 3, "vip": true, "nested": {"a": 1},
        "many": [1], "nothing": null, "line": "a\nb", "long": "x".repeat(257), "nonce": "n",
    }))
    .unwrap();
    assert_eq!(identity.session.as_deref(), Some("s-1"));
    assert_eq!(identity.token_id.as_deref(), Some("t-1"));
    assert_eq!(identity.authenticated_at, Some(1_700_000_000));
    assert_eq!(identity.methods, ["pwd", "otp"]);
    assert_eq!(identity.expires_at, 99);
    let kept: Vec<_> = identity
        .claims
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let expected = [
        "desk=fx",
        "level=3",
        "nonce=n",
        "sessionId=s-1",
        "sid=s-1",
        "sub=trader-7",
        "vip=true",
    ];
    assert_eq!(kept, expected);
}

#[test]
fn claims_are_bounded() {
    let mut extra = json!({});
    for number in 0..200 {
        extra[format!("claim-{number}")] = json!(number);
    }
    assert_eq!(built(extra).unwrap().claims.len(), CLAIMS_MAX);
}

#[test]
fn claims_that_make_a_token_bad() {
    for (extra, reason) in [
        (json!({"sub": ""}), Reason::Subject),
        (json!({"sub": 7}), Reason::Subject),
        (json!({"sub": "a\nb"}), Reason::Subject),
        (json!({"sub": "a\u{0}"}), Reason::Subject),
        (json!({"sub": "a\u{85}"}), Reason::Subject),
        (json!({"sub": "a\u{2028}b"}), Reason::Subject),
        (json!({"sub": "a".repeat(257)}), Reason::Subject),
        (json!({"iss": ["https://auth"]}), Reason::Issuer),
        (json!({"roles": 1}), Reason::Claims),
        (json!({"roles": ""}), Reason::Claims),
        (json!({"roles": null}), Reason::Claims),
        (json!({"roles": ["a", 1]}), Reason::Claims),
        (json!({"roles": ["a\r\nb"]}), Reason::Claims),
        (json!({"roles": vec!["a"; ROLES_MAX + 1]}), Reason::Claims),
        (
            json!({"roles": ["a".repeat(WORD_BYTES_MAX + 1)]}),
            Reason::Claims,
        ),
        (json!({"permissions": "orders:place"}), Reason::Claims),
        (
            json!({"permissions": vec!["a:b"; PERMISSIONS_MAX + 1]}),
            Reason::Claims,
        ),
        (json!({"scope": ["orders:place"]}), Reason::Claims),
        (
            json!({"scope": " ".repeat(PERMISSIONS_MAX)}),
            Reason::Claims,
        ),
        (json!({"amr": "pwd"}), Reason::Claims),
        (json!({"amr": vec!["pwd"; METHODS_MAX + 1]}), Reason::Claims),
        (json!({"auth_time": "1700000000"}), Reason::Claims),
        (json!({"auth_time": -5}), Reason::Claims),
        (json!({"jti": 7}), Reason::Claims),
        (json!({"sid": ""}), Reason::Claims),
        (json!({"sid": "a", "sessionId": "b"}), Reason::Claims),
    ] {
        assert_eq!(built(extra.clone()).err(), Some(reason), "{extra}");
    }
}

#[test]
fn headers_have_one_reading() {
    let headers = built(json!({
        "sub": "auth0|Jörg 50%,a", "roles": ["a,admin", "trader"], "sid": "s 1",
    }))
    .unwrap()
    .headers;
    let text = |value: &Option<HeaderValue>| value.as_ref().unwrap().to_str().unwrap().to_owned();
    assert_eq!(text(&headers.subject), "auth0|J%C3%B6rg%2050%25,a");
    assert_eq!(text(&headers.roles), "a%2Cadmin,trader");
    assert_eq!(text(&headers.permissions), "orders:place,orders:view");
    assert_eq!(text(&headers.session), "s%201");
    let bare = built(json!({})).unwrap().headers;
    assert_eq!(
        (bare.roles, bare.permissions, bare.session),
        (None, None, None)
    );
}
