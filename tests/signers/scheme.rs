//! What a rule of the scheme may not say, and what it says of itself when a vector does not come out.

use outrider::config::signers::program;

/// The faults of a rule, each as `line: message (help)`.
fn faults(rule: &str) -> Vec<String> {
    let report = match program("rule.yaml", rule) {
        Ok((_, report)) => report,
        Err(report) => *report,
    };
    let told = report.faults().iter().map(|fault| {
        let help = fault.help.as_ref().map(|help| format!(" ({help})"));
        format!(
            "{}: {}{}",
            fault.place,
            fault.message,
            help.unwrap_or_default()
        )
    });
    told.collect()
}

/// Where the text stands that names the key.
fn place(rule: &str) -> String {
    let (before, _) = rule.split_once("{secret.key").unwrap();
    let begin = before.rfind('"').unwrap();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    format!("{line}:{}", begin - line_start + 1)
}

#[test]
fn secrets_stay_where_they_stay_secret() {
    let table = [
        "steps: [{ a: \"{secret.key}\" }]",
        "steps: [{ a: { hash: sha256, input: \"x{secret.key}\", out: hex } }]",
        "steps: [{ a: { sign: ed25519, key: \"{secret.k}\", input: \"{secret.key}\", out: hex } }]",
        "steps: [{ a: { jwt: HS256, key: \"{secret.k}\", claims: { x: \"{secret.key}\" } } }]",
        "steps: [{ a: { jwt: HS256, key: \"{secret.k}\", claims: { x: [\"{secret.key|upper}\"] } } }]",
        "inject: { to: query, params: { k: \"{secret.key}\" } }\nsteps: [{ a: x }]",
        "steps: [{ a: x }]\nappend: { to: query, param: s, value: \"{secret.key}\" }",
    ];
    for rule in table {
        let found = faults(rule);
        let expected = format!(
            "{}: the secret `key` would become readable here",
            place(rule)
        );
        assert!(
            found.iter().any(|fault| fault.starts_with(&expected)),
            "{rule}: {found:?}"
        );
        let public = format!("public: [key]\n{rule}");
        let found = faults(&public);
        assert!(
            !found.iter().any(|fault| fault.contains("readable")),
            "{public}: {found:?}"
        );
    }
    let allowed = "steps: [{ a: { mac: hmac-sha256, key: \"{secret.k}\", input: \"{secret.key}\", out: hex } }]\nheaders: { X-Key: \"{secret.key}\" }";
    assert_eq!(faults(allowed).len(), 1, "only the missing vectors");
    let public_key = "public: [k]\nsteps: [{ a: { mac: hmac-sha256, key: \"{secret.k}\", input: x, out: hex } }]";
    assert!(faults(public_key)[0].contains("`k` is listed as public and used as a key"));
}

/// Rules that are refused, and how the first fault begins.
const REFUSED: &[(&str, &str)] = &[
    (
        "vars: { ts: unix }\nsteps: [{ a: x }]",
        "1:13: unknown value `unix`",
    ),
    (
        "vars: { ts: unix_ms }\nsteps: [{ a: \"{tz}\" }]",
        "2:14: unknown name `tz`; a step knows only what stands before it (did you mean `ts`?)",
    ),
    (
        "steps: [{ a: \"{b}\" }, { b: x }]",
        "1:14: unknown name `b`",
    ),
    ("steps: [{ a: \"{a}\" }]", "1:14: unknown name `a`"),
    (
        "steps: [{ a: x }, { a: y }]",
        "1:21: there is already a value `a`",
    ),
    (
        "steps: [{ path: x }]",
        "1:11: there is already a value `path`",
    ),
    ("steps: [{ A-b: x }]", "1:11: `A-b` is no name for a value"),
    (
        "steps: [{ a: \"{ts\" }]",
        "1:14: a brace has no partner in `{ts`",
    ),
    (
        "steps: [{ a: \"ts}\" }]",
        "1:14: a brace has no partner in `ts}`",
    ),
    (
        "steps: [{ a: \"{path|urlencoded}\" }]",
        "1:14: unknown filter `urlencoded` (did you mean `urlencode`?)",
    ),
    (
        "steps: [{ a: { hash: sha256, mac: hmac-sha256, input: x, out: hex } }]",
        "1:14: a step does exactly one thing",
    ),
    (
        "steps: [{ a: { hash: sha256, out: hex } }]",
        "1:14: missing key `input`",
    ),
    (
        "steps: [{ a: { hash: sha256, input: x } }]",
        "1:14: missing key `out`",
    ),
    (
        "steps: [{ a: { hash: sha1, input: x, out: hex } }]",
        "1:22: unknown value `sha1`",
    ),
    (
        "steps: [{ a: { hash: sha256, input: x, out: hex, key: \"{secret.k}\" } }]",
        "1:55: `key` has no meaning beside `hash`",
    ),
    (
        "steps: [{ a: { mac: hmac-sha256, input: x, out: hex } }]",
        "1:14: missing key `key`",
    ),
    (
        "steps: [{ a: { mac: hmac-sha256, key: plain, input: x, out: hex } }]",
        "1:39: expected one {secret.NAME}, found `plain`",
    ),
    (
        "steps: [{ a: { mac: hmac-sha256, key: \"{secret.k}\", password: \"{secret.p}\", input: x, out: hex } }]",
        "1:63: `password` has no meaning beside `mac`",
    ),
    (
        "steps: [{ a: { jwt: HS256, key: \"{secret.k}\", header: { alg: none }, claims: {} } }]",
        "1:57: `alg` is set by the signer",
    ),
    (
        "steps: [{ a: { jwt: none, key: \"{secret.k}\", claims: {} } }]",
        "1:21: unknown value `none`",
    ),
    (
        "steps: [{ a: { jwt: HS256, key: \"{secret.k}\", claims: { x: { int: \"{path}x\" } } } }]",
        "1:67: `{path}x` is no whole number",
    ),
    (
        "steps: [{ a: { jwt: HS256, key: \"{secret.k}\", claims: {}, omit_if_empty: { b: [x] } } }]",
        "1:76: unknown name `b`",
    ),
    ("steps: []", "1:8: a rule has 1 to 64 steps"),
    ("steps: [{ a: x, b: y }]", "1:9: a step is one name"),
    ("headers: { X: y }", "1:1: missing key `steps`"),
    (
        "steps: [{ a: x }]\nheaders: { Host: x }",
        "2:12: `Host` is not for a signer to set",
    ),
    (
        "steps: [{ a: x }]\nheaders: { X-A: x, x-a: y }",
        "2:20: `x-a` is set twice",
    ),
    (
        "steps: [{ a: x }]\nheaders: { \"a b\": x }",
        "2:12: `a b` is no name of a header",
    ),
    (
        "steps: [{ a: x }]\nappend: { to: same_as_inject, param: s, value: x }",
        "2:15: there is no `inject`",
    ),
    (
        "steps: [{ a: x }]\nappend: { to: query, param: \"a&b\", value: x }",
        "2:29: `a&b` is no name for a parameter",
    ),
    (
        "steps: [{ a: x }]\nwhen: { methods: [get] }",
        "2:19: `get` is no method in upper case",
    ),
    (
        "steps: [{ a: x }]\nheader: {}",
        "2:1: unknown key `header` (did you mean `headers`?)",
    ),
    (
        "vars: { a: uuid4, b: uuid4, c: random_hex_16 }\nsteps: [{ d: x }]",
        "1:7: a request has random bytes for two values",
    ),
];

#[test]
fn every_fault_has_its_place_and_its_help() {
    for (rule, expected) in REFUSED {
        let found = faults(rule);
        assert!(
            found.iter().any(|fault| fault.starts_with(expected)),
            "{rule}\n{found:#?}"
        );
        assert!(program("rule.yaml", rule).is_err(), "{rule}");
    }
}

const RULE: &str = r#"
vars: { ts: unix_ms }
steps:
  - payload: "{ts}{method}{path_query}{body}"
  - sig: { mac: hmac-sha256, key: "{secret.key}", input: "{secret.pass}:{payload}", out: hex }
headers: { X-Sig: "{sig}", X-Pass: "{secret.pass}" }
vectors:
  - name: first
    method: GET
    path: /a
    query: b=c
    time_ms: 1700000000000
    secrets: { key: very-secret-key, pass: very-secret-pass }
    expect: EXPECT
"#;

#[test]
fn a_vector_that_does_not_come_out_says_what_did() {
    let wrong = RULE.replace(
        "EXPECT",
        "{ values: { payload: 1700000000000GET/a }, headers: { X-Pass: very-secret-pass } }",
    );
    let found = faults(&wrong);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("14:34: the vector `first` does not come out: `payload` is `1700000000000GET/a?b=c`, expected `1700000000000GET/a` (worked out: payload = `1700000000000GET/a?b=c`; sig.input = `<secret.pass>:1700000000000GET/a?b=c`; sig = `<sig "),
        "{}", found[0]
    );
    let table = [
        (
            "{ headers: { X-Pass: other-pass } }",
            "the header `x-pass` is `<secret.pass>`, expected `other-pass`",
        ),
        (
            "{ headers: { X-None: x } }",
            "the header `x-none` is not there, expected `x`",
        ),
        (
            "{ values: { nothing: x } }",
            "`nothing` is not there, expected `x`",
        ),
        ("{ body: x }", "the body is ``, expected `x`"),
        ("{}", "the vector expects nothing"),
    ];
    for (expect, message) in table {
        let found = faults(&RULE.replace("EXPECT", expect));
        assert!(found[0].contains(message), "{expect}: {found:#?}");
        assert!(
            found.iter().all(|fault| !fault.contains("very-secret")),
            "{found:#?}"
        );
    }
    assert!(faults(&RULE.replace("EXPECT", "{ query: b=c }")).is_empty());
    let lacking = RULE
        .replace("EXPECT", "{ query: b=c }")
        .replace(", pass: very-secret-pass", "");
    assert!(
        faults(&lacking)[0].contains("the vector `first` has no key: the secret `pass` is missing")
    );
}

#[test]
fn a_rule_without_vectors_is_warned_of() {
    let found = faults("steps: [{ a: x }]");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("the signer has no vectors"));
    assert!(program("rule.yaml", "steps: [{ a: x }]").is_ok());
}
