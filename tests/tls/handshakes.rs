//! Versions, hosts, protocols, time: who gets a connection at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustls::version::{TLS12, TLS13};

use crate::authority::Authority;
use crate::client::Client;
use crate::sidecar::{Sidecar, refusals};
use crate::support::wire::PATIENCE;

const OPEN: &str = "routes: [{ name: all, match: { path: '/**' }, anonymous: true }]";

fn start(authority: &Authority, tls: &str, rest: &str) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    authority
        .server(&["orders.jts.local"])
        .write(folder.path(), "tls");
    authority
        .server(&["*.jts.example", "jts.example"])
        .write(folder.path(), "other");
    let tls = format!("  tls: {{ certificate: tls.crt, key: tls.key{tls} }}\n");
    Sidecar::start(folder, &format!("{tls}{rest}  {OPEN}"))
}

#[test]
fn tls_1_2_only_where_it_is_asked_for() {
    let authority = Authority::new("ca");
    let old = Client::speaking(&[&TLS12], &authority, "orders.jts.local", None);
    let new = Client::speaking(&[&TLS13], &authority, "orders.jts.local", None);
    let sidecar = start(&authority, "", "");
    assert!(old.send(sidecar.inbound, "/", &[]).is_err());
    let answer = new.send(sidecar.inbound, "/", &[]).unwrap();
    assert_eq!(answer.status(), "200");
    assert!(
        answer.text.contains("x-forwarded-proto: https"),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("outrider-client"), "{}", answer.text);
    let told = refusals(&sidecar.events());
    let told: Vec<_> = told
        .iter()
        .map(|(code, why)| (code.as_str(), why.as_str()))
        .collect();
    assert_eq!(told, [("tls.handshake", "no version of TLS in common")]);

    let sidecar = start(&authority, ", min_version: 1.2", "");
    assert_eq!(old.send(sidecar.inbound, "/", &[]).unwrap().status(), "200");
    assert_eq!(new.send(sidecar.inbound, "/", &[]).unwrap().status(), "200");
}

#[test]
fn the_host_that_is_named_chooses_the_certificate() {
    let authority = Authority::new("ca");
    let more = ", certificates: [{ certificate: other.crt, key: other.key }]";
    let sidecar = start(&authority, more, "");
    let shown = |host: &str| {
        let client = Client::new(&authority, host, None);
        client
            .send(sidecar.inbound, "/", &[])
            .map(|answer| answer.shown)
    };
    // The client verifies the name, so an answer means that the right one was shown.
    let first = shown("orders.jts.local").unwrap();
    assert_ne!(shown("a.jts.example").unwrap(), first);
    assert_ne!(shown("JTS.example").unwrap(), first);
    assert!(shown("a.b.jts.example").is_err(), "a wildcard is one label");
    assert!(shown("unknown.example").is_err());
    let told = refusals(&sidecar.events());
    assert_eq!(told.len(), 2);
    assert!(
        told.iter().all(|(code, _)| code == "tls.unknown_host"),
        "{told:?}"
    );
}

#[test]
fn an_unknown_host_is_closed_without_an_answer() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "", "");
    let client = Client::new(&authority, "unknown.example", None);
    let error = client.send(sidecar.inbound, "/", &[]).err().unwrap();
    assert!(
        !error.to_string().to_lowercase().contains("alert"),
        "{error}"
    );
}

#[test]
fn sessions_are_resumed_and_http_1_1_is_the_protocol() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "", "");
    let client = Client::new(&authority, "orders.jts.local", None);
    assert!(!client.send(sidecar.inbound, "/", &[]).unwrap().resumed);
    assert!(client.send(sidecar.inbound, "/", &[]).unwrap().resumed);
    let both = Client::new(&authority, "orders.jts.local", None).offering(&[b"h2", b"http/1.1"]);
    assert_eq!(
        both.send(sidecar.inbound, "/", &[]).unwrap().status(),
        "200"
    );
    let only = Client::new(&authority, "orders.jts.local", None).offering(&[b"h2"]);
    assert!(only.send(sidecar.inbound, "/", &[]).is_err());
}

#[test]
fn a_slow_handshake_ends_in_time_and_gives_its_place_back() {
    let authority = Authority::new("ca");
    // Long enough for an honest handshake on a machine that does much else.
    let rest = "  bounds: { connections_max: 1 }\n  timeouts: { handshake: 10s }\n";
    let sidecar = start(&authority, "", rest);
    let mut slow = TcpStream::connect(sidecar.inbound).unwrap();
    slow.write_all(&[22, 3, 1]).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let taken = |places: f64| sidecar.metric("outrider_connections", &[]) == places;
    sidecar.wait_until("its place is taken", || taken(1.0));
    assert!(matches!(slow.read(&mut [0]), Ok(0) | Err(_)));
    // It is seen to be closed a moment before its place is free, and until then its address has no other.
    sidecar.wait_until("its place is free", || taken(0.0));
    let client = Client::new(&authority, "orders.jts.local", None);
    let answer = client.send(sidecar.inbound, "/", &[]).unwrap();
    assert_eq!(answer.status(), "200");
    assert_eq!(
        refusals(&sidecar.events()).first().unwrap().0,
        "tls.timeout"
    );
}

#[test]
fn clear_text_is_refused_and_a_silent_probe_is_not_recorded() {
    let authority = Authority::new("ca");
    let sidecar = start(&authority, "", "");
    drop(TcpStream::connect(sidecar.inbound).unwrap());
    let mut clear = TcpStream::connect(sidecar.inbound).unwrap();
    clear
        .write_all(b"GET / HTTP/1.1\r\nHost: secret-token\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    let _ended = clear.read_to_end(&mut answer);
    assert!(answer.is_empty());
    let events = sidecar.events();
    let told = refusals(&events);
    let told: Vec<_> = told
        .iter()
        .map(|(code, why)| (code.as_str(), why.as_str()))
        .collect();
    assert_eq!(
        told,
        [("tls.handshake", "not TLS; perhaps HTTP in clear text")]
    );
    assert!(!format!("{events:?}").contains("secret-token"));
}

#[test]
fn the_end_of_a_certificate_is_told() {
    let authority = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    let mut soon = crate::authority::server_of(&["orders.jts.local"]);
    soon.until = 3;
    authority.make(soon).write(folder.path(), "tls");
    let tls = "  tls: { certificate: tls.crt, key: tls.key }\n";
    let sidecar = Sidecar::start(folder, &format!("{tls}  {OPEN}"));
    let ready = sidecar.ask_health("/readyz?verbose");
    assert_eq!(ready.status, 200);
    let ready = ready.text();
    assert!(
        ready.contains("[+]certificates warning: tls.crt ends in "),
        "{ready}"
    );
    let metrics = sidecar.metrics();
    let line = "outrider_tls_cert_expiry_timestamp_seconds{certificate=\"tls.crt\"} ";
    assert!(metrics.contains(line), "{metrics}");
}
