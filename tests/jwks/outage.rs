//! Faults F16 and F17: the server fails later. The last good keys hold for `stale_max`, then every token is 503.

use std::thread;
use std::time::{Duration, Instant};

use crate::server::{Answer, Authority, KeyServer};
use crate::support::tokens::Issuer;
use crate::world::{ask, keys_line, launch, set, status, token, token_of_kid, wait_for_line};

#[test]
fn keys_hold_through_an_outage_until_they_are_too_old() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let times = "refresh: 1s, stale_max: 4s, timeout: 500ms";
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), times);
    wait_for_line(&sidecar, "[+]keys ok");
    let known = token(&issuer);
    assert_eq!(status(&sidecar, &known), 200);
    let down = Instant::now();
    server.answer(Answer::Down);
    wait_for_line(&sidecar, "[+]keys warning: ");
    assert!(
        keys_line(&sidecar).ends_with("fails (tls)"),
        "{}",
        keys_line(&sidecar)
    );
    assert_eq!(
        sidecar.ask_health("/readyz").status,
        200,
        "stale and usable"
    );
    while down.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(status(&sidecar, &known), 200);
        assert_eq!(status(&sidecar, &token(&issuer)), 200, "new tokens too");
        thread::sleep(Duration::from_millis(100));
    }
    wait_for_line(&sidecar, "[-]keys too old");
    assert!(
        down.elapsed() > Duration::from_millis(2_900),
        "{:?}",
        down.elapsed()
    );
    for token in [&known, &token(&issuer), &token_of_kid("any")] {
        let answer = ask(&sidecar, token);
        assert_eq!(
            (answer.status, answer.one("retry-after")),
            (503, Some("5")),
            "cached ones too"
        );
    }
    assert_eq!(sidecar.ask_health("/readyz").status, 503);
    assert!(sidecar.metric("outrider_jwks_age_seconds", &[]) > 4.0);
    server.answer(Answer::Document(set(&[&issuer])));
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(status(&sidecar, &known), 200);
}

#[test]
fn garbage_changes_nothing_and_is_told() {
    let (authority, issuer, twin) = (Authority::new(), Issuer::new(2048), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Document(set(&[&issuer])));
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), "refresh: 1s");
    wait_for_line(&sidecar, "[+]keys ok");
    let known = token(&issuer);
    assert_eq!(status(&sidecar, &known), 200);
    let refused = || sidecar.metric("outrider_jwks_refresh_total", &["refused"]);
    let documents = [
        "{".to_owned(),
        "{\"keys\":[]}".to_owned(),
        "<html></html>".to_owned(),
        set(&[&issuer, &twin]),
    ];
    for document in documents {
        let before = refused();
        server.answer(Answer::Document(document.clone()));
        sidecar.wait_until("refused twice", || refused() >= before + 2.0);
        assert_eq!(status(&sidecar, &known), 200, "{document}");
        assert_eq!(status(&sidecar, &token(&issuer)), 200, "{document}");
        assert_eq!(status(&sidecar, &token(&twin)), 401, "{document}");
        assert_eq!(sidecar.ask_health("/readyz").status, 200);
        assert!(keys_line(&sidecar).contains("(refused)"), "{document}");
    }
    assert_eq!(
        sidecar
            .stdout()
            .matches("the keys cannot be fetched")
            .count(),
        1
    );
    server.answer(Answer::Document(set(&[&issuer])));
    wait_for_line(&sidecar, "[+]keys ok");
    assert_eq!(
        sidecar
            .stdout()
            .matches("the keys are fetched again")
            .count(),
        1
    );
}

#[test]
fn what_has_not_changed_is_confirmed_and_stays_fresh() {
    let (authority, issuer) = (Authority::new(), Issuer::new(2048));
    let server = KeyServer::start(&authority, Answer::Tagged(set(&[&issuer]), "\"7\""));
    let times = "refresh: 1s, stale_max: 2s";
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), times);
    wait_for_line(&sidecar, "[+]keys ok");
    let known = token(&issuer);
    sidecar.wait_until("confirmed", || {
        assert_eq!(status(&sidecar, &known), 200);
        server.confirmed() >= 4
    });
    assert_eq!(
        sidecar.metric("outrider_jwks_refresh_total", &["\"changed\""]),
        1.0
    );
    assert!(sidecar.metric("outrider_jwks_refresh_total", &["unchanged"]) >= 3.0);
}
