//! What the spot exchange trades, and how it describes it.

use serde_json::{Value, json};

use super::Symbol;
use crate::roles::demo::exchange::amount::Amount;

const fn symbol(name: &'static str, base: &'static str, quote: &'static str, price: i32) -> Symbol {
    Symbol {
        name,
        base,
        quote,
        price: Amount::whole(price),
        tick: Amount::units(1_000_000),
        contract: None,
    }
}

/// What is traded here.
pub(in super::super) const SPOT_SYMBOLS: &[Symbol] = &[
    symbol("BTCUSDT", "BTC", "USDT", 60_000),
    symbol("ETHUSDT", "ETH", "USDT", 3_000),
    symbol("BNBUSDT", "BNB", "USDT", 600),
    symbol("LTCUSDT", "LTC", "USDT", 80),
    Symbol {
        name: "ETHBTC",
        base: "ETH",
        quote: "BTC",
        price: Amount::units(5_000_000),
        tick: Amount::units(1_000),
        contract: None,
    },
    Symbol {
        name: "LTCBTC",
        base: "LTC",
        quote: "BTC",
        price: Amount::units(130_000),
        tick: Amount::units(100),
        contract: None,
    },
];

/// A symbol, in `exchangeInfo`.
pub(in super::super) fn described(symbol: &Symbol) -> Value {
    let tick = symbol.tick.to_string();
    json!({
        "symbol": symbol.name, "status": "TRADING",
        "baseAsset": symbol.base, "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": false, "ocoAllowed": false, "otoAllowed": false, "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": false, "cancelReplaceAllowed": true,
        "amendAllowed": false, "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.00000100", "maxQty": "9000.00000000", "stepSize": "0.00000100"},
            {"filterType": "NOTIONAL", "minNotional": "0.00010000", "applyMinToMarket": true,
             "maxNotional": "9000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    })
}
