//! What an operator can do about an exchange: see what is stopped, and lift a stop that is none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::origin::{Received, send};
use crate::support::sidecar::{Setup, Sidecar, of_type};
use crate::support::wire::{Response, Wire};
use crate::world::{Exchange, ROUTES, SECRETS, StandIn, ask, get, json, out, services};

const ALL: &str = "[\"GET /api/v3/**\"]";
const DEPTH: &str = "/api/v3/depth?symbol=A";
const TRADES: &str = "/api/v3/trades?symbol=A";

/// A sidecar with an admin listener and two ways out to one exchange.
fn sidecar(exchange: &Exchange) -> Sidecar {
    let one = exchange.outbound(ALL, "");
    let entry = one.split_once('\n').unwrap().1;
    let other = entry.replace("name: binance", "name: other");
    let top = format!("admin: {{ listen: \"127.0.0.1:0\" }}\n{one}{other}");
    let sidecar = Sidecar::start(&Setup {
        top: &top,
        files: &[("ca.pem", exchange.ca.as_str())],
        env: SECRETS,
        ..Setup::new("http://127.0.0.1:9", ROUTES)
    });
    // Both have asked for limits, so that nothing but the test asks from now on.
    sidecar.wait_until("limits are known", || {
        let own = |event: &Value| event["actor"]["auth"] == "own";
        sidecar
            .requests(0)
            .iter()
            .filter(|event| own(event))
            .count()
            == 2
    });
    sidecar
}

fn admin(sidecar: &Sidecar, method: &str, target: &str) -> Response {
    let at: SocketAddr = sidecar.listener("admin");
    let request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nHost: {at}\r\n\r\n");
    Wire::connect(at).ask(request).unwrap()
}

fn ordered(sidecar: &Sidecar, target: &str) -> (u16, String) {
    let answer = admin(sidecar, "POST", target);
    (answer.status, answer.text())
}

fn shown(sidecar: &Sidecar) -> Value {
    let page: Value = serde_json::from_str(&admin(sidecar, "GET", "/exchanges").text()).unwrap();
    page["exchanges"][0].clone()
}

fn reason(answer: &Response) -> Value {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    problem["reason"].clone()
}

#[test]
fn a_false_ban_is_lifted_by_an_order_that_names_it() {
    let exchange = Exchange::start();
    let banned = Arc::new(AtomicBool::new(true));
    let bans = Arc::clone(&banned);
    exchange.answer(move |_| match bans.load(Ordering::SeqCst) {
        true => vec![send(
            "HTTP/1.1 418 Said\r\nRetry-After: 259200\r\nContent-Length: 2\r\n\r\n{}",
        )],
        false => json(200, "{}"),
    });
    let sidecar = sidecar(&exchange);
    let at = out(&sidecar);
    assert_eq!(get(at, DEPTH).status, 418);
    let other = sidecar.listener("outbound/other");
    for at in [at, other] {
        assert_eq!(reason(&get(at, TRADES)), "exchange.halted");
    }
    let stop = &shown(&sidecar)["budget"]["stops"][0];
    assert_eq!(
        (&stop["halted"], &stop["extent"]),
        (&"banned".into(), &"everything".into())
    );

    // Nobody lifts what he has not seen, and an order names what there is.
    let (status, said) = ordered(&sidecar, "/exchanges/kraken/resume?halted=banned");
    assert!(
        status == 404 && said.contains("binance, other"),
        "{status} {said}"
    );
    for query in ["", "?halted=", "?halted=all", "?x=1"] {
        let (status, said) = ordered(&sidecar, &format!("/exchanges/binance/resume{query}"));
        assert!(
            status == 400 && said.contains("in force: banned for "),
            "{query}: {said}"
        );
    }
    let (status, said) = ordered(&sidecar, "/exchanges/binance/resume?halted=firewall");
    assert!(status == 409 && said.contains("banned for "), "{said}");
    let get_it = admin(&sidecar, "GET", "/exchanges/binance/resume?halted=banned");
    assert_eq!(get_it.status, 405);
    assert_eq!(reason(&get(at, TRADES)), "exchange.halted");
    assert_eq!(exchange.asked().len(), 1);

    // Still banned: the one that asks is told so, and the stop stands again.
    let (status, said) = ordered(&sidecar, "/exchanges/binance/resume?halted=banned");
    let lifted = said.starts_with("lifted banned, which would have lasted 2591");
    assert!(
        status == 200 && lifted && said.contains("for binance, other;"),
        "{said}"
    );
    assert_eq!(get(other, DEPTH).status, 418);
    assert_eq!(reason(&get(at, TRADES)), "exchange.halted");
    assert_eq!(exchange.asked().len(), 2);

    banned.store(false, Ordering::SeqCst);
    assert_eq!(
        ordered(&sidecar, "/exchanges/other/resume?halted=banned").0,
        200
    );
    for at in [at, other] {
        assert_eq!(get(at, TRADES).status, 200);
    }
    let (status, said) = ordered(&sidecar, "/exchanges/binance/resume?halted=banned");
    assert!(
        status == 409 && said.contains("nothing is stopped"),
        "{said}"
    );

    assert_eq!(shown(&sidecar)["resumes"], 1);
    assert_eq!(shown(&sidecar)["budget"]["halted"], Value::Null);
    for name in ["binance", "other"] {
        let label = format!("outbound=\"{name}\"");
        let lifted = sidecar.metric("outrider_exchange_resumes_total", &[&label]);
        assert!((lifted - 1.0).abs() < 0.1, "{name}: {lifted}");
    }
    let done = |event: &Value| event["outcome"] == "success";
    sidecar.wait_until("evidence", || {
        let orders = of_type(&sidecar.audit(), "admin.resume");
        orders.len() == 9 && orders.iter().filter(|event| done(event)).count() == 2
    });
    let orders = of_type(&sidecar.audit(), "admin.resume");
    assert_eq!(orders[0]["admin"]["argument"], "kraken?halted=banned");
}

#[test]
fn a_refusal_of_the_firewall_holds_up_what_is_like_it_and_others_only_if_they_are_refused_too() {
    let exchange = Exchange::start();
    exchange.answer(|request| match request.target.contains("OR%201") {
        // So that no test is so slow that it is over.
        true => vec![send(
            "HTTP/1.1 403 Said\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n",
        )],
        false => json(200, "{}"),
    });
    let sidecar = sidecar(&exchange);
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/depth?symbol=OR%201").status, 403);
    assert_eq!(reason(&get(at, DEPTH)), "exchange.halted");
    assert_eq!(get(at, TRADES).status, 200);
    assert_eq!(shown(&sidecar)["budget"]["halted"], Value::Null);
    assert_eq!(shown(&sidecar)["budget"]["stops"][0]["extent"], "one_call");
    assert_eq!(get(at, "/api/v3/trades?symbol=OR%201").status, 403);
    let klines = "/api/v3/klines?symbol=A&interval=1m";
    assert_eq!(reason(&get(at, klines)), "exchange.halted");
    assert_eq!(shown(&sidecar)["budget"]["halted"], "firewall");
    assert_eq!(exchange.asked().len(), 3);
    assert_eq!(
        ordered(&sidecar, "/exchanges/binance/resume?halted=firewall").0,
        200
    );
    assert_eq!(get(at, klines).status, 200);
    assert_eq!(get(at, DEPTH).status, 200);
    let answer = ask(at, "GET", DEPTH, "", "");
    assert_eq!(answer.status, 200);
    let events = services(&sidecar, 8);
    assert_eq!(events.len(), 8);
}

#[test]
fn a_cancel_goes_out_though_slow_answers_hold_every_other_place() {
    let exchange = Exchange::start();
    let is_slow = |request: &Received| request.target.starts_with("/api/v3/depth");
    exchange.answer(move |request| match is_slow(request) {
        // The rest never comes.
        true => vec![send("HTTP/1.1 200 Said\r\nContent-Length: 9\r\n\r\nsome")],
        false => json(200, "{}"),
    });
    let bounds = "    bounds: { connections_max: 7, connections_kept_for_cancels: 4 }\n    timeouts: { response_idle: 60s }\n";
    let all = "[\"GET /api/v3/**\", \"POST /api/v3/order\", \"DELETE /api/v3/order\"]";
    let sidecar = exchange.signing(all, bounds);
    let at = out(&sidecar);
    let slow = |_| {
        let mut wire = Wire::connect(at);
        wire.send(format!("GET {DEPTH} HTTP/1.1\r\nHost: {at}\r\n\r\n"));
        wire
    };
    let held: Vec<Wire> = (0..3).map(slow).collect();
    exchange.wait_for(3);
    for _ in 0..3 {
        let order = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";
        let crowded = ask(at, "POST", order, "", "");
        assert_eq!(
            (crowded.status, reason(&crowded)),
            (503, "local.crowded".into())
        );
        // Its connection makes room for a cancel's.
        let mut wire = Wire::connect(at);
        let refused = wire.ask(format!("GET {TRADES} HTTP/1.1\r\nHost: {at}\r\n\r\n"));
        let refused = refused.unwrap();
        assert!(refused.status == 503 && refused.says_close());
    }
    for id in 1..4 {
        let cancel = format!("/api/v3/order?symbol=BTCUSDT&orderId={id}");
        assert_eq!(ask(at, "DELETE", &cancel, "", "").status, 200);
    }
    let asked = exchange.asked();
    let methods: Vec<&str> = asked.iter().map(|one| one.method.as_str()).collect();
    assert_eq!(methods, ["GET", "GET", "GET", "DELETE", "DELETE", "DELETE"]);
    drop(held);
    sidecar.wait_until("places are free again", || get(at, TRADES).status == 200);
}

/// A sidecar with a day of three orders before it.
fn of_three_a_day(stand_in: &StandIn, allow: &str) -> Sidecar {
    let budget = "    budget: { use: 100%, cancels_keep: 0% }\n";
    let top = format!(
        "admin: {{ listen: \"127.0.0.1:0\" }}\n{}",
        stand_in.way().allow(allow).more(budget).section()
    );
    Sidecar::start(&Setup {
        top: &top,
        files: &[("ca.pem", stand_in.exchange.root_pem())],
        env: SECRETS,
        ..Setup::new("http://127.0.0.1:9", ROUTES)
    })
}

fn asked_for_counts(stand_in: &StandIn) -> u64 {
    let requests = stand_in.exchange.requests();
    let asked = requests.get("GET /api/v3/rateLimit/order");
    asked.copied().unwrap_or_default()
}

#[test]
fn a_restart_forgets_no_order_of_the_day() {
    let stand_in = StandIn::with(|options| options.limits.orders_per_day = 3);
    let allow = "[\"POST /api/v3/order\"]";
    let order = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";
    let mut first = of_three_a_day(&stand_in, allow);
    let orders = |sidecar: &Sidecar, used: u64, source: &str| {
        let what = format!("{used} orders, known by {source}");
        sidecar.wait_until(&what, || {
            let orders = shown(sidecar)["budget"]["orders"].clone();
            orders["limit"] == 3 && orders["used"] == used && orders["source"] == source
        });
    };
    orders(&first, 0, "asked");
    for _ in 0..3 {
        assert_eq!(ask(out(&first), "POST", order, "", "").status, 200);
    }
    orders(&first, 3, "answer");
    assert!(first.stop().success());

    let second = of_three_a_day(&stand_in, allow);
    orders(&second, 3, "asked");
    let label = ["outbound=\"binance\""];
    let told = second.metric("outrider_exchange_orders_told", &label);
    assert!((told - 1.0).abs() < 0.1, "{told}");
    let refused = ask(out(&second), "POST", order, "", "");
    assert_eq!(
        (refused.status, reason(&refused)),
        (429, "exchange.limit".into())
    );
    assert_eq!(stand_in.exchange.requests()["POST /api/v3/order"], 3);
    // Once for each process, and not again with a reload.
    second.signal("HUP");
    second.wait_until("reloaded", || {
        of_type(&second.audit(), "config.load").len() == 2
    });
    assert_eq!(asked_for_counts(&stand_in), 2);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
}

#[test]
fn who_places_no_orders_does_not_ask_for_their_count() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar("[\"GET /api/v3/**\", \"DELETE /api/v3/order\"]", "");
    let at = out(&sidecar);
    assert_eq!(get(at, "/api/v3/account").status, 200);
    assert_eq!(asked_for_counts(&stand_in), 0);
    let label = ["outbound=\"binance\""];
    let told = sidecar.metric("outrider_exchange_orders_told", &label);
    assert!(told.abs() < 0.1, "{told}");
}

#[test]
fn equal_requests_of_one_moment_have_different_signatures() {
    let exchange = Exchange::start();
    let sidecar = exchange.signing("[\"POST /api/v3/order\"]", "");
    let at = out(&sidecar);
    let order = "/api/v3/order?symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || assert_eq!(ask(at, "POST", order, "", "").status, 200));
        }
    });
    let asked = exchange.asked();
    let mut targets: Vec<&str> = asked.iter().map(|one| one.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 4, "{targets:?}");
}
