//! What is counted and shown of the servers of exchanges. Labels from the configuration, and the keys of chains that were
//! verified: as many as the newest chains have.

use prometheus::{IntCounterVec, IntGaugeVec};

use crate::model::pins::{PinMode, SpkiPin};

use super::metrics::Make;

/// What is shown of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointShown<'n> {
    /// The outbound's name.
    pub upstream: &'n str,
    /// The host.
    pub host: &'n str,
    /// When the first certificate of the newest chain ends, in seconds since 1970.
    pub certificates_end: Option<i64>,
    /// When its pins end.
    pub pins_end: Option<i64>,
    /// The keys of the newest chain, each with its place in it.
    pub keys: Vec<(&'static str, SpkiPin)>,
}

/// The families.
#[derive(Clone)]
pub(super) struct PinMetrics {
    certificates_end: IntGaugeVec,
    pins_end: IntGaugeVec,
    keys: IntGaugeVec,
    missed: IntCounterVec,
}

impl PinMetrics {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let endpoint = &["upstream", "host"];
        Ok(Self {
            certificates_end: make.gauges(
                "outrider_upstream_cert_expiry_timestamp_seconds",
                "The last second at which the chain that an exchange showed last is valid",
                endpoint,
            )?,
            pins_end: make.gauges(
                "outrider_pin_expiry_timestamp_seconds",
                "From when on the pins of an exchange count no more",
                endpoint,
            )?,
            keys: make.gauges(
                "outrider_upstream_spki_info",
                "The keys of the chain that an exchange showed last, as they would be pinned",
                &["upstream", "host", "level", "pin"],
            )?,
            missed: make.counters(
                "outrider_pin_mismatch_total",
                "Connections whose chain is good, but none of whose keys is pinned",
                &["upstream", "host", "mode"],
            )?,
        })
    }

    pub(super) fn show<'n>(&self, shown: impl IntoIterator<Item = EndpointShown<'n>>) {
        for family in [&self.certificates_end, &self.pins_end, &self.keys] {
            family.reset();
        }
        for one in shown {
            let endpoint = [one.upstream, one.host];
            let ends = [
                (&self.certificates_end, one.certificates_end),
                (&self.pins_end, one.pins_end),
            ];
            for (family, end) in ends {
                if let Some(end) = end {
                    family.with_label_values(&endpoint).set(end);
                }
            }
            for (level, pin) in one.keys {
                let pin = pin.to_string();
                let key = [one.upstream, one.host, level, &pin];
                self.keys.with_label_values(&key).set(1);
            }
        }
    }

    pub(super) fn missed(&self, upstream: &str, host: &str, mode: PinMode) {
        let labels = [upstream, host, mode.name()];
        self.missed.with_label_values(&labels).inc();
    }
}
