//! What the futures exchanges trade, and how they describe it.

use serde_json::{Value, json};

use super::{Contract, Symbol};
use crate::roles::demo::exchange::amount::Amount;

const fn linear(
    name: &'static str,
    base: &'static str,
    quote: &'static str,
    price: i32,
    tick: i64,
) -> Symbol {
    Symbol {
        name,
        base,
        quote,
        price: Amount::whole(price),
        tick: Amount::units(tick),
        contract: Some(Contract {
            pair: name,
            margin: quote,
            size: None,
        }),
    }
}

const fn inverse(
    name: &'static str,
    pair: &'static str,
    base: &'static str,
    price: i32,
    tick: i64,
    size: i32,
) -> Symbol {
    Symbol {
        name,
        base,
        quote: "USD",
        price: Amount::whole(price),
        tick: Amount::units(tick),
        contract: Some(Contract {
            pair,
            margin: base,
            size: Some(size),
        }),
    }
}

/// What is traded against stable coins.
pub(in super::super) const USD_M_SYMBOLS: &[Symbol] = &[
    linear("BTCUSDT", "BTC", "USDT", 60_000, 10_000_000),
    linear("ETHUSDT", "ETH", "USDT", 3_000, 1_000_000),
    linear("BTCUSDC", "BTC", "USDC", 60_000, 10_000_000),
];

/// What is traded in contracts, against the coin itself.
pub(in super::super) const COIN_M_SYMBOLS: &[Symbol] = &[
    inverse("BTCUSD_PERP", "BTCUSD", "BTC", 60_000, 10_000_000, 100),
    inverse("ETHUSD_PERP", "ETHUSD", "ETH", 3_000, 1_000_000, 10),
];

/// When every contract began, and when a perpetual one ends, in milliseconds since 1970.
const ONBOARD_MS: i64 = 1_569_398_400_000;
const DELIVERY_MS: i64 = 4_133_404_800_000;

/// A symbol, in `exchangeInfo`.
pub(in super::super) fn described(symbol: &Symbol) -> Value {
    let tick = symbol.tick.to_string();
    let contract = symbol.contract;
    let step = match contract.and_then(|contract| contract.size) {
        Some(_) => "1",
        None => "0.001",
    };
    let mut shown = json!({
        "symbol": symbol.name, "contractType": "PERPETUAL", "deliveryDate": DELIVERY_MS, "onboardDate": ONBOARD_MS,
        "baseAsset": symbol.base, "quoteAsset": symbol.quote,
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000",
        "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "underlyingSubType": ["PoW"], "triggerProtect": "0.0500",
        "liquidationFee": "0.012500", "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        ],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    });
    let Some((contract, shown_as)) = contract.zip(shown.as_object_mut()) else {
        return shown;
    };
    shown_as.insert("pair".to_owned(), json!(contract.pair));
    shown_as.insert("marginAsset".to_owned(), json!(contract.margin));
    // The two markets tell whether it is traded by two names.
    match contract.size {
        Some(size) => {
            shown_as.insert("contractSize".to_owned(), json!(size));
            shown_as.insert("contractStatus".to_owned(), json!("TRADING"));
        }
        None => {
            shown_as.insert("status".to_owned(), json!("TRADING"));
        }
    }
    shown
}
