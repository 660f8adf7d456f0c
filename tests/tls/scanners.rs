//! What `testssl.sh` and `sslyze` say of the listener. Both must be there: `tests/run` installs them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::authority::{Authority, server_of};
use crate::sidecar::Sidecar;

/// A scanner may take its time between two bytes of a handshake.
const INBOUND: &str = "  tls: { certificate: tls.crt, key: tls.key }
  timeouts: { handshake: 60s }
  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]";

struct Scanned {
    sidecar: Sidecar,
    folder: tempfile::TempDir,
}

/// A listener for `localhost`, and a folder with the CA's certificate for the scanner.
fn start(inbound: &str) -> Scanned {
    let authority = Authority::new("ca");
    let (own, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Scanners warn when less than 60 days are left.
    let mut said = server_of(&["localhost"]);
    said.until = 85;
    authority.make(said).write(own.path(), "tls");
    fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
    Scanned {
        sidecar: Sidecar::start(own, inbound),
        folder,
    }
}

fn report(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Findings that concern the certificate of a private CA, not the listener.
const OF_THE_TEST: &[&str] = &[
    // Nobody revokes a certificate that lives for minutes.
    "cert_revocation",
    "cert_crlDistributionPoints",
    "cert_ocspURL",
    "OCSP_stapling",
    "DNS_CAArecord",
    "certificate_transparency",
];

/// What `testssl.sh` says when it has not seen whether sessions are resumed: the ticket of TLS 1.3 comes behind the handshake,
/// and the client that it sends has gone before on a busy machine. `handshakes` resumes sessions itself.
const NOT_SEEN: (&str, &str) = (
    "sessionresumption_ticket",
    "check failed because of connect problem",
);

/// How many seconds `testssl.sh` waits for an answer; where there is none, the listener ends the connection.
const WAITS: [(&str, &str); 3] = [
    ("MAX_WAITSOCK", "60"),
    ("CCS_MAX_WAITSOCK", "60"),
    ("HEARTBLEED_MAX_WAITSOCK", "60"),
];

fn testssl(inbound: &str) {
    let scanned = start(inbound);
    let out = scanned.folder.path().join("testssl.json");
    let port = scanned.sidecar.inbound.port();
    let run = Command::new("testssl")
        .envs(WAITS)
        .args([
            "--quiet",
            "--warnings",
            "off",
            "--color",
            "0",
            "--ip",
            "127.0.0.1",
            "--nodns",
            "min",
        ])
        .args([
            "--protocols",
            "--server-defaults",
            "--fs",
            "--server-preference",
            "--vulnerable",
        ])
        .arg("--add-ca")
        .arg(scanned.folder.path().join("ca.pem"))
        .arg("--jsonfile")
        .arg(&out)
        .arg(format!("localhost:{port}"))
        .output()
        .expect("testssl is missing: apt-get install testssl.sh");
    let findings = report(&out);
    let findings = findings.as_array().unwrap();
    assert!(
        findings.len() > 40,
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
    let text = |finding: &Value, key: &str| finding.get(key).unwrap().as_str().unwrap().to_owned();
    let bad: Vec<String> = findings
        .iter()
        .filter(|finding| !matches!(text(finding, "severity").as_str(), "OK" | "INFO" | "DEBUG"))
        .filter(|finding| !OF_THE_TEST.contains(&text(finding, "id").as_str()))
        .filter(|finding| NOT_SEEN != (&text(finding, "id"), &text(finding, "finding")))
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let offers = |id: &str| {
        findings.iter().any(|finding| {
            text(finding, "id") == id && text(finding, "finding").starts_with("offered")
        })
    };
    assert!(offers("TLS1_3"), "the scanner saw no TLS 1.3");
}

#[test]
fn testssl_finds_nothing() {
    testssl(INBOUND);
}

#[test]
fn testssl_finds_nothing_with_tls_1_2() {
    testssl(&INBOUND.replace("key: tls.key", "key: tls.key, min_version: 1.2"));
}

const SCANS: &[&str] = &[
    "--sslv2",
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--heartbleed",
    "--openssl_ccs",
    "--compression",
    "--early_data",
    "--reneg",
];

/// `sslyze` with more than its five seconds for an answer, for which it has no option.
const SSLYZE: &str = "from sslyze.server_setting import ServerNetworkConfiguration as Network
before = Network.__init__.__defaults__
Network.__init__.__defaults__ = (*before[:-2], 60, before[-1])
assert Network('localhost').network_timeout == 60
from sslyze.__main__ import main
main()";

#[test]
fn sslyze_finds_nothing() {
    let scanned = start(INBOUND);
    let out = scanned.folder.path().join("sslyze.json");
    let port = scanned.sidecar.inbound.port();
    let run = Command::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/.venv/bin/python"
    ))
    .args(["-c", SSLYZE])
    // Named one by one: some of them are not run otherwise.
    .args(SCANS)
    .arg(format!("--json_out={}", out.display()))
    .arg(format!("localhost:{port}"))
    .output()
    .expect("sslyze is missing: tests/run installs it in tests/.venv");
    let report = report(&out);
    let at = |path: &str| {
        let path = format!("/server_scan_results/0/scan_result/{path}");
        let told = || format!("{path}: {}", String::from_utf8_lossy(&run.stdout));
        report
            .pointer(&path)
            .unwrap_or_else(|| panic!("{}", told()))
    };
    for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"] {
        let accepted = at(&format!(
            "{version}_cipher_suites/result/accepted_cipher_suites"
        ));
        assert_eq!(accepted, &Value::Array(Vec::new()), "{version}");
    }
    let accepted = at("tls_1_3_cipher_suites/result/accepted_cipher_suites");
    assert_eq!(accepted.as_array().unwrap().len(), 3);
    for (fault, found) in [
        ("heartbleed/result/is_vulnerable_to_heartbleed", false),
        (
            "openssl_ccs_injection/result/is_vulnerable_to_ccs_injection",
            false,
        ),
        ("tls_compression/result/supports_compression", false),
        ("tls_1_3_early_data/result/supports_early_data", false),
        (
            "session_renegotiation/result/is_vulnerable_to_client_renegotiation_dos",
            false,
        ),
    ] {
        assert_eq!(at(fault), &Value::Bool(found), "{fault}");
    }
}
