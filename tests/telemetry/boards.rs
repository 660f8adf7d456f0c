//! The dashboard and the alerts against `docs/metrics.md`: they name no metric and no label that is not there, and every
//! alert fires on what it is for.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::metrics::{Families, described};

/// Labels that Prometheus adds, and functions and words of its language that could be taken for names.
const NOT_OURS: [&str; 3] = ["le", "job", "instance"];

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

#[test]
fn the_dashboard_names_what_is_there() {
    let text = fs::read_to_string(format!("{DEPLOY}/grafana/outrider.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut expressions = Vec::new();
    gather(&dashboard, &mut expressions);
    assert!(expressions.len() > 30, "{}", expressions.len());
    hold(&expressions);
    // A gap in the order of places would be a hole on the board.
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have one id");
}

#[test]
fn the_alerts_name_what_is_there() {
    let text = fs::read_to_string(format!("{DEPLOY}/prometheus/alerts.yaml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&text).unwrap();
    let mut expressions = Vec::new();
    gather(&alerts, &mut expressions);
    assert!(expressions.len() > 10, "{}", expressions.len());
    hold(&expressions);
    let tests = fs::read_to_string(format!("{DEPLOY}/prometheus/tests.yaml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            tests.contains(&format!("alertname: {name}")),
            "no test for {name}"
        );
    }
}

#[test]
fn the_alerts_fire_as_their_tests_say() {
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "tests.yaml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(format!("{DEPLOY}/prometheus"))
            .output()
            .expect("promtool is installed (Debian: prometheus)");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Everything that stands under the key `expr`.
fn gather(json: &Value, expressions: &mut Vec<String>) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().filter(|_| key == "expr") {
                    Some(expression) => expressions.push(expression.to_owned()),
                    None => gather(value, expressions),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|one| gather(one, expressions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn hold(expressions: &[String]) {
    let described = described();
    for expression in expressions {
        let families = named(expression, &described);
        assert!(
            !families.is_empty() || expression.starts_with("up{"),
            "{expression}"
        );
        for label in labels(expression) {
            let known = families
                .iter()
                .any(|name| described[name].1.contains(&label));
            assert!(
                known || NOT_OURS.contains(&label.as_str()),
                "{label} in {expression}"
            );
        }
    }
}

/// The families that an expression asks for; each must be described.
fn named(expression: &str, described: &Families) -> BTreeSet<String> {
    let words = expression.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let ours = words.filter(|word| {
        ["outrider_", "http_server_", "http_client_", "process_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    });
    let family = |word: &str| {
        let mut spellings = ["", "_bucket", "_sum", "_count"].iter();
        let known = spellings.find_map(|end| {
            let base = word.strip_suffix(end)?;
            described.contains_key(base).then(|| base.to_owned())
        });
        known.unwrap_or_else(|| panic!("{word} is not there: {expression}"))
    };
    ours.map(family).collect()
}

/// The labels that are matched or grouped by.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for (open, close) in [('{', '}'), ('(', ')')] {
        for (at, _) in expression.match_indices(open) {
            let grouped = expression[..at].trim_end().ends_with("by");
            if open == '(' && !grouped {
                continue;
            }
            let rest = &expression[at + 1..];
            let inside = &rest[..rest.find(close).unwrap()];
            let names = inside
                .split(',')
                .map(|pair| pair.split(['=', '!']).next().unwrap().trim());
            labels.extend(names.map(str::to_owned));
        }
    }
    labels
}
