//! Room 2: who is calling. A bearer token becomes a [`Caller`]; what the caller may do is decided elsewhere.
//! No file, no network, no clock, no `async`: keys come as text at load, `now` comes with each request.
//!
//! A token is good if all of this holds: at most `token_bytes_max` bytes; three base64url parts; a header with unique
//! names, `alg` RS256, no `crit`, `typ` absent, `JWT` or `at+jwt`; a `kid` that names one of the keys (or none, if there
//! is exactly one key); a valid signature; claims with unique names; `iss` the issuer, `aud` naming the audience, `sub`
//! a name; `tokenType` absent or `access`; `exp`, `nbf` and `iat` good at `now` with `clock_skew`; a life of at most
//! `lifetime_max`. `jsonwebtoken` verifies the signature, `iss`, `aud` and what must be there; the rest it does not check.
//!
//! **The cache** remembers identities of verified tokens by the SHA-256 of the token, never a token and never a decision.
//! It holds at most `cache_entries_max` of them in at most `cache_entries_max` x [`cache::ENTRY_BYTES`] (2 KiB) bytes,
//! its own bookkeeping included: an identity that is larger takes the place of several, so 10,000 entries are at most
//! 20 MB. It is sharded; which entry goes when it is full is the library's S3-FIFO. On every hit the token's times and
//! the standing of its key are judged again, with the same answer as a new verification would give: a token whose key
//! was withdrawn is refused at once, tokens of keys that stayed are remembered.
//!
//! **Keys that are fetched** replace each other whole ([`Keyring`]). Before the first, and when the last is too old,
//! every token is answered with 503, those in the cache too: a remembered verdict is no fresher than the keys behind it.
//! A `kid` that is not there is 401 at once, and asks for one fetch in the background. A reload keeps the keys as long
//! as their URL and the certificates that it is trusted by stay; another source begins without any, so that no key is
//! believed in the name of a source that never gave it: 503 until its first document.

pub mod cache;
mod header;
pub mod identity;
mod json;
mod keyring;
pub mod keys;
pub mod local;
mod provider;
mod reason;
mod times;
mod verifier;

use std::time::Duration;

pub use keyring::{Keyring, Replaced, Unavailable};
pub use provider::install_provider;
pub use reason::Reason;
pub use times::Window;
pub use verifier::Verifier;

use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::facts::{Credentials, Facts};

/// Whether this client address may still make us verify a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It may.
    Allowed,
    /// It sent too many bad ones: only tokens in the cache pass until so much time is over.
    BudgetSpent(Duration),
}

/// Credentials that name nobody, and what it cost to find that out.
#[derive(Debug)]
pub struct Unidentified {
    /// The refusal.
    pub denial: Box<Denial>,
    /// Whether a signature was verified for it. Everything that is seen before costs next to nothing.
    pub verified: bool,
}

impl From<Box<Denial>> for Unidentified {
    fn from(denial: Box<Denial>) -> Self {
        Self {
            denial,
            verified: false,
        }
    }
}

impl From<Reason> for Unidentified {
    fn from(reason: Reason) -> Self {
        Self {
            denial: Denial::new(Cause::TokenInvalid, reason.as_str()),
            verified: reason >= Reason::Signature,
        }
    }
}

impl From<Unidentified> for Box<Denial> {
    fn from(refused: Unidentified) -> Self {
        refused.denial
    }
}

/// Says who is calling. Without `tokens` no credentials are looked at, and every caller is anonymous.
///
/// # Errors
/// [`Cause::CredentialsSeveral`], [`Cause::TokenInvalid`] (the reason is the denial's detail and nothing else of it
/// differs), [`Cause::KeysUnavailable`], or [`Cause::FailureBudget`].
pub fn caller(
    facts: &Facts,
    tokens: Option<&Verifier>,
    verification: Verification,
    now: Now,
) -> Result<Caller, Unidentified> {
    let Some(tokens) = tokens else {
        return Ok(Caller::Anonymous);
    };
    let bearer = match &facts.credentials {
        Credentials::None => return Ok(Caller::Anonymous),
        Credentials::Several(what) => {
            return Err(Denial::new(Cause::CredentialsSeveral, *what).into());
        }
        Credentials::Malformed(what) => return Err(Denial::new(Cause::TokenInvalid, *what).into()),
        Credentials::Bearer(token) => token.expose_token(),
    };
    let fingerprint = tokens.fingerprint(bearer)?;
    tokens.keyring().available(now).map_err(unavailable)?;
    if let Some(identity) = tokens.cached(&fingerprint, now) {
        return Ok(Caller::Token(identity));
    }
    if let Verification::BudgetSpent(wait) = verification {
        let denial = Denial::new(
            Cause::FailureBudget,
            "the budget of `tokens.failures` is spent",
        );
        return Err(denial.advising(Advice::RetryAfter(wait)).into());
    }
    let verified = tokens.verify(bearer, now)?;
    let caller = Caller::Token(verified.identity.clone());
    tokens.remember(fingerprint, verified);
    Ok(caller)
}

/// How long a client is asked to wait for keys: by then they have been asked for twice more.
const KEYS_WAIT: Duration = Duration::from_secs(5);

fn unavailable(why: Unavailable) -> Box<Denial> {
    let denial = Denial::new(Cause::KeysUnavailable, why.as_str());
    denial.advising(Advice::RetryAfter(KEYS_WAIT))
}
