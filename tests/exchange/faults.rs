//! Each fault does what it says, to the requests that it is for, and to no other.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use outrider::roles::demo::exchange::Fault;

use crate::world::{World, send};

const ORDER: &str = "POST /api/v3/order";

#[tokio::test]
async fn an_unknown_outcome_leaves_the_order_placed() {
    let world = World::new().await;
    world
        .exchange
        .fault(Fault::UnknownOutcome(Duration::from_millis(5)), ORDER, 1);
    let answer = world.send(world.order("a")).await;
    assert_eq!((answer.status, answer.code()), (408, -1007));
    assert_eq!(world.exchange.orders_placed(), 1);
    assert_eq!(world.send(world.order("b")).await.status, 200);
}

#[tokio::test]
async fn a_reset_shows_whether_the_order_was_placed() {
    for (fault, placed, reset) in [
        (Fault::ResetBeforeBody, 0, true),
        (Fault::ResetAfterBody, 0, true),
        (Fault::ResetAfterwards, 1, true),
        (Fault::HalfAnswer, 1, false),
    ] {
        let world = World::new().await;
        world.exchange.fault(fault, ORDER, 1);
        let mut sender = world.connect().await;
        let error = send(&mut sender, world.order("a")).await.unwrap_err();
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        let is_reset = source.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        assert_eq!(is_reset, reset, "{fault:?}: {error:?}");
        assert_eq!(world.exchange.orders_placed(), placed, "{fault:?}");
    }
}

#[tokio::test]
async fn answers_can_be_slow_chunked_and_in_drops() {
    let world = World::new().await;
    world
        .exchange
        .fault(Fault::Slow(Duration::from_millis(5)), ORDER, 1);
    world.exchange.fault(Fault::Chunked, ORDER, 1);
    world
        .exchange
        .fault(Fault::Drip(Duration::from_micros(10)), ORDER, 1);
    for (name, chunked) in [("a", false), ("b", true), ("c", false)] {
        let answer = world.send(world.order(name)).await;
        assert_eq!(answer.body["clientOrderId"], name);
        assert_eq!(
            answer.header("transfer-encoding") == "chunked",
            chunked,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_firewall_and_an_overload_do_not_look_at_the_request() {
    let world = World::new().await;
    world.exchange.fault(Fault::Forbidden, ORDER, 1);
    world.exchange.fault(Fault::Unavailable, ORDER, 1);
    world.exchange.fault(Fault::Conflict, ORDER, 1);
    let forbidden = world.send(world.order("a")).await;
    assert_eq!(
        (forbidden.status, forbidden.header("content-type")),
        (403, "text/html")
    );
    let unavailable = world.send(world.order("a")).await;
    assert_eq!((unavailable.status, unavailable.code()), (503, -1008));
    let conflict = world.send(world.order("a")).await;
    assert_eq!((conflict.status, conflict.code()), (409, -2021));
    assert_eq!(world.exchange.orders_placed(), 0);
    world.exchange.fault(Fault::Forbidden, "", 5);
    world.exchange.clear_faults();
    assert_eq!(world.send(world.order("a")).await.status, 200);
}

#[tokio::test]
async fn connections_are_closed_and_refused_when_told() {
    let world = World::new().await;
    let mut sender = world.connect().await;
    send(&mut sender, world.order("a")).await.unwrap();
    world.exchange.close_idle();
    assert!(send(&mut sender, world.order("b")).await.is_err());
    let mut sender = world.connect().await;
    world.exchange.refuse_connections(true).await;
    let refused = tokio::net::TcpStream::connect(world.exchange.address()).await;
    assert_eq!(
        refused.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    // What stands goes on.
    send(&mut sender, world.order("c")).await.unwrap();
    world.exchange.refuse_connections(false).await;
    let mut sender = world.connect().await;
    world.exchange.close_all();
    assert!(send(&mut sender, world.order("d")).await.is_err());
    assert_eq!(world.exchange.connections(), 3);
}

#[tokio::test]
async fn the_port_is_free_again_when_the_exchange_is_dropped() {
    let world = World::new().await;
    let address = world.exchange.address();
    let mut sender = world.connect().await;
    drop(world);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    while sender.ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
}
