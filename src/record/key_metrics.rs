//! What is counted of keys that are fetched. Labels from a closed list only.

use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use super::metrics::Make;

/// How a fetch of the keys ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefresh {
    /// Other keys than before.
    Changed,
    /// The same keys, sent again or confirmed.
    Unchanged,
    /// A document that is no good; the keys stay.
    Refused,
    /// Nobody answered.
    Unreachable,
    /// No whole answer in time.
    Timeout,
    /// No TLS that can be trusted.
    Tls,
    /// A redirect, which is not followed.
    Redirect,
    /// Another status.
    Status,
    /// More bytes than allowed.
    TooLarge,
    /// An answer that broke off, or was not HTTP.
    Broken,
}

impl KeyRefresh {
    const ALL: [Self; 10] = [
        Self::Changed,
        Self::Unchanged,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Tls,
        Self::Redirect,
        Self::Status,
        Self::TooLarge,
        Self::Broken,
    ];

    /// The word in metrics, logs and `/readyz`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::Broken => "broken",
        }
    }
}

/// The families.
#[derive(Clone)]
pub(super) struct KeyMetrics {
    age: Gauge,
    keys: IntGauge,
    refreshes: [IntCounter; KeyRefresh::ALL.len()],
}

impl KeyMetrics {
    pub(super) fn new(make: &Make<'_>, registry: &Registry) -> prometheus::Result<Self> {
        let age = Gauge::new(
            "outrider_jwks_age_seconds",
            "Age of the fetched keys; before the first, of the process; 0 for keys from a file",
        )?;
        registry.register(Box::new(age.clone()))?;
        let refreshes = make.counters(
            "outrider_jwks_refresh_total",
            "Fetches of the keys by how they ended",
            &["outcome"],
        )?;
        let refresh = |outcome: KeyRefresh| refreshes.with_label_values(&[outcome.name()]);
        Ok(Self {
            age,
            keys: make.gauge("outrider_jwks_keys", "Keys that tokens are verified with")?,
            refreshes: KeyRefresh::ALL.map(refresh),
        })
    }

    pub(super) fn show(&self, age: Duration, keys: usize) {
        self.age.set(age.as_secs_f64());
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    pub(super) fn refreshed(&self, outcome: KeyRefresh) {
        if let Some(counter) = self.refreshes.get(outcome as usize) {
            counter.inc();
        }
    }
}
