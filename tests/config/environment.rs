//! `OUTRIDER_` variables: what they set, in which order, and how their origin is told.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use outrider::config;

use crate::{SMALLEST, load};

#[test]
fn variables_win_over_the_file_at_every_level() {
    let environment = [
        ("OUTRIDER_INBOUND__LISTEN", "127.0.0.1:9000"),
        ("OUTRIDER_INBOUND__ROUTES__0__NAME", "renamed"),
        (
            "OUTRIDER_INBOUND__ROUTES__1",
            "{name: more, match: {path: /x, host: a.example}, anonymous: true}",
        ),
        ("OUTRIDER_INBOUND__BOUNDS__BODY_BYTES_MAX", "1MB"),
        ("OUTRIDER_INBOUND__ALLOW_IPS__0", "10.0.0.0/8"),
        ("OUTRIDER_HEALTH", "{listen: 127.0.0.1:9100}"),
        ("OUTRIDER_HEALTH__LISTEN", "127.0.0.1:9200"),
        ("PATH", "/bin"),
    ];
    // The whole route of the file would hide the one that is added.
    let file = SMALLEST.replace("path: /**", "path: /only");
    let config = load(&file, &environment).unwrap().config;
    assert_eq!(config.inbound.listen.unwrap().port(), 9000);
    let names: Vec<&str> = config
        .inbound
        .policy
        .routes
        .iter()
        .map(|route| &*route.name)
        .collect();
    assert_eq!(names, ["renamed", "more"]);
    assert_eq!(config.inbound.limits.body_bytes_max.0, 1_000_000);
    assert_eq!(config.inbound.policy.shared.admit.len(), 1);
    assert_eq!(
        config.health.listen.port(),
        9200,
        "the longer name patches the shorter"
    );
}

#[test]
fn a_name_of_ours_that_fits_nothing_is_a_warning() {
    let loaded = load(SMALLEST, &[("OUTRIDER_INBOND__LISTEN", "x")]).unwrap();
    let text = loaded.warnings.render(false);
    assert!(
        text.contains("$OUTRIDER_INBOND__LISTEN") && text.contains("did you mean `inbound`?"),
        "{text}"
    );
}

#[test]
fn a_value_that_is_no_text_is_refused_only_under_our_name() {
    let broken = OsString::from_vec(vec![0xff]);
    let read = |name: &str| {
        let variables = [(OsString::from(name), broken.clone())];
        config::load_bytes(
            "x",
            SMALLEST.as_bytes(),
            std::path::Path::new(""),
            variables,
        )
    };
    assert!(read("OUTRIDER_SERVICE").is_err());
    assert!(read("OTHER").is_ok());
}

#[test]
fn anchors_are_refused_in_variables_too() {
    assert!(load(SMALLEST, &[("OUTRIDER_SERVICE", "&a orders")]).is_err());
}

#[test]
fn every_setting_tells_its_origin() {
    let text = SMALLEST.replace(
        "  routes:",
        "  tokens: { issuer: me, audience: orders, keys: { inline: \"secret-looking\" } }\n  routes:",
    );
    let loaded = load(&text, &[("OUTRIDER_SERVICE", "other")]).unwrap();
    let settings = loaded.effective();
    let find = |key: &str| {
        let found = settings.iter().find(|setting| setting.key == key).unwrap();
        (found.value.as_str(), found.origin.as_str())
    };
    assert_eq!(find("service"), ("other", "$OUTRIDER_SERVICE"));
    assert_eq!(find("inbound.routes[0].name"), ("all", "sidecar.yaml:7"));
    assert_eq!(find("inbound.timeouts.total"), ("120s", "default"));
    assert_eq!(find("inbound.tokens.failures.burst"), ("60", "default"));
    assert_eq!(
        find("inbound.tokens.keys.inline"),
        ("(14 bytes)", "sidecar.yaml:5")
    );
    assert!(
        settings
            .iter()
            .all(|setting| !setting.value.contains("secret-looking"))
    );
}
