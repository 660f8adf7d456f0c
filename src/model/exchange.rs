//! Exchanges as plain data: where they are, and what each of their endpoints needs, does and costs. Decides nothing, and
//! holds no key, no pin and nothing that is learned while running.
//!
//! Sources: developers.binance.com (rest-api.md, web-socket-api.md, the derivatives docs) and the other exchanges'
//! documents, read in 2026. What a table does not know is refused unless it is opened by its exact name.

use http::Method;

mod binance_coin_m;
mod binance_spot;
mod binance_usd_m;
mod known;
mod others;
mod weight;

pub use known::{Known, Reserve};
pub use weight::{Extent, Growth, Step, Symbols, Weight};

/// What a request to an endpoint has to carry. Never inferred: the tables say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Neither key nor signature; a key is never sent where it is not needed.
    None,
    /// The key's name, but no time and no signature.
    KeyOnly,
    /// The key's name, the time and a signature.
    Signed,
}

/// What a request does at the exchange, if it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing and may be asked again.
    Read,
    /// It changes something, and must never happen twice.
    Change,
    /// It takes an order back. Never twice either, but it has the lane that is kept for getting out.
    Cancel,
}

impl Effect {
    /// Whether a second one could do harm.
    #[must_use]
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Read)
    }

    /// What a method does where nothing more is known of the endpoint.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::DELETE => Self::Cancel,
            _ => Self::Change,
        }
    }
}

/// Which of its worlds a host belongs to. A key of one is never shown to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Real money.
    Production,
    /// A test network with keys of its own.
    Testnet,
    /// Demo trading: real prices, play money, keys of its own.
    Demo,
}

impl Environment {
    /// The word in faults.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Testnet => "testnet",
            Self::Demo => "demo",
        }
    }
}

/// One call of a REST interface: what is often called an endpoint. Paths of the tables have no parameters in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method, in upper case.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it needs.
    pub security: Security,
    /// What it does.
    pub effect: Effect,
    /// What a request weighs in the limit of its address.
    pub weight: Weight,
    /// How many orders it places, as the limit of its account counts them.
    pub orders: u32,
}

impl Call {
    const fn new(method: &'static str, path: &'static str, security: Security) -> Self {
        let effect = match method.as_bytes() {
            b"GET" => Effect::Read,
            b"DELETE" => Effect::Cancel,
            _ => Effect::Change,
        };
        Self {
            method,
            path,
            security,
            effect,
            weight: Weight::fixed(1),
            orders: 0,
        }
    }

    const fn weighs(self, weight: u32) -> Self {
        Self {
            weight: Weight::fixed(weight),
            ..self
        }
    }

    const fn for_all(self, most: u32) -> Self {
        self.grows(most, Growth::Named)
    }

    const fn grows(self, most: u32, grows: Growth) -> Self {
        Self {
            weight: self.weight.growing(most, grows),
            ..self
        }
    }

    const fn places(self, orders: u32) -> Self {
        Self { orders, ..self }
    }

    const fn does(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }
}

/// `GET` of something public.
const fn public(path: &'static str, weight: u32) -> Call {
    Call::new("GET", path, Security::None).weighs(weight)
}

/// Anything that is signed.
const fn signed(method: &'static str, path: &'static str, weight: u32) -> Call {
    Call::new(method, path, Security::Signed).weighs(weight)
}

/// Anything that is sent with the key's name alone.
const fn keyed(method: &'static str, path: &'static str, weight: u32) -> Call {
    Call::new(method, path, Security::KeyOnly).weighs(weight)
}

/// One method of a WebSocket API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsMethod {
    /// Its name, such as `order.place`.
    pub name: &'static str,
    /// What it needs.
    pub security: Security,
    /// What it does.
    pub effect: Effect,
    /// What it weighs.
    pub weight: Weight,
    /// How many orders it places.
    pub orders: u32,
}

impl WsMethod {
    const fn for_all(self, most: u32) -> Self {
        self.grows(most, Growth::Named)
    }

    const fn grows(self, most: u32, grows: Growth) -> Self {
        Self {
            weight: self.weight.growing(most, grows),
            ..self
        }
    }
}

const fn ws(name: &'static str, security: Security, effect: Effect, weight: u32) -> WsMethod {
    WsMethod {
        name,
        security,
        effect,
        weight: Weight::fixed(weight),
        orders: 0,
    }
}

const fn ws_places(name: &'static str, weight: u32, orders: u32) -> WsMethod {
    WsMethod {
        orders,
        ..ws(name, Security::Signed, Effect::Change, weight)
    }
}

/// Where one interface of an exchange is, and what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The host that is gone to.
    pub host: &'static str,
    /// Other hosts of the same interface, which an override may name.
    pub also: &'static [&'static str],
    /// The port.
    pub port: u16,
    /// Paths that belong to it: a request goes to the first site whose path is the beginning of its own.
    pub paths: &'static [&'static str],
}

impl Site {
    /// Whether a host is one of this site's.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.host == host || self.also.contains(&host)
    }
}

const fn site(host: &'static str, paths: &'static [&'static str]) -> Site {
    Site {
        host,
        also: &[],
        port: 443,
        paths,
    }
}

/// The interfaces of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Requests and answers.
    Rest,
    /// Requests in WebSocket frames.
    WsApi,
    /// What the exchange tells, over a WebSocket; never with a key.
    Streams,
}

impl Role {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Rest, Self::WsApi, Self::Streams];

    /// The key below `endpoints`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::WsApi => "ws_api",
            Self::Streams => "streams",
        }
    }
}

/// How much is known of an exchange's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalogue {
    /// All of them. What is not here is unknown, and refused unless it is opened by its exact name.
    Complete(&'static [Call]),
    /// Only what sets some apart; each entry is the beginning of a path.
    Sketch {
        /// What needs no key; everything else is signed.
        public: &'static [&'static str],
        /// What takes orders back, beside every `DELETE`.
        cancels: &'static [&'static str],
    },
}

/// What clients send by themselves to be believed, and this sidecar puts its own in the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Headers, in lower case.
    pub headers: &'static [&'static str],
    /// Parameters of the query or of a form.
    pub parameters: &'static [&'static str],
    /// Parameters of a WebSocket's frames, and of the query that opens one.
    pub members: &'static [&'static str],
}

/// Everything about an exchange that is known beforehand.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the YAML.
    pub name: &'static str,
    /// Whose keys work there: presets of one family and environment share them.
    pub family: &'static str,
    /// Which world it is.
    pub environment: Environment,
    /// The signer, by its name.
    pub signer: &'static str,
    /// Requests and answers.
    pub rest: Site,
    /// Requests in WebSocket frames.
    pub ws_api: Option<Site>,
    /// Market streams.
    pub streams: Option<Site>,
    /// Where its clock is read (`GET`); it answers `{"serverTime": ms}`.
    pub time: Option<&'static str>,
    /// Where its limits are read (`GET`).
    pub info: Option<&'static str>,
    /// Where an account is read (`GET`): signed, and it changes nothing, so a key is tried by it.
    pub account: Option<&'static str>,
    /// Where it tells how many orders the key's account has placed (`GET`, signed): `rateLimits` with a `count` each.
    pub order_counts: Option<&'static str>,
    /// What it limits, until it says so itself: `rateLimits` in its own words.
    pub limits: &'static str,
    /// Its calls.
    pub catalogue: Catalogue,
    /// The methods of its WebSocket API.
    pub ws_methods: &'static [WsMethod],
    /// What opening its WebSocket API weighs.
    pub ws_api_opens: u32,
    /// Whether placing an order and taking one back weigh nothing, unless they fail.
    pub orders_are_free: bool,
    /// Beginnings of paths that move money out or elsewhere. Refused unless opened by exact name.
    pub refused: &'static [&'static str],
    /// What clients send to be believed.
    pub credentials: Credentials,
    /// Whether refusals carry `code` and `msg` beside the problem, where this exchange's clients look for them.
    pub speaks_codes: bool,
}

impl Preset {
    /// The preset of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name).copied()
    }

    /// The site of an interface.
    #[must_use]
    pub const fn site(&self, role: Role) -> Option<&Site> {
        match role {
            Role::Rest => Some(&self.rest),
            Role::WsApi => self.ws_api.as_ref(),
            Role::Streams => self.streams.as_ref(),
        }
    }

    /// Which interface a path belongs to.
    #[must_use]
    pub fn role(&self, path: &str) -> Role {
        let behind = |role: &Role| {
            let site = self.site(*role);
            site.is_some_and(|site| site.paths.iter().any(|own| is_below(path, own)))
        };
        let sockets = [Role::WsApi, Role::Streams];
        sockets.into_iter().find(behind).unwrap_or(Role::Rest)
    }
}

/// Whether a path is `begin` or stands below it.
fn is_below(path: &str, begin: &str) -> bool {
    let rest = path.strip_prefix(begin);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every preset. A family has a file of its own.
pub static PRESETS: &[&Preset] = &[
    &binance_spot::PRODUCTION,
    &binance_spot::TESTNET,
    &binance_spot::DEMO,
    &binance_usd_m::PRODUCTION,
    &binance_usd_m::TESTNET,
    &binance_usd_m::DEMO,
    &binance_coin_m::PRODUCTION,
    &binance_coin_m::TESTNET,
    &binance_coin_m::DEMO,
    &others::OKX,
    &others::BYBIT,
    &others::KRAKEN,
    &others::KUCOIN,
    &others::BITFINEX,
    &others::GATE,
    &others::UPBIT,
    &others::COINBASE,
];

/// An exchange that has no preset: its hosts and its signer are the configuration's own.
pub static CUSTOM: Preset = others::CUSTOM;

#[cfg(test)]
mod tests;
