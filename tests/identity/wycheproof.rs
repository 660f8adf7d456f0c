//! Project Wycheproof: signatures at the signature stage, keys at load. Only RS256 is ours; every other algorithm must be
//! refused, also where its vector is valid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use outrider::identify::keys::{KeyError, KeySet};
use outrider::identify::{Reason, Verifier};
use serde_json::Value;

use crate::support::*;

/// Parses a file of the shared test data; `None`, with a note, where they are not at hand. In CI they must be.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn shared(path: &str) -> Option<Value> {
    let root = std::env::var_os("OUTRIDER_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(root.join(path)) else {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(
            !in_ci,
            "{path} is missing; OUTRIDER_SHARED names the folder of the shared data"
        );
        println!("skipped: {path} is not there (OUTRIDER_SHARED)");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Every test of a file with its group.
fn tests(file: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let groups = file["testGroups"].as_array().unwrap().iter();
    groups.flat_map(|group| {
        group["tests"]
            .as_array()
            .unwrap()
            .iter()
            .map(move |test| (group, test))
    })
}

/// What became of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The key was refused at load.
    KeyRefused,
    /// The token was refused before its claims were looked at.
    Refused,
    /// The signature is good. The payloads are no claims of ours, so the token goes no further.
    SignatureGood,
}

fn outcome(keys: &str, jws: &Value) -> Outcome {
    // A JWS in JSON serialization is an object here.
    let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
    let Ok((verifier, _)) = Verifier::new(&settings(keys), &roles()) else {
        return Outcome::KeyRefused;
    };
    match verifier.verify(token.as_bytes(), at(NOW)) {
        Ok(_) => panic!("the payload is not ours"),
        Err(reason) if rank(reason) > rank(Reason::Signature) => Outcome::SignatureGood,
        Err(_) => Outcome::Refused,
    }
}

fn rank(reason: Reason) -> usize {
    Reason::ALL
        .iter()
        .position(|other| *other == reason)
        .unwrap()
}

/// The public half; a group without one has a symmetric key.
fn public(group: &Value) -> &Value {
    group.get("public").unwrap_or_else(|| &group["private"])
}

#[test]
fn signatures() {
    let Some(file) = shared("corpora/wycheproof/json_web_signature_test.json") else {
        return;
    };
    let mut counts: BTreeMap<(bool, &str, Outcome), u32> = BTreeMap::new();
    for (group, test) in tests(&file) {
        let key = public(group);
        let ours = key["kty"] == "RSA" && key["alg"] == "RS256";
        let result = test["result"].as_str().unwrap();
        let outcome = outcome(&key.to_string(), &test["jws"]);
        let good = outcome == Outcome::SignatureGood;
        assert_eq!(
            good,
            ours && result == "valid",
            "vector {} {}",
            test["tcId"],
            test["comment"]
        );
        *counts.entry((ours, result, outcome)).or_default() += 1;
    }
    // 401 vectors. By an RS256 key: 8 valid and 225 invalid ones. The other 168 have a key that is not ours (166), or
    // an RSA key that is not for signing (2).
    let expected = BTreeMap::from([
        ((true, "valid", Outcome::SignatureGood), 8),
        ((true, "invalid", Outcome::Refused), 225),
    ]);
    let rs256 = counts
        .iter()
        .filter(|((ours, ..), _)| *ours)
        .map(|(key, n)| (*key, *n));
    assert_eq!(rs256.collect::<BTreeMap<_, _>>(), expected);
    // Every other key is refused at load, whatever its vector says.
    assert!(
        counts
            .keys()
            .all(|(ours, _, outcome)| *ours || *outcome == Outcome::KeyRefused)
    );
    let others = counts
        .iter()
        .filter(|((ours, ..), _)| !ours)
        .map(|(_, count)| count);
    assert_eq!(others.sum::<u32>(), 168);
}

/// The same tokens against a good RS256 key: what is not RS256 by that key is refused as a token, too.
#[test]
fn signatures_of_other_keys_against_ours() {
    let Some(file) = shared("corpora/wycheproof/json_web_signature_test.json") else {
        return;
    };
    let mut own = ISSUER.jwk();
    let mut refused = 0;
    for (group, test) in tests(&file) {
        own["kid"] = public(group)
            .get("kid")
            .cloned()
            .unwrap_or_else(|| "none".into());
        assert_eq!(
            outcome(&own.to_string(), &test["jws"]),
            Outcome::Refused,
            "{}",
            test["tcId"]
        );
        refused += 1;
    }
    assert_eq!(refused, 401);
}

/// The 225 invalid RS256 vectors through the whole of `caller`: one answer for all of them.
#[test]
fn invalid_signatures_all_look_alike() {
    let Some(file) = shared("corpora/wycheproof/json_web_signature_test.json") else {
        return;
    };
    let mut bearers = 0;
    for (group, test) in tests(&file).filter(|(_, test)| test["result"] == "invalid") {
        let key = public(group);
        let Ok((verifier, _)) = Verifier::new(&settings(&key.to_string()), &roles()) else {
            continue;
        };
        let Ok(bearer) = header(&format!("Bearer {}", test["jws"].as_str().unwrap_or("{}"))) else {
            continue;
        };
        bearers += 1;
        let credentials = outrider::model::facts::Credentials::Bearer(bearer);
        let denial = called(credentials, Some(&verifier)).unwrap_err();
        assert_eq!(denial.cause.code(), "authn.invalid_token");
        assert_eq!(denial.advice, outrider::model::denial::Advice::None);
    }
    assert!(bearers > 200, "{bearers}");
}

/// Vectors that Wycheproof calls valid and we refuse, with the reason.
const DEVIATIONS: &[(u64, &str)] = &[
    (
        2,
        "HS256 keys: whoever can verify with a symmetric key can also issue",
    ),
    (13, "HS256 key: the same"),
    (14, "HS384 key: the same"),
    (15, "HS512 key: the same"),
];

#[test]
fn keys() {
    let Some(file) = shared("corpora/wycheproof/json_web_key_test.json") else {
        return;
    };
    let mut accepted = Vec::new();
    let mut deviating = Vec::new();
    for (group, test) in tests(&file) {
        let id = test["tcId"].as_u64().unwrap();
        let good = outcome(&public(group).to_string(), &test["jws"]) == Outcome::SignatureGood;
        if good {
            accepted.push(id);
        }
        if good != (test["result"] == "valid") {
            assert!(!good, "{id} {}", test["comment"]);
            deviating.push(id);
        }
    }
    let listed: Vec<_> = DEVIATIONS.iter().map(|(id, _)| *id).collect();
    assert_eq!(deviating, listed);
    assert_eq!(accepted.len(), 1);
    assert_eq!(tests(&file).count(), 26);
}

/// The private halves of the RSA keys are refused for what they are.
#[test]
fn private_keys_are_refused() {
    let Some(file) = shared("corpora/wycheproof/json_web_key_test.json") else {
        return;
    };
    let mut refused = 0;
    for (group, _) in tests(&file).filter(|(group, _)| group.get("public").is_some()) {
        let error = KeySet::parse(&group["private"].to_string(), None).err();
        assert_eq!(error, Some(KeyError::Private), "{}", group["comment"]);
        refused += 1;
    }
    assert_eq!(refused, 11);
}
