//! The routes and methods of the futures exchanges, as far as clients trade by them. Tables, nothing else.

use super::super::market::Ticker;
use super::{Cost, Method, Operation, Rest, Route, Steps};
use super::{delete, get, key, open, open_by, post, put, trade, user, user_by};

const DEPTH_STEPS: Steps = &[(50, 2), (100, 5), (500, 10)];
const DEPTH: Route = open_by(Cost::Limit(DEPTH_STEPS, 20, 500), Operation::Depth);
const KLINE_STEPS: Steps = &[(99, 1), (499, 2), (1_000, 5)];
const KLINES: Route = open_by(Cost::Limit(KLINE_STEPS, 10, 500), Operation::Klines);
const PRICE: Route = open_by(Cost::Symbol(1, 2), Operation::Ticker(Ticker::Price));
const BOOK: Route = open_by(Cost::Symbol(2, 5), Operation::Ticker(Ticker::Book));
const DAY: Route = open_by(Cost::Symbol(1, 40), Operation::Ticker(Ticker::Day));
const OPEN_ORDERS: Route = user_by(Cost::Symbol(1, 40), Operation::OpenOrders);
const START: Route = key(1, Operation::StartListening);
const GO_ON: Route = key(1, Operation::GoOnListening);
const STOP: Route = key(1, Operation::StopListening);

/// A new order counts as an order only.
const PLACE: Route = trade(Cost::Always(0), Operation::Place);
/// What trades and is counted by weight.
const fn trades(operation: Operation) -> Route {
    trade(Cost::Always(1), operation)
}

pub(in super::super) const USD_M: &[Rest] = &[
    get("/fapi/v1/ping", open(1, Operation::Ping)),
    get("/fapi/v1/time", open(1, Operation::Time)),
    get("/fapi/v1/exchangeInfo", open(1, Operation::Info)),
    get("/fapi/v1/depth", DEPTH),
    get("/fapi/v1/klines", KLINES),
    get("/fapi/v1/trades", open(5, Operation::Trades)),
    get("/fapi/v1/historicalTrades", key(200, Operation::Trades)),
    get("/fapi/v1/aggTrades", open(20, Operation::Aggregates)),
    get("/fapi/v1/ticker/price", PRICE),
    get("/fapi/v2/ticker/price", PRICE),
    get("/fapi/v1/ticker/bookTicker", BOOK),
    get("/fapi/v1/ticker/24hr", DAY),
    get("/fapi/v2/account", user(5, Operation::Account)),
    get("/fapi/v3/account", user(5, Operation::Account)),
    get("/fapi/v2/balance", user(5, Operation::Balance)),
    get("/fapi/v3/balance", user(5, Operation::Balance)),
    get("/fapi/v2/positionRisk", user(5, Operation::Positions)),
    get("/fapi/v3/positionRisk", user(5, Operation::Positions)),
    post("/fapi/v1/order", PLACE),
    post("/fapi/v1/order/test", trades(Operation::Test)),
    get("/fapi/v1/order", user(1, Operation::Status)),
    delete("/fapi/v1/order", trades(Operation::Cancel)),
    get("/fapi/v1/openOrders", OPEN_ORDERS),
    delete("/fapi/v1/allOpenOrders", trades(Operation::CancelAll)),
    get("/fapi/v1/allOrders", user(5, Operation::AllOrders)),
    get("/fapi/v1/userTrades", user(5, Operation::MyTrades)),
    get("/fapi/v1/rateLimit/order", user(1, Operation::OrderLimits)),
    post("/fapi/v1/listenKey", START),
    put("/fapi/v1/listenKey", GO_ON),
    delete("/fapi/v1/listenKey", STOP),
    post("/fapi/v1/convert/acceptQuote", trades(Operation::Withdraw)),
    post("/sapi/v1/asset/transfer", trades(Operation::Withdraw)),
];

pub(in super::super) const USD_M_METHODS: &[Method] = &[
    ("depth", DEPTH),
    ("ticker.price", PRICE),
    ("ticker.book", BOOK),
    ("order.place", PLACE),
    ("order.cancel", trades(Operation::Cancel)),
    ("order.status", user(1, Operation::Status)),
    ("account.status", user(5, Operation::Account)),
    ("v2/account.status", user(5, Operation::Account)),
    ("account.balance", user(5, Operation::Balance)),
    ("v2/account.balance", user(5, Operation::Balance)),
    ("account.position", user(5, Operation::Positions)),
    ("v2/account.position", user(5, Operation::Positions)),
    ("userDataStream.start", START),
    ("userDataStream.ping", GO_ON),
    ("userDataStream.stop", STOP),
];

pub(in super::super) const COIN_M: &[Rest] = &[
    get("/dapi/v1/ping", open(1, Operation::Ping)),
    get("/dapi/v1/time", open(1, Operation::Time)),
    get("/dapi/v1/exchangeInfo", open(1, Operation::Info)),
    get("/dapi/v1/depth", DEPTH),
    get("/dapi/v1/klines", KLINES),
    get("/dapi/v1/trades", open(5, Operation::Trades)),
    get("/dapi/v1/historicalTrades", key(200, Operation::Trades)),
    get("/dapi/v1/aggTrades", open(20, Operation::Aggregates)),
    get("/dapi/v1/account", user(5, Operation::Account)),
    get("/dapi/v1/balance", user(1, Operation::Balance)),
    get("/dapi/v1/positionRisk", user(1, Operation::Positions)),
    post("/dapi/v1/order", PLACE),
    get("/dapi/v1/order", user(1, Operation::Status)),
    delete("/dapi/v1/order", trades(Operation::Cancel)),
    get("/dapi/v1/openOrders", OPEN_ORDERS),
    delete("/dapi/v1/allOpenOrders", trades(Operation::CancelAll)),
    get(
        "/dapi/v1/allOrders",
        user_by(Cost::Symbol(20, 40), Operation::AllOrders),
    ),
    get(
        "/dapi/v1/userTrades",
        user_by(Cost::Symbol(20, 40), Operation::MyTrades),
    ),
    post("/dapi/v1/listenKey", START),
    put("/dapi/v1/listenKey", GO_ON),
    delete("/dapi/v1/listenKey", STOP),
    post("/sapi/v1/asset/transfer", trades(Operation::Withdraw)),
];

pub(in super::super) const COIN_M_METHODS: &[Method] = &[
    ("order.place", PLACE),
    ("order.cancel", trades(Operation::Cancel)),
    ("order.status", user(1, Operation::Status)),
    ("account.status", user(5, Operation::Account)),
    ("account.balance", user(5, Operation::Balance)),
    ("account.position", user(5, Operation::Positions)),
    ("userDataStream.start", START),
    ("userDataStream.ping", GO_ON),
    ("userDataStream.stop", STOP),
];
