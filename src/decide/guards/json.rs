//! The guard of `body.json`: a body is JSON with one reading (RFC 8259, I-JSON's rule on names). Never changes a byte.
//! Names that differ in case are two names, and a whole number beyond 2^53 passes, though some services round it.

use std::collections::HashSet;
use std::fmt;

use http::Method;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::model::decode::Fields;
use crate::model::denial::{Cause, Denial};
use crate::model::facts::Framing;

use super::{Ask, Context, Guard, GuardKind, Pass, Rule, Scope, Stage};

/// Keys `json` and `depth_max` in `body`.
pub(super) struct Kind;

/// Deep enough for any order, shallow enough for any parser behind us.
const DEPTH: u32 = 32;

/// The parser's own limit; beyond it a depth cannot be promised.
const DEPTH_MAX: u32 = 127;

impl GuardKind for Kind {
    fn name(&self) -> &'static str {
        "json"
    }

    fn stage(&self) -> Stage {
        Stage::Body
    }

    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Body]
    }

    fn read(&self, _: Scope, context: &Context<'_>, fields: &mut Fields<'_>) -> Vec<Rule> {
        let wanted = fields.or(
            "json",
            "whether a body must be well-formed JSON without duplicate names",
            "false",
            false,
        );
        let depth = fields.or(
            "depth_max",
            "how deep objects and lists may nest in each other",
            "32",
            DEPTH,
        );
        if depth == 0 || depth > DEPTH_MAX {
            let place = fields.place_of("depth_max");
            fields.error(
                &place,
                format!("a depth of {depth}"),
                format!("write a number from 1 to {DEPTH_MAX}"),
            );
        }
        if !wanted {
            if fields.has("depth_max") {
                let place = fields.place_of("depth_max");
                fields.error(
                    &place,
                    "`depth_max` without `json: true` checks nothing",
                    "add `json: true`",
                );
            }
            return Vec::new();
        }
        vec![context.rule("body.json", fields.place_of("json"), JsonGuard { depth })]
    }
}

#[derive(Debug)]
struct JsonGuard {
    depth: u32,
}

impl JsonGuard {
    fn objection(&self, ask: &Ask<'_>) -> Option<String> {
        if ask.facts.framing == Framing::None || ask.body.is_empty() {
            let carries = matches!(ask.facts.method, Method::POST | Method::PUT | Method::PATCH);
            return carries.then(|| "there is no body".to_owned());
        }
        judge(ask.body, self.depth)
            .err()
            .map(|error| error.to_string())
    }
}

impl Guard for JsonGuard {
    fn check(&self, ask: &Ask<'_>) -> Result<Pass, Box<Denial>> {
        self.objection(ask)
            .map_or(Ok(Pass::Plain), |why| Err(Denial::new(Cause::Json, why)))
    }

    fn explain(&self, ask: &Ask<'_>) -> String {
        self.objection(ask)
            .unwrap_or_else(|| format!("JSON, at most {} deep", self.depth))
    }
}

/// Whether the bytes are one JSON value without duplicate names, out-of-range numbers or too much depth. The error
/// names line and column, never the content.
fn judge(body: &[u8], depth: u32) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    Judge { depth_left: depth }.deserialize(&mut parser)?;
    parser.end()
}

/// Walks a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Judge {
    depth_left: u32,
}

impl Judge {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left }),
            None => Err(E::custom("nested too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Judge {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Judge {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() {
            Ok(())
        } else {
            Err(E::custom("a number out of range"))
        }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names: HashSet<String> = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name that stands twice in one object"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn one_reading_passes_and_two_do_not() {
        let deep = format!("{}{}", "[".repeat(32), "]".repeat(32));
        let too_deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        let sound: &[&[u8]] = &[
            br#"{"symbol":"BTCUSDT","price":43250.10,"tags":[1,2,{"a":null}],"x":true}"#,
            b"0.1000000000000000055511151231257827",
            b" [] ",
            br#""\ud83d\ude00""#,
            "\"caf\u{e9}\"".as_bytes(),
            deep.as_bytes(),
        ];
        for body in sound {
            judge(body, 32).unwrap_or_else(|error| panic!("{}: {error}", body.escape_ascii()));
        }
        let broken: &[&[u8]] = &[
            b"",
            b"{\"a\":1,\"a\":2}",
            b"{\"a\":1,\"\\u0061\":2}",
            b"{\"x\":{\"a\":1,\"a\":2}}",
            b"1e400",
            b"NaN",
            b"-Infinity",
            b"01",
            b"{\"a\":1} x",
            b"{\"a\":1}{\"a\":1}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"// note\n1",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"\"\\ud800\"",
            b"\"line\nbreak\"",
            "{\"a\":1}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>()
                .leak(),
            too_deep.as_bytes(),
        ];
        for body in broken {
            assert!(judge(body, 32).is_err(), "{} passed", body.escape_ascii());
        }
    }
}
