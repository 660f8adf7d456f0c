//! Area E: tokens. Every bad one is answered alike; why it is bad stands only in the record.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256,
};
use serde_json::{Value, json};

use super::demand_numbers;
use super::framing::anything;
use crate::support::oracle::{Case, demand};
use crate::support::tokens::{Issuer, b64, compose};
use crate::support::wire::Response;
use crate::world::{
    bearer, claims, claims_with, get, get_as, guarded, issuer, now, post, request, stage, token,
    token_headed, token_of, token_with,
};

pub(super) const IDS: &[u32] = &[58, 59, 62, 64, 65, 67, 70, 71, 76];
/// Cases that look at the clock.
pub(super) const TIMED: &[u32] = &[68, 74];

const INVALID: &str = "authn.invalid_token";

#[test]
fn forged_headers_and_signatures_are_refused() {
    let issuer = issuer();
    run(
        &issuer,
        vec![
            confused(&issuer),
            algorithms(&issuer),
            embedded(&issuer),
            critical(&issuer),
            signatures(&issuer),
        ],
    );
}

#[test]
fn wrong_claims_are_refused() {
    let issuer = issuer();
    run(&issuer, vec![times(&issuer), audiences(&issuer)]);
}

#[test]
fn what_is_no_token_is_refused() {
    let issuer = issuer();
    run(&issuer, vec![structures(&issuer), places(&issuer)]);
}

#[test]
fn the_numbers_are_complete() {
    let issuer = issuer();
    let all = [
        confused(&issuer),
        algorithms(&issuer),
        embedded(&issuer),
        critical(&issuer),
        signatures(&issuer),
        times(&issuer),
        audiences(&issuer),
        structures(&issuer),
        places(&issuer),
    ];
    let all: Vec<Case> = all.into_iter().flatten().map(|(case, _)| case).collect();
    demand_numbers(IDS, &all);
}

/// 68: the table of edges, as far as a real clock lets it be exact: two seconds to either side.
#[test]
fn the_edges_of_time() {
    let issuer = issuer();
    let mut stage = stage(&guarded(), &issuer);
    let now = now();
    let skew = 30;
    let edges = [
        (
            "exp long past",
            json!({"iat": now - 900, "exp": now - skew - 2}),
            Some("expired"),
        ),
        (
            "exp just past, within the skew",
            json!({"iat": now - 900, "exp": now - skew + 4}),
            None,
        ),
        ("exp now", json!({"iat": now - 900, "exp": now}), None),
        ("nbf within the skew", json!({"nbf": now + skew - 2}), None),
        (
            "nbf ahead",
            json!({"nbf": now + skew + 4}),
            Some("not_yet_valid"),
        ),
        (
            "nbf far ahead",
            json!({"nbf": now + 3600, "exp": now + 7200}),
            Some("not_yet_valid"),
        ),
        ("iat within the skew", json!({"iat": now + skew - 2}), None),
        (
            "iat ahead by an hour",
            json!({"iat": now + 3600, "exp": now + 7200}),
            Some("issued_in_future"),
        ),
        (
            "exp before iat",
            json!({"iat": now, "exp": now - 5}),
            Some("lifetime"),
        ),
        (
            "a life of two days",
            json!({"iat": now, "exp": now + 172_800}),
            Some("lifetime"),
        ),
    ];
    for (name, changes, reason) in edges {
        let token = token_with(&issuer, &changes);
        stage.secrets.push(token.clone());
        let asked = get_as(&token, "/orders/1");
        let id = format!("68 {name}");
        stage.run(match reason {
            Some(reason) => Case::denied(id, asked, 401, INVALID).because(reason),
            None => Case::forwarded(id, asked, anything),
        });
    }
    stage.settle();
}

/// 74: a cached token ends with its time, also in the middle of a connection.
#[test]
fn a_cached_token_expires_on_its_connection() {
    let issuer = issuer();
    let exact = guarded().replace(
        "audience: order-gateway",
        "audience: order-gateway\n    clock_skew: 0s",
    );
    let mut stage = stage(&exact, &issuer);
    let token = token_with(&issuer, &json!({"exp": now() + 1}));
    stage.secrets.push(token.clone());
    let mut wire = stage.fresh(None);
    let first = wire.ask(get_as(&token, "/orders/1")).unwrap();
    let second = wire.ask(get_as(&token, "/orders/2")).unwrap();
    stage.expect(
        "74",
        demand(
            first.status == 200 && second.status == 200,
            format!("at first {first}, {second}"),
        ),
    );
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let third = wire.ask(get_as(&token, "/orders/3")).unwrap();
    stage.expect(
        "74",
        demand(
            third.status == 401 && third.code().as_deref() == Some(INVALID),
            format!("then {third}"),
        ),
    );
    drop(wire);
    stage.settle();
}

/// A case and the token in it.
type Sent = (Case, String);

fn run(issuer: &Issuer, groups: Vec<Vec<Sent>>) {
    let mut stage = stage(&guarded(), issuer);
    for (case, token) in groups.into_iter().flatten() {
        // A short piece of text is no secret that could be looked for.
        if token.len() > 40 {
            stage.secrets.push(token);
        }
        stage.run(case);
    }
    stage.settle();
}

/// A bad token: 401, the same words as for every other, the reason only in the record.
fn bad(id: String, token: String, reason: &'static str) -> Sent {
    let case = Case::denied(id, get_as(&token, "/orders/1"), 401, INVALID).because(reason);
    (case, token)
}

fn good(id: &str, token: String) -> Sent {
    let case = Case::forwarded(id, get_as(&token, "/orders/1"), |got, response| {
        demand(!got.has("authorization"), "the token is forwarded")?;
        anything(got, response)
    });
    (case, token)
}

/// 58: the public key as an HMAC secret.
fn confused(issuer: &Issuer) -> Vec<Sent> {
    let pem = issuer.pem();
    let keys: [(&str, Vec<u8>); 7] = [
        ("PEM", pem.clone().into_bytes()),
        (
            "PEM without its newline",
            pem.trim_end().as_bytes().to_vec(),
        ),
        ("PKCS#1 PEM", issuer.pkcs1_pem().into_bytes()),
        ("DER", issuer.der()),
        ("JWK", issuer.jwk().to_string().into_bytes()),
        ("JWK Set", issuer.jwks().into_bytes()),
        ("modulus", issuer.modulus()),
    ];
    let mut cases = Vec::new();
    for (name, key) in keys {
        for (algorithm, scheme) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let header = json!({"alg": algorithm, "typ": "JWT", "kid": issuer.kid});
            let message = message(&header, &claims());
            let tag = hmac::sign(&hmac::Key::new(scheme, &key), message.as_bytes());
            let token = format!("{message}.{}", b64(tag.as_ref()));
            cases.push(bad(
                format!("58 {algorithm} by the {name}"),
                token,
                "algorithm",
            ));
            // The same with RS256 in the header: then it is simply a wrong signature.
            let header = json!({"alg": "RS256", "typ": "JWT", "kid": issuer.kid});
            let token = compose(&header, &claims(), tag.as_ref());
            cases.push(bad(
                format!("58 RS256 with an HMAC by the {name}"),
                token,
                "signature",
            ));
        }
    }
    cases
}

fn message(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        b64(header.to_string().as_bytes()),
        b64(claims.to_string().as_bytes())
    )
}

/// 59: algorithms that nobody configured, by right keys of their kind.
fn algorithms(issuer: &Issuer) -> Vec<Sent> {
    let head = |algorithm: &str| json!({"alg": algorithm, "typ": "JWT", "kid": issuer.kid});
    let with = |algorithm: &str, scheme| {
        let text = message(&head(algorithm), &claims());
        let (header, claims) = text.split_once('.').unwrap();
        issuer.sign_parts_with(scheme, header, claims)
    };
    let mut cases = vec![
        bad(
            "59 RS384".into(),
            with("RS384", &RSA_PKCS1_SHA384),
            "algorithm",
        ),
        bad(
            "59 RS512".into(),
            with("RS512", &RSA_PKCS1_SHA512),
            "algorithm",
        ),
        bad(
            "59 PS256".into(),
            with("PS256", &RSA_PSS_SHA256),
            "algorithm",
        ),
        bad(
            "59 RS256 that is RS512".into(),
            with("RS256", &RSA_PKCS1_SHA512),
            "signature",
        ),
        bad(
            "59 RS256 that is PS256".into(),
            with("RS256", &RSA_PSS_SHA256),
            "signature",
        ),
    ];
    let random = SystemRandom::new();
    let text = message(&head("ES256"), &claims());
    let curve = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = curve.sign(&random, text.as_bytes()).unwrap();
    cases.push(bad(
        "59 ES256".into(),
        format!("{text}.{}", b64(signature.as_ref())),
        "algorithm",
    ));
    let text = message(&head("EdDSA"), &claims());
    let edwards = Ed25519KeyPair::generate().unwrap();
    cases.push(bad(
        "59 EdDSA".into(),
        format!("{text}.{}", b64(edwards.sign(text.as_bytes()).as_ref())),
        "algorithm",
    ));
    for none in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RSA"] {
        let token = token_headed(issuer, &json!({"alg": none}));
        cases.push(bad(
            format!("59 {none:?} with a signature"),
            token,
            "algorithm",
        ));
        let unsigned = format!("{}.", message(&head(none), &claims()));
        cases.push(bad(format!("59 {none:?} without"), unsigned, "structure"));
    }
    cases
}

/// 62: keys that the token brings along.
fn embedded(issuer: &Issuer) -> Vec<Sent> {
    let attacker = Issuer::new(2048).named(&issuer.kid);
    let brought = |name: &str, value: Value| {
        let mut header = attacker.header();
        header[name] = value;
        (name.to_owned(), attacker.sign(&header, &claims()))
    };
    let chain = json!([b64(&attacker.der())]);
    let url = "http://127.0.0.1:9/keys";
    let mut cases: Vec<Sent> = [
        brought("jwk", attacker.jwk()),
        brought("x5c", chain),
        brought("x5t", json!("AAAA")),
        brought("x5t#S256", json!("AAAA")),
        brought("jku", json!(url)),
        brought("x5u", json!(url)),
    ]
    .into_iter()
    .map(|(name, token)| bad(format!("62 {name}"), token, "signature"))
    .collect();
    for kid in [
        "../../../dev/null",
        "' OR 1=1 --",
        "http://127.0.0.1:9/key",
        "",
        "other",
        "TEST-KEY",
    ] {
        let token = attacker.sign(&json!({"alg": "RS256", "kid": kid}), &claims());
        cases.push(bad(format!("62 kid {kid:?}"), token, "kid_unknown"));
    }
    cases.push(good(
        "62 jku beside a good signature",
        token_headed(issuer, &json!({"jku": url, "x5u": url})),
    ));
    cases
}

/// 64: extensions that must be understood.
fn critical(issuer: &Issuer) -> Vec<Sent> {
    [
        ("exp", json!({"crit": ["exp"], "exp": 1})),
        ("bork", json!({"crit": ["bork"]})),
        ("bork with bork", json!({"crit": ["bork"], "bork": 1})),
        ("empty", json!({"crit": []})),
        ("text", json!({"crit": "exp"})),
        ("null", json!({"crit": null})),
        ("b64", json!({"crit": ["b64"], "b64": false})),
        ("b64 alone", json!({"b64": false})),
    ]
    .map(|(name, changes)| bad(format!("64 {name}"), token_headed(issuer, &changes), "crit"))
    .into()
}

/// 65: times that are no times.
fn times(issuer: &Issuer) -> Vec<Sent> {
    let written = |id: &str, claim: &str, value: &str, reason| {
        let now = now();
        let mut members = vec![
            ("iss", "\"https://issuer.test\"".to_owned()),
            ("aud", "\"order-gateway\"".to_owned()),
            ("sub", "\"user-1\"".to_owned()),
            ("roles", "[\"trader\"]".to_owned()),
            ("iat", now.to_string()),
            ("exp", (now + 600).to_string()),
        ];
        members.retain(|(name, _)| *name != claim);
        members.push((claim, value.to_owned()));
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let token = token_of(issuer, &format!("{{{}}}", members.join(",")));
        bad(format!("65 {id}"), token, reason)
    };
    let mut cases = vec![
        written("nbf as text", "nbf", "\"99999999999\"", "claims"),
        written("exp as a word", "exp", "\"never\"", "claims"),
        written("exp as text", "exp", "\"99999999999\"", "claims"),
        written("exp null", "exp", "null", "claims"),
        written("exp true", "exp", "true", "claims"),
        written("exp in a list", "exp", "[99999999999]", "claims"),
        written("exp beyond floating point", "exp", "1e400", "claims"),
        written("exp as a float long past", "exp", "1.5e9", "expired"),
        written("iat null", "iat", "null", "claims"),
        written("nbf beyond 2^53", "nbf", "18446744073709551615", "claims"),
        written("exp beyond 2^53", "exp", "18446744073709551615", "claims"),
        written("exp beyond 2^53 as a float", "exp", "1e300", "claims"),
        written("iat twice", "iat", "1,\"iat\":2", "claims"),
    ];
    cases.push(bad(
        "65 exp negative".into(),
        token_with(issuer, &json!({"exp": -1})),
        "claims",
    ));
    cases.push(bad(
        "65 no exp".into(),
        token_with(issuer, &json!({"exp": null})),
        "claims",
    ));
    let now = now();
    let sane = format!(
        "{{\"iss\":\"https://issuer.test\",\"aud\":\"order-gateway\",\"sub\":\"u\",\"roles\":\"trader\",\"iat\":{now}.25,\"exp\":{}.75}}",
        now + 60
    );
    cases.push(good("65 times with a fraction", token_of(issuer, &sane)));
    cases
}

/// 67: tokens for somebody else, or for something else.
fn audiences(issuer: &Issuer) -> Vec<Sent> {
    let with = |id: &str, changes: Value, reason| {
        bad(format!("67 {id}"), token_with(issuer, &changes), reason)
    };
    let headed = |id: &str, changes: Value, reason| {
        bad(format!("67 {id}"), token_headed(issuer, &changes), reason)
    };
    vec![
        with("another audience", json!({"aud": "other"}), "audience"),
        with("no audience", json!({"aud": null}), "audience"),
        with("an empty audience", json!({"aud": []}), "audience"),
        with(
            "the audience in another case",
            json!({"aud": "Order-Gateway"}),
            "audience",
        ),
        with(
            "the beginning of the audience",
            json!({"aud": "order-gateway-2"}),
            "audience",
        ),
        with(
            "another issuer",
            json!({"iss": "https://issuer.test.evil"}),
            "issuer",
        ),
        with(
            "the issuer with a slash",
            json!({"iss": "https://issuer.test/"}),
            "issuer",
        ),
        with(
            "the issuer in a list",
            json!({"iss": ["https://issuer.test", "x"]}),
            "issuer",
        ),
        with("no issuer", json!({"iss": null}), "issuer"),
        with("no subject", json!({"sub": null}), "subject"),
        with("an empty subject", json!({"sub": ""}), "subject"),
        with("a subject that is a number", json!({"sub": 7}), "subject"),
        with(
            "a refresh token",
            json!({"tokenType": "refresh"}),
            "token_type",
        ),
        with(
            "an ID token by its type",
            json!({"tokenType": "id"}),
            "token_type",
        ),
        with(
            "a token type that is no text",
            json!({"tokenType": 1}),
            "token_type",
        ),
        headed("an ID token by its header", json!({"typ": "id+jwt"}), "typ"),
        headed("a logout token", json!({"typ": "logout+jwt"}), "typ"),
        headed(
            "a refresh token by its header",
            json!({"typ": "rt+jwt"}),
            "typ",
        ),
        good("67 at+jwt", token_headed(issuer, &json!({"typ": "at+jwt"}))),
        good(
            "67 application/at+jwt",
            token_headed(issuer, &json!({"typ": "application/at+jwt"})),
        ),
        good("67 JWT", token_headed(issuer, &json!({"typ": "JWT"}))),
        good(
            "67 the audience in a list",
            token_with(issuer, &json!({"aud": ["x", "order-gateway"]})),
        ),
        good(
            "67 an access token by its type",
            token_with(issuer, &json!({"tokenType": "access"})),
        ),
    ]
}

/// 70: what has not the shape of a token.
fn structures(issuer: &Issuer) -> Vec<Sent> {
    let token = token(issuer);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        unreachable!("a token has three parts");
    };
    let shape = |id: &str, token: String| bad(format!("70 {id}"), token, "structure");
    let mut last = (*signature).to_owned();
    // 256 bytes are 342 characters, the last of which carries four bits that mean nothing.
    let tail = last.pop().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(tail).unwrap();
    last.push(alphabet.as_bytes()[at ^ 1] as char);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000));
    let roles: Vec<String> = (0..1000).map(|number| format!("r{number}")).collect();
    let loose = |id: &str, token: String| {
        let case = Case::denied(
            format!("70 {id}"),
            get_as(&token, "/orders/1"),
            401,
            INVALID,
        );
        (case, token)
    };
    let mut cases = vec![
        shape("one part", (*header).to_owned()),
        shape("two parts", format!("{header}.{payload}")),
        shape("four parts", format!("{token}.AA")),
        shape(
            "five parts",
            format!("{header}.AA.{payload}.AA.{signature}"),
        ),
        shape("no header", format!(".{payload}.{signature}")),
        shape("no signature", format!("{header}.{payload}.")),
        shape("only dots", "..".into()),
        shape("a.b.c", "a.b.c".into()),
        shape("padded header", format!("{header}==.{payload}.{signature}")),
        loose("padded signature", format!("{token}==")),
        loose(
            "the other alphabet",
            format!(
                "{header}.{payload}.{}",
                signature.replacen(['-', '_'], "+", 1).replacen('A', "/", 1)
            ),
        ),
        loose(
            "trailing bits that are not zero",
            format!("{header}.{payload}.{last}"),
        ),
        shape(
            "a header that is no object",
            issuer.sign_text("[]", &claims().to_string()),
        ),
        shape(
            "a header with a byte-order mark",
            issuer.sign_text("\u{feff}{\"alg\":\"RS256\"}", &claims().to_string()),
        ),
        shape(
            "a header with a name twice",
            issuer.sign_text(
                "{\"alg\":\"none\",\"alg\":\"RS256\"}",
                &claims().to_string(),
            ),
        ),
        bad(
            "70 no payload".into(),
            issuer.sign_parts(header, ""),
            "claims",
        ),
        bad(
            "70 a payload that is no object".into(),
            token_of(issuer, "[]"),
            "claims",
        ),
        bad(
            "70 a payload with a byte-order mark".into(),
            token_of(issuer, &format!("\u{feff}{}", claims())),
            "claims",
        ),
        bad(
            "70 a payload with a name twice".into(),
            token_of(
                issuer,
                &claims().to_string().replacen('{', "{\"sub\":\"root\",", 1),
            ),
            "claims",
        ),
        bad(
            "70 a deep payload".into(),
            token_of(issuer, &deep),
            "claims",
        ),
        bad(
            "70 a thousand roles".into(),
            token_with(issuer, &json!({"roles": roles})),
            "claims",
        ),
        bad(
            "70 a role that is a number".into(),
            token_with(issuer, &json!({"roles": [1]})),
            "claims",
        ),
        bad(
            "70 20 KiB".into(),
            token_with(issuer, &json!({"x": "y".repeat(15_000)})),
            "too_large",
        ),
    ];
    // Longer than any head: refused before it is looked at.
    let long = format!("a.b.{}", "c".repeat(1 << 20));
    let case = Case::refused(
        "70 1 MiB",
        get_as(&long, "/orders/1"),
        431,
        "request.head_too_large",
    );
    cases.push((case, String::new()));
    let json = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
    // A comma separates credentials, and these would be several.
    let case = Case::refused(
        "70 JSON serialisation",
        request(
            "GET",
            "/orders/1",
            &format!("Authorization: Bearer {json}\r\n"),
        ),
        400,
        "authn.invalid_request",
    );
    cases.push((case, json));
    cases
}

/// 71: signatures that a sloppy verifier takes.
fn signatures(issuer: &Issuer) -> Vec<Sent> {
    let modulus = issuer.modulus();
    let size = modulus.len();
    let mut below = modulus.clone();
    *below.last_mut().unwrap() -= 1;
    let right = issuer.signature(
        &aws_lc_rs::signature::RSA_PKCS1_SHA256,
        message(&issuer.header(), &claims()).as_bytes(),
    );
    let mut flipped = right.clone();
    flipped[size - 1] ^= 1;
    [
        ("all zero", vec![0; size]),
        ("all ff", vec![0xff; size]),
        ("one", [vec![0; size - 1], vec![1]].concat()),
        ("n", modulus),
        ("n - 1", below),
        ("one byte", vec![0]),
        ("one byte short", vec![7; size - 1]),
        ("longer than the modulus", vec![7; size + 1]),
        ("a zero before it", [vec![0], right].concat()),
        ("one bit off", flipped),
    ]
    .map(|(name, signature)| {
        bad(
            format!("71 {name}"),
            compose(&issuer.header(), &claims_with(&json!({})), &signature),
            "signature",
        )
    })
    .into()
}

/// 76: a good token where no token belongs.
fn places(issuer: &Issuer) -> Vec<Sent> {
    let token = token(issuer);
    let none = |id: &str, bytes: Vec<u8>, code| {
        (
            Case::denied(format!("76 {id}"), bytes, 401, code),
            token.clone(),
        )
    };
    let missing = "authn.required";
    let form = format!("access_token={token}");
    let typed = "Content-Type: application/x-www-form-urlencoded\r\n";
    vec![
        none(
            "access_token in the query",
            get(&format!("/orders/1?access_token={token}")).into(),
            INVALID,
        ),
        none(
            "respelt in the query",
            get(&format!("/orders/1?x=1&acce%73s_token={token}")).into(),
            INVALID,
        ),
        none(
            "jwt in the query",
            get(&format!("/orders/1?jwt={token}")).into(),
            missing,
        ),
        none(
            "a cookie",
            request("GET", "/orders/1", &format!("Cookie: token={token}\r\n")).into(),
            missing,
        ),
        none(
            "X-Auth-Token",
            request("GET", "/orders/1", &format!("X-Auth-Token: {token}\r\n")).into(),
            missing,
        ),
        none(
            "Proxy-Authorization",
            request(
                "GET",
                "/orders/1",
                &format!("Proxy-Authorization: Bearer {token}\r\n"),
            )
            .into(),
            missing,
        ),
        none("a form field", post("/orders", typed, form), missing),
        none("the path", get(&format!("/orders/{token}")).into(), missing),
        none(
            "a trailer",
            format!(
                "{}0\r\n{}\r\n",
                request("POST", "/orders", "Transfer-Encoding: chunked\r\n"),
                bearer(&token)
            )
            .into(),
            missing,
        ),
    ]
}

/// The answers to bad tokens tell nothing about why: alike but for the request's id.
#[test]
fn bad_tokens_are_answered_alike() {
    let issuer = issuer();
    let mut stage = stage(&guarded(), &issuer);
    let groups = [audiences(&issuer), signatures(&issuer), critical(&issuer)];
    let mut seen: Vec<(String, Vec<(String, String)>, String)> = Vec::new();
    for (case, _) in groups
        .into_iter()
        .flatten()
        .filter(|(case, _)| case.detail.is_some())
    {
        let mut wire = stage.fresh(None);
        let response = wire.ask(&case.pieces[0]).unwrap();
        seen.push(without_id(&case.id, &response));
    }
    let (first_id, headers, body) = seen[0].clone();
    for (id, other_headers, other_body) in seen {
        let alike = other_headers == headers && other_body == body;
        stage.expect(
            &id,
            demand(
                alike,
                format!("not answered as {first_id}: {other_headers:?} {other_body}"),
            ),
        );
    }
    stage.settle();
}

fn without_id(case: &str, response: &Response) -> (String, Vec<(String, String)>, String) {
    let id = response.one("x-request-id").unwrap_or_default();
    let body = response.text().replace(id, "ID");
    let varies =
        |name: &str| ["x-request-id", "date"].contains(&name.to_ascii_lowercase().as_str());
    let headers = response.headers.iter().filter(|(name, _)| !varies(name));
    (case.to_owned(), headers.cloned().collect(), body)
}
