//! A rule's own test: requests whose signatures are known, tried when the rule is read. Never takes a rule whose vectors
//! come out otherwise, and shows what was worked out with secrets masked.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::super::encoding::from_hex;
use super::super::explain::Mask;
use super::super::{Fresh, SignInput, Signed};
use super::read::{Verb, text_schema};
use super::run::Bound;
use super::{Program, Var};
use crate::model::decode::{Fields, Placed, decode_scalar};
use crate::model::exchange::Security;
use crate::model::node::Place;
use crate::model::secret::Secret;
use crate::transform::signers::Secrets;

/// A request whose signature is known.
pub(super) struct Vector {
    place: Place,
    name: String,
    method: Method,
    host: String,
    path: String,
    query: String,
    body: Bytes,
    time_ms: i64,
    nonce: Option<u64>,
    random: [u8; 32],
    secrets: BTreeMap<String, String>,
    expected: Vec<(What, Placed<String>)>,
}

/// What is compared.
enum What {
    Query,
    Body,
    Header(String),
    /// A step, or what one was made of: `sig`, `sig.input`, `token.claims`.
    Value(String),
}

/// Reads one vector.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Vector> {
    let place = fields.place();
    let name: Option<String> = fields.required("name", "what the vector is called");
    let method: Option<Verb> = fields.required("method", "the method, in upper case");
    let host: Option<String> =
        fields.optional("host", "the host; empty if the rule does not name it");
    let path: Option<String> = fields.required("path", "the path, without the query");
    let query: Option<String> = fields.optional("query", "the query, without `?`");
    let body: Option<String> = fields.optional("body", "the body");
    let doc = "the exchange's time: milliseconds since 1970";
    let number = || json!({"type": "integer", "minimum": 0});
    let time_ms = fields.required_with("time_ms", doc, number, |node, faults| {
        decode_scalar(node, "milliseconds", faults, whole)
    });
    let doc = "the nonce; the time if it is not named";
    let nonce = fields.optional_with("nonce", doc, number, |node, faults| {
        decode_scalar(node, "a whole number", faults, whole)
    });
    let doc = "random bytes: 16 or 32 in hexadecimal, or a UUID";
    let random = fields.optional_with("random", doc, text_schema, |node, faults| {
        decode_scalar(node, "hexadecimal digits", faults, random_bytes)
    });
    let doc = "secrets made for the vector, never real ones";
    let secrets: Option<BTreeMap<String, String>> = fields.optional("secrets", doc);
    let expected = fields.section("expect", "what must come out", read_expected);
    Some(Vector {
        place,
        name: name?,
        method: method?.0,
        host: host.unwrap_or_default(),
        path: path?,
        query: query.unwrap_or_default(),
        body: Bytes::from(body.unwrap_or_default()),
        time_ms: i64::try_from(time_ms?).ok()?,
        nonce,
        random: random.unwrap_or_default(),
        secrets: secrets.unwrap_or_default(),
        expected: expected.unwrap_or_default(),
    })
}

/// The rule, if every vector comes out as it says.
pub(super) fn tried(
    fields: &mut Fields<'_>,
    program: Program,
    vectors: Vec<Vector>,
) -> Option<Program> {
    if vectors.is_empty() && !fields.describing() {
        let help = "take an example of the exchange's documents as a vector";
        let message = "the signer has no vectors: nothing shows that it signs as the exchange does";
        fields.warning(&fields.place(), message, help);
    }
    let mut sound = true;
    for vector in vectors {
        sound &= vector.holds(fields, &program);
    }
    sound.then_some(program)
}

fn read_expected(fields: &mut Fields<'_>) -> Option<Vec<(What, Placed<String>)>> {
    let query: Option<Placed<String>> = fields.optional("query", "the query as it is sent");
    let body: Option<Placed<String>> = fields.optional("body", "the body as it is sent");
    let doc = "headers that are set";
    let headers: Option<BTreeMap<String, Placed<String>>> = fields.optional("headers", doc);
    let doc = "values of steps: NAME, NAME.input, NAME.header or NAME.claims";
    let values: Option<BTreeMap<String, Placed<String>>> = fields.optional("values", doc);
    let headers = headers.unwrap_or_default().into_iter();
    let values = values.unwrap_or_default().into_iter();
    let expected: Vec<(What, Placed<String>)> = values
        .map(|(name, value)| (What::Value(name), value))
        .chain(query.map(|value| (What::Query, value)))
        .chain(body.map(|value| (What::Body, value)))
        .chain(headers.map(|(name, value)| (What::Header(name.to_ascii_lowercase()), value)))
        .collect();
    if expected.is_empty() && !fields.describing() {
        let help = "name headers, query, body or values";
        fields.error(&fields.place(), "the vector expects nothing", help);
        return None;
    }
    Some(expected)
}

impl Vector {
    /// Tries the vector; what comes out otherwise is noted.
    fn holds(&self, fields: &mut Fields<'_>, program: &Program) -> bool {
        let faults = self.differences(program);
        for (place, message, help) in &faults {
            fields.error(place, message.clone(), help.clone());
        }
        faults.is_empty()
    }

    fn differences(&self, program: &Program) -> Vec<(Place, String, String)> {
        let fault = |message: String| {
            let message = format!("the vector `{}` {message}", self.name);
            vec![(
                self.place.clone(),
                message,
                String::from("mend the rule or the vector"),
            )]
        };
        let bound = match Bound::new(program, self.secrets()) {
            Ok(bound) => bound,
            Err(message) => return fault(format!("has no key: {message}")),
        };
        let input = SignInput {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: &self.query,
            body: &self.body,
            security: Security::Signed,
        };
        let work = bound.work(&input, &self.fresh(program));
        let run = work.and_then(|work| {
            let mask = bound.mask(&work);
            let lines = work.lines()?;
            Ok((lines, mask, work.finish()?))
        });
        match run {
            Ok((lines, mask, signed)) => self.compare(&lines, &mask, &signed),
            Err(message) => fault(format!("cannot be signed: {message}")),
        }
    }

    fn compare(
        &self,
        lines: &[(String, Vec<u8>)],
        mask: &Mask,
        signed: &Signed,
    ) -> Vec<(Place, String, String)> {
        let told = || {
            let lines = lines.iter();
            let told = lines.map(|(name, bytes)| format!("{name} = `{}`", mask.shown(bytes)));
            format!("worked out: {}", told.collect::<Vec<_>>().join("; "))
        };
        let mut faults = Vec::new();
        for (what, expected) in &self.expected {
            let (name, found) = what.of(lines, signed);
            if found.is_some_and(|found| found == expected.value.as_bytes()) {
                continue;
            }
            let found = found.map_or_else(
                || "not there".to_owned(),
                |found| format!("`{}`", mask.shown(found)),
            );
            let message = format!(
                "the vector `{}` does not come out: {name} is {found}, expected `{}`",
                self.name,
                mask.shown(expected.value.as_bytes()),
            );
            faults.push((expected.place.clone(), message, told()));
        }
        faults
    }

    fn fresh(&self, program: &Program) -> Fresh {
        let unix_us = self.time_ms.saturating_mul(1_000);
        let nonces = program.0.vars.iter().find_map(|var| match var {
            Var::Monotonic(unit) => unit.of(unix_us),
            Var::UnixSeconds | Var::Unix(_) | Var::Iso8601 | Var::Uuid4 | Var::RandomHex16 => None,
        });
        Fresh {
            unix_us,
            nonce: self.nonce.or(nonces).unwrap_or_default(),
            random: self.random,
        }
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for (name, value) in &self.secrets {
            secrets.insert(name.clone(), Secret::new(value.clone().into_bytes()));
        }
        secrets
    }
}

impl What {
    fn of<'r>(
        &self,
        lines: &'r [(String, Vec<u8>)],
        signed: &'r Signed,
    ) -> (String, Option<&'r [u8]>) {
        match self {
            Self::Query => ("the query".to_owned(), Some(signed.query.as_bytes())),
            Self::Body => ("the body".to_owned(), Some(&signed.body)),
            Self::Header(name) => {
                let found = signed
                    .headers
                    .iter()
                    .find(|(header, _)| header == name.as_str());
                let found = found.map(|(_, value)| value.as_bytes());
                (format!("the header `{name}`"), found)
            }
            Self::Value(name) => {
                let found = lines.iter().find(|(line, _)| line == name);
                (
                    format!("`{name}`"),
                    found.map(|(_, value)| value.as_slice()),
                )
            }
        }
    }
}

fn whole(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| format!("`{text}` is no whole number"))
}

/// 16 bytes stand for both halves.
fn random_bytes(text: &str) -> Result<[u8; 32], String> {
    let bytes = from_hex(&text.replace('-', "")).unwrap_or_default();
    let whole = if bytes.len() == 16 {
        [bytes.as_slice(), bytes.as_slice()].concat()
    } else {
        bytes
    };
    whole
        .try_into()
        .map_err(|_| format!("`{text}` is not 16 or 32 bytes in hexadecimal"))
}
