//! What rules of the scheme do: parameters, fresh values, conditions, and what is told of them.

use bytes::Bytes;
use http::Method;
use outrider::config::signers::{SigningRule, named, program};
use outrider::model::exchange::Security;
use outrider::transform::signers::{
    Fresh, Needs, Program, SIGNERS, Secrets, SignFault, SignInput, Signed, Signer, TimeUnit,
};

use crate::shared::{at_ms, secret};

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
    let program = rule(
        "steps: [{ sig: { mac: hmac-sha256, key: \"{secret.key}\", input: \"{secret.pass}\", out: hex } }]",
    );
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
                !told.contains(value) && !told.contains(value.get(20..40).unwrap()),
                "{} {name}: {told}",
                kind.name
            );
        }
    }
}
