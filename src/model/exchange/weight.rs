//! What calls weigh, and how their weight grows with what they ask for. Guesses never low: what cannot be read weighs the most.

use crate::model::form;
use crate::model::frame::{Frame, unquoted};

/// How much one request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Of how many symbols.
    pub symbols: Symbols,
    /// The `limit` it names: `u32::MAX` where it cannot be read, or is zero.
    pub limit: Option<u32>,
}

/// The symbols that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbols {
    /// One, as `symbol`.
    One,
    /// A list, as `symbols`.
    Listed(u32),
    /// None, or some that cannot be counted: it is taken to ask for all of them.
    All,
}

impl Extent {
    /// Of a request that names nothing.
    pub const ALL: Self = Self {
        symbols: Symbols::All,
        limit: None,
    };

    /// Reads a query.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let [symbol, symbols, limit] = form::values(query, ["symbol", "symbols", "limit"]);
        Self {
            symbols: Symbols::read(symbol.as_deref(), symbols.as_deref()),
            limit: limit.as_deref().map(number),
        }
    }

    /// Reads the parameters of a frame.
    #[must_use]
    pub fn of_frame(frame: &Frame<'_>) -> Self {
        let symbol = frame.param("symbol").map(|value| match value {
            "null" | "\"\"" => "",
            other => other,
        });
        let symbols = frame.param("symbols");
        let limit = frame.param("limit").map(|value| match unquoted(value) {
            Some(text) => number(text.as_bytes()),
            None => number(value.as_bytes()),
        });
        Self {
            symbols: Symbols::read(symbol.map(str::as_bytes), symbols.map(str::as_bytes)),
            limit,
        }
    }
}

impl Symbols {
    fn read(symbol: Option<&[u8]>, symbols: Option<&[u8]>) -> Self {
        match (symbol, symbols) {
            (Some(symbol), None) if !symbol.is_empty() => Self::One,
            (None, Some(list)) => {
                let names = serde_json::from_slice::<Vec<&str>>(list).ok();
                let count = names.and_then(|names| u32::try_from(names.len()).ok());
                count
                    .filter(|count| *count > 0)
                    .map_or(Self::All, Self::Listed)
            }
            _ => Self::All,
        }
    }
}

/// A `limit` in digits. Zero is no count: exchanges refuse it, or take it for all there is.
fn number(digits: &[u8]) -> u32 {
    let text = str::from_utf8(digits).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.filter(|number| *number > 0).unwrap_or(u32::MAX)
}

/// What a call weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// With one symbol, and without a `limit`.
    pub one: u32,
    /// The most: with no symbol, or beyond the last step.
    pub most: u32,
    /// What it grows with.
    pub grows: Growth,
}

/// Up to which count something weighs what.
pub type Step = (u32, u32);

/// What a weight grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// One symbol or more.
    Named,
    /// The number of symbols, in steps.
    Steps(&'static [Step]),
    /// Every symbol.
    Each,
    /// The `limit`, in steps, whatever symbol it names.
    Limit(&'static [Step]),
}

impl Weight {
    /// What never grows.
    #[must_use]
    pub const fn fixed(weight: u32) -> Self {
        Self {
            one: weight,
            most: weight,
            grows: Growth::Named,
        }
    }

    /// The same for the least, and more for what is asked for beyond it.
    #[must_use]
    pub const fn growing(self, most: u32, grows: Growth) -> Self {
        Self {
            most,
            grows,
            ..self
        }
    }

    /// What a request of this extent weighs.
    #[must_use]
    pub fn of(&self, extent: Extent) -> u32 {
        match (self.grows, extent.symbols) {
            (Growth::Limit(steps), _) => extent
                .limit
                .map_or(self.one, |limit| self.step(steps, limit)),
            (_, Symbols::One) => self.one,
            (Growth::Steps(steps), Symbols::Listed(count)) => self.step(steps, count),
            (Growth::Each, Symbols::Listed(count)) => self.one.saturating_mul(count).min(self.most),
            (_, Symbols::Listed(_) | Symbols::All) => self.most,
        }
    }

    fn step(&self, steps: &[Step], count: u32) -> u32 {
        let step = steps.iter().find(|(up_to, _)| count <= *up_to);
        step.map_or(self.most, |(_, weight)| *weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exchange::Preset;
    use http::Method;

    /// So many symbols as a client sends them.
    fn listed(count: usize) -> String {
        format!("symbols=%5B{}%5D", vec!["%22A%22"; count].join("%2C"))
    }

    fn weight(path: &str, query: &str) -> u32 {
        let spot = Preset::named("binance-spot").unwrap();
        let extent = Extent::of_query(query);
        spot.known(&Method::GET, path, extent).weight
    }

    #[test]
    fn depth_weighs_by_its_limit() {
        for (limit, expected) in [
            ("", 5),
            ("&limit=1", 5),
            ("&limit=100", 5),
            ("&limit=101", 25),
            ("&limit=500", 25),
            ("&limit=501", 50),
            ("&limit=1000", 50),
            ("&limit=1001", 250),
            ("&limit=5000", 250),
            ("&limit=9999", 250),
            ("&%6cimit=%35000", 250),
            ("&limit=", 250),
            ("&limit=-1", 250),
            ("&limit=0", 250),
            ("&limit=000", 250),
            ("&limit=1e3", 250),
            ("&limit=99999999999", 250),
        ] {
            let query = format!("symbol=A{limit}");
            assert_eq!(weight("/api/v3/depth", &query), expected, "{limit}");
        }
    }

    #[test]
    fn tickers_weigh_by_their_symbols() {
        let [day, trading, price] = [
            "/api/v3/ticker/24hr",
            "/api/v3/ticker/tradingDay",
            "/api/v3/ticker/price",
        ];
        for (path, query, expected) in [
            (day, "symbol=A".to_owned(), 2),
            (day, listed(20), 2),
            (day, listed(21), 40),
            (day, listed(100), 40),
            (day, listed(101), 80),
            (day, String::new(), 80),
            (day, "symbol=".to_owned(), 80),
            (day, "symbols=A".to_owned(), 80),
            (day, "symbols=[]".to_owned(), 80),
            (day, "symbol=A&symbols=%5B%22A%22%5D".to_owned(), 80),
            (trading, listed(1), 4),
            (trading, listed(7), 28),
            (trading, listed(51), 200),
            (price, "symbol=A".to_owned(), 2),
            (price, listed(1), 4),
            // A call that knows no lists reads none: it asks for all.
            ("/api/v3/openOrders", listed(1), 80),
        ] {
            assert_eq!(weight(path, &query), expected, "{path}?{query}");
        }
    }

    #[test]
    fn futures_weigh_by_what_is_asked_for() {
        for (preset, path, query, expected) in [
            ("binance-usdm", "/fapi/v1/depth", "symbol=A", 10),
            ("binance-usdm", "/fapi/v1/depth", "symbol=A&limit=5", 2),
            ("binance-usdm", "/fapi/v1/depth", "symbol=A&limit=51", 5),
            ("binance-usdm", "/fapi/v1/depth", "symbol=A&limit=500", 10),
            ("binance-usdm", "/fapi/v1/depth", "symbol=A&limit=1000", 20),
            ("binance-usdm", "/fapi/v1/depth", "symbol=A&limit=x", 20),
            ("binance-usdm", "/fapi/v1/klines", "symbol=A", 5),
            ("binance-usdm", "/fapi/v1/klines", "symbol=A&limit=99", 1),
            ("binance-usdm", "/fapi/v1/klines", "symbol=A&limit=100", 2),
            ("binance-usdm", "/fapi/v1/klines", "symbol=A&limit=1500", 10),
            ("binance-usdm", "/fapi/v1/openOrders", "symbol=A", 1),
            ("binance-usdm", "/fapi/v1/openOrders", "", 40),
            ("binance-usdm", "/fapi/v1/order/asyn", "", 1_000),
            (
                "binance-coinm",
                "/dapi/v1/markPriceKlines",
                "limit=1500",
                10,
            ),
            ("binance-coinm", "/dapi/v1/allOrders", "symbol=A", 20),
            ("binance-coinm", "/dapi/v1/allOrders", "pair=A", 40),
            ("binance-coinm", "/dapi/v1/ticker/24hr", "pair=A", 40),
            ("binance-coinm", "/dapi/v2/leverageBracket", "symbol=A", 1),
        ] {
            let preset = Preset::named(preset).unwrap();
            let found = preset.known(&Method::GET, path, Extent::of_query(query));
            assert_eq!(found.weight, expected, "{path}?{query}");
        }
    }

    #[test]
    fn frames_are_read_alike() {
        for (params, expected) in [
            ("{\"symbol\":\"A\"}", (Symbols::One, None)),
            ("{\"symbol\":null}", (Symbols::All, None)),
            (
                "{\"symbols\":[\"A\",\"B\"],\"limit\":5}",
                (Symbols::Listed(2), Some(5)),
            ),
            ("{\"limit\":\"5000\"}", (Symbols::All, Some(5_000))),
            ("{\"limit\":5e3}", (Symbols::All, Some(u32::MAX))),
            ("{\"limit\":[5]}", (Symbols::All, Some(u32::MAX))),
            ("{\"limit\":0}", (Symbols::All, Some(u32::MAX))),
            ("{\"limit\":\"0\"}", (Symbols::All, Some(u32::MAX))),
        ] {
            let text = format!("{{\"id\":1,\"method\":\"depth\",\"params\":{params}}}");
            let found = Extent::of_frame(&Frame::parse(&text).unwrap());
            assert_eq!((found.symbols, found.limit), expected, "{params}");
        }
    }
}
