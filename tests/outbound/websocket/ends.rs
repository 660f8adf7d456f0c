//! How WebSockets end, and what is known of orders that were under way.

use std::time::Duration;

use outrider::roles::demo::exchange::Fault;
use serde_json::json;

use super::calls::order;
use super::client::{ALL, Client, Market, With, event, events};

#[test]
fn a_client_that_hangs_up_takes_nothing_back() {
    let market = Market::start();
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    let slow = Fault::Slow(Duration::from_millis(400));
    market.exchange.fault(slow, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    sidecar.wait_until("placed", || market.exchange.orders_placed() == 1);
    client.hang_up();
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "answered", "{told}");
    let closed = &events(&sidecar, "ws.close", 1)[0];
    assert_eq!(closed["socket"]["closed_by"], "client");
    assert_eq!(closed["socket"]["code"], 1006);
    sidecar.wait_until("closed", || market.exchange.open_sockets() == 0);
}

#[test]
fn an_order_whose_answer_never_comes_is_unknown() {
    let market = Market::start();
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    market
        .exchange
        .fault(Fault::Slow(Duration::from_secs(8)), "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    sidecar.wait_until("placed", || market.exchange.orders_placed() == 1);
    client.hang_up();
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    assert_eq!(told["reason"]["code"], "exchange.unknown");
    assert_eq!(told["outcome"], "error");
    assert_eq!(
        events(&sidecar, "ws.close", 1)[0]["socket"]["unanswered"],
        1
    );
}

#[test]
fn an_exchange_that_breaks_off_leaves_the_order_unknown() {
    let market = Market::start();
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    market
        .exchange
        .fault(Fault::ResetAfterwards, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    assert_eq!(client.closed().0, 1011);
    assert_eq!(market.exchange.orders_placed(), 1);
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    let closed = &events(&sidecar, "ws.close", 1)[0];
    assert_eq!(closed["socket"]["closed_by"], "exchange");
    assert_eq!(closed["outcome"], "error");
}

#[test]
fn what_the_exchange_does_not_know_itself_is_passed_on_and_recorded_as_such() {
    let market = Market::start();
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    let fault = Fault::UnknownOutcome(Duration::from_millis(10));
    market.exchange.fault(fault, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    let answer = client.ask(&order("a"));
    assert_eq!(answer["error"]["code"], -1007);
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    assert_eq!(told["exchange"]["code"], -1007);
}

#[test]
fn the_exchanges_notice_and_its_pings_are_passed_on() {
    let market = Market::with(|options| {
        options.sockets.ping_every = Duration::from_millis(100);
        options.sockets.pong_within = Duration::from_millis(300);
    });
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    let first = client.next();
    assert!(first.is_ping(), "{first:?}");
    // The sidecar answers them, or the exchange would have hung up long ago.
    for _ in 0..6 {
        assert!(client.next().is_ping());
    }
    market.exchange.announce_shutdown();
    assert_eq!(client.hear()["event"]["e"], "serverShutdown");
    assert_eq!(
        client.ask(&json!({"id": 1, "method": "ping"}))["status"],
        200
    );
}

#[test]
fn a_stop_tells_both_sides() {
    let market = Market::start();
    let mut sidecar = market.sidecar(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    let mut stream = Client::open(&sidecar, "/ws");
    assert_eq!(
        client.ask(&json!({"id": 1, "method": "ping"}))["status"],
        200
    );
    sidecar.signal("TERM");
    assert_eq!(client.closed().0, 1001);
    assert_eq!(stream.closed().0, 1001);
    sidecar.wait();
    let closed = events(&sidecar, "ws.close", 2);
    assert!(
        closed
            .iter()
            .all(|event| event["socket"]["closed_by"] == "proxy")
    );
    assert!(closed.iter().all(|event| event["outcome"] == "success"));
}

#[test]
fn a_message_that_is_too_long_ends_it() {
    let market = Market::start();
    let sidecar = market.sidecar(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    client.say(&" ".repeat(70_000));
    assert_eq!(client.closed().0, 1009);
    sidecar.wait_until("closed", || market.exchange.open_sockets() == 0);
}
