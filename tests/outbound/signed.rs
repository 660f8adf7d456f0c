//! Keys, signatures, time and limits, against an exchange that verifies every byte.

use std::time::Duration;

use crate::support::exchange::wait_for_limits;
use crate::support::wait;
use crate::world::{
    KEY, SECRET, StandIn, ask, get, out, record_of, services, told as body, wait_until,
};

const ALL: &str = "[\"GET /api/v3/**\", \"POST /api/v3/order*\", \"POST /api/v3/order/test\", \"DELETE /api/v3/order\"]";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50000";

#[test]
fn an_order_is_placed_shown_and_cancelled_by_who_holds_no_key() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar(ALL, "");
    let at = out(&sidecar);
    // In the body, in the query, and with all that clients with a dummy key send by themselves.
    let dummy = format!("{FORM}X-MBX-APIKEY: dummy\r\n");
    let placed = ask(
        at,
        "POST",
        "/api/v3/order",
        &dummy,
        &format!("{ORDER}&timestamp=1&signature=abc"),
    );
    assert_eq!(placed.status, 200, "{}", placed.text());
    let second = ask(
        at,
        "POST",
        &format!("/api/v3/order?{ORDER}&recvWindow=10000"),
        "",
        "",
    );
    assert_eq!(second.status, 200, "{}", second.text());
    let open = get(at, "/api/v3/openOrders?symbol=BTCUSDT");
    assert_eq!(body(&open).as_array().unwrap().len(), 2);
    let id = body(&placed)["orderId"].to_string();
    let cancelled = ask(
        at,
        "DELETE",
        &format!("/api/v3/order?symbol=BTCUSDT&orderId={id}"),
        "",
        "",
    );
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    assert_eq!(get(at, "/api/v3/account").status, 200);
    let public = get(at, "/api/v3/depth?symbol=BTCUSDT");
    assert_eq!(public.status, 200);
    assert_eq!(stand_in.exchange.orders_placed(), 2);
    assert_eq!(stand_in.exchange.orders_cancelled(), 1);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());

    let events = services(&sidecar, 6);
    assert!(events.iter().all(|event| event["outcome"] == "success"));
    let told = &record_of(&sidecar, &placed)["exchange"];
    assert_eq!(
        (&told["signed"], &told["attempts"]),
        (&true.into(), &1.into())
    );
    assert!(told["used"]["request_weight_1m"].is_u64(), "{told}");
    assert_eq!(record_of(&sidecar, &public)["exchange"]["signed"], false);
    for (place, bytes) in sidecar.outputs() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{place}");
        assert!(!text.contains("signature"), "{place}");
    }
    let metrics = sidecar.metrics();
    assert!(!metrics.contains(SECRET) && !metrics.contains(KEY));
    wait_for_limits(&sidecar, &stand_in);
}

#[test]
fn an_error_of_the_exchange_is_passed_on_with_its_code() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar(ALL, "");
    let answer = ask(
        out(&sidecar),
        "DELETE",
        "/api/v3/order?symbol=BTCUSDT&orderId=999",
        "",
        "",
    );
    assert_eq!(
        (answer.status, &body(&answer)["code"]),
        (400, &(-2011).into())
    );
    let [event] = services(&sidecar, 1).try_into().unwrap();
    assert_eq!(event["exchange"]["code"], -2011);
    assert_eq!(event["exchange"]["execution"], "answered");
    assert_eq!(event["outcome"], "failure");
}

#[test]
fn clocks_that_are_apart_are_corrected_and_those_too_far_apart_refused() {
    let stand_in = StandIn::start();
    stand_in.exchange.clock().set_offset_ms(-90_000);
    let sidecar = stand_in.sidecar(ALL, "    clock: { max_offset: 10m }\n");
    assert_eq!(get(out(&sidecar), "/api/v3/account").status, 200);
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());

    stand_in.exchange.clock().set_offset_ms(0);
    let far = StandIn::start();
    far.exchange.clock().set_offset_ms(60_000);
    let sidecar = far.way().allow(ALL).launch();
    wait_until("asked", || far.called("GET /api/v3/time") > 0);
    let answer = get(out(&sidecar), "/api/v3/account");
    let problem = body(&answer);
    assert_eq!(answer.status, 503);
    assert_eq!(
        (&problem["reason"], &problem["code"]),
        (&"exchange.clock".into(), &(-1021).into())
    );
    assert_eq!(
        get(out(&sidecar), "/api/v3/depth?symbol=BTCUSDT").status,
        200
    );
    assert!(
        far.exchange
            .requests()
            .keys()
            .all(|route| !route.contains("account"))
    );
}

#[test]
fn limits_are_kept_here_before_the_exchange_punishes() {
    let stand_in = StandIn::with(|options| options.limits.weight_per_minute = 400);
    let sidecar = stand_in.sidecar(ALL, "");
    let at = out(&sidecar);
    wait_for_limits(&sidecar, &stand_in);
    // Should a minute end in between, it is counted anew.
    wait_until("refused", || {
        let answer = get(at, "/api/v3/account");
        if answer.status == 200 {
            return false;
        }
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(body(&answer)["reason"], "exchange.limit");
        assert!(answer.one("retry-after").is_some());
        true
    });
    assert_eq!(stand_in.exchange.violations(), Vec::<String>::new());
    // Cancels have a lane of their own.
    let cancel = ask(
        at,
        "DELETE",
        "/api/v3/order?symbol=BTCUSDT&orderId=1",
        "",
        "",
    );
    assert_eq!(cancel.status, 400, "{}", cancel.text());
}

#[test]
fn a_ban_stops_everybody_at_once() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar(ALL, "");
    let at = out(&sidecar);
    stand_in.exchange.ban(Duration::from_secs(600));
    // Who asks first hears it from the exchange; that may be the sidecar itself, which asks for the time.
    let first = get(at, "/api/v3/account").status;
    assert!(matches!(first, 418 | 429), "{first}");
    for _ in 0..5 {
        let answer = get(at, "/api/v3/account");
        assert_eq!(answer.status, 429);
        assert_eq!(body(&answer)["reason"], "exchange.halted");
    }
    let answered =
        |status: u16| move |event: &serde_json::Value| event["response"]["status"] == status;
    wait::events(&sidecar, "http.request", 5, answered(429));
    let told = wait::events(&sidecar, "http.request", 1, answered(418));
    let by_itself = told[0]["actor"]["auth"] == "own";
    assert_eq!((told.len(), by_itself), (1, first == 429));
    assert_eq!(
        stand_in.called("GET /api/v3/account"),
        u64::from(!by_itself)
    );
}
