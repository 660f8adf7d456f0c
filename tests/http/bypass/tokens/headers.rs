//! What is wrong with a token's header or its signature.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
};
use serde_json::{Value, json};

use super::{Sent, bad, good};
use crate::support::tokens::{Issuer, b64, compose};
use crate::world::{claims, token_headed};

/// 58: the public key as an HMAC secret.
pub(super) fn confused(issuer: &Issuer) -> Vec<Sent> {
    let pem = issuer.pem();
    let keys: [(&str, Vec<u8>); 7] = [
        ("PEM", pem.clone().into_bytes()),
        (
            "PEM without its newline",
            pem.trim_end().as_bytes().to_vec(),
        ),
        ("PKCS#1 PEM", issuer.pkcs1_pem().into_bytes()),
        ("DER", issuer.der()),
        ("JWK", issuer.jwk().to_string().into_bytes()),
        ("JWK Set", issuer.jwks().into_bytes()),
        ("modulus", issuer.modulus()),
    ];
    let mut cases = Vec::new();
    for (name, key) in keys {
        for (algorithm, scheme) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let header = json!({"alg": algorithm, "typ": "JWT", "kid": issuer.kid});
            let message = message(&header, &claims());
            let tag = hmac::sign(&hmac::Key::new(scheme, &key), message.as_bytes());
            let token = format!("{message}.{}", b64(tag.as_ref()));
            cases.push(bad(
                format!("58 {algorithm} by the {name}"),
                token,
                "algorithm",
            ));
            // The same with RS256 in the header: then it is simply a wrong signature.
            let header = json!({"alg": "RS256", "typ": "JWT", "kid": issuer.kid});
            let token = compose(&header, &claims(), tag.as_ref());
            cases.push(bad(
                format!("58 RS256 with an HMAC by the {name}"),
                token,
                "signature",
            ));
        }
    }
    cases
}

fn message(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        b64(header.to_string().as_bytes()),
        b64(claims.to_string().as_bytes())
    )
}

/// 59: algorithms that nobody configured, by right keys of their kind.
pub(super) fn algorithms(issuer: &Issuer) -> Vec<Sent> {
    let head = |algorithm: &str| json!({"alg": algorithm, "typ": "JWT", "kid": issuer.kid});
    let with = |algorithm: &str, scheme| {
        let text = message(&head(algorithm), &claims());
        let (header, claims) = text.split_once('.').unwrap();
        issuer.sign_parts_with(scheme, header, claims)
    };
    let mut cases = vec![
        bad(
            "59 RS384".into(),
            with("RS384", &RSA_PKCS1_SHA384),
            "algorithm",
        ),
        bad(
            "59 RS512".into(),
            with("RS512", &RSA_PKCS1_SHA512),
            "algorithm",
        ),
        bad(
            "59 PS256".into(),
            with("PS256", &RSA_PSS_SHA256),
            "algorithm",
        ),
        bad(
            "59 RS256 that is RS512".into(),
            with("RS256", &RSA_PKCS1_SHA512),
            "signature",
        ),
        bad(
            "59 RS256 that is PS256".into(),
            with("RS256", &RSA_PSS_SHA256),
            "signature",
        ),
    ];
    let random = SystemRandom::new();
    let text = message(&head("ES256"), &claims());
    let curve = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = curve.sign(&random, text.as_bytes()).unwrap();
    cases.push(bad(
        "59 ES256".into(),
        format!("{text}.{}", b64(signature.as_ref())),
        "algorithm",
    ));
    let text = message(&head("EdDSA"), &claims());
    let edwards = Ed25519KeyPair::generate().unwrap();
    cases.push(bad(
        "59 EdDSA".into(),
        format!("{text}.{}", b64(edwards.sign(text.as_bytes()).as_ref())),
        "algorithm",
    ));
    for none in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RSA"] {
        let token = token_headed(issuer, &json!({"alg": none}));
        cases.push(bad(
            format!("59 {none:?} with a signature"),
            token,
            "algorithm",
        ));
        let unsigned = format!("{}.", message(&head(none), &claims()));
        cases.push(bad(format!("59 {none:?} without"), unsigned, "structure"));
    }
    cases
}

/// 62: keys that the token brings along.
pub(super) fn embedded(issuer: &Issuer) -> Vec<Sent> {
    let attacker = Issuer::new(2048).named(&issuer.kid);
    let brought = |name: &str, value: Value| {
        let mut header = attacker.header();
        header[name] = value;
        (name.to_owned(), attacker.sign(&header, &claims()))
    };
    let chain = json!([b64(&attacker.der())]);
    let url = "http://127.0.0.1:9/keys";
    let mut cases: Vec<Sent> = [
        brought("jwk", attacker.jwk()),
        brought("x5c", chain),
        brought("x5t", json!("AAAA")),
        brought("x5t#S256", json!("AAAA")),
        brought("jku", json!(url)),
        brought("x5u", json!(url)),
    ]
    .into_iter()
    .map(|(name, token)| bad(format!("62 {name}"), token, "signature"))
    .collect();
    for kid in [
        "../../../dev/null",
        "' OR 1=1 --",
        "http://127.0.0.1:9/key",
        "",
        "other",
        "TEST-KEY",
    ] {
        let token = attacker.sign(&json!({"alg": "RS256", "kid": kid}), &claims());
        cases.push(bad(format!("62 kid {kid:?}"), token, "kid_unknown"));
    }
    cases.push(good(
        "62 jku beside a good signature",
        token_headed(issuer, &json!({"jku": url, "x5u": url})),
    ));
    cases
}

/// 64: extensions that must be understood.
pub(super) fn critical(issuer: &Issuer) -> Vec<Sent> {
    [
        ("exp", json!({"crit": ["exp"], "exp": 1})),
        ("bork", json!({"crit": ["bork"]})),
        ("bork with bork", json!({"crit": ["bork"], "bork": 1})),
        ("empty", json!({"crit": []})),
        ("text", json!({"crit": "exp"})),
        ("null", json!({"crit": null})),
        ("b64", json!({"crit": ["b64"], "b64": false})),
        ("b64 alone", json!({"b64": false})),
    ]
    .map(|(name, changes)| bad(format!("64 {name}"), token_headed(issuer, &changes), "crit"))
    .into()
}

/// 71: signatures that a sloppy verifier takes.
pub(super) fn signatures(issuer: &Issuer) -> Vec<Sent> {
    let modulus = issuer.modulus();
    let size = modulus.len();
    let mut below = modulus.clone();
    *below.last_mut().unwrap() -= 1;
    let right = issuer.signature(
        &RSA_PKCS1_SHA256,
        message(&issuer.header(), &claims()).as_bytes(),
    );
    let mut flipped = right.clone();
    flipped[size - 1] ^= 1;
    [
        ("all zero", vec![0; size]),
        ("all ff", vec![0xff; size]),
        ("one", [vec![0; size - 1], vec![1]].concat()),
        ("n", modulus),
        ("n - 1", below),
        ("one byte", vec![0]),
        ("one byte short", vec![7; size - 1]),
        ("longer than the modulus", vec![7; size + 1]),
        ("a zero before it", [vec![0], right].concat()),
        ("one bit off", flipped),
    ]
    .map(|(name, signature)| {
        bad(
            format!("71 {name}"),
            compose(&issuer.header(), &claims(), &signature),
            "signature",
        )
    })
    .into()
}
