//! The guard of `body.content_types`: a body has one of the types named, and no coding that hides it. Where only `json`
//! is asked for, the types are those of JSON. Never looks into the body.

use std::fmt;

use http::HeaderValue;

use serde_json::{Value as Json, json};

use crate::model::decode::{Decode, Fields, decode_scalar};
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Framing;
use crate::model::fault::Faults;
use crate::model::node::Node;

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};

/// Key `content_types` in `body`.
pub(super) struct Kind;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "content_type"
    }

    fn stage(&self) -> Stage {
        Stage::Head
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Body]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let types: Option<Vec<MediaType>> = fields.optional(
            "content_types",
            "media types a body may have, without parameters, with `json: true` those of JSON; refused are a charset other than UTF-8 and a Content-Encoding",
        );
        let Some(types) = types else {
            // A faulty list has its own fault, and no list means the types of JSON if the body must be that.
            if !fields.says("json") || fields.has("content_types") {
                return Vec::new();
            }
            let (place, types) = (fields.place_of("json"), Types::Json);
            return vec![context.rule("body.content_types", place, ContentTypeGuard { types })];
        };
        let place = fields.place_of("content_types");
        if types.is_empty() {
            fields.error(
                &place,
                "an empty list takes no body at all",
                "name a type such as application/json",
            );
        }
        let types = Types::Listed(types);
        vec![context.rule("body.content_types", place, ContentTypeGuard { types })]
    }
}

/// What a body may be.
#[derive(Debug)]
enum Types {
    /// One of these.
    Listed(Vec<MediaType>),
    /// `application/json`, or any type with the suffix `+json` (RFC 6839 section 3.1).
    Json,
}

impl Types {
    fn take(&self, essence: &str) -> bool {
        match self {
            Self::Listed(types) => types
                .iter()
                .any(|known| known.0.eq_ignore_ascii_case(essence)),
            Self::Json => {
                let (_, suffix) = essence.rsplit_once('+').unwrap_or_default();
                essence.eq_ignore_ascii_case("application/json")
                    || essence.contains('/') && suffix.eq_ignore_ascii_case("json")
            }
        }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(types) => {
                let types: Vec<&str> = types.iter().map(|known| known.0.as_str()).collect();
                out.write_str(&types.join(", "))
            }
            Self::Json => out.write_str("application/json, +json"),
        }
    }
}

/// `type/subtype` in lower case.
#[derive(Debug)]
struct MediaType(String);

impl Decode for MediaType {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "a media type", faults, |text| {
            let token = |part: &str| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
                !part.is_empty() && part.bytes().all(plain)
            };
            match text.split_once('/') {
                Some((kind, subtype)) if token(kind) && token(subtype) => {
                    Ok(Self(text.to_ascii_lowercase()))
                }
                Some(_) | None => Err(format!(
                    "`{text}` is not a media type (like application/json)"
                )),
            }
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "pattern": "^[^/; ]+/[^/; ]+$", "examples": ["application/json"]})
    }
}

#[derive(Debug)]
struct ContentTypeGuard {
    types: Types,
}

impl ContentTypeGuard {
    /// Why the body's type does not do; `None` if it does or there is no body.
    fn objection(&self, ask: &Ask<'_>) -> Option<&'static str> {
        if ask.facts.framing == Framing::None {
            return None;
        }
        if ask.facts.encoded {
            return Some("a content encoding, so that it cannot be read");
        }
        let Some(sent) = ask.facts.content_type.as_ref().and_then(text) else {
            return Some("a body without a content type");
        };
        let (essence, parameters) = sent.split_once(';').unwrap_or((sent, ""));
        let essence = essence.trim_matches([' ', '\t']);
        if !self.types.take(essence) {
            return Some("a content type that is not on the list");
        }
        parameters
            .split(';')
            .any(names_other_charset)
            .then_some("a charset other than UTF-8")
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

fn names_other_charset(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => false,
    }
}

impl Guard for ContentTypeGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        self.objection(ask).map_or(Ok(Pass::Plain), |why| {
            Err(Denial::new(Cause::ContentType, why))
        })
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        let known = &self.types;
        self.objection(ask).map_or_else(
            || format!("one of {known}, or no body"),
            |why| format!("{why}; {known} would do"),
        )
    }
}
