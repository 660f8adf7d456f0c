//! Public data: the symbols and made-up prices around them. The same at every moment, so that a test can say what it
//! expects.

use serde_json::{Value, json};

use super::amount::Amount;
use super::limits::Limits;
use super::params::Params;
use super::refusal::Refusal;

/// Rows that a list answers at most.
const ROWS_MAX: u64 = 1000;

/// Something that is traded.
#[derive(Debug)]
pub(super) struct Symbol {
    pub(super) name: &'static str,
    pub(super) base: &'static str,
    pub(super) quote: &'static str,
    /// The last price.
    pub(super) price: Amount,
    /// The smallest step of a price; the best bid and ask are one step away from the last price.
    pub(super) tick: Amount,
}

const fn symbol(name: &'static str, base: &'static str, quote: &'static str, price: i32) -> Symbol {
    Symbol {
        name,
        base,
        quote,
        price: Amount::whole(price),
        tick: Amount::units(1_000_000),
    }
}

/// What is traded here.
pub(super) const SYMBOLS: &[Symbol] = &[
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
    },
    Symbol {
        name: "LTCBTC",
        base: "LTC",
        quote: "BTC",
        price: Amount::units(130_000),
        tick: Amount::units(100),
    },
];

impl Symbol {
    pub(super) const fn bid(&self) -> Amount {
        self.price.minus(self.tick)
    }

    pub(super) const fn ask(&self) -> Amount {
        self.price.plus(self.tick)
    }
}

/// The symbol of a name.
///
/// # Errors
///
/// -1100 for characters that no symbol has, -1121 for one that is not traded.
pub(super) fn find(name: &str) -> Result<&'static Symbol, Refusal> {
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(Refusal::bad(
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
        ));
    }
    let found = SYMBOLS.iter().find(|symbol| symbol.name == name);
    found.ok_or_else(|| Refusal::bad(-1121, "Invalid symbol."))
}

/// `exchangeInfo`.
pub(super) fn info(params: &Params, limits: &Limits, time: i64) -> Result<Value, Refusal> {
    let symbols: Vec<Value> = chosen(params)?.into_iter().map(described).collect();
    Ok(json!({
        "timezone": "UTC",
        "serverTime": time,
        "rateLimits": limits.listed(),
        "exchangeFilters": [],
        "symbols": symbols,
    }))
}

/// The symbols that `symbol` or `symbols` names; all without either.
fn chosen(params: &Params) -> Result<Vec<&'static Symbol>, Refusal> {
    if let Some(name) = params.get("symbol") {
        return find(name).map(|symbol| vec![symbol]);
    }
    match params.get("symbols") {
        None => Ok(SYMBOLS.iter().collect()),
        Some(list) => {
            let names: Vec<String> =
                serde_json::from_str(list).map_err(|_| Refusal::illegal("symbols"))?;
            names.iter().map(|name| find(name)).collect()
        }
    }
}

fn described(symbol: &Symbol) -> Value {
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

/// `depth`.
pub(super) fn depth(params: &Params) -> Result<Value, Refusal> {
    let symbol = find(params.required("symbol")?)?;
    let rows = rows(params, 100)?;
    Ok(levels(symbol, rows, 1))
}

/// Bids and asks around the last price.
pub(super) fn levels(symbol: &Symbol, rows: u64, update: u64) -> Value {
    let level = |from: Amount, step: &dyn Fn(Amount) -> Amount| {
        let mut price = from;
        let mut side = Vec::new();
        for _ in 0..rows.min(20) {
            side.push(json!([price.to_string(), "1.50000000"]));
            price = step(price);
        }
        side
    };
    let bids = level(symbol.bid(), &|price| price.minus(symbol.tick));
    let asks = level(symbol.ask(), &|price| price.plus(symbol.tick));
    json!({"lastUpdateId": update, "bids": bids, "asks": asks})
}

/// `klines`: one flat candle for each interval up to now.
pub(super) fn klines(params: &Params, now_us: i64) -> Result<Value, Refusal> {
    let symbol = find(params.required("symbol")?)?;
    let interval = match params.required("interval")? {
        "1s" => 1_000,
        "1m" => 60_000,
        "5m" => 300_000,
        "15m" => 900_000,
        "1h" => 3_600_000,
        "4h" => 14_400_000,
        "1d" => 86_400_000,
        _ => return Err(Refusal::bad(-1120, "Invalid interval.")),
    };
    let rows = i64::try_from(rows(params, 500)?).unwrap_or_default();
    let current = (now_us / 1000).div_euclid(interval);
    let price = symbol.price.to_string();
    let candle = |index: i64| {
        let open = index * interval;
        json!([
            open,
            price,
            price,
            price,
            price,
            "10.00000000",
            open + interval - 1,
            symbol.price.times(Amount::whole(10)).to_string(),
            20,
            "5.00000000",
            symbol.price.times(Amount::whole(5)).to_string(),
            "0",
        ])
    };
    Ok((current - rows + 1..=current).map(candle).collect())
}

/// `trades` and `historicalTrades`.
pub(super) fn trades(
    params: &Params,
    now_us: i64,
    time: impl Fn(i64) -> i64,
) -> Result<Value, Refusal> {
    let symbol = find(params.required("symbol")?)?;
    let rows = rows(params, 500)?.min(50);
    let trade = |number: u64| {
        let age = i64::try_from(rows - number).unwrap_or_default() * 1_000_000;
        json!({
            "id": number, "price": symbol.price.to_string(), "qty": "0.01000000",
            "quoteQty": symbol.price.times(Amount::units(1_000_000)).to_string(),
            "time": time(now_us - age), "isBuyerMaker": number.is_multiple_of(2), "isBestMatch": true,
        })
    };
    Ok((1..=rows).map(trade).collect())
}

/// `aggTrades`: the same trades, each by itself.
pub(super) fn aggregates(
    params: &Params,
    now_us: i64,
    time: impl Fn(i64) -> i64,
) -> Result<Value, Refusal> {
    let symbol = find(params.required("symbol")?)?;
    let rows = rows(params, 500)?.min(50);
    let trade = |number: u64| {
        let age = i64::try_from(rows - number).unwrap_or_default() * 1_000_000;
        json!({
            "a": number, "p": symbol.price.to_string(), "q": "0.01000000", "f": number, "l": number,
            "T": time(now_us - age), "m": number.is_multiple_of(2), "M": true,
        })
    };
    Ok((1..=rows).map(trade).collect())
}

fn rows(params: &Params, default: u64) -> Result<u64, Refusal> {
    Ok(params
        .number("limit")?
        .unwrap_or(default)
        .clamp(1, ROWS_MAX))
}

/// What a ticker shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ticker {
    Price,
    Book,
    Day,
}

/// `ticker/price`, `ticker/bookTicker`, `ticker/24hr`: one for a symbol, a list otherwise.
pub(super) fn ticker(params: &Params, kind: Ticker, time_ms: i64) -> Result<Value, Refusal> {
    let shown = |symbol: &'static Symbol| match kind {
        Ticker::Price => json!({"symbol": symbol.name, "price": symbol.price.to_string()}),
        Ticker::Book => json!({
            "symbol": symbol.name, "bidPrice": symbol.bid().to_string(), "bidQty": "1.50000000",
            "askPrice": symbol.ask().to_string(), "askQty": "1.50000000",
        }),
        Ticker::Day => day(symbol, time_ms),
    };
    let mut all: Vec<Value> = chosen(params)?.into_iter().map(shown).collect();
    if params.has("symbol") {
        return Ok(all.pop().unwrap_or_default());
    }
    Ok(Value::Array(all))
}

fn day(symbol: &Symbol, time_ms: i64) -> Value {
    let price = symbol.price.to_string();
    json!({
        "symbol": symbol.name, "priceChange": "0.00000000", "priceChangePercent": "0.000",
        "weightedAvgPrice": price, "prevClosePrice": price, "lastPrice": price, "lastQty": "0.01000000",
        "bidPrice": symbol.bid().to_string(), "bidQty": "1.50000000",
        "askPrice": symbol.ask().to_string(), "askQty": "1.50000000",
        "openPrice": price, "highPrice": price, "lowPrice": price, "volume": "1000.00000000",
        "quoteVolume": symbol.price.times(Amount::whole(1000)).to_string(),
        "openTime": time_ms - 86_400_000, "closeTime": time_ms, "firstId": 1, "lastId": 50, "count": 50,
    })
}
