//! The stand-in exchange as a futures market: its paths, its errors, its headers, and what is noted as a violation.

use futures_util::SinkExt as _;
use http::Method;
use outrider::roles::demo::exchange::{Market, Options};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{ED25519_ID, HMAC_ID, READER_ID, World, ask, hear, hmac_hex};

/// A moment 29 seconds before a full minute, in microseconds since 1970. Who asks twice alike steps on by a millisecond, or
/// both would have one signature.
const STOPPED_US: i64 = 1_700_000_071_000_000;

async fn world(market: Market) -> World {
    let world = World::of(Options::of(market), |_| {}).await;
    world.exchange.clock().stop_at_us(STOPPED_US);
    world
}

/// The parameters of an order that rests in the book.
fn order(symbol: &str, name: &str) -> String {
    format!(
        "symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=2&price=50000&newClientOrderId={name}"
    )
}

#[tokio::test]
async fn each_check_has_its_status_and_code() {
    let world = world(Market::UsdM).await;
    let sign = |params: &str| format!("{params}&signature={}", hmac_hex(params));
    let good = format!("timestamp={}", world.now_ms());
    let right = sign(&good);
    let ahead = sign(&format!("timestamp={}", world.now_ms() + 1_000));
    let forged = format!("{good}&signature=00");
    let ordered = |more: &str| sign(&format!("{}{more}&{good}", order("BTCUSDT", "a")));
    let hedged = ordered("&positionSide=LONG");
    let odd = ordered("&newOrderRespType=NONE");
    let unknown = "x".repeat(64);
    for (method, path, query, key, status, code) in [
        ("GET", "/fapi/v1/nothing", "", HMAC_ID, 404, 0),
        ("GET", "/api/v3/time", "", HMAC_ID, 404, 0),
        ("GET", "/dapi/v1/time", "", HMAC_ID, 404, 0),
        ("PUT", "/fapi/v1/openOrders", "", HMAC_ID, 405, 0),
        ("GET", "/fapi/v3/account", &right, "short", 401, -2014),
        ("GET", "/fapi/v3/account", &right, &unknown, 401, -2015),
        ("POST", "/fapi/v1/order", &right, READER_ID, 401, -2015),
        ("GET", "/fapi/v3/account", &good, HMAC_ID, 400, -1102),
        ("GET", "/fapi/v3/account", &ahead, HMAC_ID, 400, -1021),
        ("GET", "/fapi/v3/account", &forged, HMAC_ID, 400, -1022),
        ("GET", "/fapi/v3/account", &right, HMAC_ID, 200, 0),
        ("POST", "/fapi/v1/order", &hedged, HMAC_ID, 400, -4061),
        ("POST", "/fapi/v1/order", &odd, HMAC_ID, 400, -1100),
        ("PUT", "/fapi/v1/listenKey", "", HMAC_ID, 400, -1125),
        ("POST", "/fapi/v1/listenKey", "", &unknown, 401, -2015),
        ("POST", "/fapi/v1/listenKey", "", HMAC_ID, 200, 0),
        ("PUT", "/fapi/v1/listenKey", "", HMAC_ID, 200, 0),
        ("DELETE", "/fapi/v1/listenKey", "", HMAC_ID, 200, 0),
        (
            "GET",
            "/fapi/v1/historicalTrades",
            "symbol=BTCUSDT",
            HMAC_ID,
            200,
            0,
        ),
    ] {
        let target = format!("{path}?{query}");
        let method = method.parse().unwrap();
        let answer = world.send(world.keyed(method, &target, "", key)).await;
        let found = (answer.status, answer.code());
        assert_eq!(found, (status, code), "{target}: {answer:?}");
    }
    assert_eq!(world.exchange.violations(), [""; 0]);
}

#[tokio::test]
async fn an_order_lives_and_is_counted_as_the_market_does() {
    for (market, root, symbol, counts) in [
        (Market::UsdM, "/fapi/v1", "BTCUSDT", ["1", "1"]),
        (Market::CoinM, "/dapi/v1", "BTCUSD_PERP", ["", "1"]),
    ] {
        let world = world(market).await;
        let path = |name: &str| format!("{root}/{name}");
        let place = path("order");
        let placed = world
            .signed(Method::POST, &place, &order(symbol, "one"))
            .await;
        assert_eq!(
            (placed.status, &placed.body["status"]),
            (200, &json!("NEW")),
            "{placed:?}"
        );
        let told = ["10s", "1m"].map(|window| {
            placed
                .header(&format!("x-mbx-order-count-{window}"))
                .to_owned()
        });
        assert_eq!(told, counts);
        assert_eq!(placed.header("x-mbx-order-count-1d"), "");
        assert_eq!(placed.header("x-mbx-used-weight"), "");
        // An order weighs nothing, done or refused.
        assert_eq!(placed.header("x-mbx-used-weight-1m"), "0");
        world.exchange.clock().step_ms(1);
        let again = world
            .signed(Method::POST, &place, &order(symbol, "one"))
            .await;
        assert_eq!((again.status, again.code()), (400, -4116));
        assert_eq!(again.header("x-mbx-used-weight-1m"), "0");
        let open = world.signed(Method::GET, &path("openOrders"), "").await;
        assert_eq!(open.body.as_array().unwrap().len(), 1);
        assert_eq!(open.header("x-mbx-used-weight-1m"), "40");
        let by_name = format!("symbol={symbol}&origClientOrderId=one");
        let cancelled = world.signed(Method::DELETE, &place, &by_name).await;
        assert_eq!(cancelled.body["status"], "CANCELED");
        // A cancel is paid for, done or refused.
        assert_eq!(cancelled.header("x-mbx-used-weight-1m"), "41");
        world.exchange.clock().step_ms(1);
        let gone = world.signed(Method::DELETE, &place, &by_name).await;
        assert_eq!((gone.status, gone.code()), (400, -2011));
        assert_eq!(gone.header("x-mbx-used-weight-1m"), "42");
        let none = format!("symbol={symbol}");
        let none = world
            .signed(Method::DELETE, &path("allOpenOrders"), &none)
            .await;
        assert_eq!((none.status, none.code()), (200, 200));
        let taken =
            format!("symbol={symbol}&side=SELL&type=MARKET&quantity=3&newOrderRespType=RESULT");
        let taken = world.signed(Method::POST, &place, &taken).await;
        assert_eq!(taken.body["avgPrice"], "59999.90000000", "{taken:?}");
        let trades = world
            .signed(
                Method::GET,
                &path("userTrades"),
                &format!("symbol={symbol}"),
            )
            .await;
        assert_eq!(trades.body[0]["qty"], "3.00000000");
        let risk = match market {
            Market::CoinM => "/dapi/v1/positionRisk",
            Market::Spot | Market::UsdM => "/fapi/v3/positionRisk",
        };
        let risk = world.signed(Method::GET, risk, "").await;
        assert_eq!(risk.body[0]["positionAmt"], "-3.00000000");
        assert_eq!(world.exchange.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn what_should_never_arrive_is_a_violation() {
    let world = world(Market::UsdM).await;
    let noted = |part: &str| {
        let violations = world.exchange.violations();
        let found = violations.iter().any(|text| text.contains(part));
        assert!(found, "{part}: {violations:?}");
        world.exchange.clear_violations();
    };
    world
        .send(world.keyed(Method::GET, "/fapi/v1/time", "", HMAC_ID))
        .await;
    noted("a key came");
    world.signed(Method::POST, "/fapi/v1/listenKey", "").await;
    noted("a signature or timestamp came");
    world
        .signed(Method::POST, "/fapi/v1/convert/acceptQuote", "quoteId=1")
        .await;
    noted("a withdrawal reached the exchange");
    world
        .signed(Method::POST, "/sapi/v1/asset/transfer", "asset=BTC")
        .await;
    noted("a withdrawal reached the exchange");
    assert_eq!(world.exchange.withdrawals(), 2);
    let mut socket = world.socket("/ws-fapi/v1").await;
    let signed = world.frame(HMAC_ID, "userDataStream.start", json!({}));
    ask(&mut socket, &signed).await;
    noted("a signature or timestamp came with `ws userDataStream.start`");
    let order = world.signed_request(Method::POST, "/fapi/v1/order", &order("BTCUSDT", "x"));
    for _ in 0..2 {
        world.send(order.clone()).await;
    }
    noted("the signed request `POST /fapi/v1/order` came twice");
}

#[tokio::test]
async fn a_session_trades_over_the_websocket_api() {
    for (market, path, symbol) in [
        (Market::UsdM, "/ws-fapi/v1", "BTCUSDT"),
        (Market::CoinM, "/ws-dapi/v1", "BTCUSD_PERP"),
    ] {
        let world = world(market).await;
        let mut socket = world.socket(path).await;
        let refused = world.frame(HMAC_ID, "session.logon", json!({}));
        assert_eq!(ask(&mut socket, &refused).await["error"]["code"], -4056);
        let log_on = world.frame(ED25519_ID, "session.logon", json!({}));
        let logged_on = ask(&mut socket, &log_on).await;
        assert_eq!(logged_on["result"]["apiKey"], ED25519_ID, "{logged_on}");
        // Five for the connection, two for each attempt.
        assert_eq!(logged_on["rateLimits"][0]["count"], 9);
        let params = json!({
            "symbol": symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "1", "price": "50000",
            "timestamp": world.now_ms(),
        });
        let frame =
            |method: &str, params: &Value| json!({"id": 1, "method": method, "params": params});
        let placed = ask(&mut socket, &frame("order.place", &params)).await;
        assert_eq!(placed["result"]["timeInForce"], "GTX", "{placed}");
        let limits = placed["rateLimits"].as_array().unwrap();
        let counted: Vec<_> = limits
            .iter()
            .map(|limit| limit["interval"].as_str().unwrap())
            .collect();
        match market {
            Market::CoinM => assert_eq!(counted, ["MINUTE", "MINUTE"]),
            Market::Spot | Market::UsdM => assert_eq!(counted, ["SECOND", "MINUTE", "MINUTE"]),
        }
        let named = json!({"symbol": symbol, "orderId": placed["result"]["orderId"], "timestamp": world.now_ms()});
        let cancelled = ask(&mut socket, &frame("order.cancel", &named)).await;
        assert_eq!(cancelled["result"]["status"], "CANCELED", "{cancelled}");
        // Spot's own methods are none of theirs.
        let nothing = frame("userDataStream.subscribe", &json!({}));
        assert_eq!(ask(&mut socket, &nothing).await["error"]["code"], -1020);
        assert_eq!(world.exchange.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_listen_key_tells_of_its_account() {
    for (market, root, stream, symbol) in [
        (Market::UsdM, "/fapi/v1", "/private/ws", "BTCUSDT"),
        (Market::CoinM, "/dapi/v1", "/ws", "BTCUSD_PERP"),
    ] {
        let world = world(market).await;
        let path = format!("{root}/listenKey");
        let started = world
            .send(world.keyed(Method::POST, &path, "", HMAC_ID))
            .await;
        let listen_key = started.body["listenKey"].as_str().unwrap().to_owned();
        let mut socket = world.socket(stream).await;
        let subscribe = json!({"id": 1, "method": "SUBSCRIBE", "params": [listen_key]});
        socket
            .send(Message::text(subscribe.to_string()))
            .await
            .unwrap();
        assert_eq!(hear(&mut socket).await["result"], Value::Null);
        let place = format!("{root}/order");
        world
            .signed(Method::POST, &place, &order(symbol, "one"))
            .await;
        let event = hear(&mut socket).await;
        assert_eq!(
            (&event["e"], &event["o"]["c"]),
            (&json!("ORDER_TRADE_UPDATE"), &json!("one"))
        );
        assert_eq!(hear(&mut socket).await["e"], "ACCOUNT_UPDATE");
        assert_eq!(world.exchange.violations(), [""; 0]);
    }
}
