//! What a route or a method asks for, what it needs and what it weighs. The tables of the markets stand below it.

use http::Method as Verb;

use super::market::Ticker;
use super::params::Params;

pub(super) mod futures;
pub(super) mod spot;

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
    Balance,
    Positions,
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
    StartListening,
    GoOnListening,
    StopListening,
    Withdraw,
}

/// What a request must bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Neither key nor signature, and neither should be there.
    None,
    /// A key, and no signature should be there.
    Key,
    /// A key and a signature.
    UserData,
    /// A key that may trade, and a signature.
    Trade,
}

/// A route of REST or a method of the WebSocket API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) security: Security,
    pub(super) cost: Cost,
    pub(super) operation: Operation,
}

/// A route of REST: a method, a path, and what is there.
pub(super) type Rest = (Verb, &'static str, Route);

/// A method of a WebSocket API, and what is there.
pub(super) type Method = (&'static str, Route);

/// Up to which number something weighs what.
type Steps = &'static [(u64, u64)];

/// What a request weighs, as the exchange's documents say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cost {
    /// The same in any case.
    Always(u64),
    /// Nothing if it is done.
    IfRefused(u64),
    /// With a `symbol`, and without one.
    Symbol(u64, u64),
    /// By how many symbols are named, and for all of them.
    Symbols(Steps, u64),
    /// By the `limit`, beyond the last step, and the `limit` where none is sent.
    Limit(Steps, u64, u64),
}

impl Cost {
    /// What a request with these parameters weighs when it arrives.
    pub(super) fn on_arrival(self, params: &Params) -> u64 {
        match self {
            Self::Always(weight) => weight,
            Self::IfRefused(_) => 0,
            Self::Symbol(one, _) if params.has("symbol") => one,
            Self::Symbol(_, all) => all,
            Self::Symbols(steps, all) => named(params).map_or(all, |count| step(steps, count, all)),
            Self::Limit(steps, beyond, default) => match params.number("limit") {
                Ok(limit) => step(steps, limit.unwrap_or(default), beyond),
                Err(_) => beyond,
            },
        }
    }

    /// What is charged besides when it is refused.
    pub(super) const fn on_refusal(self) -> u64 {
        match self {
            Self::IfRefused(weight) => weight,
            Self::Always(_) | Self::Symbol(..) | Self::Symbols(..) | Self::Limit(..) => 0,
        }
    }
}

fn step(steps: Steps, count: u64, beyond: u64) -> u64 {
    let found = steps.iter().find(|(up_to, _)| count <= *up_to);
    found.map_or(beyond, |(_, weight)| *weight)
}

/// How many symbols are named; none if all are asked for.
fn named(params: &Params) -> Option<u64> {
    if params.has("symbol") {
        return Some(1);
    }
    let list: Vec<String> = serde_json::from_str(params.get("symbols")?).ok()?;
    u64::try_from(list.len()).ok()
}

impl Operation {
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
pub(super) fn find(table: &[Rest], verb: &Verb, path: &str) -> Found {
    let mut known = table
        .iter()
        .filter(|(_, there, _)| *there == path)
        .peekable();
    if known.peek().is_none() {
        return Found::Nothing;
    }
    let found = known.find(|(there, _, _)| there == verb);
    found.map_or(Found::OtherMethod, |(_, _, route)| Found::Route(*route))
}

/// The route of a method of the WebSocket API.
pub(super) fn find_method(table: &[Method], method: &str) -> Option<Route> {
    let found = table.iter().find(|(known, _)| *known == method);
    found.map(|(_, route)| *route)
}

const fn open(weight: u64, operation: Operation) -> Route {
    open_by(Cost::Always(weight), operation)
}

const fn open_by(cost: Cost, operation: Operation) -> Route {
    Route {
        security: Security::None,
        cost,
        operation,
    }
}

const fn key(weight: u64, operation: Operation) -> Route {
    Route {
        security: Security::Key,
        cost: Cost::Always(weight),
        operation,
    }
}

const fn user(weight: u64, operation: Operation) -> Route {
    user_by(Cost::Always(weight), operation)
}

const fn user_by(cost: Cost, operation: Operation) -> Route {
    Route {
        security: Security::UserData,
        cost,
        operation,
    }
}

const fn trade(cost: Cost, operation: Operation) -> Route {
    Route {
        security: Security::Trade,
        cost,
        operation,
    }
}

const fn get(path: &'static str, route: Route) -> Rest {
    (Verb::GET, path, route)
}

const fn post(path: &'static str, route: Route) -> Rest {
    (Verb::POST, path, route)
}

const fn put(path: &'static str, route: Route) -> Rest {
    (Verb::PUT, path, route)
}

const fn delete(path: &'static str, route: Route) -> Rest {
    (Verb::DELETE, path, route)
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Market;
    use super::super::params::Raw;
    use super::*;
    use crate::model::exchange::{self, Extent, Known, Preset, Reserve};

    #[test]
    fn weights_follow_what_is_asked_for() {
        let list = |count| format!("[{}]", vec!["\"A\""; count].join(","));
        let (spot, usd_m) = (spot::METHODS, futures::USD_M_METHODS);
        for (table, method, name, value, expected) in [
            (spot, "depth", "limit", "100".to_owned(), 5),
            (spot, "depth", "limit", "101".to_owned(), 25),
            (spot, "depth", "limit", "1000".to_owned(), 50),
            (spot, "depth", "limit", "5000".to_owned(), 250),
            (spot, "depth", "limit", "x".to_owned(), 250),
            (spot, "depth", "x", "1".to_owned(), 5),
            (spot, "ticker.24hr", "symbol", "A".to_owned(), 2),
            (spot, "ticker.24hr", "symbols", list(20), 2),
            (spot, "ticker.24hr", "symbols", list(21), 40),
            (spot, "ticker.24hr", "symbols", list(101), 80),
            (spot, "ticker.24hr", "type", "MINI".to_owned(), 80),
            (spot, "ticker.price", "symbol", "A".to_owned(), 2),
            (spot, "ticker.price", "symbols", list(1), 4),
            (spot, "openOrders.status", "symbol", "A".to_owned(), 6),
            (spot, "openOrders.status", "x", "A".to_owned(), 80),
            (spot, "order.place", "x", "A".to_owned(), 0),
            (usd_m, "depth", "x", "A".to_owned(), 10),
            (usd_m, "depth", "limit", "50".to_owned(), 2),
            (usd_m, "depth", "limit", "1000".to_owned(), 20),
            (usd_m, "ticker.book", "symbol", "A".to_owned(), 2),
            (usd_m, "ticker.book", "x", "A".to_owned(), 5),
            (usd_m, "order.cancel", "x", "A".to_owned(), 1),
        ] {
            let params = Params::new(vec![(name.to_owned(), value)]);
            let route = find_method(table, method).unwrap();
            let found = route.cost.on_arrival(&params);
            assert_eq!(found, expected, "{method} {name}");
        }
    }

    /// What requests and frames may name.
    const QUERIES: [&str; 8] = [
        "",
        "symbol=A",
        "symbols=%5B%22A%22%2C%22B%22%5D",
        "symbol=A&limit=50",
        "symbol=A&limit=100",
        "symbol=A&limit=500",
        "symbol=A&limit=1000",
        "symbol=A&limit=5000",
    ];

    /// Weighs the most there, because it depends on what may stand in a body, or because sources differ.
    const HEAVIER: [&str; 3] = ["/api/v3/order/test", "order.test", "userDataStream.start"];

    #[test]
    fn presets_know_every_call_with_its_need_and_its_weight() {
        for (market, preset) in [
            (Market::Spot, "binance-spot"),
            (Market::UsdM, "binance-usdm"),
            (Market::CoinM, "binance-coinm"),
        ] {
            let dialect = market.dialect();
            let preset = Preset::named(preset).unwrap();
            for query in QUERIES {
                let extent = Extent::of_query(query);
                let params = params(query);
                for (verb, path, route) in dialect.rest {
                    let known = preset.known(verb, path, extent);
                    compare(path, query, *route, known, &params);
                }
                for (name, route) in dialect.methods {
                    let known = preset.known_frame(name, extent);
                    compare(name, query, *route, known, &params);
                }
            }
        }
    }

    fn params(query: &'static str) -> Params {
        let raw = Raw {
            query: query.as_bytes(),
            body: b"",
        };
        raw.params()
    }

    fn compare(name: &str, query: &str, route: Route, known: Known, params: &Params) {
        if matches!(route.operation, Operation::Withdraw) {
            assert_eq!(known.reserve, Some(Reserve::MovesMoney), "{name}");
            return;
        }
        let needs = match route.security {
            Security::None => exchange::Security::None,
            Security::Key => exchange::Security::KeyOnly,
            Security::UserData | Security::Trade => exchange::Security::Signed,
        };
        assert_eq!((known.security, known.reserve), (needs, None), "{name}");
        assert_eq!(known.orders > 0, route.operation.counts_orders(), "{name}");
        let weight = route.cost.on_arrival(params) + route.cost.on_refusal();
        if HEAVIER.contains(&name) {
            assert!(u64::from(known.weight) > weight, "{name}");
        } else {
            assert_eq!(u64::from(known.weight), weight, "{name}?{query}");
        }
        let is_free = matches!(route.cost, Cost::IfRefused(_));
        assert_eq!(known.is_free_on_success, is_free, "{name}");
    }
}
