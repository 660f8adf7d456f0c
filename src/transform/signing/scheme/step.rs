//! How the steps of a rule are read: each works out one named value. Never accepts a key that its kind has no use for.

use serde_json::{Value as Json, json};

use super::super::encoding::ENCODINGS;
use super::super::key::{Algorithm, KEY_ENCODINGS, KeyEncoding};
use super::jwt::{ALGORITHMS, Jwt, JwtAlgorithm, Omit, read_claims};
use super::names::{Allow, Names};
use super::read::{read_when, template, text_schema, words};
use super::{Hash, How, PARAMS_OF, ParamsOf, Step};
use crate::model::decode::{Decode as _, Fields, describe_section, read_section};
use crate::model::fault::Faults;
use crate::model::node::{Node, Value};

const HASHES: &[(&str, Hash)] = &[
    ("sha256", Hash::Sha256),
    ("sha384", Hash::Sha384),
    ("sha512", Hash::Sha512),
];

const MACS: &[(&str, Algorithm)] = &[
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha384", Algorithm::HmacSha384),
    ("hmac-sha512", Algorithm::HmacSha512),
];

const SIGNATURES: &[(&str, Algorithm)] = &[
    ("ed25519", Algorithm::Ed25519),
    ("rsa-sha256", Algorithm::RsaSha256),
    ("ecdsa-p256", Algorithm::EcdsaP256),
];

/// What a step works out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hash(Hash),
    Mac(Algorithm),
    Sign(Algorithm),
    Jwt(JwtAlgorithm),
    Params(ParamsOf),
}

impl Kind {
    /// The word that makes a step one of this kind, and the keys that it may have beside it.
    const fn keys(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Hash(_) => ("hash", &["input", "out"]),
            Self::Mac(_) => ("mac", &["key", "key_encoding", "input", "out"]),
            Self::Sign(_) => ("sign", &["key", "key_encoding", "password", "input", "out"]),
            Self::Jwt(_) => (
                "jwt",
                &[
                    "key",
                    "key_encoding",
                    "password",
                    "header",
                    "claims",
                    "omit_if_empty",
                ],
            ),
            Self::Params(_) => ("params_of", &[]),
        }
    }
}

/// Every key of a step that is not for all kinds.
const KEYS: &[&str] = &[
    "input",
    "out",
    "key",
    "key_encoding",
    "password",
    "header",
    "claims",
    "omit_if_empty",
];

/// Reads one step: `name: template`, or `name:` and a map.
pub(super) fn read_step(node: &Node, faults: &mut Faults, names: &mut Names) -> Option<Step> {
    let entry = match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [entry] => entry,
            _ => {
                faults.error(&node.place, "a step is one name and how its value is made");
                return None;
            }
        },
        Value::Null | Value::Scalar { .. } | Value::List(_) => {
            faults.error(&node.place, "a step is one name and how its value is made");
            return None;
        }
    };
    let read = match &entry.value.value {
        Value::Map(_) => read_section(&entry.value, faults, |fields| read_how(fields, names)),
        Value::Scalar { .. } | Value::Null | Value::List(_) => names
            .template(&entry.value, faults, Allow::Public)
            .map(|template| (How::Text(template), None)),
    };
    // Declared after its own value was read: a step does not know itself.
    names.declare(&entry.key, &entry.key_place, faults)?;
    let (how, when) = read?;
    Some(Step {
        name: entry.key.clone(),
        how,
        when,
    })
}

/// The schema of one step.
pub(super) fn schema() -> Json {
    let how = describe_section(|fields| read_how(fields, &mut Names::default()));
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"anyOf": [{"type": "string"}, how]},
    })
}

fn read_how(fields: &mut Fields<'_>, names: &mut Names) -> Option<(How, Option<super::When>)> {
    let kind = read_kind(fields);
    let allow = match kind {
        Some(Kind::Mac(_)) => Allow::Secrets,
        _ => Allow::Public,
    };
    let doc = "what is digested or signed";
    let input = template(fields, "input", doc, names, allow);
    let doc = "how the bytes are written: raw, hex, base64 or base64url";
    let out = words(fields, "out", doc, ENCODINGS);
    let key = read_key(fields, kind, names);
    let doc = "members of the token's header beside alg and typ";
    let header = claims(fields, "header", doc, names, &["alg", "typ"]);
    let claims = claims(
        fields,
        "claims",
        "the token's claims, in this order",
        names,
        &[],
    );
    let doc = "claims that are left out where a value is empty: a map of values to claims";
    let omit = fields.optional_with("omit_if_empty", doc, omit_schema, |node, faults| {
        read_omit(node, faults, names)
    });
    let when = read_when(
        fields,
        "which requests the value is worked out for; empty in others",
    );
    let kind = kind?;
    refuse_strangers(fields, kind);
    let how = match kind {
        Kind::Hash(algorithm) => How::Hash {
            algorithm,
            input: needed(fields, "input", input)?,
            out: needed(fields, "out", out)?,
        },
        Kind::Mac(_) | Kind::Sign(_) => How::Sign {
            key: key?,
            input: needed(fields, "input", input)?,
            out: needed(fields, "out", out)?,
        },
        Kind::Jwt(algorithm) => How::Jwt(Jwt {
            algorithm,
            key: key?,
            header: header.unwrap_or_default(),
            claims: needed(fields, "claims", claims)?,
            omit: omit.unwrap_or_default(),
        }),
        Kind::Params(params) => How::Params(params),
    };
    Some((how, when))
}

fn read_kind(fields: &mut Fields<'_>) -> Option<Kind> {
    let doc = "a hash: sha256, sha384 or sha512";
    let hash = words(fields, "hash", doc, HASHES).map(Kind::Hash);
    let doc = "a MAC: hmac-sha256, hmac-sha384 or hmac-sha512";
    let mac = words(fields, "mac", doc, MACS).map(Kind::Mac);
    let doc = "a signature: ed25519, rsa-sha256 or ecdsa-p256";
    let sign = words(fields, "sign", doc, SIGNATURES).map(Kind::Sign);
    let doc = "a JSON Web Token: HS256, HS384, HS512, RS256, ES256 or EdDSA";
    let jwt = words(fields, "jwt", doc, ALGORITHMS).map(Kind::Jwt);
    let doc = "parameters as one text k=v&k=v";
    let params = words(fields, "params_of", doc, PARAMS_OF).map(Kind::Params);
    let named = ["hash", "mac", "sign", "jwt", "params_of"];
    if !fields.describing() && named.iter().filter(|key| fields.has(key)).count() != 1 {
        let help = format!("write one of {}", named.join(", "));
        fields.error(&fields.place(), "a step does exactly one thing", help);
        return None;
    }
    [hash, mac, sign, jwt, params].into_iter().flatten().next()
}

fn read_key(fields: &mut Fields<'_>, kind: Option<Kind>, names: &mut Names) -> Option<usize> {
    let doc = "the secret that is the key: \"{secret.NAME}\"";
    let secret = fields.optional_with("key", doc, text_schema, |node, faults| {
        names.only_secret(node, faults)
    });
    let doc = "how the secret becomes a key: utf8, base64, hex, pem or base64-seed32";
    let encoding = words(fields, "key_encoding", doc, KEY_ENCODINGS);
    let doc = "the secret that opens an encrypted PEM: \"{secret.NAME}\"";
    let password = fields.optional_with("password", doc, text_schema, |node, faults| {
        names.only_secret(node, faults)
    });
    let algorithm = match kind? {
        Kind::Mac(algorithm) | Kind::Sign(algorithm) => algorithm,
        Kind::Jwt(jwt) => jwt.key,
        Kind::Hash(_) | Kind::Params(_) => return None,
    };
    let usual = if algorithm.is_mac() {
        KeyEncoding::Utf8
    } else {
        KeyEncoding::Pem
    };
    let secret = needed(fields, "key", secret)?;
    Some(names.key(secret, password, algorithm, encoding.unwrap_or(usual)))
}

fn claims(
    fields: &mut Fields<'_>,
    key: &'static str,
    doc: &'static str,
    names: &mut Names,
    taken: &[&str],
) -> Option<Vec<(String, super::jwt::Claim)>> {
    let schema = || json!({"type": "object"});
    fields.optional_with(key, doc, schema, |node, faults| {
        read_claims(node, faults, names, taken)
    })
}

fn read_omit(node: &Node, faults: &mut Faults, names: &Names) -> Option<Vec<Omit>> {
    let Value::Map(entries) = &node.value else {
        faults.error(
            &node.place,
            format!("expected a map, found {}", node.kind()),
        );
        return None;
    };
    let read = entries.iter().map(|entry| {
        let claims = Vec::<String>::decode(&entry.value, faults);
        let value = names.value(&entry.key);
        if value.is_none() {
            faults.error(&entry.key_place, format!("unknown name `{}`", entry.key));
        }
        Some(Omit {
            value: value?,
            claims: claims?,
        })
    });
    let read: Vec<Option<Omit>> = read.collect();
    read.into_iter().collect()
}

fn omit_schema() -> Json {
    json!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}})
}

/// A key that this kind of step cannot do without.
fn needed<T>(fields: &mut Fields<'_>, key: &'static str, value: Option<T>) -> Option<T> {
    if value.is_none() && !fields.has(key) {
        fields.error(
            &fields.place(),
            format!("missing key `{key}`"),
            format!("add `{key}`"),
        );
    }
    value
}

fn refuse_strangers(fields: &mut Fields<'_>, kind: Kind) {
    let (word, own) = kind.keys();
    for key in KEYS.iter().filter(|key| !own.contains(key)) {
        if fields.has(key) {
            let message = format!("`{key}` has no meaning beside `{word}`");
            fields.error(&fields.place_of(key), message, "leave it out");
        }
    }
}
