//! Step 1: what can be said before the caller is known. Addresses, then the route.

use std::time::Duration;

use http::Method;

use crate::model::caller::Caller;
use crate::model::clock::Now;
use crate::model::denial::{Advice, Cause, Denial};
use crate::model::facts::{Facts, Framing};

use super::evaluation::Evaluation;
use super::guards::Ask;
use super::policy::{Policy, Route};
use super::preflight::{self, Preflight};
use super::tally::Tally;

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

/// Where a request goes on from here.
#[derive(Debug)]
pub enum Admission<'p> {
    /// It says who sends it.
    Enters(Entry<'p>),
    /// It is a browser's question, which is answered here: it carries no credentials and reaches no service.
    Answered(Preflight<'p>),
}

/// A refusal, with the route if one was found: its answers and its records are the route's.
#[derive(Debug)]
pub struct Rejected<'p> {
    /// Why.
    pub denial: Box<Denial>,
    /// The route.
    pub route: Option<&'p Route>,
}

impl From<Box<Denial>> for Rejected<'_> {
    fn from(denial: Box<Denial>) -> Self {
        Self {
            denial,
            route: None,
        }
    }
}

impl From<Rejected<'_>> for Box<Denial> {
    fn from(rejected: Rejected<'_>) -> Self {
        rejected.denial
    }
}

impl<'p> Admission<'p> {
    /// The route.
    #[must_use]
    pub const fn route(&self) -> &'p Route {
        match self {
            Self::Enters(entry) => entry.route(),
            Self::Answered(preflight) => preflight.route(),
        }
    }
}

/// Judges the address, finds the route, asks its first rules. A preflight goes by the route of the request that it
/// asks for.
pub fn admit<'p>(
    policy: &'p Policy,
    facts: &Facts,
    evaluation: &mut Evaluation<'_>,
) -> Result<Admission<'p>, Rejected<'p>> {
    let mut tally = Tally::default();
    let mut ask = Ask {
        facts,
        route: None,
        caller: &Caller::Anonymous,
        body: &[],
        ledger: evaluation.ledger,
        now: evaluation.now,
    };
    tally.ask(&policy.shared.admit, &ask, evaluation)?;
    let preflight = preflight::judge(policy, facts);
    let found = match &preflight {
        Some(preflight) => Ok(preflight.route()),
        None => find(policy, facts),
    };
    let route = match found {
        Ok(route) => route,
        Err(denial) => return Err(tally.refused.unwrap_or(denial).into()),
    };
    ask.route = Some(route);
    let here = |denial| Rejected {
        denial,
        route: Some(route),
    };
    // A preflight is granted all the same, so that the page can read why its request is refused.
    let misfit = match preflight {
        Some(_) => None,
        None => misfit(route, facts, evaluation.now),
    };
    if let Some(denial) = misfit {
        tally.refuse(denial, evaluation).map_err(here)?;
    }
    let asked = tally.ask(&route.rules.admit, &ask, evaluation);
    asked.map_err(here)?;
    match (preflight, tally.refused.take()) {
        (Some(_), Some(denial)) => Err(here(denial)),
        (Some(preflight), None) => Ok(Admission::Answered(preflight)),
        (None, refused) => {
            tally.refused = refused;
            let Evaluation { ledger, now, .. } = evaluation;
            let failures_spent = ledger.failures_spent(facts.client_ip, *now);
            Ok(Admission::Enters(Entry {
                policy,
                route,
                tally,
                failures_spent,
            }))
        }
    }
}

/// The first route that takes the request.
fn find<'p>(policy: &'p Policy, facts: &Facts) -> Result<&'p Route, Box<Denial>> {
    let mut candidates = routes_at(policy, facts).peekable();
    if candidates.peek().is_none() {
        return Err(Denial::new(Cause::RouteNone, "no route has this path"));
    }
    let mut allowed: Vec<&str> = Vec::new();
    for route in candidates {
        if route.takes_method(&facts.method) {
            return distinct(policy, route, facts);
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

/// The route, unless an earlier one takes what a lenient service reads in this path: it would run the handler that the
/// earlier rules stand before.
fn distinct<'p>(
    policy: &'p Policy,
    route: &'p Route,
    facts: &Facts,
) -> Result<&'p Route, Box<Denial>> {
    let mut earlier = route
        .lookalikes
        .iter()
        .filter_map(|at| policy.routes.get(*at));
    let stricter = earlier.find(|other| {
        other.takes_method(&facts.method)
            && other.takes_host(facts.authority.host())
            && other.matching.path.resembles(facts.path.path())
    });
    match stricter {
        None => Ok(route),
        Some(other) => Err(Denial::new(
            Cause::Path,
            format!(
                "route `{}` would take this path but for the case of letters or a slash at the end",
                other.name
            ),
        )),
    }
}

/// The routes of this host and path, whatever their methods.
pub(super) fn routes_at<'p>(policy: &'p Policy, facts: &Facts) -> impl Iterator<Item = &'p Route> {
    policy.routes.iter().filter(|route| {
        route.takes_host(facts.authority.host()) && route.matching.path.matches(facts.path.path())
    })
}

/// What the request is that its route does not take.
fn misfit(route: &Route, facts: &Facts, now: Now) -> Option<Box<Denial>> {
    let gone_from = route.deprecation.as_ref().and_then(|told| told.gone_from);
    if gone_from.is_some_and(|gone_from| now.unix_seconds() >= gone_from) {
        let detail = "the route's sunset is past, and it says `after_sunset: gone`";
        return Some(Denial::new(Cause::RouteGone, detail));
    }
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
