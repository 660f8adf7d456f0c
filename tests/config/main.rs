//! The configuration from outside: broken files and their messages, the schema against the decoder, the environment,
//! the example. Nothing here opens a socket.

mod broken;
mod environment;
mod example;
mod schema;
mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use outrider::config::{self, Loaded, Report};

/// The repository's folder of this name.
fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Variables as the environment would give them.
fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

/// Reads a text without any file beside it.
fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, Box<Report>> {
    config::load_bytes(
        "sidecar.yaml",
        text.as_bytes(),
        Path::new("/nowhere"),
        variables(environment),
    )
}

/// The smallest configuration that is taken.
const SMALLEST: &str = "\
service: orders
inbound:
  listen: 127.0.0.1:8080
  forward_to: http://127.0.0.1:3000
  routes:
    - name: all
      match: { path: /** }
      anonymous: true
audit: { spool: ./audit }
";

#[test]
fn the_smallest_configuration_is_taken_without_warnings() {
    let loaded = load(SMALLEST, &[]).unwrap();
    assert_eq!(loaded.warnings.render(false), "");
    assert_eq!(loaded.config.service, "orders");
    assert_eq!(loaded.config.inbound.policy.routes.len(), 1);
    assert_eq!(loaded.config.inbound.limits.body_bytes_max.0, 10_000_000);
    assert_eq!(loaded.config.audit.folder, Path::new("/nowhere/./audit"));
}

#[test]
fn a_permission_that_no_role_grants_is_a_warning() {
    let tokens = "tokens: { issuer: me, audience: orders, keys: { inline: x } }";
    let required = "require: { permissions: [orders:place] }";
    let text = SMALLEST.replace("anonymous: true", required);
    let with = |roles: &str| {
        text.replace(
            "  routes:",
            &format!("  {tokens}\n  roles: {roles}\n  routes:"),
        )
    };
    let warned = load(&with("{ trader: [orders:cancel] }"), &[])
        .unwrap()
        .warnings
        .render(false);
    assert!(
        warned.starts_with("warning: no role grants `orders:place`\n  --> sidecar.yaml:10:32\n"),
        "{warned}"
    );
    let quiet = load(&with("{ trader: [\"orders:*\"] }"), &[]).unwrap();
    assert_eq!(quiet.warnings.render(false), "");
}

#[test]
fn writing_every_default_changes_nothing() {
    let silent = load(SMALLEST, &[]).unwrap();
    let defaults: Vec<(String, String)> = silent
        .effective()
        .into_iter()
        .filter(|setting| setting.origin == "default")
        .map(|setting| {
            let path = setting
                .key
                .replace('[', ".")
                .replace(']', "")
                .replace('.', "__");
            (format!("OUTRIDER_{}", path.to_uppercase()), setting.value)
        })
        .collect();
    assert!(defaults.len() > 20, "{defaults:?}");
    let pairs: Vec<(&str, &str)> = defaults
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let spoken = load(SMALLEST, &pairs)
        .map_err(|report| report.render(false))
        .unwrap();
    assert_eq!(
        format!("{:?}", silent.config),
        format!("{:?}", spoken.config)
    );
}
