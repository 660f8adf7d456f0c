//! JWK and JWK Set (RFC 7517, RFC 7518 section 6.3). Never more than the public members of RSA keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::rsa::RsaKey;
use super::{Candidate, DropReason, KeyError};
use crate::identify::json::{Json, Object};
use crate::identify::provider::VerifyingKey;

/// Reads the keys of a JWK or a JWK Set.
pub(super) fn read(text: &str) -> Result<Vec<Candidate>, KeyError> {
    let whole: Object = serde_json::from_str(text).map_err(|error| KeyError::Json {
        line: error.line(),
        column: error.column(),
    })?;
    let jwks = match (whole.get("keys"), whole.get("kty")) {
        (Some(Json::List(list)), None) => list
            .iter()
            .map(as_object)
            .collect::<Option<Vec<_>>>()
            .ok_or(KeyError::NotJwk)?,
        (None, Some(_)) => vec![&whole],
        (Some(_) | None, _) => return Err(KeyError::NotJwk),
    };
    jwks.iter().try_for_each(|jwk| refuse_secrets(jwk))?;
    Ok(jwks
        .iter()
        .enumerate()
        .map(|(index, jwk)| candidate(jwk, index + 1))
        .collect())
}

fn as_object(value: &Json) -> Option<&Object> {
    match value {
        Json::Object(object) => Some(object),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => None,
    }
}

/// One secret in the set means that the set is not what its owner thinks it is.
fn refuse_secrets(jwk: &Object) -> Result<(), KeyError> {
    const PRIVATE: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
    if jwk.get("k").is_some() || jwk.get("kty").and_then(Json::as_text) == Some("oct") {
        return Err(KeyError::Symmetric);
    }
    if PRIVATE.iter().any(|name| jwk.get(name).is_some()) {
        return Err(KeyError::Private);
    }
    Ok(())
}

fn candidate(jwk: &Object, position: usize) -> Candidate {
    let numbers = member(jwk, "n").zip(member(jwk, "e"));
    let rsa = numbers
        .as_ref()
        .map(|(modulus, exponent)| RsaKey::new(modulus, exponent));
    let key = admit(jwk, rsa.as_ref());
    let kid = match (jwk.text("kid"), &rsa) {
        (Ok(Some(kid)), _) => kid.to_owned(),
        (Ok(None), Some(rsa)) if key.is_ok() => rsa.thumbprint(),
        (Ok(None) | Err(_), _) => format!("#{position}"),
    };
    Candidate { kid, key }
}

fn admit(jwk: &Object, rsa: Option<&RsaKey<'_>>) -> Result<VerifyingKey, DropReason> {
    if jwk.get("kty").and_then(Json::as_text) != Some("RSA") {
        return Err(DropReason::NotRsa);
    }
    if !matches!(jwk.text("use"), Ok(None | Some("sig"))) {
        return Err(DropReason::Use);
    }
    if !jwk.get("key_ops").is_none_or(names_verify) {
        return Err(DropReason::KeyOps);
    }
    if !matches!(jwk.text("alg"), Ok(None | Some("RS256"))) {
        return Err(DropReason::Algorithm);
    }
    if jwk.text("kid").is_err() {
        return Err(DropReason::Malformed);
    }
    rsa.ok_or(DropReason::Malformed)?.admit()
}

fn names_verify(key_ops: &Json) -> bool {
    key_ops
        .as_list()
        .is_some_and(|operations| operations.iter().any(|one| one.as_text() == Some("verify")))
}

fn member(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.text(name).ok()??).ok()
}
