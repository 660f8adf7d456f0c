//! Orders, balances and positions: what can be placed, what is filled at once, what can be cancelled. Knows neither HTTP
//! nor keys.

use std::collections::{BTreeMap, HashMap};

use super::amount::Amount;
use super::dialect::Dialect;
use super::market::Symbol;
use super::refusal::Refusal;

/// Orders that one exchange keeps.
const ORDERS_MAX: usize = 200_000;

/// How many times its margin a position may be worth.
const LEVERAGE: Amount = Amount::whole(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Limit,
    LimitMaker,
    Market,
}

/// How long an order lives that is not filled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InForce {
    UntilCancelled,
    /// IOC and FOK: what cannot be filled expires.
    AtOnce(&'static str),
    /// GTX: until it is cancelled, and never filled at once.
    MakerOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    New,
    Filled,
    Cancelled,
    Expired,
}

/// An order that somebody wants to place.
#[derive(Clone, Debug)]
pub(super) struct NewOrder {
    pub(super) symbol: &'static Symbol,
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) in_force: InForce,
    pub(super) price: Amount,
    pub(super) quantity: Amount,
    /// A name the client gave.
    pub(super) client_id: Option<String>,
}

/// An order that was placed.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) account: String,
    pub(super) wanted: NewOrder,
    pub(super) client_id: String,
    pub(super) status: Status,
    pub(super) executed: Amount,
    /// What was paid or received: in the quote asset, or in the margin's.
    pub(super) quote: Amount,
    /// The price at which it was filled.
    pub(super) average: Amount,
    pub(super) trade: Option<u64>,
    pub(super) time_us: i64,
    pub(super) updated_us: i64,
}

/// How an order is named: by number, or by the client's name for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'n> {
    Id(u64),
    Client(&'n str),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    pub(super) free: Amount,
    pub(super) locked: Amount,
}

/// What an account has.
#[derive(Clone, Debug)]
pub(super) struct Holdings {
    pub(super) balances: BTreeMap<&'static str, Balance>,
    /// Of futures only.
    pub(super) positions: Vec<Position>,
}

/// What was bought or sold of a future and not yet back.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) symbol: &'static Symbol,
    /// Negative for what was sold.
    pub(super) amount: Amount,
    /// The price of the last trade.
    pub(super) entry: Amount,
}

/// All orders of all accounts.
#[derive(Debug)]
pub(super) struct Book {
    dialect: &'static Dialect,
    orders: BTreeMap<u64, Order>,
    balances: HashMap<String, BTreeMap<&'static str, Balance>>,
    last_order: u64,
    last_trade: u64,
}

impl Book {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            orders: BTreeMap::new(),
            balances: HashMap::new(),
            last_order: 0,
            last_trade: 0,
        }
    }

    /// Whether an order could be placed.
    ///
    /// # Errors
    ///
    /// As the market refuses orders, with the reason.
    pub(super) fn check(&mut self, account: &str, wanted: &NewOrder) -> Result<(), Refusal> {
        if self.orders.len() >= ORDERS_MAX {
            return Err(Refusal::order("Too many orders."));
        }
        let named = wanted.client_id.as_deref();
        if (self.open(account)).any(|order| Some(order.client_id.as_str()) == named) {
            return Err(self.dialect.refuses.duplicate.refusal());
        }
        if wanted.is_maker_only() && wanted.crosses() {
            return Err(self.dialect.refuses.taker.refusal());
        }
        let (asset, amount) = wanted.cost();
        if self.balance(account, asset).free < amount {
            return Err(self.dialect.refuses.poor.refusal());
        }
        Ok(())
    }

    /// Places an order; it is filled at once if its price allows it.
    ///
    /// # Errors
    ///
    /// As [`Book::check`].
    pub(super) fn place(
        &mut self,
        account: &str,
        wanted: NewOrder,
        now_us: i64,
    ) -> Result<Order, Refusal> {
        self.check(account, &wanted)?;
        self.last_order += 1;
        let id = self.last_order;
        let client_id = wanted.client_id.clone();
        let mut order = Order {
            id,
            account: account.to_owned(),
            client_id: client_id.unwrap_or_else(|| format!("auto{id:018}")),
            wanted,
            status: Status::New,
            executed: Amount::ZERO,
            quote: Amount::ZERO,
            average: Amount::ZERO,
            trade: None,
            time_us: now_us,
            updated_us: now_us,
        };
        if order.wanted.crosses() {
            self.fill(&mut order);
        } else if matches!(order.wanted.in_force, InForce::AtOnce(_)) {
            order.status = Status::Expired;
        } else {
            let (asset, amount) = order.wanted.cost();
            let balance = self.balance(account, asset);
            balance.free = balance.free.minus(amount);
            balance.locked = balance.locked.plus(amount);
        }
        self.orders.insert(id, order.clone());
        Ok(order)
    }

    fn fill(&mut self, order: &mut Order) {
        let (price, quantity) = (order.wanted.fill_price(), order.wanted.quantity);
        let symbol = order.wanted.symbol;
        let worth = symbol.worth(price, quantity);
        if symbol.contract.is_none() {
            let (paid, got) = match order.wanted.side {
                Side::Buy => ((symbol.quote, worth), (symbol.base, quantity)),
                Side::Sell => ((symbol.base, quantity), (symbol.quote, worth)),
            };
            let balance = self.balance(&order.account, paid.0);
            balance.free = balance.free.minus(paid.1);
            let balance = self.balance(&order.account, got.0);
            balance.free = balance.free.plus(got.1);
        }
        self.last_trade += 1;
        order.status = Status::Filled;
        order.executed = quantity;
        order.quote = worth;
        order.average = price;
        order.trade = Some(self.last_trade);
    }

    /// Cancels an open order.
    ///
    /// # Errors
    ///
    /// -2011 if there is none.
    pub(super) fn cancel(
        &mut self,
        account: &str,
        symbol: &Symbol,
        named: Named<'_>,
        now_us: i64,
    ) -> Result<Order, Refusal> {
        let found = self.find(account, symbol, named);
        let open = found.filter(|order| order.status == Status::New);
        let id = open.map(|order| order.id);
        let cancelled = id.and_then(|id| self.close(id, now_us));
        cancelled.ok_or_else(|| Refusal::bad(-2011, "Unknown order sent."))
    }

    /// Cancels every open order of a symbol.
    ///
    /// # Errors
    ///
    /// -2011 if there is none and the market says so.
    pub(super) fn cancel_all(
        &mut self,
        account: &str,
        symbol: &Symbol,
        now_us: i64,
    ) -> Result<Vec<Order>, Refusal> {
        let open = self.open(account);
        let of_symbol = open.filter(|order| order.wanted.symbol.name == symbol.name);
        let ids: Vec<u64> = of_symbol.map(|order| order.id).collect();
        if ids.is_empty() && !self.dialect.refuses.cancels_nothing {
            return Err(Refusal::bad(-2011, "Unknown order sent."));
        }
        Ok(ids
            .into_iter()
            .filter_map(|id| self.close(id, now_us))
            .collect())
    }

    fn close(&mut self, id: u64, now_us: i64) -> Option<Order> {
        let order = self.orders.get_mut(&id)?;
        order.status = Status::Cancelled;
        order.updated_us = now_us;
        let order = order.clone();
        let (asset, amount) = order.wanted.cost();
        let balance = self.balance(&order.account, asset);
        balance.locked = balance.locked.minus(amount);
        balance.free = balance.free.plus(amount);
        Some(order)
    }

    /// One order.
    ///
    /// # Errors
    ///
    /// -2013 if there is none.
    pub(super) fn status(
        &self,
        account: &str,
        symbol: &Symbol,
        named: Named<'_>,
    ) -> Result<&Order, Refusal> {
        let found = self.find(account, symbol, named);
        found.ok_or_else(|| Refusal::bad(-2013, "Order does not exist."))
    }

    /// The newest order of that name.
    fn find(&self, account: &str, symbol: &Symbol, named: Named<'_>) -> Option<&Order> {
        let mine = self.of(account).rev();
        let mut mine = mine.filter(|order| order.wanted.symbol.name == symbol.name);
        mine.find(|order| match named {
            Named::Id(id) => order.id == id,
            Named::Client(name) => order.client_id == name,
        })
    }

    /// Open orders, oldest first.
    pub(super) fn open(&self, account: &str) -> impl Iterator<Item = &Order> {
        self.of(account).filter(|order| order.status == Status::New)
    }

    /// All orders, oldest first.
    pub(super) fn of(&self, account: &str) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders
            .values()
            .filter(move |order| order.account == account)
    }

    /// What an account has.
    pub(super) fn holdings(&mut self, account: &str) -> Holdings {
        Holdings {
            balances: self.balances(account).clone(),
            positions: self.positions(account),
        }
    }

    /// What the trades of an account come to, for each future.
    fn positions(&self, account: &str) -> Vec<Position> {
        let mut positions: BTreeMap<&str, Position> = BTreeMap::new();
        let filled = |order: &&Order| order.status == Status::Filled;
        for order in self.of(account).filter(filled) {
            let symbol = order.wanted.symbol;
            if symbol.contract.is_none() {
                continue;
            }
            let position = positions.entry(symbol.name).or_insert(Position {
                symbol,
                amount: Amount::ZERO,
                entry: Amount::ZERO,
            });
            position.entry = order.average;
            position.amount = match order.wanted.side {
                Side::Buy => position.amount.plus(order.executed),
                Side::Sell => position.amount.minus(order.executed),
            };
        }
        let open = |position: &Position| position.amount != Amount::ZERO;
        positions.into_values().filter(open).collect()
    }

    fn balances(&mut self, account: &str) -> &mut BTreeMap<&'static str, Balance> {
        self.balances.entry(account.to_owned()).or_insert_with(|| {
            let balance = |amount: i32| Balance {
                free: Amount::whole(amount),
                locked: Amount::ZERO,
            };
            (self.dialect.wealth.iter())
                .map(|(asset, amount)| (*asset, balance(*amount)))
                .collect()
        })
    }

    fn balance(&mut self, account: &str, asset: &'static str) -> &mut Balance {
        self.balances(account).entry(asset).or_default()
    }
}

impl NewOrder {
    /// Whether it can be filled at once.
    fn crosses(&self) -> bool {
        match (self.kind, self.side) {
            (Kind::Market, _) => true,
            (_, Side::Buy) => self.price >= self.symbol.ask(),
            (_, Side::Sell) => self.price <= self.symbol.bid(),
        }
    }

    /// The price at which it is filled at once.
    fn fill_price(&self) -> Amount {
        match self.side {
            Side::Buy => self.symbol.ask(),
            Side::Sell => self.symbol.bid(),
        }
    }

    fn is_maker_only(&self) -> bool {
        self.kind == Kind::LimitMaker || self.in_force == InForce::MakerOnly
    }

    /// What must be there to place it.
    fn cost(&self) -> (&'static str, Amount) {
        let price = if self.crosses() {
            self.fill_price()
        } else {
            self.price
        };
        if let Some(contract) = self.symbol.contract {
            let worth = self.symbol.worth(price, self.quantity);
            return (contract.margin, worth.over(LEVERAGE));
        }
        match self.side {
            Side::Buy => (self.symbol.quote, price.times(self.quantity)),
            Side::Sell => (self.symbol.base, self.quantity),
        }
    }
}

#[cfg(test)]
mod tests;
