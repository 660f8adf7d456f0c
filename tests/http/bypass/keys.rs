//! Area F, 61: key sets with keys that must not be used. Dropped at load, or the whole set refused.

use serde_json::{Value, json};

use super::framing::anything;
use crate::support::oracle::{Case, demand};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::{Issuer, b64};
use crate::world::{claims, get_as, guarded, issuer, token};

pub(super) const IDS: &[u32] = &[61];

/// Sets of which only the good key is used: its tokens pass, those by `kid` "weak" do not.
#[test]
fn unusable_keys_are_dropped_and_the_good_one_stays() {
    let issuer = issuer();
    let other = Issuer::new(2048).named("weak");
    let short =
        json!({"kty": "RSA", "kid": "weak", "alg": "RS256", "n": b64(&[0xc3; 128]), "e": "AQAB"});
    let changed = |name: &str, value: Value| {
        let mut jwk = other.jwk();
        jwk[name] = value;
        jwk
    };
    let keys = json!({"keys": [
        issuer.jwk(),
        short,
        changed("e", json!("AQ")),
    ]});
    let more = [
        ("e=3", changed("e", json!("Aw"))),
        ("use enc", changed("use", json!("enc"))),
        (
            "key_ops without verify",
            changed("key_ops", json!(["encrypt"])),
        ),
        ("another alg", changed("alg", json!("RS512"))),
        (
            "an EC key",
            json!({"kty": "EC", "kid": "weak", "crv": "P-256", "x": b64(&[1; 32]), "y": b64(&[2; 32])}),
        ),
    ];
    let mut sets = vec![
        (
            "1024 bits",
            json!({"keys": [issuer.jwk(), keys["keys"][1]]}),
        ),
        ("e=1", json!({"keys": [issuer.jwk(), keys["keys"][2]]})),
    ];
    sets.extend(more.map(|(name, key)| (name, json!({"keys": [issuer.jwk(), key]}))));
    for (name, set) in sets {
        let text = set.to_string();
        let mut stage =
            crate::support::oracle::Stage::start_with(&guarded(), &[("keys.json", &text)]);
        let good = token(&issuer);
        let bad = other.sign(&other.header(), &claims());
        stage.secrets.extend([good.clone(), bad.clone()]);
        stage.run(Case::forwarded(
            format!("61 {name}, good key"),
            get_as(&good, "/orders/1"),
            anything,
        ));
        let refused = Case::denied(
            format!("61 {name}, dropped key"),
            get_as(&bad, "/orders/1"),
            401,
            "authn.invalid_token",
        );
        stage.run(refused.because("kid_unknown"));
        stage.settle();
    }
}

/// Sets that are refused whole: the sidecar does not start, says why, and exits with 78.
#[test]
fn ambiguous_or_empty_sets_are_refused_whole() {
    let issuer = issuer();
    let twin = Issuer::new(2048);
    let mut short = issuer.jwk();
    short["n"] = json!(b64(&[0xc3; 128]));
    // Whoever could verify with a symmetric key could also issue: a set that holds one has been given away.
    let symmetric = json!({"kty": "oct", "kid": "weak", "k": b64(b"secret"), "alg": "HS256"});
    for (name, text) in [
        (
            "a symmetric key",
            json!({"keys": [issuer.jwk(), symmetric]}).to_string(),
        ),
        (
            "two keys of one kid",
            json!({"keys": [issuer.jwk(), twin.jwk()]}).to_string(),
        ),
        ("no usable key", json!({"keys": [short]}).to_string()),
        ("no key", json!({"keys": []}).to_string()),
        ("no set", "{}".to_owned()),
        ("no JSON", "{".to_owned()),
    ] {
        let origin = Origin::start();
        let inbound = guarded();
        let files = [("keys.json", text.as_str())];
        let setup = Setup {
            files: &files,
            ..Setup::new(&origin.url, &inbound)
        };
        let (code, said) = Sidecar::fails_to_start(&setup);
        demand(code == Some(78), format!("{name}: exit {code:?}: {said}")).unwrap();
        demand(
            said.contains("keys"),
            format!("{name}: does not name the keys: {said}"),
        )
        .unwrap();
    }
}
