//! What is wrong with the claims of a token that the issuer did sign.

use serde_json::{Value, json};

use super::{Sent, bad, good};
use crate::support::tokens::Issuer;
use crate::world::{now, token_headed, token_of, token_with};

/// 65: times that are no times.
pub(super) fn times(issuer: &Issuer) -> Vec<Sent> {
    let written = |id: &str, claim: &str, value: &str, reason| {
        let now = now();
        let mut members = vec![
            ("iss", "\"https://issuer.test\"".to_owned()),
            ("aud", "\"order-gateway\"".to_owned()),
            ("sub", "\"user-1\"".to_owned()),
            ("roles", "[\"trader\"]".to_owned()),
            ("iat", now.to_string()),
            ("exp", (now + 600).to_string()),
        ];
        members.retain(|(name, _)| *name != claim);
        members.push((claim, value.to_owned()));
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let token = token_of(issuer, &format!("{{{}}}", members.join(",")));
        bad(format!("65 {id}"), token, reason)
    };
    let mut cases = vec![
        written("nbf as text", "nbf", "\"99999999999\"", "claims"),
        written("exp as a word", "exp", "\"never\"", "claims"),
        written("exp as text", "exp", "\"99999999999\"", "claims"),
        written("exp null", "exp", "null", "claims"),
        written("exp true", "exp", "true", "claims"),
        written("exp in a list", "exp", "[99999999999]", "claims"),
        written("exp beyond floating point", "exp", "1e400", "claims"),
        written("exp as a float long past", "exp", "1.5e9", "expired"),
        written("iat null", "iat", "null", "claims"),
        written("nbf beyond 2^53", "nbf", "18446744073709551615", "claims"),
        written("exp beyond 2^53", "exp", "18446744073709551615", "claims"),
        written("exp beyond 2^53 as a float", "exp", "1e300", "claims"),
        written("iat twice", "iat", "1,\"iat\":2", "claims"),
    ];
    cases.push(bad(
        "65 exp negative".into(),
        token_with(issuer, &json!({"exp": -1})),
        "claims",
    ));
    cases.push(bad(
        "65 no exp".into(),
        token_with(issuer, &json!({"exp": null})),
        "claims",
    ));
    let now = now();
    let sane = format!(
        "{{\"iss\":\"https://issuer.test\",\"aud\":\"order-gateway\",\"sub\":\"u\",\"roles\":\"trader\",\"iat\":{now}.25,\"exp\":{}.75}}",
        now + 60
    );
    cases.push(good("65 times with a fraction", token_of(issuer, &sane)));
    cases
}

/// 67: tokens for somebody else, or for something else.
pub(super) fn audiences(issuer: &Issuer) -> Vec<Sent> {
    let with = |id: &str, changes: Value, reason| {
        bad(format!("67 {id}"), token_with(issuer, &changes), reason)
    };
    let headed = |id: &str, changes: Value, reason| {
        bad(format!("67 {id}"), token_headed(issuer, &changes), reason)
    };
    vec![
        with("another audience", json!({"aud": "other"}), "audience"),
        with("no audience", json!({"aud": null}), "audience"),
        with("an empty audience", json!({"aud": []}), "audience"),
        with(
            "the audience in another case",
            json!({"aud": "Order-Gateway"}),
            "audience",
        ),
        with(
            "the beginning of the audience",
            json!({"aud": "order-gateway-2"}),
            "audience",
        ),
        with(
            "another issuer",
            json!({"iss": "https://issuer.test.evil"}),
            "issuer",
        ),
        with(
            "the issuer with a slash",
            json!({"iss": "https://issuer.test/"}),
            "issuer",
        ),
        with(
            "the issuer in a list",
            json!({"iss": ["https://issuer.test", "x"]}),
            "issuer",
        ),
        with("no issuer", json!({"iss": null}), "issuer"),
        with("no subject", json!({"sub": null}), "subject"),
        with("an empty subject", json!({"sub": ""}), "subject"),
        with("a subject that is a number", json!({"sub": 7}), "subject"),
        with(
            "a refresh token",
            json!({"tokenType": "refresh"}),
            "token_type",
        ),
        with(
            "an ID token by its type",
            json!({"tokenType": "id"}),
            "token_type",
        ),
        with(
            "a token type that is no text",
            json!({"tokenType": 1}),
            "token_type",
        ),
        headed("an ID token by its header", json!({"typ": "id+jwt"}), "typ"),
        headed("a logout token", json!({"typ": "logout+jwt"}), "typ"),
        headed(
            "a refresh token by its header",
            json!({"typ": "rt+jwt"}),
            "typ",
        ),
        good("67 at+jwt", token_headed(issuer, &json!({"typ": "at+jwt"}))),
        good(
            "67 application/at+jwt",
            token_headed(issuer, &json!({"typ": "application/at+jwt"})),
        ),
        good("67 JWT", token_headed(issuer, &json!({"typ": "JWT"}))),
        good(
            "67 the audience in a list",
            token_with(issuer, &json!({"aud": ["x", "order-gateway"]})),
        ),
        good(
            "67 an access token by its type",
            token_with(issuer, &json!({"tokenType": "access"})),
        ),
    ]
}
