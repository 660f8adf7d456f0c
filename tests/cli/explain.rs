//! `outrider explain`: the whole table word for word, each kind of refusal, and what it may be told on the command line.

use serde_json::json;

use crate::folder::{Folder, ISSUER};
use crate::tokens::Issuer;

const NOW: i64 = 1_795_341_600; // 2026-11-22T10:00:00Z

fn at_ten(folder: &Folder, line: &str, args: &[&str]) -> (i32, String) {
    let line = format!("explain -c sidecar.yaml --now 2026-11-22T10:00:00Z {line}");
    let ran = folder.run(&line, args);
    assert_eq!(ran.err, "");
    (ran.code, ran.out)
}

fn trader(folder: &Folder) {
    let claims = json!({"sub": "trader-7", "roles": ["trader"], "amr": ["pwd", "otp"], "auth_time": NOW - 100});
    folder.write("claims.json", claims.to_string());
}

const PLACE: &str = "--method POST --path /orders --claims claims.json --client-ip 192.0.2.7";

#[test]
fn the_whole_table_of_an_allowed_request() {
    let folder = Folder::new();
    trader(&folder);
    folder.write("order.json", "{\"symbol\":\"BTCUSDT\"}");
    let line = format!("{PLACE} --body order.json");
    let (code, out) = at_ten(
        &folder,
        &line,
        &["--header", "content-type: application/json"],
    );
    assert_eq!(code, 0);
    let expected = "\
POST /orders from 192.0.2.7, as trader-7

  route  place-order                      sidecar.yaml:14  matches /orders
  pass   inbound/deny_ips                 sidecar.yaml:5   192.0.2.7 is not on the deny list
  pass   place-order/token                sidecar.yaml:14  a verified token of trader-7
  pass   place-order/require.permissions  sidecar.yaml:17  requires orders:place; the caller holds orders:place positions:view
  pass   place-order/require.mfa_within   sidecar.yaml:18  a second factor within the last 15m
  pass   place-order/body.content_types   sidecar.yaml:19  one of application/json, or no body
  limit  place-order/limits.place         sidecar.yaml:20  10/s, 10 at once, for each user
  limit  inbound/limits.everyone          sidecar.yaml:12  100/min, 20 at once, for each client address
  pass   place-order/body.json            sidecar.yaml:19  JSON, at most 32 deep

allowed: the request would be forwarded
";
    assert_eq!(out, expected);
}

#[test]
fn the_whole_table_of_a_request_that_much_is_wrong_with() {
    let folder = Folder::new();
    folder.write("broken.json", "{");
    let line = "--method POST --path /orders --client-ip 10.66.0.1 --body broken.json";
    let (code, out) = at_ten(&folder, line, &[]);
    assert_eq!(code, 0, "a question that is answered is not a failure");
    let expected = "\
POST /orders from 10.66.0.1, without credentials

  route  place-order                      sidecar.yaml:14  matches /orders
  DENY   inbound/deny_ips                 sidecar.yaml:5   10.66.0.1 is on the deny list
  DENY   place-order/token                sidecar.yaml:14  needs a verified token; there is none
  DENY   place-order/require.permissions  sidecar.yaml:17  requires orders:place; the caller holds nothing
  DENY   place-order/require.mfa_within   sidecar.yaml:18  needs a second factor; no caller is known
  DENY   place-order/body.content_types   sidecar.yaml:19  a body without a content type; application/json would do
  limit  place-order/limits.place         sidecar.yaml:20  10/s, 10 at once, for each user
  limit  inbound/limits.everyone          sidecar.yaml:12  100/min, 20 at once, for each client address
  DENY   place-order/body.json            sidecar.yaml:19  EOF while parsing an object at line 1 column 1

denied: 403 ip.denied by inbound/deny_ips (sidecar.yaml:5): the address is on the deny list
";
    assert_eq!(out, expected);
}

const JSON: &str = "content-type: application/json";

/// A request, further arguments, and the last line of its explanation.
const REFUSALS: &[(&str, &[&str], &str)] = &[
    (
        "--path /positions/7",
        &[],
        "denied: 401 authn.required by positions/token (sidecar.yaml:21): no token was sent",
    ),
    (
        "--path /nowhere",
        &[],
        "denied: 404 route.none: no route has this path",
    ),
    (
        "--path /orders",
        &[],
        "denied: 405 route.method: a route has this path, but not this method; these would do: POST",
    ),
    (
        "--path /a/../b",
        &[],
        "denied: 400 request.path: a segment of dots",
    ),
    (
        "--path /h%65alth",
        &[],
        "denied: 400 request.path: plain characters spelt in percent form, and the route does not say `normalise: true`",
    ),
    (
        "--path /health --body twice.json",
        &[],
        "denied: 400 request.body_not_allowed: a body with GET or HEAD, and the route does not say `allow_on_get: true`",
    ),
    (
        "--path /health",
        &["--header", "host: a b"],
        "denied: 400 request.host: the host is not a host with an optional port",
    ),
    (
        "--path /health",
        &["--header", "authorization: Basic YTpi"],
        "denied: 401 authn.invalid_token: not the bearer scheme",
    ),
    (
        "--method POST --path /orders --claims stranger.json",
        &[],
        "denied: 403 authz.insufficient_scope by place-order/require.permissions (sidecar.yaml:17): the caller does not hold orders:place",
    ),
    (
        "--method POST --path /orders --claims stale.json",
        &[],
        "denied: 401 authz.step_up_required by place-order/require.mfa_within (sidecar.yaml:18): the second factor was 901s ago, 15m is allowed",
    ),
    (
        "--method POST --path /orders --claims claims.json --body twice.json",
        &[],
        "denied: 415 body.content_type by place-order/body.content_types (sidecar.yaml:19): a body without a content type",
    ),
    (
        "--method POST --path /orders --claims claims.json --body twice.json",
        &["--header", JSON],
        "denied: 400 body.json by place-order/body.json (sidecar.yaml:19): a name that stands twice in one object at line 1 column 10",
    ),
    (
        "--method POST --path /orders --claims claims.json --body large.json",
        &["--header", JSON],
        "denied: 413 body.too_large: more bytes than allowed",
    ),
    (
        "--path /positions/7 --claims stranger.json",
        &[],
        "allowed: the request would be forwarded; would deny in shadow mode: positions/require.permissions",
    ),
    (
        "--path /health",
        &[],
        "allowed: the request would be forwarded",
    ),
];

#[test]
fn the_last_line_says_what_each_refusal_is() {
    let folder = Folder::new();
    trader(&folder);
    folder.write("stranger.json", json!({"sub": "x"}).to_string());
    let stale = json!({"sub": "x", "roles": ["trader"], "amr": ["otp"], "auth_time": NOW - 901});
    folder.write("stale.json", stale.to_string());
    folder.write("large.json", format!("[{}0]", "0,".repeat(600)));
    folder.write("twice.json", "{\"a\":1,\"a\":2}");
    for (line, args, expected) in REFUSALS {
        let (code, out) = at_ten(&folder, line, args);
        assert_eq!(code, 0, "{line}");
        assert_eq!(
            out.lines().last().unwrap(),
            *expected,
            "{line} {args:?}\n{out}"
        );
    }
}

#[test]
fn a_refusal_that_no_rule_wrote_stands_in_the_table_too() {
    let folder = Folder::new();
    let (_, out) = at_ten(&folder, "--path /h%65alth", &[]);
    assert!(out.contains("\n  DENY   request "), "{out}");
    let (_, out) = at_ten(&folder, "--path /health", &["--header", "authorization: x"]);
    assert!(
        out.starts_with("GET /health from 127.0.0.1, with credentials that are refused\n"),
        "{out}"
    );
    assert!(out.contains("\n  DENY   credentials "), "{out}");
    let (_, out) = at_ten(&folder, "--path //x", &[]);
    assert!(out.starts_with("GET //x\n\n  DENY  request"), "{out}");
    let (_, out) = at_ten(&folder, "--path /positions/7", &[]);
    assert!(
        out.contains("  would deny  positions/require.permissions  sidecar.yaml:23  "),
        "{out}"
    );
}

#[test]
fn a_token_is_verified_at_the_moment_asked_for_and_never_shown() {
    let folder = Folder::new();
    let claims = json!({
        "iss": "https://auth.example", "aud": "orders", "sub": "trader-7", "roles": ["trader"],
        "iat": NOW - 10, "exp": NOW + 60,
    });
    let stranger = Issuer::new(2048);
    let (own, other) = (
        ISSUER.sign(&ISSUER.header(), &claims),
        stranger.sign(&stranger.header(), &claims),
    );
    folder.write("token", format!("{own}\n"));
    folder.write("other", &other);
    folder.write("other.json", stranger.jwks());
    folder.write("other.pem", stranger.named("").pem());
    let at = |moment: &str, line: &str| {
        let line = format!("explain -c sidecar.yaml --path /positions/7 --now {moment} {line}");
        let ran = folder.run(&line, &[]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        for secret in [&own, &other] {
            let signature = secret.rsplit('.').next().unwrap();
            assert!(!ran.out.contains(signature) && !ran.err.contains(signature));
        }
        ran.out.lines().last().unwrap().to_owned()
    };
    let allowed = "allowed: the request would be forwarded";
    let (then, late) = ("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z");
    assert_eq!(at(then, "--token token"), allowed);
    assert_eq!(
        at(late, "--token token"),
        "denied: 401 authn.invalid_token: expired"
    );
    assert_eq!(
        at(then, "--token other"),
        "denied: 401 authn.invalid_token: signature"
    );
    assert_eq!(at(then, "--token other --keys other.json"), allowed);
    assert_eq!(
        at(then, "--token token --keys other.json"),
        "denied: 401 authn.invalid_token: signature"
    );
    let twice = folder.run(
        "explain -c sidecar.yaml --path /health --token token",
        &["--header", &format!("authorization: Bearer {own}")],
    );
    assert!(
        twice.out.contains("denied: 400 authn.invalid_request"),
        "{}",
        twice.out
    );
}

/// A command, further arguments, its exit code, and what it says.
const UNASKABLE: &[(&str, &[&str], i32, &str)] = &[
    ("explain -c none.yaml --path /", &[], 78, "none.yaml"),
    (
        "explain -c sidecar.yaml --path / --token none",
        &[],
        74,
        "none: No such file",
    ),
    (
        "explain -c sidecar.yaml --path / --claims none",
        &[],
        74,
        "none: No such file",
    ),
    (
        "explain -c sidecar.yaml --path / --body none",
        &[],
        74,
        "none: No such file",
    ),
    (
        "explain -c sidecar.yaml --path / --keys none",
        &[],
        74,
        "none: No such file",
    ),
    (
        "explain -c sidecar.yaml --path / --keys weak.pem",
        &[],
        78,
        "the keys of weak.pem cannot be used",
    ),
    ("explain -c sidecar.yaml", &[], 2, "--path"),
    ("explain --path /", &[], 2, "--config"),
    (
        "explain -c sidecar.yaml --path / --client-ip 10.1",
        &[],
        2,
        "invalid IP address",
    ),
    (
        "explain -c sidecar.yaml --path / --now yesterday",
        &[],
        2,
        "is not a time",
    ),
    (
        "explain -c sidecar.yaml --path / --header nonsense",
        &[],
        2,
        "is not `NAME: VALUE`",
    ),
    (
        "explain -c sidecar.yaml --path /",
        &["--header", "a b: c"],
        2,
        "`a b` is not a header name",
    ),
    (
        "explain -c sidecar.yaml --path /",
        &["--method", "G T"],
        2,
        "not a request",
    ),
    (
        "explain -c sidecar.yaml --path orders",
        &[],
        2,
        "`orders` does not begin with `/`",
    ),
    (
        "explain -c sidecar.yaml --path / --token a --claims b",
        &[],
        2,
        "cannot be used with",
    ),
    (
        "explain -c sidecar.yaml --path / --claims bad.json",
        &[],
        2,
        "no token with these claims would be good: subject",
    ),
    (
        "explain -c sidecar.yaml --path /health#top",
        &[],
        2,
        "`/health#top` holds a `#`, which no request does: write %23",
    ),
    (
        "explain -c sidecar.yaml --path /health",
        &["--header", "content-length: 5"],
        2,
        "content-length says 5, but the body has 0 bytes",
    ),
    (
        "explain -c sidecar.yaml --path /health --claims claims.json",
        &["--header", "authorization: Basic YTpi"],
        2,
        "claims stand for a verified token: leave the authorization header out",
    ),
    (
        "explain -c sidecar.yaml --path / --unknown",
        &[],
        2,
        "--unknown",
    ),
];

#[test]
fn what_cannot_be_asked_is_said_with_its_own_code() {
    let folder = Folder::new();
    folder.write("claims.json", "{\"sub\":\"a\"}");
    folder.write("bad.json", "{\"sub\":7}");
    folder.write("weak.pem", "not a key");
    for (line, args, code, said) in UNASKABLE {
        let ran = folder.run(line, args);
        assert_eq!(ran.code, *code, "{line}: {}", ran.err);
        assert!(ran.err.contains(said), "{line}: {}", ran.err);
        assert_eq!(ran.out, "", "{line}");
    }
    folder.write("open.yaml", "service: a\ninbound:\n  listen: 127.0.0.1:1\n  forward_to: http://127.0.0.1:2\n  routes:\n    - { name: a, match: { path: /** }, anonymous: true }\naudit: { spool: audit }\n");
    for (option, said) in [
        ("--keys keys.json", "--keys is given"),
        ("--claims claims.json", "claims are given"),
    ] {
        let ran = folder.run(&format!("explain -c open.yaml --path / {option}"), &[]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn of_a_bot_that_nobody_calls_its_way_out_is_asked() {
    let folder = Folder::new();
    folder.write(
        "bot.yaml",
        "service: bot\naudit: { spool: ./audit }\noutbound:\n  - name: binance\n    listen: 127.0.0.1:9101\n    \
         exchange: binance-spot\n    allow: [\"GET /api/v3/**\"]\n",
    );
    let table = [
        ("--path /api/v3/time", "--outbound NAME` tells: binance"),
        ("--path /a --outbound okx", "known here: binance"),
        (
            "--path order.place --method WS --outbound binance",
            "sign --explain --frame",
        ),
    ];
    for (line, expected) in table {
        let ran = folder.run(&format!("explain -c bot.yaml {line}"), &[]);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{line}: {}", ran.err);
        assert!(ran.err.contains(expected), "{line}: {}", ran.err);
    }
}

#[test]
fn a_body_that_is_no_text_is_judged_as_it_is() {
    let folder = Folder::new();
    trader(&folder);
    folder.write("bytes", b"\"\xff\"");
    let line = format!("{PLACE} --body bytes");
    let (_, out) = at_ten(
        &folder,
        &line,
        &["--header", "content-type: application/json"],
    );
    assert!(out.contains("denied: 400 body.json"), "{out}");
}

#[test]
fn with_keys_of_its_own_a_question_needs_no_key_file() {
    let folder = Folder::new();
    folder.exchange("keys.json", "/nowhere/keys.json");
    folder.write("cases.yaml", SUITE_OF_ONE);
    let missing = folder.run("explain -c sidecar.yaml --path /health", &[]);
    assert_eq!(missing.code, 78, "{}", missing.err);
    let explained = folder.run(
        "explain -c sidecar.yaml --path /health --keys keys.json",
        &[],
    );
    assert_eq!(explained.code, 0, "{}", explained.err);
    let tested = folder.run("test -c sidecar.yaml --keys keys.json cases.yaml", &[]);
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
}

const SUITE_OF_ONE: &str = "\
cases:
  - name: nobody looks at positions
    request: { path: /positions/7 }
    expect: { decision: deny, status: 401 }
";
