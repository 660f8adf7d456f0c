//! Step 2: the exchange's own limits, and then the permit: the only thing that makes a request leave for an exchange.

use std::sync::Arc;

use crate::model::denial::Denial;
use crate::model::exchange::Known;

use super::call::Call;
use super::{AllowLine, ExchangePolicy};
use crate::decide::permit::{Permitted, sealed};

/// Proof that one request may leave for an exchange.
///
/// Others read it; they cannot make one. Neither by its function (E0624, it is private):
///
/// ```compile_fail,E0624
/// use outrider::decide::outbound::{Call, OutboundPermit};
///
/// fn forge(call: Call) -> OutboundPermit {
///     OutboundPermit::new(call)
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
    line: usize,
    known: Known,
}

impl sealed::Sealed for OutboundPermit {}

impl Permitted for OutboundPermit {}

impl OutboundPermit {
    fn new(call: Call) -> Self {
        let Call {
            policy,
            line,
            known,
        } = call;
        Self {
            policy,
            line,
            known,
        }
    }

    /// What is known of the call.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// The line that allows it.
    #[must_use]
    pub fn line(&self) -> Option<&AllowLine> {
        self.policy.allow.get(self.line)
    }
}

/// Grants the permit.
pub fn grant(call: Call) -> Result<OutboundPermit, Box<Denial>> {
    Ok(OutboundPermit::new(call))
}
