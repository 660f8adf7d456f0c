//! What whole-program tests wait for: records, reloads, connections that are gone. Each wait is for the very state that is
//! meant, has a long patience, and never says how soon it must be there.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sidecar::{Sidecar, of_type};
use super::wire::{PATIENCE, Response};

/// Between two looks at a spool, each of which is a process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for something that must become true, sooner or later.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not {what} in time");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The events of a type that are meant, as soon as there are at least `count`.
pub fn events(
    sidecar: &Sidecar,
    name: &str,
    count: usize,
    is_meant: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut found = of_type(&sidecar.audit(), name);
        found.retain(&is_meant);
        if found.len() >= count {
            return found;
        }
        let late = Instant::now() > until;
        assert!(!late, "{} of {count} {name}: {found:#?}", found.len());
        thread::sleep(LOOK_EVERY);
    }
}

/// The `http.request` events of what services asked, as soon as there are at least so many. What a sidecar asks by itself
/// is not among them.
pub fn services(sidecar: &Sidecar, count: usize) -> Vec<Value> {
    events(sidecar, "http.request", count, |event| {
        event["actor"]["auth"] != "own"
    })
}

/// The record of the request that this is the answer to: it is written when the answer has left.
pub fn record_of(sidecar: &Sidecar, answer: &Response) -> Value {
    let id = answer.one("x-request-id").unwrap();
    let mut found = events(sidecar, "http.request", 1, |event| event["id"] == id);
    found.remove(0)
}

/// Replaces the configuration, and waits until the new one is in force.
pub fn reconfigure(sidecar: &Sidecar, change: impl FnOnce(&str) -> String) {
    reload(sidecar, || write_config(sidecar, change));
}

/// Replaces the configuration by renaming, so that nobody reads half of it.
pub fn write_config(sidecar: &Sidecar, change: impl FnOnce(&str) -> String) {
    let path = sidecar.folder().join("sidecar.yaml");
    let (before, fresh) = (
        fs::read_to_string(&path).unwrap(),
        path.with_extension("new"),
    );
    let after = change(&before);
    assert_ne!(before, after, "nothing was changed");
    fs::write(&fresh, after).unwrap();
    fs::rename(&fresh, &path).unwrap();
}

/// Changes files of a configuration, and waits until what they say is in force. Nobody is told by a signal, which would be
/// counted as another reload, and taken for that of the next change.
pub fn reload(sidecar: &Sidecar, change: impl FnOnce()) {
    let taken = || sidecar.metric("outrider_config_reloads_total", &["success"]);
    let before = taken();
    change();
    wait_until("reloaded", || taken() > before);
}

/// Ends connections that lead to this port of this machine, and waits until whoever had them has let go of them. Until
/// then they may be taken for good ones.
pub fn hang_up(port: u16, end: impl FnOnce()) {
    let before = connections_to(port);
    end();
    wait_until("let go", || connections_to(port).is_disjoint(&before));
}

/// The ports from which connections lead to this one, as long as those who opened them have not closed them.
fn connections_to(port: u16) -> BTreeSet<String> {
    // proc(5): local address, remote address and state, in hexadecimal digits, behind a number.
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!("0100007F:{port:04X}");
    let rows = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (from, to, state) = (fields.next()?, fields.next()?, fields.next()?);
        let stands = state == ESTABLISHED || state == CLOSE_WAIT;
        (to == remote && stands).then(|| from.to_owned())
    });
    rows.collect()
}
