//! Pages of other origins, and routes on their way out: what is answered, what reaches the service, what is recorded.

mod browser;

use crate::support::origin::{Received, Vacant, send, tagged};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::Response;
use crate::world::{TOKENS, get, issuer, pair, request};

const APP: &str = "Origin: https://app.example\r\n";
const EVIL: &str = "Origin: https://evil.test\r\n";

const POLICY: &str = "  cors: { origins: [\"https://app.example\"], credentials: true, expose: [X-Page], max_age: 5m }
  routes:
    - { name: open, match: { path: /open/** }, anonymous: true }
    - { name: place, match: { method: POST, path: /orders }, require: { permissions: [orders:place] } }
    - { name: list, match: { method: GET, path: /orders }, require: { permissions: [orders:view] } }
    - name: limited
      match: { method: GET, path: /limited }
      anonymous: true
      limits: [{ name: rare, per: all, rate: 1/h, burst: 1 }]
    - { name: own, match: { path: /own }, anonymous: true, cors: none }
    - { name: public, match: { path: /public }, anonymous: true, cors: { origins: [\"*\"] } }
    - name: old
      match: { path: /old }
      anonymous: true
      deprecated: { since: 2026-01-01, sunset: 2126-12-31, link: \"https://docs.example/v2\" }
    - name: gone
      match: { path: /gone }
      anonymous: true
      deprecated: { since: 2026-01-01, sunset: 2026-02-01, after_sunset: gone }
";

fn ask(sidecar: &Sidecar, bytes: impl AsRef<[u8]>) -> Response {
    sidecar.connect().ask(bytes).unwrap()
}

fn preflight(target: &str, origin: &str, method: &str, headers: &str) -> String {
    let asked = format!("{origin}Access-Control-Request-Method: {method}\r\n{headers}");
    request("OPTIONS", target, &asked)
}

/// The fields of an answer that speak of other origins.
fn told(answer: &Response) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| name.starts_with("access-control-") || name == "vary")
        .collect();
    told.sort();
    told
}

fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    told.iter().map(owned).collect()
}

const EXPOSED: &str = "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, x-page";

/// What every answer says to a page that may read it.
fn readable() -> Vec<(String, String)> {
    pairs(&[
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-expose-headers", EXPOSED),
        ("vary", "Origin"),
    ])
}

#[test]
fn preflights_are_answered_recorded_and_never_forwarded() {
    let issuer = issuer();
    let (sidecar, origin) = pair(&format!("{TOKENS}{POLICY}"), Some(&issuer));
    let headers = "Access-Control-Request-Headers: authorization,content-type\r\n";
    let granted = ask(&sidecar, preflight("/orders", APP, "POST", headers));
    assert_eq!((granted.status, granted.body.len()), (204, 0));
    let names = "authorization, content-type, traceparent, x-request-id, accept, accept-language, content-language, range";
    let grants = pairs(&[
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", names),
        ("access-control-allow-methods", "GET, HEAD, POST"),
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-max-age", "300"),
        ("vary", "Origin"),
    ]);
    assert_eq!(told(&granted), grants);
    assert!(granted.one("x-request-id").is_some() && granted.one("content-length").is_none());
    // Whatever is missing, the browser finds everything else.
    let missing = ask(&sidecar, preflight("/orders", APP, "DELETE", headers));
    assert_eq!((missing.status, told(&missing)), (204, grants));
    let evil = ask(&sidecar, preflight("/orders", EVIL, "POST", headers));
    assert_eq!(
        (evil.status, told(&evil)),
        (204, pairs(&[("vary", "Origin")]))
    );
    assert_eq!(origin.since(0).len(), 0, "a preflight reached the service");
    let events = sidecar.requests(3);
    let mut codes: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["reason"]["code"].as_str().unwrap(),
                event["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    codes.sort_unstable();
    let refused = ("cors.refused", "denied");
    assert_eq!(codes, [("cors.preflight", "success"), refused, refused]);
    let why: Vec<&str> = events
        .iter()
        .filter_map(|event| event["reason"]["detail"].as_str())
        .collect();
    assert!(why.contains(&"pages may not use DELETE"), "{why:?}");
    for (code, count) in [("cors.preflight", 1.0), ("cors.refused", 2.0)] {
        let found = sidecar.metric("outrider_requests_total", &[&format!("code=\"{code}\"")]);
        assert!((found - count).abs() < 0.5, "{code}: {found}");
    }
}

#[test]
fn refusals_too_can_be_read_by_the_page() {
    let issuer = issuer();
    let vacant = Vacant::take();
    let keys = issuer.jwks();
    let inbound = format!("{TOKENS}{POLICY}");
    let service = format!("http://{}", vacant.address);
    let setup = Setup {
        files: &[("keys.json", keys.as_str())],
        ..Setup::new(&service, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    for (target, lines, status) in [
        ("/orders", "", 401),
        ("/orders", "Authorization: Bearer no.such.token\r\n", 401),
        ("/nowhere", "", 404),
        ("/open/../x", "", 400),
        ("/open/x", "", 502),
        ("/gone", "", 410),
    ] {
        let answer = ask(&sidecar, request("GET", target, &format!("{APP}{lines}")));
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(told(&answer), readable(), "{target}");
        for lines in [EVIL, "", "Origin: null\r\n"] {
            let answer = ask(&sidecar, request("GET", target, lines));
            assert_eq!(
                (answer.status, told(&answer)),
                (status, pairs(&[("vary", "Origin")])),
                "{target} {lines}"
            );
        }
    }
    let twice = ask(&sidecar, request("GET", "/open/x", &format!("{APP}{APP}")));
    assert_eq!(
        (twice.status, told(&twice)),
        (400, pairs(&[("vary", "Origin")]))
    );
    let of_own = ask(&sidecar, request("GET", "/own", APP));
    assert_eq!((of_own.status, told(&of_own)), (502, Vec::new()));
}

#[test]
fn ours_stands_in_place_of_what_the_service_says() {
    let (sidecar, origin) = pair(
        &POLICY
            .replace(
                ", require: { permissions: [orders:place] }",
                ", anonymous: true",
            )
            .replace(
                ", require: { permissions: [orders:view] }",
                ", anonymous: true",
            ),
        None,
    );
    origin.answer(|got: &Received| match got.target.as_str() {
        "/open/varies" => vec![send(
            "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nvary: accept\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: *\r\nAccess-Control-Expose-Headers: *\r\nContent-Length: 0\r\n\r\n",
        )],
        "/open/varied" => vec![send("HTTP/1.1 200 OK\r\nVary: accept, ORIGIN\r\nContent-Length: 0\r\n\r\n")],
        "/open/all" => vec![send("HTTP/1.1 200 OK\r\nVary: *\r\nContent-Length: 0\r\n\r\n")],
        "/own" => vec![send("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n")],
        "/old" => vec![send(
            "HTTP/1.1 200 OK\r\nDeprecation: true\r\nSunset: never\r\nLink: </next>; rel=next\r\nContent-Length: 0\r\n\r\n",
        )],
        _ => tagged(got),
    });
    let plain = ask(&sidecar, request("GET", "/open/x", APP));
    assert_eq!(told(&plain), readable());
    let varies = ask(&sidecar, request("GET", "/open/varies", APP));
    let mut expected = readable();
    expected.last_mut().unwrap().1 = "Accept-Encoding, accept, Origin".to_owned();
    assert_eq!(told(&varies), expected);
    let evil = ask(
        &sidecar,
        request(
            "POST",
            "/open/varies",
            &format!("{EVIL}Content-Length: 0\r\n"),
        ),
    );
    assert_eq!(
        (evil.status, told(&evil)),
        (200, pairs(&[("vary", "Accept-Encoding, accept, Origin")]))
    );
    assert_eq!(
        ask(&sidecar, get("/open/varied")).one("vary"),
        Some("accept, ORIGIN")
    );
    assert_eq!(ask(&sidecar, get("/open/all")).one("vary"), Some("*"));
    let own = ask(&sidecar, request("GET", "/own", APP));
    assert_eq!(told(&own), pairs(&[("access-control-allow-origin", "*")]));
    // Left to the service: it answers the preflight.
    let seen = origin.since(0).len();
    let asked = ask(&sidecar, preflight("/own", EVIL, "PUT", ""));
    assert_eq!((asked.status, origin.since(0).len()), (200, seen + 1));
    let public = ask(&sidecar, request("GET", "/public", EVIL));
    let everybody = pairs(&[
        ("access-control-allow-origin", "*"),
        (
            "access-control-expose-headers",
            "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id",
        ),
        ("vary", "Origin"),
    ]);
    assert_eq!(told(&public), everybody);
    let old = ask(&sidecar, get("/old"));
    assert_eq!(old.all("deprecation"), ["@1767225600"]);
    assert_eq!(old.all("sunset"), ["Tue, 31 Dec 2126 00:00:00 GMT"]);
    assert_eq!(
        old.all("link"),
        [
            "</next>; rel=next",
            "<https://docs.example/v2>; rel=\"deprecation\""
        ]
    );
    let gone = ask(&sidecar, get("/gone"));
    assert_eq!(
        (gone.status, gone.code().as_deref()),
        (410, Some("route.gone"))
    );
    assert_eq!(gone.all("sunset"), ["Sun, 01 Feb 2026 00:00:00 GMT"]);
    assert_eq!(
        ask(&sidecar, get("/open/x")).all("deprecation"),
        Vec::<&str>::new()
    );
}
