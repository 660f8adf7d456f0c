//! Binance: every published and every derived vector, as requests and frames, and those that must not come out.

use bytes::Bytes;
use http::Method;
use outrider::model::exchange::Security;
use outrider::model::form::{clean, refuse_duplicates};
use outrider::model::frame::Frame;
use outrider::transform::signers::{Session, SignFault, SignInput, Signed, Signer};
use serde_json::Value as Json;

use crate::shared::{at_ms, binance, json, key};

/// Signatures that cannot be recomputed: their keys were never published. The two that the documents call Ed25519 on REST
/// have 256 bytes, so they are RSA's, one of them broken.
const KEYS_NOT_PUBLISHED: [&str; 7] = [
    "rest-rsa-ascii",
    "rest-rsa-nonascii",
    "rest-ed25519-ascii",
    "ws-rsa-ascii",
    "ws-rsa-nonascii",
    "ws-ed25519-ascii",
    "ws-ed25519-nonascii",
];

const OWN: [&str; 2] = ["timestamp", "signature"];

fn vectors() -> Vec<Json> {
    let all = json("binance_vectors.json");
    all["vectors"].as_array().unwrap().clone()
}

fn text<'v>(vector: &'v Json, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_default()
}

fn sign(
    signer: &Signer,
    method: &Method,
    query: &str,
    body: &str,
    ms: i64,
) -> Result<Signed, SignFault> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let input = SignInput {
        method,
        host: "api.binance.com",
        path: "/api/v3/order",
        query,
        body: &body,
        security: Security::Signed,
    };
    signer.sign(&input, &at_ms(ms))
}

/// The value of a parameter of a payload.
fn param<'p>(payload: &'p str, name: &str) -> Option<&'p str> {
    let mut pairs = payload.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

#[test]
fn keys_sign_every_payload_as_published() {
    let mut signed = 0;
    for vector in vectors() {
        let name = text(&vector, "name");
        let Some(key) = key(&vector) else {
            assert!(KEYS_NOT_PUBLISHED.contains(&name), "{name} has no key");
            continue;
        };
        let payload = text(&vector, "payload");
        let signature = key.usual_text(&key.sign(payload.as_bytes()).unwrap());
        assert_eq!(signature, text(&vector, "expected_signature"), "{name}");
        signed += 1;
    }
    assert_eq!(signed, vectors().len() - KEYS_NOT_PUBLISHED.len());
}

#[test]
fn requests_come_out_as_published() {
    let mut signed = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| text(vector, "transport") == "REST")
    {
        let name = text(vector, "name");
        let Some(key) = key(vector) else { continue };
        let (query, body) = match vector["query"].as_str() {
            Some(query) => (query, text(vector, "body")),
            None => (text(vector, "payload"), ""),
        };
        let all = [query, "&", body].concat();
        let ms: i64 = param(&all, "timestamp").unwrap().parse().unwrap();
        // Where the time does not come last, the window behind it is the configured one.
        let window = text(vector, "payload")
            .ends_with("recvWindow=5000")
            .then_some("5000");
        let own: &[&str] = if window.is_some() {
            &["timestamp", "recvWindow"]
        } else {
            &["timestamp"]
        };
        let query = clean(query.as_bytes(), own).unwrap().text;
        let body = clean(body.as_bytes(), own).unwrap().text;
        let signer = binance(
            "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
            key,
            window,
        );
        let out = sign(&signer, &Method::POST, &query, &body, ms).unwrap();
        let encoded = vector["percent_encoded"].as_str();
        let expected = encoded.unwrap_or_else(|| text(vector, "expected_signature"));
        let sent = [out.query.as_str(), std::str::from_utf8(&out.body).unwrap()].concat();
        assert_eq!(
            sent,
            format!("{}&signature={expected}", text(vector, "payload")),
            "{name}"
        );
        assert_eq!(out.headers[0].0, "x-mbx-apikey");
        assert!(out.headers[0].1.is_sensitive());
        signed += 1;
    }
    assert_eq!(signed, 10);
}

#[test]
fn frames_come_out_as_published() {
    let mut signed = 0;
    for vector in vectors()
        .iter()
        .filter(|vector| text(vector, "transport") == "WS-API")
    {
        let name = text(vector, "name");
        let Some(key) = key(vector) else { continue };
        let payload = text(vector, "payload");
        let mut params: Vec<String> = payload
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .filter(|(name, _)| !["apiKey", "timestamp"].contains(name))
            // Numbers stay as they are spelt, texts lose their quotes.
            .map(|(name, value)| match name {
                "recvWindow" => format!("\"{name}\": {value}"),
                "price" => format!("\"{name}\":\t{value} "),
                _ => format!("\"{name}\": \"{value}\""),
            })
            .collect();
        params.reverse();
        let frame = format!(
            "{{\"id\": \"e2a85d9f\", \"method\": \"order.place\", \"params\": {{{}}}}}",
            params.join(", ")
        );
        let ms: i64 = param(payload, "timestamp").unwrap().parse().unwrap();
        let signer = binance(text(vector, "api_key"), key, None);
        let frame = Frame::parse(&frame).unwrap();
        let out = signer
            .sign_frame(&frame, Security::Signed, Session::Anonymous, &at_ms(ms))
            .unwrap();
        let read: Json = serde_json::from_str(&out).unwrap();
        assert_eq!(
            read["params"]["signature"], vector["expected_signature"],
            "{name}"
        );
        assert_eq!(read["params"]["apiKey"], vector["api_key"], "{name}");
        assert_eq!(read["params"]["timestamp"], ms, "{name}");
        assert_eq!(
            (&read["id"], &read["method"]),
            (&"e2a85d9f".into(), &"order.place".into())
        );
        let price = param(payload, "price").unwrap();
        assert!(
            out.contains(&format!("\"price\":{price},")),
            "{name}: {out}"
        );
        signed += 1;
    }
    assert_eq!(signed, 4);
}

fn hmac_signer() -> Signer {
    let vector = &vectors()[0];
    binance(text(vector, "api_key"), key(vector).unwrap(), None)
}

fn signature(signed: &Signed) -> String {
    let sent = [
        signed.query.as_str(),
        std::str::from_utf8(&signed.body).unwrap(),
    ]
    .concat();
    sent.rsplit_once("&signature=").unwrap().1.to_owned()
}

#[test]
fn what_must_not_come_out_does_not() {
    let all = json("binance_vectors.json");
    let negative = |name: &str| {
        let found = all["negative_vectors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|vector| vector["name"] == name);
        found.unwrap().clone()
    };
    let signer = hmac_signer();
    let sign = |query: &str, body: &str| {
        let query = clean(query.as_bytes(), &OWN).unwrap().text;
        let body = clean(body.as_bytes(), &OWN).unwrap().text;
        signature(&sign(&signer, &Method::POST, &query, &body, 1_499_827_319_559).unwrap())
    };

    let raw = negative("raw-utf8-signed-on-rest");
    let encoded = "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3";
    assert_ne!(sign(text(&raw, "payload"), ""), text(&raw, "hmac"));
    assert_eq!(
        sign(text(&raw, "payload"), ""),
        encoded,
        "encoded first, then signed"
    );

    let lower = negative("lowercase-percent-hex");
    assert_eq!(
        sign(text(&lower, "payload"), ""),
        text(&lower, "hmac"),
        "signed as it is sent"
    );

    let joined = negative("ampersand-between-query-and-body");
    let split = text(&joined, "payload").split_once("&quantity").unwrap();
    let split = sign(split.0, &format!("quantity{}", split.1));
    assert_eq!(split, text(&joined, "right_signature_for_mixed_split"));
    assert_ne!(split, text(&joined, "wrong_signature"));

    // The order of the client is kept; only the time moves to the end.
    let sorted = negative("sorted-params");
    let unsorted = sign(text(&vectors()[0], "query"), "");
    assert_eq!(
        unsorted,
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    );
    assert_ne!(unsorted, text(&sorted, "hmac"));

    let upper = negative("uppercase-hmac-hex");
    assert_eq!(unsorted, text(&upper, "signature").to_ascii_lowercase());
}

#[test]
fn a_public_call_gets_no_key_and_no_change() {
    let signer = hmac_signer();
    let body = Bytes::new();
    let mut input = SignInput {
        method: &Method::GET,
        host: "api.binance.com",
        path: "/api/v3/depth",
        query: "symbol=BTCUSDT",
        body: &body,
        security: Security::None,
    };
    let signed = signer.sign(&input, &at_ms(1)).unwrap();
    assert_eq!(
        (signed.query.as_str(), signed.headers.len()),
        ("symbol=BTCUSDT", 0)
    );
    input.security = Security::KeyOnly;
    let signed = signer.sign(&input, &at_ms(1)).unwrap();
    assert_eq!(
        (signed.query.as_str(), signed.headers.len()),
        ("symbol=BTCUSDT", 1)
    );
}

#[test]
fn requests_that_are_not_clean_are_not_signed() {
    let signer = hmac_signer();
    let table = [
        (Method::GET, "timestamp=1", "", SignFault::NotCleaned),
        (Method::GET, "a=1&sign%61ture=x", "", SignFault::NotCleaned),
        (Method::POST, "", "a=1&timestamp=1", SignFault::NotCleaned),
        (Method::GET, "a=1", "b=2", SignFault::BodyOnGet),
    ];
    for (method, query, body, fault) in table {
        assert_eq!(
            sign(&signer, &method, query, body, 1).err(),
            Some(fault),
            "{query} {body}"
        );
    }
    assert_eq!(
        sign(&signer, &Method::GET, "", "", -1).err(),
        Some(SignFault::Time)
    );
}

#[test]
fn the_window_is_the_clients_or_else_ours() {
    let signer = |window| binance("k", key(&vectors()[0]).unwrap(), window);
    let query = |window, query: &str| {
        let signed = sign(&signer(window), &Method::DELETE, query, "", 7).unwrap();
        signed.query.split_once("&signature").unwrap().0.to_owned()
    };
    assert_eq!(query(None, ""), "timestamp=7");
    assert_eq!(
        query(Some("6000.346"), "a=1"),
        "a=1&timestamp=7&recvWindow=6000.346"
    );
    assert_eq!(
        query(Some("5000"), "recvWindow=10000"),
        "recvWindow=10000&timestamp=7"
    );
    assert_eq!(
        query(Some("5000"), "recv%57indow=10000"),
        "recv%57indow=10000&timestamp=7"
    );
}

#[test]
fn logged_on_sessions_send_the_time_alone() {
    let signer = hmac_signer();
    let frame = |text: &str, security, session| {
        signer.sign_frame(&Frame::parse(text).unwrap(), security, session, &at_ms(7))
    };
    let cancel =
        "{\"id\":1,\"method\":\"order.cancel\",\"params\":{\"orderId\":12345678901234567890}}";
    assert_eq!(
        frame(cancel, Security::Signed, Session::LoggedOn).unwrap(),
        "{\"id\":1,\"method\":\"order.cancel\",\"params\":{\"orderId\":12345678901234567890,\"timestamp\":7}}"
    );
    let public = "{\"id\":null,\"method\":\"time\"}";
    assert_eq!(
        frame(public, Security::None, Session::Anonymous).unwrap(),
        public
    );
    assert_eq!(
        frame(
            "{\"method\":\"session.logon\"}",
            Security::Signed,
            Session::Anonymous
        ),
        Err(SignFault::NotAnEd25519Key)
    );
    assert_eq!(
        signer.log_on("1", &at_ms(7)),
        Err(SignFault::NotAnEd25519Key)
    );
    assert!(!signer.can_log_on());
    for value in ["null", "[1]", "{\"a\":1}"] {
        let text = format!("{{\"method\":\"order.place\",\"params\":{{\"x\":{value}}}}}");
        let refused = frame(&text, Security::Signed, Session::Anonymous);
        assert_eq!(
            refused,
            Err(SignFault::Parameter("x".to_owned())),
            "{value}"
        );
    }
    for own in ["apiKey", "timestamp", "signature", "sign\\u0061ture"] {
        let text = format!("{{\"method\":\"order.place\",\"params\":{{\"{own}\":\"x\"}}}}");
        let refused = frame(&text, Security::Signed, Session::Anonymous);
        assert_eq!(refused, Err(SignFault::NotCleaned), "{own}");
    }
}

#[test]
fn ed25519_keys_log_on_and_subscribe() {
    let vectors = vectors();
    let vector = vectors
        .iter()
        .find(|vector| vector["name"] == "derived-ws-ed25519-ascii")
        .unwrap();
    let key_id = text(vector, "api_key");
    let signer = binance(key_id, key(vector).unwrap(), None);
    assert!(signer.can_log_on());
    let payload = format!("apiKey={key_id}&timestamp=7");
    let expected = key(vector).unwrap();
    let expected = expected.usual_text(&expected.sign(payload.as_bytes()).unwrap());
    let subscribe =
        "{\"id\":\"a\",\"method\":\"userDataStream.subscribe.signature\",\"params\":{}}";
    let subscribe = signer
        .sign_frame(
            &Frame::parse(subscribe).unwrap(),
            Security::Signed,
            Session::Anonymous,
            &at_ms(7),
        )
        .unwrap();
    for (text, method) in [
        (signer.log_on("\"a\"", &at_ms(7)).unwrap(), "session.logon"),
        (subscribe, "userDataStream.subscribe.signature"),
    ] {
        let expected = format!(
            "{{\"id\":\"a\",\"method\":\"{method}\",\"params\":{{\"apiKey\":\"{key_id}\",\"timestamp\":7,\"signature\":\"{expected}\"}}}}"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn a_parameter_in_query_and_body_is_refused() {
    assert!(refuse_duplicates("a=1", "b=2").is_ok());
    assert!(refuse_duplicates("a=1", "%61=2").is_err());
}
