//! Futures, USD-M and COIN-M: official clients and ccxt, unmodified, with dummy keys, against the stand-in that speaks as
//! those markets do.

use std::time::Duration;

use outrider::roles::demo::exchange::Market;
use serde_json::json;

use crate::python::{assert_steps, run};
use crate::world::{StandIn, With, ask, events, out, told, wait_for_limits};

/// Everything that wildcards can open: what moves money is not among it.
const ALL: &str = "[\"WS **\", \"STREAM **\", \"STREAM *\", \"* /**\"]";

/// The markets: their names in the programs, their presets and where their paths begin.
const MARKETS: [(Market, &str, &str, &str); 2] = [
    (Market::UsdM, "usd_m", "binance-usdm", "/fapi"),
    (Market::CoinM, "coin_m", "binance-coinm", "/dapi"),
];

/// Runs a program with every call allowed that wildcards can allow.
fn walk(
    program: &str,
    (market, name, preset, _): (Market, &str, &'static str, &str),
    expected: &[&str],
) {
    let stand_in = StandIn::of(market, |_| {});
    let sidecar = stand_in.way().to(preset, ALL).start();
    assert_steps(&run(program, name, out(&sidecar)), expected);
    stand_in.assert_clean();
    let exchange = &stand_in.exchange;
    assert!(exchange.orders_placed() >= 2, "{name}");
    assert_eq!(exchange.orders_placed(), exchange.orders_cancelled());
    assert_eq!(exchange.withdrawals(), 0);
}

const OFFICIAL: &[&str] = &[
    "time",
    "exchange_info",
    "depth",
    "klines",
    "account",
    "place",
    "open_orders",
    "order",
    "cancel",
    "my_trades",
    "listen_key",
    "listen_on",
    "transfer",
];

const OFFICIAL_SOCKETS: &[&str] = &[
    "ws_connect",
    "ws_account",
    "ws_place",
    "ws_order",
    "ws_cancel",
    "ws_cancelled",
    "ws_listen_key",
    "connect",
    "event",
    "listen_no_more",
];

#[test]
fn the_official_client_trades_usd_m() {
    let expected = [OFFICIAL, &["convert"], OFFICIAL_SOCKETS].concat();
    walk("official_futures.py", MARKETS[0], &expected);
}

#[test]
fn the_official_client_trades_coin_m() {
    let expected = [OFFICIAL, OFFICIAL_SOCKETS].concat();
    walk("official_futures.py", MARKETS[1], &expected);
}

const CCXT: &[&str] = &[
    "time",
    "load_markets",
    "order_book",
    "account",
    "balance",
    "place",
    "open_orders",
    "order",
    "cancel",
    "my_trades",
    "ws_place",
    "ws_cancel",
    "listen_key",
    "transfer",
];

#[test]
fn ccxt_trades_usd_m() {
    walk("ccxt_futures.py", MARKETS[0], CCXT);
}

#[test]
fn ccxt_trades_coin_m() {
    walk("ccxt_futures.py", MARKETS[1], CCXT);
}

#[test]
fn a_session_is_logged_on_for_clients_that_have_no_key() {
    for market in MARKETS {
        let stand_in = StandIn::of(market.0, |_| {});
        let mut way = stand_in.way().to(market.2, ALL).more("    log_on: true\n");
        way.with = With::Ed25519;
        let sidecar = way.start();
        assert_steps(
            &run("official_futures.py", market.1, out(&sidecar)),
            &match market.0 {
                Market::UsdM => [OFFICIAL, &["convert"], OFFICIAL_SOCKETS].concat(),
                Market::CoinM | Market::Spot => [OFFICIAL, OFFICIAL_SOCKETS].concat(),
            },
        );
        assert_eq!(stand_in.called("ws session.logon"), 1);
        stand_in.assert_clean();
    }
}

#[test]
fn what_the_markets_count_and_forbid_is_understood() {
    for (market, _, preset, root) in MARKETS {
        let stand_in = StandIn::of(market, |options| options.limits.weight_per_minute = 2_399);
        let sidecar = stand_in.way().to(preset, ALL).start();
        wait_for_limits(&sidecar, &stand_in);
        let at = out(&sidecar);
        let symbol = match market {
            Market::CoinM => "BTCUSD_PERP",
            Market::Spot | Market::UsdM => "BTCUSDT",
        };
        let order = format!(
            "{root}/v1/order?symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=50000"
        );
        let named = format!("{order}&newClientOrderId=mine");
        assert_eq!(ask(at, "POST", &named, "", "").status, 200);
        let again = ask(at, "POST", &named, "", "");
        assert_eq!((again.status, &told(&again)["code"]), (400, &json!(-4116)));
        let all = format!("{root}/v1/allOpenOrders?symbol={symbol}");
        assert_eq!(ask(at, "DELETE", &all, "", "").status, 200);
        stand_in.exchange.ban(Duration::from_secs(600));
        let banned = ask(at, "POST", &order, "", "");
        assert_eq!(
            (banned.status, &told(&banned)["code"]),
            (418, &json!(-1003))
        );
        let halted = ask(at, "DELETE", &all, "", "");
        assert_eq!(
            (halted.status, &told(&halted)["reason"]),
            (429, &json!("exchange.halted"))
        );
        let events = events(&sidecar, 5);
        let exchange = |at: usize| events[at]["exchange"].clone();
        assert_eq!(exchange(0)["used"]["orders_1m"], 1);
        let in_ten_seconds = exchange(0)["used"].get("orders_10s").is_some();
        assert_eq!(in_ten_seconds, market == Market::UsdM);
        assert_eq!(exchange(1)["code"], -4116);
        assert_eq!(exchange(2)["code"], json!(null), "200 is no error");
        assert_eq!(exchange(4)["execution"], "not_sent");
        assert_eq!(stand_in.exchange.orders_placed(), 1);
        assert_eq!(stand_in.exchange.sent_while_banned(), 0);
        stand_in.assert_clean();
    }
}
