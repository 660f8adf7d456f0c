//! Case 77: no good keys at the start. Case 82: URLs that are refused at load. No built-in key, no request that waits.

use std::time::Instant;

use crate::server::{Answer, Authority, KeyServer, Stated};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::Issuer;
use crate::support::wire::HOLD;
use crate::world::{
    ask, inbound, keys_line, launch, set, status, token, token_of_kid, wait_for_line,
};

const QUICK: &str = "refresh: 1s, timeout: 5s";

/// Without keys: alive, not ready and saying why, every token 503 at once, anonymous routes served.
fn is_waiting(sidecar: &Sidecar, issuer: &Issuer, how: &str) {
    wait_for_line(sidecar, &format!("({how})"));
    let line = keys_line(sidecar);
    assert!(line.starts_with("[-]keys waiting for https://"), "{line}");
    assert!(!line.contains("hush"), "{line}");
    assert_eq!(sidecar.ask_health("/readyz").status, 503);
    assert_eq!(sidecar.ask_health("/livez").status, 200);
    for token in [token(issuer), token_of_kid("any")] {
        let answer = ask(sidecar, &token);
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (503, Some("authn.unavailable"))
        );
        assert_eq!(answer.one("retry-after"), Some("5"));
    }
    let open = sidecar
        .connect()
        .ask("GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(open.unwrap().status, 200);
    assert_eq!(sidecar.metric("outrider_jwks_keys", &[]), 0.0);
    assert!(sidecar.metric("outrider_jwks_refresh_total", &[how]) >= 1.0);
}

fn recovers(sidecar: &Sidecar, server: &KeyServer, issuer: &Issuer) {
    let since = Instant::now();
    server.answer(Answer::Document(set(&[issuer])));
    sidecar.wait_until("ready", || sidecar.ask_health("/readyz").status == 200);
    assert_eq!(keys_line(sidecar), "[+]keys ok");
    assert_eq!(status(sidecar, &token(issuer)), 200);
    assert_eq!(sidecar.metric("outrider_jwks_keys", &[]), 1.0);
    // A fetch may have been under way before.
    let age = sidecar.metric("outrider_jwks_age_seconds", &[]);
    assert!(age < since.elapsed().as_secs_f64() + 10.0, "{age}");
    sidecar.wait_for_log("the keys cannot be fetched");
    let told = sidecar
        .stdout()
        .matches("the keys cannot be fetched")
        .count();
    assert_eq!(told, 1, "told once, not with every try");
    assert!(
        !sidecar.stdout().contains("hush"),
        "the query of a URL is not for logs"
    );
}

#[test]
fn case_77_whatever_the_server_says_instead_of_keys_nobody_passes() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let bytes = |text: &str| Answer::Bytes(text.to_owned());
    let cases = [
        ("tls", Answer::Down),
        (
            "status",
            bytes("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("timeout", Answer::Slow(HOLD)),
        ("refused", Answer::Document("{\"keys\":[]}".to_owned())),
        ("refused", Answer::Document(String::new())),
        (
            "refused",
            Answer::Document("<html>sign in</html>".to_owned()),
        ),
        ("refused", Answer::Document(issuer.pem())),
        ("broken", bytes("220 smtp.test\r\n")),
    ];
    for (how, answer) in cases {
        let server = KeyServer::start(&authority, answer);
        let (sidecar, _origin) = launch(&server.url(), &authority.pem(), QUICK);
        is_waiting(&sidecar, &issuer, how);
        recovers(&sidecar, &server, &issuer);
    }
}

/// The first fetch goes on as long as the server likes: whoever asks meanwhile is answered at once.
#[test]
fn nobody_waits_for_the_first_keys() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Down);
    server.hold(Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "timeout: 60s");
    sidecar.wait_until("asked", || server.requests() == 1);
    for token in [token(&issuer), token_of_kid("any")] {
        let answer = ask(&sidecar, &token);
        let told = (answer.status, answer.code());
        assert_eq!(told, (503, Some("authn.unavailable".to_owned())));
    }
    assert_eq!(sidecar.ask_health("/readyz").status, 503);
    server.let_go();
    sidecar.wait_until("ready", || sidecar.ask_health("/readyz").status == 200);
    assert_eq!(status(&sidecar, &token(&issuer)), 200);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let issuer = Issuer::new(2048);
    let (sidecar, _origin) = launch("https://127.0.0.1:1/keys", &Authority::new().pem(), QUICK);
    is_waiting(&sidecar, &issuer, "unreachable");
}

#[test]
fn a_redirect_is_not_followed() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let elsewhere = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let moved = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let server = KeyServer::start(&authority, Answer::Bytes(moved));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), QUICK);
    is_waiting(&sidecar, &issuer, "redirect");
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn fifty_mebibytes_are_not_read() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    for stated in [Stated::Yes, Stated::No] {
        let server = KeyServer::start(&authority, Answer::Flood(50 << 20, stated));
        let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 1s");
        is_waiting(&sidecar, &issuer, "too_large");
        let resident = sidecar.resident();
        assert!(resident < 100 << 20, "{resident} bytes");
        recovers(&sidecar, &server, &issuer);
    }
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_believed() {
    let (authority, stranger, issuer) = (Authority::new(), Authority::new(), Issuer::new(2048));
    let document = Answer::Document(set(&[&issuer]));
    let of_stranger = KeyServer::start(&stranger, document.clone());
    let of_another = KeyServer::start_as(&authority, document, &["another.test"]);
    for server in [of_stranger, of_another] {
        let (sidecar, _origin) = launch(&server.url(), &authority.pem(), QUICK);
        is_waiting(&sidecar, &issuer, "tls");
        assert_eq!(server.requests(), 0);
    }
}

#[test]
fn a_server_is_found_by_name_too() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url_by_name(), &authority.pem(), QUICK);
    sidecar.wait_until("ready", || sidecar.ask_health("/readyz").status == 200);
    assert_eq!(status(&sidecar, &token(&issuer)), 200);
}

#[test]
fn case_82_a_url_that_leads_astray_is_refused_at_load() {
    for (url, said) in [
        ("file:///etc/keys.json", "https://"),
        ("data:application/json,{}", "https://"),
        ("ftp://auth.test/keys", "https://"),
        ("http://auth.test/keys", "need https://"),
        ("http://10.0.0.1/keys", "need https://"),
        ("http://127.0.0.1.auth.test/keys", "need https://"),
        ("https://me:hush@auth.test/keys", "names no user"),
        ("https://auth.test/keys#hush", "fragment"),
    ] {
        let origin = Origin::start();
        let inbound = inbound(&format!("{{ url: \"{url}\" }}"));
        let (code, text) = Sidecar::fails_to_start(&Setup::new(&origin.url, &inbound));
        assert_eq!(code, Some(78), "{url}: {text}");
        assert!(text.contains(said), "{url}: {text}");
    }
}

#[test]
fn a_ca_file_without_certificates_is_refused_at_load() {
    let origin = Origin::start();
    let inbound = inbound("{ url: \"https://auth.test/keys\", ca_file: ca.pem }");
    let files = [("ca.pem", "no certificate")];
    let setup = Setup {
        files: &files,
        ..Setup::new(&origin.url, &inbound)
    };
    let (code, text) = Sidecar::fails_to_start(&setup);
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("ca.pem"), "{text}");
}
