//! A browser's question before the request itself: which route it is about, and what the answer grants. Never asks who
//! calls, because a preflight carries no credentials.

use http::{HeaderValue, Method};

use crate::model::cors::{Cors, PreflightAsk, PreflightVerdict};
use crate::model::facts::Facts;

use super::admit::routes_at;
use super::policy::{Policy, Route};

/// What a route without `methods` takes, as far as it has a name.
const FORWARDED: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Methods that browsers need no permission for (Fetch section 2.2.1).
const SAFELISTED: [Method; 3] = [Method::GET, Method::HEAD, Method::POST];

/// The answer to a preflight.
#[derive(Debug)]
pub struct Preflight<'p> {
    route: &'p Route,
    cors: &'p Cors,
    methods: HeaderValue,
    verdict: PreflightVerdict,
}

impl<'p> Preflight<'p> {
    /// The route that would take the request.
    #[must_use]
    pub const fn route(&self) -> &'p Route {
        self.route
    }

    /// What the route says of other origins.
    #[must_use]
    pub const fn cors(&self) -> &'p Cors {
        self.cors
    }

    /// `Access-Control-Allow-Methods`.
    #[must_use]
    pub const fn methods(&self) -> &HeaderValue {
        &self.methods
    }

    /// What the browser will make of the answer.
    #[must_use]
    pub const fn verdict(&self) -> &PreflightVerdict {
        &self.verdict
    }
}

/// Answers a preflight by the route that would take the request, or else by the first of that path, so that the browser
/// can tell its developer which method is missing. `None` for what is no preflight, or where the configuration leaves
/// CORS to the service: then the request goes its ordinary way.
pub(super) fn judge<'p>(policy: &'p Policy, facts: &Facts) -> Option<Preflight<'p>> {
    let ask = facts.preflight.as_deref()?;
    let origin = facts.origin.as_ref()?;
    let taken = routes_at(policy, facts).find(|route| route.takes_method(&ask.method));
    let route = taken.or_else(|| routes_at(policy, facts).next())?;
    let cors = route.cors.as_deref()?;
    let methods = methods(policy, facts, cors, ask);
    let verdict = verdict(cors, origin, &methods, ask);
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    // Methods and commas are a header value.
    let methods =
        HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("GET"));
    Some(Preflight {
        route,
        cors,
        methods,
        verdict,
    })
}

/// The methods that are named, or else those of the routes at the path that say the same of other origins.
fn methods(policy: &Policy, facts: &Facts, cors: &Cors, ask: &PreflightAsk) -> Vec<Method> {
    if !cors.methods.is_empty() {
        return cors.methods.clone();
    }
    let alike = |route: &&Route| {
        let other = route.cors.as_deref();
        other.is_some_and(|other| std::ptr::eq(other, cors))
    };
    let mut methods = Vec::new();
    for route in routes_at(policy, facts).filter(alike) {
        let any = route.matching.methods.is_empty();
        let own: &[Method] = if any {
            &FORWARDED
        } else {
            &route.matching.methods
        };
        methods.extend_from_slice(own);
        if any {
            methods.push(ask.method.clone());
        }
    }
    let place = |method: &Method| {
        FORWARDED
            .iter()
            .position(|known| known == method)
            .unwrap_or(FORWARDED.len())
    };
    methods.sort_by_key(place);
    methods.dedup();
    methods
}

/// What the browser will find missing, in the order in which it looks (Fetch section 4.8, step 7).
fn verdict(
    cors: &Cors,
    origin: &HeaderValue,
    methods: &[Method],
    ask: &PreflightAsk,
) -> PreflightVerdict {
    if !cors.takes(origin) {
        let origin = origin.to_str().unwrap_or_default();
        return PreflightVerdict::Refused(format!("pages of {origin} are not allowed"));
    }
    if !methods.contains(&ask.method) && !SAFELISTED.contains(&ask.method) {
        return PreflightVerdict::Refused(format!("pages may not use {}", ask.method));
    }
    match ask.headers.iter().find(|name| !cors.headers.contains(name)) {
        Some(name) => PreflightVerdict::Refused(format!("pages may not set {name}")),
        None => PreflightVerdict::Granted,
    }
}
