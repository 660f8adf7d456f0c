//! The counters of one route. Labels from closed lists, children in fixed tables; never a string from a request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter};

use super::metrics::Families;
use super::outcome::{Code, Outcome};

/// The methods that have a name of their own (RFC 9110, RFC 5789); others are `_OTHER`.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER",
];
/// The statuses that have a series of their own; others go by their class. Sorted.
const STATUSES: [u16; 32] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    410, 412, 413, 414, 415, 417, 422, 429, 431, 500, 502, 503, 504,
];
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// The counters of one route, each made when it is first needed: at most one for each outcome and cause, and one for
/// each method and status of the closed lists.
pub struct RouteMetrics {
    /// The route's name.
    pub name: String,
    /// Its path template, as written.
    pub template: String,
    families: Arc<Families>,
    requests: Box<[OnceLock<Option<IntCounter>>]>,
    durations: Box<[OnceLock<Option<Histogram>>]>,
}

impl RouteMetrics {
    pub(super) fn new(name: &str, template: &str, families: Arc<Families>) -> Self {
        let requests = Outcome::ALL.len() * Code::COUNT;
        let durations = METHODS.len() * (STATUSES.len() + STATUS_CLASSES.len());
        Self {
            name: name.to_owned(),
            template: template.to_owned(),
            families,
            requests: std::iter::repeat_with(OnceLock::new)
                .take(requests)
                .collect(),
            durations: std::iter::repeat_with(OnceLock::new)
                .take(durations)
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
        took: Duration,
    ) {
        let (row, column) = (method_index(method), status_index(status));
        let slot = row * (STATUSES.len() + STATUS_CLASSES.len()) + column;
        let make = || {
            let method = METHODS.get(row).copied().unwrap_or("_OTHER");
            let labels = [self.name.as_str(), method, &status_name(column)];
            self.families
                .durations
                .get_metric_with_label_values(&labels)
                .ok()
        };
        if let Some(Some(histogram)) = self.durations.get(slot).map(|slot| slot.get_or_init(make)) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

fn method_index(method: Option<&Method>) -> usize {
    let other = METHODS.len() - 1;
    let known = method.and_then(|method| METHODS.iter().position(|name| *name == method.as_str()));
    known.unwrap_or(other)
}

fn status_index(status: Option<StatusCode>) -> usize {
    let class = |code: u16| match code / 100 {
        1 => 0,
        2 => 1,
        3 => 2,
        4 => 3,
        _ => 4,
    };
    let index = status.map(|status| status.as_u16()).map(|code| {
        let known = STATUSES.binary_search(&code);
        known.unwrap_or_else(|_| STATUSES.len() + class(code))
    });
    index.unwrap_or(STATUSES.len() + STATUS_CLASSES.len() - 1)
}

fn status_name(index: usize) -> String {
    match STATUSES.get(index) {
        Some(code) => code.to_string(),
        None => {
            let class = index.checked_sub(STATUSES.len());
            let name = class.and_then(|class| STATUS_CLASSES.get(class));
            name.copied().unwrap_or("none").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_and_method_has_a_name() {
        assert!(STATUSES.is_sorted());
        let named = |code| status_name(status_index(Some(StatusCode::from_u16(code).unwrap())));
        assert_eq!(named(200), "200");
        assert_eq!(named(299), "2xx");
        assert_eq!(named(418), "4xx");
        assert_eq!(named(999), "5xx");
        assert_eq!(status_name(status_index(None)), "none");
        assert_eq!(METHODS[method_index(Some(&Method::PATCH))], "PATCH");
        assert_eq!(METHODS[method_index(None)], "_OTHER");
    }
}
