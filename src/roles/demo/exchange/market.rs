//! Public data: the symbols and made-up prices around them. The same at every moment, so that a test can say what it
//! expects.

use serde_json::{Value, json};

use super::amount::Amount;
use super::dialect::Dialect;
use super::limits::Limits;
use super::params::Params;
use super::refusal::Refusal;

pub(super) mod contracts;
pub(super) mod spot;

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
    /// Of futures: what is traded of it.
    pub(super) contract: Option<Contract>,
}

/// What makes a symbol a future.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contract {
    /// Both assets in one word.
    pub(super) pair: &'static str,
    /// The asset in which margin is held.
    pub(super) margin: &'static str,
    /// What one contract is worth in the quote asset, where contracts are counted; the base asset is otherwise.
    pub(super) size: Option<i32>,
}

impl Symbol {
    pub(super) const fn bid(&self) -> Amount {
        self.price.minus(self.tick)
    }

    pub(super) const fn ask(&self) -> Amount {
        self.price.plus(self.tick)
    }

    /// What a quantity is worth at a price: in the quote asset, or in the base asset where contracts are counted.
    pub(super) const fn worth(&self, price: Amount, quantity: Amount) -> Amount {
        match self.contract {
            Some(Contract {
                size: Some(size), ..
            }) => quantity.times(Amount::whole(size)).over(price),
            Some(Contract { size: None, .. }) | None => price.times(quantity),
        }
    }
}

/// `exchangeInfo`.
pub(super) fn info(
    dialect: &Dialect,
    params: &Params,
    limits: &Limits,
    time: i64,
) -> Result<Value, Refusal> {
    let chosen = chosen(dialect, params)?.into_iter();
    let symbols: Vec<Value> = chosen.map(dialect.shows.symbol).collect();
    Ok(json!({
        "timezone": "UTC",
        "serverTime": time,
        "rateLimits": limits.listed(dialect),
        "exchangeFilters": [],
        "symbols": symbols,
    }))
}

/// The symbols that `symbol` or `symbols` names; all without either.
fn chosen(dialect: &Dialect, params: &Params) -> Result<Vec<&'static Symbol>, Refusal> {
    if let Some(name) = params.get("symbol") {
        return dialect.symbol(name).map(|symbol| vec![symbol]);
    }
    match params.get("symbols") {
        None => Ok(dialect.symbols.iter().collect()),
        Some(list) => {
            let names: Vec<String> =
                serde_json::from_str(list).map_err(|_| Refusal::illegal("symbols"))?;
            names.iter().map(|name| dialect.symbol(name)).collect()
        }
    }
}

/// `depth`.
pub(super) fn depth(dialect: &Dialect, params: &Params) -> Result<Value, Refusal> {
    let symbol = dialect.symbol(params.required("symbol")?)?;
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
pub(super) fn klines(dialect: &Dialect, params: &Params, now_us: i64) -> Result<Value, Refusal> {
    let symbol = dialect.symbol(params.required("symbol")?)?;
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
    dialect: &Dialect,
    params: &Params,
    now_us: i64,
    time: impl Fn(i64) -> i64,
) -> Result<Value, Refusal> {
    let symbol = dialect.symbol(params.required("symbol")?)?;
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
    dialect: &Dialect,
    params: &Params,
    now_us: i64,
    time: impl Fn(i64) -> i64,
) -> Result<Value, Refusal> {
    let symbol = dialect.symbol(params.required("symbol")?)?;
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
pub(super) fn ticker(
    dialect: &Dialect,
    params: &Params,
    kind: Ticker,
    time_ms: i64,
) -> Result<Value, Refusal> {
    let shown = |symbol: &'static Symbol| match kind {
        Ticker::Price => json!({"symbol": symbol.name, "price": symbol.price.to_string()}),
        Ticker::Book => json!({
            "symbol": symbol.name, "bidPrice": symbol.bid().to_string(), "bidQty": "1.50000000",
            "askPrice": symbol.ask().to_string(), "askQty": "1.50000000",
        }),
        Ticker::Day => day(symbol, time_ms),
    };
    let mut all: Vec<Value> = chosen(dialect, params)?.into_iter().map(shown).collect();
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
