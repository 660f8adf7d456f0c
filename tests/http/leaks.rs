//! Every secret and token of a run, searched for in everything that the sidecar has written anywhere.

use serde_json::json;

use crate::support::oracle::find_leaks;
use crate::support::origin::{Act, Received, send, tagged};
use crate::support::tokens::{Issuer, b64};
use crate::world::{bearer, get, get_as, guarded, issuer, pair, post, request, token, token_with};

/// A text that stands nowhere else.
fn secret(name: &str) -> String {
    format!("s3cret-{name}-{}", b64(&[0x5a; 12]))
}

#[test]
fn no_secret_of_a_run_is_in_any_output() {
    let issuer = issuer();
    let forger = Issuer::new(2048);
    let (mut sidecar, origin) = pair(
        &guarded().replace("  routes:", "  headers: api\n  routes:"),
        Some(&issuer),
    );
    let good = token(&issuer);
    let claim = secret("claim");
    let carrying = token_with(&issuer, &json!({"private": claim}));
    let forged = forger.sign(&forger.header(), &crate::world::claims());
    let expired = token_with(&issuer, &json!({"iat": 1000, "exp": 2000}));
    let [
        cookie,
        query,
        body,
        form,
        basic,
        header,
        answer,
        fragment,
        user,
    ] = [
        "cookie", "query", "body", "form", "basic", "header", "answer", "fragment", "user",
    ]
    .map(secret);
    let signature = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
    let mut secrets = vec![
        signature(&good),
        signature(&carrying),
        signature(&forged),
        signature(&expired),
    ];
    secrets.extend([
        good.clone(),
        carrying.clone(),
        forged.clone(),
        expired.clone(),
        claim,
    ]);
    secrets.extend(
        [
            &cookie, &query, &body, &form, &basic, &header, &answer, &fragment, &user,
        ]
        .map(Clone::clone),
    );
    let leaked = answer;
    origin.answer(move |got: &Received| match got.target.as_str() {
        "/open/garbled" => vec![
            send(format!(
                "HTTP/1.1 200 OK\r\nX-A: {leaked}\r\nContent-Length: {leaked}\r\n\r\n"
            )),
            Act::Close,
        ],
        "/open/cut" => vec![
            send(format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: {leaked}\r\nContent-Length: 500\r\n\r\n{leaked}"
            )),
            Act::Close,
        ],
        _ => tagged(got),
    });
    let lines = format!(
        "Cookie: session={cookie}\r\nX-Api-Key: {header}\r\nX-Signature: {header}\r\nUser-Agent: {user}\r\n"
    );
    let requests: Vec<Vec<u8>> = vec![
        request("POST", "/orders", &format!("{}{lines}Content-Length: {}\r\n", bearer(&good), body.len())).into_bytes().into_iter().chain(body.bytes()).collect(),
        request("GET", &format!("/orders/1?api_key={query}&access_token2={query}"), &format!("{}{lines}", bearer(&carrying))).into(),
        get_as(&forged, "/orders/1").into(),
        get_as(&expired, "/orders/1").into(),
        request("GET", "/orders/1", &format!("{}{}", bearer(&good), bearer(&forged))).into(),
        request("GET", "/orders/1", &format!("Authorization: Basic {basic}\r\n")).into(),
        request("GET", "/orders/1", &format!("Authorization: {basic}\r\nAuthorization : {basic}\r\n")).into(),
        request("GET", "/orders/1", &format!("Proxy-Authorization: Basic {basic}\r\n")).into(),
        get(&format!("/orders/1?access_token={good}")).into(),
        get(&format!("/nowhere?password={query}")).into(),
        get(&format!("/open/x#{fragment}")).into(),
        get(&format!("/open/../x?token={query}")).into(),
        get(&format!("http://{user}:{basic}@a/open/x")).into(),
        format!("GET /open/x HTTP/1.1\r\nHost: {user}:{basic}@a\r\n\r\n").into(),
        format!("GET /open/x HTTP/1.1\r\nHost: a\r\nX-Broken\x01: {header}\r\n\r\n").into(),
        format!("GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\nAuthorization: Bearer {good}\r\n\r\n").into(),
        format!("GET /open/x?{query} HTTP/9.9\r\nHost: a\r\nAuthorization: Bearer {good}\r\n\r\n").into(),
        request("GET", "/open/x", &format!("Expect: {header}\r\nX-Request-Id: {header}!\r\ntraceparent: {header}\r\n")).into(),
        post("/open/x", "Content-Type: application/x-www-form-urlencoded\r\n", format!("password={form}")),
        request("POST", "/open/x", "Transfer-Encoding: chunked\r\n").into_bytes().into_iter().chain(format!("{form}\r\n").bytes()).collect(),
        request("GET", "/open/garbled", &lines).into(),
        request("GET", "/open/cut", &lines).into(),
        request("GET", "/open/slow", &format!("X-Forwarded-For: {header}\r\nForwarded: for={header}\r\n")).into(),
    ];
    for bytes in requests {
        let mut wire = sidecar.connect();
        wire.send(bytes);
        let told = wire.answer_to(false, crate::support::wire::QUIET);
        wire.finish();
        // What the proxy says by itself repeats nothing of what it was told.
        if let Ok(told) = told
            && told.one("x-tag").is_none()
        {
            let said = format!("{told:?} {}", told.text());
            let leaks = find_leaks(&[("an answer".to_owned(), said.into_bytes())], &secrets);
            assert!(leaks.is_empty(), "{leaks:?}");
        }
    }
    let metrics = ("metrics".to_owned(), sidecar.metrics().into_bytes());
    let ready = (
        "readyz".to_owned(),
        sidecar.ask_health("/readyz?verbose").text().into_bytes(),
    );
    assert!(sidecar.stop().success());
    let mut outputs = sidecar.outputs();
    outputs.extend([metrics, ready]);
    let enough = outputs
        .iter()
        .any(|(name, bytes)| name == "audit tail" && bytes.len() > 5_000);
    assert!(enough, "the run has left too little to search in");
    let leaks = find_leaks(&outputs, &secrets);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
