//! The commands that answer questions offline: none of them asks the URL.

use std::fs;
use std::process::{Command, Output};

use crate::server::{Answer, Authority, KeyServer};
use crate::support::tokens::Issuer;
use crate::world::{inbound, set, token};

fn outrider(folder: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_outrider"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn check_explain_and_test_do_not_touch_the_network() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let keys = format!("{{ url: \"{}\", ca_file: ca.pem }}", server.url());
    let inbound = inbound(&keys);
    let yaml = format!(
        "service: a\naudit: {{ spool: s }}\ninbound:\n  listen: 127.0.0.1:8080\n  forward_to: http://127.0.0.1:3000\n{inbound}"
    );
    write("sidecar.yaml", &yaml);
    write("ca.pem", &authority.pem());
    write("keys.json", &set(&[&issuer]));
    write("token", &token(&issuer));
    write("claims", "{\"sub\": \"user-1\"}");
    let run = |arguments: &[&str]| outrider(folder.path(), arguments);

    let (code, said) = run(&["check", "--effective", "sidecar.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("inbound.tokens.keys.stale_max") && said.contains("24h"),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");

    let explain = ["explain", "-c", "sidecar.yaml", "--path", "/orders"];
    let (code, said) = run(&[explain.as_slice(), &["--token", "token"]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--keys FILE"), "{said}");
    let with_keys = ["--token", "token", "--keys", "keys.json"];
    for more in [with_keys.as_slice(), &["--claims", "claims"]] {
        let (code, said) = run(&[explain.as_slice(), more].concat());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("allowed"), "{said}");
    }
    assert_eq!(server.connections(), 0);
}
