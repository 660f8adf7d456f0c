//! From claims to an identity: roles, permissions, session, and the headers that the service gets. Knows nothing of
//! signatures and keys. Never guesses: a claim of the wrong type is a bad token.
//!
//! What counts as what:
//! * `roles`: a list of texts, or one text that is one role (it is not split).
//! * `permissions`: a list of texts. `scope` (RFC 8693 section 4.2): one text, split at spaces. In both, what does not
//!   look like `area:action` or `area:*` (`openid`, say) is no permission of ours and passed over.
//! * `amr`: a list of texts (RFC 8176). `auth_time`: a time. `sessionId` or `sid`, and `jti`: texts.
//! * Every other claim with one value, as text, if name and value are short and hold no control character.

use std::collections::BTreeMap;

use crate::model::caller::{Identity, IdentityHeaders, Permission, header_value};
use crate::model::settings::RoleMap;

use super::json::{Json, Object};
use super::reason::Reason;
use super::times::Moment;

/// The most roles of a token.
pub const ROLES_MAX: usize = 128;
/// The most entries of `permissions`, and of `scope`.
pub const PERMISSIONS_MAX: usize = 512;
/// The most entries of `amr`.
pub const METHODS_MAX: usize = 32;
/// The most bytes of a role, a permission, a method.
pub const WORD_BYTES_MAX: usize = 128;
/// The most bytes of `sub`, `jti`, a session.
pub const NAME_BYTES_MAX: usize = 256;
/// The most claims kept for limits and rules: the first by name.
pub const CLAIMS_MAX: usize = 64;
/// The most bytes of the value of such a claim; its name may have [`WORD_BYTES_MAX`].
pub const CLAIM_BYTES_MAX: usize = 256;

/// Claims that have a field or a use of their own, and no meaning as a key.
const NOT_KEPT: &[&str] = &[
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "auth_time",
    "scope",
    "roles",
    "permissions",
    "amr",
];

/// Builds the identity of claims that are otherwise found good.
pub(super) fn build(claims: &Object, expires_at: i64, roles: &RoleMap) -> Result<Identity, Reason> {
    let issuer = claims.text("iss").ok().flatten().ok_or(Reason::Issuer)?;
    let subject = claims
        .text("sub")
        .ok()
        .flatten()
        .filter(|sub| is_name(sub))
        .ok_or(Reason::Subject)?;
    let own_roles = one_or_many(claims, "roles", ROLES_MAX)?;
    let permissions = permissions(claims, &own_roles, roles)?;
    let session = session(claims)?;
    let headers = headers(subject, &own_roles, &permissions, session.as_deref());
    Ok(Identity {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        roles: own_roles,
        permissions,
        session,
        token_id: name(claims, "jti")?,
        expires_at,
        authenticated_at: Moment::claim(claims, "auth_time")?.map(Moment::seconds),
        methods: many(claims, "amr", METHODS_MAX)?,
        claims: single_values(claims),
        headers,
    })
}

fn permissions(
    claims: &Object,
    own_roles: &[String],
    roles: &RoleMap,
) -> Result<Vec<Permission>, Reason> {
    let listed = many(claims, "permissions", PERMISSIONS_MAX)?;
    let scope = claims
        .text("scope")
        .map_err(|_| Reason::Claims)?
        .unwrap_or_default();
    if scope.split(' ').count() > PERMISSIONS_MAX {
        return Err(Reason::Claims);
    }
    let scoped = scope.split(' ').filter(|word| word.len() <= WORD_BYTES_MAX);
    let stated = listed.iter().map(String::as_str).chain(scoped);
    let mapped = own_roles
        .iter()
        .filter_map(|role| roles.get(role))
        .flatten()
        .cloned();
    let mut all: Vec<_> = stated
        .filter_map(|word| Permission::parse_grant(word).ok())
        .chain(mapped)
        .collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// `sessionId`, or `sid` (OpenID Connect Front-Channel Logout); both only if they agree.
fn session(claims: &Object) -> Result<Option<String>, Reason> {
    match (name(claims, "sessionId")?, name(claims, "sid")?) {
        (Some(long), Some(short)) if long != short => Err(Reason::Claims),
        (Some(id), _) | (None, Some(id)) => Ok(Some(id)),
        (None, None) => Ok(None),
    }
}

fn name(claims: &Object, claim: &str) -> Result<Option<String>, Reason> {
    match claims.text(claim) {
        Ok(None) => Ok(None),
        Ok(Some(text)) if is_name(text) => Ok(Some(text.to_owned())),
        Ok(Some(_)) | Err(_) => Err(Reason::Claims),
    }
}

fn one_or_many(claims: &Object, claim: &str, count_max: usize) -> Result<Vec<String>, Reason> {
    match claims.text(claim) {
        Ok(Some(one)) if is_word(one) => Ok(vec![one.to_owned()]),
        Ok(Some(_)) => Err(Reason::Claims),
        Ok(None) | Err(_) => many(claims, claim, count_max),
    }
}

fn many(claims: &Object, claim: &str, count_max: usize) -> Result<Vec<String>, Reason> {
    let Some(value) = claims.get(claim) else {
        return Ok(Vec::new());
    };
    let list = value
        .as_list()
        .filter(|list| list.len() <= count_max)
        .ok_or(Reason::Claims)?;
    let word = |item: &Json| {
        item.as_text()
            .filter(|text| is_word(text))
            .map(str::to_owned)
    };
    list.iter()
        .map(word)
        .collect::<Option<_>>()
        .ok_or(Reason::Claims)
}

fn is_word(text: &str) -> bool {
    is_plain(text, WORD_BYTES_MAX)
}

fn is_name(text: &str) -> bool {
    is_plain(text, NAME_BYTES_MAX)
}

/// Not empty, not too long, and without characters that end a line or steer a terminal wherever it is shown.
fn is_plain(text: &str, bytes_max: usize) -> bool {
    let steers = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    !text.is_empty() && text.len() <= bytes_max && !text.contains(steers)
}

fn single_values(claims: &Object) -> BTreeMap<String, String> {
    let kept = |(name, value): (&String, &Json)| {
        let text = match value {
            Json::Text(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(truth) => truth.to_string(),
            Json::Null | Json::List(_) | Json::Object(_) => return None,
        };
        let fits = is_word(name) && is_plain(&text, CLAIM_BYTES_MAX);
        (fits && !NOT_KEPT.contains(&name.as_str())).then(|| (name.clone(), text))
    };
    claims.0.iter().filter_map(kept).take(CLAIMS_MAX).collect()
}

/// What the service reads.
fn headers(
    subject: &str,
    roles: &[String],
    permissions: &[Permission],
    session: Option<&str>,
) -> IdentityHeaders {
    IdentityHeaders {
        subject: header_value([subject].into_iter(), false),
        roles: header_value(roles.iter().map(String::as_str), true),
        permissions: header_value(permissions.iter().map(Permission::as_str), true),
        session: header_value(session.into_iter(), false),
    }
}

#[cfg(test)]
mod tests;
