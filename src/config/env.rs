//! `OUTRIDER_` variables as patches of the tree: `OUTRIDER_INBOUND__LISTEN` is `inbound: { listen: ... }`. The
//! environment is handed in; never reads the real one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use crate::model::decode::suggest;
use crate::model::fault::Faults;
use crate::model::node::{Entry, Node, Place, Value};

use super::report::plural;
use super::yaml;

const PREFIX: &str = "OUTRIDER_";

/// Patches `root` with every variable that names one of `sections`. Others with our prefix are warned of.
pub(super) fn patch(
    root: &mut Node,
    sections: &[&str],
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    faults: &mut Faults,
) {
    for variable in ours(variables, faults) {
        let Some((first, _)) = variable.path.split_first() else {
            continue;
        };
        if sections.contains(&first.as_str()) {
            variable.apply(root, faults);
        } else {
            let message = format!("`{first}` is not a section, so this variable changes nothing");
            faults.warning(&variable.place, message, suggest(first, sections));
        }
    }
}

/// Whether a variable of this name is meant for us.
pub(super) fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// One variable of ours.
struct Variable {
    path: Vec<String>,
    place: Place,
    value: String,
}

/// Ours in the order of their names, so that `A` is set before `A__B` patches it.
fn ours(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    faults: &mut Faults,
) -> Vec<Variable> {
    let mut sorted = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let place = Place::Env(Arc::from(name));
        let path = name.strip_prefix(PREFIX).unwrap_or(name);
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let Some(value) = value.to_str() else {
            faults.error(&place, "the value is not UTF-8");
            continue;
        };
        let variable = Variable {
            path: path.clone(),
            place: place.clone(),
            value: value.to_owned(),
        };
        if let Some(other) = sorted.insert(path, variable) {
            let message = format!("this sets the same key as {}", other.place);
            faults.error_with_help(
                &place,
                message,
                "keep one; the case of letters does not matter",
            );
        }
    }
    sorted.into_values().collect()
}

impl Variable {
    fn apply(self, root: &mut Node, faults: &mut Faults) {
        let Some(value) = self.parse(faults) else {
            return;
        };
        let mut target = root;
        for (depth, segment) in self.path.iter().enumerate() {
            match step(target, segment, &self.place) {
                Ok(next) => target = next,
                Err(refusal) => {
                    let above = self.path.get(..depth).unwrap_or_default().join(".");
                    faults.error(&self.place, format!("`{above}` {refusal}"));
                    return;
                }
            }
        }
        *target = value;
    }

    /// The value as YAML; its syntax errors stand at the variable.
    fn parse(&self, faults: &mut Faults) -> Option<Node> {
        if self.value.trim().is_empty() {
            return Some(Node {
                value: Value::Null,
                place: self.place.clone(),
            });
        }
        let mut own = Faults::default();
        let parsed = yaml::parse(&self.value, &mut own);
        for fault in own.into_sorted() {
            let help = fault.help.unwrap_or_default();
            faults.error_with_help(&self.place, fault.message, help);
        }
        let mut node = parsed?;
        relocate(&mut node, &self.place);
        Some(node)
    }
}

/// The child that `segment` names, made if it is not there.
fn step<'n>(node: &'n mut Node, segment: &str, place: &Place) -> Result<&'n mut Node, String> {
    let index = segment.parse::<usize>().ok();
    if matches!(node.value, Value::Null) {
        let value = match index {
            Some(_) => Value::List(Vec::new()),
            None => Value::Map(Vec::new()),
        };
        *node = Node {
            value,
            place: place.clone(),
        };
    }
    match &mut node.value {
        Value::List(items) => step_list(items, index, segment, place),
        Value::Map(entries) => step_map(entries, segment, place),
        Value::Scalar { .. } | Value::Null => {
            Err(format!("is a single value and has no `{segment}`"))
        }
    }
}

fn step_list<'n>(
    items: &'n mut Vec<Node>,
    index: Option<usize>,
    segment: &str,
    place: &Place,
) -> Result<&'n mut Node, String> {
    let count = items.len();
    let Some(index) = index else {
        return Err(format!(
            "is a list; `{segment}` is not the number of an item"
        ));
    };
    if index == count {
        items.push(nothing(place));
    }
    items.get_mut(index).ok_or_else(|| {
        let items = plural(count, "item");
        format!("has {items}, counted from 0; {count} appends one, {index} is beyond that")
    })
}

fn step_map<'n>(
    entries: &'n mut Vec<Entry>,
    segment: &str,
    place: &Place,
) -> Result<&'n mut Node, String> {
    let at = entries.iter().position(|entry| entry.key == segment);
    let at = at.unwrap_or_else(|| {
        entries.push(Entry {
            key: segment.to_owned(),
            key_place: place.clone(),
            value: nothing(place),
        });
        entries.len().saturating_sub(1)
    });
    let found = entries.get_mut(at).map(|entry| &mut entry.value);
    found.ok_or_else(|| format!("has no `{segment}`"))
}

fn nothing(place: &Place) -> Node {
    Node {
        value: Value::Null,
        place: place.clone(),
    }
}

/// Everything in the value of a variable stands at the variable. The depth is bounded by the parser.
fn relocate(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::Null | Value::Scalar { .. } => {}
        Value::List(items) => items.iter_mut().for_each(|item| relocate(item, place)),
        Value::Map(entries) => {
            for entry in entries {
                entry.key_place = place.clone();
                relocate(&mut entry.value, place);
            }
        }
    }
}
