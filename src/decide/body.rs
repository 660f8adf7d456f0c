//! Step 3: with the body at hand, the last rules; and then the permit.

use crate::model::caller::Caller;
use crate::model::denial::Denial;
use crate::model::facts::Facts;
use crate::model::units::ByteSize;

use super::evaluation::Evaluation;
use super::guards::Ask;
use super::head::HeadOk;
use super::permit::Permit;

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
    evaluation: &mut Evaluation<'_>,
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
        ledger: evaluation.ledger,
        now: evaluation.now,
    };
    tally.ask(&route.rules.body, &ask, evaluation)?;
    tally.ask(&policy.shared.body, &ask, evaluation)?;
    match tally.refused {
        Some(denial) => Err(denial),
        None => Ok(Permit::new(route, tally.quota, tally.shadow)),
    }
}
