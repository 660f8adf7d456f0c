//! Which routes and methods the exchange has, what each needs and what it weighs. A table, nothing else.

use http::Method;

use super::market::Ticker;
use super::params::Params;

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Ping,
    Time,
    Info,
    Depth,
    Klines,
    Trades,
    Aggregates,
    Ticker(Ticker),
    Account,
    OpenOrders,
    CancelAll,
    Status,
    Place,
    Test,
    Cancel,
    Replace,
    AllOrders,
    MyTrades,
    OrderLimits,
    Withdraw,
}

/// What a request must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Neither key nor signature, and neither should be there.
    None,
    /// A key and a signature.
    UserData,
    /// A key that may trade, and a signature.
    Trade,
}

/// A route of REST or a method of the WebSocket API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) security: Security,
    /// Of the smallest request; see [`Route::weighs`] and [`Operation::is_free`].
    pub(super) weight: u64,
    pub(super) operation: Operation,
}

impl Route {
    /// What a request with these parameters weighs, as the exchange's documents say.
    pub(super) fn weighs(&self, params: &Params) -> u64 {
        match self.operation {
            Operation::Depth => match params.number("limit") {
                Ok(None | Some(..=100)) => 5,
                Ok(Some(..=500)) => 25,
                Ok(Some(..=1_000)) => 50,
                Ok(Some(_)) | Err(_) => 250,
            },
            Operation::Ticker(Ticker::Day) => match named(params) {
                Some(..=20) => 2,
                Some(..=100) => 40,
                Some(_) | None => 80,
            },
            Operation::Ticker(Ticker::Price | Ticker::Book) if !params.has("symbol") => 4,
            Operation::OpenOrders if !params.has("symbol") => 80,
            Operation::Ping
            | Operation::Time
            | Operation::Info
            | Operation::Klines
            | Operation::Trades
            | Operation::Aggregates
            | Operation::Ticker(_)
            | Operation::Account
            | Operation::OpenOrders
            | Operation::CancelAll
            | Operation::Status
            | Operation::Place
            | Operation::Test
            | Operation::Cancel
            | Operation::Replace
            | Operation::AllOrders
            | Operation::MyTrades
            | Operation::OrderLimits
            | Operation::Withdraw => self.weight,
        }
    }
}

/// How many symbols are named; none if all are asked for.
fn named(params: &Params) -> Option<usize> {
    if params.has("symbol") {
        return Some(1);
    }
    let list: Vec<String> = serde_json::from_str(params.get("symbols")?).ok()?;
    Some(list.len())
}

impl Operation {
    /// Whether only a failure is charged (since 2026-04-02).
    pub(super) const fn is_free(self) -> bool {
        matches!(
            self,
            Self::Place | Self::Cancel | Self::CancelAll | Self::Replace
        )
    }

    /// Whether the answer says how many orders the account has placed.
    pub(super) const fn counts_orders(self) -> bool {
        matches!(self, Self::Place | Self::Replace)
    }
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Found {
    Route(Route),
    /// The path is known, the method is not.
    OtherMethod,
    Nothing,
}

/// The route of a method and a path.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let mut known = REST
        .iter()
        .filter(|(_, there, _)| *there == path)
        .peekable();
    if known.peek().is_none() {
        return Found::Nothing;
    }
    let found = known.find(|(there, _, _)| there == method);
    found.map_or(Found::OtherMethod, |(_, _, route)| Found::Route(*route))
}

/// The route of a method of the WebSocket API.
pub(super) fn find_method(method: &str) -> Option<Route> {
    let found = WEB_SOCKET.iter().find(|(known, _)| *known == method);
    found.map(|(_, route)| *route)
}

const fn open(weight: u64, operation: Operation) -> Route {
    Route {
        security: Security::None,
        weight,
        operation,
    }
}

const fn user(weight: u64, operation: Operation) -> Route {
    Route {
        security: Security::UserData,
        weight,
        operation,
    }
}

const fn trade(operation: Operation) -> Route {
    Route {
        security: Security::Trade,
        weight: 1,
        operation,
    }
}

const REST: &[(Method, &str, Route)] = &[
    (Method::GET, "/api/v3/ping", open(1, Operation::Ping)),
    (Method::GET, "/api/v3/time", open(1, Operation::Time)),
    (
        Method::GET,
        "/api/v3/exchangeInfo",
        open(20, Operation::Info),
    ),
    (Method::GET, "/api/v3/depth", open(5, Operation::Depth)),
    (Method::GET, "/api/v3/klines", open(2, Operation::Klines)),
    (Method::GET, "/api/v3/trades", open(25, Operation::Trades)),
    (
        Method::GET,
        "/api/v3/aggTrades",
        open(4, Operation::Aggregates),
    ),
    (
        Method::GET,
        "/api/v3/historicalTrades",
        open(25, Operation::Trades),
    ),
    (
        Method::GET,
        "/api/v3/ticker/price",
        open(2, Operation::Ticker(Ticker::Price)),
    ),
    (
        Method::GET,
        "/api/v3/ticker/bookTicker",
        open(2, Operation::Ticker(Ticker::Book)),
    ),
    (
        Method::GET,
        "/api/v3/ticker/24hr",
        open(2, Operation::Ticker(Ticker::Day)),
    ),
    (Method::GET, "/api/v3/account", user(20, Operation::Account)),
    (
        Method::GET,
        "/api/v3/openOrders",
        user(6, Operation::OpenOrders),
    ),
    (
        Method::DELETE,
        "/api/v3/openOrders",
        trade(Operation::CancelAll),
    ),
    (Method::GET, "/api/v3/order", user(4, Operation::Status)),
    (Method::POST, "/api/v3/order", trade(Operation::Place)),
    (Method::DELETE, "/api/v3/order", trade(Operation::Cancel)),
    (Method::POST, "/api/v3/order/test", trade(Operation::Test)),
    (
        Method::POST,
        "/api/v3/order/cancelReplace",
        trade(Operation::Replace),
    ),
    (
        Method::GET,
        "/api/v3/allOrders",
        user(20, Operation::AllOrders),
    ),
    (
        Method::GET,
        "/api/v3/myTrades",
        user(20, Operation::MyTrades),
    ),
    (
        Method::GET,
        "/api/v3/rateLimit/order",
        user(40, Operation::OrderLimits),
    ),
    (
        Method::POST,
        "/sapi/v1/capital/withdraw/apply",
        trade(Operation::Withdraw),
    ),
    (
        Method::POST,
        "/sapi/v1/asset/transfer",
        trade(Operation::Withdraw),
    ),
];

const WEB_SOCKET: &[(&str, Route)] = &[
    ("ping", open(1, Operation::Ping)),
    ("time", open(1, Operation::Time)),
    ("exchangeInfo", open(20, Operation::Info)),
    ("depth", open(5, Operation::Depth)),
    ("klines", open(2, Operation::Klines)),
    ("trades.recent", open(25, Operation::Trades)),
    ("trades.historical", open(25, Operation::Trades)),
    ("trades.aggregate", open(4, Operation::Aggregates)),
    ("ticker.price", open(2, Operation::Ticker(Ticker::Price))),
    ("ticker.book", open(2, Operation::Ticker(Ticker::Book))),
    ("ticker.24hr", open(2, Operation::Ticker(Ticker::Day))),
    ("order.place", trade(Operation::Place)),
    ("order.test", trade(Operation::Test)),
    ("order.cancel", trade(Operation::Cancel)),
    ("order.cancelReplace", trade(Operation::Replace)),
    ("order.status", user(4, Operation::Status)),
    ("openOrders.status", user(6, Operation::OpenOrders)),
    ("openOrders.cancelAll", trade(Operation::CancelAll)),
    ("allOrders", user(20, Operation::AllOrders)),
    ("myTrades", user(20, Operation::MyTrades)),
    ("account.status", user(20, Operation::Account)),
    (
        "account.rateLimits.orders",
        user(40, Operation::OrderLimits),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_what_is_asked_for() {
        let list = |count| format!("[{}]", vec!["\"A\""; count].join(","));
        for (method, name, value, expected) in [
            ("depth", "limit", "100".to_owned(), 5),
            ("depth", "limit", "101".to_owned(), 25),
            ("depth", "limit", "1000".to_owned(), 50),
            ("depth", "limit", "5000".to_owned(), 250),
            ("depth", "limit", "x".to_owned(), 250),
            ("ticker.24hr", "symbol", "A".to_owned(), 2),
            ("ticker.24hr", "symbols", list(20), 2),
            ("ticker.24hr", "symbols", list(21), 40),
            ("ticker.24hr", "symbols", list(101), 80),
            ("ticker.24hr", "type", "MINI".to_owned(), 80),
            ("ticker.price", "symbol", "A".to_owned(), 2),
            ("ticker.price", "symbols", list(1), 4),
            ("openOrders.status", "symbol", "A".to_owned(), 6),
            ("openOrders.status", "x", "A".to_owned(), 80),
        ] {
            let params = Params::new(vec![(name.to_owned(), value)]);
            let route = find_method(method).unwrap();
            assert_eq!(route.weighs(&params), expected, "{method} {name}");
        }
    }
}
