//! Step 1: what can be said before the caller is known. Addresses, then the route.

use std::time::Duration;

use http::Method;

use crate::ledger::Ledger;
use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::facts::{Facts, Framing};

use super::Spend;
use super::guards::Ask;
use super::policy::{Policy, Route};
use super::tally::Tally;
use super::trace::Trace;

/// A request that may go on to say who sends it.
#[derive(Debug)]
pub struct Entry<'p> {
    pub(super) policy: &'p Policy,
    pub(super) route: &'p Route,
    pub(super) tally: Tally,
    failures_spent: Option<Duration>,
}

impl<'p> Entry<'p> {
    /// The route.
    #[must_use]
    pub const fn route(&self) -> &'p Route {
        self.route
    }

    /// How long the address must wait before a token that is not known yet is looked at; `None` if it need not.
    #[must_use]
    pub const fn failures_spent(&self) -> Option<Duration> {
        self.failures_spent
    }

    /// Keeps a refusal from elsewhere, so that a question can go on to ask the rest; the end refuses with it.
    pub fn refuse_later(&mut self, denial: Box<Denial>) {
        self.tally.refused.get_or_insert(denial);
    }
}

/// Judges the address, finds the route, asks its first rules.
pub fn admit<'p>(
    policy: &'p Policy,
    facts: &Facts,
    ledger: &Ledger,
    now: Now,
    spend: Spend,
    trace: &mut Trace,
) -> Result<Entry<'p>, Box<Denial>> {
    let mut tally = Tally::default();
    let mut ask = Ask {
        facts,
        route: None,
        caller: &Caller::Anonymous,
        body: &[],
        ledger,
        now,
    };
    tally.ask(&policy.shared.admit, &ask, spend, trace)?;
    let route = match find(policy, facts) {
        Ok(route) => route,
        Err(denial) => return Err(tally.refused.unwrap_or(denial)),
    };
    ask.route = Some(route);
    if let Some(denial) = misfit(route, facts) {
        tally.refuse(denial, trace)?;
    }
    tally.ask(&route.rules.admit, &ask, spend, trace)?;
    let failures_spent = ledger.failures_spent(facts.client_ip, now);
    Ok(Entry {
        policy,
        route,
        tally,
        failures_spent,
    })
}

/// The first route that takes the request.
fn find<'p>(policy: &'p Policy, facts: &Facts) -> Result<&'p Route, Box<Denial>> {
    let here = |route: &&Route| {
        route.takes_host(facts.authority.host()) && route.matching.path.matches(facts.path.path())
    };
    let mut candidates = policy.routes.iter().filter(here).peekable();
    if candidates.peek().is_none() {
        return Err(Denial::new(Cause::RouteNone, "no route has this path"));
    }
    let mut allowed: Vec<&str> = Vec::new();
    for route in candidates {
        if route.takes_method(&facts.method) {
            return Ok(route);
        }
        allowed.extend(route.matching.methods.iter().map(Method::as_str));
    }
    allowed.sort_unstable();
    allowed.dedup();
    let denial = Denial::new(
        Cause::RouteMethod,
        "a route has this path, but not this method",
    );
    Err(denial.advising(Advice::Methods(allowed.join(", "))))
}

/// What the request is that its route does not take.
fn misfit(route: &Route, facts: &Facts) -> Option<Box<Denial>> {
    if facts.path.respelt() && !route.normalise {
        let detail =
            "plain characters spelt in percent form, and the route does not say `normalise: true`";
        return Some(Denial::new(Cause::Path, detail));
    }
    let bodiless = matches!(facts.method, Method::GET | Method::HEAD);
    if bodiless && facts.framing != Framing::None && !route.body_on_get {
        let detail = "a body with GET or HEAD, and the route does not say `allow_on_get: true`";
        return Some(Denial::new(Cause::BodyNotAllowed, detail));
    }
    None
}
