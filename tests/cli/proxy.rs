//! `outrider proxy` that does not start: the code, every fault, and nothing bound or written.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use crate::folder::{Folder, SIDECAR};
use crate::tokens::Issuer;

#[test]
fn a_faulty_configuration_is_refused_with_all_its_faults_and_nothing_is_bound() {
    let folder = Folder::new();
    // Whoever tries to bind this port fails with another code.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let faulty = SIDECAR
        .replacen("127.0.0.1:0", &address, 1)
        .replace("10.66.0.0/16", "10.66.0.0/8")
        .replace("rate: 100/min", "rate: 100/minute")
        .replace("mfa_within: 15m", "mfa_withn: 15m")
        .replace("anonymous: true", "anonymous: yes")
        .replace("workers: 1", "workers: 0");
    folder.write("sidecar.yaml", faulty);
    let checked = folder.run("check sidecar.yaml", &[]);
    assert_eq!((checked.code, checked.err.as_str()), (78, ""));
    assert_eq!(checked.out.matches("error: ").count(), 5, "{}", checked.out);
    let ran = folder.run("proxy -c sidecar.yaml", &[]);
    assert_eq!((ran.code, ran.out.as_str()), (78, ""));
    assert_eq!(ran.err, checked.out, "proxy says what check says");
    for said in [
        "sidecar.yaml:5:",
        "sidecar.yaml:12:",
        "sidecar.yaml:18:",
        "sidecar.yaml:26:",
        "sidecar.yaml:29:",
    ] {
        assert!(ran.err.contains(said), "{said} is missing in\n{}", ran.err);
    }
    assert!(!folder.path().join("audit").exists());
}

#[test]
fn keys_that_cannot_be_used_are_shown_where_they_are_named() {
    let folder = Folder::new();
    let weak = Issuer::new(2048).jwks().replace("\"AQAB\"", "\"Aw\"");
    folder.write("keys.json", weak);
    folder.write(
        "cases.yaml",
        "cases:\n  - { name: a, request: { path: / }, expect: { decision: deny } }\n",
    );
    let checked = folder.run("check sidecar.yaml", &[]);
    assert_eq!(checked.code, 78);
    for line in [
        "explain -c sidecar.yaml --path /",
        "test -c sidecar.yaml cases.yaml",
        "proxy -c sidecar.yaml",
    ] {
        let ran = folder.run(line, &[]);
        assert_eq!(ran.code, 78, "{line}");
        assert!(
            ran.err.contains("the keys of keys.json cannot be used"),
            "{line}: {}",
            ran.err
        );
        assert!(
            ran.err.contains("9 |     keys: { file: keys.json }"),
            "{line}: {}",
            ran.err
        );
        assert!(ran.err.contains("^^^^^^^^^"), "{line}: {}", ran.err);
        assert_eq!(ran.err, checked.out, "{line} says what check says");
    }
    assert!(!folder.path().join("audit").exists());
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    for (key, yaml) in [
        (
            "inbound.listen",
            SIDECAR.replacen("127.0.0.1:0", &address, 1),
        ),
        (
            "health.listen",
            SIDECAR.replace(
                "health: { listen: 127.0.0.1:0 }",
                &format!("health: {{ listen: {address} }}"),
            ),
        ),
    ] {
        folder.write("sidecar.yaml", yaml);
        let ran = folder.run("proxy -c sidecar.yaml", &[]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.err
                .contains(&format!("{key}: {address} cannot be bound")),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_spool_belongs_to_one_sidecar() {
    let folder = Folder::new();
    let mut first = folder.start("proxy -c sidecar.yaml");
    let out = BufReader::new(first.0.stdout.take().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line.contains("listening")),
        "it never listened"
    );
    let second = folder.run("proxy -c sidecar.yaml", &[]);
    assert_eq!(second.code, 74, "{}", second.err);
    assert!(second.err.contains("audit"), "{}", second.err);
    drop(first);
}

#[test]
fn a_spool_that_cannot_be_made_is_an_io_error() {
    let folder = Folder::new();
    folder.write("audit", "a file where the folder should be");
    let ran = folder.run("proxy -c sidecar.yaml", &[]);
    assert_eq!(ran.code, 74, "{}", ran.err);
}
