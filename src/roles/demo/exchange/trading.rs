//! What each operation does, for REST and WebSocket alike. Whoever comes here has passed every check.

use serde_json::{Value, json};

use super::amount::Amount;
use super::book::{Holdings, InForce, Kind, Named, NewOrder, Order, Side};
use super::dialect::Dialect;
use super::evidence::count;
use super::limits::Moment;
use super::market::{self, Symbol};
use super::params::Params;
use super::present::{self, Detail, Times, futures};
use super::refusal::Refusal;
use super::routes::Operation;
use super::state::State;

/// Characters of a client's name for an order.
const CLIENT_ID_MAX: usize = 36;

/// A request that has passed every check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) params: &'a Params,
    /// Empty where none is needed.
    pub(super) account: &'a str,
    pub(super) moment: Moment,
    pub(super) times: Times,
}

impl State {
    /// Does what is asked.
    ///
    /// # Errors
    ///
    /// As the exchange documents them.
    pub(super) fn perform(&self, operation: Operation, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let (params, now_us) = (ask.params, ask.moment.unix_us);
        let (dialect, time) = (self.dialect, |us| ask.times.shown(us));
        match operation {
            Operation::Ping => Ok(json!({})),
            Operation::Time => Ok(json!({"serverTime": time(now_us)})),
            Operation::Info => market::info(dialect, params, &self.options.limits, time(now_us)),
            Operation::Depth => market::depth(dialect, params),
            Operation::Klines => market::klines(dialect, params, now_us),
            Operation::Trades => market::trades(dialect, params, now_us, time),
            Operation::Aggregates => market::aggregates(dialect, params, now_us, time),
            Operation::Ticker(kind) => market::ticker(dialect, params, kind, time(now_us)),
            Operation::Account => Ok(self.held(ask, dialect.shows.account)),
            Operation::Balance => Ok(self.held(ask, futures::balance)),
            Operation::Positions => Ok(self.held(ask, futures::positions)),
            Operation::OpenOrders => self.open_orders(ask),
            Operation::CancelAll => self.cancel_all(ask),
            Operation::Status => self.status(ask),
            Operation::Place => self.place(ask),
            Operation::Test => self.test(ask),
            Operation::Cancel => self.cancel(ask),
            Operation::Replace => self.replace(ask),
            Operation::AllOrders => self.all_orders(ask),
            Operation::MyTrades => self.trades(ask),
            Operation::OrderLimits => {
                let counted = self.meter().orders_reported(ask.moment, ask.account);
                Ok(Value::Array(counted))
            }
            Operation::StartListening => listening(self.listen_keys().start(ask.account)),
            Operation::GoOnListening => listening(self.listen_keys().go_on(ask.account)),
            Operation::StopListening => {
                let stopped = self.listen_keys().stop(ask.account);
                stopped.map(|()| json!({}))
            }
            Operation::Withdraw => Ok(json!({"id": "7213fea8e94b4a5593d507237e5a555b"})),
        }
    }

    /// What the account has, as it is to be shown.
    fn held(&self, ask: &Ask<'_>, shown: fn(&Holdings, Times, i64) -> Value) -> Value {
        let holdings = self.book().holdings(ask.account);
        shown(&holdings, ask.times, ask.moment.unix_us)
    }

    fn open_orders(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let name = ask.params.get("symbol");
        let symbol = name.map(|name| self.dialect.symbol(name)).transpose()?;
        let wanted =
            |order: &&Order| symbol.is_none_or(|symbol| order.wanted.symbol.name == symbol.name);
        let book = self.book();
        let open = book.open(ask.account).filter(wanted);
        Ok(open.map(|order| self.shown(order, ask)).collect())
    }

    fn all_orders(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let symbol = symbol(self.dialect, ask.params)?;
        let book = self.book();
        let mine = book.of(ask.account);
        let mine = mine.filter(|order| order.wanted.symbol.name == symbol.name);
        Ok(mine.map(|order| self.shown(order, ask)).collect())
    }

    fn trades(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let symbol = symbol(self.dialect, ask.params)?;
        let book = self.book();
        let mine = book.of(ask.account);
        let mine = mine.filter(|order| order.wanted.symbol.name == symbol.name);
        Ok(mine
            .filter_map(|order| (self.dialect.shows.trade)(order, ask.times))
            .collect())
    }

    fn status(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let symbol = symbol(self.dialect, ask.params)?;
        let named = named(ask.params, "origClientOrderId")?;
        let book = self.book();
        let order = book.status(ask.account, symbol, named)?;
        Ok(self.shown(order, ask))
    }

    fn shown(&self, order: &Order, ask: &Ask<'_>) -> Value {
        (self.dialect.shows.order)(order, ask.times)
    }

    fn test(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let wanted = new_order(self.dialect, ask.params)?;
        self.book().check(ask.account, &wanted)?;
        Ok(json!({}))
    }

    fn place(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let wanted = new_order(self.dialect, ask.params)?;
        let shows = &self.dialect.shows;
        let detail = Detail::of(ask.params, (shows.detail)(wanted.kind))?;
        self.meter().order(ask.moment, ask.account)?;
        let order = {
            let mut book = self.book();
            book.place(ask.account, wanted, ask.moment.unix_us)?
        };
        count(&self.evidence.counts.placed);
        for event in (shows.placed_events)(&order, ask.moment.unix_us) {
            self.tell(ask.account, event);
        }
        self.tell_balances(ask, &order);
        Ok((shows.placed)(&order, detail, ask.times))
    }

    fn cancel(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let symbol = symbol(self.dialect, ask.params)?;
        let named = named(ask.params, "origClientOrderId")?;
        self.cancel_named(ask, symbol, named)
    }

    fn cancel_named(
        &self,
        ask: &Ask<'_>,
        symbol: &Symbol,
        named: Named<'_>,
    ) -> Result<Value, Refusal> {
        let now_us = ask.moment.unix_us;
        let order = self.book().cancel(ask.account, symbol, named, now_us)?;
        Ok(self.cancelled(ask, &order))
    }

    fn cancelled(&self, ask: &Ask<'_>, order: &Order) -> Value {
        count(&self.evidence.counts.cancelled);
        let shows = &self.dialect.shows;
        self.tell(ask.account, (shows.cancelled_event)(order));
        self.tell_balances(ask, order);
        let client_id = ask.params.get("newClientOrderId");
        (shows.cancelled)(order, client_id, ask.times)
    }

    /// Tells what the account has now of what was traded.
    fn tell_balances(&self, ask: &Ask<'_>, order: &Order) {
        let holdings = self.book().holdings(ask.account);
        let (symbol, now_us) = (order.wanted.symbol, ask.moment.unix_us);
        let event = (self.dialect.shows.position_event)(&holdings, symbol, now_us);
        self.tell(ask.account, event);
    }

    fn cancel_all(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let symbol = symbol(self.dialect, ask.params)?;
        let now_us = ask.moment.unix_us;
        let orders = self.book().cancel_all(ask.account, symbol, now_us)?;
        let cancelled = orders.iter().map(|order| self.cancelled(ask, order));
        Ok((self.dialect.shows.all_cancelled)(cancelled.collect()))
    }

    /// Cancels one order and places another, as far as `cancelReplaceMode` lets it.
    fn replace(&self, ask: &Ask<'_>) -> Result<Value, Refusal> {
        let goes_on = match ask.params.required("cancelReplaceMode")? {
            "STOP_ON_FAILURE" => false,
            "ALLOW_FAILURE" => true,
            _ => return Err(Refusal::illegal("cancelReplaceMode")),
        };
        let symbol = symbol(self.dialect, ask.params)?;
        let id = ask.params.number("cancelOrderId")?.map(Named::Id);
        let name = ask.params.get("cancelOrigClientOrderId").map(Named::Client);
        let named = id
            .or(name)
            .ok_or_else(|| Refusal::missing("cancelOrderId"))?;
        let cancelled = self.cancel_named(ask, symbol, named);
        let placed = (cancelled.is_ok() || goes_on).then(|| self.place(ask));
        present::replaced(cancelled, placed)
    }
}

fn listening(listen_key: Result<String, Refusal>) -> Result<Value, Refusal> {
    listen_key.map(|listen_key| json!({"listenKey": listen_key}))
}

fn symbol(dialect: &Dialect, params: &Params) -> Result<&'static Symbol, Refusal> {
    dialect.symbol(params.required("symbol")?)
}

fn named<'p>(params: &'p Params, client: &str) -> Result<Named<'p>, Refusal> {
    let id = params.number("orderId")?.map(Named::Id);
    let name = params.get(client).map(Named::Client);
    id.or(name).ok_or_else(|| {
        Refusal::bad(
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        )
    })
}

/// Reads what somebody wants to place.
fn new_order(dialect: &Dialect, params: &Params) -> Result<NewOrder, Refusal> {
    let symbol = symbol(dialect, params)?;
    let side = match params.required("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(Refusal::bad(-1117, "Invalid side.")),
    };
    let kind = named_in(dialect.kinds, params.required("type")?);
    let kind = kind.ok_or_else(|| Refusal::bad(-1116, "Invalid orderType."))?;
    let in_force = match (kind, params.get("timeInForce")) {
        (Kind::Limit, None) => return Err(Refusal::missing("timeInForce")),
        (_, None) => InForce::UntilCancelled,
        (Kind::Limit, Some(name)) => named_in(dialect.in_force, name)
            .ok_or_else(|| Refusal::bad(-1115, "Invalid timeInForce."))?,
        (_, Some(_)) => return Err(not_required("timeInForce")),
    };
    let side_of_position = params.get("positionSide");
    if symbol.contract.is_some() && !matches!(side_of_position, None | Some("BOTH")) {
        let msg = "Order's position side does not match user's setting.";
        return Err(Refusal::bad(-4061, msg));
    }
    let price = match kind {
        Kind::Market if params.has("price") => return Err(not_required("price")),
        Kind::Market => Amount::ZERO,
        Kind::Limit | Kind::LimitMaker => positive(params, "price")?,
    };
    let by_worth = symbol.contract.is_none() && params.has("quoteOrderQty");
    let quantity = if kind == Kind::Market && by_worth {
        positive(params, "quoteOrderQty")?.over(symbol.price)
    } else {
        positive(params, "quantity")?
    };
    Ok(NewOrder {
        symbol,
        side,
        kind,
        in_force,
        price,
        quantity,
        client_id: client_id(params)?,
    })
}

fn named_in<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

fn client_id(params: &Params) -> Result<Option<String>, Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    match params.get("newClientOrderId") {
        None => Ok(None),
        Some(name) if (1..=CLIENT_ID_MAX).contains(&name.len()) && name.bytes().all(allowed) => {
            Ok(Some(name.to_owned()))
        }
        Some(_) => Err(Refusal::illegal("newClientOrderId")),
    }
}

fn positive(params: &Params, name: &str) -> Result<Amount, Refusal> {
    let text = params.required(name)?;
    let amount = Amount::parse(text).ok_or_else(|| Refusal::illegal(name))?;
    if amount == Amount::ZERO {
        return Err(Refusal::bad(-1013, format!("Invalid {name}.")));
    }
    Ok(amount)
}

fn not_required(name: &str) -> Refusal {
    let msg = format!("Parameter '{name}' sent when not required.");
    Refusal::bad(-1106, msg)
}
