//! The admin listener from outside: who may reach it, what it shows and what it does.
//! Cases 142 and 143 of the shared bypass cases: other listeners have none of it, and it never answers in HTML.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use crate::support::origin::{Origin, send};
use crate::support::sidecar::{Setup, Sidecar, of_type};
use crate::support::wire::{Response, Wire};
use crate::{INBOUND, request, world};

fn ask_as(admin: SocketAddr, method: &str, target: &str, headers: &str) -> Response {
    let mut wire = Wire::connect(admin);
    let text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    wire.ask(text).unwrap()
}

fn ask(admin: SocketAddr, method: &str, target: &str) -> Response {
    ask_as(admin, method, target, &format!("Host: {admin}\r\n"))
}

fn read(admin: SocketAddr, target: &str) -> Value {
    let answer = ask(admin, "GET", target);
    assert_eq!(answer.status, 200, "{target}");
    assert_eq!(answer.one("content-type"), Some("application/json"));
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn pages_tell_what_is_in_force_and_no_secret() {
    let (sidecar, _origin) = world(&[("OUTRIDER_INBOUND__TIMEOUTS__DRAIN", "9s")]);
    let admin = sidecar.listener("admin");
    let dump = read(admin, "/config_dump");
    let settings = dump["settings"].as_array().unwrap();
    let find = |key: &str| settings.iter().find(|one| one["key"] == key).unwrap();
    assert_eq!(find("service")["value"], "order-gateway");
    let file = find("service")["origin"].as_str().unwrap();
    assert!(file.ends_with("sidecar.yaml:1"), "{file}");
    assert_eq!(
        find("inbound.timeouts.drain")["origin"],
        "$OUTRIDER_INBOUND__TIMEOUTS__DRAIN"
    );
    assert_eq!(find("inbound.bounds.headers_max")["origin"], "default");

    let info = read(admin, "/server_info");
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["draining"], false);
    assert!(info["uptime_seconds"].is_u64() && info["epoch"].is_string());

    let policies = read(admin, "/policies");
    let routes = policies["routes"].as_array().unwrap();
    let names: Vec<&str> = routes
        .iter()
        .map(|route| route["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one-order", "trial", "place"]);
    assert_eq!(routes[1]["rules"][0]["mode"], "shadow");
    assert_eq!(routes[2]["rules"][0]["name"], "place/token");
    assert_eq!(routes[2]["rules"][1]["name"], "place/require.permissions");
    assert!(
        routes[2]["rules"][0]["place"]
            .as_str()
            .unwrap()
            .contains(':')
    );
    assert_eq!(policies["shared"][0]["name"], "inbound/deny_ips");

    let secrets = read(admin, "/secrets");
    assert_eq!(secrets["secrets"][0]["name"], "test-key");
    assert_eq!(secrets["secrets"][0]["origin"], "keys.json");
    assert_eq!(
        read(admin, "/certs")["certificates"],
        Value::Array(Vec::new())
    );
}

#[test]
fn key_text_is_shown_as_its_length() {
    let origin = Origin::start();
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    let inbound = INBOUND.replace("{ file: keys.json }", &format!("{{ inline: '{keys}' }}"));
    let setup = Setup {
        top: "admin: { listen: \"127.0.0.1:0\" }",
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    let admin = sidecar.listener("admin");
    let text = ask(admin, "GET", "/config_dump").text();
    assert!(text.contains(&format!("({} bytes)", keys.len())), "{text}");
    let modulus = &keys[keys.find("\"n\"").unwrap() + 5..][..40];
    for page in ["/config_dump", "/secrets", "/policies"] {
        assert!(!ask(admin, "GET", page).text().contains(modulus), "{page}");
    }
    assert_eq!(read(admin, "/secrets")["secrets"][0]["source"], "inline");
}

#[test]
fn the_query_of_a_key_url_is_told_nowhere() {
    let origin = Origin::start();
    let issuer = Origin::start();
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    let length = keys.len();
    issuer.answer(move |_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        vec![send(format!(
            "{head}\r\nContent-Length: {length}\r\n\r\n{keys}"
        ))]
    });
    let url = format!("{}/keys", issuer.url);
    let named = format!("{{ url: \"{url}?code=canary-9d\" }}");
    let inbound = INBOUND.replace("{ file: keys.json }", &named);
    let setup = Setup {
        top: "admin: { listen: \"127.0.0.1:0\" }",
        ..Setup::new(&origin.url, &inbound)
    };
    let begun = Instant::now();
    let sidecar = Sidecar::start(&setup);
    assert_eq!(issuer.since(0)[0].target, "/keys?code=canary-9d");
    let admin = sidecar.listener("admin");
    let secrets = read(admin, "/secrets");
    let key = &secrets["secrets"][0];
    assert_eq!(
        (&key["name"], &key["source"]),
        (&"test-key".into(), &"url".into())
    );
    assert!(key["origin"].as_str().unwrap().starts_with(&url), "{key}");
    let age = key["age_seconds"].as_u64();
    assert!(
        age.is_some_and(|age| age <= begun.elapsed().as_secs()),
        "{key}"
    );
    for page in [
        "/config_dump",
        "/secrets",
        "/policies",
        "/server_info",
        "/certs",
    ] {
        assert!(
            !ask(admin, "GET", page).text().contains("canary-9d"),
            "{page}"
        );
    }
    let verbose = sidecar.ask_health("/readyz?verbose").text();
    for text in [
        sidecar.metrics(),
        verbose,
        sidecar.stdout(),
        sidecar.audit_text(),
    ] {
        assert!(!text.contains("canary-9d"), "{text}");
    }
}

#[test]
fn orders_are_posted_and_every_one_is_evidence() {
    let (sidecar, _origin) = world(&[]);
    let admin = sidecar.listener("admin");
    for order in ["/drain", "/loglevel?level=debug"] {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = ask(admin, method, order);
            assert_eq!(refused.status, 405, "{method} {order}");
            assert_eq!(refused.one("allow"), Some("POST"));
        }
    }
    assert_eq!(ask(admin, "POST", "/config_dump").status, 405);
    assert_eq!(
        sidecar.ask_health("/readyz").status,
        200,
        "nothing was done by a GET"
    );

    assert_eq!(ask(admin, "POST", "/loglevel?level=loud").status, 400);
    assert_eq!(ask(admin, "POST", "/loglevel").status, 400);
    assert_eq!(ask(admin, "POST", "/drain?now").status, 400);
    assert_eq!(ask(admin, "POST", "/loglevel?level=error").status, 200);
    assert_eq!(ask(admin, "POST", "/drain").status, 200);
    assert_eq!(ask(admin, "POST", "/loglevel?level=info").status, 200);
    // The log is read in its order: with its last line every one before is there.
    sidecar.wait_for_log("the log level was changed");
    assert!(
        !sidecar.stdout().contains("not ready from now on"),
        "what is below error is not logged"
    );

    assert_eq!(sidecar.ask_health("/readyz").status, 503);
    assert!(sidecar.metric("outrider_draining", &[]) > 0.5);
    let mut wire = sidecar.connect();
    assert_eq!(
        wire.ask(request("GET", "/orders/1", "")).unwrap().status,
        200,
        "still served"
    );

    let told = |name: &str, outcome: &str| {
        let events = of_type(&sidecar.audit(), name);
        events
            .iter()
            .filter(|event| event["outcome"] == outcome)
            .count()
    };
    for (order, count) in [("admin.loglevel", 2), ("admin.drain", 1)] {
        for outcome in ["success", "failure"] {
            sidecar.wait_until(order, || told(order, outcome) >= count);
            assert_eq!(told(order, outcome), count, "{order} {outcome}");
        }
    }
    let event = &of_type(&sidecar.audit(), "admin.loglevel")[0];
    assert_eq!(event["admin"]["argument"], "level=loud");
    assert!(
        event["admin"]["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(event["action"]["class"], "security");
}

#[test]
fn a_reload_can_be_ordered() {
    let (sidecar, _origin) = world(&[]);
    let admin = sidecar.listener("admin");
    assert_eq!(ask(admin, "GET", "/reload").status, 405);
    assert_eq!(read(admin, "/server_info")["generation"], 1);
    let file = sidecar.folder().join("sidecar.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("name: trial", "name: changed")).unwrap();
    assert_eq!(ask(admin, "POST", "/reload").status, 200);
    sidecar.wait_until("reloaded", || {
        read(admin, "/policies")["routes"][1]["name"] == "changed"
    });
    assert!(read(admin, "/server_info")["generation"].as_u64() > Some(1));
    let dump = read(admin, "/config_dump").to_string();
    assert!(dump.contains("\"changed\""), "{dump}");
    sidecar.wait_until("recorded", || {
        !of_type(&sidecar.audit(), "admin.reload").is_empty()
    });
}

#[test]
fn names_led_to_loopback_and_pages_in_browsers_are_refused() {
    let (sidecar, _origin) = world(&[]);
    let admin = sidecar.listener("admin");
    let port = admin.port();
    let bad = [
        format!("Host: evil.example:{port}\r\n"),
        "Host: evil.example\r\n".to_owned(),
        format!("Host: 127.0.0.1.evil.example:{port}\r\n"),
        "Host: 127.0.0.1\r\n".to_owned(),
        format!("Host: {admin}\r\nOrigin: http://evil.example\r\n"),
        format!("Host: {admin}\r\nOrigin: null\r\n"),
        format!("Host: {admin}\r\nSec-Fetch-Site: cross-site\r\n"),
        format!("Host: {admin}\r\nHost: evil.example\r\n"),
    ];
    for headers in &bad {
        for (method, target) in [("GET", "/config_dump"), ("POST", "/drain")] {
            let answer = ask_as(admin, method, target, headers);
            assert_eq!(answer.status, 403, "{method} {target} {headers}");
            assert!(!answer.text().contains("order-gateway"));
        }
    }
    assert_eq!(sidecar.ask_health("/readyz").status, 200);
    let good = format!("Host: localhost:{port}\r\n");
    assert_eq!(ask_as(admin, "GET", "/server_info", &good).status, 200);
}

/// Case 142: none of it on the other listeners.
#[test]
fn other_listeners_have_none_of_it() {
    let (sidecar, origin) = world(&[]);
    let paths = [
        "/config_dump",
        "/server_info",
        "/policies",
        "/certs",
        "/exchanges",
        "/secrets",
        "/drain",
        "/reload",
        "/loglevel?level=debug",
        "/config",
        "/debug",
        "/quitquitquit",
    ];
    for path in paths {
        for method in ["GET", "POST"] {
            let mut wire = sidecar.connect();
            let answer = wire
                .ask(request(method, path, "Content-Length: 0\r\n"))
                .unwrap();
            assert_eq!(
                answer.status, 404,
                "{method} {path} on the inbound listener"
            );
            let mut wire = Wire::connect(sidecar.health);
            let answer = wire
                .ask(request(method, path, "Content-Length: 0\r\n"))
                .unwrap();
            assert_eq!(answer.status, 404, "{method} {path} on the health listener");
        }
    }
    for path in ["/metrics", "/healthz", "/livez", "/readyz"] {
        let mut wire = sidecar.connect();
        assert_eq!(
            wire.ask(request("GET", path, "")).unwrap().status,
            404,
            "{path}"
        );
    }
    assert_eq!(sidecar.ask_health("/healthz").text(), "ok\n");
    assert_eq!(origin.mark(), 0);
    assert_eq!(sidecar.ask_health("/readyz").status, 200);
}

/// Case 143: a name with markup is shown as data, and never as HTML.
#[test]
fn nothing_is_html() {
    let origin = Origin::start();
    let name = "<script>alert(1)<script>.json";
    let inbound = INBOUND.replace("keys.json", &format!("'{name}'"));
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    let setup = Setup {
        top: "admin: { listen: \"127.0.0.1:0\" }",
        files: &[(name, keys.as_str())],
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    let admin = sidecar.listener("admin");
    assert_eq!(read(admin, "/secrets")["secrets"][0]["origin"], name);
    for (method, target) in [
        ("GET", "/policies"),
        ("GET", "/config_dump"),
        ("GET", "/script"),
        ("POST", "/loglevel?level=%3Cscript%3E"),
        ("GET", "/"),
    ] {
        let answer = ask(admin, method, target);
        let kind = answer.one("content-type").unwrap().to_owned();
        assert!(
            kind == "application/json" || kind == "text/plain; charset=utf-8",
            "{kind}"
        );
        assert_eq!(answer.one("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn an_address_that_can_be_reached_from_outside_is_refused() {
    let origin = Origin::start();
    let keys = crate::support::tokens::Issuer::new(2048).jwks();
    for (listen, said) in [
        ("0.0.0.0:9911", "can be reached from outside"),
        ("\"[::]:9911\"", "can be reached from outside"),
        ("10.0.0.1:9911", "can be reached from outside"),
        ("127.0.0.1:70000", "not an address"),
    ] {
        let top = format!("admin: {{ listen: {listen} }}");
        let setup = Setup {
            top: &top,
            files: &[("keys.json", keys.as_str())],
            ..Setup::new(&origin.url, INBOUND)
        };
        let (code, output) = Sidecar::fails_to_start(&setup);
        assert_eq!(code, Some(78), "{output}");
        assert!(output.contains(said), "{output}");
    }
}
