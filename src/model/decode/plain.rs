//! How plain types are read: lists, maps of the user's names, text, truth values and whole numbers. Never a type of ours.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::fault::Faults;
use super::super::node::{Node, Value};
use super::{Decode, decode_list, decode_scalar, one_of, refuse_quotes};

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_list(node, faults, T::decode)
    }

    fn schema() -> Json {
        json!({"type": "array", "items": T::schema()})
    }
}

/// A map whose keys are names that the user chose.
impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            faults.error(
                &node.place,
                format!("expected `key: value` pairs, found {}", node.kind()),
            );
            return None;
        };
        let read: Vec<Option<(String, T)>> = entries
            .iter()
            .map(|entry| T::decode(&entry.value, faults).map(|value| (entry.key.clone(), value)))
            .collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({"type": "object", "additionalProperties": T::schema()})
    }
}

impl Decode for String {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        decode_scalar(node, "text", faults, |text| {
            if text.is_empty() {
                Err("expected text, found nothing".to_owned())
            } else {
                Ok(text.to_owned())
            }
        })
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1})
    }
}

impl Decode for bool {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        refuse_quotes(node, faults, "true or false")?;
        if let Value::Scalar { text, .. } = &node.value {
            // What other programs take for a truth value.
            let meant = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "true" => Some("true"),
                "no" | "off" | "n" | "0" | "false" => Some("false"),
                _ => None,
            };
            if let Some(meant) = meant.filter(|meant| meant != text) {
                let message = format!("expected true or false, found `{text}`");
                faults.error_with_help(&node.place, message, format!("write {meant}"));
                return None;
            }
        }
        one_of(node, faults, &[("true", true), ("false", false)])
    }

    fn schema() -> Json {
        json!({"type": "boolean"})
    }
}

impl Decode for u32 {
    fn decode(node: &Node, faults: &mut Faults) -> Option<Self> {
        refuse_quotes(node, faults, "a whole number")?;
        decode_scalar(node, "a whole number", faults, |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let plain = digits && (text == "0" || !text.starts_with('0'));
            text.parse().ok().filter(|_| plain).ok_or_else(|| {
                format!(
                    "expected a whole number from 0 to {}, found `{text}`",
                    Self::MAX
                )
            })
        })
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 0, "maximum": Self::MAX})
    }
}
