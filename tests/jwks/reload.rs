//! The configuration changes while keys come from a URL: what does not change the source keeps the keys and their
//! fetcher, another source begins without keys and ends the fetcher of the one before.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::server::{Answer, Authority, KeyServer};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::Issuer;
use crate::world::{
    claims, inbound, launch, request, set, status, token, token_of_kid, wait_for_line,
};

/// A route that needs a permission, and a role that does not grant it.
const WITHOUT: &str = "    - { name: place, match: { method: GET, path: /place }, require: { permissions: [orders:place] } }
  roles: { trader: [orders:view], desk: [orders:place] }
";

/// The same role grants it.
const WITH: &str = "trader: [orders:view, orders:place]";

/// A token of somebody in that role.
fn trader(issuer: &Issuer) -> String {
    let mut claims = claims();
    claims["roles"] = ["trader"].into();
    issuer.sign(&issuer.header(), &claims)
}

fn place(sidecar: &Sidecar, token: &str) -> u16 {
    let request = request(token).replace("/orders", "/place");
    sidecar.connect().ask(request).unwrap().status
}

/// Changes the configuration's text and asks for a reload, as an operator does.
fn change(sidecar: &Sidecar, from: &str, to: &str) {
    let path = sidecar.folder().join("sidecar.yaml");
    let old = fs::read_to_string(&path).unwrap();
    assert!(old.contains(from), "{old}");
    fs::write(sidecar.folder().join("fresh"), old.replace(from, to)).unwrap();
    fs::rename(sidecar.folder().join("fresh"), &path).unwrap();
    sidecar.signal("HUP");
}

fn taken(sidecar: &Sidecar) -> f64 {
    sidecar.metric("outrider_config_reloads_total", &["success"])
}

/// Asks with the token on a kept connection until `done` says so; every answer must be good.
fn ask_until(done: &AtomicBool, sidecar: &Sidecar, token: &str) -> usize {
    let (mut wire, request) = (sidecar.connect(), request(token));
    let mut asked = 0;
    loop {
        assert_eq!(wire.ask(&request).unwrap().status, 200, "after {asked}");
        asked += 1;
        if done.load(Ordering::SeqCst) {
            return asked;
        }
    }
}

#[test]
fn other_roles_keep_the_fetched_keys_and_their_fetcher() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let origin = Origin::start();
    let keys = format!("{{ url: \"{}\", ca_file: ca.pem }}", server.url());
    let lines = format!("{}{WITHOUT}", inbound(&keys));
    let (ca, token) = (authority.pem(), trader(&issuer));
    let files = [("ca.pem", ca.as_str())];
    let setup = Setup {
        files: &files,
        ..Setup::new(&origin.url, &lines)
    };
    let sidecar = Sidecar::start(&setup);
    assert_eq!(place(&sidecar, &token), 403);
    // Whoever has to fetch now has nothing to fetch from.
    server.answer(Answer::Down);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients = [0, 1].map(|_| scope.spawn(|| ask_until(&done, &sidecar, &token)));
        change(&sidecar, "trader: [orders:view]", WITH);
        sidecar.wait_until("reloaded", || place(&sidecar, &token) == 200);
        change(
            &sidecar,
            "audience: order-gateway",
            "audience: order-gateway\n    clock_skew: 5s",
        );
        sidecar.wait_until("reloaded twice", || taken(&sidecar) >= 2.0);
        done.store(true, Ordering::SeqCst);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(server.connections(), 1, "the fetcher did not begin anew");
}

#[test]
fn another_pace_keeps_the_keys_and_begins_to_fetch_by_it() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 5m");
    wait_for_line(&sidecar, "[+]keys ok");
    server.answer(Answer::Down);
    let token = token(&issuer);
    change(&sidecar, "refresh: 5m", "refresh: 1s");
    sidecar.wait_until("fetches anew", || server.connections() >= 2);
    assert_eq!(status(&sidecar, &token), 200);
    wait_for_line(&sidecar, "[+]keys warning");
}

#[test]
fn another_source_begins_without_keys_and_ends_the_fetcher_of_the_one_before() {
    let authority = Authority::new();
    let [old, new] = ["old", "new"].map(|name| Issuer::new(2048).named(name));
    let first = KeyServer::start(&authority, Answer::Document(set(&[&old])));
    let second = KeyServer::start(&authority, Answer::Down);
    let (sidecar, _origin) = launch(&first.url(), &authority.pem(), "refresh: 1s");
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(status(&sidecar, &token(&old)), 200);

    change(&sidecar, &first.url(), &second.url());
    wait_for_line(&sidecar, "[-]keys waiting for");
    assert_eq!(status(&sidecar, &token(&old)), 503);
    assert_eq!(sidecar.ask_health("/livez").status, 200);
    let asked = first.connections();
    second.answer(Answer::Document(set(&[&new])));
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(status(&sidecar, &token(&old)), 401);
    assert_eq!(status(&sidecar, &token(&new)), 200);
    assert_eq!(status(&sidecar, &token_of_kid("another")), 401);
    // Several times the pace of the one before, of whose last connection the server may have heard late.
    thread::sleep(Duration::from_secs(4));
    assert!(first.connections() <= asked + 1, "there is one fetcher");
}

#[test]
fn a_reload_that_is_refused_keeps_the_keys_and_certificates_are_watched() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 5m");
    wait_for_line(&sidecar, "[+]keys ok");
    fs::write(sidecar.folder().join("ca.pem"), "no certificate").unwrap();
    let refused = || sidecar.metric("outrider_config_reloads_total", &["rejected"]);
    sidecar.wait_until("refused", || refused() >= 1.0);
    assert_eq!(status(&sidecar, &token(&issuer)), 200);
    assert_eq!(server.connections(), 1);
}

#[test]
fn certificates_of_the_source_are_rolled_under_load() {
    let (old, new, issuer) = (Authority::new(), Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&old, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &old.pem(), "refresh: 1s");
    wait_for_line(&sidecar, "[+]keys ok");
    let (done, token) = (AtomicBool::new(false), token(&issuer));
    let roll = |pem: &str| {
        let (before, asked) = (taken(&sidecar), server.connections());
        fs::write(sidecar.folder().join("fresh"), pem).unwrap();
        fs::rename(
            sidecar.folder().join("fresh"),
            sidecar.folder().join("ca.pem"),
        )
        .unwrap();
        sidecar.wait_until("reloaded", || taken(&sidecar) > before);
        sidecar.wait_until("fetched", || server.connections() > asked);
        wait_for_line(&sidecar, "[+]keys ok");
    };
    thread::scope(|scope| {
        let client = scope.spawn(|| ask_until(&done, &sidecar, &token));
        roll(&format!("{}{}", old.pem(), new.pem()));
        server.show(&new);
        roll(&new.pem());
        done.store(true, Ordering::SeqCst);
        assert!(client.join().unwrap() > 0);
    });
}

#[test]
fn keys_that_only_a_distrusted_authority_vouched_for_are_dropped() {
    let (old, new, issuer) = (Authority::new(), Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&old, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &old.pem(), "refresh: 1h");
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(status(&sidecar, &token(&issuer)), 200);
    fs::write(sidecar.folder().join("ca.pem"), new.pem()).unwrap();
    wait_for_line(&sidecar, "[-]keys waiting for");
    assert_eq!(status(&sidecar, &token(&issuer)), 503);
    server.show(&new);
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(status(&sidecar, &token(&issuer)), 200);
}
