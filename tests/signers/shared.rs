//! The shared vectors, and keys out of them.

use std::path::PathBuf;

use outrider::model::secret::Secret;
use outrider::transform::signers::{
    Algorithm, BinanceSettings, Fresh, KeyEncoding, RecvWindow, Signer, SigningKey,
};
use serde_json::Value as Json;

/// A file of the folder with what is known of exchanges.
pub(crate) fn text(name: &str) -> String {
    let folder = std::env::var_os("OUTRIDER_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    std::fs::read_to_string(folder.join("exchanges").join(name)).unwrap()
}

pub(crate) fn json(name: &str) -> Json {
    serde_json::from_str(&text(name)).unwrap()
}

pub(crate) fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

/// A private key in DER as the PEM that people have.
pub(crate) fn pem(der_hex: &str) -> String {
    use base64::Engine as _;
    let digits = der_hex.as_bytes().chunks(2);
    let der: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let label = "PRIVATE KEY";
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The key of a vector of Binance; none if it was never published.
pub(crate) fn key(vector: &Json) -> Option<SigningKey> {
    if let Some(text) = vector["hmac_key_text"].as_str() {
        let key = SigningKey::load(
            Algorithm::HmacSha256,
            KeyEncoding::Utf8,
            &secret(text),
            None,
        );
        return Some(key.unwrap());
    }
    let der = vector["private_key_pkcs8_der_hex"].as_str()?;
    let algorithm = match vector["alg"].as_str().unwrap() {
        "Ed25519" => Algorithm::Ed25519,
        "RSA-PKCS1v15-SHA256" => Algorithm::RsaSha256,
        other => panic!("{other}"),
    };
    let key = SigningKey::load(algorithm, KeyEncoding::Pem, &secret(&pem(der)), None);
    Some(key.unwrap())
}

/// Binance's signer with the key of a vector.
pub(crate) fn binance(key_id: &str, key: SigningKey, recv_window: Option<&str>) -> Signer {
    let settings = BinanceSettings {
        recv_window: recv_window.map(|text| RecvWindow::parse(text).unwrap()),
        ..BinanceSettings::default()
    };
    Signer::binance(settings, secret(key_id), key).unwrap()
}

/// A moment, without randomness.
pub(crate) fn at_ms(ms: i64) -> Fresh {
    Fresh {
        unix_us: ms * 1000,
        nonce: u64::try_from(ms).unwrap_or_default(),
        random: [0; 32],
    }
}
