//! The metrics against `docs/metrics.md`: every family is described with its type and labels, and none that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::collector::Collector;
use crate::{request, world};

/// A family's type and the labels of its series.
pub(crate) type Families = BTreeMap<String, (String, BTreeSet<String>)>;

#[test]
fn the_page_describes_every_family_and_no_other() {
    let collector = Collector::start();
    let (sidecar, _origin) = world(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.origin.url)]);
    let mut wire = sidecar.connect();
    for target in ["/orders/1", "/trial", "/trial", "/nowhere"] {
        wire.ask(request("GET", target, "")).unwrap();
    }
    sidecar.wait_until("counted", || {
        sidecar.metric("outrider_requests_total", &[]) > 3.5
    });
    // What only a listener with TLS has, and what only a way out.
    let (secret, _certificates, _origin) = crate::tls::world();
    let (way_out, _exchange) = crate::exchanges::busy();
    let described = described();
    let mut families = Families::new();
    // Some are there only after what they count has ended.
    sidecar.wait_until("every family", || {
        for (name, (kind, labels)) in [&sidecar, &secret, &way_out]
            .iter()
            .flat_map(|sidecar| shown(&sidecar.metrics()))
        {
            let known = families.entry(name).or_insert((kind, BTreeSet::new()));
            known.1.extend(labels);
        }
        let there = |(name, (_, labels)): (&String, &(String, BTreeSet<String>))| {
            families
                .get(name)
                .is_some_and(|(_, shown)| shown.is_superset(labels))
        };
        described.iter().all(there)
    });
    for (name, (kind, labels)) in &families {
        let Some((told_kind, told_labels)) = described.get(name) else {
            panic!("docs/metrics.md has no row for {name}");
        };
        assert_eq!(told_kind, kind, "{name}");
        assert_eq!(told_labels, labels, "{name}");
    }
    for name in described.keys() {
        assert!(
            families.contains_key(name),
            "docs/metrics.md describes {name}, which is not there"
        );
    }
    // And none that shows itself only at times.
    for name in names_in(&source_of_record()) {
        assert!(
            described.contains_key(&name),
            "docs/metrics.md has no row for {name}"
        );
    }
}

/// The text of the room that makes the metrics.
fn source_of_record() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/record");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    files
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Literals that are names of metrics of ours.
fn names_in(source: &str) -> BTreeSet<String> {
    let literals = source.split('"').filter(|text| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        text.starts_with("outrider_") && text.bytes().all(plain)
    });
    literals.map(str::to_owned).collect()
}

#[test]
fn what_is_counted_elsewhere_is_shown() {
    let (sidecar, origin) = world(&[]);
    let mut wire = sidecar.connect();
    for at in 0..3 {
        wire.ask(request("GET", &format!("/orders/{at}"), ""))
            .unwrap();
    }
    let near = |name: &str, labels: &[&str], expected: f64| {
        sidecar.wait_until(name, || {
            (sidecar.metric(name, labels) - expected).abs() < 0.1
        });
    };
    near("outrider_connections", &[], 1.0);
    near("outrider_connections_accepted_total", &[], 1.0);
    near("outrider_upstream_connections", &["idle"], 1.0);
    near("outrider_upstream_connections", &["busy"], 0.0);
    near("outrider_jwks_keys", &[], 1.0);
    near("outrider_draining", &[], 0.0);
    assert!(sidecar.metric("outrider_limit_keys", &[]) > 0.5);
    let port = origin.url.rsplit(':').next().unwrap().to_owned();
    let labels = [
        format!("server_port=\"{port}\""),
        "http_response_status_code=\"200\"".to_owned(),
    ];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    near("http_client_request_duration_seconds_count", &labels, 3.0);
    let labels = [
        "http_route=\"/orders/{id}\"",
        "url_scheme=\"http\"",
        "error_type=\"\"",
    ];
    near("http_server_request_duration_seconds_count", &labels, 3.0);
}

#[test]
fn tokens_found_and_not_found_are_counted() {
    use crate::support::{origin::Origin, sidecar::Setup, sidecar::Sidecar, tokens::Issuer};
    let (origin, issuer) = (Origin::start(), Issuer::new(2048));
    let keys = issuer.jwks();
    let setup = Setup {
        files: &[("keys.json", keys.as_str())],
        ..Setup::new(&origin.url, crate::INBOUND)
    };
    let sidecar = Sidecar::start(&setup);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = serde_json::json!({
        "iss": "https://issuer.test", "aud": "order-gateway", "sub": "user-1", "iat": now,
        "exp": now + 600, "roles": ["trader"],
    });
    let token = issuer.sign(&issuer.header(), &claims);
    let headers = format!("Authorization: Bearer {token}\r\n");
    let mut wire = sidecar.connect();
    for _ in 0..3 {
        assert_eq!(
            wire.ask(request("GET", "/trial", &headers)).unwrap().status,
            200
        );
    }
    // Asked twice: what was shown once must not be counted again.
    for _ in 0..2 {
        let counted = || sidecar.metric("outrider_token_cache_total", &[]);
        sidecar.wait_until("counted", || counted() > 2.5);
        let hits = sidecar.metric("outrider_token_cache_total", &["hit"]);
        let misses = sidecar.metric("outrider_token_cache_total", &["miss"]);
        assert_eq!((hits.round(), misses.round()), (2.0, 1.0));
    }
}

/// The way to the service is measured by the address that is in force, from the first request on.
#[test]
fn another_service_after_a_reload_has_series_of_its_own() {
    use crate::support::origin::Origin;
    let (sidecar, first) = world(&[]);
    let second = Origin::start();
    let count = |origin: &Origin| {
        let port = origin.url.rsplit(':').next().unwrap();
        let port = format!("server_port=\"{port}\"");
        sidecar.metric("http_client_request_duration_seconds_count", &[&port])
    };
    let ask = |target: &str| {
        let status = sidecar.connect().ask(request("GET", target, "")).unwrap();
        assert_eq!(status.status, 200);
    };
    ask("/orders/1");
    let file = sidecar.folder().join("sidecar.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let fresh = sidecar.folder().join("fresh.yaml");
    fs::write(&fresh, text.replace(&first.url, &second.url)).unwrap();
    fs::rename(&fresh, &file).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_until("reloaded", || {
        sidecar.metric("outrider_config_reloads_total", &["success"]) > 0.5
    });
    ask("/orders/2");
    sidecar.wait_until("counted", || count(&first) > 0.5 && count(&second) > 0.5);
    assert_eq!((count(&first).round(), count(&second).round()), (1.0, 1.0));
}

/// Everything that a client chooses, chosen anew each time: nothing of it becomes a label, and the number of series stays
/// what it was after the first of each kind.
#[test]
fn a_hostile_client_cannot_grow_a_label() {
    use crate::support::origin::send;
    let (sidecar, origin) = world(&[]);
    origin.answer(|request| {
        let status = 200 + request.tag % 400;
        vec![send(format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"
        ))]
    });
    let round = |from: usize| {
        for at in from..from + 400 {
            let name = format!("canary{at}");
            let headers = format!(
                "X-Request-Id: {name}\r\nX-Forwarded-For: {name}\r\nUser-Agent: {name}\r\nOrigin: http://{name}\r\n\
                 Authorization: Bearer {name}\r\nContent-Type: {name}/{name}\r\ntraceparent: {name}\r\n"
            );
            for text in [
                request("GET", &format!("/orders/{name}?{name}"), ""),
                request("GET", &format!("/{name}"), &headers),
                request(&name.to_uppercase(), "/place", ""),
                request("GET", &format!("/orders/{name}"), &headers),
                format!("GET / HTTP/1.1\r\nHost: {name}.example\r\n\r\n"),
                format!("GET //{name} HTTP/1.1\r\nHost: a\r\n{name}\r\n\r\n"),
                format!("{name} HTTP/9.9\r\n\r\n"),
            ] {
                // What it is answered is of no interest here, nor whether it is.
                let _answer = sidecar.connect().ask(text);
            }
        }
        sidecar.metrics()
    };
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let (before, after) = (round(0), round(400));
    assert_eq!(series(&before), series(&after));
    assert!(!after.to_lowercase().contains("canary"), "{after}");
}

/// What `/metrics` says.
pub(crate) fn shown(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .find(|base| families.contains_key(*base))
                .unwrap_or(name);
            let (_, labels) = families.get_mut(base).unwrap();
            // No value of these tests holds a comma.
            let inside = &rest[..rest.rfind('}').unwrap()];
            let names = inside
                .split(',')
                .map(|pair| pair.split('=').next().unwrap());
            labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    families
}

/// What the page says: rows of name, type, labels and meaning.
pub(crate) fn described() -> Families {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let text = fs::read_to_string(path).unwrap();
    let (metrics, _) = text.split_once("## Traces").unwrap();
    let rows = metrics.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let names = cells[3]
            .split(',')
            .map(|name| name.trim().trim_matches('`'));
        let labels = names.filter(|name| !name.is_empty()).map(str::to_owned);
        let name = cells[1].trim_matches('`').to_owned();
        (name, (cells[2].to_owned(), labels.collect()))
    };
    rows.map(row).collect()
}
