//! What a rule of the scheme may not say, and what it says of itself when a vector does not come out.

use bytes::Bytes;
use http::Method;
use outrider::config::signers::{SigningRule, named, program};
use outrider::model::exchange::Security;
use outrider::transform::signers::{
    Fresh, Needs, Program, SIGNERS, Secrets, SignFault, SignInput, Signed, Signer, TimeUnit,
};

use crate::shared::{at_ms, secret};

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

#[test]
fn every_fault_has_its_place_and_its_help() {
    let table = [
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
    for (rule, expected) in table {
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

fn rule(text: &str) -> Program {
    program("rule.yaml", text)
        .unwrap_or_else(|report| panic!("{}", report.render(false)))
        .0
}

fn signer(program: &Program, secrets: &[(&str, &str)]) -> Result<Signer, String> {
    let mut all = Secrets::default();
    for (name, value) in secrets {
        all.insert(*name, secret(value));
    }
    Signer::scheme(program, all)
}

fn sign(
    signer: &Signer,
    method: &str,
    target: &str,
    body: &str,
    fresh: &Fresh,
) -> Result<Signed, SignFault> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = Bytes::copy_from_slice(body.as_bytes());
    let input = SignInput {
        method: &Method::from_bytes(method.as_bytes()).unwrap(),
        host: "api.example",
        path,
        query,
        body: &body,
        security: Security::Signed,
    };
    signer.sign(&input, fresh)
}

#[test]
fn secrets_are_those_that_the_rule_names() {
    let program = rule(&RULE.replace("EXPECT", "{ query: b=c }"));
    assert_eq!(program.secrets().collect::<Vec<_>>(), ["pass", "key"]);
    let refused = |secrets: &[(&str, &str)]| signer(&program, secrets).unwrap_err();
    assert_eq!(refused(&[("key", "x")]), "the secret `pass` is missing");
    assert_eq!(
        refused(&[("key", ""), ("pass", "x")]),
        "the secret `key`: the key is empty"
    );
    let strange = refused(&[("key", "x"), ("pass", "x"), ("passs", "x")]);
    assert_eq!(
        strange,
        "the signer has no secret `passs`; did you mean `pass`?"
    );
}

#[test]
fn when_says_which_requests_are_meant() {
    let program = rule(
        "when: { paths: [/private/**], except: [/private/time] }\nsteps:\n  - a: { hash: sha256, input: x, out: hex, when: { methods: [POST] } }\nheaders: { X-A: \"[{a}]\", X-B: \"{{{secret.id}}}\" }",
    );
    let signer = signer(&program, &[("id", "me\n")]).unwrap();
    let header = |method, target| {
        let signed = sign(&signer, method, target, "", &at_ms(7)).unwrap();
        signed
            .headers
            .first()
            .map(|(_, value)| value.to_str().unwrap().len())
    };
    assert_eq!(header("GET", "/public"), None);
    assert_eq!(header("GET", "/private/time"), None);
    assert_eq!(header("GET", "/private/orders"), Some(2));
    assert_eq!(header("POST", "/private/orders"), Some(66));
    let signed = sign(&signer, "GET", "/private/x", "", &at_ms(7)).unwrap();
    assert_eq!(signed.headers[1].1, "{me}");
    assert!(!signer.signs(&Method::GET, "/public"));
}

#[test]
fn parameters_are_put_where_the_rule_says() {
    let table = [
        ("query", "GET", "/p?a=1", "", Ok(("a=1&t=7&s=%2B%26", ""))),
        (
            "query_first",
            "GET",
            "/p?a=1",
            "",
            Ok(("t=7&a=1&s=%2B%26", "")),
        ),
        ("query", "GET", "/p", "", Ok(("t=7&s=%2B%26", ""))),
        (
            "body_form",
            "POST",
            "/p?a=1",
            "b=2",
            Ok(("a=1&s=%2B%26", "b=2&t=7")),
        ),
        (
            "body_form_first",
            "POST",
            "/p",
            "b=2",
            Ok(("s=%2B%26", "t=7&b=2")),
        ),
        (
            "query_if_get_or_delete_else_body",
            "DELETE",
            "/p",
            "",
            Ok(("t=7&s=%2B%26", "")),
        ),
        (
            "query_if_get_or_delete_else_body",
            "PUT",
            "/p",
            "",
            Ok(("s=%2B%26", "t=7")),
        ),
        (
            "body_form",
            "POST",
            "/p",
            "{\"b\":2}",
            Err(SignFault::Body("a form")),
        ),
        ("body_form", "GET", "/p", "", Err(SignFault::BodyOnGet)),
        ("query", "GET", "/p?t=1", "", Err(SignFault::NotCleaned)),
        ("query", "GET", "/p?%73=1", "", Err(SignFault::NotCleaned)),
        ("query", "POST", "/p", "t=1", Err(SignFault::NotCleaned)),
    ];
    for (to, method, target, body, expected) in table {
        let text = format!(
            "vars: {{ ts: unix_ms }}\ninject: {{ to: {to}, params: {{ t: \"{{ts}}\" }} }}\nsteps: [{{ sig: \"+&\" }}]\nappend: {{ to: query, param: s, value: \"{{sig}}\" }}"
        );
        let program = rule(&text);
        let signer = signer(&program, &[]).unwrap();
        assert_eq!(signer.own().params, ["t", "s"]);
        let signed = sign(&signer, method, target, body, &at_ms(7));
        let signed = signed.map(|signed| (signed.query, signed.body));
        let expected = expected
            .map(|(query, body): (&str, &str)| (query.to_owned(), Bytes::from(body.to_owned())));
        assert_eq!(signed, expected, "{to} {method} {target} {body}");
    }
}

#[test]
fn fresh_values_are_what_was_given() {
    let program = rule(
        "vars: { s: unix_s, ms: unix_ms, us: unix_us, iso: iso8601_ms_z, id: uuid4, hex: random_hex_16, n: monotonic_us }\nsteps: [{ a: \"{s} {ms} {us} {iso} {id} {hex} {n}\" }]\nheaders: { X-A: \"{a}\" }",
    );
    let signer = signer(&program, &[]).unwrap();
    assert_eq!(
        signer.needs(),
        Needs {
            nonce: Some(TimeUnit::Microseconds),
            random: true
        }
    );
    let mut fresh = Fresh {
        unix_us: 1_700_000_000_123_456,
        nonce: 9,
        random: [0xff; 32],
    };
    fresh.random[16..].fill(0xab);
    let value = |fresh: &Fresh| {
        sign(&signer, "GET", "/", "", fresh)
            .map(|signed| signed.headers[0].1.to_str().unwrap().to_owned())
    };
    assert_eq!(
        value(&fresh).unwrap(),
        "1700000000 1700000000123 1700000000123456 2023-11-14T22:13:20.123Z ffffffff-ffff-4fff-bfff-ffffffffffff abababababababababababababababab 9"
    );
    fresh.nonce = 0;
    assert_eq!(value(&fresh), Err(SignFault::NoNonce));
    fresh.nonce = 1;
    fresh.unix_us = -1;
    assert_eq!(value(&fresh), Err(SignFault::Time));
    fresh.unix_us = i64::MAX;
    assert_eq!(value(&fresh), Err(SignFault::Time));
}

#[test]
fn json_bodies_are_flattened_in_their_order() {
    let program = rule(
        "steps: [{ p: { params_of: query_or_json_body } }, { d: { params_of: decoded_query_or_json_body } }]\nheaders: { X-P: \"{p}|{d}\" }",
    );
    let signer = signer(&program, &[]).unwrap();
    let table = [
        ("/p?a%5B%5D=1", "", Ok("a%5B%5D=1|a[]=1")),
        (
            "/p",
            "{\"b\":\"x y\",\"a\":1.50,\"c\":[\"u\",2],\"t\":true,\"n\":null}",
            Ok("b=x y&a=1.50&c[]=u&c[]=2&t=true&n=null|b=x y&a=1.50&c[]=u&c[]=2&t=true&n=null"),
        ),
        ("/p", "", Ok("|")),
        (
            "/p",
            "{\"a\":{}}",
            Err(SignFault::Parameter("a".to_owned())),
        ),
        (
            "/p",
            "{\"a\":[[1]]}",
            Err(SignFault::Parameter("a[]".to_owned())),
        ),
        (
            "/p",
            "a=1",
            Err(SignFault::Body("a JSON object of plain values")),
        ),
        (
            "/p",
            "{\"a\":1,\"a\":2}",
            Err(SignFault::Body("a JSON object of plain values")),
        ),
        (
            "/p?a=1",
            "{}",
            Err(SignFault::Body("empty, and there is a query")),
        ),
    ];
    for (target, body, expected) in table {
        let signed = sign(&signer, "POST", target, body, &at_ms(7));
        let signed = signed.map(|signed| signed.headers[0].1.to_str().unwrap().to_owned());
        assert_eq!(signed, expected.map(str::to_owned), "{target} {body}");
    }
}

#[test]
fn explanations_hold_no_secret_and_no_signature() {
    let key =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==";
    for kind in SIGNERS {
        let SigningRule::Scheme(program) = named(kind.name).unwrap() else {
            continue;
        };
        if kind.name == "coinbase-es256" {
            continue;
        }
        let secrets = [
            ("key_id", "the-key-id-1"),
            ("key", key),
            ("passphrase", "hunter2hunter2"),
        ];
        let known: Vec<&str> = program.secrets().collect();
        let secrets: Vec<_> = secrets
            .into_iter()
            .filter(|(name, _)| known.contains(name))
            .collect();
        let signer = signer(&program, &secrets).unwrap();
        let body = Bytes::from_static(b"");
        let input = SignInput {
            method: &Method::POST,
            host: "api.example",
            path: "/private/x",
            query: "",
            body: &body,
            security: Security::Signed,
        };
        let explained = signer.explain(&input, &at_ms(1_700_000_000_000)).unwrap();
        let signed = signer.sign(&input, &at_ms(1_700_000_000_000)).unwrap();
        let told = format!("{explained:?}");
        assert!(!explained.steps.is_empty(), "{}", kind.name);
        for (_, value) in &secrets {
            assert!(!told.contains(value), "{}: {told}", kind.name);
        }
        for (name, value) in signed.headers.iter().filter(|(_, value)| value.len() > 40) {
            let value = value.to_str().unwrap().trim_start_matches("Bearer ");
            assert!(
                !told.contains(value) && !told.contains(&value[20..40]),
                "{} {name}: {told}",
                kind.name
            );
        }
    }
}
