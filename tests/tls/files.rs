//! Files that cannot be used: refused at load, each with what is wrong and where.

use std::fs;
use std::path::Path;

use rcgen::KeyPair;

use crate::authority::{Authority, server_of};
use crate::sidecar::check;

const ROUTES: &str = "  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]";

fn told(folder: &Path, tls: &str) -> String {
    let output = check(folder, &format!("  tls: {{ {tls} }}\n{ROUTES}"));
    let code = output.status.code();
    format!("{code:?} {}", String::from_utf8_lossy(&output.stdout))
}

/// What is written under `tls`, and what is said of it.
const REFUSED: &[(&str, &str)] = &[
    (
        "certificate: no.crt, key: good.key",
        "`no.crt` does not exist",
    ),
    ("certificate: ., key: good.key", "the file `.` is a folder"),
    (
        "certificate: empty.crt, key: good.key",
        "`empty.crt` is empty",
    ),
    (
        "certificate: good.key, key: good.key",
        "holds no certificate",
    ),
    (
        "certificate: half.crt, key: good.key",
        "`half.crt` is broken",
    ),
    (
        "certificate: order.crt, key: good.key",
        "`order.crt` are not in order",
    ),
    (
        "certificate: expired.crt, key: expired.key",
        "`expired.crt` expired on",
    ),
    (
        "certificate: early.crt, key: early.key",
        "`early.crt` is not valid before",
    ),
    (
        "certificate: good.crt, key: good.crt",
        "holds no private key",
    ),
    (
        "certificate: good.crt, key: two.key",
        "more than one private key",
    ),
    ("certificate: good.crt, key: encrypted.key", "is encrypted"),
    (
        "certificate: good.crt, key: kind.key",
        "of a kind that is not supported",
    ),
    (
        "certificate: good.crt, key: other.key",
        "`other.key` does not belong to `good.crt`",
    ),
    (
        "certificate: good.crt, key: good.key, client_ca: good.crt",
        "is not one of a CA",
    ),
    (
        "certificate: good.crt, key: good.key, client_certificate: optional",
        "`client_ca` is missing",
    ),
    (
        "certificate: good.crt, key: good.key, client_ca: ca.crt, client_certificate: none",
        "not asked for a certificate",
    ),
    (
        "certificate: good.crt, key: good.key, certificates: [{ certificate: good.crt, key: good.key }]",
        "`a.example` has two certificates",
    ),
    (
        "certificate: good.crt, key: good.key, certificates: [{ hosts: [x.example], certificate: other.crt, key: other.key }]",
        "is not for `x.example`",
    ),
    (
        "certificate: good.crt, key: good.key, min_version: 1.1",
        "unknown value `1.1`",
    ),
];

/// Good files and bad ones, by names that say what is wrong with them.
fn write_all(authority: &Authority, path: &Path) {
    let good = authority.server(&["a.example"]);
    good.write(path, "good");
    authority.server(&["b.example"]).write(path, "other");
    let (mut expired, mut early) = (server_of(&["a.example"]), server_of(&["a.example"]));
    (expired.from, expired.until) = (-20, -10);
    (early.from, early.until) = (10, 20);
    authority.make(expired).write(path, "expired");
    authority.make(early).write(path, "early");
    fs::write(path.join("ca.crt"), &authority.pem).unwrap();
    fs::write(path.join("empty.crt"), "\n").unwrap();
    let half = good.certificate.get(..good.certificate.len() / 2).unwrap();
    fs::write(path.join("half.crt"), half).unwrap();
    let other = authority.server(&["c.example"]).certificate;
    fs::write(
        path.join("order.crt"),
        format!("{}{other}", good.certificate),
    )
    .unwrap();
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    fs::write(path.join("encrypted.key"), encrypted).unwrap();
    let two = KeyPair::generate().unwrap().serialize_pem();
    fs::write(path.join("two.key"), format!("{}{two}", good.key)).unwrap();
    fs::write(path.join("kind.key"), good.key.replace("MI", "MM")).unwrap();
}

#[test]
fn faulty_files_are_refused_where_they_are_named() {
    let authority = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write_all(&authority, path);
    for (tls, wrong) in REFUSED {
        let told = told(path, tls);
        assert!(
            told.starts_with("Some(78)") && told.contains(wrong),
            "{tls}: {told}"
        );
        assert!(told.contains('^'), "the place is shown: {told}");
    }
    let told = told(
        path,
        "certificate: good.crt, key: good.key, client_ca: ca.crt",
    );
    assert!(told.starts_with("Some(0)"), "{told}");
}

#[test]
fn a_route_cannot_require_what_the_listener_does_not_ask_for() {
    let authority = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    authority.server(&["a.example"]).write(folder.path(), "tls");
    let route = "  routes: [{ name: all, match: { path: '/**' }, anonymous: true, require: { client_certificate: true } }]";
    for tls in ["", "  tls: { certificate: tls.crt, key: tls.key }\n"] {
        let output = check(folder.path(), &format!("{tls}{route}"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains("the listener asks for none"), "{told}");
    }
}
