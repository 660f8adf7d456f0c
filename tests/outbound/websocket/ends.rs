//! How WebSockets end, and what is known of orders that were under way.

use std::time::{Duration, Instant};

use outrider::roles::demo::exchange::Fault;
use serde_json::json;

use super::calls::order;
use super::client::{ALL, Client, event, events};
use crate::support::exchange::With;
use crate::world::StandIn;

#[test]
fn a_client_that_hangs_up_takes_nothing_back() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    // Soon enough for what is waited for when nobody asks any more.
    let slow = Fault::Slow(Duration::from_millis(100));
    stand_in.exchange.fault(slow, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    sidecar.wait_until("placed", || stand_in.exchange.orders_placed() == 1);
    client.hang_up();
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "answered", "{told}");
    let closed = &events(&sidecar, "ws.close", 1)[0];
    assert_eq!(closed["socket"]["closed_by"], "client");
    assert_eq!(closed["socket"]["code"], 1006);
    sidecar.wait_until("closed", || stand_in.exchange.open_sockets() == 0);
}

#[test]
fn an_order_whose_answer_never_comes_is_unknown() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    stand_in
        .exchange
        .fault(Fault::Slow(Duration::from_secs(600)), "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    sidecar.wait_until("placed", || stand_in.exchange.orders_placed() == 1);
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
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    stand_in
        .exchange
        .fault(Fault::ResetAfterwards, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    client.say(&order("a").to_string());
    assert_eq!(client.closed().0, 1011);
    assert_eq!(stand_in.exchange.orders_placed(), 1);
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    let closed = &events(&sidecar, "ws.close", 1)[0];
    assert_eq!(closed["socket"]["closed_by"], "exchange");
    assert_eq!(closed["outcome"], "error");
}

#[test]
fn what_the_exchange_does_not_know_itself_is_passed_on_and_recorded_as_such() {
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let fault = Fault::UnknownOutcome(Duration::from_millis(10));
    stand_in.exchange.fault(fault, "ws order.place", 1);
    let mut client = Client::api(&sidecar);
    let answer = client.ask(&order("a"));
    assert_eq!(answer["error"]["code"], -1007);
    let told = event(&sidecar, "WS order.place");
    assert_eq!(told["exchange"]["execution"], "unknown", "{told}");
    assert_eq!(told["exchange"]["code"], -1007);
}

#[test]
fn the_exchanges_notice_and_its_pings_are_passed_on() {
    let pong_within = Duration::from_secs(3);
    let stand_in = StandIn::with(|options| {
        options.sockets.ping_every = Duration::from_millis(200);
        options.sockets.pong_within = pong_within;
    });
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    let first = client.next();
    assert!(first.is_ping(), "{first:?}");
    // The sidecar answers them, or the exchange would have hung up by then.
    let until = Instant::now() + pong_within + Duration::from_secs(1);
    while Instant::now() < until {
        assert!(client.next().is_ping());
    }
    stand_in.exchange.announce_shutdown();
    assert_eq!(client.hear()["event"]["e"], "serverShutdown");
    assert_eq!(
        client.ask(&json!({"id": 1, "method": "ping"}))["status"],
        200
    );
}

#[test]
fn a_stop_tells_both_sides() {
    let stand_in = StandIn::start();
    let mut sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
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
    let stand_in = StandIn::start();
    let sidecar = stand_in.sidecar_with(With::Hmac, ALL, "");
    let mut client = Client::api(&sidecar);
    client.say(&" ".repeat(70_000));
    assert_eq!(client.closed().0, 1009);
    sidecar.wait_until("closed", || stand_in.exchange.open_sockets() == 0);
}
