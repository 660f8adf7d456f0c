//! The counters of one route. Labels from closed lists, children in fixed tables; never a string from a request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::IntCounter;

use crate::model::denial::Cause;

use super::durations::Durations;
use super::metrics::Families;
use super::outcome::{Code, Outcome};

/// What clients speak to this listener.
const SCHEME: &str = "http";

/// The counters of one route, each made when it is first needed: at most one for each outcome and cause, and one for
/// each method, status and cause of the closed lists.
pub struct RouteMetrics {
    /// The route's name.
    pub name: String,
    /// Its path template, as written; empty for requests without a route.
    pub template: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    families: Arc<Families>,
    requests: Box<[OnceLock<Option<IntCounter>>]>,
    durations: Durations,
}

impl RouteMetrics {
    pub(super) fn new(name: &str, template: &str, families: Arc<Families>) -> Self {
        let requests = Outcome::ALL.len() * Code::COUNT;
        let labels = [template.to_owned(), SCHEME.to_owned()];
        Self {
            name: name.to_owned(),
            template: template.to_owned(),
            scheme: SCHEME,
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
