//! Project Wycheproof's RS256 signatures against the running program: every invalid one is 401, and nothing is forwarded.
//! What each is refused for is told apart in `tests/identity`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::describe;
use crate::world::{get_as, guarded, shared};

/// Invalid vectors of keys that are RS256 signing keys of ours.
const INVALID: usize = 225;

#[test]
fn every_invalid_signature_is_refused_end_to_end() {
    let Some(text) = shared("corpora/wycheproof/json_web_signature_test.json") else {
        return;
    };
    let vectors = by_key(&serde_json::from_str(&text).unwrap());
    let mut sent = 0;
    for (key, tokens) in &vectors {
        let origin = Origin::start();
        let keys = format!("{{\"keys\":[{key}]}}");
        let files = [("keys.json", keys.as_str())];
        let inbound = guarded();
        let setup = Setup {
            files: &files,
            ..Setup::new(&origin.url, &inbound)
        };
        let sidecar = Sidecar::start(&setup);
        for token in tokens {
            let answer = sidecar.connect().ask(get_as(token, "/orders"));
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            // A JWS in JSON serialization has commas, as two credentials would.
            let refused = status == 401 || (token.starts_with('{') && status == 400);
            assert!(refused, "{token}: {}", describe(&answer));
            sent += 1;
        }
        assert!(origin.since(0).iter().all(|seen| seen.target != "/orders"));
    }
    assert_eq!(sent, INVALID);
}

/// The invalid vectors of each RS256 signing key.
fn by_key(file: &Value) -> BTreeMap<String, Vec<String>> {
    let mut vectors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in file["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or_else(|| &group["private"]);
        let ours = key["kty"] == "RSA" && key["alg"] == "RS256" && key["use"] != json!("enc");
        for test in group["tests"].as_array().unwrap() {
            if ours && test["result"] == "invalid" {
                let jws = &test["jws"];
                let token = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
                vectors.entry(key.to_string()).or_default().push(token);
            }
        }
    }
    vectors
}
