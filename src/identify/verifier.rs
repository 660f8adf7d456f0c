//! The whole judgement of one token: size, shape, header, key, signature, claims, times. Never decides what the holder
//! may do, and never says to a client why a token is bad.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};

use crate::model::caller::Identity;
use crate::model::clock::Now;
use crate::model::settings::{KeySource, RoleMap, TokenSettings};

use super::cache::{Fingerprint, TokenCache, Verified};
use super::header::Header;
use super::identity;
use super::json::{Json, Object};
use super::keyring::Keyring;
use super::keys::{DroppedKey, KeyError, KeySet};
use super::provider;
use super::reason::Reason;
use super::times::{Times, Tolerance, Window};

/// Seconds that an assumed token lives.
const ASSUMED_LIFE: i64 = 60;

/// Verifies the tokens of one issuer. Immutable but for its cache, and for keys that are fetched; a reload builds a new
/// one beside it.
pub struct Verifier {
    keyring: Arc<Keyring>,
    validation: Validation,
    issuer: String,
    audience: String,
    tolerance: Tolerance,
    token_bytes_max: usize,
    roles: RoleMap,
    cache: TokenCache,
}

impl Verifier {
    /// Reads the keys and makes room for the cache. Also tells which keys of the set are not used, and why. Keys that
    /// are fetched come later, through [`Verifier::keyring`].
    ///
    /// # Errors
    /// The keys cannot be used, or tokens would be verified by other code than ours.
    pub fn new(
        settings: &TokenSettings,
        roles: &RoleMap,
    ) -> Result<(Self, Vec<DroppedKey>), KeyError> {
        if !provider::install_provider() {
            return Err(KeyError::ForeignProvider);
        }
        let (keyring, dropped) = match &settings.keys.source {
            KeySource::Text { text, kid } => {
                let (set, dropped) = KeySet::parse(text, kid.as_deref())?;
                (Keyring::fixed(set), dropped)
            }
            KeySource::Remote(remote) => (Keyring::remote(remote.stale_max), Vec::new()),
        };
        let verifier = Self::with_keyring(settings, roles, Arc::new(keyring))?;
        Ok((verifier, dropped))
    }

    /// The same with keys that are kept up to date elsewhere, whatever the settings say of them.
    ///
    /// # Errors
    /// Tokens would be verified by other code than ours.
    pub fn with_keyring(
        settings: &TokenSettings,
        roles: &RoleMap,
        keyring: Arc<Keyring>,
    ) -> Result<Self, KeyError> {
        if !provider::install_provider() {
            return Err(KeyError::ForeignProvider);
        }
        Ok(Self {
            keyring,
            validation: validation(settings),
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            tolerance: Tolerance::new(settings.clock_skew, settings.lifetime_max),
            token_bytes_max: settings.token_bytes_max.as_usize(),
            roles: roles.clone(),
            cache: TokenCache::new(settings.cache_entries_max),
        })
    }

    /// What the cache knows the token by.
    ///
    /// # Errors
    /// [`Reason::TooLarge`].
    pub fn fingerprint(&self, token: &[u8]) -> Result<Fingerprint, Reason> {
        self.check_size(token)?;
        Ok(Fingerprint::of(token))
    }

    /// The identity of a token that was verified before and is still good.
    #[must_use]
    pub fn cached(&self, fingerprint: &Fingerprint, now: Now) -> Option<Arc<Identity>> {
        self.cache.get(fingerprint, now.unix_seconds())
    }

    /// Remembers a verified token.
    pub fn remember(&self, fingerprint: Fingerprint, verified: Verified) {
        self.cache.insert(fingerprint, verified);
    }

    /// Verifies a token, whatever the cache holds, by the keys that are there, however old. A key that is not there is
    /// asked for.
    ///
    /// # Errors
    /// The first thing wrong with it. A reason after [`Reason::Signature`] is about a token that the issuer signed.
    pub fn verify(&self, token: &[u8], now: Now) -> Result<Verified, Reason> {
        self.check_size(token)?;
        let header = Header::judge(token)?;
        let kid = header.kid.as_deref();
        let loaded = self.keyring.load();
        let found = loaded.as_ref().map(|loaded| loaded.set.find(kid));
        // Before any keys are there no key goes by any name.
        let key = found
            .unwrap_or(Err(Reason::KidUnknown))
            .inspect_err(|reason| {
                if let (Reason::KidUnknown, Some(kid)) = (reason, kid) {
                    self.keyring.missed(kid);
                }
            })?;
        let claims = decode::<Object>(token, key.verifying.handle(), &self.validation)
            .map_err(|error| reason(&error, token))?
            .claims;
        let (identity, window) = self.judge(&claims, now)?;
        Ok(Verified {
            identity,
            window,
            standing: key.standing.clone(),
        })
    }

    /// The identity that a token with these claims (a JSON object) would have if its signature were good: for questions
    /// about a policy, never for a request. What a token must have and a question need not say is filled in: issuer,
    /// audience, a life from now for a minute.
    ///
    /// # Errors
    /// What is wrong with the claims.
    pub fn assume(&self, claims: &[u8], now: Now) -> Result<Arc<Identity>, Reason> {
        let mut claims: Object = serde_json::from_slice(claims).map_err(|_| Reason::Claims)?;
        claims.fill("iss", || Json::Text(self.issuer.clone()));
        claims.fill("aud", || Json::Text(self.audience.clone()));
        if claims.get("exp").is_none() {
            let (from, until) = (
                now.unix_seconds(),
                now.unix_seconds().saturating_add(ASSUMED_LIFE),
            );
            claims.fill("iat", || Json::Number(from.into()));
            claims.fill("exp", || Json::Number(until.into()));
        }
        if claims.get("iss").and_then(Json::as_text) != Some(&self.issuer) {
            return Err(Reason::Issuer);
        }
        let names_us = |aud: &Json| aud.as_text() == Some(&self.audience);
        let audience = claims.get("aud");
        let listed = audience
            .and_then(Json::as_list)
            .is_some_and(|list| list.iter().any(names_us));
        if !listed && !audience.is_some_and(names_us) {
            return Err(Reason::Audience);
        }
        self.judge(&claims, now).map(|(identity, _)| identity)
    }

    /// The last second, since 1970, in which the identity's token is good.
    #[must_use]
    pub const fn good_until(&self, identity: &Identity) -> i64 {
        self.tolerance.good_until(identity.expires_at)
    }

    /// The keys.
    #[must_use]
    pub const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// How many tokens the cache holds.
    #[must_use]
    pub fn cached_tokens(&self) -> usize {
        self.cache.len()
    }

    /// How often a token was found in the cache, and how often not, since this was asked last.
    #[must_use]
    pub fn take_cache_counts(&self) -> (u64, u64) {
        self.cache.take_counts()
    }

    /// What the cache counts them with, in bytes.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    const fn check_size(&self, token: &[u8]) -> Result<(), Reason> {
        if token.len() > self.token_bytes_max {
            Err(Reason::TooLarge)
        } else {
            Ok(())
        }
    }

    /// What the library does not check. An `iss` that is a list with the issuer in it, which the library lets pass, is
    /// refused where the identity takes its text.
    fn judge(&self, claims: &Object, now: Now) -> Result<(Arc<Identity>, Window), Reason> {
        if !matches!(claims.text("tokenType"), Ok(None | Some("access"))) {
            return Err(Reason::TokenType);
        }
        let times = Times::read(claims)?;
        let window = times.judge(self.tolerance, now.unix_seconds())?;
        let identity = Arc::new(identity::build(claims, times.expires_at(), &self.roles)?);
        Ok((identity, window))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Verifier")
            .field("keys", &self.keyring)
            .finish_non_exhaustive()
    }
}

/// Times are judged by [`Times`], because the library asks the machine's clock instead of taking `now`.
fn validation(settings: &TokenSettings) -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign list that grows; what is new there is refused like what is here"
)]
fn reason(error: &Error, token: &[u8]) -> Reason {
    match error.kind() {
        ErrorKind::InvalidSignature => Reason::Signature,
        ErrorKind::InvalidAlgorithm => Reason::Algorithm,
        ErrorKind::InvalidIssuer => Reason::Issuer,
        ErrorKind::InvalidAudience => Reason::Audience,
        ErrorKind::InvalidSubject => Reason::Subject,
        ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
            "iss" => Reason::Issuer,
            "aud" => Reason::Audience,
            "sub" => Reason::Subject,
            _ => Reason::Claims,
        },
        // The header is read first: if it can be read, it was the claims that could not.
        ErrorKind::Json(_) if decode_header(token).is_ok() => Reason::Claims,
        _ => Reason::Structure,
    }
}
