//! What an exchange lets us do: its limits and what is spent of them, known before it punishes, and its word when it
//! says stop. Shared by all workers and kept over reloads. Never reads a clock, never waits.

mod answer;
mod breaker;
mod firewall;
mod interval;
mod limits;
mod meter;
mod moment;
mod reservation;
mod scan;
mod scope;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use answer::{Answer, Outcome};
pub use breaker::{Halt, InForce, NotLifted, RetryAfter};
pub use firewall::{CallMark, Extent};
pub use interval::{Interval, Unit};
pub use limits::{Figure, LimitKind, RateLimit, Told, read_rate_limits};
pub use meter::Source;
pub use moment::Moment;
pub use reservation::{Reservation, Settled};
pub use scan::{RateLimitsScan, ScanFault, Scanned, read_server_time};
pub use settings::{BudgetSettings, BudgetSpec, ClockSettings};

use super::exchange_clock::ExchangeClock;
use scope::Scope;

/// Names of scopes and clocks that are kept though nobody uses them, each. A configuration names a handful; many reloads
/// with ever new names must not add up.
const UNUSED_MAX: usize = 64;

/// Every budget and clock of the process. Made once and kept over reloads, so that what is spent stays spent and a ban
/// stays a ban, whatever the new configuration says.
#[derive(Debug, Default)]
pub struct ExchangeLedger {
    scopes: Mutex<HashMap<ScopeName, Arc<Scope>>>,
    clocks: Mutex<HashMap<Arc<str>, ExchangeClock>>,
}

/// By what a scope is found again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ScopeName {
    /// This machine's address at an exchange.
    Address(Arc<str>),
    /// An account at an exchange.
    Account(Arc<str>, Arc<str>),
}

impl ExchangeLedger {
    /// The budget for this, with everything that is known of its exchange and its account already.
    #[must_use]
    pub fn budget(&self, spec: &BudgetSpec) -> Budget {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.len() > UNUSED_MAX {
            scopes.retain(|_, scope| Arc::strong_count(scope) > 1);
        }
        let address = ScopeName::Address(Arc::clone(&spec.exchange));
        let account = ScopeName::Account(Arc::clone(&spec.exchange), Arc::clone(&spec.account));
        let [address, account] =
            [address, account].map(|name| Arc::clone(scopes.entry(name).or_default()));
        let budget = Budget {
            address,
            account,
            settings: spec.settings,
        };
        for limit in &spec.limits {
            budget.scope(limit.kind).state().learn_unknown(*limit);
        }
        budget
    }

    /// The clock of a host, with what is known of it already.
    #[must_use]
    pub fn clock(&self, host: &str, settings: ClockSettings) -> ExchangeClock {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        if clocks.len() > UNUSED_MAX {
            clocks.retain(|_, clock| clock.is_shared());
        }
        match clocks.get(host) {
            Some(clock) => clock.with(settings),
            None => {
                let clock = ExchangeClock::new(settings);
                clocks.insert(Arc::from(host), clock.clone());
                clock
            }
        }
    }
}

/// What one account may spend at one exchange. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget {
    address: Arc<Scope>,
    account: Arc<Scope>,
    settings: BudgetSettings,
}

/// What a request costs, and which call it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Its weight.
    pub weight: u32,
    /// Requests: one.
    pub raw: u32,
    /// Orders that it places.
    pub orders: u32,
    /// Connections that it opens.
    pub connections: u32,
    /// Whether it weighs nothing once it has succeeded, as placing and cancelling do at Binance.
    pub is_free_on_success: bool,
    /// Which call it is, should the exchange's firewall refuse it.
    pub call: CallMark,
}

/// Which part of the budget a request may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Everything but cancels.
    Normal,
    /// Cancels: also what is kept for them.
    Cancel,
}

/// Refused here, so that the exchange need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What stands in the way.
    pub which: Which,
    /// How long at most until it does not; then it is worth asking again.
    pub wait: Duration,
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A limit is spent, as far as we may spend it.
    Limit {
        /// Of what.
        kind: LimitKind,
        /// Over which time.
        interval: Interval,
    },
    /// The exchange said stop.
    Halted(Halt),
}

/// A question for what the exchange has counted, from before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry {
    begun: Moment,
    epoch: u64,
}

/// How full a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Over which time.
    pub interval: Interval,
    /// Spent in the present window, in flight included.
    pub used: u64,
    /// The exchange's limit.
    pub limit: u64,
    /// Where the count comes from.
    pub source: Source,
}

/// What can be shown of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetState {
    /// The weight that is nearest to its limit.
    pub weight: Option<Usage>,
    /// The orders that are nearest to their limit.
    pub orders: Option<Usage>,
    /// The stops in force.
    pub stops: [Option<InForce>; 2],
}

impl BudgetState {
    /// The stop that holds everything up, and how long it lasts at least.
    #[must_use]
    pub fn halted(&self) -> Option<(Halt, Duration)> {
        let mut stops = self.stops.iter().flatten();
        let stop = stops.find(|stop| stop.extent == Extent::Everything)?;
        Some((stop.halt, stop.left))
    }
}

impl Budget {
    /// Takes what the request may cost, or says what stands in the way. Nothing may be sent without.
    ///
    /// # Errors
    /// A limit has no room left for this lane, or the exchange said stop.
    pub fn reserve(&self, charge: Charge, lane: Lane, at: Moment) -> Result<Reservation, Refused> {
        // Always in this order, so that no two wait for each other.
        let mut address = self.address.state();
        let mut account = self.account.state();
        let pass = address.breaker.admit(charge.call, lane, at)?;
        let full = [&mut address, &mut account]
            .into_iter()
            .filter_map(|state| state.full(&charge, lane, &self.settings, at))
            .max_by_key(|refused| refused.wait);
        if let Some(refused) = full {
            return Err(refused);
        }
        address.take(&charge);
        account.take(&charge);
        address.breaker.pass(pass);
        let epochs = [address.epoch(), account.epoch()];
        drop((address, account));
        Ok(Reservation::new(self.clone(), charge, pass, at, epochs))
    }

    /// What would stand in the way now. Takes nothing.
    #[must_use]
    pub fn refusal(&self, charge: Charge, lane: Lane, at: Moment) -> Option<Refused> {
        let mut address = self.address.state();
        let mut account = self.account.state();
        let halted = address.breaker.admit(charge.call, lane, at).err();
        halted
            .or_else(|| address.full(&charge, lane, &self.settings, at))
            .or_else(|| account.full(&charge, lane, &self.settings, at))
    }

    /// Whether to ask for what the exchange has counted of the account's orders: at most once in so long, by whoever it is.
    #[must_use]
    pub fn inquire(&self, pause: Duration, at: Moment) -> Option<Inquiry> {
        let mut account = self.account.state();
        let may = account.may_ask(pause, at);
        may.then(|| Inquiry {
            begun: at,
            epoch: account.epoch(),
        })
    }

    /// There was no answer: it may be asked again after this.
    pub fn inquire_again(&self, pause: Duration, at: Moment) {
        self.account.state().ask_after(pause, at);
    }

    /// Takes over what the exchange has counted of the account's orders, as an answer to an order would tell it. What was
    /// sent meanwhile stays counted beside it.
    pub fn counted(&self, inquiry: &Inquiry, told: &Told, at: Moment) {
        let nothing = Charge::default();
        let (told, times) = ((told, Source::Asked), (inquiry.begun, Some(at)));
        let mut account = self.account.state();
        account.settle(&nothing, &nothing, told, times, inquiry.epoch);
    }

    /// Takes note of an answer that settles no reservation: it is nobody's, or came when its request had been given up. Only
    /// a stop counts. `call` says what was asked, [`CallMark::NONE`] where nobody knows.
    pub fn heard(&self, answer: &Answer, call: CallMark, at: Moment) {
        if let Outcome::Halt(halt, retry) = answer.outcome {
            let mut address = self.address.state();
            address
                .breaker
                .halt((call, breaker::Pass::default()), halt, retry, at);
        }
    }

    /// Takes over the limits that the exchange tells.
    pub fn learn(&self, limits: &[RateLimit]) {
        for limit in limits {
            self.scope(limit.kind).state().learn(*limit);
        }
    }

    /// What can be shown of it.
    #[must_use]
    pub fn state(&self, at: Moment) -> BudgetState {
        let mut address = self.address.state();
        BudgetState {
            weight: address.fullest(LimitKind::Weight, at),
            stops: address.breaker.in_force(at),
            orders: self.account.state().fullest(LimitKind::Orders, at),
        }
    }

    /// Ends a stop before its time, if it is in force: the next request asks for all whether it is over. Says how long it
    /// would have lasted.
    ///
    /// # Errors
    /// It is not in force, or so many were lifted that it stays.
    pub fn resume(&self, halt: Halt, at: Moment) -> Result<Duration, NotLifted> {
        self.address.state().breaker.resume(halt, at)
    }

    /// Whether a stop of the one is a stop of the other.
    #[must_use]
    pub fn stops_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.address, &other.address)
    }

    const fn scope(&self, kind: LimitKind) -> &Arc<Scope> {
        match kind {
            LimitKind::Weight | LimitKind::RawRequests | LimitKind::Connections => &self.address,
            LimitKind::Orders => &self.account,
        }
    }
}

impl Charge {
    /// A request of this weight.
    #[must_use]
    pub const fn request(weight: u32) -> Self {
        Self {
            weight,
            raw: 1,
            orders: 0,
            connections: 0,
            is_free_on_success: false,
            call: CallMark::NONE,
        }
    }

    /// The same for this call.
    #[must_use]
    pub const fn of_call(self, call: CallMark) -> Self {
        Self { call, ..self }
    }

    /// A request of this weight that places so many orders.
    #[must_use]
    pub const fn orders(weight: u32, orders: u32) -> Self {
        Self {
            orders,
            ..Self::request(weight)
        }
    }

    /// The same, but its weight is given back when it succeeds.
    #[must_use]
    pub const fn free_on_success(self) -> Self {
        Self {
            is_free_on_success: true,
            ..self
        }
    }

    /// A WebSocket connection whose opening has this weight.
    #[must_use]
    pub const fn connection(weight: u32) -> Self {
        Self {
            connections: 1,
            ..Self::request(weight)
        }
    }

    fn of(&self, kind: LimitKind) -> u64 {
        u64::from(match kind {
            LimitKind::Weight => self.weight,
            LimitKind::RawRequests => self.raw,
            LimitKind::Orders => self.orders,
            LimitKind::Connections => self.connections,
        })
    }

    /// What is left to pay when it has succeeded.
    const fn after_success(mut self) -> Self {
        if self.is_free_on_success {
            self.weight = 0;
        }
        self
    }
}

impl Usage {
    /// How full, in millionths.
    fn share(&self) -> u64 {
        self.used.saturating_mul(1_000_000) / self.limit.max(1)
    }
}
