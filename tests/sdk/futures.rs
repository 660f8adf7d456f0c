//! Futures, USD-M and COIN-M: official clients and ccxt, unmodified, with dummy keys, against the stand-in that speaks as
//! those markets do.

use std::time::Duration;

use outrider::roles::demo::exchange::Market;
use serde_json::json;

use crate::python::{assert_steps, run};
use crate::world::{StandIn, With, ask, out, record_of, told, wait_for_limits};

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
    let sidecar = stand_in.way().to(preset).allow(ALL).start();
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
        let mut way = stand_in
            .way()
            .to(market.2)
            .allow(ALL)
            .more("    log_on: true\n");
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
        let sidecar = stand_in.way().to(preset).allow(ALL).start();
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
        let asked = |method: &str, target: &str, status: u16| {
            let answer = ask(at, method, target, "", "");
            assert_eq!(answer.status, status, "{target}: {}", told(&answer));
            let record = record_of(&sidecar, &answer)["exchange"].clone();
            (told(&answer), record)
        };
        let (_, record) = asked("POST", &named, 200);
        assert_eq!(record["used"]["orders_1m"], 1);
        let in_ten_seconds = record["used"].get("orders_10s").is_some();
        assert_eq!(in_ten_seconds, market == Market::UsdM);
        let (problem, record) = asked("POST", &named, 400);
        assert_eq!(
            (&problem["code"], &record["code"]),
            (&json!(-4116), &json!(-4116))
        );
        let all = format!("{root}/v1/allOpenOrders?symbol={symbol}");
        let (_, record) = asked("DELETE", &all, 200);
        assert_eq!(record.get("code"), None, "200 is no error");
        stand_in.exchange.ban(Duration::from_secs(600));
        assert_eq!(asked("POST", &order, 418).0["code"], -1003);
        let (problem, record) = asked("DELETE", &all, 429);
        assert_eq!(problem["reason"], "exchange.halted");
        assert_eq!(record["execution"], "not_sent");
        assert_eq!(stand_in.exchange.orders_placed(), 1);
        assert_eq!(stand_in.exchange.sent_while_banned(), 0);
        stand_in.assert_clean();
    }
}
