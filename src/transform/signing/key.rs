//! Keys that sign, parsed once when they are loaded. Never shows one: no `Debug` of content, nothing of it in a fault.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use zeroize::Zeroizing;

use super::SignFault;
use super::encoding::{Encoding, from_base64, from_hex};
use super::pem;
use crate::model::secret::Secret;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 2104 with SHA-256.
    HmacSha256,
    /// RFC 2104 with SHA-384.
    HmacSha384,
    /// RFC 2104 with SHA-512.
    HmacSha512,
    /// RFC 8032.
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 4096 bits (RFC 8017 section 8.2).
    RsaSha256,
    /// ECDSA on P-256 with SHA-256; a signature is `r` and `s`, 32 bytes each (RFC 7518 section 3.4).
    EcdsaP256,
}

/// How the text of a secret becomes a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// Its bytes are the key (HMAC).
    #[default]
    Utf8,
    /// Base64 (HMAC).
    Base64,
    /// Hexadecimal (HMAC).
    Hex,
    /// PEM: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC1.
    Pem,
    /// Base64 whose first 32 bytes are an Ed25519 seed; the public key may follow.
    Base64Seed32,
}

/// The key encodings by name.
pub(super) const KEY_ENCODINGS: &[(&str, KeyEncoding)] = &[
    ("utf8", KeyEncoding::Utf8),
    ("base64", KeyEncoding::Base64),
    ("hex", KeyEncoding::Hex),
    ("pem", KeyEncoding::Pem),
    ("base64-seed32", KeyEncoding::Base64Seed32),
];

/// A key that is ready to sign.
pub struct SigningKey(Inner);

enum Inner {
    Hmac(Box<hmac::Key>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

/// Why a secret is no key, a sentence that names nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFault(pub &'static str);

/// The shortest RSA key that exchanges take.
const RSA_BITS_MIN: usize = 2048;
/// The longest: a longer one costs milliseconds for each order.
const RSA_BITS_MAX: usize = 4096;

impl SigningKey {
    /// Reads a key; `password` opens an encrypted PEM and must not be given for another key.
    pub fn load(
        algorithm: Algorithm,
        encoding: KeyEncoding,
        secret: &Secret<Vec<u8>>,
        password: Option<&Secret<Vec<u8>>>,
    ) -> Result<Self, KeyFault> {
        let text = secret.expose_secret().trim_ascii();
        if text.is_empty() {
            return Err(KeyFault("the key is empty"));
        }
        if let Some(digest) = algorithm.hmac() {
            return hmac_key(digest, encoding, text, password);
        }
        match encoding {
            KeyEncoding::Pem => asymmetric(algorithm, &pem::read(text, password)?),
            KeyEncoding::Base64Seed32 if algorithm == Algorithm::Ed25519 => ed25519_seed(text),
            KeyEncoding::Base64Seed32 => Err(KeyFault("base64-seed32 is for Ed25519 keys")),
            KeyEncoding::Utf8 | KeyEncoding::Base64 | KeyEncoding::Hex => {
                Err(KeyFault("this algorithm takes a key in PEM"))
            }
        }
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFault> {
        match &self.0 {
            Inner::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Inner::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(|_| SignFault::Crypto)?;
                Ok(signature.as_ref().to_vec())
            }
            Inner::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(|_| SignFault::Crypto)?;
                Ok(signature)
            }
            Inner::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                Ok(signature.map_err(|_| SignFault::Crypto)?.as_ref().to_vec())
            }
        }
    }

    /// Whether this is an Ed25519 key, the only kind that may log a session on.
    #[must_use]
    pub const fn is_ed25519(&self) -> bool {
        matches!(self.0, Inner::Ed25519(_))
    }

    /// A signature as Binance and others write it: MACs in hexadecimal, others in base64.
    #[must_use]
    pub fn usual_text(&self, signature: &[u8]) -> String {
        let encoding = match self.0 {
            Inner::Hmac(_) => Encoding::Hex,
            Inner::Ed25519(_) | Inner::Rsa(_) | Inner::Ecdsa(_) => Encoding::Base64,
        };
        // Both are ASCII.
        String::from_utf8(encoding.encode(signature)).unwrap_or_default()
    }

    /// The public key (RSA: PKCS#1 DER; Ed25519: 32 bytes; P-256: an uncompressed point), to be shown to the exchange.
    #[must_use]
    pub fn public_key(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Inner::Hmac(_) => None,
            Inner::Ed25519(pair) => Some(pair.public_key().as_ref().to_vec()),
            Inner::Rsa(pair) => Some(pair.public_key().as_ref().to_vec()),
            Inner::Ecdsa(pair) => Some(pair.public_key().as_ref().to_vec()),
        }
    }
}

impl Algorithm {
    /// Whether it is a MAC: the key is a text, not a PEM.
    #[must_use]
    pub const fn is_mac(self) -> bool {
        self.hmac().is_some()
    }

    const fn hmac(self) -> Option<hmac::Algorithm> {
        match self {
            Self::HmacSha256 => Some(hmac::HMAC_SHA256),
            Self::HmacSha384 => Some(hmac::HMAC_SHA384),
            Self::HmacSha512 => Some(hmac::HMAC_SHA512),
            Self::Ed25519 | Self::RsaSha256 | Self::EcdsaP256 => None,
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            Inner::Hmac(_) => "SigningKey(HMAC)",
            Inner::Ed25519(_) => "SigningKey(Ed25519)",
            Inner::Rsa(_) => "SigningKey(RSA)",
            Inner::Ecdsa(_) => "SigningKey(P-256)",
        })
    }
}

impl std::fmt::Display for KeyFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for KeyFault {}

fn hmac_key(
    digest: hmac::Algorithm,
    encoding: KeyEncoding,
    text: &[u8],
    password: Option<&Secret<Vec<u8>>>,
) -> Result<SigningKey, KeyFault> {
    if password.is_some() {
        return Err(KeyFault(
            "a password is for an encrypted PEM; an HMAC key has none",
        ));
    }
    if text.starts_with(b"-----BEGIN") {
        return Err(KeyFault(
            "this is a PEM, and HMAC takes the secret as the exchange shows it",
        ));
    }
    let bytes = match encoding {
        KeyEncoding::Utf8 => Ok(text.to_vec()),
        KeyEncoding::Base64 => {
            from_base64(text).ok_or("the key is not base64, as this exchange's keys are")
        }
        KeyEncoding::Hex => std::str::from_utf8(text)
            .ok()
            .and_then(from_hex)
            .ok_or("the key is not hexadecimal digits, as this exchange's keys are"),
        KeyEncoding::Pem | KeyEncoding::Base64Seed32 => {
            return Err(KeyFault("HMAC takes a key in utf8, base64 or hex"));
        }
    };
    let bytes = Zeroizing::new(bytes.map_err(KeyFault)?);
    Ok(SigningKey(Inner::Hmac(Box::new(hmac::Key::new(
        digest, &bytes,
    )))))
}

fn ed25519_seed(text: &[u8]) -> Result<SigningKey, KeyFault> {
    const FAULT: KeyFault =
        KeyFault("the key is not base64 of a 32-byte seed, or of seed and public key");
    let bytes = Zeroizing::new(from_base64(text).ok_or(FAULT)?);
    let (seed, public) = bytes.split_at_checked(32).ok_or(FAULT)?;
    let pair = match public.len() {
        0 => Ed25519KeyPair::from_seed_unchecked(seed),
        32 => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        _ => return Err(FAULT),
    };
    let pair = pair.map_err(|_| KeyFault("the public key does not belong to the seed"))?;
    Ok(SigningKey(Inner::Ed25519(Box::new(pair))))
}

fn asymmetric(algorithm: Algorithm, found: &pem::PrivateKey) -> Result<SigningKey, KeyFault> {
    use pem::Form;
    let der = found.der.as_slice();
    let key = match (algorithm, found.form) {
        (Algorithm::Ed25519, Form::Pkcs8) => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map_err(|_| KeyFault("the PEM holds no Ed25519 key"))?;
            Inner::Ed25519(Box::new(pair))
        }
        (Algorithm::RsaSha256, Form::Pkcs8) => rsa(RsaKeyPair::from_pkcs8(der).ok())?,
        (Algorithm::RsaSha256, Form::Pkcs1) => rsa(RsaKeyPair::from_der(der).ok())?,
        (Algorithm::EcdsaP256, Form::Pkcs8) => {
            ecdsa(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok())?
        }
        (Algorithm::EcdsaP256, Form::Sec1) => {
            ecdsa(EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok())?
        }
        (
            Algorithm::Ed25519
            | Algorithm::RsaSha256
            | Algorithm::EcdsaP256
            | Algorithm::HmacSha256
            | Algorithm::HmacSha384
            | Algorithm::HmacSha512,
            _,
        ) => return Err(KeyFault("the PEM holds a key for another algorithm")),
    };
    Ok(SigningKey(key))
}

fn rsa(pair: Option<RsaKeyPair>) -> Result<Inner, KeyFault> {
    let pair = pair.ok_or(KeyFault(
        "the PEM holds no RSA key, or one that is not sound",
    ))?;
    if !is_usual_rsa(pair.public_modulus_len()) {
        return Err(KeyFault("the RSA key has not 2048 to 4096 bits"));
    }
    Ok(Inner::Rsa(Box::new(pair)))
}

/// Whether exchanges take an RSA key of so many bytes.
fn is_usual_rsa(modulus_bytes: usize) -> bool {
    (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&modulus_bytes.saturating_mul(8))
}

fn ecdsa(pair: Option<EcdsaKeyPair>) -> Result<Inner, KeyFault> {
    let pair = pair.ok_or(KeyFault("the PEM holds no P-256 key"))?;
    Ok(Inner::Ecdsa(Box::new(pair)))
}

#[cfg(test)]
mod tests;
