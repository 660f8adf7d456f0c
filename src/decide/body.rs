//! Step 3: with the body at hand, the last rules; and then the permit.

use crate::ledger::Ledger;
use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::Denial;
use crate::model::facts::Facts;
use crate::model::units::ByteSize;

use super::Spend;
use super::guards::Ask;
use super::head::HeadOk;
use super::permit::Permit;
use super::trace::Trace;

/// How a route wants the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNeeds {
    /// Passed on as it comes; no rule looks at it.
    Stream {
        /// The most bytes.
        bytes_max: ByteSize,
    },
    /// Whole, before it is judged.
    Whole {
        /// The most bytes.
        bytes_max: ByteSize,
    },
}

impl BodyNeeds {
    /// The most bytes, however it is taken in.
    #[must_use]
    pub const fn bytes_max(self) -> ByteSize {
        match self {
            Self::Stream { bytes_max } | Self::Whole { bytes_max } => bytes_max,
        }
    }
}

/// Asks the rules of the body and grants the permit. `body` is empty where none of them looks at it.
pub fn body<'p>(
    head: HeadOk<'p>,
    facts: &Facts,
    caller: &Caller,
    body: &[u8],
    ledger: &Ledger,
    now: Now,
    spend: Spend,
    trace: &mut Trace,
) -> Result<Permit<'p>, Box<Denial>> {
    let HeadOk {
        policy,
        route,
        mut tally,
    } = head;
    let ask = Ask {
        facts,
        route: Some(route),
        caller,
        body,
        ledger,
        now,
    };
    tally.ask(&route.rules.body, &ask, spend, trace)?;
    tally.ask(&policy.shared.body, &ask, spend, trace)?;
    match tally.refused {
        Some(denial) => Err(denial),
        None => Ok(Permit::new(route, tally.quota, tally.shadow)),
    }
}
