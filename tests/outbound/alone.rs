//! A sidecar with ways out and no way in, as a bot has it that nobody calls: it starts, trades, reloads and drains.

use std::fs;
use std::thread;
use std::time::Duration;

use outrider::roles::demo::exchange::Fault;
use serde_json::Value;

use crate::support::sidecar::{Setup, Sidecar, of_type};
use crate::support::wire::Wire;
use crate::world::{KEY, SECRET, StandIn, ask, get, out, wait_for_time};

const ALLOW: &str = "[\"GET /api/v3/account\", \"POST /api/v3/order\"]";
const ORDER: &str = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";

fn sidecar(stand_in: &StandIn) -> Sidecar {
    let top = format!(
        "admin: {{ listen: \"127.0.0.1:0\" }}\n{}",
        stand_in.way().allow(ALLOW).section()
    );
    let sidecar = Sidecar::start(&Setup {
        top: &top,
        files: &[("ca.pem", stand_in.exchange.root_pem())],
        env: &[("API_KEY", KEY), ("API_SECRET", SECRET)],
        listen: "",
        ..Setup::new("http://127.0.0.1:9", "")
    });
    wait_for_time(&sidecar);
    sidecar
}

fn page(sidecar: &Sidecar, path: &str) -> Value {
    let admin = sidecar.listener("admin");
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {admin}\r\n\r\n");
    let answer = Wire::connect(admin).ask(request).unwrap();
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_str(&answer.text()).unwrap()
}

#[test]
fn a_bot_without_a_way_in_trades_reloads_and_is_shown() {
    let stand_in = StandIn::start();
    let sidecar = sidecar(&stand_in);
    let at = out(&sidecar);
    assert_eq!(ask(at, "POST", ORDER, "", "").status, 200);
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    assert!(!sidecar.stderr().contains("listener=\"inbound\""));
    assert!(!sidecar.stdout().contains("\"inbound\""));

    assert_eq!(get(at, "/api/v3/openOrders").status, 403);
    let path = sidecar.folder().join("sidecar.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let more = text.replace("GET /api/v3/account", "GET /api/v3/**");
    fs::write(&path, &more).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_until("allowed", || get(at, "/api/v3/openOrders").status == 200);

    assert_eq!(page(&sidecar, "/server_info")["ready"], true);
    assert_eq!(
        page(&sidecar, "/policies")["routes"],
        Value::Array(Vec::new())
    );
    assert_eq!(
        page(&sidecar, "/certs")["certificates"],
        Value::Array(Vec::new())
    );
    assert_eq!(
        page(&sidecar, "/exchanges")["exchanges"][0]["name"],
        "binance"
    );
    let dump = page(&sidecar, "/config_dump").to_string();
    assert!(!dump.contains("inbound."), "{dump}");

    // A way in is a listener, and those come with a restart.
    let way_in = format!(
        "{more}\ninbound:\n  listen: 127.0.0.1:0\n  forward_to: http://127.0.0.1:9\n{}",
        crate::world::ROUTES
    );
    fs::write(&path, way_in).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_until("refused", || {
        let refused = of_type(&sidecar.audit(), "config.reject");
        !refused.is_empty()
    });
    assert_eq!(get(at, "/api/v3/account").status, 200);
}

#[test]
fn its_end_waits_for_what_was_sent_and_for_nobody_else() {
    let stand_in = StandIn::start();
    let mut sidecar = sidecar(&stand_in);
    let at = out(&sidecar);
    stand_in
        .exchange
        .fault(Fault::Slow(Duration::from_secs(2)), "POST /api/v3/order", 1);
    let order = thread::spawn(move || ask(at, "POST", ORDER, "", ""));
    sidecar.wait_until("sent", || {
        stand_in
            .exchange
            .requests()
            .contains_key("POST /api/v3/order")
    });
    assert!(sidecar.stop().success());
    assert_eq!(order.join().unwrap().status, 200);
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
}
