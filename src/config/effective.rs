//! Every setting that applies, with its origin: a line of the file, a variable, or a default. Never shows key material.

use serde_json::Value as Json;

use crate::model::node::{Node, Place, Value};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Such as `inbound.routes[0].name`.
    pub key: String,
    /// As written.
    pub value: String,
    /// `file:line`, `$VARIABLE` or `default`.
    pub origin: String,
}

/// The settings in the order of the file, defaults behind what is written in each section.
pub(super) fn settings(root: &Node, schema: &Json, file: &str) -> Vec<Setting> {
    let mut walk = Walk {
        file,
        settings: Vec::new(),
    };
    walk.node("", root, schema);
    walk.settings
}

struct Walk<'a> {
    file: &'a str,
    settings: Vec<Setting>,
}

impl Walk<'_> {
    fn node(&mut self, path: &str, node: &Node, schema: &Json) {
        match &node.value {
            Value::Null => self.push(path, "null".to_owned(), &node.place),
            Value::Scalar { text, .. } => self.push(path, shown(path, text), &node.place),
            Value::List(items) if items.is_empty() => {
                self.push(path, "[]".to_owned(), &node.place);
            }
            Value::List(items) => {
                let schema = schema.get("items").unwrap_or(&Json::Null);
                for (index, item) in items.iter().enumerate() {
                    self.node(&format!("{path}[{index}]"), item, schema);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let schema = property(schema, &entry.key);
                    self.node(&join(path, &entry.key), &entry.value, schema);
                }
                self.defaults(path, Some(node), schema);
            }
        }
    }

    /// The keys that a section could have and has not, as far as they mean something when absent.
    fn defaults(&mut self, path: &str, written: Option<&Node>, schema: &Json) {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
            return;
        };
        for (key, described) in properties {
            if written.is_some_and(|node| node.get(key).is_some() || !applies(schema, key, node)) {
                continue;
            }
            let path = join(path, key);
            match described.get("default") {
                Some(Json::String(text)) => self.push(&path, text.clone(), &Place::Default),
                Some(other) => self.push(&path, other.to_string(), &Place::Default),
                None if all_default(described) => self.defaults(&path, None, described),
                None => {}
            }
        }
    }

    fn push(&mut self, path: &str, value: String, place: &Place) {
        let origin = match place {
            Place::File { line, .. } => format!("{}:{line}", self.file),
            Place::Env(_) | Place::Default => place.to_string(),
        };
        self.settings.push(Setting {
            key: path.to_owned(),
            value,
            origin,
        });
    }
}

fn property<'s>(schema: &'s Json, key: &str) -> &'s Json {
    let named = schema.get("properties").and_then(|found| found.get(key));
    named.unwrap_or(&Json::Null)
}

/// Whether the keys are written beside which alone this one means something.
fn applies(schema: &Json, key: &str, node: &Node) -> bool {
    let needed = schema.get("dependentRequired").and_then(|all| all.get(key));
    let mut needed = needed.and_then(Json::as_array).into_iter().flatten();
    needed.all(|name| name.as_str().is_some_and(|name| node.get(name).is_some()))
}

/// A section that applies even when it is not written: each of its keys has a default.
fn all_default(schema: &Json) -> bool {
    let properties = schema.get("properties").and_then(Json::as_object);
    properties.is_some_and(|properties| {
        let mut described = properties.values();
        described.all(|property| property.get("default").is_some())
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// A key's text is public but long, and nobody compares it by eye; the query of a URL may not be public.
fn shown(path: &str, text: &str) -> String {
    if path.ends_with(".keys.inline") {
        return format!("({} bytes)", text.len());
    }
    if path.ends_with(".keys.url")
        && let Some((url, _)) = text.split_once('?')
    {
        return format!("{url}?...");
    }
    if text.chars().any(char::is_control) {
        return format!("{text:?}");
    }
    text.to_owned()
}
