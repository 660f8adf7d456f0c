//! Orders, trades and accounts as the futures exchanges' JSON shows them. Writes only; decides nothing.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::amount::Amount;
use super::super::book::{Balance, Holdings, Kind, Order, Position, Side, Status};
use super::super::market::Symbol;
use super::{Detail, Times, extend, in_force, side, status, unfilled};

/// How much an answer says if nobody asks.
pub(in super::super) const fn detail(_kind: Kind) -> Detail {
    Detail::Ack
}

/// An order as `GET order` shows it.
pub(in super::super) fn order(order: &Order, times: Times) -> Value {
    let mut shown = common(order, times);
    extend(&mut shown, json!({"time": times.shown(order.time_us)}));
    shown
}

/// The answer to a new order; what is filled shows only in a result.
pub(in super::super) fn placed(order: &Order, detail: Detail, times: Times) -> Value {
    match detail {
        Detail::Ack => common(&unfilled(order), times),
        Detail::Result | Detail::Full => common(order, times),
    }
}

/// The answer to a cancel.
pub(in super::super) fn cancelled(order: &Order, _client_id: Option<&str>, times: Times) -> Value {
    common(order, times)
}

/// The answer to a cancel of all orders, however many there were.
pub(in super::super) fn all_cancelled(_orders: Vec<Value>) -> Value {
    json!({"code": StatusCode::OK.as_u16(), "msg": "The operation of cancel all open order is done."})
}

/// A trade as `userTrades` shows it; none for an order that was not filled.
pub(in super::super) fn trade(order: &Order, times: Times) -> Option<Value> {
    let trade = order.trade?;
    let symbol = order.wanted.symbol;
    let mut shown = json!({
        "symbol": symbol.name, "id": trade, "orderId": order.id, "side": side(order),
        "price": order.average.to_string(), "qty": order.executed.to_string(), "realizedPnl": "0.00000000",
        "commission": "0.00000000", "commissionAsset": margin(symbol), "time": times.shown(order.time_us),
        "positionSide": "BOTH", "buyer": order.wanted.side == Side::Buy, "maker": false,
    });
    let worth = order.quote.to_string();
    extend(
        &mut shown,
        if is_inverse(symbol) {
            json!({"pair": pair(symbol), "marginAsset": margin(symbol), "baseQty": worth})
        } else {
            json!({"quoteQty": worth})
        },
    );
    Some(shown)
}

/// What USD-M's `account` answers.
pub(in super::super) fn usd_m_account(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let mut shown = holdings_of(holdings, times, now_us);
    let none = Amount::ZERO.to_string();
    let free = holdings.balances.get("USDT").copied().unwrap_or_default();
    let (all, free) = (wallet(free).to_string(), free.free.to_string());
    extend(
        &mut shown,
        json!({
            "totalInitialMargin": none, "totalMaintMargin": none, "totalWalletBalance": all,
            "totalUnrealizedProfit": none, "totalMarginBalance": all, "totalPositionInitialMargin": none,
            "totalOpenOrderInitialMargin": none, "totalCrossWalletBalance": all, "totalCrossUnPnl": none,
            "availableBalance": free, "maxWithdrawAmount": free, "canTrade": true, "multiAssetsMargin": false,
        }),
    );
    shown
}

/// What COIN-M's `account` answers.
pub(in super::super) fn coin_m_account(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let mut shown = holdings_of(holdings, times, now_us);
    extend(
        &mut shown,
        json!({
            "canDeposit": false, "canTrade": true, "canWithdraw": false, "feeTier": 0,
            "updateTime": times.shown(now_us),
        }),
    );
    shown
}

/// What `balance` answers.
pub(in super::super) fn balance(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let shown = |(asset, balance): (&&'static str, &Balance)| {
        let all = wallet(*balance).to_string();
        json!({
            "accountAlias": "SgsR", "asset": asset, "balance": all, "crossWalletBalance": all,
            "crossUnPnl": "0.00000000", "availableBalance": balance.free.to_string(),
            "maxWithdrawAmount": balance.free.to_string(), "withdrawAvailable": balance.free.to_string(),
            "marginAvailable": true, "updateTime": times.shown(now_us),
        })
    };
    holdings.balances.iter().map(shown).collect()
}

/// What `positionRisk` answers.
pub(in super::super) fn positions(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let open = holdings.positions.iter();
    open.map(|open| position_of(open, times, now_us)).collect()
}

/// What the account's streams hear of a new order.
pub(in super::super) fn placed_events(order: &Order, now_us: i64) -> Vec<Value> {
    let mut events = vec![update(&unfilled(order), "NEW", now_us)];
    match order.status {
        Status::Filled => events.push(update(order, "TRADE", now_us)),
        Status::Expired => events.push(update(order, "EXPIRED", now_us)),
        Status::New | Status::Cancelled => {}
    }
    events
}

/// What the account's streams hear of a cancel.
pub(in super::super) fn cancelled_event(order: &Order) -> Value {
    update(order, "CANCELED", order.updated_us)
}

/// An `ACCOUNT_UPDATE`: what an account has of the margin's asset and of a symbol.
pub(in super::super) fn position(holdings: &Holdings, symbol: &Symbol, now_us: i64) -> Value {
    let now = Times::Milliseconds.shown(now_us);
    let asset = margin(symbol);
    let balance = holdings.balances.get(asset).copied().unwrap_or_default();
    let of_symbol = |position: &&Position| position.symbol.name == symbol.name;
    let positions: Vec<Value> = (holdings.positions.iter())
        .filter(of_symbol)
        .map(|position| {
            json!({
                "s": symbol.name, "pa": position.amount.to_string(), "ep": position.entry.to_string(),
                "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH",
            })
        })
        .collect();
    let all = wallet(balance).to_string();
    json!({
        "e": "ACCOUNT_UPDATE", "E": now, "T": now,
        "a": {"m": "ORDER", "B": [{"a": asset, "wb": all, "cw": all, "bc": "0"}], "P": positions},
    })
}

/// An `ORDER_TRADE_UPDATE`.
fn update(order: &Order, what: &str, now_us: i64) -> Value {
    let now = Times::Milliseconds.shown(now_us);
    let none = Amount::ZERO.to_string();
    let symbol = order.wanted.symbol;
    let mut shown = json!({
        "s": symbol.name, "c": order.client_id, "S": side(order), "o": kind(order), "f": in_force(order),
        "q": order.wanted.quantity.to_string(), "p": order.wanted.price.to_string(),
        "ap": order.average.to_string(), "sp": none, "x": what, "X": status(order), "i": order.id,
        "l": order.executed.to_string(), "z": order.executed.to_string(), "L": order.average.to_string(),
        "T": now, "t": order.trade.unwrap_or_default(), "b": none, "a": none, "m": false, "R": false,
        "wt": "CONTRACT_PRICE", "ot": kind(order), "ps": "BOTH", "cp": false, "rp": none,
    });
    extend(
        &mut shown,
        json!({"pP": false, "si": 0, "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0}),
    );
    if is_inverse(symbol) {
        extend(&mut shown, json!({"ma": margin(symbol)}));
    }
    json!({"e": "ORDER_TRADE_UPDATE", "E": now, "T": now, "o": shown})
}

fn common(order: &Order, times: Times) -> Value {
    let symbol = order.wanted.symbol;
    let mut shown = json!({
        "orderId": order.id, "symbol": symbol.name, "status": status(order), "clientOrderId": order.client_id,
        "price": order.wanted.price.to_string(), "avgPrice": order.average.to_string(),
        "origQty": order.wanted.quantity.to_string(), "executedQty": order.executed.to_string(),
        "cumQty": order.executed.to_string(), "timeInForce": in_force(order), "type": kind(order),
        "reduceOnly": false, "closePosition": false, "side": side(order), "positionSide": "BOTH",
        "stopPrice": "0.00000000", "workingType": "CONTRACT_PRICE", "priceProtect": false,
        "origType": kind(order), "priceMatch": "NONE", "selfTradePreventionMode": "NONE",
        "updateTime": times.shown(order.updated_us),
    });
    let worth = order.quote.to_string();
    extend(
        &mut shown,
        if is_inverse(symbol) {
            json!({"pair": pair(symbol), "cumBase": worth})
        } else {
            json!({"cumQuote": worth, "goodTillDate": 0})
        },
    );
    shown
}

fn holdings_of(holdings: &Holdings, times: Times, now_us: i64) -> Value {
    let none = Amount::ZERO.to_string();
    let assets: Vec<Value> = (holdings.balances.iter())
        .map(|(asset, balance)| {
            let (all, locked) = (wallet(*balance).to_string(), balance.locked.to_string());
            json!({
                "asset": asset, "walletBalance": all, "unrealizedProfit": none, "marginBalance": all,
                "maintMargin": none, "initialMargin": locked, "positionInitialMargin": none,
                "openOrderInitialMargin": locked, "crossWalletBalance": all, "crossUnPnl": none,
                "availableBalance": balance.free.to_string(), "maxWithdrawAmount": balance.free.to_string(),
                "updateTime": times.shown(now_us),
            })
        })
        .collect();
    json!({"assets": assets, "positions": positions(holdings, times, now_us)})
}

fn position_of(position: &Position, times: Times, now_us: i64) -> Value {
    let symbol = position.symbol;
    let none = Amount::ZERO.to_string();
    json!({
        "symbol": symbol.name, "positionSide": "BOTH", "positionAmt": position.amount.to_string(),
        "entryPrice": position.entry.to_string(), "breakEvenPrice": position.entry.to_string(),
        "markPrice": symbol.price.to_string(), "unRealizedProfit": none, "unrealizedProfit": none,
        "liquidationPrice": "0", "isolatedMargin": none, "isolatedWallet": none,
        "notional": symbol.worth(symbol.price, position.amount).to_string(), "marginAsset": margin(symbol),
        "initialMargin": none, "maintMargin": none, "positionInitialMargin": none,
        "openOrderInitialMargin": none, "leverage": "20", "isolated": false, "updateTime": times.shown(now_us),
    })
}

const fn wallet(balance: Balance) -> Amount {
    balance.free.plus(balance.locked)
}

const fn margin(symbol: &Symbol) -> &'static str {
    match symbol.contract {
        Some(contract) => contract.margin,
        None => symbol.quote,
    }
}

const fn pair(symbol: &Symbol) -> &'static str {
    match symbol.contract {
        Some(contract) => contract.pair,
        None => symbol.name,
    }
}

fn is_inverse(symbol: &Symbol) -> bool {
    symbol
        .contract
        .is_some_and(|contract| contract.size.is_some())
}

const fn kind(order: &Order) -> &'static str {
    match order.wanted.kind {
        Kind::Limit | Kind::LimitMaker => "LIMIT",
        Kind::Market => "MARKET",
    }
}
