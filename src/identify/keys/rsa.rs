//! Which RSA keys are strong enough to be believed, and the name of a key that has none. Never a private key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::DropReason;
use crate::identify::provider::VerifyingKey;

/// An RSA public key: two numbers, big-endian, without leading zeros.
pub(super) struct RsaKey<'k> {
    modulus: &'k [u8],
    exponent: &'k [u8],
}

impl<'k> RsaKey<'k> {
    /// Takes the numbers; leading zeros mean nothing.
    pub(super) fn new(modulus: &'k [u8], exponent: &'k [u8]) -> Self {
        Self {
            modulus: without_zeros(modulus),
            exponent: without_zeros(exponent),
        }
    }

    /// The key ready for use, if it is strong enough.
    pub(super) fn admit(&self) -> Result<VerifyingKey, DropReason> {
        match bits(self.modulus) {
            ..BITS_MIN => return Err(DropReason::TooShort),
            BITS_MIN..=BITS_MAX => {}
            _ => return Err(DropReason::TooLong),
        }
        let exponent = number(self.exponent).ok_or(DropReason::Exponent)?;
        if exponent < EXPONENT_MIN || exponent.is_multiple_of(2) {
            return Err(DropReason::Exponent);
        }
        if self
            .modulus
            .last()
            .is_none_or(|last| last.is_multiple_of(2))
        {
            return Err(DropReason::Malformed);
        }
        if has_roca_fingerprint(self.modulus) {
            return Err(DropReason::Roca);
        }
        VerifyingKey::new(self.modulus, self.exponent).ok_or(DropReason::Malformed)
    }

    /// The SHA-256 thumbprint (RFC 7638): of the members `e`, `kty`, `n` in this order, without space.
    pub(super) fn thumbprint(&self) -> String {
        let part = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            part(self.exponent),
            part(self.modulus)
        );
        URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
    }
}

const BITS_MIN: usize = 2_048;
const BITS_MAX: usize = 8_192;
const EXPONENT_MIN: u32 = 65_537;

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bits(number: &[u8]) -> usize {
    let head = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(head).unwrap_or_default())
}

fn number(bytes: &[u8]) -> Option<u32> {
    let mut padded = [0; 4];
    let start = padded.len().checked_sub(bytes.len())?;
    padded.get_mut(start..)?.copy_from_slice(bytes);
    Some(u32::from_be_bytes(padded))
}

/// The odd primes up to 167: the faulty generator multiplies at least these for every key size.
const ROCA_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus is a power of 65537 modulo each of the primes, as every product of two primes of that generator
/// is (Nemec et al., "The Return of Coppersmith's Attack", section 2.2). Of other keys one in about 2^27 is.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|prime| {
        let remainder = modulus
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == remainder
        })
    })
}
