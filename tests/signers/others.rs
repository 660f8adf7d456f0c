//! The declared signers: every vector, with the signers that come with the program and with the scheme as it was first
//! written down.

use bytes::Bytes;
use http::Method;
use outrider::config::signers::{SigningRule, named, program};
use outrider::model::exchange::Security;
use outrider::model::form::clean;
use outrider::transform::signers::{
    Fresh, Needs, Program, Secrets, SignInput, Signed, Signer, TimeUnit,
};
use serde_json::Value as Json;

use crate::shared::{json, secret, text};

const TIME_MS: i64 = 1_714_000_000_123;

fn vectors() -> Vec<Json> {
    json("other_vectors.json").as_array().unwrap().clone()
}

/// The randomness that the vectors were made with.
fn fresh(exchange: &str, time_ms: i64) -> Fresh {
    let half: u128 = match exchange {
        "upbit" => 0x3f1c_1d9e_0000_4000_8000_0123_4567_89ab,
        _ => 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
    };
    let mut random = [0; 32];
    random[..16].copy_from_slice(&half.to_be_bytes());
    Fresh {
        unix_us: time_ms * 1000,
        nonce: u64::try_from(time_ms).unwrap(),
        random,
    }
}

fn signer(program: &Program, credentials: &[(&str, Option<&str>)]) -> Signer {
    let mut secrets = Secrets::default();
    for (name, value) in credentials {
        if let Some(value) = value.filter(|_| program.secrets().any(|known| known == *name)) {
            secrets.insert(*name, secret(value));
        }
    }
    Signer::scheme(program, secrets).unwrap()
}

/// Signs the request of a vector as a client without keys would have sent it.
fn sign(signer: &Signer, vector: &Json, fresh: &Fresh, strip: &[&str]) -> (String, Signed) {
    let url = vector["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://")
        .unwrap();
    let (host, target) = url.split_at(url.find('/').unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = clean(query.as_bytes(), strip).unwrap().text;
    let body = vector["body"].as_str().unwrap_or_default();
    let body = if body.starts_with('{') {
        body.to_owned()
    } else {
        clean(body.as_bytes(), strip).unwrap().text
    };
    let body = Bytes::from(body);
    let method = Method::from_bytes(vector["method"].as_str().unwrap().as_bytes()).unwrap();
    let input = SignInput {
        method: &method,
        host,
        path,
        query: &query,
        body: &body,
        security: Security::Signed,
    };
    let signed = signer.sign(&input, fresh).unwrap();
    let query = if signed.query.is_empty() {
        String::new()
    } else {
        format!("?{}", signed.query)
    };
    (format!("https://{host}{path}{query}"), signed)
}

/// Compares everything that the signer set, and what it sent.
fn compare(vector: &Json, url: &str, signed: &Signed) {
    let exchange = &vector["exchange"];
    assert_eq!(url, vector["url"], "{exchange}");
    assert_eq!(
        signed.body,
        vector["body"].as_str().unwrap_or_default(),
        "{exchange}"
    );
    let expected: Vec<(String, &str)> = vector["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap()))
        .filter(|(name, _)| {
            !["content-type", "referer"].contains(&name.as_str()) && !name.contains("partner")
        })
        .collect();
    assert_eq!(signed.headers.len(), expected.len(), "{exchange}");
    for (name, value) in expected {
        let (_, found) = signed
            .headers
            .iter()
            .find(|(known, _)| *known == name.as_str())
            .unwrap();
        assert_eq!(found, value, "{exchange} {name}");
        assert!(found.is_sensitive(), "{exchange} {name}");
    }
}

#[test]
fn the_scheme_signs_every_vector() {
    let specs = text("signer_specs.yaml");
    let mut count = 0;
    for vector in vectors() {
        let exchange = vector["exchange"].as_str().unwrap();
        if exchange == "kraken-official" {
            continue;
        }
        let spec = section(&specs, exchange);
        let (program, _) =
            program(exchange, &spec).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let credentials = &vector["credentials"];
        let signer = signer(
            &program,
            &[
                ("apiKey", credentials["apiKey"].as_str()),
                ("secret", credentials["hmac_key_text"].as_str()),
                ("password", credentials["password"].as_str()),
            ],
        );
        // Binance's vectors keep the time where that client puts it.
        let strip: &[&str] = if exchange == "kraken" {
            &["nonce"]
        } else {
            &["signature"]
        };
        let (url, signed) = sign(&signer, &vector, &fresh(exchange, TIME_MS), strip);
        compare(&vector, &url, &signed);
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn the_signers_of_the_program_sign_every_vector() {
    let mut count = 0;
    for vector in vectors() {
        let exchange = vector["exchange"].as_str().unwrap();
        let name = match exchange {
            "bybit-v5" => "bybit",
            "gate-v4" => "gate",
            "coinbase-advanced-eddsa" => "coinbase",
            // The first is Rust's, the second has no request around it.
            "binance-spot" | "kraken-official" => continue,
            other => other,
        };
        let SigningRule::Scheme(program) = named(name).unwrap() else {
            panic!("{name} is written in Rust");
        };
        let credentials = &vector["credentials"];
        let signer = signer(
            &program,
            &[
                ("key_id", credentials["apiKey"].as_str()),
                ("key", credentials["hmac_key_text"].as_str()),
                ("passphrase", credentials["password"].as_str()),
            ],
        );
        let own = signer.own();
        let strip: Vec<&str> = own.params.iter().map(String::as_str).collect();
        let (url, signed) = sign(&signer, &vector, &fresh(exchange, TIME_MS), &strip);
        compare(&vector, &url, &signed);
        let set: Vec<_> = signed
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(own.headers, set, "{exchange}");
        count += 1;
    }
    assert_eq!(count, 13);
}

#[test]
fn kraken_signs_its_own_example() {
    let vector = vectors()
        .into_iter()
        .find(|vector| vector["exchange"] == "kraken-official")
        .unwrap();
    let SigningRule::Scheme(program) = named("kraken").unwrap() else {
        panic!("kraken is written in Rust");
    };
    let signer = signer(
        &program,
        &[
            ("key_id", Some("id")),
            ("key", vector["secret_b64"].as_str()),
        ],
    );
    assert_eq!(
        signer.needs(),
        Needs {
            nonce: Some(TimeUnit::Milliseconds),
            random: false
        }
    );
    let body = clean(vector["body"].as_str().unwrap().as_bytes(), &["nonce"])
        .unwrap()
        .text;
    let input = SignInput {
        method: &Method::POST,
        host: "api.kraken.com",
        path: vector["path"].as_str().unwrap(),
        query: "",
        body: &Bytes::from(body),
        security: Security::Signed,
    };
    let time = vector["nonce"].as_str().unwrap().parse().unwrap();
    let signed = signer.sign(&input, &fresh("kraken", time)).unwrap();
    assert_eq!(signed.body, vector["body"].as_str().unwrap());
    assert_eq!(
        signed.headers[1].1,
        vector["expected_api_sign"].as_str().unwrap()
    );
}

/// ECDSA signs with a random number, so there is no vector: the token is verified with the other half of the key.
#[test]
fn a_token_of_coinbase_with_a_p256_key_is_verified_by_its_public_half() {
    use base64::Engine as _;
    let SigningRule::Scheme(program) = named("coinbase-es256").unwrap() else {
        panic!("coinbase-es256 is written in Rust");
    };
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = pair.serialize_pem();
    let signer = signer(
        &program,
        &[
            ("key_id", Some("organizations/a/apiKeys/b")),
            ("key", Some(&pem)),
        ],
    );
    let body = Bytes::new();
    let input = SignInput {
        method: &Method::GET,
        host: "api.coinbase.com",
        path: "/api/v3/brokerage/accounts",
        query: "limit=1",
        body: &body,
        security: Security::Signed,
    };
    let signed = signer.sign(&input, &fresh("coinbase", TIME_MS)).unwrap();
    let token = signed.headers[0].1.to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let signature = base64.decode(signature).unwrap();
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
        pair.public_key_raw(),
    );
    public.verify(message.as_bytes(), &signature).unwrap();
    let parts = message.split('.').map(|part| base64.decode(part).unwrap());
    let [header, claims] = parts
        .map(|part| serde_json::from_slice::<Json>(&part).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&"ES256".into(), &"organizations/a/apiKeys/b".into())
    );
    assert_eq!(
        claims["uri"],
        "GET api.coinbase.com/api/v3/brokerage/accounts"
    );
    assert_eq!(claims["sub"], "organizations/a/apiKeys/b");
}

/// One rule of the file of rules. It calls the name of the key a secret, and says nowhere that it is public.
fn section(specs: &str, name: &str) -> String {
    let begin = format!("{name}:\n");
    let lines = specs
        .split_inclusive('\n')
        .skip_while(|line| *line != begin)
        .skip(1);
    let body: String = lines.take_while(|line| line.starts_with(' ')).collect();
    assert!(!body.is_empty(), "{name}");
    let public = if body.contains("payload: \"{ts}{secret.apiKey}") || body.contains("jwt:") {
        "  public: [apiKey]\n"
    } else {
        ""
    };
    format!("{public}{body}")
}
