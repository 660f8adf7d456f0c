//! Certificate, key and client CA replaced a hundred times under load: no request fails, and what is torn changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use outrider::accept::http::{Arrival, Handler, HeadRefusal, Http};
use outrider::accept::listener::{self, Gate, PortUse};
use outrider::config;
use outrider::model::clock::SystemClock;
use outrider::model::facts::Connection;
use outrider::model::settings::TlsSettings;
use outrider::record::Metrics;
use outrider::roles::certificates::{self, Certificates};
use outrider::runtime::drain::Drain;

use crate::authority::Authority;
use crate::client::Client;

const HOST: &str = "orders.jts.local";
const ROTATIONS: u32 = 100;
const CLIENTS: usize = 4;

const YAML: &str = "service: orders
inbound:
  listen: 127.0.0.1:0
  forward_to: http://127.0.0.1:9
  tls: { certificate: tls.crt, key: tls.key, client_ca: ca.crt, client_certificate: required }
  routes: [{ name: all, match: { path: '/**' }, anonymous: true }]
audit: { spool: audit }
";

struct Ok200;

impl Handler for Ok200 {
    type Body = Full<Bytes>;

    async fn handle(&self, arrival: Arrival) -> Response<Self::Body> {
        let shown = arrival.connection.certificate.unwrap();
        Response::new(Full::new(Bytes::from(shown.names.principal().to_owned())))
    }

    fn refused_head(&self, _: HeadRefusal) {}
}

struct Listener {
    certificates: Certificates,
    settings: TlsSettings,
    metrics: Metrics,
    address: SocketAddr,
}

/// A listener on a thread of its own, which ends with the test's process.
fn listen(folder: &Path) -> Listener {
    let loaded = config::load_bytes("sidecar.yaml", YAML.as_bytes(), folder, []);
    let inbound = loaded
        .map_err(|report| report.render(false))
        .unwrap()
        .config
        .inbound;
    let settings = inbound.tls.unwrap();
    let clock = Arc::new(SystemClock::new());
    let metrics = Metrics::new("1").unwrap();
    let mut faults = outrider::model::fault::Faults::default();
    let now = outrider::model::clock::Clock::now(&*clock);
    let state = certificates::load(&settings, now, &mut faults).unwrap();
    let handshake = inbound.timeouts.handshake;
    let certificates = Certificates::new(state, handshake, clock, metrics.clone());
    let socket = listener::bind(inbound.listen, PortUse::Alone).unwrap();
    let address = socket.local_addr().unwrap();
    let gate = Arc::new(Gate::new(&inbound.limits, Duration::from_secs(30)));
    let http = Http::new(&inbound.limits, &inbound.timeouts);
    let door = certificates.door();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(socket).unwrap();
            let drain = Drain::new();
            let own = drain.clone();
            let serve = move |stream, peer| {
                let (door, http, drain) = (Arc::clone(&door), http.clone(), own.clone());
                async move {
                    if let Ok(Some(opened)) = door.open(stream).await {
                        let connection = Connection {
                            peer,
                            secure: true,
                            certificate: opened.certificate,
                        };
                        http.serve(opened.stream, connection, &Ok200, &drain).await;
                    }
                }
            };
            listener::run(listener, gate, drain, serve).await;
        });
    });
    Listener {
        certificates,
        settings,
        metrics,
        address,
    }
}

#[test]
fn a_hundred_rotations_under_load_fail_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let authority = Authority::new("ca");
    let own = authority.client("bot");
    authority.server(&[HOST]).write(path, "tls");
    fs::write(path.join("ca.crt"), &authority.pem).unwrap();
    let listener = listen(path);
    let address = listener.address;
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let failed = thread::scope(|scope| {
        let load = || {
            let client = Client::new(&authority, HOST, Some(&own));
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                match client.send(address, "/", &[]) {
                    Ok(answer) if answer.status() == "200" => {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(answer) => failed.push(answer.text),
                    Err(error) => failed.push(error.to_string()),
                }
            }
            failed
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(load)).collect();
        for _ in 0..ROTATIONS {
            let before = answered.load(Ordering::Relaxed);
            authority.server(&[HOST]).write(path, "tls");
            // The CA in use stays, another one comes and goes.
            let both = format!("{}{}", authority.pem, Authority::new("next").pem);
            fs::write(path.join("ca.crt"), both).unwrap();
            listener.certificates.renew(&listener.settings).unwrap();
            while answered.load(Ordering::Relaxed) < before + CLIENTS as u64
                && !clients.iter().any(|one| one.is_finished())
            {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        failed.is_empty(),
        "{} of {answered:?}: {failed:?}",
        failed.len()
    );
    assert!(answered.into_inner() >= u64::from(ROTATIONS));
}

#[test]
fn a_torn_pair_changes_nothing_until_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let authority = Authority::new("ca");
    let own = authority.client("bot");
    authority.server(&[HOST]).write(path, "tls");
    fs::write(path.join("ca.crt"), &authority.pem).unwrap();
    let listener = listen(path);
    let client = Client::new(&authority, HOST, Some(&own));
    let shown = || client.send(listener.address, "/", &[]).unwrap().shown;
    let (first, before) = (shown(), listener.metrics.text());

    let mut later = crate::authority::server_of(&[HOST]);
    later.until = 90;
    let next = authority.make(later);
    fs::write(path.join("tls.crt"), &next.certificate).unwrap();
    let faults = listener.certificates.renew(&listener.settings).unwrap_err();
    assert!(
        faults
            .iter()
            .any(|fault| fault.message.contains("does not belong to"))
    );
    assert_eq!(shown(), first);
    let ends = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("cert_expiry"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(ends(&listener.metrics.text()), ends(&before));

    fs::write(path.join("tls.key"), &next.key).unwrap();
    assert!(
        listener
            .certificates
            .renew(&listener.settings)
            .unwrap()
            .is_empty()
    );
    assert_ne!(shown(), first);
    assert_ne!(ends(&listener.metrics.text()), ends(&before));
}

#[test]
fn a_client_ca_that_is_taken_away_takes_its_sessions_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let own = authority.client("bot");
    authority.server(&[HOST]).write(path, "tls");
    fs::write(path.join("ca.crt"), &authority.pem).unwrap();
    let listener = listen(path);
    let client = Client::new(&authority, HOST, Some(&own));
    client.send(listener.address, "/", &[]).unwrap();
    assert!(client.send(listener.address, "/", &[]).unwrap().resumed);
    fs::write(path.join("ca.crt"), &next.pem).unwrap();
    listener.certificates.renew(&listener.settings).unwrap();
    assert!(client.send(listener.address, "/", &[]).is_err());
}
