//! The configuration from outside: broken files and their messages, the schema against the decoder, the environment,
//! the example. Nothing here opens a socket.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    reason = "a test that fails may panic"
)]

mod broken;
mod environment;
mod example;
mod schema;
mod tree;
#[path = "../support/work.rs"]
mod work;

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

/// Routes, and what is said of the last one; nothing if the order is sound.
const ORDERS: &[([&str; 2], &str)] = &[
    (
        [
            "{ name: any, match: { method: GET, path: \"/api/{any}\" }, anonymous: true }",
            "{ name: admin, match: { path: /api/admin }, require: { permissions: [orders:place] } }",
        ],
        "route `any` takes some requests of `admin` and does not ask for a token",
    ),
    (
        [
            "{ name: view, match: { path: \"/api/{any}\", method: GET }, require: { permissions: [orders:view] } }",
            "{ name: admin, match: { path: /api/admin }, require: { permissions: [orders:view, orders:place] } }",
        ],
        "route `view` takes some requests of `admin` and does not ask for `orders:place`",
    ),
    (
        [
            "{ name: told, match: { path: \"/api/{any}\", method: GET }, require: { permissions: [orders:place], mode: shadow } }",
            "{ name: admin, match: { path: /api/admin }, require: { permissions: [orders:place] } }",
        ],
        "route `told` takes some requests of `admin` and does not ask for `orders:place`",
    ),
    (
        [
            "{ name: open, match: { path: /a, methods: [GET, POST] }, anonymous: true }",
            "{ name: shut, match: { path: /a, methods: [POST, PUT] } }",
        ],
        "route `open` takes some requests of `shut` and does not ask for a token",
    ),
    // An exception before the rule, other methods, other hosts, and one that asks for more.
    (
        [
            "{ name: health, match: { path: /health }, anonymous: true }",
            "{ name: rest, match: { path: /**, method: GET } }",
        ],
        "",
    ),
    (
        [
            "{ name: any, match: { method: GET, path: \"/api/{any}\" }, anonymous: true }",
            "{ name: admin, match: { method: POST, path: /api/admin } }",
        ],
        "",
    ),
    (
        [
            "{ name: any, match: { host: a.example, path: \"/api/{any}\" }, anonymous: true }",
            "{ name: admin, match: { host: b.example, path: /api/admin } }",
        ],
        "",
    ),
    (
        [
            "{ name: any, match: { method: GET, path: \"/api/{any}\" }, require: { permissions: [orders:place] } }",
            "{ name: admin, match: { path: /api/admin } }",
        ],
        "",
    ),
];

#[test]
fn a_route_that_lets_requests_past_a_later_one_is_a_warning() {
    for ([one, other], expected) in ORDERS {
        let text = format!(
            "service: orders
inbound:
  listen: 127.0.0.1:8080
  forward_to: http://127.0.0.1:3000
  tokens: {{ issuer: me, audience: orders, keys: {{ inline: x }} }}
  roles: {{ trader: [\"orders:*\"] }}
  routes:
    - {one}
    - {other}
audit: {{ spool: ./audit }}
"
        );
        let loaded = load(&text, &[]).map_err(|report| report.render(false));
        let told = loaded.unwrap().warnings.render(false);
        if expected.is_empty() {
            assert_eq!(told, "", "{one} {other}");
            continue;
        }
        let first = format!("warning: {expected}\n --> sidecar.yaml:9:15\n");
        assert!(told.starts_with(&first), "{told}");
        let help = "help: it stands in line 8: put `";
        assert!(told.contains(help), "{told}");
    }
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
