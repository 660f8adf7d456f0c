//! Keys that come and go: case 79 (a key is withdrawn), case 80 (a flood of unknown names), and a new key.

use std::time::{Duration, Instant};

use crate::server::{Answer, Authority, KeyServer};
use crate::support::tokens::Issuer;
use crate::world::{ask, launch, request, set, status, token, token_of_kid, wait_for_line};

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

/// Between two fetches that strangers can cause.
const PAUSE: Duration = Duration::from_secs(30);

/// Takes half a minute: so long is the pause.
#[test]
fn case_80_ten_thousand_unknown_names_are_one_fetch_and_a_new_key_needs_no_more() {
    let authority = Authority::new();
    let [old, new] = ["old", "new"].map(|name| Issuer::new(2048).named(name));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&old])));
    let begun = Instant::now();
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 5m, timeout: 60s");
    wait_for_line(&sidecar, "[+]keys ok");
    // As many as there may be, however long it takes: one at the start, and one after each pause.
    let most = || 1 + begun.elapsed().as_secs() / PAUSE.as_secs();
    let fetches = || u64::try_from(server.connections()).unwrap();
    let (known, fresh) = (token(&old), token(&new));
    assert_eq!(status(&sidecar, &known), 200);
    assert_eq!(status(&sidecar, &fresh), 401);
    let mut wire = sidecar.connect();
    for number in 0..10_000 {
        let bytes = request(&token_of_kid(&format!("kid-{number}")));
        let answer = wire.ask(&bytes).or_else(|_| {
            wire = sidecar.connect();
            wire.ask(&bytes)
        });
        assert_eq!(answer.unwrap().status, 401, "{number}");
    }
    assert!(fetches() <= most(), "{} of {}", fetches(), most());
    assert_eq!(status(&sidecar, &known), 200);
    // What is fetched from now on is not there before it is let go.
    let before = server.hold(Answer::Document(set(&[&old, &new])));
    let mut number = 0;
    sidecar.wait_until("another fetch", || {
        number += 1;
        assert_eq!(
            status(&sidecar, &token_of_kid(&format!("more-{number}"))),
            401
        );
        server.requests() > before
    });
    assert!(begun.elapsed() >= PAUSE, "{:?}", begun.elapsed());
    // While it goes on nobody waits for it: it ends only after these answers.
    assert_eq!(status(&sidecar, &known), 200);
    assert_eq!(status(&sidecar, &fresh), 401);
    assert_eq!(ask(&sidecar, &token_of_kid("one more")).status, 401);
    assert!(fetches() <= most(), "{} of {}", fetches(), most());
    server.let_go();
    sidecar.wait_until("new key", || status(&sidecar, &fresh) == 200);
    assert_eq!(status(&sidecar, &known), 200);
    assert!(fetches() <= most(), "{} of {}", fetches(), most());
}
