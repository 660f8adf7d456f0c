//! The keys that the exchange knows, and whether a signature is one of theirs. Reads public halves and shared secrets
//! only, and shares nothing with Outrider's signers, so that neither can be wrong for the other.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::secret::Secret;

/// Characters of an API key.
const ID_LENGTH: usize = 64;

/// A trader's key, as the exchange keeps it.
#[derive(Clone)]
pub struct ApiKey {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) may_trade: bool,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Hmac(Box<hmac::Key>),
    Ed25519(Vec<u8>),
    Rsa(Vec<u8>),
}

impl ApiKey {
    /// A key whose requests are signed with HMAC-SHA256; the secret's text itself is the key.
    #[must_use]
    pub fn hmac(id: &str, secret: &Secret<String>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        Self::new(id, Material::Hmac(Box::new(key)))
    }

    /// A key of Ed25519: its public half as 32 bytes, or as DER (RFC 5280 SubjectPublicKeyInfo).
    #[must_use]
    pub fn ed25519(id: &str, public: &[u8]) -> Self {
        Self::new(id, Material::Ed25519(public.to_vec()))
    }

    /// A key of RSA, 2048 bits or more: its public half as DER (RFC 5280 SubjectPublicKeyInfo or RFC 8017
    /// RSAPublicKey).
    #[must_use]
    pub fn rsa(id: &str, public: &[u8]) -> Self {
        Self::new(id, Material::Rsa(public.to_vec()))
    }

    /// The account that the key trades for; without it, all keys share one.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        account.clone_into(&mut self.account);
        self
    }

    /// A key that may read and not trade.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.may_trade = false;
        self
    }

    fn new(id: &str, material: Material) -> Self {
        Self {
            id: id.to_owned(),
            account: "main".to_owned(),
            may_trade: true,
            material,
        }
    }

    /// Whether a WebSocket session can be authenticated with it.
    pub(super) fn may_log_on(&self) -> bool {
        matches!(self.material, Material::Ed25519(_))
    }

    /// Whether `signature` is this key's, over exactly these bytes. HMAC is hexadecimal in any letter case, the others
    /// are base64 with padding.
    pub(super) fn verifies(&self, payload: &[u8], signature: &str) -> bool {
        match &self.material {
            Material::Hmac(key) => {
                unhex(signature).is_some_and(|tag| hmac::verify(key, payload, &tag).is_ok())
            }
            Material::Ed25519(public) => STANDARD.decode(signature).is_ok_and(|bytes| {
                let public = UnparsedPublicKey::new(&ED25519, public);
                public.verify(payload, &bytes).is_ok()
            }),
            Material::Rsa(public) => STANDARD.decode(signature).is_ok_and(|bytes| {
                let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
                public.verify(payload, &bytes).is_ok()
            }),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.material {
            Material::Hmac(_) => "HMAC-SHA256",
            Material::Ed25519(_) => "Ed25519",
            Material::Rsa(_) => "RSA",
        };
        write!(out, "ApiKey({kind}, of {})", self.account)
    }
}

/// Whether a text can be an API key at all.
pub(super) fn well_formed(id: &str) -> bool {
    id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    bytes.collect()
}
