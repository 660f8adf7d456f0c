//! What every test here needs: a verifier with stated settings, good claims, facts of a request.

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderValue, Method};
use outrider::identify::{Reason, Verification, Verifier, caller};
use outrider::model::caller::{Caller, Permission};
use outrider::model::clock::Now;
use outrider::model::denial::Denial;
use outrider::model::facts::{Authority, BearerToken, Credentials, Facts, Framing};
use outrider::model::node::Place;
use outrider::model::path::JudgedPath;
use outrider::model::settings::{Allowance, KeyMaterial, RoleMap, TokenSettings};
use outrider::model::units::{ByteSize, Rate};
use serde_json::{Value, json};

use crate::tokens::Issuer;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const SKEW: i64 = 30;
pub(crate) const LIFETIME_MAX: i64 = 86_400;
pub(crate) const TOKEN_BYTES_MAX: usize = 16_384;

/// The issuer whose key is configured.
pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::new(2048));
/// Somebody else.
pub(crate) static STRANGER: LazyLock<Issuer> = LazyLock::new(|| Issuer::new(2048));
/// A verifier of the issuer's tokens.
pub(crate) static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| verifier(&ISSUER.jwks()));

pub(crate) fn at(second: i64) -> Now {
    Now {
        mono_ns: 1,
        unix_us: second * 1_000_000,
    }
}

pub(crate) fn settings(keys: &str) -> TokenSettings {
    TokenSettings {
        issuer: "https://auth.example".to_owned(),
        audience: "order-gateway".to_owned(),
        keys: KeyMaterial {
            text: keys.to_owned(),
            origin: "inline".to_owned(),
            place: Place::Default,
            kid: None,
        },
        clock_skew: Duration::from_secs(30),
        lifetime_max: Duration::from_secs(86_400),
        token_bytes_max: ByteSize(16_384),
        cache_entries_max: 100,
        failures: Allowance {
            rate: Rate::parse("10/min").unwrap(),
            burst: 10,
        },
    }
}

pub(crate) fn roles() -> RoleMap {
    let place = Permission::parse_grant("orders:place").unwrap();
    RoleMap::from([("trader".to_owned(), vec![place])])
}

pub(crate) fn verifier(keys: &str) -> Verifier {
    let (verifier, dropped) = Verifier::new(&settings(keys), &roles()).unwrap();
    assert_eq!(dropped, []);
    verifier
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://auth.example",
        "aud": "order-gateway",
        "sub": "trader-7",
        "iat": NOW - 60,
        "exp": NOW + 840,
        "roles": ["trader"],
    })
}

/// Good claims with one of them replaced.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

/// Good claims with one of them left out.
pub(crate) fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub(crate) fn good_token() -> String {
    ISSUER.sign(&ISSUER.header(), &claims())
}

/// Why the configured verifier refuses a token; `None` if it does not. Whatever it says, `caller` must say the same,
/// and to the client always the same.
pub(crate) fn refusal(token: &str) -> Option<Reason> {
    let verdict = VERIFIER.verify(token.as_bytes(), at(NOW)).err();
    if let Some(reason) = verdict
        && let Ok(bearer) = header(&format!("Bearer {token}"))
    {
        let denial = called(Credentials::Bearer(bearer), Some(&VERIFIER)).unwrap_err();
        assert_eq!(denial.cause.code(), "authn.invalid_token");
        assert_eq!(denial.cause.status(), 401);
        assert_eq!(denial.advice, outrider::model::denial::Advice::None);
        assert!(denial.rule.is_none());
        assert_eq!(denial.detail, reason.as_str());
    }
    verdict
}

pub(crate) fn header(value: &str) -> Result<BearerToken, &'static str> {
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| "not a header value")?;
    BearerToken::judge(&value)
}

pub(crate) fn called(
    credentials: Credentials,
    tokens: Option<&Verifier>,
) -> Result<Caller, Box<Denial>> {
    caller(&facts(credentials), tokens, Verification::Allowed, at(NOW))
}

pub(crate) fn facts(credentials: Credentials) -> Facts {
    Facts {
        method: Method::GET,
        authority: Authority::judge(&HeaderValue::from_static("orders.example")).unwrap(),
        path: JudgedPath::judge(&"/orders".parse().unwrap()).unwrap(),
        framing: Framing::None,
        content_type: None,
        origin: None,
        preflight: None,
        credentials,
        peer: "192.0.2.1:4711".parse().unwrap(),
        client_ip: "192.0.2.1".parse().unwrap(),
    }
}
