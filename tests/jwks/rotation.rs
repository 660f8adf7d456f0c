//! Keys that come and go: case 79 (a key is withdrawn), case 80 (a flood of unknown names), and a new key.

use std::time::{Duration, Instant};

use crate::server::{Answer, Authority, KeyServer};
use crate::support::tokens::Issuer;
use crate::world::{launch, request, set, status, token, token_of_kid, wait_for_line};

#[test]
fn case_79_a_withdrawn_key_takes_its_tokens_along_and_no_others() {
    let authority = Authority::new();
    let [first, second, third] =
        ["first", "second", "third"].map(|name| Issuer::new(2048).named(name));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&first, &second])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 1s");
    wait_for_line(&sidecar, "[+]keys ok");
    let [of_first, of_second, of_third] = [&first, &second, &third].map(token);
    for _ in 0..2 {
        assert_eq!(status(&sidecar, &of_first), 200);
        assert_eq!(status(&sidecar, &of_second), 200);
        assert_eq!(status(&sidecar, &of_third), 401);
    }
    let changed = || sidecar.metric("outrider_jwks_refresh_total", &["\"changed\""]);
    server.answer(Answer::Document(set(&[&second, &third])));
    sidecar.wait_until("changed", || changed() >= 2.0);
    assert_eq!(
        status(&sidecar, &of_first),
        401,
        "replaced, not merged, and not remembered"
    );
    assert_eq!(status(&sidecar, &token(&first)), 401);
    assert_eq!(status(&sidecar, &of_second), 200);
    assert_eq!(status(&sidecar, &of_third), 200);
    let events = sidecar.requests(10).to_vec();
    let text = serde_json::to_string(&events).unwrap();
    assert!(text.contains("kid_unknown"), "{text}");
    // Another key of the same name is another key.
    let impostor = Issuer::new(2048).named("second");
    server.answer(Answer::Document(set(&[&impostor])));
    sidecar.wait_until("changed", || changed() >= 3.0);
    assert_eq!(status(&sidecar, &of_second), 401);
    assert_eq!(status(&sidecar, &token(&impostor)), 200);
}

/// Takes half a minute: so long is the pause between two fetches that strangers can cause.
#[test]
fn case_80_ten_thousand_unknown_names_are_one_fetch_and_a_new_key_needs_no_more() {
    let authority = Authority::new();
    let [old, new] = ["old", "new"].map(|name| Issuer::new(2048).named(name));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&old])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 5m");
    wait_for_line(&sidecar, "[+]keys ok");
    let begun = Instant::now();
    assert_eq!(server.connections(), 1);
    server.answer(Answer::Document(set(&[&old, &new])));
    let (known, fresh) = (token(&old), token(&new));
    assert_eq!(status(&sidecar, &known), 200);
    assert_eq!(status(&sidecar, &fresh), 401);
    let mut wire = sidecar.connect();
    let mut slowest = Duration::ZERO;
    for number in 0..10_000 {
        let asked = Instant::now();
        let bytes = request(&token_of_kid(&format!("kid-{number}")));
        let answer = wire.ask(&bytes).or_else(|_| {
            wire = sidecar.connect();
            wire.ask(&bytes)
        });
        assert_eq!(answer.unwrap().status, 401, "{number}");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(1),
        "somebody waited {slowest:?}"
    );
    let flood = begun.elapsed();
    assert!(
        server.connections() <= 1 + usize::from(flood.as_secs() >= 29),
        "{flood:?}"
    );
    assert_eq!(status(&sidecar, &known), 200);
    while server.connections() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(40), "never fetched");
        assert_eq!(status(&sidecar, &token_of_kid("another")), 401);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        begun.elapsed() > Duration::from_secs(28),
        "{:?}",
        begun.elapsed()
    );
    sidecar.wait_until("new key", || status(&sidecar, &fresh) == 200);
    assert_eq!(status(&sidecar, &known), 200);
    assert_eq!(server.connections(), 2, "one fetch for them all");
}
