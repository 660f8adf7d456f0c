//! Binance spot: production, testnet and demo trading. One table of endpoints for all three.
//!
//! Weights: rest-api.md and web-socket-api.md, and what binance-sdk-spot 13.2.0 says of each call; read in November 2026.
//! What depends on parameters that may stand in a body, or on others than `symbol`, `symbols` and `limit`, weighs the most.

use super::{
    Call, Catalogue, Credentials, Effect, Environment, Growth, Preset, Security, Site, Step,
    WsMethod, keyed, public, signed, site, ws, ws_places,
};
use Effect::{Cancel, Change, Read};
use Security::{None as Open, Signed};

pub(super) static PRODUCTION: Preset = Preset {
    name: "binance-spot",
    environment: Environment::Production,
    rest: Site {
        also: &[
            "api-gcp.binance.com",
            "api1.binance.com",
            "api2.binance.com",
            "api3.binance.com",
            "api4.binance.com",
        ],
        ..site("api.binance.com", &[])
    },
    ws_api: Some(site("ws-api.binance.com", WS_API)),
    streams: Some(Site {
        also: &["data-stream.binance.vision"],
        ..site("stream.binance.com", STREAMS)
    }),
    ..COMMON
};

pub(super) static TESTNET: Preset = Preset {
    name: "binance-spot-testnet",
    environment: Environment::Testnet,
    rest: Site {
        also: &["api1.testnet.binance.vision"],
        ..site("testnet.binance.vision", &[])
    },
    ws_api: Some(site("ws-api.testnet.binance.vision", WS_API)),
    streams: Some(site("stream.testnet.binance.vision", STREAMS)),
    ..COMMON
};

pub(super) static DEMO: Preset = Preset {
    name: "binance-spot-demo",
    environment: Environment::Demo,
    rest: site("demo-api.binance.com", &[]),
    ws_api: Some(site("demo-ws-api.binance.com", WS_API)),
    streams: Some(site("demo-stream.binance.com", STREAMS)),
    ..COMMON
};

const WS_API: &[&str] = &["/ws-api"];
const STREAMS: &[&str] = &["/ws", "/stream"];

/// What all of Binance's presets begin with; futures have calls, limits and paths of their own.
pub(super) const COMMON: Preset = Preset {
    name: "",
    family: "binance",
    environment: Environment::Testnet,
    signer: "binance",
    rest: site("", &[]),
    ws_api: None,
    streams: None,
    time: Some("/api/v3/time"),
    info: Some("/api/v3/exchangeInfo"),
    account: Some("/api/v3/account"),
    order_counts: Some("/api/v3/rateLimit/order"),
    limits: LIMITS,
    catalogue: Catalogue::Complete(CALLS),
    ws_methods: WS_METHODS,
    ws_api_opens: 2,
    // Since 2026-04-02.
    orders_are_free: true,
    refused: MOVES_MONEY,
    credentials: CREDENTIALS,
    speaks_codes: true,
};

/// What all of Binance's own clients send to be believed.
const CREDENTIALS: Credentials = Credentials {
    headers: &["x-mbx-apikey"],
    parameters: &["timestamp", "signature"],
    members: &["apiKey", "timestamp", "signature"],
};

/// What takes money out, or moves it between wallets, accounts and products: withdrawals, transfers, conversions, loans,
/// and everything that is subscribed to or redeemed. All of Binance's hosts are meant, not only those of the presets.
const MOVES_MONEY: &[&str] = &[
    "/wapi",
    // Out.
    "/sapi/v1/capital/withdraw",
    "/sapi/v1/capital/contract",
    "/sapi/v1/capital/deposit/credit-apply",
    "/sapi/v1/account/enableFastWithdrawSwitch",
    "/sapi/v1/localentity",
    "/sapi/v2/localentity",
    "/sapi/v1/giftcard",
    "/sapi/v1/pay",
    "/sapi/v1/fiat",
    "/sapi/v2/fiat",
    // To other wallets and accounts.
    "/sapi/v1/asset/transfer",
    "/sapi/v1/asset/convert-transfer",
    "/sapi/v1/futures/transfer",
    "/sapi/v1/margin/transfer",
    "/sapi/v1/margin/isolated/transfer",
    "/sapi/v1/broker",
    "/sapi/v2/broker",
    "/sapi/v3/broker",
    "/sapi/v1/sub-account",
    "/sapi/v2/sub-account",
    "/sapi/v3/sub-account",
    "/sapi/v4/sub-account",
    "/sapi/v1/managed-subaccount",
    "/sapi/v1/mining/hash-transfer",
    "/sapi/v1/portfolio",
    "/sapi/v2/portfolio",
    "/papi/v1/asset-collection",
    "/papi/v1/auto-collection",
    "/papi/v1/bnb-transfer",
    "/papi/v1/repay-futures",
    "/eapi/v1/transfer",
    // Into other assets.
    "/sapi/v1/asset/dust",
    "/sapi/v1/convert",
    "/sapi/v1/margin/dust",
    "/sapi/v1/margin/exchange-small-liability",
    "/sapi/v1/bswap",
    "/sapi/v1/blvt",
    "/fapi/v1/convert",
    // Into loans and out of them.
    "/sapi/v1/margin/borrow-repay",
    "/sapi/v1/margin/loan",
    "/sapi/v1/margin/repay",
    "/sapi/v1/margin/manual-liquidation",
    "/sapi/v1/loan",
    "/sapi/v2/loan",
    "/sapi/v1/futures/loan",
    "/sapi/v2/futures/loan",
    "/papi/v1/marginLoan",
    "/papi/v1/repayLoan",
    "/papi/v1/margin/repay-debt",
    // Into products and out of them.
    "/sapi/v1/lending",
    "/sapi/v1/simple-earn",
    "/sapi/v1/staking",
    "/sapi/v1/eth-staking",
    "/sapi/v2/eth-staking",
    "/sapi/v1/sol-staking",
    "/sapi/v1/soft-staking",
    "/sapi/v1/onchain-yields",
    "/sapi/v1/dci",
    "/sapi/v1/accumulator",
    "/sapi/v1/equity/tokenized",
];

/// The limits of this year; each answer and each hour's `exchangeInfo` corrects them.
const LIMITS: &str = "[\
    {\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":6000},\
    {\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,\"limit\":61000},\
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":50},\
    {\"rateLimitType\":\"ORDERS\",\"interval\":\"DAY\",\"intervalNum\":1,\"limit\":160000}]";

/// An order book by its `limit`; the longest weighs the most.
const DEPTH: &[Step] = &[(100, 5), (500, 25), (1_000, 50)];

/// The change of a day by the number of symbols.
const DAY: &[Step] = &[(20, 2), (100, 40)];

const CALLS: &[Call] = &[
    public("/api/v3/ping", 1),
    public("/api/v3/time", 1),
    public("/api/v3/exchangeInfo", 20),
    public("/api/v3/depth", 5).grows(250, Growth::Limit(DEPTH)),
    public("/api/v3/trades", 25),
    public("/api/v3/historicalTrades", 25),
    public("/api/v3/aggTrades", 4),
    public("/api/v3/klines", 2),
    public("/api/v3/uiKlines", 2),
    public("/api/v3/avgPrice", 2),
    public("/api/v3/ticker/24hr", 2).grows(80, Growth::Steps(DAY)),
    public("/api/v3/ticker/tradingDay", 4).grows(200, Growth::Each),
    public("/api/v3/ticker/price", 2).for_all(4),
    public("/api/v3/ticker/bookTicker", 2).for_all(4),
    public("/api/v3/ticker", 4).grows(200, Growth::Each),
    public("/api/v3/executionRules", 2).grows(40, Growth::Each),
    public("/api/v3/referencePrice", 2),
    public("/api/v3/referencePrice/calculation", 2),
    keyed("GET", "/api/v3/historicalBlockTrades", 25),
    signed("POST", "/api/v3/order", 1).places(1),
    // 1 without `computeCommissionRates`.
    signed("POST", "/api/v3/order/test", 20).does(Read),
    signed("GET", "/api/v3/order", 4),
    signed("DELETE", "/api/v3/order", 1),
    signed("DELETE", "/api/v3/openOrders", 1),
    // It cancels, but then it places.
    signed("POST", "/api/v3/order/cancelReplace", 1).places(1),
    signed("PUT", "/api/v3/order/amend/keepPriority", 4),
    signed("GET", "/api/v3/openOrders", 6).for_all(80),
    signed("GET", "/api/v3/allOrders", 20),
    signed("POST", "/api/v3/order/oco", 1).places(2),
    signed("POST", "/api/v3/orderList/oco", 1).places(2),
    signed("POST", "/api/v3/orderList/oto", 1).places(2),
    signed("POST", "/api/v3/orderList/otoco", 1).places(3),
    signed("POST", "/api/v3/orderList/opo", 1).places(2),
    signed("POST", "/api/v3/orderList/opoco", 1).places(3),
    signed("DELETE", "/api/v3/orderList", 1),
    signed("GET", "/api/v3/orderList", 4),
    signed("GET", "/api/v3/allOrderList", 20),
    signed("GET", "/api/v3/openOrderList", 6),
    signed("POST", "/api/v3/sor/order", 1).places(1),
    signed("POST", "/api/v3/sor/order/test", 20).does(Read),
    signed("GET", "/api/v3/account", 20),
    signed("GET", "/api/v3/myTrades", 20),
    signed("GET", "/api/v3/rateLimit/order", 40),
    signed("GET", "/api/v3/myPreventedMatches", 20),
    signed("GET", "/api/v3/myAllocations", 20),
    signed("GET", "/api/v3/account/commission", 20),
    signed("GET", "/api/v3/order/amendments", 4),
    signed("GET", "/api/v3/myFilters", 40),
];

const WS_METHODS: &[WsMethod] = &[
    ws("ping", Open, Read, 1),
    ws("time", Open, Read, 1),
    ws("exchangeInfo", Open, Read, 20),
    ws("depth", Open, Read, 5).grows(250, Growth::Limit(DEPTH)),
    ws("trades.recent", Open, Read, 25),
    ws("trades.historical", Open, Read, 25),
    ws("trades.aggregate", Open, Read, 4),
    ws("klines", Open, Read, 2),
    ws("uiKlines", Open, Read, 2),
    ws("avgPrice", Open, Read, 2),
    ws("ticker.24hr", Open, Read, 2).grows(80, Growth::Steps(DAY)),
    ws("ticker.tradingDay", Open, Read, 4).grows(200, Growth::Each),
    ws("ticker", Open, Read, 4).grows(200, Growth::Each),
    ws("ticker.price", Open, Read, 2).for_all(4),
    ws("ticker.book", Open, Read, 2).for_all(4),
    ws("executionRules", Open, Read, 2).grows(40, Growth::Each),
    ws("referencePrice", Open, Read, 2),
    ws("referencePrice.calculation", Open, Read, 2),
    ws("blockTrades.historical", Open, Read, 25),
    ws("session.logon", Signed, Change, 2),
    ws("session.status", Open, Read, 2),
    ws("session.logout", Open, Change, 2),
    ws_places("order.place", 1, 1),
    ws("order.test", Signed, Read, 20),
    ws("order.status", Signed, Read, 4),
    ws("order.cancel", Signed, Cancel, 1),
    ws_places("order.cancelReplace", 1, 1),
    ws("order.amend.keepPriority", Signed, Change, 4),
    ws("openOrders.status", Signed, Read, 6).for_all(80),
    ws("openOrders.cancelAll", Signed, Cancel, 1),
    ws_places("orderList.place", 1, 2),
    ws_places("orderList.place.oco", 1, 2),
    ws_places("orderList.place.oto", 1, 2),
    ws_places("orderList.place.otoco", 1, 3),
    ws_places("orderList.place.opo", 1, 2),
    ws_places("orderList.place.opoco", 1, 3),
    ws("orderList.status", Signed, Read, 4),
    ws("orderList.cancel", Signed, Cancel, 1),
    ws("openOrderLists.status", Signed, Read, 6),
    ws_places("sor.order.place", 1, 1),
    ws("sor.order.test", Signed, Read, 20),
    ws("account.status", Signed, Read, 20),
    ws("account.rateLimits.orders", Signed, Read, 40),
    ws("account.commission", Signed, Read, 20),
    ws("allOrders", Signed, Read, 20),
    ws("allOrderLists", Signed, Read, 20),
    ws("myTrades", Signed, Read, 20),
    ws("myPreventedMatches", Signed, Read, 20),
    ws("myAllocations", Signed, Read, 20),
    ws("myFilters", Signed, Read, 40),
    ws("order.amendments", Signed, Read, 4),
    ws("userDataStream.subscribe", Open, Change, 2),
    ws("userDataStream.subscribe.signature", Signed, Change, 2),
    ws("userDataStream.unsubscribe", Open, Change, 2),
    ws("session.subscriptions", Open, Read, 2),
];
