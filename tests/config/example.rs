//! The example that everybody copies: taken without a warning, and it names every key there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use outrider::config;
use serde_json::Value as Json;

use crate::{here, variables};

const NAME: &str = "sidecar.yaml.example";

#[test]
fn the_example_is_taken_without_a_warning() {
    let loaded = config::load(&here(NAME), [])
        .map_err(|report| report.render(false))
        .unwrap();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.config.inbound.policy.routes.len(), 6);
}

#[test]
fn the_example_names_every_key_of_the_schema() {
    let text = fs::read_to_string(here(NAME)).unwrap();
    let mut keys = BTreeSet::new();
    collect(&config::schema(), &mut keys);
    assert!(keys.len() > 60, "{keys:?}");
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| !text.contains(&format!("{key}:")))
        .collect();
    assert!(missing.is_empty(), "not in the example: {missing:?}");
}

#[test]
fn defaults_in_comments_are_the_defaults() {
    let text = fs::read_to_string(here(NAME)).unwrap();
    let mut listed = Vec::new();
    collect_defaults(&config::schema(), &mut listed);
    // One key may stand in several sections, each with a default of its own.
    let mut defaults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, default) in listed {
        defaults.entry(key).or_default().push(default);
    }
    for (key, defaults) in defaults {
        for line in text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("# "))
        {
            let said = line.trim_start().strip_prefix(&format!("{key}: "));
            if let Some(said) = said.and_then(|rest| rest.split_whitespace().next()) {
                assert!(
                    defaults.iter().any(|default| default == said),
                    "{key}: {said}"
                );
            }
        }
    }
}

#[test]
fn the_outbound_part_is_taken_once_it_is_no_comment_any_more() {
    let text = fs::read_to_string(here(NAME)).unwrap();
    let (before, rest) = text.split_once("\n# outbound:").unwrap();
    let (part, after) = rest.split_once("\n\n").unwrap();
    let open = |line: &str| line.strip_prefix("# ").unwrap_or(line).to_owned();
    let part: Vec<String> = part.lines().map(open).collect();
    let part = part
        .join("\n")
        .replace("[\"sha256/...\", \"sha256/...\"]", PINS);
    let text = format!("{before}\noutbound:{part}\n\n{after}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), "").unwrap();
    let secrets = variables(&[
        ("BINANCE_TESTNET_API_KEY", "key"),
        ("BINANCE_TESTNET_SECRET_KEY", "secret"),
        ("CALLER_TOKEN", "a-token-that-nobody-guesses"),
        ("MY_API_KEY", "key"),
        ("MY_SECRET_KEY", "secret"),
        ("MY_PASSPHRASE", "passphrase"),
    ]);
    let loaded = config::load_bytes(NAME, text.as_bytes(), folder.path(), secrets)
        .map_err(|report| report.render(false))
        .unwrap();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.config.outbound.len(), 2);
}

/// Two pins, as the example leaves them out.
const PINS: &str = "[\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \
                    \"sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"]";

fn collect(schema: &Json, keys: &mut BTreeSet<String>) {
    for (key, described) in schema["properties"].as_object().into_iter().flatten() {
        keys.insert(key.clone());
        collect(described, keys);
        collect(&described["items"], keys);
    }
}

fn collect_defaults(schema: &Json, defaults: &mut Vec<(String, String)>) {
    for (key, described) in schema["properties"].as_object().into_iter().flatten() {
        match &described["default"] {
            Json::Null => {}
            Json::String(default) => defaults.push((key.clone(), default.clone())),
            other => defaults.push((key.clone(), other.to_string())),
        }
        collect_defaults(described, defaults);
        collect_defaults(&described["items"], defaults);
    }
}
