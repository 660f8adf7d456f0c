//! Binance COIN-M futures: production, testnet and demo trading. One table of endpoints for all three.
//!
//! Weights: what binance-sdk-derivatives-trading-coin-futures 14.0.0 says of each call, and developers.binance.com of sessions
//! and handshakes; compared with ccxt 4.5.90. Where they differ the higher one stands here. Read in November 2026.

use super::binance_usd_m::{DEPTH, KLINES};
use super::{
    Call, Catalogue, Effect, Environment, Growth, Preset, Security, WsMethod, binance_spot, keyed,
    public, signed, site, ws, ws_places,
};
use Effect::{Cancel, Change, Read};
use Security::{KeyOnly as Key, None as Open, Signed};

pub(super) static PRODUCTION: Preset = Preset {
    name: "binance-coinm",
    environment: Environment::Production,
    rest: site("dapi.binance.com", &[]),
    ws_api: Some(site("ws-dapi.binance.com", WS_API)),
    streams: Some(site("dstream.binance.com", STREAMS)),
    ..COMMON
};

pub(super) static TESTNET: Preset = Preset {
    name: "binance-coinm-testnet",
    environment: Environment::Testnet,
    rest: site("testnet.binancefuture.com", &[]),
    ws_api: Some(site("testnet.binancefuture.com", WS_API)),
    streams: Some(site("dstream.binancefuture.com", STREAMS)),
    ..COMMON
};

pub(super) static DEMO: Preset = Preset {
    name: "binance-coinm-demo",
    environment: Environment::Demo,
    rest: site("demo-dapi.binance.com", &[]),
    ..COMMON
};

const WS_API: &[&str] = &["/ws-dapi"];
const STREAMS: &[&str] = &["/ws", "/stream"];

const COMMON: Preset = Preset {
    time: Some("/dapi/v1/time"),
    info: Some("/dapi/v1/exchangeInfo"),
    account: Some("/dapi/v1/account"),
    order_counts: None,
    limits: LIMITS,
    catalogue: Catalogue::Complete(CALLS),
    ws_methods: WS_METHODS,
    ws_api_opens: 5,
    orders_are_free: false,
    ..binance_spot::COMMON
};

/// The limits of this year; each answer and each hour's `exchangeInfo` corrects them.
const LIMITS: &str = "[\
    {\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":2400},\
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":1200}]";

const CALLS: &[Call] = &[
    public("/dapi/v1/ping", 1),
    public("/dapi/v1/time", 1),
    public("/dapi/v1/exchangeInfo", 1),
    public("/dapi/v1/depth", 10).grows(20, Growth::Limit(DEPTH)),
    public("/dapi/v1/trades", 5),
    keyed("GET", "/dapi/v1/historicalTrades", 200),
    public("/dapi/v1/aggTrades", 20),
    public("/dapi/v1/klines", 5).grows(10, Growth::Limit(KLINES)),
    public("/dapi/v1/continuousKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/dapi/v1/indexPriceKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/dapi/v1/markPriceKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/dapi/v1/premiumIndexKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/dapi/v1/premiumIndex", 10),
    public("/dapi/v1/fundingRate", 1),
    public("/dapi/v1/fundingInfo", 1),
    public("/dapi/v1/ticker/24hr", 1).for_all(40),
    public("/dapi/v1/ticker/price", 1).for_all(2),
    public("/dapi/v1/ticker/bookTicker", 2).for_all(5),
    public("/dapi/v1/openInterest", 1),
    public("/dapi/v1/constituents", 2),
    public("/futures/data/openInterestHist", 1),
    public("/futures/data/topLongShortAccountRatio", 1),
    public("/futures/data/topLongShortPositionRatio", 1),
    public("/futures/data/globalLongShortAccountRatio", 1),
    public("/futures/data/takerBuySellVol", 1),
    public("/futures/data/basis", 1),
    public("/futures/data/delivery-price", 1),
    // An order weighs nothing; it counts as an order.
    signed("POST", "/dapi/v1/order", 0).places(1),
    signed("PUT", "/dapi/v1/order", 1).places(1),
    signed("GET", "/dapi/v1/order", 1),
    signed("DELETE", "/dapi/v1/order", 1),
    signed("POST", "/dapi/v1/batchOrders", 5).places(5),
    signed("PUT", "/dapi/v1/batchOrders", 5).places(5),
    signed("DELETE", "/dapi/v1/batchOrders", 5),
    signed("GET", "/dapi/v1/orderAmendment", 1),
    signed("DELETE", "/dapi/v1/allOpenOrders", 1),
    signed("POST", "/dapi/v1/countdownCancelAll", 10),
    signed("GET", "/dapi/v1/openOrder", 1),
    signed("GET", "/dapi/v1/openOrders", 1).for_all(40),
    signed("GET", "/dapi/v1/allOrders", 20).for_all(40),
    signed("GET", "/dapi/v1/userTrades", 20).for_all(40),
    signed("POST", "/dapi/v1/marginType", 1),
    signed("GET", "/dapi/v1/positionSide/dual", 30),
    signed("POST", "/dapi/v1/positionSide/dual", 1),
    signed("POST", "/dapi/v1/leverage", 1),
    signed("POST", "/dapi/v1/positionMargin", 1),
    signed("GET", "/dapi/v1/positionMargin/history", 1),
    signed("GET", "/dapi/v1/positionRisk", 1),
    signed("GET", "/dapi/v1/balance", 1),
    signed("GET", "/dapi/v1/account", 5),
    signed("GET", "/dapi/v1/adlQuantile", 5),
    signed("GET", "/dapi/v1/forceOrders", 20).for_all(50),
    signed("GET", "/dapi/v1/leverageBracket", 2),
    signed("GET", "/dapi/v2/leverageBracket", 1).for_all(2),
    signed("GET", "/dapi/v1/income", 20),
    signed("GET", "/dapi/v1/income/asyn", 1_000),
    signed("GET", "/dapi/v1/income/asyn/id", 5),
    signed("GET", "/dapi/v1/order/asyn", 1_000),
    signed("GET", "/dapi/v1/order/asyn/id", 5),
    signed("GET", "/dapi/v1/trade/asyn", 1_000),
    signed("GET", "/dapi/v1/trade/asyn/id", 5),
    signed("GET", "/dapi/v1/commissionRate", 20),
    signed("GET", "/dapi/v1/pmAccountInfo", 5),
    keyed("POST", "/dapi/v1/listenKey", 1),
    keyed("PUT", "/dapi/v1/listenKey", 1),
    keyed("DELETE", "/dapi/v1/listenKey", 1).does(Change),
];

const WS_METHODS: &[WsMethod] = &[
    ws("session.logon", Signed, Change, 2),
    ws("session.status", Open, Read, 2),
    ws("session.logout", Open, Change, 2),
    ws_places("order.place", 0, 1),
    ws_places("order.modify", 1, 1),
    ws("order.cancel", Signed, Cancel, 1),
    ws("order.status", Signed, Read, 1),
    ws("account.position", Signed, Read, 5),
    ws("account.balance", Signed, Read, 5),
    ws("account.status", Signed, Read, 5),
    ws("userDataStream.start", Key, Change, 5),
    ws("userDataStream.ping", Key, Change, 1),
    ws("userDataStream.stop", Key, Change, 1),
];
