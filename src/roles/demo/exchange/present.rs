//! Orders, trades and accounts as the exchange's JSON shows them. Writes only; decides nothing.

use http::StatusCode;
use serde_json::{Value, json};

use super::amount::Amount;
use super::book::{Holdings, InForce, Kind, Order, Side, Status};
use super::market::Symbol;
use super::params::Params;
use super::refusal::Refusal;

pub(super) mod futures;

/// The unit in which an answer shows times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Milliseconds,
    Microseconds,
}

/// How much the answer to a new order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    Ack,
    Result,
    Full,
}

impl Times {
    pub(super) const fn shown(self, us: i64) -> i64 {
        match self {
            Self::Milliseconds => us.div_euclid(1000),
            Self::Microseconds => us,
        }
    }
}

impl Detail {
    pub(super) fn of(params: &Params, default: Self) -> Result<Self, Refusal> {
        match params.get("newOrderRespType") {
            None => Ok(default),
            Some("ACK") => Ok(Self::Ack),
            Some("RESULT") => Ok(Self::Result),
            Some("FULL") => Ok(Self::Full),
            Some(_) => Err(Refusal::bad(-1100, "Invalid newOrderRespType.")),
        }
    }
}

/// How much an answer says if nobody asks.
pub(super) const fn detail(kind: Kind) -> Detail {
    match kind {
        Kind::LimitMaker => Detail::Ack,
        Kind::Limit | Kind::Market => Detail::Full,
    }
}

/// An order as `GET order` shows it.
pub(super) fn order(order: &Order, times: Times) -> Value {
    let created = times.shown(order.time_us);
    let mut shown = common(order);
    extend(
        &mut shown,
        json!({
            "clientOrderId": order.client_id, "stopPrice": "0.00000000", "icebergQty": "0.00000000",
            "time": created, "updateTime": times.shown(order.updated_us), "isWorking": true,
            "workingTime": created,
        }),
    );
    shown
}

/// The answer to a new order.
pub(super) fn placed(order: &Order, detail: Detail, times: Times) -> Value {
    let time = times.shown(order.time_us);
    if detail == Detail::Ack {
        return json!({
            "symbol": order.wanted.symbol.name, "orderId": order.id, "orderListId": -1,
            "clientOrderId": order.client_id, "transactTime": time,
        });
    }
    let mut shown = common(order);
    extend(
        &mut shown,
        json!({"clientOrderId": order.client_id, "transactTime": time, "workingTime": time}),
    );
    if detail == Detail::Full {
        let fills: Vec<Value> = fill(order).into_iter().collect();
        extend(&mut shown, json!({"fills": fills}));
    }
    shown
}

/// The answer to a cancel.
pub(super) fn cancelled(order: &Order, client_id: Option<&str>, times: Times) -> Value {
    let mut shown = common(order);
    let name = cancel_name(order, client_id);
    extend(
        &mut shown,
        json!({
            "origClientOrderId": order.client_id, "clientOrderId": name,
            "transactTime": times.shown(order.updated_us),
        }),
    );
    shown
}

/// The answer to a cancel with a replacement: what both halves came to.
///
/// # Errors
///
/// 400 with -2022 if neither worked, 409 with -2021 if one did.
pub(super) fn replaced(
    cancelled: Result<Value, Refusal>,
    placed: Option<Result<Value, Refusal>>,
) -> Result<Value, Refusal> {
    let word = |worked: bool| if worked { "SUCCESS" } else { "FAILURE" };
    let outcome = |result: Result<Value, Refusal>| result.unwrap_or_else(|refusal| refusal.body());
    let cancel_worked = cancelled.is_ok();
    let place_worked = placed.as_ref().map(Result::is_ok);
    let data = json!({
        "cancelResult": word(cancel_worked),
        "newOrderResult": place_worked.map_or("NOT_ATTEMPTED", word),
        "cancelResponse": outcome(cancelled),
        "newOrderResponse": placed.map_or(Value::Null, outcome),
    });
    let mut refusal = match (cancel_worked, place_worked) {
        (true, Some(true)) => return Ok(data),
        (false, Some(true)) | (true, _) => {
            let msg = "Order cancel-replace partially failed.";
            Refusal::new(StatusCode::CONFLICT, -2021, msg)
        }
        (false, _) => Refusal::bad(-2022, "Order cancel-replace failed."),
    };
    refusal.data = Some(data);
    Err(refusal)
}

/// A trade as `myTrades` shows it; none for an order that was not filled.
pub(super) fn trade(order: &Order, times: Times) -> Option<Value> {
    let trade = order.trade?;
    Some(json!({
        "symbol": order.wanted.symbol.name, "id": trade, "orderId": order.id, "orderListId": -1,
        "price": order.average.to_string(), "qty": order.executed.to_string(),
        "quoteQty": order.quote.to_string(), "commission": "0.00000000",
        "commissionAsset": order.wanted.symbol.quote, "time": times.shown(order.time_us),
        "isBuyer": order.wanted.side == Side::Buy, "isMaker": false, "isBestMatch": true,
    }))
}

/// What `account` answers.
pub(super) fn account(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let balances: Vec<Value> = (holdings.balances.iter())
        .map(|(asset, balance)| {
            json!({"asset": asset, "free": balance.free.to_string(), "locked": balance.locked.to_string()})
        })
        .collect();
    let none = Amount::ZERO.to_string();
    json!({
        "makerCommission": 0, "takerCommission": 0, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": {"maker": none, "taker": none, "buyer": none, "seller": none},
        "canTrade": true, "canWithdraw": false, "canDeposit": false, "brokered": false,
        "requireSelfTradePrevention": false, "preventSor": false,
        "updateTime": times.shown(now_us), "accountType": "SPOT", "balances": balances,
        "permissions": ["SPOT"], "uid": 1,
    })
}

/// What the account's streams hear of a new order.
pub(super) fn placed_events(order: &Order, now_us: i64) -> Vec<Value> {
    let new = unfilled(order);
    let mut events = vec![report(&new, "NEW", &new.client_id, "", now_us)];
    match order.status {
        Status::Filled => events.push(report(order, "TRADE", &order.client_id, "", now_us)),
        Status::Expired => events.push(report(order, "EXPIRED", &order.client_id, "", now_us)),
        Status::New | Status::Cancelled => {}
    }
    events
}

/// What the account's streams hear of a cancel.
pub(super) fn cancelled_event(order: &Order) -> Value {
    let name = cancel_name(order, None);
    report(order, "CANCELED", &name, &order.client_id, order.updated_us)
}

/// An `outboundAccountPosition`: what an account has of a symbol's assets.
pub(super) fn position(holdings: &Holdings, symbol: &Symbol, now_us: i64) -> Value {
    let now = Times::Milliseconds.shown(now_us);
    let shown = |asset: &'static str| {
        let balance = holdings.balances.get(asset).copied().unwrap_or_default();
        json!({"a": asset, "f": balance.free.to_string(), "l": balance.locked.to_string()})
    };
    json!({
        "e": "outboundAccountPosition", "E": now, "u": now,
        "B": [shown(symbol.base), shown(symbol.quote)],
    })
}

/// An `executionReport`.
fn report(order: &Order, what: &str, client_id: &str, original: &str, now_us: i64) -> Value {
    let now = Times::Milliseconds.shown(now_us);
    let none = Amount::ZERO.to_string();
    let filled = order.trade.is_some();
    let last = |amount: Amount| if filled { amount } else { Amount::ZERO }.to_string();
    let mut event = json!({
        "e": "executionReport", "E": now, "s": order.wanted.symbol.name, "c": client_id,
        "S": side(order), "o": kind(order), "f": in_force(order), "q": order.wanted.quantity.to_string(),
        "p": order.wanted.price.to_string(), "P": none, "F": none, "g": -1, "C": original,
        "x": what, "X": status(order), "r": "NONE", "i": order.id,
    });
    extend(
        &mut event,
        json!({
            "l": last(order.executed), "z": order.executed.to_string(), "L": last(order.average),
            "n": "0", "N": null, "T": now, "t": order.trade.map_or_else(|| json!(-1), |trade| json!(trade)),
            "I": order.id, "w": order.status == Status::New, "m": false,
            "O": Times::Milliseconds.shown(order.time_us), "Z": order.quote.to_string(),
            "Y": last(order.quote), "Q": none, "W": Times::Milliseconds.shown(order.time_us), "V": "NONE",
        }),
    );
    event
}

/// An order as it was before it was filled.
fn unfilled(order: &Order) -> Order {
    Order {
        status: Status::New,
        executed: Amount::ZERO,
        quote: Amount::ZERO,
        average: Amount::ZERO,
        trade: None,
        ..order.clone()
    }
}

fn common(order: &Order) -> Value {
    json!({
        "symbol": order.wanted.symbol.name, "orderId": order.id, "orderListId": -1,
        "price": order.wanted.price.to_string(), "origQty": order.wanted.quantity.to_string(),
        "executedQty": order.executed.to_string(), "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": order.quote.to_string(), "status": status(order),
        "timeInForce": in_force(order), "type": kind(order), "side": side(order),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    })
}

fn fill(order: &Order) -> Option<Value> {
    let trade = order.trade?;
    Some(json!({
        "price": order.average.to_string(), "qty": order.executed.to_string(),
        "commission": "0.00000000", "commissionAsset": order.wanted.symbol.quote, "tradeId": trade,
    }))
}

/// The client's name for a cancel, or one made from the order.
fn cancel_name(order: &Order, client_id: Option<&str>) -> String {
    client_id.map_or_else(|| format!("cancel{:018}", order.id), str::to_owned)
}

const fn side(order: &Order) -> &'static str {
    match order.wanted.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

const fn kind(order: &Order) -> &'static str {
    match order.wanted.kind {
        Kind::Limit => "LIMIT",
        Kind::LimitMaker => "LIMIT_MAKER",
        Kind::Market => "MARKET",
    }
}

const fn in_force(order: &Order) -> &'static str {
    match order.wanted.in_force {
        InForce::UntilCancelled => "GTC",
        InForce::AtOnce(name) => name,
        InForce::MakerOnly => "GTX",
    }
}

const fn status(order: &Order) -> &'static str {
    match order.status {
        Status::New => "NEW",
        Status::Filled => "FILLED",
        Status::Cancelled => "CANCELED",
        Status::Expired => "EXPIRED",
    }
}

/// Adds the members of one object to another.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
