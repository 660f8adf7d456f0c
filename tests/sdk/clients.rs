//! Official clients, unmodified, with dummy keys: every call comes out as it does at the exchange.

use crate::python::{Step, assert_steps, run};
use crate::world::{StandIn, out};

/// The three programs.
const PROGRAMS: [&str; 3] = ["official.py", "python_binance.py", "ccxt_client.py"];

/// Runs the REST part of a program, with every call that it makes allowed.
fn rest(program: &str) -> Vec<Step> {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    let steps = run(program, "rest", out(&sidecar));
    stand_in.assert_clean();
    assert_eq!(stand_in.exchange.orders_placed(), 1, "{program}");
    assert_eq!(stand_in.exchange.orders_cancelled(), 1, "{program}");
    steps
}

#[test]
fn the_official_client_trades_over_rest() {
    let expected = [
        "time",
        "ping",
        "exchange_info",
        "depth",
        "account",
        "order_test",
        "place",
        "open_orders",
        "order",
        "cancel",
        "my_trades",
    ];
    assert_steps(&rest("official.py"), &expected);
}

#[test]
fn python_binance_trades_over_rest() {
    let expected = [
        "time",
        "depth",
        "account",
        "order_test",
        "place",
        "open_orders",
        "order",
        "cancel",
        "my_trades",
    ];
    assert_steps(&rest("python_binance.py"), &expected);
}

#[test]
fn ccxt_trades_over_rest() {
    let expected = [
        "time",
        "load_markets",
        "order_book",
        "account",
        "place",
        "open_orders",
        "order",
        "cancel",
        "my_trades",
    ];
    assert_steps(&rest("ccxt_client.py"), &expected);
}

/// Runs a part over WebSockets, with every call that it makes allowed.
fn sockets(program: &str, part: &str) -> Vec<Step> {
    let stand_in = StandIn::start();
    let sidecar = stand_in.way().start();
    let steps = run(program, part, out(&sidecar));
    stand_in.assert_clean();
    let placed = u64::from(part == "sockets");
    assert_eq!(stand_in.exchange.orders_placed(), placed, "{program}");
    assert_eq!(stand_in.exchange.orders_cancelled(), placed, "{program}");
    steps
}

#[test]
fn the_official_client_trades_over_the_websocket_api() {
    let expected = [
        "connect",
        "time",
        "account",
        "user_stream",
        "place",
        "order_event",
        "open_orders",
        "cancel",
        "cancel_event",
    ];
    assert_steps(&sockets("official.py", "sockets"), &expected);
}

#[test]
fn the_official_client_follows_a_market_stream() {
    assert_steps(&sockets("official.py", "streams"), &["connect", "trade"]);
}

#[test]
fn python_binance_trades_and_follows_over_websockets() {
    let expected = ["trade", "place", "order_event", "cancel"];
    assert_steps(&sockets("python_binance.py", "sockets"), &expected);
}

#[test]
fn ccxt_trades_and_follows_over_websockets() {
    let expected = ["trade", "place", "order_event", "cancel"];
    assert_steps(&sockets("ccxt_client.py", "sockets"), &expected);
}

#[test]
fn a_client_with_a_key_of_its_own_is_refused_in_the_exchanges_words_where_that_is_asked_for() {
    let stand_in = StandIn::start();
    let way = stand_in.way().more("    client_credentials: refuse\n");
    let sidecar = way.start();
    for program in PROGRAMS {
        let steps = run(program, "refused", out(&sidecar));
        assert_steps(&steps, &["account", "place", "ws_place"]);
    }
    stand_in.assert_clean();
    assert_eq!(stand_in.exchange.orders_placed(), 0);
    assert_eq!(stand_in.called("GET /api/v3/account"), 0);
}
