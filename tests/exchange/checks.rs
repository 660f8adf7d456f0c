//! REST: the checks in their order, the order book behind them, and what is noted as a violation.

use http::{HeaderName, HeaderValue, Method};
use serde_json::json;

use crate::world::{ED25519_ID, HMAC_ID, READER_ID, World, hmac_hex, send};

#[tokio::test]
async fn each_check_has_its_status_and_code() {
    let world = World::new().await;
    world.stop_clock();
    let now = world.now_ms();
    let sign = |params: &str| format!("{params}&signature={}", hmac_hex(params));
    let good = format!("timestamp={now}");
    let unknown = "x".repeat(64);
    let missing = sign("recvWindow=1");
    let stale = sign("timestamp=1&timestamp=1");
    let twice = sign(&format!("{good}&a=1&a=2"));
    let forged = format!("{good}&signature=00");
    let first = format!("signature={}&{good}", hmac_hex(&good));
    let no_market = sign(&format!("symbol=NONE&{good}"));
    let right = sign(&good);
    let table = [
        ("GET", "nothing", "", HMAC_ID, 404, 0),
        ("PUT", "order", "", HMAC_ID, 405, 0),
        ("GET", "account", &right, "short", 401, -2014),
        ("GET", "account", &right, &unknown, 401, -2015),
        ("POST", "order", &right, READER_ID, 401, -2015),
        ("GET", "account", &missing, HMAC_ID, 400, -1102),
        ("GET", "account", &stale, HMAC_ID, 400, -1021),
        ("GET", "account", &twice, HMAC_ID, 400, -1101),
        ("GET", "account", &good, HMAC_ID, 400, -1102),
        ("GET", "account", &forged, HMAC_ID, 400, -1022),
        ("GET", "account", &first, HMAC_ID, 400, -1022),
        ("GET", "account", &right, ED25519_ID, 400, -1022),
        ("GET", "account", &right, READER_ID, 200, 0),
        ("GET", "order", &right, HMAC_ID, 400, -1102),
        ("GET", "allOrders", &no_market, HMAC_ID, 400, -1121),
    ];
    for (method, path, query, key, status, code) in table {
        let target = format!("/api/v3/{path}?{query}");
        let method = method.parse().unwrap();
        let answer = world.send(world.keyed(method, &target, "", key)).await;
        let found = (answer.status, answer.code());
        assert_eq!(found, (status, code), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn bodies_are_forms_and_belong_to_requests_that_change_something() {
    let world = World::new().await;
    world.stop_clock();
    let params = format!("timestamp={}", world.now_ms());
    let body = format!("{params}&signature={}", hmac_hex(&params));
    let get = world.keyed(Method::GET, "/api/v3/account", &body, HMAC_ID);
    assert_eq!(world.send(get).await.status, 400);
    let mut post = world.keyed(Method::POST, "/api/v3/order", &body, HMAC_ID);
    let json = HeaderValue::from_static("application/json");
    post.headers_mut().insert("content-type", json);
    assert_eq!(world.send(post).await.status, 415);
}

#[tokio::test]
async fn an_order_lives_as_it_does_on_the_real_exchange() {
    let world = World::new().await;
    let placed = world.send(world.order("one")).await;
    assert_eq!(
        (placed.status, &placed.body["status"]),
        (200, &json!("NEW")),
        "{placed:?}"
    );
    assert_eq!(placed.header("x-mbx-order-count-10s"), "1");
    assert_eq!(placed.header("x-mbx-order-count-1d"), "1");
    assert_eq!(placed.header("x-mbx-used-weight-1m"), "0");
    let again = world.send(world.order("one")).await;
    assert_eq!((again.status, again.code()), (400, -2010));
    assert_eq!(again.body["msg"], "Duplicate order sent.");
    assert_eq!(again.header("x-mbx-used-weight-1m"), "1");
    let by_name = "symbol=BTCUSDT&origClientOrderId=one";
    let found = world.signed(Method::GET, "/api/v3/order", by_name).await;
    assert_eq!(found.body["orderId"], placed.body["orderId"]);
    let open = world.signed(Method::GET, "/api/v3/openOrders", "").await;
    assert_eq!(open.body.as_array().unwrap().len(), 1);
    let cancelled = world.signed(Method::DELETE, "/api/v3/order", by_name).await;
    assert_eq!(cancelled.body["status"], "CANCELED");
    let gone = world.signed(Method::DELETE, "/api/v3/order", by_name).await;
    assert_eq!((gone.status, gone.code()), (400, -2011));
    let none = "symbol=BTCUSDT&orderId=77";
    let none = world.signed(Method::GET, "/api/v3/order", none).await;
    assert_eq!((none.status, none.code()), (400, -2013));
    let poor = "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=1000";
    let poor = world.signed(Method::POST, "/api/v3/order", poor).await;
    assert_eq!((poor.status, poor.code()), (400, -2010));
    let taken = "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=1";
    let taken = world.signed(Method::POST, "/api/v3/order", taken).await;
    assert_eq!(taken.body["fills"][0]["price"], "59999.99000000");
    let trades = world
        .signed(Method::GET, "/api/v3/myTrades", "symbol=BTCUSDT")
        .await;
    assert_eq!(trades.body.as_array().unwrap().len(), 1);
    let counts = (
        world.exchange.orders_placed(),
        world.exchange.orders_cancelled(),
    );
    assert_eq!(counts, (2, 1));
    assert_eq!(world.exchange.violations(), [""; 0]);
}

#[tokio::test]
async fn an_order_is_replaced_wholly_or_says_which_half_failed() {
    let world = World::new().await;
    world.send(world.order("old")).await;
    let replace = |cancel: &str, quantity: &str, mode: &str| {
        let params = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity={quantity}&price=40000\
             &newClientOrderId=new&cancelOrigClientOrderId={cancel}&cancelReplaceMode={mode}"
        );
        world.signed_request(Method::POST, "/api/v3/order/cancelReplace", &params)
    };
    let none = world.send(replace("none", "1", "STOP_ON_FAILURE")).await;
    assert_eq!((none.status, none.code()), (400, -2022));
    assert_eq!(none.body["data"]["newOrderResult"], "NOT_ATTEMPTED");
    let half = world.send(replace("old", "100000", "ALLOW_FAILURE")).await;
    assert_eq!((half.status, half.code()), (409, -2021));
    world.send(world.order("old")).await;
    let both = world.send(replace("old", "1", "STOP_ON_FAILURE")).await;
    assert_eq!(
        (both.status, &both.body["newOrderResult"]),
        (200, &json!("SUCCESS"))
    );
}

#[tokio::test]
async fn times_are_shown_in_the_unit_that_was_asked_for() {
    let world = World::new().await;
    world.exchange.clock().stop_at_us(1_700_000_000_123_456);
    assert_eq!(
        world.get("/api/v3/time").await.body["serverTime"],
        1_700_000_000_123_i64
    );
    let mut request = world.request(Method::GET, "/api/v3/time", "");
    let unit = HeaderValue::from_static("MICROSECOND");
    request.headers_mut().insert("x-mbx-time-unit", unit);
    assert_eq!(
        world.send(request).await.body["serverTime"],
        1_700_000_000_123_456_i64
    );
}

#[tokio::test]
async fn public_data_are_there_for_every_client() {
    let world = World::new().await;
    for path in [
        "ping",
        "time",
        "exchangeInfo",
        "depth?symbol=BTCUSDT",
        "trades?symbol=BTCUSDT",
        "aggTrades?symbol=BTCUSDT",
        "historicalTrades?symbol=BTCUSDT",
        "klines?symbol=BTCUSDT&interval=1m",
        "ticker/price",
        "ticker/24hr?symbol=ETHBTC",
        "ticker/bookTicker?symbols=%5B%22BTCUSDT%22%5D",
    ] {
        let answer = world.get(&format!("/api/v3/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    assert_eq!(world.get("/api/v3/depth").await.code(), -1102);
    assert_eq!(world.exchange.violations(), [""; 0]);
    assert_eq!(world.exchange.requests()["GET /api/v3/time"], 1);
}

#[tokio::test]
async fn what_should_never_arrive_is_a_violation() {
    let world = World::new().await;
    let noted = |part: &str| {
        let violations = world.exchange.violations();
        assert!(
            violations.iter().any(|text| text.contains(part)),
            "{part}: {violations:?}"
        );
        world.exchange.clear_violations();
    };
    world
        .send(world.keyed(Method::GET, "/api/v3/time", "", HMAC_ID))
        .await;
    noted("a key came");
    world.get("/api/v3/time?timestamp=1&signature=1").await;
    noted("a signature or timestamp came");
    for name in [
        "authorization",
        "x-forwarded-for",
        "outrider-subject",
        "via",
        "te",
        "cookie",
    ] {
        let mut request = world.request(Method::GET, "/api/v3/time", "");
        let value = HeaderValue::from_static("1");
        request
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
        world.send(request).await;
        noted(&format!("the header `{name}`"));
    }
    let mut request = world.request(Method::GET, "/api/v3/time", "");
    let host = HeaderValue::from_static("127.0.0.2:9101");
    request.headers_mut().insert("host", host);
    world.send(request).await;
    noted("a foreign Host");
    world
        .signed(Method::POST, "/sapi/v1/capital/withdraw/apply", "coin=BTC")
        .await;
    noted("a withdrawal reached the exchange");
    assert_eq!(world.exchange.withdrawals(), 1);
}

#[tokio::test]
async fn a_signed_request_that_comes_twice_is_noticed() {
    let world = World::new().await;
    world.stop_clock();
    let mut sender = world.connect().await;
    let read = world.signed_request(Method::GET, "/api/v3/account", "");
    for _ in 0..2 {
        assert_eq!(send(&mut sender, read.clone()).await.unwrap().status, 200);
    }
    assert_eq!(world.exchange.repeated_reads(), 1);
    assert_eq!(world.exchange.violations(), [""; 0]);
    let order = world.signed_request(
        Method::POST,
        "/api/v3/order",
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1",
    );
    for _ in 0..2 {
        assert_eq!(send(&mut sender, order.clone()).await.unwrap().status, 200);
    }
    assert_eq!(world.exchange.orders_placed(), 2);
    assert_eq!(world.exchange.violations().len(), 1);
}
