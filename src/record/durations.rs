//! Histograms of durations by method, status and error. Labels from closed lists, children in a fixed table; never a
//! string from a request.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{Histogram, HistogramVec};

use crate::model::denial::Cause;

/// The methods that have a name of their own (RFC 9110, RFC 5789); others are `_OTHER`.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER",
];
/// The statuses that have a series of their own; others go by their class. Sorted.
const STATUSES: [u16; 32] = [
    200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409,
    410, 412, 413, 414, 415, 417, 422, 429, 431, 500, 502, 503, 504,
];
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", ""];

/// Columns of a table: the statuses without a cause, then the causes with the status that each has.
const COLUMNS: usize = STATUSES.len() + STATUS_CLASSES.len() + Cause::ALL.len();

/// The names of the labels behind the two that are fixed for a table.
pub(super) const LABELS: [&str; 3] = [
    "http_request_method",
    "http_response_status_code",
    "error_type",
];

/// The histograms of one route, or of one service, each made when it is first needed.
pub(super) struct Durations {
    family: HistogramVec,
    fixed: [String; 2],
    slots: Box<[OnceLock<Option<Histogram>>]>,
}

impl Durations {
    /// A table of a family whose first two labels are these.
    pub(super) fn new(family: HistogramVec, fixed: [String; 2]) -> Self {
        Self {
            family,
            fixed,
            slots: std::iter::repeat_with(OnceLock::new)
                .take(METHODS.len() * COLUMNS)
                .collect(),
        }
    }

    pub(super) fn observe(
        &self,
        method: Option<&Method>,
        status: Option<StatusCode>,
        cause: Option<Cause>,
        took: Duration,
    ) {
        let (row, column) = (method_index(method), status_index(status));
        let column = match cause {
            None => column,
            Some(cause) if status == Some(cause.status()) => {
                STATUSES.len() + STATUS_CLASSES.len() + cause as usize
            }
            // An answer that had begun and broke off: too rare for a place in the table.
            Some(cause) => {
                if let Some(histogram) = self.child(row, &status_name(column), cause.code()) {
                    histogram.observe(took.as_secs_f64());
                }
                return;
            }
        };
        let make = || match cause {
            None => self.child(row, &status_name(column), error_of(column)),
            Some(cause) => self.child(row, cause.status().as_str(), cause.code()),
        };
        let slot = self.slots.get(row * COLUMNS + column);
        if let Some(Some(histogram)) = slot.map(|slot| slot.get_or_init(make)) {
            histogram.observe(took.as_secs_f64());
        }
    }

    fn child(&self, row: usize, status: &str, error: &str) -> Option<Histogram> {
        let method = METHODS.get(row).copied().unwrap_or("_OTHER");
        let [one, two] = &self.fixed;
        self.family
            .get_metric_with_label_values(&[one, two, method, status, error])
            .ok()
    }
}

/// The method as a label: `_OTHER` if it is none of the closed list.
pub(super) fn method_name(method: Option<&Method>) -> &'static str {
    METHODS
        .get(method_index(method))
        .copied()
        .unwrap_or("_OTHER")
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
            name.copied().unwrap_or_default().to_owned()
        }
    }
}

/// `error.type` of a status that came without a cause of ours: the service's own failures go by their status.
fn error_of(column: usize) -> &'static str {
    match STATUSES.get(column) {
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(_) => "",
        None if column == STATUSES.len() + 4 => "5xx",
        None => "",
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
        assert_eq!(status_name(status_index(None)), "");
        assert_eq!(method_name(Some(&Method::PATCH)), "PATCH");
        assert_eq!(method_name(None), "_OTHER");
    }

    #[test]
    fn every_failure_without_a_cause_goes_by_its_status() {
        let error = |code| error_of(status_index(StatusCode::from_u16(code).ok()));
        let table = [
            (200, ""),
            (404, ""),
            (500, "500"),
            (504, "504"),
            (507, "5xx"),
        ];
        for (code, expected) in table {
            assert_eq!(error(code), expected, "{code}");
        }
        for code in STATUSES.into_iter().filter(|code| *code >= 500) {
            assert_eq!(error(code), code.to_string());
        }
    }
}
