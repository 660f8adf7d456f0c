//! Areas M and Q: evidence that cannot be written, metrics that strangers cannot grow, and what the data port gives away.

use std::fs;

use crate::support::oracle::{Case, Stage, demand};
use crate::support::origin::Origin;
use crate::support::sidecar::{Setup, Sidecar, of_type};
use crate::world::{OPEN, get, guarded, issuer, post, request, stage, token};

pub(super) const IDS: &[u32] = &[124, 127, 142];

const DURABLE: &str = "    - name: order
      match: { method: POST, path: /order }
      anonymous: true
      audit: before_forward
";

/// 124: an order leaves only when its record is durable; when the disk is back, so are the orders.
#[test]
fn no_order_leaves_without_its_durable_record() {
    let origin = Origin::start();
    let inbound = format!("{OPEN}{DURABLE}");
    let setup = Setup {
        audit: "segment_bytes_max: 64KiB",
        ..Setup::new(&origin.url, &inbound)
    };
    let sidecar = Sidecar::start(&setup);
    let mut wire = sidecar.connect();
    let first = wire.ask(post("/order", "", "1")).unwrap();
    assert_eq!(first.status, 200, "{first}");
    let intents = of_type(&sidecar.audit(), "http.intent");
    assert_eq!(
        intents.len(),
        1,
        "an intent is durable before its order is answered"
    );

    let (spool, aside) = (sidecar.spool(), sidecar.folder().join("aside"));
    fs::rename(&spool, &aside).unwrap();
    fs::write(&spool, "not a folder").unwrap();
    // The open segment still takes events; the next one has nowhere to be.
    let mut refused = None;
    let mut allowed = origin
        .since(0)
        .iter()
        .filter(|got| got.target == "/order")
        .count();
    for _ in 0..400 {
        let answer = wire.ask(post("/order", "", "1")).unwrap();
        match answer.status {
            200 => allowed += 1,
            _ => {
                refused = Some(answer);
                break;
            }
        }
    }
    let refused = refused.expect("an order is refused when its record cannot be durable");
    assert_eq!(
        (refused.status, refused.code().as_deref()),
        (503, Some("audit.unavailable")),
        "{refused}"
    );
    assert!(
        refused.one("retry-after").is_some(),
        "503 says when to come again"
    );
    let upstream = origin
        .since(0)
        .iter()
        .filter(|got| got.target == "/order")
        .count();
    assert_eq!(
        upstream, allowed,
        "the service has what was allowed and nothing more"
    );
    let read = sidecar.connect().ask(get("/open/read")).unwrap();
    assert_eq!(read.status, 200, "reads go on while there is room: {read}");
    assert_eq!(sidecar.ask_health("/readyz").status, 503);

    fs::remove_file(&spool).unwrap();
    fs::rename(&aside, &spool).unwrap();
    sidecar.wait_until("ready again", || {
        sidecar.ask_health("/readyz").status == 200
    });
    let again = sidecar.connect().ask(post("/order", "", "1")).unwrap();
    assert_eq!(again.status, 200, "{again}");
    let upstream = origin
        .since(0)
        .iter()
        .filter(|got| got.target == "/order")
        .count();
    sidecar.wait_until("all recorded", || {
        let closed = of_type(&sidecar.audit(), "http.request");
        let orders = closed
            .iter()
            .filter(|event| event["request"]["route"] == "order");
        orders.filter(|event| event["outcome"] == "success").count() == upstream
    });
    let intents = of_type(&sidecar.audit(), "http.intent").len();
    assert!(
        intents >= upstream,
        "{upstream} orders left, {intents} intents are durable"
    );
}

/// 127: series come from the configuration, whatever is asked for.
#[test]
fn strangers_cannot_grow_the_metrics() {
    let issuer = issuer();
    let mut stage = stage(&guarded(), &issuer);
    let mut wire = stage.fresh(None);
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND",
    ] {
        for path in ["/open/x", "/nowhere", "/orders"] {
            wire.send(request(method, path, ""));
            wire.answer_to(method == "HEAD", crate::support::wire::PATIENCE)
                .unwrap();
        }
    }
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(&stage.sidecar.metrics());
    let methods = ["GET", "POST", "X1", "PROPFIND", "REPORT"];
    for number in 0..1500 {
        let method = methods[number % methods.len()];
        let lines = format!(
            "Host: host-{number}\r\nUser-Agent: agent-{number}\r\nX-Request-Id: id-{number}\r\nAuthorization: Bearer t{number}.x.y\r\n"
        );
        wire.send(format!("{method} /p{number}/open HTTP/1.1\r\n{lines}\r\n"));
        wire.answer().unwrap();
    }
    let text = stage.sidecar.metrics();
    let after = series(&text);
    stage.expect(
        "127",
        demand(
            after <= before + 16,
            format!("{before} series became {after}"),
        ),
    );
    for foreign in [
        "p1499", "host-1", "agent-1", "X1", "id-1", "PROPFIND", "t1.",
    ] {
        stage.expect(
            "127",
            demand(
                !text.contains(foreign),
                format!("{foreign} stands in the metrics"),
            ),
        );
    }
    drop(wire);
    stage.settle();
}

/// 142: the data port has no door of the proxy's own.
#[test]
fn the_data_port_gives_nothing_of_the_proxy_away() {
    let mut stage = Stage::start(OPEN);
    for path in [
        "/metrics",
        "/config",
        "/config_dump",
        "/debug",
        "/debug/pprof/",
        "/healthz",
        "/livez",
        "/readyz",
        "/startupz",
        "/reload",
        "/quitquitquit",
        "/stats",
        "/server_info",
        "/certs",
        "/secrets",
        "/.well-known/jwks.json",
    ] {
        for method in ["GET", "POST"] {
            let asked = request(method, path, "Content-Length: 0\r\n");
            stage.run(Case::denied(
                format!("142 {method} {path}"),
                asked,
                404,
                "route.none",
            ));
        }
    }
    stage.settle();
}

/// 142: the health port tells whether, never what.
#[test]
fn the_health_port_tells_no_configuration() {
    let issuer = issuer();
    let stage = stage(&guarded(), &issuer);
    let secret = token(&issuer);
    for path in [
        "/livez",
        "/readyz",
        "/readyz?verbose",
        "/startupz",
        "/healthz",
        "/metrics",
    ] {
        let answer = stage.sidecar.ask_health(path);
        assert_eq!(answer.status, 200, "{path}: {answer}");
        let text = answer.text();
        let folder = stage.sidecar.folder().display().to_string();
        for told in [
            "issuer.test",
            "keys.json",
            &stage.origin.url,
            &secret,
            "trader",
            &folder,
        ] {
            assert!(!text.contains(told), "{path} tells {told}");
        }
        let kind = answer.one("content-type").unwrap_or_default().to_owned();
        assert!(
            kind.starts_with("text/plain") || kind.starts_with("application/json"),
            "{path}: {kind}"
        );
    }
    for path in ["/", "/config", "/reload", "/drain", "/metrics/../livez"] {
        let status = stage.sidecar.ask_health(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    let mut wire = crate::support::wire::Wire::connect(stage.sidecar.health);
    let posted = wire
        .ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert_eq!(posted.status, 405, "{posted}");
    drop(wire);
    stage.settle();
}
