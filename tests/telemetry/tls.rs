//! What operators see of a listener with TLS: its scheme, its certificates, and never a key.

use std::fs;

use serde_json::Value;

use crate::authority::{Authority, Made};
use crate::client::Client;
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::wire::Wire;

/// What the listener shows, and whom it believes.
pub struct Certificates {
    pub authority: Authority,
    pub own: Made,
}

/// A sidecar that speaks TLS as `orders.test`, with an admin listener.
pub fn world() -> (Sidecar, Certificates, Origin) {
    let origin = Origin::start();
    let authority = Authority::new("telemetry");
    let own = authority.server(&["orders.test"]);
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    let files = [
        ("keys.json", keys.as_str()),
        ("tls.crt", &own.certificate),
        ("tls.key", &own.key),
        ("ca.crt", &authority.pem),
    ];
    let tls = "  tls: { certificate: tls.crt, key: \"secret:tls.key\", client_ca: ca.crt }\n";
    let inbound = format!("{tls}{}", crate::INBOUND);
    let setup = Setup {
        files: &files,
        top: "admin: { listen: \"127.0.0.1:0\" }\nsecrets: [{ files: . }]",
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    (sidecar, Certificates { authority, own }, origin)
}

fn page(sidecar: &Sidecar, path: &str) -> Value {
    let admin = sidecar.listener("admin");
    let text = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    let answer = Wire::connect(admin).ask(text).unwrap();
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn requests_over_tls_are_told_as_such() {
    let (sidecar, certificates, origin) = world();
    let client = Client::new(&certificates.authority, "orders.test", None);
    for (path, status) in [("/orders/1", "200"), ("/nowhere", "404")] {
        let answer = client.send(sidecar.inbound, path, &[]).unwrap();
        assert_eq!(answer.status(), status);
    }
    let count = |labels: &[&str]| {
        let name = "http_server_request_duration_seconds_count";
        sidecar.metric(name, labels).round()
    };
    sidecar.wait_until("counted", || count(&[]) > 1.5);
    assert_eq!(count(&["url_scheme=\"https\"", "{id}"]), 1.0);
    assert_eq!(count(&["url_scheme=\"https\"", "\"404\""]), 1.0);
    assert_eq!(count(&["url_scheme=\"http\""]), 0.0);
    let received = &origin.since(0)[0];
    assert_eq!(received.one("x-forwarded-proto"), Some("https"));
}

#[test]
fn certificates_are_told_with_their_ends_and_keys_by_their_files() {
    let (sidecar, certificates, _origin) = world();
    let told = page(&sidecar, "/certs");
    let [own, ca] = told["certificates"].as_array().unwrap().as_slice() else {
        panic!("{told}");
    };
    assert_eq!(
        (&own["name"], &own["kind"]),
        (&"tls.crt".into(), &"server".into())
    );
    assert_eq!(own["hosts"], serde_json::json!(["orders.test"]));
    let left = own["ends_in_seconds"].as_i64().unwrap();
    assert!((59 * 86400..=60 * 86400).contains(&left), "{left}");
    assert!(own["not_after"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        (&ca["name"], &ca["kind"]),
        (&"ca.crt".into(), &"client_ca".into())
    );
    let ends = sidecar.metric(
        "outrider_tls_cert_expiry_timestamp_seconds",
        &["\"tls.crt\""],
    );
    assert!(ends > 1e9);

    let secrets = page(&sidecar, "/secrets");
    let key = secrets["secrets"].as_array().unwrap().iter();
    let key: Vec<_> = key.filter(|one| one["kind"] == "tls_key").collect();
    assert_eq!(key.len(), 1, "{secrets}");
    assert_eq!(key[0]["source"], "secret");
    let mut own = secrets["secrets"].as_array().unwrap().iter();
    assert!(own.any(|one| one["kind"] == "secret" && one["name"] == "tls.key"));
    assert_eq!(
        (&key[0]["name"], &key[0]["origin"]),
        (&"tls.crt".into(), &"secret:tls.key".into())
    );
    let key = certificates.own.key.lines().nth(1).unwrap();
    for path in [
        "/certs",
        "/secrets",
        "/config_dump",
        "/policies",
        "/server_info",
    ] {
        assert!(!page(&sidecar, path).to_string().contains(key), "{path}");
    }
    assert!(!sidecar.stdout().contains(key) && !sidecar.metrics().contains(key));
}

#[test]
fn a_renewed_certificate_is_told_after_the_reload() {
    let (sidecar, certificates, _origin) = world();
    let next = certificates.authority.server(&["orders.test", "more.test"]);
    for (name, text) in [("tls.crt", &next.certificate), ("tls.key", &next.key)] {
        let fresh = sidecar.folder().join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, sidecar.folder().join(name)).unwrap();
    }
    sidecar.signal("HUP");
    sidecar.wait_until("told", || {
        page(&sidecar, "/certs")["certificates"][0]["hosts"][1] == "more.test"
    });
}
