//! Rows 55 to 68 of the bypass list, each variant as a concrete token. Shapes and signatures stand in `structure`.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use outrider::identify::keys::DropReason;
use outrider::identify::{Reason, Verifier};
use outrider::model::caller::Caller;
use outrider::model::denial::Cause;
use outrider::model::facts::Credentials;
use serde_json::{Value, json};

use crate::support::*;
use crate::tokens::{b64, compose};

fn signed(header: &Value, claims: &Value) -> Option<Reason> {
    refusal(&ISSUER.sign(header, claims))
}

fn with_claims(claims: &Value) -> Option<Reason> {
    signed(&ISSUER.header(), claims)
}

#[test]
fn a_good_token_is_good() {
    assert_eq!(refusal(&good_token()), None);
    let verified = VERIFIER.verify(good_token().as_bytes(), at(NOW)).unwrap();
    assert_eq!(verified.identity.subject, "trader-7");
    assert_eq!(verified.identity.expires_at, NOW + 840);
    assert_eq!(
        verified.identity.headers.subject.as_ref().unwrap(),
        "trader-7"
    );
    assert_eq!(
        verified.identity.headers.permissions.as_ref().unwrap(),
        "orders:place"
    );
}

#[test]
fn case_55_credentials_in_several_places() {
    let denial = called(
        Credentials::Several("two Authorization headers"),
        Some(&VERIFIER),
    );
    assert_eq!(denial.unwrap_err().cause, Cause::CredentialsSeveral);
    for value in [
        format!("Bearer {0}, Bearer {0}", good_token()),
        format!("Bearer {0} {0}", good_token()),
    ] {
        assert!(header(&value).is_err());
    }
    let denial = called(Credentials::Malformed("no bearer token"), Some(&VERIFIER)).unwrap_err();
    assert_eq!(denial.cause, Cause::TokenInvalid);
}

#[test]
fn case_56_the_scheme() {
    let token = good_token();
    for value in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER {token}"),
    ] {
        let caller = called(
            Credentials::Bearer(header(&value).unwrap()),
            Some(&VERIFIER),
        );
        assert!(
            matches!(caller, Ok(Caller::Token(_))),
            "the scheme is read in any case"
        );
    }
    for value in [
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Basic {token}"),
        format!("Bearer {token} "),
        format!("Bearer \"{token}\""),
        format!("Bearer {token}\r"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
    ] {
        assert!(
            header(&value).is_err(),
            "{:?}",
            value.replace(&token, "TOKEN")
        );
    }
}

#[test]
fn anonymous_callers() {
    assert!(matches!(
        called(Credentials::None, Some(&VERIFIER)),
        Ok(Caller::Anonymous)
    ));
    assert!(matches!(
        called(Credentials::None, None),
        Ok(Caller::Anonymous)
    ));
    let bearer = Credentials::Bearer(header("Bearer junk").unwrap());
    assert!(matches!(
        called(bearer.clone(), None),
        Ok(Caller::Anonymous)
    ));
    assert!(
        called(bearer, Some(&VERIFIER)).is_err(),
        "a bad token is bad on every route"
    );
}

#[test]
fn case_58_hmac_with_the_public_key() {
    let jwk = ISSUER.jwk();
    let pem = ISSUER.pem();
    let secrets: [Vec<u8>; 7] = [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        ISSUER.pkcs1_pem().into_bytes(),
        ISSUER.der(),
        jwk.to_string().into_bytes(),
        ISSUER.modulus(),
        Vec::new(),
    ];
    for secret in secrets {
        for alg in ["HS256", "RS256"] {
            let header = json!({"alg": alg, "kid": "test-key"});
            let message = compose(&header, &claims(), &[]);
            let message = message.trim_end_matches('.');
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let tag = hmac::sign(&key, message.as_bytes());
            let expected = if alg == "RS256" {
                Reason::Signature
            } else {
                Reason::Algorithm
            };
            assert_eq!(
                refusal(&format!("{message}.{}", b64(tag.as_ref()))),
                Some(expected)
            );
        }
    }
}

#[test]
fn case_59_other_algorithms_by_the_right_key() {
    let schemes: [(&str, &'static dyn RsaEncoding); 3] = [
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (alg, scheme) in schemes {
        for (stated, expected) in [(alg, Reason::Algorithm), ("RS256", Reason::Signature)] {
            let header = json!({"alg": stated, "kid": "test-key"}).to_string();
            let claims = claims().to_string();
            let token =
                ISSUER.sign_parts_with(scheme, &b64(header.as_bytes()), &b64(claims.as_bytes()));
            assert_eq!(refusal(&token), Some(expected), "{alg} as {stated}");
        }
    }
    for alg in [
        "ES256", "EdDSA", "none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS256",
    ] {
        let header = json!({"alg": alg, "kid": "test-key"});
        assert_eq!(signed(&header, &claims()), Some(Reason::Algorithm), "{alg}");
        let unsigned = compose(&header, &claims(), &[]);
        assert_eq!(
            refusal(&unsigned),
            Some(Reason::Structure),
            "{alg} without signature"
        );
    }
}

#[test]
fn case_61_weak_keys_at_load_and_tokens_by_them() {
    let mut misused = STRANGER.jwk();
    misused["kid"] = json!("stranger");
    misused["use"] = json!("enc");
    let keys = json!({"keys": [ISSUER.jwk(), misused]}).to_string();
    let (verifier, dropped) = Verifier::new(&settings(&keys), &roles()).unwrap();
    assert_eq!((dropped.len(), dropped[0].reason), (1, DropReason::Use));
    let header = json!({"alg": "RS256", "kid": "stranger"});
    let token = STRANGER.sign(&header, &claims());
    let verdict = verifier.verify(token.as_bytes(), at(NOW));
    assert_eq!(verdict.err(), Some(Reason::KidUnknown));
    let nameless = ISSUER.sign(&json!({"alg": "RS256"}), &claims());
    assert!(
        verifier.verify(nameless.as_bytes(), at(NOW)).is_ok(),
        "one usable key is left"
    );
}

#[test]
fn case_62_keys_in_the_header() {
    for (name, value) in [
        ("jwk", STRANGER.jwk()),
        ("x5c", json!([b64(&STRANGER.der())])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
    ] {
        for kid in [json!("test-key"), json!(null)] {
            let mut header = json!({"alg": "RS256"});
            if kid.is_string() {
                header["kid"] = kid;
            }
            header[name] = value.clone();
            let by_stranger = refusal(&STRANGER.sign(&header, &claims()));
            assert!(
                by_stranger.is_some_and(|why| why == Reason::Signature || why == Reason::Structure),
                "{name}"
            );
        }
    }
    // The right key with a foreign one beside it: the foreign one is not used.
    let header = json!({"alg": "RS256", "kid": "test-key", "jwk": STRANGER.jwk()});
    assert_eq!(signed(&header, &claims()), None);
}

#[test]
fn kid_is_only_a_name() {
    for kid in [
        "",
        "nobody",
        "TEST-KEY",
        "test-key\0",
        "../../../dev/null",
        "' OR 1=1 --",
        "http://evil.example/",
    ] {
        let header = json!({"alg": "RS256", "kid": kid});
        assert_eq!(
            signed(&header, &claims()),
            Some(Reason::KidUnknown),
            "{kid:?}"
        );
    }
    assert_eq!(
        signed(&json!({"alg": "RS256", "kid": 1}), &claims()),
        Some(Reason::Structure)
    );
    let mut other = STRANGER.jwk();
    other["kid"] = json!("other");
    let two = verifier(&json!({"keys": [ISSUER.jwk(), other]}).to_string());
    let nameless = ISSUER.sign(&json!({"alg": "RS256"}), &claims());
    let verdict = two.verify(nameless.as_bytes(), at(NOW));
    assert_eq!(verdict.err(), Some(Reason::KidMissing));
    let crossed = ISSUER.sign(&json!({"alg": "RS256", "kid": "other"}), &claims());
    assert_eq!(
        two.verify(crossed.as_bytes(), at(NOW)).err(),
        Some(Reason::Signature)
    );
}

#[test]
fn case_64_crit() {
    for crit in [
        json!(["exp"]),
        json!(["bork"]),
        json!([]),
        json!("exp"),
        json!(null),
        json!(["b64"]),
    ] {
        let mut header = ISSUER.header();
        header["crit"] = crit.clone();
        assert_eq!(signed(&header, &claims()), Some(Reason::Crit), "{crit}");
        header["bork"] = json!(true);
        assert_eq!(
            signed(&header, &claims()),
            Some(Reason::Crit),
            "{crit} with bork"
        );
        header["b64"] = json!(false);
        assert_eq!(
            signed(&header, &claims()),
            Some(Reason::Crit),
            "{crit} with b64"
        );
    }
}

#[test]
fn case_65_times_of_the_wrong_kind() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("99999999999"),
            json!("never"),
            json!(null),
            json!(true),
            json!(-1),
            json!({}),
            json!([NOW]),
            json!(18_446_744_073_709_551_615_u64),
            json!(1e300),
            json!(1_u64 << 53),
        ] {
            let verdict = with_claims(&claims_with(name, value.clone()));
            assert_eq!(verdict, Some(Reason::Claims), "{name} {value}");
        }
        let text = claims_with(name, json!("@")).to_string();
        for number in [
            "1e400", "-1e400", "NaN", "Infinity", "01", "0x10", "1_000", "+1",
        ] {
            let token =
                ISSUER.sign_text(&ISSUER.header().to_string(), &text.replace("\"@\"", number));
            assert_eq!(refusal(&token), Some(Reason::Claims), "{name} {number}");
        }
    }
    assert_eq!(
        with_claims(&claims_with("exp", json!(1.5e9))),
        Some(Reason::Expired)
    );
    assert_eq!(
        with_claims(&claims_with("exp", json!(1_800_000_100.25))),
        None,
        "a sane fraction"
    );
    assert_eq!(with_claims(&claims_without("exp")), Some(Reason::Claims));
    let long = claims_with("exp", json!(NOW + LIFETIME_MAX));
    assert_eq!(with_claims(&long), Some(Reason::Lifetime));
}

#[test]
fn case_67_tokens_meant_for_something_else() {
    for (name, value, reason) in [
        ("aud", json!("other"), Reason::Audience),
        ("aud", json!(["other"]), Reason::Audience),
        ("aud", json!([]), Reason::Audience),
        ("aud", json!(null), Reason::Audience),
        ("aud", json!(1), Reason::Audience),
        ("aud", json!({"order-gateway": true}), Reason::Audience),
        ("aud", json!(["order-gateway", 1]), Reason::Audience),
        ("aud", json!("order-gateway "), Reason::Audience),
        ("iss", json!("https://auth.example/"), Reason::Issuer),
        ("iss", json!("https://evil.example"), Reason::Issuer),
        (
            "iss",
            json!(["https://evil.example", "https://auth.example"]),
            Reason::Issuer,
        ),
        ("iss", json!(["https://auth.example"]), Reason::Issuer),
        ("iss", json!(null), Reason::Issuer),
        ("iss", json!(1), Reason::Issuer),
        ("sub", json!(""), Reason::Subject),
        ("sub", json!(null), Reason::Subject),
        ("sub", json!(7), Reason::Subject),
        ("sub", json!("a\r\nx: y"), Reason::Subject),
        ("tokenType", json!("refresh"), Reason::TokenType),
        ("tokenType", json!("Access"), Reason::TokenType),
        ("tokenType", json!(null), Reason::TokenType),
        ("tokenType", json!(["access"]), Reason::TokenType),
        ("roles", json!(7), Reason::Claims),
    ] {
        let verdict = with_claims(&claims_with(name, value.clone()));
        assert_eq!(verdict, Some(reason), "{name} {value}");
    }
    for (name, reason) in [
        ("aud", Reason::Audience),
        ("iss", Reason::Issuer),
        ("sub", Reason::Subject),
    ] {
        assert_eq!(
            with_claims(&claims_without(name)),
            Some(reason),
            "no {name}"
        );
    }
    assert_eq!(
        with_claims(&claims_with("aud", json!(["other", "order-gateway"]))),
        None
    );
    assert_eq!(
        with_claims(&claims_with("tokenType", json!("access"))),
        None
    );
    for (typ, reason) in [
        (json!("JWT"), None),
        (json!("at+jwt"), None),
        (json!("application/AT+JWT"), None),
        (json!("id+jwt"), Some(Reason::Typ)),
        (json!("logout+jwt"), Some(Reason::Typ)),
        (json!("dpop+jwt"), Some(Reason::Typ)),
        (json!("JWE"), Some(Reason::Typ)),
        (json!(null), Some(Reason::Typ)),
    ] {
        let header = json!({"alg": "RS256", "kid": "test-key", "typ": typ});
        assert_eq!(signed(&header, &claims()), reason, "{typ}");
    }
}

#[test]
fn case_68_boundaries_of_the_leeway() {
    for (name, value, reason) in [
        ("exp", NOW - SKEW - 1, Some(Reason::Expired)),
        ("exp", NOW - SKEW, None),
        ("exp", NOW, None),
        ("nbf", NOW + SKEW, None),
        ("nbf", NOW + SKEW + 1, Some(Reason::NotYetValid)),
        ("iat", NOW + SKEW, None),
        ("iat", NOW + SKEW + 1, Some(Reason::IssuedInFuture)),
        ("iat", NOW + 3_600, Some(Reason::IssuedInFuture)),
        ("iat", NOW + 840 - LIFETIME_MAX, None),
        ("iat", NOW + 840 - LIFETIME_MAX - 1, Some(Reason::Lifetime)),
    ] {
        assert_eq!(
            with_claims(&claims_with(name, json!(value))),
            reason,
            "{name} {value}"
        );
    }
    let mut undated = claims_without("iat");
    undated["exp"] = json!(NOW + LIFETIME_MAX);
    assert_eq!(with_claims(&undated), None);
    undated["exp"] = json!(NOW + LIFETIME_MAX + 1);
    assert_eq!(with_claims(&undated), Some(Reason::Lifetime));
}

#[test]
fn nothing_of_a_token_is_in_what_we_print() {
    let token = STRANGER.sign(&ISSUER.header(), &claims());
    let bearer = header(&format!("Bearer {token}")).unwrap();
    let fingerprint = VERIFIER.fingerprint(token.as_bytes()).unwrap();
    let denial = called(Credentials::Bearer(bearer.clone()), Some(&VERIFIER)).unwrap_err();
    let printed = format!(
        "{denial:?} {fingerprint:?} {:?} {:?}",
        *VERIFIER,
        facts(Credentials::Bearer(bearer))
    );
    assert!(token.split('.').all(|part| !printed.contains(part)));
}
