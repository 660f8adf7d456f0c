//! What is told and counted of secrets. Names come from the configuration; never anything of a value.

use prometheus::{IntCounter, IntGaugeVec};

use crate::model::json::{push_number, push_raw, push_text};

use super::metrics::Make;

/// Bytes of a name or word in an event.
const NAME_BYTES_MAX: usize = 256;

/// A secret that was read.
#[derive(Clone, Copy, Debug)]
pub struct SecretRead<'a> {
    /// Its name.
    pub name: &'a str,
    /// The word of its source.
    pub source: &'a str,
    /// Which value it is since the start, from 1.
    pub version: u64,
    /// Whether it is another value than before.
    pub changed: bool,
}

impl SecretRead<'_> {
    /// The type of its event.
    pub(super) const fn action(&self) -> &'static str {
        if self.changed {
            "secret.changed"
        } else {
            "secret.read"
        }
    }

    /// Writes the part of the event that is its own.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        push_raw(out, ",\"secret\":{\"name\":");
        push_text(out, self.name, NAME_BYTES_MAX);
        push_raw(out, ",\"source\":");
        push_text(out, self.source, NAME_BYTES_MAX);
        push_raw(out, ",\"version\":");
        push_number(out, self.version);
        push_raw(out, "}");
    }
}

/// The families.
#[derive(Clone)]
pub(super) struct SecretMetrics {
    since: IntGaugeVec,
    changes: IntCounter,
}

impl SecretMetrics {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            since: make.gauges(
                "outrider_secret_timestamp_seconds",
                "When the value of a secret in force was first seen",
                &["secret"],
            )?,
            changes: make.counter(
                "outrider_secret_changes_total",
                "Secrets whose value was replaced while running",
            )?,
        })
    }

    pub(super) fn show<'n>(&self, since: impl IntoIterator<Item = (&'n str, i64)>) {
        self.since.reset();
        for (name, seconds) in since {
            self.since.with_label_values(&[name]).set(seconds);
        }
    }

    pub(super) fn changed(&self) {
        self.changes.inc();
    }
}
