//! A token issuer for tests: keys made at test time, tokens good and broken. Never used outside tests.
//!
//! Included with `#[path = "../support/tokens.rs"] mod tokens;`.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Someone who signs tokens with one RSA key.
pub(crate) struct Issuer {
    pair: RsaKeyPair,
    /// The name of the key, in its JWK.
    pub(crate) kid: String,
}

impl Issuer {
    /// Makes a key of 2048, 3072, 4096 or 8192 bits, named `test-key`.
    pub(crate) fn new(bits: u32) -> Self {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            other => panic!("no keys of {other} bits"),
        };
        Self {
            pair: RsaKeyPair::generate(size).unwrap(),
            kid: "test-key".to_owned(),
        }
    }

    /// The same with another name.
    pub(crate) fn named(mut self, kid: &str) -> Self {
        self.kid = kid.to_owned();
        self
    }

    /// The modulus, big-endian.
    pub(crate) fn modulus(&self) -> Vec<u8> {
        self.pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec()
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let exponent = self.pair.public_key().exponent();
        json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": b64(&self.modulus()),
            "e": b64(exponent.big_endian_without_leading_zero()),
        })
    }

    /// A JWK Set with this key.
    pub(crate) fn jwks(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }

    /// The public key as DER (`SubjectPublicKeyInfo`).
    pub(crate) fn der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    /// The public key as PEM (`PUBLIC KEY`).
    pub(crate) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// The public key as PEM (`RSA PUBLIC KEY`, PKCS#1).
    pub(crate) fn pkcs1_pem(&self) -> String {
        pem("RSA PUBLIC KEY", self.pair.public_key().as_ref())
    }

    /// An RS256 token with exactly this header and these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// The same for texts that no JSON library would write.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        self.sign_parts(&b64(header.as_bytes()), &b64(claims.as_bytes()))
    }

    /// The same for parts that are not even base64.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        self.sign_parts_with(&RSA_PKCS1_SHA256, header, claims)
    }

    /// Signs with another RSA scheme.
    pub(crate) fn sign_parts_with(
        &self,
        scheme: &'static dyn RsaEncoding,
        header: &str,
        claims: &str,
    ) -> String {
        let message = format!("{header}.{claims}");
        let signature = self.signature(scheme, message.as_bytes());
        format!("{message}.{}", b64(&signature))
    }

    /// The bare signature of a message.
    pub(crate) fn signature(&self, scheme: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(scheme, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }

    /// The header that this issuer gives its access tokens.
    pub(crate) fn header(&self) -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": self.kid})
    }
}

/// A token of any header, claims and signature.
pub(crate) fn compose(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| b64(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), b64(signature))
}

/// Base64url without padding.
pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A PEM block.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
