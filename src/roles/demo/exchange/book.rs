//! Orders and balances: what can be placed, what is filled at once, what can be cancelled. Knows neither HTTP nor keys.

use std::collections::{BTreeMap, HashMap};

use super::amount::Amount;
use super::market::Symbol;
use super::refusal::Refusal;

/// Orders that one exchange keeps.
const ORDERS_MAX: usize = 200_000;

/// What a new account owns.
const WEALTH: &[(&str, i32)] = &[
    ("BNB", 1_000),
    ("BTC", 100),
    ("ETH", 1_000),
    ("LTC", 10_000),
    ("USDT", 10_000_000),
];

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
    /// What was paid or received.
    pub(super) quote: Amount,
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

/// All orders of all accounts.
#[derive(Debug, Default)]
pub(super) struct Book {
    orders: BTreeMap<u64, Order>,
    balances: HashMap<String, BTreeMap<&'static str, Balance>>,
    last_order: u64,
    last_trade: u64,
}

impl Book {
    /// Whether an order could be placed.
    ///
    /// # Errors
    ///
    /// -2010 with the reason.
    pub(super) fn check(&mut self, account: &str, wanted: &NewOrder) -> Result<(), Refusal> {
        if self.orders.len() >= ORDERS_MAX {
            return Err(Refusal::order("Too many orders."));
        }
        let named = wanted.client_id.as_deref();
        if (self.open(account)).any(|order| Some(order.client_id.as_str()) == named) {
            return Err(Refusal::order("Duplicate order sent."));
        }
        if wanted.kind == Kind::LimitMaker && wanted.crosses() {
            return Err(Refusal::order("Order would immediately match and take."));
        }
        let (asset, amount) = wanted.cost();
        if self.balance(account, asset).free < amount {
            return Err(Refusal::order(
                "Account has insufficient balance for requested action.",
            ));
        }
        Ok(())
    }

    /// Places an order; it is filled at once if its price allows it.
    ///
    /// # Errors
    ///
    /// -2010 with the reason.
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
        let worth = price.times(quantity);
        let symbol = order.wanted.symbol;
        let (paid, got) = match order.wanted.side {
            Side::Buy => ((symbol.quote, worth), (symbol.base, quantity)),
            Side::Sell => ((symbol.base, quantity), (symbol.quote, worth)),
        };
        let balance = self.balance(&order.account, paid.0);
        balance.free = balance.free.minus(paid.1);
        let balance = self.balance(&order.account, got.0);
        balance.free = balance.free.plus(got.1);
        self.last_trade += 1;
        order.status = Status::Filled;
        order.executed = quantity;
        order.quote = worth;
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
    /// -2011 if there is none.
    pub(super) fn cancel_all(
        &mut self,
        account: &str,
        symbol: &Symbol,
        now_us: i64,
    ) -> Result<Vec<Order>, Refusal> {
        let open = self.open(account);
        let of_symbol = open.filter(|order| order.wanted.symbol.name == symbol.name);
        let ids: Vec<u64> = of_symbol.map(|order| order.id).collect();
        if ids.is_empty() {
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

    /// What an account owns.
    pub(super) fn balances(&mut self, account: &str) -> &mut BTreeMap<&'static str, Balance> {
        self.balances.entry(account.to_owned()).or_insert_with(|| {
            let balance = |amount: i32| Balance {
                free: Amount::whole(amount),
                locked: Amount::ZERO,
            };
            WEALTH
                .iter()
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

    /// What must be there to place it.
    fn cost(&self) -> (&'static str, Amount) {
        let price = if self.crosses() {
            self.fill_price()
        } else {
            self.price
        };
        match self.side {
            Side::Buy => (self.symbol.quote, price.times(self.quantity)),
            Side::Sell => (self.symbol.base, self.quantity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::market::find;
    use super::*;

    fn order(side: Side, price: &str, quantity: &str, name: &str) -> NewOrder {
        NewOrder {
            symbol: find("BTCUSDT").unwrap(),
            side,
            kind: Kind::Limit,
            in_force: InForce::UntilCancelled,
            price: Amount::parse(price).unwrap(),
            quantity: Amount::parse(quantity).unwrap(),
            client_id: Some(name.to_owned()),
        }
    }

    fn balance(book: &mut Book, asset: &'static str) -> (String, String) {
        let balance = book.balance("a", asset);
        (balance.free.to_string(), balance.locked.to_string())
    }

    #[test]
    fn an_open_order_locks_what_it_costs_until_it_is_cancelled() {
        let mut book = Book::default();
        let symbol = find("BTCUSDT").unwrap();
        let placed = book
            .place("a", order(Side::Buy, "50000", "2", "x"), 1)
            .unwrap();
        assert_eq!((placed.id, placed.status), (1, Status::New));
        let locked = ("9900000.00000000".to_owned(), "100000.00000000".to_owned());
        assert_eq!(balance(&mut book, "USDT"), locked);
        assert_eq!(
            book.place("a", order(Side::Buy, "1", "1", "x"), 2)
                .unwrap_err()
                .msg,
            "Duplicate order sent."
        );
        book.place("b", order(Side::Buy, "1", "1", "x"), 2).unwrap();
        let cancelled = book.cancel("a", symbol, Named::Client("x"), 3).unwrap();
        assert_eq!(cancelled.status, Status::Cancelled);
        assert_eq!(balance(&mut book, "USDT").1, "0.00000000");
        assert_eq!(
            book.cancel("a", symbol, Named::Id(1), 4).unwrap_err().code,
            -2011
        );
        assert_eq!(
            book.status("a", symbol, Named::Id(1)).unwrap().updated_us,
            3
        );
        assert_eq!(
            book.status("a", symbol, Named::Id(2)).unwrap_err().code,
            -2013
        );
        assert_eq!(book.cancel_all("a", symbol, 5).unwrap_err().code, -2011);
        book.place("a", order(Side::Buy, "50000", "2", "x"), 6)
            .unwrap();
        assert_eq!(book.cancel_all("a", symbol, 7).unwrap().len(), 1);
    }

    #[test]
    fn an_order_at_the_market_is_filled_at_once() {
        let mut book = Book::default();
        let placed = book
            .place("a", order(Side::Sell, "1", "1", "x"), 1)
            .unwrap();
        assert_eq!(placed.status, Status::Filled);
        assert_eq!(balance(&mut book, "BTC").0, "99.00000000");
        assert_eq!(balance(&mut book, "USDT").0, "10059999.99000000");
        let mut maker = order(Side::Sell, "1", "1", "y");
        maker.kind = Kind::LimitMaker;
        assert_eq!(book.place("a", maker, 1).unwrap_err().code, -2010);
        let mut now = order(Side::Buy, "1", "1", "z");
        now.in_force = InForce::AtOnce("IOC");
        assert_eq!(book.place("a", now, 1).unwrap().status, Status::Expired);
        let poor = book.place("a", order(Side::Sell, "70000", "1000", "w"), 1);
        assert_eq!(poor.unwrap_err().code, -2010);
    }
}
