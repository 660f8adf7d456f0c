//! What the themes have in common: steady load whose every answer must be good, and configurations that change in place.
//! Holds no expectation of its own.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::sidecar::Sidecar;
use crate::support::tokens::Issuer;
use crate::support::wire::{Wire, describe};

/// A policy in which everybody may ask for `/open/...`.
pub const OPEN: &str = "  routes:
    - { name: open, match: { path: /open/** }, anonymous: true }
";

/// A request without a body.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: orders.test\r\n\r\n")
}

/// The same with a token.
pub fn get_with(target: &str, token: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: orders.test\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A token of a trader who lives so many seconds from now.
pub fn token(issuer: &Issuer, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let claims = json!({
        "iss": "https://issuer.test",
        "aud": "order-gateway",
        "sub": "alice",
        "iat": now,
        "exp": now + seconds,
        "roles": ["trader"],
    });
    issuer.sign(&issuer.header(), &claims)
}

/// The status of one request on a connection of its own.
pub fn status(sidecar: &Sidecar, request: &str) -> u16 {
    let answer = sidecar.connect().ask(request);
    answer.map_or(0, |response| response.status)
}

/// The text of the configuration.
pub fn yaml(sidecar: &Sidecar) -> String {
    fs::read_to_string(sidecar.folder().join("sidecar.yaml")).unwrap()
}

/// Replaces a file of the sidecar as an editor does.
pub fn replace(sidecar: &Sidecar, name: &str, text: &str) {
    let fresh = sidecar.folder().join("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, sidecar.folder().join(name)).unwrap();
}

/// How many reloads were taken and how many refused.
pub fn reloads(sidecar: &Sidecar) -> (f64, f64) {
    let count = |outcome| sidecar.metric("outrider_config_reloads_total", &[outcome]);
    (count("success"), count("rejected"))
}

/// Waits until so many reloads were taken and so many refused.
pub fn wait_reloads(sidecar: &Sidecar, taken: u32, refused: u32) {
    let what = format!("{taken} reloads taken and {refused} refused");
    sidecar.wait_until(&what, || {
        reloads(sidecar) == (f64::from(taken), f64::from(refused))
    });
}

/// The events of one type, as soon as there are so many.
pub fn events(sidecar: &Sidecar, name: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    sidecar.wait_until(name, || {
        found = sidecar.audit();
        found.retain(|event| event["action"]["type"] == name);
        found.len() >= count
    });
    found
}

/// Clients that ask without a pause on connections that they keep.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    /// Starts two clients.
    pub fn start(to: SocketAddr, request: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (stop, request) = (Arc::clone(&stop), request.to_owned());
            thread::spawn(move || ask_until(&stop, to, &request))
        };
        let clients = (0..2).map(client).collect();
        Self { stop, clients }
    }

    /// Stops them: how many good answers there were. There must be no others.
    pub fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self
            .clients
            .into_iter()
            .map(|client| client.join().unwrap());
        let mut good = 0;
        for (answers, failures) in ended {
            assert!(
                failures.is_empty(),
                "{} failed: {failures:?}",
                failures.len()
            );
            good += answers;
        }
        assert!(good > 0, "nobody asked anything");
        good
    }
}

fn ask_until(stop: &AtomicBool, to: SocketAddr, request: &str) -> (usize, Vec<String>) {
    let (mut good, mut failures) = (0, Vec::new());
    let mut wire = Wire::connect(to);
    while !stop.load(Ordering::Relaxed) {
        let answer = wire.ask(request);
        match &answer {
            Ok(response) if response.status == 200 => good += 1,
            _ => {
                failures.push(describe(&answer));
                wire = Wire::connect(to);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    (good, failures)
}
