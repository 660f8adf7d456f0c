//! What the tests have in common: one policy, one service, tokens of any key. Holds no expectation.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::{Issuer, compose};
use crate::support::wire::Response;

/// Lines below `inbound:` for keys given so.
pub fn inbound(keys: &str) -> String {
    format!(
        "  tokens:
    issuer: https://issuer.test
    audience: order-gateway
    keys: {keys}
    failures: {{ rate: 100000/s, burst: 100000 }}
  routes:
    - {{ name: open, match: {{ method: GET, path: /open }}, anonymous: true }}
    - {{ name: orders, match: {{ method: GET, path: /orders }} }}
"
    )
}

/// A sidecar whose keys are behind `url`, and its service.
pub fn launch(url: &str, ca: &str, more: &str) -> (Sidecar, Origin) {
    let origin = Origin::start();
    let keys = format!("{{ url: \"{url}\", ca_file: ca.pem, {more} }}");
    let inbound = inbound(&keys);
    let files = [("ca.pem", ca)];
    let setup = Setup {
        files: &files,
        ..Setup::new(&origin.url, &inbound)
    };
    (Sidecar::launch(&setup), origin)
}

/// A set of these issuers' keys.
pub fn set(issuers: &[&Issuer]) -> String {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    json!({"keys": keys}).to_string()
}

/// Claims of a good token.
pub fn claims() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = since.as_secs();
    json!({"iss": "https://issuer.test", "aud": "order-gateway", "sub": "user-1", "iat": now, "exp": now + 600})
}

/// A good token of this issuer.
pub fn token(issuer: &Issuer) -> String {
    issuer.sign(&issuer.header(), &claims())
}

/// A token that names a key of which nobody has heard.
pub fn token_of_kid(kid: &str) -> String {
    let header = json!({"alg": "RS256", "kid": kid});
    compose(&header, &claims(), &[7; 256])
}

/// `GET /orders` with a token.
pub fn request(token: &str) -> String {
    format!("GET /orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// The answer to `GET /orders` with a token.
pub fn ask(sidecar: &Sidecar, token: &str) -> Response {
    sidecar.connect().ask(request(token)).unwrap()
}

/// Its status.
pub fn status(sidecar: &Sidecar, token: &str) -> u16 {
    ask(sidecar, token).status
}

/// The line of `/readyz` about keys.
pub fn keys_line(sidecar: &Sidecar) -> String {
    let text = sidecar.ask_health("/readyz?verbose").text();
    let line = text.lines().find(|line| line[3..].starts_with("keys "));
    line.unwrap().to_owned()
}

/// Waits until the line about keys contains this.
pub fn wait_for_line(sidecar: &Sidecar, part: &str) {
    sidecar.wait_until(part, || keys_line(sidecar).contains(part));
}
