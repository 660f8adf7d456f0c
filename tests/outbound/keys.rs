//! `sign` and `check` with a configuration, on the real binary: what is told of keys, by whom they are accepted, and that
//! nothing of them is shown.

use std::fs;
use std::process::Command;

use outrider::model::secret::Secret;
use outrider::roles::demo::exchange::{ApiKey, Shown};
use tempfile::TempDir;

use crate::world::{KEY, SECRET, StandIn};

const ALLOW: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"WS order.*\"]";
const FORM: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";

/// What a run came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A folder with a configuration whose way out leads to a stand-in.
struct Desk(TempDir);

impl Desk {
    fn new(stand_in: &StandIn, more: &str) -> Self {
        let url = stand_in.exchange.rest_url();
        let desk = Self::with(&format!(
            "  - name: binance
    listen: 127.0.0.1:19101
    exchange: binance-spot
    endpoints:
      rest: {{ url: \"{url}\", ca_file: ca.pem, stand_in: true }}
    allow: {ALLOW}
    sign: {{ key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\" }}
{more}"
        ));
        desk.write("ca.pem", stand_in.exchange.root_pem());
        desk
    }

    fn with(outbound: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write(
            "sidecar.yaml",
            &format!(
                "service: orders
inbound:
  listen: 127.0.0.1:0
  forward_to: http://127.0.0.1:9
  routes: [{{ name: none, match: {{ path: /none }}, anonymous: true }}]
audit: {{ spool: audit }}
outbound:
{outbound}"
            ),
        );
        desk
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(SECRET, args)
    }

    /// Runs with this secret. Whatever comes of it, neither key nor signature is in it.
    fn run_with(&self, secret: &str, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrider"));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("API_KEY", KEY).env("API_SECRET", secret);
        let output = command.output().unwrap();
        let ran = Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains(secret) && !text.contains(KEY), "{text}");
            let longest = text.split(|letter: char| !letter.is_ascii_hexdigit());
            assert!(longest.map(str::len).max() < Some(64), "{text}");
        }
        ran
    }

    fn try_keys(&self) -> Ran {
        self.run(&["sign", "--self-test", "-c", "sidecar.yaml"])
    }

    /// The evidence of all runs.
    fn events(&self) -> String {
        let ran = self.run(&["audit", "tail", "audit"]);
        ran.out
    }
}

#[test]
fn a_good_key_is_accepted() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let ran = desk.try_keys();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with("binance (binance-spot)\n"));
    assert!(ran.out.contains("/api/v3/time"), "{}", ran.out);
    assert!(ran.out.contains("/api/v3/account"), "{}", ran.out);
    assert!(ran.out.contains("accepted"), "{}", ran.out);
    assert_eq!(stand_in.exchange.orders_placed(), 0);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
    // The same again: the spool is free.
    assert_eq!(desk.try_keys().code, 0);
    let events = desk.events();
    assert_eq!(
        events.matches("success 200 GET /api/v3/account").count(),
        2,
        "{events}"
    );

    // Beside a sidecar that writes there, evidence has a folder of its own.
    let lock = fs::File::open(desk.0.path().join("audit/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(desk.try_keys().code, 0);
    let ran = desk.run(&["audit", "tail", "audit/self-test"]);
    assert!(ran.out.contains("GET /api/v3/account"), "{}", ran.out);
}

#[test]
fn a_key_that_is_not_accepted_is_told_with_code_and_hint() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let args = ["sign", "--self-test", "-c", "sidecar.yaml"];
    let wrong = desk.run_with("another-secret-of-this-test", &args);
    assert_eq!(wrong.code, 77, "{}", wrong.out);
    assert!(wrong.out.contains("code -1022"), "{}", wrong.out);
    assert!(wrong.out.contains("REFUSED"), "{}", wrong.out);

    stand_in.exchange.revoke_key(KEY);
    let revoked = desk.try_keys();
    assert_eq!(revoked.code, 77, "{}", revoked.out);
    assert!(revoked.out.contains("code -2015"), "{}", revoked.out);
    assert!(revoked.out.contains("(IP)"), "{}", revoked.out);

    let key = ApiKey::hmac(KEY, &Secret::new(SECRET.to_owned()));
    stand_in.exchange.add_key(key.read_only());
    assert_eq!(desk.try_keys().code, 0);
}

#[test]
fn a_clock_that_is_too_far_off_is_not_guessed_around() {
    let stand_in = StandIn::start();
    stand_in.exchange.clock().set_offset_ms(-90_000);
    let ran = Desk::new(&stand_in, "").try_keys();
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.out.contains("exchange.clock: too_far_off"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("set this machine's clock"), "{}", ran.out);
    let requests = stand_in.exchange.requests();
    assert!(!requests.keys().any(|route| route.contains("account")));

    let ran = Desk::new(&stand_in, "    clock: { max_offset: 10m }\n").try_keys();
    assert_eq!(ran.code, 0, "{}", ran.out);
}

#[test]
fn a_server_that_is_not_pinned_gets_no_key() {
    let stand_in = StandIn::start();
    let pins = stand_in.exchange.pins();
    let pinned = format!(
        "    pins: [\"sha256/{}\", \"sha256/{}\"]\n",
        pins.root, pins.backup_root
    );
    let desk = Desk::new(&stand_in, &pinned);
    assert_eq!(desk.try_keys().code, 0);
    stand_in.exchange.show(Shown::WrongKey).unwrap();
    let before = stand_in.exchange.requests();
    let ran = desk.try_keys();
    assert_eq!(ran.code, 69, "{}", ran.out);
    assert!(ran.out.contains("upstream.pin_mismatch"), "{}", ran.out);
    assert!(ran.out.contains("outrider pin"), "{}", ran.out);
    assert_eq!(stand_in.exchange.requests(), before);

    stand_in.exchange.show(Shown::UnknownCa).unwrap();
    let ran = desk.try_keys();
    assert_eq!(ran.code, 69, "{}", ran.out);
    assert!(ran.out.contains("upstream.untrusted"), "{}", ran.out);
}

#[test]
fn what_cannot_be_tried_is_said_and_is_not_good() {
    let stand_in = StandIn::start();
    let desk = Desk::with(
        "  - name: public
    listen: 127.0.0.1:19101
    exchange: binance-spot
    allow: [\"GET /api/v3/time\"]
  - name: bybit
    listen: 127.0.0.1:19102
    exchange: bybit
    allow: [\"GET /v5/**\"]
    sign: { key_id: \"secret:API_KEY\", key: \"secret:API_SECRET\" }
",
    );
    let ran = desk.try_keys();
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("it has no key"), "{}", ran.out);
    assert!(ran.out.contains("no harmless signed call"), "{}", ran.out);
    assert!(ran.err.contains("no key was tried"));
    assert!(stand_in.exchange.requests().is_empty());

    let desk = Desk::new(&stand_in, "");
    let args = |name| {
        [
            "sign",
            "--self-test",
            "-c",
            "sidecar.yaml",
            "--outbound",
            name,
        ]
    };
    assert_eq!(desk.run(&args("binance")).code, 0);
    let ran = desk.run(&args("okx"));
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "no outbound is called `okx`; known here: binance\n")
    );
    desk.write("ca.pem", "none");
    assert_eq!(desk.try_keys().code, 78);
}

#[test]
fn a_request_is_explained_as_the_way_out_would_sign_it() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let explain = [
        "sign",
        "--explain",
        "-c",
        "sidecar.yaml",
        "--now",
        "2026-11-22T10:00:00Z",
    ];
    let ask = |more: &[&str]| desk.run(&[&explain[..], more].concat());
    let dummy = format!("{FORM}&timestamp=1&signature=abc");
    let ran = ask(&[
        "--outbound",
        "binance",
        "POST",
        "/api/v3/order",
        "--body",
        &dummy,
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = |ran: &Ran, name: &str| {
        let found = ran.out.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("{name}: {}", ran.out))
            .trim()
            .to_owned()
    };
    let payload = format!("{FORM}&timestamp=1795341600000");
    assert_eq!(line(&ran, "payload"), payload);
    assert_eq!(line(&ran, "replaced"), "timestamp, signature");
    assert_eq!(line(&ran, "x-mbx-apikey"), "<key_id>");
    assert!(line(&ran, "allowed by").starts_with("POST /api/v3/order (sidecar.yaml:"));
    assert!(line(&ran, "body").starts_with(&format!("{payload}&signature=<signature ")));

    let ran = ask(&["GET", "/api/v3/time"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(line(&ran, "needs").starts_with("nothing"));
    assert!(!ran.out.contains("apikey"), "{}", ran.out);

    let ran = ask(&["POST", "/sapi/v1/capital/withdraw/apply"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("exchange.reserved"), "{}", ran.err);
    assert!(stand_in.exchange.requests().is_empty());
}

#[test]
fn a_frame_is_explained_as_the_way_out_would_sign_it() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let ask = |frame: &str| {
        let now = "--now=2026-11-22T10:00:00Z";
        desk.run(&[
            "sign",
            "--explain",
            "-c",
            "sidecar.yaml",
            now,
            "--frame",
            frame,
        ])
    };
    let ran = ask(
        "{\"id\":1,\"method\":\"order.place\",\"params\":{\"symbol\":\"BTCUSDT\",\"apiKey\":\"x\",\"quantity\":1.50}}",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let payload = "apiKey=<key_id>&quantity=1.50&symbol=BTCUSDT&timestamp=1795341600000\n";
    assert!(ran.out.contains(payload), "{}", ran.out);
    assert!(ran.out.contains("replaced    apiKey\n"), "{}", ran.out);
    assert!(
        ran.out.contains("\"signature\":\"<signature "),
        "{}",
        ran.out
    );

    let ran = ask("{\"id\":1,\"method\":\"account.status\"}");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("exchange.not_allowed"), "{}", ran.err);
    assert_eq!(ask("[]").code, 2);
}

#[test]
fn check_tells_what_the_ways_out_would_refuse() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let check = || desk.run(&["check", "sidecar.yaml"]);
    assert_eq!(check().code, 0);
    desk.write("ca.pem", "no certificate");
    let ran = check();
    assert_eq!(ran.code, 78, "{}", ran.out);
    assert!(ran.out.contains("--> sidecar.yaml:12:"), "{}", ran.out);
    assert!(
        ran.out.contains('^') && ran.out.contains("ca.pem"),
        "{}",
        ran.out
    );

    let pins = stand_in.exchange.pins();
    let expired = format!(
        "    pins: [\"sha256/{}\", \"sha256/{}\"]\n    pins_expire: 2026-01-01\n",
        pins.root, pins.backup_root
    );
    let desk = Desk::new(&stand_in, &expired);
    let ran = desk.run(&["check", "sidecar.yaml"]);
    assert_eq!(ran.code, 78, "{}", ran.out);
    assert!(ran.out.contains("have expired"), "{}", ran.out);
    assert!(ran.out.contains("--> sidecar.yaml:15:"), "{}", ran.out);

    let desk = Desk::new(&stand_in, "");
    let yaml = fs::read_to_string(desk.0.path().join("sidecar.yaml")).unwrap();
    desk.write(
        "sidecar.yaml",
        &yaml.replace("sign: {", "sign: { algorithm: ed25519,"),
    );
    let ran = desk.run(&["check", "sidecar.yaml"]);
    assert_eq!(ran.code, 78, "{}", ran.out);
    assert!(ran.out.contains("--> sidecar.yaml:14:"), "{}", ran.out);
}

#[test]
fn explain_tells_what_the_way_out_makes_of_a_request() {
    let stand_in = StandIn::start();
    let desk = Desk::new(&stand_in, "");
    let ask = |method: &str, path: &str| {
        let line = ["explain", "-c", "sidecar.yaml", "--outbound", "binance"];
        desk.run(&[&line[..], &["--method", method, "--path", path]].concat())
    };
    let ran = ask("GET", "/api/v3/openOrders");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in [
        "a signature",
        "reads",
        "80",
        "GET /api/v3/** (sidecar.yaml:13)",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = ask("POST", "/sapi/v1/capital/withdraw/apply");
    assert!(
        ran.out.contains("DENIED") && ran.out.contains("moves money"),
        "{}",
        ran.out
    );
    let ran = ask("GET", "/api/v3/depth?symbol=A&symbol=B");
    assert!(ran.out.contains("exchange.parameters"), "{}", ran.out);
}
