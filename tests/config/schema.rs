//! The emitted JSON Schema against the decoder: whatever is wrong in its shape, both refuse; the example both take.
//! The decoder is more lenient in one point only: where text is wanted, `kid: 7` means the text 7, as it is written.

use std::fs;

use jsonschema::Validator;
use outrider::config::{self, yaml};
use outrider::model::fault::Faults;
use outrider::model::node::{Node, Value};
use serde_json::{Map, Value as Json, json};

use crate::{SMALLEST, here, load};

/// A document with every section of the schema, small enough to be mutated everywhere.
const FULL: &str = r#"
service: orders
inbound:
  listen: 127.0.0.1:8080
  forward_to: http://127.0.0.1:3000
  client_ip: { trusted_cidrs: [10.0.0.0/8] }
  allow_ips: [10.0.0.0/8]
  deny_ips: [10.1.0.0/16]
  tokens:
    issuer: me
    audience: orders
    keys: { inline: text, kid: one }
    clock_skew: 10s
    lifetime_max: 1h
    token_bytes_max: 4KiB
    cache_entries_max: 10
    failures: { rate: 5/min, burst: 5 }
  roles: { trader: [orders:place] }
  headers: web
  limit_headers: both
  cors: { origins: ["https://app.example", "https://*.example.com"], methods: [GET, PUT], headers: [x-client], expose: [x-page], credentials: true, max_age: 5m }
  limits: [{ name: all, per: all, rate: 5/s, burst: 3, mode: shadow }]
  bounds: { connections_max: 9, connections_per_ip_max: 5, head_bytes_max: 16KiB, headers_max: 9, target_bytes_max: 4KiB, body_bytes_max: 1MB, whole_body_bytes_max: 2MB }
  tls: { certificate: a.crt, key: a.key, client_ca: ca.crt, client_certificate: optional, min_version: 1.2, certificates: [{ hosts: [b.example], certificate: b.crt, key: b.key }] }
  timeouts: { handshake: 1s, head: 1s, body_idle: 1s, connect: 1s, response_head: 1s, response_idle: 1s, total: 5s, upstream_idle: 1s, drain: 1s, drain_pause: 1s }
  routes:
    - name: place
      match: { methods: [POST], path: /orders, hosts: [a.example] }
      require: { permissions: [orders:place], mfa_within: 5m, client_certificate: true, mode: enforce }
      allow_ips: [10.0.0.0/8]
      deny_ips: [10.1.0.0/16]
      limits: [{ name: place, per: user, rate: 5/s, burst: 2, mode: enforce }]
      body: { content_types: [application/json], json: true, depth_max: 5, bytes_max: 1KiB, mode: shadow, allow_on_get: true }
      normalise: true
      forward_token: true
      audit: before_forward
      cors: none
      deprecated: { since: 2026-01-01, sunset: 2126-12-31, link: "https://docs.example/v2", after_sunset: gone }
    - name: open
      match: { method: GET, path: /open, host: b.example }
      anonymous: true
      cors: { origins: ["https://other.example"] }
outbound:
  - name: binance
    listen: 127.0.0.1:9101
    exchange: binance-spot-testnet
    endpoints:
      rest: { url: "https://localhost:9443", server_name: localhost, ca_file: /dev/null, stand_in: true }
      ws_api: { url: "wss://localhost:9443", server_name: localhost, ca_file: /dev/null, stand_in: true }
      streams: { url: "wss://localhost:9443", server_name: localhost, ca_file: /dev/null, stand_in: true }
    min_tls: 1.2
    pins: ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha256/BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    pin_mode: report
    pins_expire: 2126-12-31
    sign: { algorithm: hmac, key_id: "secret:KEY", key: "secret:SECRET", recv_window: 5000 }
    caller_token: "secret:TOKEN"
    log_on: false
    client_credentials: refuse
    budget: { use: 80%, cancels_keep: 5% }
    clock: { max_offset: 1s, max_age: 1m }
    coalesce: 100ms
    audit: before_forward
    bounds: { connections_max: 9, body_bytes_max: 1KiB }
    sockets: { write: 1s, silence: 1m, in_flight_max: 9 }
    timeouts: { connect: 1s, handshake: 1s, response_head: 1s, response_idle: 1s, total: 5s, upstream_idle: 1s }
    allow: ["GET /api/v3/**", "WS order.place", "STREAM **"]
  - name: other
    listen: unix:/run/other.sock
    socket_mode: "0660"
    exchange: custom
    endpoints: { rest: { url: "https://api.example" } }
    sign: { signer: okx, key_id: "secret:OTHER_KEY", key: "secret:OTHER_SECRET", passphrase: "secret:OTHER_PASS", nonces: ./nonces }
    allow: ["POST /order"]
audit: { spool: ./audit, segment_bytes_max: 1MiB, spool_bytes_max: 4MiB, buffer_bytes_max: 1MiB, refusals_per_minute: 60 }
secrets: [{ env: { prefix: TRADING_ } }, { dotenv: .env }, { files: secrets }]
health: { listen: 127.0.0.1:9000 }
admin: { listen: 127.0.0.1:9001 }
workers: 2
"#;

/// The secrets of [`FULL`].
const KEYS: &[(&str, &str)] = &[
    ("TRADING_KEY", "key"),
    ("TRADING_SECRET", "secret"),
    ("TRADING_TOKEN", "a-token-that-nobody-guesses"),
    ("TRADING_OTHER_KEY", "key"),
    ("TRADING_OTHER_SECRET", "secret"),
    ("TRADING_OTHER_PASS", "pass"),
];

/// The keys of [`FULL`] behind a URL.
const REMOTE: &str = "{ url: https://a.example/keys, ca_file: ca.pem, refresh: 1m, stale_max: 1h, timeout: 1s, \
                      document_bytes_max: 64KiB }";

#[test]
fn both_take_the_example_the_smallest_and_the_full_document() {
    let validator = validator();
    let example = fs::read_to_string(here("sidecar.yaml.example")).unwrap();
    for text in [&example, SMALLEST, FULL] {
        let document = document(text);
        let faults: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(
            load(text, KEYS).err().map(|report| report.render(false)),
            None
        );
    }
}

#[test]
fn the_full_document_holds_every_key() {
    let mut missing = Vec::new();
    let remote = FULL.replace("{ inline: text, kid: one }", REMOTE);
    let documents = [&document(FULL), &document(&remote)];
    uncovered("", &config::schema(), &documents, &mut missing);
    // The one alternative that cannot stand beside `inline` or `url`.
    // Nor can a rule of one's own beside `signer`, nor a password beside a key that is no PEM.
    let alone = [
        ".inbound.tokens.keys.file",
        ".outbound.sign.password",
        ".outbound.sign.rule",
    ];
    assert_eq!(missing, alone);
}

#[test]
fn an_unknown_key_is_refused_by_both_at_every_level() {
    refused_by_both("unknown key", |found| {
        // Roles are named by the user.
        let map = found.value.as_object()?.clone();
        let unknown = !found.pointer.ends_with("/roles");
        let with = |mut map: Map<String, Json>| {
            map.insert("unheard_of".to_owned(), json!("x"));
            Json::Object(map)
        };
        unknown.then(|| vec![with(map)])
    });
}

#[test]
fn a_missing_required_key_is_refused_by_both() {
    let validator = validator();
    let full = document(FULL);
    let mut checked = 0;
    for found in everywhere(&full) {
        let Some(map) = found.value.as_object() else {
            continue;
        };
        for key in map.keys() {
            let mut without = map.clone();
            without.remove(key);
            let mutant = replaced(&full, &found.pointer, Json::Object(without));
            let (schema, decoder) = (validator.is_valid(&mutant), taken(&mutant));
            // Taking a key away may leave a document of sound shape that means nothing (tokens that nobody configures).
            assert!(
                schema || !decoder,
                "only the schema refuses without {}/{key}",
                found.pointer
            );
            checked += usize::from(!schema);
        }
    }
    assert!(checked >= 15, "only {checked} required keys");
}

#[test]
fn a_wrong_kind_is_refused_by_both() {
    refused_by_both("wrong kind", |found| {
        let wrong = match found.value {
            Json::Object(_) => vec![json!("text"), json!(["list"]), Json::Null],
            Json::Array(_) => vec![json!("text"), json!({"a": "map"}), Json::Null],
            Json::String(_) | Json::Number(_) | Json::Bool(_) => {
                vec![json!(["list"]), json!({"a": "map"}), Json::Null]
            }
            Json::Null => return None,
        };
        Some(wrong)
    });
}

#[test]
fn a_value_of_the_wrong_spelling_is_refused_by_both() {
    refused_by_both("wrong spelling", |found| {
        // A number or truth value in quotes is text, for both.
        if found.value.is_number() || found.value.is_boolean() {
            let mut wrong = vec![json!(found.value.to_string()), json!(-1), json!(1.5)];
            // Milliseconds of which there are parts.
            wrong.truncate(if found.pointer.ends_with("/recv_window") {
                2
            } else {
                3
            });
            return Some(wrong);
        }
        // Free texts: any non-empty text will do.
        let free = [
            "/issuer",
            "/audience",
            "/inline",
            "/kid",
            "/spool",
            "/certificate",
            "/key",
            "/client_ca",
            "/ca_file",
            "/dotenv",
            "/nonces",
            "/files",
        ];
        if found.value.is_object() || found.value.is_array() {
            return None;
        }
        if free.iter().any(|end| found.pointer.ends_with(end)) {
            return Some(vec![json!("")]);
        }
        // Networks are described by example only: JSON Schema has no word for them.
        (!found.pointer.contains("_ips/") && !found.pointer.contains("_cidrs/"))
            .then(|| vec![json!(""), json!("~ no such thing ~"), json!("+-1")])
    });
}

/// Every mutant that `mutate` makes of any node must be refused by the schema and by the decoder.
fn refused_by_both(what: &str, mutate: impl Fn(&Found<'_>) -> Option<Vec<Json>>) {
    let validator = validator();
    let full = document(FULL);
    let mut checked = 0;
    for found in everywhere(&full) {
        for mutation in mutate(&found).unwrap_or_default() {
            let mutant = replaced(&full, &found.pointer, mutation.clone());
            let pointer = &found.pointer;
            assert!(
                !validator.is_valid(&mutant),
                "{what}: the schema takes {mutation} at {pointer}"
            );
            assert!(
                !taken(&mutant),
                "{what}: the decoder takes {mutation} at {pointer}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 15, "{what}: only {checked} mutants");
}

struct Found<'a> {
    pointer: String,
    value: &'a Json,
}

/// Every value of the document.
fn everywhere(document: &Json) -> Vec<Found<'_>> {
    let mut found = vec![Found {
        pointer: String::new(),
        value: document,
    }];
    let mut at = 0;
    while let Some(Found { pointer, value }) = found.get(at) {
        let children: Vec<Found<'_>> = match value {
            Json::Object(map) => map
                .iter()
                .map(|(key, value)| Found {
                    pointer: format!("{pointer}/{key}"),
                    value,
                })
                .collect(),
            Json::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| Found {
                    pointer: format!("{pointer}/{index}"),
                    value,
                })
                .collect(),
            _ => Vec::new(),
        };
        found.extend(children);
        at += 1;
    }
    found
}

fn replaced(document: &Json, pointer: &str, value: Json) -> Json {
    let mut mutant = document.clone();
    *mutant.pointer_mut(pointer).unwrap() = value;
    mutant
}

/// JSON is YAML: the decoder reads the mutant as it stands.
fn taken(document: &Json) -> bool {
    load(&document.to_string(), &[]).is_ok()
}

fn validator() -> Validator {
    jsonschema::validator_for(&config::schema()).unwrap()
}

/// The YAML as an editor would hand it to a validator: plain numbers and booleans are numbers and booleans.
fn document(text: &str) -> Json {
    json_of(&yaml::parse(text, &mut Faults::default()).unwrap())
}

fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, quoted } => {
            let typed = match text.as_str() {
                "true" => Some(json!(true)),
                "false" => Some(json!(false)),
                _ => text.parse::<u64>().ok().map(|number| json!(number)),
            };
            typed.filter(|_| !quoted).unwrap_or_else(|| json!(text))
        }
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json_of(&entry.value)))
            .collect::<Map<String, Json>>()
            .into(),
    }
}

/// Keys of the schema that none of the documents has.
fn uncovered(path: &str, schema: &Json, documents: &[&Json], missing: &mut Vec<String>) {
    for (key, described) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let values: Vec<&Json> = documents
            .iter()
            .filter_map(|document| document.get(key))
            .collect();
        if values.is_empty() {
            missing.push(path);
            continue;
        }
        uncovered(&path, described, &values, missing);
        let items: Vec<&Json> = values
            .iter()
            .filter_map(|value| value.as_array())
            .flatten()
            .collect();
        uncovered(&path, &described["items"], &items, missing);
    }
}
