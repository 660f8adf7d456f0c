//! The counters of one route. Labels from closed lists, children in fixed tables; never a string from a request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::IntCounter;

use crate::model::denial::Cause;

use super::durations::Durations;
use super::metrics::Families;
use super::outcome::{Code, Outcome};

/// What clients speak to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// By whether a connection is TLS.
    #[must_use]
    pub const fn of(secure: bool) -> Self {
        match secure {
            true => Self::Https,
            false => Self::Http,
        }
    }

    /// As it stands in `url.scheme` of the semantic conventions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The counters of one route, each made when it is first needed: at most one for each outcome and cause, and one for
/// each method, status and cause of the closed lists.
pub struct RouteMetrics {
    /// The route's name.
    pub name: String,
    /// Its path template, as written; empty for requests without a route.
    pub template: String,
    families: Arc<Families>,
    requests: Box<[OnceLock<Option<IntCounter>>]>,
    durations: Durations,
}

impl RouteMetrics {
    pub(super) fn new(name: &str, template: &str, scheme: Scheme, families: Arc<Families>) -> Self {
        let requests = Outcome::ALL.len() * Code::COUNT;
        let labels = [template.to_owned(), scheme.as_str().to_owned()];
        Self {
            name: name.to_owned(),
            template: template.to_owned(),
            durations: Durations::new(families.durations.clone(), labels),
            families,
            requests: std::iter::repeat_with(OnceLock::new)
                .take(requests)
                .collect(),
        }
    }

    pub(super) fn count(&self, outcome: Outcome, code: Code) {
        let slot = (outcome as usize) * Code::COUNT + code.index();
        let make = || {
            let labels = [self.name.as_str(), outcome.as_str(), code.as_str()];
            self.families
                .requests
                .get_metric_with_label_values(&labels)
                .ok()
        };
        if let Some(Some(counter)) = self.requests.get(slot).map(|slot| slot.get_or_init(make)) {
            counter.inc();
        }
    }

    pub(super) fn observe(
        &self,
        method: Option<&Method>,
        status: Option<StatusCode>,
        cause: Option<Cause>,
        took: Duration,
    ) {
        self.durations.observe(method, status, cause, took);
    }
}
