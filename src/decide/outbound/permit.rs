//! Step 2: the exchange's own limits, and then the permit: the only thing that makes a request leave for an exchange.

use std::sync::Arc;

use crate::ledger::exchange::{Budget, Charge, Lane, Moment, Refused, Reservation, Which};
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::exchange::{Effect, Known};

use super::call::Call;
use super::{AllowLine, ExchangePolicy};
use crate::decide::permit::{Permitted, sealed};

/// Proof that one request may leave for an exchange.
///
/// Others read it; they cannot make one. Neither by its function (E0624, it is private):
///
/// ```compile_fail,E0624
/// use outrider::decide::outbound::{Call, OutboundPermit};
/// use outrider::ledger::exchange::Reservation;
///
/// fn forge(call: Call, reservation: Reservation) -> OutboundPermit {
///     OutboundPermit::new(call, reservation)
/// }
/// ```
///
/// nor from another one (E0599, there is no `Clone`):
///
/// ```compile_fail,E0599
/// use outrider::decide::outbound::OutboundPermit;
///
/// fn forge(permit: &OutboundPermit) -> OutboundPermit {
///     OutboundPermit::clone(permit)
/// }
/// ```
#[derive(Debug)]
pub struct OutboundPermit {
    policy: Arc<ExchangePolicy>,
    line: Option<usize>,
    known: Known,
    /// Its part of the exchange's limits, until it is known what became of the request.
    reservation: Option<Reservation>,
}

impl sealed::Sealed for OutboundPermit {}

impl Permitted for OutboundPermit {}

impl OutboundPermit {
    fn new(call: Call, reservation: Reservation) -> Self {
        let Call {
            policy,
            line,
            known,
            mark: _,
        } = call;
        Self {
            policy,
            line,
            known,
            reservation: Some(reservation),
        }
    }

    /// What is known of the call.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// The line that allows it; none for what this program asks by itself.
    #[must_use]
    pub fn line(&self) -> Option<&AllowLine> {
        self.policy.allow.get(self.line?)
    }

    /// What was reserved, to be settled when it is known what became of the request. Once.
    pub const fn take_reservation(&mut self) -> Option<Reservation> {
        self.reservation.take()
    }
}

/// Takes the request's part of the exchange's limits, and grants the permit. The last step: what is reserved is spent
/// unless nothing was sent.
///
/// # Errors
/// [`Cause::ExchangeLimit`] and [`Cause::ExchangeHalted`], with the time to wait.
pub fn grant(call: Call, budget: &Budget, at: Moment) -> Result<OutboundPermit, Box<Denial>> {
    let (charge, lane) = price(&call.known);
    match budget.reserve(charge.of_call(call.mark), lane, at) {
        Ok(reservation) => Ok(OutboundPermit::new(call, reservation)),
        Err(refused) => Err(refusal(&refused)),
    }
}

/// The same for opening a WebSocket, which the exchange counts as a connection beside.
///
/// # Errors
/// As [`grant`].
pub fn grant_connection(
    call: Call,
    budget: &Budget,
    at: Moment,
) -> Result<OutboundPermit, Box<Denial>> {
    let charge = Charge::connection(call.known.weight).of_call(call.mark);
    match budget.reserve(charge, Lane::Normal, at) {
        Ok(reservation) => Ok(OutboundPermit::new(call, reservation)),
        Err(refused) => Err(refusal(&refused)),
    }
}

/// What a call costs, and whether it may spend what is kept for cancels.
fn price(known: &Known) -> (Charge, Lane) {
    let charge = Charge::orders(known.weight, known.orders);
    let charge = match known.is_free_on_success {
        true => charge.free_on_success(),
        false => charge,
    };
    let lane = match known.effect {
        Effect::Cancel => Lane::Cancel,
        Effect::Change | Effect::Read => Lane::Normal,
    };
    (charge, lane)
}

fn refusal(refused: &Refused) -> Box<Denial> {
    let denial = match refused.which {
        Which::Limit { kind, interval } => {
            let why = format!("{} of {interval} has no room left", kind.name());
            Denial::new(Cause::ExchangeLimit, why)
        }
        Which::Halted(halt) => {
            let why = format!("the exchange said stop: {}", halt.name());
            Denial::new(Cause::ExchangeHalted, why)
        }
    };
    denial.advising(Advice::RetryAfter(refused.wait))
}
