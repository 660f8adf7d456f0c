//! The routes and methods of the spot exchange. A table, nothing else.

use super::super::market::Ticker;
use super::{Cost, Method, Operation, Rest, Route, Steps};
use super::{delete, get, open, open_by, post, trade, user, user_by};

/// Since 2026-04-02 only what is refused is charged.
const IF_REFUSED: Cost = Cost::IfRefused(1);

const DEPTH_STEPS: Steps = &[(100, 5), (500, 25), (1_000, 50)];
const DEPTH: Route = open_by(Cost::Limit(DEPTH_STEPS, 250, 100), Operation::Depth);
const PRICE: Route = open_by(Cost::Symbol(2, 4), Operation::Ticker(Ticker::Price));
const BOOK: Route = open_by(Cost::Symbol(2, 4), Operation::Ticker(Ticker::Book));
const DAY_STEPS: Steps = &[(20, 2), (100, 40)];
const DAY: Route = open_by(Cost::Symbols(DAY_STEPS, 80), Operation::Ticker(Ticker::Day));
const OPEN_ORDERS: Route = user_by(Cost::Symbol(6, 80), Operation::OpenOrders);
const WITHDRAW: Route = trade(Cost::Always(1), Operation::Withdraw);

pub(in super::super) const REST: &[Rest] = &[
    get("/api/v3/ping", open(1, Operation::Ping)),
    get("/api/v3/time", open(1, Operation::Time)),
    get("/api/v3/exchangeInfo", open(20, Operation::Info)),
    get("/api/v3/depth", DEPTH),
    get("/api/v3/klines", open(2, Operation::Klines)),
    get("/api/v3/trades", open(25, Operation::Trades)),
    get("/api/v3/aggTrades", open(4, Operation::Aggregates)),
    get("/api/v3/historicalTrades", open(25, Operation::Trades)),
    get("/api/v3/ticker/price", PRICE),
    get("/api/v3/ticker/bookTicker", BOOK),
    get("/api/v3/ticker/24hr", DAY),
    get("/api/v3/account", user(20, Operation::Account)),
    get("/api/v3/openOrders", OPEN_ORDERS),
    delete(
        "/api/v3/openOrders",
        trade(IF_REFUSED, Operation::CancelAll),
    ),
    get("/api/v3/order", user(4, Operation::Status)),
    post("/api/v3/order", trade(IF_REFUSED, Operation::Place)),
    delete("/api/v3/order", trade(IF_REFUSED, Operation::Cancel)),
    post(
        "/api/v3/order/test",
        trade(Cost::Always(1), Operation::Test),
    ),
    post(
        "/api/v3/order/cancelReplace",
        trade(IF_REFUSED, Operation::Replace),
    ),
    get("/api/v3/allOrders", user(20, Operation::AllOrders)),
    get("/api/v3/myTrades", user(20, Operation::MyTrades)),
    get("/api/v3/rateLimit/order", user(40, Operation::OrderLimits)),
    post("/sapi/v1/capital/withdraw/apply", WITHDRAW),
    post("/sapi/v1/asset/transfer", WITHDRAW),
];

pub(in super::super) const METHODS: &[Method] = &[
    ("ping", open(1, Operation::Ping)),
    ("time", open(1, Operation::Time)),
    ("exchangeInfo", open(20, Operation::Info)),
    ("depth", DEPTH),
    ("klines", open(2, Operation::Klines)),
    ("trades.recent", open(25, Operation::Trades)),
    ("trades.historical", open(25, Operation::Trades)),
    ("trades.aggregate", open(4, Operation::Aggregates)),
    ("ticker.price", PRICE),
    ("ticker.book", BOOK),
    ("ticker.24hr", DAY),
    ("order.place", trade(IF_REFUSED, Operation::Place)),
    ("order.test", trade(Cost::Always(1), Operation::Test)),
    ("order.cancel", trade(IF_REFUSED, Operation::Cancel)),
    ("order.cancelReplace", trade(IF_REFUSED, Operation::Replace)),
    ("order.status", user(4, Operation::Status)),
    ("openOrders.status", OPEN_ORDERS),
    (
        "openOrders.cancelAll",
        trade(IF_REFUSED, Operation::CancelAll),
    ),
    ("allOrders", user(20, Operation::AllOrders)),
    ("myTrades", user(20, Operation::MyTrades)),
    ("account.status", user(20, Operation::Account)),
    (
        "account.rateLimits.orders",
        user(40, Operation::OrderLimits),
    ),
];
