//! What sets the exchange's markets apart: one table for each of them. Judges nothing; whoever judges asks it.

use serde_json::Value;

use super::book::{Holdings, InForce, Kind, Order};
use super::limits::Counted;
use super::market::Symbol;
use super::market::contracts::{COIN_M_SYMBOLS, USD_M_SYMBOLS};
use super::market::spot::SPOT_SYMBOLS;
use super::present::{self, Detail, Times, futures};
use super::refusal::Refusal;
use super::routes::{Method, Rest};
use super::routes::{futures as futures_routes, spot as spot_routes};

/// Which of Binance's markets an exchange is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Market {
    /// What is bought is owned.
    #[default]
    Spot,
    /// Futures whose margin is a stable coin.
    UsdM,
    /// Futures whose margin is the coin itself.
    CoinM,
}

/// Everything in which one market differs from another.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Its routes.
    pub(super) rest: &'static [Rest],
    /// The methods of its WebSocket API that REST has as well.
    pub(super) methods: &'static [Method],
    /// The path of its WebSocket API.
    pub(super) api_path: &'static str,
    /// What stands before `/ws` and `/stream`.
    pub(super) stream_roots: &'static [&'static str],
    /// Whether accounts are listened to over the WebSocket API; over market streams by a listen key otherwise.
    pub(super) subscribes: bool,
    /// What opening a WebSocket weighs.
    pub(super) connection_weight: u64,
    /// The headers that tell the weight used.
    pub(super) weight_headers: &'static [&'static str],
    /// The windows in which it counts orders.
    pub(super) counted: &'static [Counted],
    /// Whether it limits requests by their number too.
    pub(super) counts_requests: bool,
    /// What is traded.
    pub(super) symbols: &'static [Symbol],
    /// What a new account owns.
    pub(super) wealth: &'static [(&'static str, i32)],
    /// The types of orders.
    pub(super) kinds: &'static [(&'static str, Kind)],
    /// How long they live.
    pub(super) in_force: &'static [(&'static str, InForce)],
    /// How it shows things.
    pub(super) shows: Shows,
    /// How it refuses orders.
    pub(super) refuses: Refuses,
}

/// How a market shows orders, trades and accounts.
#[derive(Debug)]
pub(super) struct Shows {
    pub(super) symbol: fn(&Symbol) -> Value,
    pub(super) order: fn(&Order, Times) -> Value,
    /// How much the answer to a new order says if nobody asks.
    pub(super) detail: fn(Kind) -> Detail,
    pub(super) placed: fn(&Order, Detail, Times) -> Value,
    pub(super) cancelled: fn(&Order, Option<&str>, Times) -> Value,
    pub(super) all_cancelled: fn(Vec<Value>) -> Value,
    pub(super) trade: fn(&Order, Times) -> Option<Value>,
    pub(super) account: fn(&Holdings, Times, i64) -> Value,
    pub(super) placed_events: fn(&Order, i64) -> Vec<Value>,
    pub(super) cancelled_event: fn(&Order) -> Value,
    pub(super) position_event: fn(&Holdings, &Symbol, i64) -> Value,
}

/// How a market refuses an order: code and text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refuses {
    pub(super) duplicate: Words,
    pub(super) poor: Words,
    pub(super) taker: Words,
    /// Whether there is nothing to cancel where all is to be cancelled.
    pub(super) cancels_nothing: bool,
}

/// A code and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words(i32, &'static str);

impl Words {
    pub(super) fn refusal(self) -> Refusal {
        Refusal::bad(self.0, self.1)
    }
}

impl Market {
    pub(super) const fn dialect(self) -> &'static Dialect {
        match self {
            Self::Spot => &SPOT,
            Self::UsdM => &USD_M,
            Self::CoinM => &COIN_M,
        }
    }
}

impl Dialect {
    /// The symbol of a name.
    ///
    /// # Errors
    ///
    /// -1100 for characters that no symbol has, -1121 for one that is not traded.
    pub(super) fn symbol(&self, name: &str) -> Result<&'static Symbol, Refusal> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !name.bytes().all(allowed) {
            return Err(Refusal::bad(
                -1100,
                "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
            ));
        }
        let found = self.symbols.iter().find(|symbol| symbol.name == name);
        found.ok_or_else(|| Refusal::bad(-1121, "Invalid symbol."))
    }
}

static SPOT: Dialect = Dialect {
    rest: spot_routes::REST,
    methods: spot_routes::METHODS,
    api_path: "/ws-api/v3",
    stream_roots: &[""],
    subscribes: true,
    connection_weight: 2,
    weight_headers: &["x-mbx-used-weight", "x-mbx-used-weight-1m"],
    counted: &[Counted::TenSeconds, Counted::Day],
    counts_requests: true,
    symbols: SPOT_SYMBOLS,
    wealth: &[
        ("BNB", 1_000),
        ("BTC", 100),
        ("ETH", 1_000),
        ("LTC", 10_000),
        ("USDT", 10_000_000),
    ],
    kinds: &[
        ("LIMIT", Kind::Limit),
        ("LIMIT_MAKER", Kind::LimitMaker),
        ("MARKET", Kind::Market),
    ],
    in_force: &[
        ("GTC", InForce::UntilCancelled),
        ("IOC", InForce::AtOnce("IOC")),
        ("FOK", InForce::AtOnce("FOK")),
    ],
    shows: Shows {
        symbol: super::market::spot::described,
        order: present::order,
        detail: present::detail,
        placed: present::placed,
        cancelled: present::cancelled,
        all_cancelled: Value::Array,
        trade: present::trade,
        account: present::account,
        placed_events: present::placed_events,
        cancelled_event: present::cancelled_event,
        position_event: present::position,
    },
    refuses: Refuses {
        duplicate: Words(-2010, "Duplicate order sent."),
        poor: Words(
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        taker: Words(-2010, "Order would immediately match and take."),
        cancels_nothing: false,
    },
};

/// What both futures markets have in common.
const FUTURES: Dialect = Dialect {
    rest: &[],
    methods: &[],
    api_path: "",
    stream_roots: &[""],
    subscribes: false,
    connection_weight: 5,
    weight_headers: &["x-mbx-used-weight-1m"],
    counted: &[Counted::TenSeconds, Counted::Minute],
    counts_requests: false,
    symbols: &[],
    wealth: &[],
    kinds: &[("LIMIT", Kind::Limit), ("MARKET", Kind::Market)],
    in_force: &[
        ("GTC", InForce::UntilCancelled),
        ("IOC", InForce::AtOnce("IOC")),
        ("FOK", InForce::AtOnce("FOK")),
        ("GTX", InForce::MakerOnly),
    ],
    shows: Shows {
        symbol: super::market::contracts::described,
        order: futures::order,
        detail: futures::detail,
        placed: futures::placed,
        cancelled: futures::cancelled,
        all_cancelled: futures::all_cancelled,
        trade: futures::trade,
        account: futures::usd_m_account,
        placed_events: futures::placed_events,
        cancelled_event: futures::cancelled_event,
        position_event: futures::position,
    },
    refuses: Refuses {
        duplicate: Words(-4116, "ClientOrderId is duplicated."),
        poor: Words(-2019, "Margin is insufficient."),
        taker: Words(
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected. \
             The order will not be recorded in the order history",
        ),
        cancels_nothing: true,
    },
};

static USD_M: Dialect = Dialect {
    rest: futures_routes::USD_M,
    methods: futures_routes::USD_M_METHODS,
    api_path: "/ws-fapi/v1",
    stream_roots: &["", "/public", "/market", "/private"],
    symbols: USD_M_SYMBOLS,
    wealth: &[("BNB", 1_000), ("USDC", 1_000_000), ("USDT", 10_000_000)],
    ..FUTURES
};

static COIN_M: Dialect = Dialect {
    rest: futures_routes::COIN_M,
    methods: futures_routes::COIN_M_METHODS,
    api_path: "/ws-dapi/v1",
    counted: &[Counted::Minute],
    symbols: COIN_M_SYMBOLS,
    wealth: &[("BTC", 100), ("ETH", 1_000)],
    shows: Shows {
        account: futures::coin_m_account,
        ..FUTURES.shows
    },
    ..FUTURES
};
