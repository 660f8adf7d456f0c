//! JSON Web Tokens (RFC 7519) as signers build them: claims in the order of the rule, no spaces. Never reads a token.

use serde_json::Value as Json;

use super::super::SignFault;
use super::super::encoding::Encoding;
use super::super::key::Algorithm;
use super::names::{Allow, Names};
use super::run::Work;
use super::template::Template;
use crate::model::decode::{decode_list, read_section};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};

/// A token that is made for each request.
#[derive(Debug)]
pub(super) struct Jwt {
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: usize,
    pub(super) header: Vec<(String, Claim)>,
    pub(super) claims: Vec<(String, Claim)>,
    /// Claims that are left out where a value is empty.
    pub(super) omit: Vec<Omit>,
}

/// Claims that are left out where a value is empty.
#[derive(Debug)]
pub(super) struct Omit {
    pub(super) value: usize,
    pub(super) claims: Vec<String>,
}

/// An algorithm of RFC 7518 or RFC 8037, by the name that stands in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JwtAlgorithm {
    name: &'static str,
    pub(super) key: Algorithm,
}

/// The algorithms by name.
pub(super) const ALGORITHMS: &[(&str, JwtAlgorithm)] = &[
    named("HS256", Algorithm::HmacSha256),
    named("HS384", Algorithm::HmacSha384),
    named("HS512", Algorithm::HmacSha512),
    named("RS256", Algorithm::RsaSha256),
    named("ES256", Algorithm::EcdsaP256),
    named("EdDSA", Algorithm::Ed25519),
];

const fn named(name: &'static str, key: Algorithm) -> (&'static str, JwtAlgorithm) {
    (name, JwtAlgorithm { name, key })
}

/// The value of a claim.
#[derive(Debug)]
pub(super) enum Claim {
    Text(Template),
    /// A whole number, and what is added to it.
    Int(Template, i64),
    List(Vec<Self>),
}

// === impl Jwt ===

impl Jwt {
    /// The header as JSON.
    pub(super) fn header_text(&self, work: &Work<'_>) -> Result<String, SignFault> {
        let mut text = format!("{{\"alg\":\"{}\",\"typ\":\"JWT\"", self.algorithm.name);
        for (name, claim) in &self.header {
            text.push(',');
            push_member(&mut text, name, claim, work)?;
        }
        text.push('}');
        Ok(text)
    }

    /// The claims as JSON.
    pub(super) fn claims_text(&self, work: &Work<'_>) -> Result<String, SignFault> {
        let mut text = String::from("{");
        for (name, claim) in self
            .claims
            .iter()
            .filter(|(name, _)| !self.omits(name, work))
        {
            if text.len() > 1 {
                text.push(',');
            }
            push_member(&mut text, name, claim, work)?;
        }
        text.push('}');
        Ok(text)
    }

    /// The signed token.
    pub(super) fn token(&self, work: &Work<'_>) -> Result<Vec<u8>, SignFault> {
        let mut token = Vec::new();
        Encoding::Base64Url.push(&mut token, self.header_text(work)?.as_bytes());
        token.push(b'.');
        Encoding::Base64Url.push(&mut token, self.claims_text(work)?.as_bytes());
        let signature = work.bound.key(self.key)?.sign(&token)?;
        token.push(b'.');
        Encoding::Base64Url.push(&mut token, &signature);
        Ok(token)
    }

    fn omits(&self, name: &str, work: &Work<'_>) -> bool {
        let named = |omit: &&Omit| omit.claims.iter().any(|claim| claim == name);
        self.omit
            .iter()
            .filter(named)
            .any(|omit| work.value(omit.value).is_empty())
    }
}

fn push_member(
    text: &mut String,
    name: &str,
    claim: &Claim,
    work: &Work<'_>,
) -> Result<(), SignFault> {
    text.push_str(&Json::from(name).to_string());
    text.push(':');
    claim.push(text, work)
}

// === impl Claim ===

impl Claim {
    fn push(&self, text: &mut String, work: &Work<'_>) -> Result<(), SignFault> {
        match self {
            Self::Text(template) => {
                let value = String::from_utf8(template.render(work))
                    .map_err(|_| SignFault::Body("UTF-8"))?;
                text.push_str(&Json::from(value).to_string());
            }
            Self::Int(template, plus) => {
                let value = template.render(work);
                let value = std::str::from_utf8(&value)
                    .ok()
                    .and_then(|text| text.parse::<i64>().ok());
                let value = value.and_then(|value| value.checked_add(*plus));
                text.push_str(&value.ok_or(SignFault::Time)?.to_string());
            }
            Self::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    item.push(text, work)?;
                }
                text.push(']');
            }
        }
        Ok(())
    }

    /// Reads a claim: a text, a list, or `{ int: "{s}+120" }`.
    fn read(node: &Node, faults: &mut Faults, names: &mut Names) -> Option<Self> {
        match &node.value {
            Value::List(_) => {
                decode_list(node, faults, |item, faults| Self::read(item, faults, names))
                    .map(Self::List)
            }
            Value::Map(_) => read_section(node, faults, |fields| {
                let doc = "a whole number: a value, and perhaps + or - and digits";
                fields.required_with("int", doc, super::read::text_schema, |node, faults| {
                    read_int(node, faults, names)
                })
            }),
            Value::Scalar { .. } | Value::Null => {
                names.template(node, faults, Allow::Public).map(Self::Text)
            }
        }
    }
}

/// Reads claims in the order of the rule; `alg` and `typ` are set by the signer.
pub(super) fn read_claims(
    node: &Node,
    faults: &mut Faults,
    names: &mut Names,
    taken: &[&str],
) -> Option<Vec<(String, Claim)>> {
    let Value::Map(entries) = &node.value else {
        faults.error(
            &node.place,
            format!("expected claims, found {}", node.kind()),
        );
        return None;
    };
    let mut claims = Vec::new();
    let mut sound = true;
    for entry in entries {
        if taken.contains(&entry.key.as_str()) {
            faults.error(
                &entry.key_place,
                format!("`{}` is set by the signer", entry.key),
            );
            sound = false;
        }
        match Claim::read(&entry.value, faults, names) {
            Some(claim) => claims.push((entry.key.clone(), claim)),
            None => sound = false,
        }
    }
    sound.then_some(claims)
}

fn read_int(node: &Node, faults: &mut Faults, names: &mut Names) -> Option<Claim> {
    let text = crate::model::decode::scalar(node, "a whole number", faults)?;
    // A sign behind the last brace is arithmetic; one inside a name cannot be.
    let behind = text.rfind('}').map_or(0, |at| at.saturating_add(1));
    let (value, plus) = text.split_at_checked(behind)?;
    let plus = match plus.trim() {
        "" => Some(0),
        digits => digits.parse::<i64>().ok(),
    };
    let (template, plus) = match (value.is_empty(), plus) {
        (false, Some(plus)) => (
            names.parse(value, &node.place, faults, Allow::Public)?,
            plus,
        ),
        (true, Some(number)) => (
            names.parse("0", &node.place, faults, Allow::Public)?,
            number,
        ),
        (_, None) => {
            let help = "write a value and perhaps a number, such as \"{s}+120\"";
            faults.error_with_help(&node.place, format!("`{text}` is no whole number"), help);
            return None;
        }
    };
    Some(Claim::Int(template, plus))
}
