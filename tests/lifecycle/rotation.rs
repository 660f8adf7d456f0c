//! Keys change while tokens are in use.

use std::fs;

use serde_json::json;

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::Issuer;
use crate::world::{Load, get_with, replace, status, token, wait_reloads};

/// Tokens of `keys.json`, and one route that needs one.
pub const GUARDED: &str = "  tokens:
    issuer: https://issuer.test
    audience: order-gateway
    keys: { file: keys.json }
    clock_skew: 0s
  roles: { trader: [orders:view] }
  routes:
    - { name: orders, match: { path: /orders/** }, require: { permissions: [orders:view] } }
";

/// A sidecar that knows this issuer.
pub fn guarded(origin: &Origin, issuer: &Issuer) -> Sidecar {
    Sidecar::start(&Setup {
        files: &[("keys.json", &issuer.jwks())],
        ..Setup::new(&origin.url, GUARDED)
    })
}

#[test]
fn a_key_that_comes_and_one_that_goes() {
    let origin = Origin::start();
    origin.answer_tagged();
    let (old, new) = (
        Issuer::new(2048).named("old"),
        Issuer::new(2048).named("new"),
    );
    let sidecar = guarded(&origin, &old);
    let (by_old, by_new) = (token(&old, 600), token(&new, 600));
    let orders = |token: &str| status(&sidecar, &get_with("/orders/1", token));
    assert_eq!((orders(&by_old), orders(&by_new)), (200, 401));

    let load = Load::start(sidecar.inbound, &get_with("/orders/1", &by_old));
    let both = json!({"keys": [old.jwk(), new.jwk()]}).to_string();
    replace(&sidecar, "keys.json", &both[..both.len() / 2]);
    wait_reloads(&sidecar, 0, 1);
    replace(&sidecar, "keys.json", &both);
    wait_reloads(&sidecar, 1, 1);
    assert_eq!((orders(&by_old), orders(&by_new)), (200, 200));
    load.finish();

    let load = Load::start(sidecar.inbound, &get_with("/orders/1", &by_new));
    replace(&sidecar, "keys.json", &new.jwks());
    wait_reloads(&sidecar, 2, 1);
    assert_eq!((orders(&by_old), orders(&by_new)), (401, 200));
    load.finish();
    // The file is gone: what was loaded stays.
    fs::remove_file(sidecar.folder().join("keys.json")).unwrap();
    wait_reloads(&sidecar, 2, 2);
    assert_eq!((orders(&by_old), orders(&by_new)), (401, 200));
}
