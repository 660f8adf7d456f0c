//! The guard of `body.content_types`: a body has one of the types named. Never looks into the body.

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
            "media types a body may have, without parameters; a charset other than UTF-8 is refused",
        );
        let Some(types) = types else {
            return Vec::new();
        };
        let place = fields.place_of("content_types");
        if types.is_empty() {
            fields.error(
                &place,
                "an empty list takes no body at all",
                "name a type such as application/json",
            );
        }
        vec![context.rule("body.content_types", place, ContentTypeGuard { types })]
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
    types: Vec<MediaType>,
}

impl ContentTypeGuard {
    /// Why the body's type does not do; `None` if it does or there is no body.
    fn objection(&self, ask: &Ask<'_>) -> Option<&'static str> {
        if ask.facts.framing == Framing::None {
            return None;
        }
        let Some(sent) = ask.facts.content_type.as_ref().and_then(text) else {
            return Some("a body without a content type");
        };
        let (essence, parameters) = sent.split_once(';').unwrap_or((sent, ""));
        let essence = essence.trim_matches([' ', '\t']);
        if !self
            .types
            .iter()
            .any(|known| known.0.eq_ignore_ascii_case(essence))
        {
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
        let known: Vec<&str> = self.types.iter().map(|known| known.0.as_str()).collect();
        let known = known.join(", ");
        self.objection(ask).map_or_else(
            || format!("one of {known}, or no body"),
            |why| format!("{why}; {known} would do"),
        )
    }
}
