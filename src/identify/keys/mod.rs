//! The issuer's public keys, from PEM, a JWK or a JWK Set (RFC 7517). Weak and misused keys are dropped with a reason;
//! a text that should never be here (private keys, two keys of one name) is refused whole. Never reads a file.

mod jwk;
mod pem;
mod rsa;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::provider::VerifyingKey;
use super::reason::Reason;

/// The most keys of one text.
pub const KEYS_MAX: usize = 64;

/// Keys by `kid`; at least one.
pub struct KeySet {
    keys: HashMap<String, Key>,
    /// Of tokens without a `kid`: in force as long as the only key is the only one.
    nameless: Standing,
}

/// A key and whether tokens that name it are still remembered.
struct Key {
    verifying: VerifyingKey,
    standing: Standing,
}

/// The key for a token, and what says how long the verdict may be remembered.
pub(super) struct Found<'k> {
    pub(super) verifying: &'k VerifyingKey,
    pub(super) standing: &'k Standing,
}

/// Whether a key is still what it was when a token was verified with it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<AtomicBool>);

impl Standing {
    /// Whether it is.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }

    fn retire(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl KeySet {
    /// Reads the keys. `kid` names a PEM key; without it a PEM key, or a JWK without one, goes by its RFC 7638
    /// thumbprint. Also tells which keys are not used, and why.
    ///
    /// # Errors
    /// The text as a whole is not acceptable.
    pub fn parse(text: &str, kid: Option<&str>) -> Result<(Self, Vec<DroppedKey>), KeyError> {
        let candidates = if text.trim_start().starts_with('{') {
            if kid.is_some() {
                return Err(KeyError::KidForJwk);
            }
            jwk::read(text)?
        } else {
            pem::read(text, kid)?
        };
        if candidates.len() > KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        Self::choose(candidates)
    }

    /// Reads a document that was fetched: a JWK or a JWK Set, never PEM.
    ///
    /// # Errors
    /// The document as a whole is not acceptable.
    pub(super) fn parse_fetched(document: &[u8]) -> Result<(Self, Vec<DroppedKey>), KeyError> {
        let text = std::str::from_utf8(document).map_err(|_| KeyError::NotJwk)?;
        if !text.trim_start().starts_with('{') {
            return Err(KeyError::NotJwk);
        }
        Self::parse(text, None)
    }

    /// How many keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes the standing of the keys that are the same in the set before. Whether all are, and there are no others.
    pub(super) fn inherit(&mut self, old: &Self) -> bool {
        let mut same = self.keys.len() == old.keys.len();
        for (kid, key) in &mut self.keys {
            match old.keys.get(kid) {
                Some(before) if before.verifying.is_same(&key.verifying) => {
                    key.standing = before.standing.clone();
                }
                Some(_) | None => same = false,
            }
        }
        if same {
            self.nameless = old.nameless.clone();
        }
        same
    }

    /// What the set after did not inherit is out of force.
    pub(super) fn retire_all_but(&self, new: &Self) {
        let stays = |kid: &str, key: &Key| {
            let now = new.keys.get(kid);
            now.is_some_and(|now| now.verifying.is_same(&key.verifying))
        };
        for (_, key) in self.keys.iter().filter(|(kid, key)| !stays(kid, key)) {
            key.standing.retire();
        }
        self.nameless.retire();
    }

    /// Every key is out of force.
    pub(super) fn retire_all(&self) {
        for key in self.keys.values() {
            key.standing.retire();
        }
        self.nameless.retire();
    }

    /// The names of the keys, sorted.
    #[must_use]
    pub fn kids(&self) -> Vec<&str> {
        let mut kids: Vec<_> = self.keys.keys().map(String::as_str).collect();
        kids.sort_unstable();
        kids
    }

    /// The key of this name; without a name the only key, if it is the only one.
    pub(super) fn find(&self, kid: Option<&str>) -> Result<Found<'_>, Reason> {
        let (key, standing) = match kid {
            Some(kid) => {
                let key = self.keys.get(kid).ok_or(Reason::KidUnknown)?;
                (key, &key.standing)
            }
            None if self.keys.len() == 1 => {
                let key = self.keys.values().next().ok_or(Reason::KidMissing)?;
                (key, &self.nameless)
            }
            None => return Err(Reason::KidMissing),
        };
        Ok(Found {
            verifying: &key.verifying,
            standing,
        })
    }

    /// Names are compared among all keys, also those that are dropped.
    fn choose(candidates: Vec<Candidate>) -> Result<(Self, Vec<DroppedKey>), KeyError> {
        let mut keys = HashMap::new();
        let mut dropped = Vec::new();
        for Candidate { kid, key } in candidates {
            match keys.entry(kid) {
                Entry::Occupied(taken) => return Err(KeyError::DuplicateKid(taken.key().clone())),
                Entry::Vacant(place) => {
                    if let Err(reason) = &key {
                        dropped.push(DroppedKey {
                            kid: place.key().clone(),
                            reason: *reason,
                        });
                    }
                    place.insert(key.ok());
                }
            }
        }
        let usable = |(kid, key): (String, Option<VerifyingKey>)| {
            let standing = Standing::default();
            key.map(|verifying| {
                (
                    kid,
                    Key {
                        verifying,
                        standing,
                    },
                )
            })
        };
        let keys: HashMap<_, _> = keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            Err(KeyError::NoneUsable(dropped))
        } else {
            let nameless = Standing::default();
            Ok((Self { keys, nameless }, dropped))
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("KeySet").field(&self.kids()).finish()
    }
}

/// A key of the text, with its name, before it is known whether it is used.
struct Candidate {
    kid: String,
    key: Result<VerifyingKey, DropReason>,
}

/// A key that is not used: tokens that name it are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedKey {
    /// Its name; `#2` for the second key of the text if it has none.
    pub kid: String,
    /// Why.
    pub reason: DropReason,
}

impl fmt::Display for DroppedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "key `{}` is not used: {}",
            self.kid.escape_debug(),
            self.reason
        )
    }
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not an RSA key.
    NotRsa,
    /// A member is missing, has the wrong type, or is not base64url; or the modulus is even; or AWS-LC refuses the key.
    Malformed,
    /// `use` is not `sig`.
    Use,
    /// `key_ops` does not name `verify`.
    KeyOps,
    /// `alg` is not RS256.
    Algorithm,
    /// Fewer than 2048 bits.
    TooShort,
    /// More than 8192 bits: verifying takes too long.
    TooLong,
    /// Even, one, below 65537, or more than 32 bits.
    Exponent,
    /// Made by the faulty generator of CVE-2017-15361 ("ROCA"): the private key can be computed from it.
    Roca,
}

impl DropReason {
    /// A stable word, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRsa => "not_rsa",
            Self::Malformed => "malformed",
            Self::Use => "use",
            Self::KeyOps => "key_ops",
            Self::Algorithm => "algorithm",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Exponent => "exponent",
            Self::Roca => "roca",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotRsa => "it is not an RSA public key",
            Self::Malformed => "it is malformed",
            Self::Use => "its `use` is not `sig`",
            Self::KeyOps => "its `key_ops` do not name `verify`",
            Self::Algorithm => "its `alg` is not `RS256`",
            Self::TooShort => "it has fewer than 2048 bits",
            Self::TooLong => "it has more than 8192 bits",
            Self::Exponent => "its exponent is not an odd number from 65537 to 2^32",
            Self::Roca => "it was made by a faulty generator (CVE-2017-15361, ROCA)",
        })
    }
}

/// Why a text of keys is refused whole. Never quotes the text: it may hold what nobody should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Neither PEM nor a JSON object.
    NotKeys,
    /// Not JSON, or a member name appears twice.
    Json {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
    },
    /// JSON, but neither a JWK (`kty`) nor a JWK Set (`keys`, a list of objects), or both at once.
    NotJwk,
    /// A private key.
    Private,
    /// A symmetric key.
    Symmetric,
    /// A certificate.
    Certificate,
    /// A PEM block of another kind, or one that does not end or is not base64.
    Pem,
    /// A `kid` for a JWK, which has its own.
    KidForJwk,
    /// More than [`KEYS_MAX`] keys.
    TooMany,
    /// Two keys of this name.
    DuplicateKid(String),
    /// No key is left.
    NoneUsable(Vec<DroppedKey>),
    /// Another part of the process decides how tokens are verified.
    ForeignProvider,
}

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKeys => out.write_str("this is neither a PEM public key, a JWK nor a JWK Set"),
            Self::Json { line, column } => write!(
                out,
                "this is not JSON, or a member name appears twice (line {line}, column {column} of the keys)"
            ),
            Self::NotJwk => out.write_str("this is JSON, but neither a JWK nor a JWK Set"),
            Self::Private => out.write_str(
                "this holds a private key, which only the issuer may have: give the public key, and replace this one",
            ),
            Self::Symmetric => out.write_str(
                "this holds a symmetric key: whoever can verify with it can also issue; give RSA public keys",
            ),
            Self::Certificate => out.write_str(
                "this is a certificate: give its key (`openssl x509 -in FILE -pubkey -noout`)",
            ),
            Self::Pem => out.write_str("this PEM holds something other than whole public keys"),
            Self::KidForJwk => out.write_str("`kid` names a PEM key; a JWK has its own"),
            Self::TooMany => write!(out, "these are more than {KEYS_MAX} keys"),
            Self::DuplicateKid(kid) => {
                write!(out, "two keys go by the name `{}`", kid.escape_debug())
            }
            Self::NoneUsable(dropped) => {
                out.write_str("no key is usable")?;
                dropped.iter().try_for_each(|key| write!(out, "; {key}"))
            }
            Self::ForeignProvider => {
                out.write_str("another provider verifies tokens in this process")
            }
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests;
