//! The WebSocket API and market streams.

use std::time::Duration;

use futures_util::SinkExt as _;
use outrider::roles::demo::exchange::Fault;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{ED25519_ID, HMAC_ID, PATIENCE, Socket, World, ask, closed, hear};

fn order(name: &str) -> Value {
    json!({
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
        "price": "50000", "newClientOrderId": name,
    })
}

fn plain(method: &str, params: &Value) -> Value {
    json!({"id": 7, "method": method, "params": params})
}

async fn code(socket: &mut Socket, frame: &Value) -> Value {
    ask(socket, frame).await["error"]["code"].clone()
}

#[tokio::test]
async fn orders_are_placed_and_their_owner_hears_of_them() {
    let world = World::new().await;
    world.stop_clock();
    let mut socket = world.socket("/ws-api/v3").await;
    let time = ask(&mut socket, &json!({"id": 5, "method": "time"})).await;
    assert_eq!((&time["id"], &time["status"]), (&json!(5), &json!(200)));
    // Two for the connection, one for the question.
    assert_eq!(time["rateLimits"][0]["count"], 3);
    let subscribe = world.frame(HMAC_ID, "userDataStream.subscribe.signature", json!({}));
    let subscribed = ask(&mut socket, &subscribe).await;
    assert_eq!(subscribed["result"]["subscriptionId"], 0, "{subscribed}");
    let placed = world.frame(HMAC_ID, "order.place", order("a"));
    let placed = ask(&mut socket, &placed).await;
    assert_eq!(placed["result"]["status"], "NEW", "{placed}");
    assert_eq!(placed["rateLimits"][0]["rateLimitType"], "ORDERS");
    let event = hear(&mut socket).await;
    let report = (
        &event["event"]["e"],
        &event["event"]["x"],
        &event["event"]["c"],
    );
    assert_eq!(
        report,
        (&json!("executionReport"), &json!("NEW"), &json!("a"))
    );
    assert_eq!(
        hear(&mut socket).await["event"]["e"],
        "outboundAccountPosition"
    );
    // What REST does is heard here as well.
    world.send(world.order("b")).await;
    assert_eq!(hear(&mut socket).await["event"]["c"], "b");
    hear(&mut socket).await;
    let open = world.frame(HMAC_ID, "openOrders.status", json!({}));
    assert_eq!(
        ask(&mut socket, &open).await["result"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let cancel = json!({"symbol": "BTCUSDT", "origClientOrderId": "a"});
    let cancelled = ask(&mut socket, &world.frame(HMAC_ID, "order.cancel", cancel)).await;
    assert_eq!(cancelled["result"]["status"], "CANCELED");
    assert_eq!(hear(&mut socket).await["event"]["x"], "CANCELED");
    hear(&mut socket).await;
    let nothing = plain("userDataStream.unsubscribe", &json!({}));
    assert_eq!(ask(&mut socket, &nothing).await["status"], 200);
    assert_eq!(world.exchange.violations(), [""; 0]);
}

#[tokio::test]
async fn only_ed25519_authenticates_a_session() {
    let world = World::new().await;
    let mut socket = world.socket("/ws-api/v3").await;
    let refused = world.frame(HMAC_ID, "session.logon", json!({}));
    assert_eq!(code(&mut socket, &refused).await, -4056);
    let without = json!({"timestamp": world.now_ms()});
    assert_eq!(
        code(&mut socket, &plain("account.status", &without)).await,
        -1102
    );
    assert_eq!(
        code(&mut socket, &plain("userDataStream.subscribe", &json!({}))).await,
        -2015
    );
    let logon = ask(
        &mut socket,
        &world.frame(ED25519_ID, "session.logon", json!({})),
    )
    .await;
    assert_eq!(logon["result"]["apiKey"], ED25519_ID);
    let account = ask(&mut socket, &plain("account.status", &without)).await;
    assert_eq!(account["status"], 200);
    assert_eq!(
        code(&mut socket, &plain("account.status", &json!({}))).await,
        -1102
    );
    let subscribed = ask(&mut socket, &plain("userDataStream.subscribe", &json!({}))).await;
    assert_eq!(subscribed["result"]["subscriptionId"], 0);
    world.exchange.revoke_key(ED25519_ID);
    let revoked = ask(&mut socket, &plain("account.status", &without)).await;
    let shown = (
        &revoked["id"],
        &revoked["status"],
        &revoked["error"]["code"],
    );
    assert_eq!(shown, (&Value::Null, &json!(401), &json!(-2015)));
    let status = ask(&mut socket, &plain("session.status", &json!({}))).await;
    assert_eq!(status["result"]["apiKey"], Value::Null);
}

#[tokio::test]
async fn wrong_frames_are_refused_in_the_exchanges_words() {
    let world = World::new().await;
    world.stop_clock();
    let mut socket = world.socket("/ws-api/v3?returnRateLimits=false").await;
    let mut forged = world.frame(HMAC_ID, "order.place", order("a"));
    forged["params"]["quantity"] = json!("0.02");
    assert_eq!(code(&mut socket, &forged).await, -1022);
    let mut stale = world.frame(HMAC_ID, "order.place", order("a"));
    stale["params"]["timestamp"] = json!(1);
    assert_eq!(code(&mut socket, &stale).await, -1021);
    assert_eq!(
        code(&mut socket, &plain("order.teleport", &json!({}))).await,
        -1020
    );
    let gone = ask(&mut socket, &plain("userDataStream.start", &json!({}))).await;
    assert_eq!(
        (&gone["status"], &gone["rateLimits"]),
        (&json!(410), &Value::Null)
    );
    socket.send(Message::text("{")).await.unwrap();
    assert_eq!(hear(&mut socket).await["error"]["code"], -1135);
    world.exchange.use_weight(6000);
    let full = ask(&mut socket, &plain("time", &json!({}))).await;
    assert_eq!(
        (&full["status"], &full["error"]["code"]),
        (&json!(429), &json!(-1003))
    );
    let after = full["error"]["data"]["retryAfter"].as_i64().unwrap();
    assert!((world.now_ms()..=world.now_ms() + 60_000).contains(&after));
    assert_eq!(world.exchange.orders_placed(), 0);
}

#[tokio::test]
async fn faults_befall_frames_too() {
    let world = World::new().await;
    let mut socket = world.socket("/ws-api/v3").await;
    world.exchange.fault(
        Fault::UnknownOutcome(Duration::from_millis(1)),
        "ws order.place",
        1,
    );
    let frame = world.frame(HMAC_ID, "order.place", order("a"));
    assert_eq!(code(&mut socket, &frame).await, -1007);
    assert_eq!(world.exchange.orders_placed(), 1);
    world
        .exchange
        .fault(Fault::ResetAfterwards, "ws order.place", 1);
    let frame = world.frame(HMAC_ID, "order.place", order("b"));
    socket.send(Message::text(frame.to_string())).await.unwrap();
    assert_eq!(closed(&mut socket).await, None);
    assert_eq!(world.exchange.orders_placed(), 2);
}

#[tokio::test]
async fn a_connection_is_pinged_and_has_an_end() {
    let world = World::with(|options| {
        options.sockets.ping_every = Duration::from_millis(10);
        options.sockets.life = Duration::from_secs(3);
    })
    .await;
    let mut socket = world.socket("/ws-api/v3").await;
    world.exchange.announce_shutdown();
    // Reading answers the pings.
    assert_eq!(hear(&mut socket).await["event"]["e"], "serverShutdown");
    assert_eq!(closed(&mut socket).await, Some((1000, String::new())));
}

#[tokio::test]
async fn a_connection_without_pongs_is_closed() {
    let world = World::with(|options| {
        options.sockets.ping_every = Duration::from_millis(10);
        options.sockets.pong_within = Duration::from_millis(20);
    })
    .await;
    // Who only reads bytes answers no ping.
    let mut stream = world.socket("/ws-api/v3").await.into_inner();
    let mut heard = Vec::new();
    let reading = stream.read_to_end(&mut heard);
    // It ends without the word that TLS has for that.
    let _ended = tokio::time::timeout(PATIENCE, reading).await.unwrap();
    let close = b"\x88\x0e\x03\xf0Pong timeout";
    assert!(heard.ends_with(close), "{}", heard.escape_ascii());
}

#[tokio::test]
async fn market_streams_tell_what_was_subscribed_to() {
    let world = World::with(|options| options.sockets.push_every = Duration::from_millis(5)).await;
    let mut one = world.socket("/ws/btcusdt@trade").await;
    let trade = hear(&mut one).await;
    assert_eq!(
        (&trade["e"], &trade["s"]),
        (&json!("trade"), &json!("BTCUSDT"))
    );
    let mut many = world
        .socket("/stream?streams=btcusdt@depth/ethusdt@bookTicker")
        .await;
    assert_eq!(hear(&mut many).await["stream"], "btcusdt@depth");
    assert_eq!(hear(&mut many).await["data"]["s"], "ETHUSDT");
    let mut later = world.socket("/ws").await;
    let subscribe = json!({"method": "SUBSCRIBE", "params": ["bnbusdt@aggTrade"], "id": 3});
    assert_eq!(
        ask(&mut later, &subscribe).await,
        json!({"result": null, "id": 3})
    );
    assert_eq!(hear(&mut later).await["s"], "BNBUSDT");
    assert_eq!(world.exchange.violations(), [""; 0]);
}

#[tokio::test]
async fn a_credential_on_a_market_stream_is_a_violation() {
    let world = World::new().await;
    let mut socket = world.socket("/ws").await;
    let logon = world.frame(HMAC_ID, "SUBSCRIBE", json!({}));
    ask(&mut socket, &logon).await;
    assert_eq!(world.exchange.violations().len(), 1);
    world
        .socket("/stream?streams=btcusdt@trade&signature=1")
        .await;
    assert_eq!(world.exchange.violations().len(), 2);
}

#[tokio::test]
async fn a_client_that_talks_too_much_is_closed() {
    let world = World::new().await;
    world.exchange.clock().stop_at_us(1_700_000_000_000_000);
    let mut socket = world.socket("/ws").await;
    let list = json!({"method": "LIST_SUBSCRIPTIONS", "id": 1});
    for _ in 0..5 {
        ask(&mut socket, &list).await;
    }
    socket.send(Message::text(list.to_string())).await.unwrap();
    assert_eq!(
        closed(&mut socket).await,
        Some((1008, "Too many requests".to_owned()))
    );
}
