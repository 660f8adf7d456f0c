//! The documented signatures: each is accepted by the exchange when its clock says that time, and every wrong one is
//! refused.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use http::Method;
use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::ApiKey;
use serde_json::{Value, json};

use crate::world::{HMAC_ID, World, ask};

/// The vectors, or none where the shared data are not.
#[expect(
    clippy::print_stdout,
    reason = "who reads the output sees what was not tested"
)]
fn vectors() -> Option<Value> {
    let named = std::env::var_os("OUTRIDER_SHARED");
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(named.as_deref().unwrap_or_else(|| "../shared".as_ref()))
        .join("exchanges/binance_vectors.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(
            named.is_none(),
            "{} is missing; OUTRIDER_SHARED names the folder of the shared data",
            file.display()
        );
        println!("skipped: {} is not there (OUTRIDER_SHARED)", file.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_default()
}

/// The key of a vector, as the exchange keeps it.
fn key(vector: &Value) -> ApiKey {
    let id = Some(text(vector, "api_key")).filter(|id| !id.is_empty());
    let id = id.unwrap_or(HMAC_ID);
    let der = text(vector, "private_key_pkcs8_der_hex").as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let der: Vec<u8> = der.chunks(2).map(byte).collect();
    match text(vector, "alg") {
        "Ed25519" => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap();
            ApiKey::ed25519(id, pair.public_key().as_ref())
        }
        "RSA-PKCS1v15-SHA256" => {
            let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
            ApiKey::rsa(id, pair.public_key().as_ref())
        }
        _ => ApiKey::hmac(id, &Secret::new(text(vector, "hmac_key_text").to_owned())),
    }
}

fn id(vector: &Value) -> &str {
    Some(text(vector, "api_key"))
        .filter(|id| !id.is_empty())
        .unwrap_or(HMAC_ID)
}

/// The vectors of a transport whose signature can be checked.
fn checked<'v>(all: &'v Value, transport: &str) -> Vec<&'v Value> {
    let all = all["vectors"].as_array().unwrap().iter();
    let found: Vec<&Value> = all
        .filter(|vector| text(vector, "transport") == transport)
        .filter(|vector| matches!(text(vector, "recomputed"), "match" | "derived"))
        .collect();
    assert!(found.len() >= 4, "{transport}");
    found
}

/// Sets the exchange's clock to the vector's time.
fn travel(world: &World, payload: &str) {
    let pairs = payload.split('&');
    let time = pairs
        .filter_map(|pair| pair.split_once("timestamp="))
        .next()
        .unwrap()
        .1;
    let ms: i64 = time.parse().unwrap();
    world.exchange.clock().stop_at_us(ms * 1000);
}

#[tokio::test]
async fn every_signature_for_rest_is_accepted_and_no_other() {
    let Some(all) = vectors() else { return };
    for vector in checked(&all, "REST") {
        let world = World::new().await;
        world.exchange.add_key(key(vector));
        travel(&world, text(vector, "payload"));
        let query = vector["query"]
            .as_str()
            .unwrap_or_else(|| text(vector, "payload"));
        let body = text(vector, "body");
        let encoded = vector["percent_encoded"].as_str();
        let signature = encoded.unwrap_or_else(|| text(vector, "expected_signature"));
        let order = text(vector, "payload").contains("symbol=");
        let (method, path) = if order {
            (Method::POST, "/api/v3/order")
        } else {
            (Method::GET, "/api/v3/account")
        };
        let call = |signature: &str| {
            let sign = |part: &str| format!("{part}&signature={signature}");
            let (target, body) = if body.is_empty() {
                (format!("{path}?{}", sign(query)), String::new())
            } else {
                (format!("{path}?{query}"), sign(body))
            };
            world.send(world.keyed(method.clone(), &target, &body, id(vector)))
        };
        let name = text(vector, "name");
        let wrong = call(
            &signature
                .replacen(&signature[..1], "0", 1)
                .replacen('c', "d", 1),
        )
        .await;
        assert_eq!((wrong.status, wrong.code()), (400, -1022), "{name}");
        let right = call(signature).await;
        // The symbols that are no ASCII are not traded here; the signature before them was right.
        let expected = if text(vector, "payload").contains('%') {
            -1100
        } else {
            0
        };
        assert_eq!(right.code(), expected, "{name}: {right:?}");
        assert_eq!(world.exchange.violations(), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn every_signature_for_web_sockets_is_accepted_and_no_other() {
    let Some(all) = vectors() else { return };
    for vector in checked(&all, "WS-API") {
        let world = World::new().await;
        world.exchange.add_key(key(vector));
        let (name, payload) = (text(vector, "name"), text(vector, "payload"));
        travel(&world, payload);
        let mut socket = world.socket("/ws-api/v3").await;
        let mut params: Value = payload
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        let place = |params: &Value| json!({"id": 1, "method": "order.place", "params": params});
        params["signature"] = json!(text(vector, "expected_signature"));
        let answer = ask(&mut socket, &place(&params)).await;
        let expected = if payload.is_ascii() {
            Value::Null
        } else {
            json!(-1100)
        };
        assert_eq!(answer["error"]["code"], expected, "{name}: {answer}");
        params["price"] = json!("52000.0");
        let answer = ask(&mut socket, &place(&params)).await;
        assert_eq!(answer["error"]["code"], json!(-1022), "{name}: {answer}");
    }
}

#[tokio::test]
async fn what_the_documents_forbid_is_refused() {
    let Some(all) = vectors() else { return };
    let world = World::new().await;
    let first = &all["vectors"][0];
    world.exchange.add_key(key(first));
    travel(&world, text(first, "payload"));
    let call = |query: String, body: String| {
        let target = format!("/api/v3/order/test?{query}");
        world.send(world.keyed(Method::POST, &target, &body, id(first)))
    };
    let negative = |name: &str| {
        let all = all["negative_vectors"].as_array().unwrap().iter();
        all.clone()
            .find(|vector| text(vector, "name") == name)
            .unwrap()
            .clone()
    };
    let raw = negative("lowercase-percent-hex");
    let (payload, hmac) = (text(&raw, "payload"), text(&raw, "hmac"));
    // Signed as it was sent, so the signature is right and only the symbol is wrong.
    let answer = call(format!("{payload}&signature={hmac}"), String::new()).await;
    assert_eq!(answer.code(), -1100);
    let answer = call(
        format!("{}&signature={hmac}", payload.to_uppercase()),
        String::new(),
    )
    .await;
    assert_ne!(answer.code(), 0);
    let joined = negative("ampersand-between-query-and-body");
    let payload = text(&joined, "payload");
    let at = payload.find("&quantity").unwrap();
    let (query, body) = (payload[..at].to_owned(), payload[at + 1..].to_owned());
    let signed = |signature: &str| format!("{body}&signature={signature}");
    let wrong = signed(text(&joined, "wrong_signature"));
    assert_eq!(call(query.clone(), wrong).await.code(), -1022);
    let right = signed(text(&joined, "right_signature_for_mixed_split"));
    assert_eq!(call(query, right).await.status, 200);
    let sorted = negative("sorted-params");
    let (payload, hmac) = (text(&sorted, "payload"), text(&sorted, "hmac"));
    let answer = call(format!("{payload}&signature={hmac}"), String::new()).await;
    assert_eq!(answer.status, 200);
    let upper = negative("uppercase-hmac-hex");
    let signature = text(&upper, "signature");
    let answer = call(
        format!("{}&signature={signature}", text(first, "payload")),
        String::new(),
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn bytes_that_are_not_encoded_are_refused_on_rest() {
    let Some(all) = vectors() else { return };
    let world = World::new().await;
    let first = &all["vectors"][0];
    world.exchange.add_key(key(first));
    travel(&world, text(first, "payload"));
    let raw = all["negative_vectors"][0].clone();
    assert_eq!(text(&raw, "name"), "raw-utf8-signed-on-rest");
    let body = format!("{}&signature={}", text(&raw, "payload"), text(&raw, "hmac"));
    let request = world.keyed(Method::POST, "/api/v3/order", &body, id(first));
    assert_eq!(world.send(request).await.code(), -1022);
}
