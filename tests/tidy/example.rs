//! The example configuration against the schema: what can be said is shown, even if only in a comment.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// What `outrider schema` prints.
pub fn schema_of(program: &str) -> Value {
    let output = Command::new(program).arg("schema").output().unwrap();
    assert!(
        output.status.success(),
        "`outrider schema`: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Keys of the schema, at any depth, that the example does not name.
pub fn keys_missing(example: &str, schema: &Value) -> Vec<String> {
    let mut keys = BTreeSet::new();
    collect(schema, &mut keys);
    assert!(
        !keys.is_empty(),
        "the schema has no key: the scan sees nothing"
    );
    keys.iter()
        .filter(|key| !names(example, key))
        .map(|key| format!("sidecar.yaml.example: does not name `{key}`"))
        .collect()
}

fn collect<'s>(schema: &'s Value, keys: &mut BTreeSet<&'s str>) {
    match schema {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                keys.extend(properties.keys().map(String::as_str));
            }
            members.values().for_each(|member| collect(member, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether `key:` stands in the text as a key: first in its line (a comment counts) or first behind `{`, `,` or `-`.
fn names(text: &str, key: &str) -> bool {
    text.lines().any(|line| {
        line.match_indices(&format!("{key}:")).any(|(at, found)| {
            let before = line[..at].trim_end();
            let behind = &line[at + found.len()..];
            let begins = before.is_empty() || before.ends_with(['#', '{', ',', '-']);
            begins && (behind.is_empty() || behind.starts_with(' '))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fires_on_a_key_that_is_not_shown() {
        let schema = json!({"properties": {
            "listen": {"type": "string"},
            "routes": {"items": {"properties": {"name": {}, "match": {"properties": {"path": {}}}}}},
        }});
        let count = |text: &str| keys_missing(text, &schema).len();
        assert_eq!(
            count("listen: x\nroutes:\n  - name: a\n    match: { path: / }\n"),
            0
        );
        assert_eq!(
            count("# listen: x\nroutes:\n  - name: a\n    match: { method: GET, path: / }\n"),
            0
        );
        assert_eq!(
            count("listen: x\nroutes:\n  - name: a\n    match: { method: GET }\n"),
            1
        );
        assert_eq!(
            count("the listen: x\nroutes:\n  - rename: a\n    match: { xpath: / }\n"),
            3
        );
        assert_eq!(count(""), 4);
    }
}
