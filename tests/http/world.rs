//! What the themes have in common: one policy, one issuer, requests in one line. Holds no expectation.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::oracle::Stage;
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::{Issuer, b64};

/// `iss` of every good token.
pub const ISSUER: &str = "https://issuer.test";
/// `aud` of every good token.
pub const AUDIENCE: &str = "order-gateway";

/// The route of the probe, and one on which everybody may send anything.
pub const OPEN: &str = "  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - { name: open, match: { path: /open/** }, anonymous: true }
";

/// Tokens and roles; the keys stand in `keys.json`.
pub const TOKENS: &str = "  tokens:
    issuer: https://issuer.test
    audience: order-gateway
    keys: { file: keys.json }
    failures: { rate: 100000/s, burst: 100000 }
  roles:
    trader: [orders:place, orders:view]
    auditor: [orders:view]
    admin: [\"admin:*\"]
";

/// Routes for every theme that needs permissions.
pub const GUARDED: &str = "  routes:
    - { name: probe, match: { method: GET, path: /probe }, anonymous: true }
    - name: keys
      match: { path: /open/admin/keys }
      require: { permissions: [admin:all] }
    - { name: open, match: { path: /open/** }, anonymous: true }
    - { name: public, match: { method: GET, path: /public/** }, anonymous: true }
    - name: place-order
      match: { method: POST, path: /orders }
      require: { permissions: [orders:place] }
    - name: list-orders
      match: { method: GET, path: /orders }
      require: { permissions: [orders:view] }
    - name: one-order
      match: { method: GET, path: \"/orders/{id}\" }
      require: { permissions: [orders:view] }
    - name: admin
      match: { path: /admin/** }
      require: { permissions: [admin:all] }
    - name: tidy
      match: { method: GET, path: /tidy/** }
      anonymous: true
      normalise: true
";

/// Tokens, roles and the guarded routes.
pub fn guarded() -> String {
    format!("{TOKENS}{GUARDED}")
}

/// A stage on which `issuer` issues the tokens.
pub fn stage(inbound: &str, issuer: &Issuer) -> Stage {
    Stage::start_with(inbound, &[("keys.json", &issuer.jwks())])
}

/// A sidecar and its service, without the common oracle.
pub fn pair(inbound: &str, issuer: Option<&Issuer>) -> (Sidecar, Origin) {
    let origin = Origin::start();
    let keys = issuer.map(Issuer::jwks).unwrap_or_default();
    let files = [("keys.json", keys.as_str())];
    let setup = Setup {
        files: if issuer.is_some() { &files } else { &[] },
        ..Setup::new(&origin.url, inbound)
    };
    (Sidecar::start(&setup), origin)
}

/// The key of these tests: of the size that most issuers have.
pub fn issuer() -> Issuer {
    Issuer::new(2048)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Claims of a good access token.
pub fn claims() -> Value {
    let now = now();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "iat": now, "exp": now + 600,
        "jti": "token-1", "roles": ["trader"],
    })
}

/// The same with some of them replaced, or removed where the value is null.
pub fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A good token.
pub fn token(issuer: &Issuer) -> String {
    issuer.sign(&issuer.header(), &claims())
}

/// A token whose claims are changed.
pub fn token_with(issuer: &Issuer, changes: &Value) -> String {
    issuer.sign(&issuer.header(), &claims_with(changes))
}

/// A token whose header is changed.
pub fn token_headed(issuer: &Issuer, changes: &Value) -> String {
    let mut header = issuer.header();
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    issuer.sign(&header, &claims())
}

/// A token of this payload, signed by the right key.
pub fn token_of(issuer: &Issuer, payload: &str) -> String {
    issuer.sign_parts(
        &b64(issuer.header().to_string().as_bytes()),
        &b64(payload.as_bytes()),
    )
}

/// A request without a body; `headers` are whole lines.
pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
}

/// `GET` without headers of its own.
pub fn get(target: &str) -> String {
    request("GET", target, "")
}

/// The `Authorization` line of a token.
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// `GET` with a token.
pub fn get_as(token: &str, target: &str) -> String {
    request("GET", target, &bearer(token))
}

/// `POST` of a body with its length; `headers` are whole lines.
pub fn post(target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("Content-Length: {}\r\n{headers}", body.len());
    let mut bytes = request("POST", target, &length).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A file of the shared data. Without it a test says so and passes, but not where everything must be tested.
pub fn shared(path: &str) -> Option<String> {
    let root = std::env::var("OUTRIDER_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let file = root.join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            let needed = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!needed, "{}: {error}; set OUTRIDER_SHARED", file.display());
            eprintln!(
                "not tested: {} is not there; set OUTRIDER_SHARED",
                file.display()
            );
            None
        }
    }
}
