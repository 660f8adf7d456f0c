//! The way out: which requests a service may send to an exchange. What the preset keeps back comes first, then the lines
//! of `allow`, then the exchange's own limits. Pure, as everything here.

mod allow;
mod call;
mod permit;
mod socket;

pub use allow::{AllowLine, Names};
pub use call::{Call, OwnQuestion, call, own};
pub use permit::{OutboundPermit, grant, grant_connection};
pub use socket::{StreamPermit, frame, log_on, open, stream};

use std::sync::Arc;

use crate::model::denial::{Cause, Denial, RuleId};
use crate::model::exchange::{Catalogue, Preset};

/// What one outbound goes by.
#[derive(Debug)]
pub struct ExchangePolicy {
    /// The outbound's name.
    pub name: Arc<str>,
    /// What is known of the exchange.
    pub preset: &'static Preset,
    /// What may be called; everything else may not.
    pub allow: Vec<AllowLine>,
}

impl ExchangePolicy {
    /// Whether a line opens a call that places orders, as far as the preset knows its calls.
    #[must_use]
    pub fn places_orders(&self) -> bool {
        let calls = match self.preset.catalogue {
            Catalogue::Complete(calls) => calls,
            Catalogue::Sketch { .. } => &[],
        };
        let opens = |line: &AllowLine| {
            let calls = calls.iter().filter(|call| call.orders > 0);
            let mut named = calls.filter_map(|call| Some((call.method.parse().ok()?, call.path)));
            let frames = self.preset.ws_methods.iter();
            let mut frames = frames.filter(|frame| frame.orders > 0);
            named.any(|(method, path)| line.allows_call(&method, path))
                || frames.any(|frame| line.allows_frame(frame.name))
        };
        self.allow.iter().any(opens)
    }

    /// A refusal that names the line which covers the request and yet does not open it.
    fn refusal(
        &self,
        cause: Cause,
        detail: &'static str,
        covered: Option<&AllowLine>,
    ) -> Box<Denial> {
        let mut denial = Denial::new(cause, detail);
        denial.rule = covered.map(|line| RuleId {
            name: Arc::from(format!("{}/allow", self.name)),
            place: line.place.clone(),
        });
        denial
    }
}
