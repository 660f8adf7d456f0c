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
    let times = "refresh: 1s, stale_max: 20s, timeout: 10s";
    let stale_max = Duration::from_secs(20);
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), times);
    wait_for_line(&sidecar, "[+]keys ok");
    let known = token(&issuer);
    assert_eq!(status(&sidecar, &known), 200);
    // A fetch that begins after this moment ends well: the third from now is there, so the second has been taken.
    let (younger, asked) = (Instant::now(), server.requests());
    sidecar.wait_until("fetched", || server.requests() >= asked + 3);
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
    loop {
        let statuses = [status(&sidecar, &known), status(&sidecar, &token(&issuer))];
        if younger.elapsed() >= stale_max {
            break;
        }
        assert_eq!(statuses, [200, 200], "new tokens too");
        thread::sleep(Duration::from_millis(100));
    }
    wait_for_line(&sidecar, "[-]keys too old");
    assert!(younger.elapsed() > stale_max, "{:?}", younger.elapsed());
    for token in [&known, &token(&issuer), &token_of_kid("any")] {
        let answer = ask(&sidecar, token);
        assert_eq!(
            (answer.status, answer.one("retry-after")),
            (503, Some("5")),
            "cached ones too"
        );
    }
    assert_eq!(sidecar.ask_health("/readyz").status, 503);
    assert!(sidecar.metric("outrider_jwks_age_seconds", &[]) > 20.0);
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
    sidecar.wait_for_log("the keys cannot be fetched");
    assert_eq!(
        sidecar
            .stdout()
            .matches("the keys cannot be fetched")
            .count(),
        1
    );
    server.answer(Answer::Document(set(&[&issuer])));
    wait_for_line(&sidecar, "[+]keys ok");
    sidecar.wait_for_log("the keys are fetched again");
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
    let times = "refresh: 1s, stale_max: 10s, timeout: 8s";
    let (sidecar, _origin) = launch(&server.url(), &authority.pem(), times);
    wait_for_line(&sidecar, "[+]keys ok");
    let (known, since) = (token(&issuer), Instant::now());
    // Longer than keys hold that nobody confirms.
    sidecar.wait_until("confirmed", || {
        assert_eq!(status(&sidecar, &known), 200);
        server.confirmed() >= 4 && since.elapsed() > Duration::from_secs(11)
    });
    assert_eq!(
        sidecar.metric("outrider_jwks_refresh_total", &["\"changed\""]),
        1.0
    );
    assert!(sidecar.metric("outrider_jwks_refresh_total", &["unchanged"]) >= 3.0);
}
