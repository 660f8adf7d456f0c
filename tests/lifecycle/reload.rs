//! The configuration changes while requests pass (F20): a good one is taken whole, a bad one leaves everything as it was
//! and is told once.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar};
use crate::world::{Load, OPEN, events, get, reloads, replace, status, wait_reloads, yaml};

/// Longer than a change takes to be noticed and to settle.
const NOTICED: Duration = Duration::from_millis(1200);

/// A route that is added.
const ADDED: &str = "    - { name: added, match: { path: /added }, anonymous: true }\n";

fn open(origin: &Origin) -> Sidecar {
    origin.answer_tagged();
    Sidecar::start(&Setup {
        workers: 2,
        ..Setup::new(&origin.url, OPEN)
    })
}

#[test]
fn good_and_bad_configurations_come_and_go_under_load() {
    let origin = Origin::start();
    let sidecar = open(&origin);
    let first = yaml(&sidecar);
    let second = format!("{first}{ADDED}");
    let load = Load::start(sidecar.inbound, &get("/open/x"));
    assert_eq!(status(&sidecar, &get("/added")), 404);
    replace(&sidecar, "sidecar.yaml", &second);
    wait_reloads(&sidecar, 1, 0);
    assert_eq!(status(&sidecar, &get("/added")), 200);

    let half = &second[..second.find("forward_to").unwrap()];
    let bad = [
        second.replace("routes:", "routes: ["),
        second.replace("service:", "servise:"),
        half.to_owned(),
        String::new(),
        second.replace("workers: 2", "workers: 3"),
    ];
    for (count, text) in (1..).zip(&bad) {
        replace(&sidecar, "sidecar.yaml", text);
        wait_reloads(&sidecar, 1, count);
        assert_eq!(
            sidecar.metric("outrider_config_last_reload_success", &[]),
            0.0
        );
        assert_eq!(status(&sidecar, &get("/added")), 200, "{text}");
    }
    replace(&sidecar, "sidecar.yaml", &second);
    wait_reloads(&sidecar, 2, 5);
    assert_eq!(
        sidecar.metric("outrider_config_last_reload_success", &[]),
        1.0
    );
    replace(&sidecar, "sidecar.yaml", &first);
    wait_reloads(&sidecar, 3, 5);
    assert_eq!(status(&sidecar, &get("/added")), 404);
    load.finish();
    evidence_is_complete(&sidecar, bad.len());
}

/// What log and audit say of the three reloads that were taken and those that were refused.
fn evidence_is_complete(sidecar: &Sidecar, refused: usize) {
    sidecar.wait_for_log("servise");
    sidecar.wait_for_log("`workers` cannot change while running: it is 2, not 3");
    let loaded = events(sidecar, "config.load", 4);
    assert_eq!(loaded[1]["config"]["changes"][0], "route added added");
    assert_eq!(
        loaded[1]["config"]["previous"],
        loaded[0]["config"]["digest"]
    );
    assert_eq!(loaded[3]["config"]["changes"][0], "route added removed");
    assert_eq!(loaded[3]["config"]["digest"], loaded[0]["config"]["digest"]);
    let rejected = events(sidecar, "config.reject", refused);
    let digests: BTreeSet<_> = rejected
        .iter()
        .map(|event| event["config"]["digest"].to_string())
        .collect();
    assert_eq!(digests.len(), refused);
    assert!(
        rejected
            .iter()
            .all(|event| event["config"]["generation"] == 2),
        "{rejected:?}"
    );
    // The generation that judged a request says what the request must have met.
    for event in sidecar.requests(1) {
        let generation = event["source"]["config"].as_u64().unwrap();
        assert!((1..=4).contains(&generation), "{event}");
        if event["request"]["path"] == "/added" {
            let known = matches!(generation, 2 | 3);
            assert_eq!(event["response"]["status"] == 200, known, "{event}");
        }
    }
}

#[test]
fn a_volume_that_swaps_its_link_is_followed() {
    let origin = Origin::start();
    let sidecar = open(&origin);
    let at = |name: &str| sidecar.folder().join(name);
    let first = yaml(&sidecar);
    for (version, text) in [
        ("..1", first.clone()),
        ("..2", format!("{first}{ADDED}")),
        ("..3", first),
    ] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("sidecar.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/sidecar.yaml", at("link")).unwrap();
    fs::rename(at("link"), at("sidecar.yaml")).unwrap();
    let load = Load::start(sidecar.inbound, &get("/open/x"));
    for (count, from, to, expected) in [(1, "..1", "..2", 200), (2, "..2", "..3", 404)] {
        symlink(to, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at(from)).unwrap();
        wait_reloads(&sidecar, count, 0);
        assert_eq!(status(&sidecar, &get("/added")), expected);
    }
    load.finish();
}

#[test]
fn what_is_refused_is_told_once_and_again_when_somebody_asks() {
    let origin = Origin::start();
    let sidecar = open(&origin);
    replace(&sidecar, "sidecar.yaml", "service: [");
    wait_reloads(&sidecar, 0, 1);
    // Written again as it is, never empty in between.
    let path = sidecar.folder().join("sidecar.yaml");
    let file = fs::OpenOptions::new().write(true).open(path);
    file.unwrap().write_all(b"service: [").unwrap();
    fs::write(sidecar.folder().join("other"), "noise").unwrap();
    thread::sleep(NOTICED);
    assert_eq!(reloads(&sidecar), (0.0, 1.0));
    sidecar.signal("HUP");
    wait_reloads(&sidecar, 0, 2);
    assert_eq!(status(&sidecar, &get("/open/x")), 200);
    assert_eq!(sidecar.ask_health("/readyz").status, 200);
}

#[test]
fn a_storm_of_changes_ends_with_the_last_one() {
    let origin = Origin::start();
    let sidecar = open(&origin);
    let first = yaml(&sidecar);
    let load = Load::start(sidecar.inbound, &get("/open/x"));
    let begun = Instant::now();
    for round in 0..300 {
        let text = format!(
            "{first}{}# {round}\n",
            if round % 2 == 0 { "    - [\n" } else { ADDED }
        );
        match round % 3 {
            0 => fs::write(sidecar.folder().join("sidecar.yaml"), text).unwrap(),
            _ => replace(&sidecar, "sidecar.yaml", &text),
        }
        thread::sleep(Duration::from_millis(10));
    }
    sidecar.wait_until("the last one", || status(&sidecar, &get("/added")) == 200);
    thread::sleep(NOTICED);
    // What goes on changing is waited for; two looks of half a second each are the least between two reloads.
    let most = begun.elapsed().as_secs_f64() * 2.0 + 1.0;
    let (taken, refused) = reloads(&sidecar);
    assert!(taken + refused <= most, "{taken} and {refused} of {most}");
    assert_eq!(status(&sidecar, &get("/added")), 200);
    load.finish();
}

#[test]
fn limits_keep_their_state_unless_they_change() {
    let origin = Origin::start();
    origin.answer_tagged();
    let routes = "  routes:
    - { name: few, match: { path: /few }, anonymous: true, limits: [{ name: few, per: client_ip, rate: 2/h }] }
";
    let sidecar = Sidecar::start(&Setup::new(&origin.url, routes));
    let few = || status(&sidecar, &get("/few"));
    assert_eq!([few(), few(), few()], [200, 200, 429]);
    let first = yaml(&sidecar);
    replace(&sidecar, "sidecar.yaml", &format!("{first}{ADDED}"));
    wait_reloads(&sidecar, 1, 0);
    assert_eq!(few(), 429, "an unchanged limit forgot what was spent");
    replace(&sidecar, "sidecar.yaml", &first.replace("2/h", "3/h"));
    wait_reloads(&sidecar, 2, 0);
    assert_eq!(few(), 200, "a changed limit begins anew");
}

#[test]
fn the_service_may_move() {
    let (old, new) = (Origin::start(), Origin::start());
    old.answer_tagged();
    new.answer_tagged();
    let sidecar = Sidecar::start(&Setup::new(&old.url, OPEN));
    let load = Load::start(sidecar.inbound, &get("/open/x"));
    replace(
        &sidecar,
        "sidecar.yaml",
        &yaml(&sidecar).replace(&old.url, &new.url),
    );
    wait_reloads(&sidecar, 1, 0);
    let (before, mark) = (old.mark(), new.mark());
    assert_eq!(status(&sidecar, &get("/open/y")), 200);
    assert!(!new.wait_since(mark, 1).is_empty());
    sidecar.wait_until("no connection to the old service", || old.open() == 0);
    load.finish();
    let late = old.since(before);
    assert!(
        late.iter().all(|request| request.target != "/open/y"),
        "{late:?}"
    );
}
