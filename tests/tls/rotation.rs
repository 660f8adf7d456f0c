//! Certificate, key and client CA replaced under load, on the real program: no request fails, and what is torn changes
//! nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::authority::{Authority, Made, server_of};
use crate::client::Client;
use crate::sidecar::Sidecar;
use crate::support::origin::{Act, Origin, send};

const HOST: &str = "orders.jts.local";
const ROTATIONS: u32 = 100;
const CLIENTS: usize = 4;

/// How often it is looked for something: for a minute at least, so that a hang is a failure.
const LOOKS: u32 = 30_000;

const MUTUAL: &str =
    "  tls: { certificate: tls.crt, key: tls.key, client_ca: ca.crt, client_certificate: required }
  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]";

/// A sidecar that asks clients for certificates of this authority.
fn mutual(authority: &Authority) -> Sidecar {
    let folder = tempfile::tempdir().unwrap();
    authority.server(&[HOST]).write(folder.path(), "tls");
    fs::write(folder.path().join("ca.crt"), &authority.pem).unwrap();
    Sidecar::start(folder, MUTUAL)
}

/// How many reloads came to this: `success` or `rejected`.
pub(crate) fn reloads(sidecar: &Sidecar, outcome: &str) -> u64 {
    let name = format!("outrider_config_reloads_total{{outcome=\"{outcome}\"}} ");
    let page = sidecar.metrics();
    let count = page.lines().find_map(|line| line.strip_prefix(&name));
    count.unwrap().trim().parse().unwrap()
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("{what} did not come");
}

/// Asks without a pause on a connection each while `work` is done, which is given how many were answered. No request may
/// fail.
fn under_load(clients: &[Client], sidecar: &Sidecar, work: impl FnOnce(&AtomicU64)) {
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let ask = |client: &Client| {
        let mut failed = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            match client.send(sidecar.inbound, "/", &[]) {
                Ok(answer) if answer.status() == "200" => {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => failed.push(answer.text),
                Err(error) => failed.push(error.to_string()),
            }
        }
        failed
    };
    let failed: Vec<String> = thread::scope(|scope| {
        let asking: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| ask(client)))
            .collect();
        work(&answered);
        stop.store(true, Ordering::Relaxed);
        let ended = asking.into_iter().map(|one| one.join().unwrap());
        ended.flatten().collect()
    });
    let answered = answered.into_inner();
    assert!(failed.is_empty(), "beside {answered}: {failed:?}");
}

/// Replaces a file as a whole, so that nobody reads half of it.
fn replace(sidecar: &Sidecar, name: &str, text: &str) {
    let fresh = sidecar.folder().join("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, sidecar.folder().join(name)).unwrap();
}

#[test]
fn a_hundred_rotations_under_load_fail_no_request() {
    let authority = Authority::new("ca");
    let own = authority.client("bot");
    let sidecar = mutual(&authority);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(&authority, HOST, Some(&own)))
        .collect();
    under_load(&clients, &sidecar, |answered| {
        for _ in 0..ROTATIONS {
            let before = reloads(&sidecar, "success");
            let since = answered.load(Ordering::Relaxed);
            authority.server(&[HOST]).write(sidecar.folder(), "tls");
            // The CA in use stays, another one comes and goes.
            let both = format!("{}{}", authority.pem, Authority::new("next").pem);
            replace(&sidecar, "ca.crt", &both);
            sidecar.signal("HUP");
            wait_until("the reload", || reloads(&sidecar, "success") > before);
            wait_until("a request", || answered.load(Ordering::Relaxed) > since);
        }
    });
}

/// A pair as Kubernetes mounts a secret: the files lead through `..data`, which is replaced as a whole.
fn mount(folder: &Path, version: &str, pair: &Made) {
    let own = folder.join(version);
    fs::create_dir(&own).unwrap();
    pair.write(&own, "tls");
    symlink(version, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
}

fn mounted(pair: &Made) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path(), "..v1", pair);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn a_pair_that_kubernetes_replaces_is_shown_without_being_asked() {
    let authority = Authority::new("ca");
    let (first, next) = (authority.server(&[HOST]), authority.server(&[HOST]));
    let inbound = "  tls: { certificate: tls.crt, key: tls.key }
  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]";
    let sidecar = Sidecar::start(mounted(&first), inbound);
    let shown = |client: &Client| client.send(sidecar.inbound, "/", &[]).unwrap().shown;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| Client::new(&authority, HOST, None))
        .collect();
    let new = || Client::new(&authority, HOST, None);
    assert_eq!(shown(&new()), first.der());
    under_load(&clients, &sidecar, |answered| {
        mount(sidecar.folder(), "..v2", &next);
        wait_until("the new certificate", || shown(&new()) == next.der());
        let since = answered.load(Ordering::Relaxed);
        wait_until("requests after it", || {
            answered.load(Ordering::Relaxed) >= since + 50
        });
    });
    for _ in 0..20 {
        assert_eq!(shown(&new()), next.der(), "every worker shows the new one");
    }
    // Counted once it is in force.
    wait_until("the count", || reloads(&sidecar, "success") > 0);
    assert_eq!(
        (reloads(&sidecar, "success"), reloads(&sidecar, "rejected")),
        (1, 0)
    );
}

#[test]
fn a_torn_pair_changes_nothing_until_it_is_whole() {
    let authority = Authority::new("ca");
    let own = authority.client("bot");
    let sidecar = mutual(&authority);
    let shown = || {
        let client = Client::new(&authority, HOST, Some(&own));
        client.send(sidecar.inbound, "/", &[]).unwrap().shown
    };
    let ends = || -> Vec<String> {
        let page = sidecar.metrics();
        let lines = page.lines().filter(|line| line.contains("cert_expiry"));
        lines.map(str::to_owned).collect()
    };
    let (first, before) = (shown(), ends());

    let mut later = server_of(&[HOST]);
    later.until = 90;
    let next = authority.make(later);
    replace(&sidecar, "tls.crt", &next.certificate);
    wait_until("the refusal", || reloads(&sidecar, "rejected") == 1);
    assert_eq!((shown(), ends()), (first, before.clone()));
    sidecar.wait_for_log("does not belong to");
    // The line is named.
    sidecar.wait_for_log("sidecar.yaml:9:");

    replace(&sidecar, "tls.key", &next.key);
    wait_until("the reload", || reloads(&sidecar, "success") == 1);
    assert_eq!(shown(), next.der());
    wait_until("the new end", || ends() != before);
}

#[test]
fn a_client_ca_that_is_taken_away_takes_its_sessions_with_it() {
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let own = authority.client("bot");
    let sidecar = mutual(&authority);
    let client = Client::new(&authority, HOST, Some(&own));
    client.send(sidecar.inbound, "/", &[]).unwrap();
    assert!(client.send(sidecar.inbound, "/", &[]).unwrap().resumed);
    replace(&sidecar, "ca.crt", &next.pem);
    wait_until("the reload", || reloads(&sidecar, "success") == 1);
    assert!(client.send(sidecar.inbound, "/", &[]).is_err());
}

#[test]
fn a_kept_connection_is_asked_again_who_issued_its_certificate() {
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let (old, new) = (authority.client("bot"), next.client("bot"));
    let sidecar = mutual(&authority);
    let mut kept = Client::new(&authority, HOST, Some(&old))
        .open(sidecar.inbound)
        .unwrap();
    assert_eq!(kept.ask("/").unwrap().status(), "200");
    let both = format!("{}{}", authority.pem, next.pem);
    replace(&sidecar, "ca.crt", &both);
    wait_until("the reload", || reloads(&sidecar, "success") == 1);
    assert_eq!(kept.ask("/").unwrap().status(), "200", "one CA more");
    assert_eq!(kept.ask("/").unwrap().status(), "200");
    let renewed = Client::new(&authority, HOST, Some(&new));
    let mut renewed = renewed.open(sidecar.inbound).unwrap();
    assert_eq!(renewed.ask("/").unwrap().status(), "200");

    replace(&sidecar, "ca.crt", &next.pem);
    wait_until("the reload", || reloads(&sidecar, "success") == 2);
    let refused = kept.ask("/").unwrap();
    assert_eq!(refused.status(), "403", "{}", refused.text);
    assert!(refused.text.contains("tls.client_certificate"));
    assert!(kept.ask("/").is_err(), "the connection is closed");
    assert_eq!(renewed.ask("/").unwrap().status(), "200");
}

/// A piece every 20 ms, for longer than any test looks on.
fn streaming() -> Origin {
    let origin = Origin::start();
    origin.answer(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let piece = [send("3\r\nabc\r\n"), Act::Pause(Duration::from_millis(20))];
        let pieces = (0..80_000).flat_map(|_| piece.clone());
        std::iter::once(send(head)).chain(pieces).collect()
    });
    origin
}

#[test]
fn an_open_answer_ends_when_nobody_vouches_for_its_client_any_more() {
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let (bot, desk) = (authority.client("bot"), next.client("desk"));
    let folder = tempfile::tempdir().unwrap();
    authority.server(&[HOST]).write(folder.path(), "tls");
    let both = format!("{}{}", authority.pem, next.pem);
    fs::write(folder.path().join("ca.crt"), both).unwrap();
    let sidecar = Sidecar::before(&streaming(), folder, MUTUAL);
    let open = |own| {
        let client = Client::new(&authority, HOST, Some(own));
        let mut kept = client.open(sidecar.inbound).unwrap();
        kept.send("/").unwrap();
        assert!(kept.flows());
        kept
    };
    let (mut cut, mut stays) = (open(&bot), open(&desk));
    replace(&sidecar, "ca.crt", &next.pem);
    wait_until("the reload", || reloads(&sidecar, "success") == 1);
    assert!(cut.ends(), "it went on");
    assert!(stays.flows(), "a certificate that is still good");
    drop(stays);
    let told = crate::sidecar::refusals(&sidecar.events());
    let why = "`client_ca` does not vouch for the certificate any more".to_owned();
    assert_eq!(told, [("tls.client_certificate".to_owned(), why)]);
}

#[test]
fn an_open_answer_ends_with_the_certificate_of_its_client() {
    let authority = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    authority.server(&[HOST]).write(folder.path(), "tls");
    fs::write(folder.path().join("ca.crt"), &authority.pem).unwrap();
    let sidecar = Sidecar::before(&streaming(), folder, MUTUAL);
    // Begins to end when everything else is there.
    let mut short = crate::authority::client_of("bot");
    short.until_seconds = Some(15);
    let client = Client::new(&authority, HOST, Some(&authority.make(short)));
    let mut kept = client.open(sidecar.inbound).unwrap();
    kept.send("/").unwrap();
    assert!(kept.flows());
    assert!(kept.ends(), "it went on");
    let told = crate::sidecar::refusals(&sidecar.events());
    let why = "the client certificate ended while the answer was open".to_owned();
    assert_eq!(told, [("tls.client_certificate".to_owned(), why)]);
}

#[test]
fn tls_does_not_come_or_go_while_running() {
    let authority = Authority::new("ca");
    let own = authority.client("bot");
    let sidecar = mutual(&authority);
    let file = sidecar.folder().join("sidecar.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let without: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("  tls:"))
        .collect();
    replace(&sidecar, "sidecar.yaml", &without.join("\n"));
    wait_until("the refusal", || reloads(&sidecar, "rejected") == 1);
    sidecar.wait_for_log("`inbound.tls` cannot change while running: it is TLS, not clear text");
    let client = Client::new(&authority, HOST, Some(&own));
    let answer = client.send(sidecar.inbound, "/", &[]).unwrap();
    assert_eq!(answer.status(), "200");
}
