//! Step 2: with the caller known, everything that needs no body. Nothing has been read from the body yet, so a refused
//! upload is never invited in.

use crate::model::caller::Caller;
use crate::model::denial::Denial;
use crate::model::facts::Facts;

use super::admit::Entry;
use super::body::BodyNeeds;
use super::evaluation::Evaluation;
use super::guards::Ask;
use super::policy::{Policy, Route};
use super::tally::Tally;

/// A request whose head is in order.
#[derive(Debug)]
pub struct HeadOk<'p> {
    pub(super) policy: &'p Policy,
    pub(super) route: &'p Route,
    pub(super) tally: Tally,
}

impl HeadOk<'_> {
    /// How the body is to be taken in.
    #[must_use]
    pub fn body_needs(&self) -> BodyNeeds {
        let bytes_max = self.route.body_bytes_max;
        if self.route.rules.body.is_empty() && self.policy.shared.body.is_empty() {
            BodyNeeds::Stream { bytes_max }
        } else {
            BodyNeeds::Whole { bytes_max }
        }
    }

    /// Keeps a refusal from elsewhere, so that a question can go on to ask the rest; the end refuses with it.
    pub fn refuse_later(&mut self, denial: Box<Denial>) {
        self.tally.refused.get_or_insert(denial);
    }
}

/// Asks the rules of the head: first the route's, then the listener's.
pub fn head<'p>(
    entry: Entry<'p>,
    facts: &Facts,
    caller: &Caller,
    evaluation: &mut Evaluation<'_>,
) -> Result<HeadOk<'p>, Box<Denial>> {
    let Entry {
        policy,
        route,
        mut tally,
        ..
    } = entry;
    let ask = Ask {
        facts,
        route: Some(route),
        caller,
        body: &[],
        ledger: evaluation.ledger,
        now: evaluation.now,
    };
    tally.ask(&route.rules.head, &ask, evaluation)?;
    tally.ask(&policy.shared.head, &ask, evaluation)?;
    Ok(HeadOk {
        policy,
        route,
        tally,
    })
}
