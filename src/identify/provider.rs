//! The cryptography behind `jsonwebtoken`: RS256 only, with keys that are parsed once. The library's hooks are plain
//! functions, so the parsed keys are found in one process-wide table. Never holds a private key.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, aws_lc};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature;
use jsonwebtoken::{Algorithm, DecodingKey};

/// A key that `jsonwebtoken` can verify with, for as long as this value lives.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    handle: DecodingKey,
    /// What the table refers to weakly: when the last key set with this key goes, the key goes.
    parsed: Arc<ParsedPublicKey>,
}

impl VerifyingKey {
    /// Parses the key; `None` if AWS-LC refuses it. Both numbers are big-endian without leading zeros.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let components = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        };
        let parsed = components
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .ok()?;
        let parsed = register(parsed);
        Some(Self {
            handle: DecodingKey::from_rsa_der((*parsed).as_ref()),
            parsed,
        })
    }

    /// Whether both are one key: of equal keys that live at a time the table holds one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parsed, &other.parsed)
    }

    /// What `jsonwebtoken` knows the key by.
    pub(super) const fn handle(&self) -> &DecodingKey {
        &self.handle
    }
}

/// Makes RS256 with parsed keys the process's way of verifying. Can be called often; the first call counts.
/// Returns whether it is ours: another part of the process may have installed a provider before.
#[must_use]
pub fn install_provider() -> bool {
    static OURS: LazyLock<bool> = LazyLock::new(|| {
        static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider {
            verifier_factory: rs256,
            ..aws_lc::DEFAULT_PROVIDER.clone()
        });
        PROVIDER.install_default().is_ok()
    });
    *OURS
}

/// By `SubjectPublicKeyInfo`. The same key has one entry however many key sets hold it; entries of keys that no set
/// holds any more are swept when the next key comes.
type Table = HashMap<Box<[u8]>, Weak<ParsedPublicKey>>;

static TABLE: LazyLock<ArcSwap<Table>> = LazyLock::new(ArcSwap::default);
static WRITING: Mutex<()> = Mutex::new(());

fn register(parsed: ParsedPublicKey) -> Arc<ParsedPublicKey> {
    let _one_writer = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let old = TABLE.load();
    if let Some(known) = old.get(parsed.as_ref()).and_then(Weak::upgrade) {
        return known;
    }
    let mut new = Table::clone(&old);
    new.retain(|_, key| key.strong_count() > 0);
    let parsed = Arc::new(parsed);
    new.insert((*parsed).as_ref().into(), Arc::downgrade(&parsed));
    TABLE.store(Arc::new(new));
    parsed
}

fn rs256(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    if *algorithm != Algorithm::RS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let parsed = TABLE
        .load()
        .get(key.try_get_as_bytes()?)
        .and_then(Weak::upgrade);
    Ok(Box::new(Rs256(parsed.ok_or(ErrorKind::InvalidKeyFormat)?)))
}

struct Rs256(Arc<ParsedPublicKey>);

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
