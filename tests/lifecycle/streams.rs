//! Answers that are open while the policy changes or their token ends.

use std::time::{Duration, Instant};

use crate::rotation::guarded;
use crate::support::origin::{Act, Origin, send};
use crate::support::sidecar::{Setup, Sidecar};
use crate::support::tokens::Issuer;
use crate::support::wire::{PATIENCE, Wire};
use crate::world::{get, get_with, replace, token, wait_reloads, yaml};

/// A piece every 50 ms, for longer than any test looks on.
fn stream_for_long(origin: &Origin) {
    origin.answer(|_| {
        let mut acts = vec![send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
        )];
        for _ in 0..12_000 {
            acts.push(send("3\r\nabc\r\n"));
            acts.push(Act::Pause(Duration::from_millis(50)));
        }
        acts.push(send("0\r\n\r\n"));
        acts
    });
}

/// Whether pieces go on coming.
fn flows(wire: &mut Wire) -> bool {
    let so_far = wire.bytes(0, Duration::ZERO).len();
    wire.bytes(so_far + 20, PATIENCE).len() >= so_far + 20
}

#[test]
fn an_answer_that_is_not_allowed_any_more_is_cut() {
    let origin = Origin::start();
    stream_for_long(&origin);
    let routes = "  routes:
    - { name: one, match: { path: /one }, anonymous: true }
    - { name: two, match: { path: /two }, anonymous: true, limits: [{ name: few, per: all, rate: 1/h }] }
";
    let sidecar = Sidecar::start(&Setup::new(&origin.url, routes));
    let (mut one, mut two) = (sidecar.connect(), sidecar.connect());
    one.send(get("/one"));
    two.send(get("/two"));
    assert!(flows(&mut one) && flows(&mut two));
    let denied = yaml(&sidecar).replace(
        "/one }, anonymous: true",
        "/one }, anonymous: true, deny_ips: [127.0.0.0/8]",
    );
    replace(&sidecar, "sidecar.yaml", &denied);
    wait_reloads(&sidecar, 1, 0);
    assert!(one.ends_within(PATIENCE), "it went on");
    // A limit that is spent is no reason: it was spent by this very request.
    assert!(flows(&mut two), "an answer that is still allowed was cut");
    let record = sidecar.requests(1).remove(0);
    assert_eq!(record["outcome"], "denied", "{record}");
    assert_eq!(record["reason"]["rule"], "one/deny_ips", "{record}");
    assert_eq!(record["source"]["config"], 1, "{record}");
}

#[test]
fn an_answer_ends_with_the_token_it_was_given_for() {
    let origin = Origin::start();
    stream_for_long(&origin);
    let issuer = Issuer::new(2048);
    let sidecar = guarded(&origin, &issuer);
    let mut wire = sidecar.connect();
    let begun = Instant::now();
    wire.send(get_with("/orders/1", &token(&issuer, 10)));
    assert!(flows(&mut wire));
    assert!(wire.ends_within(PATIENCE));
    // Tokens are told in whole seconds.
    assert!(begun.elapsed() > Duration::from_secs(9), "too early");
    let record = sidecar.requests(1).remove(0);
    assert_eq!(record["outcome"], "denied", "{record}");
    assert_eq!(record["reason"]["code"], "authn.invalid_token", "{record}");
}

#[test]
fn an_answer_ends_when_its_key_is_withdrawn() {
    let origin = Origin::start();
    stream_for_long(&origin);
    let (old, new) = (
        Issuer::new(2048).named("old"),
        Issuer::new(2048).named("new"),
    );
    let sidecar = guarded(&origin, &old);
    let mut wire = sidecar.connect();
    wire.send(get_with("/orders/1", &token(&old, 600)));
    assert!(flows(&mut wire));
    replace(&sidecar, "keys.json", &new.jwks());
    wait_reloads(&sidecar, 1, 0);
    assert!(wire.ends_within(PATIENCE), "it went on");
}
