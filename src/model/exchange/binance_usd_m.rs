//! Binance USD-M futures: production, testnet and demo trading. One table of endpoints for all three.
//!
//! Weights: what binance-sdk-derivatives-trading-usds-futures 18.0.1 says of each call, and developers.binance.com of sessions
//! and handshakes; compared with ccxt 4.5.90. Where they differ the higher one stands here. Read in November 2026.

use super::{
    Call, Catalogue, Effect, Environment, Growth, Preset, Security, Step, WsMethod, binance_spot,
    keyed, public, signed, site, ws, ws_places,
};
use Effect::{Cancel, Change, Read};
use Security::{KeyOnly as Key, None as Open, Signed};

pub(super) static PRODUCTION: Preset = Preset {
    name: "binance-usdm",
    environment: Environment::Production,
    rest: site("fapi.binance.com", &[]),
    ws_api: Some(site("ws-fapi.binance.com", WS_API)),
    streams: Some(site("fstream.binance.com", STREAMS)),
    ..COMMON
};

pub(super) static TESTNET: Preset = Preset {
    name: "binance-usdm-testnet",
    environment: Environment::Testnet,
    rest: site("testnet.binancefuture.com", &[]),
    ws_api: Some(site("testnet.binancefuture.com", WS_API)),
    streams: Some(site("fstream.binancefuture.com", STREAMS)),
    ..COMMON
};

pub(super) static DEMO: Preset = Preset {
    name: "binance-usdm-demo",
    environment: Environment::Demo,
    rest: site("demo-fapi.binance.com", &[]),
    ..COMMON
};

const WS_API: &[&str] = &["/ws-fapi"];
const STREAMS: &[&str] = &["/ws", "/stream", "/public", "/market", "/private"];

const COMMON: Preset = Preset {
    time: Some("/fapi/v1/time"),
    info: Some("/fapi/v1/exchangeInfo"),
    account: Some("/fapi/v3/account"),
    // `GET /fapi/v1/rateLimit/order` tells limits and no counts.
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
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":1200},\
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":300}]";

/// An order book by its `limit`, which is 500 if none is sent.
pub(super) const DEPTH: &[Step] = &[(50, 2), (100, 5), (500, 10)];

/// Candles by their `limit`, which is 500 if none is sent.
pub(super) const KLINES: &[Step] = &[(99, 1), (499, 2), (1_000, 5)];

const CALLS: &[Call] = &[
    public("/fapi/v1/ping", 1),
    public("/fapi/v1/time", 1),
    public("/fapi/v1/exchangeInfo", 1),
    public("/fapi/v1/depth", 10).grows(20, Growth::Limit(DEPTH)),
    public("/fapi/v1/rpiDepth", 20),
    public("/fapi/v1/trades", 5),
    keyed("GET", "/fapi/v1/historicalTrades", 200),
    public("/fapi/v1/aggTrades", 20),
    public("/fapi/v1/klines", 5).grows(10, Growth::Limit(KLINES)),
    public("/fapi/v1/continuousKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/fapi/v1/indexPriceKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/fapi/v1/markPriceKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/fapi/v1/premiumIndexKlines", 5).grows(10, Growth::Limit(KLINES)),
    public("/fapi/v1/premiumIndex", 1).for_all(10),
    public("/fapi/v1/fundingRate", 1),
    public("/fapi/v1/fundingInfo", 1),
    public("/fapi/v1/ticker/24hr", 1).for_all(40),
    public("/fapi/v1/ticker/price", 1).for_all(2),
    public("/fapi/v2/ticker/price", 1).for_all(2),
    public("/fapi/v1/ticker/bookTicker", 2).for_all(5),
    public("/fapi/v1/openInterest", 1),
    public("/fapi/v1/constituents", 2),
    public("/fapi/v1/insuranceBalance", 1),
    public("/fapi/v1/symbolAdlRisk", 1),
    public("/fapi/v1/tradingSchedule", 5),
    public("/fapi/v1/indexInfo", 1).for_all(10),
    public("/fapi/v1/assetIndex", 1).for_all(10),
    public("/futures/data/openInterestHist", 1),
    public("/futures/data/topLongShortAccountRatio", 1),
    public("/futures/data/topLongShortPositionRatio", 1),
    public("/futures/data/globalLongShortAccountRatio", 1),
    public("/futures/data/takerlongshortRatio", 1),
    public("/futures/data/basis", 1),
    public("/futures/data/delivery-price", 1),
    // An order weighs nothing; it counts as an order.
    signed("POST", "/fapi/v1/order", 0).places(1),
    signed("POST", "/fapi/v1/order/test", 1).does(Read),
    signed("PUT", "/fapi/v1/order", 0).places(1),
    signed("GET", "/fapi/v1/order", 1),
    signed("DELETE", "/fapi/v1/order", 1),
    signed("POST", "/fapi/v1/batchOrders", 5).places(5),
    signed("PUT", "/fapi/v1/batchOrders", 5).places(5),
    signed("DELETE", "/fapi/v1/batchOrders", 1),
    signed("GET", "/fapi/v1/orderAmendment", 1),
    signed("DELETE", "/fapi/v1/allOpenOrders", 1),
    signed("POST", "/fapi/v1/countdownCancelAll", 10),
    signed("GET", "/fapi/v1/openOrder", 1),
    signed("GET", "/fapi/v1/openOrders", 1).for_all(40),
    signed("GET", "/fapi/v1/allOrders", 5),
    signed("GET", "/fapi/v1/userTrades", 5),
    signed("POST", "/fapi/v1/algoOrder", 0).places(1),
    signed("GET", "/fapi/v1/algoOrder", 1),
    signed("DELETE", "/fapi/v1/algoOrder", 1),
    signed("DELETE", "/fapi/v1/algoOpenOrders", 1),
    signed("GET", "/fapi/v1/openAlgoOrders", 1).for_all(40),
    signed("GET", "/fapi/v1/allAlgoOrders", 5),
    signed("POST", "/fapi/v1/marginType", 1),
    signed("GET", "/fapi/v1/positionSide/dual", 30),
    signed("POST", "/fapi/v1/positionSide/dual", 1),
    signed("POST", "/fapi/v1/leverage", 1),
    signed("GET", "/fapi/v1/multiAssetsMargin", 30),
    signed("POST", "/fapi/v1/multiAssetsMargin", 1),
    signed("POST", "/fapi/v1/positionMargin", 1),
    signed("GET", "/fapi/v1/positionMargin/history", 1),
    signed("GET", "/fapi/v2/positionRisk", 5),
    signed("GET", "/fapi/v2/balance", 5),
    signed("GET", "/fapi/v2/account", 5),
    signed("GET", "/fapi/v3/positionRisk", 5),
    signed("GET", "/fapi/v3/balance", 5),
    signed("GET", "/fapi/v3/account", 5),
    signed("GET", "/fapi/v1/accountConfig", 5),
    signed("GET", "/fapi/v1/symbolConfig", 5),
    signed("GET", "/fapi/v1/rateLimit/order", 1),
    signed("GET", "/fapi/v1/feeBurn", 30),
    signed("POST", "/fapi/v1/feeBurn", 1),
    signed("GET", "/fapi/v1/apiTradingStatus", 1).for_all(10),
    signed("GET", "/fapi/v1/adlQuantile", 5),
    signed("GET", "/fapi/v1/forceOrders", 20).for_all(50),
    signed("GET", "/fapi/v1/leverageBracket", 1),
    signed("GET", "/fapi/v1/income", 30),
    signed("GET", "/fapi/v1/income/asyn", 1_000),
    signed("GET", "/fapi/v1/income/asyn/id", 10),
    signed("GET", "/fapi/v1/order/asyn", 1_000),
    signed("GET", "/fapi/v1/order/asyn/id", 10),
    signed("GET", "/fapi/v1/trade/asyn", 1_000),
    signed("GET", "/fapi/v1/trade/asyn/id", 10),
    signed("GET", "/fapi/v1/commissionRate", 20),
    signed("GET", "/fapi/v1/pmAccountInfo", 5),
    keyed("POST", "/fapi/v1/listenKey", 1),
    keyed("PUT", "/fapi/v1/listenKey", 1),
    keyed("DELETE", "/fapi/v1/listenKey", 1).does(Change),
];

const WS_METHODS: &[WsMethod] = &[
    ws("depth", Open, Read, 10).grows(20, Growth::Limit(DEPTH)),
    ws("ticker.price", Open, Read, 1).for_all(2),
    ws("ticker.book", Open, Read, 2).for_all(5),
    ws("session.logon", Signed, Change, 2),
    ws("session.status", Open, Read, 2),
    ws("session.logout", Open, Change, 2),
    ws_places("order.place", 0, 1),
    ws_places("order.modify", 0, 1),
    ws("order.cancel", Signed, Cancel, 1),
    ws("order.status", Signed, Read, 1),
    ws_places("algoOrder.place", 0, 1),
    ws("algoOrder.cancel", Signed, Cancel, 1),
    ws("v2/account.position", Signed, Read, 5),
    ws("v2/account.balance", Signed, Read, 5),
    ws("v2/account.status", Signed, Read, 5),
    ws("account.position", Signed, Read, 5),
    ws("account.balance", Signed, Read, 5),
    ws("account.status", Signed, Read, 5),
    ws("userDataStream.start", Key, Change, 5),
    ws("userDataStream.ping", Key, Change, 1),
    ws("userDataStream.stop", Key, Change, 1),
];
